"""Ask in SQL, and see what there is to ask."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    answer,
    duration_option,
    note,
    session,
    table,
    utc,
)
from leadflow.cli.reading import misuse, note_lag, reading_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

Personal = Annotated[bool, typer.Option("--personal", help="Read what tells who somebody is, too.")]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow query 'SELECT stage, entered FROM v_funnel'")(query)
    app.command(epilog="Example: leadflow roles --database postgresql://leadflow@db/leadflow")(
        roles
    )


def query(
    ctx: typer.Context,
    sql: Annotated[
        str | None, typer.Argument(metavar="[SQL]", help="One statement that reads; - for stdin.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the statement from a file.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    personal: Personal = False,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Rows at most; 0 for all there are.")
    ] = 1_000,
    timeout: Annotated[
        int,
        typer.Option(
            parser=duration_option, metavar="TIME", help="Stop it after that long: 30s, 5m."
        ),
    ] = "30s",  # type: ignore[assignment] # the parser makes it microseconds
    every: Annotated[
        bool, typer.Option("--list", help="List the tables and views instead.")
    ] = False,
    describe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show the columns of a table or view instead."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the read models in SQL; nothing can be changed.

    The views are the same as for any other tool; personal data is left out unless asked for.
    With --as-of or --known-at the statement is run on the read models as they were, on a
    database of SQLite in memory, whatever the live ones lie in.
    """
    if every or describe is not None:
        _look(describe, as_json)
        return
    from leadflow import query as asking

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json are two ways to print: choose one")
    words = _statement(sql, file)
    with misuse(), _connection(ctx, as_of, known_at) as connection:
        if as_of is None and known_at is None:
            note_lag(asking.lag(connection))
        document = {
            "as_of": utc(as_of),
            "known_at": utc(known_at),
            **asking.query(
                connection,
                words,
                personal=personal,
                limit=limit or None,
                timeout=timeout / 1_000_000,
            ),
        }
    if as_csv:
        from leadflow.csv_cells import csv_line

        sys.stdout.write(csv_line(document["columns"]))
        sys.stdout.writelines(csv_line(row) for row in document["rows"])
        sys.stdout.flush()
    else:
        answer(document, as_json, lambda console: _rows(console, document))
    if document["truncated"]:
        note(f"there are more than {limit:,} rows: --limit 0 shows all")


def _statement(sql: str | None, file: Path | None) -> str:
    if (sql is None) == (file is None):
        raise typer.BadParameter(
            "give one statement, as SQL or by --file; --list shows what there is to ask"
        )
    if file is not None:
        try:
            with reading_file("--file"):
                return file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise typer.BadParameter(f"--file {file}: is no text in UTF-8") from None
    return sys.stdin.read() if sql == "-" else str(sql)


def _connection(
    ctx: typer.Context, as_of: int | None, known_at: int | None
) -> "AbstractContextManager[Connection]":
    from contextlib import contextmanager

    from leadflow.query import reader

    call = session(ctx)
    if as_of is None and known_at is None:
        settings = call.settings
        call.log(settings)
        return reader(settings.database_url)

    @contextmanager
    def as_it_was() -> Any:
        from leadflow.cli.reading import read_models

        with read_models(ctx, as_of, known_at) as (_, connection):
            yield connection

    return as_it_was()


def _rows(console: Console, document: dict[str, Any]) -> None:
    columns, rows = document["columns"], document["rows"]
    numeric = [
        all(isinstance(row[n], int | float | None) for row in rows) for n in range(len(columns))
    ]
    heads = [(">" if one else "") + name for name, one in zip(columns, numeric, strict=True)]
    shown = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    console.print(table(None, heads, shown))
    count = len(rows)
    console.print(
        f"{count:,} row{'' if count == 1 else 's'}. Next: leadflow query --describe NAME",
        style="dim",
    )


def _look(describe: str | None, as_json: bool) -> None:
    from leadflow.query import description, listing

    if describe is None:
        document = listing()
        rows: list[tuple[str, ...]] = [
            (one["name"], one["comment"] + (" (personal)" if one["personal"] else ""))
            for one in document["relations"]
        ]
        columns = ["=table or view", "what it shows"]
        hint = "Next: leadflow query --describe v_pipeline"
    else:
        with misuse():
            document = description(describe)
        rows = [
            (
                one["name"] + (" (key)" if one["key"] else ""),
                one["type"],
                one["comment"] + (" (personal)" if one["personal"] else ""),
            )
            for one in document["columns"]
        ]
        columns = ["=column", "type", "meaning"]
        hint = f"Next: leadflow query 'SELECT * FROM {describe} LIMIT 5'"  # noqa: S608 - shown only

    def show(console: Console) -> None:
        console.print(table(document.get("comment"), columns, rows))
        console.print(hint, style="dim", markup=False)

    answer(document, as_json, show)


# --- roles --------------------------------------------------------------------------------------


def roles(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Make the roles of PostgreSQL that may read, or grant them anew; harmless when all is there.

    leadflow_reader reads every table and view without personal data, leadflow_pii all of them;
    grant them to logins. A rebuild keeps these grants and others. SQLite has no roles.
    """
    from projections.dictionary import readable
    from projections.grants import PII, READER, make_roles
    from projections.schema import SCHEMA, is_postgresql

    with session(ctx).app() as app:
        if not is_postgresql(app.engine.dialect):
            raise typer.BadParameter(
                "SQLite has no roles: whoever may read the file reads all of it;"
                " leadflow query leaves personal data out unless --personal is said"
            )
        with app.engine.begin() as connection:
            made = make_roles(connection, SCHEMA)
    document: dict[str, Any] = {
        "made": made,
        "roles": [
            {"name": role, "reads": len(readable(personal=role == PII))} for role in (READER, PII)
        ],
    }

    def show(console: Console) -> None:
        rows = [
            (one["name"], one["reads"], "made" if one["name"] in made else "was there")
            for one in document["roles"]
        ]
        console.print(table(None, ["=role", ">tables and views", "state"], rows))
        console.print("Next: GRANT leadflow_reader TO somebody (in psql)", style="dim")

    answer(document, as_json, show)
