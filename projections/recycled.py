"""The question ``recycled`` answers: what becomes of leads that were given back to nurture."""

from fractions import Fraction
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, and_, select

from domain.counts import DAY
from domain.intervals import wilson
from domain.recycling import SQL_OR_LATER
from domain.stages import RECYCLED, WON
from projections.activities import activities
from projections.answers import Answer, by_size, rfc3339
from projections.columns import Coded, Flags, Integers, read
from projections.period import rows_between
from projections.pipeline import DIMENSIONS, UnknownDimension, dimension, observed_until, pipeline
from projections.stages import stages

WITHIN: Final = 365 * DAY
"""How long a recycled lead is given, by default, in microseconds."""

REASON: Final = "reason"


def recycled(
    connection: Connection,
    by: str = REASON,
    *,
    within: int = WITHIN,
    since: int | None = None,
    until: int | None = None,
    as_of: int | None = None,
) -> Answer:
    """Return how many recyclings led to an SQL, and to a deal won, *within* a time.

    A recycling counts until the lead is recycled again. Rates are of the mature ones, whose time
    was up at *as_of* (by default the instant of the latest event); *since* and *until* bound the
    instant of recycling, *until* is excluded; all in microseconds. *by* is ``reason`` or a
    dimension of the lead; raises UnknownDimension.
    """
    if by != REASON and by not in DIMENSIONS:
        raise UnknownDimension(
            f"cannot group recycled leads by {by!r}; there are {', '.join((REASON, *DIMENSIONS))}"
        )
    at = observed_until(connection, as_of)
    found, values = outcomes(connection, by, at or 0, within)
    inside = rows_between(found.at, since, until)
    sizes = dict(
        zip(
            values.values,
            np.bincount(values.codes[inside], minlength=len(values.values)).tolist(),
            strict=False,
        )
    )
    return {
        "as_of": None if at is None else rfc3339(at),
        "within_seconds": within // 1_000_000,
        **_yield(found, inside),
        "groups": [
            {"value": value, **_yield(found, inside & (values.codes == values.code_of(value)))}
            for value in by_size(sizes)
            if sizes[value]
        ],
    }


class Outcomes:
    """Every recycling, by column: what `domain.recycling.recyclings` says of all leads."""

    def __init__(self, at: Integers, mature: Flags, sql: Flags, won: Flags) -> None:
        self.at, self.mature, self.sql, self.won = at, mature, sql, won


def outcomes(connection: Connection, by: str, as_of: int, within: int) -> tuple[Outcomes, Coded]:
    """Return every recycling, and the values of *by*."""
    of = stages.c
    asked = (RECYCLED, *sorted(SQL_OR_LATER))
    query = (
        select(of.lead_no, of.entered_at_us, of.stage)
        .where(of.stage.in_(asked))
        .order_by(of.lead_no, of.n)
    )
    found = read(connection, query, {"stage"})
    stage = found.coded["stage"]
    lead, at = found["lead_no"], found["entered_at_us"]
    starts = np.flatnonzero(stage.codes == stage.code_of(RECYCLED))
    nothing = len(lead)
    after = np.append(starts, nothing)[1:]
    # the follow-up ends with the next recycling, or with the rows of the lead
    ends = np.minimum(after, np.searchsorted(lead, lead[starts], side="right"))

    def reached(names: frozenset[str]) -> Flags:
        there = np.isin(stage.codes, [stage.code_of(name) for name in names])
        places = np.append(np.flatnonzero(there), nothing)
        first = places[np.searchsorted(places, starts, side="right").clip(max=len(places) - 1)]
        times = np.append(at, np.iinfo(np.int64).max)
        told: Flags = (first < ends) & (times[first] <= at[starts] + within)
        return told

    made = Outcomes(
        at[starts], as_of >= at[starts] + within, reached(SQL_OR_LATER), reached(frozenset((WON,)))
    )
    return made, _values(connection, by)


def _values(connection: Connection, by: str) -> Coded:
    """Return the values of *by*, a row per recycling, in the order of `outcomes`."""
    of = stages.c
    query: Any
    if by == REASON:
        # what recycled the lead says why: lead.recycled, or a verdict that sends it back
        query = select(activities.c.reason.label("value")).select_from(
            stages.outerjoin(
                activities,
                and_(
                    activities.c.lead_no == of.lead_no,
                    activities.c.fact_source == of.fact_source,
                    activities.c.fact_id == of.fact_id,
                ),
            )
        )
    else:
        query = select(dimension(by).label("value")).select_from(
            stages.join(pipeline, pipeline.c.lead_no == of.lead_no)
        )
    query = query.where(of.stage == RECYCLED).order_by(of.lead_no, of.n)
    return read(connection, query, {"value"}).coded["value"]


def _yield(found: Outcomes, rows: Flags) -> Answer:
    mature = rows & found.mature
    whole = int(mature.sum())
    return {
        "recycled": int(rows.sum()),
        "mature": whole,
        "immature": int((rows & ~found.mature).sum()),
        "sql": rate_answer(int((mature & found.sql).sum()), whole),
        "won": rate_answer(int((mature & found.won).sum()), whole),
        "immature_so_far": {
            "sql": int((rows & ~found.mature & found.sql).sum()),
            "won": int((rows & ~found.mature & found.won).sum()),
        },
    }


def rate_answer(count: int, whole: int) -> Answer:
    """Return a count of a whole, its rate and Wilson's interval of 95 %; null for no whole."""
    if not whole:
        return {"leads": count, "rate": None, "interval": None}
    return {
        "leads": count,
        "rate": float(Fraction(count, whole)),
        "interval": [float(end) for end in wilson(count, whole)],
    }
