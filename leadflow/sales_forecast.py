"""What the pipeline will bring, by the win model, and how good such forecasts were."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection

from domain.months import Span, month_of, name_of, span_months, span_start, start_of
from domain.sales_forecast import Trial, accuracy
from leadflow.app import App
from leadflow.win import open_chances
from projections.answers import decimal, exponents, rfc3339
from projections.as_of import as_of_engine
from projections.pipeline import latest_event, observed_until
from projections.sales_forecast import COMMIT, Months, forecast, realised

Progress = Callable[[str], None]
"""Is told in words what a long job does."""


def sales_forecast(
    app: App,
    connection: Connection,
    *,
    as_of: int | None = None,
    since: int | None = None,
    months: int = 6,
    commit: Fraction = COMMIT,
    assume: bool = False,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return the document of `leadflow forecast`, from read models that are those at *as_of*.

    *as_of* is an instant in microseconds UTC, by default that of the latest event; *since* an
    instant in the first month, by default the one that goes on or begins then.

    Without an event and without *as_of* there is no month to speak of: all of these are None.

    Raises ValueError where *since* lies in a month that was over.
    """
    known = observed_until(connection, as_of)
    at = 0 if known is None else known
    current = month_of(at + 1)
    first = current if since is None else month_of(since)
    if first < current:
        raise ValueError(
            f"--from: {name_of(first)} was over at {rfc3339(at)}; the first month that can be"
            f" forecast is {name_of(current)}. --as-of takes an earlier instant"
        )
    chances = open_chances(connection, app.rules.at(at))
    found = forecast(
        connection, chances, Months(at, first, months), commit=commit, assume=assume, seed=seed
    )
    return found if known is not None else {**found, "as_of": None, "from": None, "to": None}


def back_test(
    app: App,
    connection: Connection,
    *,
    known_at: int | None = None,
    months: int = 3,
    origins: int = 6,
    every: Span = "month",
    assume: bool = False,
    seed: int | None = None,
    tell: Progress | None = None,
) -> dict[str, Any]:
    """Return what was forecast at the ends of past months, and what came.

    At each of the last *origins* ends of a month (or quarter, by *every*) a forecast of the
    *months* after it is made from what had happened and was known by then, as far as they are
    over; *known_at* (microseconds UTC) says otherwise what was known: a history that was imported
    in one go was known at none of them. *connection* is to the read models that tell what came.
    """
    step = span_months(every)
    latest = latest_event(connection)
    places = exponents(connection)
    rows: list[dict[str, Any]] = []
    trials: dict[tuple[str, int], list[tuple[Trial, Trial | None]]] = {}
    over = 0 if latest is None else month_of(latest + 1)
    """The first month that is not over."""
    asked = [span_start(over - 1, every) - n * step for n in reversed(range(origins))]
    for begin in asked if latest is not None else []:
        at = start_of(begin) - 1
        ahead = min(months, over - begin)
        if ahead < 1:
            continue
        if tell is not None:
            tell(f"forecasting as of {rfc3339(at)[:10]}")
        made = _made(app, at, at if known_at is None else known_at, ahead, assume=assume, seed=seed)
        for row, currency, n, pair in _compared(made, connection, begin, at, places):
            rows.append(row)
            trials.setdefault((currency, n), []).append(pair)
    return {
        "as_of": None if latest is None else rfc3339(latest),
        "every": every,
        "months": months,
        "rows": rows,
        "summary": [
            {
                "currency": currency,
                "months_ahead": n,
                "open_then": _accuracy([one for one, _ in pairs], intervals=True),
                "all": _accuracy(
                    [other for _, other in pairs if other is not None], intervals=False
                ),
            }
            for (currency, n), pairs in sorted(trials.items())
        ],
    }


def _made(
    app: App, at: int, known_at: int, months: int, *, assume: bool, seed: int | None
) -> dict[str, Any]:
    engine = as_of_engine(app.store, app.rules, at, known_at)
    try:
        with engine.connect() as then:
            return sales_forecast(app, then, as_of=at, months=months, assume=assume, seed=seed)
    finally:
        engine.dispose()


def _compared(
    made: dict[str, Any], connection: Connection, begin: int, at: int, places: dict[str, int]
) -> Iterator[tuple[dict[str, Any], str, int, tuple[Trial, Trial | None]]]:
    """Yield a row per currency and month, and the trials that it is: of the open, and of all."""
    told = {one["currency"]: one for one in made["currencies"]}
    count = max((len(one["months"]) for one in told.values()), default=0)
    for n in range(count):
        came, came_all = realised(connection, begin + n, at), realised(connection, begin + n)
        for currency, one in told.items():
            month = one["months"][n]
            if month["expected"] is None:
                continue
            digits = places.get(currency, 2)
            here, all_here = came.get(currency, 0), came_all.get(currency, 0)
            ends = [_units(end, digits) for end in (*month["interval_80"], *month["interval_95"])]
            trial = Trial(Fraction(_units(month["expected"], digits)), here, *ends)
            whole = None
            if month["forecast"] is not None:
                whole = Trial(Fraction(_units(month["forecast"], digits)), all_here, *ends)
            row = {
                "as_of": rfc3339(at),
                "month": month["month"],
                "months_ahead": n + 1,
                "currency": currency,
                "expected": month["expected"],
                "interval_80": month["interval_80"],
                "interval_95": month["interval_95"],
                "realised": decimal(here, digits),
                "forecast": month["forecast"],
                "realised_all": decimal(all_here, digits),
            }
            yield row, currency, n + 1, (trial, whole)


def _units(amount: str, digits: int) -> int:
    """Return a decimal of the answers as minor units."""
    return int(Fraction(amount) * 10**digits)


def _accuracy(trials: list[Trial], *, intervals: bool) -> dict[str, Any]:
    found = accuracy(trials)

    def share(value: Fraction | None) -> float | None:
        return None if value is None else round(float(value), 6)

    document: dict[str, Any] = {
        "forecasts": found.trials,
        "mape": share(found.mape),
        "months_without_sales": found.left_out,
        "wape": share(found.wape),
        "bias": share(found.bias),
    }
    if intervals:
        document |= {"within_80": share(found.within80), "within_95": share(found.within95)}
    return document
