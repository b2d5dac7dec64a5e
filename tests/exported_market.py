"""A simulated market in a database and as an export: what the examples for analysts read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from leadflow.app import App
from leadflow.export_relations import export_relations
from leadflow.files import ingest, open_lines
from leadflow.query import reader
from leadflow.settings import load_settings
from leadflow.simulate import market_for_events, simulate, write_jsonl

EVENTS: Final = 6_000


@dataclass(frozen=True, slots=True)
class ExportedMarket:
    """The same market twice."""

    connection: Connection
    """Reads the read models."""
    folder: Path
    """The views as Parquet."""


@contextmanager
def exported_market(folder: Path) -> Iterator[ExportedMarket]:
    """Yield a market in *folder*: in a database, and exported from it."""
    events, export = folder / "market.jsonl", folder / "export"
    write_jsonl(events, simulate(market_for_events(EVENTS, seed=7)).first(EVENTS))
    url = f"sqlite:///{folder / 'leadflow.db'}"
    with App(load_settings({"database_url": url})) as app:
        app.prepare()
        with open_lines(str(events)) as stream:
            ingest(stream, app.store, app.intake(), as_if_live=True)
        app.runner.catch_up()
    with reader(url) as connection:
        export_relations(connection, export, "parquet")
        yield ExportedMarket(connection, export)


def offline(**words: str) -> dict[str, str]:
    """Return an environment in which no program asks the network for news, and *words*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADFLOW_")}
    return {**kept, "DO_NOT_TRACK": "1", "NO_COLOR": "1", "TZ": "UTC", **words}
