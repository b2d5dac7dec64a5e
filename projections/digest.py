"""Digests: one SHA-256 per read model, equal wherever the same facts were projected.

A row counts as the JSON object of its columns, but for the number of the lead, in whose place its
id stands: keys sorted, text in NFC, whole numbers and text only. Rows come in the order of their
key, compared byte by byte; those that belong to no lead, in the order of their facts.
"""

import hashlib
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unicodedata import normalize

import msgspec
from sqlalchemy import Connection, Engine, FromClause, Text, collate, select

from projections.naming import LIVE, table_of
from projections.pipeline import pipeline
from projections.rows import READ_MODELS
from projections.schema import is_postgresql, metadata

_PAGE: Final = 10_000

_encode = msgspec.json.Encoder(order="sorted").encode
_encode_lines = msgspec.json.Encoder().encode_lines


def digests(engine: Engine, which: str = LIVE) -> dict[str, str]:
    """Return the digest of each read model of a set, by name, all of one instant."""
    with snapshot(engine) as connection:
        return digests_in(connection, which)


@contextmanager
def snapshot(engine: Engine) -> Generator[Connection]:
    """Lend a connection that sees the database as it is now, whatever is written meanwhile."""
    with hold_still(engine.connect()) as connection:
        yield connection


def hold_still(connection: Connection) -> Connection:
    """Return *connection*, which sees from its first query on what the database held then."""
    if is_postgresql(connection.dialect):
        connection.execution_options(isolation_level="REPEATABLE READ")
    else:
        connection.exec_driver_sql("BEGIN")  # the driver itself begins none to read
    return connection


def digests_in(
    connection: Connection, which: str = LIVE, names: Collection[str] | None = None
) -> dict[str, str]:
    """Return the digests of a set, or of those of *names*, as *connection* sees them."""
    return {
        table.name: _digest(connection, table.name, which)
        for table in READ_MODELS
        if names is None or table.name in names
    }


def _digest(connection: Connection, name: str, which: str) -> str:
    digest = hashlib.sha256()
    for page in rows_in(connection, name, which):
        lines = _encode_lines(page)
        # of whole pages at once: no character is composed with the end of a line
        digest.update(lines if lines.isascii() else normalize("NFC", lines.decode()).encode())
    return digest.hexdigest()


def rows_in(
    connection: Connection, name: str, which: str = LIVE
) -> Generator[list[dict[str, int | str | None]]]:
    """Yield the rows of a read model that count, in the order that counts, page by page.

    The columns of a row are sorted by name.
    """
    table = table_of(metadata.tables[name], connection.dialect, which)
    leads = table if name == pipeline.name else table_of(pipeline, connection.dialect, which)
    columns: list[Any]
    order: list[Any]
    columns, order = [*table.columns], [table.c[key] for key in key_of(name) if key != "lead_id"]
    rows: FromClause = table
    if table.info.get("leadless"):
        columns = [c for c in columns if c.name not in ("lead_no", "n")]
    else:
        columns = [leads.c.lead_id, *(c for c in columns if c.name not in ("lead_no", "lead_id"))]
        order = [leads.c.lead_id, *order]
        if table is not leads:
            rows = table.join(leads, table.c.lead_no == leads.c.lead_no)
    if is_postgresql(connection.dialect):
        order = [collate(c, "C") if isinstance(c.type, Text) else c for c in order]
    columns.sort(key=lambda column: column.name)
    names = [column.name for column in columns]
    query = select(*columns).select_from(rows).order_by(*order)
    with connection.execute(query.execution_options(stream_results=True)) as found:
        for page in found.partitions(_PAGE):
            yield [dict(zip(names, row, strict=True)) for row in page]


def key_of(name: str) -> tuple[str, ...]:
    """Return the columns by which rows of a read model are told apart, whatever leads' numbers."""
    table = metadata.tables[name]
    if table.info.get("leadless"):
        return ("fact_source", "fact_id")
    return ("lead_id", *(c.name for c in table.primary_key if c.name != "lead_no"))


def canonical(row: Mapping[str, int | str | None]) -> bytes:
    """Return one row as a line of canonical JSON."""
    line = _encode(row)
    return (line if line.isascii() else normalize("NFC", line.decode()).encode()) + b"\n"
