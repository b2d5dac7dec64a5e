"""Ask how often leads are reached out to."""

from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    check_period,
    duration_option,
    from_option,
    interval_text,
    percent,
    table,
    to_option,
)
from leadflow.cli.reading import By, read_models, value_text
from leadflow.instants import brief_duration


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow touch-coverage --by channel --wanted 5,7")(touch_coverage)


def touch_coverage(
    ctx: typer.Context,
    by: By = None,
    since: Annotated[
        int | None,
        from_option("Cycles that open from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("Cycles that open before then."),
    ] = None,
    wanted: Annotated[
        str,
        typer.Option(metavar="N,M", help="How many touches a lead is meant to get."),
    ] = "5,7",
    within: Annotated[
        int,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="How soon after its capture a person is to have followed up.",
        ),
    ] = "14d",  # type: ignore[assignment]  # typer parses the default as it parses what is typed
    with_automated: Annotated[
        bool,
        typer.Option("--with-automated", help="Count what programmes and machines sent, too."),
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how often people reach out to leads, over how many channels, and whom nobody calls."""
    from projections.coverage import touch_coverage as coverage_of

    check_period(since, until, "no cycle opens")
    try:
        least = [int(word) for word in wanted.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{wanted!r} are no numbers; write 5,7", param_hint="--wanted"
        ) from None
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = coverage_of(
            connection,
            by=by,
            since=since,
            until=until,
            as_of=as_of,
            wanted=least,
            within=within,
            with_automated=with_automated,
        )
    answer(document, as_json, lambda console: _coverage(console, document, by))


def _coverage(console: Console, document: dict[str, Any], by: str | None) -> None:
    kind = "touches" if document["with_automated"] else "touches by people"
    console.print(f"{document['cycles']:,} cycles of leads, {document['touches']:,} {kind}")
    for share in document["shares"]:
        console.print(
            f"{share['at_least']} touches or more: {share['cycles']:,}, {percent(share['share'])}"
            f" (95 %: {interval_text(share['interval']) or '-'})"
        )
    silent = document["no_follow_up"]
    console.print(
        f"nobody followed up within {brief_duration(silent['within_seconds'])}:"
        f" {silent['leads']:,} of {silent['due']:,} leads, {percent(silent['share'])}"
    )
    if document["cycles"]:
        console.print()
        console.print(_rows("touches", document["distribution"]))
        console.print()
        console.print(_rows("channels", document["channels"]))
    if document["groups"]:
        console.print()
        console.print(_groups(document["groups"], by))
    console.print("Next: leadflow speed --by rep", style="dim")


def _rows(what: str, found: list[dict[str, Any]]) -> Any:
    rows = [
        (
            f"{row[what]}+" if row.get("or_more") else str(row[what]),
            row["cycles"],
            row["won"],
            percent(row["conversion"]),
            interval_text(row["interval"]),
        )
        for row in found
    ]
    return table(None, [f">{what}", ">cycles", ">won", ">of them", ">95 % interval"], rows)


def _groups(groups: list[dict[str, Any]], by: str | None) -> Any:
    least = [share["at_least"] for share in groups[0]["shares"]]
    rows = [
        (
            value_text(group["value"]),
            group["cycles"],
            group["mean_touches"],
            group["mean_channels"],
            *(percent(share["share"]) for share in group["shares"]),
            percent(group["no_follow_up"]["share"]),
        )
        for group in groups
    ]
    columns = [by or "", ">cycles", ">touches", ">channels", *(f">{n} or more" for n in least)]
    return table(None, [*columns, ">not followed up"], rows)
