"""The question ``velocity`` answers: what the pipeline turns into money a day."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from domain.velocity import WINDOW, Velocity, placed
from projections.answers import Answer, by_size, decimal, exponents, rfc3339
from projections.columns import MISSING
from projections.opportunity_columns import (
    Opportunities,
    closed_among,
    open_in,
    read_opportunities,
)
from projections.pipeline import observed_until
from projections.win_rate import closed_answer, in_days


def velocity(
    connection: Connection,
    by: str | None = None,
    *,
    window: int = WINDOW,
    as_of: int | None = None,
) -> Answer:
    """Return N * V * W / L of the opportunities, per currency and day.

    *as_of* (microseconds UTC) is the instant that the read models are of, by default that of the
    latest event; *window* microseconds before it count for V, W and L. Raises UnknownDimension.
    """
    them = read_opportunities(connection, by)
    places = exponents(connection)
    at = observed_until(connection, as_of)
    if at is None:
        at = 0
    answer: Answer = {
        "as_of": None if as_of is None and not len(them) else rfc3339(at),
        "window_seconds": window // 1_000_000,
        **_answer(them, np.arange(len(them)), at, window, places),
        "groups": [],
    }
    if by is not None:
        found = {value: _answer(them, rows, at, window, places) for value, rows in them.groups()}
        sizes = {value: one["open"] + one["won"] + one["lost"] for value, one in found.items()}
        answer["groups"] = [
            {"value": value, **found[value]} for value in by_size(sizes) if sizes[value]
        ]
    return answer


def velocity_among(
    them: Opportunities, rows: NDArray[np.int64], as_of: int, window: int
) -> Velocity:
    """Return what `domain.velocity.velocity` says of these *rows*."""
    return placed(closed_among(them, rows, as_of - window + 1, as_of + 1), *open_in(them, rows))


def _answer(
    them: Opportunities,
    rows: NDArray[np.int64],
    as_of: int,
    window: int,
    places: dict[str, int],
) -> Answer:
    found = velocity_among(them, rows, as_of, window)
    closed = closed_answer(found.closed, places)
    currencies = sorted({*found.open_in, *found.closed.worth})

    def money(value: Fraction | None, currency: str) -> str | None:
        return None if value is None else decimal(round(value), places.get(currency, 2))

    return {
        "open": found.open,
        "open_without_currency": found.open_elsewhere,
        "won": found.closed.won,
        "lost": found.closed.lost,
        "win_rate": closed["win_rate"],
        "win_rate_interval": closed["win_rate_interval"],
        "cycle_days": closed["cycle_days"]["won"],
        "sales_cycle_days": in_days(sales_cycle_among(them, rows, as_of)),
        "currencies": [
            {
                "currency": currency,
                "open": found.open_in.get(currency, 0),
                "mean_won": money(found.mean_won(currency), currency),
                "velocity": money(found.per_day(currency), currency),
                "velocity_closed": money(found.per_day_closed(currency), currency),
            }
            for currency in currencies
        ],
    }


def sales_cycle_among(them: Opportunities, rows: NDArray[np.int64], as_of: int) -> int | None:
    """Return what `domain.velocity.sales_cycle` says of these *rows*, for a half.

    The curve of Aalen and Johansen is taken in floating point to find where it meets a half of its
    end, and in whole numbers to be sure of it.
    """
    status = them.status[rows]
    open_now = (status == 0) | (them.closed[rows] == MISSING)
    took = np.where(open_now, as_of, them.closed[rows]) - them.created[rows]
    status = status[took > 0]
    took = took[took > 0]
    times, place, left = np.unique(took, return_inverse=True, return_counts=True)
    won = np.bincount(place[status == 1], minlength=len(times))
    ended = np.bincount(place[status != 0], minlength=len(times))
    if not won.any():
        return None
    at_risk = len(took) - np.concatenate(([0], np.cumsum(left)[:-1]))
    happened = ended > 0
    times, won, ended, at_risk = times[happened], won[happened], ended[happened], at_risk[happened]
    before = np.concatenate(([1.0], np.cumprod(1 - ended / at_risk)[:-1]))
    reached = np.cumsum(before * won / at_risk)
    for n in np.flatnonzero((won > 0) & (2 * reached >= reached[-1] * (1 - 1e-9))).tolist():
        stayed, earlier, _ = _incidence(won[: n + 1], ended[: n + 1], at_risk[: n + 1])
        _, later, whole = _incidence(won[n + 1 :], ended[n + 1 :], at_risk[n + 1 :])
        if earlier * whole >= stayed * later:  # what is won by then, and what is won after it
            return int(times[n])
    return None


def _incidence(
    won: NDArray[np.int64], ended: NDArray[np.int64], at_risk: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Return the shares that stayed open over these ages, and were won: two parts, and the whole.

    Between two ages at which an open one was last seen, what ends is taken from the same number:
    the product of their fractions is one fraction.
    """
    if not len(won):
        return 1, 0, 1
    starts = np.flatnonzero(np.append(True, at_risk[1:] != (at_risk - ended)[:-1]))
    wins = np.add.reduceat(won, starts).tolist()
    first = at_risk[starts].tolist()
    last = (first - np.add.reduceat(ended, starts)).tolist()
    parts = list(zip(last, wins, first, strict=True))
    while len(parts) > 1:  # two and two, so that the numbers grow late
        joined = [
            (a[0] * b[0], a[1] * b[2] + a[0] * b[1], a[2] * b[2])
            for a, b in zip(parts[::2], parts[1::2], strict=False)
        ]
        parts = joined + parts[len(joined) * 2 :]
    return parts[0]
