"""How sure a simple rate is."""

from fractions import Fraction
from math import isqrt
from typing import Final

Z95: Final = Fraction(1_959_963_984_540_054, 10**15)
"""The quantile of the normal distribution for a two-sided interval of 95 %."""

_PARTS: Final = 10**15


def wilson(successes: int, trials: int, z: Fraction = Z95) -> tuple[Fraction, Fraction]:
    """Return the score interval of Wilson (1927) for a rate, its ends in whole parts of 10^15.

    Unlike the interval around the rate itself it stays within 0 to 1, and holds for small
    numbers. The root is that of an integer, so that the ends are the same on every machine. No
    trials say nothing: 0 to 1.

    Raises ValueError unless 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials make no rate")
    if not trials:
        return Fraction(0), Fraction(1)
    square = z * z
    rate = Fraction(successes, trials)
    centre = rate + square / (2 * trials)
    radicand = square * (rate * (1 - rate) / trials + square / (4 * trials * trials))
    spread = Fraction(isqrt(radicand.numerator * _PARTS**2 // radicand.denominator), _PARTS)
    whole = 1 + square / trials
    low, high = (centre - spread) / whole, (centre + spread) / whole
    # where none or all succeed an end is 0 or 1 itself, which a root that was cut would miss
    return (
        _rounded(low) if successes else Fraction(0),
        _rounded(high) if successes < trials else Fraction(1),
    )


def _rounded(value: Fraction) -> Fraction:
    return Fraction(round(value * _PARTS), _PARTS)
