"""Ask the read models: pipeline, funnel, attribution, sources."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    amounts_text,
    answer,
    duration_option,
    note,
    percent,
    session,
    stage_option,
    start_option,
    table,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadflow.app import App

By = Annotated[
    str | None,
    typer.Option(
        metavar="DIM",
        help="Group by owner, channel, source, medium, campaign, party, country, region, seniority,"
        " industry, company, account, company_size or product.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow pipeline --by owner --as-of 2026-01-31")(pipeline)
    app.command(
        epilog="Example: leadflow funnel --steps 'captured,form.submitted[kind=demo],won'"
        " --window 90d"
    )(funnel)
    app.command(epilog="Example: leadflow attribution --model linear --by campaign")(attribution)
    app.command(epilog="Example: leadflow sources --by campaign")(sources)


@contextmanager
def read_models(
    ctx: typer.Context, as_of: int | None = None, known_at: int | None = None
) -> "Generator[tuple[App, Connection]]":
    """Yield the application and a connection to its read models, as they were where asked."""
    with session(ctx).app() as app:
        lag = app.runner.lag()
        if as_of is None and known_at is None:
            if lag:
                note(f"the read models are {lag:,} positions behind: leadflow project")
            with app.connect() as connection, _misuse():
                yield app, connection
            return
        from projections.as_of import as_of_engine

        engine = as_of_engine(app.store, app.rules, as_of, known_at)
        try:
            with engine.connect() as connection, _misuse():
                yield app, connection
        finally:
            engine.dispose()


@contextmanager
def _misuse() -> Generator[None]:
    """Turn what the rooms refuse to compute into misuse: exit code 2."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


# --- pipeline -----------------------------------------------------------------------------------


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
        title = f"{by}: {_value(group['value'])} ({group['leads']:,} leads)"
        console.print(table(title, columns, [_stage(stage) for stage in group["stages"]]))


def _stage(stage: dict[str, Any]) -> tuple[Any, ...]:
    return (
        stage["stage"] or "(not captured)",
        stage["leads"],
        amounts_text(stage["amounts"]),
        stage["median_days_in_stage"],
    )


def _value(value: Any) -> str:
    return "(none)" if value is None else str(value)


# --- funnel -------------------------------------------------------------------------------------


