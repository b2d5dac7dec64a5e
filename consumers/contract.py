"""The wire: from a Kafka record to a fact, or a clear refusal.

A record is a CloudEvent 1.0 in JSON, in structured or binary mode. ``parse`` is pure: the same
record gives the same fact or the same ``Malformed``, which names field, value and mend. The types
and their fields are in ``consumers.models``; JSON Schemas are made from them by
``consumers.schemas``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from consumers import normalise
from consumers.facts import LONGEST, build
from consumers.malformed import INVALID_ENVELOPE, REASONS, Malformed
from consumers.registry import FAMILIES, TYPES, UNKNOWN_TYPE
from consumers.schemas import describe_blocks, describe_types, schema, schemas
from consumers.wire import DEEPEST, LARGEST_DATA, LARGEST_RECORD, read
from domain.events import Fact

__all__ = [
    "DEEPEST",
    "FAMILIES",
    "LARGEST_DATA",
    "LARGEST_RECORD",
    "REASONS",
    "TYPES",
    "UPCASTERS",
    "Malformed",
    "Parsed",
    "describe_blocks",
    "describe_types",
    "event_key",
    "parse",
    "record_key",
    "schema",
    "schemas",
]


class Parsed(NamedTuple):
    """A fact, and the two digests by which intake knows a duplicate from a conflict."""

    fact: Fact
    key: bytes
    """16 bytes of ``source`` and ``id``: the idempotency key."""
    body: bytes
    """16 bytes of the whole event as JSON values, the same in structured and binary mode.

    Order of keys, white space and spelling of escapes do not count. Numbers count as written: 1
    and 1.0 differ, 1.0 and 1e0 do not.
    """


MAJOR: Final = 1
"""The version of ``data`` that this program reads; older ones are upcast."""

UPCASTERS: Final[dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""(type, major) to the function that makes of its ``data`` the ``data`` of the next major.

Empty, since there is one version. A second one adds its function here and raises ``MAJOR``.
"""

_AHEAD: Final = normalise.DAY
"""How far ahead of the clock an event may be dated, microseconds."""

