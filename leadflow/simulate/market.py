"""The market: its size and rates, and the chance and time that its rooms share.

Chance comes from one generator per lead, and only `random()` is asked of it: that method alone
gives the same numbers on every Python and machine. Delays are read off tables by multiplication,
because the logarithms of two C libraries may differ in their last bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isqrt
from typing import TypeVar

Item = TypeVar("Item")
Draw = Callable[[], float]
"""A generator's next number in [0, 1)."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive arithmetic is twice as fast; the offset is text
END = int(datetime(2025, 7, 1, tzinfo=UTC).timestamp()) * SECOND
"""Where a market ends that `market_for_events` makes: in the past of every clock we meet."""
UNIT_PRICE = {"EUR": 100, "USD": 100, "JPY": 1}
"""Minor units in one major unit."""
WORTH = {"EUR": 1, "USD": 1, "JPY": 150}
"""What costs one euro costs so many major units."""
FEWEST_PER_LEAD = 18
"""Events of a lead on average, rounded down: the measured mean is 19."""


@dataclass(frozen=True)
class Market:
    """Say how large a market is and how it behaves.

    A seed and a lead's number decide that lead's whole life, so a market with more leads keeps
    the earlier ones unchanged. Every rate is a share from 0 to 1. Raises ValueError where a
    number makes no market.
    """

    seed: int = 1
    leads: int = 1_000
    days: int = 120
    """The length in days: people first appear, and events arrive, from `start` until its end."""
    start: int = END - 120 * DAY
    """The first instant, in microseconds since 1970-01-01 UTC; a whole second."""
    anonymous: float = 0.6
    """Of those who come by the web: they look around before they leave an address."""
    machine_opens: float = 0.35
    """Of e-mails delivered: a gateway opens them within seconds."""
    bounces: float = 0.02
    """Of e-mails sent."""
    late_badges: float = 0.8
    """Of badges: the scanner was offline and is emptied days after the fair, not that evening."""
    late: float = 0.02
    """Of other events: they arrive one hour to three days after they happened."""
    duplicates: float = 0.03
    """Of events: they are sent twice."""
    never_called: float = 0.15
    """Of leads handed to sales: nobody ever calls. A rep's own care makes it more or less."""
    collisions: float = 0.1
    """Of leads that sales calls: a second rep calls too, unasked."""
    premature: float = 0.06
    """Of leads without any sign of intent: a rep calls nevertheless."""
    unknown_types: float = 0.02
    """Of leads: one event has a type that the vocabulary does not know."""
    success: float = 1.0
    """A factor on every chance of winning; the only rate that may exceed 1."""
    one_key: bool = False
    """Every event of a person has the same `subject`, hence one Kafka key and one partition.

    Without it the sources know a person by what they know: the Kafka keys of one person differ,
    and partitions read side by side may show them in another order than they arrived.
    """
    currency: str | None = None
    """EUR, JPY or USD for the whole market; None: people pay in the currency of their country."""

    def __post_init__(self) -> None:
        if self.seed < 0 or self.leads < 0 or self.days < 1:
            raise ValueError(
                f"a market has seed >= 0, leads >= 0 and days >= 1, not seed {self.seed}, "
                f"leads {self.leads}, days {self.days}"
            )
        if self.start % SECOND:
            raise ValueError(f"start is a whole second in microseconds, not {self.start}")
        if self.currency is not None and self.currency not in UNIT_PRICE:
            raise ValueError(
                f"currency is one of {', '.join(sorted(UNIT_PRICE))}, not {self.currency!r}"
            )
        for name in RATES:
            rate = getattr(self, name)
            if not 0 <= rate <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {rate}")

    @property
    def end(self) -> int:
        """Return the instant after the last arrival, in microseconds."""
        return self.start + self.days * DAY


RATES = (
    "anonymous",
    "machine_opens",
    "bounces",
    "late_badges",
    "late",
    "duplicates",
    "never_called",
    "collisions",
    "premature",
    "unknown_types",
)


def market_for_events(n: int, seed: int = 1) -> Market:
    """Return a market of at least *n* events; `simulate(market).first(n)` has exactly *n*.

    From 12,000 leads on the market lasts longer instead of growing denser, so that the lives
    under way at once, and with them the memory, stay bounded. It ends at `END`.
    """
    # The square root covers a seed of quiet leads.
    leads = n // FEWEST_PER_LEAD + isqrt(n) + 20
    days = max(120, leads // 100)
    return Market(seed=seed, leads=leads, days=days, start=END - days * DAY)


def chance(draw: Draw, share: float) -> bool:
    """Return true in *share* of the cases."""
    return draw() < share


def pick(draw: Draw, items: Sequence[Item]) -> Item:
    """Return one of *items*, each as likely as the other."""
    return items[int(draw() * len(items))]


def between(draw: Draw, low: int, high: int) -> int:
    """Return an integer from *low* up to, not including, *high*."""
    return low + int(draw() * (high - low))


def quantile(draw: Draw, table: Sequence[int]) -> int:
    """Return a value whose quantiles, evenly spaced from least to most, are *table*."""
    place = draw() * (len(table) - 1)
    i = int(place)
    return table[i] + int((table[i + 1] - table[i]) * (place - i))
