"""Attribution over the read models: columns against the domain, and three roads to each number."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from domain.attribution import (
    MODELS,
    MOMENT_MODELS,
    NANO,
    OVERALL_MODELS,
    attribute,
)
from domain.journey import COLLAPSE_GAP, LOOKBACK
from leadflow.policies import load_policy
from projections.attribution import COMPARED, Scope, attribution, compare
from projections.attribution_models import Asked
from projections.columns import MISSING
from projections.credit import STORED
from projections.journeys_read import read_journeys
from projections.runner import Runner
from projections.schema import SCHEMA
from tests.journeys_by_domain import journeys
from tests.projections_kit import DAY, HOUR, MINUTE, START, Log, fact

POLICY = load_policy()


def touched(channel: str, **more: str) -> dict[str, str]:
    return {"channel": channel, **more}


def market() -> Log:
    """Return forty leads: touched in runs, won twice, won untouched, touched and never won."""
    log = Log(POLICY)
    channels = ("email", "direct", "paid_search", "event", "webinar")
    for n in range(40):
        who = f"p{n}@example.com"
        for i in range(n % 6):
            at = n * HOUR + i * (9 + n % 7) * DAY
            channel = channels[(n * 3 + i * i) % 5]
            campaign = {"campaign": f"k{n % 3}"} if n % 2 else {}
            log.arrive(fact("page.viewed", at, who, touch=touched(channel, **campaign)))
            for again in range(n % 3):
                log.arrive(
                    fact("page.viewed", at + (again + 1) * 20 * MINUTE, who, touch=touched(channel))
                )
        log.arrive(
            fact("demo.requested", n * HOUR + 3 * DAY, who, touch=touched("email"))
            if n % 4
            else fact("demo.requested", n * HOUR + 3 * DAY, who)
        )
        if n % 3:
            deal = f"o{n}"
            money = {"amount": 1_000 + n * 37, "currency": ("EUR", "JPY")[n % 2]}
            log.arrive(
                fact("opportunity.created", 40 * DAY + n * HOUR, who, opportunity=deal, **money)
            )
            if n % 3 == 1:
                log.arrive(fact("deal.won", 60 * DAY + n * HOUR, who, opportunity=deal, **money))
                late = {**money, "amount": 7 * n + 1}
                log.arrive(fact("deal.won", 99 * DAY, who, opportunity=f"{deal}b", **late))
    log.arrive(fact("deal.won", 5 * DAY, "new@example.com", amount=5, currency="EUR"))
    return log


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url)
    runner = Runner(engine, market(), POLICY)
    runner.create()
    runner.catch_up()
    with runner.engine.connect() as connection:
        yield connection
    engine.dispose()


def test_the_columns_hold_the_journeys_of_the_domain(connection: Connection) -> None:
    for kind in ("mql", "sql", "opportunity", "won"):
        for lookback, gap in ((LOOKBACK, COLLAPSE_GAP), (None, None), (10 * DAY, 2 * HOUR)):
            found = read_journeys(connection, kind, "channel", lookback, gap, nulls=True)
            expected = list(journeys(connection, kind, lookback, gap))
            assert len(expected) == int(found.converted.sum())
            for n, one in enumerate(expected):
                mine = found.conversion(n)
                assert [(t.at, t.channel) for t in one.journey.touches] == [
                    (t.at, t.channel) for t in mine.journey.touches
                ]
                assert (one.journey.conversion_at, one.amount) == (
                    mine.journey.conversion_at,
                    mine.amount,
                )
                assert one.amount is None or one.currency == mine.currency


@pytest.mark.parametrize("by", ["channel", "campaign"])
def test_every_rule_credits_what_the_domain_does(connection: Connection, by: str) -> None:
    for model in MODELS:
        exact = attribute(
            journeys(connection, "won", LOOKBACK, COLLAPSE_GAP), model, lambda t: getattr(t, by)
        )
        scope = Scope(by=by, transforms=("unique",))
        answer = attribution(connection, model, scope)
        credit = {row["value"]: Decimal(row["credit"]) * NANO for row in answer["rows"]}
        assert {value: Decimal(units) for value, units in exact.credit.items()} == credit
        if model in STORED:
            assert answer == attribution(connection, model, Scope(by=by))


def test_credit_and_money_of_every_model_sum_to_the_conversions(connection: Connection) -> None:
    for kind in ("mql", "opportunity", "won"):
        for model in (*MODELS, *MOMENT_MODELS, *OVERALL_MODELS):
            answer = attribution(connection, model, Scope(kind))
            nobody = answer["unattributed"]
            credit = sum(Decimal(row["credit"]) for row in answer["rows"])
            assert answer["conversions"] == credit + nobody["conversions"]
            for total in answer["amounts"]:
                parts = [
                    Decimal(one["amount"])
                    for row in (*answer["rows"], nobody)
                    for one in row["amounts"]
                    if one["currency"] == total["currency"]
                ]
                assert Decimal(total["amount"]) == sum(parts)


def test_the_view_the_question_and_the_domain_say_the_same(connection: Connection) -> None:
    """SQL as analysts write it, exact on both databases because it sums in Python."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET search_path = {SCHEMA}"))
    rows = connection.execute(
        text("SELECT model, channel, credit, amount, currency FROM v_credit WHERE kind = 'won'")
    ).all()
    for model in STORED:
        answer = attribution(connection, model)
        credit: dict[str, Decimal] = {}
        money: dict[tuple[str, str], Decimal] = {}
        for name, channel, part, amount, currency in rows:
            if name == model:
                credit[channel] = credit.get(channel, Decimal()) + Decimal(part)
                at = (channel, currency)
                money[at] = money.get(at, Decimal()) + Decimal(amount)
        told = {row["value"]: Decimal(row["credit"]) for row in answer["rows"]}
        nobody = answer["unattributed"]
        told["(none)"] = Decimal(nobody["conversions"])
        assert credit == told
        amounts: dict[tuple[str, str], Decimal] = {}
        for value, of in (
            *((r["value"], r["amounts"]) for r in answer["rows"]),
            ("(none)", nobody["amounts"]),
        ):
            for one in of:
                amounts[value, one["currency"]] = Decimal(one["amount"])
        assert money == amounts


