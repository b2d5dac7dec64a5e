"""What open opportunities will bring, month by month, and how sure that is.

Every opportunity is won or not, independently of the others, with a probability of its own: what
they bring together is a sum of independent Bernoulli amounts. Its mean is the sum of probability
times amount; its distribution is a convolution, and exact.

Amounts are minor units of one currency, probabilities whole parts of `domain.calibration.ONE`.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from domain.calibration import ONE
from domain.survival import Step

Due = tuple[int, int]
"""The amount of an opportunity, and the probability that it is won in the period."""

SHARES: Final = (Fraction(80, 100), Fraction(95, 100))
"""How often what is realised should lie in the intervals that are shown."""


def expected(dues: Iterable[Due]) -> Fraction:
    """Return the sum of probability times amount."""
    return Fraction(sum(amount * chance for amount, chance in dues), ONE)


def distribution(dues: Iterable[Due]) -> dict[int, Fraction]:
    """Return the probability of each total (the convolution of independent Bernoulli amounts).

    With equal amounts this is the Poisson binomial distribution. The number of totals may double
    with each opportunity: it is the reference, for few of them.
    """
    totals = {0: Fraction(1)}
    for amount, chance in dues:
        wins = Fraction(chance, ONE)
        after: dict[int, Fraction] = {}
        for total, share in totals.items():
            after[total] = after.get(total, Fraction(0)) + share * (1 - wins)
            after[total + amount] = after.get(total + amount, Fraction(0)) + share * wins
        totals = {total: share for total, share in after.items() if share}
    return totals


def interval(totals: Mapping[int, Fraction], share: Fraction) -> tuple[int, int]:
    """Return the central interval that holds *share*: least totals with so much at or below them.

    Raises ValueError without totals.
    """
    if not totals:
        raise ValueError("no totals have no interval")
    tail = (1 - share) / 2
    return _quantile(totals, tail), _quantile(totals, 1 - tail)


def _quantile(totals: Mapping[int, Fraction], share: Fraction) -> int:
    below = Fraction(0)
    for total in sorted(totals):
        below += totals[total]
        if below >= share:
            return total
    return max(totals)


def placed(
    curve: Sequence[Step], age: int, bounds: Sequence[tuple[int, int]]
) -> list[Fraction] | None:
    """Return in which periods an opportunity of some *age* is won, if it is won.

    *curve* is the share of opportunities won by their age (`domain.survival.aalen_johansen`, with
    lost as the other cause). *bounds* are the periods as times from now: after the first, at or
    before the second. The share of a period is (F(age + end) - F(age + start)) / (F(oldest) -
    F(age)). None where no opportunity was ever won at a greater age: nothing tells when.
    """
    whole = _reached(curve, None)
    left = whole - _reached(curve, age)
    if not left:
        return None
    return [
        (_reached(curve, age + end) - _reached(curve, age + start)) / left for start, end in bounds
    ]


def _reached(curve: Sequence[Step], by: int | None) -> Fraction:
    found = Fraction(0)
    for step in curve:
        if by is not None and step.at > by:
            break
        found = step.reached
    return found


class Trial(NamedTuple):
    """A forecast that was made in the past, and what came of it."""

    forecast: Fraction
    realised: int
    low80: int
    high80: int
    low95: int
    high95: int


class Accuracy(NamedTuple):
    """How good forecasts were."""

    trials: int
    mape: Fraction | None
    """Mean of |forecast - realised| / |realised|, over the trials in which something came."""
    left_out: int
    """Trials in which nothing came: a share of nothing is not defined."""
    wape: Fraction | None
    """Sum of |forecast - realised| / sum of |realised|: none is left out."""
    bias: Fraction | None
    """Sum of forecast - realised / sum of |realised|: above 0 they promised too much."""
    within80: Fraction | None
    """Share of the trials in which the interval of 80 % held what came."""
    within95: Fraction | None


def accuracy(trials: Sequence[Trial]) -> Accuracy:
    """Return how far past forecasts were from what came."""
    some = [one for one in trials if one.realised]
    whole = sum(abs(one.realised) for one in trials)
    errors = [one.forecast - one.realised for one in trials]
    count = len(trials)
    return Accuracy(
        count,
        _mean([abs(one.forecast - one.realised) / abs(one.realised) for one in some]),
        count - len(some),
        sum(map(abs, errors), Fraction(0)) / whole if whole else None,
        sum(errors, Fraction(0)) / whole if whole else None,
        _mean([Fraction(one.low80 <= one.realised <= one.high80) for one in trials]),
        _mean([Fraction(one.low95 <= one.realised <= one.high95) for one in trials]),
    )


def _mean(values: Sequence[Fraction]) -> Fraction | None:
    return sum(values, Fraction(0)) / len(values) if values else None
