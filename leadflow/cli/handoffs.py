"""Ask what sales did with what marketing handed over."""

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
    percent,
    table,
    to_option,
)
from leadflow.cli.reading import read_models, value_text
from leadflow.instants import duration_text

_STATUSES = ("accepted", "rejected", "recycled", "disqualified", "lost", "ignored", "pending")


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow handoffs --by reason --ignored-after 7d")(handoffs)


def handoffs(
    ctx: typer.Context,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="DIM",
            help="Group by reason, answered_by, status, rule or policy (that made the MQL), or a"
            " dimension of the lead such as owner or channel.",
        ),
    ] = None,
    ignored_after: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Who has no answer after so long is ignored; left out, 14d.",
        ),
    ] = None,
    status: Annotated[
        str | None, typer.Option(help=f"List those alone that are {', '.join(_STATUSES)}.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="List so many, the latest first.")
    ] = 20,
    since: Annotated[
        int | None,
        from_option("MQLs from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("MQLs before then."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of every MQL: accepted, rejected, ignored; why, by whom, how fast."""
    from domain.handoffs import IGNORED_AFTER
    from projections.handoffs import handoffs as handoffs_of

    check_period(since, until, "no MQL lies")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = handoffs_of(
            connection,
            by,
            since=since,
            until=until,
            as_of=as_of,
            ignored_after=IGNORED_AFTER if ignored_after is None else ignored_after,
            status=status,
            limit=limit,
        )
    answer(document, as_json, lambda console: _handoffs(console, document, by))


def _handoffs(console: Console, document: dict[str, Any], by: str | None) -> None:
    if not document["mqls"]:
        console.print("no lead became an MQL in that time")
        return
    interval = document["acceptance_interval"]
    within = (
        "" if interval is None else f" (95 %: {percent(interval[0])} to {percent(interval[1])})"
    )
    limit = duration_text(document["ignored_after_seconds"])
    console.print(
        f"[bold]{document['mqls']:,} MQLs[/] as of {document['as_of']}; accepted"
        f" {percent(document['acceptance_rate'])}{within} of those not pending; ignored: no answer"
        f" within {limit}"
    )
    columns = [*(f">{one}" for one in _STATUSES), ">rate", ">answer P50", ">P90"]
    groups = [_totals(group, (value_text(group["value"]),)) for group in document["groups"]]
    first = [by or ""] if groups else []
    rows = [_totals(document, ("all",) if groups else ()), *groups]
    console.print(table(None, [*first, *columns], rows))
    listed = [
        (
            one["mql_at"][:10],
            one["status"] + (", went on" if one["is_implied"] else ""),
            duration_text(one["waited_seconds"]),
            one["answered_by"],
            one["reason"],
            one["owner"],
            one["lead_id"],
        )
        for one in document["rows"]
    ]
    if listed:
        console.print()
        columns = ["=MQL on", "status", ">after", "by", "reason", "owner", "=lead"]
        console.print(table(None, columns, listed))
    console.print("Next: leadflow channels", style="dim")


def _totals(told: dict[str, Any], first: tuple[str, ...]) -> tuple[Any, ...]:
    return (
        *first,
        *(told[status] for status in _STATUSES),
        percent(told["acceptance_rate"]),
        *(duration_text(told["answer_seconds"][part]) for part in ("p50", "p90")),
    )
