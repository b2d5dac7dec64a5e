"""The event store in PostgreSQL.

The recorder is the one of the eventsourcing library. Writers take an advisory lock before they
append and keep it to the commit: positions become visible in their own order, so that a reader
never passes one that is still to come. (The library locks the table, which gets in the way of
vacuum; its database functions take no lock at all and lose events to readers: never enable them.)
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import psycopg

# The factory goes by its module: the library wants exactly one of that name's kind in ours.
from eventsourcing import postgres as library
from eventsourcing.persistence import InterfaceError, OperationalError, PersistenceError
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
)
from psycopg import errors
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Literal
from psycopg_pool import PoolTimeout
from sqlalchemy import URL

from consumers.ledger import Batch, Claim, Conflict, Fenced, StoreBroken, StoreUnavailable
from domain.events import Identifier
from leadflow.store import faults
from leadflow.store.base import Position, Row, Store, Transaction, ids_of, write
from leadflow.store.tables import SCHEMA

LOCK_TIMEOUT: Final = 30
"""Seconds to wait for another writer."""

CONNECT_TIMEOUT: Final = 5
"""Seconds to wait for a connection."""

IDLE_TIMEOUT: Final = 60
"""Seconds after which the server ends a transaction whose client has fallen silent."""

APPEND_LOCK: Final = 7_301_145_117
"""The advisory lock of whoever appends: any number, as long as it stays the same."""

_PAGE: Final = 20_000
"""Rows fetched at a time by a cursor that reads the whole log."""


_CORRECTIONS: Final = "SELECT coalesce(max(number), 0) FROM leadflow.corrections"


class LeadRecorder(PostgresApplicationRecorder):
    """The library's application recorder, under an advisory lock."""

    def __init__(
        self, datastore: PostgresDatastore, *, events_table_name: str = "stored_events"
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.lock_table_statements = [
            SQL("SET LOCAL lock_timeout = {}").format(Literal(f"{LOCK_TIMEOUT}s")),
            SQL("SELECT pg_advisory_xact_lock({})").format(Literal(APPEND_LOCK)),
        ]


class Factory(library.PostgresFactory):
    """What ``PERSISTENCE_MODULE=leadflow.store.postgres`` gives the library's applications."""

    application_recorder_class = LeadRecorder

    def application_recorder(self) -> LeadRecorder:
        """Return a recorder on our log, whatever the application is called."""
        return LeadRecorder(self.datastore)


class PostgresTransaction(Transaction):
    """Writes through psycopg: binary COPY, whose cost a row is a third of an INSERT's."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self._cursor = cursor

    def _copy(self, statement: SQL, types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        with self._cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def insert_seen(self, rows: Sequence[tuple[bytes, bytes, str]]) -> None:
        """Insert digests; a digest that is there already is a conflict."""
        self._copy(
            SQL("COPY leadflow.seen (key, body, stream) FROM STDIN (FORMAT BINARY)"),
            ("bytea", "bytea", "text"),
            rows,
        )

    def are_seen(self, keys: Sequence[bytes]) -> bool:
        """Return whether any event of *keys* was accepted before."""
        return bool(
            self._number("SELECT count(*) FROM leadflow.seen WHERE key = ANY(%s)", (list(keys),))
        )

    def corrections(self) -> int:
        """Return how many corrections ever came before what they correct."""
        return self._number(_CORRECTIONS)

    def insert_corrections(self, rows: Sequence[tuple[bytes, str]]) -> None:
        """Insert what corrections wait for."""
        self._cursor.executemany(
            "INSERT INTO leadflow.corrections (target, stream) VALUES (%s,%s)", rows
        )

    def lock(self) -> None:
        """Take the lock of whoever appends, up to the commit."""
        self._cursor.execute("SELECT pg_advisory_xact_lock(%s)", (APPEND_LOCK,))

    def version_of(self, stream: str) -> int:
        """Return the last version of *stream*; under the lock, nothing is about to be added."""
        return self._number(
            "SELECT coalesce(max(originator_version), 0) FROM leadflow.stored_events"
            " WHERE originator_id = %s",
            (stream,),
        )

    def states_after(self, position: int) -> list[bytes]:
        """Return the events behind *position*."""
        self._cursor.execute(
            "SELECT state FROM leadflow.stored_events WHERE notification_id > %s"
            " ORDER BY notification_id",
            (position,),
        )
        return [bytes(state) for (state,) in self._cursor.fetchall()]

    def _number(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        row = self._cursor.execute(SQL(statement), parameters).fetchone()
        return 0 if row is None else int(row[0])

    def append(self, rows: Sequence[Row]) -> None:
        """Append events under the lock."""
        self.lock()
        self._copy(
            SQL(
                "COPY leadflow.stored_events (originator_id, originator_version, topic, state)"
                " FROM STDIN (FORMAT BINARY)"
            ),
            ("text", "int8", "text", "bytea"),
            rows,
        )
        self._cursor.execute("NOTIFY stored_events")

    def insert_identifiers(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Insert identifiers."""
        self._copy(
            SQL("COPY leadflow.identifiers (kind, value, lead) FROM STDIN (FORMAT BINARY)"),
            ("text", "text", "text"),
            rows,
        )

    def merge(
        self, merged: Sequence[tuple[str, str]], moved: Sequence[tuple[str, str, str]]
    ) -> None:
        """Record merged streams and move their identifiers."""
        for stream, lead in merged:
            self._cursor.execute(
                "UPDATE leadflow.merged_streams SET lead = %s WHERE lead = %s", (lead, stream)
            )
            self._cursor.execute(
                "DELETE FROM leadflow.snapshots WHERE lead IN (%s, %s)", (stream, lead)
            )
        self._cursor.executemany(
            "INSERT INTO leadflow.merged_streams (stream, lead) VALUES (%s, %s)", merged
        )
        if moved:
            self._cursor.executemany(
                "UPDATE leadflow.identifiers SET lead = %s WHERE kind = %s AND value = %s",
                [(lead, kind, value) for kind, value, lead in moved],
            )

    def insert_dead_letters(self, rows: Sequence[tuple[Any, ...]], *, redriven: bool) -> None:
        """Insert dead letters that are not there."""
        self._cursor.executemany(
            "INSERT INTO leadflow.dead_letters (reason, message, stream, partition, position,"
            " received_at_us, key, value, headers, state)"
            " SELECT new.*, 'open' FROM (VALUES (%s::text, %s::text, %s::text, %s::int, %s::bigint,"
            " %s::bigint, %s::bytea, %s::bytea, %s::bytea)) AS new"
            " (reason, message, stream, part, place, received_at, key, value, headers)"
            " WHERE NOT EXISTS (SELECT 1 FROM leadflow.dead_letters AS old"
            " WHERE old.stream = new.stream AND old.partition = new.part"
            " AND old.position = new.place AND old.value IS NOT DISTINCT FROM new.value"
            " AND (old.state = 'open' OR NOT %s))",
            [(*row, redriven) for row in rows],
        )

    def settle(self, ids: Sequence[int]) -> None:
        """Mark dead letters as redriven."""
        self._cursor.execute(
            "UPDATE leadflow.dead_letters SET state = 'redriven' WHERE id = ANY(%s)", (list(ids),)
        )

    def put_snapshots(self, rows: Sequence[tuple[str, int, bytes]]) -> None:
        """Insert or replace snapshots."""
        self._cursor.executemany(
            "INSERT INTO leadflow.snapshots (lead, version, state) VALUES (%s, %s, %s)"
            " ON CONFLICT (lead) DO UPDATE SET version = excluded.version, state = excluded.state",
            rows,
        )

    def move(self, stream: str, partition: int, old: int, new: int, epoch: int) -> bool:
        """Move a position by compare and set."""
        self._cursor.execute(
            "UPDATE leadflow.positions SET position = %s"
            " WHERE stream = %s AND partition = %s AND position = %s AND epoch = %s",
            (new, stream, partition, old, epoch),
        )
        return self._cursor.rowcount == 1


_CONFLICTS: Final = (
    errors.UniqueViolation,
    errors.DeadlockDetected,
    errors.SerializationFailure,
)
"""Another writer was first, and this transaction was rolled back as a whole."""

_BROKEN: Final = (errors.UndefinedTable, errors.InvalidSchemaName, errors.InternalError)


def _named_error(error: PersistenceError) -> Exception | None:
    """Return what an error of the driver means; None where it can only be a bug of ours."""
    cause = error.__cause__
    if isinstance(cause, _CONFLICTS):
        return Conflict(str(error))
    if isinstance(cause, _BROKEN):
        return StoreBroken(
            f"PostgreSQL: {error}: if tables are missing, `leadflow init` makes them"
        )
    if isinstance(error, InterfaceError | OperationalError):
        return StoreUnavailable(f"PostgreSQL: {error}")
    return None


class PostgresStore(Store):
    """The event store in a PostgreSQL database, schema ``leadflow``."""

    def __init__(self, url: URL) -> None:
        self._address: dict[str, Any] = {
            "dbname": url.database or "",
            "host": url.host or str(url.query.get("host", "")),
            "port": url.port or 5432,
            "user": url.username or "",
            "password": url.password or "",
        }
        self.datastore = PostgresDatastore(
            **self._address,
            schema=SCHEMA,
            originator_id_type="text",
            connect_timeout=CONNECT_TIMEOUT,
            lock_timeout=LOCK_TIMEOUT,
            idle_in_transaction_session_timeout=IDLE_TIMEOUT,
            pool_size=1,
            max_overflow=4,
            pre_ping=True,
        )

    @cached_property
    def recorder(self) -> LeadRecorder:
        """Return the library's recorder on our log; it asks the database for its types."""
        return LeadRecorder(self.datastore)

    def close(self) -> None:
        """Close the pool of connections."""
        self.datastore.close()

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection, and name errors by what they mean."""
        try:
            with self.datastore.get_connection() as connection:
                yield connection
        except PersistenceError as error:
            if isinstance(error.__cause__, PoolTimeout):
                raise StoreUnavailable(f"PostgreSQL: {self._why_no_connection()}") from error
            named = _named_error(error)
            if named is None:
                raise
            raise named from error

    def _why_no_connection(self) -> str:
        """Return what the pool does not say: why it could not connect."""
        try:
            psycopg.connect(**self._address, connect_timeout=CONNECT_TIMEOUT).close()
        except psycopg.Error as error:
            return str(error)
        return f"no connection became free within {CONNECT_TIMEOUT} s"

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
        """Yield a cursor in a transaction that commits at the end."""
        with (
            self._connected() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            yield cursor

    def _read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with (
            self._connected() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            cursor.execute(SQL(statement), parameters)
            return cursor.fetchall()

    def commit_decided(self, decide: Callable[[Transaction], Batch]) -> None:
        """Write what *decide* makes in one transaction."""
        with self._cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '30s'")
            transaction = PostgresTransaction(cursor)
            if not write(transaction, decide(transaction)):
                raise Fenced("another worker has claimed the partition")
            faults.reach("commit")
        faults.reach("committed")

    def seen(self, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """Return the content digest of each of *keys* that was accepted before."""
        return dict(
            self._read("SELECT key, body FROM leadflow.seen WHERE key = ANY(%s)", (list(keys),))
        )

    def places(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Return the lead that the event of each of *keys* belongs to."""
        return dict(
            self._read(
                "SELECT s.key, coalesce(m.lead, s.stream) FROM leadflow.seen AS s"
                " LEFT JOIN leadflow.merged_streams AS m ON m.stream = s.stream"
                " WHERE s.key = ANY(%s) AND s.stream IS NOT NULL",
                (list(keys),),
            )
        )

    def corrections(self) -> int:
        """Return how many corrections ever came before what they correct."""
        return int(self._read(_CORRECTIONS)[0][0])

    def corrections_of(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Return the lead or stream of the corrections that wait for the event of each of *keys*."""
        return dict(
            self._read(
                "SELECT c.target, coalesce(m.lead, c.stream) FROM leadflow.corrections AS c"
                " LEFT JOIN leadflow.merged_streams AS m ON m.stream = c.stream"
                " WHERE c.target = ANY(%s)",
                (list(keys),),
            )
        )

    def leads_of(self, identifiers: Collection[Identifier]) -> dict[Identifier, str]:
        """Return the lead of each of *identifiers* that is known."""
        rows = self._read(
            "SELECT kind, value, lead FROM leadflow.identifiers JOIN"
            " unnest(%s::text[], %s::text[]) AS asked (kind, value) USING (kind, value)",
            ([kind for kind, _ in identifiers], [value for _, value in identifiers]),
        )
        return {(kind, value): lead for kind, value, lead in rows}

    def positions(self, stream: str) -> dict[int, int]:
        """Return the position to read next for each partition of *stream*."""
        return dict(
            self._read(
                "SELECT partition, position FROM leadflow.positions WHERE stream = %s", (stream,)
            )
        )

    def claim(self, stream: str, partitions: Sequence[int]) -> dict[int, Claim]:
        """Claim *partitions*: their epoch rises."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT INTO leadflow.positions AS p (stream, partition, position, epoch)"
                " SELECT %s, part, 0, 1 FROM unnest(%s::int[]) AS part ORDER BY part"
                " ON CONFLICT (stream, partition) DO UPDATE SET epoch = p.epoch + 1"
                " RETURNING partition, position, epoch",
                (stream, list(partitions)),
            )
            return {part: Claim(position, epoch) for part, position, epoch in cursor.fetchall()}

    def restart(self, stream: str) -> None:
        """Put the positions of *stream* back to 0."""
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE leadflow.positions SET position = 0 WHERE stream = %s", (stream,)
            )

    def head(self) -> int:
        """Return the last position in the log."""
        return int(
            self._read("SELECT coalesce(max(notification_id), 0) FROM leadflow.stored_events")[0][0]
        )

    def rows_after(self, position: int, limit: int) -> list[Position]:
        """Return up to *limit* rows behind *position*."""
        return self._read(
            "SELECT notification_id, originator_id, originator_version, topic, state"
            " FROM leadflow.stored_events WHERE notification_id > %s"
            " ORDER BY notification_id LIMIT %s",
            (position, limit),
        )

    def rows_of(self, streams: Collection[str]) -> list[Row]:
        """Return the rows of *streams*, by stream and version."""
        return self._read(
            "SELECT originator_id, originator_version, topic, state FROM leadflow.stored_events"
            ' WHERE originator_id = ANY(%s) ORDER BY originator_id COLLATE "C", originator_version',
            (list(streams),),
        )

    def positions_of(self, streams: Collection[str]) -> list[Position]:
        """Return the rows of *streams* with their positions, by position."""
        return self._read(
            "SELECT notification_id, originator_id, originator_version, topic, state"
            " FROM leadflow.stored_events WHERE originator_id = ANY(%s) ORDER BY notification_id",
            (list(streams),),
        )

    def rows_since(self, stream: str, version: int) -> list[Row]:
        """Return the rows of *stream* behind *version*."""
        return self._read(
            "SELECT originator_id, originator_version, topic, state FROM leadflow.stored_events"
            " WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version",
            (stream, version),
        )

    def rows_by_stream(self, upto: int, bucket: int, buckets: int) -> Iterator[Position]:
        """Yield rows by stream and version through a cursor on the server."""
        first, last = ids_of(bucket, buckets)
        with (
            self._connected() as connection,
            connection.transaction(),
            connection.cursor("by_stream", row_factory=tuple_row, binary=True) as cursor,
        ):
            cursor.itersize = _PAGE
            cursor.execute(
                "SELECT notification_id, originator_id, originator_version, topic, state"
                " FROM leadflow.stored_events WHERE notification_id <= %s"
                ' AND originator_id COLLATE "C" >= %s AND originator_id COLLATE "C" < %s'
                ' ORDER BY originator_id COLLATE "C", originator_version',
                (upto, first, last),
            )
            yield from cursor

    def merged(self, leads: Collection[str] | None = None) -> dict[str, str]:
        """Return merged streams and the lead of each."""
        if leads is None:
            return dict(self._read("SELECT stream, lead FROM leadflow.merged_streams"))
        return dict(
            self._read(
                "SELECT stream, lead FROM leadflow.merged_streams WHERE lead = ANY(%s)",
                (list(leads),),
            )
        )

    def snapshots(self, leads: Collection[str]) -> list[tuple[str, int, bytes]]:
        """Return the snapshots there are of *leads*."""
        return self._read(
            "SELECT lead, version, state FROM leadflow.snapshots WHERE lead = ANY(%s)",
            (list(leads),),
        )

    def drop_snapshots(self) -> None:
        """Forget all snapshots."""
        with self._cursor() as cursor:
            cursor.execute("DELETE FROM leadflow.snapshots")

    def counts(self) -> dict[str, int]:
        """Return how many events, identifiers and open dead letters there are."""
        return dict(
            self._read(
                "SELECT 'events', count(*) FROM leadflow.stored_events"
                " UNION ALL SELECT 'identifiers', count(*) FROM leadflow.identifiers"
                " UNION ALL SELECT 'dead_letters', count(*) FROM leadflow.dead_letters"
                " WHERE state = 'open'"
            )
        )

    def all_positions(self) -> list[tuple[str, int, int]]:
        """Return every position."""
        return self._read(
            "SELECT stream, partition, position FROM leadflow.positions ORDER BY stream, partition"
        )

    def cluster_of(self, stream: str) -> str | None:
        """Return the Kafka cluster that *stream* was read from."""
        rows = self._read("SELECT cluster_id FROM leadflow.streams WHERE stream = %s", (stream,))
        return rows[0][0] if rows else None

    def set_cluster(self, stream: str, cluster_id: str) -> None:
        """Remember the Kafka cluster of *stream*."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT INTO leadflow.streams (stream, cluster_id) VALUES (%s, %s)"
                " ON CONFLICT (stream) DO UPDATE SET cluster_id = excluded.cluster_id",
                (stream, cluster_id),
            )

    def dead_letter_rows(
        self, ids: Collection[int] | None = None, *, state: str | None = None, limit: int = 1_000
    ) -> list[tuple[Any, ...]]:
        """Return dead letters, oldest first."""
        return self._read(
            "SELECT id, reason, message, stream, partition, position, received_at_us, key, value,"
            " headers, state FROM leadflow.dead_letters"
            " WHERE (%s::bigint[] IS NULL OR id = ANY(%s)) AND (%s::text IS NULL OR state = %s)"
            " ORDER BY id LIMIT %s",
            (*[None if ids is None else list(ids)] * 2, state, state, limit),
        )
