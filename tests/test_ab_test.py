"""Comparing the variants of a test: values that books print, and laws that hold for all."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ab_test import (
    Arm,
    chi_square,
    compare,
    detectable,
    fisher,
    holm,
    newcombe,
    sample_ratio,
    two_proportions,
)


def arm(successes: int, subjects: int) -> Arm:
    return Arm(None, subjects, successes)


@st.composite
def arms(draw: st.DrawFn, most: int = 40) -> Arm:
    subjects = draw(st.integers(1, most))
    return arm(draw(st.integers(0, subjects)), subjects)


@pytest.mark.parametrize(
    ("variant", "control", "low", "high"),
    [
        (arm(56, 70), arm(48, 80), 0.0524, 0.3339),
        (arm(9, 10), arm(3, 10), 0.1705, 0.8090),
        (arm(6, 7), arm(2, 7), 0.0582, 0.8062),
        (arm(5, 56), arm(0, 29), -0.0381, 0.1926),
        (arm(0, 10), arm(0, 20), -0.1611, 0.2775),
        (arm(10, 10), arm(0, 20), 0.6791, 1.0),
    ],
)
def test_the_intervals_are_those_of_newcombe(
    variant: Arm, control: Arm, low: float, high: float
) -> None:
    """Newcombe 1998, table II, method 10."""
    found = newcombe(control, variant)

    assert (low, high) == pytest.approx(tuple(map(float, found)), abs=5e-5)


def test_the_lady_tasting_tea() -> None:
    """Fisher 1935: three of four cups told right; two-sided 34 of 70."""
    assert float(Fraction(34, 70)) == fisher(arm(3, 4), arm(1, 4))


def test_the_sample_ratio_of_a_published_experiment() -> None:
    """Fabijan et al. 2019: 821,588 against 815,482 users, p = 1.8e-6."""
    found = sample_ratio([821_588, 815_482])

    assert found is not None
    assert 1.8e-6 == pytest.approx(found.p, rel=0.03)
    assert found.is_mismatch


@pytest.mark.parametrize(
    ("value", "freedom"), [(3.841459, 1), (5.991465, 2), (7.814728, 3), (9.487729, 4), (11.0705, 5)]
)
def test_the_table_of_chi_square(value: float, freedom: int) -> None:
    """The 5 % points that every book prints."""
    assert 0.05 == pytest.approx(chi_square(value, freedom), abs=1e-6)


def test_a_test_of_3532_each_finds_two_points_over_ten_percent() -> None:
    """(1.96 + 0.84)^2 * 2 * 0.1 * 0.9 / 0.02^2 is 3,532."""
    assert 0.02 == pytest.approx(detectable(arm(353, 3_530), arm(0, 3_530)) or 0, rel=1e-3)


def test_the_normal_approximation_by_hand() -> None:
    """20 % of 1,000 against 25 % of 1,000: z = 2.68."""
    p = two_proportions(arm(200, 1_000), arm(250, 1_000))

    assert 0.0074 == pytest.approx(p, abs=1e-4)
    assert "normal" == compare(arm(200, 1_000), arm(250, 1_000)).method


def test_few_successes_are_tested_exactly_however_many_there_are() -> None:
    one, other = arm(0, 1_000_000), arm(3, 1_000_000)

    assert "exact" == compare(one, other).method
    assert 0.25 == pytest.approx(compare(one, other).p or 0, abs=1e-5)
    assert 0 < fisher(arm(2, 3), arm(500_000, 1_000_000)) <= 1


def test_nobody_says_nothing() -> None:
    found = compare(arm(0, 0), arm(1, 2))

    assert (None, None, None) == (found.difference, found.p, found.detectable)
    assert sample_ratio([5]) is None
    assert sample_ratio([0, 0]) is None


def test_what_is_no_test_is_refused() -> None:
    with pytest.raises(ValueError, match="3 successes of 2 subjects"):
        compare(arm(3, 2), arm(0, 2))
    with pytest.raises(ValueError, match="nobody makes no rate"):
        newcombe(arm(0, 0), arm(0, 2))
    with pytest.raises(ValueError, match="need a share above zero each"):
        sample_ratio([1, 2], [1, 0])


def test_several_comparisons_at_once_need_more() -> None:
    assert [0.03, None, 0.06, 0.06] == pytest.approx(holm([0.01, None, 0.04, 0.03]))


@settings(max_examples=60)
@given(arms(), arms())
def test_a_comparison_turned_round_says_the_same(one: Arm, other: Arm) -> None:
    there, back = compare(one, other), compare(other, one)

    assert there.difference is not None
    assert there.difference == -(back.difference or 0)
    assert there.interval == (-back.interval[1], -back.interval[0])
    assert there.p == pytest.approx(back.p)
    assert there.interval[0] <= there.difference <= there.interval[1]
    assert -1 - Fraction(1, 10**14) <= there.interval[0]
    assert there.interval[1] <= 1 + Fraction(1, 10**14)


@settings(max_examples=60)
@given(arms(12), arms(12))
def test_the_exact_test_is_the_sum_over_all_tables(one: Arm, other: Arm) -> None:
    from math import comb

    total = one.successes + other.successes
    ways = {k: comb(one.subjects, k) * comb(other.subjects, total - k) for k in range(total + 1)}
    own = ways[one.successes]
    as_rare = sum(way for way in ways.values() if way <= own)

    assert float(Fraction(as_rare, sum(ways.values()))) == fisher(one, other)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=6))
def test_equal_sizes_fit_and_no_sample_ratio_is_impossible(sizes: list[int]) -> None:
    found = sample_ratio(sizes)
    same = sample_ratio([7] * len(sizes))

    assert found is None or 0 <= found.p <= 1 + 1e-12
    assert same is not None
    assert 0.0 == same.chi_square
    assert 1.0 == pytest.approx(same.p)
