"""The contract of the store for corrections: where an event is, and what waits for it."""

from collections.abc import Callable

import pytest

from consumers.ledger import Batch, Conflict
from leadflow.store.base import Store, Transaction
from tests.reliability import kit
from tests.reliability.test_store import A, B, C, append, fact, merge_in_store

NEVER = b"never"


def put(store: Store, key: bytes, stream: str, version: int = 1) -> None:
    """Store one event under *key*."""
    store.commit(
        Batch(
            seen=[(key, b"body", stream)],
            events=[(stream, version, fact(key.decode()))],
        )
    )


def wait(store: Store, stream: str, *keys: bytes, corrections: int | None = None) -> None:
    """Store a correction on *stream* that waits for the events of *keys*."""
    version = len(store.histories([stream]).get(stream, ())) + 1
    store.commit(
        Batch(
            events=[(stream, version, fact(f"{stream} {version}"))],
            waiting=[(key, stream) for key in keys],
            corrections=corrections,
        )
    )


def test_an_empty_store_knows_of_no_corrections(store: Store) -> None:
    assert store.corrections() == 0
    assert store.corrections_of([NEVER]) == store.places([NEVER]) == {}
    assert store.corrections_of([]) == store.places([]) == {}


def test_an_event_is_found_on_its_stream(store: Store) -> None:
    put(store, b"1", A)
    put(store, b"2", B)
    put(store, b"3", A, 2)

    assert store.places([b"1", b"2", b"3", NEVER]) == {b"1": A, b"2": B, b"3": A}


def test_an_event_is_found_on_the_lead_that_its_stream_ended_in(store: Store) -> None:
    for key, stream in ((b"1", A), (b"2", B), (b"3", C)):
        put(store, key, stream)
    merge_in_store(store, A, B, (2, 2))
    merge_in_store(store, C, A, (2, 3))

    assert store.places([b"1", b"2", b"3"]) == {b"1": C, b"2": C, b"3": C}


def test_what_waits_is_found_by_what_it_waits_for(store: Store) -> None:
    wait(store, A, b"1")
    wait(store, B, b"2", b"3")

    assert store.corrections() == 3
    assert store.corrections_of([b"1", b"3", NEVER]) == {b"1": A, b"3": B}


def test_what_waits_follows_when_its_stream_ends_in_another(store: Store) -> None:
    wait(store, A, b"1")
    append(store, B, fact("2"))
    merge_in_store(store, B, A, (2, 2))

    assert store.corrections_of([b"1"]) == {b"1": B}


def test_what_has_waited_is_not_forgotten(store: Store) -> None:
    """The number only rises: whoever decided on an older one is told by it."""
    wait(store, A, b"1")
    put(store, b"1", A, 2)

    assert store.corrections() == 1
    assert store.corrections_of([b"1"]) == {b"1": A}
    assert store.places([b"1"]) == {b"1": A}


@pytest.mark.parametrize("count", [999, 1_000, 1_001])
def test_any_number_of_events_can_be_asked_for(store: Store, count: int) -> None:
    keys = [n.to_bytes(16) for n in range(count)]
    store.commit(Batch(seen=[(key, b"b", A) for key in keys[::2]]))
    wait(store, B, *keys[1::2])

    assert store.places(keys) == dict.fromkeys(keys[::2], A)
    assert store.corrections_of(keys) == dict.fromkeys(keys[1::2], B)
    assert store.corrections() == len(keys[1::2])


# --- what was decided without the other is refused ------------------------------------------------


def stale_events(store: Store) -> None:
    """Decide an event while nothing waits, and store it when something does."""
    store.commit(Batch(seen=[(b"new", b"b", B)], events=[(B, 1, fact("n"))], corrections=0))


def late_waiting(store: Store) -> None:
    """Wait for an event that came while the correction was decided."""
    store.commit(
        Batch(
            seen=[(b"new", b"b", B)],
            events=[(B, 1, fact("n"))],
            corrections=1,
            waiting=[(b"other", B), (b"there", B)],
        )
    )


@pytest.mark.parametrize(
    ("commit", "why"), [(stale_events, "before what it corrects"), (late_waiting, "came while")]
)
def test_a_batch_that_overlooked_the_other_writes_nothing(
    store: Store, commit: Callable[[Store], None], why: str
) -> None:
    put(store, b"there", A)
    wait(store, C, b"1", corrections=0)

    with pytest.raises(Conflict, match=why):
        commit(store)

    assert store.head() == 2
    assert store.seen([b"new"]) == {}
    assert store.corrections_of([b"other", b"there"]) == {}
    assert store.corrections() == 1


def test_a_batch_that_knew_of_all_that_waits_is_stored(store: Store) -> None:
    wait(store, A, b"1", corrections=0)
    wait(store, B, b"2", corrections=1)

    assert store.corrections() == 2


def test_a_batch_without_corrections_asks_nothing(store: Store) -> None:
    """As one of publications: it is decided by no facts."""
    wait(store, A, b"1")
    append(store, B, fact("2"))

    assert store.head() == 2


def test_a_transaction_tells_whether_any_of_some_events_is_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the batch itself count: an event does not wait for itself."""
    put(store, b"1", A)
    told: list[tuple[bool, bool, bool, int]] = []

    def ask(transaction: Transaction, batch: Batch) -> None:
        del batch
        told.append(
            (
                transaction.are_seen([NEVER, b"1"]),
                transaction.are_seen([b"2"]),
                transaction.are_seen([NEVER]) or transaction.are_seen([]),
                transaction.corrections(),
            )
        )

    monkeypatch.setattr("leadflow.store.base._check_unchanged", ask)
    put(store, b"2", A, 2)
    wait(store, B, b"3")
    put(store, b"4", C)

    assert told == [(True, True, False, 0), (True, True, False, 0), (True, True, False, 1)]


def test_the_log_of_events_knows_nothing_of_what_waits(store: Store) -> None:
    """What waits is a fact of its own; the table only finds it."""
    wait(store, A, b"1")

    assert [event.id for *_, event in kit.log_of(store)] == [f"{A} 1"]
    assert store.counts() == {"events": 1, "identifiers": 0, "dead_letters": 0}
