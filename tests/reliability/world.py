"""A whole installation in one process: logs, workers, a store, read models, and faults at will.

The store is the real one on SQLite. A crash drops everything but the database; a failure of the
database at `committed` is a commit whose answer was lost.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consumers.contract import Malformed, Parsed, parse
from consumers.intake import Intake
from consumers.ledger import Batch, Claim, Conflict, Fenced, StoreUnavailable
from consumers.unpack import Record
from domain.admission import REJECTED, refusal
from domain.corrections import corrections
from domain.events import Event, canonical
from leadflow.store import faults, migrate, open_store
from leadflow.store.base import Store
from projections.runner import Runner
from tests.reliability import kit

PARTITIONS = 2
WORKERS = 3
CONFLICTING = "conflicting_duplicate"

hits: Counter[tuple[str, str]] = Counter()
"""What happened, over all worlds: a point and how the process fared there, or a word alone."""


class Crash(BaseException):
    """The process dies here; nothing in it may catch this."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, where, and at which passing."""

    point: str
    how: str
    """`crash` or `unavailable`."""
    times: int = 1


@contextmanager
def struck(fault: Fault | None) -> Iterator[None]:
    """Let *fault* strike."""
    left = fault.times if fault else 0

    def reach(point: str) -> None:
        nonlocal left
        if fault is None or point != fault.point or left == 0:
            hits[point, "passed"] += 1
            return
        left -= 1
        if left == 0:
            hits[point, fault.how] += 1
            raise Crash if fault.how == "crash" else StoreUnavailable(f"failed at {point}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "reach", reach)
        yield


class Member:
    """A worker: what it holds in memory, and what it does with a batch."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.store = open_store(world.url)
        self.intake = Intake(self.store, kit.policy(), cached_facts=world.cached)
        self.claims: dict[int, Claim] = {}

    def join(self, partitions: Sequence[int]) -> None:
        """Be given *partitions* by the group."""
        self.intake.forget()
        for part, claim in self.store.claim(kit.STREAM, partitions).items():
            self.claims[part] = claim
            self.world.epochs[part] = claim.epoch

    def is_zombie(self) -> bool:
        """Return whether another worker was given a partition of which this one has records."""
        return any(
            claim.epoch < self.world.epochs[part] and self.world.after(part, claim.position, 1)
            for part, claim in self.claims.items()
        )

    def step(self, most: int) -> str:
        """Store up to *most* records of each partition, and return what came of it."""
        records: list[Record] = []
        moves: dict[tuple[str, int], tuple[int, int, int]] = {}
        for part, claim in self.claims.items():
            new = self.world.after(part, claim.position, most)
            if new:
                records += new
                reached = claim.position + len(new)
                moves[kit.STREAM, part] = (claim.position, reached, claim.epoch)
        if not moves:
            return "idle"
        try:
            self.intake.process(records, moves)
        except Fenced:
            # it joins the group anew, and hears which partitions are still its own
            mine = [p for p, claim in self.claims.items() if claim.epoch == self.world.epochs[p]]
            self.claims.clear()
            self.join(mine)
            return "fenced"
        except StoreUnavailable:
            if not self.is_stored(moves):
                return "unavailable"
        for (_, part), (_, reached, epoch) in moves.items():
            self.claims[part] = Claim(reached, epoch)
        return "stored"

    def is_stored(self, moves: dict[tuple[str, int], tuple[int, int, int]]) -> bool:
        """Return whether a commit whose answer was lost took place, as the worker does."""
        reached = self.store.positions(kit.STREAM)
        return all(reached.get(part) == new for (_, part), (_, new, _) in moves.items())


class Dying:
    """A history that fails, or a process that dies, after some reads."""

    def __init__(self, store: Store, reads: int) -> None:
        self.store = store
        self.reads = reads

    def stream(self, after: int, limit: int) -> list[tuple[int, str, int, Event]]:
        self.reads -= 1
        if self.reads < 0:
            raise Crash
        return self.store.stream(after, limit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class World:
    """All that there is."""

    def __init__(self, template: Path, cached: int) -> None:
        self.ends = ExitStack()
        folder = self.ends.enter_context(kit.quick_folder())
        self.url = kit.new_sqlite(folder, template)
        self.engine = migrate.make_engine(self.url)
        self.ends.callback(self.engine.dispose)
        self.cached = cached
        self.logs: list[list[bytes | None]] = [[] for _ in range(PARTITIONS)]
        self.epochs = [0] * PARTITIONS
        self.mended: dict[int, bytes] = {}
        """What was sent in place of a dead letter, by its id; settled or not."""
        self.members = [Member(self) for _ in range(WORKERS)]
        self.store = open_store(self.url)
        self.runner = Runner(self.engine, self.store, kit.policy())

    def close(self) -> None:
        """Remove everything."""
        for member in self.members:
            member.store.close()
        self.store.close()
        self.ends.close()

    def after(self, partition: int, position: int, most: int) -> list[Record]:
        """Return up to *most* records of the partition from *position* on."""
        values = self.logs[partition][position : position + most]
        return [
            kit.record(value, position + number, partition=partition)
            for number, value in enumerate(values)
        ]

    def step(self, number: int, most: int, fault: Fault | None) -> str:
        """Let a worker take a batch while *fault* strikes; return what came of it."""
        member = self.members[number]
        with struck(fault):
            try:
                return member.step(most)
            except Crash:
                member.store.close()
                self.members[number] = Member(self)
                return "crashed"

    def redrive(self, id_: int, value: bytes, fault: Fault | None) -> None:
        """Send *value* in place of a dead letter."""
        [(_, _, letter)] = self.store.dead_letters([id_])
        record = kit.record(value, letter.position, partition=letter.partition)
        self.mended[id_] = value
        with struck(fault):
            try:
                Intake(self.store, kit.policy()).process([record], {}, redriven=[id_])
            except (Crash, StoreUnavailable):
                return

    def project(self, batch: int, reads: int | None) -> None:
        """Bring the read models up to date; die after *reads* reads of the history, if given."""
        if reads is None:
            self.runner.catch_up(batch)
            return
        try:
            dying = Runner(self.engine, Dying(self.store, reads), kit.policy())
            dying.catch_up(batch)
        except Crash:
            hits["projection", "crash"] += 1

    def drain(self) -> None:
        """Heal, and let one worker finish."""
        self.members[0].join(range(PARTITIONS))
        while self.step(0, 50, None) == "stored":
            pass
        self.runner.catch_up()

    # --- the model --------------------------------------------------------------------------------

    def trace(self) -> Any:
        """Return what a write would change."""
        store = self.store
        letters = [(id_, state) for id_, state, _ in store.dead_letters()]
        return store.head(), store.all_positions(), letters, store.counts()

    def check(self) -> None:
        """Assert that all that is behind a position counts, once, and nothing else does."""
        positions = self.store.positions(kit.STREAM)
        rows = self.store.dead_letters()
        letters = [(state, letter) for _, state, letter in rows]
        sent = [read(self.mended[id_]) for id_, state, _ in rows if state == "redriven"]
        passed = {
            (part, position): read(value)
            for part, log in enumerate(self.logs)
            for position, value in enumerate(log[: positions.get(part, 0)])
        }
        sent += passed.values()
        bodies = self.store.seen({each.key for each in sent if not isinstance(each, Malformed)})
        wrong: dict[tuple[int, int], set[str]] = {}
        for place, each in passed.items():
            if isinstance(each, Malformed):
                wrong[place] = {each.reason}
            elif isinstance(each, Refused):
                # its id may be used by another event that was accepted, before it or after it
                wrong[place] = {REJECTED} | ({CONFLICTING} if each.key in bodies else set())
            else:
                assert each.key in bodies, "a position passed an event that does not count"
                if bodies[each.key] != each.body:
                    wrong[place] = {CONFLICTING}
        good = {(each.fact.source, each.fact.id) for each in sent if isinstance(each, Parsed)}
        facts = [(fact.source, fact.id) for fact in kit.facts_of(self.store)]
        assert len(facts) == len(set(facts)), "an event counts twice"
        assert good == set(facts), "an event is lost, or counts before its position"
        places = {(letter.partition, letter.position) for _, letter in letters}
        assert wrong.keys() == places, "a wrong record has no letter, or a good one has"
        for _, letter in letters:
            # what was sent in place of a record may be wrong in another way
            place = letter.partition, letter.position
            original = letter.value == self.logs[place[0]][place[1]]
            assert not original or letter.reason in wrong[place], (
                "another reason than the right one"
            )
        still = Counter((x.partition, x.position) for state, x in letters if state == "open")
        assert not still or max(still.values()) == 1, "a record has two letters"

    def check_end(self, *, rebuild: bool) -> None:
        """Assert that people, stages and read models are what the facts make them."""
        self.check()
        assert dict(enumerate(map(len, self.logs))) == self.store.positions(kit.STREAM)
        kit.check_people(self.store)
        leads = [lead.facts for lead in kit.leads_in(self.store).values()]
        hits["leads", "merged"] += bool(self.store.merged())
        hits["leads", "told apart"] += len(kit.as_people(leads)) > len(leads)
        hits["correction", "waited"] += bool(self.store.corrections())
        hits["event", "voided"] += any(corrections(canonical(facts)).voided for facts in leads)
        reasons = {letter.reason for _, _, letter in self.store.dead_letters()}
        hits["letter", "refused by a rule"] += REJECTED in reasons
        if rebuild:
            self.rebuild()

    def rebuild(self) -> None:
        """Assert that the read models are what a rebuild makes of the history."""
        self.runner.catch_up()
        report = self.runner.rebuild()
        if self.runner.checkpoint():  # of an empty log there is nothing to compare
            assert report.before == report.after, "a rebuild changes the read models"
        hits["read models", "rebuilt"] += 1


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that a rule of the policy refuses."""

    key: bytes


def read(value: bytes | None) -> Parsed | Malformed | Refused:
    """Return what the contract and the policy make of a record."""
    try:
        parsed = parse(value, (), kit.NOW)
    except Malformed as error:
        return error
    refused = refusal(parsed.fact, kit.policy())
    return parsed if refused is None else Refused(parsed.key)


def count_conflicts(patch: pytest.MonkeyPatch) -> None:
    """Count how often a worker finds that another was first."""
    commit = type(open_store("sqlite:///any.db")).commit

    def counted(self: Any, batch: Batch) -> None:
        try:
            commit(self, batch)
        except Conflict:
            hits["commit", "conflict"] += 1
            raise

    patch.setattr("leadflow.store.sqlite.SQLiteStore.commit", counted)
