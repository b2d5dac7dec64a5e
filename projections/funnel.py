"""How many leads get from step to step, and how fast: the funnel over stages.

The columns of a funnel and its answer are here for all funnels; those with events among their
steps get their columns elsewhere, from the history itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from domain.funnel import Mode, check_funnel
from domain.intervals import wilson
from domain.stages import PATH, RANK, STAGES
from projections.answers import Answer, by_size
from projections.columns import Coded, Columns, read
from projections.funnel_columns import Chains, chains
from projections.pipeline import UnknownDimension, dimension, pipeline
from projections.stages import stages
from projections.touches import touches

Array = NDArray[Any]

Unit = Literal["lead", "cycle", "account"]
"""What counts: a lead once, each of its cycles, or all leads of a company together."""

UNITS: Final[tuple[str, ...]] = get_args(Unit)

Reading = Literal["current", "first", "conversion", "step"]
"""Whose value a lead is grouped by: the lead's as it is now; the first or the last that is known
along its chain, so that of its first step or of its conversion wherever these have one; or at each
step that step's own."""

READINGS: Final[tuple[str, ...]] = get_args(Reading)

MOST_STEPS: Final = 62
"""Steps and exclusions that a funnel may have together: each is a bit of 64."""

TOUCHED: Final = ("channel", "source", "medium", "campaign", "party")
"""The dimensions that have a value at every instant: that of the latest touch by then."""


@dataclass(frozen=True, slots=True)
class Happenings:
    """What the subjects of a funnel went through, as columns: see `funnel_columns.chains`."""

    subjects: Array
    times: Array
    masks: Array
    values: Coded | None = None
    """The value of each event to group by; None: there are no groups."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a funnel asks, whatever its steps are.

    ``window``, ``since`` and ``until`` are microseconds; a chain starts at ``since`` or later and
    before ``until``, and may end later. ``exclusions`` are pairs of steps, from 1.
    """

    mode: Mode = "monotone"
    window: int | None = None
    increase: bool = False
    exclusions: tuple[tuple[int, int], ...] = ()
    since: int | None = None
    until: int | None = None
    unit: Unit = "lead"
    by: str | None = None
    reading: Reading = "current"
    at_step: int | None = None
    """With the reading ``step``: whoever took this step, from 1, by its value there."""

    def check(self, steps: Sequence[str]) -> None:
        """Raise ValueError, saying what is wrong, unless this makes a funnel over *steps*."""
        if self.unit not in UNITS:
            raise ValueError(f"unknown unit {self.unit!r}; there are {', '.join(UNITS)}")
        if self.reading not in READINGS:
            raise ValueError(f"unknown reading {self.reading!r}; there are {', '.join(READINGS)}")
        if self.at_step is not None and not 1 <= self.at_step <= len(steps):
            raise ValueError(f"there is no step {self.at_step} of {len(steps)} to read a value at")
        if len(steps) + len(self.exclusions) > MOST_STEPS:
            raise ValueError(
                f"a funnel has at most {MOST_STEPS} steps and exclusions together, not"
                f" {len(steps) + len(self.exclusions)}"
            )
        check_funnel(steps, mode=self.mode, increase=self.increase)


def funnel(
    connection: Connection,
    steps: Sequence[str],
    *,
    mode: Mode = "monotone",
    window: int | None = None,
    by: str | None = None,
    since: int | None = None,
    until: int | None = None,
    unit: Unit = "lead",
    reading: Reading = "current",
    increase: bool = False,
    exclusions: Sequence[tuple[str, int, int]] = (),
) -> Answer:
    """Return the funnel over *steps*, which are stage codes.

    In mode ``monotone`` a stage further on the way counts for those before it. *window*, *since*
    and *until* are microseconds; the latter bound the instant of the first step, *until* is
    excluded. *by* is a dimension of the lead. *exclusions* are stages that must not be entered
    between two steps, numbered from 1.

    Raises ValueError for what makes no funnel, UnknownDimension for *by*.
    """
    question = Question(
        mode,
        window,
        increase,
        tuple((after, before) for _, after, before in exclusions),
        since,
        until,
        unit,
        by,
        reading,
    )
    question.check(steps)
    happened = stage_entries(connection, steps, question, [stage for stage, _, _ in exclusions])
    return document(happened, steps, question)


