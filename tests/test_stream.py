"""What a source and a sink promise, on a real broker: Apache Kafka where it can be had."""

import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from consumers.stream import (
    BrokerUnavailable,
    DeliveryFailed,
    KafkaSettings,
    LogMismatch,
    Record,
    Sink,
    Source,
    StreamError,
    TopicMissing,
    describe,
    ensure_topics,
)
from tests.kafka import member
from tests.kafka.fixtures import PARTITIONS, ProxiedBroker, create_topic
from tests.kafka.proxy import Mode
from tests.kafka.server import Server

pytestmark = pytest.mark.kafka

Read = Callable[..., Source]


@pytest.fixture
def read(broker: str, topic: str) -> Iterator[Read]:
    """Open sources on the shared broker that start at the positions given."""
    opened: list[Source] = []

    def open_source(at: Mapping[int, int] | None = None, group: str = "group") -> Source:
        source = Source(
            broker,
            topic,
            f"{topic}-{group}",
            positions=lambda _: at or {},
            session_timeout_ms=1_500,
        )
        opened.append(source)
        return source

    yield open_source
    for source in opened:
        source.close()


def take(source: Source, count: int, *, polls: int = 300) -> list[Record]:
    """Read until there are `count` records, and fail where they do not come."""
    found: list[Record] = []
    for _ in range(polls):
        found += source.poll(timeout_ms=100)
        if len(found) >= count:
            return found
    pytest.fail(f"{len(found)} of {count} records came")


def fill(broker: str, topic: str, count: int, partition: int | None = None) -> None:
    with Sink(broker) as sink:
        for number in range(count):
            sink.send(topic, b"%d" % number, b"value %d" % number, partition=partition)


# --- reading -----------------------------------------------------------------------------------


def test_what_is_sent_is_what_is_read(broker: str, topic: str, read: Read) -> None:
    with Sink(broker) as sink:
        sink.send(topic, b"k", b"v", [("a", b"1"), ("a", b"")], 2, 1_700_000_000_123)
        sink.send(topic, None, b"", partition=2, timestamp_ms=1)
        sink.send(topic, b"k", None, partition=2, timestamp_ms=0)

    assert take(read(), 3) == [
        Record(topic, 2, 0, 1_700_000_000_123_000, b"k", b"v", (("a", b"1"), ("a", b""))),
        Record(topic, 2, 1, 1_000, None, b"", ()),
        Record(topic, 2, 2, 0, b"k", None, ()),
    ]


def test_a_source_starts_at_the_callers_positions_whatever_the_broker_has_committed(
    broker: str, topic: str, read: Read
) -> None:
    fill(broker, topic, 10, partition=0)
    fill(broker, topic, 10, partition=1)
    with read({0: 0, 1: 0}) as first:
        take(first, 20)
        first.commit({0: 10, 1: 10})

    found = take(read({0: 7}), 13)

    assert Counter(r.partition for r in found) == {0: 3, 1: 10}
    assert min(r.position for r in found if r.partition == 0) == 7


def test_the_broker_is_told_what_was_committed(broker: str, topic: str, read: Read) -> None:
    fill(broker, topic, 5, partition=3)
    with read() as source:
        take(source, 5)
        source.commit({3: 5, 99: 1})

    admin = KafkaAdminClient(bootstrap_servers=broker)
    with closing(admin):
        told = admin.list_group_offsets([f"{topic}-group"])[f"{topic}-group"]
    assert {part.partition: at.offset for part, at in told.items() if at.offset >= 0} == {3: 5}


def test_callbacks_come_in_the_polling_thread_before_any_record(broker: str, topic: str) -> None:
    fill(broker, topic, 5, partition=0)
    here, told = threading.get_ident(), list[tuple[str, tuple[int, ...], int]]()

    def positions(partitions: Collection[int]) -> Mapping[int, int]:
        told.append(("assigned", tuple(sorted(partitions)), threading.get_ident()))
        return {}

    def revoked(partitions: Collection[int]) -> None:
        told.append(("revoked", tuple(sorted(partitions)), threading.get_ident()))

    with Source(
        broker, topic, topic, positions=positions, revoked=revoked, session_timeout_ms=1_500
    ) as source:
        take(source, 5)
        assert told == [("assigned", (0, 1, 2, 3), here)]
    assert told[1:] == [("revoked", (0, 1, 2, 3), here)]


