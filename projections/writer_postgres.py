"""Rows to PostgreSQL: COPY, and statements from temporary tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Engine, Table

from projections.naming import LIVE
from projections.rows import READ_MODELS, Row, Rows
from projections.schema import checkpoints, lead_parts, lead_siblings
from projections.writer import SET, Checkpoint, Execute, Moved, Writer

_SPECIAL: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_CHUNK: Final = 2_000
"""Rows that go to the server in one piece, while the next ones are being written."""


class PostgresWriter(Writer):
    """Writes to PostgreSQL."""

    def __init__(self, engine: Engine, which: str = LIVE) -> None:
        super().__init__(engine, which)
        self._copy = {name: _copy(table, _name(table)) for name, table in self.tables.items()}
        self._copy_changed = {
            name: _copy(table, _staging(table)) for name, table in self.tables.items()
        }
        self._stage = {
            name: SQL(
                "CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {}) ON COMMIT DELETE ROWS"
            ).format(_staging(table), _name(table))
            for name, table in self.tables.items()
        }
        self._upsert = {name: _upsert(table) for name, table in self.tables.items()}
        self._delete = [
            SQL("DELETE FROM {} WHERE lead_no = ANY(%s)").format(_name(self.tables[table.name]))
            for table in (*READ_MODELS, lead_parts, lead_siblings)
        ]
        self._move = SQL(
            "UPDATE {} SET position = %s, next_lead_no = %s, policy = %s"
            " WHERE name = %s AND position = %s AND build = %s"
        ).format(_name(self.tables[checkpoints.name]))

    @contextmanager
    def _writing(self) -> Iterator[psycopg.Cursor[Any]]:
        """Lend a cursor in a transaction."""
        connection = self.engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            with driver.transaction(), driver.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def write(self, rows: Rows, old: Checkpoint, new: Checkpoint) -> None:
        """Write *rows* and move the checkpoint."""
        with self._writing() as cursor:
            cursor.execute(
                self._move,
                (new.position, new.next_lead_no, new.policy, SET, old.position, old.build),
            )
            if cursor.rowcount != 1:
                raise Moved(f"the read models are not at position {old.position} any more")
            if rows.dropped:
                for statement in self._delete:
                    cursor.execute(statement, (rows.dropped,))
            self._fill(cursor, rows)
            for table, changed in rows.upserts():
                if changed:
                    cursor.execute(self._stage[table.name])
                    self._send(cursor, self._copy_changed[table.name], changed)
                    cursor.execute(self._upsert[table.name])

    def fill_part(self, parts: Iterable[Rows], mark: Callable[[Execute], None]) -> None:
        """Write the new rows and the mark."""
        with self._writing() as cursor:
            for rows in parts:
                self._fill(cursor, rows)

            def execute(statement: str, values: Sequence[Any]) -> int:
                return cursor.execute(statement.replace("?", "%s").encode(), values).rowcount

            mark(execute)

    def _fill(self, cursor: psycopg.Cursor[Any], rows: Rows) -> None:
        for table, new in rows.inserts():
            if new:
                self._send(cursor, self._copy[table.name], new)

    @staticmethod
    def _send(cursor: psycopg.Cursor[Any], copy: Composed, rows: list[Row]) -> None:
        """Send *rows* in the text format of COPY."""
        with cursor.copy(copy) as out:
            for start in range(0, len(rows), _CHUNK):
                out.write(_lines(rows[start : start + _CHUNK]))


def _name(table: Table) -> Identifier:
    return Identifier(table.schema, table.name) if table.schema else Identifier(table.name)


def _staging(table: Table) -> Identifier:
    """Return the temporary table for rows that replace others; sets do not share it."""
    return Identifier("pg_temp", f"{table.schema}_{table.name}")


def _columns(table: Table) -> Composed:
    return SQL(", ").join([Identifier(column.name) for column in table.columns])


def _copy(table: Table, name: Identifier) -> Composed:
    return SQL("COPY {} ({}) FROM STDIN").format(name, _columns(table))


def _upsert(table: Table) -> Composed:
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    if not others:
        return SQL("INSERT INTO {} SELECT * FROM {} ON CONFLICT DO NOTHING").format(
            _name(table), _staging(table)
        )
    return SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
        _name(table),
        _columns(table),
        _columns(table),
        _staging(table),
        SQL(", ").join([Identifier(key) for key in keys]),
        SQL(", ").join([SQL("{0} = excluded.{0}").format(Identifier(name)) for name in others]),
    )


def _lines(rows: Iterable[Row]) -> str:
    """Return *rows* as COPY text."""
    return "\n".join(map(_line, rows)) + "\n"


def _line(row: Row) -> str:
    return "\t".join(
        [
            "\\N"
            if value is None
            else value.translate(_SPECIAL)
            if type(value) is str
            else str(value)
            for value in row
        ]
    )
