"""Ask how many leads get from step to step."""

from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    answer,
    duration_option,
    percent,
    start_option,
    table,
)
from leadflow.cli.reading import By, read_models, value_text


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: leadflow funnel --steps 'captured,form.submitted[kind=demo],won'"
        " --window 90d"
    )(funnel)


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
        console.print(_funnel_table(f"{by}: {value_text(group['value'])}", group["steps"]))


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
