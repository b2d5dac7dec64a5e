"""Chains, coalitions, orders and transforms over columns are those of the domain."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import markov as chain_of
from domain import shapley
from domain.attribution import (
    NANO,
    OVERALL_MODELS,
    Attribution,
    Conversion,
    Path,
    attribute,
    credit_paths,
)
from domain.journey import Journey, Touch, transform_named
from domain.markov_order import choose_order
from projections.attribution import compared
from projections.attribution_models import Asked, Models
from projections.attribution_overall import (
    markov,
    paths_of,
    rate_values,
    shapley_rate,
    transitions,
    zeta,
)
from projections.journeys import Journeys
from projections.journeys_read import transformed
from tests.journeys_by_domain import journeys_of

paths_made = st.lists(
    st.builds(
        Path,
        st.lists(st.sampled_from("abcd"), max_size=5).map(tuple),
        st.integers(0, 3),
        st.integers(0, 3),
        st.none() | st.integers(-50, 10**6) | st.integers(-(10**20), 10**20),
        st.just("EUR"),
    ),
    max_size=7,
).map(lambda paths: [p if p.conversions else p._replace(amount=None) for p in paths])


def columns(paths: list[Path]) -> Journeys:
    """Return the journeys of paths, the converted ones of each before the others."""

    def way(path: Path) -> Journey:
        touches = tuple(Touch(n, name) for n, name in enumerate(path.channels))
        return Journey(touches, len(touches))

    won = [
        Conversion(way(path), path.amount, path.currency, path.conversions)
        for path in paths
        if path.conversions
    ]
    return journeys_of(won, nulls=[way(path) for path in paths for _ in range(path.nulls)])


def without_zeros(report: Attribution) -> Attribution:
    """Return the report without amounts that cancelled each other."""
    kept = {
        value: {name: units for name, units in of.items() if units}
        for value, of in report.amounts.items()
    }
    report.amounts = {value: of for value, of in kept.items() if of}
    of_nobody = report.unattributed_amounts
    report.unattributed_amounts = {name: units for name, units in of_nobody.items() if units}
    return report


@settings(max_examples=40)
@given(paths_made, st.integers(1, 4))
def test_steps_are_counted_and_credited_as_in_the_domain(paths: list[Path], order: int) -> None:
    found = transitions(columns(paths), order)
    exact = chain_of.transitions(paths, order)
    assert (exact.rows, exact.has_nulls) == (found.rows, found.has_nulls)

    credited, removal = markov(columns(paths), order)
    expected = chain_of.removal(paths, order)
    assert expected == removal
    assert without_zeros(credit_paths(paths, expected.effects)) == without_zeros(credited)


@settings(max_examples=40)
@given(paths_made)
def test_coalitions_are_credited_as_in_the_domain(paths: list[Path]) -> None:
    even, _ = Models(columns(paths)).ask("shapley", Asked())
    exact = attribute(shapley.distinct(paths), "linear")
    assert without_zeros(exact) == without_zeros(even)

    by_rates, _ = shapley_rate(columns(paths))
    exact = attribute(shapley.distinct(paths), shapley.rate_rule(paths))
    assert without_zeros(exact) == without_zeros(by_rates)


def test_models_that_share_no_credit_are_exactly_one_apart() -> None:
    journeys = columns([Path((f"first {n}", f"last {n}"), 1, 0, 0, "EUR") for n in range(10)])
    document = compared(Models(journeys), ("first", "last"), None, {}, Asked())
    assert [{"models": ["first", "last"], "distance": 1.0}] == document["distances"]


@pytest.mark.parametrize("model", OVERALL_MODELS)
@settings(max_examples=25)
@given(paths_made)
def test_every_model_keeps_every_conversion_and_unit(model: str, paths: list[Path]) -> None:
    report, _ = Models(columns(paths)).ask(model, Asked())

    assert sum(path.conversions for path in paths) == report.conversions
    assert report.conversions * NANO == sum(report.credit.values()) + report.unattributed * NANO
    credited = sum(of.get("EUR", 0) for of in report.amounts.values())
    credited += report.unattributed_amounts.get("EUR", 0)
    assert sum(path.amount or 0 for path in paths) == credited


def test_a_set_of_more_values_than_bits_is_a_set_all_the_same() -> None:
    names = [f"c{n}" for n in range(70)]
    paths = [Path((name, names[(n * 7) % 70]), 1, 1) for n, name in enumerate(names)]
    by_rates, _ = shapley_rate(columns(paths))
    assert attribute(shapley.distinct(paths), shapley.rate_rule(paths)) == by_rates


def test_a_missing_value_is_a_value_of_a_chain() -> None:
    way = Journey((Touch(0, "email", campaign="spring"), Touch(1, "direct")), 2)
    journeys = journeys_of([Conversion(way)], lambda touch: touch.campaign, [way])
    for model in OVERALL_MODELS:
        report, _ = Models(journeys).ask(model, Asked())
        assert report.credit == {"spring": NANO // 2, None: NANO // 2}


@given(st.lists(st.integers(0, 9), min_size=16, max_size=16))
def test_a_coalition_has_what_the_coalitions_within_it_have(counts: list[int]) -> None:
    sums = zeta(np.array(counts)).tolist()
    for mask in range(16):
        assert sums[mask] == sum(counts[other] for other in range(16) if other & mask == other)


@settings(max_examples=30)
@given(paths_made)
def test_fast_values_are_the_exact_ones_and_the_sampled_ones(paths: list[Path]) -> None:
    for exact, samples in ((shapley.EXACT, None), (1, 7)):
        expected = shapley.by_rate(paths, rounds=7, exact=exact)
        values, orders = rate_values(paths, 7, exact)
        assert {k: float(v) for k, v in expected.values.items()} == pytest.approx(values)
        assert expected.samples == orders
        assert (orders is None) == (samples is None or len(values) <= 1)


# --- transforms ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unique", "d a b b c d c c"),
        ("exposure", "d a b c d c"),
        ("first", "d a b c"),
        ("remove_if_not_all=c", "d a b b d"),
        ("remove_if_last_and_not_all=c", "d a b b c d"),
        ("remove_if_not_all=x", "d a b b c d c c"),
    ],
)
def test_a_transform_keeps_what_its_name_says(name: str, expected: str) -> None:
    """The path is the example in the documentation of Google's Fractribution."""
    channels = "d a b b c d c c".split()
    assert [channels[i] for i in transform_named(name)(channels)] == expected.split()
    alone = ["c", "c"]
    if "remove" in name:
        assert [0, 1] == transform_named(name)(alone)


