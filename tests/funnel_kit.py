"""Leads by hand and leads of any kind, as rows of read models, for the tests of funnels and curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Connection, Integer, insert

from domain.stages import STAGES
from projections.pipeline import pipeline
from projections.stages import stages
from projections.touches import touches
from tests.projections_kit import DAY, START


@dataclass(frozen=True)
class Story:
    """One lead: its entries into stages (day, stage, cycle), its touches (day, value).

    The value is the source of the touch, None where it is not known, and its channel, too.
    """

    entries: tuple[tuple[int, str, int], ...]
    touched: tuple[tuple[int, str | None], ...] = ()
    owner: str | None = None
    account: str | None = None


def filled(table: Any, **values: Any) -> dict[str, Any]:
    """Return a row of *table*; what is not given and must not be null is 0 or empty."""
    return {
        column.key: values.get(
            column.key,
            None if column.nullable else 0 if isinstance(column.type, Integer) else "",
        )
        for column in table.c
    }


def tell(connection: Connection, stories: Sequence[Story], *, now: int = 400) -> None:
    """Write *stories* into the read models; the latest event is on the day *now*."""
    rows: dict[Any, list[dict[str, Any]]] = {pipeline: [], stages: [], touches: []}
    for lead, story in enumerate(stories, 1):
        rows[pipeline].append(
            filled(
                pipeline,
                lead_no=lead,
                lead_id=f"lead-{lead}",
                owner=story.owner,
                account=story.account,
                last_event_at_us=START + now * DAY,
            )
        )
        for n, (day, stage, cycle) in enumerate(story.entries, 1):
            at = START + day * DAY
            rows[stages].append(
                filled(stages, lead_no=lead, n=n, stage=stage, cycle=cycle, entered_at_us=at)
            )
        for n, (day, value) in enumerate(story.touched, 1):
            told = {"channel": value or "other", "source": value, "at_us": START + day * DAY}
            rows[touches].append(filled(touches, lead_no=lead, n=n, **told))
    for table, of_table in rows.items():
        if of_table:
            connection.execute(insert(table), of_table)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Return a lead with up to three cycles."""
    days = sorted(draw(st.lists(st.integers(0, 60), max_size=7)))
    cycle = 1
    entries = []
    for day in days:
        entries.append((day, draw(st.sampled_from(STAGES)), cycle))
        cycle += draw(st.integers(0, 3)) == 3
    touch = st.tuples(st.integers(0, 60), st.sampled_from(["x", "y", None]))
    touched = sorted(draw(st.lists(touch, max_size=3)), key=lambda one: one[0])
    return Story(
        tuple(entries),
        tuple(touched),
        draw(st.sampled_from(["kim", "lee", None])),
        draw(st.sampled_from(["acme", "bond", None])),
    )


many = st.lists(stories(), max_size=8)
paths = st.sampled_from(
    [["captured", "mql", "won"], ["mql", "sql"], ["sal", "opportunity", "won"], ["won"]]
)
"""Steps on the way to a deal."""

anywhere = st.one_of(paths, st.sampled_from([["sal", "opportunity", "lost"], ["won", "mql"]]))


def asked(*modes: str) -> st.SearchStrategy[tuple[list[str], str]]:
    """Return steps and a mode that can be asked about them."""
    return st.one_of(
        st.tuples(paths, st.just("monotone")), st.tuples(anywhere, st.sampled_from(modes))
    )


limits = st.one_of(st.none(), st.integers(0, 60).map(lambda day: START + day * DAY))
