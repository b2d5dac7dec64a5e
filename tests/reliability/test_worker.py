"""The worker waits for its database, believes its own positions, and stops when it is fenced.

The broker is a list in memory here; ``test_group`` works with a real one.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from consumers.cluster import BrokerUnavailable, KafkaSettings, LogMismatch
from consumers.intake import MAX_CONFLICTS, Intake, Outcome
from consumers.ledger import Batch, Claim, Conflict, Fenced, StoreBroken, StoreUnavailable
from consumers.unpack import Record
from consumers.worker import MOST_FENCED, Interrupted, Pace, Worker
from leadflow.store import faults
from leadflow.store.base import Store
from tests.reliability import kit

PACE = Pace(batch=4, linger=0, retry_first=0.001, retry_most=0.002)
VALUES = [kit.sent(str(n), email=f"p{n % 3}@example.com") for n in range(10)]


@dataclass
class Topic:
    """A topic of one partition, and what happens to those that read it."""

    records: list[Record]
    rejoin: list[int] = field(default_factory=list)
    """At which polls, counted from 1, the group gives the partition away and back."""
    cluster: str = "cluster"
    sources: int = 0
    polls: int = 0
    committed: list[Mapping[int, int]] = field(default_factory=list)
    down: list[BaseException] = field(default_factory=list)
    """What joining raises, before it works."""

    def source(self, *_: object, **callbacks: Any) -> "FakeSource":
        self.sources += 1
        if self.down and (error := self.down.pop(0)) is not None:
            raise error
        return FakeSource(self, **callbacks)


class FakeSource:
    """As much of a Source as the worker uses."""

    def __init__(
        self,
        topic: Topic,
        *,
        positions: Callable[[Collection[int]], Mapping[int, int]],
        revoked: Callable[[Collection[int]], object],
        session_timeout_ms: int,
    ) -> None:
        self.topic = topic
        self.positions = positions
        self.revoked = revoked
        self.next: int | None = None
        self.paused = False
        self.failure: BaseException | None = None

    def poll(self, most: int, timeout_ms: int) -> Sequence[Record]:
        if self.failure is not None:
            raise self.failure
        self.topic.polls += 1
        if self.next is not None and self.topic.polls in self.topic.rejoin:
            self.revoked([0])
            self.next = None
        if self.next is None:
            try:
                self.next = self.positions([0]).get(0, 0)
            except BaseException as error:
                self.failure = error
                raise
        if self.paused:
            return []
        found = self.topic.records[self.next : self.next + most]
        self.next += len(found)
        return found

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def commit(self, positions: Mapping[int, int]) -> None:
        self.topic.committed.append(dict(positions))

    def cluster_id(self) -> str:
        return self.topic.cluster

    def topic_id(self) -> str:
        return "topic"

    def close(self) -> None:
        self.next = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    """Give a topic of ten records in place of Kafka."""
    made = Topic(kit.records(VALUES))
    monkeypatch.setattr("consumers.worker.Source", made.source)
    return made


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    """Give an open store; what is told here does not depend on the database."""
    with kit.opened(sqlite_url) as made:
        yield made


def work(store: Store, stop: threading.Event | None = None, **options: Any) -> Outcome:
    """Let a worker read the topic until it is quiet."""
    intake = Intake(store, kit.policy())
    kafka = KafkaSettings(bootstrap_servers="nowhere.example:9092")
    worker = Worker(store, store, intake, kafka, kit.STREAM, "group", pace=PACE, **options)
    return worker.run(stop or threading.Event(), idle=0)


def check_whole(store: Store) -> None:
    """Assert that every record of the topic counts once."""
    assert [fact.id for fact in kit.facts_of(store)] == [str(n) for n in range(10)]
    assert store.positions(kit.STREAM) == {0: 10}


def failing(
    monkeypatch: pytest.MonkeyPatch, at: str, errors: Sequence[BaseException | None]
) -> list[str]:
    """Raise *errors* one after the other each time the point *at* is reached; return the reached."""
    left = list(errors)
    reached: list[str] = []

    def reach(point: str) -> None:
        reached.append(point)
        if point == at and left and (error := left.pop(0)) is not None:
            raise error

    monkeypatch.setattr(faults, "reach", reach)
    return reached


AWAY = StoreUnavailable("the database is away")


def test_a_worker_stores_all_and_tells_the_broker_afterwards(store: Store, topic: Topic) -> None:
    assert work(store) == Outcome(read=10, accepted=10, leads=3)

    check_whole(store)
    assert topic.committed == [{0: 4}, {0: 8}, {0: 10}]
    assert store.cluster_of(kit.STREAM) == "cluster/topic"


def test_the_broker_is_not_told_what_is_not_stored(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "commit", [None, RuntimeError("a bug")])
    with pytest.raises(RuntimeError, match="a bug"):
        work(store)

    assert topic.committed == [{0: 4}]
    assert work(store) == Outcome(read=6, accepted=6)
    check_whole(store)


@pytest.mark.parametrize("point", faults.POINTS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_database_that_fails_at_any_step_is_waited_for(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    """At ``committed`` the batch is stored and only the answer is lost."""
    failing(monkeypatch, point, [None, *[AWAY] * times])

    assert work(store) == Outcome(read=10, accepted=10, leads=3)
    check_whole(store)
    assert topic.sources == 1
    assert store.counts()["dead_letters"] == 0


def test_a_database_that_fails_while_partitions_are_claimed_is_waited_for(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, left = store.claim, [AWAY, AWAY]

    def fail(stream: str, partitions: Sequence[int]) -> dict[int, Claim]:
        if left:
            raise left.pop()
        return claim(stream, partitions)

    monkeypatch.setattr(store, "claim", fail)

    assert work(store).accepted == 10
    check_whole(store)
    assert topic.sources == 3


def test_a_rebalance_while_the_database_is_away_loses_nothing(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partition goes and comes back while a batch waits: what waits is no longer ours."""
    claim, left = store.claim, [None, AWAY, AWAY]

    def fail(stream: str, partitions: Sequence[int]) -> dict[int, Claim]:
        if left and (error := left.pop(0)) is not None:
            raise error
        return claim(stream, partitions)

    monkeypatch.setattr(store, "claim", fail)
    failing(monkeypatch, "seen", [None, AWAY])
    topic.rejoin = [3]

    assert work(store).accepted == 10
    check_whole(store)
    assert left == []


