"""The event store, as far as it is the same on every database."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec

from consumers.ledger import Batch, Claim, Conflict, DeadLetter, Stored
from domain.book import POLICY_STREAM
from domain.events import Event, Identifier, LeadMerged
from domain.lead import fold, fold_streams
from leadflow.store import faults
from leadflow.store.codec import decode, decode_lead, encode, encode_lead

Row = tuple[str, int, str, bytes]
"""Stream, version, topic, state."""

Position = tuple[int, str, int, str, bytes]
"""Position in the log, and the row there."""

CHUNK: Final = 2_000
"""Rows decoded at a time: what is decoded together stays in the processor's cache."""


class Transaction(ABC):
    """The writes of one transaction, in the words of one database's driver."""

    @abstractmethod
    def insert_seen(self, rows: Sequence[tuple[bytes, bytes, str]]) -> None:
        """Insert digests of ids and of contents, with the stream of each event."""

    @abstractmethod
    def are_seen(self, keys: Sequence[bytes]) -> bool:
        """Return whether any event of *keys* was accepted before."""

    @abstractmethod
    def corrections(self) -> int:
        """Return how many corrections ever came before what they correct."""

    @abstractmethod
    def insert_corrections(self, rows: Sequence[tuple[bytes, str]]) -> None:
        """Insert what corrections wait for: digest of source and id, stream."""

    @abstractmethod
    def lock(self) -> None:
        """Keep others from appending until this transaction ends; harmless when it does already."""

    @abstractmethod
    def version_of(self, stream: str) -> int:
        """Return the last version of *stream*, 0 when there is none."""

    @abstractmethod
    def states_after(self, position: int) -> list[bytes]:
        """Return the events behind *position* in the log, as they are stored."""

    @abstractmethod
    def append(self, rows: Sequence[Row]) -> None:
        """Append events; ids become visible in the order of commits, without a gap to come."""

    @abstractmethod
    def insert_identifiers(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Insert identifiers: kind, value, lead."""

    @abstractmethod
    def merge(
        self, merged: Sequence[tuple[str, str]], moved: Sequence[tuple[str, str, str]]
    ) -> None:
        """Record merged streams, and give their identifiers to the lead that goes on."""

    @abstractmethod
    def insert_dead_letters(self, rows: Sequence[tuple[Any, ...]], *, redriven: bool) -> None:
        """Insert dead letters: the columns of the table but for id and state.

        A record that is read again from its place, as after `restart`, has its letter already and
        gets no second one; one that was *redriven* and is refused again does get one.
        """

    @abstractmethod
    def settle(self, ids: Sequence[int]) -> None:
        """Mark dead letters as redriven."""

    @abstractmethod
    def put_snapshots(self, rows: Sequence[tuple[str, int, bytes]]) -> None:
        """Insert or replace snapshots: lead, version, state."""

    @abstractmethod
    def move(self, stream: str, partition: int, old: int, new: int, epoch: int) -> bool:
        """Move a position; False when it is not at *old* any more, or another epoch holds."""


class Store(ABC):
    """Facts, decisions, identifiers, positions and dead letters of one leadflow installation.

    Implements ``consumers.ledger.Ledger`` for intake and ``projections.history.History`` for the
    read side. Every method may raise StoreUnavailable.
    """

    @abstractmethod
    def close(self) -> None:
        """Give back the connections."""

    # --- primitives, one query each ---

    @abstractmethod
    def seen(self, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """Return the content digest of each of *keys* that was accepted before."""

    @abstractmethod
    def leads_of(self, identifiers: Collection[Identifier]) -> dict[Identifier, str]:
        """Return the lead of each of *identifiers* that is known."""

    @abstractmethod
    def places(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Return the lead that the event of each of *keys* belongs to, of those accepted before."""

    @abstractmethod
    def corrections(self) -> int:
        """Return how many corrections ever came before what they correct."""

    @abstractmethod
    def corrections_of(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Return the lead or stream of the corrections that wait for the event of each of *keys*."""

    def commit(self, batch: Batch) -> None:
        """Write *batch* in one transaction. Raises Conflict, Fenced, StoreUnavailable."""
        self.commit_decided(lambda _: batch)

    @abstractmethod
    def commit_decided(self, decide: Callable[[Transaction], Batch]) -> None:
        """Write what *decide* makes of the transaction that it is written in. Raises as `commit`."""

    @abstractmethod
    def positions(self, stream: str) -> dict[int, int]:
        """Return the position to read next for each partition of *stream*."""

    @abstractmethod
    def claim(self, stream: str, partitions: Sequence[int]) -> dict[int, Claim]:
        """Claim *partitions* of *stream*: earlier claims are void from now on."""

    @abstractmethod
    def restart(self, stream: str) -> None:
        """Put the positions of *stream* back to 0; what is read again counts as duplicates."""

    @abstractmethod
    def head(self) -> int:
        """Return the last position in the log, 0 when it is empty."""

    @abstractmethod
    def rows_after(self, position: int, limit: int) -> list[Position]:
        """Return up to *limit* rows of the log behind *position*."""

    @abstractmethod
    def rows_of(self, streams: Collection[str]) -> list[Row]:
        """Return the rows of *streams*, by stream and version."""

    @abstractmethod
    def positions_of(self, streams: Collection[str]) -> list[Position]:
        """Return the rows of *streams* with their positions, by position."""

    @abstractmethod
    def rows_since(self, stream: str, version: int) -> list[Row]:
        """Return the rows of *stream* behind *version*."""

    @abstractmethod
    def rows_by_stream(self, upto: int, bucket: int, buckets: int) -> Iterator[Position]:
        """Yield the rows up to position *upto*, by stream and version, of one part of the streams.

        Streams sort by their bytes; part *bucket* of *buckets* goes by the hash that an id is.
        """

    @abstractmethod
    def merged(self, leads: Collection[str] | None = None) -> dict[str, str]:
        """Return merged streams and the lead each belongs to: those of *leads*, or all."""

    @abstractmethod
    def snapshots(self, leads: Collection[str]) -> list[tuple[str, int, bytes]]:
        """Return the snapshots there are of *leads*."""

    @abstractmethod
    def drop_snapshots(self) -> None:
        """Forget all snapshots; they are taken again as leads are written."""

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Return how many ``events``, ``identifiers`` and open ``dead_letters`` there are."""

    @abstractmethod
    def all_positions(self) -> list[tuple[str, int, int]]:
        """Return stream, partition and position of everything that was ever read."""

    @abstractmethod
    def cluster_of(self, stream: str) -> str | None:
        """Return the Kafka cluster that *stream* was read from, or None."""

    @abstractmethod
    def set_cluster(self, stream: str, cluster_id: str) -> None:
        """Remember the Kafka cluster that *stream* is read from."""

    @abstractmethod
    def dead_letter_rows(
        self, ids: Collection[int] | None = None, *, state: str | None = None, limit: int = 1_000
    ) -> list[tuple[Any, ...]]:
        """Return dead letters, oldest first: the columns of the table."""

    # --- built on the primitives ---

    def load(self, leads: Collection[str]) -> dict[str, Stored]:
        """Return each of *leads* folded; one of which nothing is stored is left out.

        Raises Conflict when one was merged while it was read: part of it would be missing.
        """
        merged = self.merged(leads)
        from_snapshot = {
            lead: (version, state)
            for lead, version, state in self.snapshots(leads)
            if lead not in merged.values()
        }
        folded: dict[str, Stored] = {}
        for lead, (version, state) in from_snapshot.items():
            tail = [decode(topic, body) for _, _, topic, body in self.rows_since(lead, version)]
            _check_whole(lead, {lead: tail})
            lead_now = fold(tail, decode_lead(state))
            folded[lead] = Stored(lead_now, {lead: version + len(tail)}, version)
        whole = [lead for lead in leads if lead not in from_snapshot]
        streams = self.histories([*whole, *merged])
        versions = {stream: len(events) for stream, events in streams.items()}
        parts: dict[str, list[str]] = {}
        for stream, lead in merged.items():
            parts.setdefault(lead, []).append(stream)
        for lead in whole:
            if lead in streams:
                mine = [lead, *parts.get(lead, ())]
                _check_whole(lead, {stream: streams[stream] for stream in mine})
                folded[lead] = Stored(
                    fold_streams(streams, lead), {stream: versions[stream] for stream in mine}
                )
        return folded

    def stream(self, after: int, limit: int) -> list[tuple[int, str, int, Event]]:
        """Return up to *limit* events behind position *after*: position, stream, version, event."""
        found: list[tuple[int, str, int, Event]] = []
        while len(found) < limit:
            some = min(CHUNK, limit - len(found))
            rows = self.rows_after(found[-1][0] if found else after, some)
            found += [
                (position, stream, version, decode(topic, state))
                for position, stream, version, topic, state in rows
            ]
            if len(rows) < some:
                break
        return found

    def histories(self, streams: Collection[str]) -> dict[str, list[Event]]:
        """Return the events of each of *streams*, in the order of their versions."""
        return {
            stream: [decode(topic, state) for _, _, topic, state in rows]
            for stream, rows in groupby(self.rows_of(streams), key=itemgetter(0))
        }

    def all_streams(
        self, upto: int, bucket: int = 0, buckets: int = 1
    ) -> Iterator[tuple[str, list[Event]]]:
        """Yield each stream with its events up to position *upto*.

        With *buckets* > 1 only the streams of one part, by hash of the stream.
        """
        rows = self.rows_by_stream(upto, bucket, buckets)
        for stream, group in groupby(rows, key=itemgetter(1)):
            yield stream, [decode(topic, state) for _, _, _, topic, state in group]

    def dead_letters(
        self, ids: Collection[int] | None = None, *, state: str | None = None, limit: int = 1_000
    ) -> list[tuple[int, str, DeadLetter]]:
        """Return dead letters, oldest first: id, state and the letter."""
        return [
            (row[0], row[10], letter_of(row))
            for row in self.dead_letter_rows(ids, state=state, limit=limit)
        ]


def _check_whole(lead: str, streams: Mapping[str, Sequence[Event]]) -> None:
    """Raise Conflict if *lead* went on in another lead, or another in it that is not here."""
    for stream, events in streams.items():
        for event in events:
            if type(event) is not LeadMerged:
                continue
            if event.into is None and event.other not in streams:
                raise Conflict(f"lead {event.other} was merged into {lead} while it was read")
            if event.into is not None and stream == lead:
                raise Conflict(f"lead {lead} was merged into {event.into} while it was read")


def write(transaction: Transaction, batch: Batch) -> bool:
    """Write *batch* in the order of the commit protocol; False when a position was fenced."""
    faults.reach("begin")
    if batch.seen:
        transaction.insert_seen(batch.seen)
    faults.reach("seen")
    if batch.events or batch.dead_letters:  # a policy refuses, too
        _check_unchanged(transaction, batch)
    if batch.events:
        transaction.append(list(_rows(batch.events)))
        if batch.waiting:
            transaction.insert_corrections(batch.waiting)
    faults.reach("events")
    if batch.identifiers:
        transaction.insert_identifiers(batch.identifiers)
    if batch.merged:
        transaction.merge(batch.merged, batch.moved)
    faults.reach("identifiers")
    if batch.snapshots:
        transaction.put_snapshots(
            [(lead, version, encode_lead(state)) for lead, version, state in batch.snapshots]
        )
    if batch.redriven:
        transaction.settle(batch.redriven)
    if batch.dead_letters:
        rows = [row_of(letter) for letter in batch.dead_letters]
        transaction.insert_dead_letters(rows, redriven=bool(batch.redriven))
    faults.reach("dead_letters")
    # in the order in which they are claimed, so that a claim and a commit cannot deadlock
    for (stream, partition), (old, new, epoch) in sorted(batch.positions.items()):
        if not transaction.move(stream, partition, old, new, epoch):
            return False
    faults.reach("positions")
    return True


def _check_unchanged(transaction: Transaction, batch: Batch) -> None:
    """Raise Conflict when what *batch* was decided by is not the newest any more."""
    if batch.policy_version is None and batch.corrections is None:
        return
    transaction.lock()
    if batch.policy_version not in (None, transaction.version_of(POLICY_STREAM)):
        raise Conflict("another policy was published")
    if batch.corrections not in (None, transaction.corrections()):
        raise Conflict("a correction came before what it corrects")
    if batch.waiting and transaction.are_seen([key for key, _ in batch.waiting]):
        raise Conflict("what is corrected came while the correction was decided")


def _rows(events: Iterable[tuple[str, int, Event]]) -> Iterator[Row]:
    for stream, version, event in events:
        topic, state = encode(event)
        yield stream, version, topic, state


def row_of(letter: DeadLetter) -> tuple[Any, ...]:
    """Return the columns of a dead letter, without id and state."""
    headers = [[name, base64.b64encode(value).decode()] for name, value in letter.headers]
    return (
        letter.reason,
        letter.message,
        letter.stream,
        letter.partition,
        letter.position,
        letter.received_at,
        letter.key,
        letter.value,
        msgspec.json.encode(headers),
    )


def letter_of(row: Sequence[Any]) -> DeadLetter:
    """Return the dead letter of a row with all columns."""
    _, reason, message, stream, partition, position, received_at, key, value, headers, _ = row
    pairs = msgspec.json.decode(headers, type=list[tuple[str, str]])
    return DeadLetter(
        reason,
        message,
        stream,
        partition,
        position,
        received_at,
        None if key is None else bytes(key),
        None if value is None else bytes(value),
        tuple((name, base64.b64decode(text)) for name, text in pairs),
    )


def ids_of(bucket: int, buckets: int) -> tuple[str, str]:
    """Return the range of ids in one part: ids are hashes, so equal ranges hold equal numbers.

    An id belongs to the range by its first four hexadecimal digits.
    """
    width = 16**4
    first = f"{width * bucket // buckets:04x}" if bucket else ""
    last = f"{width * (bucket + 1) // buckets:04x}" if bucket + 1 < buckets else "~"
    return first, last
