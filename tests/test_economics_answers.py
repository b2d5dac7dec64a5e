"""What sources cost and brought, from events to the answer, on both databases."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text

from domain.economics import NO_REVENUE
from projections.costs import SPENT_BY, costs, first_day, together
from projections.credited import RULES, NoPeriod, UnknownSource, credited
from projections.economics import NO_CHURN, Overhead, Terms, compare, economics
from projections.schema import SCHEMA
from projections.sources import summary
from tests.economics_kit import (
    bounds,
    by_value,
    filled,
    histories,
    market,
    money,
    told,
)
from tests.projections_kit import DAY, START, fact, read_model_database


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """Yield the market's read models, on each kind of database."""
    engine = create_engine(database_url)
    with filled(engine, market()).connect() as connection:
        yield connection
    engine.dispose()


# --- sources ------------------------------------------------------------------------------------


def test_sources_tell_what_leads_of_a_campaign_cost(connection: Connection) -> None:
    row = by_value(summary(connection, "campaign"))["spring"]

    assert (2, 2) == (row["leads"], row["won"])
    assert ("EUR", "160.00", "80.00", "80.00") == (
        row["currency"],
        row["spend"],
        row["cost_per_lead"],
        row["cac"],
    )
    assert 505 / 160 == row["roas"]


def test_several_currencies_are_told_one_by_one_and_never_added(connection: Connection) -> None:
    row = by_value(summary(connection, "campaign"))["news"]

    assert None is row["currency"]
    assert [
        {"currency": "EUR", "amount": "40.00"},
        {"currency": "USD", "amount": "7.00"},
    ] == row["spend"]
    assert [{"currency": "EUR", "ratio": 0.0}, {"currency": "USD", "ratio": 0.0}] == row["roas"]
    assert ["40.00", "7.00"] == [one["cost_per_lead"] for one in row["costs"]]
    assert [None, None] == [one["cac"] for one in row["costs"]]


def test_spend_that_brought_no_lead_is_told_apart(connection: Connection) -> None:
    unmatched = summary(connection, "campaign")["unmatched"]

    assert [{"currency": "EUR", "amount": "9.50"}] == unmatched["spend"]
    assert ["nobody came", None] == [one["value"] for one in unmatched["values"]]


def test_spend_is_not_divided_by_what_it_does_not_tell(connection: Connection) -> None:
    document = summary(connection, "party")

    assert {None} == {row["spend"] for row in document["rows"]}
    assert document["spend"] == document["unmatched"]["spend"]
    assert "not by party" in document["unmatched"]["reason"]


def test_a_period_takes_the_leads_and_the_spend_of_its_days(connection: Connection) -> None:
    start = START + 2 * DAY
    assert [] == summary(connection, "campaign", since=start)["rows"]
    row = by_value(summary(connection, "campaign", until=start))["spring"]

    assert ("100.00", "50.00", 2) == (row["spend"], row["cac"], row["leads"])


@pytest.mark.parametrize(
    ("at", "day"),
    [(0, "1970-01-01"), (1, "1970-01-02"), (-1, "1970-01-01"), (-DAY, "1969-12-31")],
)
def test_a_day_belongs_to_the_period_in_which_it_begins(at: int, day: str) -> None:
    assert day == first_day(at)


def test_a_day_beyond_the_calendar_is_its_end() -> None:
    assert ("0001-01-01", "9999-12-31") == (first_day(-(10**18)), first_day(10**18))


# --- economics ----------------------------------------------------------------------------------


def test_economics_credit_customers_and_revenue_to_what_was_spent(connection: Connection) -> None:
    rows = by_value(economics(connection, "linear", "campaign", Terms(margin=Fraction(1, 4))))
    spring, news = rows["spring"], rows["news"]

    assert ("1.5", "2.5", "0.5") == (spring["customers"], spring["deals"], news["customers"])
    told = money(spring)
    assert ("160.00", "405.00", "106.67") == (told["spend"], told["revenue"], told["cac"])
    assert (405 / 160, 245 / 160, 4.0) == (told["roas"], told["roi"], told["break_even_roas"])
    assert "-58.75" == told["contribution"]
    assert None is money(news, "USD")["roas"]
    assert NO_REVENUE == money(news, "USD")["missing"]["roas"]
    assert 0 == rows["nobody came"]["leads"]


