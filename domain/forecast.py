"""When the engagement of a lead will cross a threshold if nothing more happens.

Points that fade and losses that fade pull in opposite directions, and an absence sets in at an
instant of its own, so the engagement may fall, rise and fall again. Between two absences it is the
sum of a part that only falls and a part that only rises: that bounds it over any stretch of time,
and a stretch whose bounds leave the threshold out of reach needs no closer look.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from domain.decay import MONTH, Inactivity, Lasting, Linear, Window
from domain.ledger import Ledger
from domain.policy import EngagementRule, Policy

SECOND: Final = 1_000_000
"""Microseconds: an excursion beyond a threshold that is shorter may be missed."""


class Forecast(NamedTuple):
    """The next time that the engagement crosses a threshold."""

    threshold: str
    """``mql_enter``, ``mql_leave`` or ``level_1`` and so on."""
    points: int
    """Micro-points of the threshold."""
    reached: bool
    """Whether the engagement is at the threshold or above it at the instant asked from."""
    at: int | None
    """The first instant on the other side, microseconds UTC; None: never."""

    @property
    def direction(self) -> str:
        """Return which way it will be crossed: ``up`` or ``down``."""
        return "down" if self.reached else "up"


def forecast(ledger: Ledger, as_of: int) -> list[Forecast]:
    """Return when each threshold of the policy will be crossed next if nothing happens.

    *ledger* holds what happened until *as_of*, and nothing later. The threshold of the MQL band
    comes first, then its lower edge, then the levels of engagement from the best down; the level
    that starts at 0 is never left. An instant is exact to the microsecond.
    """
    policy = ledger.policy
    thresholds = [("mql_enter", policy.mql_engagement), ("mql_leave", policy.band_floor)]
    thresholds += [(f"level_{name}", least) for name, least in policy.levels]
    course = _Course(ledger, as_of)
    return [
        Forecast(name, points, course.at(as_of) >= points, course.crossing(points))
        for name, points in thresholds
        if points > 0
    ]


class _Course:
    """The engagement from an instant on if nothing happens."""

    def __init__(self, ledger: Ledger, start: int) -> None:
        self.ledger = ledger
        self.start = start
        self._known: dict[int, int] = {}
        self.legs = list(self._legs())

    def at(self, instant: int) -> int:
        """Return the engagement at *instant*, micro-points."""
        if instant not in self._known:
            self._known[instant] = self.ledger.engagement(instant)
        return self._known[instant]

    def _legs(self) -> Iterator[tuple[int, int]]:
        """Yield first and last instant of each stretch in which no absence begins."""
        start = self.start
        while (begins := self.ledger.next_absence(start)) is not None:
            yield start, begins - 1
            start = begins
        yield start, start + _all_over(self.ledger.policy)

    def crossing(self, points: int) -> int | None:
        """Return the first instant at which the engagement is on the other side of *points*."""
        reached = self.at(self.start) >= points
        for start, end in self.legs:
            if (self.at(start) >= points) != reached:
                return start
            found = self._within(start, end, points, reached=reached)
            if found is not None:
                return found
        return None

    def _within(self, start: int, end: int, points: int, *, reached: bool) -> int | None:
        stretches = [(start, end)]
        while stretches:
            first, last = stretches.pop()
            least, most = self.ledger.least_and_most(first, last)
            if first == last or (least >= points if reached else most < points):
                continue
            if last - first <= SECOND:
                if (self.at(last) >= points) != reached:
                    return self._exactly(first, last, points, reached=reached)
                continue
            middle = (first + last) // 2
            stretches += [(middle, last), (first, middle)]
        return None

    def _exactly(self, before: int, after: int, points: int, *, reached: bool) -> int:
        while after - before > 1:
            middle = (before + after) // 2
            if (self.at(middle) >= points) == reached:
                before = middle
            else:
                after = middle
        return after


def _all_over(policy: Policy) -> int:
    """Return after how many microseconds without an act nothing changes any more."""
    return max(map(_fades_within, policy.engagement_rules), default=0) + SECOND


def _fades_within(rule: EngagementRule) -> int:
    match rule.fading:
        case None:
            return rule.half_life * ((2 * abs(rule.points)).bit_length() + 1)
        case Linear(percent):
            return MONTH * (100 // percent + 1)
        case Window(time):
            return time
        case Inactivity(zero_after=time):
            return time
        case Lasting():
            return 0
