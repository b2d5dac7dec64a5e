"""Ask how fast leads are answered, and how often they are reached out to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

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
from leadflow.cli.reading import no_leads, read_models, reading_file, unless, value_text
from leadflow.instants import brief_duration

T = TypeVar("T")

_WORDS: Final[Mapping[str, str]] = {
    "attempt": "first attempt",
    "contact": "first contact",
    "qualification": "qualified",
    "system": "  until assigned",
    "queue": "  until accepted",
    "human": "  until the attempt",
}
_BANDS: Final[Mapping[str, str]] = {
    "0-5": "up to 5 min",
    "5-15": "5 to 15 min",
    "15-60": "15 to 60 min",
    "60+": "1 to 24 h",
    "24h+": "more than 24 h",
    "unanswered": "unanswered",
}


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow speed --by rep --calendar calendar.toml --sla 1h")(speed)


def speed(
    ctx: typer.Context,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="DIM",
            help="Group by rep, team, start (asked, mql, sql), cycle, or by what leads are grouped"
            " by: owner, channel, campaign, country, ...",
        ),
    ] = None,
    since: Annotated[
        int | None,
        from_option("Clocks that start from then on."),
    ] = None,
    until: Annotated[
        int | None,
        to_option("Clocks that start before then."),
    ] = None,
    calendar: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Calendar of working time: tell it in working hours, too."
        ),
    ] = None,
    teams: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who is in which team, for --by team."),
    ] = None,
    sla: Annotated[
        int,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="How soon every lead is to be answered; with --calendar, in working time as well.",
        ),
    ] = "1h",  # type: ignore[assignment]  # typer parses the default as it parses what is typed
    hot_sla: Annotated[
        int,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="How soon a lead that asks by itself is to be answered.",
        ),
    ] = "5m",  # type: ignore[assignment]  # the same
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how fast leads are answered, from asking (or becoming an MQL) to the first attempt."""
    from leadflow.calendars import load_calendar, load_teams
    from projections.speed import speed as speed_of

    check_period(since, until, "no clock starts")
    if (by == "team") != (teams is not None):
        raise typer.BadParameter(
            "--by team and --teams FILE go together: the file says who is in which"
        )
    hours = _loaded(load_calendar, calendar, "--calendar")
    of_team = _loaded(load_teams, teams, "--teams")
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = speed_of(
            connection,
            by=by,
            since=since,
            until=until,
            as_of=as_of,
            promised=sla,
            promised_hot=hot_sla,
            calendar=hours,
            teams=of_team,
        )
        none = no_leads(connection, as_of, known_at)
    answer(document, as_json, unless(none, lambda console: _speed(console, document, by)))


def _loaded(load: Callable[[Path], T], path: Path | None, option: str) -> T | None:
    try:
        with reading_file(option):
            return None if path is None else load(path)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _speed(console: Console, document: dict[str, Any], by: str | None) -> None:
    leads = document["leads"]
    console.print(
        f"{leads:,} leads to answer: {document['attempted']:,} attempted,"
        f" {document['contacted']:,} contacted, {document['unanswered']:,} unanswered"
    )
    if leads:
        business = document["business"]
        console.print(_waits("how long it takes", document))
        if business is not None:
            console.print()
            console.print(_waits("how long it takes, in working time", business))
        console.print()
        console.print(_bands("the first attempt, and what came of it", document["bands"]))
        if business is not None:
            console.print()
            console.print(_bands("the same by working time", business["bands"]))
        console.print()
        console.print(_promises(document))
        _early(console, document["premature"])
    if document["groups"]:
        console.print()
        console.print(_groups(document["groups"], by))
    hint = "leadflow touch-coverage" if by else "leadflow speed --by rep"
    console.print(f"Next: {hint}", style="dim")


def _waits(title: str, told: dict[str, Any]) -> Any:
    rows = [
        (
            words,
            *(brief_duration(told[f"{name}_seconds"][share]) for share in ("p50", "p90", "p95")),
        )
        for name, words in _WORDS.items()
    ]
    return table(title, ["=", ">half", ">90 %", ">95 %"], rows)


def _bands(title: str, bands: list[dict[str, Any]]) -> Any:
    rows = [
        (
            _BANDS[band["band"]],
            band["leads"],
            band["won"],
            percent(band["conversion"]),
            interval_text(band["interval"]),
        )
        for band in bands
    ]
    return table(title, ["=", ">leads", ">won", ">of them", ">95 % interval"], rows)


def _promises(document: dict[str, Any]) -> Any:
    rows = []
    for told, kind in ((document, ""), (document["business"], " of working time")):
        if told is not None:
            promise = f"within {brief_duration(document['sla_seconds'])}{kind}"
            rows.append((promise, told["met"], told["breaches"], told["pending"]))
            hot = told["hot"]
            promise = f"who asked: within {brief_duration(document['hot_sla_seconds'])}{kind}"
            rows.append((promise, hot["met"], hot["breaches"], None))
    return table("the promise", ["=", ">kept", ">broken", ">still time"], rows)


def _early(console: Console, early: dict[str, Any]) -> None:
    if early["attempts"]:
        console.print(
            f"premature: {early['attempts']:,} attempts on {early['leads']:,} leads before they"
            f" asked or were an MQL; {percent(early['conversion'])} of these were won, of the others"
            f" {percent(early['others']['conversion'])}"
        )


def _groups(groups: list[dict[str, Any]], by: str | None) -> Any:
    rows = []
    for group in groups:
        half, most = (group["attempt_seconds"][share] for share in ("p50", "p90"))
        rows.append(
            (
                value_text(group["value"]),
                group["leads"],
                group["attempted"],
                group["contacted"],
                brief_duration(half),
                brief_duration(most),
                group["breaches"],
            )
        )
    columns = [by or "", ">leads", ">attempted", ">contacted", ">half", ">90 %", ">broken"]
    return table(None, columns, rows)