def test_a_lead_without_the_conversion_has_one_journey_that_led_to_nothing(
    connection: Connection,
) -> None:
    found = read_journeys(connection, "won", nulls=True)
    won = {int(unit) for unit in found.unit[found.converted]}
    lost = [int(unit) for unit in found.unit[~found.converted]]
    assert len(lost) == len(set(lost))
    assert not won & set(lost)
    for n in range(len(found)):
        start, end = found.offsets[n], found.offsets[n + 1]
        if not found.converted[n]:
            # the last touch ends the journey, and the lookback goes back from it
            assert found.at[end - 1] == found.conversion_at[n]
            assert found.at[start] > found.conversion_at[n] - LOOKBACK

    answer = attribution(connection, "markov")
    assert len(lost) == answer["null_journeys"]
    assert [] == answer["warnings"]


def test_moments_are_those_of_the_cycle_and_the_deal(connection: Connection) -> None:
    found = read_journeys(connection, "won", moments=True)
    made, deal, closed = found.moments
    assert (closed == found.conversion_at).all()
    assert (made != MISSING).all()
    assert (deal <= closed).all()
    first = [n for n in range(len(found)) if found.conversion_at[n] != START + 99 * DAY]
    assert all(made[n] <= deal[n] for n in first if found.amount[n] != 5)
    before = read_journeys(connection, "mql", moments=True)
    assert (before.moments[1:] == MISSING).all()


def test_models_stand_side_by_side_as_each_alone(connection: Connection) -> None:
    document = compare(connection, rounds=10)
    assert list(COMPARED) == document["models"]
    for model in COMPARED:
        alone = attribution(connection, model)
        mine = {
            row["value"]: (row["models"][model]["credit"], row["models"][model]["amounts"])
            for row in document["rows"]
            if row["models"][model]["credit"] != "0"
        }
        assert {
            row["value"]: (row["credit"], row["amounts"])
            for row in alone["rows"]
            if row["credit"] != "0"
        } == mine
        assert sum(row["models"][model]["share"] for row in document["rows"]) == pytest.approx(1)
    for row in document["rows"]:
        shares = [one["share"] for one in row["models"].values()]
        assert row["disagreement"] == max(shares) - min(shares)
        for one in row["models"].values():
            assert one["share_low"] <= one["share_high"]
    assert 66 == len(document["distances"])
    for one in document["distances"]:
        a, b = one["models"]
        moved = sum(
            abs(r["models"][a]["share"] - r["models"][b]["share"]) for r in document["rows"]
        )
        assert one["distance"] == pytest.approx(moved / 2)
    assert document == compare(connection, rounds=10)


@pytest.mark.parametrize(
    "ask, told",
    [
        (lambda c: attribution(c, "best"), "unknown model 'best'"),
        (lambda c: attribution(c, "first", Scope("sold")), "unknown conversion 'sold'"),
        (lambda c: attribution(c, "first", Scope(by="colour")), "unknown dimension"),
        (lambda c: attribution(c, "first", Scope(transforms=("x",))), "unknown transform 'x'"),
        (lambda c: attribution(c, "first", asked=Asked(2)), "first has no order"),
        (lambda c: attribution(c, "markov", asked=Asked(0)), "order of a chain is 1 to 9"),
        (lambda c: attribution(c, "time_decay", asked=Asked(half_life=0)), "longer than nothing"),
        (lambda c: compare(c, ("first", "first")), "two different models"),
        (lambda c: compare(c, ("first", "best")), "unknown model 'best'"),
        (lambda c: compare(c, ("first", "last"), asked=Asked("auto")), "first has no order"),
        (lambda c: compare(c, ("first", "last"), asked=Asked(half_life=5)), "no half-life"),
    ],
)
def test_what_makes_no_sense_is_refused(ask: Any, told: str) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as nothing, pytest.raises(ValueError, match=told):
        ask(nothing)
    engine.dispose()
