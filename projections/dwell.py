"""Quantiles of durations, some of which are not over yet, by columns.

The same answers as `domain.survival.quantile` of `domain.survival.kaplan_meier`, which is the
reference: where a rounded product is too near to tell, it is computed in whole numbers.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from projections.columns import Flags, Integers

_NEAR: Final = 1e-9
"""Further than this from the level, a product of floats is on the right side of it."""

_AT_ONCE: Final = 64
"""Factors that are multiplied before the products are."""


def quantiles(
    durations: Integers, shares: Sequence[Fraction], ended: Flags | None = None
) -> list[int | None]:
    """Return by which duration each of *shares* is over (Kaplan, Meier 1958); None: never.

    *ended* says which durations are over, None: all; the others are censored. *durations* must
    not be negative.
    """
    if not len(durations):
        return [None] * len(shares)
    if ended is None or bool(ended.all()):
        ordered = np.sort(durations)
        count = len(ordered)
        places = [-(-share.numerator * count // share.denominator) for share in shares]
        return [int(ordered[max(place, 1) - 1]) for place in places]
    at, inverse = np.unique(durations, return_inverse=True)
    happened = np.bincount(inverse, weights=ended, minlength=len(at)).astype(np.int64)
    gone = np.bincount(inverse, minlength=len(at)).astype(np.int64)
    at_risk = len(durations) - np.cumsum(gone) + gone
    some = happened > 0
    at, events, at_risk = at[some], happened[some], at_risk[some]
    left = np.cumprod(1.0 - events / at_risk)
    return [_first(at, events, at_risk, left, share) for share in shares]


def _first(
    at: Integers,
    events: Integers,
    at_risk: Integers,
    left: NDArray[np.floating[Any]],
    share: Fraction,
) -> int | None:
    """Return the first duration by which at least *share* is over."""
    level = 1 - share
    place = int(np.argmax(left <= float(level) + _NEAR)) if len(left) else 0
    if not len(left) or left[place] > float(level) + _NEAR:
        return None
    while place < len(left):
        if left[place] < float(level) - _NEAR or _left(events, at_risk, place) <= level:
            return int(at[place])
        place += 1
    return None


def _left(events: Integers, at_risk: Integers, place: int) -> Fraction:
    """Return what is left after the event time at *place*, exactly.

    Between two censorings the factors cancel but for the first at risk and the last left.
    """
    after = at_risk - events
    starts = np.flatnonzero(at_risk[1 : place + 1] != after[:place]) + 1
    first = np.concatenate(([0], starts))
    last = np.concatenate((starts - 1, [place]))
    return Fraction(_product(after[last].tolist()), _product(at_risk[first].tolist()))


def _product(factors: list[int]) -> int:
    """Return the product, multiplying numbers of like length: a long one by a short is slow."""
    while len(factors) > 1:
        factors = [prod(factors[n : n + _AT_ONCE]) for n in range(0, len(factors), _AT_ONCE)]
    return factors[0]


def parts(keys: Integers) -> dict[int, NDArray[np.intp]]:
    """Return the rows of each value of *keys*."""
    if not len(keys):
        return {}
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return {
        int(ordered[start]): rows
        for start, rows in zip(starts, np.split(order, starts[1:]), strict=True)
    }