_ATTRIBUTES: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "sequence", "subject", "dataschema"}
)
_TRANSPORT: Final = frozenset({"partitionkey", "traceparent", "tracestate"})
"""Extension attributes about the way of a record, not about what happened: not kept."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_URI: Final = re.compile(r'[\x00-\x20\x7f-\x9f"<>\\^`{|}]')
_SEQUENCE: Final = re.compile(r"[0-9]{1,20}")
_SCHEMA: Final = re.compile(r"urn:leadflow:schema:([^:]+):([0-9]{1,4})(?:\.[0-9]{1,4})?")


def parse(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    recorded_at: int,
    *,
    clock: int | None = None,
) -> Parsed:
    """Return the fact that a Kafka record reports, or raise Malformed.

    *recorded_at* is the record's own timestamp and *clock* the present (default: *recorded_at*),
    both in microseconds UTC. Raises nothing but Malformed, whatever the bytes.
    """
    attributes, data, canonical = read(value, headers)
    source, id_, type_ = _identify(attributes)
    at = _time(attributes, recorded_at if clock is None else clock)
    subject = attributes.get("subject")
    if subject is not None:
        subject = _subject(subject)
    sequence = -1
    if "sequence" in attributes:
        sequence = _sequence(attributes["sequence"])
    if "dataschema" in attributes:
        data = _upcast(type_, attributes["dataschema"], data)

    kind = TYPES.get(type_, UNKNOWN_TYPE)
    actor, actor_id, touch, person, traits, own = build(kind, data, source, subject)
    if not attributes.keys() <= _ATTRIBUTES:
        own = _with_extensions(attributes, own)
    return Parsed(
        Fact(
            type=type_,
            source=source,
            id=id_,
            at=at,
            recorded_at=recorded_at,
            sequence=sequence,
            actor=actor,
            actor_id=actor_id,
            touch=touch,
            person=person,
            traits=traits,
            data=own,
        ),
        event_key(source, id_),
        blake2b(canonical, digest_size=16).digest(),
    )


def event_key(source: str, id_: str) -> bytes:
    """Return the idempotency key of an event: 16 bytes of ``source`` and ``id``."""
    return blake2b(f"{source}\0{id_}".encode(), digest_size=16).digest()


def record_key(event: Mapping[str, Any]) -> str:
    """Return the Kafka key of an event: its first identifier, normalised.

    The order is subject, e-mail, phone, anonymous_id, external id; spend is keyed by campaign. An
    event without any (a correction) is keyed by its source. Never raises: what is wrong with the
    event is for ``parse`` to say.
    """
    for text in _key_candidates(event):
        if isinstance(text, str) and text.strip():
            return text.strip()
    return ""


def _key_candidates(event: Mapping[str, Any]) -> Sequence[Any]:
    data = event.get("data")
    if not isinstance(data, Mapping):
        data = {}
    person = data.get("person")
    if not isinstance(person, Mapping):
        person = {}
    if event.get("type") == "spend.recorded":
        return (data.get("campaign"), data.get("source"), data.get("channel"), event.get("source"))
    email, phone, country = person.get("email"), person.get("phone"), person.get("country")
    if isinstance(email, str):
        try:
            email = normalise.email(email.strip())
        except ValueError:
            email = email.strip().lower()
    if isinstance(phone, str):
        hint = normalise.country(country) if isinstance(country, str) else None
        phone = normalise.phone(phone.strip(), hint)
    external = person.get("external_ids")
    ids = sorted(external.items()) if isinstance(external, Mapping) else []
    return (
        event.get("subject"),
        email,
        phone,
        person.get("anonymous_id"),
        *(None if value is None else str(value) for _, value in ids),
        event.get("source"),
    )


def _identify(attributes: dict[str, str]) -> tuple[str, str, str]:
    """Return source, id and type, or raise Malformed for them or the version."""
    version = attributes.get("specversion")
    if version != "1.0":
        if version is None:
            raise Malformed(
                INVALID_ENVELOPE,
                "specversion",
                "is missing: this is no CloudEvent",
                'send "specversion": "1.0"',
            )
        raise Malformed(
            INVALID_ENVELOPE,
            "specversion",
            "is another version of CloudEvents",
            'send "1.0"',
            version,
        )
    source = _source(attributes.get("source"))
    id_ = attributes.get("id", "")
    if len(id_) > LONGEST or not id_.isprintable() or not id_ or id_.isspace():
        id_ = _required(attributes, "id", LONGEST)
    type_ = attributes.get("type")
    if type_ is None or type_ not in TYPES:
        type_ = _required(attributes, "type", 128)
    return source, id_, type_


@lru_cache(maxsize=1024)
def _source(value: str | None) -> str:
    """Return the source if it is a URI reference; producers are few, so it is asked once each."""
    source = _required({} if value is None else {"source": value}, "source", LONGEST)
    if not source.isprintable() or _NO_URI.search(source):
        raise Malformed(
            INVALID_ENVELOPE,
            "source",
            "is no URI reference",
            'name the producer by a path such as "/forms/website"',
            source,
        )
    return source


def _required(attributes: Mapping[str, str], name: str, longest: int) -> str:
    value = attributes.get(name)
    if value is None:
        raise Malformed(INVALID_ENVELOPE, name, "is missing", "every event needs it")
    return _text(name, value, longest)


def _text(name: str, value: str, longest: int) -> str:
    """Return an attribute that is neither blank nor too long nor holds a control character."""
    if len(value) > longest:
        raise Malformed(
            INVALID_ENVELOPE,
            name,
            f"has {len(value)} characters, more than {longest}",
            "shorten it, for instance to a hash",
            value,
        )
    if not value.strip():
        raise Malformed(INVALID_ENVELOPE, name, "is blank", "send a value", value)
    if not value.isprintable() and _CONTROL.search(value):
        raise Malformed(INVALID_ENVELOPE, name, "holds a control character", "remove it", value)
    return value


def _time(attributes: Mapping[str, str], clock: int) -> int:
    value = attributes.get("time")
    if value is None:
        raise Malformed(
            INVALID_ENVELOPE,
            "time",
            "is missing",
            'send when it happened, such as "2026-01-05T09:30:00Z"',
        )
    try:
        at = normalise.instant(value)
    except ValueError as e:
        raise Malformed(
            INVALID_ENVELOPE,
            "time",
            str(e),
            'send RFC 3339 with an offset, such as "2026-01-05T09:30:00+01:00"',
            value,
        ) from None
    if at < normalise.EARLIEST:
        raise Malformed(
            INVALID_ENVELOPE,
            "time",
            "lies before the year 2000",
            "send when it happened, not a default of the clock",
            value,
        )
    if at > clock + _AHEAD:
        raise Malformed(
            INVALID_ENVELOPE,
            "time",
            "lies more than 24 hours ahead",
            "set the producer's clock; what is planned goes into data",
            value,
        )
    return at


def _subject(value: str) -> str | None:
    """Return the subject, trimmed; None for a blank one, which is none."""
    value = value.strip()
    return _text("subject", value, LONGEST) if value else None


def _sequence(value: str) -> int:
    if not _SEQUENCE.fullmatch(value):
        raise Malformed(
            INVALID_ENVELOPE,
            "sequence",
            "is not 1 to 20 decimal digits",
            "send a number that grows, or leave it out",
            value,
        )
    return int(value)


def _upcast(type_: str, dataschema: str, data: Any) -> Any:
    """Return *data* in the present version; a schema that is not ours says nothing about it."""
    match = _SCHEMA.fullmatch(dataschema)
    if match is None:
        return data
    if match[1] != type_:
        raise Malformed(
            INVALID_ENVELOPE,
            "dataschema",
            f"is the schema of another type than {type_}",
            "send the type's own, or leave it out",
            dataschema,
        )
    major = int(match[2])
    while major != MAJOR:
        upcaster = UPCASTERS.get((type_, major))
        if upcaster is None:
            raise Malformed(
                INVALID_ENVELOPE,
                "dataschema",
                f"names version {major}, which is not known here",
                f"send version {MAJOR}, or update leadflow and redrive",
                dataschema,
            )
        if not isinstance(data, dict):
            return data  # refused for its shape by the model
        data = upcaster(data)
        major += 1
    return data


def _with_extensions(
    attributes: Mapping[str, str], own: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Return the data with the extension attributes that tell something of the event."""
    kept = {
        name: value
        for name, value in attributes.items()
        if name not in _ATTRIBUTES and name not in _TRANSPORT
    }
    return {**(own or {}), "extensions": kept} if kept else own
