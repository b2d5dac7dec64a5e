"""Makes, drops and switches sets of read models."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from iso4217 import Currency
from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, insert, inspect, text
from sqlalchemy.exc import DBAPIError
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
from projections.builds import forget
from projections.dictionary import fill_dictionary
from projections.grants import carry_grants, grant_roles
from projections.naming import LIVE, NEW, schema_of, table_of, tables_of
from projections.renewal import renew
from projections.schema import checkpoints, currencies, is_postgresql, metadata, stage_order
from projections.views import create_views, drop_views
from projections.writer import SET, Checkpoint, Superseded, checkpoint_in

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
        if schema is None and not inspect(connection).has_table(made.name):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        if inspect(connection).has_table(made.name, schema=schema):
            found = checkpoint_of(connection, which)
            if which == LIVE and found is not None and found.version == VERSION:
                renew(connection)
            return
        _make(connection, which)


def _make(connection: Connection, which: str) -> None:
    dialect = connection.dialect
    tables_of(dialect, which).create_all(connection)
    for table, rows in (
        (currencies, list(_currencies())),
        (stage_order, list(_stages())),
        (checkpoints, [{"name": SET, **asdict(Checkpoint(0, VERSION, 1, uuid4().hex))}]),
    ):
        connection.execute(insert(table_of(table, dialect, which)), rows)
    create_views(connection, which)
    fill_dictionary(connection, which)
    schema = schema_of(dialect, which)
    if schema is not None and which == LIVE:
        grant_roles(connection, schema)


@contextmanager
def alone(engine: Engine) -> Generator[Connection]:
    """Yield a connection in a transaction while nobody else makes, drops or switches sets."""
    with engine.begin() as connection:
        if is_postgresql(engine.dialect):
            _lock(connection)
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def make_anew(connection: Connection, which: str) -> None:
    """Drop a set that is not live, and create it empty, in the transaction of `alone`."""
    _drop(connection, which)
    schema = schema_of(connection.dialect, which)
    if schema is not None:
        connection.execute(CreateSchema(schema))
    _make(connection, which)


def drop(engine: Engine, which: str) -> None:
    """Drop a set that is not live; harmless when there is none."""
    with alone(engine) as connection:
        _drop(connection, which)


def _drop(connection: Connection, which: str) -> None:
    if which == LIVE:
        raise ValueError("the live set is switched, not dropped")
    schema = schema_of(connection.dialect, which)
    if schema is not None:
        connection.execute(DropSchema(schema, cascade=True, if_exists=True))
        return
    if which == NEW:
        forget(connection)
    tables_of(connection.dialect, which).drop_all(connection)


class Behind(Exception):
    """The set that is to become live knows less than the live one: let it catch up."""


class Busy(Exception):
    """Somebody is reading or writing the live set: try again in a moment."""


def switch(
    engine: Engine, *, live_becomes: str, becomes_live: str, build: str | None = None
) -> Checkpoint:
    """Rename the live set and the one that takes its place, in one transaction.

    Return the checkpoint of the one that is live now. With *build*, the set that takes its place
    has to be that build, and as far as the live one.

    Raises Behind, Superseded, and on PostgreSQL Busy where somebody holds on to the live set.
    """
    with engine.begin() as connection:
        if not is_postgresql(engine.dialect):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            found = _may_switch(connection, becomes_live, build)
            drop_views(connection)
            _rename_tables(connection, ((LIVE, live_becomes), (becomes_live, LIVE)))
            create_views(connection)
            return found
        _take_over(connection)
        found = _may_switch(connection, becomes_live, build)
        if schema_of(engine.dialect, LIVE) in inspect(connection).get_schema_names():
            live, new = (schema_of(engine.dialect, which) for which in (LIVE, becomes_live))
            carry_grants(connection, str(live), str(new))
        # the views go with their schema: they hold on to tables, not to names
        for before, after in ((LIVE, live_becomes), (becomes_live, LIVE)):
            old, new = schema_of(engine.dialect, before), schema_of(engine.dialect, after)
            if inspect(connection).has_schema(str(old)):
                connection.exec_driver_sql(f'ALTER SCHEMA "{old}" RENAME TO "{new}"')
        return found


def _may_switch(connection: Connection, becomes_live: str, build: str | None) -> Checkpoint:
    """Return the checkpoint of the set that is to become live, if it may."""
    live, new = checkpoint_of(connection, LIVE), checkpoint_of(connection, becomes_live)
    if new is None or (build is not None and new.build != build):
        raise Superseded("what was to become live is not there any more: another rebuild took over")
    if build is not None and live is not None and new.position < live.position:
        raise Behind(f"the new set is at position {new.position}, the live one at {live.position}")
    if becomes_live == NEW:
        forget(connection)
    return new


def _rename_tables(connection: Connection, renames: Iterable[tuple[str, str]]) -> None:
    for before, after in renames:
        for table in metadata.sorted_tables:
            if inspect(connection).has_table(table.name + before):
                connection.exec_driver_sql(
                    f"ALTER TABLE {table.name + before} RENAME TO {table.name + after}"
                )


def _take_over(connection: Connection) -> None:
    """Wait until nobody is within the live set, and keep everybody out up to the commit.

    Whoever has read from it in a transaction goes on with it, so that no answer is put together
    from two sets; whoever comes now waits, and finds the new set under the old name. Raises Busy
    sooner than a reader that waits for us would be taken for part of a deadlock (1 s).
    """
    inspector = inspect(connection)
    schema = schema_of(connection.dialect, LIVE)
    views = inspector.get_view_names(schema)
    tables = inspector.get_table_names(schema)
    names = ", ".join(f'"{schema}"."{name}"' for name in (*sorted(views), *sorted(tables)))
    connection.execute(text("SET LOCAL statement_timeout = 250"))
    try:
        _lock(connection)
        if names:
            connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _WAITED_TOO_LONG:
            raise Busy("somebody is reading or writing the live read models") from error
        raise
    connection.execute(text("SET LOCAL statement_timeout TO DEFAULT"))


_WAITED_TOO_LONG: Final = ("57014", "55P03", "40P01", "42P01")
"""Canceled, lock not available, deadlock; and a table that was there a moment ago."""


def checkpoint_of(connection: Connection, which: str) -> Checkpoint | None:
    """Return how far a set is, as *connection* sees it; None where there is none."""
    return checkpoint_in(connection, table_of(checkpoints, connection.dialect, which))


def _lock(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _currencies() -> Iterator[dict[str, Any]]:
    known = {c.code: c.exponent for c in Currency if c.exponent is not None}
    for code, exponent in {**WITHDRAWN, **known}.items():
        yield {"currency": code, "exponent": exponent, "unit": 10**exponent}


def _stages() -> Iterator[dict[str, Any]]:
    for n, stage in enumerate(STAGES, 1):
        yield {"stage": stage, "n": n, "rank": RANK.get(stage), "is_path": int(stage in PATH)}
