"""What is left of a thing after some half-lives, to the last bit."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decay import ONE, decay, half_life_weight, near_weight

DAY = 86_400_000_000
half_lives = st.integers(1, 4_000 * DAY)


def true_weight(elapsed: int, half_life: int) -> Decimal:
    """Return the weight in parts of ONE, to 60 digits."""
    with localcontext() as context:
        context.prec = 60
        return Decimal(2) ** (-Decimal(elapsed) / Decimal(half_life)) * ONE


@given(half_lives, st.integers(0, 70), st.integers(0, 4_000 * DAY))
def test_a_weight_is_the_nearest_whole_part(half_life: int, halvings: int, rest: int) -> None:
    elapsed = halvings * half_life + rest % half_life

    weight = half_life_weight(elapsed, half_life)

    # the nearest, but for what may lie next to a tie; the promise to callers is one part
    assert abs(weight - true_weight(elapsed, half_life)) <= Decimal("0.5000001")


@given(half_lives, st.integers(0, 64))
def test_whole_half_lives_are_exact(half_life: int, halvings: int) -> None:
    assert half_life_weight(halvings * half_life, half_life) == ONE >> halvings


@given(half_lives, st.integers(0, 10_000 * DAY), st.integers(0, DAY))
def test_a_weight_never_grows_with_time(half_life: int, elapsed: int, later: int) -> None:
    assert half_life_weight(elapsed, half_life) >= half_life_weight(elapsed + later, half_life)


def test_after_sixty_five_half_lives_nothing_is_left() -> None:
    assert half_life_weight(64 * DAY, DAY) == 1
    assert half_life_weight(65 * DAY, DAY) == 0  # half a part, and zero is even
    assert half_life_weight(10**30, 1) == 0


def test_weights_do_not_change_between_machines_or_releases() -> None:
    """Stored credits and scores hang on these very digits."""
    assert half_life_weight(1, 3) == 14_641_190_473_997_345_814
    assert half_life_weight(7 * DAY + 1, 30 * DAY) == 15_692_039_409_965_330_336


def test_twenty_points_of_half_life_thirty_days_are_7_071068_after_forty_five() -> None:
    assert decay(20_000_000, 45 * DAY, 30 * DAY) == 7_071_068


amounts = st.integers(-(10**12), 10**12) | st.integers(-(2**33), 2**33) | st.integers(-9, 9)


@given(amounts, half_lives, st.integers(0, 40), st.integers(0, 4_000 * DAY))
def test_what_is_left_is_the_product_with_the_weight_rounded_half_to_even(
    amount: int, half_life: int, halvings: int, rest: int
) -> None:
    """Whichever way it was worked out: small amounts have a shorter one."""
    elapsed = halvings * half_life + rest % half_life
    exact = Fraction(amount * half_life_weight(elapsed, half_life), ONE)

    assert decay(amount, elapsed, half_life) == round(exact)


@given(half_lives, st.integers(0, 4_000 * DAY))
def test_a_near_weight_is_less_than_eight_parts_off(half_life: int, rest: int) -> None:
    rest %= half_life

    assert abs(near_weight(rest, half_life) - true_weight(rest, half_life)) < 8


def test_of_a_small_amount_nothing_is_left_after_any_time() -> None:
    assert decay(2**32 - 1, 10**30, 1) == 0


@given(st.integers(-(10**12), 10**12), half_lives, st.integers(0, 4_000 * DAY))
def test_a_negative_amount_decays_like_a_positive_one(
    amount: int, half_life: int, elapsed: int
) -> None:
    assert decay(-amount, elapsed, half_life) == -decay(amount, elapsed, half_life)


def test_half_a_unit_is_rounded_to_the_even_neighbour() -> None:
    assert [decay(n, DAY, DAY) for n in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]


@pytest.mark.parametrize(("elapsed", "half_life"), [(-1, DAY), (1, 0), (1, -DAY)])
def test_time_runs_forward_and_half_lives_last(elapsed: int, half_life: int) -> None:
    with pytest.raises(ValueError, match="elapsed must be"):
        half_life_weight(elapsed, half_life)
