"""Bring the event store's tables up to date, and say whether they are."""

import importlib.resources
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import SetColumnComment, SetTableComment

from consumers.ledger import StoreUnavailable
from leadflow.store.sqlite import PAGE_SIZE
from leadflow.store.tables import SCHEMA, metadata

if TYPE_CHECKING:
    # alembic takes a third of a second to import; a question needs the revision, not the revisions.
    from alembic.config import Config

NEWEST: Final = "0002"
"""The revision that this version of leadflow needs: the last one in ``leadflow/migrations``."""

_VERSION_TABLE: Final = "leadflow_version"

_LOCK: Final = 7_301_145_118
"""The advisory lock of whoever migrates."""


def make_engine(database_url: str) -> Engine:
    """Return a SQLAlchemy engine with leadflow's settings for the database."""
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def settle(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")  # before the first table is made
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA synchronous = FULL")

    return engine


def revision(database_url: str) -> str | None:
    """Return the revision of the tables at *database_url*; None where there are none.

    Raises StoreUnavailable.
    """
    with _connected(database_url) as connection:
        schema = SCHEMA if connection.dialect.name == "postgresql" else None
        if not inspect(connection).has_table(_VERSION_TABLE, schema=schema):
            return None
        table = f"{schema}.{_VERSION_TABLE}" if schema else _VERSION_TABLE
        found = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608 -- two constants
        return None if found is None else str(found)


def upgrade(database_url: str) -> None:
    """Bring the tables to the newest revision; harmless when they are, and when two do it at once.

    Raises StoreUnavailable.
    """
    from alembic import command

    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _connected(database_url) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.dialect.name == "postgresql":
            _comment(connection)
        connection.commit()


def _comment(connection: Connection) -> None:
    """Put the comments of tables and columns into the database, where people's tools show them."""
    for table in metadata.sorted_tables:
        connection.execute(SetTableComment(table))
        for column in table.columns:
            connection.execute(SetColumnComment(column))


@contextmanager
def _connected(database_url: str) -> Iterator[Connection]:
    engine = make_engine(database_url)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise StoreUnavailable(f"{engine.url!r}: {error.orig}") from error
    finally:
        engine.dispose()


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    folder = importlib.resources.files("leadflow") / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config
