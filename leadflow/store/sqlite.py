"""The event store in one SQLite file.

The recorder is the one of the eventsourcing library with a better table, so that the library's own
``Application`` reads the log too (``leadflow.store.mapper``). One process writes to a file at a
time; it holds the write lock from the first statement of a transaction, since a lock taken later
could only fail.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

# The factory goes by its module: the library wants exactly one of that name's kind in ours.
from eventsourcing import sqlite as library
from eventsourcing.persistence import Notification, PersistenceError, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from consumers.ledger import Batch, Claim, Conflict, Fenced, StoreBroken, StoreUnavailable
from domain.events import Identifier
from leadflow.store import faults
from leadflow.store.base import Position, Row, Store, Transaction, ids_of, write

LOCK_TIMEOUT: Final = 30
"""Seconds to wait for another process that writes to the file."""

PRAGMAS: Final = (
    "PRAGMA synchronous = FULL",  # an acknowledged event survives a power cut
    "PRAGMA wal_autocheckpoint = 8000",  # pages; checkpoints cost, and these are 16 KiB each
    "PRAGMA cache_size = -32768",  # KiB, part of the memory of a worker; twice as much is no faster
    "PRAGMA temp_store = MEMORY",
    "PRAGMA foreign_keys = ON",
)

PAGE_SIZE: Final = 16_384
"""Bytes; takes effect only before the first table is made. Twice as fast as 4 KiB."""

_KEYS_AT_ONCE: Final = 1_000


class LeadPool(SQLiteConnectionPool):
    """Connections with our settings."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        for pragma in PRAGMAS:
            connection.cursor().execute(pragma)
        return connection


class LeadDatastore(SQLiteDatastore):
    """The library's datastore, on our pool."""

    def __init__(self, db_name: str, **options: Any) -> None:
        options |= {"originator_id_type": "text", "lock_timeout": LOCK_TIMEOUT}
        super().__init__(db_name, **options)
        self.pool = LeadPool(db_name=db_name, lock_timeout=LOCK_TIMEOUT)

    @contextmanager
    def raw(self, *, commit: bool) -> Iterator[sqlite3.Connection]:
        """Yield a driver connection that gives plain tuples; *commit* marks a writer."""
        with self.get_connection(commit=commit) as connection:
            driver = connection._sqlite_conn  # noqa: SLF001  # the library has no public way to it
            factory, driver.row_factory = driver.row_factory, None
            try:
                yield driver
            finally:
                driver.row_factory = factory


