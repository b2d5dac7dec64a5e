"""Read models as files: Parquet, Arrow or CSV, one per table or view, the same bytes every time.

Rows come in the order of the key (text by its bytes), in groups of a fixed size, all from one
moment. The number of a lead means nothing outside the database, so tables show the id instead. The
files are equal for the same log and the same leadflow: live or rebuilt, SQLite or PostgreSQL.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rapidfuzz import fuzz, process
from sqlalchemy import (
    Connection,
    Float,
    Select,
    cast,
    collate,
    column,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.sql.elements import ColumnElement

from leadflow.csv_cells import csv_line
from leadflow.export_files import PARQUET, export_folder, pyarrow, write_manifest
from leadflow.query import RENEW
from projections.dictionary import PERSONAL, Entry, relations
from projections.pipeline import pipeline
from projections.rows import READ_MODELS
from projections.schema import SCHEMA, currencies, is_postgresql, metadata, stage_order

FORMATS: Final = ("parquet", "csv", "arrow")

ROWS: Final = 32_768
"""Rows in a group, and in memory at a time."""

MONEY: Final = (38, 4)
"""Digits and decimals of money: no currency of ISO 4217 has more than four decimals."""

FRACTION: Final = (38, 9)
"""Digits and decimals of other decimals, such as credit."""

_IDS: Final = frozenset(
    {"lead_id", "fact_id", "opportunity", "message", "name", "email", "phone", "identifiers"}
)
"""Text of which nearly every row has its own: not worth a dictionary."""

Told = Callable[[str, int], object]
"""Told which relation is written, and how many rows of it are."""


class RelationRefused(ValueError):
    """A relation cannot be exported; the message says why, and what is near."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One relation, its columns as they are exported, and the query that reads them in order."""

    name: str
    columns: tuple[Entry, ...]
    query: Select[Any]


def exportable(*, personal: bool) -> list[str]:
    """Return what can be exported: views, read models, and what explains their codes.

    The dictionary is not: the manifest says what it says.
    """
    tables = {one.name for one in READ_MODELS} | {currencies.name, stage_order.name}
    return [
        name
        for name, (own, _) in relations().items()
        if (own.kind == "view" or name in tables) and (personal or not own.is_personal)
    ]


def export_relations(
    connection: Connection,
    to: Path,
    form: str,
    names: Sequence[str] | None = None,
    *,
    personal: bool = False,
    force: bool = False,
    said: Mapping[str, Any] | None = None,
    told: Told = lambda _name, _rows: None,
) -> dict[str, Any]:
    """Write relations into the folder *to*, as *form*, and return the manifest.

    *names* are tables and views; by default all views without personal data, or all views where
    *personal* is true. *connection* sees nobody's writes from its first query on, as that of
    ``leadflow.query.reader`` and those of ``projections.as_of``. The manifest also holds *said*.

    Raises RelationRefused, ExportRefused, ColumnsMissing.
    """
    if form not in FORMATS:
        raise RelationRefused(f"{form!r} is no format; there are {', '.join(FORMATS)}")
    chosen = list(dict.fromkeys(names)) if names is not None else _views(personal=personal)
    for name in chosen:
        _check(name, personal=personal)
    arrow = None if form == "csv" else pyarrow()
    with export_folder(to, force=force) as folder:
        _begin(connection)
        checkpoint = connection.exec_driver_sql("SELECT position, version FROM checkpoints").one()
        counts = {}
        _check_there(connection, chosen)
        for name in chosen:
            path = f"{name}.{form}"
            source = _source(connection, name)
            counts[path] = _write(arrow, connection, source, folder / path, form, told)
        connection.rollback()
        document = {
            "kind": "relations",
            "file_format": form,
            "position": checkpoint[0],
            "read_models": checkpoint[1],
            "personal": any(name in PERSONAL for name in chosen),
            **(said or {}),
            "relations": [
                _described(arrow, name, f"{name}.{form}", counts[f"{name}.{form}"])
                for name in chosen
            ],
        }
        return dict(write_manifest(folder, document, counts))


def _views(*, personal: bool) -> list[str]:
    return [name for name in exportable(personal=personal) if relations()[name][0].kind == "view"]


def _check(name: str, *, personal: bool) -> None:
    if name in exportable(personal=personal):
        return
    if name in exportable(personal=True):
        raise RelationRefused(f"{name} holds personal data: --personal exports it")
    if name in relations():
        raise RelationRefused(f"{name} means nothing outside the database and is not exported")
    near = process.extract(
        name, exportable(personal=True), scorer=fuzz.ratio, limit=3, score_cutoff=60
    )
    hint = f"; did you mean {' or '.join(one for one, _, _ in near)}?" if near else ""
    raise RelationRefused(f"there is no table or view {name!r}{hint}")


