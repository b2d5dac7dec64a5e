"""What one rule of engagement has given a lead, and what is left of it at an instant.

Which acts earn points is settled when they are added; after that an instant costs the decay alone.
Points are magnitudes in micro-points here: the ledger knows which rules give and which take.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from fractions import Fraction
from json import dumps
from typing import Any, Final

from domain.decay import (
    DOUBT,
    MONTH,
    ONE,
    Inactivity,
    Lasting,
    Linear,
    Window,
    decay,
    divide,
    half_life_weight,
    near_weight,
)
from domain.events import Fact
from domain.policy import DAY, EngagementRule

_ONE_BY_ONE: Final = 32
"""Acts that are decayed one by one, newest first, before the older ones are worth preparing."""

_BITS: Final = 32
"""Bits behind the point in which prepared points are summed, before each is rounded."""
_HALF: Final = 1 << (_BITS - 1)
_MASK: Final = (1 << _BITS) - 1


NO_LIMIT: Final = 1 << 62
"""More than any points can sum to."""


class Earnings:
    """The acts that earned points under one rule, oldest first."""

    __slots__ = (
        "_acts",
        "_day",
        "_given",
        "_prepared",
        "_spent",
        "_values",
        "points",
        "rule",
        "times",
    )

    def __init__(self, rule: EngagementRule) -> None:
        self.rule = rule
        self.times: list[int] = []
        """Instants from which the points count, microseconds."""
        self.points: list[int] = []
        """Micro-points of each, without sign."""
        self._prepared: list[int] = []
        self._given = False
        self._values: dict[Any, int] = {}
        self._acts: deque[int] = deque()
        self._day = -1
        self._spent = 0

    def copy(self) -> "Earnings":
        """Return an independent copy."""
        other = Earnings(self.rule)
        other.times, other.points = self.times.copy(), self.points.copy()
        other._prepared = self._prepared.copy()
        other._given, other._day, other._spent = self._given, self._day, self._spent
        other._values, other._acts = self._values.copy(), self._acts.copy()
        return other

    # --- eligibility -----------------------------------------------------------------------------

    def earned(self, fact: Fact) -> int:
        """Return the points that *fact*, which the rule matches, earns; facts in canonical order.

        Micro-points, after the rule's own cap of the day; they are not booked yet.
        """
        rule = self.rule
        if not rule.each_time and not self._is_eligible(fact):
            return 0
        worth = abs(rule.points)
        if rule.day_cap is not None:
            day = fact.at // DAY
            if day != self._day:
                self._day, self._spent = day, 0
            worth = min(worth, rule.day_cap - self._spent)
            self._spent += worth
        return worth

    def _is_eligible(self, fact: Fact) -> bool:
        rule = self.rule
        value = None
        if rule.distinct is not None:
            value = fact.get(rule.distinct)
            if value is None:
                return False
            if not isinstance(value, str):
                value = (dumps(value, sort_keys=True),)
        if rule.count:
            return self._completes(fact.at, value) and self._is_first()
        if rule.distinct is not None:
            if value in self._values:
                return False
            self._values[value] = fact.at
        return self._is_first()

    def _is_first(self) -> bool:
        if self.rule.once and self._given:
            return False
        self._given = True
        return True

    def _completes(self, at: int, value: Any) -> bool:
        """Return whether an act at *at* is the last that was needed within the window."""
        since = at - self.rule.within
        if self.rule.distinct is not None:
            self._values.pop(value, None)
            self._values[value] = at
            for known, last in list(self._values.items()):
                if last >= since:
                    break
                del self._values[known]
            complete = len(self._values) >= self.rule.count
            if complete:
                self._values.clear()
            return complete
        self._acts.append(at)
        while self._acts[0] < since:
            self._acts.popleft()
        complete = len(self._acts) >= self.rule.count
        if complete:
            self._acts.clear()
        return complete

    def book(self, at: int, points: int) -> None:
        """Add *points* (micro-points) that count from *at* on."""
        self.times.append(at)
        self.points.append(points)

    # --- what is left ----------------------------------------------------------------------------

    def left(self, as_of: int, silence: int, limit: int = NO_LIMIT) -> int:
        """Return what is left of all points at *as_of*, or anything not below *limit*.

        Each award is rounded by itself, so that what an explanation lists adds up. *silence* is
        the time since the lead's last act. Times in microseconds, points in micro-points.
        """
        times, fading = self.times, self.rule.fading
        if not times:
            return 0
        end = len(times) if times[-1] <= as_of else bisect_right(times, as_of)
        if fading is None:
            return self._halved(as_of, end, limit)
        match fading:
            case Linear():
                return self._stepped(as_of, end, fading, limit)
            case Window():
                return sum(self.points[bisect_left(times, as_of - fading.time, 0, end) : end])
            case Inactivity():
                return self._share(0, end, fading.left(silence))
            case Lasting():
                return sum(self.points[:end])

    def _share(self, start: int, end: int, share: Fraction) -> int:
        if share == 1:
            return sum(self.points[start:end])
        if not share:
            return 0
        some = self.points[start:end]
        left = {one: divide(one * share.numerator, share.denominator) for one in set(some)}
        return sum(map(left.__getitem__, some))

    def _stepped(self, as_of: int, end: int, fading: Linear, limit: int) -> int:
        total, month = 0, 0
        while end and total < limit and (share := fading.left(month * MONTH)):
            month += 1
            start = bisect_right(self.times, as_of - month * MONTH, 0, end)
            total += self._share(start, end, share)
            end = start
        return total

    def _halved(self, as_of: int, end: int, limit: int) -> int:
        times, points, half_life = self.times, self.points, self.rule.half_life
        # After so many half-lives less than half a micro-point is left of any award.
        gone = (2 * abs(self.rule.points)).bit_length()
        start = bisect_right(times, as_of - gone * half_life, 0, end)
        total, n = 0, end
        few = max(start, end - _ONE_BY_ONE)
        while n > few:
            n -= 1
            total += decay(points[n], as_of - times[n], half_life)
            if total >= limit:
                return total
        if n == start:
            return total
        rest = self._halved_at_once(as_of, start, n, limit - total)
        if rest is None:
            rest = sum(decay(points[i], as_of - times[i], half_life) for i in range(start, n))
        return total + rest

    def _halved_at_once(self, as_of: int, start: int, end: int, limit: int) -> int | None:
        """Return what is left of the awards from *start* to *end*, as `decay` of each would.

        Of 2**((then - now) / h) the power of *then* is prepared once per award, so that an instant
        costs one multiplication each. None where some rounding is in doubt.
        """
        half_life = self.rule.half_life
        if abs(self.rule.points) >> _BITS:
            return None
        times, prepared = self.times, self._prepared
        for n in range(len(prepared), len(times)):
            # points x 2**(time / h), without whole powers of two, in parts of 2**64
            rest = times[n] % half_life
            weight = near_weight(half_life - rest, half_life) if rest else ONE // 2
            prepared.append(2 * self.points[n] * weight)
        halvings, rest = divmod(as_of, half_life)
        weight = half_life_weight(rest, half_life)
        total = 0
        while end > start:
            since = times[end - 1] // half_life
            first = bisect_left(times, since * half_life, start, end)
            shift = 128 - _BITS + halvings - since
            for value in reversed(prepared[first:end]):
                left = value * weight >> shift
                if -DOUBT <= (left & _MASK) - _HALF <= DOUBT:
                    return None
                total += left + _HALF >> _BITS
                if total >= limit:
                    return total
            end = first
        return total


class Absence:
    """When points counted because an act did not come: from the end of the patience to the act."""

    __slots__ = ("facts", "rule", "starts", "stops")

    def __init__(self, rule: EngagementRule) -> None:
        self.rule = rule
        self.starts: list[int] = []
        self.stops: list[int] = []
        """The instant of the act that came at last; of the running absence, never."""
        self.facts: list[Fact] = []
        """The last act before each absence."""

    def copy(self) -> "Absence":
        """Return an independent copy."""
        other = Absence(self.rule)
        other.starts, other.stops = self.starts.copy(), self.stops.copy()
        other.facts = self.facts.copy()
        return other

    def end(self, fact: Fact) -> None:
        """Note an act: it ends the absence before it, and the next one may begin behind it."""
        if self.starts:
            if self.starts[-1] >= fact.at:  # it had not begun
                for ended in (self.starts, self.stops, self.facts):
                    ended.pop()
            else:
                self.stops[-1] = fact.at
        self.starts.append(fact.at + self.rule.absent)
        self.stops.append(NO_LIMIT)
        self.facts.append(fact)

    def at(self, as_of: int) -> tuple[int, Fact] | None:
        """Return since when the absence lasts at *as_of*, and the last act before; None: it came."""
        n = bisect_right(self.starts, as_of) - 1
        if n < 0 or as_of >= self.stops[n]:
            return None
        return self.starts[n], self.facts[n]

    def next(self, as_of: int) -> int | None:
        """Return when the next absence after *as_of* begins, as far as the facts tell."""
        n = bisect_right(self.starts, as_of)
        return self.starts[n] if n < len(self.starts) else None


def left_of(rule: EngagementRule, points: int, elapsed: int, silence: int) -> tuple[Fraction, int]:
    """Return the share of *points* that is left after *elapsed*, and how much that is, rounded.

    *silence* is the time since the lead's last act; times in microseconds.
    """
    if rule.fading is None:
        share = Fraction(half_life_weight(elapsed, rule.half_life), ONE)
        return share, decay(points, elapsed, rule.half_life)
    share = rule.fading.left(silence if isinstance(rule.fading, Inactivity) else elapsed)
    return share, divide(points * share.numerator, share.denominator)
