"""What commands that ask the read models share."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadflow.cli.frame import note, session, utc

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Connection

    from leadflow.app import App

By = Annotated[
    str | None,
    typer.Option(
        metavar="DIM",
        help="Group by owner, channel, source, medium, campaign, party, country, region, seniority,"
        " industry, company, account, company_size or product.",
    ),
]


@contextmanager
def read_models(
    ctx: typer.Context, as_of: int | None = None, known_at: int | None = None
) -> "Generator[tuple[App, Connection]]":
    """Yield the application and a connection to its read models, as they were where asked."""
    with session(ctx).app() as app:
        lag = app.runner.lag()
        if as_of is None and known_at is None:
            note_lag(lag, app.runner.checkpoint())
            with app.connect() as connection, misuse():
                yield app, connection
            return
        from projections.as_of import as_of_engine

        engine = as_of_engine(app.store, app.rules, as_of, known_at)
        try:
            with engine.connect() as connection, misuse():
                yield app, connection
        finally:
            engine.dispose()


def note_lag(lag: int | None, checkpoint: int | None = None) -> None:
    """Tell on the standard error that the read models are behind, where they are.

    *checkpoint* is where they stand, if that is known; at 0 they hold nothing.
    """
    if lag and checkpoint == 0:
        note(
            f"nothing is projected yet, {lag:,} events wait: leadflow project"
            " (`leadflow rebuild --status` tells whether one is at it)"
        )
    elif lag:
        note(f"the read models are {lag:,} positions behind: leadflow project")


def no_leads(
    connection: "Connection", as_of: int | None, known_at: int | None, *, or_spend: bool = False
) -> str | None:
    """Return that there are no leads, in words; None where there are, *or_spend* that is known."""
    from sqlalchemy import select

    from projections.pipeline import pipeline
    from projections.spend import spend

    for table in (pipeline, spend) if or_spend else (pipeline,):
        if connection.execute(select(table).limit(1)).first() is not None:
            return None
    if as_of is not None:
        return f"no leads as of {utc(as_of)}"
    return "no leads yet" if known_at is None else f"no leads as known at {utc(known_at)}"


def unless(none: str | None, show: Callable[["Console"], None]) -> Callable[["Console"], None]:
    """Return what shows an answer; where there are no leads, as *none* says, that and a next step."""

    def said(console: "Console") -> None:
        console.print(none)
        console.print(
            "Next: leadflow ingest FILE, or leadflow demo"
            if none == "no leads yet"
            else "Next: leadflow pipeline, or a later time",
            style="dim",
        )

    return show if none is None else said


@contextmanager
def misuse() -> Generator[None]:
    """Turn what the rooms refuse to compute into misuse: exit code 2."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def reading_file(option: str) -> Generator[None]:
    """Turn the absence of the file that *option* names, and what else keeps it shut, into misuse."""
    try:
        yield
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise typer.BadParameter(
            f"{why}; give the path of a file that can be read", param_hint=option
        ) from None


def value_text(value: Any) -> str:
    """Return a value of a dimension for people."""
    return "(none)" if value is None else str(value)