# --- columns ------------------------------------------------------------------------------------


def stage_entries(
    connection: Connection, steps: Sequence[str], question: Question, excluded: Sequence[str] = ()
) -> Happenings:
    """Return every entry into a stage as the columns of a funnel over *steps*.

    Raises ValueError for unknown stages, UnknownDimension for what nothing is grouped by.
    """
    unknown = [stage for stage in (*steps, *excluded) if stage not in STAGES]
    if unknown:
        raise ValueError(f"unknown stage {unknown[0]!r}; there are {', '.join(STAGES)}")
    check_path(steps, question.mode)
    check_reading(question)
    now = question.by if question.reading == "current" else None
    column = None if now is None else dimension(now)
    query = (
        select(
            stages.c.lead_no,
            stages.c.cycle,
            stages.c.entered_at_us,
            stages.c.stage,
            *([] if column is None else [column.label("value")]),
            *([pipeline.c.account] if question.unit == "account" and now != "account" else []),
        )
        .join(pipeline, pipeline.c.lead_no == stages.c.lead_no)
        .order_by(stages.c.lead_no, stages.c.n)
    )
    rows = read(
        connection, query, {"stage", "value", "account"} & set(query.selected_columns.keys())
    )
    leads, times = rows["lead_no"], rows["entered_at_us"]
    of_stage = stage_masks(steps, question.mode, excluded)
    entered = rows.coded["stage"]
    masks = np.array([of_stage[str(stage)] for stage in entered.values], np.uint64)[entered.codes]
    values = None
    if question.by is not None:
        values = (
            rows.coded["value"]
            if now is not None
            else touched(connection, question.by, leads, times)
        )
    accounts = (
        rows.coded["value" if now == "account" else "account"]
        if question.unit == "account"
        else None
    )
    return arranged(question, leads, rows["cycle"], accounts, times, masks, values, len(steps))


def check_reading(question: Question) -> None:
    """Raise UnknownDimension where no value is known of what the *question* groups by."""
    if question.by is None or question.reading == "current":
        return
    dimension(question.by)
    if question.by not in TOUCHED:
        raise UnknownDimension(
            f"{question.by!r} is known as it is now, not as it was at a step: take --reading"
            f" current, or group by {', '.join(TOUCHED)}"
        )


def is_path(steps: Sequence[str]) -> bool:
    """Return whether *steps* are stages on the way to a deal, none before the one it follows.

    Only of these does who is further say who has been there. Beside the way are sgl, and what
    turns back or ends.
    """
    ranks = [RANK[step] for step in steps if step in PATH]
    return len(ranks) == len(steps) and all(a <= b for a, b in pairwise(ranks))


def check_path(steps: Sequence[str], mode: Mode) -> None:
    """Raise ValueError where mode ``monotone`` is asked of what is no `is_path`."""
    if mode == "monotone" and not is_path(steps):
        raise ValueError(
            f"{','.join(steps)}: mode monotone counts who is further as having been there, which"
            f" holds along {', '.join(PATH)} alone, in this order; take --mode ordered"
        )


def stage_masks(steps: Sequence[str], mode: Mode, excluded: Sequence[str] = ()) -> dict[str, int]:
    """Return for each stage the steps it is, and the exclusions, as bits.

    In mode ``monotone`` a stage off the list stands for the furthest step that it lies beyond. The
    bit above all others marks those that stand for the first step alone: see `arranged`.
    """
    marks = {}
    for stage in STAGES:
        mask = sum(1 << k for k, step in enumerate(steps) if step == stage)
        rank = RANK.get(stage)
        if mode == "monotone" and rank is not None:
            beyond = [k for k, step in enumerate(steps) if step in RANK and RANK[step] < rank]
            if beyond and not mask:
                mask = 1 << beyond[-1]
                if beyond[-1] == 0:
                    mask |= 1 << (len(steps) + len(excluded))
        mask |= sum(1 << (len(steps) + x) for x, other in enumerate(excluded) if other == stage)
        marks[stage] = mask
    return marks


