"""Ask what leads and customers cost, and whether it pays."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    cell_text,
    check_period,
    duration_option,
    from_option,
    lookback_option,
    percent,
    table,
    to_option,
)
from leadflow.cli.reading import no_leads, read_models, reading_file, unless, value_text
from leadflow.cli.sources import show_unmatched

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
        from_option("Spend, leads captured, MQLs and deals from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("... and before then."),
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
            parser=lookback_option,
            metavar="DURATION",
            help="Touches so long before the conversion count; 90d where left out.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what leads and customers cost, and whether it pays, as an attribution model credits."""
    from domain.journey import LOOKBACK
    from projections.credited import RULES
    from projections.economics import Terms
    from projections.economics import compare as compared
    from projections.economics import economics as economics_of

    check_period(since, until, "nothing lies")
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
            names = list(RULES) if models is None else [one.strip() for one in models.split(",")]
            document = compared(connection, names, by, terms)
        else:
            document = economics_of(connection, model, by, terms)
        none = no_leads(connection, as_of, known_at, or_spend=True)
    answer(document, as_json, unless(none, lambda console: _economics(console, document, terms)))


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

    with reading_file("--fully-loaded"):
        found = [] if file is None else read_overheads(file)
    amount = _amount(given, "--overhead")
    return found if amount is None else [*found, Overhead(*amount)]


# --- for people ---------------------------------------------------------------------------------


def _economics(console: Console, document: dict[str, Any], terms: "Terms") -> None:
    from domain.economics import NO_REVENUE

    by, named = document["by"], "model" not in document
    margin, loaded = document["gross_margin"], bool(terms.overheads)
    if named:
        cost = ["customers", "cac", *(["cac_fully_loaded"] if loaded else [])]
        figures = ["spend", *cost, "revenue", "roas", "roi"]
        figures += ["contribution"] if margin else []
        _table(
            console, "the same spend under several models", ("value", "model"), figures, document
        )
    else:
        cost = ["cost_per_lead", "cost_per_mql", "cac", *(["cac_fully_loaded"] if loaded else [])]
        head = ("value", "leads", "mql", "customers")
        _table(console, f"what it cost, by {document['model']}", head, ["spend", *cost], document)
        brought = ["spend", "revenue", "roas", "roi"]
        if margin:
            brought += ["contribution", "contribution_on_spend", "ltv_to_cac", "payback_months"]
        _table(console, "what it brought", ("value",), brought, document)
    show_unmatched(console, document["unmatched"], by)
    if any(
        one["missing"].get("roas") == NO_REVENUE for row in document["rows"] for one in row["money"]
    ):
        console.print("no ROAS where spend and revenue differ in currency: none is converted")
    if margin:
        console.print(f"it pays above a ROAS of {1 / margin:.2f}, at a margin of {percent(margin)}")
        _customers(console, document["customers"])
    else:
        console.print("Whether it pays tells --gross-margin RATE.", style="dim")
    console.print(
        "Next: leadflow targets" if named else f"Next: leadflow economics --by {by} --compare",
        style="dim",
    )


_TITLES: Final = {
    "cost_per_lead": "per lead",
    "cost_per_mql": "per mql",
    "cac_fully_loaded": "full cac",
    "contribution_on_spend": "on spend",
    "ltv_to_cac": "ltv/cac",
    "payback_months": "payback months",
}
_RATES: Final = ("roi", "contribution_on_spend")
_RATIOS: Final = ("roas", "ltv_to_cac", "payback_months")


def _table(
    console: Console,
    title: str,
    head: Sequence[str],
    figures: Sequence[str],
    document: dict[str, Any],
) -> None:
    """Print one line per row and currency; what a row has once stands on its first line."""
    rows = document["rows"]
    if "model" not in head:
        rows = [*rows, {**document["total"], "value": "(all)"}]
    lines: list[list[str]] = []
    last: str | None = None
    for row in rows:
        shown = [_once(row, name) for name in head]
        if "model" in head:
            shown[0], last = ("" if shown[0] == last else shown[0]), shown[0]
        for one in row["money"] or [{}]:
            cells = [_cell(row, one, name) for name in figures]
            lines.append([*shown, one.get("currency", ""), *cells])
            shown = [""] * len(shown)
    columns = [document["by"] if name == "value" else name for name in head]
    columns = [name if name in (document["by"], "model") else f">{name}" for name in columns]
    columns += ["", *(f">{_TITLES.get(name, name)}" for name in figures)]
    console.print(table(title, columns, lines))


def _once(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if name == "value":
        return value_text(value)
    return _count(value) if isinstance(value, str) and name != "model" else cell_text(value)


def _cell(row: dict[str, Any], one: dict[str, Any], name: str) -> str:
    if name in row:
        return _once(row, name)
    value = one.get(name)
    if value is None:
        return "-"
    if name in _RATES:
        return percent(value)
    return f"{value:,.2f}" if name in _RATIOS else _money(value)


def _customers(console: Console, told: dict[str, Any]) -> None:
    """Print what a customer is worth, or what is missing to tell."""
    for one in told["money"]:
        if one["ltv"] is not None:
            capped = " (more are not counted on)" if told["is_capped"] else ""
            console.print(
                f"a customer brings {_money(one['arpa_per_month'])} {one['currency']} a month; over"
                f" {told['lifetime_months']:.1f} months{capped} that is, after the margin,"
                f" {_money(one['ltv'])} {one['currency']}"
            )
    for name, why in told["missing"].items():
        console.print(f"no LTV without {name}: {why}", style="dim", markup=False)


def _money(text: str) -> str:
    whole, point, rest = text.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{abs(int(whole)):,}{point}{rest}"


def _count(credit: str) -> str:
    return cell_text(int(credit)) if "." not in credit else f"{float(credit):,.2f}"
