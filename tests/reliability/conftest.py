"""Fixtures of the reliability tests: databases that have their tables already."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from leadflow.store import migrate
from leadflow.store.base import Store
from leadflow.store.tables import metadata
from tests.postgres import PostgresServer
from tests.reliability import kit


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[Path]:
    """Give a SQLite file with all tables, to copy."""
    with kit.quick_folder() as folder:
        yield kit.make_template(folder)


@pytest.fixture(scope="session")
def postgres_tables(postgres_server: PostgresServer) -> str:
    """Give the URL of a PostgreSQL database with all tables, whatever is in them."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(plain(postgres_server.url()), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    url = postgres_server.url(name)
    migrate.upgrade(url)
    return url


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder in memory."""
    with kit.quick_folder() as made:
        yield made


@pytest.fixture
def sqlite_url(folder: Path, sqlite_template: Path) -> str:
    """Give the URL of a SQLite file with all tables."""
    return kit.new_sqlite(folder, sqlite_template)


@pytest.fixture
def postgres_copy(postgres_tables: str) -> str:
    """Give the URL of a PostgreSQL database with all tables and nothing in them.

    Tests of one process share it, one after the other: emptying it is ten times as fast as making
    another.
    """
    empty(postgres_tables)
    return postgres_tables


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of a database with all tables, once of each kind."""
    kind = {"sqlite": "sqlite_url", "postgresql": "postgres_copy"}[request.param]
    url: str = request.getfixturevalue(kind)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Give an open store, once of each kind."""
    with kit.opened(store_url) as made:
        yield made


def empty(url: str) -> None:
    """Remove every row from the PostgreSQL database at *url*, and count from 1 again."""
    names = ", ".join(str(table) for table in metadata.sorted_tables)
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("SET lock_timeout = '10s'")
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY".encode())


def plain(url: str) -> str:
    """Return a SQLAlchemy URL as psycopg reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
