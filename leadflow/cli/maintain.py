"""Keep read models right: digests to compare, a rebuild to make them anew."""

import os
from typing import Any, Final

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, Progress, answer, session, table

_WORTH_SHARING: Final = 500_000
"""Events from which several processes are quicker than one, which need not be started."""

_MOST_WORKERS: Final = 8


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
    from functools import partial

    from leadflow.store import open_store

    with session(ctx).app(makes=True, runs_on=True) as app:
        head = app.store.head()
        with Progress("rebuild", head, "events") as progress:
            report = app.runner.rebuild(
                progress.reach,
                workers=_workers(head),
                open_history=partial(open_store, app.settings.database_url),
            )
    document = asdict(report)
    answer(document, as_json, lambda console: _rebuilt(console, document))


def _workers(events: int) -> int:
    """Return how many processes share a rebuild: one per core, where starting them pays."""
    return 1 if events < _WORTH_SHARING else min(os.cpu_count() or 1, _MOST_WORKERS)


def _rebuilt(console: Console, document: dict[str, Any]) -> None:
    before = document["before"]
    rows = [
        (name, sha, "-" if before is None else "same" if before.get(name) == sha else "changed")
        for name, sha in document["after"].items()
    ]
    console.print(
        table(
            f"{document['leads']:,} leads from {document['events']:,} events,"
            f" at position {document['position']:,}",
            ["read model", "=SHA-256", "rows"],
            rows,
        )
    )
    console.print("Next: leadflow digest", style="dim")
