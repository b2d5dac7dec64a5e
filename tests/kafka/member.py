"""Read a topic in a process of its own, so that a test can kill a member of a group.

`python -m tests.kafka.member BOOTSTRAP TOPIC GROUP DATABASE` writes each record with its position
to the SQLite file and moves the position in the same transaction, until it is killed.
"""

import sqlite3
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path

from consumers.stream import Record, Source


def open_ledger(path: Path) -> sqlite3.Connection:
    """Open the file that holds positions and what was read, making its tables where needed."""
    database = sqlite3.connect(path, timeout=30)
    database.execute("pragma journal_mode = wal")
    database.execute("create table if not exists position (partition integer primary key, next)")
    database.execute("create table if not exists seen (partition, position, key, reader)")
    database.commit()
    return database


def positions(database: sqlite3.Connection, partitions: Collection[int]) -> Mapping[int, int]:
    """Return the next position of each partition that was ever read."""
    rows = dict(database.execute("select partition, next from position"))
    return {partition: rows[partition] for partition in partitions if partition in rows}


def keep(database: sqlite3.Connection, records: list[Record], reader: str) -> None:
    """Write records and positions in one transaction."""
    with database:
        database.executemany(
            "insert into seen values (?, ?, ?, ?)",
            [(r.partition, r.position, (r.key or b"").decode(), reader) for r in records],
        )
        database.executemany(
            "insert into position values (?, ?) on conflict do update set next = excluded.next",
            [(r.partition, r.position + 1) for r in records],
        )


def main(bootstrap_servers: str, topic: str, group: str, ledger: str) -> None:
    """Read until killed."""
    with (
        closing(open_ledger(Path(ledger))) as database,
        Source(
            bootstrap_servers,
            topic,
            group,
            positions=lambda partitions: positions(database, partitions),
            session_timeout_ms=1_500,
        ) as source,
    ):
        while True:
            keep(database, source.poll(20, 500), "member")
            # Slow on purpose: the test kills this member amid its work.
            time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
