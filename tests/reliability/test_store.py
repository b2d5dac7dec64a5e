"""The contract of the store, on SQLite and PostgreSQL alike."""

import pytest

from consumers.ledger import Batch, Claim, Conflict, DeadLetter, Fenced
from domain.events import Event, Fact, LeadMerged
from domain.identity import lead_id
from domain.lead import Lead, evolve
from leadflow.store.base import Store
from tests.reliability import kit

ADA = ("email", "ada@example.com")
GRACE = ("email", "grace@example.com")
A, B, C = (lead_id(("email", f"{name}@example.com")) for name in "abc")


def fact(id_: str, at: int = 0, *, who: tuple[str, str] = ADA) -> Fact:
    return Fact(
        type="form.submitted",
        source="/test",
        id=id_,
        at=at,
        recorded_at=at,
        person={"keys": [list(who)]},
        traits={"company": {"size": 12}},
        data={"kind": "demo", "fields": {"why": "größer"}},
    )


def merged(other: str, into: str | None) -> LeadMerged:
    return LeadMerged(
        other=other,
        into=into,
        stage="mql",
        cycle=2,
        entered_at=7,
        hot=True,
        at=9,
        recorded_at=9,
        rule="shared_identifier",
        policy="p",
        source="/test",
        id="m",
    )


def letter(position: int, value: bytes | None = b"{", reason: str = "malformed_json") -> DeadLetter:
    return DeadLetter(
        reason, "what", "events", 0, position, 5, b"k", value, (("ce_id", b"\xff\x00"),)
    )


def append(store: Store, stream: str, *events: Event, version: int = 1) -> None:
    store.commit(Batch(events=[(stream, version + n, event) for n, event in enumerate(events)]))


# --- what was committed is there ------------------------------------------------------------------


def test_an_empty_store_answers_everything(store: Store) -> None:
    assert store.seen([b"k"]) == {}
    assert store.leads_of([ADA]) == {}
    assert store.load([A]) == {}
    assert store.positions("events") == {}
    assert store.head() == 0
    assert store.stream(0, 10) == []
    assert store.histories([A]) == {}
    assert store.positions_of([A]) == []
    assert list(store.all_streams(100)) == []
    assert store.merged() == {}
    assert store.counts() == {"events": 0, "identifiers": 0, "dead_letters": 0}
    assert store.all_positions() == []
    assert store.cluster_of("events") is None
    assert store.dead_letters() == []


def test_a_batch_is_found_again_as_it_was_written(store: Store) -> None:
    first, second = fact("1"), fact("2", 5)
    store.commit(
        Batch(
            seen=[(b"k1", b"b1", A), (b"k2", b"b2", B)],
            events=[(A, 1, first), (B, 1, second)],
            identifiers=[(*ADA, A), (*GRACE, B)],
            dead_letters=[letter(3), letter(4, None, "too_large")],
        )
    )

    assert store.seen([b"k1", b"k2", b"k3"]) == {b"k1": b"b1", b"k2": b"b2"}
    assert store.leads_of([ADA, GRACE, ("phone", "1")]) == {ADA: A, GRACE: B}
    assert store.stream(0, 10) == [(1, A, 1, first), (2, B, 1, second)]
    assert store.stream(1, 10) == [(2, B, 1, second)]
    assert store.stream(0, 1) == [(1, A, 1, first)]
    assert store.head() == 2
    assert store.histories([A, B, C]) == {A: [first], B: [second]}
    assert [row[:3] for row in store.positions_of([B])] == [(2, B, 1)]
    assert dict(store.all_streams(1)) == {A: [first]}
    assert store.counts() == {"events": 2, "identifiers": 2, "dead_letters": 2}
    assert store.dead_letters() == [
        (1, "open", letter(3)),
        (2, "open", letter(4, None, "too_large")),
    ]


def test_dead_letters_are_found_by_id_and_by_state(store: Store) -> None:
    store.commit(Batch(dead_letters=[letter(n) for n in range(5)]))
    store.commit(Batch(redriven=[2, 3]))

    assert [id_ for id_, _, _ in store.dead_letters(state="open")] == [1, 4, 5]
    assert [id_ for id_, _, _ in store.dead_letters([3, 4], state="redriven")] == [3]
    assert [id_ for id_, _, _ in store.dead_letters([])] == []
    assert [id_ for id_, _, _ in store.dead_letters(limit=2)] == [1, 2]
    assert store.counts()["dead_letters"] == 3


def test_a_record_read_again_has_one_letter(store: Store) -> None:
    store.commit(Batch(dead_letters=[letter(3), letter(4, None)]))
    store.commit(Batch(redriven=[1]))
    store.commit(Batch(dead_letters=[letter(3), letter(4, None)]))

    assert [state for _, state, _ in store.dead_letters()] == ["redriven", "open"]


def test_another_record_at_the_same_place_has_a_letter_of_its_own(store: Store) -> None:
    """A topic that was made anew counts from 0 again."""
    store.commit(Batch(dead_letters=[letter(3)]))
    store.commit(Batch(dead_letters=[letter(3, b"[")]))

    assert [found.value for _, _, found in store.dead_letters()] == [b"{", b"["]


