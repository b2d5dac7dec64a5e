"""Every table, view and column says what it means, in the same words everywhere."""

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from leadflow.store import migrate
from leadflow.store.tables import SCHEMA as STORE
from projections.dictionary import PERSONAL, VIEW_KEYS, entries, relations
from projections.schema import SCHEMA
from projections.setup import create
from projections.view_columns import VIEW_COLUMNS


@pytest.fixture
def engine(database_url: str) -> Any:
    engine = create_engine(database_url)
    create(engine)
    yield engine
    engine.dispose()


def test_every_relation_and_column_has_a_meaning_and_a_type() -> None:
    assert [] == [entry for entry in entries() if not entry.comment.strip()]
    assert [] == [entry for entry in entries() if entry.column_name and not entry.type]


def test_nothing_is_said_of_columns_that_do_not_exist() -> None:
    there = {f"{entry.relation}.{entry.column_name}" for entry in entries()}

    assert set() == {name for name in VIEW_COLUMNS if "." in name} - there
    assert set() == {f"{v}.{c}" for v, columns in VIEW_KEYS.items() for c in columns} - there


def test_the_dictionary_names_exactly_what_the_database_has(engine: Engine) -> None:
    schema = SCHEMA if engine.dialect.name == "postgresql" else None
    found = inspect(engine)
    names = {*found.get_table_names(schema), *found.get_view_names(schema)}

    assert names == relations().keys()
    for name, (_, columns) in relations().items():
        there = [column["name"] for column in found.get_columns(name, schema)]
        assert there == [entry.column_name for entry in columns], name


def test_the_dictionary_can_be_asked_in_both_databases(engine: Engine) -> None:
    with engine.connect() as connection:
        table = (
            "data_dictionary" if engine.dialect.name == "sqlite" else f"{SCHEMA}.data_dictionary"
        )
        rows = connection.execute(text(f"SELECT relation, n, comment FROM {table}")).all()

    assert {(e.relation, e.n, e.comment) for e in entries()} == {tuple(row) for row in rows}


def test_postgresql_shows_the_same_words_as_comments(postgres_database: str) -> None:
    migrate.upgrade(postgres_database)
    engine = migrate.make_engine(postgres_database)
    create(engine)
    commented = text(
        "SELECT c.relname, a.attnum, d.description FROM pg_class c"
        " JOIN pg_namespace s ON s.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid"
        " LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = a.attnum"
        " WHERE s.nspname = :schema AND a.attnum > 0 AND c.relkind IN ('r', 'v')"
        " AND NOT a.attisdropped UNION ALL"
        " SELECT c.relname, 0, obj_description(c.oid) FROM pg_class c"
        " JOIN pg_namespace s ON s.oid = c.relnamespace"
        " WHERE s.nspname = :schema AND c.relkind IN ('r', 'v')"
    )
    with engine.connect() as connection:
        shown = connection.execute(commented, {"schema": SCHEMA}).all()
        stored = connection.execute(commented, {"schema": STORE}).all()
    engine.dispose()

    assert {(e.relation, e.n, e.comment) for e in entries()} == {tuple(row) for row in shown}
    assert [] == [row for row in stored if not row[2] and row[0] != "leadflow_version"]


TYPES = {
    "text": {"text"},
    "integer": {"integer", "bigint", "smallint"},
    "decimal": {"numeric"},
    "timestamp": {"timestamp with time zone"},
    "boolean": {"boolean"},
    "float": {"double precision"},
}


def test_columns_on_postgresql_have_the_types_that_the_dictionary_names(
    postgres_database: str,
) -> None:
    migrate.upgrade(postgres_database)
    engine = migrate.make_engine(postgres_database)
    create(engine)
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT table_name, column_name, data_type FROM information_schema.columns"
                " WHERE table_schema = :schema"
            ),
            {"schema": SCHEMA},
        ).all()
    engine.dispose()
    said = {(e.relation, e.column_name): e.type for e in entries() if e.n}

    assert said.keys() == {(relation, column) for relation, column, _ in found}
    assert [] == [
        (relation, column, type_)
        for relation, column, type_ in found
        if type_ not in TYPES[str(said[relation, column])]
    ]


def test_views_of_personal_tables_are_personal() -> None:
    from projections.views import view_texts

    for name, query in view_texts(create_engine("sqlite://").dialect).items():
        if any(word in PERSONAL for word in query.replace(",", " ").split()):
            assert name in PERSONAL
