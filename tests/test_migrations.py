"""The revisions make the tables that the code knows."""

from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from leadflow.store import migrate
from leadflow.store.tables import SCHEMA, metadata


def test_the_newest_revision_is_the_one_the_code_needs() -> None:
    assert migrate.NEWEST == ScriptDirectory.from_config(migrate._config()).get_current_head()


def test_the_revisions_make_the_declared_tables(database_url: str) -> None:
    migrate.upgrade(database_url)
    engine = migrate.make_engine(database_url)
    schema = SCHEMA if engine.dialect.name == "postgresql" else None

    with engine.connect() as connection:
        inspector = inspect(connection)
        found = {
            name: [
                (column["name"], column["nullable"])
                for column in inspector.get_columns(name, schema=schema)
            ]
            for name in inspector.get_table_names(schema=schema)
            if name not in ("leadflow_version", "sqlite_sequence")
        }

    declared = {
        table.name: [(column.name, column.nullable) for column in table.columns]
        for table in metadata.tables.values()
    }
    assert declared == found
    engine.dispose()


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    assert migrate.revision(database_url) is None
    migrate.upgrade(database_url)
    migrate.upgrade(database_url)

    assert migrate.NEWEST == migrate.revision(database_url)
