"""The state machine finds nothing wrong in the engine, and all that is wrong in its mutants."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from leadflow.store import faults, migrate
from projections.runner import Runner
from tests.reliability import kit
from tests.reliability.machine import Machine
from tests.reliability.mutants import MUTANTS, Mutant
from tests.reliability.world import count_conflicts, hits

pytestmark = pytest.mark.slow

EXAMPLES = 25
STEPS = 40
ROUNDS = 2
MOST_ROUNDS = 6
BUDGET = 60
"""Examples within which each mutant must be found."""


@pytest.fixture(scope="module")
def template(sqlite_template: Path) -> Iterator[Path]:
    """Give a database with all tables, those of the read models too."""
    with kit.quick_folder() as folder:
        url = kit.new_sqlite(folder, sqlite_template)
        engine = migrate.make_engine(url)
        with kit.opened(url) as store:
            Runner(engine, store, kit.policy()).create()
        engine.dispose()
        yield folder / "leadflow.db"


def run(template: Path, examples: int, number: int, *, shrink: bool) -> None:
    """Run the machine: the same examples for the same *number*."""

    @seed(number)
    class Here(Machine):
        pass

    Here.template = template
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def never_hit() -> list[tuple[str, str]]:
    """Return what has to happen for a run to prove anything, and did not."""
    wanted = {(point, how) for point in faults.POINTS for how in ("passed", "crash", "unavailable")}
    wanted |= {("worker", how) for how in ("stored", "fenced", "crashed", "unavailable", "idle")}
    wanted |= {("zombie", "fenced"), ("commit", "conflict"), ("leads", "merged")}
    wanted |= {("letter", "mended"), ("letter", "sent as it was"), ("letter", "refused by a rule")}
    wanted |= {("leads", "told apart"), ("correction", "waited"), ("event", "voided")}
    wanted |= {("projection", "crash"), ("read models", "rebuilt")}
    return sorted(what for what in wanted if not hits[what])


def test_the_promises_hold_whatever_happens(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of it did happen: a machine that never met a fault would prove nothing."""
    hits.clear()
    count_conflicts(monkeypatch)
    monkeypatch.setattr("consumers.families.SNAPSHOT_EVERY", 4)
    for number in range(1, MOST_ROUNDS + 1):
        run(template, EXAMPLES, number, shrink=True)
        if number >= ROUNDS and not never_hit():
            break
    assert never_hit() == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_protocol_is_found(
    template: Path, mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)

    with pytest.raises(AssertionError):
        run(template, BUDGET, 1, shrink=False)
