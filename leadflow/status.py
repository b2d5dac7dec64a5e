"""How far everything is, for people who watch over it."""

from typing import Any

from sqlalchemy import func, select

from leadflow.app import App
from leadflow.store.tables import SCHEMA, seen
from projections.pipeline import pipeline
from projections.rows import READ_MODELS


def status(app: App) -> dict[str, Any]:
    """Return positions, checkpoints and counts, in the shape of `leadflow status --json`.

    *events* counts what was accepted, *decisions* what followed from it. The end of a stream is
    known to the broker alone; None where nobody asked it.
    """
    counts = app.store.counts()
    with app.connect() as connection:
        leads = connection.execute(select(func.count()).select_from(pipeline)).scalar_one()
    schema = SCHEMA if app.engine.dialect.name == "postgresql" else None
    engine = app.engine.execution_options(schema_translate_map={SCHEMA: schema})
    with engine.connect() as connection:
        events = connection.execute(select(func.count()).select_from(seen)).scalar_one()
    checkpoint, lag = app.runner.checkpoint(), app.runner.lag()
    return {
        "positions": [
            {
                "stream": stream,
                "partition": partition,
                "position": position,
                "end": None,
                "lag": None,
            }
            for stream, partition, position in app.store.all_positions()
        ],
        "read_models": [
            {"name": one.name, "checkpoint": checkpoint, "lag": lag} for one in READ_MODELS
        ],
        "dead_letters": counts["dead_letters"],
        "leads": leads,
        "events": events,
        "decisions": counts["events"] - events,
    }
