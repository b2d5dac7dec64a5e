"""Fold an export of facts into read models, on as many cores or machines as there are."""

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, answer, err, session, table
from leadflow.cli.progress import Progress

if TYPE_CHECKING:
    from leadflow.fold import Folded
    from leadflow.fold_files import FactsExport

ENGINES = ("processes", "spark")


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow fold --from facts --workers 4 --digest")(fold)


def fold(
    ctx: typer.Context,
    source: Annotated[
        Path, typer.Option("--from", metavar="DIR", help="Folder of an export of facts.")
    ],
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the rows, as Parquet: one folder a table."),
    ] = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="Only the digests, to compare with leadflow digest.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=4_096, help="Processes; in Spark, partitions.")
    ] = 1,
    engine: Annotated[
        str, typer.Option(help="processes or spark (the extra spark).")
    ] = "processes",
    master: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The master of Spark; else as Spark is configured."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fold exported facts into the rows that a rebuild makes, without a database.

    The digests are those of `leadflow digest` at the same position.
    """
    if engine not in ENGINES:
        raise typer.BadParameter(f"--engine {engine!r}: choose processes or spark")
    if master is not None and engine != "spark":
        raise typer.BadParameter("--master is for --engine spark")
    if (to is None) != digest:
        raise typer.BadParameter("choose one of --to DIR and --digest")
    if to is not None and to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise typer.BadParameter(f"--to {to} is not an empty folder: name another")
    from leadflow.fold_files import FactsExport

    call = session(ctx)
    call.log(call.settings, runs_on=True)
    started = time.monotonic()
    export = FactsExport(source)
    export.check()
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
    try:
        if engine == "spark":
            folded = _in_spark(export, workers, to, master)
        else:
            folded = _in_processes(export, workers, to)
    except BaseException:
        if to is not None:
            with suppress(OSError):  # it holds something: leave it to whoever looks into it
                to.rmdir()
        raise
    document: dict[str, Any] = {
        "position": folded.position,
        "events": folded.events,
        "leads": folded.leads,
        "engine": engine,
        "workers": workers,
        "seconds": round(time.monotonic() - started, 3),
        "rows": folded.rows,
        "read_models": folded.read_models,
    }
    answer(document, as_json, lambda console: _show(console, document, to))


def _in_processes(export: "FactsExport", workers: int, to: Path | None) -> "Folded":
    from leadflow.fold_pool import fold_in_processes

    with Progress("fold", export.manifest["events"], "events") as progress:
        return fold_in_processes(export, workers, to, progress.reach)


def _in_spark(export: "FactsExport", workers: int, to: Path | None, master: str | None) -> "Folded":
    from leadflow.fold_spark import fold_in_spark, spark_session

    with err().status("folding in Spark"):
        return fold_in_spark(export, spark_session(master, workers), workers, to)


def _show(console: Console, document: dict[str, Any], to: Path | None) -> None:
    rows = [(name, document["rows"][name], sha) for name, sha in document["read_models"].items()]
    console.print(
        table(
            f"{document['leads']:,} leads from {document['events']:,} events,"
            f" at position {document['position']:,} ({document['seconds']:.1f} s)",
            ["read model", ">rows", "=SHA-256"],
            rows,
        )
    )
    hint = "Next: leadflow digest, for the same digests" if to is None else f"Next: read {to}"
    console.print(hint, style="dim", markup=False)
