"""Journeys as columns: what the models of attribution look at where there are many of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from domain.attribution import Conversion
from domain.journey import Journey, Moments, Touch
from projections.columns import MISSING, Codes, Flags, Integers

LARGE: Final = 1 << 62
"""Amounts from which on they are kept apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Journeys:
    """Journeys as columns: those of touches, one after the other, and those of journeys."""

    offsets: Integers
    """Journey i has the touches offsets[i] to before offsets[i + 1], in canonical order."""
    at: Integers
    codes: Codes
    """What is credited: the place of the touch's value in ``values``."""
    values: tuple[str | None, ...]
    channels: Codes
    """The place of the touch's channel in ``channel_names``."""
    channel_names: tuple[str, ...]
    converted: Flags
    """Whether the journey led to a conversion, or to nothing."""
    count: Integers
    """How many journeys alike it stands for."""
    conversion_at: Integers
    amount: Integers
    """What the conversions are worth together, minor units; `MISSING` where unknown."""
    currency: Codes
    """The place of the currency in ``currencies``."""
    currencies: tuple[str, ...]
    moments: Integers
    """Three rows: when lead and opportunity were made and closed; `MISSING` where never."""
    unit: Integers
    """Whose journey it is, from 0: what a bootstrap draws."""
    large: Mapping[int, int] = field(default_factory=dict)
    """Amounts that are too big for the column, by number of the journey."""

    @property
    def lengths(self) -> Integers:
        """Return the number of touches of each journey."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.count)

    def chosen(self, which: Integers | Flags) -> "Journeys":
        """Return some of the journeys, by number or by a flag for each."""
        which = np.flatnonzero(which) if which.dtype == np.bool_ else which
        lengths = self.lengths[which]
        touches = spans(self.offsets[which], lengths)
        return Journeys(
            offsets_of(lengths),
            self.at[touches],
            self.codes[touches],
            self.values,
            self.channels[touches],
            self.channel_names,
            self.converted[which],
            self.count[which],
            self.conversion_at[which],
            self.amount[which],
            self.currency[which],
            self.currencies,
            self.moments[:, which],
            self.unit[which],
            {i: self.large[n] for i, n in enumerate(which.tolist()) if n in self.large}
            if self.large
            else {},
        )

    def kept(self, touches: Flags) -> "Journeys":
        """Return the journeys with some of their touches only."""
        before = np.concatenate(([0], np.cumsum(touches)))
        return Journeys(
            before[self.offsets].astype(np.int64),
            self.at[touches],
            self.codes[touches],
            self.values,
            self.channels[touches],
            self.channel_names,
            self.converted,
            self.count,
            self.conversion_at,
            self.amount,
            self.currency,
            self.currencies,
            self.moments,
            self.unit,
            self.large,
        )

    def amount_of(self, number: int) -> int | None:
        """Return what a journey's conversions are worth together; None where unknown."""
        amount = int(self.amount[number])
        return self.large.get(number) if amount == MISSING else amount

    def conversion(self, number: int) -> Conversion:
        """Return a converted journey as the domain sees it: `by_value` is what is credited."""
        start, end = int(self.offsets[number]), int(self.offsets[number + 1])
        touches = tuple(
            Touch(int(self.at[i]), self.channel_names[self.channels[i]], self.values[self.codes[i]])
            for i in range(start, end)
        )
        moments = [None if at == MISSING else int(at) for at in self.moments[:, number]]
        amount = self.amount_of(number)
        return Conversion(
            Journey(touches, int(self.conversion_at[number]), Moments(*moments)),
            amount,
            None if amount is None else self.currencies[self.currency[number]],
            int(self.count[number]),
        )


def offsets_of(lengths: Integers) -> Integers:
    """Return where things of these lengths begin that lie one after the other, and the end."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)))


def spans(starts: Integers, lengths: Integers) -> Integers:
    """Return the numbers start, start + 1, ... of each span, one span after the other."""
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1], dtype=np.int64) + np.repeat(starts - offsets[:-1], lengths)


def by_value(touch: Touch) -> str | None:
    """Return what is credited of a touch that `Journeys.conversion` made."""
    return touch.source
