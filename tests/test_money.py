"""Division of money: nothing is lost, nothing is made, nobody is off by a whole unit."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import split

amounts = st.integers(-(10**15), 10**15)
proportions = st.one_of(st.integers(0, 10**20), st.fractions(0, 10**6, max_denominator=10**6))
weightings = st.lists(proportions, min_size=1, max_size=12).filter(any)


@given(amounts, weightings)
def test_the_parts_sum_to_the_amount(amount: int, weights: list[int | Fraction]) -> None:
    assert sum(split(amount, weights)) == amount


@given(amounts, weightings)
def test_every_part_is_its_exact_share_rounded_down_or_up(
    amount: int, weights: list[int | Fraction]
) -> None:
    total = sum(weights)

    for part, weight in zip(split(amount, weights), weights, strict=True):
        exact = Fraction(weight) * amount / total

        assert floor(exact) <= part <= ceil(exact)


@given(amounts, weightings)
def test_a_refund_is_divided_like_the_sale(amount: int, weights: list[int | Fraction]) -> None:
    assert split(-amount, weights) == [-part for part in split(amount, weights)]


@given(amounts, weightings, st.fractions(Fraction(1, 10**6), 10**6))
def test_only_the_proportion_of_the_weights_counts(
    amount: int, weights: list[int | Fraction], factor: Fraction
) -> None:
    assert split(amount, [weight * factor for weight in weights]) == split(amount, weights)


@given(amounts, weightings)
def test_a_larger_weight_never_gets_less(amount: int, weights: list[int | Fraction]) -> None:
    ranked = sorted(weights, reverse=True)

    parts = [abs(part) for part in split(amount, ranked)]

    assert parts == sorted(parts, reverse=True)


def test_the_unit_left_over_goes_to_the_largest_remainder() -> None:
    assert split(10, [3, 3, 1]) == [4, 4, 2]  # exactly 4.29, 4.29, 1.43


def test_among_equal_remainders_the_earlier_item_gets_the_unit() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(2, [1, 1, 1]) == [1, 1, 0]
    assert split(-100, [1, 1, 1]) == [-34, -33, -33]


def test_an_item_of_no_weight_gets_nothing() -> None:
    assert split(7, [0, 3, 0, 3]) == [0, 4, 0, 3]


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [2, -1], [Fraction(-1, 2), 1]])
def test_weights_that_say_nothing_or_less_are_refused(weights: list[int | Fraction]) -> None:
    with pytest.raises(ValueError, match="weights must"):
        split(100, weights)
