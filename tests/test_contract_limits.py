"""Hostile and careless records: each is refused with the reason, the field and a mend."""

import gzip
from typing import Any

import msgspec
import pytest

from consumers.contract import LARGEST_DATA, LARGEST_RECORD, REASONS
from consumers.malformed import Malformed, shorten
from tests.contract_events import EMAIL, event, read, refusal

GOOD = msgspec.json.encode(event())


def with_data(text: str) -> bytes:
    """Return an event whose data is *text*, as it stands."""
    return GOOD.replace(msgspec.json.encode(EMAIL), text.encode())


def person(text: str) -> bytes:
    """Return an event with *text* as further content of its data."""
    return with_data('{"person":{"email":"a@example.com"},' + text + "}")


def data(**fields: Any) -> dict[str, Any]:
    """Return data with an identifier and *fields*."""
    return {**EMAIL, **fields}


JSON: list[tuple[str, bytes | None]] = [
    ("no value", None),
    ("no bytes", b""),
    ("white space", b"  \n"),
    ("text", b"hello"),
    ("cut off", GOOD[:-1]),
    ("two values", GOOD + GOOD),
    ("trailing comma", GOOD[:-1] + b",}"),
    ("single quotes", GOOD.replace(b'"', b"'")),
    ("byte order mark", b"\xef\xbb\xbf" + GOOD),
    ("UTF-16", GOOD.decode().encode("utf-16")),
    ("Latin-1", person('"x":"é"').decode().encode("latin-1")),
    ("overlong UTF-8", GOOD.replace(b"/test", b"/\xc0\xaf")),
    ("surrogate in UTF-8", GOOD.replace(b"/test", b"/\xed\xa0\x80")),
    ("lone surrogate escape", person('"x":"\\ud800"')),
    ("reversed surrogates", person('"x":"\\ude00\\ud83d"')),
    ("raw NUL", GOOD.replace(b"/test", b"/\0")),
    ("raw control character", GOOD.replace(b"/test", b"/\x1f")),
    ("NaN", person('"x":NaN')),
    ("Infinity", person('"x":-Infinity')),
    ("1e400", person('"x":1e400')),
    ("5,000 digits", person('"x":' + "1" * 5000)),
    ("leading zero", person('"x":01')),
    ("hexadecimal", person('"x":0x10')),
    ("comment", person('"x":1/*y*/')),
    ("deep lists", person('"x":' + "[" * 32 + "]" * 32)),
    ("deep objects", person('"x":' + '{"a":' * 32 + "1" + "}" * 32)),
    ("very deep", b"[" * 40_000 + b"]" * 40_000),
    ("very deep, left open", b"[" * 80_000),
    ("deep below a duplicate key", person('"x":' + "[" * 900 + "]" * 900 + ',"x":1')),
    ("duplicate attribute", GOOD.replace(b'"id":"1"', b'"id":"1","id":"2"')),
    ("duplicate key, same value", GOOD.replace(b'"id":"1"', b'"id":"1","id":"1"')),
    ("duplicate key, spaced", person('"x":1,"x" \n :2')),
    ("duplicate key, escaped", person('"x":1,"\\u0078":2')),
    ("duplicate key, hidden by quotes", person('"x":1,"x":"\\u0022\\u0022\\u0022"')),
    ("duplicate key, deep", person('"x":[{"y":{"z":1,"z":2}}]')),
    ("duplicate empty key", person('"":1,"":2')),
    ("gzip", gzip.compress(GOOD)),
]


@pytest.mark.parametrize("raw", [raw for _, raw in JSON], ids=[name for name, _ in JSON])
def test_what_is_no_clear_json_is_refused(raw: bytes | None) -> None:
    assert refusal(raw).reason == "malformed_json"


