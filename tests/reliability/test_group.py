"""A group of workers between a real broker and PostgreSQL: killed, frozen, stopped, cut off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

import pytest

from consumers.stream import Sink
from leadflow.simulate import Envelope, market_for_events, simulate, to_json
from leadflow.store.base import Store
from tests.kafka.fixtures import create_topic
from tests.kafka.server import Server
from tests.reliability import kit

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 4
KILLS = 20


class Group:
    """Workers that read one topic into one database, each a process."""

    def __init__(self, servers: str, topic: str, url: str, folder: Path) -> None:
        words = [servers, topic, f"{topic}-group", url]
        self.folder = folder
        self.logs: dict[int, Path] = {}
        self.living: set[int] = set()
        self.parent = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.member", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words: object) -> int:
        """Say a line to the parent of the members; return its answer."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        print(*words, file=self.parent.stdin, flush=True)
        return int(self.parent.stdout.readline())

    def start(self, freeze: int = 0) -> int:
        """Start a member, which stops itself before writing batch *freeze*; return its id."""
        path = self.folder / f"member-{len(self.logs)}.log"
        path.touch()
        member = self.ask("start", path, freeze)
        self.logs[member] = path
        self.living.add(member)
        return member

    def said(self, member: int) -> str:
        """Return what the member has written so far."""
        return self.logs[member].read_text()

    def is_ready(self, member: int) -> bool:
        """Return whether the member has stored something."""
        return "ready" in self.said(member).splitlines()

    def ended(self, member: int) -> int:
        """Wait for the member to end; return its exit code."""
        code = self.ask("wait", member)
        self.living.discard(member)
        return code

    def end(self) -> None:
        """End whoever is left."""
        for member in self.living:
            os.kill(member, signal.SIGKILL)
        self.parent.communicate()