def test_a_source_whose_positions_cannot_be_had_reads_nothing_ever(broker: str, topic: str) -> None:
    fill(broker, topic, 5)

    def positions(_: Collection[int]) -> Mapping[int, int]:
        raise sqlite3.OperationalError("database is locked")

    with Source(broker, topic, topic, positions=positions, session_timeout_ms=1_500) as source:
        for _ in range(3):
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                take(source, 1)


def test_a_paused_source_reads_nothing_and_stays_a_member(
    broker: str, topic: str, read: Read
) -> None:
    fill(broker, topic, 20)
    source = read()
    source.pause()
    # Longer than the session timeout: heartbeats go on.
    assert [source.poll(timeout_ms=200) for _ in range(12)] == [[]] * 12
    assert source.assigned() == {0, 1, 2, 3}

    source.resume()

    assert len(take(source, 20)) == 20
    source.pause()
    fill(broker, topic, 5)
    assert source.poll(timeout_ms=300) == []
    source.resume()
    assert len(take(source, 5)) == 5


def test_the_end_of_the_log_and_the_identities_are_known(
    broker: str, topic: str, read: Read
) -> None:
    fill(broker, topic, 6, partition=1)
    source = read()
    take(source, 6)

    assert source.end_positions() == {0: 0, 1: 6, 2: 0, 3: 0}
    assert source.cluster_id() == describe(broker).cluster_id
    assert source.topic_id()


def test_a_member_killed_takes_no_record_with_it(broker: str, topic: str, tmp_path: Path) -> None:
    """Positions move with the data, so the member that is left reads on where the other ended."""
    ledger, count = tmp_path / "ledger.db", 10_000
    fill(broker, topic, count)
    arguments = [sys.executable, "-m", "tests.kafka.member", broker, topic, topic, str(ledger)]
    with (
        closing(member.open_ledger(ledger)) as database,
        subprocess.Popen(arguments, cwd=Path(__file__).parents[1]) as other,
    ):
        try:
            while not database.execute("select 1 from seen limit 1").fetchone():
                assert other.poll() is None
                threading.Event().wait(0.01)
            with Source(
                broker,
                topic,
                topic,
                positions=lambda partitions: member.positions(database, partitions),
                session_timeout_ms=1_500,
            ) as source:
                while not source.assigned():
                    member.keep(database, source.poll(50, 100), "survivor")
                other.kill()
                while database.execute("select count(*) from seen").fetchone()[0] < count:
                    member.keep(database, source.poll(500, 500), "survivor")
        finally:
            other.kill()
        rows = database.execute("select partition, position, key from seen").fetchall()
        readers = {reader for (reader,) in database.execute("select distinct reader from seen")}

    assert readers == {"member", "survivor"}
    assert sorted(int(key) for _, _, key in rows) == list(range(count))
    for partition in range(PARTITIONS):
        found = sorted(position for part, position, _ in rows if part == partition)
        assert found == list(range(len(found)))


# --- a log that is not ours --------------------------------------------------------------------


def test_a_log_shorter_than_what_was_read_stops_the_source(
    broker: str, topic: str, read: Read
) -> None:
    fill(broker, topic, 10, partition=2)

    with pytest.raises(LogMismatch, match=r"partition 2: next to read is 11; .* 0 to 10") as raised:
        take(read({2: 11}), 1)

    error = raised.value
    assert (error.topic, error.partition, error.position) == (topic, 2, 11)
    assert (error.start, error.end) == (0, 10)


def test_records_that_expired_unread_stop_the_source(
    kafka: Server, broker: str, topic: str, read: Read
) -> None:
    fill(broker, topic, 10, partition=0)
    if not kafka.is_apache:
        return  # Tansu cannot delete records, so there is nothing to notice.
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        admin.delete_records({TopicPartition(topic, 0): 4})

    with pytest.raises(LogMismatch, match=r"next to read is 3; .* 4 to 10: records expired"):
        take(read({0: 3}), 1)
    assert [r.position for r in take(read({0: 4}, group="other"), 6)] == [4, 5, 6, 7, 8, 9]


