"""Ask where leads stand."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.charting import Plot, check_plot, draw
from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    amounts_text,
    answer,
    check_period,
    duration_option,
    from_option,
    table,
    to_option,
)
from leadflow.cli.reading import By, read_models, value_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow pipeline --by owner --as-of 2026-01-31 --stuck 10")(
        pipeline
    )


def pipeline(
    ctx: typer.Context,
    by: By = None,
    stuck: Annotated[
        int,
        typer.Option(
            min=0,
            max=100_000,
            metavar="N",
            help="List so many of the stuck leads, the longest silent first.",
        ),
    ] = 0,
    silent_for: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Stuck is who is silent for longer than this: 14d, 2w; left out, longer than nine"
            " stays of ten in the stage take.",
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(metavar="PERIOD", help="Show it at the end of each day, week or month."),
    ] = None,
    since: Annotated[
        int | None,
        from_option("With --every: from then."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("With --every: before then."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show how many leads stand in which stage, for how long, and what they are worth."""
    from leadflow.charts import pipeline_over_time
    from projections.pipeline_now import summary
    from projections.pipeline_over_time import over_time

    if every is None and (since is not None or until is not None):
        raise typer.BadParameter("--from and --to need --every day, week or month")
    if every is None and plot is not None:
        raise typer.BadParameter(
            "--plot draws the pipeline over time: add --every day, week or month"
        )
    check_plot(plot, as_json=as_json)
    if every is not None and (stuck or silent_for is not None):
        raise typer.BadParameter("--every has no stuck leads: leave out --stuck and --silent-for")
    check_period(since, until, "no time lies")
    with read_models(ctx, as_of, known_at) as (_, connection):
        if every is not None:
            period: Any = every
            series = over_time(connection, period, by, since=since, until=until, as_of=as_of)
        else:
            document = summary(connection, by, as_of, stuck=stuck, silent_for=silent_for)
    if every is not None:
        answer(series, as_json, lambda console: _over_time(console, series, by))
        draw(pipeline_over_time, series, plot)
    else:
        answer(document, as_json, lambda console: _pipeline(console, document, by, stuck))


def _pipeline(console: Console, document: dict[str, Any], by: str | None, stuck: int) -> None:
    show_pipeline(console, document, by)
    if document["opportunities"]:
        console.print()
        rows = [
            (
                one["stage_name"] or "(none)",
                one["opportunities"],
                amounts_text(one["amounts"]),
                one["median_days_open"],
            )
            for one in document["opportunities"]
        ]
        columns = ["open opportunities", ">number", ">amount", ">median days open"]
        console.print(table(None, columns, rows))
    if stuck and document["stuck"]["rows"]:
        console.print()
        _stuck(console, document["stuck"])
    elif not document["leads"] and document["as_of"] is not None:
        console.print("Next: leadflow pipeline, or a later --as-of", style="dim")
    elif not document["leads"]:
        console.print("Next: leadflow ingest FILE, or leadflow demo", style="dim")
    elif document["stuck"]["leads"] and not stuck:
        console.print("Next: leadflow pipeline --stuck 20", style="dim")
    else:
        console.print("Next: leadflow funnel --steps captured,mql,opportunity,won", style="dim")


def show_pipeline(console: Console, document: dict[str, Any], by: str | None = None) -> None:
    """Print a pipeline for people."""
    if not document["leads"]:
        at = document["as_of"]
        console.print("no leads yet" if at is None else f"no leads as of {at}")
        return
    columns = ["stage", ">leads", ">amount", ">median days in stage", ">P90"]
    limited = any(stage["silent_limit_days"] is not None for stage in document["stages"])
    if limited:
        columns += [">stuck", ">silent for"]
    title = f"{document['leads']:,} leads as of {document['as_of']}"
    rows = [_stage(stage)[: len(columns)] for stage in document["stages"]]
    console.print(table(title, columns, rows))
    for group in document["groups"]:
        console.print()
        title = f"{by}: {value_text(group['value'])} ({group['leads']:,} leads)"
        rows = [_stage(stage)[: len(columns)] for stage in group["stages"]]
        console.print(table(title, columns, rows))


def _stage(stage: dict[str, Any]) -> tuple[Any, ...]:
    limit = stage["silent_limit_days"]
    return (
        stage["stage"] or "(not captured)",
        stage["leads"],
        amounts_text(stage["amounts"]),
        stage["median_days_in_stage"],
        stage["p90_days_in_stage"],
        stage["stuck"],
        None if limit is None else f"> {limit:,.1f} d",
    )


def _stuck(console: Console, stuck: dict[str, Any]) -> None:
    rows = [
        (
            one["stage"],
            one["days_silent"],
            one["days_in_stage"],
            one["owner"],
            one["account"],
            amounts_text(one["amounts"]),
            one["lead_id"],
        )
        for one in stuck["rows"]
    ]
    columns = ["stage", ">days silent", ">in stage", "owner", "account", ">open amount", "=lead"]
    console.print(table(f"{len(rows):,} of {stuck['leads']:,} stuck leads", columns, rows))
    lead = stuck["rows"][0]["lead_id"]
    console.print(f"Next: leadflow lead timeline {lead}", style="dim", markup=False)


def _over_time(console: Console, document: dict[str, Any], by: str | None) -> None:
    if not document["points"]:
        console.print("nothing happened in that time")
        return
    found = {stage["stage"] for point in document["points"] for stage in point["stages"]}
    from domain.stages import LOST, STAGES, WON
    from domain.standing import WORKED

    # the others are told by --json: this has to fit a terminal
    stages = [stage for stage in STAGES if stage in found and stage in {*WORKED, WON, LOST}]
    columns = [document["every"], *(f">{stage}" for stage in stages), ">open amount", ">won amount"]
    _series(console, f"as known at {document['as_of']}", columns, stages, document["points"])
    values = {group["value"]: None for point in document["points"] for group in point["groups"]}
    for value in values:
        console.print()
        points = [
            {**group, "period": point["period"], "is_complete": point["is_complete"]}
            for point in document["points"]
            for group in point["groups"]
            if group["value"] == value
        ]
        _series(console, f"{by}: {value_text(value)}", columns, stages, points)
    console.print("Next: leadflow pipeline --as-of DAY", style="dim")


def _series(
    console: Console,
    title: str,
    columns: list[str],
    stages: Sequence[str],
    points: list[dict[str, Any]],
) -> None:
    rows = []
    for point in points:
        told = {stage["stage"]: stage for stage in point["stages"]}
        leads = [told[stage]["leads"] if stage in told else 0 for stage in stages]
        won = told["won"]["amounts"] if "won" in told else []
        name = point["period"] if point["is_complete"] else f"{point['period']} (so far)"
        rows.append((name, *leads, amounts_text(point["open_amounts"]), amounts_text(won)))
    console.print(table(title, columns, rows))
