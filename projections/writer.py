"""Rows to the database, in bulk through the driver, one transaction a batch.

The statements are compiled once from the tables that SQLAlchemy declares. SQLite takes them with
``executemany``; PostgreSQL takes new rows by COPY, and rows that replace others by COPY into a
temporary table and one statement from there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, Dialect, Engine, Table, delete, insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoSuchTableError

from projections.naming import LIVE, table_of
from projections.rows import READ_MODELS, Rows
from projections.schema import (
    checkpoints,
    currencies,
    is_postgresql,
    lead_parts,
    lead_siblings,
    lead_streams,
    metadata,
)

T = TypeVar("T")

SET: Final = "read_models"
"""The name of the checkpoint."""

_AT_ONCE: Final = 5_000
"""Values in one IN list."""


class Moved(Exception):
    """Another runner has moved the checkpoint: nothing was written; read it again."""


class Superseded(Exception):
    """Another rebuild has taken over the set that this one was filling; nothing was written."""


class Checkpoint(msgspec.Struct, frozen=True):
    """How far the rows have come."""

    position: int
    version: str
    next_lead_no: int
    build: str = ""
    """What filled the set: leads have other numbers in another set, whatever its position."""
    policy: str = ""
    """Version of the policy before the first published one; several where it was changed."""


Execute = Callable[[str, Sequence[Any]], int]
"""Runs a statement, with ``?`` for each value, and returns how many rows it was about."""


class Writer(ABC):
    """Writes to one set of read models of one database."""

    def __init__(self, engine: Engine, which: str = LIVE) -> None:
        self.engine = engine
        self.which = which
        self.tables = {
            table.name: table_of(table, engine.dialect, which) for table in metadata.sorted_tables
        }

    @abstractmethod
    def write(self, rows: Rows, old: Checkpoint, new: Checkpoint) -> None:
        """Write *rows* and move the checkpoint from *old* to *new*, in one transaction.

        Raises Moved when the checkpoint is not at *old* any more; nothing is written then.
        """

    def set_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Put the checkpoint of a set that nobody else knows of."""
        table = self.tables[checkpoints.name]
        with self.engine.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.name == SET)
                .values(**msgspec.structs.asdict(checkpoint))
            )

    def fill(self, rows: Rows) -> None:
        """Write the new rows of *rows*, in a transaction of its own: nobody sees the set yet."""
        self.fill_part([rows], _nothing)

    @abstractmethod
    def fill_part(self, parts: Iterable[Rows], mark: Callable[[Execute], None]) -> None:
        """Write the new rows of *parts* and what *mark* does, in one transaction."""

    def leads_of(self, streams: Collection[str]) -> dict[str, int]:
        """Return the number of the lead that each of *streams* belongs to, where it is known."""
        table = self.tables[lead_streams.name].c
        found: dict[str, int] = {}
        with self.engine.connect() as connection:
            for some in _chunks(streams):
                query = select(table.stream, table.lead_no).where(table.stream.in_(some))
                found.update((stream, lead_no) for stream, lead_no in connection.execute(query))
        return found

    def parts_of(self, leads: Collection[int]) -> list[tuple[int, str]]:
        """Return the streams of those of *leads* that have several."""
        table = self.tables[lead_parts.name].c
        found: list[tuple[int, str]] = []
        with self.engine.connect() as connection:
            for some in _chunks(leads):
                query = select(table.lead_no, table.stream).where(table.lead_no.in_(some))
                found += [(lead_no, stream) for lead_no, stream in connection.execute(query)]
        return found

    def siblings_of(self, leads: Collection[int]) -> list[int]:
        """Return the leads that share the streams of those of *leads*."""
        table = self.tables[lead_siblings.name].c
        found: list[int] = []
        with self.engine.connect() as connection:
            for some in _chunks(leads):
                query = select(table.sibling).where(table.lead_no.in_(some))
                found += connection.execute(query).scalars()
        return found

    def checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint; None where there are no read models."""
        table = self.tables[checkpoints.name]
        with self.engine.connect() as connection:
            return checkpoint_in(connection, table)


def checkpoint_in(connection: Connection, table: Table) -> Checkpoint | None:
    """Return the checkpoint in *table*; None where there are no read models."""
    try:
        there = {c["name"] for c in inspect(connection).get_columns(table.name, table.schema)}
    except NoSuchTableError:
        return None
    # those of an older version may have fewer columns: it is told by the version
    names = [name for name in Checkpoint.__struct_fields__ if name in there]
    row = connection.execute(
        select(*(table.c[name] for name in names)).where(table.c.name == SET)
    ).one_or_none()
    return None if row is None else Checkpoint(**dict(zip(names, row, strict=True)))


def _nothing(_execute: Execute) -> None:
    """Do nothing beside the rows."""


def writer(engine: Engine, which: str = LIVE) -> Writer:
    """Return the writer for the database of *engine*."""
    if is_postgresql(engine.dialect):
        from projections.writer_postgres import PostgresWriter

        return PostgresWriter(engine, which)
    return SQLiteWriter(engine, which)


def _compiled(statement: Any, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))


def upsert_of(table: Table, dialect: Dialect) -> Any:
    """Return the statement that inserts a row or replaces the one of the same key."""
    kind = postgresql if is_postgresql(dialect) else sqlite
    statement = kind.insert(table)
    keys = [column.name for column in table.primary_key]
    return statement.on_conflict_do_update(
        index_elements=keys,
        set_={c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys},
    )


class SQLiteWriter(Writer):
    """Writes to a SQLite file or to memory."""

    def __init__(self, engine: Engine, which: str = LIVE) -> None:
        super().__init__(engine, which)
        dialect = engine.dialect
        self._insert = {
            name: _compiled(insert(table), dialect) for name, table in self.tables.items()
        }
        self._upsert = {
            name: _compiled(upsert_of(table, dialect), dialect)
            for name, table in self.tables.items()
            if name not in (lead_parts.name, lead_siblings.name, checkpoints.name, currencies.name)
        }
        self._delete = [
            _compiled(
                delete(self.tables[table.name]).where(
                    self.tables[table.name].c.lead_no == 0  # compiled to a mark
                ),
                dialect,
            )
            for table in (*READ_MODELS, lead_parts, lead_siblings)
        ]
        table = self.tables[checkpoints.name].c
        self._move = _compiled(
            self.tables[checkpoints.name]
            .update()
            .where(table.name == "", table.position == 0, table.build == "")
            .values(position=0, next_lead_no=0, policy=""),
            dialect,
        )

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """Lend the driver's connection in a transaction that has the write lock from the start."""
        connection = self.engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            before, driver.isolation_level = driver.isolation_level, None
            ((synchronous,),) = driver.execute("PRAGMA synchronous").fetchall()
            try:
                # What these rows say can be read from the log again, so their commits need not
                # wait for the disk. Checkpoints are as seldom as the store's (pages), the cache
                # holds the inner pages of all tables (KiB).
                driver.execute("PRAGMA synchronous = NORMAL")
                driver.execute("PRAGMA wal_autocheckpoint = 8000")
                driver.execute("PRAGMA cache_size = -65536")
                driver.execute("BEGIN IMMEDIATE")
                try:
                    yield driver
                except BaseException:
                    driver.execute("ROLLBACK")
                    raise
                driver.execute("COMMIT")
            finally:
                driver.execute(f"PRAGMA synchronous = {synchronous:d}")
                driver.isolation_level = before
        finally:
            connection.close()

    def write(self, rows: Rows, old: Checkpoint, new: Checkpoint) -> None:
        """Write *rows* and move the checkpoint."""
        with self._writing() as driver:
            moved = driver.execute(
                self._move,
                (new.position, new.next_lead_no, new.policy, SET, old.position, old.build),
            ).rowcount
            if moved != 1:
                raise Moved(f"the read models are not at position {old.position} any more")
            if rows.dropped:
                leads = [(lead_no,) for lead_no in rows.dropped]
                for statement in self._delete:
                    driver.executemany(statement, leads)
            self._fill(driver, rows)
            for table, changed in rows.upserts():
                if changed:
                    driver.executemany(self._upsert[table.name], changed)

    def fill_part(self, parts: Iterable[Rows], mark: Callable[[Execute], None]) -> None:
        """Write the new rows and the mark."""
        with self._writing() as driver:
            for rows in parts:
                self._fill(driver, rows)
            mark(lambda statement, values: int(driver.execute(statement, values).rowcount))

    def _fill(self, driver: Any, rows: Rows) -> None:
        for table, new in rows.inserts():
            if new:
                driver.executemany(self._insert[table.name], new)


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield *values* in lists short enough for one statement."""
    left = list(values)
    for start in range(0, len(left), _AT_ONCE):
        yield left[start : start + _AT_ONCE]
