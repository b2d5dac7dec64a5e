"""Ask where leads come from and what becomes of those that went back to nurture."""

import re
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
    interval_text,
    percent,
    table,
)
from leadflow.cli.reading import read_models, value_text
from leadflow.cli.sales import Every, Since, Until, share_option, span_option


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow recycled --by channel --within 6mo")(recycled)
    app.command(
        "source-mix",
        epilog="Example: leadflow source-mix --every quarter --targets"
        " first=60%,second=25%,third=15%",
    )(source_mix)


def within_option(text: str) -> int:
    """Return a duration in microseconds; a month (12mo) is a twelfth of 365 days.

    Raises typer.BadParameter.
    """
    months = re.fullmatch(r"(\d{1,3})mo", text.strip())
    found = duration_option(text) if months is None else int(months[1]) * 365 * 7_200_000_000
    if not found:
        raise typer.BadParameter(f"{text!r}: nothing happens within no time; write 12mo or 90d")
    return found


def targets_option(text: str) -> dict[str, Fraction]:
    """Return the shares of ``first=60%,third=0.1``; raise typer.BadParameter."""
    found = {}
    for part in text.split(","):
        name, equals, share = part.partition("=")
        if not equals:
            raise typer.BadParameter(f"{part!r} is no target; write first=60%,second=25%")
        if name.strip() in found:
            raise typer.BadParameter(f"{text!r} has two targets for {name.strip()}; write one")
        found[name.strip()] = share_option(share)
    if sum(found.values()) > 1:
        raise typer.BadParameter(f"{text!r}: the shares add up to more than all")
    return found


def channels_option(text: str) -> frozenset[str]:
    """Return the channels of ``outbound,event``; raise typer.BadParameter."""
    from typing import get_args

    from consumers.blocks import Channel

    there = get_args(Channel)
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    for name in sorted(found.difference(there)):
        raise typer.BadParameter(f"{name!r} is no channel; there are {', '.join(there)}")
    return found


# --- recycled -----------------------------------------------------------------------------------


