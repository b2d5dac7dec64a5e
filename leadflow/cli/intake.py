"""Bring events in: from a file of events, from a CSV file, or by way of the topic."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    FAILED,
    FINDINGS,
    AsJson,
    Session,
    answer,
    complain,
    new_leads,
    note,
    session,
)
from leadflow.cli.progress import Progress, stopping

if TYPE_CHECKING:
    from consumers.intake import Outcome
    from leadflow.app import App
    from leadflow.csv_files import CsvFile
    from leadflow.files import FileStream

_SHOWN = 5
"""Lines that are named when something is wrong with many."""

AsIfLive = Annotated[
    bool,
    typer.Option(
        "--as-if-live",
        help="Record each event at its own time, as if it had arrived when it happened.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow ingest events.jsonl")(ingest)
    app.command(epilog="Example: leadflow send events.jsonl --kafka localhost:9092")(send)
    app.command("import", epilog="Example: leadflow import deals.csv --map deals.toml --dry-run")(
        import_
    )


def ingest(
    ctx: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            help="CloudEvents, one JSON object a line; .gz too, - for the standard input."
        ),
    ],
    as_if_live: AsIfLive = False,
    as_json: AsJson = False,
) -> None:
    """Take a file of events straight into the store, and bring the read models up to date.

    The file is its own stream: an interrupted run resumes, and ingesting it again adds nothing.
    Exit code 3: lines were refused and lie in the dead letters. `leads` counts the leads that the
    run added.
    """
    from leadflow.files import open_lines

    call = session(ctx)
    with open_lines(file) as stream, call.app(makes=True) as app:
        outcome, seconds = _take(app, stream, as_if_live=as_if_live)
        code = _refused(app, stream) if outcome.dead_letters else 0
    answer(_counted(outcome, seconds), as_json, lambda console: _show(console, outcome, seconds))
    if code:
        raise typer.Exit(code)


def _take(app: "App", stream: "FileStream", *, as_if_live: bool) -> "tuple[Outcome, float]":
    """Take *stream* into the store and project it; return the outcome and the seconds it took."""
    from leadflow.app import settle_memory
    from leadflow.cli.run import catch_up
    from leadflow.files import ingest as take

    settle_memory()
    started = time.monotonic()
    with stopping() as stop:
        with Progress(f"ingest {stream.shown}", stream.end, "lines") as progress:
            outcome = take(
                stream,
                app.store,
                app.intake(),
                as_if_live=as_if_live,
                batch=app.settings.batch_size,
                stop=stop.is_set,
                on_progress=lambda _, position: progress.reach(position),
            )
        catch_up(app, stop)
    return outcome, time.monotonic() - started


def _counted(outcome: "Outcome", seconds: float) -> dict[str, Any]:
    return {
        "read": outcome.read,
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "dead_letters": outcome.dead_letters,
        "leads": outcome.leads - outcome.merged,
        "seconds": round(seconds, 3),
    }


def _show(console: Console, outcome: "Outcome", seconds: float) -> None:
    rate = int(outcome.read / max(seconds, 0.001))
    console.print(
        f"{outcome.read:,} read, {outcome.accepted:,} accepted, {outcome.duplicates:,} duplicates,"
        f" {outcome.dead_letters:,} refused; {new_leads(outcome.leads - outcome.merged)}"
        f" ({seconds:.1f} s, {rate:,}/s)"
    )
    console.print("Next: leadflow pipeline", style="dim")


def _refused(app: "App", stream: "FileStream", lines: "Sequence[int] | None" = None) -> int:
    """Name the first lines of *stream* that were refused; return the exit code.

    *lines* are the lines of the file by position, where the two differ.
    """
    from leadflow.dead_letters import letters_of

    letters = [letter for letter in letters_of(app.engine, stream.name) if letter.state == "open"]
    for letter in letters[:_SHOWN]:
        number = letter.position + 1 if lines is None else lines[letter.position]
        complain(f"{stream.shown}:{number}: {letter.reason}: {letter.message}")
    more = len(letters) - _SHOWN
    if more > 0:
        complain(f"... and {more:,} more")
    note("Next: leadflow dead-letters list shows what was refused; redrive sends it again, mended")
    return FINDINGS


# --- send ---------------------------------------------------------------------------------------


def send(
    ctx: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            help="CloudEvents, one JSON object a line; .gz too, - for the standard input."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Send a file of events to the topic.

    The whole file is checked first; where a line is wrong, nothing is sent (exit code 1). A topic
    that does not exist is created.
    """
    from leadflow.files import open_lines
    from leadflow.sending import check, send_lines

    call = session(ctx)
    settings = call.settings
    call.log(settings)
    with open_lines(file) as stream:
        read, problems = check(stream)
        if problems:
            for number, words in problems[:_SHOWN]:
                complain(f"{stream.shown}:{number}: {words}")
            more = f" ({len(problems):,} lines are wrong)" if len(problems) > _SHOWN else ""
            complain(f"nothing was sent; mend the file and send it again{more}")
            raise typer.Exit(FAILED)
        with Progress(f"send {stream.shown}", read, "events") as progress:
            sent = send_lines(stream, settings, progress.reach)
    answer(
        {"read": read, "sent": sent},
        as_json,
        lambda console: _show_sent(console, sent, settings.topic_interactions),
    )


