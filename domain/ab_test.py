"""Two ways of saying it, and which did better: comparing shares between the variants of a test.

Whoever is in the test belongs to the first variant that they were sent, whatever they got later
(*intention to treat*). Counts are exact; intervals are exact fractions of integers, probabilities
are floats that nothing is stored of.

Sources: Newcombe, Interval estimation for the difference between independent proportions, Stat.
Med. 17 (1998), method 10; Fisher's exact test, two-sided by the probabilities of the tables; the
test of two proportions with the pooled variance; Pearson's chi-square for the sample ratio; Holm,
A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6 (1979).
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import erfc, exp, gamma, isqrt, sqrt
from operator import mul
from typing import Final, Literal, NamedTuple

from domain.intervals import wilson

FEW: Final = 5
"""An expected count below it makes the normal approximation too coarse: the test is exact then."""

SMALL: Final = 1_000
"""Up to so many subjects the exact test costs nothing, and is taken."""

MISMATCH: Final = 0.001
"""A sample ratio less likely than this says that the test itself is broken."""

POWER: Final = 0.8
"""How likely a detectable effect is to be found."""

_Z_95: Final = 1.959963984540054
_Z_POWER: Final = 0.8416212335729143
# The quantiles of the normal distribution for 97.5 % and for `POWER`.

_PARTS: Final = 10**15


class Arm(NamedTuple):
    """One variant: how many it was given to, and with how many it worked."""

    name: str | None
    subjects: int
    successes: int

    @property
    def rate(self) -> Fraction | None:
        """Return the share with whom it worked; None of nobody."""
        return Fraction(self.successes, self.subjects) if self.subjects else None


class Comparison(NamedTuple):
    """A variant beside the control."""

    difference: Fraction | None
    """Rate of the variant less that of the control; None where either has nobody."""
    interval: tuple[Fraction, Fraction]
    """95 % interval of the difference."""
    p: float | None
    """How likely so great a difference is if there is none, two-sided."""
    method: Literal["exact", "normal"]
    detectable: float | None
    """The least difference that a test of this size finds with 80 % probability."""


def compare(control: Arm, variant: Arm) -> Comparison:
    """Return how *variant* did beside *control*.

    Raises ValueError where more succeeded than there are.
    """
    for arm in (control, variant):
        if not 0 <= arm.successes <= arm.subjects:
            raise ValueError(f"{arm.successes} successes of {arm.subjects} subjects make no rate")
    exact = _needs_exact(control, variant)
    if control.rate is None or variant.rate is None:
        return Comparison(None, (Fraction(-1), Fraction(1)), None, _method(exact), None)
    return Comparison(
        variant.rate - control.rate,
        newcombe(control, variant),
        fisher(control, variant) if exact else two_proportions(control, variant),
        _method(exact),
        detectable(control, variant),
    )


def _method(exact: bool) -> Literal["exact", "normal"]:
    return "exact" if exact else "normal"


def _needs_exact(one: Arm, other: Arm) -> bool:
    size = one.subjects + other.subjects
    if size <= SMALL:
        return True
    successes = one.successes + other.successes
    few, rare = min(one.subjects, other.subjects), min(successes, size - successes)
    # there are no more tables than the smaller of both: a thousand can be summed at once
    return few * rare < FEW * size and min(few, rare) <= SMALL


def newcombe(control: Arm, variant: Arm) -> tuple[Fraction, Fraction]:
    """Return the 95 % interval of the difference of rates (Newcombe's method 10).

    It joins the score intervals of both rates, so it stays within -1 to 1 and holds for small
    numbers. Roots are those of integers: the ends are the same on every machine.
    """
    if control.rate is None or variant.rate is None:
        raise ValueError("nobody makes no rate")
    (low, high), (own_low, own_high) = (
        wilson(arm.successes, arm.subjects) for arm in (control, variant)
    )
    difference = variant.rate - control.rate
    down = _root((variant.rate - own_low) ** 2 + (high - control.rate) ** 2)
    up = _root((own_high - variant.rate) ** 2 + (control.rate - low) ** 2)
    return difference - down, difference + up


def _root(value: Fraction) -> Fraction:
    return Fraction(isqrt(value.numerator * _PARTS**2 // value.denominator), _PARTS)


def fisher(one: Arm, other: Arm) -> float:
    """Return the probability of a table as unlikely as this one or more so, were there no effect.

    The sum is exact, whole numbers alone, and rounded once at the end.
    """
    successes = one.successes + other.successes
    first, last = max(0, successes - other.subjects), min(one.subjects, successes)
    tables = _tables(one.subjects, other.subjects, successes, first, last)
    own = tables[one.successes - first]
    return float(Fraction(sum(table for table in tables if table <= own), sum(tables)))


def _tables(one: int, other: int, successes: int, first: int, last: int) -> list[int]:
    """Return weights of the numbers of successes in the first of two arms, from *first* to *last*.

    They are to each other as the ways in which each can come about: the ways themselves have as
    many digits as there are subjects.
    """
    steps = range(first, last)
    up = [(one - k) * (successes - k) for k in steps]
    down = [(k + 1) * (other - successes + k + 1) for k in steps]
    before = list(accumulate(up, mul, initial=1))
    after = list(accumulate(reversed(down), mul, initial=1))[::-1]
    return [rise * fall for rise, fall in zip(before, after, strict=True)]


def two_proportions(one: Arm, other: Arm) -> float:
    """Return the two-sided probability of so great a difference, by the normal approximation."""
    size, successes = one.subjects + other.subjects, one.successes + other.successes
    if successes in (0, size):
        return 1.0
    pooled = successes / size
    spread = sqrt(pooled * (1 - pooled) * (1 / one.subjects + 1 / other.subjects))
    difference = one.successes / one.subjects - other.successes / other.subjects
    return erfc(abs(difference) / spread / sqrt(2))


def detectable(control: Arm, variant: Arm) -> float | None:
    """Return the least absolute difference that a test of this size is likely to find.

    (z(0.975) + z(`POWER`)) times the standard error at the rate of the control. Where that is 0 or
    1 it says nothing: None.
    """
    rate = control.rate
    if rate is None or rate in (0, 1) or not variant.subjects:
        return None
    variance = float(rate * (1 - rate)) * (1 / control.subjects + 1 / variant.subjects)
    return (_Z_95 + _Z_POWER) * sqrt(variance)


class SampleRatio(NamedTuple):
    """Whether the variants got as many as they were meant to."""

    chi_square: float
    p: float
    is_mismatch: bool


def sample_ratio(sizes: Sequence[int], shares: Sequence[int] | None = None) -> SampleRatio | None:
    """Return whether the *sizes* of the variants fit the *shares* that they were meant to have.

    Equal ones where none are given. None where there is nothing to compare. Raises ValueError for
    shares that are not one above zero for each.
    """
    meant = [1] * len(sizes) if shares is None else list(shares)
    if len(meant) != len(sizes) or any(share <= 0 for share in meant):
        raise ValueError(f"{len(sizes)} variants need a share above zero each, not {meant}")
    total = sum(sizes)
    if len(sizes) < 2 or not total:
        return None
    whole = sum(meant)
    statistic = sum(
        (size - Fraction(total * share, whole)) ** 2 / Fraction(total * share, whole)
        for size, share in zip(sizes, meant, strict=True)
    )
    p = chi_square(float(statistic), len(sizes) - 1)
    return SampleRatio(float(statistic), p, p < MISMATCH)


def chi_square(value: float, freedom: int) -> float:
    """Return how likely a chi-square of *freedom* degrees is to be *value* or more."""
    half = value / 2
    n = freedom % 2 or 2
    found = erfc(sqrt(half)) if n == 1 else exp(-half)
    while n < freedom:
        found += half ** (n / 2) * exp(-half) / gamma(n / 2 + 1)
        n += 2
    return found


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return the probabilities as several comparisons at once make them, by Holm's steps."""
    known = sorted((p, n) for n, p in enumerate(ps) if p is not None)
    found: list[float | None] = [None] * len(ps)
    most = 0.0
    for rank, (p, n) in enumerate(known):
        most = max(most, min(1.0, p * (len(known) - rank)))
        found[n] = most
    return found
