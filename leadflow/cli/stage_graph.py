"""Ask which stage follows which."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    check_period,
    from_option,
    percent,
    table,
    to_option,
)
from leadflow.cli.reading import By, read_models, value_text
from leadflow.instants import duration_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow stage-graph --from 2026-01-01 --mermaid")(stage_graph)


def stage_graph(
    ctx: typer.Context,
    by: By = None,
    by_cycle_kind: Annotated[
        bool,
        typer.Option(
            "--by-cycle-kind",
            help="Group by what opened the cycle: new, recycled, reopened, expansion.",
        ),
    ] = False,
    since: Annotated[
        int | None,
        from_option("Stays that began from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("Stays that began before."),
    ] = None,
    dot: Annotated[bool, typer.Option("--dot", help="Print Graphviz text.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid text.")] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show which stage follows which, how often, after how long, and where leads go back."""
    from leadflow import stage_graph_text
    from projections.stage_graph import CYCLE_KIND
    from projections.stage_graph import stage_graph as graph_of

    if by is not None and by_cycle_kind:
        raise typer.BadParameter("--by and --by-cycle-kind both group: leave one out")
    if dot + mermaid + as_json > 1:
        raise typer.BadParameter("--dot, --mermaid and --json are three forms: choose one")
    check_period(since, until, "no stay begins")
    group = CYCLE_KIND if by_cycle_kind else by
    if group is not None and (dot or mermaid):
        raise typer.BadParameter("--dot and --mermaid draw one graph: leave out the grouping")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = graph_of(connection, group, since=since, until=until, as_of=as_of)
    if dot or mermaid:
        draw = stage_graph_text.dot if dot else stage_graph_text.mermaid
        sys.stdout.write(draw(document))
        return
    name = "cycle" if by_cycle_kind else by
    answer(document, as_json, lambda console: _graph(console, document, name))


def _graph(console: Console, document: dict[str, Any], by: str | None) -> None:
    if not document["nodes"]:
        console.print("no lead entered a stage in that time")
        return
    console.print(f"[bold]{document['leads']:,} leads[/] as of {document['as_of']}")
    _tables(console, document)
    for group in document["groups"]:
        console.print()
        console.print(f"{by}: {value_text(group['value'])}", style="bold", markup=False)
        _tables(console, group)
    console.print("Next: leadflow handoffs", style="dim")


def _tables(console: Console, graph: dict[str, Any]) -> None:
    nodes = [
        (
            one["stage"],
            one["entries"],
            one["leads"],
            one["still_there"],
            *(duration_text(one["dwell_seconds"][part]) for part in ("p50", "p90")),
            *(duration_text(one["km_dwell_seconds"][part]) for part in ("p50", "p90")),
        )
        for one in graph["nodes"]
    ]
    columns = [">entries", ">leads", ">still there", ">P50 of ended", ">P90", ">P50 of all", ">P90"]
    console.print(table(None, ["stage", *columns], nodes))
    edges = [
        (
            one["from"] or "(start)",
            one["to"],
            one["count"],
            percent(one["share_of_exits"]),
            *(duration_text(one["dwell_seconds"][part]) for part in ("p50", "p90")),
            ", ".join(
                word
                for word, holds in (("back", one["is_backward"]), ("new cycle", one["opens_cycle"]))
                if holds
            ),
        )
        for one in graph["edges"]
    ]
    columns = [">times", ">of exits", ">after P50", ">P90", "="]
    console.print(table(None, ["from", "to", *columns], edges))