def test_a_customer_is_new_once_and_a_deal_counts_each_time(connection: Connection) -> None:
    total = economics(connection, "last", "channel")["total"]

    assert ("2", "3") == (total["customers"], total["deals"])
    assert "104.75" == money(total)["cac"]  # 209.50 in all, what brought no lead among it


def test_a_lag_sets_customers_against_the_spend_before_them(connection: Connection) -> None:
    period = Terms(since=START + 28 * DAY, until=START + 50 * DAY)
    now = economics(connection, "first", "campaign", period)
    lagged = economics(connection, "first", "campaign", replace(period, lag=28 * DAY))

    assert ("60.00", "30.00") == _cost(now)
    assert ("60.00", "50.00") == _cost(lagged)


def _cost(document: dict[str, Any]) -> tuple[str, str]:
    told = money(by_value(document)["spring"])
    return told["spend"], told["cac"]


def test_overheads_are_shared_by_spend_to_the_last_unit(connection: Connection) -> None:
    overheads = [
        Overhead(1_000, "EUR"),
        Overhead(1, "EUR", first_day(START)),
        Overhead(9_999, "EUR", first_day(START - 9 * DAY)),
    ]
    terms = Terms(since=START, overheads=overheads)
    document = economics(connection, "linear", "campaign", terms)
    parts = [
        Decimal(one["overhead"])
        for row in document["rows"]
        for one in row["money"]
        if one["overhead"] is not None
    ]

    # what is spent in no row, 0.50 of 209.50, carries 0.02 of it
    assert Decimal("10.01") - Decimal("0.02") == sum(parts)
    assert ("10.01", "109.76") == (
        money(document["total"])["overhead"],
        money(document["total"])["cac_fully_loaded"],
    )


def test_what_a_customer_is_worth_comes_from_revenue_and_churn() -> None:
    facts = [
        *market(),
        fact("revenue.recognized", 31 * DAY, "p0@example.com", amount=5_000, currency="EUR"),
        fact("customer.churned", 40 * DAY, "p1@example.com"),
        fact("page.viewed", 60 * DAY, "p2@example.com"),
    ]
    terms = Terms(margin=Fraction(1, 2))
    with filled(read_model_database(), facts).connect() as connection:
        told = economics(connection, "linear", "channel", terms)["customers"]
        fixed = economics(
            connection,
            "linear",
            "channel",
            Terms(margin=Fraction(1, 2), arpa=(4_000, "EUR"), churn=Fraction(1, 5)),
        )

    exposed = Fraction(30 * DAY + 1 + 10 * DAY, 2_629_800_000_000)
    assert (2, 1, float(1 / exposed)) == (
        told["customers"],
        told["churned"],
        told["churn_per_month"],
    )
    assert ["50.73"] == [one["arpa_per_month"] for one in told["money"]]
    assert ["100.00"] == [one["ltv"] for one in fixed["customers"]["money"]]
    assert 100 / 104.75 == pytest.approx(money(fixed["total"])["ltv_to_cac"])
    assert 104.75 / 20 == pytest.approx(money(fixed["total"])["payback_months"])


def test_churn_that_nobody_reports_is_unknown_and_not_zero(connection: Connection) -> None:
    told = economics(connection, "linear", "channel", Terms(margin=Fraction(1, 2)))["customers"]

    assert None is told["churn_per_month"] is told["lifetime_months"]
    assert NO_CHURN == told["missing"]["churn_per_month"]


def test_models_stand_side_by_side(connection: Connection) -> None:
    document = compare(connection, ["first", "last"], "campaign")
    found = {(row["model"], row["value"]): row["customers"] for row in document["rows"]}

    assert ("2", "1") == (found["first", "spring"], found["last", "spring"])
    assert ("0", "1") == (found["first", "news"], found["last", "news"])
    assert document["total"] == economics(connection, "linear", "campaign")["total"]


def test_what_cannot_be_asked_is_refused_with_what_can(connection: Connection) -> None:
    with pytest.raises(UnknownSource, match="there are channel, source, campaign"):
        credited(connection, "linear", "party")
    with pytest.raises(UnknownSource, match="there are channel, source, campaign"):
        economics(connection, "linear", "colour")
    with pytest.raises(NoPeriod, match="leave --from and --to out"):
        credited(connection, "markov", "channel", since=START)
    with pytest.raises(ValueError, match="best"):
        credited(connection, "best")


# --- two roads, and nothing lost ----------------------------------------------------------------


