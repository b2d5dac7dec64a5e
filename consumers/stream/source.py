"""Read a topic as a member of a consumer group."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import structlog
from kafka import (
    ConsumerRebalanceListener,
    KafkaConsumer,
    OffsetAndMetadata,
    TopicPartition,
)
from kafka.coordinator.assignors.cooperative_sticky import (
    CooperativeStickyAssignor,
)
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
)

from consumers.cluster import KafkaSettings, LogMismatch, StreamError, TopicMissing
from consumers.stream.client import CLOSE_MS, UNREACHED, known_errors, opening, settings_of
from consumers.unpack import Record, install, records_of

_log = structlog.get_logger(__name__)

_SLICE_MS: Final = 100
"""How long one poll of the library may wait: an assignment made inside it is seen at its end."""


class Source:
    """Read one topic as a member of a consumer group.

    `positions` is asked for the next position of partitions just assigned; a partition it leaves
    out was never read and starts at the log's first record. `revoked` hears of partitions that are
    gone. Both are called in the thread that polls, inside `poll`, before it returns a record that
    was read after the change. What either raises comes out of `poll`, and the source then stays
    unusable, so that no record is read from a place nobody chose.

    Partitions move cooperatively (sticky): a member that joins or leaves stops only the partitions
    that move, and the others keep their caches of leads.

    A source belongs to one thread.

    Args:
        settings: Where the brokers are; a plain string is its bootstrap servers.
        topic: The topic to read; it must exist.
        group: The consumer group.
        positions: Answers {partition: next position} for the partitions given.
        revoked: Told which partitions this member no longer reads.
        session_timeout_ms: How long the group waits for a silent member. Tansu takes half of it to
            let a member join: 1,000 to 3,000 there.
        max_poll_interval_ms: How long one batch may take between two polls.
        group_instance_id: A lasting name of this member (static membership): a restart within the
            session timeout then moves no partition.

    Raises:
        BrokerUnavailable: no broker answers within `settings.connect_timeout_ms`.
        TopicMissing: the topic does not exist.
    """

    def __init__(
        self,
        settings: KafkaSettings | str,
        topic: str,
        group: str,
        *,
        positions: Callable[[Collection[int]], Mapping[int, int]],
        revoked: Callable[[Collection[int]], object] = lambda _: None,
        session_timeout_ms: int = 45_000,
        max_poll_interval_ms: int = 300_000,
        group_instance_id: str | None = None,
    ) -> None:
        self._settings = settings_of(settings)
        self.topic = topic
        self._positions = positions
        self._revoked = revoked
        self._changes: deque[tuple[bool, frozenset[int]]] = deque()
        self._assigned: set[int] = set()
        self._next: dict[int, int] = {}
        self._committing: dict[int, int] = {}
        self._paused = False
        self._failure: BaseException | None = None
        with known_errors(self._settings), opening(self._settings) as options:
            self._consumer: Any = KafkaConsumer(
                **options,
                group_id=group,
                group_instance_id=group_instance_id,
                # Positions are the caller's. With "none" a position outside the log is an error;
                # "earliest" would silently read a recreated log, or skip what expired unread.
                auto_offset_reset="none",
                enable_auto_commit=False,
                allow_auto_create_topics=False,
                partition_assignment_strategy=[CooperativeStickyAssignor],
                session_timeout_ms=session_timeout_ms,
                heartbeat_interval_ms=min(3_000, session_timeout_ms // 3),
                max_poll_interval_ms=max_poll_interval_ms,
                # Also how long a topic that was made anew may go unnoticed.
                metadata_max_age_ms=60_000,
                metrics_enabled=False,
            )
            self._cluster: Any = options["kafka_client"].made.cluster
            if not self._consumer.partitions_for_topic(topic):
                raise TopicMissing(topic, self._settings.bootstrap_servers)
            install(self._consumer)
            self._consumer.subscribe([topic], listener=_Listener(self))
        self._topic_id = self.topic_id()

    def poll(self, max_records: int = 5_000, timeout_ms: int = 1_000) -> list[Record]:
        """Return records, those of one partition together and in the order of their positions.

        Waits up to `timeout_ms` for the first; an empty list means there were none. Must be called
        more often than `max_poll_interval_ms`, also while paused; heartbeats need no call.

        Raises:
            LogMismatch: a position lies outside the broker's log, or the topic was recreated.
            StreamError: Kafka failed. A broker that is away is no error: the list is empty.
        """
        if self._failure is not None:
            raise self._failure
        deadline = time.monotonic() + timeout_ms / 1_000
        while True:
            left = max(0, int((deadline - time.monotonic()) * 1_000))
            with known_errors(self._settings):
                try:
                    batches = self._consumer.poll(min(left, _SLICE_MS), max_records=max_records)
                except OffsetOutOfRangeError as error:
                    raise self._outside(error.args[0]) from error
                except LogTruncationError as error:
                    raise self._truncated(error.divergent_offsets) from error
                except UNREACHED as error:
                    # Mostly the client waits for a lost broker in silence; sometimes it says so.
                    _log.info("broker.away", topic=self.topic, error=repr(error))
                    time.sleep(min(left, _SLICE_MS) / 1_000)
                    batches = {}
            self._finish_join()
            self._tell_changes()
            self._check_topic()
            if batches:
                return self._records(batches)
            if left == 0:
                self._check_ends()
                return []

    def _finish_join(self) -> None:
        """Have the client wait for a join that it began and does not ask about any more.

        kafka-python 3.0.12 gives a join up for the moment when a short poll ends. If its reason to
        join is gone by the next one, nobody waits for the answer again: heartbeats stay off, every
        commit is refused, and the group drops the member in the end.
        """
        coordinator: Any = getattr(self._consumer, "_coordinator", None)
        if getattr(coordinator, "rejoining", False) and not coordinator.need_rejoin():
            coordinator.request_rejoin()

    def pause(self) -> None:
        """Stop fetching, stay in the group; keep calling `poll`, which then returns nothing."""
        self._paused = True
        self._consumer.pause(*self._parts(self._assigned))

    def resume(self) -> None:
        """Fetch again after `pause`."""
        self._paused = False
        self._consumer.resume(*self._parts(self._assigned))

    def commit(self, positions: Mapping[int, int]) -> None:
        """Tell the broker the next positions, for tools that show lag; never raises for Kafka.

        Nothing reads them back. A failure (a rebalance, a broker that is away) is logged.
        """
        kept = {part: position for part, position in positions.items() if part in self._assigned}
        if not kept:
            return
        self._committing |= kept
        try:
            self._consumer.commit_async(self._offsets(kept), callback=self._committed)
        except KafkaError as error:
            self._committed(kept, error)

    def assigned(self) -> frozenset[int]:
        """Return the partitions this member reads now."""
        return frozenset(self._assigned)

    def end_positions(self) -> dict[int, int]:
        """Return the position after the last record of each assigned partition, for showing lag.

        Tansu answers too little here, mended only by what was read: never read "until the end".

        Raises:
            StreamError: Kafka failed or did not answer.
        """
        with known_errors(self._settings):
            answer = self._consumer.end_offsets(
                self._parts(self._assigned), timeout_ms=self._settings.connect_timeout_ms
            )
        return {
            part.partition: max(
                end, self._consumer.highwater(part) or 0, self._next.get(part.partition, 0)
            )
            for part, end in answer.items()
        }

    def cluster_id(self) -> str | None:
        """Return the cluster's own id, to notice that the address leads to another cluster."""
        found: str | None = self._cluster.cluster_id
        return found

    def topic_id(self) -> str | None:
        """Return the topic's own id, which changes when the topic is deleted and made anew."""
        found = self._cluster.topic_id(self.topic)
        return None if found is None or found.int == 0 else str(found)

    def close(self) -> None:
        """Leave the group; what was last given to `commit` is committed first, if that works."""
        last = {part: at for part, at in self._committing.items() if part in self._assigned}
        try:
            if last:
                self._consumer.commit(self._offsets(last), timeout_ms=CLOSE_MS)
        except KafkaError as error:
            self._committed(last, error)
        self._consumer.close(timeout_ms=CLOSE_MS)
        if self._failure is None:
            self._tell_changes()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _assignment_made(self, parts: Iterable[Any]) -> None:
        """Park new partitions; called on the library's own thread, while `poll` waits for it.

        The caller's database belongs to the thread that polls, so asking for positions has to
        wait. A parked partition is paused and has a position, so that the library neither fetches
        from it nor looks up the broker's committed offset.
        """
        for part in parts:
            self._consumer.pause(part)
            self._consumer.seek(part, 0)
        self._changes.append((True, frozenset(part.partition for part in parts)))

    def _assignment_lost(self, parts: Iterable[Any]) -> None:
        self._changes.append((False, frozenset(part.partition for part in parts)))

    def _tell_changes(self) -> None:
        try:
            while self._changes:
                made, parts = self._changes.popleft()
                if made:
                    self._begin(parts)
                else:
                    self._end(parts)
        except BaseException as error:
            self._failure = error
            raise

    def _begin(self, partitions: frozenset[int]) -> None:
        held = {part.partition for part in self._consumer.assignment()}
        known = self._positions(partitions)
        for partition in sorted(partitions & held):
            part = TopicPartition(self.topic, partition)
            position = known.get(partition)
            if position is None:
                self._consumer.seek_to_beginning(part)
                self._next.pop(partition, None)
            else:
                self._consumer.seek(part, position)
                self._next[partition] = position
            self._assigned.add(partition)
            if not self._paused:
                self._consumer.resume(part)
        _log.info(
            "partitions.assigned",
            topic=self.topic,
            positions={partition: known.get(partition) for partition in sorted(partitions)},
        )

    def _end(self, partitions: frozenset[int]) -> None:
        self._assigned -= partitions
        for partition in partitions:
            self._next.pop(partition, None)
            self._committing.pop(partition, None)
        _log.info("partitions.revoked", topic=self.topic, partitions=sorted(partitions))
        self._revoked(partitions)

    def _records(self, batches: Mapping[Any, Sequence[Any]]) -> list[Record]:
        found: list[Record] = []
        for part, batch in batches.items():
            records = records_of(batch)
            expected = self._next.get(part.partition, 0)
            if part.partition not in self._assigned or records[0].position < expected:
                # The client believes these were taken, so going on would leave a gap.
                self._failure = StreamError(
                    f"{part.topic} partition {part.partition}: Kafka's client returned "
                    f"position {records[0].position} where {expected} was to come; "
                    "open the source again"
                )
                raise self._failure
            self._next[part.partition] = records[-1].position + 1
            found += records
        return found

    def _outside(self, fetched: Mapping[Any, int]) -> LogMismatch:
        part, position = next(iter(fetched.items()))
        wait = self._settings.connect_timeout_ms
        start = int(self._consumer.beginning_offsets([part], timeout_ms=wait)[part])
        end = int(self._consumer.end_offsets([part], timeout_ms=wait)[part])
        return self._mismatch(part.partition, position, start, end)

    def _check_ends(self) -> None:
        """Notice a log that ends before our position where the broker does not say so itself.

        Tansu answers such a fetch with nothing. The fetch's end of the log alone proves little
        (after a change of leader it lags for a moment), so the broker is asked for it as well.
        """
        for part in self._parts(self._assigned):
            position = self._next.get(part.partition)
            seen = self._consumer.highwater(part)
            if position is None or seen is None or seen >= position:
                continue
            wait = self._settings.connect_timeout_ms
            with known_errors(self._settings):
                end = int(self._consumer.end_offsets([part], timeout_ms=wait)[part])
                start = int(self._consumer.beginning_offsets([part], timeout_ms=wait)[part])
            if end < position:
                raise self._mismatch(part.partition, position, start, max(seen, end))

    def _mismatch(self, partition: int, position: int, start: int, end: int) -> LogMismatch:
        why = (
            "records expired before they were read; they are lost to this log (a longer retention "
            "keeps them next time)"
            if position < start
            else "the log is shorter than what was read: it was cut, or is another log under the "
            "same name (a recreated topic, another cluster)"
        )
        return LogMismatch(self.topic, partition, position, start, end, why)

    def _truncated(self, divergent: Mapping[Any, Any]) -> LogMismatch:
        part, common = next(iter(divergent.items()))
        return LogMismatch(
            self.topic,
            part.partition,
            self._next.get(part.partition),
            None,
            None,
            "the broker rolled back records that were read (an unclean leader election)"
            + ("" if common is None else f"; both agree up to {common.offset}"),
        )

    def _check_topic(self) -> None:
        now = self.topic_id()
        if now is not None and self._topic_id is not None and now != self._topic_id:
            raise LogMismatch(
                self.topic, None, None, None, None, "the topic was deleted and made anew"
            )

    def _parts(self, partitions: Iterable[int]) -> list[Any]:
        return [TopicPartition(self.topic, partition) for partition in sorted(partitions)]

    def _offsets(self, positions: Mapping[int, int]) -> dict[Any, Any]:
        return {
            TopicPartition(self.topic, partition): OffsetAndMetadata(position, "", -1)
            for partition, position in positions.items()
        }

    def _committed(self, _offsets: object, answer: object) -> None:
        if isinstance(answer, BaseException):
            _log.info("positions.commit_failed", topic=self.topic, error=repr(answer))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # its base is untyped
    """Hand the library's callbacks to a source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._source._assignment_made(assigned)  # noqa: SLF001 -- one class in two halves

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._source._assignment_lost(revoked)  # noqa: SLF001 -- the same
