"""Ask what becomes of leads, by where they came from."""

from typing import Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    amounts_text,
    answer,
    percent,
    table,
)
from leadflow.cli.reading import By, read_models, value_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow sources --by campaign")(sources)


def sources(ctx: typer.Context, by: By = None, as_json: AsJson = False) -> None:
    """Show what becomes of leads, by where they first came from."""
    from projections.sources import summary

    with read_models(ctx) as (_, connection):
        document = summary(connection, by or "channel")
    answer(document, as_json, lambda console: _sources(console, document, by or "channel"))


def _sources(console: Console, document: dict[str, Any], by: str) -> None:
    rows = [
        (
            value_text(row["value"]),
            row["leads"],
            row["mql"],
            row["sql"],
            row["opportunity"],
            row["won"],
            percent(row["conversion_to_won"]),
            amounts_text(row["amounts"]),
        )
        for row in document["rows"]
    ]
    columns = [by, ">leads", ">mql", ">sql", ">opportunity", ">won", ">to won", ">amount"]
    console.print(table("by first touch", columns, rows))
    console.print("Next: leadflow lead show KEY", style="dim")
