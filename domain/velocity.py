"""How many opportunities are won, how fast, and what that is worth a day.

The win rate of a period is won / (won + lost) of what closed in it. Sales velocity is
N * V * W / L: N opportunities are open, V is the mean amount of the won, W the win rate and L the
mean time from the opportunity to the win, the last three of a trailing window. 40 open at 25,000,
a quarter of them won after 90 days each, are 2,777.78 a day. Glossaries disagree about N: some
count what closed in the window, which is `Velocity.per_day_closed`.

Exact: counts, minor units and microseconds are integers, what is divided is a fraction.
Currencies are never added together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Final, NamedTuple

from domain.counts import DAY
from domain.intervals import wilson
from domain.survival import aalen_johansen, quantile

WINDOW: Final = 180 * DAY
"""How far velocity looks back, by default, in microseconds."""

OPEN: Final = "open"
WON: Final = "won"
LOST: Final = "lost"


class Opportunity(NamedTuple):
    """One opportunity, as far as it is known."""

    status: str
    """open, won or lost."""
    created_at: int
    """When it was first heard of, microseconds UTC."""
    closed_at: int | None
    amount: int | None = None
    """Minor units; None where unknown."""
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """What closed in one currency, as far as amounts are known."""

    won: int = 0
    """Won opportunities with an amount."""
    won_amount: int = 0
    lost: int = 0
    lost_amount: int = 0


@dataclass(frozen=True, slots=True)
class Cycle:
    """How long it took from the opportunity to its end, in microseconds.

    An opportunity that was first heard of when it closed tells nothing of it, and is left out.
    """

    count: int = 0
    total: int = 0
    median: Fraction | None = None
    longest: int | None = None

    @property
    def mean(self) -> Fraction | None:
        """Return the mean; None where there are none."""
        return Fraction(self.total, self.count) if self.count else None


@dataclass(frozen=True, slots=True)
class Closed:
    """What closed in a period."""

    won: int
    lost: int
    worth: Mapping[str, Worth]
    """By currency."""
    won_cycle: Cycle
    lost_cycle: Cycle

    @property
    def rate(self) -> Fraction | None:
        """Return won / (won + lost); None where nothing closed."""
        return Fraction(self.won, self.won + self.lost) if self.won + self.lost else None

    @property
    def interval(self) -> tuple[Fraction, Fraction] | None:
        """Return Wilson's interval of the rate, 95 %."""
        return wilson(self.won, self.won + self.lost) if self.won + self.lost else None

    def value_rate(self, currency: str) -> Fraction | None:
        """Return the win rate by amount; None where it would leave out every loss.

        Opportunities without an amount are in neither part of it. Where some were lost and none
        of these has an amount, the rate would be 1 for want of knowledge.
        """
        worth = self.worth.get(currency, Worth())
        whole = worth.won_amount + worth.lost_amount
        if whole <= 0 or (self.lost and not any(one.lost for one in self.worth.values())):
            return None
        return Fraction(worth.won_amount, whole)


@dataclass(frozen=True, slots=True)
class Velocity:
    """What is open, and what closed in the window before."""

    closed: Closed
    open: int
    open_in: Mapping[str, int]
    """Open opportunities by currency. One whose currency is unknown counts for that in which all
    were won, where there is only one such."""
    open_elsewhere: int
    """Open opportunities whose currency is unknown, where there are several it might be."""

    def mean_won(self, currency: str) -> Fraction | None:
        """Return V: the mean amount of the won, in minor units."""
        worth = self.closed.worth.get(currency, Worth())
        return Fraction(worth.won_amount, worth.won) if worth.won else None

    def per_day(self, currency: str) -> Fraction | None:
        """Return N * V * W / L in minor units a day; None where a part of it is unknown.

        W and L are of all opportunities: how they end is no matter of the currency.
        """
        return self._flow(currency, self.open_in.get(currency, 0))

    def per_day_closed(self, currency: str) -> Fraction | None:
        """Return the same with N = the opportunities in the currency that closed in the window."""
        worth = self.closed.worth.get(currency, Worth())
        unknown = self.closed.won + self.closed.lost - _known(self.closed)
        alone = len(self.closed.worth) == 1
        return self._flow(currency, worth.won + worth.lost + (unknown if alone else 0))

    def _flow(self, currency: str, count: int) -> Fraction | None:
        worth, rate, took = self.mean_won(currency), self.closed.rate, self.closed.won_cycle.mean
        if worth is None or rate is None or not took:
            return None
        return count * worth * rate / (took / DAY)


