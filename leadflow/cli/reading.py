"""What commands that ask the read models share."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadflow.cli.frame import note, session

if TYPE_CHECKING:
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
            if lag:
                note_lag(app, lag)
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


def note_lag(app: "App", lag: int) -> None:
    """Say that the read models are *lag* positions behind."""
    if app.runner.checkpoint():
        note(f"the read models are {lag:,} positions behind: leadflow project")
    else:
        note(
            f"nothing is projected yet, {lag:,} events wait: leadflow project"
            " (`leadflow rebuild --status` tells whether one is at it)"
        )


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
