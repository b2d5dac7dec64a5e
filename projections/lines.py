"""Rows of a fold as lines to sort and to hash: the digests of a set without a database.

``projections.digest`` asks a database for rows in the order of their keys. Where leads are folded
apart, in processes or on several machines, each part has its lines sorted by a key of bytes, and
the parts are merged.
"""

import hashlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

from sqlalchemy import Integer, Table

from projections.digest import canonical, key_of
from projections.pipeline import pipeline
from projections.rows import READ_MODELS, Row, Rows

_INTEGER: Final = Struct(">Q").pack
_LEAST: Final = 1 << 63
"""Added to a whole number, so that negative ones sort before the others as bytes do."""


class Line(NamedTuple):
    """One row: what it is sorted by, its columns, and the bytes that count in a digest."""

    key: bytes
    values: Row
    """In the order of ``columns_of``."""
    text: bytes


class _Shape(NamedTuple):
    names: tuple[str, ...]
    places: tuple[int, ...]
    """Where in a row the columns lie; the id of a lead lies in none but that of ``pipeline``."""
    keys: tuple[int, ...]
    """Where in the values the parts of the key lie."""
    by_lead: bool


def columns_of(table: Table) -> dict[str, type[int] | type[str]]:
    """Return the columns that count of a read model, the id of the lead first, and their types."""
    return {
        name: int if name in table.c and isinstance(table.c[name].type, Integer) else str
        for name in _shape(table).names
    }


def _shape(table: Table) -> _Shape:
    columns = [column.name for column in table.columns]
    by_lead = not table.info.get("leadless")
    rest = [name for name in columns if name not in ("lead_no", "lead_id" if by_lead else "n")]
    names = ("lead_id", *rest) if by_lead else tuple(rest)
    places = tuple(columns.index(name) for name in rest)
    return _Shape(names, places, tuple(names.index(key) for key in key_of(table.name)), by_lead)


_SHAPES: Final = {table.name: _shape(table) for table in READ_MODELS}


def lines_of(rows: Rows) -> Iterator[tuple[str, list[Line]]]:
    """Yield the lines of each read model in *rows*, which hold whole leads, in no order."""
    id_at = [column.name for column in pipeline.columns].index("lead_id")
    ids: dict[int, str] = {row[0]: row[id_at] for row in rows.pipeline}
    for table, made in rows.inserts():
        shape = _SHAPES.get(table.name)
        if shape is None:
            continue
        names, places, keys, by_lead = shape
        lines = []
        for row in made:
            found = tuple([row[place] for place in places])
            values = (ids[row[0]], *found) if by_lead else found
            text = canonical(dict(zip(names, values, strict=True)))
            lines.append(Line(b"".join([_key(values[at]) for at in keys]), values, text))
        yield table.name, lines


def _key(value: Any) -> bytes:
    """Return bytes that sort as *value* does; text holds no NUL, which ends it here."""
    return value.encode() + b"\0" if isinstance(value, str) else _INTEGER(value + _LEAST)


def digest_of(texts: Iterable[bytes]) -> str:
    """Return the digest of a read model whose lines come in the order of their keys."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text)
    return digest.hexdigest()