def test_a_partition_never_read_starts_at_what_the_log_still_has(
    kafka: Server, broker: str, topic: str, read: Read
) -> None:
    fill(broker, topic, 10, partition=0)
    gone = 4 if kafka.is_apache else 0
    if gone:
        with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
            admin.delete_records({TopicPartition(topic, 0): gone})

    assert [r.position for r in take(read(), 10 - gone)] == list(range(gone, 10))


def test_a_topic_made_anew_is_another_log(broker: str, topic: str, read: Read) -> None:
    fill(broker, topic, 10, partition=0)
    with read() as source:
        take(source, 10)
        before = source.topic_id()
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        admin.delete_topics([topic])
    ensure_topics(broker, {topic: PARTITIONS})
    fill(broker, topic, 3, partition=0)

    again = read({0: 10})

    assert again.topic_id() not in (None, before)
    with pytest.raises(LogMismatch, match="another log under the same name"):
        take(again, 1)


def test_a_broker_killed_comes_back_with_all_it_acknowledged(own_kafka: Server) -> None:
    """A broker that is away is no error: polls are empty, and reading goes on where it was."""
    broker = own_kafka.bootstrap_servers
    topic = create_topic(broker)
    fill(broker, topic, 1_000, partition=0)
    # Asked for again where the group gave the member up meanwhile.
    at = dict[int, int]()
    with Source(broker, topic, topic, positions=lambda _: at, session_timeout_ms=1_500) as source:
        assert len(take(source, 1_000)) == 1_000
        at[0] = 1_000
        own_kafka.kill()
        source.commit({0: 1_000})
        assert source.poll(timeout_ms=500) == []
        own_kafka.start()
        if not own_kafka.is_apache:
            # Tansu forgets: reading must end with an explanation, not begin anew in silence.
            ensure_topics(broker, {topic: PARTITIONS})
            fill(broker, topic, 10, partition=0)
            with pytest.raises((LogMismatch, StreamError)):
                take(source, 1)
            return
        fill(broker, topic, 10, partition=0)

        assert [r.position for r in take(source, 10)] == list(range(1_000, 1_010))


# --- writing -----------------------------------------------------------------------------------


def keys_in_order(broker: str, topic: str, count: int) -> list[int]:
    with Source(
        broker, topic, f"{topic}-check", positions=lambda _: {}, session_timeout_ms=3_000
    ) as source:
        found = take(source, count)
        # Doubles would stand behind the last one.
        found += source.poll(timeout_ms=300)
    return [int(r.key or b"-1") for r in found]


@pytest.mark.parametrize("fault", ["freeze", "kill"])
def test_what_a_broker_acknowledged_is_in_its_log_once_and_in_order(
    own_kafka: Server, fault: str
) -> None:
    """The broker is frozen past the request timeout, or killed and restarted, amid the sending."""
    broker, count = own_kafka.bootstrap_servers, 5_000
    topic = create_topic(broker, partitions=1)
    resume = threading.Event()

    def disturb() -> None:
        if fault == "freeze" or not own_kafka.is_apache:
            own_kafka.freeze()
            resume.wait(4)
            own_kafka.thaw()
        else:
            own_kafka.kill()
            own_kafka.start()

    # Requests are given up after three seconds, so those the broker took are sent again.
    with Sink(broker, delivery_timeout_ms=60_000, linger_ms=1) as sink:
        sink._producer.config["request_timeout_ms"] = 3_000
        for number in range(count):
            sink.send(topic, b"%d" % number, b"x")
            if number == count // 2:
                other = threading.Thread(target=disturb)
                other.start()
        sink.flush()
        other.join()
        assert sink.delivered == count

    assert keys_in_order(broker, topic, count) == list(range(count))