def arranged(
    question: Question,
    leads: Array,
    cycles: Array,
    accounts: Coded | None,
    times: Array,
    masks: Array,
    values: Coded | None,
    steps: int,
) -> Happenings:
    """Return events, those of a lead together and in canonical order, by subjects of the unit.

    A lead without an account is no subject of unit ``account``. The bit above those of the *steps*
    and exclusions says that the event stands for the first step without being it: it does so where
    no step of the subject is before it, and not elsewhere, so that no later stage starts a clock
    anew.
    """
    if question.unit == "account" and accounts is not None:
        known = (
            np.flatnonzero(np.array([v is not None for v in accounts.values], bool)[accounts.codes])
            if len(times)
            else np.empty(0, np.int64)
        )
        order = known[np.lexsort((known, times[known], accounts.codes[known]))]
        subjects = accounts.codes[order]
        times, masks = times[order], masks[order]
        values = None if values is None else Coded(values.codes[order], values.values)
    elif question.unit == "cycle":
        new = np.ones(len(leads), bool)
        new[1:] = (leads[1:] != leads[:-1]) | (cycles[1:] != cycles[:-1])
        subjects = np.cumsum(new)
    else:
        subjects = leads
    mark = np.uint64(1 << (steps + len(question.exclusions)))
    if bool((masks & mark).any()):
        some = np.flatnonzero(masks & np.uint64((1 << steps) - 1))
        again = some[np.append(False, subjects[some][1:] == subjects[some][:-1])]
        stands_for = again[(masks[again] & mark) != 0]
        masks = masks & ~mark
        masks[stands_for] &= ~np.uint64(1)
    return Happenings(subjects, times, masks, values)


def touched(connection: Connection, by: str, leads: Array, times: Array) -> Coded:
    """Return the value *by* of the latest touch of each of *leads* by each of *times*.

    Touches at the same instant count. It is None before the first touch.
    """
    query = select(touches.c.lead_no, touches.c.at_us, touches.c[by].label("value")).order_by(
        touches.c.lead_no, touches.c.n
    )
    rows = read(connection, query, {"value"})
    return latest(rows, leads, times)


def latest(rows: Columns, leads: Array, times: Array) -> Coded:
    """Return the value of the last of *rows* of each of *leads* by each of *times*.

    *rows* have the columns ``lead_no``, ``at_us`` and ``value``, those of a lead in order.
    """
    coded = rows.coded["value"]
    # A touch may have no value, too: it is one missing value, and so one group.
    values = coded.values if None in coded.values else [*coded.values, None]
    none = values.index(None)
    there, here = rows.rows, len(leads)
    owner = np.concatenate([rows["lead_no"], leads])
    at = np.concatenate([rows["at_us"], times])
    asks = np.arange(there + here) >= there
    order = np.lexsort((asks, at, owner))
    place = np.where(asks[order], -1, np.arange(there + here))
    last = np.maximum.accumulate(place) if there + here else place
    source = np.where(last >= 0, order[np.maximum(last, 0)], 0) if there + here else last
    own = (last >= 0) & (owner[source] == owner[order]) if there + here else last >= 0
    codes = np.full(there + here, none, np.int32)
    if there:
        codes[order] = np.where(own, coded.codes[np.where(own, source, 0)], none)
    return Coded(codes[there:], values)


# --- the answer ---------------------------------------------------------------------------------


def found(happened: Happenings, steps: int, question: Question) -> Chains:
    """Return the chains of the *question* over so many *steps*."""
    return chains(
        happened.subjects,
        happened.times,
        happened.masks,
        steps,
        window=question.window,
        mode=question.mode,
        increase=question.increase,
        exclusions=question.exclusions,
        since=question.since,
        until=question.until,
    )