def funnel(
    ctx: typer.Context,
    steps: Annotated[
        str,
        typer.Option(
            metavar="A,B,C",
            help="Stages, or other names of them (leadflow stages), and types of event; of events"
            " with a field: form.submitted[kind=demo].",
        ),
    ],
    window: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="From first to last step at most: 30d, 12h.",
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="ordered, strict, strict_all, any or monotone; left out, monotone for stages alone"
            " (who is further has been there) and else ordered."
        ),
    ] = None,
    by: By = None,
    since: Annotated[
        int | None,
        typer.Option(
            "--from", parser=start_option, metavar="TIME", help="First steps from then on."
        ),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option("--to", parser=start_option, metavar="TIME", help="First steps before then."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how many leads get from step to step, and how fast."""
    from leadflow.funnels import funnel as funnel_of
    from leadflow.funnels import parse_steps, refuse_twins
    from projections.stages import funnel as by_stages

    with read_models(ctx) as (app, connection):
        asked = parse_steps(steps)
        stages = all(step.is_stage for step in asked)
        how: Any = mode or ("monotone" if stages else "ordered")
        refuse_twins(asked, how)
        if since is not None and until is not None and since >= until:
            raise ValueError("--from is not before --to: no first step lies between them")
        limits = {"window": window, "by": by, "since": since, "until": until}
        if stages:
            names = [step.name for step in asked]
            document = by_stages(connection, names, mode=how, **limits)  # type: ignore[arg-type]  # a dict of options
        else:
            document = funnel_of(app.store, app.rules, asked, mode=how, **limits)  # type: ignore[arg-type]  # the same
    answer(document, as_json, lambda console: _funnel(console, document, by))


def _funnel(console: Console, document: dict[str, Any], by: str | None) -> None:
    show_funnel(console, document, by)
    console.print("Next: leadflow attribution --model linear", style="dim")


def show_funnel(console: Console, document: dict[str, Any], by: str | None = None) -> None:
    """Print a funnel for people."""
    console.print(_funnel_table(f"funnel, {document['mode']}", document["steps"]))
    for group in document["groups"]:
        console.print()
        console.print(_funnel_table(f"{by}: {_value(group['value'])}", group["steps"]))


def _funnel_table(title: str, steps: list[dict[str, Any]]) -> Any:
    most = max((step["leads"] for step in steps), default=0)
    rows = [
        (
            step["step"],
            step["leads"],
            "█" * round(20 * step["leads"] / most) if most else "",
            percent(step["rate_from_first"]),
            percent(step["rate_from_previous"]),
            _days(step["median_seconds_from_first"]),
        )
        for step in steps
    ]
    columns = ["step", ">leads", "=", ">of first", ">of previous", ">median from first"]
    return table(title, columns, rows)


def _days(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


# --- attribution --------------------------------------------------------------------------------


def attribution(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            help="first, last, last_non_direct, linear, time_decay, time_decay_stepped,"
            " u_first_last, j or inverse_j; of --paths also markov, shapley or shapley_rate."
        ),
    ] = "linear",
    conversion: Annotated[
        str,
        typer.Option(
            parser=stage_option,
            metavar="STAGE",
            help="What is credited: mql, sql, opportunity or won, or another name of these.",
        ),
    ] = "won",
    by: Annotated[
        str,
        typer.Option(help="channel, source, medium, campaign, content or term.", metavar="DIM"),
    ] = "channel",
    lookback: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Touches so long before the conversion count; 90d where left out.",
        ),
    ] = None,
    collapse: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Touches of one channel that close together are one; 30m where left out, 0: none.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    paths: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Credit the paths of this file instead: path, total_conversions, ...",
        ),
    ] = None,
    order: Annotated[
        int,
        typer.Option(
            min=1, max=9, metavar="K", help="Of markov: the last K channels make a state."
        ),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Show which touches earned the conversions and their money, by a model."""
    from leadflow.paths import PATH_MODELS, attribution_of_paths

    if paths is not None:
        with _misuse():
            document = attribution_of_paths(paths, model, order)
    elif model in PATH_MODELS or order != 1:
        raise typer.BadParameter(
            "markov, its order, shapley and shapley_rate look at journeys that led to nothing too:"
            " give them with --paths FILE.csv"
        )
    else:
        from domain.journey import COLLAPSE_GAP, LOOKBACK
        from projections.credit import attribution as attribution_of

        with read_models(ctx, as_of, known_at) as (_, connection):
            document = attribution_of(
                connection,
                model,
                by,
                conversion,
                LOOKBACK if lookback is None else lookback,
                COLLAPSE_GAP if collapse is None else collapse,
            )
    answer(document, as_json, lambda console: _attribution(console, document, by))


def _attribution(console: Console, document: dict[str, Any], by: str) -> None:
    show_attribution(console, document, by)
    console.print("Next: leadflow sources", style="dim")


def show_attribution(console: Console, document: dict[str, Any], by: str) -> None:
    """Print an attribution for people."""
    total = amounts_text(document["amounts"])
    what = document["conversion"] or ""
    title = f"{document['conversions']:,} conversions {what} by {document['model']}: {total}"
    rows = [
        (_value(row["value"]), f"{float(row['credit']):,.3f}", amounts_text(row["amounts"]))
        for row in document["rows"]
    ]
    nobody = document["unattributed"]
    if nobody["conversions"]:
        rows.append(
            ("(no touch)", f"{nobody['conversions']:,.3f}", amounts_text(nobody["amounts"]))
        )
    console.print(table(title, [by, ">credit", ">amount"], rows))
    if "no_null_paths" in document.get("warnings", ()):
        console.print(
            "no path led to nothing (total_null): without failures the model tells little more than"
            " how often a channel was met"
        )


# --- sources ------------------------------------------------------------------------------------


def sources(ctx: typer.Context, by: By = None, as_json: AsJson = False) -> None:
    """Show what becomes of leads, by where they first came from."""
    from projections.sources import summary

    with read_models(ctx) as (_, connection):
        document = summary(connection, by or "channel")
    answer(document, as_json, lambda console: _sources(console, document, by or "channel"))


def _sources(console: Console, document: dict[str, Any], by: str) -> None:
    rows = [
        (
            _value(row["value"]),
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
