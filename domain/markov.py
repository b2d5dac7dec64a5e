"""Removal effects in a Markov chain of channels: what would be lost without each.

After Anderl, Becker, von Wangenheim, Schumann, "Mapping the customer journey" (2016): journeys are
walks of an absorbing chain from *start* over channels to *conversion* or *null*. The removal
effect of a channel is the part of the probability of conversion that is lost when every step to
it leads to null instead; credit is the effect over the sum of all effects. In a chain of order k
a state is the last k channels.

A chain knows failure only from journeys that led to nothing. Without any, everything converts, the
effects tell no more than how often a channel was met, and the result carries a warning.

The probability comes from state reduction (Grassmann, Taksar, Heyman 1985) on rows of integer
weights: nothing is subtracted, so nothing is lost. Up to `EXACT` states it is exact; beyond, rows
are cut to 256 bits, which changes it by far less than the parts of 10^9 that credit is counted
in, and is the same on every machine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Final

from domain.attribution import Path

EXACT: Final = 64
"""States up to which the effects are exact fractions."""

MOST_STATES: Final = 2_000
"""States beyond which a chain is refused: it would take minutes, and say little."""

NO_NULL_PATHS: Final = "no_null_paths"
"""The warning of a chain that knows no journey without conversion."""

_BITS: Final = 256

State = tuple[str, ...]
"""The last channels of a journey, up to the order of the chain; empty at its start."""

CONVERSION: Final[State] = ("conversion",) * 99
"""The end of a journey that converted."""

NULL: Final[State] = ("null",) * 99
"""The end of a journey that led to nothing."""
# No state has so many channels: the order is at most 9.

_Rows = dict[State, dict[State, int]]


@dataclass(frozen=True, slots=True)
class Removal:
    """What a chain says of its channels."""

    conversion: Fraction
    """The probability that a journey with channels converts."""
    without: Mapping[str, Fraction]
    """The same without each channel."""
    order: int
    states: int
    warning: str | None = None
    """`NO_NULL_PATHS`, or None."""

    @property
    def effects(self) -> dict[str, Fraction]:
        """Return the removal effect of each channel, 0 to 1; nothing where nothing converts."""
        if not self.conversion:
            return {}
        return {channel: 1 - without / self.conversion for channel, without in self.without.items()}


@dataclass(frozen=True, slots=True)
class Transitions:
    """How often each state led to each in journeys with channels, ends included."""

    rows: _Rows
    has_nulls: bool
    order: int


def removal(paths: Iterable[Path], order: int = 1) -> Removal:
    """Return the removal effects of the channels in *paths*.

    Paths without channels are left out: they would change every probability by the same factor
    and no share of credit. Raises ValueError for an order that is not 1 to 9, and for a chain of
    more than `MOST_STATES` states.
    """
    return removal_of(transitions(paths, order))


def removal_of(counted: Transitions) -> Removal:
    """Return the removal effects of a chain. Raises ValueError for one of too many states."""
    rows = counted.rows
    states = len(rows) - 1
    if states > MOST_STATES:
        raise ValueError(
            f"a chain of order {counted.order} over these paths has {states} states, more than"
            f" {MOST_STATES}; ask for a lower order"
        )
    exact = states <= EXACT
    channels = sorted({state[-1] for state in rows if state})
    return Removal(
        conversion=_converted(rows, None, exact=exact),
        without={channel: _converted(rows, channel, exact=exact) for channel in channels},
        order=counted.order,
        states=max(states, 0),
        warning=None if counted.has_nulls else NO_NULL_PATHS,
    )


def check_order(order: int) -> None:
    """Raise ValueError for an order that is not 1 to 9."""
    if not 1 <= order <= 9:
        raise ValueError(f"the order of a chain is 1 to 9, not {order}")


def transitions(paths: Iterable[Path], order: int) -> Transitions:
    """Return the steps of *paths* in a chain of *order*. Raises ValueError as `check_order`."""
    check_order(order)
    rows: _Rows = {}
    has_nulls = False
    for path in paths:
        journeys = path.conversions + path.nulls
        if not path.channels or not journeys:
            continue
        has_nulls = has_nulls or path.nulls > 0
        state: State = ()
        for channel in path.channels:
            to = (*state, channel)[-order:]
            row = rows.setdefault(state, {})
            row[to] = row.get(to, 0) + journeys
            state = to
        row = rows.setdefault(state, {})
        for end, count in ((CONVERSION, path.conversions), (NULL, path.nulls)):
            if count:
                row[end] = row.get(end, 0) + count
    return Transitions(rows, has_nulls, order)


def _converted(counts: _Rows, removed: str | None, *, exact: bool) -> Fraction:
    """Return the probability of conversion, with every step to *removed* leading to null."""
    rows: _Rows = {}
    before: dict[State, set[State]] = {}
    for state, row in counts.items():
        if state and state[-1] == removed:
            continue
        kept: dict[State, int] = {}
        for to, count in row.items():
            if to == state:
                continue  # to stay is to choose again: it changes no probability
            end = NULL if removed is not None and to[-1] == removed else to
            kept[end] = kept.get(end, 0) + count
            before.setdefault(end, set()).add(state)
        rows[state] = kept
    # States that nothing leads to any more, since what led to them was removed, do no harm.
    waiting = {state for state in rows if state}
    while waiting:
        state = min(waiting, key=lambda one: (len(before.get(one, ())) * len(rows[one]), one))
        waiting.discard(state)
        _reduce(rows, before, state, exact=exact)
    start = rows.get((), {})
    won, lost = start.get(CONVERSION, 0), start.get(NULL, 0)
    return Fraction(won, won + lost) if won else Fraction(0)


def _reduce(rows: _Rows, before: dict[State, set[State]], state: State, *, exact: bool) -> None:
    """Take *state* out of the chain: what led to it leads to where it led."""
    gone = rows.pop(state)
    total = sum(gone.values())
    for to in gone:
        before[to].discard(state)
    for origin in before.pop(state, ()):
        row = rows[origin]
        weight = row.pop(state)
        # Rows are proportions: the whole row times `total` keeps them whole numbers.
        scaled = {to: count * total for to, count in row.items()}
        for to, count in gone.items():
            if to != origin:
                scaled[to] = scaled.get(to, 0) + weight * count
                before[to].add(origin)
        rows[origin] = _shortened(scaled, exact=exact)


def _shortened(row: dict[State, int], *, exact: bool) -> dict[State, int]:
    """Return the same proportions in smaller numbers."""
    if exact:
        common = gcd(*row.values())
        return {to: count // common for to, count in row.items()} if common > 1 else row
    excess = max(row.values(), default=0).bit_length() - _BITS
    return {to: count >> excess for to, count in row.items()} if excess > 0 else row