def test_acknowledgements_lost_on_the_way_double_nothing(proxied_kafka: ProxiedBroker) -> None:
    """The broker writes, its answer is thrown away, the connection is reset, the client repeats."""
    broker, proxy, count = proxied_kafka.bootstrap_servers, proxied_kafka.proxy, 3_000
    topic = create_topic(broker, partitions=1)
    with Sink(broker, linger_ms=1) as sink:
        for number in range(count):
            sink.send(topic, b"%d" % number, b"x")
            if number in (500, 1_500, 2_500):
                proxy.mode = Mode.DROP_ANSWERS
                before = proxy.answers_dropped
                sink._producer._sender.wakeup()
                while proxy.answers_dropped == before:
                    threading.Event().wait(0.01)
                proxy.reset()
                proxy.mode = Mode.PASS
        sink.flush()
        assert sink.delivered == count

    assert proxy.answers_dropped > 0
    assert keys_in_order(broker, topic, count) == list(range(count))


def test_records_that_cannot_be_delivered_are_counted_and_the_first_error_named(
    proxied_kafka: ProxiedBroker,
) -> None:
    broker, proxy = proxied_kafka.bootstrap_servers, proxied_kafka.proxy
    topic = create_topic(broker, partitions=1)
    with Sink(broker, delivery_timeout_ms=2_000) as sink:
        sink.send(topic, b"0", b"x")
        sink.flush()
        proxy.mode = Mode.REFUSE
        for number in range(1, 8):
            sink.send(topic, b"%d" % number, b"x")
        with pytest.raises(DeliveryFailed, match="7 records were not acknowledged") as raised:
            sink.flush()
        assert raised.value.failed == 7
        assert sink.delivered == 1
        proxy.mode = Mode.PASS

        sink.send(topic, b"8", b"x")
        sink.flush()

    assert sink.delivered == 2


def test_sending_waits_while_the_buffer_is_full(proxied_kafka: ProxiedBroker) -> None:
    broker, proxy = proxied_kafka.bootstrap_servers, proxied_kafka.proxy
    topic, sent = create_topic(broker, partitions=1), list[int]()
    with Sink(broker, max_pending=50) as sink:
        sink.send(topic, b"-", b"x")
        sink.flush()
        proxy.mode = Mode.STALL

        def send() -> None:
            for number in range(200):
                sink.send(topic, b"%d" % number, b"x")
                sent.append(number)

        sender = threading.Thread(target=send)
        sender.start()
        sender.join(1)
        assert sender.is_alive()
        assert len(sent) < 50
        proxy.mode = Mode.PASS
        sender.join()
        sink.flush()

    assert sink.delivered == 201


def test_a_record_too_large_for_a_broker_is_the_callers_fault(broker: str, topic: str) -> None:
    with Sink(broker) as sink, pytest.raises(ValueError, match="too large for topic"):
        sink.send(topic, b"k", b"x" * 2_000_000)


# --- topics and addresses ----------------------------------------------------------------------


def test_topics_are_made_once_and_left_as_they_are(broker: str, topic: str) -> None:
    other = f"{topic}-other"

    assert ensure_topics(broker, {topic: 9, other: 2}) == {topic: PARTITIONS, other: 2}
    assert ensure_topics(broker, {other: 3}) == {other: 2}
    assert describe(broker).topics[other] == 2


def test_a_missing_topic_is_named_and_not_made(broker: str, topic: str) -> None:
    name = f"{topic}-nowhere"

    with pytest.raises(TopicMissing, match=f"the topic {name} does not exist at {broker}"):
        Source(broker, name, "group", positions=lambda _: {})
    assert name not in describe(broker).topics


def test_a_broker_that_is_not_there_is_named_with_what_to_do() -> None:
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", connect_timeout_ms=300)
    for attempt in (
        lambda: Sink(settings),
        lambda: Source(settings, "topic", "group", positions=lambda _: {}),
        lambda: describe(settings),
        lambda: ensure_topics(settings, {"topic": 1}),
    ):
        with pytest.raises(BrokerUnavailable, match=r"answers at 127\.0\.0\.1:1: .*start one"):
            attempt()


def test_settings_never_show_a_password() -> None:
    settings = KafkaSettings(sasl_password="hush", ssl_password="hush")

    assert "hush" not in repr(settings)
