"""How far everything is, for people who watch over it."""

from dataclasses import replace
from typing import Any, Final

import structlog
from sqlalchemy import func, select

from leadflow.app import App
from leadflow.files import now
from leadflow.store.tables import SCHEMA, seen
from projections.pipeline import pipeline
from projections.rows import READ_MODELS

_log = structlog.get_logger(__name__)

_PATIENCE_MS: Final = 2_000
"""How long to wait for a broker that is only asked for its ends, milliseconds."""


def status(app: App) -> dict[str, Any]:
    """Return positions, checkpoints and counts, in the shape of `leadflow status --json`.

    *events* counts what was accepted, *decisions* what followed from it. The end of a topic is
    known to the broker alone: None when it does not answer within two seconds, and for files.
    """
    positions = app.store.all_positions()
    ends = _ends(app, {stream for stream, _, _ in positions})
    counts = app.store.counts()
    with app.connect() as connection:
        leads = connection.execute(select(func.count()).select_from(pipeline)).scalar_one()
    schema = SCHEMA if app.engine.dialect.name == "postgresql" else None
    engine = app.engine.execution_options(schema_translate_map={SCHEMA: schema})
    with engine.connect() as connection:
        events = connection.execute(select(func.count()).select_from(seen)).scalar_one()
    checkpoint, lag = app.runner.checkpoint(), app.runner.lag()
    book, file = app.rules, app.settings.policy_path
    in_force = book.at(now())
    return {
        "positions": [
            {
                "stream": stream,
                "partition": partition,
                "position": position,
                "end": (end := ends.get((stream, partition))),
                "lag": None if end is None else max(0, end - position),
            }
            for stream, partition, position in positions
        ],
        "read_models": [
            {"name": one.name, "checkpoint": checkpoint, "lag": lag} for one in READ_MODELS
        ],
        "dead_letters": counts["dead_letters"],
        "leads": leads,
        "events": events,
        "decisions": counts["events"] - events - book.stream_version,
        "policy": {
            "in_force": in_force.version,
            "configured": app.policy.version,
            "file": None if file is None else str(file),
            "differs": file is not None and app.policy.version != in_force.version,
        },
    }


def _ends(app: App, streams: set[str]) -> dict[tuple[str, int], int]:
    """Return the ends of the topic's partitions, as far as the broker tells them."""
    topic = app.settings.topic_interactions
    if topic not in streams:
        return {}
    from consumers.stream import StreamError, end_positions

    try:
        found = end_positions(replace(app.settings.kafka, connect_timeout_ms=_PATIENCE_MS), topic)
    except StreamError as error:
        _log.info("broker.silent", error=str(error))
        return {}
    return {(topic, partition): end for partition, end in found.items()}
