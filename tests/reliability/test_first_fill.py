"""Read models that hold nothing yet are filled by lead: the same rows as by the log, and sooner."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from domain.policy import Policy
from leadflow.policies import load_policy
from projections.rebuild import Progress, first_fill, sets
from projections.runner import Runner
from tests.command_line import command_line, event
from tests.projections_kit import DAY, HOUR, Log, fact, person, read_model_database

POLICY = load_policy()
PART = 6


class Ended(Exception):
    """Ends a fill as a kill would: nothing is tidied up after it."""


def rules() -> Policy:
    return POLICY


@pytest.fixture
def log() -> Log:
    """Return a log with merges, and a fact that came late."""
    log = Log(POLICY)
    for n in range(8):
        who = f"p{n}@example.com"
        log.arrive(fact("page.viewed", n * HOUR, person(anonymous_id=f"v{n}")))
        log.arrive(fact("demo.requested", n * HOUR + DAY, who))
        log.arrive(fact("form.submitted", n * HOUR + 9, who, kind="contact"))
        if n % 3 == 0:
            both = person(email=who, anonymous_id=f"v{n}")
            log.arrive(fact("form.submitted", n * HOUR + 2 * DAY, both, kind="contact"))
    return log


@pytest.fixture
def runner(database_url: str, log: Log) -> Iterator[Runner]:
    """Give a runner whose read models hold nothing, once on each database."""
    engine = create_engine(database_url)
    runner = Runner(engine, log, POLICY)
    runner.create()
    yield runner
    engine.dispose()


def by_the_log(log: Log) -> dict[str, str]:
    other = Runner(read_model_database(), log, POLICY)
    other.catch_up()
    return other.digest()


def first(runner: Runner, told: Progress | None = None) -> None:
    first_fill(runner.engine, runner.history, rules, told, PART)


def test_what_is_filled_by_lead_is_what_the_log_makes(runner: Runner, log: Log) -> None:
    told: list[int] = []

    first(runner, told.append)

    assert by_the_log(log) == runner.digest()
    assert log.head() == runner.checkpoint()
    assert len(told) > 2
    found = sets(runner.engine)
    assert (None, None, None) == (found.new, found.old, found.build)


def test_it_goes_on_where_it_was_ended_and_takes_in_what_came_since(
    runner: Runner, log: Log
) -> None:
    def end(_events: int) -> None:
        raise Ended

    with pytest.raises(Ended):
        first(runner, end)
    assert 0 == runner.checkpoint()
    log.arrive(fact("page.viewed", 9 * DAY, "p1@example.com"))
    build = sets(runner.engine).build
    assert build is not None
    assert 1 == build.parts_done

    first(runner)

    assert by_the_log(log) == runner.digest()


def test_read_models_that_hold_something_are_left_alone(runner: Runner, log: Log) -> None:
    runner.catch_up()
    log.arrive(fact("page.viewed", 9 * DAY, "p1@example.com"))
    before = sets(runner.engine).live

    first(runner, lambda _: pytest.fail("nothing is to be filled"))

    assert before == sets(runner.engine).live
    runner.catch_up()
    assert by_the_log(log) == runner.digest()


def test_a_runner_of_the_live_set_goes_on_behind_the_fill(runner: Runner, log: Log) -> None:
    runner.catch_up(batch=5, upto=0)
    first(runner)
    log.arrive(fact("page.viewed", 9 * DAY, "p1@example.com"))

    assert 1 <= runner.catch_up()

    assert by_the_log(log) == runner.digest()


def test_a_first_file_of_many_events_is_projected_by_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.rebuild.FIRST_FILL", 8)
    with command_line(tmp_path) as leadflow:
        events = [
            event(
                str(n),
                "demo.requested",
                f"2026-03-{n:02}T09:00:00Z",
                {"person": {"email": f"p{n % 3}@example.com"}},
            )
            for n in range(1, 9)
        ]

        leadflow("ingest", leadflow.write("eight.jsonl", *events))

        live = sets(create_engine("sqlite:///leadflow.db")).live
        assert live is not None
        assert live.build
        assert 0 == leadflow.json("project")["events"]
        assert [] == leadflow.json("rebuild")["differences"]
