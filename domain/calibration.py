"""How far probabilities can be believed, and how to mend them.

Probabilities are whole parts of `ONE`, outcomes won or not; everything else is exact fractions.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from domain.intervals import wilson

ONE: Final = 10**12
"""Certainty: probabilities are counted in parts of it."""

Judged = tuple[int, bool]
"""A probability and what came of it."""


class Bin(NamedTuple):
    """The outcomes whose probability lay from ``low`` to before ``high`` (the last: up to it)."""

    low: Fraction
    high: Fraction
    outcomes: int
    won: int
    predicted: Fraction
    """The mean probability."""
    interval: tuple[Fraction, Fraction]
    """Wilson's for the share that was won: does it hold what was predicted?"""


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Steps that never fall: from each score on, the share that was won."""

    scores: tuple[int, ...]
    """Where each step begins, parts of `ONE`, rising."""
    shares: tuple[int, ...]
    """What it says, parts of `ONE`, rising."""

    def __call__(self, score: int) -> int:
        """Return the share won at *score*; below the first step it is that of the first."""
        if not self.scores:
            return score
        return self.shares[max(bisect_right(self.scores, score) - 1, 0)]


def isotonic(judged: Iterable[Judged]) -> Isotonic:
    """Return the rising steps that are nearest to the outcomes, in the mean of squares.

    Pool adjacent violators (Ayer et al. 1955). Equal scores are one; no outcomes, no change.
    """
    at_score: dict[int, list[int]] = {}
    for score, won in judged:
        counts = at_score.setdefault(score, [0, 0])
        counts[0] += won
        counts[1] += 1
    pools: list[tuple[int, int, int]] = []  # lowest score, won, outcomes
    for score, (wins, outcomes) in sorted(at_score.items()):
        pool = (score, wins, outcomes)
        while pools and pools[-1][1] * pool[2] >= pool[1] * pools[-1][2]:
            before = pools.pop()
            pool = (before[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    return Isotonic(
        tuple(score for score, _, _ in pools),
        tuple(round(Fraction(wins * ONE, outcomes)) for _, wins, outcomes in pools),
    )


def steps_or_mean(judged: Sequence[Judged]) -> Isotonic:
    """Return the isotonic steps if they tell more than chance would, else one step: the mean.

    Steps fit whatever they are given: m of them save something of the sum of squares on noise
    too. Each beyond the first must save p (1 - p) times the logarithm of the outcomes (Schwarz
    1978; a step is one degree of freedom, Meyer and Woodroofe 2000). The logarithm is the number
    of binary digits: whole, and a little stricter than the natural one.
    """
    found = isotonic(judged)
    won, outcomes = sum(won for _, won in judged), len(judged)
    if len(found.scores) < 2:
        return found
    flat = Isotonic((0,), (round(Fraction(won * ONE, outcomes)),))
    saved = (_misfit(flat, judged) - _misfit(found, judged)) * outcomes
    mean = Fraction(won, outcomes)
    needed = (len(found.scores) - 1) * mean * (1 - mean) * outcomes.bit_length()
    return found if saved > needed else flat


def _misfit(steps: Isotonic, judged: Iterable[Judged]) -> Fraction:
    return brier([(steps(score), won) for score, won in judged])


def brier(judged: Sequence[Judged]) -> Fraction:
    """Return the mean of squares between probability and outcome (Brier 1950): 0 is best.

    Raises ValueError where nothing was judged.
    """
    if not judged:
        raise ValueError("no outcomes to judge by")
    total = sum((chance - ONE * won) ** 2 for chance, won in judged)
    return Fraction(total, ONE * ONE * len(judged))


def reliability(judged: Iterable[Judged], bins: int = 10) -> list[Bin]:
    """Return what came of the probabilities in *bins* of equal width, without empty ones."""
    found: dict[int, list[int]] = {}
    for chance, won in judged:
        counts = found.setdefault(min(chance * bins // ONE, bins - 1), [0, 0, 0])
        counts[0] += 1
        counts[1] += won
        counts[2] += chance
    return [
        Bin(
            Fraction(n, bins),
            Fraction(n + 1, bins),
            outcomes,
            won,
            Fraction(total, ONE * outcomes),
            wilson(won, outcomes),
        )
        for n, (outcomes, won, total) in sorted(found.items())
    ]