def until(holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Wait until *holds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def send(sink: Sink, topic: str, events: Sequence[Envelope]) -> None:
    """Send *events* as producers would: one key, one partition."""
    for event in events:
        sink.send(
            topic,
            event.key.encode(),
            to_json(event.event),
            timestamp_ms=event.arrived_at // 1_000,
        )


def reached(store: Store, topic: str) -> int:
    """Return how many records of *topic* are stored."""
    return sum(store.positions(topic).values())


def has_moved(store: Store, topic: str, before: int) -> bool:
    """Return whether more is stored than *before*."""
    return reached(store, topic) > before


def market(count: int) -> list[Envelope]:
    """Return *count* simulated events in order of arrival."""
    return list(simulate(market_for_events(count, seed=3)).first(count).events)


def check_counted_once(store: Store, events: Sequence[Envelope]) -> None:
    """Assert that each event counts once, and that people come out as without any trouble."""
    facts = kit.facts_of(store)
    ids = [(fact.source, fact.id) for fact in facts]
    wanted = {(str(event.event["source"]), str(event.event["id"])) for event in events}
    assert len(ids) == len(set(ids))
    assert wanted == set(ids)
    assert store.counts()["dead_letters"] == 0
    leads = kit.leads_in(store)
    of_lead = {key: lead for lead, state in leads.items() for f in state.facts for key in f.keys}
    assert len(of_lead) == store.counts()["identifiers"]
    assert store.leads_of(of_lead) == of_lead


@pytest.fixture
def group(broker: str, topic: str, postgres_copy: str, tmp_path: Path) -> Iterator[Group]:
    """Give a group without members on the shared broker."""
    made = Group(broker, topic, postgres_copy, tmp_path)
    yield made
    made.end()


@pytest.fixture
def store(postgres_copy: str) -> Iterator[Store]:
    """Give the group's store."""
    with kit.opened(postgres_copy) as made:
        yield made


def test_a_member_of_three_killed_twenty_times_loses_and_doubles_nothing(
    group: Group, store: Store, broker: str, topic: str
) -> None:
    events = market(21_000)
    draw = Random(5)
    alive = [group.start() for _ in range(3)]
    kills = sent = 0
    with Sink(broker) as sink:
        while kills < KILLS or sent < len(events):
            before = reached(store, topic)
            send(sink, topic, events[sent : sent + 1_000])
            sent = min(sent + 1_000, len(events))
            sink.flush()
            until(partial(has_moved, store, topic, before), "progress")
            if kills < KILLS:
                until(lambda: any(map(group.is_ready, alive)), "a member that works")
                victim = draw.choice([member for member in alive if group.is_ready(member)])
                os.kill(victim, signal.SIGKILL)
                assert group.ended(victim) == -signal.SIGKILL
                kills += 1
                alive.remove(victim)
                alive.append(group.start())
            send(sink, topic, events[sent : sent + 50])  # the killed member's share is read again
            sent = min(sent + 50, len(events))
    until(lambda: reached(store, topic) == len(events), "the end of the log")
    assert kills == KILLS
    for member in alive:
        os.kill(member, signal.SIGTERM)
    assert [group.ended(member) for member in alive] == [0, 0, 0]
    check_counted_once(store, events)


def test_a_stopped_worker_ends_in_good_order_and_another_goes_on(
    group: Group, store: Store, broker: str, topic: str
) -> None:
    events = market(6_000)
    with Sink(broker) as sink:
        send(sink, topic, events)
    first = group.start()
    until(lambda: group.is_ready(first), "the first batch")
    os.kill(first, signal.SIGTERM)
    assert group.ended(first) == 0

    *_, last = group.said(first).splitlines()
    assert last == f"stopped {reached(store, topic)}"
    second = group.start()
    until(lambda: reached(store, topic) == len(events), "the end of the log")
    os.kill(second, signal.SIGTERM)
    assert group.ended(second) == 0
    check_counted_once(store, events)


def test_a_zombie_is_fenced_and_writes_nothing(
    group: Group, store: Store, broker: str, topic: str
) -> None:
    """It was frozen before a commit for longer than the group waits; others went on meanwhile."""
    events = market(4_000)
    with Sink(broker) as sink:
        send(sink, topic, events)
    zombie = group.start(freeze=2)
    until(lambda: group.is_ready(zombie), "the first batch")
    heir = group.start()
    until(lambda: reached(store, topic) == len(events), "the end of the log")
    before = kit.digest(store)
    os.kill(zombie, signal.SIGCONT)
    until(lambda: "worker.fenced" in group.said(zombie), "the fence")

    assert before == kit.digest(store)
    for member in (zombie, heir):
        os.kill(member, signal.SIGTERM)
        assert group.ended(member) == 0
    check_counted_once(store, events)


def test_what_the_broker_acknowledged_is_stored_through_a_freeze_and_a_restart(
    own_kafka: Server, store: Store, postgres_copy: str, tmp_path: Path
) -> None:
    events = market(6_000)
    topic = create_topic(own_kafka.bootstrap_servers, PARTITIONS)
    group = Group(own_kafka.bootstrap_servers, topic, postgres_copy, tmp_path)
    members = [group.start() for _ in range(2)]
    try:
        with Sink(own_kafka.bootstrap_servers) as sink:
            send(sink, topic, events[:2_000])
            until(lambda: reached(store, topic) > 0, "progress")
            own_kafka.freeze()
            send(sink, topic, events[2_000:4_000])
            time.sleep(2)  # longer than the members' session
            own_kafka.thaw()
            sink.flush()
            before = reached(store, topic)
            if own_kafka.is_apache:  # Tansu keeps its log in memory
                own_kafka.restart()
            send(sink, topic, events[4_000:])
            sink.flush()
            assert sink.delivered == len(events)
            until(partial(has_moved, store, topic, before), "progress after the restart")
        until(lambda: reached(store, topic) == len(events), "the end of the log")
        for member in members:
            os.kill(member, signal.SIGTERM)
        assert [group.ended(member) for member in members] == [0, 0], list(map(group.said, members))
    finally:
        group.end()
    check_counted_once(store, events)
