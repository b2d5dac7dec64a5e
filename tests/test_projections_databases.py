"""Both databases hold the same rows, take turns of runners, and show them to people."""

import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from leadflow.policies import load_policy
from projections.history import History
from projections.rebuild import rebuild, roll_back
from projections.rows import READ_MODELS
from projections.runner import NotReady, Runner
from projections.schema import SCHEMA, metadata
from projections.setup import create
from projections.views import view_texts
from projections.workers import WorkerFailed
from tests.projections_kit import DAY, HOUR, START, Log, fact, person, read_model_database

POLICY = load_policy()
SEARCH = {"channel": "paid_search", "source": "google", "campaign": "Pümpe\t\\N\n\r%s 'x'"}


def history() -> Log:
    """Return a log with late facts, a merge, money and awkward text."""
    log = Log(POLICY)
    for n in range(12):
        who = f"p{n}@example.com"
        log.arrive(fact("page.viewed", n * HOUR, person(anonymous_id=f"v{n}"), touch=SEARCH))
        log.arrive(fact("demo.requested", n * HOUR + DAY, who, touch={"channel": "email"}))
        if n % 4 == 1:
            fit = {"seniority": "c_level", "title": "CEO", "company": {"size": "200-499"}}
            log.arrive(fact("pricing.requested", n * HOUR + DAY + 1, who, traits=fit))
        log.arrive(fact("lead.assigned", n * HOUR + 2 * DAY, who, owner="Änn\\a", actor="rep"))
        if n % 3 == 0:
            both = person(email=who, anonymous_id=f"v{n}")
            log.arrive(fact("form.submitted", n * HOUR + 3 * DAY, both, kind="contact"))
        log.arrive(
            fact(
                "opportunity.created", 9 * DAY, who, opportunity=f"o\t{n}", amount=n, currency="EUR"
            )
        )
        if n % 2 == 0:
            log.arrive(fact("call.completed", 4 * DAY, who, actor="rep"))
            log.arrive(fact("consent.granted", 5 * DAY - n, who, purpose="news", proof="p"))
            log.arrive(
                fact(
                    "deal.won", 10 * DAY, who, opportunity=f"o\t{n}", amount=-5 - n, currency="JPY"
                )
            )
    cost = {"day": "2024-10-05", "campaign": "c", "amount": 120, "currency": "EUR"}
    log.arrive(fact("spend.recorded", DAY, None, **cost))
    return log


def runner_on(engine: Engine, log: History) -> Runner:
    runner = Runner(engine, log, POLICY)
    runner.create()
    return runner


@pytest.fixture
def engine(database_url: str) -> Any:
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_both_databases_have_the_digests_of_any_batch_size(engine: Engine, batch: int) -> None:
    log = history()
    other = Runner(read_model_database(), log, POLICY)
    other.catch_up()
    runner = runner_on(engine, log)

    assert len(log.rows) == runner.catch_up(batch)
    assert other.digest() == runner.digest()
    assert 0 == runner.lag()


def test_a_rebuild_switches_and_can_be_taken_back(engine: Engine) -> None:
    log = history()
    runner = runner_on(engine, log)
    runner.catch_up(20)
    before = runner.digest()

    for _ in range(2):
        report = runner.rebuild()
        assert ([], log.head()) == (report.differences, report.position)
    roll_back(runner.engine)

    assert before == runner.digest()
    log.arrive(fact("page.viewed", 99 * DAY, "p1@example.com", touch=SEARCH))
    runner.catch_up()
    other = Runner(read_model_database(), log, POLICY)
    other.catch_up()
    assert other.digest() == runner.digest()


def test_several_processes_rebuild_the_same_rows(engine: Engine) -> None:
    log = history()
    runner = runner_on(engine, log)
    runner.catch_up()
    told: list[int] = []

    report = runner.rebuild(
        told.append, workers=2, open_history=partial(pickle.loads, pickle.dumps(log)), part=20
    )

    assert [] == report.differences
    assert len(log.rows) == report.events == told[-1]
    log.arrive(fact("page.viewed", 99 * DAY, "new@example.com", touch=SEARCH))
    runner.catch_up()
    other = Runner(read_model_database(), log, POLICY)
    other.catch_up()
    assert other.digest() == runner.digest()


def test_a_process_that_fails_ends_the_rebuild_and_leaves_what_was_live(engine: Engine) -> None:
    runner = runner_on(engine, history())
    runner.catch_up()
    before = runner.digest()

    with pytest.raises(WorkerFailed, match="invalid literal"):
        runner.rebuild(workers=2, open_history=partial(int, "no number"))

    assert before == runner.digest()


