"""A history in memory, and facts by hand, for the tests of the projections."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import count
from typing import Any
from zlib import crc32

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from consumers.contract import event_key
from consumers.families import Families, incoming
from consumers.ledger import Batch
from domain.events import Event, Fact
from domain.policy import Policy
from projections.setup import create

DAY = 86_400_000_000
HOUR = 3_600_000_000
MINUTE = 60_000_000
START = 20_000 * DAY


class Log:
    """The store of a test behind the intake's own families: history is kept in a list.

    Positions have gaps, as those of a database may.
    """

    def __init__(self, policy: Policy, facts: Iterable[Fact] = ()) -> None:
        self.policy = policy
        self.rows: list[tuple[int, str, int, Event]] = []
        self.streams: dict[str, list[tuple[int, Event]]] = {}
        self.into: dict[str, str] = {}
        self._of_event: dict[bytes, str] = {}
        self._waiting: dict[bytes, str] = {}
        self._families = Families(self, 10**9)
        for fact in facts:
            self.arrive(fact)

    def arrive(self, fact: Fact) -> None:
        """Store one fact and the decisions that it leads to."""
        key = event_key(fact.source, fact.id)
        if key in self._of_event:
            return
        batch = Batch()
        one = incoming(fact, key, b"")
        self._families.prepare([one], batch, self.policy)
        self._families.take(one, batch, self.policy)
        self._families.settle(batch)
        for stream, _, event in batch.events:
            self._append(stream, event)
        for stream, lead in batch.merged:
            for merged, into in self.into.items():
                if into == stream:
                    self.into[merged] = lead
            self.into[stream] = lead
        self._of_event.update({key: stream for key, _, stream in batch.seen})
        self._waiting.update(batch.waiting)

    # --- what the families ask of a ledger; they forget nothing ---

    def leads_of(self, identifiers: Collection[Any]) -> dict[Any, str]:
        return {}

    def load(self, leads: Collection[str]) -> dict[str, Any]:
        return {}

    def places(self, keys: Collection[bytes]) -> dict[bytes, str]:
        return self._owners(self._of_event, keys)

    def corrections(self) -> int:
        return len(self._waiting)

    def corrections_of(self, keys: Collection[bytes]) -> dict[bytes, str]:
        return self._owners(self._waiting, keys)

    def _owners(self, found: Mapping[bytes, str], keys: Collection[bytes]) -> dict[bytes, str]:
        return {key: self.into.get(found[key], found[key]) for key in keys if key in found}

    # --- what the projections ask of a history ---

    def _append(self, stream: str, event: Event) -> None:
        position = self.head() + 1 + (len(self.rows) % 7 == 3)
        events = self.streams.setdefault(stream, [])
        events.append((position, event))
        self.rows.append((position, stream, len(events), event))

    def head(self) -> int:
        return self.rows[-1][0] if self.rows else 0

    def stream(self, after: int, limit: int) -> list[tuple[int, str, int, Event]]:
        low, high = 0, len(self.rows)
        while low < high:
            middle = (low + high) // 2
            if self.rows[middle][0] <= after:
                low = middle + 1
            else:
                high = middle
        return self.rows[low : low + limit]

    def histories(self, streams: Collection[str]) -> dict[str, list[Event]]:
        return {
            stream: [event for _, event in self.streams[stream]]
            for stream in sorted(streams)
            if stream in self.streams
        }

    def all_streams(
        self, upto: int, bucket: int = 0, buckets: int = 1
    ) -> Iterator[tuple[str, list[Event]]]:
        for stream in sorted(self.streams):
            if crc32(stream.encode()) % buckets == bucket:
                events = [event for position, event in self.streams[stream] if position <= upto]
                if events:
                    yield stream, events

    def merged(self) -> dict[str, str]:
        return dict(self.into)


@cache
def _empty() -> bytes:
    """Return the bytes of a SQLite database with empty read models."""
    engine = memory()
    create(engine)
    with engine.connect() as connection:
        made: bytes = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]  # sqlite3
    return made


def memory(content: bytes = b"") -> Engine:
    """Return a SQLite database in memory."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        if content:
            connection.deserialize(content)
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=StaticPool)


def read_model_database() -> Engine:
    """Return a database in memory with empty read models, made in no time."""
    return memory(_empty())


_numbers = count(1)


def person(**identifiers: str) -> Mapping[str, Any]:
    """Return a person block with identifiers by kind, strongest first."""
    return {"keys": [[kind, value] for kind, value in identifiers.items()], **identifiers}


def fact(
    type_: str, at: int, who: Mapping[str, Any] | str | None = "ada@example.com", **fields: Any
) -> Fact:
    """Return a fact; *at* in microseconds after START, *fields* are data but for those of a fact."""
    own = {
        name: fields.pop(name)
        for name in ("source", "id", "sequence", "actor", "touch", "traits", "recorded_at")
        if name in fields
    }
    own.setdefault("id", f"e{next(_numbers):06}")
    own.setdefault("source", "/test")
    own.setdefault("recorded_at", START + at)
    if isinstance(who, str):
        who = {"keys": [["email", who]], "email": who}
    return Fact(type=type_, at=START + at, person=who, data=fields or None, **own)
