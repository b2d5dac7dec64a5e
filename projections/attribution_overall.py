"""Models that look at all journeys at once, over columns: chains of channels and coalitions.

Counting is what takes the time, and numpy counts; what is counted goes to ``domain.markov`` and
``domain.shapley``, or to the same games in floating point where only a figure beside the credit is
asked for. The credit itself is as exact as that of the domain.
"""

from collections.abc import Callable
from dataclasses import replace
from math import factorial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domain import shapley
from domain.attribution import Attribution, Conversion, Path, attribute, credit_paths
from domain.journey import Journey, Touch
from domain.markov import CONVERSION, NULL, Removal, State, Transitions, check_order, removal_of
from projections.columns import MISSING, Integers
from projections.journeys import Journeys, offsets_of

_DENSE: Final = 1 << 22
"""Pairs of states up to which they are counted in a table of all pairs."""

_MASKS: Final = 62
"""Values up to which a set of them is a whole number of 64 bits."""

Floats = NDArray[np.float64]


def name_of(value: str | None) -> str:
    """Return the name of a value in a chain or a coalition; one for a missing value, too."""
    return "\0" if value is None else value


def value_of(name: str) -> str | None:
    """Return the value that has a name in a chain or a coalition."""
    return None if name == "\0" else name


class Steps:
    """The steps of journeys from state to state, in a chain of an order."""

    def __init__(self, journeys: Journeys, order: int) -> None:
        """Give the states numbers. Raises ValueError for an order that is not 1 to 9."""
        check_order(order)
        self.order = order
        lengths = journeys.lengths
        asked = (lengths > 0) & (journeys.count > 0)
        if not asked.all():
            journeys = journeys.chosen(asked)
            lengths = journeys.lengths
        self.journeys = journeys
        self.states, ids = _states(journeys, lengths, order)
        """States by number; the first is the start."""
        n = len(self.states)
        self.conversion, self.null = n, n + 1
        self.journey: Integers = np.repeat(np.arange(len(lengths)), lengths + 1)
        """Whose step it is."""
        ends = journeys.offsets[1:] + np.arange(len(lengths))
        starts = journeys.offsets[:-1] + np.arange(len(lengths))
        inner = np.ones(len(self.journey), np.bool_)
        inner[ends] = False
        self.to: Integers = np.empty(len(self.journey), np.int64)
        self.to[inner] = ids
        self.to[ends] = np.where(journeys.converted, self.conversion, self.null)
        self.origin: Integers = np.empty(len(self.journey), np.int64)
        self.origin[1:] = self.to[:-1]
        self.origin[starts] = 0

    def table(self) -> dict[tuple[int, int], int]:
        """Return how often each state led to each."""
        width = len(self.states) + 2
        pairs = self.origin * width + self.to
        weights = self.journeys.count[self.journey]
        if width * width <= _DENSE and float(weights.sum()) < 2**53:
            counted = np.bincount(pairs, weights, width * width)
            found = np.flatnonzero(counted)
            counts = counted[found].astype(np.int64)
        else:
            found, place = np.unique(pairs, return_inverse=True)
            counts = np.zeros(len(found), np.int64)
            np.add.at(counts, place, weights)
        return {
            divmod(int(pair), width): int(count) for pair, count in zip(found, counts, strict=True)
        }


