"""Where a set of read models lies: the live one, the one being built beside it, the one before."""

from typing import Final

from sqlalchemy import Dialect, MetaData, Table

from projections.schema import SCHEMA, is_postgresql, metadata

LIVE: Final = ""
NEW: Final = "_new"
OLD: Final = "_old"


def schema_of(dialect: Dialect, which: str = LIVE) -> str | None:
    """Return the schema of the set; None on SQLite."""
    return SCHEMA + which if is_postgresql(dialect) else None


def table_of(table: Table, dialect: Dialect, which: str = LIVE) -> Table:
    """Return *table* as it is called in the set: PostgreSQL has a schema, SQLite a suffix."""
    if is_postgresql(dialect):
        return table.to_metadata(MetaData(), schema=SCHEMA + which)
    return table.to_metadata(MetaData(), name=table.name + which) if which else table


def tables_of(dialect: Dialect, which: str = LIVE) -> MetaData:
    """Return all tables of the set, to create or drop them."""
    if is_postgresql(dialect):
        tables = MetaData(schema=SCHEMA + which)
        for table in metadata.sorted_tables:
            table.to_metadata(tables, schema=SCHEMA + which)
        return tables
    tables = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(tables, name=table.name + which)
    return tables
