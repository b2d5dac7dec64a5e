"""The PostgreSQL that tests run on keeps its promises."""

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.postgres import PostgresServer


def test_a_database_is_fresh_and_empty(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.connect() as connection:
        tables = connection.execute(
            text("select count(*) from pg_tables where schemaname = 'public'")
        ).scalar_one()
        version = connection.execute(text("show server_version_num")).scalar_one()
    engine.dispose()

    assert tables == 0
    assert int(version) // 10_000 == 18


def test_every_test_that_asks_for_a_database_meets_both_kinds(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("create table leads (id text primary key)"))
        connection.execute(text("insert into leads values ('a')"))
        assert connection.execute(text("select id from leads")).all() == [("a",)]
    engine.dispose()


def test_a_database_is_dropped_although_somebody_is_still_connected(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.database() as url:
        left_open = psycopg.connect(url.replace("+psycopg", ""))
        left_open.execute("select 1")

    with pytest.raises(psycopg.OperationalError):
        left_open.execute("select 1")
    left_open.close()


def test_a_killed_server_comes_back_with_what_it_had_acknowledged() -> None:
    with PostgresServer() as server, server.database() as url:
        plain = url.replace("+psycopg", "")
        with psycopg.connect(plain) as connection:
            connection.execute("create table leads (id text primary key)")
            connection.execute("insert into leads values ('a')")

        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(plain)
        server.restart()

        with psycopg.connect(plain) as connection:
            assert connection.execute("select id from leads").fetchall() == [("a",)]
