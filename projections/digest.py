"""Digests: one SHA-256 per read model, equal wherever the same facts were projected.

A row counts as the JSON object of its columns, but for the number of the lead, in whose place its
id stands: keys sorted, text in NFC, whole numbers and text only. Rows come in the order of their
key, compared byte by byte; those that belong to no lead, in the order of their facts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from unicodedata import normalize

import msgspec
from sqlalchemy import Engine, Select, Table, collate, select

from projections.naming import LIVE, table_of
from projections.pipeline import pipeline
from projections.rows import READ_MODELS
from projections.schema import is_postgresql

_PAGE: Final = 10_000

_encode = msgspec.json.Encoder(order="sorted").encode


def digests(engine: Engine, which: str = LIVE) -> dict[str, str]:
    """Return the digest of each read model of a set, by name."""
    tables = {table.name: table_of(table, engine.dialect, which) for table in READ_MODELS}
    leads = tables[pipeline.name]
    return {name: _digest(engine, table, leads) for name, table in tables.items()}


def _digest(engine: Engine, table: Table, leads: Table) -> str:
    if table.info.get("leadless"):
        return _leadless_digest(engine, table)
    lead_id = leads.c.lead_id
    order = collate(lead_id, "C") if is_postgresql(engine.dialect) else lead_id
    columns = [c for c in table.columns if c.name not in ("lead_no", "lead_id")]
    rest = [c for c in table.primary_key if c.name != "lead_no"]
    query = select(lead_id, *columns).order_by(order, *rest)
    if table is leads:
        query = query.select_from(leads)
    else:
        query = query.select_from(table.join(leads, table.c.lead_no == leads.c.lead_no))
    names = ["lead_id", *[column.name for column in columns]]
    return _digest_of(engine, query, names)


def _digest_of(engine: Engine, query: Select[Any], names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    with engine.connect().execution_options(stream_results=True) as connection:
        for page in connection.execute(query).partitions(_PAGE):
            digest.update(b"".join([canonical(dict(zip(names, row, strict=True))) for row in page]))
    return digest.hexdigest()


def _leadless_digest(engine: Engine, table: Table) -> str:
    """Return the digest of rows that belong to no lead: in the order of their facts."""
    columns = [c for c in table.columns if c.name not in ("lead_no", "n")]
    order = [table.c.fact_source, table.c.fact_id]
    if is_postgresql(engine.dialect):
        order = [collate(column, "C") for column in order]  # type: ignore[misc]  # still orders
    return _digest_of(engine, select(*columns).order_by(*order), [c.name for c in columns])


def canonical(row: Mapping[str, int | str | None]) -> bytes:
    """Return one row as a line of canonical JSON."""
    line = _encode(row)
    return (line if line.isascii() else normalize("NFC", line.decode()).encode()) + b"\n"
