"""Whatever the bytes: a fact or Malformed, and the same one however the JSON is written."""

import json
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers import wire
from consumers.contract import TYPES, Malformed, parse, record_key
from consumers.malformed import REASONS
from tests.contract_events import NOW, binary, event, example, read

# texts without surrogates, which UTF-8 cannot carry
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
FINITE = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)
CLEAN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
CLEAN_JSON = st.recursive(
    FINITE.filter(lambda value: not isinstance(value, str) or "\0" not in value),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CLEAN, inner, max_size=4),
)
BLOCKS = ("person", "touch", "actor", "consent", "email", "phone", "external_ids", "company")
FIELDS = st.sampled_from(
    [*BLOCKS, "amount", "currency", "kind", "owner", "other", "day", "seconds", "until", "value"]
)
DATA = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | TEXT, inner, max_size=5),
)
ATTRIBUTE = st.sampled_from(
    ["specversion", "id", "source", "type", "time", "sequence", "subject", "dataschema", "data"]
)
HEADER = st.tuples(
    st.sampled_from(["content-type", "ce_specversion", "ce_id", "ce_type", "ce_time", "other"])
    | TEXT,
    st.sampled_from([b"1.0", b"application/json", b"application/cloudevents+json", b"deal.won"])
    | st.binary(max_size=20),
)


def attempt(raw: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    """Parse a record; fail if that raises anything but a complete Malformed."""
    try:
        parse(raw, headers, NOW)
    except Malformed as e:
        found = e
    else:
        return
    assert found.reason in REASONS
    assert found.problem
    assert found.mend
    assert "\n" not in str(found)
    assert len(str(found)) < 1000


def refused(raw: bytes, levels: int = 40) -> Malformed | None:
    """Return why the JSON text itself is refused, or None."""
    try:
        wire._json(raw, "", levels)
    except Malformed as e:
        return e
    return None


@given(st.none() | st.binary(max_size=200), st.lists(HEADER, max_size=4))
def test_any_bytes_give_a_fact_or_malformed(
    raw: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    attempt(raw, headers)


@given(JSON, st.lists(HEADER, max_size=2))
@hypothesis.example({"\n": []}, [])
def test_any_json_gives_a_fact_or_malformed(value: Any, headers: list[tuple[str, bytes]]) -> None:
    attempt(msgspec.json.encode(value), headers)


@given(st.dictionaries(ATTRIBUTE, JSON, max_size=3))
def test_any_attributes_give_a_fact_or_malformed(attributes: dict[str, Any]) -> None:
    sent = {**event(), **attributes}
    attempt(msgspec.json.encode(sent), [])
    record_key(sent)


@given(st.sampled_from([*TYPES, "com.example.odd"]), st.dictionaries(FIELDS, DATA, max_size=5))
def test_any_data_of_any_type_gives_a_fact_or_malformed(type_: str, data: dict[str, Any]) -> None:
    own = example(type_)["data"] if type_ in TYPES else {}
    sent = event(type_, {**own, **data}, subject="s")
    attempt(msgspec.json.encode(sent), [])
    record_key(sent)


@given(st.binary(max_size=12), st.data())
def test_a_good_record_with_some_bytes_changed_gives_a_fact_or_malformed(
    patch: bytes, data: st.DataObject
) -> None:
    raw = msgspec.json.encode(example(data.draw(st.sampled_from(list(TYPES)))))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 12)))

    attempt(raw[:start] + patch + raw[end:], [])


def shuffled(value: Any, data: st.DataObject) -> Any:
    """Return the same JSON value with the keys of its objects in another order."""
    if isinstance(value, dict):
        keys = data.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], data) for key in keys}
    if isinstance(value, list):
        return [shuffled(inner, data) for inner in value]
    return value


@given(CLEAN_JSON, st.data())
def test_order_of_keys_white_space_and_escapes_change_nothing(
    extra: Any, data: st.DataObject
) -> None:
    sent = event(data={**example("deal.won")["data"], "extra": extra})
    one = read(msgspec.json.encode(sent))
    other = shuffled(sent, data)
    ascii_only, indent = data.draw(st.booleans()), data.draw(st.sampled_from([None, 0, 3]))
    raw = json.dumps(other, ensure_ascii=ascii_only, indent=indent).encode()
    two = read(raw)

    assert (two.key, two.body, two.fact) == (one.key, one.body, one.fact)


@given(CLEAN_JSON, CLEAN.filter(str.strip))
def test_binary_and_structured_mode_have_one_digest(extra: Any, subject: str) -> None:
    sent = event(data={"extra": extra}, subject=subject)
    value, headers = binary(sent)

    assert parse(value, headers, NOW) == read(sent)


@given(CLEAN_JSON, CLEAN_JSON)
def test_other_values_have_another_digest(one: Any, two: Any) -> None:
    first, second = (read(event(data={"x": extra}, subject="s")).body for extra in (one, two))
    same = msgspec.json.encode(one, order="sorted") == msgspec.json.encode(two, order="sorted")

    assert (first == second) is same


# --- the quick test for duplicate keys agrees with the exact one ---------------------------------


KEY = st.sampled_from(["a", "b", '"', "\\", "\\u0022", "é", ":", '":', ""])


@st.composite
def texts(draw: st.DrawFn, depth: int = 0) -> str:
    """Draw a JSON text in which keys may repeat, with any spacing and escapes."""
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    kind = draw(st.sampled_from(["text", "number", "object", "list"] if depth < 3 else ["text"]))
    if kind == "object":
        members = draw(st.lists(KEY, max_size=3))
        inner = ",".join(
            f"{space}{written(draw, key)}{space}:{draw(texts(depth=depth + 1))}" for key in members
        )
        return f"{{{inner}{space}}}"
    if kind == "list":
        return f"[{','.join(draw(st.lists(texts(depth=depth + 1), max_size=3)))}]"
    if kind == "number":
        return space + draw(st.sampled_from(["1", "1e2", "1.50", "-0", "12345678901234567890123"]))
    return space + written(draw, draw(KEY))


def written(draw: st.DrawFn, text: str) -> str:
    """Return *text* as a JSON string, some characters as escapes."""
    return (
        '"'
        + "".join(
            f"\\u{ord(c):04x}" if draw(st.booleans()) else json.dumps(c, ensure_ascii=False)[1:-1]
            for c in text
        )
        + '"'
    )


def repeats(text: str) -> bool:
    """Return whether an object in a JSON text has a key twice, asked of the standard library."""
    found = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(len(dict(items)) < len(items))
        return dict(items)

    json.loads(text, object_pairs_hook=pairs)
    return any(found)


@settings(max_examples=400)
@given(texts())
def test_a_duplicate_key_is_found_however_it_is_written(text: str) -> None:
    error = refused(text.encode())

    assert (error is not None and "twice" in error.problem) is repeats(text)


@given(st.recursive(st.just("1"), lambda x: st.builds("[{}]".format, x), max_leaves=3), JSON)
def test_nul_is_found_wherever_it_is(text: str, value: Any) -> None:
    raw = msgspec.json.encode([value, msgspec.json.decode(text)])
    holds = "\\u0000" in raw.decode().replace("\\\\", "")
    error = refused(raw)

    assert (error is not None and "NUL" in error.problem) is holds


@pytest.mark.parametrize("depth", [30, 31, 32, 33, 34, 100, 900])
@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_is_counted_exactly(depth: int, opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")
    text = opening * (depth // levels) + "1" + closing * (depth // levels)
    error = refused(text.encode(), 32)

    assert (error is not None and "deeper" in error.problem) is (depth // levels * levels > 32)
