"""Leads with made-up lives, as values for the references and as rows for the queries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Engine, Table, insert

from domain.stage_graph import Stay
from domain.stages import RECYCLED, STAGES
from projections.activities import activities
from projections.conversions import conversions
from projections.opportunities import opportunities
from projections.pipeline import pipeline
from projections.stages import stages
from tests.projections_kit import read_model_database

NOW = 1_000
"""When the histories are looked at; their instants are small, so that many are the same."""


@dataclass
class Life:
    """A lead: its stays, and the words of sales on it."""

    stays: list[Stay]
    channel: str | None = None
    first_at: int = 0
    last_at: int = 0
    rejections: list[tuple[int, str]] = field(default_factory=list)
    """When, and for what reason."""
    deals: list[tuple[str, int, int | None, int | None, str | None]] = field(default_factory=list)
    """Status, created, closed, minor units, currency."""


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Return a lead that moves about as it likes: the queries hold no rule of a pack."""
    at = first = draw(st.integers(0, 300))
    entries: list[tuple[str, int, int]] = []
    cycle = 1
    for _ in range(draw(st.integers(0, 6))):
        at += draw(st.sampled_from([0, 1, 7, 40, 41, 90]))
        stage = draw(st.sampled_from(STAGES))
        if entries and entries[-1][0] == RECYCLED:
            cycle += 1
        entries.append((stage, cycle, at))
    exits = [entry[2] for entry in entries[1:]]
    made = [
        Stay(stage, cycle, at, exited)
        for (stage, cycle, at), exited in zip(entries, [*exits, None], strict=False)
    ]
    deals = []
    for _ in range(draw(st.integers(0, 2))):
        created = first + draw(st.integers(0, 200))
        status = draw(st.sampled_from(["open", "won", "lost"]))
        closed = None if status == "open" else created + draw(st.integers(0, 200))
        units = draw(st.sampled_from([None, 0, 100, 2**62]))
        deals.append((status, created, closed, units, None if units is None else "EUR"))
    return Life(
        made,
        draw(st.sampled_from(["email", "event", None])),
        first,
        at + draw(st.integers(0, 100)),
        sorted(
            (first + draw(st.integers(0, 300)), f"r{n}") for n in range(draw(st.integers(0, 2)))
        ),
        deals,
    )


def populations() -> st.SearchStrategy[list[Life]]:
    """Return strategies of a few leads."""
    return st.lists(lives(), max_size=12)


def row(table: Table, **values: Any) -> dict[str, Any]:
    """Return a row of *table*: what *values* leave out is null, or 0 or "" where it may not be."""
    blank = {
        column.name: None if column.nullable else (0 if column.type.python_type is int else "")
        for column in table.columns
    }
    return blank | values


def fill(engine: Engine, population: Sequence[Life]) -> Engine:
    """Put the lives into empty read models."""
    rows: dict[Table, list[dict[str, Any]]] = {
        table: [] for table in (pipeline, stages, activities, opportunities, conversions)
    }
    for lead_no, life in enumerate(population):
        now = life.stays[-1] if life.stays else None
        rows[pipeline].append(
            row(
                pipeline,
                lead_no=lead_no,
                lead_id=f"lead-{lead_no:03}",
                stage=None if now is None else now.stage,
                entered_at_us=None if now is None else now.entered_at,
                captured_at_us=life.stays[0].entered_at if life.stays else None,
                first_event_at_us=life.first_at,
                last_event_at_us=life.last_at,
                last_human_at_us=life.last_at,
                channel=life.channel,
            )
        )
        previous = None
        for n, stay in enumerate(life.stays, 1):
            rows[stages].append(
                row(
                    stages,
                    lead_no=lead_no,
                    n=n,
                    stage=stay.stage,
                    cycle=stay.cycle,
                    cycle_kind="new" if stay.cycle == 1 else "recycled",
                    entered_at_us=stay.entered_at,
                    exited_at_us=stay.exited_at,
                    dwell_us=None if stay.exited_at is None else stay.exited_at - stay.entered_at,
                    previous=previous,
                    fact_source="/made",
                    fact_id=f"{lead_no}-{n}",
                )
            )
            previous = stay.stage
        for n, (at, reason) in enumerate(life.rejections, 1):
            rows[activities].append(
                row(
                    activities,
                    lead_no=lead_no,
                    n=n,
                    at_us=at,
                    type="lead.rejected",
                    actor="rep",
                    actor_id="kim",
                    reason=reason,
                )
            )
        for n, (status, created, closed, units, currency) in enumerate(life.deals, 1):
            rows[opportunities].append(
                row(
                    opportunities,
                    lead_no=lead_no,
                    n=n,
                    status=status,
                    created_at_us=created,
                    closed_at_us=closed,
                    amount_minor=units,
                    currency=currency,
                )
            )
            if status == "won":
                rows[conversions].append(
                    row(
                        conversions,
                        lead_no=lead_no,
                        n=n,
                        kind="won",
                        at_us=closed,
                        amount_minor=units,
                        currency=currency,
                    )
                )
    with engine.begin() as connection:
        for table, some in rows.items():
            if some:
                connection.execute(insert(table), some)
    return engine


def filled(population: Sequence[Life]) -> Engine:
    """Return read models in memory with the lives."""
    return fill(read_model_database(), population)
