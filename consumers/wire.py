"""From the bytes of a record to the attributes and data of a CloudEvent, within limits.

Everything is refused here that JSON allows but a database or another reader would not take the
same way: duplicate keys, NUL, deep nesting, too many bytes. msgspec itself refuses NaN, infinite
numbers, broken UTF-8, lone surrogates and a byte order mark.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from consumers.malformed import (
    INVALID_DATA,
    INVALID_ENVELOPE,
    MALFORMED_JSON,
    TOO_LARGE,
    Malformed,
    one_line,
)

LARGEST_DATA: Final = 64 * 1024
"""Bytes that ``data`` may have as compact JSON."""

LARGEST_RECORD: Final = 80 * 1024
"""Bytes that value and headers of a record may have together; checked before anything is read."""

DEEPEST: Final = 32
"""Levels of objects and arrays in ``data``, itself included."""

_decode: Final = msgspec.json.Decoder().decode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode

_SUSPECT: Final = re.compile(rb"\\u00(?:00|22)")
"""Escapes of NUL, and of the quotation mark, which would upset the count of quotes."""

_JSON: Final = re.compile(
    r"\s*(?:application|text)/(?:[A-Za-z0-9.+-]+\+)?json\s*(?:;.*)?", re.DOTALL
)
_NOT_A_NUMBER: Final = re.compile(rb"(?:^|[:,\[])\s*-?(?:NaN|Infinity)")
_SCALARS: Final = (str, int, float, bool)
_TEXT: Final = frozenset({str})
_STRINGS: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype"}
)
_UNTIDY: Final = frozenset({"datacontenttype", "data_base64"})


Envelope = tuple[dict[str, Any], Any, bytes]
"""Attributes (texts by name, none null), ``data``, and the canonical bytes of both.