def test_a_rebuild_tells_which_read_models_were_wrong(engine: Engine) -> None:
    runner = runner_on(engine, history())
    runner.catch_up()
    with runner.engine.begin() as connection:
        name = "touches" if engine.dialect.name == "sqlite" else f"{SCHEMA}.touches"
        connection.execute(text(f"UPDATE {name} SET channel = 'video'"))

    report = rebuild(runner.engine, runner.history, lambda: POLICY)

    assert (["touches"], False) == (report.differences, report.switched)
    first = report.rows["touches"][0]
    assert {"channel": "video"} == first.live
    assert {"channel": "paid_search"} == first.new
    assert ["touches"] == rebuild(
        runner.engine, runner.history, lambda: POLICY, accept_differences=True
    ).differences
    assert runner.digest() == report.after


def test_a_rebuild_before_there_is_anything_makes_it(engine: Engine) -> None:
    runner = Runner(engine, history(), POLICY)
    with pytest.raises(NotReady, match="create them first"):
        runner.lag()

    assert runner.rebuild().differences is None
    assert 0 == runner.catch_up()


def test_two_runners_on_one_database_write_every_batch_once(engine: Engine) -> None:
    log = history()
    one, two = runner_on(engine, log), runner_on(engine, log)

    class InTurns(Log):
        """Lets the other runner write between a runner's reading and its writing."""

        def stream(self, after: int, limit: int) -> list[Any]:
            found = super().stream(after, limit)
            if after % 2:
                two.catch_up(3)
            return found

    turns = InTurns(POLICY)
    turns.__dict__.update(log.__dict__)
    one.history = turns
    one.catch_up(5)
    other = Runner(read_model_database(), log, POLICY)
    other.catch_up()

    assert 0 == one.lag()
    assert other.digest() == one.digest()


def test_rows_of_another_version_are_not_gone_on_with(engine: Engine) -> None:
    runner = runner_on(engine, history())
    name = "checkpoints" if engine.dialect.name == "sqlite" else f"{SCHEMA}.checkpoints"
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {name} SET version = 'pipeline@0'"))

    with pytest.raises(NotReady, match="rebuild"):
        runner.catch_up()
    assert runner.rebuild().differences is None
    assert 0 == runner.catch_up()


def test_a_batch_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    log = history()
    runner = runner_on(engine, log)
    runner.catch_up(10)
    before, position = runner.digest(), runner.checkpoint()

    def fail(*_: Any) -> Any:
        raise OSError("no space left")

    writer: Any = runner._writer
    restored, writer._fill = writer._fill, fail
    log.arrive(fact("demo.requested", 99 * DAY, "new@example.com"))
    with pytest.raises(OSError, match="no space"):
        runner.catch_up()
    assert (before, position) == (runner.digest(), runner.checkpoint())

    writer._fill = restored
    runner.catch_up()
    other = Runner(read_model_database(), log, POLICY)
    other.catch_up()
    assert other.digest() == runner.digest()


def show(engine: Engine, query: str) -> list[Any]:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
        return [tuple(row) for row in connection.execute(text(query))]


def test_views_show_instants_and_exact_decimals(engine: Engine) -> None:
    runner = runner_on(
        engine,
        Log(
            POLICY,
            [
                fact("page.viewed", 123_456, touch=SEARCH),
                fact("deal.won", DAY, opportunity="o", amount=-1205, currency="EUR"),
                fact("deal.won", DAY + 1, opportunity="p", amount=1205, currency="JPY"),
            ],
        ),
    )
    runner.catch_up()
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=START + 123_456)

    ((occurred,),) = show(engine, "SELECT occurred_at FROM v_touches")
    amounts = show(engine, "SELECT amount, currency FROM v_conversions ORDER BY n")
    credited = show(engine, "SELECT credit, amount FROM v_credit WHERE model = 'linear'")
    ((campaign,),) = show(engine, "SELECT campaign FROM v_pipeline")

    if engine.dialect.name == "sqlite":
        assert at.isoformat().replace("+00:00", "Z") == occurred
        assert [("-12.05", "EUR"), ("1205", "JPY")] == amounts
        assert ("1.000000000", "-12.05") == credited[0]
    else:
        assert at == occurred
        assert [(Decimal("-12.05"), "EUR"), (Decimal(1205), "JPY")] == amounts
        assert "-12.05" == str(credited[0][1])
    assert SEARCH["campaign"] == campaign


def test_every_view_can_be_asked(engine: Engine) -> None:
    runner = runner_on(engine, history())
    runner.catch_up()
    for name in view_texts(engine.dialect):
        assert show(engine, f"SELECT * FROM {name}"), name
    reached = dict(show(engine, "SELECT stage, reached FROM v_funnel"))

    assert (12, 12, 6) == (reached["captured"], reached["opportunity"], reached["won"])


def test_every_column_is_commented() -> None:
    for table in metadata.tables.values():
        assert table.comment
        assert [] == [column.name for column in table.columns if not column.comment]


def test_personal_columns_stand_in_people_alone() -> None:
    personal = {"name", "email", "phone", "identifiers"}
    holders = {t.name for t in READ_MODELS if personal & {c.name for c in t.columns}}

    assert {"people"} == holders


def test_creating_twice_is_harmless(engine: Engine) -> None:
    create(engine)
    create(engine)