ENVELOPE: list[tuple[str, Any, str | None]] = [
    ("a list", b"[]", None),
    ("a number", b"3", None),
    ("a batch", b"[" + GOOD + b"]", None),
    ("an empty object", b"{}", "specversion"),
    ("no specversion", event(specversion="") | {"specversion": None}, "specversion"),
    ("version 0.3", event(specversion="0.3"), "specversion"),
    ("version as number", event(specversion=1.0), "specversion"),
    ("no id", event(id=None), "id"),
    ("empty id", event(id=""), "id"),
    ("blank id", event(id="  "), "id"),
    ("id as number", event(id=7), "id"),
    ("long id", event(id="x" * 257), "id"),
    ("id with NUL", event(id="a\0b"), "id"),
    ("id with newline", event(id="a\nb"), "id"),
    ("id with C1 control", event(id="a\x85b"), "id"),
    ("no source", event(source=None), "source"),
    ("source with spaces", event(source="our website"), "source"),
    ("source with NUL", event(source="/a\0"), "source"),
    ("long source", event(source="/" + "x" * 256), "source"),
    ("source as object", event(source={}), "source"),
    ("no type", event() | {"type": None}, "type"),
    ("long type", event("x" * 129), "type"),
    ("type with a bell", event("a\x07"), "type"),
    ("no time", event(time=None), "time"),
    ("time without offset", event(time="2026-01-05T09:30:00"), "time"),
    ("time as number", event(time=1767605400), "time"),
    ("time in words", event(time="yesterday"), "time"),
    ("time of the epoch", event(time="1970-01-01T00:00:00Z"), "time"),
    ("just before 2000", event(time="1999-12-31T23:59:59.999999Z"), "time"),
    ("year 0000", event(time="0000-01-01T00:00:00Z"), "time"),
    ("25 hours ahead", event(time="2026-01-07T12:46:40Z"), "time"),
    ("year 9999", event(time="9999-12-31T23:59:59-23:59"), "time"),
    ("long subject", event(subject="x" * 257), "subject"),
    ("subject with newline", event(subject="a\nb"), "subject"),
    ("subject as number", event(subject=3), "subject"),
    ("sequence in words", event(sequence="first"), "sequence"),
    ("sequence below zero", event(sequence="-1"), "sequence"),
    ("sequence of 21 digits", event(sequence="1" * 21), "sequence"),
    ("sequence with fraction", event(sequence=1.5), "sequence"),
    ("sequence in other digits", event(sequence="\u0661"), "sequence"),
    ("empty sequence", event(sequence=""), "sequence"),
    (
        "next major version",
        event(dataschema="urn:leadflow:schema:form.submitted:2.0"),
        "dataschema",
    ),
    ("version zero", event(dataschema="urn:leadflow:schema:form.submitted:0"), "dataschema"),
    ("another type's schema", event(dataschema="urn:leadflow:schema:deal.won:1.0"), "dataschema"),
    ("data in base64", event(data_base64="e30="), "data_base64"),
    ("data as text", event(datacontenttype="text/plain"), "datacontenttype"),
    ("a block outside data", event(person={"email": "a@example.com"}), "person"),
    ("extension with NUL", event(myext="a\0"), "myext"),
    ("key with NUL", event(**{"my\0ext": "a"}), "my\\0ext"),
]


@pytest.mark.parametrize("sent, field", [row[1:] for row in ENVELOPE], ids=[r[0] for r in ENVELOPE])
def test_what_is_no_cloudevent_is_refused(sent: Any, field: str | None) -> None:
    error = refusal(sent)

    assert (error.reason, error.field) == ("invalid_envelope", field)
    assert error.problem
    assert error.mend


