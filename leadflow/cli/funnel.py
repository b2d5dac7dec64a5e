"""Ask how many leads get from step to step."""

from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.charting import Plot, check_plot, draw
from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    check_period,
    duration_option,
    from_option,
    note,
    percent,
    table,
    to_option,
)
from leadflow.cli.reading import no_leads, read_models, unless, value_text
from leadflow.instants import duration_text

Steps = Annotated[
    str,
    typer.Option(
        metavar="A,B,C",
        help="Stages, or other names of them (leadflow stages), and types of event; of events"
        " with fields: form.submitted[kind=demo], deal.won[amount>1000]; = != < > and ~ (contains).",
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        help="ordered, strict, strict_all, any or monotone; left out, monotone for stages alone"
        " (who is further has been there) and else ordered."
    ),
]
Unit = Annotated[
    str, typer.Option(help="What counts: lead, cycle (each of a lead's) or account (companies).")
]


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: leadflow funnel --steps 'captured,form.submitted[kind=demo],won'"
        " --window 90d"
    )(funnel)


def funnel(
    ctx: typer.Context,
    steps: Steps,
    window: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="From first to last step at most: 30d, 12h.",
        ),
    ] = None,
    mode: Mode = None,
    unit: Unit = "lead",
    by: Annotated[
        str | None,
        typer.Option(
            metavar="DIM",
            help="Group by a dimension of the lead (owner, channel, source, campaign, country,"
            " industry, ...), or by a field of the events: event.kind, event.touch.campaign.",
        ),
    ] = None,
    reading: Annotated[
        str | None,
        typer.Option(
            help="Whose value groups: current (the lead's now), first or conversion (the first or"
            " last known along its steps), step (at each step its own) or step:K (at step K, of"
            " those who took it); left out, current for leads and first for fields of events."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT[:I-J]",
            help="What must not happen between steps I and J, numbered from 1; without numbers,"
            " between the first and the last. May be repeated.",
        ),
    ] = None,
    increase: Annotated[
        bool, typer.Option("--increase", help="Each step later than the one before, never equal.")
    ] = False,
    since: Annotated[
        int | None,
        from_option("First steps from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("First steps before then."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show how many leads get from step to step, and how fast."""
    from leadflow import charts
    from leadflow.funnel_steps import parse_exclusion, parse_steps, unknown_words
    from leadflow.funnels import FIELD, default_mode
    from leadflow.funnels import funnel as funnel_of
    from projections.funnel import Question

    check_plot(plot, as_json=as_json)
    with read_models(ctx, as_of, known_at) as (app, connection):
        asked = parse_steps(steps)
        excluded = [parse_exclusion(text, len(asked)) for text in exclude or ()]
        check_period(since, until, "no first step lies")
        of_events = by is not None and by.startswith(FIELD)
        read, _, at_step = (reading or ("first" if of_events else "current")).partition(":")
        if at_step and (read != "step" or not at_step.isdecimal()):
            raise ValueError(f"--reading {reading}: write step:2 for the value at step 2")
        how: Any = {
            "mode": mode or default_mode(asked),
            "unit": unit,
            "reading": read,
            "at_step": int(at_step) if at_step else None,
        }
        question = Question(
            window=window,
            increase=increase,
            exclusions=tuple((out.after, out.before) for out in excluded),
            since=since,
            until=until,
            by=by,
            **how,
        )
        document = funnel_of(
            connection,
            app.store,
            app.rules,
            asked,
            question,
            excluded,
            as_of=as_of,
            known_at=known_at,
        )
        # events are asked of the history, which may be ahead of the read models
        some = any(step["leads"] for step in document["steps"])
        none = None if some else no_leads(connection, as_of, known_at)
    answer(document, as_json, unless(none, lambda console: _funnel(console, document, by)))
    for words in unknown_words(asked, [step["leads"] for step in document["steps"]]):
        note(words)
    draw(charts.funnel, document, plot)


def _funnel(console: Console, document: dict[str, Any], by: str | None) -> None:
    show_funnel(console, document, by)
    console.print("Next: leadflow attribution --model linear", style="dim")


def show_funnel(console: Console, document: dict[str, Any], by: str | None = None) -> None:
    """Print a funnel for people."""
    unit = document["unit"]
    title = f"funnel, {document['mode']}" + (f", by {unit}" if unit != "lead" else "")
    console.print(funnel_table(title, document["steps"]))
    for group in document["groups"]:
        console.print()
        of = {"current": "", "first": ", first", "conversion": ", last"}.get(
            document["reading"], f" at {_which(document['reading_step'])}"
        )
        console.print(funnel_table(f"{by}{of}: {value_text(group['value'])}", group["steps"]))


def _which(step: int | None) -> str:
    return "each step" if step is None else f"step {step}"


def funnel_table(title: str, steps: list[dict[str, Any]]) -> Any:
    """Return the table of the steps of one funnel."""
    most = max((step["leads"] for step in steps), default=0)
    rows = [
        (
            step["step"],
            step["leads"],
            "█" * round(20 * step["leads"] / most) if most else "",
            percent(step["rate_from_first"]),
            percent(step["rate_from_previous"]),
            brief_interval(step["interval_from_previous"]) if n else "",
            duration_text(step["median_seconds_from_first"]),
            duration_text(step["median_seconds_from_previous"]) if n else "",
            duration_text(step["p90_seconds_from_previous"]) if n else "",
        )
        for n, step in enumerate(steps)
    ]
    columns = [
        "step",
        ">leads",
        "=",
        ">of first",
        ">of previous",
        ">95 %",
        ">median from first",
        ">from previous",
        ">P90",
    ]
    return table(title, columns, rows)


def brief_interval(interval: list[float] | None) -> str:
    """Return an interval of a rate in whole percent: 28-34."""
    return "-" if interval is None else f"{interval[0] * 100:.0f}-{interval[1] * 100:.0f}"
