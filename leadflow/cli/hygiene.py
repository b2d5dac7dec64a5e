"""Ask how clean the data on leads are, and which leads are behind it."""

from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    duration_option,
    percent,
    table,
)
from leadflow.cli.reading import read_models


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow hygiene --list bounced --limit 20")(hygiene)


def hygiene(
    ctx: typer.Context,
    required: Annotated[
        str | None,
        typer.Option(
            metavar="FIELDS",
            help="What a lead has to have, comma by comma; name,email,company,country,source if left"
            " out.",
        ),
    ] = None,
    stale: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Stale is who was not heard of for longer; 180d if left out.",
        ),
    ] = None,
    min_score: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="Score of `duplicates list` from which leads are duplicates; 40."
        ),
    ] = None,
    show: Annotated[
        str | None,
        typer.Option(
            "--list",
            metavar="WHAT",
            help="List the leads behind a figure: duplicate, incomplete, stale, bounced, untagged.",
        ),
    ] = None,
    duplicates: Annotated[
        bool,
        typer.Option(
            "--duplicates/--no-duplicates", help="Search for duplicates, which takes the longest."
        ),
    ] = True,
    limit: Annotated[int, typer.Option(min=1, help="Leads of the list at most.")] = 100,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how many leads are duplicates, incomplete, stale, bounced or untagged."""
    from domain.hygiene import STALE_AFTER
    from leadflow.duplicates import LIKELY
    from leadflow.hygiene import hygiene as hygiene_of
    from projections.hygiene import REQUIRED

    fields = (
        REQUIRED
        if required is None
        else [part.strip() for part in required.split(",") if part.strip()]
    )
    with read_models(ctx, as_of, known_at) as (app, connection):
        document = hygiene_of(
            app,
            connection,
            fields,
            stale_after=STALE_AFTER if stale is None else stale,
            min_score=LIKELY if min_score is None else min_score,
            as_of=as_of,
            show=show,
            limit=limit,
            duplicates=duplicates,
        )
    answer(document, as_json, lambda console: _hygiene(console, document, show))


def _hygiene(console: Console, document: dict[str, Any], show: str | None) -> None:
    leads = document["leads"]
    if not leads:
        console.print("no lead is captured yet")
        console.print("Next: leadflow ingest FILE, or leadflow demo", style="dim")
        return
    same, full = document["duplicates"], document["completeness"]
    old, mail, bare = document["staleness"], document["bounces"], document["untagged"]
    rows = [
        *(
            [("duplicates", percent(same["rate"]), f"{leads:,} leads, {same['clusters']:,} people")]
            if same
            else []
        ),
        ("completeness", percent(full["rate"]), f"{full['incomplete']:,} leads lack something"),
        *(
            (f"  {one['field']}", percent(one["rate"]), f"{one['filled']:,} leads")
            for one in full["fields"]
        ),
        (
            "stale",
            percent(old["rate"]),
            f"{old['leads']:,} leads not heard of for {old['after_seconds'] / 86_400:g} days",
        ),
        (
            "bounced",
            percent(mail["rate"]),
            _bounced(mail),
        ),
        ("untagged", percent(bare["rate"]), f"{bare['leads']:,} leads without source and campaign"),
    ]
    console.print(table(f"{leads:,} captured leads", ["", ">share", ""], rows))
    if "list" in document:
        console.print()
        _list(console, document["list"], show or "")
        console.print("Next: leadflow lead show KEY", style="dim")
    else:
        console.print("Next: leadflow hygiene --list incomplete", style="dim")


def _bounced(mail: dict[str, Any]) -> str:
    return (
        f"{mail['hard']:,} of {mail['sent']:,} messages, {mail['leads']:,} leads;"
        f" {mail['other']:,} soft"
    )


def _list(console: Console, found: list[dict[str, Any]], show: str) -> None:
    if not found:
        console.print(f"no lead is {show}")
    elif show == "duplicate":
        rows = [(len(one["leads"]), "\n".join(one["leads"])) for one in found]
        console.print(table("leads that may be one person", [">leads", "=lead"], rows))
    else:
        told = [(one["lead_id"], one["heard_at"], ", ".join(one["missing"])) for one in found]
        console.print(table(f"{show} leads", ["=lead", "=heard of last", "lacks"], told))
