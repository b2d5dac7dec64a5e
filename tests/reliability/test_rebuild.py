"""A rebuild goes on where it was ended, and puts nothing live that it cannot answer for."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from domain.policy import Policy
from leadflow.app import App
from leadflow.policies import load_policy
from leadflow.settings import load_settings
from projections import builds
from projections.digest import snapshot
from projections.naming import LIVE, NEW, OLD
from projections.pipeline import pipeline
from projections.rebuild import NoOldSet, NothingToResume, RebuildReport, rebuild, roll_back, sets
from projections.runner import Runner
from projections.schema import SCHEMA
from projections.setup import VERSION, alone, create, drop, make_anew
from projections.writer import Superseded, writer
from tests.projections_kit import DAY, HOUR, Log, fact, person, read_model_database

POLICY = load_policy()
PART = 6


class Ended(Exception):
    """Ends a rebuild as a kill would: nothing is tidied up after it."""


def history() -> Log:
    """Return a log with merges, in several parts."""
    log = Log(POLICY)
    for n in range(8):
        who = f"p{n}@example.com"
        log.arrive(fact("page.viewed", n * HOUR, person(anonymous_id=f"v{n}")))
        log.arrive(fact("demo.requested", n * HOUR + DAY, who))
        if n % 3 == 0:
            both = person(email=who, anonymous_id=f"v{n}")
            log.arrive(fact("form.submitted", n * HOUR + 2 * DAY, both, kind="contact"))
    return log


@contextmanager
def running(database_url: str) -> Iterator[Runner]:
    engine = create_engine(database_url)
    runner = Runner(engine, history(), POLICY)
    runner.create()
    runner.catch_up()
    yield runner
    engine.dispose()


@pytest.fixture
def runner(sqlite_database: str) -> Iterator[Runner]:
    """Give a runner on SQLite, for what is the same code on both databases."""
    with running(sqlite_database) as runner:
        yield runner


@pytest.fixture
def either(database_url: str) -> Iterator[Runner]:
    """Give a runner, once on each database."""
    with running(database_url) as runner:
        yield runner


def rules() -> Policy:
    return POLICY


def again(runner: Runner, **options: Any) -> RebuildReport:
    return rebuild(runner.engine, runner.history, rules, part=PART, **options)


def expected(log: Any) -> dict[str, str]:
    other = Runner(read_model_database(), log, POLICY)
    other.catch_up()
    return other.digest()


def end_at(step: str) -> Callable[[str], None]:
    def told(reached: str) -> None:
        if reached == step:
            raise Ended

    return told


def table(runner: Runner, name: str, which: str = LIVE) -> str:
    if runner.engine.dialect.name == "postgresql":
        return f"{SCHEMA}{which}.{name}"
    return f"{name}{which}"


def change(runner: Runner, statement: str) -> None:
    with runner.engine.begin() as connection:
        connection.execute(text(statement))


def filled(runner: Runner, parts: int) -> None:
    """Fill so many parts, and end."""
    left = parts

    def told(_events: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Ended

    with pytest.raises(Ended):
        again(runner, on_progress=told)


def test_parts_that_are_done_are_not_filled_again(runner: Runner) -> None:
    filled(runner, 2)
    runner.history.arrive(fact("page.viewed", 9 * DAY, "late@example.com"))  # type: ignore[attr-defined]  # a Log

    report = again(runner)

    assert 2 == report.resumed < report.parts
    assert report.switched
    assert expected(runner.history) == runner.digest()


def test_merges_since_the_beginning_change_no_part_that_is_done(either: Runner) -> None:
    filled(either, 3)
    for n in range(8):
        both = person(email=f"p{n}@example.com", anonymous_id=f"v{n}")
        either.history.arrive(fact("form.submitted", 9 * DAY + n, both))  # type: ignore[attr-defined]  # a Log

    assert 3 == again(either).resumed
    assert expected(either.history) == either.digest()


@pytest.mark.parametrize("step", ["fill", "catch up", "compare", "switch"])
def test_a_rebuild_that_ends_at_any_step_leaves_what_was_live_and_can_be_gone_on_with(
    either: Runner, step: str
) -> None:
    before = either.digest()
    with pytest.raises(Ended):
        again(either, on_step=end_at(step))
    assert before == either.digest()

    report = again(either, resume=True)

    assert (report.parts if step != "fill" else 0) == report.resumed
    assert before == either.digest() == report.after


def test_a_rebuild_that_is_taken_over_ends_and_changes_nothing_any_more(either: Runner) -> None:
    reports: list[RebuildReport] = []

    def take_over(_events: int) -> None:
        if not reports:
            reports.append(again(either))

    with pytest.raises(Superseded, match="taken this one over"):
        again(either, on_progress=take_over)

    assert reports[0].switched
    assert expected(either.history) == either.digest()


def test_a_runner_does_not_mix_the_numbers_of_two_sets(either: Runner) -> None:
    """Another set at the same position is another set: its leads have other numbers."""
    before = writer(either.engine).checkpoint()
    again(either)
    after = writer(either.engine).checkpoint()
    assert before is not None
    assert after is not None
    assert before.position == after.position
    assert before.build != after.build

    for n in range(8):
        either.history.arrive(fact("page.viewed", 9 * DAY, f"p{n}@example.com"))  # type: ignore[attr-defined]  # a Log
    either.catch_up()

    assert expected(either.history) == either.digest()


def test_rows_that_nothing_explains_stop_the_switch_and_show_no_personal_value(
    either: Runner,
) -> None:
    change(either, f"UPDATE {table(either, 'people')} SET email = 'wrong@example.com'")
    before = either.digest()

    report = again(either)

    assert (False, ["people"], []) == (report.switched, report.differences, report.reasons)
    assert before == either.digest()
    assert "example.com" not in str(report.rows)
    assert {"email": "(17 characters)"} == report.rows["people"][0].live
    assert sets(either.engine).new is not None
    assert again(either, accept_differences=True).switched
    assert expected(either.history) == either.digest()


def test_another_policy_or_version_explains_what_differs(runner: Runner) -> None:
    change(runner, f"UPDATE {table(runner, 'touches')} SET channel = 'x'")
    change(runner, f"UPDATE {table(runner, 'pipeline')} SET owner = 'x'")
    change(runner, f"UPDATE {table(runner, 'checkpoints')} SET policy = 'other@1'")
    report = again(runner)
    assert report.switched
    assert "other@1" in report.reasons[0]
    assert "pipeline" in (report.differences or [])

    older = VERSION.replace("pipeline@", "pipeline@0")
    change(runner, f"UPDATE {table(runner, 'pipeline')} SET owner = 'x'")
    change(runner, f"UPDATE {table(runner, 'checkpoints')} SET version = '{older}'")
    report = again(runner)
    assert report.switched
    assert "pipeline" in report.reasons[0]
    assert [] == report.differences
    assert expected(runner.history) == runner.digest()


def test_a_read_model_of_the_same_version_has_to_stay_what_it_was(runner: Runner) -> None:
    older = VERSION.replace("pipeline@", "pipeline@0")
    change(runner, f"UPDATE {table(runner, 'checkpoints')} SET version = '{older}'")
    change(runner, f"UPDATE {table(runner, 'stages')} SET rule = 'x'")

    report = again(runner)

    assert (["stages"], False) == (report.differences, report.switched)


def test_going_back_brings_the_old_set_to_where_the_log_is(either: Runner) -> None:
    again(either)
    either.history.arrive(fact("page.viewed", 9 * DAY, "late@example.com"))  # type: ignore[attr-defined]  # a Log

    roll_back(either.engine, either.history, rules)

    assert 0 == either.lag()
    assert expected(either.history) == either.digest()
    with pytest.raises(NoOldSet, match="no set to go back to"):
        roll_back(either.engine)


def test_going_back_waits_for_readers_and_is_not_behind_then(postgres_database: str) -> None:
    with running(postgres_database) as runner:
        again(runner)
        before = runner.checkpoint()
        with ThreadPoolExecutor(1) as thread:
            with runner.engine.connect() as reader:
                reader.execute(select(pipeline.c.lead_no)).all()
                going = thread.submit(roll_back, runner.engine, runner.history, rules)
                while sets(runner.engine).new is not None:  # it drops the new set, then waits
                    time.sleep(0.01)
                runner.history.arrive(fact("page.viewed", 9 * DAY, "late@example.com"))  # type: ignore[attr-defined]  # a Log
                runner.catch_up()
                assert not going.done()
            went_to = going.result().position

        assert before < went_to == runner.history.head()
        assert expected(runner.history) == runner.digest()


def test_a_build_that_was_taken_over_commits_nothing(either: Runner) -> None:
    def begun() -> builds.Build:
        with alone(either.engine) as connection:
            make_anew(connection, NEW)
            return builds.begin(connection, either.engine, 9, 2, {}, 0, "")

    mine, other = begun(), begun()
    runner = Runner(either.engine, either.history, POLICY, which=NEW, build=mine.name)

    with pytest.raises(Superseded):
        mine.settle()
    with pytest.raises(Superseded):
        runner.catch_up()

    assert 0 == Runner(either.engine, either.history, POLICY, which=NEW).checkpoint()
    other.settle()
    assert 9 == Runner(either.engine, either.history, POLICY, which=NEW).checkpoint()


def test_without_the_old_set_there_is_no_going_back(runner: Runner) -> None:
    again(runner, keep_old=False)

    assert sets(runner.engine).old is None


def test_how_far_a_rebuild_is_can_be_told(either: Runner) -> None:
    assert sets(either.engine).build is None
    filled(either, 2)

    standing = sets(either.engine).build

    assert standing is not None
    assert 2 == standing.parts_done < standing.parts
    assert 0 < standing.events < len(either.history.rows)  # type: ignore[attr-defined]  # a Log
    again(either)
    assert sets(either.engine).build is None


def test_there_is_nothing_to_resume_without_a_build_of_this_version_and_policy(
    runner: Runner,
) -> None:
    with pytest.raises(NothingToResume):
        again(runner, resume=True)
    filled(runner, 1)
    change(runner, f"UPDATE {table(runner, 'checkpoints', NEW)} SET version = 'pipeline@0'")
    with pytest.raises(NothingToResume):
        again(runner, resume=True)

    assert 0 == again(runner).resumed


def test_a_fresh_rebuild_forgets_what_was_begun(runner: Runner) -> None:
    filled(runner, 2)

    assert 0 == again(runner, resume=False).resumed


def test_a_set_without_a_build_is_begun_anew(runner: Runner) -> None:
    create(runner.engine, NEW)

    assert builds.standing(runner.engine) is None
    assert again(runner).switched


def test_the_live_set_cannot_be_dropped(runner: Runner) -> None:
    with pytest.raises(ValueError, match="switched, not dropped"):
        drop(runner.engine, LIVE)
    drop(runner.engine, OLD)


def test_an_answer_of_several_queries_is_put_together_from_one_set(tmp_path: Path) -> None:
    """Leads have other numbers in another set; on PostgreSQL the switch waits for the reader."""
    with App(load_settings({"database_url": f"sqlite:///{tmp_path / 'leadflow.db'}"})) as app:
        app.prepare()
        runner = Runner(app.engine, history(), POLICY)
        runner.catch_up()
        with app.connect() as connection:
            first = connection.execute(select(pipeline.c.lead_no, pipeline.c.lead_id)).all()
            again(runner)
            second = connection.execute(select(pipeline.c.lead_no, pipeline.c.lead_id)).all()
        assert first == second
        with app.connect() as connection:
            assert dict(first) != dict(
                connection.execute(select(pipeline.c.lead_no, pipeline.c.lead_id)).all()
            )


def test_a_switch_waits_for_whoever_is_reading(postgres_database: str) -> None:
    with running(postgres_database) as runner, ThreadPoolExecutor(1) as pool:
        reached = Event()
        with snapshot(runner.engine) as connection:
            first = connection.execute(text(f"SELECT * FROM {SCHEMA}.pipeline")).all()
            rebuilding = pool.submit(
                again, runner, on_step=lambda step: reached.set() if step == "switch" else None
            )
            assert reached.wait(60)
            assert first == connection.execute(text(f"SELECT * FROM {SCHEMA}.pipeline")).all()
            assert not rebuilding.done()
        assert rebuilding.result().switched
