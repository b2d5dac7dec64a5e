"""The fast columns credit to the last unit what the rules of the domain do, whatever the journeys."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.attribution import (
    MODELS,
    MOMENT_MODELS,
    NANO,
    Attribution,
    Conversion,
    Rule,
    attribute,
    time_decay,
)
from domain.journey import Journey, Moments, Touch
from projections.attribution_columns import Columns
from tests.journeys_by_domain import journeys_of

DAY = 86_400_000_000
WEEK = 7 * DAY
RULES = {**MODELS, **MOMENT_MODELS}
CURRENCIES = ("EUR", "JPY")


def every_touch(touch: Touch) -> str | None:
    """Return a value of its own for nearly every touch, so that parts are compared one by one."""
    return touch.source


@st.composite
def journeys(draw: st.DrawFn, most: int = 12) -> Journey:
    """Journeys with ties, whole days and odd instants, and moments before, within and after."""
    step = draw(st.sampled_from([1, 3_600_000_000, DAY, WEEK]))
    instants = sorted(draw(st.lists(st.integers(0, 120), min_size=0, max_size=most)))
    jitter = draw(st.sampled_from([0, 0, 1, 12_345_678_901]))
    touches = tuple(
        Touch(
            at * step + i * jitter,
            draw(st.sampled_from(["direct", "email", "search", "fair"])),
            draw(st.sampled_from([None, *(f"s{i % 12}" for i in range(i, i + 2))])),
        )
        for i, at in enumerate(instants)
    )
    last = touches[-1].at if touches else 0
    at = last + draw(st.sampled_from([0, 1, DAY, 40 * DAY]))
    moment = st.none() | st.integers(-step, 121 * step)
    return Journey(touches, at, Moments(draw(moment), draw(moment), draw(moment)))


def amounts(largest: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(-100, 100) | st.integers(-largest, largest)


@st.composite
def conversions(draw: st.DrawFn, largest: int = 10**9) -> list[Conversion]:
    one = st.builds(
        Conversion,
        journeys(),
        amounts(largest),
        st.sampled_from(CURRENCIES),
        st.sampled_from([1, 1, 1, 2, 7, 1_000]),
    )
    return draw(st.lists(one, max_size=8))


def without_zeros(report: Attribution) -> Attribution:
    """Return the report without amounts that cancelled each other."""
    report.amounts = {
        value: kept
        for value, of in report.amounts.items()
        if (kept := {currency: units for currency, units in of.items() if units})
    }
    return report


@pytest.mark.parametrize("model", RULES)
@settings(max_examples=15)
@given(conversions())
def test_columns_credit_what_the_domain_credits(model: str, asked: list[Conversion]) -> None:
    for key in (every_touch, lambda touch: touch.channel):
        exact = attribute(asked, model, key)
        fast = Columns(journeys_of(asked, key)).attribute(model)
        assert without_zeros(exact) == without_zeros(fast)


@pytest.mark.parametrize("stepped", [False, True])
@settings(max_examples=30)
@given(conversions(), st.sampled_from([1, 1_000, 3_600_000_000, DAY, WEEK, 30 * DAY, 2**55]))
def test_any_half_life_is_exact(stepped: bool, asked: list[Conversion], half_life: int) -> None:
    rule = time_decay(half_life, stepped=stepped)
    model = "time_decay_stepped" if stepped else "time_decay"
    fast = Columns(journeys_of(asked, every_touch)).attribute(model, half_life)
    assert without_zeros(attribute(asked, rule, every_touch)) == without_zeros(fast)


@pytest.mark.parametrize("model", RULES)
@settings(max_examples=8)
@given(conversions(largest=10**21))
def test_no_amount_is_too_big(model: str, asked: list[Conversion]) -> None:
    fast = Columns(journeys_of(asked, every_touch)).attribute(model)
    assert without_zeros(attribute(asked, model, every_touch)) == without_zeros(fast)
    for currency in CURRENCIES:
        given_units = sum(one.amount or 0 for one in asked if one.currency == currency)
        credited = sum(of.get(currency, 0) for of in fast.amounts.values())
        assert given_units == credited + fast.unattributed_amounts.get(currency, 0)


@pytest.mark.parametrize("model", RULES)
@pytest.mark.parametrize("count", [9, 33, 70, 150])
def test_long_journeys_are_divided_alike(model: str, count: int) -> None:
    touches = tuple(Touch(n * n * 1_234_567_891, "email", f"s{n}") for n in range(count))
    moments = Moments(touches[3].at, touches[5].at + 1, touches[-1].at)
    way = Journey(touches, touches[-1].at + 5, moments)
    asked = [Conversion(way, 10**7 + n, "EUR", 1 + n % 2) for n in range(40)]
    fast = Columns(journeys_of(asked, every_touch)).attribute(model)
    assert attribute(asked, model, every_touch) == fast


@pytest.mark.parametrize("model", RULES)
@settings(max_examples=8)
@given(conversions())
def test_the_parts_of_touches_sum_to_their_conversions(model: str, asked: list[Conversion]) -> None:
    columns = journeys_of(asked)
    parts = Columns(columns).parts(model)
    for number, one in enumerate(asked):
        mine = parts[columns.offsets[number] : columns.offsets[number + 1]]
        assert int(mine.sum()) == (one.conversions * NANO if one.journey.touches else 0)
        rule: Rule = RULES[model]
        if one.journey.touches:
            weights = rule(one.journey)
            assert [bool(w) for w in weights] >= [bool(part) for part in mine]


def test_many_journeys_of_many_blocks_are_credited_as_one_by_one() -> None:
    """Nine thousand journeys of 1 to 14 touches: more than a block holds of most lengths."""
    random = np.random.default_rng(7)
    asked = []
    for _ in range(9_000):
        count = int(random.integers(1, 15))
        at = np.sort(random.integers(0, 90 * DAY, count))
        names = random.choice(["direct", "email", "search"], count)
        touches = tuple(Touch(int(a), str(b)) for a, b in zip(at, names, strict=True))
        moments = Moments(int(at[0]), int(at[-1]) - 1, int(at[-1]))
        way = Journey(touches, int(at[-1]) + 1, moments)
        asked.append(Conversion(way, int(random.integers(-5, 10**6)), "EUR"))
    columns = Columns(journeys_of(asked))
    for model in RULES:
        assert attribute(asked, model) == columns.attribute(model)


@pytest.mark.parametrize(
    "ask, told",
    [
        (lambda columns: columns.attribute("best"), "unknown attribution model 'best'"),
        (lambda columns: columns.attribute("time_decay", 0), "half-life must be positive"),
    ],
)
def test_what_is_no_rule_is_refused(ask: Callable[[Columns], object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ask(Columns(journeys_of([])))


def test_more_conversions_than_64_bits_count_are_refused() -> None:
    one = Conversion(Journey((Touch(0, "email"),), 1), conversions=10**10)
    with pytest.raises(ValueError, match="give it in parts"):
        Columns(journeys_of([one]))
