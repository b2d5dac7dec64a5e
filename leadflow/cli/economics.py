"""Ask what leads and customers cost, and whether it pays."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    cell_text,
    duration_option,
    percent,
    start_option,
    table,
)
from leadflow.cli.reading import read_models, value_text
from leadflow.cli.sources import check_period, show_unmatched

if TYPE_CHECKING:
    from projections.economics import Terms


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: leadflow economics --by campaign --model linear --gross-margin 0.3"
    )(economics)


def economics(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            help="Attribution model that credits MQLs, customers and revenue; see leadflow"
            " attribution."
        ),
    ] = "linear",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="All rules side by side, one row per model and value; or those of --models.",
        ),
    ] = False,
    models: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="The models to compare.")
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="DIM", help="What spend names: channel, source or campaign.")
    ] = "channel",
    since: Annotated[
        int | None,
        typer.Option(
            "--from",
            parser=start_option,
            metavar="TIME",
            help="Spend, leads captured, MQLs and deals from then on.",
        ),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option("--to", parser=start_option, metavar="TIME", help="... and before then."),
    ] = None,
    gross_margin: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="Part of revenue left after the cost of what is sold: 0.3."
        ),
    ] = None,
    overhead: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="AMOUNT CUR",
            help="What else the period cost, such as salaries: --overhead 5000.00 EUR.",
        ),
    ] = None,
    fully_loaded: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="The same by day: columns day, amount, currency."),
    ] = None,
    lag: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="How long before customers are won the money for them is spent: 30d.",
        ),
    ] = None,
    arpa: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="AMOUNT CUR",
            help="Revenue per customer and month; else from revenue.recognized.",
        ),
    ] = None,
    churn: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="Customers lost per month, 0.02; else from customer.churned."
        ),
    ] = None,
    lookback: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Touches so long before the conversion count; 90d where left out.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what leads and customers cost, and whether it pays, as an attribution model credits."""
    from domain.attribution import MODELS
    from domain.journey import LOOKBACK
    from projections.economics import Terms
    from projections.economics import compare as compared
    from projections.economics import economics as economics_of

    check_period(since, until)
    terms = Terms(
        since=since,
        until=until,
        as_of=as_of,
        lag=lag or 0,
        margin=_rate(gross_margin, "--gross-margin"),
        overheads=_overheads(overhead, fully_loaded),
        arpa=_amount(arpa, "--arpa"),
        churn=_rate(churn, "--churn", above_zero=False),
        lookback=LOOKBACK if lookback is None else lookback,
    )
    with read_models(ctx, as_of, known_at) as (_, connection):
        if compare or models is not None:
            names = list(MODELS) if models is None else [one.strip() for one in models.split(",")]
            document = compared(connection, names, by, terms)
        else:
            document = economics_of(connection, model, by, terms)
    answer(document, as_json, lambda console: _economics(console, document, terms))


def _rate(text: str | None, name: str, *, above_zero: bool = True) -> Fraction | None:
    from leadflow.overheads import rate

    try:
        return None if text is None else rate(text, name, above_zero=above_zero)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _amount(given: tuple[str, str] | None, name: str) -> tuple[int, str] | None:
    from leadflow.overheads import money

    try:
        return None if given is None else money(*given)
    except ValueError as error:
        raise typer.BadParameter(f"{name}: {error}") from None


def _overheads(given: tuple[str, str] | None, file: Path | None) -> Any:
    from leadflow.overheads import read_overheads
    from projections.economics import Overhead

    found = [] if file is None else read_overheads(file)
    amount = _amount(given, "--overhead")
    return found if amount is None else [*found, Overhead(*amount)]


# --- for people ---------------------------------------------------------------------------------


def _economics(console: Console, document: dict[str, Any], terms: "Terms") -> None:
    by = document["by"]
    named = "model" not in document
    margin, loaded = terms.margin is not None, bool(terms.overheads)
    columns = ["model"] if named else []
    columns += [by, ">leads", ">mql", ">customers", "cur", ">spend", ">revenue"]
    columns += [">cpl", ">cpmql", ">cac", *([">full cac"] if loaded else []), ">roas", ">roi"]
    columns += [">contribution", ">on spend", ">ltv/cac", ">payback"] if margin else []
    lines: list[list[Any]] = []
    for row in [*document["rows"], {**document["total"], "value": "(all)"}]:
        if named and "model" not in row:
            continue
        head = [row["model"]] if named else []
        head += [value_text(row["value"]), row["leads"]]
        head += [_count(row["mql"]), _count(row["customers"])]
        for one in row["money"] or [None]:
            lines.append(head + _figures(one, margin=margin, loaded=loaded))
            head = [""] * len(head)
    what = "by several models" if named else f"by {document['model']}"
    console.print(table(f"what it cost and brought, {what}", columns, lines))
    show_unmatched(console, document["unmatched"], by)
    if margin:
        even = 1 / document["gross_margin"]
        console.print(f"break-even: a ROAS of {even:.2f} at a margin of {terms.margin:.0%}")
        _customers(console, document["customers"])
    else:
        console.print("Whether it pays tells --gross-margin RATE.", style="dim")
    console.print(f"Next: leadflow economics --by {by} --compare", style="dim")


def _figures(one: dict[str, Any] | None, *, margin: bool, loaded: bool) -> list[str]:
    if one is None:
        return ["-"] * (8 + loaded + 4 * margin)
    names = ["spend", "revenue", "cost_per_lead", "cost_per_mql", "cac"]
    names += ["cac_fully_loaded"] if loaded else []
    shown = [one["currency"], *(_money(one[name]) for name in names)]
    shown += [_ratio(one["roas"]), percent(one["roi"])]
    if margin:
        shown += [_money(one["contribution"]), percent(one["contribution_on_spend"])]
        shown += [_ratio(one["ltv_to_cac"]), _ratio(one["payback_months"])]
    return shown


def _customers(console: Console, told: dict[str, Any]) -> None:
    """Print what a customer is worth, or what is missing to tell."""
    for one in told["money"]:
        if one["ltv"] is not None:
            capped = ", at most 36 months" if told["is_capped"] else ""
            console.print(
                f"a customer brings {_money(one['arpa_per_month'])} {one['currency']} a month, in"
                f" {told['lifetime_months']:.1f} months{capped}, after the margin, an LTV of"
                f" {_money(one['ltv'])} {one['currency']}"
            )
    for name, why in told["missing"].items():
        console.print(f"no LTV without {name}: {why}", style="dim")


def _money(text: str | None) -> str:
    if text is None:
        return "-"
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}{point}{rest}" if whole != "-0" else text


def _count(credit: str) -> str:
    return cell_text(int(credit)) if "." not in credit else f"{float(credit):,.2f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
