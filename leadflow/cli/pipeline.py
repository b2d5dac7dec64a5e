"""Ask where leads stand."""

from typing import Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    amounts_text,
    answer,
    table,
)
from leadflow.cli.reading import By, read_models, value_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow pipeline --by owner --as-of 2026-01-31")(pipeline)


def pipeline(
    ctx: typer.Context,
    by: By = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how many leads stand in which stage, and what they are worth."""
    from projections.pipeline import summary

    with read_models(ctx, as_of, known_at) as (_, connection):
        document = summary(connection, by, as_of)
    answer(document, as_json, lambda console: _pipeline(console, document, by))


def _pipeline(console: Console, document: dict[str, Any], by: str | None) -> None:
    show_pipeline(console, document, by)
    if document["leads"]:
        console.print("Next: leadflow funnel --steps captured,mql,opportunity,won", style="dim")
    else:
        console.print("Next: leadflow ingest FILE, or leadflow demo", style="dim")


def show_pipeline(console: Console, document: dict[str, Any], by: str | None = None) -> None:
    """Print a pipeline for people."""
    if not document["leads"]:
        console.print("no leads yet")
        return
    columns = ["stage", ">leads", ">amount", ">median days in stage"]
    title = f"{document['leads']:,} leads as of {document['as_of']}"
    rows = [_stage(stage) for stage in document["stages"]]
    console.print(table(title, columns, rows))
    for group in document["groups"]:
        console.print()
        title = f"{by}: {value_text(group['value'])} ({group['leads']:,} leads)"
        console.print(table(title, columns, [_stage(stage) for stage in group["stages"]]))


def _stage(stage: dict[str, Any]) -> tuple[Any, ...]:
    return (
        stage["stage"] or "(not captured)",
        stage["leads"],
        amounts_text(stage["amounts"]),
        stage["median_days_in_stage"],
    )
