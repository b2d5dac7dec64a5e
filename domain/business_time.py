"""Time in which somebody is at work: seconds between two instants, by a calendar.

A calendar says for each weekday when the clock on the wall shows working time, and which days are
otherwise. An instant is working time exactly when the local clock says so: where a clock is put
forward the hour that it skips is nobody's, where it is put back the hour that it shows twice is
worked twice.

The sum is a closed form. Between two changes of the clock local time is UTC plus a constant, and
on the local line the working time since its beginning is whole weeks times the week, plus the rest
of the last one, plus what the days that are otherwise make more or less. No hour, day or year is
walked through; the changes of the clock are looked for once per zone and year and remembered.

Instants, durations and times of day are whole microseconds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from typing import Final

DAY: Final = 86_400_000_000
"""Microseconds in a day."""

Hours = tuple[tuple[int, int], ...]
"""Working time of a day: from, until, in microseconds after midnight on the clock; in order."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY: Final = 3
# 1970-01-01 was a Thursday: day 0 is three days after a Monday.

_PROBE: Final = timedelta(days=7)
# No clock is put forward and back again within a week.


@dataclass(frozen=True)
class Calendar:
    """When somebody is at work."""

    zone: tzinfo
    week: tuple[Hours, ...]
    """The hours of the seven weekdays, Monday first."""
    days: Mapping[int, Hours]
    """The days that are otherwise (days since 1970-01-01, local): no hours on a holiday."""

    def __post_init__(self) -> None:
        """Raise ValueError for hours that are none."""
        if len(self.week) != 7:
            raise ValueError(f"a week has seven days, not {len(self.week)}")
        for hours in (*self.week, *self.days.values()):
            ends = [at for pair in hours for at in pair]
            if ends != sorted(ends) or any(start == end for start, end in hours):
                raise ValueError(f"hours follow each other and end after they begin: {hours}")
            if ends and not 0 <= ends[0] <= ends[-1] <= DAY:
                raise ValueError(f"hours lie between 0:00 and 24:00: {hours}")

    def elapsed(self, since: int, until: int) -> int:
        """Return the working time from *since* to *until*; negative where it runs backwards."""
        if since > until:
            return -self.elapsed(until, since)
        return sum(
            self.local(end + offset) - self.local(start + offset)
            for start, end, offset in offsets(self.zone, since, until)
        )

    def local(self, at: int) -> int:
        """Return the working time on the local line before *at*, counted from 1970-01-01."""
        day, time = divmod(at, DAY)
        weeks, weekday = divmod(day + _MONDAY, 7)
        days, more = self._otherwise
        n = bisect_left(days, day)
        hours = self.days[day] if n < len(days) and days[n] == day else self.week[weekday]
        # from Monday 1969-12-29 on; what lies before the epoch cancels out in a difference
        return weeks * self._until[7] + self._until[weekday] + more[n] + worked(hours, time)

    @cached_property
    def _until(self) -> tuple[int, ...]:
        """Return the working time of a week before each weekday, and of the whole week."""
        return (0, *accumulate(worked(hours, DAY) for hours in self.week))

    @cached_property
    def _otherwise(self) -> tuple[list[int], list[int]]:
        """Return the days that are otherwise, and what those before each make more than usual."""
        days = sorted(self.days)
        more = [
            worked(self.days[day], DAY) - worked(self.week[(day + _MONDAY) % 7], DAY)
            for day in days
        ]
        return days, [0, *accumulate(more)]

    @property
    def always(self) -> bool:
        """Return whether it is always working time."""
        return not self.days and all(worked(hours, DAY) == DAY for hours in self.week)


def worked(hours: Hours, time: int) -> int:
    """Return how much of *hours* lies before the time of day *time*."""
    return sum(min(time, end) - start for start, end in hours if start < time)


def offsets(zone: tzinfo, since: int, until: int) -> Iterator[tuple[int, int, int]]:
    """Yield the parts of *since* to *until* in which local time is UTC plus a constant.

    Each is start, end and the constant; there is one where nothing lies between both.
    """
    changes = list(_changes_between(zone, since, until))
    bounds = [since, *changes, until]
    for start, end in pairwise(bounds):
        yield start, end, offset_at(zone, start)


def offset_at(zone: tzinfo, at: int) -> int:
    """Return how far local time is ahead of UTC at the instant *at*, microseconds."""
    offset = (_EPOCH + timedelta(microseconds=at)).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)


def _changes_between(zone: tzinfo, since: int, until: int) -> Sequence[int]:
    found: list[int] = []
    first = (_EPOCH + timedelta(microseconds=since)).year
    last = (_EPOCH + timedelta(microseconds=until)).year
    for year in range(first, last + 1):
        found += changes_of(zone, year)
    return found[bisect_right(found, since) : bisect_left(found, until)]


@lru_cache(maxsize=4096)
def changes_of(zone: tzinfo, year: int) -> tuple[int, ...]:
    """Return the instants of *year* (UTC) at which the clocks of *zone* change, in order."""
    found = []
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while at < end:
        after = min(at + _PROBE, end)
        if at.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            found.append(_change(zone, at, after))
        at = after
    return tuple(found)


def _change(zone: tzinfo, before: datetime, after: datetime) -> int:
    """Return the first microsecond of the new offset between two instants that differ in it."""
    low, high = (int((at - _EPOCH) // timedelta(microseconds=1)) for at in (before, after))
    offset = offset_at(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high
