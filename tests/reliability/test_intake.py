"""What becomes of the records of a batch, and that batches, order and memory do not matter."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.families import Families
from consumers.intake import Intake, Outcome
from consumers.ledger import Batch, Conflict
from consumers.unpack import Record
from domain.identity import lead_id
from leadflow.store.base import Store
from tests.reliability import kit
from tests.reliability.kit import sent
from tests.reliability.small import small_log


def take(
    store: Store,
    values: Sequence[bytes | None],
    *,
    start: int = 0,
    batch: int = 1_000,
    cached: int = 1_000,
) -> Outcome:
    """Take *values* into the store in batches, by one intake, and return what became of them."""
    claim = store.claim(kit.STREAM, [0])[0]
    intake = Intake(store, kit.policy(), cached_facts=cached)
    total = Outcome()
    position = claim.position
    for first in range(0, len(values), batch):
        records = kit.records(values[first : first + batch], start + first)
        reached = position + len(records)
        total.add(intake.process(records, {(kit.STREAM, 0): (position, reached, claim.epoch)}))
        position = reached
    return total


def again(value: bytes, **changes: object) -> bytes:
    """Return an event with the same values in another order, or with *changes* to its data."""
    event = msgspec.json.decode(value)
    event["data"] |= changes
    return msgspec.json.encode(dict(reversed(event.items())))


ONE = sent("1", email="ada@example.com")


# --- duplicates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 10])
def test_an_event_counts_once_however_often_it_comes(store: Store, batch: int) -> None:
    outcome = take(
        store, [ONE, ONE, again(ONE), sent("2", email="b@example.com"), ONE], batch=batch
    )

    assert outcome == Outcome(read=5, accepted=2, duplicates=3, leads=2)
    assert [fact.id for fact in kit.facts_of(store)] == ["1", "2"]
    assert store.counts()["dead_letters"] == 0


@pytest.mark.parametrize("batch", [1, 10])
def test_an_id_with_other_content_is_refused_and_kept(store: Store, batch: int) -> None:
    changed = again(ONE, form="other")
    outcome = take(store, [ONE, changed, ONE], batch=batch)

    assert outcome == Outcome(read=3, accepted=1, duplicates=1, dead_letters=1, leads=1)
    [(_, state, letter)] = store.dead_letters()
    assert (state, letter.reason, letter.position) == ("open", "conflicting_duplicate", 1)
    assert letter.value == changed
    assert "id '1' of source '/test'" in letter.message


def test_the_same_id_of_another_source_is_another_event(store: Store) -> None:
    other = sent("1", source="/other", email="ada@example.com")

    assert take(store, [ONE, other]) == Outcome(read=2, accepted=2, leads=1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "malformed_json"),
        (b'{"specversion":"1.0"}', "invalid_envelope"),
        (sent("9", data={"touch": 7}, email="ada@example.com"), "invalid_data"),
        (sent("9", data={"form": "x" * 70_000}, email="ada@example.com"), "too_large"),
        (sent("9"), "no_identifier"),
        (again(ONE, form="other"), "conflicting_duplicate"),
    ],
)
def test_a_bad_record_stops_no_good_one(store: Store, value: bytes, reason: str) -> None:
    outcome = take(store, [ONE, value, sent("2", email="ada@example.com")])

    assert outcome == Outcome(read=3, accepted=2, dead_letters=1, leads=1)
    [(_, _, letter)] = store.dead_letters()
    assert (letter.reason, letter.value) == (reason, value)
    assert (letter.stream, letter.partition, letter.position) == (kit.STREAM, 0, 1)
    assert letter.received_at == kit.NOW + 1


def test_a_record_without_a_body_is_a_dead_letter(store: Store) -> None:
    assert take(store, [None]).dead_letters == 1
    assert store.dead_letters()[0][2].value is None


def test_a_mended_record_settles_its_letter(store: Store) -> None:
    take(store, [ONE, b"{"])
    [(id_, _, letter)] = store.dead_letters(state="open")
    mended = sent("2", email="ada@example.com")

    outcome = Intake(store, kit.policy()).process(
        [kit.record(mended, letter.position)], {}, redriven=[id_]
    )

    assert outcome == Outcome(read=1, accepted=1)
    assert store.dead_letters(state="open") == []
    assert [fact.id for fact in kit.facts_of(store)] == ["1", "2"]


# --- leads ----------------------------------------------------------------------------------------

LINK = sent("link", email="ada@example.com", phone="+4930123456")
BY_PHONE = sent("2", phone="+4930123456")


@pytest.mark.parametrize("batch", [1, 2, 10])
@pytest.mark.parametrize("cached", [0, 1_000])
def test_an_event_with_both_identifiers_makes_two_leads_one(
    store: Store, batch: int, cached: int
) -> None:
    after = [sent("3", email="ada@example.com"), sent("4", phone="+4930123456")]
    outcome = take(store, [ONE, BY_PHONE, LINK, *after], batch=batch, cached=cached)

    assert outcome == Outcome(read=5, accepted=5, leads=2, merged=1)
    ada, phone = lead_id(("email", "ada@example.com")), lead_id(("phone", "+4930123456"))
    assert store.merged() == {phone: ada}
    [(lead, state)] = kit.leads_in(store).items()
    assert lead == ada
    assert {fact.id for fact in state.facts} == {"1", "2", "link", "3", "4"}
    assert set(store.leads_of(state.facts[2].keys).values()) == {ada}


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_leads_that_are_joined_one_after_the_other_are_one(store: Store, batch: int) -> None:
    alone = [sent(f"e{n}", email=f"p{n}@example.com") for n in range(6)]
    links = [
        sent(f"l{n}", email=f"p{n}@example.com", external_ids={"crm": str(n)}) for n in range(6)
    ] + [
        sent(f"m{n}", email=f"p{n}@example.com", external_ids={"crm": str(n - 1)})
        for n in range(5, 0, -1)
    ]
    outcome = take(store, [*alone, *links], batch=batch)

    assert (outcome.leads, outcome.merged) == (6, 5)
    [(last, lead)] = kit.leads_in(store).items()
    assert set(store.merged().values()) == {last}
    assert len(lead.facts) == len(alone) + len(links)


def test_an_event_may_join_several_leads_at_once(store: Store) -> None:
    three = [
        ONE,
        BY_PHONE,
        sent("3", anonymous_id="cookie"),
        sent("4", email="ada@example.com", phone="+4930123456", anonymous_id="cookie"),
    ]
    outcome = take(store, three)

    assert outcome == Outcome(read=4, accepted=4, leads=3, merged=2)
    assert [len(lead.facts) for lead in kit.leads_in(store).values()] == [4]


def test_a_correction_opens_no_lead(store: Store) -> None:
    void = sent("v", "event.voided", data={"event_source": "/test", "event_id": "1"})
    outcome = take(store, [ONE, void])

    assert outcome == Outcome(read=2, accepted=2, leads=1)


# --- neither batches nor order nor memory matter --------------------------------------------------

logs = st.integers(0, 10**6).map(lambda seed: small_log(seed, 30))


@settings(max_examples=40)
@given(values=logs, batch=st.integers(1, 31), cached=st.sampled_from([0, 1, 5, 1_000]))
def test_batches_and_eviction_change_nothing(
    sqlite_template: Path, values: list[bytes | None], batch: int, cached: int
) -> None:
    def end(batch: int, cached: int) -> tuple[Outcome, str]:
        with (
            kit.quick_folder() as folder,
            kit.opened(kit.new_sqlite(folder, sqlite_template)) as store,
        ):
            outcome = take(store, values, batch=batch, cached=cached)
            return outcome, kit.digest(store)

    assert end(1_000, 1_000) == end(batch, cached)


@settings(max_examples=40)
@given(values=logs, seed=st.integers(0, 100), batch=st.sampled_from([1, 7, 1_000]))
def test_the_order_of_arrival_changes_decisions_and_nothing_else(
    sqlite_template: Path, values: list[bytes | None], seed: int, batch: int
) -> None:
    """Who is who, what happened, and what it comes to when told in order."""

    def end(values: list[bytes | None], batch: int) -> object:
        with (
            kit.quick_folder() as folder,
            kit.opened(kit.new_sqlite(folder, sqlite_template)) as store,
        ):
            take(store, values, batch=batch)
            kit.check_people(store)
            return kit.as_people(lead.facts for lead in kit.leads_in(store).values())

    # of two contents of one id the first counts: that alone would depend on the order
    once = {msgspec.json.decode(v)["id"]: v for v in reversed(values) if v and len(v) > 100}
    same = sorted(once.values())
    shuffled = same + same[::3]
    Random(seed).shuffle(shuffled)
    assert end(list(same), 1_000) == end(list(shuffled), batch)


def told_apart(families: Families) -> object:
    """Return what families in memory know of who is who."""
    return {
        lead: (
            family.divided,
            family.watch.doubt,
            family.watch.corrected,
            family.watch.known,
            # a division of one person tells nothing, and is left as it is
            sorted([fact.order for fact in part] for part in family.division.parts.values())
            if family.division is not None and family.divided
            else family.people,
        )
        for lead, family in families.live.items()
    }


@settings(max_examples=40)
@given(values=logs, batch=st.integers(1, 8), cached=st.sampled_from([3, 1_000]))
def test_what_is_remembered_is_what_is_stored(
    sqlite_template: Path, values: list[bytes | None], batch: int, cached: int
) -> None:
    with (
        kit.quick_folder() as folder,
        kit.opened(kit.new_sqlite(folder, sqlite_template)) as store,
    ):
        intake = Intake(store, kit.policy(), cached_facts=cached)
        for first in range(0, len(values), batch):
            intake.process(kit.records(values[first : first + batch], first), {})
            live = intake._families.live
            stored = store.load(list(live))
            assert {lead: entry.lead for lead, entry in live.items()} == {
                lead: stored[lead].lead for lead in live
            }
            assert {lead: entry.versions for lead, entry in live.items()} == {
                lead: stored[lead].versions for lead in live
            }
            assert intake._families.cached == sum(len(entry.lead.facts) for entry in live.values())
            known = store.leads_of(intake._families.lead_of)
            assert known == intake._families.lead_of
            assert {key for entry in live.values() for key in entry.identifiers} == set(known)
            anew = Families(store, cached)
            for lead in live:
                anew._remember(lead, stored[lead], kit.policy())
            assert told_apart(anew) == told_apart(intake._families)


@settings(max_examples=25)
@given(values=logs, batch=st.integers(1, 8), every=st.integers(1, 4))
def test_a_snapshot_and_its_tail_are_the_full_fold(
    sqlite_template: Path, values: list[bytes | None], batch: int, every: int
) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        kit.quick_folder() as folder,
        kit.opened(kit.new_sqlite(folder, sqlite_template)) as store,
    ):
        patch.setattr("consumers.families.SNAPSHOT_EVERY", every)
        take(store, values, batch=batch, cached=0)
        with_snapshots = kit.leads_in(store)
        kit.check_people(store)
        store.drop_snapshots()
        assert with_snapshots == kit.leads_in(store)


# --- other workers --------------------------------------------------------------------------------


def test_two_intakes_that_take_turns_see_each_others_leads(store: Store) -> None:
    """Each remembers leads that the other has changed: a conflict tells it, and it decides anew."""
    intakes = [Intake(store, kit.policy()) for _ in range(2)]
    values = [value for value in small_log(7, 60) if value]
    total = Outcome()
    for number, value in enumerate(values):
        total.add(intakes[number % 2].process([kit.record(value, number)], {}))

    assert total.read == len(values)
    ids = [(fact.source, fact.id) for fact in kit.facts_of(store)]
    assert len(ids) == len(set(ids)) == total.accepted
    kit.check_people(store)


def test_workers_that_meet_at_the_same_people_count_each_event_once(postgres_copy: str) -> None:
    """Four at once, each with its own partition of one log: they conflict, deadlock and merge."""
    values = small_log(11, 240)
    start = threading.Barrier(4)

    def work(partition: int) -> Outcome:
        mine = values[partition::4]
        total = Outcome()
        with kit.opened(postgres_copy) as store:
            claim = store.claim(kit.STREAM, [partition])[partition]
            intake = Intake(store, kit.policy(), cached_facts=20)
            start.wait(30)
            for first in range(0, len(mine), 3):
                batch = [
                    kit.record(value, first + number, partition=partition)
                    for number, value in enumerate(mine[first : first + 3])
                ]
                move = (first, first + len(batch), claim.epoch)
                total.add(until_stored(intake, batch, {(kit.STREAM, partition): move}))
        return total

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(work, range(4)))

    with kit.opened(postgres_copy) as store:
        facts = kit.facts_of(store)
        ids = [(fact.source, fact.id) for fact in facts]
        assert len(ids) == len(set(ids)) == sum(outcome.accepted for outcome in outcomes)
        assert sum(outcome.read for outcome in outcomes) == len(values)
        kit.check_people(store)
        letters = sum(outcome.dead_letters for outcome in outcomes)
        assert store.counts()["dead_letters"] == letters


def until_stored(
    intake: Intake,
    records: Sequence[Record],
    moves: dict[tuple[str, int], tuple[int, int, int]],
) -> Outcome:
    """Process a batch however often others are first: with this few people they often are."""
    while True:
        try:
            return intake.process(records, moves)
        except Conflict:
            continue


def test_a_conflict_that_does_not_end_is_told(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kit.opened(sqlite_url) as store:
        tries = 0

        def refuse(batch: Batch) -> None:
            nonlocal tries
            tries += 1
            assert [event.id for _, _, event in batch.events if hasattr(event, "touch")] == ["1"]
            raise Conflict("somebody is always first")

        monkeypatch.setattr(store, "commit", refuse)
        with pytest.raises(Conflict):
            Intake(store, kit.policy()).process([kit.record(ONE)], {})
    assert tries == 8


def test_a_lead_that_grows_slowly_gets_its_snapshot(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions since the last snapshot count, not those since the lead came into memory."""
    monkeypatch.setattr("consumers.families.SNAPSHOT_EVERY", 5)
    for number in range(7):
        take(store, [sent(f"e{number}", email="ada@example.com")], start=number)

    ((_, version, _),) = store.snapshots([lead_id(("email", "ada@example.com"))])
    assert 5 <= version
