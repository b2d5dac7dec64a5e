"""Shapley values of channels: each adds what it adds, whatever the order of joining."""

import json
from collections.abc import Callable
from fractions import Fraction
from itertools import permutations
from pathlib import Path as File

import pytest
from hypothesis import given

from domain.attribution import NANO, Path, attribute, credit_paths, shares
from domain.shapley import by_rate, by_sum, distinct, rate_rule, values_of
from tests.test_markov import GOLDEN, paths, read, small

Worth = Callable[[frozenset[str]], Fraction]


def by_definition(players: list[str], worth: Worth) -> dict[str, Fraction]:
    """Return the average over all orders of what each player adds to those before it."""
    sums = dict.fromkeys(players, Fraction(0))
    orders = list(permutations(players))
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            sums[player] += worth(before | {player}) - worth(before)
    return {player: total / len(orders) for player, total in sums.items()}


def sum_of(some: list[Path]) -> Worth:
    """Return the game of sums, as it is defined."""

    def worth(coalition: frozenset[str]) -> Fraction:
        return Fraction(
            sum(
                path.conversions for path in some if path.channels and coalition >= {*path.channels}
            )
        )

    return worth


def rate_of(some: list[Path]) -> Worth:
    """Return the game of rates, as it is defined."""

    def worth(coalition: frozenset[str]) -> Fraction:
        within = [path for path in some if path.channels and coalition >= {*path.channels}]
        journeys = sum(path.conversions + path.nulls for path in within)
        return Fraction(sum(path.conversions for path in within), journeys or 1)

    return worth


def players_in(some: list[Path]) -> list[str]:
    return sorted({c for path in some if path.conversions or path.nulls for c in path.channels})


def test_the_golden_values() -> None:
    found = by_sum(GOLDEN)

    assert {"G": Fraction(5, 2), "M": Fraction(3, 2)} == found.values
    assert {"G": 25 * NANO // 10, "M": 15 * NANO // 10} == credit_paths(GOLDEN, found.values).credit


@given(paths)
def test_in_the_game_of_sums_the_value_is_an_even_split_over_distinct_channels(
    some: list[Path],
) -> None:
    """The closed form is that of the definition, for all journeys."""
    assert by_sum(some).values == by_definition(players_in(some), sum_of(some))


@given(paths)
def test_in_the_game_of_rates_the_value_is_that_of_the_definition(some: list[Path]) -> None:
    found = by_rate(some)

    assert found.values == by_definition(players_in(some), rate_of(some))
    assert found.samples is None


@given(paths)
def test_the_values_sum_to_what_all_are_worth(some: list[Path]) -> None:
    everybody = frozenset(players_in(some))
    for found, worth in ((by_sum(some), sum_of(some)), (by_rate(some), rate_of(some))):
        assert found.total == worth(everybody)
        assert sum(found.values.values()) == found.total


def test_a_channel_that_seldom_converts_has_a_value_below_zero_and_earns_nothing() -> None:
    some = [Path(("A",), 9, 1), Path(("B",), 0, 10), Path(("A", "B"), 5, 5)]

    assert by_rate(some).values["B"] < 0
    assert {"A": 14 * NANO} == attribute(distinct(some), rate_rule(some)).credit


@given(paths)
def test_linear_credit_over_distinct_channels_is_the_game_of_sums(some: list[Path]) -> None:
    """Also of what the conversions are worth: that game is the same with money in it."""
    priced = [path._replace(amount=720_720 * path.conversions, currency="EUR") for path in some]

    report = attribute(distinct(priced), "linear")

    values = {name: value for name, value in by_sum(some).values.items() if value}
    assert set(report.credit) == set(values)
    for name, value in values.items():
        assert abs(report.credit[name] - value * NANO) <= len(some)
        assert report.amounts[name]["EUR"] == 720_720 * value


@given(paths)
def test_credit_by_rates_is_the_game_of_each_combination_by_definition(some: list[Path]) -> None:
    rule = rate_rule(some)

    def worth(coalition: frozenset[str]) -> Fraction:
        alike = [path for path in some if path.channels and coalition == {*path.channels}]
        journeys = sum(path.conversions + path.nulls for path in alike)
        return Fraction(sum(path.conversions for path in alike), journeys or 1)

    for journey, _, _, _ in distinct(some):
        names = [touch.channel for touch in journey.touches]
        if not names:
            continue
        values = by_definition(names, worth)
        positive = {name: max(value, Fraction(0)) for name, value in values.items()}
        total = sum(positive.values())
        assert shares(rule(journey)) == [positive[name] / total for name in names]


def test_credit_by_rates_by_hand() -> None:
    """Alone A converts 1 in 2 and B 1 in 4, together all: A adds 5/8, B 3/8 of the conversion."""
    some = [Path(("A",), 1, 1), Path(("B",), 1, 3), Path(("B", "A"), 8)]

    assert {"A": 6 * NANO, "B": 4 * NANO} == attribute(distinct(some), rate_rule(some)).credit


@given(paths)
def test_sampled_values_sum_to_the_rate_and_come_out_again(some: list[Path]) -> None:
    found = by_rate(some, rounds=2, exact=0)

    assert sum(found.values.values()) == found.total
    assert found == by_rate(reversed(some), rounds=2, exact=0)
    assert found.samples == (4 * len(found.values) or None)


def test_sampled_values_lie_near_the_exact_ones(shared_data: File) -> None:
    some = read(shared_data / "attribution" / "pathdata_half.csv")
    exact, sampled = by_rate(some), by_rate(some, rounds=20, exact=0)

    assert exact.samples is None
    for channel, value in exact.values.items():
        assert abs(sampled.values[channel] - value) < exact.total / 50


def test_beyond_twelve_channels_orders_are_sampled() -> None:
    some = [Path((f"c{n}", f"c{n + 1}"), n, 20 - n) for n in range(12)]

    found = by_rate(some)

    assert len(found.values) == 13
    assert found.samples == 100 * 2 * 13
    assert sum(found.values.values()) == found.total
    assert by_rate([*some, Path(("c1",), 0, 1)]) != found


def test_coalitions_come_in_powers_of_two() -> None:
    assert values_of([0, 1, 2, 4]) == [Fraction(3, 2), Fraction(5, 2)]
    assert values_of([0]) == []
    with pytest.raises(ValueError, match="3 coalitions"):
        values_of([0, 1, 2])


def test_rounds_are_above_zero() -> None:
    with pytest.raises(ValueError, match="above zero, not 0"):
        by_rate([], 0)


def test_data_worked_out_elsewhere_is_answered(shared_data: File) -> None:
    folder = shared_data / "attribution"
    for some, name in (
        (read(folder / "pathdata_half.csv"), "pathdata_half.json"),
        (small(folder / "dp6_multiple_conversions.csv"), "dp6_small.json"),
    ):
        answer = json.loads((folder / name).read_text())["shapley"]["conversions"]
        values = {channel: float(value) for channel, value in by_sum(some).values.items()}
        assert values == pytest.approx(answer, rel=1e-9)
