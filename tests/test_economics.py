"""What leads and customers cost and bring, as exact figures."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.economics import (
    HORIZON,
    MONTH,
    NO_CUSTOMERS,
    NO_LEADS,
    NO_MARGIN,
    NO_OVERHEAD,
    NO_REVENUE,
    NO_SPEND,
    NO_WORTH,
    REFUNDED,
    Customer,
    Dealing,
    Result,
    Worth,
    allocate,
    base,
    break_even_roas,
    contribution,
    customers_of,
    lifetime,
    ltv,
    measure,
    payback,
    rounded,
)

THIRTY = Fraction(3, 10)
units = st.integers(-(10**12), 10**12)
positive = st.integers(1, 10**12)


def result(**given_: Any) -> Result:
    """Return what 100.00 won: 8 leads, 4 MQLs, 2 customers and 300.00, unless told otherwise."""
    usual = Result(10_000, 8, Fraction(4), Fraction(2), 30_000, 10_000)
    return usual._replace(**given_)


def test_a_roas_of_300_percent_at_a_margin_of_30_percent_is_a_loss_of_10_percent() -> None:
    told = measure(result(), THIRTY)

    assert [3, 2] == [told.roas, told.roi]
    assert Fraction(10, 3) == told.break_even_roas
    assert -1_000 == told.contribution
    assert Fraction(-1, 10) == told.contribution_on_spend


def test_a_price_is_spend_by_what_it_bought() -> None:
    told = measure(result(overhead=5_000))

    assert [1_250, 2_500] == [told.cost_per_lead, told.cost_per_mql]
    assert [5_000, 7_500] == [told.cac, told.cac_fully_loaded]


def test_customers_cost_what_was_spent_when_they_were_won_over() -> None:
    told = measure(result(winning=3_000, overhead=1_000))

    assert [1_500, 2_000] == [told.cac, told.cac_fully_loaded]
    assert 1_250 == told.cost_per_lead


@pytest.mark.parametrize(
    ("given_", "name", "why"),
    [
        ({"leads": 0}, "cost_per_lead", NO_LEADS),
        ({"customers": Fraction(0)}, "cac", NO_CUSTOMERS),
        ({"spend": None}, "roas", NO_SPEND),
        ({"spend": 0}, "roi", REFUNDED),
        ({"spend": -5}, "cost_per_lead", REFUNDED),
        ({"winning": None}, "cac", NO_SPEND),
        ({"revenue": None}, "contribution", NO_REVENUE),
        ({}, "cac_fully_loaded", NO_OVERHEAD),
        ({}, "payback_months", NO_WORTH),
    ],
)
def test_what_is_missing_is_none_with_its_reason(
    given_: dict[str, object], name: str, why: str
) -> None:
    told = measure(result(**given_), THIRTY)

    assert None is getattr(told, name)
    assert why == told.missing[name]


def test_without_a_margin_nothing_is_said_of_profit() -> None:
    told = measure(result(), None, Worth(Fraction(1), Fraction(1)))

    names = ("break_even_roas", "contribution", "contribution_on_spend", "ltv_to_cac")
    assert {NO_MARGIN} == {told.missing[name] for name in (*names, "payback_months")}


@given(st.builds(result, spend=units, revenue=units, leads=st.integers(0, 9)))
def test_every_figure_is_there_or_its_absence_has_a_reason(asked: Result) -> None:
    told = measure(asked, THIRTY)

    for name in set(told.__slots__) - {"missing"}:
        assert (getattr(told, name) is None) == (name in told.missing), name


@given(positive, units, st.fractions(Fraction(1, 100), 1))
def test_the_break_even_roas_is_where_nothing_is_left(
    spend: int, revenue: int, margin: Fraction
) -> None:
    left = contribution(revenue, spend, margin)
    pays = Fraction(revenue, spend) > break_even_roas(margin)

    assert pays == (left > 0)


@pytest.mark.parametrize("margin", [Fraction(0), Fraction(-1, 2), Fraction(3, 2)])
def test_a_margin_beyond_its_bounds_is_refused(margin: Fraction) -> None:
    for ask in (break_even_roas, lambda m: contribution(1, 1, m)):
        with pytest.raises(ValueError, match="gross margin must be above 0"):
            ask(margin)


# --- lifetime -----------------------------------------------------------------------------------


def test_ltv_is_margin_over_churn_for_three_years_at_most() -> None:
    arpa, half = Fraction(10_000), Fraction(1, 2)

    assert 100_000 == ltv(arpa, half, Fraction(1, 20))
    assert 36 * 5_000 == ltv(arpa, half, Fraction(1, 100)) == ltv(arpa, half, Fraction(0))
    assert HORIZON == lifetime(Fraction(1, HORIZON))


def test_payback_is_cac_by_the_margin_of_a_month() -> None:
    assert 6 == payback(Fraction(30_000), Fraction(10_000), Fraction(1, 2))
    assert None is payback(Fraction(30_000), Fraction(0), Fraction(1, 2))


def test_lifetime_is_set_against_the_fully_loaded_cost_where_there_is_one() -> None:
    worth = Worth(Fraction(5_000), Fraction(15_000))

    assert 3 == measure(result(), THIRTY, worth).ltv_to_cac
    assert 2 == measure(result(overhead=5_000), THIRTY, worth).ltv_to_cac


@pytest.mark.parametrize(("value", "whole"), [("5/2", 2), ("7/2", 4), ("-5/2", -2), ("8/3", 3)])
def test_half_a_minor_unit_goes_to_the_even_one(value: str, whole: int) -> None:
    assert whole == rounded(Fraction(value))


# --- overheads ----------------------------------------------------------------------------------


@given(units, st.dictionaries(st.text(max_size=3), units, max_size=6))
def test_overheads_are_divided_to_the_last_unit(overhead: int, spend: dict[str, int]) -> None:
    parts = allocate(overhead, spend)

    if any(amount > 0 for amount in spend.values()):
        assert overhead == sum(parts.values())
        assert all(not parts[name] for name, amount in spend.items() if amount <= 0)
    else:
        assert {} == parts


# --- customers ----------------------------------------------------------------------------------


def test_a_customer_is_one_from_the_first_deal_or_revenue_until_it_churns() -> None:
    told = customers_of(
        [
            Dealing(1, "churned"),
            Dealing(2, "revenue", 100, "EUR"),
            Dealing(3, "won"),
            Dealing(5, "churned"),
            Dealing(6, "revenue", 20, "EUR"),
            Dealing(7, "churned"),
            Dealing(9, "won"),
        ]
    )

    assert [Customer(2, 5, [(2, "EUR", 100), (6, "EUR", 20)]), Customer(9)] == told


def test_churn_and_arpa_are_by_month_of_a_customer() -> None:
    customers = [
        Customer(0, None, [(MONTH, "EUR", 900)]),
        Customer(0, 2 * MONTH, [(0, "EUR", 300)]),
        Customer(2 * MONTH, None, [(3 * MONTH, "USD", 50), (9 * MONTH, "USD", 5_000)]),
        Customer(9 * MONTH),
    ]
    found = base(customers, None, 4 * MONTH)

    assert [3, 1, 8] == [found.customers, found.churned, found.months]
    assert Fraction(1, 8) == found.churn
    assert {"EUR": 200, "USD": 25} == found.arpa
    later = base(customers, 3 * MONTH, 4 * MONTH)
    assert [2, 0, 2, 0] == [later.customers, later.churned, later.months, later.churn]


def test_without_customers_there_is_no_churn() -> None:
    assert None is base([], None, MONTH).churn


spans = st.builds(
    lambda since, stays: Customer(since, None if stays is None else since + stays),
    st.integers(0, 100),
    st.none() | st.integers(0, 100),
)


@given(st.lists(spans, max_size=8), st.lists(st.integers(1, 250), min_size=1, max_size=4))
def test_the_periods_of_a_year_have_its_months_and_its_churn(
    customers: list[Customer], cuts: list[int]
) -> None:
    bounds = [0, *sorted(set(cuts)), 300]
    parts = [base(customers, a, b) for a, b in pairwise(bounds)]
    whole = base(customers, 0, 300)

    assert whole.months == sum(part.months for part in parts)
    assert whole.churned == sum(part.churned for part in parts)