@settings(max_examples=25)
@given(histories, st.sampled_from(RULES), st.sampled_from(SPENT_BY), bounds, bounds)
def test_rows_and_what_is_in_none_are_all_there_was(
    history: Any, model: str, by: str, start: int | None, end: int | None
) -> None:
    since = None if start is None else START + start * DAY
    until = None if end is None else START + end * DAY
    with told(history).connect() as connection:
        document = economics(connection, model, by, Terms(since=since, until=until))
        leads = summary(connection, by, since, until)
        everything = together(costs(connection, None, since, until))

    parts: Counter[str] = Counter()
    for row in leads["rows"]:
        parts.update({one["currency"]: _units(one["spend"]) for one in row["costs"]})
    rest = {one["currency"]: _units(one["amount"]) for one in leads["unmatched"]["spend"]}
    assert _sum(parts, rest) == _sum(everything)
    for key in ("spend", "revenue"):
        found: Counter[str] = Counter()
        for row in document["rows"]:
            for one in row["money"]:
                found[one["currency"]] += _units(one[key] or "0")
        nobody = (
            document["unmatched"]["spend"]
            if key == "spend"
            else document["unattributed"]["amounts"]
        )
        left = {one["currency"]: _units(one["amount"]) for one in nobody}
        whole = {one["currency"]: _units(one[key] or "0") for one in document["total"]["money"]}
        assert _sum(found, left) == _sum(whole), key
    for key in ("mql", "deals", "customers"):
        shares = [Decimal(row[key]) for row in document["rows"]]
        assert sum(shares) + Decimal(document["unattributed"][key]) == Decimal(
            document["total"][key]
        )


def _units(text: str) -> int:
    return int(text.replace(".", ""))


def _sum(*parts: Any) -> dict[str, int]:
    whole: dict[str, int] = {}
    for part in parts:
        for currency, units in part.items():
            whole[currency] = whole.get(currency, 0) + units
    return {currency: units for currency, units in whole.items() if units}


# --- SQL ----------------------------------------------------------------------------------------


def sql(connection: Connection, query: str) -> list[dict[str, Any]]:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
    return [dict(row) for row in connection.execute(text(query)).mappings()]


def test_the_view_of_spend_shows_every_report(connection: Connection) -> None:
    rows = sql(connection, "SELECT * FROM v_spend WHERE campaign = 'news' ORDER BY day, amount")

    assert [("EUR", "50.00"), ("EUR", "-10.00"), ("USD", "7.00")] == [
        (row["currency"], str(row["amount"])) for row in rows
    ]
    assert first_day(START) == rows[0]["day"]


def test_the_view_of_economics_is_what_the_question_answers_per_month(
    connection: Connection,
) -> None:
    found: dict[Any, dict[str, Any]] = {}
    for row in sql(connection, "SELECT * FROM v_economics"):
        of_month = found.setdefault(
            (row["month"], row["campaign"]), {"leads": 0, "mql": 0, "customers": 0}
        )
        for name in ("leads", "mql", "customers"):
            of_month[name] += Decimal(str(row[name]))
        if row["currency"] is not None:
            shown = {name: row[name] and str(row[name]) for name in ("spend", "revenue")}
            of_month[row["currency"]] = shown
    months = ["2024-10", "2024-11", "2024-12"]
    starts = [
        int(datetime.fromisoformat(f"{month}-01T00:00:00Z").timestamp()) * 1_000_000
        for month in months
    ]
    asked: dict[Any, dict[str, Any]] = {}
    for (month, since), until in zip(zip(months, starts, strict=True), starts[1:], strict=False):
        document = economics(connection, "linear", "campaign", Terms(since=since, until=until))
        for row in document["rows"]:
            if row["value"] is not None:
                counts = {name: Decimal(row[name]) for name in ("leads", "mql", "customers")}
                asked[month, row["value"]] = counts | {
                    one["currency"]: {"spend": one["spend"], "revenue": one["revenue"]}
                    for one in row["money"]
                }
    for key, said in asked.items():
        for name in ("leads", "mql", "customers"):
            assert found.get(key, {}).get(name, 0) == said[name], (key, name)
        for currency in set(said) - {"leads", "mql", "customers"}:
            view = found[key].get(currency, {"spend": None, "revenue": None})
            assert view["spend"] == said[currency]["spend"], key
            assert (view["revenue"] or "0.00") == (said[currency]["revenue"] or "0.00"), key
    assert {campaign for _, campaign in found} - {None} == {campaign for _, campaign in asked}
