"""Find a lead by whatever a person knows of it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, exists, or_, select

from consumers import normalise
from domain.events import Identifier
from domain.identity import lead_id
from leadflow.app import App
from leadflow.dossier import Dossier, LeadUnknown, open_dossier
from leadflow.files import now
from leadflow.store.tables import SCHEMA, identifiers, merged_streams
from projections.feeding import Person
from projections.pipeline import pipeline
from projections.schema import lead_siblings, lead_streams

HOW: Final = (
    "give a lead id, an e-mail address, a phone number with its country (+49...), SYSTEM:ID,"
    " anonymous_id:VALUE or subject:SOURCE:VALUE"
)

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class KeyUnclear(Exception):
    """The key fits several leads: the message names them."""


def open_by_key(
    app: App, key: str, *, as_of: int | None = None, known_at: int | None = None
) -> Dossier:
    """Return what is known of the lead that *key* names; instants are microseconds UTC.

    Raises LeadUnknown, KeyUnclear and StoreUnavailable.
    """
    return open_dossier(
        app.store,
        app.rules,
        stream_of_key(app, key),
        now=now(),
        as_of=as_of,
        known_at=known_at,
        choose=lambda people: person_of_key(people, key),
    )


def stream_of_key(app: App, key: str) -> str:
    """Return the stream of the lead that *key* names: an id, or an identifier.

    Raises LeadUnknown, KeyUnclear and StoreUnavailable.
    """
    key = key.strip()
    if _UUID.fullmatch(key.lower()):
        found = _stream_of_id(app, key.lower())
        if found is not None:
            return found
    known = app.store.leads_of(dict.fromkeys(readings(key)))
    if not known:
        known = _by_value(app, key)
    leads = sorted(set(known.values()))
    if not leads:
        raise LeadUnknown(f"no lead is known by {key!r}; {HOW}")
    if len(leads) > 1:
        places = ", ".join(sorted(f"{kind}:{value}" for kind, value in known)[:5])
        raise KeyUnclear(f"{key!r} fits {len(leads)} leads: {places}; say which")
    return leads[0]


def person_of_key(people: Sequence[Person], key: str) -> int:
    """Return which of *people*, who share streams, *key* names: an id, or an identifier.

    An identifier that several carry, such as a shared number, names whoever is known by it first
    of all. Raises KeyUnclear.
    """
    key = key.strip()
    ids = [lead_id(identifier) if identifier else "" for identifier, _ in people]
    if key.lower() in ids:
        return ids.index(key.lower())
    wanted = set(readings(key))
    for n, (identifier, _) in enumerate(people):
        if identifier in wanted:
            return n
    having = [
        n
        for n, (_, facts) in enumerate(people)
        if any(one in wanted or one[1] == key for fact in facts for one in fact.keys)
    ]
    if len(having) == 1:
        return having[0]
    few = ", ".join(ids[n] for n in (having or range(len(people)))[:5])
    raise KeyUnclear(
        f"{key!r} fits {len(having or people)} leads that something tells apart: {few}; say which"
    )


def _stream_of_id(app: App, id_: str) -> str | None:
    """Return the stream of a lead id, or of an id by which the lead was known before."""
    query = (
        select(lead_streams.c.stream)
        .select_from(lead_streams)
        .join(
            pipeline,
            or_(
                pipeline.c.lead_no == lead_streams.c.lead_no,
                exists().where(
                    lead_siblings.c.lead_no == lead_streams.c.lead_no,
                    lead_siblings.c.sibling == pipeline.c.lead_no,
                ),
            ),
        )
        .where(pipeline.c.lead_id == id_)
        .limit(1)
    )
    with app.connect() as connection:
        found = connection.execute(query).scalar()
    # Without a read model, or before it has caught up, the id may be the stream's own name.
    stream = id_ if found is None else str(found)
    with _tables(app) as connection:
        target = connection.execute(
            select(merged_streams.c.lead).where(merged_streams.c.stream == stream)
        ).scalar()
    if target is not None:
        return str(target)
    return stream if app.store.rows_of([stream]) else None


def readings(key: str) -> Iterator[Identifier]:
    """Yield the identifiers that *key* can mean."""
    if "@" in key and ":" not in key:
        try:
            yield "email", normalise.email(key)
        except ValueError:
            yield "email", key.lower()
    phone = normalise.phone(key, None)
    if phone is not None:
        yield "phone", phone
    kind, colon, value = key.partition(":")
    if not colon:
        return
    if kind in ("email", "phone"):
        yield from readings(value)
        yield kind, value
    elif kind in ("subject", "external"):
        # The source may hold colons, as in https://example.com, and so may the value.
        for found in re.finditer(":", value):
            yield f"{kind}:{value[: found.start()]}", value[found.end() :]
    elif kind == "anonymous_id":
        yield kind, value
    for found in re.finditer(":", key):
        yield f"external:{key[: found.start()]}", key[found.end() :]


def _by_value(app: App, value: str) -> dict[Identifier, str]:
    """Return the identifiers of whatever kind that have exactly this value."""
    table = identifiers
    query = select(table.c.kind, table.c.value, table.c.lead).where(table.c.value == value).limit(9)
    with _tables(app) as connection:
        return {(kind, text): lead for kind, text, lead in connection.execute(query)}


def _tables(app: App) -> Connection:
    schema = SCHEMA if app.engine.dialect.name == "postgresql" else None
    options: dict[str, Any] = {"schema_translate_map": {SCHEMA: schema}}
    return app.engine.execution_options(**options).connect()
