"""Ask how much is won, and how fast."""

from fractions import Fraction
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
from leadflow.cli.reading import read_models, value_text

By = Annotated[
    str | None,
    typer.Option(
        metavar="DIM",
        help="Group by the opportunity's owner, product, stage_name, reason, competitor or currency,"
        " or by what is known of its lead: channel, source, campaign, country, industry, company, ...",
    ),
]
Since = Annotated[
    int | None,
    from_option("From then on; a day from its start."),
]
Until = Annotated[
    int | None,
    to_option("Before then, a day excluded."),
]
Every = Annotated[
    str | None,
    typer.Option(metavar="month|quarter", help="Also a row per month or quarter, in UTC."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("win-rate", epilog="Example: leadflow win-rate --by owner --every quarter")(
        win_rate
    )
    app.command(epilog="Example: leadflow velocity --as-of 2026-03-01 --by product")(velocity)


def span_option(every: str | None) -> Any:
    """Return month or quarter; raise typer.BadParameter for another word."""
    from domain.months import SPANS

    if every is not None and every not in SPANS:
        raise typer.BadParameter(f"--every: {every!r} is neither of {', '.join(SPANS)}")
    return every


def share_option(text: str) -> Fraction:
    """Return a share: 0.6, 60% or 3/5; raise typer.BadParameter."""
    word = text.strip()
    try:
        found = Fraction(word.removesuffix("%").strip()) / (100 if word.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        found = Fraction(-1)
    if not 0 <= found <= 1:
        raise typer.BadParameter(f"{text!r} is no share of 0 to 1; write 0.6 or 60%")
    return found


def money_text(amount: str | None) -> str:
    """Return a decimal with its digits in groups."""
    from decimal import Decimal

    return "-" if amount is None else f"{Decimal(amount):,}"


# --- win rate -----------------------------------------------------------------------------------


def win_rate(
    ctx: typer.Context,
    by: By = None,
    since: Since = None,
    until: Until = None,
    every: Every = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how much of what closed was won: won / (won + lost), by count and by value."""
    from projections.win_rate import win_rate as win_rate_of

    span = span_option(every)
    check_period(since, until, "nothing lies")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = win_rate_of(connection, by, since=since, until=until, every=span, as_of=as_of)
    answer(document, as_json, lambda console: _win_rate(console, document, by))


def _win_rate(console: Console, document: dict[str, Any], by: str | None) -> None:
    if document["win_rate"] is None:
        console.print("nothing was won or lost then")
        console.print("Next: leadflow pipeline", style="dim")
        return
    columns = [">won", ">lost", ">win rate", ">95 % interval", ">by value", ">amount won"]
    columns += [">median days to won"]
    rows = [(*_closed("all", document),)]
    rows += [_closed(one["period"], one) for one in document["periods"]]
    console.print(table("opportunities closed", ["", *columns], rows))
    if document["groups"]:
        groups = [_closed(value_text(one["value"]), one) for one in document["groups"]]
        console.print()
        console.print(table(f"by {by}", [by or "", *columns], groups))
    missing = document["without_amount"]
    if missing["won"] or missing["lost"]:
        console.print(
            f"amounts are unknown of {missing['won']:,} won and {missing['lost']:,} lost: they are in"
            " no value"
        )
    console.print("Next: leadflow velocity", style="dim")


def _closed(name: str, one: dict[str, Any]) -> tuple[Any, ...]:
    amounts = one["amounts"]
    return (
        name,
        one["won"],
        one["lost"],
        percent(one["win_rate"]),
        interval_text(one["win_rate_interval"]),
        ", ".join(f"{percent(each['win_rate'])} {each['currency']}" for each in amounts) or "-",
        ", ".join(f"{money_text(each['won'])} {each['currency']}" for each in amounts) or "-",
        one["cycle_days"]["won"]["median"],
    )


# --- velocity -----------------------------------------------------------------------------------


def velocity(
    ctx: typer.Context,
    by: By = None,
    window: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="How far back amounts, win rate and cycle are measured; 180d if left out.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what the pipeline turns into money a day: open x mean amount x win rate / days."""
    from domain.velocity import WINDOW
    from projections.velocity import velocity as velocity_of

    if window == 0:
        raise typer.BadParameter("--window: nothing closes within no time; write 180d")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = velocity_of(connection, by, window=window or WINDOW, as_of=as_of)
    answer(document, as_json, lambda console: _velocity(console, document, by))


def _velocity(console: Console, document: dict[str, Any], by: str | None) -> None:
    days = document["window_seconds"] / 86_400
    console.print(
        f"[bold]as of {document['as_of'] or '-'}[/], by what closed in the {days:g} days before:"
        f" {document['won']:,} won, {document['lost']:,} lost"
    )
    columns = [">open", ">win rate", ">days to won", ">median", "currency", ">mean won"]
    columns += [">velocity a day", ">of what closed"]
    rows = _flows("all", document)
    for group in document["groups"]:
        rows += _flows(value_text(group["value"]), group)
    console.print(table(None, [by or "", *columns], rows))
    if document["sales_cycle_days"] is not None:
        console.print(
            f"half of what is won is won within {document['sales_cycle_days']:,.1f} days, open ones"
            " counted (Aalen-Johansen)"
        )
    if document["open_without_currency"]:
        console.print(
            f"{document['open_without_currency']:,} open ones have no amount, and might be of several"
            " currencies: they are in none"
        )
    console.print("Next: leadflow forecast", style="dim")


def _flows(name: str, one: dict[str, Any]) -> list[tuple[Any, ...]]:
    cycle = one["cycle_days"]
    whole = (percent(one["win_rate"]), cycle["mean"], cycle["median"])
    return [
        (
            name,
            flow["open"],
            *whole,
            flow["currency"],
            money_text(flow["mean_won"]),
            money_text(flow["velocity"]),
            money_text(flow["velocity_closed"]),
        )
        for flow in one["currencies"]
    ] or [(name, one["open"], *whole, "-", "-", "-", "-")]
