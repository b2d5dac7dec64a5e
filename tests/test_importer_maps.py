"""A wrong map is refused with file, line, key, value and the mend."""

import textwrap
from pathlib import Path

import pytest

from leadflow.importer import MapError, Mapping, load_mapping, read_events

GOOD = """\
source = "/import/test"
zone = "UTC"

[columns.When]
type = "date"
at = "09:30"

[fields]
subject = "Id"

[[events]]
name = "lead"
type = "form.submitted"
[events.fields]
time = "When"
data.person.email = "Email"

[[events]]
name = "won"
type = "deal.won"
id = "{Id}:won"
when = { Stage = "Won" }
[events.fields]
time = "When"
data.amount = "Value"
data.currency = { constant = "EUR" }
"""
CSV = "Id,Email,When,Stage,Value\n7,ada@example.com,2024-02-29,Won,12.50\n"


def loaded(tmp_path: Path, text: str) -> Mapping:
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


def refusal(tmp_path: Path, text: str, csv: str = CSV) -> str:
    """Return what is said about the map, the folder taken off."""
    (tmp_path / "rows.csv").write_text(csv)
    with pytest.raises(MapError) as caught:
        list(read_events(tmp_path / "rows.csv", loaded(tmp_path, text)))
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_the_map_that_the_wrong_ones_are_made_of_is_right(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    (row,) = read_events(tmp_path / "rows.csv", loaded(tmp_path, GOOD))

    lead, won = row.events
    assert len(str(lead.pop("id"))) == 64
    assert lead == {
        "specversion": "1.0",
        "source": "/import/test",
        "type": "form.submitted",
        "sequence": "1",
        "subject": "7",
        "time": "2024-02-29T09:30:00Z",
        "data": {"person": {"email": "ada@example.com"}},
    }
    assert (won["id"], won["sequence"]) == ("7:won", "2")
    assert won["data"] == {"amount": "12.50", "currency": "EUR"}


WRONG = [
    ('name = "lead"', "name = lead", "map.toml:12: Invalid value (at line 12, column 8)"),
    (
        'zone = "UTC"',
        'zoen = "UTC"',
        "map.toml:2: zoen = 'UTC': is not a known key; did you mean 'zone'?",
    ),
    (
        'zone = "UTC"',
        'zone = "Berlin"',
        "map.toml:2: zone = 'Berlin': is no time zone; use an IANA name such as",
    ),
    ('zone = "UTC"', "zone = 1", "map.toml:2: zone = 1: is not a text; put it in quotes"),
    (
        'zone = "UTC"\n',
        "\n",
        "map.toml:15: events.0.fields.time = 'When': is a day without a time zone; set zone",
    ),
    (
        'source = "/import/test"',
        "",
        "map.toml: source: is missing; add it",
    ),
    (
        'source = "/import/test"',
        'source = "my crm"',
        "map.toml:1: source = 'my crm': has blanks; write a path such as",
    ),
    (
        'at = "09:30"',
        "",
        "map.toml:15: events.0.fields.time = 'When': is a day without a time of day; set at",
    ),
    (
        'at = "09:30"',
        'at = "half past nine"',
        "map.toml:6: columns.When.at = 'half past nine': is not a time of day; write for example",
    ),
    (
        'type = "date"',
        'type = "day"',
        "map.toml:5: columns.When.type = 'day': is not a known value; write 'text', 'integer'",
    ),
    (
        'type = "date"',
        'type = "date"\nformats = ["%d.%m.%Q"]',
        "map.toml:6: columns.When.formats = '%d.%m.%Q': cannot be read: 'Q' is a bad directive",
    ),
    (
        'type = "date"',
        'type = "date"\nformats = ["%d.%m.%Y %H:%M"]',
        "map.toml:6: columns.When.formats = '%d.%m.%Y %H:%M': has a time of day; set type",
    ),
    (
        'type = "date"',
        'type = "date"\nformats = ["%d.%m."]',
        "map.toml:6: columns.When.formats = '%d.%m.': leaves out day, month or year",
    ),
    (
        'type = "date"',
        'type = "date"\nformats = "%d.%m.%Y"',
        "map.toml:6: columns.When.formats = '%d.%m.%Y': is not a list; write it in brackets",
    ),
    (
        'type = "date"',
        'type = "date"\notherwise = "error"',
        "map.toml:6: columns.When.otherwise = 'error': needs values; list the known texts",
    ),
    (
        'type = "date"',
        'type = "date"\ndecimal = ","\nthousands = ","',
        "map.toml:6: columns.When.decimal = ',': is not one character of its own; write",
    ),
    (
        'type = "deal.won"',
        'type = "deal.wonn"',
        "map.toml:20: events.1.type = 'deal.wonn': is not in the vocabulary; did you mean 'deal.won'?",
    ),
    (
        'type = "deal.won"',
        'type = "ship.sunk"',
        "map.toml:20: events.1.type = 'ship.sunk': is not in the vocabulary; set custom_type = true",
    ),
    (
        'name = "won"',
        'name = "lead"',
        "map.toml:19: events.1.name = 'lead': is the name of two events; rename one",
    ),
    (
        'data.person.email = "Email"',
        'data.person.emial = "Email"',
        (
            "map.toml:16: events.0.fields.data.person.emial = 'data.person.emial':"
            " emial is not a field of data.person; did you mean data.person.email?"
        ),
    ),
    (
        'data.person.email = "Email"',
        'data.person.shoe = "Email"',
        "shoe is not a field of data.person; known are email, phone",
    ),
    (
        'data.person.email = "Email"',
        'data.person = "Email"',
        "data.person = 'data.person': is a table; name a field of it",
    ),
    (
        'data.person.email = "Email"',
        'data.consent = "Email"',
        "is a list; map an event of type consent.granted",
    ),
    (
        'data.person.email = "Email"',
        'data.person.email = { colunm = "Email" }',
        (
            "map.toml:16: events.0.fields.data.person.email.colunm = 'Email': is not a known key;"
            " did you mean 'column'?"
        ),
    ),
    (
        'data.person.email = "Email"',
        'data.person.email = { column = "Email", constant = "x" }',
        "needs exactly one of column, constant and template; leave the rest out",
    ),
    (
        'data.person.email = "Email"',
        "data.person.email = 7",
        "data.person.email is neither a column nor a rule; write { constant = ... }",
    ),
    (
        'data.person.email = "Email"',
        'data.person.email = "Mail"',
        (
            "map.toml:16: events.0.fields.data.person.email = 'Mail': is not a column of rows.csv;"
            " did you mean 'Email'? There are 'Id', 'Email', 'When', 'Stage', 'Value'"
        ),
    ),
    (
        'data.person.email = "Email"',
        'email = "Email"',
        "events.0.fields.email = 'email': is not a field of an event; fields of your own begin with",
    ),
    (
        'data.person.email = "Email"',
        'source = "Email"',
        "source = 'source': is not set by a field; set source at the top of the map",
    ),
    (
        'data.person.email = "Email"',
        'data.list = "Email"\ndata.list_.a = { constant = 1.5 }',
        "data.list_.a.constant = 1.5: is a float; write it as text, for example",
    ),
    (
        'subject = "Id"',
        'data.actor.id = "Id"',
        "map.toml:23: events.1.fields: nothing says whose event it is; add subject",
    ),
    (
        'time = "When"\ndata.person',
        "data.person",
        "events.0.fields: form.submitted needs time; add time",
    ),
    (
        'time = "When"\ndata.person',
        "time = { constant = 2024-01-01T00:00:00 }\ndata.person",
        (
            "events.0.fields.time.constant = datetime.datetime(2024, 1, 1, 0, 0):"
            " is a time without an offset; write 2016-10-20T00:00:00Z"
        ),
    ),
    (
        'time = "When"\ndata.person',
        'time = { column = "When", default = "1999-01-01" }\ndata.person',
        "events.0.fields.time = '1999-01-01': is not an instant with offset; write 2016-10-20",
    ),
    (
        'data.currency = { constant = "EUR" }',
        "",
        "events.1.fields: an amount needs its currency; add data.currency",
    ),
    (
        'id = "{Id}:won"',
        'id = "won"',
        "map.toml:21: events.1.id = 'won': is the same for all rows; name a column that differs",
    ),
    (
        'id = "{Id}:won"',
        'id = "{Id:won"',
        "map.toml:21: events.1.id = '{Id:won': has a lone '{'; write {column} or {column?}",
    ),
    (
        'id = "{Id}:won"',
        'id = "{Key}:won"',
        "map.toml:21: events.1.id = 'Key': is not a column of rows.csv; there are 'Id'",
    ),
    (
        'when = { Stage = "Won" }',
        'when = { Stage = { equal = "Won" } }',
        "map.toml:22: events.1.when.Stage.equal = 'Won': is not a known key; did you mean 'equals'?",
    ),
    (
        'when = { Stage = "Won" }',
        'when = { Phase = "Won" }',
        "map.toml:22: events.1.when.Phase = 'Phase': is not a column of rows.csv; there are 'Id'",
    ),
    (
        'source = "/import/test"',
        'source = "/import/test"\nlookups.team = { file = "team.csv", key = "Id", by = "Id" }',
        "map.toml:2: lookups.team.file = 'team.csv': is neither in",
    ),
    (
        'source = "/import/test"',
        'source = "/import/test"\nfile.delimiter = ";;"',
        "map.toml:2: file.delimiter = ';;': is not one character; write",
    ),
    (
        'source = "/import/test"',
        'source = "/import/test"\nfile.encoding = "utf-9"',
        "map.toml:2: file.encoding = 'utf-9': is no text encoding; write",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG)
def test_a_wrong_map_is_named_by_line_key_value_and_mend(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert right in GOOD

    assert said in refusal(tmp_path, GOOD.replace(right, wrong, 1))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    wrong = GOOD.replace('"UTC"', '"Mars"').replace("{Id}:won", "won")

    assert len(refusal(tmp_path, wrong).splitlines()) == 2


def test_an_integer_column_is_no_amount_since_integers_count_cents(tmp_path: Path) -> None:
    wrong = GOOD + '[columns.Value]\ntype = "integer"\n'

    assert "is read as integer; set its type to" in refusal(tmp_path, wrong)


def test_a_file_read_with_the_wrong_delimiter_is_recognised_by_its_header(tmp_path: Path) -> None:
    said = refusal(tmp_path, GOOD, CSV.replace(",", ";"))

    assert "the header is one cell, 'Id;Email;When;Stage;Value': set delimiter = ';'" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "map.toml: cannot be read: No such file or directory; give the path of a map"),
        (b'a = "x"\nb = "\xe9"\n', "map.toml:2: byte 0xe9 is not UTF-8; save the map as UTF-8"),
        (b"a = [\n1,\n", "map.toml:3: Invalid value"),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_its_line(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "map.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MapError) as caught:
        load_mapping(path)

    assert said in str(caught.value)


def test_fields_may_be_written_as_dotted_keys_quoted_paths_or_tables(tmp_path: Path) -> None:
    ways = (
        'data.touch.campaign = "Stage"\ndata.touch.content = "Email"\n',
        '"data.touch.campaign" = "Stage"\n"data.touch.content" = "Email"\n',
        'data.touch = { campaign = "Stage", content = "Email" }\n',
        '[events.fields.data.touch]\ncampaign = "Stage"\ncontent = { column = "Email" }\n',
    )
    head = textwrap.dedent("""\
        source = "/x"
        [[events]]
        name = "a"
        type = "page.viewed"
        [events.fields]
        subject = "Id"
        time = { constant = 2024-01-01T12:00:00+02:00 }
        """)
    fields = [loaded(tmp_path, head + way).events[0].fields for way in ways]

    assert all(field == fields[0] for field in fields)
    assert fields[0]["time"].constant == "2024-01-01T12:00:00+02:00"


def test_a_map_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Some editors write one."""
    path = tmp_path / "map.toml"
    path.write_text(GOOD, encoding="utf-8-sig")

    assert load_mapping(path).source == "/import/test"
