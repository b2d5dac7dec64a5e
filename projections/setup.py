"""Makes, drops and switches sets of read models."""

from collections.abc import Iterator
from typing import Any, Final

from iso4217 import Currency
from sqlalchemy import Connection, Engine, insert, inspect, text
from sqlalchemy.schema import CreateSchema, DropSchema

from domain.money import WITHDRAWN
from domain.stages import PATH, RANK, STAGES
from projections import (
    activities,
    consents,
    conversions,
    credit,
    decided,
    opportunities,
    people,
    pipeline,
    spend,
    stages,
    touches,
)
from projections.dictionary import fill_dictionary
from projections.naming import LIVE, schema_of, table_of, tables_of
from projections.schema import checkpoints, currencies, is_postgresql, metadata, stage_order
from projections.views import create_views, drop_views
from projections.writer import SET

_MODULES: Final = (
    pipeline,
    stages,
    touches,
    conversions,
    credit,
    opportunities,
    people,
    consents,
    decided,
    activities,
    spend,
)

VERSION: Final = " ".join(f"{module.NAME}@{module.VERSION}" for module in _MODULES)
"""Versions of the read models: rows of other ones are of no use."""

_LOCK: Final = 7_301_145_118
"""The advisory lock of whoever makes, drops or switches sets: any number that stays the same."""


def create(engine: Engine, which: str = LIVE) -> None:
    """Create the tables and views of a set where they are missing, in one transaction."""
    dialect = engine.dialect
    with engine.begin() as connection:
        schema = schema_of(dialect, which)
        if schema is not None:
            # two processes may start at once, and "if not exists" alone does not hold then
            _lock(connection)
            connection.execute(CreateSchema(schema, if_not_exists=True))
        made = table_of(checkpoints, dialect, which)
        if inspect(connection).has_table(made.name, schema=schema):
            return
        tables_of(dialect, which).create_all(connection)
        for table, rows in (
            (currencies, list(_currencies())),
            (stage_order, list(_stages())),
            (checkpoints, [{"name": SET, "position": 0, "version": VERSION, "next_lead_no": 1}]),
        ):
            connection.execute(insert(table_of(table, dialect, which)), rows)
        create_views(connection, which)
        fill_dictionary(connection, which)


def drop(engine: Engine, which: str) -> None:
    """Drop a set that is not live; harmless when there is none."""
    if which == LIVE:
        raise ValueError("the live set is switched, not dropped")
    with engine.begin() as connection:
        schema = schema_of(engine.dialect, which)
        if schema is not None:
            _lock(connection)
            connection.execute(DropSchema(schema, cascade=True, if_exists=True))
        else:
            tables_of(engine.dialect, which).drop_all(connection)


def switch(engine: Engine, *, live_becomes: str, becomes_live: str) -> None:
    """Rename the live set and the one that takes its place, in one transaction."""
    with engine.begin() as connection:
        if is_postgresql(engine.dialect):
            _lock(connection)
            # the views go with their schema: they hold on to tables, not to names
            for before, after in ((LIVE, live_becomes), (becomes_live, LIVE)):
                old, new = schema_of(engine.dialect, before), schema_of(engine.dialect, after)
                if inspect(connection).has_schema(str(old)):
                    connection.exec_driver_sql(f'ALTER SCHEMA "{old}" RENAME TO "{new}"')
            return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        drop_views(connection)
        for before, after in ((LIVE, live_becomes), (becomes_live, LIVE)):
            for table in metadata.sorted_tables:
                if inspect(connection).has_table(table.name + before):
                    connection.exec_driver_sql(
                        f"ALTER TABLE {table.name + before} RENAME TO {table.name + after}"
                    )
        create_views(connection)


def _lock(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _currencies() -> Iterator[dict[str, Any]]:
    known = {c.code: c.exponent for c in Currency if c.exponent is not None}
    for code, exponent in {**WITHDRAWN, **known}.items():
        yield {"currency": code, "exponent": exponent, "unit": 10**exponent}


def _stages() -> Iterator[dict[str, Any]]:
    for n, stage in enumerate(STAGES, 1):
        yield {"stage": stage, "n": n, "rank": RANK.get(stage), "is_path": int(stage in PATH)}
