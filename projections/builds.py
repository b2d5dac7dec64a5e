"""What is known of a set of read models that is being filled: enough to go on after a crash.

The tables lie in the new set and go with it: dropped when it becomes live. Leads are filled in
parts, by hash of the stream; each part's rows are committed together with its mark, so that a part
is there as a whole or not at all. Leads that were merged may have streams in several parts: the
merges are written down when the build begins, and these leads are filled when all streams have
been counted.

Whoever goes on with a build gives it another name; what still runs under the name before can
commit nothing any more.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple
from uuid import uuid4
from zlib import crc32

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    case,
    func,
    insert,
    inspect,
    select,
    update,
)

from projections.fill import families
from projections.naming import NEW, table_of
from projections.schema import BIG, checkpoints
from projections.writer import SET, Execute, Superseded

_metadata = MetaData()

builds: Final = Table(
    "builds",
    _metadata,
    Column("position", BIG, nullable=False, comment="Last position of the log that is filled"),
    Column("parts", Integer, nullable=False, comment="Parts of the streams that no merge is about"),
    Column("started_us", BIG, nullable=False, comment="When the build began"),
)

build_parts: Final = Table(
    "build_parts",
    _metadata,
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("events", BIG, comment="Null until the part is done"),
    Column("leads", BIG),
    Column("done_us", BIG, comment="When it was done"),
)

build_streams: Final = Table(
    "build_streams",
    _metadata,
    Column("stream", Text, primary_key=True, comment="A stream of a merged lead"),
    Column("root", Text, nullable=False, comment="The one of its lead that stands for all"),
    Column("length", BIG, comment="Events up to the position; null where there are none"),
)

_STREAMS_A_PART: Final = 1_000
"""Streams of merged leads that make one part, about."""

_AT_ONCE: Final = 10_000


class Standing(NamedTuple):
    """How far a build is."""

    position: int
    parts: int
    parts_done: int
    events: int
    leads: int
    started_us: int
    last_us: int | None
    """When the last part was done."""


class Build:
    """The build of the new set, by the name that it goes by now."""

    def __init__(self, engine: Engine, name: str, position: int, parts: int) -> None:
        self.engine = engine
        self.name = name
        self.position = position
        self.parts = parts
        """Parts of the streams that no merge is about; those of merged leads follow them."""
        self._tables = _tables(engine)

    def merged(self) -> dict[str, str]:
        """Return every stream of a merged lead and the one that stands for its lead."""
        table = self._tables[build_streams.name].c
        with self.engine.connect() as connection:
            rows = connection.execute(select(table.stream, table.root)).all()
        return {row.stream: row.root for row in rows}

    def left(self) -> list[int]:
        """Return the parts that are still to be filled."""
        table = self._tables[build_parts.name].c
        query = select(table.part).where(table.done_us.is_(None)).order_by(table.part)
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def lengths(self) -> dict[int, dict[str, tuple[str, int]]]:
        """Return the streams of merged leads by part, each with what stands for it and its length."""
        table = self._tables[build_streams.name].c
        total = self.standing().parts
        found: dict[int, dict[str, tuple[str, int]]] = {}
        query = select(table.stream, table.root, table.length).where(table.length.is_not(None))
        with self.engine.connect() as connection:
            for stream, root, length in connection.execute(query):
                part = _part_of(root, self.parts, total)
                found.setdefault(part, {})[stream] = root, length
        return found

    def standing(self) -> Standing:
        """Return how far it is."""
        with self.engine.connect() as connection:
            return _standing(connection, self._tables)

    def settle(self) -> None:
        """Say that the set is filled up to the position of the build. Raises Superseded."""
        table = table_of(checkpoints, self.engine.dialect, NEW)
        at = table.c.position
        with self.engine.begin() as connection:
            settled = connection.execute(
                update(table)
                .where(table.c.name == SET, table.c.build == self.name)
                .values(position=case((at < self.position, self.position), else_=at))
            ).rowcount
        if not settled:
            raise Superseded(SUPERSEDED)

    def reserve(self, count: int) -> int:
        """Return the first of *count* numbers of leads that nobody else will use.

        Raises Superseded.
        """
        table = table_of(checkpoints, self.engine.dialect, NEW)
        with self.engine.begin() as connection:
            following = connection.execute(
                update(table)
                .where(table.c.name == SET, table.c.build == self.name)
                .values(next_lead_no=table.c.next_lead_no + count)
                .returning(table.c.next_lead_no)
            ).scalar()
        if following is None:
            raise Superseded(SUPERSEDED)
        return int(following) - count

    def marking(
        self, part: int, events: int, leads: int, now_us: int, lengths: Mapping[str, int]
    ) -> Callable[[Execute], None]:
        """Return what marks *part* as done, in the transaction that writes its rows."""
        checkpoint = table_of(checkpoints, self.engine.dialect, NEW).fullname
        streams = self._tables[build_streams.name].fullname
        parts = self._tables[build_parts.name].fullname
        # only the names of our own tables are put into these statements
        hold = f"UPDATE {checkpoint} SET build = build WHERE name = ? AND build = ?"  # noqa: S608 - our own tables
        count = f"UPDATE {streams} SET length = ? WHERE stream = ?"  # noqa: S608 - our own tables
        done = (
            f"UPDATE {parts} SET events = ?, leads = ?, done_us = ?"  # noqa: S608 - our own tables
            " WHERE part = ? AND done_us IS NULL"
        )

        def mark(execute: Execute) -> None:
            # the row stays locked up to the commit, and nobody can take the build over meanwhile
            if not execute(hold, (SET, self.name)):
                raise Superseded(SUPERSEDED)
            for stream, length in lengths.items():
                execute(count, (length, stream))
            if not execute(done, (events, leads, now_us, part)):
                raise Superseded(SUPERSEDED)

        return mark


SUPERSEDED: Final = (
    "another rebuild has taken this one over: it goes on with what is filled, and this one ends"
)


def begin(
    connection: Connection,
    engine: Engine,
    position: int,
    parts: int,
    merged: Mapping[str, str],
    now_us: int,
    policy: str,
) -> Build:
    """Write down what is to be filled in the new set, which is empty."""
    name = uuid4().hex
    tables = _tables(engine)
    roots = {
        stream: root
        for family in families(merged.items())
        for root in [min(family)]
        for stream in family
    }
    total = parts + -(-len(roots) // _STREAMS_A_PART)
    for table in tables.values():
        table.create(connection)
    connection.execute(
        insert(tables[builds.name]), {"position": position, "parts": parts, "started_us": now_us}
    )
    connection.execute(insert(tables[build_parts.name]), [{"part": part} for part in range(total)])
    for some in _some(roots.items()):
        connection.execute(
            insert(tables[build_streams.name]),
            [{"stream": stream, "root": root} for stream, root in some],
        )
    _rename(connection, engine, name, policy)
    return Build(engine, name, position, parts)


def resume(connection: Connection, engine: Engine, version: str, policy: str) -> Build | None:
    """Return the build that was begun, by a name of its own from now on; None without one.

    None as well where another *version* of the read models or another *policy* was to be filled.
    """
    tables = _tables(engine)
    name = uuid4().hex
    checkpoint = table_of(checkpoints, engine.dialect, NEW)
    if not exists(connection):
        return None
    found = connection.execute(
        select(checkpoint.c.version, checkpoint.c.policy).where(checkpoint.c.name == SET)
    ).one()
    if tuple(found) != (version, policy):
        return None
    _rename(connection, engine, name, policy)
    of_build = tables[builds.name].c
    position, parts = connection.execute(select(of_build.position, of_build.parts)).one()
    return Build(engine, name, position, parts)


def exists(connection: Connection) -> bool:
    """Return whether a build was begun and did not become live."""
    table = table_of(builds, connection.dialect, NEW)
    return inspect(connection).has_table(table.name, schema=table.schema)


def standing(engine: Engine) -> Standing | None:
    """Return how far the build is that was begun; None without one."""
    with engine.connect() as connection:
        return _standing(connection, _tables(engine)) if exists(connection) else None


def forget(connection: Connection) -> None:
    """Drop what is known of the build of the new set."""
    for table in (builds, build_parts, build_streams):
        table_of(table, connection.dialect, NEW).drop(connection, checkfirst=True)


def part_streams(streams: Mapping[str, tuple[str, int]]) -> tuple[dict[str, str], dict[str, int]]:
    """Return the merges and the lengths of the streams of one part."""
    return (
        {stream: root for stream, (root, _) in streams.items() if stream != root},
        {stream: length for stream, (_, length) in streams.items()},
    )


def _part_of(root: str, parts: int, total: int) -> int:
    return parts + crc32(root.encode()) % (total - parts)


def _rename(connection: Connection, engine: Engine, name: str, policy: str) -> None:
    table = table_of(checkpoints, engine.dialect, NEW)
    connection.execute(update(table).where(table.c.name == SET).values(build=name, policy=policy))


def _tables(engine: Engine) -> dict[str, Table]:
    return {
        table.name: table_of(table, engine.dialect, NEW)
        for table in (builds, build_parts, build_streams)
    }


def _standing(connection: Connection, tables: Mapping[str, Table]) -> Standing:
    build, part = tables[builds.name].c, tables[build_parts.name].c
    position, started_us = connection.execute(select(build.position, build.started_us)).one()
    total, done, events, leads, last = connection.execute(
        select(
            func.count(),
            func.count(part.done_us),
            func.coalesce(func.sum(part.events), 0),
            func.coalesce(func.sum(part.leads), 0),
            func.max(part.done_us),
        )
    ).one()
    return Standing(position, total, done, int(events), int(leads), started_us, last)


def _some(items: Iterable[tuple[str, str]]) -> Iterable[list[tuple[str, str]]]:
    left = list(items)
    for start in range(0, len(left), _AT_ONCE):
        yield left[start : start + _AT_ONCE]
