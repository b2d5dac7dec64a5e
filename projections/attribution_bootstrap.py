"""How sure a share of credit is: attribution over leads drawn again and again.

Leads are drawn with replacement, as many as there are, with all their journeys, those that led to
nothing too; of each draw the shares of the channels are taken. The spread of the shares over the
draws is what chance alone would do to them. The numbers follow from the SHA-256 of the journeys, in
an order that is theirs: equal journeys, equal intervals, whatever number a lead has. Draws are
floats: they say how sure the credit is, and are none.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import factorial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domain.attribution import HALF_LIFE, OVERALL_MODELS
from projections.attribution_columns import Columns
from projections.attribution_models import Asked, Models
from projections.attribution_overall import Floats, Sets, Steps, distinct
from projections.columns import Integers
from projections.journeys import Journeys

LEVEL: Final = 0.9
"""The share of the draws within an interval."""

MOST_STATES: Final = 200
"""States up to which a chain is drawn again: each draw solves one system per channel."""

MOST_ROUNDS: Final = 10_000

Shares = Callable[[Floats], Floats]
"""Returns the credit of each value where each journey counts so often."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the draws say of one model, by code of the value."""

    low: Floats
    high: Floats
    ranks: Floats
    """How often each value (row) took each rank (column, from the first), 0 to 1."""
    same_order: float
    """How often all values with credit stood in the order in which they stand."""


def bootstrap(models: Models, names: Sequence[str], rounds: int, asked: Asked) -> dict[str, Drawn]:
    """Return by model what *rounds* draws say of the shares.

    Raises ValueError for a number of rounds that is not 1 to `MOST_ROUNDS`, and for a chain of more
    than `MOST_STATES` states.
    """
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"the number of draws is 1 to {MOST_ROUNDS:,}, not {rounds:,}")
    journeys = models.journeys
    seed, unit, weights = _population(journeys)
    asks = {name: _shares(models, name, asked) for name in names}
    everything = np.ones(len(journeys))
    found: dict[str, list[Floats]] = {name: [] for name in names}
    for drawn in _draws(seed, weights, rounds):
        each = drawn[unit]
        for name, ask in asks.items():
            found[name].append(_normal(ask(each)))
    return {
        name: _summed(np.array(shares), _normal(asks[name](everything)), journeys.values)
        for name, shares in found.items()
    }


def _normal(credit: Floats) -> Floats:
    total = credit.sum()
    return credit / total if total > 0 else credit


def _population(journeys: Journeys) -> tuple[bytes, Integers, Integers]:
    """Return a seed, the place of each journey's unit in their own order, and their weights.

    Units of path data stand for many journeys alike, each of which is drawn for itself.
    """
    names = [repr(value).encode() for value in journeys.values]
    rank = np.argsort(sorted(range(len(names)), key=names.__getitem__)).astype(np.int32)
    codes = rank[journeys.codes] if names else journeys.codes
    size = int(journeys.unit.max()) + 1 if len(journeys) else 0
    texts: list[list[bytes]] = [[] for _ in range(size)]
    offsets = journeys.offsets.tolist()
    converted, at = journeys.converted.tolist(), journeys.conversion_at.tolist()
    count = journeys.count.tolist()
    for n, unit in enumerate(journeys.unit.tolist()):
        start, end = offsets[n], offsets[n + 1]
        what = f"{converted[n]} {count[n]} {at[n]}|".encode()
        texts[unit].append(what + codes[start:end].tobytes() + journeys.at[start:end].tobytes())
    whole = [b"".join(sorted(parts)) for parts in texts]
    order = sorted(range(size), key=whole.__getitem__)
    place = np.empty(size, np.int64)
    place[order] = np.arange(size)
    digest = sha256(repr(sorted(names)).encode())
    for unit in order:
        digest.update(sha256(whole[unit]).digest())
    unit = place[journeys.unit]
    most = np.ones(size, np.int64)
    np.maximum.at(most, unit, journeys.count)
    return digest.digest(), unit, most


def _draws(seed: bytes, weights: Integers, rounds: int) -> Iterator[Floats]:
    """Yield how often each unit was drawn, over how often it is there."""
    # The stream of raw numbers of this generator is the same in every version of numpy.
    source = np.random.PCG64(int.from_bytes(seed, "big"))
    total = int(weights.sum())
    ends = np.cumsum(weights)
    alone = total == len(weights)
    for _ in range(rounds):
        raw = np.asarray(source.random_raw(total), np.uint64)
        # the remainder of so big a number favours none by more than total / 2**64
        places = (raw % np.uint64(total)).astype(np.int64) if total else np.zeros(0, np.int64)
        if not alone:
            places = np.searchsorted(ends, places, "right")
        yield np.bincount(places, minlength=len(weights)) / weights


