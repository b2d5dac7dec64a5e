"""Set up, look after and look up: init, doctor, status, schema, broker."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    FAILED,
    FINDINGS,
    AsJson,
    answer,
    note,
    out,
    session,
    table,
)
from leadflow.cli.progress import stopping

if TYPE_CHECKING:
    from leadflow.doctor import Check


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow init --database sqlite:///leads.db")(init)
    app.command(epilog="Example: leadflow doctor")(doctor)
    app.command(epilog="Example: leadflow status --json")(status)
    app.command(epilog="Example: leadflow schema form.submitted")(schema)
    app.command(epilog="Example: leadflow broker --port 9092")(broker)


def init(
    ctx: typer.Context,
    topics: Annotated[
        bool | None,
        typer.Option(
            "--topics/--no-topics",
            help="Create the topics too; left out, they are created where a broker answers.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the tables, or bring older ones up to date, and create the topics.

    Harmless where everything is there.
    """
    call = session(ctx)
    settings = call.settings
    call.log(settings)
    from leadflow.app import App

    with App(settings) as app:
        made = app.prepare(upgrade=True)
        revision = app.revision()
    partitions: dict[str, int] | None = None
    if topics is not False:
        from consumers.cluster import BrokerUnavailable
        from consumers.stream import ensure_topics

        wanted = (settings.topic_interactions, settings.topic_lifecycle)
        names = dict.fromkeys((*wanted, settings.topic_dead_letters), settings.topic_partitions)
        try:
            partitions = ensure_topics(settings.kafka, names)
        except BrokerUnavailable:
            if topics:
                raise
    document = {
        "database": settings.shown_database,
        "revision": revision,
        "made": made,
        "topics": partitions,
    }

    def show(console: Console) -> None:
        state = "made" if made else "already up to date"
        console.print(f"database {settings.shown_database}: {state} (revision {revision})")
        if partitions is None:
            if topics is None:
                console.print(
                    f"topics: no broker answers at {settings.kafka_bootstrap_servers};"
                    " files need none",
                    style="dim",
                )
        else:
            for name, count in partitions.items():
                console.print(f"topic {name}: {count} partitions")
        console.print("Next: leadflow ingest FILE, or leadflow up", style="dim")

    answer(document, as_json, show)


# --- doctor -------------------------------------------------------------------------------------


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check what leadflow needs, and say how to mend what is missing.

    Exit code 1: something that every command needs is broken. Exit code 3: all that files need is
    there and something else is not, such as the broker.
    """
    from leadflow.doctor import examine

    call = session(ctx)
    checks = examine(call.options)
    document = {
        "checks": [
            {"name": one.name, "state": one.state, "found": one.found, "mend": one.mend}
            for one in checks
            if one.state != "setting"
        ],
        "settings": [
            {"name": one.name, "value": one.found, "from": one.origin}
            for one in checks
            if one.state == "setting"
        ],
    }
    answer(document, as_json, lambda console: _show_checks(console, checks))
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(FAILED)
    if any(check.state == "finding" for check in checks):
        raise typer.Exit(FINDINGS)


def _show_checks(console: Console, checks: "list[Check]") -> None:
    styles = {"ok": "green", "broken": "bold red", "finding": "yellow", "setting": "dim"}
    marks = {"ok": "ok", "broken": "BROKEN", "finding": "look", "setting": ""}
    for check in checks:
        if check.state == "setting":
            continue
        console.print(f"[{styles[check.state]}]{marks[check.state]:7}[/] ", end="")
        console.print(f"{check.name}: {check.found}", markup=False, soft_wrap=True)
        if check.mend:
            console.print(f"        {check.mend}", markup=False, soft_wrap=True)
    settings = [check for check in checks if check.state == "setting"]
    rows = [(check.name, check.found, check.origin) for check in settings]
    console.print()
    console.print(table("Settings", ["setting", "value", "from"], rows))


# --- status -------------------------------------------------------------------------------------


def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show how far intake and read models are, and what waits for a person."""
    from leadflow.status import status as status_of

    with session(ctx).app() as app:
        document = status_of(app)
    answer(document, as_json, lambda console: _show_status(console, document))


def _show_status(console: Console, document: dict[str, Any]) -> None:
    console.print(
        f"{document['leads']:,} leads, {document['events']:,} events,"
        f" {document['decisions']:,} decisions, {document['dead_letters']:,} dead letters"
    )
    policy = document["policy"]
    console.print(f"policy {policy['in_force']} is in force", markup=False)
    if policy["differs"]:
        console.print(
            f"{policy['file']} says otherwise ({policy['configured']}):"
            " leadflow policy diff shows how; leadflow policy publish makes it the one in force",
            markup=False,
            style="yellow",
            soft_wrap=True,
        )
    streams = [
        (one["stream"], one["partition"], one["position"], one["end"], one["lag"])
        for one in document["positions"]
    ]
    if streams:
        columns = ["stream", ">partition", ">position", ">end", ">lag"]
        console.print()
        console.print(table(None, columns, streams))
    models = [(one["name"], one["checkpoint"], one["lag"]) for one in document["read_models"]]
    console.print()
    console.print(table(None, ["read model", ">checkpoint", ">lag"], models))
    behind = max((one["lag"] or 0 for one in document["read_models"]), default=0)
    if document["dead_letters"]:
        console.print("Next: leadflow dead-letters list", style="dim")
    elif behind:
        console.print("Next: leadflow project brings the read models up to date", style="dim")
    else:
        console.print("Next: leadflow pipeline", style="dim")


# --- schema, broker -----------------------------------------------------------------------------


def schema(
    type_: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="A type of event; see the list without.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="One document with the schema of every type.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of a type of event, or list the types."""
    from consumers.contract import describe_types, schemas
    from consumers.contract import schema as schema_of
    from domain.vocabulary import FAMILY_OF

    if every:
        _print_json(schemas())
    elif type_ is not None:
        if type_ not in FAMILY_OF:
            from difflib import get_close_matches

            near = get_close_matches(type_, FAMILY_OF, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise typer.BadParameter(
                f"the vocabulary has no type {type_!r}{hint}; `leadflow schema` lists them."
                " An unknown type may be sent: it is kept, unscored"
            )
        _print_json(schema_of(type_))
    else:
        types = describe_types()
        document = {
            "types": [{"type": one.name, "family": one.family, "title": one.title} for one in types]
        }
        rows = [(one.family, one.name, one.title) for one in types]
        answer(
            document,
            as_json,
            lambda console: console.print(table(None, ["family", "type", "what happened"], rows)),
        )


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def broker(
    ctx: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 9_092,
) -> None:
    """Run a Kafka-protocol broker for trying things out, until it is stopped.

    It keeps everything in memory: what was sent is gone when it stops.
    """
    from leadflow.broker import start_broker

    call = session(ctx)
    call.log(call.settings)
    with stopping() as stop, start_broker(port) as running:
        out().print(f"broker at {running.bootstrap_servers}, in memory only; Ctrl-C stops it")
        note(f"Next: leadflow send FILE --kafka {running.bootstrap_servers}")
        while not stop.wait(0.2):
            if running.process.poll() is not None:
                from leadflow.broker import BrokerFailed

                raise BrokerFailed(f"the broker ended with {running.process.returncode}")
