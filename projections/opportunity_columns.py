"""Opportunities as columns, and what closed among them: `domain.velocity` over all at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, select

from domain.velocity import LOST, WON, Closed, Cycle, Worth
from projections.columns import MISSING, Coded, Integers, read
from projections.opportunities import opportunities
from projections.pipeline import DIMENSIONS, UnknownDimension, pipeline

OWN: Final = ("owner", "product", "stage_name", "reason", "competitor", "currency")
"""What opportunities have of their own to group by; else they go by what is known of the lead."""

_STATUS: Final = ("open", WON, LOST)


@dataclass(frozen=True, slots=True)
class Opportunities:
    """All opportunities, by column; nulls are `MISSING`."""

    lead_no: Integers
    status: NDArray[np.int8]
    """0 open, 1 won, 2 lost."""
    created: Integers
    closed: Integers
    amount: Integers
    currency: Coded
    """Null too where there is no amount: a currency alone says nothing."""
    group: Coded | None
    """The value that they are grouped by."""

    def __len__(self) -> int:
        """Return how many opportunities there are."""
        return len(self.lead_no)

    def groups(self) -> Iterator[tuple[str | None, NDArray[np.int64]]]:
        """Yield each value that they are grouped by, with the rows that have it."""
        if self.group is None:
            return
        codes = self.group.codes
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(self.group.values)))
        start = 0
        for value, end in zip(self.group.values, ends.tolist(), strict=True):
            yield value, order[start:end]
            start = end


def dimension_of(by: str) -> Column[Any]:
    """Return the column that *by* groups opportunities by; raise UnknownDimension."""
    if by in OWN:
        own: Column[Any] = opportunities.c[by]
        return own
    if by not in DIMENSIONS:
        there = ", ".join(dict.fromkeys((*OWN, *DIMENSIONS)))
        raise UnknownDimension(f"cannot group opportunities by {by!r}; there are {there}")
    of_lead: Column[Any] = pipeline.c[by]
    return of_lead


def read_opportunities(connection: Connection, by: str | None = None) -> Opportunities:
    """Return all opportunities, with the values of *by*; raise UnknownDimension."""
    of = opportunities.c
    query = select(
        of.lead_no,
        of.status,
        of.created_at_us,
        of.closed_at_us,
        of.amount_minor,
        of.currency,
        *([] if by is None else [dimension_of(by).label("value")]),
    )
    if by is not None and by not in OWN:
        query = query.join(pipeline, pipeline.c.lead_no == of.lead_no)
    found = read(
        connection, query, {"status", "currency", "value"} - ({"value"} if by is None else set())
    )
    told = found.coded["status"]
    names = np.array([_STATUS.index(str(name)) for name in told.values], np.int8)
    return Opportunities(
        found["lead_no"],
        names[told.codes] if len(names) else np.empty(0, np.int8),
        found["created_at_us"],
        found["closed_at_us"],
        found["amount_minor"],
        _with_amount(found.coded["currency"], found["amount_minor"]),
        None if by is None else found.coded["value"],
    )


def _with_amount(currency: Coded, amount: Integers) -> Coded:
    """Return the currencies of the rows that have an amount, null for the others."""
    if None in currency.values:
        values, none = currency.values, currency.values.index(None)
    else:
        values, none = [*currency.values, None], len(currency.values)
    return Coded(np.where(amount == MISSING, none, currency.codes).astype(np.int32), values)


def exact_sum(numbers: Integers) -> int:
    """Return the sum of whole numbers, however large it is: 64 bits may not hold it."""
    low = int((numbers & 0xFFFF_FFFF).sum())
    return (int((numbers >> 32).sum()) << 32) + low


def closed_among(them: Opportunities, rows: NDArray[np.int64], since: int, until: int) -> Closed:
    """Return what `domain.velocity.closed` says of these *rows*."""
    at, status = them.closed[rows], them.status[rows]
    ended = rows[(at != MISSING) & (at >= since) & (at < until) & (status != 0)]
    won = ended[them.status[ended] == 1]
    lost = ended[them.status[ended] == 2]
    worth: dict[str, Worth] = {}
    codes = them.currency.codes
    known = np.bincount(codes[ended], minlength=len(them.currency.values))
    for code, currency in enumerate(them.currency.values):
        if currency is None or not known[code]:
            continue
        won_in, lost_in = won[codes[won] == code], lost[codes[lost] == code]
        worth[currency] = Worth(
            len(won_in),
            exact_sum(them.amount[won_in]),
            len(lost_in),
            exact_sum(them.amount[lost_in]),
        )
    return Closed(len(won), len(lost), worth, _cycle(them, won), _cycle(them, lost))


def _cycle(them: Opportunities, ended: NDArray[np.int64]) -> Cycle:
    took = them.closed[ended] - them.created[ended]
    took = np.sort(took[took > 0])
    count = len(took)
    if not count:
        return Cycle()
    middle = int(took[(count - 1) // 2]) + int(took[count // 2])
    return Cycle(count, exact_sum(took), Fraction(middle, 2), int(took[-1]))


def open_in(them: Opportunities, rows: NDArray[np.int64]) -> tuple[dict[str, int], int]:
    """Return how many of these *rows* are open, by currency, and how many without one."""
    codes = them.currency.codes[rows[them.status[rows] == 0]]
    counts = np.bincount(codes, minlength=len(them.currency.values)).tolist()
    by: Mapping[str | None, int] = dict(zip(them.currency.values, counts, strict=False))
    return {name: n for name, n in by.items() if name is not None and n}, by.get(None, 0)
