"""Ask how conversion changes from cohort to cohort, and how long it takes."""

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
    percent,
    stage_option,
    table,
    to_option,
)
from leadflow.cli.funnel import Mode, Steps, Unit, brief_interval
from leadflow.cli.reading import By, no_leads, read_models, unless, value_text
from leadflow.instants import duration_text

_MONTH = 30 * 86_400_000_000


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow cohorts --steps mql,sql,won --every month --window 90d")(
        cohorts
    )
    app.command(epilog="Example: leadflow curve --from-stage mql --to-stage sql --by channel")(
        curve
    )


def cohorts(
    ctx: typer.Context,
    steps: Steps,
    every: Annotated[str, typer.Option(help="Length of a cohort: month, week or day.")] = "month",
    window: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="How long after the first step the others count; 30d where left out.",
        ),
    ] = None,
    mode: Mode = None,
    unit: Unit = "lead",
    since: Annotated[
        int | None,
        from_option("Cohorts from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("Cohorts before then."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show conversion by the month or week of the first step, the rates of the period beside it."""
    from leadflow.funnel_steps import parse_steps
    from leadflow.funnels import cohorts as cohorts_of
    from leadflow.funnels import default_mode
    from projections.funnel import Question

    with read_models(ctx, as_of, known_at) as (app, connection):
        asked = parse_steps(steps)
        check_period(since, until, "no cohort lies")
        how: Any = {"mode": mode or default_mode(asked), "unit": unit}
        question = Question(
            window=_MONTH if window is None else window, since=since, until=until, **how
        )
        length: Any = every
        document = cohorts_of(
            connection,
            app.store,
            app.rules,
            asked,
            question,
            length,
            as_of=as_of,
            known_at=known_at,
        )
        none = None if document["cohorts"] else no_leads(connection, as_of, known_at)
    answer(document, as_json, unless(none, lambda console: _cohorts(console, document)))


def _cohorts(console: Console, document: dict[str, Any]) -> None:
    rows: list[list[Any]] = []
    names: list[str] = []
    for cohort in document["cohorts"]:
        first, *others = cohort["steps"]
        names = [step["step"] for step in others]
        cells: list[Any] = [cohort["cohort"], "" if cohort["mature"] else "immature"]
        cells.append(first["leads"])
        for n, step in enumerate(others):
            told = f"{percent(step['rate_from_first'])} ({brief_interval(step['interval_from_first'])})"
            cells.append(told if first["leads"] else "-")
            if cohort["period"] is not None:
                of = cohort["period"][n]
                cells.append(
                    f"{percent(of['rate'])} of {of['exits_from_previous']:,}"
                    if of["rate"] is not None
                    else "-"
                )
        rows.append(cells)
    columns = [document["every"], "", ">entered"]
    for name in names:
        columns.append(f">{name}")
        if document["cohorts"][0]["period"] is not None:
            columns.append(f">{name}, in period")
    window = document["window_seconds"] // 86_400
    console.print(table(f"cohorts, {document['mode']}, within {window} d", columns, rows))
    if any(not cohort["mature"] for cohort in document["cohorts"]):
        console.print(
            "immature: not all of its leads have had the whole window yet; it may still rise",
            style="dim",
        )
    console.print("Next: leadflow curve --from-stage mql --to-stage sql", style="dim")


def curve(
    ctx: typer.Context,
    from_stage: Annotated[
        str,
        typer.Option(parser=stage_option, metavar="STAGE", help="Where the clock starts."),
    ],
    to_stage: Annotated[
        str,
        typer.Option(
            parser=stage_option,
            metavar="STAGE",
            help="Where it stops; a stage further on stops it, too.",
        ),
    ],
    by: By = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Take lost, disqualified and recycled for out of sight (Kaplan-Meier); it says"
            " more than will get there.",
        ),
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show how long leads take from a stage to another, those still on the way included."""
    from leadflow import charts
    from projections.curves import between_stages

    check_plot(plot, as_json=as_json)
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = between_stages(connection, from_stage, to_stage, by=by, plain=plain, as_of=as_of)
        none = no_leads(connection, as_of, known_at)
    answer(document, as_json, unless(none, lambda console: _curve(console, document, by)))
    draw(charts.curve, document, plot)


def _curve(console: Console, document: dict[str, Any], by: str | None) -> None:
    method = {"aalen_johansen": "Aalen-Johansen", "kaplan_meier": "Kaplan-Meier"}[
        document["method"]
    ]
    way = f"{document['from_stage']} to {document['to_stage']}"
    console.print(_curve_table(f"{way}, {method}", document))
    others = ", ".join(f"{one['stage']} {one['leads']:,}" for one in document["competing"])
    console.print(
        f"{document['leads']:,} entered {document['from_stage']}: {document['reached']:,} got"
        f" there, {document['open']:,} are on the way" + (f"; {others}" if others else "")
    )
    console.print(
        "by then: "
        + ", ".join(
            f"{one['share']:.0%} {duration_text(one['seconds']) or 'never'}"
            for one in document["quantiles"]
        )
    )
    for group in document["groups"]:
        console.print()
        console.print(_curve_table(f"{by}: {value_text(group['value'])}", group))
    console.print("Next: leadflow cohorts --steps mql,sql,won", style="dim")


def _curve_table(title: str, part: dict[str, Any]) -> Any:
    rows = [
        (
            row["days"],
            row["at_risk"],
            "█" * round(20 * row["reached"]),
            percent(row["reached"]),
            "-" if row["low"] is None else f"{row['low'] * 100:.1f}-{row['high'] * 100:.1f}",
        )
        for row in part["at_risk"]
    ]
    return table(title, [">days", ">at risk", "=", ">reached", ">95 %"], rows)
