"""A worker: one member of the consumer group, from its partitions into the event store.

The SQL position is the truth: partitions are claimed when they are assigned, read from there, and
moved in the transaction that stores what was read. The broker is told afterwards, for tools.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import stamina
import structlog

from consumers.cluster import BrokerUnavailable, KafkaSettings, LogMismatch
from consumers.intake import Intake, Outcome
from consumers.ledger import Claim, Conflict, Fenced, Ledger, StoreBroken, StoreUnavailable
from consumers.stream import Record, Source

_log = structlog.get_logger(__name__)

MOST_FENCED: Final = 5
"""How often in a row a worker may be fenced and join anew, before it gives up."""

_JOIN_PATIENCE: Final = 30.0
"""Seconds that joining the group may take before a worker without partitions counts as idle."""

_POLL_MS: Final = 200
"""How long one poll waits: also how late a stop is noticed."""


class Clusters(Protocol):
    """Where the identity of the log is kept that positions belong to."""

    def cluster_of(self, stream: str) -> str | None:
        """Return the log that *stream* was read from."""

    def set_cluster(self, stream: str, cluster_id: str) -> None:
        """Remember the log that *stream* is read from."""

    def restart(self, stream: str) -> None:
        """Put the positions of *stream* back to 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much a worker takes on at a time."""

    batch: int = 5_000
    """Records in a transaction at most."""
    linger: float = 0.25
    """Seconds to wait for a batch to fill."""
    retry_first: float = 0.2
    """Seconds before the first retry after the database failed; doubles, with jitter."""
    retry_most: float = 5.0
    """Seconds between two retries at most."""


class Interrupted(Exception):
    """The worker was told to stop before it could store what it had read; nothing is lost."""


class _Unclaimed(Exception):
    """Partitions were given to us that could not be claimed, since the database was away."""


class Worker:
    """Reads a topic into the store until it is told to stop.

    Raises what needs a person: LogMismatch, TopicMissing, StoreBroken, BrokerUnavailable at the
    start. A database that is away is waited for, and so is a broker later on; nothing is skipped.
    """

    def __init__(
        self,
        ledger: Ledger,
        clusters: Clusters,
        intake: Intake,
        kafka: KafkaSettings,
        topic: str,
        group: str,
        *,
        pace: Pace | None = None,
        session_timeout_ms: int = 45_000,
        accept_new_log: bool = False,
    ) -> None:
        self._ledger = ledger
        self._clusters = clusters
        self._intake = intake
        self._kafka = kafka
        self._topic = topic
        self._group = group
        self._pace = pace or Pace()
        self._session_timeout_ms = session_timeout_ms
        self._accept_new_log = accept_new_log
        self._claims: dict[int, Claim] = {}
        self._waiting: dict[int, list[Record]] = {}

    def run(
        self,
        stop: threading.Event,
        *,
        idle: float | None = None,
        on_progress: Callable[[Outcome], object] = lambda _: None,
    ) -> Outcome:
        """Consume until *stop* is set, or until no record came for *idle* seconds.

        Returns what became of the records; *on_progress* is told after each batch.
        """
        total = Outcome()
        joined = False
        fenced = away = 0
        while not stop.is_set():
            try:
                with self._source() as source:
                    joined = True
                    for outcome in self._batches(source, stop, idle):
                        fenced = away = 0
                        total.add(outcome)
                        on_progress(total)
                break
            except Fenced:
                # The group gave the partition to somebody else while we were away: join anew.
                fenced += 1
                _log.warning("worker.fenced", topic=self._topic, times=fenced)
                if fenced == MOST_FENCED:
                    raise
                stop.wait(self._pace.retry_first * fenced)
            except (_Unclaimed, StoreUnavailable, BrokerUnavailable) as error:
                if isinstance(error, StoreBroken):
                    raise
                if isinstance(error, BrokerUnavailable) and not joined:
                    raise
                _log.warning("worker.waiting", topic=self._topic, reason=str(error))
                stop.wait(min(self._pace.retry_first * 2**away, self._pace.retry_most))
                away += 1
        return total

    # --- assignment ---

    def _source(self) -> Source:
        self._claims.clear()
        self._waiting.clear()
        source = Source(
            self._kafka,
            self._topic,
            self._group,
            positions=self._assigned,
            revoked=self._revoked,
            session_timeout_ms=self._session_timeout_ms,
        )
        try:
            self._check_log(source)
        except BaseException:
            source.close()
            raise
        return source

    def _check_log(self, source: Source) -> None:
        """Refuse a log that is not the one our positions belong to."""
        log = f"{source.cluster_id()}/{source.topic_id()}"
        known = self._clusters.cluster_of(self._topic)
        if known == log:
            return
        if known is not None:
            if not self._accept_new_log:
                raise LogMismatch(
                    self._topic,
                    None,
                    None,
                    None,
                    None,
                    f"its positions belong to another log ({known}; this one is {log}): the broker"
                    " was replaced or the topic made anew. Read the new one from its start with"
                    " --accept-new-log; what was stored stays and counts once",
                )
            self._clusters.restart(self._topic)
        self._clusters.set_cluster(self._topic, log)

    def _assigned(self, partitions: Collection[int]) -> Mapping[int, int]:
        try:
            claims = self._ledger.claim(self._topic, sorted(partitions))
        except StoreBroken:
            raise
        except StoreUnavailable as error:
            # The source cannot be used after this, so the worker has to join anew.
            raise _Unclaimed(str(error)) from error
        self._claims.update(claims)
        for partition in partitions:
            self._waiting.pop(partition, None)
        # Leads may have changed while other workers had these partitions.
        self._intake.forget()
        _log.info("worker.assigned", topic=self._topic, partitions=sorted(partitions))
        return {part: claim.position for part, claim in claims.items() if claim.position}

    def _revoked(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._claims.pop(partition, None)
            self._waiting.pop(partition, None)
        _log.info("worker.revoked", topic=self._topic, partitions=sorted(partitions))

    # --- batches ---

    def _batches(
        self, source: Source, stop: threading.Event, idle: float | None
    ) -> Iterator[Outcome]:
        quiet_since = time.monotonic()
        joining_until = quiet_since + _JOIN_PATIENCE
        while not stop.is_set():
            count = self._gather(source, stop)
            if not self._claims:
                # Still joining: a topic cannot be quiet before anybody listens. (A member may be
                # left without partitions for good, so this patience has an end.)
                quiet_since = max(quiet_since, min(time.monotonic(), joining_until))
            if count:
                quiet_since = time.monotonic()
                yield self._store(source, stop)
            elif idle is not None and time.monotonic() - quiet_since >= idle:
                return

    def _gather(self, source: Source, stop: threading.Event) -> int:
        """Poll until a batch is full or old enough; return how many records wait."""
        deadline: float | None = None
        while not stop.is_set():
            waiting = sum(map(len, self._waiting.values()))
            room = self._pace.batch - waiting
            if room <= 0:
                break
            for record in source.poll(room, _POLL_MS):
                self._waiting.setdefault(record.partition, []).append(record)
            if not self._waiting:
                break
            now = time.monotonic()
            deadline = deadline or now + self._pace.linger
            if now >= deadline:
                break
        return sum(map(len, self._waiting.values()))

    def _store(self, source: Source, stop: threading.Event) -> Outcome:
        """Store what waits, as one batch, and move the positions."""
        batch, self._waiting = self._waiting, {}
        records = [record for part in sorted(batch) for record in batch[part]]
        moves = {
            (self._topic, part): (
                self._claims[part].position,
                waiting[-1].position + 1,
                self._claims[part].epoch,
            )
            for part, waiting in batch.items()
        }
        outcome = self._persist(source, stop, records, moves)
        reached = {part: new for (_, part), (_, new, _) in moves.items()}
        for part, position in reached.items():
            if part in self._claims:
                self._claims[part] = Claim(position, self._claims[part].epoch)
        source.commit(reached)
        return outcome

    def _persist(
        self,
        source: Source,
        stop: threading.Event,
        records: list[Record],
        moves: Mapping[tuple[str, int], tuple[int, int, int]],
    ) -> Outcome:
        """Process the batch, waiting for the database, and for other workers, as long as it takes.

        After a failure the outcome of the commit is unknown: the positions tell it.
        """
        tried = False
        for attempt in stamina.retry_context(
            on=lambda error: (
                isinstance(error, StoreUnavailable | Conflict)
                and not isinstance(error, StoreBroken)
            ),
            attempts=None,
            timeout=None,
            wait_initial=self._pace.retry_first,
            wait_max=self._pace.retry_most,
        ):
            with attempt:
                if tried:
                    if stop.is_set():
                        raise Interrupted(
                            "stopped while the database was away; what was read is not stored and"
                            " will be read again"
                        )
                    self._stay(source)
                    if self._is_stored(moves):
                        _log.info("store.commit_confirmed", records=len(records))
                        return self._intake.attempted
                tried = True
                return self._intake.process(records, moves)
        raise AssertionError("retrying has no end")

    def _is_stored(self, moves: Mapping[tuple[str, int], tuple[int, int, int]]) -> bool:
        """Return whether the commit whose answer was lost took place."""
        reached = self._ledger.positions(self._topic)
        return all(reached.get(part) == new for (_, part), (_, new, _) in moves.items())

    def _stay(self, source: Source) -> None:
        """Poll once, paused: a member that does not poll is taken for dead."""
        source.pause()
        try:
            for record in source.poll(1, 0):
                self._waiting.setdefault(record.partition, []).append(record)
        finally:
            source.resume()