def _check_there(connection: Connection, names: Sequence[str]) -> None:
    schema = SCHEMA if is_postgresql(connection.dialect) else None
    found = inspect(connection)
    there = {*found.get_table_names(schema), *found.get_view_names(schema)}
    missing = [name for name in names if name not in there]
    if missing:
        raise RelationRefused(f"{', '.join(missing)}: not in this database yet: {RENEW}")


# --- reading ------------------------------------------------------------------------------------


def _begin(connection: Connection) -> None:
    """Begin to read from one moment.

    The names are those of one set of read models, too: PostgreSQL lets no other set take its place
    while somebody has read from it, and on SQLite names are as they were, like rows.
    """
    if is_postgresql(connection.dialect):
        connection.execute(
            text(
                "SELECT set_config('search_path', :schema, true),"
                " set_config('TimeZone', 'UTC', true)"
            ),
            {"schema": SCHEMA},
        )
    else:
        # the driver begins no transaction for a statement that reads
        connection.exec_driver_sql("BEGIN")


def _source(connection: Connection, name: str) -> _Source:
    """Return how *name* is read: rows in the order of its key, or of all columns without one."""
    shown, keys = _shown(name)
    there = relations()[name][1]
    of = table(name, *(column(str(entry.column_name)) for entry in there))
    leads = table(pipeline.name, column("lead_no"), column("lead_id"))

    def found(entry: Entry) -> ColumnElement[Any]:
        here = entry.relation == name
        return of.c[str(entry.column_name)] if here else leads.c.lead_id

    query = select(*(found(entry) for entry in shown))
    joined = any(entry.relation != name for entry in shown)
    query = query.select_from(of.join(leads, leads.c.lead_no == of.c.lead_no) if joined else of)
    order = [part for entry in keys for part in _order(connection, found(entry), entry)]
    return _Source(name, shown, query.order_by(*order))


def _shown(name: str) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Return the columns of *name* that are exported, and those that its rows are sorted by.

    A number of a lead becomes its id; what belongs to no lead goes by the fact that it is from.
    """
    own, entries = relations()[name]
    kept = tuple(entry for entry in entries if entry.column_name != "lead_no")
    if own.kind == "table" and len(kept) < len(entries):
        if metadata.tables[name].info.get("leadless"):
            kept = tuple(entry for entry in kept if entry.column_name != "n")
            return kept, tuple(e for e in kept if e.column_name in ("fact_source", "fact_id"))
        by_id = tuple(e for e in kept if e.column_name == "lead_id")
        if by_id:
            return kept, by_id
        by_id = tuple(e for e in relations()["v_stages"][1] if e.column_name == "lead_id")
        return (*by_id, *kept), (*by_id, *(entry for entry in kept if entry.is_key))
    return kept, tuple(entry for entry in kept if entry.is_key) or kept


def _order(
    connection: Connection, value: ColumnElement[Any], entry: Entry
) -> Iterator[ColumnElement[Any]]:
    """Yield what sorts by *value* alike on both databases: nulls last, text by its bytes."""
    yield value.is_(None)
    if entry.type == "text":
        yield collate(value, "C") if is_postgresql(connection.dialect) else value
    elif entry.type == "decimal" and not is_postgresql(connection.dialect):
        yield cast(value, Float)
    else:
        yield value


def _pages(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows, ``ROWS`` at a time, without holding more."""
    # of the statement: set on a connection, they would stay with it
    streamed = query.execution_options(stream_results=True, max_row_buffer=ROWS)
    result = connection.execute(streamed)
    yield from result.partitions(ROWS)


# --- writing ------------------------------------------------------------------------------------


def _write(
    arrow: Any, connection: Connection, source: _Source, path: Path, form: str, told: Told
) -> int:
    """Write one relation; return the number of its rows."""
    count = 0
    pages = _pages(connection, source.query)
    if form == "csv":
        names = [str(entry.column_name) for entry in source.columns]
        flags = [n for n, entry in enumerate(source.columns) if entry.type == "boolean"]
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_line(names))
            for page in pages:
                file.writelines(csv_line(_told_apart(row, flags)) for row in page)
                count += len(page)
                told(source.name, count)
        return count
    schema = _schema(arrow, source)
    parquet = path.with_suffix(".parquet")
    with arrow.parquet.ParquetWriter(parquet, schema, **PARQUET) as writer:
        for page in pages:
            arrays = [
                _array(arrow, values, entry)
                for values, entry in zip(zip(*page, strict=True), source.columns, strict=True)
            ]
            batch = arrow.record_batch(arrays, schema=schema)
            writer.write_batch(batch, row_group_size=ROWS)
            count += len(page)
            told(source.name, count)
    if form == "arrow":
        _as_arrow(arrow, parquet, path)
        parquet.unlink()
    return count


