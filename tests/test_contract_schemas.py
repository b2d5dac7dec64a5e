"""The published schemas mean what the contract does."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from consumers import contract
from consumers.contract import (
    TYPES,
    Malformed,
    describe_blocks,
    describe_types,
    parse,
    schema,
    schemas,
)
from tests.contract_events import NOW, OWN_FIELDS, event, example, refusal

SCHEMAS = schemas()
VALIDATORS = {type_: Draft202012Validator(found) for type_, found in SCHEMAS.items()}


def nodes(found: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property in a schema with its name."""
    if isinstance(found, dict):
        yield from found.get("properties", {}).items()
        for inner in found.values():
            yield from nodes(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from nodes(inner)


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_has_a_schema_of_the_2020_12_dialect(type_: str) -> None:
    found = schema(type_)

    Draft202012Validator.check_schema(found)
    assert found["$id"] == f"urn:leadflow:schema:{type_}:1.0"
    assert list(VALIDATORS[type_].iter_errors(example(type_))) == []


def test_every_field_is_described() -> None:
    undescribed = {
        name
        for type_ in TYPES
        for name, found in nodes({**schema(type_), "anyOf": [], "if": {}, "then": {}})
        if "description" not in found and found != {"type": "string"}
    }
    described = describe_types() + describe_blocks()

    # `amount` and `currency` occur bare in the rule that one needs the other
    assert undescribed <= {"amount"}
    assert all(field.text and field.shape for one in described for field in one.fields)
    assert all(one.title.endswith(".") for one in described)
    assert [one.name for one in described][: len(TYPES)] == list(TYPES)


def test_an_unknown_type_has_no_schema() -> None:
    with pytest.raises(KeyError):
        schema("com.example.odd")


ANYTHING: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({})
)


LIKELY = {
    r"^[A-Z]{3}$": ["EUR", "JPY", "QQQ"],
    r"^(email|phone|anonymous_id|subject:.+|external:.+)$": ["email", "anonymous_id", "external:a"],
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": ["2026-01-05", "2026-02-30"],
}


def values(found: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return what fits a schema as pydantic writes it."""
    if "$ref" in found:
        return values(defs[found["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in found:
        return st.one_of([values(part, defs) for part in found["anyOf"]])
    if "enum" in found:
        return st.sampled_from(found["enum"])
    match found.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(found.get("minimum", -(10**6)), found.get("maximum"))
        case "number":
            return st.floats(found.get("minimum", -1e6), found.get("maximum", 1e6))
        case "string" if "pattern" in found:
            # a currency or a day of random letters and digits is hardly ever one
            if found["pattern"] in LIKELY:
                return st.sampled_from(LIKELY[found["pattern"]])
            return st.from_regex(found["pattern"].replace("$", r"\Z"))
        case "string":
            return st.text(min_size=found.get("minLength", 0), max_size=8) | st.sampled_from(
                ["EUR", "a@example.com", "2026-01-05", "12.50"]
            )
        case "array":
            return st.lists(values(found["items"], defs), max_size=2)
        case "object" if "properties" in found:
            required = found.get("required", [])
            parts = {name: values(part, defs) for name, part in found["properties"].items()}
            return st.fixed_dictionaries(
                {name: part for name, part in parts.items() if name in required},
                optional={
                    "more": ANYTHING,
                    **{name: part for name, part in parts.items() if name not in required},
                },
            )
        case "object":
            inner = found.get("additionalProperties")
            return st.dictionaries(
                st.text(min_size=1, max_size=4),
                values(inner, defs) if isinstance(inner, dict) else ANYTHING,
                max_size=2,
            )
    return ANYTHING


def accepts(sent: dict[str, Any]) -> bool:
    """Return whether the contract takes the event."""
    try:
        parse(msgspec.json.encode(sent), [], NOW)
    except Malformed:
        return False
    return True


# one type of each model, which is what the schemas differ in
ONE_EACH = sorted({id(kind.model): name for name, kind in TYPES.items()}.values())


@pytest.mark.parametrize("type_", ONE_EACH)
def test_the_schema_takes_whatever_the_contract_takes(type_: str) -> None:
    found = SCHEMAS[type_]
    shape = found["properties"]["data"]
    fields = next(part for part in [shape, *shape.get("anyOf", [])] if "properties" in part)
    drawn = {name: values(part, found["$defs"]) for name, part in fields["properties"].items()}
    good = example(type_)["data"]
    taken = []

    @settings(max_examples=40, deadline=None, database=None)
    @given(st.fixed_dictionaries({}, optional=drawn), st.sampled_from([None, "s"]))
    def holds(changed: dict[str, Any], subject: str | None) -> None:
        sent = event(type_, {**good, **changed}, subject=subject)
        if accepts(sent):
            taken.append(sent)
            assert list(VALIDATORS[type_].iter_errors(sent)) == []

    holds()
    assert taken, "the generator makes what is acceptable too"


MUTATIONS: list[Callable[[Any], Any]] = [
    lambda value: None,
    lambda value: 1,
    lambda value: "x",
    lambda value: "",
    lambda value: [],
    lambda value: {},
    lambda value: True,
    lambda value: -1,
    lambda value: math.pi,
    lambda value: "x" * 600,
]


@pytest.mark.parametrize("type_", ONE_EACH)
def test_the_schema_takes_an_event_with_one_field_changed_if_the_contract_does(type_: str) -> None:
    good = example(type_)
    paths: list[tuple[str, ...]] = [(name,) for name in good]
    paths += [("data", name) for name in good["data"]]
    paths += [("data", "person", name) for name in ("email", "phone", "attributes", "company")]
    paths += [("data", "touch", "channel"), ("data", "actor", "kind"), ("data", "actor", "id")]
    for path in paths:
        for mutate in MUTATIONS:
            sent = msgspec.json.decode(msgspec.json.encode(good))
            parent = sent
            for step in path[:-1]:
                parent = parent[step]
            parent[path[-1]] = mutate(parent.get(path[-1]))
            if path == ("type",):
                continue
            if accepts(sent):
                assert list(VALIDATORS[type_].iter_errors(sent)) == [], (path, sent)


@pytest.mark.parametrize("type_", TYPES)
def test_the_schema_refuses_what_the_contract_does_for_its_shape(type_: str) -> None:
    for sent in (
        {**example(type_), "time": None},
        {**example(type_), "specversion": "0.3"},
        {**example(type_), "source": ""},
        event(type_, {**OWN_FIELDS[type_], "touch": {"channel": "tv"}}, subject="s"),
        event(type_, {**OWN_FIELDS[type_], "person": []}, subject="s"),
    ):
        assert not VALIDATORS[type_].is_valid(sent)
        assert refusal(sent).reason in {"invalid_envelope", "invalid_data"}


def test_old_versions_of_data_are_upcast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "MAJOR", 3)
    monkeypatch.setitem(contract.UPCASTERS, ("lead.assigned", 1), lambda data: {"o": data["rep"]})
    monkeypatch.setitem(contract.UPCASTERS, ("lead.assigned", 2), lambda data: {"owner": data["o"]})
    old = event("lead.assigned", {"rep": "r1"}, subject="s")
    old["dataschema"] = "urn:leadflow:schema:lead.assigned:1.4"

    fact = parse(msgspec.json.encode(old), [], NOW).fact
    assert fact.data == {"owner": "r1"}
    newer = old["dataschema"].replace("1.4", "4.0")
    assert refusal({**old, "dataschema": newer}).field == "dataschema"
    assert refusal({**old, "data": 3}).field == "data"
