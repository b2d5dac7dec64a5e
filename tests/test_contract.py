"""What the contract makes of good events."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from consumers.contract import FAMILIES, TYPES, Malformed, parse, record_key
from domain.corrections import CORRECTIONS
from domain.vocabulary import FAMILY_OF, LEADLESS
from tests.contract_events import (
    AT,
    EMAIL,
    NOW,
    OWN_FIELDS,
    binary,
    event,
    example,
    read,
)


def test_the_registry_holds_the_types_of_the_domain() -> None:
    assert {name: kind.family for name, kind in TYPES.items()} == FAMILY_OF
    assert {name for name, kind in TYPES.items() if not kind.needs_identifier} == LEADLESS
    assert [name for types in FAMILIES.values() for name in types] == list(TYPES)
    assert set(OWN_FIELDS) == set(TYPES)


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_becomes_a_fact_that_survives_storage(type_: str) -> None:
    fact = read(example(type_)).fact

    assert (fact.type, fact.source, fact.id, fact.at) == (type_, "/test", "1", AT)
    assert fact.recorded_at == NOW
    assert fact.actor == "prospect"
    email = ("email", "ada@example.com")
    # a correction belongs where the event is that it corrects, whoever it names besides
    assert fact.keys == (() if type_ in CORRECTIONS else (email,))
    assert fact.touch == {"channel": "email", "source": "newsletter", "medium": "email"}
    assert fact.traits == {"country": "DE", "company": {"size": "200-499"}}
    assert fact.get("consent") == [{"purpose": "news", "granted": True}]
    stored = msgspec.json.decode(msgspec.json.encode(fact), type=type(fact))
    assert stored == fact


@pytest.mark.parametrize("type_", TYPES)
def test_no_field_of_a_type_is_lost(type_: str) -> None:
    fact = read(example(type_)).fact
    private = (fact.person or {}).get("private", {})

    for field, value in OWN_FIELDS[type_].items():
        if field in TYPES[type_].private:
            assert field not in (fact.data or {}), "personal text stays out of data"
            assert field == "other" or private[field] == value
        elif field in TYPES[type_].instants or field == "amount":
            assert isinstance(fact.get(field), int)
        elif field == "seconds":
            assert fact.get(field) == int(value)
        else:
            assert fact.get(field) == value


def test_the_other_lead_of_a_merge_is_normalised_and_personal() -> None:
    fact = read(example("lead.merged")).fact

    assert fact.person is not None
    assert fact.person["other"] == ["email", "grace@example.com"]
    assert fact.get("other") is None


def test_identifiers_come_strongest_first() -> None:
    person = {
        "external_ids": {"zoho": "9", "hubspot": 1042},
        "anonymous_id": " a1 ",
        "phone": "030 1234567",
        "email": " Ada@Example.COM ",
        "country": "de",
    }
    fact = read(event(data={"person": person}, subject="s1")).fact

    assert fact.keys == (
        ("subject:/test", "s1"),
        ("email", "ada@example.com"),
        ("phone", "+49301234567"),
        ("anonymous_id", "a1"),
        ("external:hubspot", "1042"),
        ("external:zoho", "9"),
    )
    assert fact.person is not None
    assert fact.person["email"] == "Ada@Example.COM"
    assert fact.person["phone"] == "030 1234567"
    assert fact.person["external_ids"] == {"hubspot": "1042", "zoho": "9"}


def test_what_identifies_and_what_describes_stay_apart() -> None:
    person = {
        "email": "ada@example.com",
        "name": "Ada",
        "title": "CTO",
        "language": "en_GB",
        "country": "ZZ",
        "region": "",
        "company": {"name": "Acme", "country": "fr", "size": 12, "founded": 1999, "domain": None},
        "attributes": {"vip": True, "none": None},
        "shoe_size": 38,
    }
    fact = read(event(data={"person": person})).fact

    assert fact.traits == {
        "title": "CTO",
        "language": "en-GB",
        "company": {"name": "Acme", "country": "FR", "size": 12, "founded": 1999},
    }
    assert fact.person == {
        "keys": [["email", "ada@example.com"]],
        "email": "ada@example.com",
        "name": "Ada",
        "attributes": {"vip": True, "country": "ZZ", "shoe_size": 38},
    }


def test_a_phone_that_cannot_be_read_is_kept_but_identifies_nobody() -> None:
    fact = read(event(data={"person": {"email": "a@example.com", "phone": "call me"}})).fact

    assert fact.keys == (("email", "a@example.com"),)
    assert fact.person is not None
    assert fact.person["phone"] == "call me"


def test_unknown_types_and_fields_are_kept() -> None:
    data: dict[str, Any] = {
        **EMAIL,
        "text": "hello",
        "amount": 1.5,
        "deep": {"a": [1]},
        "nothing": None,
    }
    data["touch"] = {"channel": "partner", "gclsrc": "aw"}
    data["actor"] = {"kind": "rep", "id": "r1", "org": "north", "shift": 2}
    fact = read(event("com.example.odd", data)).fact

    assert fact.type == "com.example.odd"
    assert fact.person is not None
    assert fact.person["private"] == {"text": "hello"}
    assert fact.touch == {"channel": "partner"}
    assert (fact.actor, fact.actor_id) == ("rep", "r1")
    assert fact.data == {
        "amount": 1.5,
        "deep": {"a": [1]},
        "touch_extra": {"gclsrc": "aw"},
        "actor_org": "north",
        "actor_extra": {"shift": 2},
    }


def test_an_event_with_nothing_but_a_subject_is_enough() -> None:
    sent = event(subject=" 1042 ")
    del sent["data"]
    fact = read(sent).fact

    assert fact.person == {"keys": [["subject:/test", "1042"]]}
    assert (fact.touch, fact.traits, fact.data) == (None, None, None)
    assert (fact.actor, fact.actor_id, fact.sequence) == ("unknown", None, -1)


@pytest.mark.parametrize("type_", sorted(LEADLESS))
def test_spend_and_corrections_need_no_identifier(type_: str) -> None:
    fact = read(event(type_, {**OWN_FIELDS[type_]})).fact

    assert fact.person is None
    assert fact.keys == ()


def test_null_means_missing() -> None:
    nothing = dict.fromkeys(("touch", "actor", "consent", "form", "kind", "fields"))
    fact = read(event(data={**EMAIL, **nothing}, sequence=None)).fact

    assert fact.data is None
    assert fact.touch is None
    assert fact.actor == "unknown"


def test_a_machine_keeps_its_touch_block() -> None:
    fact = read(event("email.opened", {**EMAIL, "touch": {}, "actor": {"kind": "machine"}})).fact

    assert fact.actor == "machine"
    assert fact.touch == {"channel": "direct"}


def test_extension_attributes_are_kept_but_for_those_of_transport() -> None:
    fact = read(event(campaignid="c7", partitionkey="p", traceparent="00-1")).fact

    assert fact.data == {"extensions": {"campaignid": "c7"}}


@pytest.mark.parametrize("type_", TYPES)
def test_binary_and_structured_mode_say_the_same(type_: str) -> None:
    sent = {**example(type_), "subject": "s", "sequence": "007", "myext": "x"}
    value, headers = binary(sent)

    assert parse(value, headers, NOW) == read(sent)


def test_attributes_that_are_no_text_have_one_digest_in_both_modes() -> None:
    sent = event(sequence=7, flag=True, datacontenttype="application/json", absent=None)
    value, headers = binary(event(sequence="7", flag="true"))

    assert parse(value, headers, NOW) == read(sent)
    assert read(sent).fact.sequence == 7


def test_the_digests_name_the_pair_and_the_content() -> None:
    one = read(event())

    assert len(one.key) == len(one.body) == 16
    assert read(event(data={"person": {"email": "b@example.com"}})).key == one.key
    assert read(event(data={"person": {"email": "b@example.com"}})).body != one.body
    assert read(event(id="2")).key != one.key
    assert read(event(source="/test1", id="1")).key != read(event(source="/test", id="11")).key
    assert read(event(time="2026-01-05T10:30:00+01:00")).body != one.body


def test_content_types_with_parameters_are_read() -> None:
    raw = msgspec.json.encode(event())
    for content_type in (
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=utf-8",
        b"Application/CloudEvents+JSON",
        b"application/json",
    ):
        assert parse(raw, [("Content-Type", content_type)], NOW) == read(raw)


def test_the_clock_is_the_record_s_unless_given() -> None:
    raw = msgspec.json.encode(event())
    old = AT - 2 * 86_400_000_000

    assert parse(raw, [], old, clock=AT).fact.recorded_at == old


def test_the_events_of_the_worked_example_are_read_whole(shared_data: Path) -> None:
    lines = (shared_data / "dp6_events" / "dp6.jsonl").read_bytes().splitlines()
    parsed = [read(line) for line in lines]

    assert len(parsed) == 29
    assert len({one.key for one in parsed}) == 29
    assert {one.fact.sequence for one in parsed} == set(range(29))
    assert sum(one.fact.get("amount") for one in parsed if one.fact.type == "deal.won") > 0


def test_the_conformance_scenarios_of_the_kafka_binding_hold(shared_data: Path) -> None:
    document = msgspec.json.decode(
        (shared_data / "payloads" / "cloudevents-kafka_binding_conformance.json").read_bytes()
    )
    scenarios = document["request"]["scenarios"]
    found = []
    for scenario in scenarios:
        for content_type in scenario.get("examples", [None]):
            headers = {
                name: (value.replace("<contentType>", content_type or "")).encode()
                for name, value in scenario["headers"].items()
            }
            payload = msgspec.json.decode(scenario["payload"])
            if "specversion" in payload:
                payload["subject"] = "s"  # a lead needs an identifier, which conformance lacks
            else:
                headers["ce_subject"] = b"s"
            parsed = parse(msgspec.json.encode(payload), list(headers.items()), NOW)
            expected = scenario["expected_attributes"]
            assert parsed.fact.id == expected["id"]
            assert parsed.fact.type == expected["type"]
            assert parsed.fact.source == expected["source"]
            assert parsed.fact.person is not None
            # a message may be personal, so it stands with what is
            assert parsed.fact.person["private"] == msgspec.json.decode(scenario["expected_data"])
            found.append(parsed)

    assert len(found) == 3
    assert len(set(map(repr, found))) == 1


@pytest.mark.parametrize("type_", ["form.submitted", "deal.won", "com.example.odd"])
def test_the_cloudevents_sdk_reads_the_same(type_: str) -> None:
    sent = event(type_, {**EMAIL, "note": "x"}, subject="s", sequence="12")
    value, headers = binary(sent)
    fact = parse(value, headers, NOW).fact
    theirs = from_kafka_event(KafkaMessage(headers=dict(headers), key=None, value=value or b""))

    assert theirs.get_id() == fact.id
    assert theirs.get_source() == fact.source
    assert theirs.get_type() == fact.type
    assert theirs.get_subject() == fact.keys[0][1]
    time = theirs.get_time()
    assert time is not None
    assert int(time.timestamp()) * 1_000_000 == fact.at
    assert theirs.get_data() == sent["data"]


def _key(subject: str | None = None, **person: Any) -> str:
    return record_key(event(data={"person": person}, subject=subject))


def test_a_record_is_keyed_by_its_first_identifier() -> None:
    assert _key("s1", email="a@example.com") == "s1"
    assert _key(email=" Ada@Example.com ", phone="+49301234567") == "ada@example.com"
    assert _key(phone="030 1234567", country="DE", anonymous_id="x") == "+49301234567"
    assert _key(phone="unreadable", anonymous_id="x") == "x"
    assert _key(external_ids={"b": 2, "a": "1"}) == "1"
    assert _key() == "/test"


def test_spend_is_keyed_by_campaign() -> None:
    assert record_key(event("spend.recorded", {"campaign": "spring", "source": "g"})) == "spring"


def test_the_key_of_nonsense_is_no_error() -> None:
    assert record_key({}) == ""
    assert record_key({"data": 3, "subject": 4, "source": "/s"}) == "/s"
    assert record_key({"data": {"person": {"email": "not one ", "phone": 3}}}) == "not one"


@pytest.mark.parametrize("nobody", ["null", "Undefined", "[object Object]", "anonymous"])
def test_what_programs_write_for_nobody_is_no_identifier(nobody: str) -> None:
    person = {"email": "ada@example.com", "anonymous_id": nobody, "external_ids": {"crm": nobody}}

    assert read(event("page.viewed", {"person": person})).fact.keys == (
        ("email", "ada@example.com"),
    )
    with pytest.raises(Malformed, match="nothing in it identifies a person"):
        read(event("page.viewed", {"person": {"anonymous_id": nobody}}))
