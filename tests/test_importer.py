"""Rows become events as the map says, all of a row or none, with ids that stay."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from leadflow.importer import CsvError, dry_run
from tests.importing import NOTES, cells, mapped, read, texts


def data(folder: Path, cell: str, column: str, field: str = "data.x") -> object:
    """Return what *cell* becomes at *field* under the rules of *column*, or what is said."""
    text = NOTES.replace("data.text =", f"{field} =") + f"[columns.text]\n{column}\n"
    if field == "time":
        text = text.replace("time = { constant = 2024-01-01T00:00:00Z }\n", "")
    (row,) = read(folder, f'id,text\n7,"{cell}"\n', text)
    if row.problems:
        return row.problems[0].problem
    event: Any = row.events[0]
    return event["time"] if field == "time" else event["data"].get(field.removeprefix("data."))


@pytest.mark.parametrize(
    ("cell", "column", "value"),
    [
        ("12", 'type = "integer"', 12),
        ("007", 'type = "integer"', 7),
        ("-1,234", 'type = "integer"\nthousands = ","', -1234),
        ("1.5", 'type = "integer"', "is not a whole number"),
        ("\uff11\uff12", 'type = "integer"', "is not a whole number"),
        ("1" * 19, 'type = "integer"', "has more than 18 digits"),
        ("1250", 'type = "minor_units"', 1250),
        ("1054", 'type = "decimal"', "1054"),
        ("$ 12,34,567.80", 'type = "decimal"\nthousands = ","\nstrip = ["$"]', "1234567.80"),
        ("1.234,5", 'type = "decimal"\nthousands = "."\ndecimal = ","', "1234.5"),
        ("1,5", 'type = "decimal"\nthousands = ","', "is not a decimal number"),
        ("nan", 'type = "decimal"', "is not a decimal number"),
        ("1e3", 'type = "decimal"', "is not a decimal number"),
        ("YES", 'type = "boolean"', True),
        ("nein", 'type = "boolean"\ntrue = ["ja"]\nfalse = ["nein"]', False),
        ("maybe", 'type = "boolean"', "is neither true nor false"),
        ("29.02.2024", 'type = "date"\nformats = ["iso", "%d.%m.%Y"]', "2024-02-29"),
        (
            "30.02.2024",
            'type = "date"\nformats = ["%d.%m.%Y"]',
            "is not a day written as '%d.%m.%Y'",
        ),
        ("  padded  ", "", "padded"),
        ("GTXPro", 'values = { GTXPro = "GTX Pro" }', "GTX Pro"),
        ("other", 'values = { GTXPro = "GTX Pro" }', "other"),
        ("n/a", 'values = { "n/a" = "" }', None),
        ("other", 'values = { GTXPro = "GTX Pro" }\notherwise = "null"', None),
        (
            "GTXPo",
            'values = { GTXPro = "GTX Pro" }\notherwise = "error"',
            "is none of the values in the map",
        ),
    ],
)
def test_a_cell_becomes_the_value_that_its_column_says(
    tmp_path: Path, cell: str, column: str, value: object
) -> None:
    assert value == data(tmp_path, cell, column)


@pytest.mark.parametrize(
    ("cell", "column", "value"),
    [
        ("2024-06-01", 'type = "date"\nat = "12:00"', "2024-06-01T12:00:00+02:00"),
        ("2024-06-01", 'type = "date"\nat = "12:00"\nzone = "UTC"', "2024-06-01T12:00:00Z"),
        ("2024-01-01 08:30", "", "2024-01-01T08:30:00+01:00"),
        ("2024-01-01T08:30:00.1234567Z", "", "2024-01-01T08:30:00.123456Z"),
        ("2024-01-01T08:30:00-05:00", "", "2024-01-01T08:30:00-05:00"),
        ("01/02/2024 8:30 PM", 'formats = ["%d/%m/%Y %I:%M %p"]', "2024-02-01T20:30:00+01:00"),
        ("2024-01-01", "", "is a day without a time of day"),
        ("1999-12-31T23:00:00Z", "", "lies in the year 1999"),
        ("soon", "", "is not a time written as ISO 8601"),
        # The clocks left this hour out; it is moved on by an hour.
        ("2024-03-31 02:30", "", "2024-03-31T03:30:00+02:00"),
        # This hour was there twice; the first one is meant.
        ("2024-10-27 02:30", "", "2024-10-27T02:30:00+02:00"),
    ],
)
def test_a_time_has_an_offset_and_says_which(
    tmp_path: Path, cell: str, column: str, value: object
) -> None:
    assert value == data(tmp_path, cell, column, "time")


def test_an_empty_cell_is_missing_and_takes_the_default_where_there_is_one(tmp_path: Path) -> None:
    text = '[file]\nmissing = ["NULL"]\n' + NOTES.replace(
        'data.text = "text"', 'data.a = "text"\ndata.b = { column = "text", default = 5 }'
    )

    events: list[Any] = [
        row.events[0] for row in read(tmp_path, "id,text\n1,\n2,NULL\n3,x\n", text)
    ]
    assert [{"b": 5}, {"b": 5}, {"a": "x", "b": "x"}] == [event["data"] for event in events]


def test_an_amount_without_its_currency_is_a_bad_row_and_no_amount_needs_none(
    tmp_path: Path,
) -> None:
    text = NOTES.replace('data.text = "text"', 'data.amount = "text"\ndata.currency = "currency"')
    full, none, bad = read(tmp_path, "id,text,currency\n1,5,EUR\n2,,EUR\n3,5,\n", text)

    assert full.events[0]["data"] == {"amount": "5", "currency": "EUR"}
    assert none.events[0]["data"] == {}
    assert str(bad.problems[0]).startswith("line 4, currency: is empty, and the amount of note")


@pytest.mark.parametrize(
    ("when", "ids"),
    [
        ('"a"', "1"),
        ('["a", "b"]', "12"),
        ('{ equals = "b" }', "2"),
        ('{ in = ["a", "b"], not = "a" }', "2"),
        ('{ not = ["a", "b"] }', "34"),
        ("{ present = true }", "123"),
        ("{ present = false }", "4"),
        ('{ present = true, not = "a" }', "23"),
    ],
)
def test_an_event_happens_when_every_condition_holds(tmp_path: Path, when: str, ids: str) -> None:
    text = NOTES.replace("[events.fields]", f"when = {{ text = {when} }}\n[events.fields]")
    rows = read(tmp_path, "id,text\n1,a\n2,b\n3,c\n4,\n", text)

    assert list(ids) == [event["subject"] for row in rows for event in row.events]


def test_the_events_of_a_row_come_together_or_not_at_all(tmp_path: Path) -> None:
    second = NOTES.replace('"note"', '"second"') + '[columns.text]\ntype = "integer"\n'
    text = NOTES.replace('data.text = "text"\n', "") + second.replace("data.text", "data.number")
    bad, good = read(tmp_path, "id,text\n1,x\n2,5\n", text)

    assert bad.events == ()
    assert str(bad.problems[0]).startswith("line 2, text: 'x' is not a whole number")
    assert good.names == ("note", "second")
    assert ["1", "2"] == [event["sequence"] for event in good.events]


def test_an_event_that_nobody_can_be_told_by_is_a_bad_row(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "id,text\n,x\n")

    assert str(row.problems[0]).startswith(
        "line 2, id: is empty, and nothing else says whose event note is; fill the cell"
    )


def test_the_id_of_a_row_hangs_on_what_the_row_says_alone(tmp_path: Path) -> None:
    (one,) = read(tmp_path, "id,text,more\n1,x,\n")
    (same,) = read(tmp_path, 'text,id\n" x ","1"\n')
    (other,) = read(tmp_path, "id,text\n1,y\n")

    assert one.events == same.events
    assert one.events[0]["id"] != other.events[0]["id"]


@given(left=cells, right=cells)
def test_different_rows_have_different_ids(
    tmp_path_factory: pytest.TempPathFactory, left: str, right: str
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("id", "text"), (1, left), (1, right)])
    one, two = (row.events[0]["id"] for row in read(folder, file.getvalue()))

    assert (left.strip() == right.strip()) == (one == two)


def test_a_template_needs_its_columns_but_those_with_a_question_mark(tmp_path: Path) -> None:
    text = NOTES.replace("[events.fields]", 'id = "{{{id}}}-{text?}"\n[events.fields]')
    one, two = read(tmp_path, "id,text\n1,x\n2,\n", text)
    assert ["{1}-x", "{2}-"] == [row.events[0]["id"] for row in (one, two)]

    (bad,) = read(tmp_path, "id,text\n2,\n", text.replace("text?", "text"))
    assert str(bad.problems[0]) == (
        "line 2, text: is empty, and the id of note needs it; fill the cell, or write {text?}"
        " in the id"
    )


def test_another_file_is_looked_up_beside_the_first(tmp_path: Path) -> None:
    (tmp_path / "teams.csv").write_text("name,office\nAda,West\nBo,\n")
    text = NOTES.replace('data.text = "text"', 'data.office = "team.office"') + (
        '[lookups.team]\nfile = "teams.csv"\nkey = "name"\nby = "text"\n'
    )
    content = "id,text\n1,Ada\n2,Bo\n3,Cy\n4,\n"
    rows = read(tmp_path, content, text)
    assert [{"office": "West"}, {}, {}, {}] == [row.events[0]["data"] for row in rows]

    rows = read(tmp_path, content, text + 'unmatched = "error"\n')
    assert ["line 4, text: 'Cy' is not in teams.csv; add it to teams.csv"] == [
        str(problem) for row in rows for problem in row.problems
    ]

    (tmp_path / "teams.csv").write_text("name,office\nAda,West\nAda,East\n")
    with pytest.raises(CsvError, match="line 3: name 'Ada' stands there twice"):
        read(tmp_path, content, text)


def test_columns_may_have_other_names_be_absent_or_be_named_by_the_map(tmp_path: Path) -> None:
    alias = NOTES + '[columns.text]\naliases = ["Note", "Text"]\n'
    assert ["x"] == texts(read(tmp_path, "id,Text\n1,x\n", alias))

    absent = NOTES + "[columns.text]\noptional = true\n"
    assert [None] == texts(read(tmp_path, "id\n1\n", absent))

    bare = '[file]\nheader = ["id", "text"]\n' + NOTES
    assert ["x"] == texts(read(tmp_path, "1,x\n", bare))


# --- the dry run ----------------------------------------------------------------------------------


def test_a_dry_run_reports_columns_events_and_bad_rows_by_line(tmp_path: Path) -> None:
    text = NOTES.replace("data.text", "data.n").replace(
        "[events.fields]", 'id = "{id}"\nwhen = { id = { not = "9" } }\n[events.fields]'
    )
    content = "id,text,more\n1,5,\n2,x,a\n3,,a\n9,6,b\n1,5,\n1,7,\n4\n"
    path = tmp_path / "rows.csv"
    path.write_text(content)
    found = dry_run(path, mapped(tmp_path, text + '[columns.text]\ntype = "integer"\n'))

    assert found.to_json() == {
        "file": "rows.csv",
        "rows": 7,
        "bad_rows": 2,
        "silent_rows": 1,
        "silent_lines": [5],
        "repeated": 1,
        "refused": 1,
        "columns": [
            {
                "column": "id",
                "used_by": ["note.id", "note.when", "note.subject"],
                "filled": 6,
                "empty": 0,
                "distinct": 4,
                "ok": 6,
                "bad": 0,
                "bad_lines": [],
            },
            {
                "column": "text",
                "used_by": ["note.data.n"],
                "filled": 5,
                "empty": 1,
                "distinct": 4,
                "ok": 4,
                "bad": 1,
                "bad_lines": [3],
            },
            {
                "column": "more",
                "used_by": [],
                "filled": 3,
                "empty": 3,
                "distinct": 2,
                "ok": 3,
                "bad": 0,
                "bad_lines": [],
            },
        ],
        "unused": ["more"],
        "events": [{"name": "note", "type": "note.added", "events": 4}],
        "problems": [
            {
                "line": 3,
                "column": "text",
                "value": "x",
                "problem": "is not a whole number",
                "mend": "numbers are read like 1234.50; set thousands, decimal or strip, or"
                " correct it",
            },
            {
                "line": 7,
                "column": None,
                "value": "1",
                "problem": "is the id of another event, made of line 2",
                "mend": "add a column that tells them apart to the id of note",
            },
            {
                "line": 8,
                "column": None,
                "value": "4",
                "problem": "has 1 cells where the header names 3",
                "mend": "put cells that hold ',' in quotes, or complete the row",
            },
        ],
    }
    assert list(found.lines()) == [
        "rows.csv: 7 rows would become 4 events",
        "",
        "column  filled  empty  distinct  bad  used by",
        "id           6      0         4    0  note.id, note.when, note.subject",
        "text         5      1         4    1  note.data.n",
        "more         3      3         2    0  - unused -",
        "",
        "event  made  type",
        "note      4  note.added",
        "",
        "1 rows become nothing, since no event applies: lines 5",
        "",
        "1 events repeat an earlier one and would count as duplicates",
        "",
        "2 bad rows would be left out, 1 events refused:",
        *(f"  {problem}" for problem in found.problems),
    ]


def test_a_dry_run_asks_another_judge_when_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,text\n1,x\n2,y\n")
    found = dry_run(
        path, mapped(tmp_path), lambda event: "no ones" if event["subject"] == "1" else None
    )

    assert (found.refused, found.bad_rows) == (1, 0)
    assert "note: no ones" in str(found.problems[0])
