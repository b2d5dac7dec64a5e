"""Take read models, or the log itself, out into files."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    FINDINGS,
    AsJson,
    AsOf,
    KnownAt,
    answer,
    session,
    table,
    utc,
)
from leadflow.cli.progress import Progress
from leadflow.cli.query import Personal
from leadflow.cli.reading import misuse, note_lag, read_models


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer(
        invoke_without_command=True,
        epilog="Example: leadflow export --format parquet --to out",
    )
    group.callback()(export)
    group.command(epilog="Example: leadflow export verify out")(verify)
    app.add_typer(group, name="export")


def export(
    ctx: typer.Context,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="parquet, csv or arrow.")
    ] = "parquet",
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Folder to make; its parents are made, too."),
    ] = None,
    relations: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Tables and views, by commas; left out, every view there is."
        ),
    ] = None,
    facts: Annotated[
        bool, typer.Option("--facts", help="The log itself instead, as Parquet; personal.")
    ] = False,
    by_lead_hash: Annotated[
        int,
        typer.Option(
            min=1, max=4_096, metavar="N", help="Files to divide the facts into, by hash of lead."
        ),
    ] = 1,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    personal: Personal = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an export that lies there already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write read models into files, with a manifest that has the meaning and the hash of each.

    The same log gives the same bytes. Money is decimal, instants are UTC, text cells of CSV that a
    spreadsheet would run as a formula get an apostrophe in front. Parquet and Arrow need the extra
    columns.
    """
    if ctx.invoked_subcommand is not None:
        return
    if to is None:
        raise typer.BadParameter("say where to: --to DIR")
    if facts:
        _without(relations, as_of, known_at, form)
        document = _facts(ctx, to, by_lead_hash, personal, force)
    elif by_lead_hash != 1:
        raise typer.BadParameter("--by-lead-hash divides facts: say --facts, too")
    else:
        names = None if relations is None else [one.strip() for one in relations.split(",")]
        document = _relations(ctx, to, form, names, as_of, known_at, personal, force)
    answer(document, as_json, lambda console: _show(console, document, to))


def _without(relations: str | None, as_of: int | None, known_at: int | None, form: str) -> None:
    """Refuse what facts do not go with: they are the whole log, in one format."""
    for name, given in (
        ("--relations", relations is not None),
        ("--as-of", as_of is not None),
        ("--known-at", known_at is not None),
        (f"--format {form}", form != "parquet"),
    ):
        if given:
            raise typer.BadParameter(f"--facts is the whole log, as Parquet: leave out {name}")


def _facts(
    ctx: typer.Context, to: Path, buckets: int, personal: bool, force: bool
) -> dict[str, Any]:
    from leadflow.export_facts import export_facts

    with session(ctx).app() as app:
        return export_facts(app.store, app.rules, to, buckets, personal=personal, force=force)


def _relations(
    ctx: typer.Context,
    to: Path,
    form: str,
    names: list[str] | None,
    as_of: int | None,
    known_at: int | None,
    personal: bool,
    force: bool,
) -> dict[str, Any]:
    from leadflow.export_relations import export_relations
    from leadflow.query import reader

    with session(ctx).app() as app, Progress("export", None, "rows") as progress, misuse():
        said = {
            "as_of": utc(as_of),
            "known_at": utc(known_at),
            "policies": list(app.rules.versions),
        }

        def told(name: str, rows: int) -> None:
            progress.reach(rows, name)

        options: dict[str, Any] = {
            "personal": personal,
            "force": force,
            "said": said,
            "told": told,
        }
        if as_of is None and known_at is None:
            if lag := app.runner.lag():
                note_lag(lag, app.runner.checkpoint())
            with reader(app.settings.database_url) as connection:
                return export_relations(connection, to, form, names, **options)
        with read_models(ctx, as_of, known_at) as (_, connection):
            return export_relations(connection, to, form, names, **options)


def _show(console: Console, document: dict[str, Any], to: Path) -> None:
    rows = [(one["path"], one["rows"], one["bytes"]) for one in document["files"]]
    console.print(
        table(f"{to}, at position {document['position']:,}", ["=file", ">rows", ">bytes"], rows)
    )
    console.print(f"Next: leadflow export verify {to}", style="dim", markup=False)


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an export.")],
    as_json: AsJson = False,
) -> None:
    """Compare the files of an export with the hashes in its manifest.

    Exit code 3: a file is changed, missing, or not of the export.
    """
    from leadflow.export_files import read_manifest
    from leadflow.export_files import verify as verify_files

    findings = verify_files(folder)
    files = len(read_manifest(folder)["files"])
    document = {
        "files": files,
        "findings": [{"path": one.path, "problem": one.problem} for one in findings],
    }

    def show(console: Console) -> None:
        if not findings:
            console.print(f"{files:,} files, all as they were written")
            return
        rows = [(one.problem, one.path) for one in findings]
        console.print(table(f"{files:,} files in the manifest", ["problem", "=file"], rows))
        console.print("Next: export again, with --force", style="dim")

    answer(document, as_json, show)
    if findings:
        raise typer.Exit(FINDINGS)
