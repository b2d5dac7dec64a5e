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
    return _steps(_pools(judged))


def robust_isotonic(judged: Iterable[Judged]) -> Isotonic:
    """Return rising steps of which each tells more than chance would; one step is the mean.

    The nearest steps fit noise too. So pools are joined with their neighbours such that the sum of
    squares and a price for each step are least together: p (1 - p) times the logarithm of the
    number of outcomes (Schwarz 1978; a step is one degree of freedom, Meyer and Woodroofe 2000).
    The logarithm is the number of binary digits: whole, and a little stricter than the natural
    one. And since the ends may be pools of a few outcomes that all agree, one that does not is
    thought to be among each.
    """
    some = list(judged)
    if not some:
        return _steps([])
    won, outcomes = sum(won for _, won in some), len(some)
    scores = [score for score, _ in some]
    pools = _pools([*some, (min(scores), True), (max(scores), False)])
    price = Fraction(won * (outcomes - won) * outcomes.bit_length(), outcomes * outcomes)
    # The least cost of the pools up to each, and where the last step of that begins.
    costs: list[tuple[Fraction, int]] = [(Fraction(0), 0)]
    for end in range(1, len(pools) + 1):
        together = _Pool(0, 0, 0)
        options = []
        for start in range(end - 1, -1, -1):
            together = _joined(pools[start], together)
            misfit = Fraction(together.won * (together.outcomes - together.won), together.outcomes)
            options.append((costs[start][0] + misfit + price, start))
        costs.append(min(options))
    joined: list[_Pool] = []
    end = len(pools)
    while end:
        start = costs[end][1]
        together = pools[end - 1]
        for pool in reversed(pools[start : end - 1]):
            together = _joined(pool, together)
        joined.append(together)
        end = start
    if len(joined) == 1:
        return _steps([_Pool(0, won, outcomes)])
    return _steps(joined[::-1])


class _Pool(NamedTuple):
    """Outcomes of neighbouring scores."""

    score: int
    """The lowest of them."""
    won: int
    outcomes: int


def _joined(low: _Pool, high: _Pool) -> _Pool:
    return _Pool(low.score, low.won + high.won, low.outcomes + high.outcomes)


def _pools(judged: Iterable[Judged]) -> list[_Pool]:
    """Return pools whose shares of won outcomes rise."""
    at_score: dict[int, _Pool] = {}
    for score, won in judged:
        at_score[score] = _joined(_Pool(score, int(won), 1), at_score.get(score, _Pool(0, 0, 0)))
    pools: list[_Pool] = []
    for _, pool in sorted(at_score.items()):
        while pools and pools[-1].won * pool.outcomes >= pool.won * pools[-1].outcomes:
            pool = _joined(pools.pop(), pool)  # noqa: PLW2901 - it grows until it violates no more
        pools.append(pool)
    return pools


def _steps(pools: Sequence[_Pool]) -> Isotonic:
    return Isotonic(
        tuple(pool.score for pool in pools),
        tuple(round(Fraction(pool.won * ONE, pool.outcomes)) for pool in pools),
    )


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
