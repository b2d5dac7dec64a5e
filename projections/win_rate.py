"""The question ``win-rate`` answers: how much of what closed was won, and how fast."""

from fractions import Fraction
from typing import Any

import numpy as np
from sqlalchemy import Connection

from domain.counts import DAY
from domain.months import Span, month_of, span_months, span_name, span_start, start_of
from domain.velocity import Closed, Cycle
from projections.answers import Answer, by_size, decimal, exponents, rfc3339
from projections.columns import MISSING
from projections.opportunity_columns import Opportunities, closed_among, read_opportunities
from projections.pipeline import observed_until

FIRST: int = -(2**62)
LAST: int = 2**62
"""Before and after every instant: 64 bits hold both."""


def win_rate(
    connection: Connection,
    by: str | None = None,
    *,
    since: int | None = None,
    until: int | None = None,
    every: Span | None = None,
    as_of: int | None = None,
) -> Answer:
    """Return won / (won + lost) of the opportunities that closed, by count and by value.

    They closed from *since* on and before *until* (microseconds UTC). *every* month or quarter
    gives a row for each in which something closed, those without anything between them too; *by*
    is an opportunity's owner, product, ... or a dimension of its lead. *as_of* is only told, by
    default the instant of the latest event.

    Raises UnknownDimension, and ValueError for another *every*.
    """
    if every is not None:
        span_months(every)
    them = read_opportunities(connection, by)
    places = exponents(connection)
    start, end = FIRST if since is None else since, LAST if until is None else until
    all_rows = np.arange(len(them))
    whole = closed_among(them, all_rows, start, end)
    at = observed_until(connection, as_of)
    answer: Answer = {
        "as_of": None if at is None else rfc3339(at),
        "from": None if since is None else rfc3339(since),
        "to": None if until is None else rfc3339(until),
        **closed_answer(whole, places),
        "periods": [] if every is None else _periods(them, start, end, every, places),
        "groups": [],
    }
    if by is not None:
        found = {value: closed_among(them, rows, start, end) for value, rows in them.groups()}
        sizes = {value: one.won + one.lost for value, one in found.items()}
        answer["groups"] = [
            {"value": value, **closed_answer(found[value], places)}
            for value in by_size(sizes)
            if sizes[value]
        ]
    return answer


def _periods(
    them: Opportunities, since: int, until: int, every: Span, places: dict[str, int]
) -> list[Answer]:
    ended = them.closed[(them.closed != MISSING) & (them.status != 0)]
    ended = ended[(ended >= since) & (ended < until)]
    if not len(ended):
        return []
    step = span_months(every)
    first = span_start(month_of(int(ended.min())), every)
    last = month_of(int(ended.max()))
    rows = np.arange(len(them))
    return [
        {
            "period": span_name(month, every),
            **closed_answer(
                closed_among(
                    them,
                    rows,
                    max(since, start_of(month)),
                    min(until, start_of(month + step)),
                ),
                places,
            ),
        }
        for month in range(first, last + 1, step)
    ]


def closed_answer(closed: Closed, places: dict[str, int]) -> Answer:
    """Return what closed as the answers say it."""
    interval = closed.interval
    return {
        "won": closed.won,
        "lost": closed.lost,
        "win_rate": share(closed.rate),
        "win_rate_interval": None if interval is None else [share(end) for end in interval],
        "amounts": [
            {
                "currency": currency,
                "won": decimal(worth.won_amount, places.get(currency, 2)),
                "lost": decimal(worth.lost_amount, places.get(currency, 2)),
                "win_rate": share(closed.value_rate(currency)),
            }
            for currency, worth in sorted(closed.worth.items())
        ],
        "without_amount": {
            "won": closed.won - sum(one.won for one in closed.worth.values()),
            "lost": closed.lost - sum(one.lost for one in closed.worth.values()),
        },
        "cycle_days": {"won": _days(closed.won_cycle), "lost": _days(closed.lost_cycle)},
    }


def _days(cycle: Cycle) -> dict[str, Any]:
    return {
        "known": cycle.count,
        "median": in_days(cycle.median),
        "mean": in_days(cycle.mean),
        "max": in_days(cycle.longest),
    }


def in_days(duration: Fraction | int | None) -> float | None:
    """Return microseconds as days."""
    return None if duration is None else float(Fraction(duration) / DAY)


def share(value: Fraction | None) -> float | None:
    """Return a share as answers write it."""
    return None if value is None else float(value)
