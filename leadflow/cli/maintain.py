"""Keep read models right: digests to compare, a rebuild to make them anew."""

from typing import Any

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, Progress, answer, session, table


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow digest --json")(digest)
    app.command(epilog="Example: leadflow rebuild")(rebuild)


def digest(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print one SHA-256 per read model: equal wherever the same events were taken in."""
    with session(ctx).app() as app:
        document: dict[str, Any] = {
            "position": app.runner.checkpoint(),
            "read_models": app.runner.digest(),
        }
    answer(document, as_json, lambda console: _digest(console, document))


def _digest(console: Console, document: dict[str, Any]) -> None:
    rows = list(document["read_models"].items())
    console.print(table(f"at position {document['position']:,}", ["read model", "=SHA-256"], rows))


def rebuild(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Make the read models anew from history, beside the live ones, and switch.

    Needed after an upgrade that changes them; harmless at any time.
    """
    from dataclasses import asdict

    with (
        session(ctx).app(makes=True, runs_on=True) as app,
        Progress("rebuild", app.store.head(), "events") as progress,
    ):
        report = app.runner.rebuild(on_progress=progress.reach)
    document = asdict(report)
    answer(document, as_json, lambda console: _rebuilt(console, document))


def _rebuilt(console: Console, document: dict[str, Any]) -> None:
    for name, value in document.items():
        console.print(f"{name}: {value}", markup=False)
    console.print("Next: leadflow digest", style="dim")
