"""The log as others read it: our codec, the library's own application, a reader at the tail."""

import subprocess
import sys
from typing import Any

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import JSONTranscoder
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from domain.events import (
    DECISION_TOPICS,
    Event,
    Fact,
    LeadMerged,
    StageEntered,
    ThresholdCrossed,
    topic_of,
)
from domain.lead import Lead, fold
from leadflow.store.base import Store
from leadflow.store.codec import UnknownTopic, decode, decode_lead, encode, encode_lead
from leadflow.store.mapper import LeadMapper, Logged
from tests.reliability import kit
from tests.reliability.test_store import A, B, append, fact, merged

instants = st.integers(-(2**53), 2**53)
words = st.text(max_size=12)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, json_values, max_size=3)
facts = st.builds(
    Fact,
    type=st.sampled_from(["form.submitted", "deal.won", "qualification.answered", "x.y"]),
    source=words,
    id=words,
    at=instants,
    recorded_at=instants,
    sequence=st.integers(-1, 10**20),
    actor=st.sampled_from(["prospect", "rep", "machine", "unknown"]),
    actor_id=st.none() | words,
    touch=st.none() | st.dictionaries(words, words, max_size=3),
    person=st.none()
    | st.builds(
        lambda keys, more: {**more, "keys": [list(key) for key in keys]},
        st.lists(st.tuples(words, words), max_size=3),
        objects,
    ),
    traits=st.none() | st.dictionaries(st.sampled_from(["title", "country"]), words, max_size=2),
    data=st.none() | objects,
)
events: st.SearchStrategy[Event] = st.one_of(
    facts, st.builds(StageEntered), st.builds(ThresholdCrossed), st.builds(LeadMerged)
)


@given(events)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    topic, state = encode(event)

    assert topic == topic_of(event)
    assert event == decode(topic, state)


@given(st.lists(facts, max_size=6))
def test_a_snapshot_is_read_as_it_was_written(history: list[Fact]) -> None:
    lead = fold(history)

    assert lead == decode_lead(encode_lead(lead))


def test_a_producers_type_cannot_pass_for_a_decision() -> None:
    for topic in DECISION_TOPICS:
        event = fact("1")
        event = Fact(topic, event.source, event.id, 0, 0)
        assert topic_of(event) not in DECISION_TOPICS
        assert decode(*encode(event)) == event


def test_fields_that_a_later_version_added_do_not_hinder_this_one() -> None:
    topic, state = encode(fact("1"))

    assert decode(topic, state[:-1] + b',"later":[1]}') == fact("1")


def test_events_without_the_fields_that_came_later_are_read() -> None:
    state = b'{"type":"page.viewed","source":"/s","id":"1","at":5,"recorded_at":6}'

    assert decode("fact:page.viewed", state) == Fact("page.viewed", "/s", "1", 5, 6)


def test_an_unknown_topic_asks_for_a_newer_version() -> None:
    with pytest.raises(UnknownTopic, match=r"lead\.routed"):
        decode("lead.routed", b"{}")


def test_a_new_lead_has_an_empty_snapshot() -> None:
    assert Lead() == decode_lead(encode_lead(Lead()))


# --- the library ----------------------------------------------------------------------------------


def library(url: str) -> Application[str]:
    """Return the library's own application on the store at *url*."""
    address = make_url(url)
    kind = "sqlite" if address.get_backend_name() == "sqlite" else "postgres"
    env = {
        "PERSISTENCE_MODULE": f"leadflow.store.{kind}",
        "MAPPER_TOPIC": "leadflow.store.mapper:LeadMapper",
        "ORIGINATOR_ID_TYPE": "text",
        "CREATE_TABLE": "n",
        "SQLITE_DBNAME": address.database or "",
        "POSTGRES_DBNAME": address.database or "",
        "POSTGRES_HOST": address.host or "",
        "POSTGRES_PORT": str(address.port),
        "POSTGRES_USER": address.username or "",
        "POSTGRES_PASSWORD": address.password or "",
        "POSTGRES_SCHEMA": "leadflow",
    }
    return Application(env)


def test_the_library_reads_our_log(store: Store, store_url: str) -> None:
    append(store, A, fact("1"), merged(B, None))
    append(store, B, fact("2"))

    with library(store_url) as app:
        stored = [app.mapper.to_domain_event(row) for row in app.recorder.select_events(A)]
        assert stored == [Logged(A, 1, fact("1")), Logged(A, 2, merged(B, None))]
        newest = app.recorder.select_events(A, desc=True, limit=1)
        assert [row.originator_version for row in newest] == [2]
        middle = app.recorder.select_events(A, gt=0, lte=1)
        assert [row.originator_version for row in middle] == [1]

        notes = app.recorder.select_notifications(start=1, limit=10)
        assert [(note.id, note.originator_id) for note in notes] == [(1, A), (2, A), (3, B)]
        some = app.recorder.select_notifications(start=2, limit=10, topics=["fact:form.submitted"])
        assert [note.id for note in some] == [3]
        after = app.recorder.select_notifications(1, 10, stop=2, inclusive_of_start=False)
        assert [note.id for note in after] == [2]
        assert app.recorder.max_notification_id() == 3


def test_the_librarys_mapper_stores_what_our_codec_stores() -> None:
    stored = LeadMapper(JSONTranscoder()).to_stored_event(Logged(A, 2, fact("2")))

    assert (stored.originator_id, stored.originator_version) == (A, 2)
    assert (stored.topic, stored.state) == encode(fact("2"))


# --- a reader at the tail -------------------------------------------------------------------------

WRITERS = 10
BATCHES = 30

WRITE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from consumers.ledger import Batch
from tests.reliability import kit
from tests.reliability.test_store import fact
from tests.reliability.test_store_log import sizes

def write(number):
    with kit.opened(sys.argv[1]) as store:
        for batch, size in enumerate(sizes(number)):
            store.commit(Batch(events=[
                (f"{number}-{batch}", n + 1, fact(f"{number}/{batch}/{n}")) for n in range(size)
            ]))

writers = int(sys.argv[2])
with ThreadPoolExecutor(writers) as pool:
    list(pool.map(write, range(writers)))
"""
"""In a process of its own, so that the reader reads while others commit."""


def sizes(number: int) -> list[int]:
    """Return how many events each batch of a writer has."""
    return [1 + (number + batch) % 7 for batch in range(BATCHES)]


def test_a_reader_behind_ten_writers_misses_nothing(postgres_copy: str) -> None:
    """A later position is never visible before an earlier one."""
    seen: list[tuple[str, int]] = []
    with (
        kit.opened(postgres_copy) as store,
        subprocess.Popen([sys.executable, "-c", WRITE, postgres_copy, str(WRITERS)]) as writers,
    ):
        after, ended = 0, False
        while True:
            rows = store.rows_after(after, 17)
            if rows:
                assert after < rows[0][0]
                after = rows[-1][0]
                seen += [(row[1], row[2]) for row in rows]
            elif ended:
                break
            else:
                ended = writers.poll() is not None
        assert writers.returncode == 0
    expected = [
        (f"{number}-{batch}", n + 1)
        for number in range(WRITERS)
        for batch, size in enumerate(sizes(number))
        for n in range(size)
    ]
    assert sorted(expected) == sorted(seen)