def test_a_redriven_record_that_is_refused_again_has_an_open_letter(store: Store) -> None:
    store.commit(Batch(dead_letters=[letter(3)]))
    for _ in range(2):  # the second time as after a commit whose answer was lost
        store.commit(Batch(redriven=[1], dead_letters=[letter(3, b"[")]))

    assert [(state, found.value) for _, state, found in store.dead_letters()] == [
        ("redriven", b"{"),
        ("open", b"["),
    ]


def test_a_redriven_record_that_was_not_mended_stays_open(store: Store) -> None:
    store.commit(Batch(dead_letters=[letter(3)]))
    store.commit(Batch(redriven=[1], dead_letters=[letter(3)]))

    assert [state for _, state, _ in store.dead_letters()] == ["redriven", "open"]


def test_a_cluster_is_remembered(store: Store) -> None:
    store.set_cluster("events", "one")
    store.set_cluster("events", "two")
    store.set_cluster("other", "three")

    assert (store.cluster_of("events"), store.cluster_of("other")) == ("two", "three")


# --- conflicts and fences write nothing -----------------------------------------------------------


@pytest.mark.parametrize(
    "second",
    [
        Batch(seen=[(b"new", b"b", B), (b"k", b"other", B)]),
        Batch(events=[(B, 1, fact("9")), (A, 1, fact("2"))]),
        Batch(identifiers=[("phone", "+491", B), (*ADA, B)]),
        Batch(seen=[(b"new", b"b", B)], events=[(B, 1, fact("9"))], identifiers=[(*ADA, B)]),
    ],
    ids=["seen", "version", "identifier", "the last step"],
)
def test_who_is_second_writes_nothing(store: Store, second: Batch) -> None:
    store.commit(Batch(seen=[(b"k", b"b", A)], events=[(A, 1, fact("1"))], identifiers=[(*ADA, A)]))

    with pytest.raises(Conflict):
        store.commit(second)

    assert store.seen([b"new", b"k"]) == {b"k": b"b"}
    assert store.leads_of([ADA, ("phone", "+491")]) == {ADA: A}
    assert store.head() == 1


def test_a_claim_starts_at_0_and_moves_with_the_commits(store: Store) -> None:
    assert store.claim("events", [0, 3]) == {0: Claim(0, 1), 3: Claim(0, 1)}
    store.commit(Batch(positions={("events", 3): (0, 50, 1)}))

    assert store.positions("events") == {0: 0, 3: 50}
    assert store.positions("other") == {}
    assert store.claim("events", [3]) == {3: Claim(50, 2)}
    assert store.all_positions() == [("events", 0, 0), ("events", 3, 50)]


@pytest.mark.parametrize(
    "move", [(0, 9, 1), (0, 9, 3), (5, 9, 2), (9, 12, 2)], ids=["old", "unborn", "ahead", "twice"]
)
def test_a_position_moves_only_for_its_claimant(store: Store, move: tuple[int, int, int]) -> None:
    store.claim("events", [0])
    claim = store.claim("events", [0])[0]
    assert claim == Claim(0, 2)

    with pytest.raises(Fenced):
        store.commit(Batch(events=[(A, 1, fact("1"))], positions={("events", 0): move}))

    assert store.head() == 0
    assert store.positions("events") == {0: 0}


def test_one_fenced_partition_holds_back_the_whole_batch(store: Store) -> None:
    store.claim("events", [0, 1])
    store.claim("events", [1])

    with pytest.raises(Fenced):
        store.commit(Batch(positions={("events", 0): (0, 4, 1), ("events", 1): (0, 4, 1)}))

    assert store.positions("events") == {0: 0, 1: 0}


def test_a_batch_without_events_moves_the_position(store: Store) -> None:
    store.claim("events", [0])
    store.commit(Batch(positions={("events", 0): (0, 7, 1)}))

    assert store.positions("events") == {0: 7}
    assert store.head() == 0


def test_a_restart_puts_back_the_positions_of_one_stream(store: Store) -> None:
    for stream in ("events", "other"):
        store.claim(stream, [0])
        store.commit(Batch(positions={(stream, 0): (0, 7, 1)}))
    store.restart("events")

    assert store.all_positions() == [("events", 0, 0), ("other", 0, 7)]


# --- the log --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20])
def test_pages_show_every_event_once_also_when_the_last_is_full(store: Store, count: int) -> None:
    append(store, A, *(fact(str(n)) for n in range(count)))

    assert [event.id for _, _, _, event in kit.log_of(store, 10)] == [str(n) for n in range(count)]


def test_positions_rise_and_are_never_used_twice(store: Store) -> None:
    """A projection that stands behind erased rows would miss new ones under their numbers."""
    append(store, A, fact("1"), fact("2"))
    kit.erase_events(store)
    append(store, A, fact("3"))

    assert [position for position, *_ in store.stream(0, 9)] == [3]