The bytes are the same for equal JSON values in either mode, whatever the order of keys and the
white space. (A plain tuple: a named one costs 0.2 microseconds a record.)
"""


def read(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Envelope:
    """Return the CloudEvent of a record in structured or binary mode, or raise Malformed."""
    content_type = None
    binary: dict[str, bytes] | None = None
    size = 0 if value is None else len(value)
    for name, content in headers:
        size += len(name) + len(content or b"")
        if name.startswith("ce_"):
            binary = {} if binary is None else binary
            if name in binary:
                raise Malformed(
                    INVALID_ENVELOPE, name[3:], f"the header {name} comes twice", "send it once"
                )
            binary[name] = content or b""
        elif name.lower() == "content-type":
            content_type = (content or b"").decode("utf-8", "replace").strip().lower()
    if size > LARGEST_RECORD:
        raise Malformed(
            TOO_LARGE,
            None,
            f"the record has {size} bytes, more than {LARGEST_RECORD}",
            "send files by reference, not inside the event",
        )
    if content_type is not None and content_type.startswith("application/cloudevents"):
        if content_type.partition(";")[0].strip() != "application/cloudevents+json":
            raise Malformed(
                INVALID_ENVELOPE,
                "content-type",
                "is a format of CloudEvents that is not read here",
                "send application/cloudevents+json, one event a record",
                content_type,
            )
    elif binary is not None:
        return _binary(value, binary, content_type)
    return _structured(value)


def _structured(value: bytes | None) -> Envelope:
    event, canonical = _json(value, "", DEEPEST + 1)
    if not isinstance(event, dict):
        raise Malformed(
            INVALID_ENVELOPE, None, "the event is not a JSON object", "send a CloudEvent", event
        )
    size = 0 if value is None else len(value)
    data = event.pop("data", None)
    if (
        data is None
        or not _TEXT.issuperset(map(type, event.values()))
        or not _UNTIDY.isdisjoint(event)
    ):
        event, canonical = _tidy(event, data)
    if size > LARGEST_DATA:
        _check_size(data)
    return event, data, canonical


def _binary(value: bytes | None, headers: dict[str, bytes], content_type: str | None) -> Envelope:
    event: dict[str, Any] = {}
    for name, content in headers.items():
        try:
            event[name[3:]] = content.decode()
        except UnicodeDecodeError:
            raise Malformed(
                INVALID_ENVELOPE, name[3:], f"the header {name} is not UTF-8", "encode it", content
            ) from None
    for name in ("data", "datacontenttype"):
        if name in event:
            raise Malformed(
                INVALID_ENVELOPE,
                name,
                f"comes as the header ce_{name}",
                "in binary mode data is the record's value, its type the header content-type",
            )
    if content_type is not None:
        event["datacontenttype"] = content_type
    data = None
    if value:
        data, _ = _json(value, "data", DEEPEST)
    event, canonical = _tidy(event, data)
    if value and len(value) > LARGEST_DATA:
        _check_size(data)
    return event, data, canonical


def _tidy(event: dict[str, Any], data: Any) -> tuple[dict[str, Any], bytes]:
    """Return the attributes and canonical bytes of the event as binary mode would say it, so that both modes have one digest.

    Nulls are missing, other attributes are text, and the type of JSON data goes unsaid.
    """
    tidy: dict[str, Any] = {}
    for name, content in event.items():
        if content is None:
            continue
        if not isinstance(content, str) and name in _STRINGS:
            raise Malformed(
                INVALID_ENVELOPE, name, "is not a string", "send a JSON string", content
            )
        if isinstance(content, str):
            check_text(content, name)
            tidy[name] = content
        elif isinstance(content, _SCALARS):
            tidy[name] = msgspec.json.encode(content).decode()
        else:
            raise Malformed(
                INVALID_ENVELOPE,
                name,
                "an attribute of a CloudEvent cannot be an object or a list",
                f"put {one_line(name)} inside data",
                content,
            )
    if "data_base64" in tidy:
        raise Malformed(
            INVALID_ENVELOPE, "data_base64", "binary data is not read here", "send data as JSON"
        )
    content_type = tidy.pop("datacontenttype", None)
    if content_type is not None and not _JSON.fullmatch(content_type.lower()):
        raise Malformed(
            INVALID_ENVELOPE,
            "datacontenttype",
            "data of this type is not read here",
            "send application/json",
            content_type,
        )
    return tidy, _encode_sorted(tidy if data is None else {**tidy, "data": data})


def _check_size(data: Any) -> None:
    """Raise Malformed if *data* is too large as compact JSON."""
    size = len(msgspec.json.encode(data))
    if size > LARGEST_DATA:
        raise Malformed(
            TOO_LARGE,
            "data",
            f"has {size} bytes, more than {LARGEST_DATA}",
            "send files by reference, not inside the event",
        )


def _json(raw: bytes | None, at: str, levels: int) -> tuple[Any, bytes]:
    r"""Return the value of a JSON text and its canonical bytes, or raise Malformed.

    *at* is the path of the value in the event, *levels* how deep it may nest. The quick test for duplicate keys: of two equal keys only one is left in the canonical bytes,
    which then hold fewer quotation marks than the text did. White space does not touch their
    number, nor does any escape but the one of the mark itself (``\"`` stays as it is).
    """
    if not raw:
        raise Malformed(
            MALFORMED_JSON,
            None,
            "the record has no value",
            "send the event; a tombstone erases nothing here, person.deleted does",
        )
    try:
        value = _decode(raw)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise Malformed(
            MALFORMED_JSON, None, *_explain(raw, e), raw[:200].decode("utf-8", "replace")
        ) from None
    if raw.count(b"{") + raw.count(b"[") > levels:
        check_depth(value, levels)
    canonical = _encode_sorted(value)
    if b"\\" in raw and _SUSPECT.search(raw):
        check_keys(raw)
        check_text(value, at)
    elif raw.count(b'"') != canonical.count(b'"'):
        check_keys(raw)
    return value, canonical


def _explain(raw: bytes, error: Exception) -> tuple[str, str]:
    """Return problem and mend of a text that is not JSON."""
    if raw.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark", "send UTF-8 without one"
    if raw.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return "it is compressed", "let the Kafka client compress, or send plain JSON"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8", "encode the JSON as UTF-8"
    if _NOT_A_NUMBER.search(raw):
        return "it is not JSON: NaN and Infinity are no JSON numbers", "send null, or leave it out"
    problem = str(error).removeprefix("JSON is malformed: ")
    return f"it is not JSON: {problem}", "send one JSON object in UTF-8"


def check_keys(raw: bytes) -> None:
    """Raise Malformed if an object in the JSON text *raw* has one key twice."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    raise Malformed(
                        MALFORMED_JSON,
                        key[:80],
                        "the key comes twice in one object, and readers differ on which counts",
                        "send it once",
                    )
                seen.add(key)
        return found

    # numbers as text: their values are of no interest, and int() refuses very long ones
    try:
        json.loads(raw, object_pairs_hook=pairs, parse_int=str, parse_float=str)
    except RecursionError:
        # what nests so deeply is itself a value that a second key replaced
        raise _too_deep() from None


def check_text(value: Any, at: str = "") -> None:
    """Raise Malformed if a text or key inside *value* holds NUL, which no database takes."""
    for path, part in _walk(value, at):
        if isinstance(part, str) and "\0" in part:
            raise Malformed(
                INVALID_DATA if path.startswith("data") else INVALID_ENVELOPE,
                path.replace("\0", "\\0") or None,
                "holds the character NUL",
                "remove it",
                part,
            )


def _walk(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Yield path and value of every text and key inside *value*."""
    left: list[tuple[str, Any]] = [(at, value)]
    while left:
        path, part = left.pop()
        if isinstance(part, dict):
            for key, inner in part.items():
                deeper = f"{path}.{key}" if path else key
                yield deeper, key
                left.append((deeper, inner))
        elif isinstance(part, list):
            left.extend((f"{path}.{i}", inner) for i, inner in enumerate(part))
        else:
            yield path, part


def check_depth(value: Any, levels: int = DEEPEST) -> None:
    """Raise Malformed if *value* nests deeper than *levels*."""
    level = [value]
    for _ in range(levels):
        inner: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(part.values())
            elif isinstance(part, list):
                inner.extend(part)
        level = [part for part in inner if isinstance(part, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> Malformed:
    return Malformed(
        MALFORMED_JSON, None, f"it nests deeper than {DEEPEST} levels", "flatten the data"
    )
