"""Events, records and databases for the tests of reliability, and what a store holds in the end."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from consumers.unpack import Record
from domain.corrections import corrections, effective, target_of
from domain.decide import as_occurred
from domain.events import Event, Fact, canonical
from domain.identity import lead_id, linked, stream_of
from domain.lead import Lead
from domain.persons import named, persons
from domain.policy import Policy
from domain.scoring import score
from leadflow.policies import load_policy
from leadflow.store import migrate, open_store
from leadflow.store.base import Store
from leadflow.store.codec import encode_lead
from leadflow.store.postgres import PostgresStore
from leadflow.store.sqlite import SQLiteStore

NOW = 1_767_700_000_000_000
"""2026-01-06T11:46:40Z"""

STREAM = "events"

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: the same calls of the database, without waiting for a disk."""


@cache
def policy() -> Policy:
    """Return the default policy."""
    return load_policy()


def sent(
    id_: str,
    type_: str = "form.submitted",
    *,
    at: int = 0,
    source: str = "/test",
    data: dict[str, Any] | None = None,
    **person: Any,
) -> bytes:
    """Return an event as bytes; *at* is seconds after 2026-01-05T00:00:00Z."""
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "time": f"2026-01-05T{at // 3_600:02d}:{at // 60 % 60:02d}:{at % 60:02d}Z",
        "data": {**(data or {}), **({"person": person} if person else {})},
    }
    return msgspec.json.encode(body)


def record(value: bytes | None, position: int = 0, *, partition: int = 0) -> Record:
    """Return a record of the stream of the tests."""
    return Record(STREAM, partition, position, NOW + position, None, value, ())


def records(values: Iterable[bytes | None], start: int = 0) -> list[Record]:
    """Return the records of *values*, one behind the other."""
    return [record(value, start + number) for number, value in enumerate(values)]


# --- databases ------------------------------------------------------------------------------------


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Lend a folder in memory where there is one, and remove it."""
    with tempfile.TemporaryDirectory(
        prefix="leadflow-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None
    ) as folder:
        yield Path(folder)


def new_sqlite(folder: Path, template: Path, name: str = "leadflow.db") -> str:
    """Return the URL of a new file with all tables, made by copying *template*."""
    shutil.copyfile(template, folder / name)
    return f"sqlite:///{folder / name}"


def make_template(folder: Path) -> Path:
    """Return a file with all tables and nothing in it."""
    path = folder / "template.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """Open the store at *url* and close it."""
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def erase_events(store: Store) -> None:
    """Delete every event, as an erasure would."""
    if isinstance(store, SQLiteStore):
        with store.datastore.transaction(commit=True) as cursor:
            cursor.execute("DELETE FROM stored_events")
    elif isinstance(store, PostgresStore):
        with store.datastore.transaction(commit=True) as rows:
            rows.execute("DELETE FROM leadflow.stored_events")


# --- what a store holds ---------------------------------------------------------------------------


def log_of(store: Store, page: int = 1_000) -> Iterator[tuple[int, str, int, Event]]:
    """Yield the whole log, page by page."""
    after = 0
    while rows := store.stream(after, page):
        yield from rows
        after = rows[-1][0]


def facts_of(store: Store) -> list[Fact]:
    """Return every fact, in the order of the log."""
    return [event for _, _, _, event in log_of(store) if isinstance(event, Fact)]


def families(facts: Iterable[Fact]) -> list[list[Fact]]:
    """Return the facts of each family, by what they link, found without the engine."""
    parts: list[tuple[set[Any], list[Fact]]] = []
    for fact in facts:
        keys: set[Any] = {*linked(fact), ("event", fact.source, fact.id)}
        if (target := target_of(fact)) is not None:
            keys.add(("event", *target))
        elif not fact.keys:
            keys.add(stream_of(fact))
        mine = [fact]
        rest = []
        for part in parts:
            if part[0] & keys:
                keys |= part[0]
                mine = part[1] + mine
            else:
                rest.append(part)
        parts = [*rest, (keys, mine)]
    return [part for _, part in parts]


def as_people(groups: Iterable[Sequence[Fact]]) -> dict[str, Any]:
    """Return what is known of each person in families, by the id of first acquaintance.

    Nothing in it tells of the arrival.
    """
    known = {}
    for group in groups:
        ordered = canonical(replace(fact, recorded_at=0) for fact in group)
        for identifier, part in named(ordered, policy()):
            lead, _ = as_occurred(part, policy())
            id_ = lead_id(identifier) if identifier else stream_of(part[0])
            assert id_ not in known
            known[id_] = {**lead.state(), "score": score(lead.facts, policy(), NOW)}
    return known


def leads_in(store: Store) -> dict[str, Lead]:
    """Return every lead of the store, by the stream that goes on."""
    owner = store.merged()
    streams = {stream for _, stream, _, _ in log_of(store)}
    leads = sorted(stream for stream in streams if stream not in owner)
    stored = store.load(leads)
    return {lead: stored[lead].lead for lead in leads}


def check_people(store: Store) -> None:
    """Assert that who is who, and what is known of each, follows from the facts alone.

    Neither arrival nor batches, memory, redelivery, crashes or other workers leave a trace; what
    was decided does depend on what was known then.
    """
    leads = leads_in(store)
    known = as_people(lead.facts for lead in leads.values())
    assert known == as_people(families(facts_of(store))), "people are not what their facts make"
    for lead in leads.values():
        facts = canonical(lead.facts)
        assert lead.corrected == corrections(facts), "a correction is overlooked, or made up"
        if len(persons(facts, policy())) < 2:  # of several, each is known by their own facts
            assert lead.effective() == effective(facts, policy()), "what counts is another"
            assert lead.traits == as_occurred(facts, policy())[0].traits, "traits are others"


def digest(store: Store) -> str:
    """Return a hash of all that the store holds but numbers that a rolled back try may burn."""
    found = sha256()
    for _, stream, version, event in log_of(store):
        found.update(repr((stream, version, event)).encode())
    for id_, lead in leads_in(store).items():
        found.update(id_.encode() + encode_lead(lead))
    letters = [(state, letter) for _, state, letter in store.dead_letters(limit=10_000)]
    found.update(repr((letters, store.all_positions(), sorted(store.merged().items()))).encode())
    found.update(repr(sorted(store.counts().items())).encode())
    return found.hexdigest()
