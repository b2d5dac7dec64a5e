"""Quantiles of waiting times of which some have not ended yet, over whole columns.

The same numbers as ``domain.survival``: products are compared as floats, and exactly where these
are too close to tell.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from projections.columns import Integers

_CLOSE: Final = 1e-9
# Far more than 10^6 factors can be off by in double precision, far less than any step of 10^6.


def reached(
    durations: Integers, ended: NDArray[np.bool_], shares: Sequence[Fraction]
) -> list[int | None]:
    """Return for each of *shares* the first duration by which it has happened to so many.

    *ended* tells whose duration ended with the event; the others are censored there. None where
    the estimate of Kaplan and Meier (1958) never gets so far.
    """
    if not len(durations):
        return [None] * len(shares)
    order = np.argsort(durations, kind="stable")
    sorted_, hits = durations[order], ended[order]
    firsts = np.flatnonzero(np.concatenate(([True], sorted_[1:] != sorted_[:-1])))
    at_risk = len(sorted_) - firsts
    events = np.add.reduceat(hits.astype(np.int64), firsts)
    some = events > 0
    at, at_risk, events = sorted_[firsts][some], at_risk[some], events[some]
    if not len(at):
        return [None] * len(shares)
    left = np.cumprod((at_risk - events) / at_risk, dtype=np.float64)
    return [_first(at, at_risk, events, left, 1 - share) for share in shares]


def _first(
    at: Integers, at_risk: Integers, events: Integers, left: NDArray[np.float64], most: Fraction
) -> int | None:
    """Return the first duration at which no more than *most* are left."""
    n = int(np.searchsorted(-left, -(float(most) + _CLOSE), "left"))
    while n < len(at):
        if left[n] < float(most) - _CLOSE or _left(at_risk, events, n) <= most:
            return int(at[n])
        n += 1
    return None


def _left(at_risk: Integers, events: Integers, n: int) -> Fraction:
    """Return the share that is left after step *n*, exactly.

    Where nobody was censored between two steps, the numerator of one cancels out with the
    denominator of the next.
    """
    over = (at_risk - events)[: n + 1]
    under = at_risk[: n + 1]
    kept = np.flatnonzero(over[:-1] != under[1:])
    numerators = [*over[kept].tolist(), int(over[-1])]
    denominators = [int(under[0]), *under[kept + 1].tolist()]
    return Fraction(_product(numerators), _product(denominators))


def _product(factors: Sequence[int]) -> int:
    """Return the product, halves first: long numbers are multiplied by long ones."""
    if len(factors) <= 32:
        return prod(factors)
    middle = len(factors) // 2
    return _product(factors[:middle]) * _product(factors[middle:])
