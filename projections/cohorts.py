"""Conversion by cohort: of those who took the first step in a period, how many got how far.

Beside it, and never mixed with it, the rate of the period: of those who left a step in it, how
many went on. A cohort looks forward from the first step; a period looks back at what it saw, much
of it begun before.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from domain.periods import Every, Period, periods
from projections.answers import Answer, rfc3339
from projections.columns import read
from projections.funnel import Happenings, Question, found, interval, stage_entries, stage_masks
from projections.pipeline import observed_until
from projections.stages import stages

Array = NDArray[Any]


def cohorts(
    connection: Connection,
    steps: Sequence[str],
    question: Question,
    *,
    every: Every = "month",
    as_of: int | None = None,
) -> Answer:
    """Return the cohorts of a funnel over *steps*, which are stage codes.

    A lead is in the cohort of each period in which it took the first step; the window of the
    *question* is what it has to get further. *as_of* (microseconds UTC, by default the instant of
    the latest event) says which cohorts have had the whole of it: those are mature.

    Raises ValueError for what makes no funnel.
    """
    question.check(steps)
    happened = stage_entries(connection, steps, question)
    exits = _exits(connection, steps)
    return document(happened, steps, question, every, observed_until(connection, as_of), exits)


def document(
    happened: Happenings,
    names: Sequence[str],
    question: Question,
    every: Every,
    as_of: int | None,
    exits: tuple[Array, Array, Array] | None = None,
) -> Answer:
    """Return the cohorts of what *happened*, their steps called *names*.

    *exits* are an instant, the step left and the step gone to (-1: none) per exit; None where
    steps are events, which nobody leaves.
    """
    window = question.window
    answer: Answer = {
        "every": every,
        "mode": question.mode,
        "unit": question.unit,
        "window_seconds": None if window is None else window // 1_000_000,
        "as_of": None if as_of is None else rfc3339(as_of),
        "cohorts": [],
    }
    # In these modes who skipped the first step starts at another one.
    may_start = (1 << len(names)) - 1 if question.mode in ("monotone", "any") else 1
    firsts = happened.times[(happened.masks & np.uint64(may_start)) != 0]
    if as_of is None or not len(firsts):
        return answer
    start = int(firsts.min()) if question.since is None else question.since
    end = as_of + 1 if question.until is None else min(question.until, as_of + 1)
    for period in periods(start, end, every) if start < end else ():
        answer["cohorts"].append(_cohort(happened, names, question, period, as_of, exits))
    return answer


def _cohort(
    happened: Happenings,
    names: Sequence[str],
    question: Question,
    period: Period,
    as_of: int,
    exits: tuple[Array, Array, Array] | None,
) -> Answer:
    of_period = replace(question, since=period.start, until=period.end)
    counts = found(happened, len(names), of_period).reached(len(names))
    return {
        "cohort": period.name,
        "from": rfc3339(period.start),
        "to": rfc3339(period.end),
        "mature": question.window is not None and period.end - 1 + question.window <= as_of,
        "steps": [
            {
                "step": name,
                "leads": counts[k],
                "rate_from_first": counts[k] / counts[0] if counts[0] else None,
                "rate_from_previous": (
                    counts[k] / counts[max(k - 1, 0)] if counts[max(k - 1, 0)] else None
                ),
                "interval_from_first": interval(counts[k], counts[0]),
                "interval_from_previous": interval(counts[k], counts[max(k - 1, 0)]),
            }
            for k, name in enumerate(names)
        ],
        "period": None if exits is None else _period(names, period, *exits),
    }


def _period(
    names: Sequence[str], period: Period, at: Array, left: Array, entered: Array
) -> list[Answer]:
    """Return per step but the first the exits to it, or beyond it, of those from the one before."""
    inside = (at >= period.start) & (at < period.end)
    rows = []
    for k, name in enumerate(names[1:], 1):
        gone = inside & (left == k - 1)
        exits, on = int(gone.sum()), int((gone & (entered >= k)).sum())
        rows.append(
            {
                "step": name,
                "exits_from_previous": exits,
                "exits_to": on,
                "rate": on / exits if exits else None,
                "interval": interval(on, exits),
            }
        )
    return rows


def _exits(connection: Connection, steps: Sequence[str]) -> tuple[Array, Array, Array]:
    """Return every exit from a step: when, from which step, and to which (-1: to none).

    A stage between two steps belongs to the earlier one: who goes from there to a stage that
    stands for the same step has left nothing.
    """
    rows = read(
        connection,
        select(stages.c.lead_no, stages.c.entered_at_us, stages.c.stage).order_by(
            stages.c.lead_no, stages.c.n
        ),
        {"stage"},
    )
    bits = (1 << len(steps)) - 1
    step_of = {
        # The highest bit is the furthest step; a stage before the first one, or off the way, is
        # at none.
        stage: (mask & bits).bit_length() - 1
        for stage, mask in stage_masks(steps, "monotone").items()
    }
    names = rows.coded["stage"]
    at_step = np.array([step_of[str(name)] for name in names.values], np.int64)[names.codes]
    leads, entered = rows["lead_no"], rows["entered_at_us"]
    moved = (leads[1:] == leads[:-1]) & (at_step[1:] != at_step[:-1]) & (at_step[:-1] >= 0)
    here = np.flatnonzero(moved)
    return entered[1:][here], at_step[:-1][here], at_step[1:][here]
