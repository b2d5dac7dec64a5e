"""Days, ISO weeks and months in UTC, as instants in microseconds."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

Every = Literal["day", "week", "month"]

EVERY: Final[tuple[str, ...]] = get_args(Every)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Period(NamedTuple):
    """A piece of time: from ``start``, before ``end``."""

    name: str
    """2026-03, 2026-W09 or 2026-03-01."""
    start: int
    end: int


def periods(start: int, end: int, every: Every) -> Iterator[Period]:
    """Yield the whole periods that [*start*, *end*) touches, in their order; none if it is empty.

    Raises ValueError for another *every* than day, week or month.
    """
    if every not in EVERY:
        raise ValueError(f"{every!r} is no period; there are {', '.join(EVERY)}")
    day = _first_day((_EPOCH + timedelta(microseconds=start)).date(), every)
    while start < end and _instant(day) < end:
        following = _next(day, every)
        yield Period(_name(day, every), _instant(day), _instant(following))
        day = following


def _first_day(day: date, every: Every) -> date:
    if every == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if every == "week" else day


def _next(day: date, every: Every) -> date:
    if every == "month":
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if every == "week" else 1)


def _name(day: date, every: Every) -> str:
    if every == "month":
        return f"{day:%Y-%m}"
    if every == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    return day.isoformat()


def _instant(day: date) -> int:
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) // _MICROSECOND