DATA: list[tuple[str, str, Any, str]] = [
    ("a text", "form.submitted", "{}", "data"),
    ("a list", "form.submitted", [], "data"),
    ("NUL in a field", "form.submitted", data(x=["a\0"]), "data.x.0"),
    ("NUL in a key", "form.submitted", data(**{"a\0": 1}), "data.a\\0"),
    ("person as text", "form.submitted", {"person": "ada"}, "data.person"),
    ("e-mail as list", "form.submitted", {"person": {"email": ["a"]}}, "data.person.email"),
    ("no e-mail", "form.submitted", {"person": {"email": "n/a"}}, "data.person.email"),
    ("phone as number", "form.submitted", {"person": {"phone": 49}}, "data.person.phone"),
    (
        "long anonymous id",
        "page.viewed",
        {"person": {"anonymous_id": "x" * 257}},
        "data.person.anonymous_id",
    ),
    (
        "control character in an id",
        "page.viewed",
        {"person": {"anonymous_id": "a\x1bb"}},
        "data.person.anonymous_id",
    ),
    (
        "external id as object",
        "page.viewed",
        {"person": {"external_ids": {"crm": {}}}},
        "data.person.external_ids.crm",
    ),
    (
        "size in words",
        "form.submitted",
        {"person": {"company": {"size": "many"}}},
        "data.person.company.size",
    ),
    (
        "size with fraction",
        "form.submitted",
        {"person": {"company": {"size": 1.5}}},
        "data.person.company.size",
    ),
    (
        "attribute as list",
        "form.submitted",
        {"person": {"attributes": {"tags": ["a"]}}},
        "data.person.attributes.tags",
    ),
    ("unheard-of channel", "form.submitted", data(touch={"channel": "tv"}), "data.touch.channel"),
    ("medium as number", "form.submitted", data(touch={"medium": 1}), "data.touch.medium"),
    ("party of four", "form.submitted", data(touch={"party": "fourth"}), "data.touch.party"),
    ("touch as list", "form.submitted", data(touch=[]), "data.touch"),
    ("actor of no kind", "form.submitted", data(actor={"kind": "robot"}), "data.actor.kind"),
    ("consent as object", "form.submitted", data(consent={"purpose": "x"}), "data.consent"),
    (
        "consent to nothing",
        "form.submitted",
        data(consent=[{"granted": True}]),
        "data.consent.0.purpose",
    ),
    (
        "consent by word",
        "form.submitted",
        data(consent=[{"purpose": "x", "granted": "yes"}]),
        "data.consent.0.granted",
    ),
    ("form of no kind", "form.submitted", data(kind="whitepaper"), "data.kind"),
    ("fields as list", "form.submitted", data(fields=[]), "data.fields"),
    ("form as number", "form.submitted", data(form=1), "data.form"),
    ("seconds as text", "page.viewed", data(seconds="12"), "data.seconds"),
    ("seconds below zero", "page.viewed", data(seconds=-1), "data.seconds"),
    ("a flag as text", "event.attended", data(registered_only="false"), "data.registered_only"),
    ("outcome unknown", "call.completed", data(outcome="ok"), "data.outcome"),
    ("start without zone", "meeting.booked", data(starts_at="2026-01-05T10:00"), "data.starts_at"),
    ("until some day", "lead.recycled", data(until="spring"), "data.until"),
    ("no owner", "lead.assigned", data(), "data.owner"),
    ("owner of nothing", "lead.assigned", data(owner=None), "data.owner"),
    ("empty owner", "lead.assigned", data(owner=""), "data.owner"),
    ("no other", "lead.merged", data(), "data.other"),
    ("other without value", "lead.merged", data(other={"kind": "email"}), "data.other.value"),
    (
        "other of no kind",
        "lead.merged",
        data(other={"kind": "name", "value": "x"}),
        "data.other.kind",
    ),
    (
        "other with no e-mail",
        "lead.merged",
        data(other={"kind": "email", "value": "x"}),
        "data.other.value",
    ),
    (
        "other with no phone",
        "lead.merged",
        data(other={"kind": "phone", "value": "x"}),
        "data.other.value",
    ),
    ("void of nothing", "event.voided", {"event_source": "/a"}, "data.event_id"),
    ("no purpose", "consent.granted", data(channel="email"), "data.purpose"),
    ("consent by fax", "consent.granted", data(purpose="x", channel="fax"), "data.channel"),
    (
        "no such day",
        "spend.recorded",
        {"day": "2026-02-30", "amount": 1, "currency": "EUR"},
        "data.day",
    ),
    (
        "day with time",
        "spend.recorded",
        {"day": "2026-02-03T00:00:00Z", "amount": 1, "currency": "EUR"},
        "data.day",
    ),
    ("close some day", "opportunity.created", data(close_date="soon"), "data.close_date"),
    ("stage of their own", "opportunity.created", data(stage="verbal"), "data.stage"),
    ("missing data", "lead.assigned", None, "data.owner"),
]


@pytest.mark.parametrize("type_, sent, field", [row[1:] for row in DATA], ids=[r[0] for r in DATA])
def test_what_the_vocabulary_does_not_allow_is_refused(type_: str, sent: Any, field: str) -> None:
    found = event(type_, subject="s")
    found["data"] = sent
    error = refusal(found)

    assert (error.reason, error.field) == ("invalid_data", field)
    assert error.problem
    assert error.mend
    assert "\n" not in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"person": {}},
        {"person": {"name": "Ada"}},
        {"person": {"email": " ", "anonymous_id": "", "external_ids": {"crm": " ", "erp": None}}},
        {"person": {"phone": "030 1234567"}},
        {"fields": {"email": "ada@example.com"}},
    ],
)
def test_an_event_of_nobody_is_refused(sent: dict[str, Any]) -> None:
    assert refusal(event(data=sent)).reason == "no_identifier"
    assert refusal(event(data=sent, subject=" ")).reason == "no_identifier"


def test_a_person_who_gave_only_an_unreadable_phone_is_told_so() -> None:
    error = refusal(event(data={"person": {"phone": "030 1234567"}}))

    assert error.field == "data.person.phone"
    assert "country" in error.mend


# --- size and depth ----------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """Return an event whose data has *size* bytes as compact JSON."""
    empty = len(msgspec.json.encode(data(x="")))
    return msgspec.json.encode(event(data=data(x="y" * (size - empty))))