def _show_sent(console: Console, sent: int, topic: str) -> None:
    console.print(f"{sent:,} events sent to {topic}")
    console.print("Next: leadflow up, or leadflow consume --until-idle 5", style="dim")


# --- import -------------------------------------------------------------------------------------


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file.")],
    map_: Annotated[
        Path,
        typer.Option("--map", metavar="MAP.toml", help="Which column becomes which field."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report column by column; store nothing.")
    ] = False,
    to_kafka: Annotated[
        bool, typer.Option("--to-kafka", help="Send the events to the topic instead.")
    ] = False,
    as_if_live: AsIfLive = False,
    as_json: AsJson = False,
) -> None:
    """Turn the rows of a CSV file into events by a map, and take them in.

    A bad row is named by line and left out, the rest goes in (exit code 3). Importing a file again
    adds nothing. docs/howto/import-csv.md explains maps.
    """
    from leadflow.csv_files import open_csv

    call = session(ctx)
    csv = open_csv(file, map_)
    if dry_run:
        report = csv.dry_run()
        answer(
            report.to_json(),
            as_json,
            lambda console: console.print("\n".join(report.lines()), markup=False, soft_wrap=True),
        )
        if report.bad_rows or report.refused:
            raise typer.Exit(FINDINGS)
        return
    if to_kafka:
        _import_to_kafka(call, csv, as_json=as_json)
        return
    with call.app(makes=True) as app:
        outcome, seconds = _take(app, csv.stream, as_if_live=as_if_live)
        code = _refused(app, csv.stream, csv.lines) if outcome.dead_letters else 0
    code = _bad_rows(csv) or code
    document = {**_counted(outcome, seconds), "bad_rows": csv.bad_rows}
    answer(document, as_json, lambda console: _show(console, outcome, seconds))
    if code:
        raise typer.Exit(code)


def _import_to_kafka(call: Session, csv: "CsvFile", *, as_json: bool) -> None:
    from leadflow.sending import check, send_lines

    settings = call.settings
    call.log(settings)
    read, problems = check(csv.stream)
    if problems:
        for number, words in problems[:_SHOWN]:
            complain(f"{csv.stream.shown}:{number}: {words}")
        complain(f"nothing was sent: {len(problems):,} events are wrong; mend the map or the file")
        raise typer.Exit(FAILED)
    with Progress(f"send {csv.stream.shown}", read, "events") as progress:
        sent = send_lines(csv.stream, settings, progress.reach)
    code = _bad_rows(csv)
    answer(
        {"read": read, "sent": sent, "bad_rows": csv.bad_rows},
        as_json,
        lambda console: _show_sent(console, sent, settings.topic_interactions),
    )
    if code:
        raise typer.Exit(code)


def _bad_rows(csv: "CsvFile") -> int:
    """Name the first bad rows; return the exit code."""
    for words in csv.problems[:_SHOWN]:
        complain(f"{csv.stream.shown}: {words}")
    if csv.bad_rows:
        complain(f"{csv.bad_rows:,} bad rows were left out; mend them and import the file again")
        return FINDINGS
    return 0
