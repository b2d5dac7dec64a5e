"""Funnels whose steps are events, with or without stages among them: asked of the history itself.

Funnels of stages alone are a question to the read models (``projections.stages``).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from domain.aliases import UnknownStage, code_of
from domain.book import Rules
from domain.events import Event, Fact
from domain.funnel import Chain, Mode, check_funnel, longest_chain
from domain.stages import PATH, RANK, STAGES
from leadflow.store.base import Store
from projections.answers import by_size
from projections.feeding import counting, people_in, views_of
from projections.pipeline import dimension, pipeline
from projections.rows import Rows
from projections.stages import step_rows

_STEP: Final = re.compile(r"([A-Za-z0-9_.:-][A-Za-z0-9_.: -]*)(?:\[([^\]]*)\])?")
_OUTSIDE_BRACKETS: Final = re.compile(r",(?![^\[]*\])")

Happening = Fact | str
"""What a lead goes through: a fact, or the entry into a stage."""

Test = Callable[[Happening], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the user wrote it: a stage, or a type of event whose fields have values."""

    text: str
    name: str
    where: tuple[tuple[str, str], ...] = ()

    @property
    def is_stage(self) -> bool:
        """Return whether the step is a stage."""
        return self.name in STAGES

    @property
    def told(self) -> str:
        """Return the step as answers name it: the code of a stage, and else as it was written."""
        return self.name if self.is_stage else self.text


def parse_steps(text: str) -> list[Step]:
    """Return the steps of ``captured,form.submitted[kind=demo],won``.

    Raises ValueError, saying what is wrong.
    """
    steps = []
    for part in _OUTSIDE_BRACKETS.split(text):
        word = part.strip()
        found = _STEP.fullmatch(word)
        if found is None:
            raise ValueError(
                f"{word!r} is no step; write a stage, or a type of event such as"
                " form.submitted[kind=demo]"
            )
        name, filters = found[1].strip(), found[2]
        if "." not in name:
            try:
                name = code_of(name)
            except UnknownStage as error:
                raise ValueError(
                    f"{error}; a step may also be a type of event such as form.submitted"
                ) from None
        step = Step(word, name, tuple(_filters(filters, word)) if filters else ())
        if step.is_stage and step.where:
            raise ValueError(f"{word!r}: a stage has no fields to filter by")
        steps.append(step)
    return steps


def refuse_twins(steps: Sequence[Step], mode: str) -> None:
    """Raise ValueError where a funnel whose mode takes each step once has one of them twice."""
    if mode != "monotone":
        return
    written: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
    for step in steps:
        ask = (step.name, step.where)
        if ask in written:
            raise ValueError(
                f"{written[ask]!r} and {step.text!r} are one step, {step.told}; mode monotone"
                " takes each once: leave one out, or take --mode ordered"
            )
        written[ask] = step.text


def _filters(text: str, word: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{word!r}: write a filter as [field=value]")
        yield name.strip(), value.strip()


def funnel(
    store: Store,
    rules: Rules,
    steps: Sequence[Step],
    *,
    mode: Mode = "ordered",
    window: int | None = None,
    by: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> dict[str, Any]:
    """Return the document of `leadflow funnel`, over the whole history.

    *window*, *since* and *until* are microseconds; a chain starts at *since* or later and before
    *until*. *by* is a dimension of the lead. Raises ValueError for what makes no funnel, and
    UnknownDimension.
    """
    tests = [_test(step, mode) for step in steps]
    check_funnel(tests, mode=mode)
    stages = any(step.is_stage for step in steps)
    place = None if by is None else list(pipeline.c).index(dimension(by))
    chains: dict[Any, list[Chain]] = {}
    for streams in _leads(store):
        for value, told in _told(streams, rules, place, stages=stages):
            events = told if since is None else [one for one in told if one[0] >= since]
            if not events:
                continue
            chain = longest_chain(events, tests, window=window, mode=mode)
            if until is not None and chain.instants and chain.instants[0] >= until:
                continue
            chains.setdefault(value, []).append(chain)
    every = [chain for of_value in chains.values() for chain in of_value]
    names = [step.told for step in steps]
    groups = [] if by is None else _groups(chains, names)
    return {
        "mode": mode,
        "window_seconds": None if window is None else window // 1_000_000,
        "steps": step_rows(every, names),
        "groups": groups,
    }


def _groups(chains: Mapping[Any, list[Chain]], names: Sequence[str]) -> list[dict[str, Any]]:
    rows = {value: step_rows(of_value, names) for value, of_value in chains.items()}
    sizes = {value: of_value[0]["leads"] for value, of_value in rows.items()}
    return [{"value": value, "steps": rows[value]} for value in by_size(sizes) if sizes[value]]


# --- what a step asks ---------------------------------------------------------------------------


def _test(step: Step, mode: Mode) -> Test:
    if step.is_stage:
        names = {step.name}
        if mode == "monotone" and step.name in PATH:
            names |= {other for other, rank in RANK.items() if rank > RANK[step.name]}
        return lambda event: isinstance(event, str) and event in names
    type_, where = step.name, step.where

    def matches(event: Happening) -> bool:
        if isinstance(event, str) or event.type != type_:
            return False
        return all(_text(_field(event, name)) == value for name, value in where)

    return matches


def _field(fact: Fact, name: str) -> Any:
    """Return a field of a fact: of its type, or ``actor``, ``source``, ``touch.channel``, ..."""
    if name == "actor":
        return fact.actor
    if name == "source":
        return fact.source
    head, dot, rest = name.partition(".")
    if dot and head == "touch":
        return None if fact.touch is None else fact.touch.get(rest)
    value: Any = fact.data
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


# --- what leads went through --------------------------------------------------------------------


def _leads(store: Store) -> Iterator[list[list[Event]]]:
    """Yield the streams of each lead; those of merged leads come together at the end."""
    merged = store.merged()
    shared = {*merged, *merged.values()}
    parts: dict[str, list[list[Event]]] = {}
    for stream, events in store.all_streams(store.head()):
        if stream in shared:
            parts.setdefault(merged.get(stream, stream), []).append(events)
        else:
            yield [events]
    yield from parts.values()


def _told(
    streams: list[list[Event]], rules: Rules, place: int | None, *, stages: bool
) -> Iterator[tuple[Any, list[tuple[int, Happening]]]]:
    """Yield per person the value at *place* of its row in pipeline, and what it went through.

    Facts that do not count are left out.
    """
    parts = [counting(part, rules) for _, part in people_in(streams, rules)]
    parts = [part for part in parts if any(fact.keys for fact in part)]
    if not parts:
        return  # spend, policies and corrections of nothing belong to no lead
    if place is None and not stages:
        for part in parts:
            yield None, [(fact.at, fact) for fact in part]
        return
    rows = Rows()
    views_of(count(), [str(n) for n in range(len(streams))], streams, rules, rows)
    entered: dict[tuple[int, str, str], list[str]] = {}
    for row in rows.stages:
        entered.setdefault((row[0], row[12], row[13]), []).append(row[2])
    for part, row in zip(parts, rows.pipeline, strict=True):
        told: list[tuple[int, Happening]] = []
        for fact in part:
            told.append((fact.at, fact))
            if stages:
                followed = entered.get((row[0], fact.source, fact.id), ())
                told += [(fact.at, stage) for stage in followed]
        yield None if place is None else row[place], told