def test_a_part_of_the_streams_is_chosen_by_id_and_the_parts_make_the_whole(store: Store) -> None:
    streams = [lead_id(("email", f"{n}@example.com")) for n in range(40)]
    store.commit(Batch(events=[(stream, 1, fact(stream)) for stream in streams]))

    for buckets in (1, 2, 3, 7):
        parts = [dict(store.all_streams(40, bucket, buckets)) for bucket in range(buckets)]
        assert [stream for part in parts for stream in part] == sorted(streams)


def test_bytes_and_letters_of_any_alphabet_survive(store: Store) -> None:
    identifier = ("external:crm", "\U0001f600 'é\" \\ %s ? [1]")
    store.commit(
        Batch(
            seen=[(bytes(range(256)), b"\x00", A)],
            events=[(A, 1, fact("\U0001f600'--", who=identifier))],
            identifiers=[(*identifier, A)],
        )
    )

    assert store.leads_of([identifier]) == {identifier: A}
    assert store.seen([bytes(range(256))]) == {bytes(range(256)): b"\x00"}
    assert [event for _, _, _, event in store.stream(0, 1)] == [
        fact("\U0001f600'--", who=identifier)
    ]


@pytest.mark.parametrize("count", [999, 1_000, 1_001, 2_500])
def test_any_number_of_keys_can_be_asked_for(store: Store, count: int) -> None:
    keys = [n.to_bytes(16) for n in range(count)]
    store.commit(Batch(seen=[(key, b"b", A) for key in keys[::2]]))

    assert store.seen(keys) == dict.fromkeys(keys[::2], b"b")


# --- merged leads and snapshots -------------------------------------------------------------------


def merge_in_store(store: Store, goes_on: str, ends: str, versions: tuple[int, int]) -> None:
    """Let *ends* end in *goes_on*, whose next versions are *versions*."""
    store.commit(
        Batch(
            events=[
                (goes_on, versions[0], merged(ends, None)),
                (ends, versions[1], merged(goes_on, goes_on)),
            ],
            merged=[(ends, goes_on)],
        )
    )


def test_merged_streams_load_as_one_lead_and_follow_when_it_ends_too(store: Store) -> None:
    for lead in (A, B, C):
        append(store, lead, fact(lead))
    merge_in_store(store, A, B, (2, 2))
    merge_in_store(store, C, A, (2, 3))

    assert store.merged() == {A: C, B: C}
    assert store.merged([C]) == {A: C, B: C}
    stored = store.load([C])[C]
    assert stored.versions == {C: 2, A: 3, B: 2}
    assert [known.id for known in stored.lead.facts] == [C, A, B]
    assert (stored.lead.stage, stored.lead.cycle, stored.lead.hot) == ("mql", 2, True)


def test_identifiers_of_a_merged_lead_move(store: Store) -> None:
    store.commit(Batch(identifiers=[(*ADA, A), (*GRACE, B)]))
    store.commit(Batch(merged=[(B, A)], moved=[(*GRACE, A)]))

    assert store.leads_of([ADA, GRACE]) == {ADA: A, GRACE: A}


def test_a_snapshot_stands_for_the_events_it_includes(store: Store) -> None:
    first, second, third = fact("1"), fact("2", 2), fact("3", 1)
    append(store, A, first, second, third)
    lead = Lead()
    for event in (first, second):
        evolve(lead, event)
    store.commit(Batch(snapshots=[(A, 1, Lead())]))
    store.commit(Batch(snapshots=[(A, 2, lead)]))  # in place of the older one

    stored = store.load([A])[A]
    store.drop_snapshots()
    whole = store.load([A])[A]
    assert (stored.lead, stored.versions) == (whole.lead, whole.versions)
    assert stored.versions == {A: 3}
    assert (2, 0) == (stored.snapshot, whole.snapshot)


def test_a_merge_voids_the_snapshots_of_both(store: Store) -> None:
    for lead in (A, B):
        append(store, lead, fact(lead))
        store.commit(Batch(snapshots=[(lead, 1, Lead())]))
    merge_in_store(store, A, B, (2, 2))

    assert store.snapshots([A, B]) == []


@pytest.mark.parametrize("asked", [A, B])
def test_a_lead_that_is_merged_while_it_is_read_is_a_conflict(
    store: Store, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two of the queries of `load` another worker may commit."""
    for lead in (A, B):
        append(store, lead, fact(lead))
    before = store.merged([asked])
    merge_in_store(store, A, B, (2, 2))
    monkeypatch.setattr(store, "merged", lambda _leads: before)

    with pytest.raises(Conflict, match="while it was read"):
        store.load([asked])


def test_a_lead_that_is_merged_after_its_snapshot_was_read_is_a_conflict(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lead in (A, B):
        append(store, lead, fact(lead))
    store.commit(Batch(snapshots=[(A, 1, Lead())]))
    found = store.snapshots([A])
    merge_in_store(store, A, B, (2, 2))
    monkeypatch.setattr(store, "snapshots", lambda _leads: found)
    monkeypatch.setattr(store, "merged", lambda _leads: {})

    with pytest.raises(Conflict, match="while it was read"):
        store.load([A])