def _known(closed: Closed) -> int:
    return sum(one.won + one.lost for one in closed.worth.values())


def closed(opportunities: Iterable[Opportunity], since: int, until: int) -> Closed:
    """Return what closed from *since* on and before *until*, microseconds UTC."""
    ended = [
        one
        for one in opportunities
        if one.status != OPEN and one.closed_at is not None and since <= one.closed_at < until
    ]
    worth: dict[str, Worth] = {}
    for one in ended:
        if one.amount is not None and one.currency is not None:
            before = worth.get(one.currency, Worth())
            won, lost = (one.status == WON), (one.status != WON)
            worth[one.currency] = Worth(
                before.won + won,
                before.won_amount + one.amount * won,
                before.lost + lost,
                before.lost_amount + one.amount * lost,
            )
    return Closed(
        sum(one.status == WON for one in ended),
        sum(one.status == LOST for one in ended),
        worth,
        _cycle(one for one in ended if one.status == WON),
        _cycle(one for one in ended if one.status == LOST),
    )


def _cycle(ended: Iterable[Opportunity]) -> Cycle:
    took = sorted(
        one.closed_at - one.created_at
        for one in ended
        if one.closed_at is not None and one.closed_at > one.created_at
    )
    if not took:
        return Cycle()
    return Cycle(len(took), sum(took), Fraction(median(map(Fraction, took))), took[-1])


def velocity(opportunities: Iterable[Opportunity], as_of: int, window: int = WINDOW) -> Velocity:
    """Return what is open at *as_of* and what closed in the *window* that ends with it."""
    everything = list(opportunities)
    ended = closed(everything, as_of - window + 1, as_of + 1)
    opened = [one for one in everything if one.status == OPEN]
    counts: dict[str, int] = {}
    for one in opened:
        if one.currency is not None:
            counts[one.currency] = counts.get(one.currency, 0) + 1
    return placed(ended, counts, sum(one.currency is None for one in opened))


def placed(ended: Closed, counts: dict[str, int], unknown: int) -> Velocity:
    """Return the velocity of what closed and what is open by currency, *unknown* without one."""
    known = sum(counts.values())
    paid = {currency for currency, worth in ended.worth.items() if worth.won}
    if len(paid) == 1:
        only = next(iter(paid))
        return Velocity(ended, known + unknown, counts | {only: counts.get(only, 0) + unknown}, 0)
    return Velocity(ended, known + unknown, counts, unknown)


def sales_cycle(
    opportunities: Iterable[Opportunity], as_of: int, share: Fraction = Fraction(1, 2)
) -> int | None:
    """Return within which time *share* of what is ever won is won, in microseconds.

    That is the first age t at which F(t) >= share * F(oldest), F the share of opportunities won by
    their age: the cumulative incidence of winning, with losing as the competing end (Aalen,
    Johansen 1978; `domain.survival.aalen_johansen`). Unlike the quantile of the won it counts the
    open ones, for as long as they have been open at *as_of*, and unlike that of Kaplan and Meier
    it does not take the lost ones for such as may yet be won. None where nothing was won.
    """
    observed = []
    for one in opportunities:
        end = as_of if one.closed_at is None or one.status == OPEN else one.closed_at
        if end > one.created_at:
            observed.append((end - one.created_at, None if one.status == OPEN else one.status))
    curve = aalen_johansen(observed).get(WON)
    return quantile(curve, share * curve[-1].reached) if curve else None
