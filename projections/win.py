"""What is known of every cycle of every lead before its outcome: cases to learn from."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from domain.scoring import band_start
from domain.stages import DISQUALIFIED, LOST, PATH, RANK, WON
from domain.win import TAG_OUTCOMES
from projections.pipeline import pipeline
from projections.stages import stages
from projections.touches import touches

FEATURES: Final = (
    "channel",
    "source",
    "country",
    "industry",
    "company_size",
    "seniority",
    "fit_grade",
    "owner",
    "product",
    "cycle_kind",
    "stage_reached",
    "touches",
    "touched",
)
"""What a case may say, in the order in which reasons are told."""

TAGS: Final[Mapping[str, int]] = {"stage_reached": 0, "touches": 0, "touched": TAG_OUTCOMES}
"""The features with several values at once, and how many outcomes a value of theirs needs.

``touched`` are the channels that touched the lead. How far a lead got and how often it was touched
only ever grows: it has the last value, and has passed those before. So a lead on its way is
compared with those that got there, not with those that ended there.
"""

ENDS: Final = (WON, LOST, DISQUALIFIED)
"""The stages that are outcomes of a cycle; a recycled lead is undecided."""

TRAITS: Final[Mapping[str, str]] = {
    "title": "title",
    "seniority": "seniority",
    "country": "country",
    "region": "region",
    "company": "company.name",
    "company_domain": "company.domain",
    "company_size": "company.size",
    "industry": "company.industry",
}
"""Columns of pipeline to the traits that rules of fit look at."""

Grade = Callable[[Mapping[str, Any]], str]
"""Returns the letter of fit of a person with these traits."""


class Case(NamedTuple):
    """One cycle of a lead."""

    lead_no: int
    lead_id: str
    stage: str | None
    """The stage of the lead now, not that of the cycle."""
    cycle: int
    outcome: str | None
    """The stage of `ENDS` that it came to; None while it has come to none."""
    features: dict[str, tuple[str, ...]]
    """What was known before the outcome, else what is known now; see `FEATURES`."""
    passed: dict[str, tuple[str, ...]]
    """The values of growing features that were passed on the way to that."""


def cases(connection: Connection, grade: Grade) -> Iterator[Case]:
    """Yield the cycles that have an outcome, and the cycle in which every other lead is now.

    Touches and stages count up to the outcome, so that nothing which it caused speaks for it. The
    attributes of the person and the company are the latest known.
    """
    of = pipeline.c
    leads = select(
        of.lead_no,
        of.lead_id,
        of.stage,
        of.cycle,
        of.channel,
        of.source,
        of.first_touch_at_us,
        of.owner,
        of.product,
        *[of[name] for name in TRAITS],
    ).order_by(of.lead_no)
    at = stages.c
    entries = select(at.lead_no, at.cycle, at.cycle_kind, at.stage, at.entered_at_us).order_by(
        at.lead_no, at.n
    )
    touch = touches.c
    touched = select(touch.lead_no, touch.at_us, touch.channel).order_by(touch.lead_no, touch.n)
    entries_of = _Beside(_rows(connection, entries))
    touches_of = _Beside(_rows(connection, touched))
    for lead in _rows(connection, leads):
        entered, touching = entries_of(lead.lead_no), touches_of(lead.lead_no)
        yield from _cycles(lead, entered, touching, grade)


def _rows(connection: Connection, query: Any) -> Iterator[Row[Any]]:
    return iter(connection.execute(query.execution_options(yield_per=10_000)))


class _Beside:
    """Rows by number of the lead, asked for in the order of the numbers."""

    def __init__(self, rows: Iterator[Row[Any]]) -> None:
        self._groups = groupby(rows, key=lambda row: int(row[0]))
        self._next = next(self._groups, None)

    def __call__(self, lead_no: int) -> list[Row[Any]]:
        while self._next is not None and self._next[0] < lead_no:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != lead_no:
            return []
        return list(self._next[1])


def _cycles(
    lead: Row[Any], entered: Sequence[Row[Any]], touching: Sequence[Row[Any]], grade: Grade
) -> Iterator[Case]:
    always = _attributes(lead, grade)
    for cycle, group in groupby(entered, key=lambda row: int(row.cycle)):
        rows = list(group)
        closing = next((row for row in rows if row.stage in ENDS), None)
        if closing is None and cycle != lead.cycle:
            continue  # recycled or reopened: the next cycle goes on where it stopped
        until = None if closing is None else int(closing.entered_at_us)
        counted = [row.channel for row in touching if until is None or row.at_us <= until]
        way = {
            "stage_reached": _reached(row.stage for row in rows),
            "touches": tuple(f"{least}+" for least in _TOUCHES if least <= len(counted)),
        }
        known = {
            **always,
            **_first_touch(lead, until),
            "cycle_kind": (str(rows[0].cycle_kind),),
            "touched": tuple(sorted(set(counted))),
            **{name: values[-1:] for name, values in way.items()},
        }
        yield Case(
            lead.lead_no,
            lead.lead_id,
            lead.stage,
            cycle,
            None if closing is None else closing.stage,
            {name: known[name] for name in FEATURES if known.get(name)},
            {name: values[:-1] for name, values in way.items()},
        )


def _attributes(lead: Row[Any], grade: Grade) -> dict[str, tuple[str, ...]]:
    told = lead._mapping  # noqa: SLF001 - the public name of a row's columns, despite its underscore
    traits = {path: told[name] for name, path in TRAITS.items() if told[name] is not None}
    found: dict[str, tuple[str, ...]] = {
        name: (str(told[name]),)
        for name in ("country", "industry", "seniority", "owner", "product")
        if told[name] is not None
    }
    size = band_start(lead.company_size)
    if size is not None:
        found["company_size"] = (_band(size),)
    if traits:
        found["fit_grade"] = (grade(traits),)
    return found


def _first_touch(lead: Row[Any], until: int | None) -> dict[str, tuple[str, ...]]:
    at = lead.first_touch_at_us
    if at is None or (until is not None and at > until):
        return {}
    return {
        name: (value,)
        for name, value in (("channel", lead.channel), ("source", lead.source))
        if value is not None
    }


def _reached(entered: Iterable[str]) -> tuple[str, ...]:
    """Return the stages on the way to a deal that were reached, skipped ones too, the last last."""
    before_won = [stage for stage in entered if stage in RANK and stage != WON]
    if not before_won:
        return ()
    last = max(before_won, key=RANK.__getitem__)
    return (*(stage for stage in PATH if RANK[stage] < RANK[last]), last)


_SIZES: Final = (1, 10, 50, 200, 1_000, 5_000)
_TOUCHES: Final = (1, 2, 5, 10, 20)


def _band(size: int) -> str:
    """Return the band of a company of *size* people."""
    n = max((n for n, start in enumerate(_SIZES) if start <= size), default=0)
    return f"{_SIZES[n]}+" if n + 1 == len(_SIZES) else f"{_SIZES[n]}-{_SIZES[n + 1] - 1}"
