"""The state machine: whatever happens in whatever order, the promises hold after each step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from leadflow.store import faults
from tests.reliability.kit import sent
from tests.reliability.small import (
    CORRECTIONS,
    MAILS,
    PEOPLE,
    POISON,
    RULINGS,
    SHARED,
    THIRD_PARTY,
    TYPES,
    aimed,
    mail,
    ruled,
    shown,
)
from tests.reliability.world import PARTITIONS, WORKERS, Fault, World, hits

partitions = st.integers(0, PARTITIONS - 1)
workers = st.integers(0, WORKERS - 1)
people = st.integers(0, PEOPLE - 1)
faults_ = st.builds(
    Fault,
    point=st.sampled_from(faults.POINTS),
    how=st.sampled_from(["crash", "unavailable"]),
    times=st.sampled_from([1, 1, 1, 2]),
)


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does, and where producers report it."""

    who: int
    kinds: list[str]
    """Of the identifiers that are shown."""
    type: str
    about: int
    """The event that a correction is of, the other person of a ruling, the link of a mail."""
    at: int
    places: list[int]
    """Partitions, once for each report."""
    wrong: str
    """What is wrong with the report: nothing, `poison`, `refused` or `again` for an id used before."""


acts = st.builds(
    Act,
    who=people,
    kinds=st.lists(st.sampled_from(SHARED), min_size=1, max_size=2, unique=True),
    type=st.sampled_from([*TYPES, *MAILS, *CORRECTIONS, *RULINGS]),
    about=st.integers(0, 59),
    at=st.integers(0, 80_000),
    places=st.lists(partitions, min_size=1, max_size=3),
    wrong=st.sampled_from([*[""] * 8, "again", "poison", "refused"]),
)


def told(act: Act, number: int) -> bytes:
    """Return what producers report of the act with this number."""
    data: dict[str, Any] = {"kind": "demo"}
    at = act.at
    if act.type in CORRECTIONS:
        # of what came, of itself, of what is to come or never does
        data = aimed(f"e{1 + act.about % (number + 5)}", ("prospect", "machine", "rep")[at % 3])
    elif act.type in RULINGS:
        data = ruled((act.who + 1 + act.about % (PEOPLE - 1)) % PEOPLE)
    elif act.type in MAILS:
        data = mail(act.who, act.about % 6)
        at = 9_000 * (1 + act.who) + at % 5
    if act.wrong == "refused":
        return sent(f"e{number}", at=at, data=data | THIRD_PARTY, **shown(act.who, act.kinds))
    return sent(f"e{number}", act.type, at=at, data=data, **shown(act.who, act.kinds))


class Machine(RuleBasedStateMachine):
    """Drives a world; the model is `World.check`."""

    template = Path()
    """A database with all tables."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.number = 0
        self.rebuilt = False

    @initialize(cached=st.sampled_from([0, 3, 1_000]), acts=st.lists(acts, min_size=9, max_size=20))
    def begin(self, cached: int, acts: list[Act]) -> None:
        self.world = World(self.template, cached)
        for part in range(PARTITIONS):
            self.it.members[part].join([part])
        self.produce(acts)

    @property
    def it(self) -> World:
        """The world, which is there once the machine has begun."""
        assert self.world is not None
        return self.world

    @rule(acts=st.lists(acts, min_size=4, max_size=10))
    def produce(self, acts: list[Act]) -> None:
        """Let people do something; producers may say it again, there or elsewhere, at once or later."""
        for act in acts:
            self.number += 1
            value: bytes | None = told(act, self.number)
            if act.wrong == "again":
                data = {"kind": f"{self.number}"}
                person = shown(act.who, act.kinds)
                value = sent(f"e{1 + act.at % self.number}", data=data, **person)
            elif act.wrong == "poison":
                value = POISON[act.at % len(POISON)]
            for place in act.places:
                self.it.logs[place].append(value)

    @rule(worker=workers, parts=st.sets(partitions, min_size=1), told=st.booleans())
    def rebalance(self, worker: int, parts: set[int], told: bool) -> None:
        """Give partitions to a worker; whoever had them may be too busy to hear of it."""
        for member in self.it.members if told else ():
            for part in parts:
                member.claims.pop(part, None)
        self.it.members[worker].join(sorted(parts))

    @rule(picks=st.lists(st.integers(0, 9), min_size=1, max_size=6), most=st.integers(1, 5))
    def work(self, picks: list[int], most: int) -> None:
        """Let workers take batches in turn."""
        for pick in picks:
            self.take(pick, most, None)

    @rule(pick=st.integers(0, 9), most=st.integers(1, 5), fault=faults_)
    def work_in_trouble(self, pick: int, most: int, fault: Fault) -> None:
        """Let a worker take a batch while something goes wrong."""
        self.take(pick, most, fault)

    def take(self, pick: int, most: int, fault: Fault | None) -> None:
        """Let a worker take a batch: only the one who was given the partitions may store it."""
        working = [n for n, member in enumerate(self.it.members) if member.claims]
        if not working:
            self.it.members[0].join(range(PARTITIONS))
            working = [0]
        worker = working[pick % len(working)]
        zombie, before = self.it.members[worker].is_zombie(), self.it.trace()
        outcome = self.it.step(worker, most, fault)
        hits["worker", outcome] += 1
        if zombie:
            hits["zombie", outcome] += 1
            # one that got no answer may find the position where others have moved it, and go on
            unanswered = fault is not None and fault.how == "unavailable"
            let_through = outcome == "idle" or (outcome == "stored" and not unanswered)
            assert not let_through, "a zombie was let through"
            assert before == self.it.trace(), "a zombie wrote"

    @rule(pick=st.integers(0, 9), mend=st.booleans(), fault=st.none() | faults_)
    def redrive(self, pick: int, mend: bool, fault: Fault | None) -> None:
        """Somebody mends a dead letter and sends it again, or sends it as it is."""
        letters = [
            x for x in self.it.store.dead_letters(state="open") if x[0] not in self.it.mended
        ]
        if letters:
            id_, _, letter = letters[pick % len(letters)]
            if mend:
                value = sent(f"mended {id_}", email=f"person{id_ % PEOPLE}@example.com")
            else:
                value = letter.value or b""
            self.it.redrive(id_, value, fault)
            hits["letter", "mended" if mend else "sent as it was"] += 1

    @rule(batch=st.sampled_from([1, 3, 100]), reads=st.none() | st.integers(0, 3))
    def project(self, batch: int, reads: int | None) -> None:
        self.it.project(batch, reads)

    @precondition(lambda self: self.number > 20 and not self.rebuilt)
    @rule()
    def rebuild(self) -> None:
        self.rebuilt = True  # once: it takes as long as twenty other steps
        self.it.rebuild()

    @invariant()
    def all_that_was_read_counts_once(self) -> None:
        if self.world is not None:
            self.world.check()

    def teardown(self) -> None:
        if self.world is not None:
            try:
                self.world.drain()
                self.world.check_end(rebuild=self.number % 3 == 0)
            finally:
                self.world.close()
