"""How answers are written: decimals, instants, groups."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from projections.schema import currencies

Answer = dict[str, Any]
"""A JSON document, as ``docs/reference`` describes it."""

DAY: Final = 86_400_000_000
"""Microseconds in a day."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def exponents(connection: Connection) -> dict[str, int]:
    """Return the decimals of each currency."""
    query = select(currencies.c.currency, currencies.c.exponent)
    return {row.currency: row.exponent for row in connection.execute(query)}


def decimal(units: int, places: int) -> str:
    """Return *units* of 10^-*places* as an exact decimal: 1250 with 2 places is 12.50."""
    if not places:
        return str(units)
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), 10**places)
    return f"{sign}{whole}.{rest:0{places}d}"


def credit_text(nano: int) -> str:
    """Return parts of 10^9 as a decimal without trailing zeros."""
    return decimal(nano, 9).rstrip("0").rstrip(".")


def amounts(units: Mapping[str, int], places: Mapping[str, int]) -> list[Answer]:
    """Return minor units by currency as the list that answers hold, sorted by currency."""
    return [
        {"currency": currency, "amount": decimal(value, places.get(currency, 2))}
        for currency, value in sorted(units.items())
    ]


def rfc3339(at: int) -> str:
    """Return microseconds UTC as RFC 3339, without a fraction where there is none."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def by_size(sizes: Mapping[Any, int]) -> list[Any]:
    """Return the keys by size, the largest first, then by name; a missing value comes last."""
    return sorted(sizes, key=lambda key: (-sizes[key], key is None, str(key)))


def add_up(rows: Iterable[tuple[Any, str | None, int | None]]) -> dict[Any, dict[str, int]]:
    """Return sums by key and currency of (key, currency, minor units)."""
    sums: dict[Any, dict[str, int]] = {}
    for key, currency, units in rows:
        if currency is not None and units is not None:
            of_key = sums.setdefault(key, {})
            of_key[currency] = of_key.get(currency, 0) + int(units)
    return sums
