"""Try leadflow out: the demo."""

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.attribution import show_attribution
from leadflow.cli.frame import AsJson, answer, session
from leadflow.cli.funnel import show_funnel
from leadflow.cli.people import timeline_table
from leadflow.cli.pipeline import show_pipeline
from leadflow.cli.progress import Progress

_STEPS = ("captured", "mql", "sal", "sql", "opportunity", "won")
_LAST_EVENTS = 12


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow demo --keep leadflow-demo")(demo)


def demo(
    ctx: typer.Context,
    events: Annotated[
        int, typer.Option(min=100, max=10_000_000, help="Events of the simulated market.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another market.")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the database; else a temporary one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a market, send it through a Kafka-protocol broker, and answer questions about it.

    Needs nothing but this installation; the folder that it prints can be removed afterwards.
    """
    from leadflow.broker import tansu_binary
    from leadflow.demo import database_in, lost_leads, play

    tansu_binary()  # a machine without one is told so before anything is made
    call = session(ctx)
    folder = keep or Path(tempfile.mkdtemp(prefix="leadflow-demo-"))
    call.options["database_url"] = database_in(folder)
    started = time.monotonic()
    with call.app(makes=True) as app:
        with Progress("send", None, "events") as progress:
            played = play(app, events, seed, lambda what, done: progress.reach(done, what))

        from projections.credit import attribution
        from projections.funnel import funnel
        from projections.pipeline import latest_event
        from projections.pipeline_now import summary

        with app.connect() as connection:
            standing = summary(connection)
            steps = funnel(connection, _STEPS)
            credit = attribution(connection, "linear")
            latest = latest_event(connection)
        lost = lost_leads(app, int(latest or 0))
    from leadflow.leads import timeline

    lives = [(one.why, timeline(one.dossier)) for one in lost]
    document: dict[str, Any] = {
        "database": call.options["database_url"],
        "sent": played.sent,
        "accepted": played.outcome.accepted,
        "duplicates": played.outcome.duplicates,
        "dead_letters": played.outcome.dead_letters,
        "leads": standing["leads"],
        "seconds": round(time.monotonic() - started, 3),
        "pipeline": standing,
        "funnel": steps,
        "attribution": credit,
        "lost_leads": [{"why": why, **life} for why, life in lives],
    }

    def show(console: Console) -> None:
        outcome = played.outcome
        console.print(
            f"[bold]{played.sent:,} events[/] of a simulated market, sent through a broker in"
            f" {played.send_seconds:.1f} s, taken in and decided in {played.intake_seconds:.1f} s,"
            f" projected in {played.projection_seconds:.1f} s:"
        )
        console.print(
            f"{outcome.accepted:,} accepted, {outcome.duplicates:,} sent twice and counted once,"
            f" {outcome.dead_letters:,} refused"
        )
        console.print()
        show_pipeline(console, standing)
        console.print()
        show_funnel(console, steps)
        console.print()
        show_attribution(console, credit, "channel")
        for why, life in lives:
            console.print()
            console.print(why, style="bold red", markup=False)
            _show_life(console, life)
        console.print()
        _show_next(console, document, lives)

    answer(document, as_json, show)


def _show_life(console: Console, life: dict[str, Any]) -> None:
    told = life["events"]
    if len(told) > _LAST_EVENTS:
        console.print(f"... {len(told) - _LAST_EVENTS} events before", style="dim")
    console.print(timeline_table({**life, "events": told[-_LAST_EVENTS:]}))


def _show_next(console: Console, document: dict[str, Any], lives: list[Any]) -> None:
    where = f"--database {document['database']}"
    commands = [
        f"leadflow pipeline --by channel {where}",
        f"leadflow funnel --steps 'captured,demo.requested,won' --window 90d {where}",
    ]
    if lives:
        commands.append(f"leadflow lead explain {lives[0][1]['lead_id']} {where}")
    else:
        commands.append(f"leadflow status {where}")
    console.print("Try next:", style="bold")
    for command in commands:
        console.print(f"  {command}", markup=False, soft_wrap=True)
