"""Funnels whose steps are events, with or without stages among them: asked of the history itself.

Funnels of stages alone are a question to the read models (``projections.funnel``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection

from domain.book import Rules
from domain.events import Event, Fact
from domain.funnel import Mode
from domain.periods import Every
from leadflow.funnel_steps import Excluded, Step, condition_of, refuse_twins, told
from leadflow.funnel_steps import field as field_of
from projections.answers import Answer
from projections.as_of import Filtered
from projections.cohorts import cohorts as stage_cohorts
from projections.cohorts import document as cohort_document
from projections.columns import Coded, Columns
from projections.feeding import counting, people_in, views_of
from projections.funnel import (
    Happenings,
    Question,
    arranged,
    check_path,
    check_reading,
    document,
    is_path,
    latest,
    stage_entries,
    stage_masks,
)
from projections.history import History
from projections.pipeline import dimension, observed_until, pipeline
from projections.rows import Rows
from projections.stages import stages
from projections.touches import touches

FIELD: Final = "event."
"""What a dimension begins with that is a field of the events themselves: ``event.kind``."""


def default_mode(steps: Sequence[Step]) -> Mode:
    """Return the mode of a funnel where none is asked for."""
    on_the_way = all(step.is_stage for step in steps) and is_path([step.name for step in steps])
    return "monotone" if on_the_way else "ordered"


def funnel(
    connection: Connection,
    store: History,
    rules: Rules,
    steps: Sequence[Step],
    question: Question,
    excluded: Sequence[Excluded] = (),
    *,
    as_of: int | None = None,
    known_at: int | None = None,
) -> Answer:
    """Return the document of `leadflow funnel`.

    *connection* is one to the read models as they were where *as_of* or *known_at* ask for it; both
    are microseconds UTC, as all instants of the *question*, whose exclusions are those *excluded*.
    Raises ValueError for what makes no funnel, and UnknownDimension.
    """
    happened = happenings(
        connection, store, rules, steps, question, excluded, as_of=as_of, known_at=known_at
    )
    return document(happened, [step.told for step in steps], question)


def cohorts(
    connection: Connection,
    store: History,
    rules: Rules,
    steps: Sequence[Step],
    question: Question,
    every: Every = "month",
    *,
    as_of: int | None = None,
    known_at: int | None = None,
) -> Answer:
    """Return the document of `leadflow cohorts`; the arguments are those of `funnel`.

    Rates of the period are told where all steps are stages. Raises ValueError for what makes no
    funnel.
    """
    if all(step.is_stage for step in steps):
        refuse_twins(steps, question.mode)
    if all(step.is_stage for step in steps):
        check_path([step.name for step in steps], question.mode)
        names = [step.name for step in steps]
        return stage_cohorts(connection, names, question, every=every, as_of=as_of)
    happened = happenings(connection, store, rules, steps, question, as_of=as_of, known_at=known_at)
    now = observed_until(connection, as_of)
    return cohort_document(happened, [step.told for step in steps], question, every, now)


def happenings(
    connection: Connection,
    store: History,
    rules: Rules,
    steps: Sequence[Step],
    question: Question,
    excluded: Sequence[Excluded] = (),
    *,
    as_of: int | None = None,
    known_at: int | None = None,
) -> Happenings:
    """Return the columns of a funnel: of the read models for stages alone, else of the history.

    The arguments are those of `funnel`.
    """
    question.check([step.text for step in steps])
    refuse_twins(steps, question.mode)
    by_field = question.by is not None and question.by.startswith(FIELD)
    if by_field and question.reading == "current":
        raise ValueError(
            f"{question.by} is a field of events, which leads have not now: take --reading first,"
            " conversion or step"
        )
    if not by_field:
        if question.by is not None:
            dimension(question.by)
        check_reading(question)
        if all(one.is_stage for one in (*steps, *(out.step for out in excluded))):
            names = [step.name for step in steps]
            return stage_entries(connection, names, question, [out.step.name for out in excluded])
    history: History = store
    if as_of is not None or known_at is not None:
        history = Filtered(store, rules, as_of, known_at)
    joined = as_of is None and known_at is None
    return _Collected(steps, excluded, question).read(history, rules, joined=joined)


_PLACE: Final = {column.key: n for n, column in enumerate(pipeline.c)}
_TOUCH: Final = {column.key: n for n, column in enumerate(touches.c)}
_STAGE: Final = {column.key: n for n, column in enumerate(stages.c)}


@dataclass(slots=True)
class _Coding:
    """A column of text that grows."""

    codes: list[int] = field(default_factory=list)
    known: dict[str | None, int] = field(default_factory=dict)

    def code(self, value: str | None) -> int:
        return self.known.setdefault(value, len(self.known))

    def coded(self) -> Coded:
        return Coded(np.array(self.codes, np.int32), list(self.known))


class _Collected:
    """The columns of a funnel, as they are read from the history person by person."""

    def __init__(
        self, steps: Sequence[Step], excluded: Sequence[Excluded], question: Question
    ) -> None:
        self._question = question
        self._steps = len(steps)
        asked = [*steps, *(out.step for out in excluded)]
        self._tests: dict[str, list[tuple[int, Callable[[Fact], bool]]]] = {}
        for k, step in enumerate(asked):
            if not step.is_stage:
                self._tests.setdefault(step.name, []).append((1 << k, condition_of(step)))
        self._marks = stage_masks(
            [step.name if step.is_stage else "" for step in steps],
            question.mode,
            [out.step.name if out.step.is_stage else "" for out in excluded],
        )
        self._all = question.mode == "strict_all"
        by = question.by
        self._field = by.removeprefix(FIELD) if by is not None and by.startswith(FIELD) else None
        self._by = None if self._field is not None else by
        self._needs_rows = (
            self._by is not None or question.unit != "lead" or any(step.is_stage for step in asked)
        )
        self._leads: list[int] = []
        self._cycles: list[int] = []
        self._times: list[int] = []
        self._masks: list[int] = []
        self._values = _Coding()
        self._accounts = _Coding()
        self._touched: list[tuple[int, int]] = []
        self._touch_values = _Coding()

    def read(self, history: History, rules: Rules, *, joined: bool) -> Happenings:
        """Return the columns of all leads of *history*."""
        numbers = count(1)
        for streams in _leads(history):
            self._take(streams, rules, numbers, joined=joined)
        times = np.array(self._times, np.int64)
        leads = np.array(self._leads, np.int64)
        values: Coded | None = None
        if self._question.by is not None:
            values = self._values.coded()
            if self._by is not None and self._question.reading != "current":
                at = np.array(self._touched, np.int64).reshape(-1, 2)
                rows = Columns(
                    {"lead_no": at[:, 0], "at_us": at[:, 1]},
                    {"value": self._touch_values.coded()},
                    len(at),
                )
                values = latest(rows, leads, times)
        return arranged(
            self._question,
            leads,
            np.array(self._cycles, np.int64),
            self._accounts.coded() if self._question.unit == "account" else None,
            times,
            np.array(self._masks, np.uint64),
            values,
            self._steps,
        )

    def _take(
        self, streams: list[list[Event]], rules: Rules, numbers: Iterator[int], *, joined: bool
    ) -> None:
        """Add what the people in *streams* went through. Facts that do not count are left out."""
        parts = [counting(part, rules) for _, part in people_in(streams, rules, joined=joined)]
        parts = [part for part in parts if any(fact.keys for fact in part)]
        if not parts:
            return  # spend, policies and corrections of nothing belong to no lead
        if not self._needs_rows:
            for part in parts:
                self._add(next(numbers), part, {}, None)
            return
        rows = Rows()
        names = [str(n) for n in range(len(streams))]
        views_of(numbers, names, streams, rules, rows, joined=joined)
        entered: dict[tuple[int, str, str], list[tuple[str, int]]] = {}
        for row in rows.stages:
            key = (row[0], row[_STAGE["fact_source"]], row[_STAGE["fact_id"]])
            entered.setdefault(key, []).append((row[_STAGE["stage"]], row[_STAGE["cycle"]]))
        if self._by is not None and self._question.reading != "current":
            for row in rows.touches:
                self._touched.append((row[0], row[_TOUCH["at_us"]]))
                self._touch_values.codes.append(self._touch_values.code(row[_TOUCH[self._by]]))
        for part, row in zip(parts, rows.pipeline, strict=True):
            self._add(row[0], part, entered, row)

    def _add(
        self,
        lead: int,
        facts: Sequence[Fact],
        entered: dict[tuple[int, str, str], list[tuple[str, int]]],
        row: Sequence[Any] | None,
    ) -> None:
        """Add the *facts* of one person, and the stages that they *entered*."""
        cycle = 1
        value = 0
        if row is not None and self._by is not None:
            value = self._values.code(row[_PLACE[self._by]])
        account = 0 if row is None else self._accounts.code(row[_PLACE["account"]])
        for fact in facts:
            mask = 0
            for bit, test in self._tests.get(fact.type, ()):
                if test(fact):
                    mask |= bit
            followed = entered.get((lead, fact.source, fact.id), ()) if entered else ()
            if followed:
                cycle = followed[-1][1]
            happened = [mask, *(self._marks[stage] for stage, _ in followed)]
            counted = [bits for bits in happened if bits]
            if self._all and not counted:
                counted = [0]  # any other event; the one that led to a step is none
            for one in counted:
                self._leads.append(lead)
                self._cycles.append(cycle)
                self._times.append(fact.at)
                self._masks.append(one)
                self._accounts.codes.append(account)
                if self._field is not None:
                    value = self._values.code(told(field_of(fact, self._field)))
                self._values.codes.append(value)


def _leads(history: History) -> Iterator[list[list[Event]]]:
    """Yield the streams of each lead; those of merged leads come together at the end."""
    merged = history.merged()
    shared = {*merged, *merged.values()}
    parts: dict[str, list[list[Event]]] = {}
    for stream, events in history.all_streams(history.head()):
        if stream in shared:
            parts.setdefault(merged.get(stream, stream), []).append(events)
        else:
            yield [events]
    yield from parts.values()
