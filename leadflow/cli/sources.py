"""Ask what becomes of leads, by where they came from, and what they cost."""

from typing import Annotated, Any

import typer
from rich.console import Console, Group

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
from leadflow.cli.reading import By, no_leads, read_models, unless, value_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow sources --by campaign --from 2026-01-01")(sources)


def sources(
    ctx: typer.Context,
    by: By = None,
    since: Annotated[
        int | None,
        from_option("Leads first touched, and days of spend, from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("Leads first touched, and days of spend, before then."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what becomes of leads, by where they first came from, and what they cost."""
    from projections.sources import summary

    check_period(since, until, "nothing lies")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = summary(connection, by or "channel", since, until)
        none = no_leads(connection, as_of, known_at, or_spend=True)
    show = unless(none, lambda console: _sources(console, document, by or "channel"))
    answer(document, as_json, show)


def ratios_text(paid: list[dict[str, Any]], name: str) -> str:
    """Return the ratios *name* of one or several currencies as people read them."""
    several = len(paid) > 1
    told = [
        f"{one[name]:,.2f}{' ' + one['currency'] if several else ''}"
        for one in paid
        if one[name] is not None
    ]
    return ", ".join(told) or "-"


def prices_text(paid: list[dict[str, Any]], name: str) -> str:
    """Return the prices *name* of one or several currencies as people read them."""
    return amounts_text(
        [
            {"currency": one["currency"], "amount": one[name]}
            for one in paid
            if one[name] is not None
        ]
    )


def _sources(console: Console, document: dict[str, Any], by: str) -> None:
    spent = bool(document["spend"])
    rows = [
        [
            value_text(row["value"]),
            row["leads"],
            row["mql"],
            row["sql"],
            row["opportunity"],
            row["won"],
            percent(row["conversion_to_won"]),
            amounts_text(row["amounts"]),
        ]
        for row in document["rows"]
    ]
    columns = [by, ">leads", ">mql", ">sql", ">opportunity", ">won", ">to won", ">amount"]
    console.print(table("by first touch", columns, rows))
    if spent:
        console.print()
        console.print(_costs(document, by))
    show_unmatched(console, document["unmatched"], by)
    console.print(f"Next: leadflow economics --by {by}" if spent else _NEXT, style="dim")


def _costs(document: dict[str, Any], by: str) -> Group:
    """Return the table of what was paid, of the rows for which something was."""
    rows = []
    for row in document["rows"]:
        paid = row["costs"]
        if any(one["spend"] is not None for one in paid):
            prices = (prices_text(paid, name) for name in ("spend", "cost_per_lead", "cac"))
            rows.append([value_text(row["value"]), *prices, ratios_text(paid, "roas")])
    return table("what they cost", [by, ">spend", ">per lead", ">cac", ">roas"], rows)


_NEXT = "Next: leadflow lead show KEY"


def show_unmatched(console: Console, unmatched: dict[str, Any], by: str) -> None:
    """Print the spend that is in no row, and why."""
    if not unmatched["spend"]:
        return
    console.print(f"spend in no row: {amounts_text(unmatched['spend'])}")
    if unmatched.get("reason"):
        console.print(f"  {unmatched['reason']}", markup=False)
    for one in unmatched.get("values", ())[:_MOST]:
        what = (
            f"names no {by}"
            if one["value"] is None
            else f"{one['value']}: no lead first came from it"
        )
        console.print(f"  {amounts_text(one['spend'])} {what}", markup=False)


_MOST = 10
"""Values of unmatched spend that are shown to people; --json has all."""
