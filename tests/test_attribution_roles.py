"""Models that know which touch made the lead, the opportunity and the close."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.attribution import (
    MODELS,
    MOMENT_MODELS,
    NANO,
    Conversion,
    Path,
    attribute,
    credit,
    credit_paths,
    shares,
)
from domain.journey import Journey, Moments, Touch

RULES = {**MOMENT_MODELS, "j": MODELS["j"], "inverse_j": MODELS["inverse_j"]}


def way(count: int, *moments: int | None) -> Journey:
    """Return a journey of a touch a day from day 0, with the moments on these days."""
    touches = tuple(Touch(day, "email") for day in range(count))
    return Journey(touches, count, Moments(*moments))


@pytest.mark.parametrize(
    ("model", "journey", "expected"),
    [
        ("j", way(1), "1"),
        ("j", way(2), "1/4 3/4"),
        ("j", way(3), "1/5 1/5 3/5"),
        ("j", way(4), "1/5 1/10 1/10 3/5"),
        ("inverse_j", way(2), "3/4 1/4"),
        ("inverse_j", way(4), "3/5 1/10 1/10 1/5"),
        # first 40, lead 40, the rest 20
        ("u_lead", way(4, 2), "2/5 1/10 2/5 1/10"),
        # the touch that made the lead was the first: it gets both shares
        ("u_lead", way(3, 0), "4/5 1/10 1/10"),
        ("u_lead", way(1, 0), "1"),
        # no middle: 40 and 40 share everything
        ("u_lead", way(2, 1), "1/2 1/2"),
        # the lead was made before any touch of the journey, or nobody knows when
        ("u_lead", way(3, -1), "2/3 1/6 1/6"),
        ("u_lead", way(3), "2/3 1/6 1/6"),
        ("w", way(4, 1, 2), "3/10 3/10 3/10 1/10"),
        ("w", way(5, 1, 3), "3/10 3/10 1/20 3/10 1/20"),
        ("w", way(3, 1, 1), "3/10 3/5 1/10"),
        ("w", way(3, 1, 2), "1/3 1/3 1/3"),
        ("full_path", way(5, 1, 2, 4), "9/40 9/40 9/40 1/10 9/40"),
        ("full_path", way(4, 1, 2, 3), "1/4 1/4 1/4 1/4"),
        ("full_path", way(6, 1, 2, 5), "9/40 9/40 9/40 1/20 1/20 9/40"),
        ("full_path", way(2, 0, 0, 1), "3/4 1/4"),
    ],
)
def test_a_key_role_earns_its_share(model: str, journey: Journey, expected: str) -> None:
    assert shares(RULES[model](journey)) == [Fraction(part) for part in expected.split()]


@st.composite
def journeys(draw: st.DrawFn) -> Journey:
    instants = sorted(draw(st.lists(st.integers(0, 30), min_size=1, max_size=8)))
    moment = st.none() | st.integers(-5, 40)
    touches = tuple(Touch(at, "email") for at in instants)
    return Journey(touches, 40, Moments(draw(moment), draw(moment), draw(moment)))


@given(journeys(), st.sampled_from(sorted(RULES)), st.integers(-(10**9), 10**9))
def test_the_credit_sums_to_the_value_to_the_last_minor_unit(
    journey: Journey, model: str, amount: int
) -> None:
    weights = RULES[model](journey)

    assert len(weights) == len(journey.touches)
    assert min(weights) >= 0
    assert sum(credit(weights, amount)) == amount


def test_models_are_asked_by_name() -> None:
    asked = Conversion(way(4, 2), 100, "EUR")

    assert attribute([asked], "u_lead").credit == {"email": NANO}
    with pytest.raises(ValueError, match=r"there are first, .*, u_lead, w, full_path"):
        attribute([asked], "u_leed")


def test_paths_without_any_share_above_zero_stay_unattributed() -> None:
    report = credit_paths([Path(("a",), 2, amount=50, currency="EUR")], {"a": -1})

    assert (2, 2, {"EUR": 50}) == (
        report.conversions,
        report.unattributed,
        report.unattributed_amounts,
    )


def test_the_amount_of_a_path_needs_a_currency() -> None:
    with pytest.raises(ValueError, match="no currency"):
        credit_paths([Path(("a",), 1, amount=5)], {"a": 1})
