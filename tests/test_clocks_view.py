"""The view of clocks says what the question about speed counts, on both databases."""

from random import Random
from typing import Any

from hypothesis import given, settings
from sqlalchemy import Engine, create_engine, text

from domain.events import Fact
from projections.clocks import NEVER, STARTS, clocks
from projections.runner import Runner
from projections.schema import SCHEMA
from tests.projections_kit import START, Log, read_model_database
from tests.test_speed import _TYPES, POLICY, acts, made

Told = dict[tuple[str, int], tuple[str, int | None, str | None]]
"""By lead and cycle: what started the clock, the wait in whole seconds, and who tried."""


def shown(engine: Engine, facts: list[Fact]) -> tuple[Told, Told]:
    """Return what the view shows, and what `projections.clocks` finds."""
    runner = Runner(engine, Log(POLICY, facts), POLICY)
    runner.create()
    runner.catch_up()
    with runner.engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
        view: Told = {
            (row.lead_id, row.cycle): (row.start, row.waited_seconds, row.attempted_by)
            for row in connection.execute(text("SELECT * FROM v_clocks"))
        }
        ids = {
            int(row.lead_no): str(row.lead_id)
            for row in connection.execute(text("SELECT lead_no, lead_id FROM pipeline"))
        }
    with runner.engine.connect() as connection:
        as_of = max((fact.at for fact in facts), default=START)
        found = clocks(connection, as_of)
    names = {(fact.at, fact.actor_id) for fact in facts if fact.actor_id}
    counted: Told = {}
    for n, (lead, cycle) in enumerate(zip(found.cycles.lead_no, found.cycles.number, strict=True)):
        began, tried = int(found.started_at[n]), int(found.attempted_at[n])
        if began == NEVER:
            continue
        waited = None if tried == NEVER else (tried - began) // 1_000_000
        key = (ids[int(lead)], int(cycle))
        # the answer names the owner where nobody is named: compare those that are
        told = view.get(key, ("", None, None))[2]
        by = told if told is None or (tried, told) in names else "?"
        counted[key] = (STARTS[int(found.start[n])], waited, by)
    return view, counted


@settings(max_examples=50)
@given(acts)
def test_the_view_has_the_clocks_of_the_question(chosen: list[Any]) -> None:
    view, counted = shown(read_model_database(), made(chosen))

    assert counted == view


def test_the_view_is_the_same_on_both_databases(database_url: str) -> None:
    draw = Random(4)
    facts = made(
        [
            (kind, draw.randrange(90), f"p{draw.randrange(40)}@example.com", f"/{n}")
            for n, kind in enumerate(draw.choices(_TYPES, k=800))
        ]
    )
    engine = create_engine(database_url)
    view, counted = shown(engine, facts)
    engine.dispose()

    assert len(counted) > 15
    assert any(waited for _, waited, _ in counted.values())
    assert any(waited is None for _, waited, _ in counted.values())
    assert counted == view
