"""Ask how far the leads of each channel get, and where they stop."""

from fractions import Fraction
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    amounts_text,
    answer,
    check_period,
    from_option,
    percent,
    table,
    to_option,
)
from leadflow.cli.reading import By, read_models, value_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow channels --by campaign --from 2026-01-01")(channels)


def channels(
    ctx: typer.Context,
    by: By = None,
    since: Annotated[
        int | None,
        from_option("Captured from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("Captured before then."),
    ] = None,
    significance: Annotated[
        str,
        typer.Option(
            metavar="RATE", help="How often chance alone may bring any finding at all, 0 to 0.5."
        ),
    ] = "0.05",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how far the leads of each channel get, where they leak, and what to try."""
    from projections.channel_matrix import channel_matrix

    check_period(since, until, "no lead is captured")
    try:
        level = Fraction(significance)
    except (ValueError, ZeroDivisionError):
        raise typer.BadParameter(
            f"--significance {significance!r} is no number; write 0.05"
        ) from None
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = channel_matrix(
            connection, by or "channel", since=since, until=until, significance=level
        )
    answer(document, as_json, lambda console: _channels(console, document))


def _channels(console: Console, document: dict[str, Any]) -> None:
    if not document["leads"]:
        console.print("no leads in that time")
        return
    rows = [
        _row({"value": "all", **document}),
        *(_row({**row, "value": value_text(row["value"])}) for row in document["rows"]),
    ]
    columns = [">captured", ">mql", ">sal", ">sql", ">opportunity", ">won", ">amount"]
    title = f"{document['leads']:,} leads by first {document['by']}; of the stage before in %"
    console.print(table(title, [document["by"], ">leads", *columns], rows))
    console.print()
    found = [
        (
            value_text(row["value"]),
            one["finding"],
            one["class"],
            one["compared"],
            percent(one["rate"]),
            percent(one["rate_of_rest"]),
            one["lever"],
        )
        for row in document["rows"]
        for one in row["findings"]
    ]
    if found:
        columns = ["finding", "class", "compared", ">rate", ">of the others", "what to try"]
        console.print(table("beyond chance", [document["by"], *columns], found))
    else:
        console.print(
            f"nothing beyond chance: {document['tests']:,} comparisons,"
            f" {document['too_few']:,} left out for too few leads"
        )
    console.print("Next: leadflow handoffs --by channel", style="dim")


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    steps = [f"{row['captured']:,}"]
    for one in row["conversions"]:
        rate = "" if one["rate"] is None else f" ({one['rate'] * 100:.0f})"
        steps.append(f"{row[one['to']]:,}{rate}")
    return row["value"], row["leads"], *steps, amounts_text(row["amounts"])