@pytest.mark.parametrize("point", ["commit", "committed"])
def test_a_partition_that_comes_back_while_a_batch_waits_is_read_from_its_position(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    failing(monkeypatch, point, [None, AWAY])
    topic.rejoin = [3]

    work(store)
    check_whole(store)


def test_another_workers_claim_fences_this_one(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes nothing, joins anew, and goes on from where the other one stopped."""
    commit = store.commit
    batches = 0

    def interfere(batch: Batch) -> None:
        nonlocal batches
        batches += 1
        if batches == 2:
            other = store.claim(kit.STREAM, [0])[0]
            assert other.position == 4
            Intake(store, kit.policy()).process(
                topic.records[4:6], {(kit.STREAM, 0): (4, 6, other.epoch)}
            )
        commit(batch)

    monkeypatch.setattr(store, "commit", interfere)

    assert work(store).accepted == 8
    check_whole(store)
    assert topic.sources == 2


def test_a_worker_that_is_always_fenced_gives_up(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = store.commit

    def interfere(batch: Batch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(store, "commit", commit)
            store.claim(kit.STREAM, [0])
        commit(batch)

    monkeypatch.setattr(store, "commit", interfere)

    with pytest.raises(Fenced):
        work(store)
    assert topic.sources == MOST_FENCED
    assert store.head() == 0


def test_a_stop_while_the_database_is_away_stores_nothing_and_says_so(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def fail(point: str) -> None:
        stop.set()
        raise AWAY

    monkeypatch.setattr(faults, "reach", fail)
    with pytest.raises(Interrupted, match="will be read again"):
        work(store, stop)

    assert store.head() == 0
    monkeypatch.undo()


def test_a_worker_that_is_always_second_tries_until_it_is_first(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "seen", [Conflict("another worker was first")] * (3 * MAX_CONFLICTS))

    assert work(store).accepted == 10
    check_whole(store)


def test_a_broken_database_is_not_waited_for(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "seen", [StoreBroken("the file is damaged")])

    with pytest.raises(StoreBroken):
        work(store)


def test_a_broker_that_is_away_at_the_start_is_told(store: Store, topic: Topic) -> None:
    topic.down = [BrokerUnavailable("nowhere.example:9092", "no answer")]

    with pytest.raises(BrokerUnavailable):
        work(store)


def test_another_log_under_the_same_name_is_refused_until_it_is_accepted(
    store: Store, topic: Topic
) -> None:
    work(store)
    topic.cluster = "another"
    topic.records = kit.records([b"{", *VALUES[5:], kit.sent("11", email="p1@example.com")])

    with pytest.raises(LogMismatch, match="--accept-new-log"):
        work(store)
    assert store.positions(kit.STREAM) == {0: 10}

    outcome = work(store, accept_new_log=True)
    assert outcome == Outcome(read=7, accepted=1, duplicates=5, dead_letters=1)
    assert store.positions(kit.STREAM) == {0: 7}
