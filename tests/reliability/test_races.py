"""Two workers on one store: what the second decided without the first is decided again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.intake import Intake
from consumers.ledger import Batch, Conflict
from domain.events import LeadRestated, StageEntered
from leadflow.policies import load_policy, policy_of
from leadflow.policy_book import publish, read_book
from leadflow.store.base import Store
from tests.reliability import kit
from tests.reliability.kit import sent
from tests.reliability.small import aimed, ruled, shown, small_log

ADA, BOB = shown(0, ["email"]), shown(1, ["email"])


def form(id_: str, at: int, person: dict[str, Any]) -> bytes:
    return sent(id_, "demo.requested", at=at, **person)


def void(id_: str, target: str, at: int = 9) -> bytes:
    return sent(id_, "event.voided", at=at, data=aimed(target, "rep"))


def click(id_: str, at: int) -> bytes:
    data = {"message": "m", "link": id_}
    return sent(id_, "email.clicked", at=at, data=data, **ADA)


DELIVERED = sent("d", "email.delivered", at=0, data={"message": "m"}, **ADA)
TWO = [form("a", 1, ADA), form("b", 2, BOB)]
JOIN = form("j", 5, ADA | {"phone": "+4930123456"})
SAME = form("s", 6, BOB | {"phone": "+4930123456"})
MERGED = sent("m", "lead.merged", at=7, data=ruled(1), **ADA)
LOGINS = [form("x", 3, shown(0, ["email", "login"])), form("y", 4, shown(1, ["email", "login"]))]

RACES: dict[str, tuple[list[bytes], bytes, bytes]] = {
    "a correction and its target": ([], void("v", "a"), form("a", 1, ADA)),
    "a correction of a known lead's next event": (TWO, void("v", "c"), form("c", 3, ADA)),
    "two corrections of what never came": ([], void("v", "a"), void("w", "a", 10)),
    "a correction and its correction": (TWO, void("v", "a"), void("w", "v", 10)),
    "corrections of each other": ([], void("v", "w"), void("w", "v", 10)),
    "a correction and what gives its target another lead": ([*TWO, JOIN], void("v", "b"), SAME),
    "a correction and a ruling on its target": (TWO, void("v", "b"), MERGED),
    "a delivery and a click": ([form("a", 0, ADA)], DELIVERED, click("c", 1)),
    "a ruling and an event of the other": (TWO, MERGED, form("c", 8, BOB)),
    "two accounts that one telephone joins": (LOGINS, JOIN, SAME),
}
"""What was there before, and what two workers decide at the same time."""


@contextmanager
def overtaken(store: Store, by: Callable[[], object]) -> Iterator[list[str]]:
    """Let *by* happen when *store* is about to commit; yield why commits were refused."""
    refused: list[str] = []
    waiting = [by]
    commit = store.commit

    def late(batch: Batch) -> None:
        while waiting:
            waiting.pop()()
        try:
            commit(batch)
        except Conflict as conflict:
            refused.append(str(conflict))
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "commit", late)
        yield refused


def take(store: Store, values: Sequence[bytes]) -> str:
    """Take *values* one by one into *store*, which is empty, and return what it holds then."""
    intake = Intake(store, kit.policy())
    for record in kit.records(values):
        intake.process([record], {})
    return kit.digest(store)


@pytest.mark.parametrize("turn", [1, -1], ids=["", "the other way round"])
@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_who_commits_last_decides_again_what_the_first_has_changed(
    store_url: str,
    sqlite_template: Path,
    folder: Path,
    race: tuple[list[bytes], bytes, bytes],
    turn: int,
) -> None:
    """The end is that of one worker that takes one after the other, to the byte."""
    before, *pair = race
    first, last = pair[::turn]
    number = len(before)
    with kit.opened(store_url) as one, kit.opened(store_url) as other:
        take(one, before)
        quick, slow = Intake(one, kit.policy()), Intake(other, kit.policy())

        def overtake() -> None:
            quick.process([kit.record(first, number)], {})

        with overtaken(other, overtake) as refused:
            slow.process([kit.record(last, number + 1)], {})
        assert len(refused) == 1
        kit.check_people(one)
        found = kit.digest(one)
    with kit.opened(kit.new_sqlite(folder, sqlite_template, "in_turn.db")) as store:
        assert take(store, [*before, first, last]) == found


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (form("a", 1, ADA), void("v", "a"), "what is corrected came"),
        (void("v", "a"), form("a", 1, ADA), "a correction came before"),
    ],
    ids=["the target", "the correction"],
)
def test_a_correction_and_its_target_end_on_one_lead_whoever_is_first(
    store_url: str, first: bytes, last: bytes, why: str
) -> None:
    """Neither worker may overlook the other: the voided event would count for ever."""
    with kit.opened(store_url) as one, kit.opened(store_url) as other:
        quick, slow = Intake(one, kit.policy()), Intake(other, kit.policy())
        with overtaken(other, lambda: quick.process([kit.record(first)], {})) as refused:
            slow.process([kit.record(last, 1)], {})
        assert [why in text for text in refused] == [True]
        [lead] = kit.leads_in(one).values()
        assert {fact.id for fact in lead.facts} == {"a", "v"}
        [known] = kit.as_people([lead.facts]).values()
        assert known["stage"] is None


@pytest.mark.parametrize("turn", [1, -1], ids=["the target first", "the correction first"])
def test_without_the_check_a_voided_event_would_count(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    """The tests above can fail."""
    monkeypatch.setattr("leadflow.store.base._check_unchanged", lambda _transaction, _batch: None)
    first, last = (form("a", 1, ADA), void("v", "a"))[::turn]
    with kit.opened(sqlite_url) as one, kit.opened(sqlite_url) as other:
        quick, slow = Intake(one, kit.policy()), Intake(other, kit.policy())
        with overtaken(other, lambda: quick.process([kit.record(first)], {})) as refused:
            slow.process([kit.record(last, 1)], {})
        assert refused == []
        assert len(kit.leads_in(one)) > 1
        with pytest.raises(AssertionError):
            kit.check_people(one)


def test_a_policy_published_before_the_commit_decides(store: Store, store_url: str) -> None:
    """The worker had decided by the one before; nothing of that is written."""
    base = kit.policy()
    eager = policy_of({**load_policy().document, "name": "eager"})
    with kit.opened(store_url) as other:
        worker = Intake(store, read_book(store, base), reread=lambda: read_book(store, base))

        def overtake() -> None:
            publish(other, base, eager, by="Ada", reason="agreed", now=kit.NOW)

        with overtaken(store, overtake) as refused:
            worker.process([kit.record(form("a", 1, ADA), 5)], {})

    assert refused == ["another policy was published"]
    cited = {
        event.policy
        for *_, event in kit.log_of(store)
        if isinstance(event, StageEntered | LeadRestated)
    }
    assert cited == {eager.version}


@pytest.mark.parametrize("more", [[], ["email"]], ids=["alone", "with an address"])
def test_a_lead_that_is_remembered_as_it_was_is_read_again(store: Store, more: list[str]) -> None:
    """Another worker has seen a tablet of hers; of the batch the second event looks for it.

    By then the first has let her lead, as it is remembered, end in another.
    """
    batch = [form("b", 4, shown(1, ["email"]) | shown(0, ["anonymous_id"]))]
    batch.append(form("c", 5, shown(2, [*more, "tablet"])))
    one, other = Intake(store, kit.policy()), Intake(store, kit.policy())
    for intake, value in (
        (one, form("a", 1, shown(0, ["email", "anonymous_id"]))),
        (one, form("bob", 2, shown(1, ["email"]))),
        (one, form("cat", 2, shown(2, ["email"]))),
        (other, form("t", 3, shown(0, ["email", "tablet"]))),
    ):
        intake.process([kit.record(value)], {})

    assert one.process(kit.records(batch), {}).accepted == 2
    kit.check_people(store)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 4), cached=st.sampled_from([0, 5, 1_000]))
def test_whatever_two_workers_take_at_once_people_are_what_their_facts_make_them(
    sqlite_template: Path, seed: int, size: int, cached: int
) -> None:
    """Of each two batches the second is decided before the first is stored, and stored after it."""
    values = small_log(seed, 40)
    batches = [
        kit.records(values[first : first + size], first) for first in range(0, len(values), size)
    ]
    with (
        kit.quick_folder() as folder,
        kit.opened(kit.new_sqlite(folder, sqlite_template)) as store,
    ):
        quick, slow = (Intake(store, kit.policy(), cached_facts=cached) for _ in range(2))
        accepted = 0
        for first, last in zip(batches[::2], [*batches[1::2], []], strict=False):
            told = []
            with overtaken(store, lambda: told.append(quick.process(first, {}))):  # noqa: B023 - called at once
                told.append(slow.process(last, {}))
            accepted += sum(outcome.accepted for outcome in told)
        ids = [(fact.source, fact.id) for fact in kit.facts_of(store)]
        assert len(ids) == len(set(ids)) == accepted
        kit.check_people(store)