def _summed(shares: Floats, found: Floats, values: Sequence[str | None]) -> Drawn:
    """Return interval and ranks; among equal shares the name comes first, as in the answer.

    A draw in which nothing earned any credit has no shares and is left out.
    """
    earned = shares.sum(axis=1) > 0
    shares = shares[earned] if earned.any() else found[None, :]
    names = np.array(sorted(range(len(values)), key=lambda n: (values[n] is None, str(values[n]))))
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    size = shares.shape[1]
    ranks = np.zeros((size, size))
    as_found = _ranked(found[None, :], names)[0]
    credited = found > 0
    places = _ranked(shares, names)
    for rank in range(size):
        ranks[:, rank] = (places == rank).mean(axis=0)
    same = (places[:, credited] == as_found[credited]).all(axis=1)
    return Drawn(low, high, ranks, float(same.mean()))


def _ranked(shares: Floats, names: Integers) -> Integers:
    """Return the rank of each value in each row."""
    order = names[np.argsort(-shares[:, names], axis=1, kind="stable")]
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(shares.shape[1])[None, :], axis=1)
    return ranks


def _shares(models: Models, name: str, asked: Asked) -> Shares:
    """Return the credit by a model as a function of how often each journey counts."""
    journeys = models.journeys
    if name == "shapley":
        even = distinct(journeys)
        return _linear(even, Columns(even).parts("linear"))
    if name == "shapley_rate":
        return _by_rate(journeys)
    if name in OVERALL_MODELS:
        only = name == "markov_converted_only"
        base = journeys.chosen(journeys.converted) if only else journeys
        order, _ = models.chain_order(asked.order, base)
        return _by_removal(journeys, order, converted_only=only)
    half_life = HALF_LIFE if asked.half_life is None else asked.half_life
    return _linear(journeys, models.columns.parts(name, half_life))


def _linear(journeys: Journeys, parts: Integers) -> Shares:
    """Return the function for a rule: what a journey credits does not hang on the others."""
    size = len(journeys.values)
    whose = np.repeat(np.arange(len(journeys)), journeys.lengths)
    earned = np.flatnonzero(parts)
    cells, place = np.unique(whose[earned] * size + journeys.codes[earned], return_inverse=True)
    sums = np.bincount(place, parts[earned], len(cells))
    journey, value = cells // max(size, 1), cells % max(size, 1)

    def shares(each: Floats) -> Floats:
        return np.bincount(value, sums * each[journey], size).astype(np.float64)

    return shares


def _by_removal(journeys: Journeys, order: int, *, converted_only: bool) -> Shares:
    """Return the function for a chain: effects of removal, from transitions drawn again."""
    asked = (journeys.lengths > 0) & (journeys.count > 0)
    if converted_only:
        asked &= journeys.converted
    steps = Steps(journeys.chosen(asked), order)
    which = np.flatnonzero(asked)[steps.journey]
    n = len(steps.states)
    if n - 1 > MOST_STATES:
        raise ValueError(
            f"a chain of order {order} over these journeys has {n - 1} states; --bootstrap takes"
            f" {MOST_STATES} at most: ask for a lower order"
        )
    width = n + 2
    pairs = steps.origin * width + steps.to
    counts = steps.journeys.count[steps.journey]
    names = ["\0" if value is None else value for value in journeys.values]
    into = np.zeros((len(names) + 1, n), np.bool_)
    for number, state in enumerate(steps.states):
        if state:
            into[names.index(state[-1]), number] = True

    def shares(each: Floats) -> Floats:
        table = np.bincount(pairs, counts * each[which], width * width).reshape(width, width)[:n]
        total = table.sum(axis=1, keepdims=True)
        table = np.divide(table, total, out=np.zeros(table.shape), where=total > 0)
        # one system without each value's states, and the last with all of them
        inner = np.where(into[:, None, :], 0.0, table[None, :, :n])
        won = np.broadcast_to(table[None, :, n, None], (len(into), n, 1))
        found = np.linalg.solve(np.eye(n) - inner, won)[:, 0, 0]
        if not found[-1] > 0:
            return np.zeros(len(names))
        effects: Floats = np.maximum(1 - found[:-1] / found[-1], 0.0)
        return effects

    return shares


def _by_rate(journeys: Journeys) -> Shares:
    """Return the function for the games of rates, a game per combination."""
    of = distinct(journeys)
    sets = Sets(of)
    members = [frozenset(one) for one in sets.members]
    games = [_game(sets.members[n], members) for n in range(len(members))]
    size = len(journeys.values)

    def shares(each: Floats) -> Floats:
        won, lost = sets.counts(of.count * each)
        met = won + lost
        rates = np.divide(won, met, out=np.zeros(len(won)), where=met > 0)
        credit = np.zeros(size)
        for number, (within, weights) in enumerate(games):
            if won[number] > 0 and len(within):
                values = np.maximum(rates[within] @ weights, 0.0)
                credit[list(sets.members[number])] += won[number] * values / values.sum()
        return credit

    return shares


def _game(
    names: Sequence[int], members: Iterable[frozenset[int]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sets within a combination, and what the rate of each adds to each name."""
    everybody, n = frozenset(names), len(names)
    within, weights = [], []
    for number, one in enumerate(members):
        if one and one <= everybody:
            size = len(one)
            gain = factorial(size - 1) * factorial(n - size) / factorial(n)
            loss = factorial(size) * factorial(n - size - 1) / factorial(n) if size < n else 0.0
            within.append(number)
            weights.append([gain if name in one else -loss for name in names])
    return np.array(within, np.int64), np.array(weights)
