"""Attribution rules over a million journeys at once: the credit of ``domain.attribution``, faster.

Journeys of the same number of touches are laid side by side, a row per place and a column per
journey, so that a rule is a few operations on whole rows. Every part is the one that
``domain.money.split`` would give: rules of places and roles are divided in 64-bit integers, so
small that nothing overflows. Time decay alone is *searched* in floating point: where a part or the
order of two remainders lies so near to a tie that rounding might decide it, and for amounts that
are too big, the journey is divided by the integers of the domain. No credit hangs on a float.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domain.attribution import (
    DIRECT,
    HALF_LIFE,
    MODELS,
    MOMENT_MODELS,
    NANO,
    Attribution,
    time_decay,
)
from domain.journey import Journey, Touch
from domain.money import split
from projections.columns import MISSING, Flags, Integers
from projections.journeys import Journeys, by_value

PICKS: Final = ("first", "last", "last_non_direct")
PLACES: Final = ("linear", "u_first_last", "j", "inverse_j", "position_decay")
DECAYS: Final = ("time_decay", "time_decay_stepped")
ROLES: Final[Mapping[str, tuple[int, tuple[int, ...], int]]] = {
    "u_lead": (40, (40,), 20),
    "w": (30, (30, 30), 10),
    "full_path": (225, (225, 225, 225), 100),
}
"""Of each rule of roles the shares of the first touch, of the moments, and of the rest."""

_BLOCK: Final = 1 << 16
"""Touches that are worked on at a time: few enough for the cache, many enough to call numpy for."""

_LARGEST: Final = 1 << 50
"""Sizes up to which a block is added up in floating point without losing any unit."""

_MOST: Final = 2**63 // NANO - 1
"""Conversions of one path whose credit is counted in 64 bits."""

_STEPS: Final = 20
"""Half-lives between the touches of a journey up to which stepped weights fit their squares."""

_COMPARED: Final = 12
"""Touches of a journey up to which each is compared with each instead of sorting them."""

_TABLE: Final = 1 << 10
"""Totals of weights up to which the parts of every remainder are looked up."""


@dataclass(slots=True, eq=False)
class _Sizes:
    """What is divided over the touches of each journey of a block."""

    of: int
    """0 is credit, from 1 on the currencies."""
    units: Integers
    each: int | None
    """The size of all of them, where they are alike."""
    fits: bool
    """Whether their sum is so small that floating point adds parts of them exactly."""
    alone: list[int] | None = None
    """The sums by value of a block whose journeys have one touch."""


@dataclass(slots=True, eq=False)
class _Block:
    """Some converted journeys with the same number of touches."""

    journeys: Integers
    starts: Integers
    codes: NDArray[np.intp]
    """Values by place and journey."""
    size: int
    """How many values there are."""
    sizes: Sequence[_Sizes]
    _places: Any = None
    _at: Any = None
    _weights: tuple[Any, Any] = (None, None)

    @property
    def count(self) -> int:
        """Return the number of touches of each journey."""
        return len(self.codes)

    @property
    def touches(self) -> Integers:
        """Return the numbers of the touches by place and journey."""
        return self.starts + np.arange(self.count, dtype=np.int64)[:, None]

    def at(self, journeys: Journeys) -> Any:
        """Return when the touches happened, by place and journey."""
        if self._at is None:
            self._at = journeys.at[self.touches]
        return self._at

    def weights(self, rule: "_Rule", make: Callable[["_Block"], Any]) -> Any:
        """Return what *make* makes of this block for *rule*; it is kept for the next question."""
        if self._weights[0] is not rule:
            self._weights = (rule, make(self))
        return self._weights[1]

    @property
    def places(self) -> Any:
        """Return how often each value stands at each place."""
        if self._places is None:
            cells = self.codes + self.size * np.arange(self.count, dtype=np.intp)[:, None]
            found = np.bincount(cells.ravel(), minlength=self.size * self.count)
            self._places = found.reshape(self.count, self.size)
        return self._places


class Columns:
    """Journeys laid out by length, once for all rules that are asked."""

    def __init__(self, journeys: Journeys) -> None:
        self.journeys = journeys
        lengths = journeys.lengths
        asked = journeys.converted & (journeys.count > 0)
        if len(journeys) and int(journeys.count.max()) > _MOST:
            raise ValueError(f"a path has more than {_MOST:,} conversions; give it in parts")
        self.untouched: Integers = np.flatnonzero(asked & (lengths == 0))
        self.converted = int(journeys.count[asked].sum())
        self._blocks = list(self._laid(np.flatnonzero(asked & (lengths > 0)), lengths))
        self._direct = np.array([name == DIRECT for name in journeys.channel_names], np.bool_)

    def _laid(self, which: Integers, lengths: Integers) -> Iterator[_Block]:
        of = lengths[which]
        # of 16 bits numpy sorts by counting, which takes no time
        short = of.astype(np.uint16) if len(of) and int(of.max()) < 1 << 16 else of
        order = which[np.argsort(short, kind="stable")]
        counts = np.bincount(of) if len(of) else np.zeros(0, np.int64)
        end = 0
        for count in np.flatnonzero(counts):
            begin, end = end, end + int(counts[count])
            step = max(1, _BLOCK // int(count))
            for at in range(begin, end, step):
                mine = order[at : min(at + step, end)]
                starts = self.journeys.offsets[mine]
                touches = starts + np.arange(count, dtype=np.int64)[:, None]
                codes = self.journeys.codes[touches].astype(np.intp)
                yield _Block(
                    mine, starts, codes, len(self.journeys.values), list(self._sizes(mine))
                )

    def _sizes(self, mine: Integers) -> Iterator[_Sizes]:
        of = self.journeys
        count = of.count[mine]
        each = int(count[0]) * NANO if (count == count[0]).all() else None
        yield _Sizes(0, count * NANO, each, _fits(count * NANO))
        amount = of.amount[mine]
        known = amount != MISSING
        if known.any():
            currency = of.currency[mine]
            for code in np.flatnonzero(np.bincount(currency[known])):
                units = np.where(known & (currency == code), amount, 0)
                yield _Sizes(int(code) + 1, units, None, _fits(units))

    def attribute(self, model: str, half_life: int = HALF_LIFE) -> Attribution:
        """Return what *model* credits to each value: that of ``domain.attribution.attribute``.

        *half_life* (microseconds) is that of time decay. Raises ValueError for a name that is no
        rule, and a half-life that is not positive.
        """
        rule = _Rule(self.journeys, self._direct, model, half_life)
        of = self.journeys
        sums = [_Sums(len(of.values)) for _ in range(1 + len(of.currencies))]
        for block in self._blocks:
            for sizes in block.sizes:
                sums[sizes.of].add(block, rule, sizes)
        result = self._result(sums[0], sums[1:])
        for number, worth in of.large.items():
            self._add_large(result, rule, number, worth)
        return result

    def parts(self, model: str, half_life: int = HALF_LIFE) -> Integers:
        """Return the credit of each touch, parts of `NANO`; 0 where the journey led to nothing."""
        rule = _Rule(self.journeys, self._direct, model, half_life)
        found = np.zeros(len(self.journeys.codes), np.int64)
        for block in self._blocks:
            sizes = self.journeys.count[block.journeys] * NANO
            found[block.touches] = rule.parts(block, sizes)
        return found

    def _add_large(self, result: Attribution, rule: "_Rule", number: int, worth: int) -> None:
        """Add what a journey is worth that is too much for 64 bits."""
        of = self.journeys
        if not of.converted[number] or not of.count[number]:
            return
        journey, _, _, _ = of.conversion(number)
        currency = of.currencies[of.currency[number]]
        if not journey.touches:
            there = result.unattributed_amounts.get(currency, 0)
            result.unattributed_amounts[currency] = there + worth
            return
        for touch, units in zip(journey.touches, split(worth, rule.exact(journey)), strict=True):
            if units:
                amounts = result.amounts.setdefault(by_value(touch), {})
                amounts[currency] = amounts.get(currency, 0) + units

    def _result(self, credit: "_Sums", money: Iterable["_Sums"]) -> Attribution:
        of = self.journeys
        result = Attribution(conversions=self.converted)
        result.unattributed = int(of.count[self.untouched].sum())
        for number in self.untouched:
            amount = int(of.amount[number])
            if amount != MISSING:
                name = of.currencies[of.currency[number]]
                there = result.unattributed_amounts.get(name, 0)
                result.unattributed_amounts[name] = there + amount
        result.credit = {of.values[i]: units for i, units in enumerate(credit.units) if units}
        for currency, sums in zip(of.currencies, money, strict=True):
            for i, units in enumerate(sums.units):
                if units:
                    result.amounts.setdefault(of.values[i], {})[currency] = units
        return result


class _Sums:
    """Exact sums of parts by value."""

    def __init__(self, size: int) -> None:
        self.units = [0] * size

    def add(self, block: _Block, rule: "_Rule", sizes: _Sizes) -> None:
        """Add what *rule* credits of *sizes* to the values of a block."""
        if block.count == 1:
            if sizes.alone is None:
                sizes.alone = self._weighed(block.codes[0], sizes.units, sizes)
            weighed = sizes.alone
        elif sizes.each is not None and (parts := rule.of_places(block.count, sizes.each)):
            weighed = self._of_places(block, parts, sizes.each)
        elif rule.model in PICKS:
            weighed = self._weighed(rule.picked(block), sizes.units, sizes)
        else:
            parts_of = rule.parts(block, sizes.units)
            weighed = self._weighed(block.codes.ravel(), parts_of.ravel(), sizes)
        self.units = [a + b for a, b in zip(self.units, weighed, strict=True)]

    def _weighed(self, codes: NDArray[np.intp], parts: Integers, sizes: _Sizes) -> list[int]:
        if sizes.fits:
            # whole numbers whose sum stays below 2**53: the additions are exact
            return [int(x) for x in np.bincount(codes, parts, len(self.units)).tolist()]
        high = np.bincount(codes, parts >> 32, len(self.units))
        low = np.bincount(codes, parts & 0xFFFFFFFF, len(self.units))
        return [(int(a) << 32) + int(b) for a, b in zip(high, low, strict=True)]

    def _of_places(self, block: _Block, parts: list[int], each: int) -> list[int]:
        """Return the sums where every journey divides as much, by how often values have places."""
        if each * len(block.journeys) < 1 << 62:
            return [int(x) for x in (np.array(parts, np.int64) @ block.places).tolist()]
        columns = block.places.T.tolist()
        return [sum(a * b for a, b in zip(parts, column, strict=True)) for column in columns]


def _fits(sizes: Integers) -> bool:
    return float(np.abs(sizes.astype(np.float64)).sum()) < _LARGEST


class _Rule:
    """A rule that divides sizes over blocks."""

    def __init__(self, journeys: Journeys, direct: Flags, model: str, half_life: int) -> None:
        known = {**MODELS, **MOMENT_MODELS}
        if model not in known:
            raise ValueError(f"unknown attribution model {model!r}; there are {', '.join(known)}")
        self.journeys, self.direct, self.model, self.half_life = journeys, direct, model, half_life
        self.exact = known[model]
        if model in DECAYS:
            self.exact = time_decay(half_life, stepped=model != "time_decay")
        self._divided: dict[Any, list[int]] = {}

    def of_places(self, count: int, size: int) -> list[int] | None:
        """Return how *size* is divided over *count* touches; None where that takes more to know."""
        if count == 1:
            return [size]
        if self.model in ("first", "last") or self.model in PLACES:
            return split(size, place_weights(self.model, count))
        return None

    def parts(self, block: _Block, sizes: Integers) -> Integers:
        """Return how the sizes of the journeys of *block* are divided, by place and journey."""
        if block.count == 1:
            return sizes[None, :]
        if self.model in PICKS:
            return self._picked(block, sizes)
        signs, sizes = np.sign(sizes), np.abs(sizes)
        if self.model in PLACES:
            found = _by_places(self.model, block.count, sizes)
        elif self.model in ROLES:
            found = _divided(sizes, *block.weights(self, self._roles))
        elif self.model == "time_decay":
            found = self._decayed(block, sizes)
        else:
            found = self._stepped(block, sizes)
        return found * signs if (signs < 0).any() else found

    def picked(self, block: _Block) -> Any:
        """Return the value of the one touch of each journey that a rule of `PICKS` credits."""
        if self.model == "first":
            return block.codes[0]
        if self.model == "last":
            return block.codes[-1]
        place = block.weights(self, self._place)
        return block.codes[place, np.arange(len(place))]

    def _place(self, block: _Block) -> NDArray[np.intp]:
        place = np.full(len(block.journeys), block.count - 1, np.intp)
        direct = self.direct[self.journeys.channels[block.touches]]
        for i in range(block.count):
            place[~direct[i]] = i
        return place

    def _picked(self, block: _Block, sizes: Integers) -> Integers:
        parts = np.zeros(block.codes.shape, np.int64)
        if self.model == "last_non_direct":
            parts[block.weights(self, self._place), np.arange(len(sizes))] = sizes
        else:
            parts[0 if self.model == "first" else -1] = sizes
        return parts

    def _roles(self, block: _Block) -> tuple[Integers, Integers]:
        first, shares, rest = ROLES[self.model]
        at = block.at(self.journeys)
        held = np.zeros(at.shape, np.int64)
        held[0] += first
        columns = np.arange(at.shape[1])
        for share, moment in zip(shares, self.journeys.moments[:, block.journeys], strict=False):
            place = (at <= moment).sum(axis=0) - 1
            known = place >= 0
            held[place[known], columns[known]] += share
        middle = block.count - (held > 0).sum(axis=0)
        weights = np.where(held > 0, held * np.maximum(middle, 1), rest)
        return weights, weights.sum(axis=0)

    def _steps(self, block: _Block) -> tuple[Integers, Integers, Flags]:
        """Return the weights of whole half-lives, their totals, and where they are too many."""
        ages = self.journeys.conversion_at[block.journeys] - block.at(self.journeys)
        steps = ages // self.half_life
        steps = steps[0] - steps
        far = steps[-1] > _STEPS
        if block.count > 1 << 10:
            far[:] = True
        weights = np.int64(1) << np.where(far, 0, steps)
        return weights, weights.sum(axis=0), far

    def _stepped(self, block: _Block, sizes: Integers) -> Integers:
        weights, total, far = block.weights(self, self._steps)
        return self._mended(block, sizes, _divided(sizes, weights, total), far)

    def _halvings(self, block: _Block) -> NDArray[np.float64]:
        """Return the share of each touch by its age before the last, nearly."""
        at = block.at(self.journeys)
        weights: NDArray[np.float64] = np.exp2((at - at[-1]) * (1.0 / self.half_life))
        weights /= weights.sum(axis=0)
        return weights

    def _decayed(self, block: _Block, sizes: Integers) -> Integers:
        ideal = block.weights(self, self._halvings) * sizes
        parts = np.floor(ideal)
        rest = np.subtract(ideal, parts, out=ideal)
        # The weights of the domain are right to 2**-64 of the latest, these to some 2**-51, and
        # adding n of them loses n * 2**-53; each bound is taken eightfold.
        near = (sizes + 1) * (2.0**-46 + block.count * 2.0**-50)
        doubtful = (rest.min(axis=0) < near) | (rest.max(axis=0) > 1 - near) | (sizes >= _LARGEST)
        left = sizes - parts.sum(axis=0)
        chosen = _ranks(rest) < left
        gap = np.where(chosen, rest, 2).min(axis=0) - np.where(chosen, -1, rest).max(axis=0)
        doubtful |= gap < 2 * near
        parts += chosen
        return self._mended(block, sizes, parts.astype(np.int64), doubtful)

    def _mended(self, block: _Block, sizes: Integers, parts: Integers, doubtful: Flags) -> Integers:
        """Return *parts* with those of the *doubtful* journeys divided by the domain."""
        for column in np.flatnonzero(doubtful & (sizes > 0)):
            start = int(block.starts[column])
            at = self.journeys.at[start : start + block.count].tolist()
            until = int(self.journeys.conversion_at[block.journeys[column]])
            size = int(sizes[column])
            key = (size, until - at[-1], *(at[-1] - one for one in at))
            if key not in self._divided:
                touches = tuple(Touch(one, "") for one in at)
                self._divided[key] = split(size, self.exact(Journey(touches, until)))
            parts[:, column] = self._divided[key]
        return parts


@lru_cache(512)
def place_weights(model: str, count: int) -> tuple[int, ...]:
    """Return the weights of a rule that looks at places only, in their lowest terms."""
    rule: Callable[[Journey], Any] = MODELS[model]
    weights = rule(Journey((Touch(0, ""),) * count, 0))
    common = gcd(*weights)
    return tuple(weight // common for weight in weights)


@lru_cache(512)
def _table(model: str, count: int) -> Integers:
    """Return how each remainder below the total of the weights is divided, by place."""
    weights = place_weights(model, count)
    parts = [split(size, weights) for size in range(sum(weights))]
    return np.ascontiguousarray(np.array(parts, np.int64).T)


def _by_places(model: str, count: int, sizes: Integers) -> Integers:
    weights = np.array(place_weights(model, count), np.int64)
    total = int(weights.sum())
    if total > _TABLE:
        spread = np.broadcast_to(weights[:, None], (count, len(sizes)))
        return _divided(sizes, spread, np.full(len(sizes), total))
    whole, rest = np.divmod(sizes, total)
    # size * w / total = whole * w + rest * w / total: the whole part leaves no remainder
    parts = np.take(_table(model, count), rest, axis=1)
    parts += weights[:, None] * whole
    return parts


def _divided(sizes: Integers, weights: Integers, total: Integers) -> Integers:
    """Divide *sizes* by *weights*, by place and journey, as ``domain.money.split`` does.

    *total* is the sum of the weights. Sizes are not negative, and the square of each total of weights fits 63 bits.
    """
    whole, rest = np.divmod(sizes, total)
    scaled = rest * weights
    parts = scaled // total
    remainders = np.subtract(scaled, parts * total, out=scaled)
    left = rest - parts.sum(axis=0)
    parts += whole * weights
    parts += _ranks(remainders) < left
    return parts


def _ranks(keys: NDArray[Any]) -> NDArray[Any]:
    """Return the place of each key among those of its journey: largest first, then by place."""
    if len(keys) > _COMPARED:
        order = np.argsort(-keys, axis=0, kind="stable")
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(len(keys))[:, None], axis=0)
        return ranks
    found = np.zeros(keys.shape, np.int8)
    for later in range(1, len(keys)):
        for earlier in range(later):
            passes = keys[later] > keys[earlier]
            found[earlier] += passes
            found[later] += ~passes
    return found