def test_data_may_have_64_kib_and_not_one_byte_more() -> None:
    assert read(padded(LARGEST_DATA))
    error = refusal(padded(LARGEST_DATA + 1))
    assert (error.reason, error.field) == ("too_large", "data")


def test_both_modes_have_the_same_limit() -> None:
    headers = [(f"ce_{name}", value.encode()) for name, value in event().items() if name != "data"]
    value = msgspec.json.encode(msgspec.json.decode(padded(LARGEST_DATA + 1))["data"])

    assert refusal(value, headers).reason == "too_large"


def test_a_record_is_measured_before_it_is_read() -> None:
    assert refusal(b"[" * (LARGEST_RECORD + 1)).reason == "too_large"
    assert refusal(b"{}", [("x", b"y" * LARGEST_RECORD)]).reason == "too_large"
    assert refusal(b"x" * 10_000_000).reason == "too_large"


def test_white_space_does_not_make_data_large() -> None:
    raw = padded(LARGEST_DATA).replace(b'"x":', b'"x":' + b" " * 10_000)

    assert read(raw).fact == read(padded(LARGEST_DATA)).fact


def test_31_levels_inside_data_are_read() -> None:
    assert read(person('"x":' + "[" * 31 + "]" * 31)).fact.data is not None
    assert read(person('"x":[' + "{},[]," * 500 + "1]"))


# --- headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers, field",
    [
        ([("content-type", b"application/cloudevents-batch+json")], "content-type"),
        ([("content-type", b"application/cloudevents+avro")], "content-type"),
        ([("ce_id", b"1"), ("ce_id", b"2")], "id"),
        ([("ce_id", b"\xff")], "id"),
        ([("ce_id", b"1")], "specversion"),
        ([("ce_specversion", b"1.0"), ("content-type", b"application/avro")], "datacontenttype"),
        ([("ce_specversion", b"1.0"), ("ce_data", b"{}")], "data"),
        ([("ce_specversion", b"1.0"), ("ce_datacontenttype", b"text/plain")], "datacontenttype"),
        ([("ce_specversion", b"1.0"), ("ce_x", b"a\0")], "x"),
    ],
)
def test_headers_that_do_not_fit_are_refused(headers: list[tuple[str, bytes]], field: str) -> None:
    error = refusal(GOOD, headers)

    assert (error.reason, error.field) == ("invalid_envelope", field)


def test_a_header_without_a_value_counts_as_empty() -> None:
    error = refusal(GOOD, [("ce_specversion", None)])  # type: ignore[list-item]  # Kafka has such

    assert (error.reason, error.field) == ("invalid_envelope", "specversion")


# --- messages ----------------------------------------------------------------------------------


def test_a_message_is_one_line_of_field_value_problem_and_mend() -> None:
    error = refusal(event("deal.won", data(amount=12.5, currency="EUR")))

    assert str(error) == (
        "data.amount = 12.5: is a JSON number with a fraction, which no computer keeps exactly; "
        'send major units as a string ("12.50") or minor units as an integer (1250)'
    )


def test_a_message_never_shows_more_than_80_characters_of_a_value() -> None:
    for value in ("x" * 100_000, "\x1b[31m\n" * 50, [1] * 10_000, {"a": "b"}, 10**5000, 1.5, None):
        assert len(shorten(value)) <= 80
        assert shorten(value).isprintable()


def test_the_reasons_are_those_of_the_dead_letters() -> None:
    assert set(REASONS) == {
        *("malformed_json", "invalid_envelope", "invalid_data", "too_large", "no_identifier"),
    }
    assert issubclass(Malformed, Exception)


# --- what is odd but fine ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        person('"x":"a\\"b\\\\c\\/d\\n\\t"'),
        person('"x":"\\u00fc\\ud83d\\ude00"'),
        person('"x":"\\\\u0000"'),
        person('"x":"\\u0022:\\u0022"'),
        person('"x":"\u2028\\u000b"'),
        person('"x":[{"y":1},{"y":1}]'),
        person('"x":12345678901234567890123'),
        person('"x":-0.0, "y":1e-400'),
        b"  " + GOOD + b"\r\n",
    ],
)
def test_odd_but_clear_json_is_read(raw: bytes) -> None:
    assert read(raw).fact.keys[0][0] == "email"


def test_a_schema_that_is_not_ours_says_nothing_about_the_version() -> None:
    for name in ("https://example.com/schema/7", "urn:leadflow:schema:form.submitted:1.3"):
        assert read(event(dataschema=name)).fact == read(event()).fact