def _states(journeys: Journeys, lengths: Integers, order: int) -> tuple[list[State], Integers]:
    """Return the states in the order of their numbers, and that of each touch."""
    names = [name_of(value) for value in journeys.values]
    base = len(names) + 1
    codes = journeys.codes.astype(np.int64) + 1
    place = np.arange(len(codes)) - np.repeat(journeys.offsets[:-1], lengths)
    packed = codes.copy()
    known: list[tuple[int, ...]] = [(code,) for code in range(base)]
    for back in range(1, order):
        earlier = np.zeros_like(codes)
        earlier[back:] = np.where(place[back:] >= back, codes[:-back], 0)
        # numbers of what was packed so far are few: packing them again never overflows
        found, packed = np.unique(packed * base + earlier, return_inverse=True)
        known = [(*known[one // base], one % base) for one in found.tolist()]
    if order == 1:
        return [(), *((name,) for name in names)], packed
    states = [tuple(names[code - 1] for code in reversed(one) if code) for one in known]
    return [(), *states], packed.astype(np.int64) + 1


def transitions(journeys: Journeys, order: int) -> Transitions:
    """Return the steps of journeys in a chain, as ``domain.markov.transitions`` counts them."""
    steps = Steps(journeys, order)
    names = [*steps.states, CONVERSION, NULL]
    rows: dict[State, dict[State, int]] = {}
    for (origin, to), count in steps.table().items():
        rows.setdefault(names[origin], {})[names[to]] = count
    return Transitions(rows, bool((~steps.journeys.converted).any()), order)


def markov(journeys: Journeys, order: int = 1) -> tuple[Attribution, Removal]:
    """Return what removal effects credit to each value, and the chain that tells them.

    Raises ValueError as ``domain.markov.removal``.
    """
    chain = removal_of(transitions(journeys, order))
    return _by_shares(journeys, chain), chain


def _by_shares(journeys: Journeys, chain: Removal) -> Attribution:
    return _named(credit_paths(totals(journeys), chain.effects))


def totals(journeys: Journeys) -> list[Path]:
    """Return the conversions and what they are worth, by whether anything touched them."""
    found: list[Path] = []
    for touched in (True, False):
        mine = journeys.converted & ((journeys.lengths > 0) == touched)
        channels = ("",) if touched else ()
        found.append(Path(channels, int(journeys.count[mine].sum())))
        known = mine & (journeys.amount != MISSING)
        for code, currency in enumerate(journeys.currencies):
            units = journeys.amount[known & (journeys.currency == code)]
            worth = int((units >> 32).sum()) * (1 << 32) + int((units & 0xFFFFFFFF).sum())
            worth += sum(
                amount
                for number, amount in journeys.large.items()
                if mine[number] and journeys.currency[number] == code
            )
            if worth:
                found.append(Path(channels, 0, 0, worth, currency))
    return found


def _named(result: Attribution) -> Attribution:
    result.credit = {value_of(name_of(name)): units for name, units in result.credit.items()}
    result.amounts = {value_of(name_of(name)): units for name, units in result.amounts.items()}
    return result


# --- coalitions ---


def distinct(journeys: Journeys) -> Journeys:
    """Return the journeys with each value once, by name: those of ``domain.shapley.distinct``.

    The instants are places, as there.
    """
    names = [name_of(value) for value in journeys.values]
    rank = np.empty(len(names), np.int64)
    rank[np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)] = np.arange(
        len(names)
    )
    by_rank = np.argsort(rank).astype(np.int32)
    width = max(len(names), 1)
    journey = np.repeat(np.arange(len(journeys)), journeys.lengths)
    cells = np.unique(journey * width + rank[journeys.codes])
    lengths = np.bincount(cells // width, minlength=len(journeys)).astype(np.int64)
    codes = by_rank[cells % width] if len(cells) else journeys.codes[:0]
    return replace(
        journeys,
        offsets=offsets_of(lengths),
        codes=codes,
        at=np.arange(len(cells), dtype=np.int64),
        # which channel it was is lost, and no rule of coalitions asks for it
        channels=np.zeros(len(cells), np.int32),
    )


class Sets:
    """Which values each journey met, whatever the order: a number per different set."""

    def __init__(self, journeys: Journeys) -> None:
        """Give a number to each set in journeys that `distinct` made."""
        self.journeys = journeys
        if len(journeys.values) <= _MASKS:
            bits = np.int64(1) << journeys.codes.astype(np.int64)
            sums = np.concatenate(([0], np.cumsum(bits, dtype=np.uint64).astype(np.uint64)))
            masks = sums[journeys.offsets[1:]] - sums[journeys.offsets[:-1]]
            _, firsts, self.number = np.unique(masks, return_index=True, return_inverse=True)
            members = [self._members(int(first)) for first in firsts]
        else:
            known: dict[tuple[int, ...], int] = {}
            self.number = np.array(
                [known.setdefault(self._members(n), len(known)) for n in range(len(journeys))],
                np.int64,
            )
            members = list(known)
        self.members: list[tuple[int, ...]] = members
        """The codes of the values of each set, by name."""

    def _members(self, number: int) -> tuple[int, ...]:
        start, end = self.journeys.offsets[number], self.journeys.offsets[number + 1]
        return tuple(self.journeys.codes[start:end].tolist())

    def names(self, number: int) -> tuple[str, ...]:
        """Return the names of the values of a set."""
        return tuple(name_of(self.journeys.values[code]) for code in self.members[number])

    def counts(self, weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the weights of the converted and of the other journeys, by set."""
        converted = self.journeys.converted
        return (
            np.bincount(self.number[converted], weights[converted], len(self.members)),
            np.bincount(self.number[~converted], weights[~converted], len(self.members)),
        )

    def paths(self) -> list[Path]:
        """Return the sets as paths, with how many journeys converted and how many did not."""
        won, lost = self.counts(self.journeys.count)
        return [Path(self.names(n), int(won[n]), int(lost[n])) for n in range(len(self.members))]


def shapley_rate(journeys: Journeys) -> tuple[Attribution, list[Path]]:
    """Return what each combination's own game of rates credits, and the combinations."""
    of = distinct(journeys)
    sets = Sets(of)
    paths = sets.paths()
    rule = shapley.rate_rule(paths)
    return _by_set(of, sets, rule), paths


def _by_set(of: Journeys, sets: Sets, rule: Callable[[Journey], Any]) -> Attribution:
    """Credit journeys by a rule that looks at their sets alone; equal ones are divided once."""
    asked = np.flatnonzero(of.converted & (of.count > 0))
    rows = np.stack(
        [sets.number[asked], of.count[asked], of.amount[asked], of.currency[asked].astype(np.int64)]
    )
    alike, firsts, times = np.unique(rows, axis=1, return_index=True, return_counts=True)
    result = Attribution()
    for number, first, many in zip(alike[0], firsts, times, strict=True):
        one = of.conversion(int(asked[first]))
        touches = tuple(Touch(n, name) for n, name in enumerate(sets.names(int(number))))
        amount = None if int(asked[first]) in of.large else one.amount
        added = attribute([one._replace(journey=Journey(touches, 0), amount=amount)], rule)
        _add(result, added, int(many))
    for row, worth in of.large.items():
        names = sets.names(int(sets.number[row]))
        if of.converted[row] and of.count[row]:
            touches = tuple(Touch(n, name) for n, name in enumerate(names))
            currency = of.currencies[of.currency[row]]
            one = Conversion(Journey(touches, 0), worth, currency, 0)
            _add(result, attribute([one], rule), 1)
    return _named(result)


def _add(result: Attribution, one: Attribution, times: int) -> None:
    result.conversions += one.conversions * times
    result.unattributed += one.unattributed * times
    for name, units in one.credit.items():
        result.credit[name] = result.credit.get(name, 0) + units * times
    for name, of in one.amounts.items():
        there = result.amounts.setdefault(name, {})
        for currency, units in of.items():
            there[currency] = there.get(currency, 0) + units * times
    for currency, units in one.unattributed_amounts.items():
        before = result.unattributed_amounts.get(currency, 0)
        result.unattributed_amounts[currency] = before + units * times


def zeta(counts: NDArray[Any]) -> NDArray[Any]:
    """Return of each coalition the sum over the coalitions within it; a coalition is a bit mask."""
    found = counts.copy()
    for player in range((len(counts) - 1).bit_length()):
        pairs = found.reshape(-1, 2, 1 << player)
        pairs[:, 1] += pairs[:, 0]
    return found


def rate_values(
    paths: list[Path], rounds: int = shapley.ROUNDS, exact: int = shapley.EXACT
) -> tuple[dict[str, float], int | None]:
    """Return what each channel adds to the conversion rate of all journeys, and how many orders.

    The game of ``domain.shapley.by_rate`` in floating point: over all coalitions up to
    *exact* channels (None orders), else over the same sampled orders.
    """
    sets = shapley.sets_of(paths)
    channels = sorted({channel for names in sets for channel in names})
    n = len(channels)
    place = {channel: i for i, channel in enumerate(channels)}
    ends = np.array(list(sets.values()), np.float64).reshape(-1, 2)
    won, met = ends[:, 0], ends.sum(axis=1)
    if n <= exact:
        masks = np.array([sum(1 << place[name] for name in names) for names in sets], np.int64)
        values = _values(_rate(*(zeta(np.bincount(masks, x, 1 << n)) for x in (won, met))), n)
        return dict(zip(channels, values.tolist(), strict=True)), None
    holds = np.zeros((len(sets), n), np.bool_)
    for row, names in enumerate(sets):
        holds[row, [place[name] for name in names]] = True
    sums, samples = np.zeros(n), 0
    at = np.empty(n, np.int64)
    for order in shapley.sampled_orders(shapley.seed_of(sets), n, rounds):
        at[order] = np.arange(n)
        last = np.where(holds, at, -1).max(axis=1)
        rates = _rate(*(np.cumsum(np.bincount(last, x, n)) for x in (won, met)))
        sums[order] += np.diff(rates, prepend=0.0)
        samples += 1
    return dict(zip(channels, (sums / samples).tolist(), strict=True)), samples


def _rate(won: NDArray[Any], met: NDArray[Any]) -> Floats:
    rates: Floats = np.divide(won, met, out=np.zeros(len(won)), where=met > 0)
    return rates


def _values(worth: Floats, n: int) -> Floats:
    """Return the Shapley value of each of *n* players where a coalition is worth that."""
    sizes = np.array([mask.bit_count() for mask in range(1 << n)])
    weights = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)])
    values = np.empty(n)
    for player in range(n):
        pairs = worth.reshape(-1, 2, 1 << player)
        size = sizes.reshape(-1, 2, 1 << player)[:, 0]
        values[player] = ((pairs[:, 1] - pairs[:, 0]) * weights[size]).sum()
    return values


def paths_of(journeys: Journeys) -> list[Path]:
    """Return the different paths of journeys, with how many converted and how many did not."""
    names = [name_of(value) for value in journeys.values]
    found: dict[bytes, list[int]] = {}
    offsets = journeys.offsets.tolist()
    for n, (count, converted) in enumerate(
        zip(journeys.count.tolist(), journeys.converted.tolist(), strict=True)
    ):
        ends = found.setdefault(journeys.codes[offsets[n] : offsets[n + 1]].tobytes(), [0, 0])
        ends[not converted] += count
    return [
        Path(tuple(names[code] for code in np.frombuffer(codes, np.int32)), won, lost)
        for codes, (won, lost) in found.items()
    ]
