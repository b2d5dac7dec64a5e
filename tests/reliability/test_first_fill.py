"""Read models that hold nothing yet are filled by lead: the same rows as by the log, and sooner."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import create_engine, text

from domain.policy import Policy
from leadflow.policies import load_policy
from projections.rebuild import Progress, RightMissing, await_fill, first_fill, sets
from projections.runner import Runner
from projections.schema import SCHEMA
from projections.setup import Behind, Busy
from projections.writer import Superseded
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
    first_fill(runner.engine, runner.history, rules, told, part=PART)


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


def test_two_at_once_make_one_set(runner: Runner, log: Log) -> None:
    together = Barrier(2)

    def fill() -> bool:
        together.wait()
        try:
            first(runner)
        except Superseded:
            return await_fill(runner.engine, lambda: None)
        return True

    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(fill) for _ in range(2)]

    assert [True, True] == [one.result() for one in done]
    assert by_the_log(log) == runner.digest()


def test_who_waits_for_a_fill_that_has_ended_does_not_wait_for_ever(runner: Runner) -> None:
    looked: list[None] = []

    assert not await_fill(runner.engine, lambda: looked.append(None), patience=0.1)
    assert looked


def test_a_set_that_somebody_reads_is_left_to_the_log(postgres_database: str, log: Log) -> None:
    engine = create_engine(postgres_database)
    runner = Runner(engine, log, POLICY)
    runner.create()
    with engine.connect() as reader:
        reader.execute(text(f"SELECT count(*) FROM {SCHEMA}.v_pipeline"))
        with pytest.raises(Busy):
            first_fill(engine, log, rules, part=PART, patience=0.3)
        assert sets(engine).new is None
        runner.catch_up()

    assert by_the_log(log) == runner.digest()
    engine.dispose()


def test_a_set_that_is_always_ahead_is_left_to_the_log(
    runner: Runner, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behind(*_: object, **__: object) -> None:
        raise Behind

    monkeypatch.setattr("projections.rebuild.switch", behind)
    with pytest.raises(Behind):
        first_fill(runner.engine, log, rules, part=PART, patience=0.2)

    assert sets(runner.engine).new is None
    runner.catch_up()
    assert by_the_log(log) == runner.digest()


def test_who_may_not_make_a_schema_is_told_the_right(postgres_database: str, log: Log) -> None:
    owner = create_engine(postgres_database)
    Runner(owner, log, POLICY).create()
    with owner.begin() as connection:
        connection.execute(text("CREATE ROLE projector"))
        connection.execute(text(f"GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO projector"))
        connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA {SCHEMA} TO projector"))
    try:
        limited = create_engine(postgres_database, connect_args={"options": "-c role=projector"})
        with pytest.raises(RightMissing, match="GRANT CREATE ON DATABASE"):
            first_fill(limited, log, rules, part=PART)
        runner = Runner(limited, log, POLICY)
        runner.catch_up()
        assert by_the_log(log) == runner.digest()
        limited.dispose()
    finally:
        with owner.begin() as connection:
            connection.execute(text("DROP OWNED BY projector"))
            connection.execute(text("DROP ROLE projector"))
        owner.dispose()


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