class LeadRecorder(SQLiteApplicationRecorder):
    """The library's application recorder on a table whose positions are never used twice."""

    def __init__(
        self, datastore: SQLiteDatastore, events_table_name: str = "stored_events"
    ) -> None:
        super().__init__(datastore, events_table_name)
        self.insert_events_statement = (
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " VALUES (?,?,?,?)"
        )

    def construct_create_table_statements(self) -> list[str]:
        """Return nothing: migrations create the tables."""
        return []

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return up to *limit* events from position *start*, as the library's contract says."""
        first = 0 if start is None else start if inclusive_of_start else start + 1
        last = 2**63 - 1 if stop is None else stop
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(
                "SELECT notification_id, originator_id, originator_version, topic, state"
                " FROM stored_events WHERE notification_id BETWEEN ? AND ?"
                " AND (? OR topic IN (SELECT value FROM json_each(?)))"
                " ORDER BY notification_id LIMIT ?",
                (first, last, not topics, json.dumps(list(topics)), limit),
            )
            return [Notification(*_named(row)) for row in cursor.fetchall()]

    def select_events(
        self,
        originator_id: Any,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return the events of one stream, as the library's contract says."""
        order = "DESC" if desc else "ASC"
        statement = {
            "ASC": _EVENTS_OF + " ORDER BY originator_version ASC LIMIT ?",
            "DESC": _EVENTS_OF + " ORDER BY originator_version DESC LIMIT ?",
        }[order]
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(
                statement,
                (
                    str(originator_id),
                    -1 if gt is None else gt,
                    2**63 - 1 if lte is None else lte,
                    -1 if limit is None else limit,
                ),
            )
            return [StoredEvent(*row) for row in cursor.fetchall()]

    def _max_notification_id(self, c: SQLiteCursor) -> int:
        c.execute("SELECT MAX(notification_id) FROM stored_events")
        row = c.fetchone()
        return row[0]  # type: ignore[no-any-return]  # an untyped row of the driver


_EVENTS_OF: Final = (
    "SELECT originator_id, originator_version, topic, state FROM stored_events"
    " WHERE originator_id = ? AND originator_version > ? AND originator_version <= ?"
)


def _named(row: Any) -> tuple[Any, ...]:
    """Return id, stream, version, topic and state in the order of ``Notification``'s fields."""
    position, *event = row
    return (*event, position)


class Factory(library.SQLiteFactory):
    """What ``PERSISTENCE_MODULE=leadflow.store.sqlite`` gives the library's applications."""

    application_recorder_class = LeadRecorder

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.datastore = LeadDatastore(self.datastore.pool.db_name)


_BROKEN: Final = {
    sqlite3.SQLITE_CORRUPT: "restore the file from a copy",
    sqlite3.SQLITE_NOTADB: "the URL names a file that is not SQLite's, or a damaged one",
    sqlite3.SQLITE_ERROR: "if tables are missing, `leadflow init` makes them",
}
"""Answers that stay the same however long one waits, and the mend."""

_MENDS: Final = {
    sqlite3.SQLITE_BUSY: f"another process has been writing to the file for {LOCK_TIMEOUT} s",
    sqlite3.SQLITE_READONLY: "give this user the right to write to the file and its folder",
    sqlite3.SQLITE_FULL: "free some space; nothing of the batch was written",
    sqlite3.SQLITE_CANTOPEN: "does the folder exist, and may this user write to it?",
}


def _named_error(error: Exception) -> StoreUnavailable:
    """Return *error* of the driver or of the library's pool with what can be done about it."""
    origin = error if isinstance(error, sqlite3.Error) else error.__cause__
    code = getattr(origin, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    words = f"SQLite: {origin or error}"
    if code in _BROKEN:
        return StoreBroken(f"{words}: {_BROKEN[code]}")
    return StoreUnavailable(f"{words}: {_MENDS[code]}" if code in _MENDS else words)


class SQLiteTransaction(Transaction):
    """Writes through sqlite3, in bulk."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def insert_seen(self, rows: Sequence[tuple[bytes, bytes, str]]) -> None:
        """Insert digests; a digest that is there already is a conflict."""
        self._driver.executemany("INSERT INTO seen (key, body, stream) VALUES (?,?,?)", rows)

    def are_seen(self, keys: Sequence[bytes]) -> bool:
        """Return whether any event of *keys* was accepted before."""
        statement = "SELECT 1 FROM seen WHERE key = ?"
        return any(self._driver.execute(statement, (key,)).fetchone() for key in keys)

    def corrections(self) -> int:
        """Return how many corrections ever came before what they correct."""
        return int(self._driver.execute(_CORRECTIONS).fetchone()[0])

    def insert_corrections(self, rows: Sequence[tuple[bytes, str]]) -> None:
        """Insert what corrections wait for."""
        self._driver.executemany("INSERT INTO corrections (target, stream) VALUES (?,?)", rows)

    def lock(self) -> None:
        """Do nothing: the transaction holds the write lock from its start."""

    def version_of(self, stream: str) -> int:
        """Return the last version of *stream*."""
        found = self._driver.execute(
            "SELECT coalesce(max(originator_version), 0) FROM stored_events"
            " WHERE originator_id = ?",
            (stream,),
        )
        return int(found.fetchone()[0])

    def states_after(self, position: int) -> list[bytes]:
        """Return the events behind *position*."""
        found = self._driver.execute(
            "SELECT state FROM stored_events WHERE notification_id > ? ORDER BY notification_id",
            (position,),
        )
        return [state for (state,) in found]

    def append(self, rows: Sequence[Row]) -> None:
        """Append events."""
        self._driver.executemany(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " VALUES (?,?,?,?)",
            rows,
        )

    def insert_identifiers(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Insert identifiers."""
        self._driver.executemany("INSERT INTO identifiers (kind, value, lead) VALUES (?,?,?)", rows)

    def merge(
        self, merged: Sequence[tuple[str, str]], moved: Sequence[tuple[str, str, str]]
    ) -> None:
        """Record merged streams and move their identifiers."""
        for stream, lead in merged:
            self._driver.execute(
                "UPDATE merged_streams SET lead = ? WHERE lead = ?", (lead, stream)
            )
            self._driver.execute("DELETE FROM snapshots WHERE lead IN (?,?)", (stream, lead))
        self._driver.executemany("INSERT INTO merged_streams (stream, lead) VALUES (?,?)", merged)
        self._driver.executemany(
            "UPDATE identifiers SET lead = ? WHERE kind = ? AND value = ?",
            [(lead, kind, value) for kind, value, lead in moved],
        )

    def insert_dead_letters(self, rows: Sequence[tuple[Any, ...]], *, redriven: bool) -> None:
        """Insert dead letters that are not there."""
        self._driver.executemany(
            'INSERT INTO dead_letters (reason, message, stream, "partition", position,'
            " received_at_us, key, value, headers, state) SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,'open'"
            ' WHERE NOT EXISTS (SELECT 1 FROM dead_letters WHERE stream = ?3 AND "partition" = ?4'
            " AND position = ?5 AND value IS ?8 AND (state = 'open' OR NOT ?10))",
            [(*row, redriven) for row in rows],
        )

    def settle(self, ids: Sequence[int]) -> None:
        """Mark dead letters as redriven."""
        self._driver.executemany(
            "UPDATE dead_letters SET state = 'redriven' WHERE id = ?", [(id_,) for id_ in ids]
        )

    def put_snapshots(self, rows: Sequence[tuple[str, int, bytes]]) -> None:
        """Insert or replace snapshots."""
        self._driver.executemany(
            "INSERT OR REPLACE INTO snapshots (lead, version, state) VALUES (?,?,?)", rows
        )

    def move(self, stream: str, partition: int, old: int, new: int, epoch: int) -> bool:
        """Move a position by compare and set."""
        done = self._driver.execute(
            "UPDATE positions SET position = ?"
            ' WHERE stream = ? AND "partition" = ? AND position = ? AND epoch = ?',
            (new, stream, partition, old, epoch),
        )
        return done.rowcount == 1


class SQLiteStore(Store):
    """The event store in a file."""

    def __init__(self, path: str) -> None:
        self.datastore = LeadDatastore(path)
        self.recorder = LeadRecorder(self.datastore)

    def close(self) -> None:
        """Close the connections."""
        self.datastore.close()

    @contextmanager
    def _connected(self, *, commit: bool) -> Iterator[sqlite3.Connection]:
        """Yield a driver connection, and name errors by what they mean."""
        try:
            with self.datastore.raw(commit=commit) as driver:
                yield driver
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error
        except (sqlite3.ProgrammingError, sqlite3.DataError):
            raise  # a bug of ours: nobody should wait for it to pass
        except (sqlite3.DatabaseError, PersistenceError) as error:
            raise _named_error(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a transaction that holds the write lock; commit at the end."""
        with self._connected(commit=True) as driver:
            driver.execute("BEGIN IMMEDIATE")
            try:
                yield driver
                driver.execute("COMMIT")
            finally:
                if driver.in_transaction:
                    driver.rollback()

    def _read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._connected(commit=False) as driver:
            return driver.execute(statement, parameters).fetchall()

    def commit_decided(self, decide: Callable[[Transaction], Batch]) -> None:
        """Write what *decide* makes in one transaction."""
        with self._writing() as driver:
            transaction = SQLiteTransaction(driver)
            if not write(transaction, decide(transaction)):
                raise Fenced("another worker has claimed the partition")
            faults.reach("commit")
        faults.reach("committed")

    def seen(self, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """Return the content digest of each of *keys* that was accepted before."""
        found: dict[bytes, bytes] = {}
        ordered = list(keys)
        for start in range(0, len(ordered), _KEYS_AT_ONCE):
            chunk = ordered[start : start + _KEYS_AT_ONCE]
            chunk += chunk[-1:] * (_KEYS_AT_ONCE - len(chunk))  # one statement, prepared once
            found.update(self._read(_SEEN, chunk))
        return found

    def places(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Return the lead that the event of each of *keys* belongs to."""
        found: dict[bytes, str] = {}
        for key in keys:  # corrections are few
            found.update(
                self._read(
                    "SELECT s.key, coalesce(m.lead, s.stream) FROM seen AS s"
                    " LEFT JOIN merged_streams AS m ON m.stream = s.stream"
                    " WHERE s.key = ? AND s.stream IS NOT NULL",
                    (key,),
                )
            )
        return found

    def corrections(self) -> int:
        """Return how many corrections ever came before what they correct."""
        return int(self._read(_CORRECTIONS)[0][0])

    def corrections_of(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Return the lead or stream of the corrections that wait for the event of each of *keys*."""
        found: dict[bytes, str] = {}
        ordered = list(keys)
        for start in range(0, len(ordered), _KEYS_AT_ONCE):
            chunk = ordered[start : start + _KEYS_AT_ONCE]
            chunk += chunk[-1:] * (_KEYS_AT_ONCE - len(chunk))
            found.update(self._read(_CORRECTIONS_OF, chunk))
        return found

    def leads_of(self, identifiers: Collection[Identifier]) -> dict[Identifier, str]:
        """Return the lead of each of *identifiers* that is known."""
        rows = self._read(
            "SELECT i.kind, i.value, i.lead FROM json_each(?) AS asked JOIN identifiers AS i"
            " ON i.kind = json_extract(asked.value, '$[0]')"
            " AND i.value = json_extract(asked.value, '$[1]')",
            (json.dumps(list(identifiers), ensure_ascii=False),),
        )
        return {(kind, value): lead for kind, value, lead in rows}

    def positions(self, stream: str) -> dict[int, int]:
        """Return the position to read next for each partition of *stream*."""
        return dict(
            self._read('SELECT "partition", position FROM positions WHERE stream = ?', (stream,))
        )

    def claim(self, stream: str, partitions: Sequence[int]) -> dict[int, Claim]:
        """Claim *partitions*: their epoch rises."""
        with self._writing() as driver:
            driver.executemany(
                'INSERT INTO positions (stream, "partition", position, epoch) VALUES (?,?,0,1)'
                ' ON CONFLICT (stream, "partition") DO UPDATE SET epoch = epoch + 1',
                [(stream, partition) for partition in partitions],
            )
            rows = driver.execute(
                'SELECT "partition", position, epoch FROM positions WHERE stream = ?', (stream,)
            ).fetchall()
        return {
            part: Claim(position, epoch) for part, position, epoch in rows if part in partitions
        }

    def restart(self, stream: str) -> None:
        """Put the positions of *stream* back to 0."""
        with self._writing() as driver:
            driver.execute("UPDATE positions SET position = 0 WHERE stream = ?", (stream,))

    def head(self) -> int:
        """Return the last position in the log."""
        return int(self._read("SELECT coalesce(max(notification_id), 0) FROM stored_events")[0][0])

    def rows_after(self, position: int, limit: int) -> list[Position]:
        """Return up to *limit* rows behind *position*."""
        return self._read(
            "SELECT notification_id, originator_id, originator_version, topic, state"
            " FROM stored_events WHERE notification_id > ? ORDER BY notification_id LIMIT ?",
            (position, limit),
        )

    def rows_of(self, streams: Collection[str]) -> list[Row]:
        """Return the rows of *streams*, by stream and version."""
        return self._read(
            "SELECT originator_id, originator_version, topic, state FROM stored_events"
            " WHERE originator_id IN (SELECT value FROM json_each(?))"
            " ORDER BY originator_id, originator_version",
            (json.dumps(list(streams)),),
        )

    def positions_of(self, streams: Collection[str]) -> list[Position]:
        """Return the rows of *streams* with their positions, by position."""
        return self._read(
            "SELECT notification_id, originator_id, originator_version, topic, state"
            " FROM stored_events WHERE originator_id IN (SELECT value FROM json_each(?))"
            " ORDER BY notification_id",
            (json.dumps(list(streams)),),
        )

    def rows_since(self, stream: str, version: int) -> list[Row]:
        """Return the rows of *stream* behind *version*."""
        return self._read(_EVENTS_OF + " ORDER BY originator_version", (stream, version, 2**63 - 1))

    def rows_by_stream(self, upto: int, bucket: int, buckets: int) -> Iterator[Position]:
        """Yield rows by stream and version, of the streams whose ids fall into one part."""
        first, last = ids_of(bucket, buckets)
        with self._connected(commit=False) as driver:
            yield from driver.execute(
                "SELECT notification_id, originator_id, originator_version, topic, state"
                " FROM stored_events"
                " WHERE notification_id <= ? AND originator_id >= ? AND originator_id < ?"
                " ORDER BY originator_id, originator_version",
                (upto, first, last),
            )

    def merged(self, leads: Collection[str] | None = None) -> dict[str, str]:
        """Return merged streams and the lead of each."""
        if leads is None:
            return dict(self._read("SELECT stream, lead FROM merged_streams"))
        return dict(
            self._read(
                "SELECT stream, lead FROM merged_streams"
                " WHERE lead IN (SELECT value FROM json_each(?))",
                (json.dumps(list(leads)),),
            )
        )

    def snapshots(self, leads: Collection[str]) -> list[tuple[str, int, bytes]]:
        """Return the snapshots there are of *leads*."""
        return self._read(
            "SELECT lead, version, state FROM snapshots"
            " WHERE lead IN (SELECT value FROM json_each(?))",
            (json.dumps(list(leads)),),
        )

    def drop_snapshots(self) -> None:
        """Forget all snapshots."""
        with self._writing() as driver:
            driver.execute("DELETE FROM snapshots")

    def counts(self) -> dict[str, int]:
        """Return how many events, identifiers and open dead letters there are."""
        return dict(
            self._read(
                "SELECT 'events', count(*) FROM stored_events"
                " UNION ALL SELECT 'identifiers', count(*) FROM identifiers"
                " UNION ALL SELECT 'dead_letters', count(*) FROM dead_letters WHERE state = 'open'"
            )
        )

    def all_positions(self) -> list[tuple[str, int, int]]:
        """Return every position."""
        return self._read(
            'SELECT stream, "partition", position FROM positions ORDER BY stream, "partition"'
        )

    def cluster_of(self, stream: str) -> str | None:
        """Return the Kafka cluster that *stream* was read from."""
        rows = self._read("SELECT cluster_id FROM streams WHERE stream = ?", (stream,))
        return rows[0][0] if rows else None

    def set_cluster(self, stream: str, cluster_id: str) -> None:
        """Remember the Kafka cluster of *stream*."""
        with self._writing() as driver:
            driver.execute(
                "INSERT OR REPLACE INTO streams (stream, cluster_id) VALUES (?,?)",
                (stream, cluster_id),
            )

    def dead_letter_rows(
        self, ids: Collection[int] | None = None, *, state: str | None = None, limit: int = 1_000
    ) -> list[tuple[Any, ...]]:
        """Return dead letters, oldest first."""
        return self._read(
            'SELECT id, reason, message, stream, "partition", position, received_at_us, key, value,'
            " headers, state FROM dead_letters WHERE (? OR id IN (SELECT value FROM json_each(?)))"
            " AND (? OR state = ?) ORDER BY id LIMIT ?",
            (ids is None, json.dumps(list(ids or ())), state is None, state, limit),
        )


_CORRECTIONS = "SELECT coalesce(max(number), 0) FROM corrections"
_CORRECTIONS_OF = (
    "SELECT c.target, coalesce(m.lead, c.stream) FROM corrections AS c"
    " LEFT JOIN merged_streams AS m ON m.stream = c.stream WHERE c.target IN ("
)
_CORRECTIONS_OF += ",".join("?" * _KEYS_AT_ONCE) + ")"
_SEEN = "SELECT key, body FROM seen WHERE key IN ("  # the number of marks, not data
_SEEN += ",".join("?" * _KEYS_AT_ONCE) + ")"
