"""What is known of every cycle of every lead before it was won or lost: cases to learn from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from domain.scoring import band_start
from domain.stages import LOST, RANK, WON
from projections.pipeline import pipeline
from projections.schema import lead_streams
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

TAGS: Final = ("touched",)
"""The features with several values at once: the channels that touched the lead."""

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
    won: bool | None
    """Whether it was won or lost; None while it is neither."""
    features: dict[str, tuple[str, ...]]
    """What was known before it was won or lost, else what is known now; see `FEATURES`."""


def cases(connection: Connection, grade: Grade, lead_no: int | None = None) -> Iterator[Case]:
    """Yield the cycles that were won or lost, and the cycle in which every other lead is now.

    Touches and stages count up to the outcome, so that nothing which it caused speaks for it. The
    attributes of the person and the company are the latest known. *lead_no* asks for one lead.
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
    if lead_no is not None:
        leads = leads.where(of.lead_no == lead_no)
        entries = entries.where(at.lead_no == lead_no)
        touched = touched.where(touch.lead_no == lead_no)
    entries_of = _Beside(_rows(connection, entries))
    touches_of = _Beside(_rows(connection, touched))
    for lead in _rows(connection, leads):
        entered, touching = entries_of(lead.lead_no), touches_of(lead.lead_no)
        yield from _cycles(lead, entered, touching, grade)


def lead_of_stream(connection: Connection, stream: str) -> int | None:
    """Return the number of the lead whose events are in *stream*, or None."""
    query = select(lead_streams.c.lead_no).where(lead_streams.c.stream == stream)
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


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
        closing = next((row for row in rows if row.stage in (WON, LOST)), None)
        if closing is None and cycle != lead.cycle:
            continue  # recycled or reopened: the next cycle goes on where it stopped
        until = None if closing is None else int(closing.entered_at_us)
        known = {
            **always,
            **_first_touch(lead, until),
            **_way(rows, touching, until),
        }
        features = {name: known[name] for name in FEATURES if known.get(name)}
        won = None if closing is None else closing.stage == WON
        yield Case(lead.lead_no, lead.lead_id, lead.stage, cycle, won, features)


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
        found["company_size"] = (_band(size, _SIZES),)
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


def _way(
    entered: Sequence[Row[Any]], touching: Sequence[Row[Any]], until: int | None
) -> dict[str, tuple[str, ...]]:
    """Return how far the cycle got before its outcome, and what touched the lead until then."""
    counted = [row.channel for row in touching if until is None or row.at_us <= until]
    reached = [row.stage for row in entered if row.stage in RANK and row.stage != WON]
    found: dict[str, tuple[str, ...]] = {
        "cycle_kind": (str(entered[0].cycle_kind),),
        "touches": (_band(len(counted), _TOUCHES),),
        "touched": tuple(sorted(set(counted))),
    }
    if reached:
        found["stage_reached"] = (max(reached, key=RANK.__getitem__),)
    return found


_SIZES: Final = (1, 10, 50, 200, 1_000, 5_000)
_TOUCHES: Final = (0, 1, 2, 5, 10, 20)


def _band(number: int, starts: Sequence[int]) -> str:
    """Return the band of *number*, by the numbers that bands start at."""
    n = max((n for n, start in enumerate(starts) if start <= number), default=0)
    if n + 1 == len(starts):
        return f"{starts[n]}+"
    last = starts[n + 1] - 1
    return str(starts[n]) if last == starts[n] else f"{starts[n]}-{last}"
