"""Removal effects: what a chain of channels loses without each of them."""

import csv
import json
from fractions import Fraction
from pathlib import Path as File
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import domain.markov
from domain.attribution import NANO, Attribution, Path, credit_paths
from domain.markov import NO_NULL_PATHS, removal

GOLDEN = (
    Path(("G",), conversions=2),
    Path(("M",), conversions=1),
    Path(("G", "M"), conversions=1),
    Path(("G",), nulls=1),
)

paths = st.lists(
    st.builds(
        Path,
        st.lists(st.sampled_from("ABCD"), max_size=6).map(tuple),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=8,
)
orders = st.integers(1, 3)


def test_the_golden_chain() -> None:
    found = removal(GOLDEN)

    assert Fraction(4, 5) == found.conversion
    assert {"G": Fraction(3, 4), "M": Fraction(1, 2)} == found.effects
    assert (1, 2, None) == (found.order, found.states, found.warning)
    assert Attribution({"G": 24 * NANO // 10, "M": 16 * NANO // 10}, {}, 4) == credit_paths(
        GOLDEN, found.effects
    )


@given(paths)
def test_at_order_one_self_loops_never_change_the_probability(some: list[Path]) -> None:
    """To touch a channel twice in a row is to touch it once."""

    def looped(path: Path) -> Path:
        return path._replace(channels=tuple(c for c in path.channels for _ in range(2)))

    assert removal(some) == removal(map(looped, some))


def test_at_order_two_a_repeated_touch_is_another_state() -> None:
    some = [Path(("A", "A"), conversions=1), Path(("A",), nulls=1), Path(("B",), 1, 1)]

    assert removal(some, 1).states == 2
    assert removal(some, 2).states == 3


@given(paths, orders)
def test_the_chain_converts_as_often_as_the_journeys_did(some: list[Path], order: int) -> None:
    """The walk is fitted to the journeys, so that their own rate comes out, at any order."""
    touched = [path for path in some if path.channels]
    journeys = sum(path.conversions + path.nulls for path in touched)
    rate = Fraction(sum(path.conversions for path in touched), journeys) if journeys else 0

    assert removal(some, order).conversion == rate


@given(paths, orders)
def test_an_effect_is_a_share_and_all_of_it_where_every_journey_meets_the_channel(
    some: list[Path], order: int
) -> None:
    effects = removal([path._replace(channels=("Z", *path.channels)) for path in some], order)

    assert all(0 <= effect <= 1 for effect in effects.effects.values())
    if effects.conversion:
        assert effects.effects["Z"] == 1


@given(paths, orders)
def test_every_conversion_is_credited(some: list[Path], order: int) -> None:
    priced = [path._replace(amount=7 * path.conversions, currency="EUR") for path in some]

    report = credit_paths(priced, removal(priced, order).effects)

    assert report.conversions == sum(path.conversions for path in some)
    assert sum(report.credit.values()) + report.unattributed * NANO == report.conversions * NANO
    earned = sum(amounts.get("EUR", 0) for amounts in report.amounts.values())
    lost = report.unattributed_amounts.get("EUR", 0)
    assert earned + lost == 7 * report.conversions


@given(paths, st.integers(0, 9), st.integers(0, 9))
def test_journeys_without_channels_change_no_credit(
    some: list[Path], conversions: int, nulls: int
) -> None:
    more = [*some, Path((), conversions, nulls)]

    assert removal(more) == removal(some)


@given(paths, orders, st.randoms(use_true_random=False))
def test_the_order_of_paths_changes_nothing(some: list[Path], order: int, random: Random) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)

    assert removal(shuffled, order) == removal(some, order)


@given(paths)
def test_an_order_as_long_as_the_journeys_tells_each_path_apart(some: list[Path]) -> None:
    """Then what is lost without a channel is exactly what the journeys through it brought."""
    found = removal(some, 9)
    won = sum(path.conversions for path in some if path.channels)

    for channel, effect in found.effects.items():
        brought = sum(path.conversions for path in some if channel in path.channels)
        assert effect == Fraction(brought, won)


def test_a_chain_without_failures_warns() -> None:
    found = removal([Path(("A", "B"), 3), Path(("B",), 1)])

    assert NO_NULL_PATHS == found.warning
    assert found.conversion == 1


def test_without_conversions_there_is_no_effect() -> None:
    found = removal([Path(("A",), nulls=4)])

    assert found.effects == {}
    assert found.conversion == 0
    assert removal([]).effects == {}


def test_rows_that_are_cut_give_the_same_credit(
    monkeypatch: pytest.MonkeyPatch, shared_data: File
) -> None:
    """Beyond a number of states the arithmetic is rounded, far below what credit is counted in."""
    some = read(shared_data / "attribution" / "pathdata_half.csv")[:300]
    cut = removal(some, 2)
    monkeypatch.setattr(domain.markov, "EXACT", 10_000)
    exact = removal(some, 2)

    assert cut.states > 64
    for channel, effect in exact.effects.items():
        assert abs(cut.effects[channel] - effect) < Fraction(1, 2**200)
    assert credit_paths(some, cut.effects) == credit_paths(some, exact.effects)


@pytest.mark.parametrize("order", [0, 10])
def test_an_order_that_makes_no_sense_is_refused(order: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 9, not {order}"):
        removal([], order)


def test_a_chain_of_too_many_states_is_refused() -> None:
    some = [Path((f"{n}", f"{n % 50}"), 1) for n in range(2_100)]

    with pytest.raises(ValueError, match="ask for a lower order"):
        removal(some, 2)


# --- data worked out elsewhere ------------------------------------------------------------------


def read(file: File) -> list[Path]:
    """Return path data without its values."""
    with file.open(newline="") as lines:
        return [
            Path(
                tuple(row["path"].split(" > ")),
                int(row["total_conversions"]),
                int(row["total_null"]),
            )
            for row in csv.DictReader(lines)
        ]


@pytest.mark.parametrize("name", ["markov_order1", "markov_order1_converted_only"])
def test_thousands_of_paths_are_answered(shared_data: File, name: str) -> None:
    folder = shared_data / "attribution"
    answer = json.loads((folder / "pathdata_half.json").read_text())[name]
    some = read(folder / "pathdata_half.csv")
    if name.endswith("converted_only"):
        some = [path._replace(nulls=0) for path in some]

    found = removal(some)

    assert float(found.conversion) == pytest.approx(answer["p_conversion"], rel=1e-12)
    effects = {channel: float(effect) for channel, effect in found.effects.items()}
    assert effects == pytest.approx(answer["removal_effects"], rel=1e-9)
    credit = {
        name: parts / NANO for name, parts in credit_paths(some, found.effects).credit.items()
    }
    assert credit == pytest.approx(answer["conversions"], rel=1e-6)


@pytest.mark.parametrize("name", ["markov_order1", "markov_order1_converted_only"])
def test_the_small_example_is_answered(shared_data: File, name: str) -> None:
    """Five visitors; a conversion ends a journey, touches after it begin the next."""
    folder = shared_data / "attribution"
    answer = json.loads((folder / "dp6_small.json").read_text())[name]
    some = small(folder / "dp6_multiple_conversions.csv")
    if name.endswith("converted_only"):
        some = [path for path in some if path.conversions]

    found = removal(some)

    assert float(found.conversion) == pytest.approx(answer["p_conversion"], rel=1e-12)
    effects = {channel: float(effect) for channel, effect in found.effects.items()}
    assert effects == pytest.approx(answer["removal_effects"], rel=1e-9)
    credit = {
        name: parts / NANO for name, parts in credit_paths(some, found.effects).credit.items()
    }
    assert credit == pytest.approx(answer["conversions"], abs=1e-8)


def small(file: File) -> list[Path]:
    """Return the journeys of that file, one path each."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    found = []
    open_: dict[str, list[str]] = {}
    for row in rows:
        visitor = row["user_pseudo_id"]
        open_.setdefault(visitor, []).append(row["source_medium"])
        if row["is_conversion_purchase"] == "1":
            found.append(Path(tuple(open_.pop(visitor)), conversions=1))
    return [*found, *(Path(tuple(names), nulls=1) for names in open_.values())]
