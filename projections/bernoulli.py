"""Sums of independent Bernoulli amounts: exact where the possible totals are few, else simulated.

The same as `domain.sales_forecast.distribution`, in floating point and for many amounts. There are
two exact ways. Up to `TOTALS` possible totals are listed: up to 20 amounts have no more, whatever
they are, and so have more where many are equal. Else the convolution goes over all sums in steps of
the greatest common divisor of the amounts, which is good for many round ones. Where both are too
much work, sums are drawn; then the same seed gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.calibration import ONE
from domain.sales_forecast import SHARES
from projections.columns import Integers

WORK: Final = 40_000_000
"""Additions that an exact convolution may cost at most: about a tenth of a second."""

TOTALS: Final = 1 << 20
"""Possible totals that are listed at most: those of 20 different amounts."""

DRAWN: Final = 60_000_000
"""Random numbers that a simulation may cost."""

DRAWS: Final = (2_000, 20_000)
"""Sums that are drawn at least and at most."""

_NEAR: Final = 1e-12
"""What floating point loses of a probability at most."""

_LARGEST: Final = 1 << 62
"""Sums below which 64 bits hold every total."""

EXACT: Final = "exact"
SIMULATION: Final = "simulation"


@dataclass(frozen=True, slots=True)
class Spread:
    """Central intervals of a sum, in minor units."""

    method: str
    """exact or simulation."""
    low80: int
    high80: int
    low95: int
    high95: int


def spread(amounts: Integers, chances: Integers, seed: int | None = None) -> Spread:
    """Return the intervals of the sum of *amounts*, each there with its chance (parts of ONE).

    *seed* is for the simulation; None takes one from the content.
    """
    there = (amounts != 0) & (chances > 0)
    amounts, chances = amounts[there], chances[there]
    unit = int(np.gcd.reduce(amounts)) if len(amounts) else 1
    whole = sum(abs(int(amount)) for amount in amounts)
    cells = whole // max(unit, 1)
    # equal amounts make no more totals than there are of them, and one
    possible = prod((np.unique(amounts, return_counts=True)[1] + 1).tolist())
    if possible <= min(TOTALS, cells) and whole < _LARGEST:
        return _exact(*listed(amounts, chances))
    if cells * len(amounts) <= WORK:
        base, shares = convolved(amounts // max(unit, 1), chances)
        return _exact((base + np.arange(len(shares))) * unit, shares)
    order = np.lexsort((chances, amounts))
    amounts, chances = amounts[order], chances[order]
    sums = np.sort(_drawn(amounts, chances, seed_of(amounts, chances) if seed is None else seed))
    ranks = [max(-(-tail.numerator * len(sums) // tail.denominator) - 1, 0) for tail in _tails()]
    return Spread(SIMULATION, *(int(sums[rank]) for rank in ranks))


def _exact(totals: Integers, shares: NDArray[np.float64]) -> Spread:
    """Return the intervals of *totals*, ascending, that have these probabilities."""
    below = np.cumsum(shares)
    last = len(below) - 1
    places = [min(int(np.searchsorted(below, float(tail) - _NEAR)), last) for tail in _tails()]
    return Spread(EXACT, *(int(totals[place]) for place in places))


def _tails() -> list[Fraction]:
    """Return the shares below the ends of the intervals: low and high of each."""
    return [tail for share in SHARES for tail in ((1 - share) / 2, (1 + share) / 2)]


def listed(amounts: Integers, chances: Integers) -> tuple[Integers, NDArray[np.float64]]:
    """Return all possible totals, ascending, and the probability of each.

    Each amount doubles them at most; those that are equal are put together at once.
    """
    totals, shares = np.zeros(1, np.int64), np.ones(1)
    order = np.argsort(amounts, kind="stable")
    for amount, chance in zip(amounts[order].tolist(), chances[order].tolist(), strict=True):
        win = chance / ONE
        totals = np.concatenate((totals, totals + amount))
        shares = np.concatenate((shares * (1 - win), shares * win))
        place = np.argsort(totals, kind="stable")  # of two ascending runs: it merges them
        totals, shares = totals[place], shares[place]
        starts = np.flatnonzero(np.append(True, totals[1:] != totals[:-1]))
        totals, shares = totals[starts], np.add.reduceat(shares, starts)
    return totals, shares


def convolved(amounts: Integers, chances: Integers) -> tuple[int, NDArray[np.float64]]:
    """Return the least total, and the probability of each total from it on, one by one."""
    # a negative amount that is there with p is one that is always there, and taken back with 1 - p
    base = int(amounts[amounts < 0].sum())
    wins = np.where(amounts < 0, ONE - chances, chances) / ONE
    sizes = np.abs(amounts)
    order = np.argsort(sizes, kind="stable")
    shares = np.zeros(int(sizes.sum()) + 1)
    shares[0] = 1.0
    top = 0
    for size, win in zip(sizes[order].tolist(), wins[order].tolist(), strict=True):
        there = shares[: top + 1] * win
        shares[: top + 1] *= 1 - win
        shares[size : top + size + 1] += there
        top += size
    return base, shares


def _drawn(amounts: Integers, chances: Integers, seed: int) -> Integers:
    least, most = DRAWS
    count = min(max(DRAWN // max(len(amounts), 1), least), most)
    draw = np.random.Generator(np.random.PCG64(seed))
    wins, worth = chances / ONE, amounts.astype(np.float64)
    page = max(2_000_000 // max(len(amounts), 1), 1)
    sums: list[NDArray[np.float64]] = []
    for start in range(0, count, page):
        happened = draw.random((min(page, count - start), len(amounts))) < wins
        sums.append(happened.astype(np.float64) @ worth)
    return np.rint(np.concatenate(sums)).astype(np.int64)


def seed_of(amounts: Integers, chances: Integers) -> int:
    """Return a seed that equal content gives again, on every machine."""
    content = sha256(amounts.astype("<i8").tobytes() + chances.astype("<i8").tobytes())
    return int.from_bytes(content.digest()[:8], "big")


def won_by_age(ages: Integers, causes: NDArray[np.int8]) -> tuple[Integers, NDArray[np.float64]]:
    """Return the ages at which opportunities were won, and the share that was won by then.

    *causes*: 0 still open at that age, 1 won, 2 lost. As `domain.survival.aalen_johansen`.
    """
    times, place, ended = np.unique(ages, return_inverse=True, return_counts=True)
    won = np.bincount(place[causes == 1], minlength=len(times))
    lost = np.bincount(place[causes == 2], minlength=len(times))
    at_risk = len(ages) - np.concatenate(([0], np.cumsum(ended)))[:-1]
    left = np.cumprod(1 - (won + lost) / at_risk) if len(times) else np.empty(0)
    before = np.concatenate(([1.0], left))[:-1] if len(times) else left
    reached = np.cumsum(before * won / at_risk) if len(times) else left
    return times[won > 0], reached[won > 0]


def placed_among(
    curve: tuple[Integers, NDArray[np.float64]], ages: Integers, bounds: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return a row per age and a column per period, as `domain.sales_forecast.placed` does.

    A row of nan is one of which nothing tells when.
    """
    times, reached = curve
    known = np.concatenate(([0.0], reached))

    def by(when: Integers) -> NDArray[np.float64]:
        found: NDArray[np.float64] = known[np.searchsorted(times, when, side="right")]
        return found

    left = known[-1] - by(ages)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [
            np.where(
                ages >= times[-1] if len(times) else True,
                np.nan,
                (by(ages + end) - by(ages + start)) / left,
            )
            for start, end in bounds
        ]
    return np.stack(columns, axis=1) if columns else np.empty((len(ages), 0))
