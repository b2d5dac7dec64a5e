"""Ask which touches earned the conversions."""

from pathlib import Path
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
    duration_option,
    stage_option,
    table,
)
from leadflow.cli.reading import misuse, read_models, value_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow attribution --model linear --by campaign")(attribution)


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
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show which touches earned the conversions and their money, by a model."""
    from leadflow import charts
    from leadflow.paths import PATH_MODELS, attribution_of_paths

    check_plot(plot, as_json=as_json)
    if paths is not None:
        with misuse():
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
    draw(charts.attribution, document, plot)


def _attribution(console: Console, document: dict[str, Any], by: str) -> None:
    show_attribution(console, document, by)
    console.print("Next: leadflow sources", style="dim")


def show_attribution(console: Console, document: dict[str, Any], by: str) -> None:
    """Print an attribution for people."""
    total = amounts_text(document["amounts"])
    what = document["conversion"] or ""
    title = f"{document['conversions']:,} conversions {what} by {document['model']}: {total}"
    rows = [
        (value_text(row["value"]), f"{float(row['credit']):,.3f}", amounts_text(row["amounts"]))
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
