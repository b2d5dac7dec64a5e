"""Who may read what on PostgreSQL, before and after a rebuild; nobody reads people by accident."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from leadflow.app import App
from leadflow.store import migrate
from projections.dictionary import readable, relations
from projections.grants import PII, READER, RolesRefused, make_roles, may_become, roles
from projections.naming import NEW, OLD
from projections.schema import SCHEMA
from projections.setup import create, switch
from tests.exporting import open_filled, tells_who
from tests.postgres import PostgresServer


@pytest.fixture
def app(postgres_database: str, tmp_path: Path) -> Iterator[App]:
    with open_filled(postgres_database, tmp_path) as app:
        with app.engine.begin() as connection:
            make_roles(connection, SCHEMA)
        yield app


def values(engine: Engine, relation: str, role: str) -> str:
    """Return all that *role* sees in *relation*, as one text."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        rows = connection.exec_driver_sql(f"SELECT * FROM {SCHEMA}.{relation}")
        return "\n".join(str(tuple(row)) for row in rows)


def test_a_reader_sees_no_personal_value_in_any_relation(app: App) -> None:
    seen = {name: values(app.engine, name, READER) for name in readable(personal=False)}

    assert [] == [name for name, text_ in seen.items() if tells_who(text_)]
    assert "Acme" in seen["v_pipeline"], "the reader does see what the leads are"
    for name in relations().keys() - set(readable(personal=False)):
        assert tells_who(values(app.engine, name, PII)), name
        with pytest.raises(ProgrammingError, match="permission denied"):
            values(app.engine, name, READER)


@pytest.mark.parametrize("role", [READER, PII])
def test_neither_role_reads_the_event_store_or_writes(app: App, role: str) -> None:
    for statement in (
        "SELECT * FROM leadflow.stored_events",
        f"DELETE FROM {SCHEMA}.pipeline",
        f"CREATE TABLE {SCHEMA}.mine (n int)",
    ):
        with app.engine.connect() as connection:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.exec_driver_sql(statement)


def test_grants_outlive_a_switch_and_its_taking_back(app: App) -> None:
    other = f"analyst_{uuid4().hex[:8]}"
    with app.engine.begin() as connection:
        for statement in (
            f'CREATE ROLE "{other}"',
            f'GRANT USAGE ON SCHEMA {SCHEMA} TO "{other}" WITH GRANT OPTION',
            f'GRANT SELECT ON {SCHEMA}.v_pipeline TO "{other}"',
            f'GRANT SELECT (name) ON {SCHEMA}.people TO "{other}"',
            f"GRANT SELECT ON {SCHEMA}.currencies TO PUBLIC",
        ):
            connection.exec_driver_sql(statement)
    before = granted(app.engine)

    create(app.engine, NEW)
    switch(app.engine, live_becomes=OLD, becomes_live=NEW)
    assert before == granted(app.engine)
    switch(app.engine, live_becomes=NEW, becomes_live=OLD)
    assert before == granted(app.engine)
    with app.engine.begin() as connection:
        connection.exec_driver_sql(f'DROP OWNED BY "{other}"')
        connection.exec_driver_sql(f'DROP ROLE "{other}"')


def granted(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT c.relname || ' ' || c.relacl::text || ' ' || coalesce((SELECT"
                " string_agg(f.attname || f.attacl::text, ' ') FROM pg_attribute f"
                " WHERE f.attrelid = c.oid), '') FROM pg_class c"
                " JOIN pg_namespace s ON s.oid = c.relnamespace"
                " WHERE s.nspname = :schema AND c.relkind IN ('r', 'v') UNION ALL"
                " SELECT nspacl::text FROM pg_namespace WHERE nspname = :schema ORDER BY 1"
            ),
            {"schema": SCHEMA},
        )
        return [str(one) for one in found.scalars()]


def test_a_database_made_after_the_roles_grants_them_from_the_start(
    app: App, postgres_server: PostgresServer
) -> None:
    with postgres_server.database() as url:
        engine = migrate.make_engine(url)
        create(engine)
        assert "captured" in values(engine, "stage_order", READER)
        engine.dispose()


def test_who_may_make_no_roles_is_told_what_somebody_else_has_to_run(
    postgres_database: str,
) -> None:
    name = f"poor_{uuid4().hex[:8]}"
    engine = migrate.make_engine(postgres_database)
    with engine.begin() as connection:
        for role in roles(connection):
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f'CREATE ROLE "{name}"')
        connection.exec_driver_sql(f'SET LOCAL ROLE "{name}"')
        if READER not in roles(connection):
            with pytest.raises(RolesRefused, match="CREATE ROLE leadflow_reader NOLOGIN;"):
                make_roles(connection, SCHEMA)
        else:
            assert not may_become(connection, READER)
            with pytest.raises(RolesRefused, match="GRANT leadflow_reader, leadflow_pii TO"):
                make_roles(connection, SCHEMA)
        connection.rollback()
    engine.dispose()