def recycled(
    ctx: typer.Context,
    within: Annotated[
        int | None,
        typer.Option(
            parser=within_option,
            metavar="DURATION",
            help="How long a recycled lead is given: 12mo if left out, 90d.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="DIM", help="Group by reason (if left out), channel, source, owner, ..."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how many leads that went back to nurture became SQL after all, and were won."""
    from projections.recycled import REASON, WITHIN
    from projections.recycled import recycled as recycled_of

    check_period(since, until, "nothing lies")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = recycled_of(
            connection,
            by or REASON,
            within=within or WITHIN,
            since=since,
            until=until,
            as_of=as_of,
        )
    answer(document, as_json, lambda console: _recycled(console, document, by or REASON))


def _recycled(console: Console, document: dict[str, Any], by: str) -> None:
    if not document["recycled"]:
        console.print("no lead was recycled then")
        console.print("Next: leadflow pipeline", style="dim")
        return
    rows = [_recycling("all", document)]
    rows += [_recycling(value_text(one["value"]), one) for one in document["groups"]]
    columns = [by, ">recycled", ">mature", ">to SQL", ">95 % interval", ">to won", ">95 % interval"]
    days = document["within_seconds"] / 86_400
    title = f"recycled leads, and what came of the mature ones within {days:g} days"
    console.print(table(title, columns, rows))
    if document["immature"]:
        soon = document["immature_so_far"]
        console.print(
            f"{document['immature']:,} are immature, recycled less than {days:g} days before; so far"
            f" {soon['sql']:,} of them became SQL, {soon['won']:,} were won: in no rate"
        )
    console.print("Next: leadflow recycled --by channel", style="dim")


def _recycling(name: str, one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        name,
        one["recycled"],
        one["mature"],
        percent(one["sql"]["rate"]),
        interval_text(one["sql"]["interval"]),
        percent(one["won"]["rate"]),
        interval_text(one["won"]["interval"]),
    )


# --- source mix ---------------------------------------------------------------------------------


def source_mix(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    every: Every = None,
    targets: Annotated[
        Any,
        typer.Option(
            parser=targets_option,
            metavar="PARTY=SHARE,...",
            help="What share each party should have: first=60%,second=25%,third=15%.",
        ),
    ] = None,
    outbound: Annotated[
        Any,
        typer.Option(
            parser=channels_option,
            metavar="CHANNELS",
            help="Channels by which we go to the lead; outbound if left out. Add event where your"
            " fairs count as such.",
        ),
    ] = None,
    floor: Annotated[
        Fraction | None,
        typer.Option(
            parser=share_option,
            metavar="SHARE",
            help="Least share of sales effort for new business; exit code 3 below it.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show where captured leads come from, how good each part is, and who is worked."""
    from leadflow.cli.frame import FINDINGS
    from projections.source_mix import OUTBOUND
    from projections.source_mix import source_mix as source_mix_of

    span = span_option(every)
    check_period(since, until, "nothing lies")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = source_mix_of(
            connection,
            since=since,
            until=until,
            every=span,
            targets=targets,
            outbound=OUTBOUND if outbound is None else outbound,
            floor=floor,
            as_of=as_of,
        )
    answer(document, as_json, lambda console: _source_mix(console, document))
    if document["effort"]["below_floor"]:
        raise typer.Exit(FINDINGS)


def _source_mix(console: Console, document: dict[str, Any]) -> None:
    if not document["leads"]:
        console.print("no lead was captured then")
        console.print("Next: leadflow ingest FILE, or leadflow demo", style="dim")
        return
    columns = [">leads", ">share", ">mql", ">sql", ">won", ">median days to won", ">bounced"]
    for name, part in (("party", "parties"), ("channel", "channels"), ("motion", "motions")):
        rows = document[part]
        aimed = any("target" in one for one in rows)
        shown = [_part(one, aimed=aimed) for one in rows]
        title = f"{document['leads']:,} captured leads by {name}"
        console.print(
            table(title, [name, *columns, *([">target", ">gap"] if aimed else [])], shown)
        )
        console.print()
    if document["periods"]:
        rows = [
            (one["period"], one["leads"], _mix(one["parties"]), _mix(one["channels"][:4]))
            for one in document["periods"]
        ]
        console.print(table(None, ["=period", ">leads", "party", "channel"], rows))
        console.print()
    bare, touches = document["untagged"]["leads"], document["untagged"]["touches"]
    console.print(
        f"untagged (no source, no campaign): {bare['leads']:,} leads, {percent(bare['rate'])};"
        f" {touches['touches']:,} touches, {percent(touches['rate'])}, {touches['direct']:,} of them"
        " direct"
    )
    effort = document["effort"]
    words = ", ".join(f"{one['value']} {one['acts']:,}" for one in effort["kinds"])
    console.print(
        f"effort: {effort['acts']:,} acts of reps, {percent(effort['new_share'])} for new business"
        + (f" ({words})" if words else "")
    )
    if effort["below_floor"]:
        console.print(f"[bold]below the floor of {percent(effort['floor'])}[/]")
    console.print("Next: leadflow sources --by party", style="dim")


def _mix(parts: list[dict[str, Any]]) -> str:
    return ", ".join(f"{value_text(one['value'])} {percent(one['share'])}" for one in parts)


def _part(one: dict[str, Any], *, aimed: bool) -> tuple[Any, ...]:
    told = (
        value_text(one["value"]),
        one["leads"],
        percent(one["share"]),
        percent(one["mql"]["rate"]),
        percent(one["sql"]["rate"]),
        percent(one["won"]["rate"]),
        one["median_days_to_won"],
        percent(one["bounced"]["rate"]),
    )
    gap = one.get("gap")
    points = "-" if gap is None else f"{gap * 100:+.1f} %"
    return (*told, percent(one.get("target")), points) if aimed else told
