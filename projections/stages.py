"""Every entry of a lead into a stage, as it occurred, and the funnel over stages."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any, Final, Literal

from sqlalchemy import Connection, select

from domain.funnel import Chain, Mode, check_funnel, longest_chain, totals
from domain.stages import PATH, RANK, STAGES
from projections.answers import Answer, by_size
from projections.pipeline import dimension, pipeline
from projections.schema import instant, keys, number, read_model, text

NAME: Final = "stages"
VERSION: Final = 1

stages = read_model(
    NAME,
    "Every entry of a lead into a stage, in the order in which the facts occurred",
    *keys(and_n="Counts the entries of the lead from 1"),
    text("stage", "Stage code", null=False),
    number("cycle", "Cycle, from 1"),
    text("cycle_kind", "What opened the cycle: new, recycled, reopened, expansion", null=False),
    instant("entered_at_us", "When the stage was entered"),
    instant(
        "exited_at_us", "When the next stage was entered; null while it is the stage", null=True
    ),
    number("dwell_us", "Microseconds between both", null=True),
    text("previous", "Stage before; null for the first"),
    number("is_first", "1 for the first entry into the stage in its cycle, else 0"),
    text("rule", "Rule that moved the lead", null=False),
    text("policy", "Policy version that holds the rule", null=False),
    text("fact_source", "Source of the event that caused the entry", null=False),
    text("fact_id", "Id of the event that caused the entry", null=False),
)

Unit = Literal["lead", "cycle"]
"""What counts: a lead once, or each of its cycles."""


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
) -> Answer:
    """Return the funnel over *steps*, which are stage codes.

    In mode ``monotone`` a stage further on the way counts for those before it. *window*, *since*
    and *until* are microseconds; the latter bound the instant of the first step, *until* is
    excluded. *by* is a dimension of the lead.

    Raises ValueError for what makes no funnel, UnknownDimension for *by*.
    """
    unknown = [step for step in steps if step not in STAGES]
    if unknown:
        raise ValueError(f"unknown stage {unknown[0]!r}; there are {', '.join(STAGES)}")
    tests = [_reaches(step) if mode == "monotone" else _is(step) for step in steps]
    check_funnel(steps, mode=mode)
    chains: dict[Any, list[Chain]] = {}
    for value, events in _subjects(connection, by, unit):
        chain = longest_chain(events, tests, window=window, mode=mode)
        if chain.instants and (
            (since is not None and chain.instants[0] < since)
            or (until is not None and chain.instants[0] >= until)
        ):
            continue
        chains.setdefault(value, []).append(chain)
    everything = [chain for of_value in chains.values() for chain in of_value]
    answer: Answer = {
        "mode": mode,
        "window_seconds": None if window is None else window // 1_000_000,
        "steps": step_rows(everything, steps),
        "groups": [],
    }
    if by is not None:
        groups = {value: step_rows(of_value, steps) for value, of_value in chains.items()}
        sizes = {value: rows[0]["leads"] for value, rows in groups.items()}
        answer["groups"] = [
            {"value": value, "steps": groups[value]} for value in by_size(sizes) if sizes[value]
        ]
    return answer


def _is(stage: str) -> Callable[[str], bool]:
    return lambda entered: entered == stage


def _reaches(stage: str) -> Callable[[str], bool]:
    """Return whether entering a stage means that *stage* is reached."""
    if stage not in PATH:
        return _is(stage)
    rank = RANK[stage]
    reached = {stage, *(other for other in RANK if RANK[other] > rank)}
    return lambda entered: entered in reached


def _subjects(
    connection: Connection, by: str | None, unit: Unit
) -> Iterator[tuple[Any, list[tuple[int, str]]]]:
    """Yield the stage entries of each lead or cycle, with the value it is grouped by."""
    column = [] if by is None else [dimension(by)]
    query = (
        select(stages.c.lead_no, stages.c.cycle, stages.c.entered_at_us, stages.c.stage, *column)
        .join(pipeline, pipeline.c.lead_no == stages.c.lead_no)
        .order_by(stages.c.lead_no, stages.c.n)
    )
    rows = connection.execute(query.execution_options(yield_per=10_000))
    key: Callable[[Any], Any] = (lambda row: row[0]) if unit == "lead" else (lambda row: row[:2])
    for _, group in groupby(rows, key=key):
        entries = list(group)
        value = entries[0][4] if column else None
        yield value, [(at, stage) for _, _, at, stage, *_ in entries]


def step_rows(chains: Sequence[Chain], steps: Sequence[str]) -> list[Answer]:
    """Return the rows of a funnel's answer: how many chains reach each step, and how fast."""
    return [
        {
            "step": step,
            "leads": total.subjects,
            "rate_from_first": _float(total.rate_from_first),
            "rate_from_previous": _float(total.rate_from_previous),
            "median_seconds_from_first": _float(total.median_seconds_from_first),
        }
        for step, total in zip(steps, totals(chains, len(steps)), strict=True)
    ]


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
