"""A history in memory, and facts by hand, for the tests of the projections."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import count
from typing import Any
from zlib import crc32

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from domain.events import Event, Fact
from domain.identity import lead_id
from domain.lead import Lead, absorb, decide, evolve, merge
from domain.policy import Policy
from projections.setup import create

DAY = 86_400_000_000
HOUR = 3_600_000_000
MINUTE = 60_000_000
START = 20_000 * DAY


class Log:
    """The store and intake of a test: facts arrive, leads decide, history is kept in a list.

    Positions have gaps, as those of a database may.
    """

    def __init__(self, policy: Policy, facts: Iterable[Fact] = ()) -> None:
        self.policy = policy
        self.rows: list[tuple[int, str, int, Event]] = []
        self.streams: dict[str, list[tuple[int, Event]]] = {}
        self.into: dict[str, str] = {}
        self._leads: dict[str, Lead] = {}
        self._lead_of: dict[tuple[str, str], str] = {}
        for fact in facts:
            self.arrive(fact)

    def arrive(self, fact: Fact) -> None:
        """Store one fact and the decisions that it leads to."""
        if not fact.keys:
            self._append(f"other:{fact.source}", fact)
            return
        found = list(dict.fromkeys(self._lead_of[key] for key in fact.keys if key in self._lead_of))
        found.sort(key=lambda stream: self.streams[stream][0][0])
        stream = found[0] if found else lead_id(fact.keys[0])
        lead = self._leads.setdefault(stream, Lead())
        for other_stream in found[1:]:
            other = self._leads.pop(other_stream)
            goes_on, ends = merge(lead, stream, other, other_stream, fact, self.policy)
            absorb(lead, other)
            evolve(lead, goes_on)
            self._append(stream, goes_on)
            self._append(other_stream, ends)
            for merged, into in self.into.items():
                if into == other_stream:
                    self.into[merged] = stream
            self.into[other_stream] = stream
            for key, owner in self._lead_of.items():
                if owner == other_stream:
                    self._lead_of[key] = stream
        for key in fact.keys:
            self._lead_of[key] = stream
        for event in decide(lead, fact, self.policy):
            evolve(lead, event)
            self._append(stream, event)

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
    own.setdefault("id", f"e{next(_numbers)}")
    own.setdefault("source", "/test")
    own.setdefault("recorded_at", START + at)
    if isinstance(who, str):
        who = {"keys": [["email", who]], "email": who}
    return Fact(type=type_, at=START + at, person=who, data=fields or None, **own)
