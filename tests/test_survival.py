"""Curves of those who have got there, and intervals of rates."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.intervals import wilson
from domain.survival import (
    Step,
    aalen_johansen,
    kaplan_meier,
    log_log,
    quantile,
    reached_by,
)

observations = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=20)
competing = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([None, "won", "lost", "gone"])), max_size=20
)


def test_the_golden_curve() -> None:
    """Two of five converted; the naive 40 % forgets that the censored may yet."""
    curve = kaplan_meier([(3, True), (4, False), (5, True), (10, False), (10, False)])

    assert curve == [
        Step(3, 5, 1, Fraction(1, 5), Fraction(16, 25) * Fraction(1, 20)),
        Step(5, 3, 1, Fraction(7, 15), Fraction(64, 225) * (Fraction(1, 20) + Fraction(1, 6))),
    ]
    assert f"{float(curve[-1].reached):.2%}" == "46.67%"


def test_at_equal_durations_events_come_before_censoring() -> None:
    assert kaplan_meier([(3, True), (3, False)])[0].at_risk == 2


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20))
def test_without_censoring_the_curve_is_the_share(durations: list[int]) -> None:
    curve = kaplan_meier((at, True) for at in durations)

    for at in range(31):
        share = Fraction(sum(one <= at for one in durations), len(durations))
        assert reached_by(curve, at) == share


@given(observations)
def test_a_curve_never_falls_and_stays_a_share(some: list[tuple[int, bool]]) -> None:
    reached = [step.reached for step in kaplan_meier(some)]

    assert reached == sorted(reached)
    assert all(0 < share <= 1 for share in reached)


@given(observations)
def test_who_is_lost_sight_of_counts_no_less_than_who_never_gets_there(
    some: list[tuple[int, bool]],
) -> None:
    """Censoring raises the curve above the naive share."""
    curve = kaplan_meier(some)
    if curve:
        assert curve[-1].reached >= Fraction(sum(hit for _, hit in some), len(some))


@given(observations)
def test_with_one_cause_both_curves_are_one(some: list[tuple[int, bool]]) -> None:
    curves = aalen_johansen((at, "won" if hit else None) for at, hit in some)

    assert kaplan_meier(some) == curves.get("won", [])


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc")), min_size=1, max_size=15))
def test_where_nobody_is_lost_sight_of_the_variance_is_that_of_a_share(
    some: list[tuple[int, str]],
) -> None:
    for curve in aalen_johansen(some).values():
        for step in curve:
            assert step.variance == step.reached * (1 - step.reached) / len(some)


@given(competing)
def test_the_interval_holds_the_share_and_stays_within_0_and_1(
    some: list[tuple[int, str | None]],
) -> None:
    for curve in aalen_johansen(some).values():
        for step in curve:
            interval = log_log(step.reached, step.variance)
            assert (interval is None) == (step.reached == 1)
            if interval is not None:
                low, high = interval
                assert 0 <= low <= float(step.reached) + 1e-12
                assert float(step.reached) - 1e-12 <= high <= 1


def test_the_interval_of_the_golden_curve() -> None:
    """By hand: S = 8/15, se = sqrt(208/3375); ln(-ln S) -+ 1.96 se / (S |ln S|)."""
    curve = kaplan_meier([(3, True), (4, False), (5, True), (10, False), (10, False)])

    interval = log_log(curve[-1].reached, curve[-1].variance)

    assert interval == pytest.approx((0.1369288, 0.9316680), abs=1e-7)
    assert log_log(Fraction(0), Fraction(0)) is None


@given(competing)
def test_all_causes_and_what_is_left_sum_to_one(some: list[tuple[int, str | None]]) -> None:
    curves = aalen_johansen(some)
    everything = kaplan_meier((at, cause is not None) for at, cause in some)
    for at in range(13):
        total = sum(reached_by(curve, at) for curve in curves.values())
        assert total == reached_by(everything, at)


@given(competing)
def test_competing_causes_never_reach_what_kaplan_and_meier_would_say(
    some: list[tuple[int, str | None]],
) -> None:
    overstated = kaplan_meier((at, cause == "won") for at, cause in some)
    for step in aalen_johansen(some).get("won", []):
        assert step.reached <= reached_by(overstated, step.at)


def test_competing_causes_by_hand() -> None:
    """Of four one is lost at 1, one wins at 2, one is open since 2, one wins at 3."""
    curves = aalen_johansen([(1, "lost"), (2, "won"), (2, None), (3, "won")])

    assert curves["lost"] == [Step(1, 4, 1, Fraction(1, 4), Fraction(3, 64))]
    assert [step.reached for step in curves["won"]] == [Fraction(1, 4), Fraction(3, 4)]


def test_the_median_is_the_first_duration_by_which_half_are_there() -> None:
    curve = kaplan_meier([(1, True), (2, True), (3, False), (4, False)])

    assert quantile(curve, Fraction(1, 2)) == 2
    assert quantile(curve, Fraction(2, 3)) is None
    assert reached_by(curve, 0) == 0


def test_no_duration_is_negative() -> None:
    with pytest.raises(ValueError, match="must not be negative: -1"):
        kaplan_meier([(-1, True)])


def test_nobody_makes_no_curve() -> None:
    assert kaplan_meier([]) == []
    assert aalen_johansen([]) == {}


# --- intervals ----------------------------------------------------------------------------------


def test_the_golden_interval() -> None:
    low, high = wilson(13, 100)

    assert (f"{float(low):.2%}", f"{float(high):.2%}") == ("7.76%", "20.98%")


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_an_interval_holds_its_rate_and_mirrors(one: int, other: int) -> None:
    low, high = wilson(one, one + other)
    mirrored = wilson(other, one + other)

    assert 0 <= low <= high <= 1
    if one + other:
        assert low <= Fraction(one, one + other) + Fraction(1, 10**15)
        assert high >= Fraction(one, one + other) - Fraction(1, 10**15)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=3e-15)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(2, 100))
def test_more_trials_at_the_same_rate_say_more(won: int, lost: int, times: int) -> None:
    low, high = wilson(won, won + lost)
    sharper = wilson(won * times, (won + lost) * times)

    assert sharper[1] - sharper[0] < high - low


@given(st.integers(1, 10_000))
def test_the_interval_of_none_begins_at_0_and_that_of_all_ends_at_1(trials: int) -> None:
    assert wilson(0, trials)[0] == 0
    assert wilson(trials, trials)[1] == 1


def test_no_trials_say_nothing() -> None:
    assert list(wilson(0, 0)) == [0, 1]
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        wilson(3, 2)
