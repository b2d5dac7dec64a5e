"""Keep read models right: digests to compare, a rebuild to make them anew."""

import os
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from leadflow.cli.frame import (
    FAILED,
    AsJson,
    answer,
    complain,
    note,
    percent,
    session,
    table,
    utc,
)
from leadflow.cli.progress import Progress

if TYPE_CHECKING:
    from leadflow.app import App
    from projections.rebuild import RebuildReport, Sets
    from projections.writer import Checkpoint

_WORTH_SHARING: Final = 500_000
"""Events from which several processes are quicker than one, which need not be started."""

_MOST_WORKERS: Final = 8


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow digest --json")(digest)
    app.command(epilog="Example: leadflow rebuild --workers 4")(rebuild)


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


def rebuild(
    ctx: typer.Context,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, help="Processes that fold; left out, one per core where that pays."
        ),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--fresh",
            help="Go on with the rebuild that was begun, or begin anew; left out, go on if it can.",
            show_default=False,
        ),
    ] = None,
    keep_old: Annotated[
        bool,
        typer.Option(
            "--keep-old/--drop-old", help="Keep the read models that were live, to go back to."
        ),
    ] = True,
    accept_differences: Annotated[
        bool,
        typer.Option(
            "--accept-differences", help="Switch although rows differ and nothing explains why."
        ),
    ] = False,
    roll_back: Annotated[
        bool,
        typer.Option("--roll-back", help="Go back to the read models before the last rebuild."),
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Tell how far a rebuild is, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the read models anew from history, beside the live ones, compare, and switch.

    Needed after an upgrade that changes them; harmless at any time. Intake, projections and
    questions go on meanwhile. Where it is ended, by whatever, the next call goes on.

    Where the new rows are others than the live ones, and neither the version of a read model nor
    the policy explains it, nothing is switched: the exit code is 1, and the report shows rows.
    """
    if status and roll_back:
        raise typer.BadParameter("choose one of --status and --roll-back")
    if status:
        _status(ctx, as_json=as_json)
    elif roll_back:
        _roll_back(ctx, as_json=as_json)
    else:
        document = _rebuild(
            ctx,
            workers,
            resume=resume,
            keep_old=keep_old,
            accept_differences=accept_differences,
        )
        answer(document, as_json, lambda console: _rebuilt(console, document))
        if not document["switched"]:
            complain(
                "the new rows differ and nothing explains it, so the live ones stay; look at both"
                " (the new set is kept), then `leadflow rebuild --accept-differences` switches,"
                " `--fresh` begins anew"
            )
            raise typer.Exit(FAILED)


def _rebuild(
    ctx: typer.Context,
    workers: int | None,
    *,
    resume: bool | None,
    keep_old: bool,
    accept_differences: bool,
) -> dict[str, Any]:
    from functools import partial

    from leadflow.store import open_store
    from projections.rebuild import rebuild as run

    started = time.monotonic()
    with session(ctx).app(runs_on=True) as app:
        app.runner.create()
        head = app.store.head()
        workers = workers or _workers(head)
        with Progress("fill", head, "events") as progress:
            done = 0

            def reach(events: int) -> None:
                nonlocal done
                done = events
                progress.reach(done)

            try:
                report = run(
                    app.engine,
                    app.store,
                    lambda: app.rules,
                    reach,
                    lambda step: progress.reach(done, step),
                    workers=workers,
                    open_history=partial(open_store, app.settings.database_url),
                    resume=resume,
                    keep_old=keep_old,
                    accept_differences=accept_differences,
                )
            except KeyboardInterrupt:
                note("stopped; what is filled stays: `leadflow rebuild` goes on with it")
                raise
    return _document(report, workers, time.monotonic() - started)


def _document(report: "RebuildReport", workers: int, seconds: float) -> dict[str, Any]:
    import msgspec

    return {
        "position": report.position,
        "events": report.events,
        "leads": report.leads,
        "buckets": report.parts,
        "resumed": report.resumed,
        "caught_up": report.caught_up,
        "workers": workers,
        "seconds": round(seconds, 3),
        "switched": report.switched,
        "compared_at": report.compared_at,
        "before": report.before,
        "after": report.after,
        "differences": report.differences,
        "reasons": report.reasons,
        "rows": {
            name: [msgspec.to_builtins(row) for row in rows] for name, rows in report.rows.items()
        },
    }


def _workers(events: int) -> int:
    """Return how many processes share a rebuild: one per core, where starting them pays."""
    return 1 if events < _WORTH_SHARING else min(os.cpu_count() or 1, _MOST_WORKERS)


def _rebuilt(console: Console, document: dict[str, Any]) -> None:
    before = document["before"] or {}
    rows = [
        (name, "-" if name not in before else "same" if before[name] == sha else "changed", sha)
        for name, sha in document["after"].items()
    ]
    resumed = f", {document['resumed']:,} of them before" if document["resumed"] else ""
    console.print(
        table(
            f"{document['leads']:,} leads from {document['events']:,} events,"
            f" at position {document['position']:,}"
            f" ({document['buckets']:,} buckets{resumed}; {document['seconds']:.1f} s)",
            ["read model", "rows", "=SHA-256"],
            rows,
        )
    )
    for name, differing in document["rows"].items():
        shown = [(_cells(row["key"]), _cells(row["live"]), _cells(row["new"])) for row in differing]
        console.print(table(f"rows of {name} that differ", ["key", "live", "new"], shown))
    for reason in document["reasons"]:
        console.print(f"Reason: {reason}", markup=False)
    if document["switched"]:
        console.print("Next: leadflow digest", style="dim")


def _cells(row: dict[str, Any] | None) -> str:
    if row is None:
        return "no such row"
    return ", ".join(f"{name} {'null' if cell is None else cell}" for name, cell in row.items())


# --- going back, and how far it is ----------------------------------------------------------------


def _roll_back(ctx: typer.Context, *, as_json: bool) -> None:
    from projections.rebuild import roll_back

    with session(ctx).app(runs_on=True) as app:
        checkpoint = roll_back(app.engine, app.store, lambda: app.rules)
        document = {"position": checkpoint.position, "version": checkpoint.version}

    def show(console: Console) -> None:
        console.print(
            f"the read models before the last rebuild are live again, at position"
            f" {document['position']:,}"
        )
        console.print("Next: leadflow project", style="dim")

    answer(document, as_json, show)


def _status(ctx: typer.Context, *, as_json: bool) -> None:
    from projections.rebuild import sets

    with session(ctx).app() as app:
        document = _standing(app, sets(app.engine))
    answer(document, as_json, lambda console: _show_status(console, document))


def _standing(app: "App", found: "Sets") -> dict[str, Any]:
    build = found.build
    document: dict[str, Any] = {
        "head": app.store.head(),
        "live": _set(found.live),
        "new": _set(found.new),
        "old": _set(found.old),
        "rebuild": None,
    }
    if build is not None:
        share = build.parts_done / build.parts
        took = None if build.last_us is None else (build.last_us - build.started_us) / 1e6
        left = None if took is None or not share else took / share * (1 - share)
        document["rebuild"] = {
            "started_at": utc(build.started_us),
            "to_position": build.position,
            "buckets": build.parts,
            "buckets_done": build.parts_done,
            "share": share,
            "events": build.events,
            "leads": build.leads,
            "seconds_left": None if left is None else round(left, 1),
        }
    return document


def _set(checkpoint: "Checkpoint | None") -> dict[str, Any] | None:
    if checkpoint is None:
        return None
    return {"position": checkpoint.position, "version": checkpoint.version}


def _show_status(console: Console, document: dict[str, Any]) -> None:
    rows = [
        (
            name,
            *((found["position"], document["head"] - found["position"]) if found else (None,) * 2),
        )
        for name, found in ((name, document[name]) for name in ("live", "new", "old"))
    ]
    console.print(table(f"log at {document['head']:,}", ["set", ">position", ">behind"], rows))
    build = document["rebuild"]
    if build is None:
        console.print("no rebuild is under way or waits to be gone on with")
        return
    left = build["seconds_left"]
    console.print(
        f"rebuild since {build['started_at']}: {build['buckets_done']:,} of {build['buckets']:,}"
        f" buckets ({percent(build['share'])}), {build['events']:,} events, {build['leads']:,}"
        f" leads" + ("" if left is None else f"; about {left:,.0f} s to fill the rest")
    )
    live = document["live"]
    goes_on = "project" if live and not live["position"] else "rebuild --resume"
    console.print(f"Next: leadflow {goes_on}, unless it is running", style="dim")
