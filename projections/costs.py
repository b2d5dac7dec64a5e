"""What marketing cost within a period, by a dimension: what ``sources`` and ``economics`` share."""

from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, select, true

from domain.economics import rounded
from projections.answers import DAY, decimal
from projections.period import between
from projections.spend import spend
from projections.sums import halves, whole

SPENT_BY: Final = ("channel", "source", "campaign")
"""What spend is told by: it belongs to no lead, so it knows nothing else of one."""

Costs = dict[Any, dict[str, int]]
"""Minor units by value and currency; None is what names no value."""

_EPOCH: Final = date(1970, 1, 1)
_LAST: Final = (date.max - _EPOCH).days
_FIRST: Final = (date.min - _EPOCH).days


def first_day(at: int) -> str:
    """Return the first day (YYYY-MM-DD, UTC) that begins at the instant *at* or later.

    What lies outside the years 1 to 9999 is the first or the last of their days.
    """
    days = -(-at // DAY)
    return (_EPOCH + timedelta(days=min(max(days, _FIRST), _LAST))).isoformat()


def in_days(since: int | None, until: int | None) -> ColumnElement[bool]:
    """Return the condition that a day of spend begins at *since* or later and before *until*."""
    start = None if since is None else first_day(since)
    end = None if until is None else first_day(until)
    return and_(true(), *between(spend.c.day, start, end))


def costs(
    connection: Connection, by: str | None, since: int | None = None, until: int | None = None
) -> Costs:
    """Return what was spent on each value of *by*, one of `SPENT_BY`; under None what names none.

    Without *by*, or by what spend does not tell, all of it is under None. *since* and *until* are
    microseconds UTC; the days count that begin within them.
    """
    group = [spend.c[by]] if by in SPENT_BY else []
    query = (
        select(spend.c.currency, *halves(spend.c.amount_minor), *group)
        .where(in_days(since, until))
        .group_by(spend.c.currency, *group)
    )
    found: Costs = {}
    for currency, upper, lower, *value in connection.execute(query):
        units = whole(upper, lower) or 0
        found.setdefault(value[0] if value else None, {})[currency] = units
    return found


def together(parts: Costs) -> dict[str, int]:
    """Return the sums of *parts* by currency."""
    sums: dict[str, int] = {}
    for of_value in parts.values():
        for currency, units in of_value.items():
            sums[currency] = sums.get(currency, 0) + units
    return sums


def price(value: Fraction | None, places: int) -> str | None:
    """Return minor units as a decimal, rounded half to even to the currency's minor unit."""
    return None if value is None else decimal(rounded(value), places)


def ratio(value: Fraction | None) -> float | None:
    """Return an exact ratio as a float."""
    return None if value is None else float(value)
