"""Ask what the pipeline is worth in the months to come, and how far that can be believed."""

from fractions import Fraction
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    from_option,
    note,
    percent,
    table,
    to_option,
)
from leadflow.cli.reading import read_models
from leadflow.cli.sales import money_text, share_option, span_option


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow forecast --as-of 2026-03-01 --months 3")(forecast)


def forecast(
    ctx: typer.Context,
    months: Annotated[
        int | None,
        typer.Option(
            min=1, max=60, metavar="N", help="Months to forecast; 6, or 3 in a back-test."
        ),
    ] = None,
    since: Annotated[
        int | None,
        from_option("A time in the first month; else the month that goes on or begins then."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("A time in the last month."),
    ] = None,
    commit: Annotated[
        Fraction | None,
        typer.Option(
            parser=share_option,
            metavar="SHARE",
            help="Probability from which an opportunity is committed; 0.7 if left out.",
        ),
    ] = None,
    assume_mean: Annotated[
        bool,
        typer.Option(
            "--assume-mean",
            help="Take the mean won amount of the product for amounts that are unknown.",
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of the simulation; else from what is simulated."),
    ] = None,
    back_test: Annotated[
        bool,
        typer.Option(
            "--back-test", help="Forecast as of past ends of months, and compare with what came."
        ),
    ] = False,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="month|quarter", help="Back-test: at the ends of months, or of quarters."
        ),
    ] = None,
    origins: Annotated[
        int | None,
        typer.Option(
            min=1, max=120, metavar="N", help="Back-test: how many past ends; 6 if left out."
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what open opportunities will bring by month: probability x amount, with intervals.

    Without --known-at, --as-of also leaves out what was recorded later.
    """
    from domain.months import month_of
    from leadflow.sales_forecast import back_test as back_test_of
    from leadflow.sales_forecast import sales_forecast
    from projections.sales_forecast import COMMIT

    span = span_option(every)
    if not back_test and (every is not None or origins is not None):
        raise typer.BadParameter("--every and --origins belong to --back-test: add it")
    if back_test and (since is not None or until is not None or commit is not None):
        raise typer.BadParameter(
            "--from, --to and --commit do not go with --back-test: it forecasts from past ends of"
            " months; write --origins and --months"
        )
    if until is not None and months is not None:
        raise typer.BadParameter("--to and --months both say where to end: leave one out")
    if back_test:
        with read_models(ctx, as_of, known_at) as (app, connection):
            document = back_test_of(
                app,
                connection,
                known_at=known_at,
                months=months or 3,
                origins=origins or 6,
                every=span or "month",
                assume=assume_mean,
                seed=seed,
                tell=note,
            )
        answer(document, as_json, lambda console: _back_test(console, document))
        return
    heard = as_of if known_at is None else known_at
    with read_models(ctx, as_of, heard) as (app, connection):
        from projections.pipeline import observed_until

        at = observed_until(connection, as_of)
        first = since if since is not None else (at or 0) + 1
        count = months or 6
        if until is not None:
            count = month_of(until) - month_of(first) + 1
            if not 1 <= count <= 60:
                raise typer.BadParameter("--to: the last month lies before the first, or too far")
        document = sales_forecast(
            app,
            connection,
            as_of=as_of,
            since=since,
            months=count,
            commit=COMMIT if commit is None else commit,
            assume=assume_mean,
            seed=seed,
        )
    is_unheard = as_of is not None and known_at is None and not document["open"]
    answer(document, as_json, lambda console: _forecast(console, document, is_unheard=is_unheard))


_BY = {
    "model": "by the win model (leadflow win)",
    "base_rate": "by the win rate of all closed opportunities; the win model has too little to go by",
    "none": "unknown: nothing was won or lost yet, as far as was known",
}


def _forecast(console: Console, document: dict[str, Any], *, is_unheard: bool) -> None:
    if document["as_of"] is None:
        console.print("no leads yet")
        console.print("Next: leadflow ingest FILE, or leadflow demo", style="dim")
        return
    rate = document["base_rate"]
    console.print(
        f"[bold]{document['open']:,} open opportunities[/] as of {document['as_of']};"
        f" {document['overdue']:,} overdue, {document['without_close_date']:,} without close date"
    )
    how = _BY[document["probabilities"]]
    console.print(f"probabilities {how}" + ("" if rate is None else f"; win rate {percent(rate)}"))
    if is_unheard:
        console.print(
            "what was recorded later is left out: of a history that was imported at once, ask with"
            " --known-at and today's date"
        )
    for one in document["currencies"]:
        console.print()
        months = [*one["months"], {"month": "all", **one["total"]}]
        title = f"{one['currency']}: {one['open']:,} open, {money_text(one['amount'])}"
        columns = ["=month", ">due", ">won", ">expected", ">won and expected, 80 %", ">95 %"]
        console.print(table(title, columns, [_month(month) for month in months]))
        columns = [
            "=month",
            ">worst",
            ">commit",
            ">best",
            ">by stage",
            ">new business",
            ">forecast",
        ]
        console.print(table(None, columns, [_readings(month) for month in months]))
        rest = one["elsewhere"]
        if rest["opportunities"]:
            console.print(
                f"{rest['opportunities']:,} more are due outside these months or at a time unknown:"
                f" expected {money_text(rest['expected'])}"
            )
    if document["without_amount"]:
        console.print(
            f"{document['without_amount']:,} open opportunities have no amount and count nothing;"
            " --assume-mean counts them with the mean won amount"
        )
    if document["assumed_amounts"]:
        console.print(f"amounts were assumed for {document['assumed_amounts']:,} of them")
    console.print("Next: leadflow forecast --back-test", style="dim")


def _month(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["month"],
        one["opportunities"],
        money_text(one["won"]),
        money_text(one["expected"]),
        _ends(one["interval_80"]),
        _ends(one["interval_95"]),
    )


def _readings(one: dict[str, Any]) -> tuple[Any, ...]:
    names = ("worst", "commit", "best", "weighted", "new_business", "forecast")
    return (one["month"], *(money_text(one[name]) for name in names))


def _ends(interval: list[str] | None) -> str:
    if interval is None:
        return "-"
    return " to ".join(money_text(end.partition(".")[0]) for end in interval)


def _back_test(console: Console, document: dict[str, Any]) -> None:
    if not document["rows"]:
        console.print(
            "nothing was known at the ends of past months that could be forecast from; of a history"
            " that was imported at once, ask with --known-at and today's date"
        )
        console.print("Next: leadflow forecast", style="dim")
        return
    rows = [
        (
            one["as_of"][:10],
            one["month"],
            one["currency"],
            money_text(one["expected"]),
            _ends(one["interval_80"]),
            money_text(one["realised"]),
            money_text(one["forecast"]),
            money_text(one["realised_all"]),
        )
        for one in document["rows"]
    ]
    columns = ["=as of", "=month", "currency", ">expected", ">80 % interval", ">came of these"]
    columns += [">with new business", ">came of all"]
    console.print(table("forecast, and what came", columns, rows))
    console.print()
    summary = [
        (
            one["currency"],
            one["months_ahead"],
            one["open_then"]["forecasts"],
            percent(one["open_then"]["mape"]),
            percent(one["open_then"]["bias"]),
            percent(one["open_then"]["within_80"]),
            percent(one["open_then"]["within_95"]),
            percent(one["all"]["mape"]),
            percent(one["all"]["bias"]),
        )
        for one in document["summary"]
    ]
    columns = ["currency", ">months ahead", ">forecasts", ">MAPE", ">bias", ">in 80 %", ">in 95 %"]
    columns += [">MAPE of all", ">bias of all"]
    console.print(table("how good they were", columns, summary))
    console.print("Next: leadflow forecast", style="dim")