def document(happened: Happenings, names: Sequence[str], question: Question) -> Answer:
    """Return the answer to the *question* over what *happened*, its steps called *names*."""
    chained = found(happened, len(names), question)
    instants = chained.instants(happened.times)
    answer: Answer = {
        "mode": question.mode,
        "window_seconds": None if question.window is None else question.window // 1_000_000,
        "unit": question.unit,
        "by": question.by,
        "reading": None if question.by is None else question.reading,
        "reading_step": None if question.by is None else question.at_step,
        "steps": step_rows(chained.levels, instants, names),
        "groups": [],
    }
    if happened.values is None or not len(chained.levels):
        return answer
    codes, values = happened.values.codes, happened.values.values
    taken = np.where(chained.picks < 0, -1, codes[np.maximum(chained.picks, 0)])
    rows: dict[Any, list[Answer]]
    if question.reading == "step" and question.at_step is None:
        rows = {
            values[code]: _per_step(taken == code, chained.levels, instants, names)
            for code in np.unique(taken[taken >= 0]).tolist()
        }
    else:
        own = _own(taken, happened.values, question)
        rows = {
            values[code]: step_rows(chained.levels[own == code], instants[own == code], names)
            for code in np.unique(own[own >= 0]).tolist()
        }
    sizes = {value: max(row["leads"] for row in of_value) for value, of_value in rows.items()}
    answer["groups"] = [{"value": value, "steps": rows[value]} for value in by_size(sizes)]
    return answer


def _own(taken: Array, coded: Coded, question: Question) -> Array:
    """Return the value of each chain, as a code; -1 for a chain that is in no group."""
    if question.at_step is not None:
        at_step: Array = taken[:, question.at_step - 1]
        return at_step
    if question.reading == "current":
        first: Array = taken[:, 0]
        return first
    known = np.array([value is not None for value in coded.values], bool)
    has = (taken >= 0) & known[np.maximum(taken, 0)]
    if question.reading == "conversion":
        place = taken.shape[1] - 1 - np.argmax(has[:, ::-1], axis=1)
    else:
        place = np.argmax(has, axis=1)
    # Where no step has a value, that of the first one is missing, too.
    own: Array = taken[np.arange(len(taken)), np.where(has.any(axis=1), place, 0)]
    return own


def step_rows(levels: Array, instants: Array, names: Sequence[str]) -> list[Answer]:
    """Return the rows of an answer: how many get to each step, how sure the rates are, how fast."""
    counts = [int((levels > k).sum()) for k in range(len(names))]
    return [
        {
            "step": name,
            "leads": counts[k],
            "rate_from_first": _rate(counts[k], counts[0]),
            "rate_from_previous": _rate(counts[k], counts[max(k - 1, 0)]),
            "interval_from_first": interval(counts[k], counts[0]),
            "interval_from_previous": interval(counts[k], counts[max(k - 1, 0)]),
            **_speed(instants[levels > k], k),
        }
        for k, name in enumerate(names)
    ]


def _per_step(own: Array, levels: Array, instants: Array, names: Sequence[str]) -> list[Answer]:
    """Return the rows of a value at each step: who has it at one step had another one before.

    So these counts are no shares of each other, and there are no rates.
    """
    return [
        {
            "step": name,
            "leads": int((own[:, k] & (levels > k)).sum()),
            "rate_from_first": None,
            "rate_from_previous": None,
            "interval_from_first": None,
            "interval_from_previous": None,
            **_speed(instants[own[:, k] & (levels > k)], k),
        }
        for k, name in enumerate(names)
    ]


def _speed(instants: Array, k: int) -> Answer:
    """Return how long step *k* takes from the first and from the one before it, in seconds."""
    from_first = instants[:, k] - instants[:, 0]
    from_previous = instants[:, k] - instants[:, max(k - 1, 0)]
    return {
        "median_seconds_from_first": _median(from_first),
        "p90_seconds_from_first": _p90(from_first),
        "median_seconds_from_previous": _median(from_previous),
        "p90_seconds_from_previous": _p90(from_previous),
    }


def _median(micros: Array) -> float | None:
    if not len(micros):
        return None
    low, high = (len(micros) - 1) // 2, len(micros) // 2
    ordered = np.partition(micros, [low, high])
    return (int(ordered[low]) + int(ordered[high])) / 2_000_000


def _p90(micros: Array) -> float | None:
    if not len(micros):
        return None
    place = -(-9 * len(micros) // 10) - 1
    return int(np.partition(micros, place)[place]) / 1_000_000


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def interval(part: int, whole: int) -> list[float] | None:
    """Return the interval of 95 % (Wilson 1927) of the rate part / whole; None of nobody."""
    return [float(end) for end in wilson(part, whole)] if whole else None
