"""Working time over whole columns: what ``domain.business_time`` computes, for many instants."""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from domain.business_time import DAY, Calendar, changes_of, offset_at
from projections.columns import Integers

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY: Final = 3


class WorkingTime:
    """A calendar over the instants from *since* to *until* (microseconds UTC)."""

    def __init__(self, calendar: Calendar, since: int, until: int) -> None:
        """Find the changes of the clock in that time."""
        zone = calendar.zone
        years = [(_EPOCH + timedelta(microseconds=at)).year for at in (since, until)]
        changes = [
            change
            for year in range(years[0], years[1] + 1)
            for change in changes_of(zone, year)
            if since < change
        ]
        starts = [since, *changes]
        offsets = [offset_at(zone, at) for at in starts]
        before = [0]
        for n, start in enumerate(starts[1:]):
            ahead = calendar.local(start + offsets[n]) - calendar.local(starts[n] + offsets[n])
            before.append(before[-1] + ahead)
        self._starts = np.array(starts, np.int64)
        self._offsets = np.array(offsets, np.int64)
        local = [calendar.local(at + of) for at, of in zip(starts, offsets, strict=True)]
        self._base = np.array(before, np.int64) - np.array(local, np.int64)
        days = sorted(calendar.days)
        self._days = np.array(days, np.int64)
        rows = [*calendar.week, *(calendar.days[day] for day in days)]
        most = max(1, *map(len, rows))
        # Days with fewer hours are filled with hours of no length after their end.
        self._from = np.full((len(rows), most), DAY, np.int64)
        self._until = self._from.copy()
        for n, hours in enumerate(rows):
            for k, (start, end) in enumerate(hours):
                self._from[n, k], self._until[n, k] = start, end
        lengths = (self._until - self._from).sum(axis=1)
        self._week = np.concatenate(([0], np.cumsum(lengths[:7])))
        usual = lengths[:7][(self._days + _MONDAY) % 7]
        self._more = np.concatenate(([0], np.cumsum(lengths[7:] - usual)))

    def before(self, at: Integers) -> Integers:
        """Return the working time from the beginning to each instant, microseconds."""
        part = np.searchsorted(self._starts, at, "right") - 1
        return self._base[part] + self._local(at + self._offsets[part])

    def elapsed(self, since: Integers, until: Integers) -> Integers:
        """Return the working time between each pair of instants, microseconds."""
        return self.before(until) - self.before(since)

    def _local(self, at: Integers) -> Integers:
        day = at // DAY
        time = at - day * DAY
        weeks, weekday = np.divmod(day + _MONDAY, 7)
        n = np.searchsorted(self._days, day, "left")
        row = weekday
        if len(self._days):
            same = self._days[np.minimum(n, len(self._days) - 1)] == day
            row = np.where(same, 7 + n, weekday)
        found: Integers = weeks * self._week[7] + self._week[weekday] + self._more[n]
        for k in range(self._from.shape[1]):
            start, end = self._from[row, k], self._until[row, k]
            found = found + np.clip(time - start, 0, end - start)
        return found