def _told_apart(row: Sequence[Any], flags: Sequence[int]) -> Sequence[Any]:
    """Return *row* with its flags as such: SQLite has 0 and 1."""
    if not flags:
        return row
    values = list(row)
    for n in flags:
        values[n] = None if values[n] is None else bool(values[n])
    return values


def _schema(arrow: Any, source: _Source) -> Any:
    return arrow.schema(
        [
            arrow.field(
                entry.column_name,
                _type(arrow, entry),
                metadata={
                    "comment": entry.comment,
                    **({"unit": entry.unit} if entry.unit else {}),
                },
            )
            for entry in source.columns
        ]
    )


def _type(arrow: Any, entry: Entry) -> Any:
    """Return the type of Arrow that keeps the values of a column as they are."""
    match entry.type:
        case "integer":
            return arrow.int64()
        case "decimal":
            of_money = (entry.unit or "").startswith("major units")
            return arrow.decimal128(*(MONEY if of_money else FRACTION))
        case "timestamp":
            return arrow.timestamp("us", "UTC")
        case "boolean":
            return arrow.bool_()
        case "float":
            return arrow.float64()
    if entry.column_name in _IDS:
        return arrow.string()
    return arrow.dictionary(arrow.int32(), arrow.string())


def _array(arrow: Any, values: Sequence[Any], entry: Entry) -> Any:
    """Return a column; SQLite has text for instants and decimals, and numbers for flags."""
    type_ = _type(arrow, entry)
    if entry.type == "text":
        found = arrow.array(values, arrow.string())
        return found if entry.column_name in _IDS else found.dictionary_encode()
    if entry.type == "integer":  # a sum of PostgreSQL is a decimal without decimals
        return arrow.array([None if one is None else int(one) for one in values], type_)
    if entry.type == "boolean":
        return arrow.array([None if one is None else bool(one) for one in values], type_)
    if any(isinstance(one, str) for one in values):
        return arrow.array(values, arrow.string()).cast(type_)
    return arrow.array(values, type_)


def _as_arrow(arrow: Any, parquet: Path, path: Path) -> None:
    """Write the rows of *parquet* as a file of Arrow, group by group, with one dictionary each.

    A file of Arrow has one dictionary for a whole column, which is known only at its end.
    """
    with arrow.parquet.ParquetFile(parquet) as file:
        schema = file.schema_arrow
        coded = [n for n, field in enumerate(schema) if arrow.types.is_dictionary(field.type)]
        words: dict[int, dict[str, None]] = {n: {} for n in coded}
        for group in range(file.num_row_groups):
            for n in coded:
                for chunk in file.read_row_group(group, columns=[schema[n].name])[0].chunks:
                    words[n].update(dict.fromkeys(chunk.dictionary.to_pylist()))
        values = {n: arrow.array(list(words[n]), arrow.string()) for n in coded}
        with arrow.ipc.new_file(path, schema) as writer:
            for group in range(file.num_row_groups):
                page = file.read_row_group(group).combine_chunks()
                arrays = [
                    _coded(arrow, page[n], values[n]) if n in values else page[n].combine_chunks()
                    for n in range(len(schema))
                ]
                batch = [
                    one.chunk(0) if isinstance(one, arrow.ChunkedArray) else one for one in arrays
                ]
                writer.write_batch(arrow.record_batch(batch, schema=schema))


def _coded(arrow: Any, found: Any, values: Any) -> Any:
    """Return a column of text by the dictionary *values*."""
    plain = found.combine_chunks().cast(arrow.string())
    codes = arrow.compute.index_in(plain, value_set=values)
    return arrow.DictionaryArray.from_arrays(codes, values)


# --- manifest -----------------------------------------------------------------------------------


def _described(arrow: Any, name: str, path: str, rows: int) -> dict[str, Any]:
    """Return what the manifest says of one relation."""
    own, _ = relations()[name]
    shown, keys = _shown(name)
    return {
        "name": name,
        "kind": own.kind,
        "comment": own.comment,
        "path": path,
        "rows": rows,
        "columns": [
            {
                "name": entry.column_name,
                "type": entry.type if arrow is None else str(_type(arrow, entry)),
                "unit": entry.unit,
                "key": entry in keys and keys != shown,
                "personal": bool(entry.is_personal),
                "comment": entry.comment,
            }
            for entry in shown
        ],
    }
