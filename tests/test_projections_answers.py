"""The worked example of five visitors: every answer that its definitions give."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from consumers.contract import parse
from domain.attribution import MODELS, attribute
from domain.events import Fact
from domain.journey import COLLAPSE_GAP, LOOKBACK
from leadflow.policies import load_policy
from projections import credit, funnel, pipeline_now, sources
from projections.as_of import as_of_engine
from projections.pipeline import UnknownDimension
from projections.runner import Runner
from tests.journeys_by_domain import journeys
from tests.projections_kit import DAY, HOUR, Log, fact, memory, read_model_database

POLICY = load_policy()
NAMES = {"time_decay_7d": "time_decay"}


@pytest.fixture(scope="module")
def example(shared_data: Path) -> list[Fact]:
    lines = (shared_data / "dp6_events" / "dp6.jsonl").read_bytes().splitlines()
    return [parse(line, [], 1_700_000_000_000_000).fact for line in lines]


@pytest.fixture(scope="module")
def expected(shared_data: Path) -> Any:
    return json.loads((shared_data / "dp6_events" / "expected.json").read_text())


@pytest.fixture
def projected(database_url: str, example: list[Fact]) -> Any:
    engine = create_engine(database_url)
    runner = Runner(engine, Log(POLICY, example), POLICY)
    runner.create()
    runner.catch_up()
    yield runner.engine
    engine.dispose()


def won_of(answer: Any) -> Decimal:
    amounts = [a for row in answer["stages"] if row["stage"] == "won" for a in row["amounts"]]
    return sum((Decimal(amount["amount"]) for amount in amounts), Decimal())


def test_pipeline_tells_leads_and_amounts_by_stage(projected: Engine, expected: Any) -> None:
    with projected.connect() as connection:
        answer = pipeline_now.summary(connection, by="channel")

    by_stage = {row["stage"]: row["leads"] for row in answer["stages"]}
    assert {None: 1, "won": 4} == by_stage
    assert expected["leads"] == answer["leads"]
    assert Decimal(expected["won_amount"]) == won_of(answer)
    assert ["organic_search", "direct"] == [group["value"] for group in answer["groups"]]
    assert "2022-03-21T23:00:00Z" == answer["as_of"]


def test_sources_tell_what_became_of_leads_by_first_touch(projected: Engine, expected: Any) -> None:
    with projected.connect() as connection:
        rows = sources.summary(connection)["rows"]

    for row in rows:
        told = expected["by_first_touch_channel"][row["value"]]
        assert (told["leads"], told["won_leads"]) == (row["leads"], row["won"])
        assert told["rate"] == row["conversion_to_won"]
        assert [{"currency": "USD", "amount": told["won_amount"]}] == row["amounts"]


@pytest.mark.parametrize("by", ["channel", "source"])
@pytest.mark.parametrize("collapse", [COLLAPSE_GAP, None])
def test_attribution_gives_the_worked_credit(
    projected: Engine, expected: Any, by: str, collapse: int | None
) -> None:
    told = expected["attribution_90d"]
    told = told.get(
        {
            ("channel", True): "collapse_30min",
            ("channel", False): "no_collapse",
            ("source", False): "no_collapse_by_source",
        }.get((by, collapse is not None), "")
    )
    if told is None:
        return  # the example has no answer by source with collapsing
    for name, worked in told.items():
        with projected.connect() as connection:
            answer = credit.attribution(
                connection, NAMES.get(name, name), by, collapse_gap=collapse
            )

        earned = {row["value"]: float(row["credit"]) for row in answer["rows"]}
        assert worked["conversions"] == pytest.approx(earned, abs=1e-6)
        assert 5 == answer["conversions"]
        assert [{"currency": "USD", "amount": "6.00"}] == answer["amounts"]
        assert {"conversions": 0, "amounts": []} == answer["unattributed"]


def test_as_of_an_instant_the_example_is_as_it_was(example: list[Fact], expected: Any) -> None:
    log = Log(POLICY, example)
    for instant, told in expected["as_of"].items():
        at = int(datetime.fromisoformat(instant).astimezone(UTC).timestamp()) * 1_000_000
        engine = as_of_engine(log, POLICY, as_of=at)
        with engine.connect() as connection:
            answer = pipeline_now.summary(connection, by="channel", as_of=at)
        engine.dispose()

        assert told["leads"] == answer["leads"]
        assert told["stage_as_recorded"] == {
            row["stage"] or "(null)": row["leads"] for row in answer["stages"]
        }
        assert Decimal(told["won_amount"]) == won_of(answer)
        assert told["leads_by_first_touch_channel"] == {
            group["value"]: group["leads"] for group in answer["groups"]
        }


# --- by hand ---


def read(*facts: Fact) -> Engine:
    engine = read_model_database()
    Runner(engine, Log(POLICY, facts), POLICY).catch_up()
    return engine


def test_a_funnel_counts_skipped_stages_only_where_order_does_not_matter() -> None:
    engine = read(
        fact("demo.requested", 0, "ada@example.com"),
        fact("deal.won", DAY, "ada@example.com"),
        fact("demo.requested", HOUR, "ben@example.com"),
        fact("lead.accepted", 2 * HOUR, "ben@example.com"),
    )
    steps = ["captured", "sal", "won"]

    with engine.connect() as connection:
        monotone = funnel.funnel(connection, steps)
        ordered = funnel.funnel(connection, steps, mode="ordered", by="owner")

    assert [2, 2, 1] == [step["leads"] for step in monotone["steps"]]
    assert [2, 1, 0] == [step["leads"] for step in ordered["steps"]]
    assert 86_400.0 == monotone["steps"][2]["median_seconds_from_first"]
    assert [None] == [group["value"] for group in ordered["groups"]]


def test_a_conversion_without_touches_is_unattributed() -> None:
    engine = read(fact("deal.won", 0, opportunity="o", amount=1250, currency="EUR"))

    with engine.connect() as connection:
        answer = credit.attribution(connection, "linear")

    won = [{"currency": "EUR", "amount": "12.50"}]
    assert (1, won, []) == (answer["conversions"], answer["amounts"], answer["rows"])
    assert {"conversions": 1, "amounts": won} == answer["unattributed"]


def test_stored_credit_is_that_of_the_reference() -> None:
    touches = [
        fact("page.viewed", n * 5 * DAY, touch={"channel": channel, "campaign": f"c{n % 3}"})
        for n, channel in enumerate(["email", "event", "direct", "email", "display", "event"])
    ]
    engine = read(
        *touches,
        fact("opportunity.created", 26 * DAY, opportunity="o"),
        fact("opportunity.changed", 27 * DAY, opportunity="o", amount=1_000_001, currency="JPY"),
        fact("deal.won", 95 * DAY, opportunity="o", amount=777, currency="EUR"),
    )
    with engine.connect() as connection:
        for kind in ("opportunity", "won"):
            for model in credit.STORED:
                found = journeys(connection, kind, LOOKBACK, COLLAPSE_GAP)
                reference = attribute(list(found), model, lambda touch: touch.campaign)

                assert reference == credit.stored(connection, model, "campaign", kind)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    engine = read()
    with engine.connect() as connection:
        with pytest.raises(ValueError, match="there are first, last"):
            credit.attribution(connection, "best")
        with pytest.raises(UnknownDimension, match="there are owner"):
            pipeline_now.summary(connection, by="stars")
        with pytest.raises(ValueError, match="there are captured"):
            funnel.funnel(connection, ["born"])
        assert set(credit.STORED) <= set(MODELS)


def test_there_is_an_answer_where_there_are_no_leads() -> None:
    with read().connect() as connection:
        assert {
            "as_of": None,
            "leads": 0,
            "stages": [],
            "groups": [],
            "opportunities": [],
            "stuck": {"leads": 0, "rows": []},
        } == pipeline_now.summary(connection)
        assert [] == sources.summary(connection)["rows"]
        assert 0 == credit.attribution(connection, "first")["conversions"]
        assert [0] == [step["leads"] for step in funnel.funnel(connection, ["won"])["steps"]]
    memory().dispose()
