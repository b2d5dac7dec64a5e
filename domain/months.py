"""Months as whole numbers, to count, shift and group by; a quarter is three of them. All in UTC.

Month 0 is January 1970. For days and weeks see `domain.periods`.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, get_args

Span = Literal["month", "quarter"]

SPANS: Final[tuple[str, ...]] = get_args(Span)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def month_of(at: int) -> int:
    """Return the month of an instant (microseconds UTC)."""
    moment = _EPOCH + timedelta(microseconds=at)
    return (moment.year - 1970) * 12 + moment.month - 1


def month_of_day(day: str) -> int:
    """Return the month of a day, YYYY-MM-DD; raise ValueError where it is none."""
    read = date.fromisoformat(day)
    return (read.year - 1970) * 12 + read.month - 1


def start_of(month: int) -> int:
    """Return the instant at which *month* starts, microseconds UTC."""
    years, rest = divmod(month, 12)
    return (datetime(1970 + years, rest + 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def name_of(month: int) -> str:
    """Return *month* as YYYY-MM."""
    years, rest = divmod(month, 12)
    return f"{1970 + years}-{rest + 1:02}"


def shifted(at: int, months: int) -> int:
    """Return the instant so many *months* later, the last day of a shorter month at the latest."""
    moment = _EPOCH + timedelta(microseconds=at)
    years, rest = divmod((moment.year - 1970) * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(1970 + years, rest + 1)[1])
    return (moment.replace(year=1970 + years, month=rest + 1, day=day) - _EPOCH) // _MICROSECOND


def span_start(month: int, every: Span) -> int:
    """Return the first month of the month or quarter that *month* lies in."""
    return month if every == "month" else month - month % 3


def span_name(month: int, every: Span) -> str:
    """Return the month or quarter that *month* lies in as 2026-03 or 2026Q1."""
    if every == "month":
        return name_of(month)
    years, rest = divmod(month, 12)
    return f"{1970 + years}Q{rest // 3 + 1}"


def span_months(every: Span) -> int:
    """Return how many months there are in one *every*; raise ValueError for another word."""
    if every not in SPANS:
        raise ValueError(f"{every!r} is no span; there are {', '.join(SPANS)}")
    return 1 if every == "month" else 3
