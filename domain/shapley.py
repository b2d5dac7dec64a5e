"""Shapley values of channels: what each adds to a coalition, averaged over all orders of joining.

Two games. In the game of sums a coalition is worth the conversions of the journeys that need no
channel beside it (Zhao, Mahboobi, Bagheri 2018, arXiv 1804.05327). Its value is provably an even
split: a journey over n distinct channels adds its conversions to the coalition with the last of
the n to join, and each of them is the last in 1/n of all orders. It needs no search, and it is
blind to journeys that led to nothing.

In the game of rates a coalition is worth the conversion rate of those journeys. The values sum to
the rate of all journeys and tell what each channel adds to it, whatever its size; a channel whose
journeys seldom convert can have a value below zero. They are no credit: a rare channel that
converts well would be given more conversions than it met. For credit by rates each *combination*
of channels plays a game of its own, as in the library Marketing Attribution Models: a coalition is
worth the rate of the journeys over exactly its channels, and the conversions of the combination go
to its channels by what they add, those below zero getting nothing.

Up to `EXACT` channels the values are exact. Beyond, orders are sampled, each with its rotations and
their reverses, so that every channel comes at every place equally often; that halves the error.
The numbers for it are SHA-256 of the paths themselves: equal paths, equal values.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import count as counting
from math import factorial, lcm
from typing import Final

from domain.attribution import Conversion, Path, Rule
from domain.journey import Journey, Touch

EXACT: Final = 12
"""Channels up to which every coalition is asked."""

ROUNDS: Final = 100
"""Orders that are sampled beyond, each with its rotations and their reverses."""


@dataclass(frozen=True, slots=True)
class Shapley:
    """The value of each channel, and how it was found."""

    values: Mapping[str, Fraction]
    total: Fraction
    """What all channels together are worth: the sum of the values."""
    samples: int | None = None
    """How many orders were sampled; None: the values are exact."""


def by_sum(paths: Iterable[Path]) -> Shapley:
    """Return the values in the game of sums: conversions, split evenly per journey."""
    values: dict[str, Fraction] = {}
    total = 0
    for channels, (conversions, _) in sets_of(paths).items():
        total += conversions
        for channel in channels:
            share = Fraction(conversions, len(channels))
            values[channel] = values.get(channel, Fraction(0)) + share
    return Shapley(dict(sorted(values.items())), Fraction(total))


def by_rate(paths: Iterable[Path], rounds: int = ROUNDS, exact: int = EXACT) -> Shapley:
    """Return the values in the game of rates.

    Orders are sampled in so many *rounds* where there are more than *exact* channels. Raises
    ValueError for rounds that are not above zero.
    """
    if rounds < 1:
        raise ValueError(f"the number of rounds must be above zero, not {rounds}")
    sets = sets_of(paths)
    channels = sorted({channel for names in sets for channel in names})
    place = {channel: n for n, channel in enumerate(channels)}
    journeys = [
        (sum(1 << place[name] for name in names), conversions, conversions + nulls)
        for names, (conversions, nulls) in sorted(sets.items())
    ]
    whole = _rate(sum(one[1] for one in journeys), sum(one[2] for one in journeys))
    if len(channels) <= exact:
        values = values_of(_rates(journeys, len(channels)))
        return Shapley(dict(zip(channels, values, strict=True)), whole)
    values = _sampled(journeys, len(channels), rounds, seed_of(sets))
    samples = 2 * rounds * len(channels)
    return Shapley(dict(zip(channels, values, strict=True)), whole, samples)


def distinct(paths: Iterable[Path]) -> Iterator[Conversion]:
    """Yield the conversions of *paths* over journeys that have each channel once, by name.

    Credited with ``linear`` they are the game of sums, also for what they are worth; with
    `rate_rule` they are credit by rates.
    """
    for path in paths:
        if path.conversions:
            names = sorted(set(path.channels))
            touches = tuple(Touch(n, name) for n, name in enumerate(names))
            journey = Journey(touches, len(touches))
            yield Conversion(journey, path.amount, path.currency, path.conversions)


def rate_rule(paths: Iterable[Path]) -> Rule:
    """Return the rule that credits each combination of channels by its own game of rates.

    It weighs the journeys that `distinct` makes of the same paths.
    """
    sets = sets_of(paths)
    rates = [(frozenset(names), _rate(won, won + lost)) for names, (won, lost) in sets.items()]
    worth = [(names, rate) for names, rate in rates if rate]
    found: dict[tuple[str, ...], list[int]] = {}

    def rule(journey: Journey) -> list[int]:
        names = tuple(touch.channel for touch in journey.touches)
        if names not in found:
            found[names] = _whole(_within(names, worth))
        return found[names]

    return rule


def _within(
    names: Sequence[str], worth: Iterable[tuple[frozenset[str], Fraction]]
) -> list[Fraction]:
    """Return the value of each channel in the game of its combination.

    Only coalitions that are worth something matter: a channel gains by those it is in and loses by
    those it is not in.
    """
    everybody, n = frozenset(names), len(names)
    values = dict.fromkeys(names, Fraction(0))
    for members, rate in worth:
        size = len(members)
        if not members <= everybody:
            continue
        gain = rate * factorial(size - 1) * factorial(n - size)
        loss = rate * factorial(size) * factorial(n - size - 1) if size < n else Fraction(0)
        for name in names:
            values[name] += gain if name in members else -loss
    return [value / factorial(n) for value in values.values()]


def _whole(values: Sequence[Fraction]) -> list[int]:
    """Return the values in whole numbers of the same proportion, those below zero as zero."""
    common = lcm(*(value.denominator for value in values))
    return [max(0, value.numerator * (common // value.denominator)) for value in values]


def values_of(worth: Sequence[Fraction | int]) -> list[Fraction]:
    """Return the Shapley value of each player, where ``worth[s]`` is that of the coalition *s*.

    Player i is in the coalition whose number has bit i; there are 2^n coalitions. Raises
    ValueError for another number of them.
    """
    n = (len(worth) - 1).bit_length()
    if len(worth) != 1 << n:
        raise ValueError(f"{len(worth)} coalitions are not a power of two")
    weights = [factorial(size) * factorial(n - size - 1) for size in range(n)]
    values = []
    for player in range(n):
        bit = 1 << player
        by_size = [Fraction(0)] * n
        for others in range(len(worth)):
            if not others & bit:
                gain = worth[others | bit] - worth[others]
                if gain:
                    by_size[others.bit_count()] += gain
        parts = (weight * gain for weight, gain in zip(weights, by_size, strict=True))
        values.append(sum(parts, Fraction(0)) / factorial(n))
    return values


def sets_of(paths: Iterable[Path]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Return conversions and other journeys by the sorted distinct channels they took."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for path in paths:
        names = tuple(sorted(set(path.channels)))
        if names and (path.conversions or path.nulls):
            conversions, nulls = found.get(names, (0, 0))
            found[names] = (conversions + path.conversions, nulls + path.nulls)
    return found


def _rate(conversions: int, journeys: int) -> Fraction:
    return Fraction(conversions, journeys) if journeys else Fraction(0)


def _rates(journeys: Iterable[tuple[int, int, int]], n: int) -> list[Fraction]:
    """Return the rate of every coalition: of the journeys within it."""
    won, met = [0] * (1 << n), [0] * (1 << n)
    for mask, conversions, of in journeys:
        won[mask] += conversions
        met[mask] += of
    for player in range(n):
        bit = 1 << player
        for coalition in range(1 << n):
            if coalition & bit:
                won[coalition] += won[coalition ^ bit]
                met[coalition] += met[coalition ^ bit]
    return list(map(_rate, won, met))


def seed_of(sets: Mapping[tuple[str, ...], tuple[int, int]]) -> bytes:
    """Return the content hash of the paths."""
    return sha256(repr(sorted(sets.items())).encode()).digest()


def sampled_orders(seed: bytes, n: int, rounds: int) -> Iterator[list[int]]:
    """Yield orders of *n* players: so many *rounds*, each with its rotations and their reverses."""
    numbers = _numbers(seed)
    order = list(range(n))
    for _ in range(rounds):
        for i in range(n - 1, 0, -1):
            # The remainder favours small numbers by less than n / 2**64.
            j = next(numbers) % (i + 1)
            order[i], order[j] = order[j], order[i]
        for start in range(n):
            rotated = order[start:] + order[:start]
            yield rotated
            yield rotated[::-1]


def _numbers(seed: bytes) -> Iterator[int]:
    """Yield 64-bit numbers that follow from *seed*."""
    for n in counting():
        block = sha256(seed + n.to_bytes(8, "big")).digest()
        for start in range(0, 32, 8):
            yield int.from_bytes(block[start : start + 8], "big")


def _sampled(
    journeys: Sequence[tuple[int, int, int]], n: int, rounds: int, seed: bytes
) -> list[Fraction]:
    """Return what each player adds on average over sampled orders of joining."""
    sums = [Fraction(0)] * n
    for order in sampled_orders(seed, n, rounds):
        for player, gain in _gains(journeys, order):
            sums[player] += gain
    return [total / (2 * n * rounds) for total in sums]


def _gains(
    journeys: Sequence[tuple[int, int, int]], order: Sequence[int]
) -> Iterator[tuple[int, Fraction]]:
    """Yield the players in *order* with what each adds to those before it."""
    at = [0] * len(order)
    for place, player in enumerate(order):
        at[player] = place
    won, met = [0] * len(order), [0] * len(order)
    for mask, conversions, of in journeys:
        last, left = 0, mask
        while left:
            low = left & -left
            last = max(last, at[low.bit_length() - 1])
            left ^= low
        won[last] += conversions
        met[last] += of
    rate, conversions, of = Fraction(0), 0, 0
    for place, player in enumerate(order):
        conversions += won[place]
        of += met[place]
        after = _rate(conversions, of)
        yield player, after - rate
        rate = after
