"""How many channels a chain should remember: the order that tells best which journeys convert.

Journeys are dealt into folds; the chain of the other folds scores those of each, and the order
whose scores part the converted from the others best, by the area under the ROC curve over all
folds, is taken; of equals the lowest. A chain tells of a journey that ended how probable it was to
end in conversion: the step out of its last state is all that conversion and null differ in. A state
that the other folds do not know is scored by what they know of its last channels, one fewer each
time.

A path's journeys are dealt one after the other, beginning at a fold that follows from its SHA-256:
equal paths, equal folds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from typing import Final

from domain.attribution import Path
from domain.markov import MOST_STATES, State

FOLDS: Final = 5
HIGHEST: Final = 4
"""The highest order that is tried."""

_START: Final = "\0start"
"""Stands before the first channel: what a journey of one channel ended in is a state of its own."""

_Ends = dict[State, list[list[int]]]
"""Conversions and nulls by fold, of the journeys that ended in a state."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The order that was chosen, and why."""

    order: int
    auc: Mapping[int, Fraction]
    """The area under the curve by order; orders of chains of too many states are not in it."""


def choose_order(paths: Iterable[Path], highest: int = HIGHEST, folds: int = FOLDS) -> Choice:
    """Return the order, 1 to *highest*, whose chain tells best which journeys convert.

    Where no journey converted, or none led to nothing, there is nothing to tell: order 1.
    Raises ValueError where there are fewer than two folds.
    """
    if folds < 2:
        raise ValueError(f"to hold one fold out takes at least two, not {folds}")
    merged: dict[tuple[str, ...], list[int]] = {}
    for path in paths:
        if path.channels:
            ends = merged.setdefault(path.channels, [0, 0])
            ends[0] += path.conversions
            ends[1] += path.nulls
    dealt = [(channels, _dealt(channels, ends, folds)) for channels, ends in sorted(merged.items())]
    auc: dict[int, Fraction] = {}
    for order in range(1, highest + 1):
        if order > 1 and _states(merged, order) > MOST_STATES:
            break
        area = _area(_scored(dealt, order, folds))
        if area is not None:
            auc[order] = area
    best = max(auc, key=lambda order: (auc[order], -order), default=1)
    return Choice(best, auc)


def _states(paths: Iterable[tuple[str, ...]], order: int) -> int:
    return len(
        {
            channels[max(0, end - order) : end]
            for channels in paths
            for end in range(1, len(channels) + 1)
        }
    )


def _dealt(channels: tuple[str, ...], ends: list[int], folds: int) -> list[list[int]]:
    """Return how many of a path's conversions and nulls are in each fold."""
    first = int.from_bytes(sha256(repr(channels).encode()).digest()[:8], "big")
    conversions, nulls = ends
    dealt = []
    for fold in range(folds):
        place = (fold - first) % folds
        # nulls go on where conversions ended
        later = (place - conversions) % folds
        dealt.append(
            [(conversions + folds - 1 - place) // folds, (nulls + folds - 1 - later) // folds]
        )
    return dealt


def _scored(
    dealt: Iterable[tuple[tuple[str, ...], list[list[int]]]], order: int, folds: int
) -> dict[Fraction, list[int]]:
    """Return conversions and nulls by the score that the other folds give them."""
    dealt = list(dealt)
    ends: _Ends = {}
    for channels, of_path in dealt:
        padded = (_START, *channels)
        for length in range(min(order, len(padded)) + 1):
            state = padded[len(padded) - length :]
            of_state = ends.setdefault(state, [[0, 0] for _ in range(folds + 1)])
            for fold, (conversions, nulls) in enumerate(of_path):
                for at in (fold, folds):
                    of_state[at][0] += conversions
                    of_state[at][1] += nulls
    found: dict[Fraction, list[int]] = {}
    for channels, of_path in dealt:
        padded = (_START, *channels)
        for fold, (conversions, nulls) in enumerate(of_path):
            if conversions or nulls:
                score = found.setdefault(_score(ends, padded[-order:], fold, folds), [0, 0])
                score[0] += conversions
                score[1] += nulls
    return found


def _score(ends: _Ends, state: State, fold: int, folds: int) -> Fraction:
    while True:
        of_state = ends[state]
        won = of_state[folds][0] - of_state[fold][0]
        lost = of_state[folds][1] - of_state[fold][1]
        if won + lost:
            return Fraction(won, won + lost)
        if not state:
            return Fraction(0)
        state = state[1:]


def _area(scored: Mapping[Fraction, list[int]]) -> Fraction | None:
    """Return how often a converted journey scores above another; equal scores count half."""
    below = won = lost = twice = 0
    for _, (conversions, nulls) in sorted(scored.items()):
        twice += conversions * (2 * below + nulls)
        below += nulls
        won += conversions
        lost += nulls
    return Fraction(twice, 2 * won * lost) if won and lost else None
