"""The baselines: what the same work costs without leadflow's promises."""

import json
import sqlite3
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from domain.decay import decay
from domain.events import Fact
from domain.policy import FULL, Policy
from leadflow.store import open_store
from tests.bench.took import Took

BATCH = 2_000
PAGE = 5_000


def _consumer(bootstrap: str, topic: str) -> Any:
    """Return kafka-python's own consumer, as it comes, at the start of the topic."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    parts = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    return consumer


def loop(bootstrap: str, topic: str, events: int, path: str) -> Took:
    """Keep a row per lead, by the record's key, in a SQLite file: poll, decode, upsert, commit.

    No check, no identity, no history, no duplicate noticed, no position kept. The file has the
    journal and the durability that leadflow uses.
    """
    database = sqlite3.connect(path)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    database.execute(
        "create table leads (key primary key, events, last_type, last_time) without rowid"
    )
    consumer = _consumer(bootstrap, topic)
    read = 0
    start = perf_counter()
    while read < events:
        leads: dict[bytes, tuple[int, str, str]] = {}
        for records in consumer.poll(timeout_ms=1_000, max_records=BATCH).values():
            for record in records:
                event = json.loads(record.value)
                count = leads[record.key][0] + 1 if record.key in leads else 1
                leads[record.key] = (count, event["type"], event["time"])
            read += len(records)
        with database:
            database.executemany(
                "insert into leads values (?, ?, ?, ?) on conflict do update set"
                " events = events + excluded.events, last_type = excluded.last_type,"
                " last_time = excluded.last_time",
                [(key, *state) for key, state in leads.items()],
            )
    seconds = perf_counter() - start
    consumer.close()
    database.close()
    return Took(seconds, read)


def poll(bootstrap: str, topic: str, events: int) -> Took:
    """Poll 5,000 records at a time and look at none."""
    consumer = _consumer(bootstrap, topic)
    read = 0
    start = perf_counter()
    while read < events:
        read += sum(map(len, consumer.poll(timeout_ms=1_000, max_records=5_000).values()))
    seconds = perf_counter() - start
    consumer.close()
    return Took(seconds, read)


def decode_log(database: str) -> Took:
    """Read the whole log in the order of positions, and decode it."""
    store = open_store(database)
    read = position = 0
    start = perf_counter()
    while events := store.stream(position, PAGE):
        read += len(events)
        position = events[-1][0]
    seconds = perf_counter() - start
    store.close()
    return Took(seconds, read)


def decode_streams(database: str) -> Took:
    """Read all streams, one after another, and decode them."""
    store = open_store(database)
    head = store.head()
    start = perf_counter()
    read = sum(len(events) for _, events in store.all_streams(head))
    seconds = perf_counter() - start
    store.close()
    return Took(seconds, read)


def engagement(facts: Sequence[Fact], policy: Policy, as_of: int) -> int:
    """Return the points of engagement as a sum over every fact, where all points halve."""
    gains: dict[str, int] = {}
    total = 0
    for fact in facts:
        for rule in policy.rules_of.get(fact.type, ()):
            if fact.at <= as_of and rule.matches(fact):
                left = decay(rule.points, as_of - fact.at, rule.half_life)
                if left < 0:
                    total += left
                else:
                    gains[rule.group] = gains.get(rule.group, 0) + left
    caps = policy.group_caps
    total += sum(min(gain, caps.get(group, FULL)) for group, gain in gains.items())
    return min(max(total, 0), FULL)