transform_names = st.sampled_from(
    ["unique", "exposure", "first", "remove_if_not_all=a", "remove_if_last_and_not_all=b"]
)


@given(paths_made, st.lists(transform_names, max_size=3))
def test_columns_are_shortened_as_single_paths_are(paths: list[Path], names: list[str]) -> None:
    expected = []
    for path in paths:
        channels = path.channels
        for name in names:
            channels = tuple(channels[i] for i in transform_named(name)(channels))
        expected.append(path._replace(channels=channels))

    found = transformed(columns(paths), names)
    exact = columns(expected)
    assert found.offsets.tolist() == exact.offsets.tolist()
    assert [found.values[i] for i in found.codes] == [exact.values[i] for i in exact.codes]


@pytest.mark.parametrize("name", ["shorter", "unique=a", "remove_if_not_all", "first=", "=a"])
def test_an_unknown_transform_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there are unique, exposure, first, remove_if_not_all="):
        transformed(columns([]), [name])


# --- the order of a chain ---


def test_an_order_is_chosen_that_sees_what_decides() -> None:
    """What came before c decides, and c alone says nothing."""
    paths = [Path(("a", "c"), 40, 0), Path(("b", "c"), 0, 40), Path(("c",), 3, 3)]
    choice = choose_order(paths)

    assert 2 == choice.order
    assert choice.auc[1] < Fraction(3, 5) < Fraction(9, 10) < choice.auc[2]
    assert choice == choose_order(reversed(paths))


def test_a_chain_that_learns_nothing_more_stays_short() -> None:
    paths = [Path((a, b), 3 if b == "x" else 1, 5) for a, b in product("xyz", repeat=2)]
    assert 1 == choose_order(paths).order


@pytest.mark.parametrize(
    "paths", [[], [Path(("a",), 3, 0)], [Path(("a",), 0, 3)], [Path((), 3, 3)]]
)
def test_where_nothing_can_be_told_the_order_is_one(paths: list[Path]) -> None:
    assert (1, {}) == (choose_order(paths).order, dict(choose_order(paths).auc))


def test_one_fold_cannot_be_held_out() -> None:
    with pytest.raises(ValueError, match="at least two, not 1"):
        choose_order([], folds=1)


@settings(max_examples=40)
@given(paths_made, st.integers(2, 5))
def test_an_area_is_how_often_a_converted_journey_scores_higher(
    paths: list[Path], folds: int
) -> None:
    for area in choose_order(paths, folds=folds).auc.values():
        assert 0 <= area <= 1
    again = {path.channels: [0, 0] for path in paths}
    for path in paths:
        again[path.channels][0] += path.conversions
        again[path.channels][1] += path.nulls
    told = {path.channels: (path.conversions, path.nulls) for path in paths_of(columns(paths))}
    assert {k: tuple(v) for k, v in again.items() if any(v)} == told


def test_the_columns_choose_the_order_that_the_domain_chooses() -> None:
    paths = [Path(("a", "c"), 40, 0), Path(("b", "c"), 0, 40)]
    _, told = Models(columns(paths)).ask("markov", Asked("auto"))
    assert (2, {"1", "2", "3", "4"}) == (told["order"], set(told["auc"]))
