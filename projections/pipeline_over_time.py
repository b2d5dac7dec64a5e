"""The pipeline at the end of each day, week or month: leads and what they are worth, by stage.

From the stays in stages and the lives of opportunities, as they are known now; nothing is folded
again. Amounts are those known latest: what was known at an instant is `pipeline --as-of`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, func, select

from domain.periods import Every, Period, periods
from domain.stages import LOST, STAGES, WON
from domain.standing import WORKED
from projections.answers import Answer, amounts, by_size, exponents, rfc3339
from projections.columns import MISSING, Integers, read
from projections.conversions import conversions
from projections.dwell import parts
from projections.opportunities import opportunities
from projections.pipeline import dimension, latest_event, pipeline
from projections.stages import stages

MOST_POINTS: Final = 3_700
"""Ten years of days."""

_BEFORE_ALL: Final = -(2**63)
_NEVER: Final = 2**63
_ORDER: Final = (None, *STAGES)

Cell = tuple[Any, str | None]
"""A value of the dimension, and a stage."""

Money = Mapping[Cell, Mapping[str, Sequence[tuple[int, int]]]]
"""Per cell and currency: at each point how many amounts there are, and their sum."""


def over_time(
    connection: Connection,
    every: Every,
    by: str | None = None,
    *,
    since: int | None = None,
    until: int | None = None,
    as_of: int | None = None,
) -> Answer:
    """Return the pipeline at the end of each period that [*since*, *until*) touches.

    Left out, they are the first event and *as_of*, by default the latest event; nothing later is
    told. The last point is the end of what was asked for; ``is_complete`` says whether its period
    is over by then. Instants are microseconds UTC. *by* is a dimension of the lead, as it is now.

    Raises ValueError for no such period or too many, UnknownDimension.
    """
    column = dimension(by) if by is not None else None
    latest = latest_event(connection)
    answer: Answer = {"every": every, "as_of": None, "points": []}
    asked = list(periods(0, 0, every))  # refuses what is no period, even of an empty database
    if latest is None:
        return answer
    end = (latest if as_of is None else as_of) + 1
    answer["as_of"] = rfc3339(end - 1)
    end = end if until is None else min(end, until)
    first = connection.execute(select(func.min(pipeline.c.first_event_at_us))).scalar()
    for period in periods(first or 0 if since is None else since, end, every):
        asked.append(period)
        if len(asked) > MOST_POINTS:
            raise ValueError(f"more than {MOST_POINTS:,} times a {every}: ask for a shorter time")
    instants = [min(period.end, end) - 1 for period in asked]
    counts = _counts(connection, column, np.array(instants, np.int64))
    money = _money(connection, column, instants)
    places = exponents(connection)
    answer["points"] = [
        _point(n, period, instants[n], counts, money, places, grouped=by is not None)
        for n, period in enumerate(asked)
    ]
    return answer


def _point(
    n: int,
    period: Period,
    at: int,
    counts: Mapping[Cell, Integers],
    money: Money,
    places: Mapping[str, int],
    *,
    grouped: bool,
) -> Answer:
    values: dict[Any, int] = {}
    for (value, _), leads in counts.items():
        values[value] = values.get(value, 0) + int(leads[n])
    groups = [
        {"value": value, **_standing(n, [value], counts, money, places)}
        for value in by_size(values)
        if grouped and values[value]
    ]
    return {
        "period": period.name,
        "at": rfc3339(at),
        "is_complete": at == period.end - 1,
        **_standing(n, list(values), counts, money, places),
        "groups": groups,
    }


def _standing(
    n: int,
    values: Sequence[Any],
    counts: Mapping[Cell, Integers],
    money: Money,
    places: Mapping[str, int],
) -> Answer:
    """Return where the leads of *values* stand at the *n*-th point."""
    told = _stages(n, values, counts, money, places)
    worth = _worth(n, [(value, stage) for value in values for stage in WORKED], money)
    return {
        "leads": sum(stage["leads"] for stage in told),
        "open_leads": sum(stage["leads"] for stage in told if stage["stage"] in WORKED),
        "open_amounts": amounts(worth, places),
        "stages": told,
    }


def _stages(
    n: int,
    values: Sequence[Any],
    counts: Mapping[Cell, Integers],
    money: Money,
    places: Mapping[str, int],
) -> list[Answer]:
    found = []
    for stage in _ORDER:
        cells = [(value, stage) for value in values]
        leads = sum(int(counts[cell][n]) for cell in cells if cell in counts)
        if leads:
            worth = amounts(_worth(n, cells, money), places)
            found.append({"stage": stage, "leads": leads, "amounts": worth})
    return found


def _worth(n: int, cells: Sequence[Cell], money: Money) -> dict[str, int]:
    worth: dict[str, int] = {}
    for cell in cells:
        for currency, told in money.get(cell, {}).items():
            number, units = told[n]
            if number:
                worth[currency] = worth.get(currency, 0) + units
    return worth


# --- leads ---


def _counts(connection: Connection, column: Any, instants: Integers) -> dict[Cell, Integers]:
    """Return how many leads of each value are in each stage at each of *instants*."""
    leads = select(pipeline.c.first_event_at_us)
    stays = select(stages.c.n, stages.c.stage, stages.c.entered_at_us, stages.c.exited_at_us)
    if column is not None:
        leads = leads.add_columns(column.label("value"))
        stays = stays.add_columns(column.label("value")).join(
            pipeline, pipeline.c.lead_no == stages.c.lead_no
        )
    counts: dict[Cell, Integers] = {}
    born = read(connection, leads, {"value"})
    for value, rows in _by_value(born.coded.get("value"), born.rows):
        counts[value, None] = _by(born["first_event_at_us"][rows], instants)
    told = read(connection, stays, {"stage", "value"})
    stage = told.coded["stage"]
    for value, of_value in _by_value(told.coded.get("value"), told.rows):
        for code, some in parts(stage.codes[of_value].astype(np.int64)).items():
            rows = of_value[some]
            counts[value, stage.values[code]] = _by(told["entered_at_us"][rows], instants) - _by(
                told["exited_at_us"][rows], instants
            )
        first = of_value[told["n"][of_value] == 1]
        counts[value, None] = counts[value, None] - _by(told["entered_at_us"][first], instants)
    return counts


def _by_value(coded: Any, rows: int) -> Iterator[tuple[Any, Any]]:
    """Yield each value with its rows; one value, None, where there is no dimension."""
    if coded is None:
        yield None, np.arange(rows)
        return
    for code, found in parts(coded.codes.astype(np.int64)).items():
        yield coded.values[code], found


def _by(happened: Integers, instants: Integers) -> Integers:
    """Return how many of *happened* there are by each of *instants*; missing ones never happen."""
    ordered = np.sort(happened[happened != MISSING])
    return np.searchsorted(ordered, instants, "right").astype(np.int64)


# --- money ---


def _money(connection: Connection, column: Any, instants: Sequence[int]) -> Money:
    """Return what leads are worth at each of *instants*.

    As in the pipeline: won leads their won deals, lost ones their lost opportunities, others
    their open ones. Sums are whole numbers of any size.
    """
    lives = _stays_of_leads_with_money(connection)
    changes: dict[Cell, dict[str, list[tuple[int, int, int]]]] = {}
    for lead_no, value, currency, units, kind, start, end in _amounts(connection, column):
        for stage, entered, exited in lives[lead_no]:
            if _KIND.get(stage, "open") != kind:
                continue
            begins, ends = max(start, entered), min(end, exited)
            if begins < ends:
                of_cell = changes.setdefault((value, stage), {}).setdefault(currency, [])
                of_cell += [(begins, 1, units), (ends, -1, -units)]
    return {
        cell: {currency: _sums(made, instants) for currency, made in of_cell.items()}
        for cell, of_cell in changes.items()
    }


_KIND: Final[Mapping[str | None, str]] = {WON: "won", LOST: "lost"}
"""What leads of a stage are worth; all others: their open opportunities."""


def _sums(changes: list[tuple[int, int, int]], instants: Sequence[int]) -> list[tuple[int, int]]:
    changes.sort()
    at = [change[0] for change in changes]
    running = [(0, 0)]
    for _, number, units in changes:
        running.append((running[-1][0] + number, running[-1][1] + units))
    return [running[bisect_right(at, instant)] for instant in instants]


def _stays_of_leads_with_money(
    connection: Connection,
) -> dict[int, list[tuple[str | None, int, int]]]:
    """Return the stays of every lead with an opportunity or a deal, the time before them too."""
    with_money = select(opportunities.c.lead_no).union(select(conversions.c.lead_no))
    lives: dict[int, list[tuple[str | None, int, int]]] = {
        lead_no: [(None, _BEFORE_ALL, _NEVER)] for (lead_no,) in connection.execute(with_money)
    }
    columns = stages.c
    for lead_no, stage, entered, exited in connection.execute(
        select(columns.lead_no, columns.stage, columns.entered_at_us, columns.exited_at_us)
        .where(columns.lead_no.in_(with_money))
        .order_by(columns.lead_no, columns.n)
    ):
        life = lives[lead_no]
        if len(life) == 1:
            life[0] = (None, _BEFORE_ALL, entered)
        life.append((stage, entered, _NEVER if exited is None else exited))
    return lives


def _amounts(
    connection: Connection, column: Any
) -> Iterator[tuple[int, Any, str, int, str, int, int]]:
    """Yield lead, value, currency, minor units, what for, from when and before when."""
    for table, start, kind in (
        (opportunities, opportunities.c.created_at_us, "open"),
        (conversions, conversions.c.at_us, "won"),
    ):
        query = select(
            table.c.lead_no, table.c.currency, table.c.amount_minor, start.label("start")
        ).where(table.c.amount_minor.is_not(None), table.c.currency.is_not(None))
        if kind == "won":
            query = query.where(table.c.kind == "won")
        else:
            query = query.add_columns(table.c.status, table.c.closed_at_us)
        if column is not None:
            query = query.add_columns(column.label("value")).join(
                pipeline, pipeline.c.lead_no == table.c.lead_no
            )
        for row in connection.execute(query):
            value = None if column is None else row.value
            told = (row.lead_no, value, row.currency, row.amount_minor)
            closed = None if kind == "won" else row.closed_at_us
            yield *told, kind, row.start, _NEVER if closed is None else closed
            if closed is not None and row.status == "lost":
                yield *told, "lost", closed, _NEVER
