"""The data dictionary: what every table, view and column means, in words that all places share.

The table ``data_dictionary`` of both databases, the comments on PostgreSQL, the page of the
reference and the manifests of exports are made of it.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from functools import cache
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Column, Connection, Integer, Table, Text, create_engine, insert, inspect
from sqlalchemy.pool import StaticPool

from projections.naming import LIVE, schema_of, table_of
from projections.rows import READ_MODELS
from projections.schema import metadata, number, text
from projections.view_columns import VIEW_COLUMNS
from projections.views import VIEW_COMMENTS, create_views, shown_as, view_texts

NAME: Final = "data_dictionary"

data_dictionary = Table(
    NAME,
    metadata,
    Column("relation", Text, primary_key=True, comment="Name of the table or view"),
    Column("n", Integer, primary_key=True, comment="Place of the column, from 1; 0: the relation"),
    text("kind", "table or view", null=False),
    text("column_name", "Name of the column; null for the relation itself"),
    text("type", "text, integer, decimal, timestamp, boolean or float"),
    text("unit", "Unit of the values; null where they have none"),
    number("is_key", "1 for a column that is part of the key, else 0"),
    number("is_personal", "1 where it tells who somebody is or how to reach them, else 0"),
    text("comment", "What it means", null=False),
    text("definition", "The SQL that a view is made of; null for everything else"),
    comment="What every table, view and column means",
    sqlite_with_rowid=False,
)

PERSONAL: Final = frozenset({"people", "v_people"})
"""Tables and views that tell who somebody is; no other one may."""

_NOT_PERSONAL: Final = frozenset({"lead_no", "lead_id"})

_UNITS: Final = (
    ("_us", "microseconds since 1970-01-01 UTC"),
    ("_minor", "minor units of the currency"),
    ("_nano", "billionths"),
    ("_seconds", "seconds"),
    ("_minutes", "minutes"),
    ("_hours", "hours"),
    ("_days", "days"),
)

_MICROSECONDS: Final = " (microseconds UTC)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the dictionary but for its definition, in the order of the columns."""

    relation: str
    n: int
    kind: str
    column_name: str | None
    type: str | None
    unit: str | None
    is_key: int
    is_personal: int
    comment: str


@cache
def entries() -> tuple[Entry, ...]:
    """Return the whole dictionary: views, then read models, then the other tables."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            create_views(connection)
            views = {
                name: [str(found["name"]) for found in inspect(connection).get_columns(name)]
                for name in VIEW_COMMENTS
            }
    finally:
        engine.dispose()
    models = [table.name for table in READ_MODELS]
    rest = sorted(metadata.tables.keys() - set(models))
    return (
        *(entry for name, columns in views.items() for entry in _of_view(name, columns)),
        *(entry for name in (*models, *rest) for entry in _of_table(metadata.tables[name])),
    )


@cache
def relations() -> dict[str, tuple[Entry, tuple[Entry, ...]]]:
    """Return each table and view by name: its own entry, and those of its columns in order."""
    found = {}
    for name, group in groupby(entries(), key=lambda entry: entry.relation):
        own, *columns = group
        found[name] = (own, tuple(columns))
    return found


def readable(*, personal: bool) -> list[str]:
    """Return the names of the tables and views without personal data, or of all."""
    return [name for name, (own, _) in relations().items() if personal or not own.is_personal]


def fill_dictionary(connection: Connection, which: str = LIVE) -> None:
    """Put the dictionary into the empty table of a set, and as comments on its views.

    Tables have their comments since they were made.
    """
    names = [field.name for field in fields(Entry)]
    queries = view_texts(connection.dialect)
    connection.execute(
        insert(table_of(data_dictionary, connection.dialect, which)),
        [
            {
                **dict(zip(names, astuple(entry), strict=True)),
                "definition": None if entry.n else queries.get(entry.relation),
            }
            for entry in entries()
        ],
    )
    schema = schema_of(connection.dialect, which)
    if schema is not None:
        for statement in _comments(schema):
            connection.exec_driver_sql(statement)


def _comments(schema: str) -> Iterator[str]:
    """Yield the statements that comment the views in *schema* on PostgreSQL."""
    for name, (own, columns) in relations().items():
        if own.kind == "view":
            yield f'COMMENT ON VIEW "{schema}"."{name}" IS {_quoted(own.comment)}'
            for entry in columns:
                place = f'"{schema}"."{name}"."{entry.column_name}"'
                yield f"COMMENT ON COLUMN {place} IS {_quoted(entry.comment)}"


def _quoted(words: str) -> str:
    # the driver takes a percent sign for a parameter
    return "'" + words.replace("'", "''").replace("%", "%%") + "'"


# --- what it says -------------------------------------------------------------------------------


def _of_table(table: Table) -> Iterator[Entry]:
    personal = table.name in PERSONAL
    yield Entry(table.name, 0, "table", None, None, None, 0, int(personal), table.comment or "")
    for n, column in enumerate(table.columns, 1):
        yield Entry(
            table.name,
            n,
            "table",
            column.name,
            _type_of(column),
            _unit_of(column.name, _type_of(column)),
            int(column.primary_key),
            int(personal and column.name not in _NOT_PERSONAL),
            column.comment or "",
        )


def _of_view(name: str, columns: list[str]) -> Iterator[Entry]:
    personal = name in PERSONAL
    yield Entry(name, 0, "view", None, None, None, 0, int(personal), VIEW_COMMENTS[name])
    table = metadata.tables.get(name.removeprefix("v_"))
    keys = VIEW_KEYS.get(name, ())
    words = shown_as(name)
    for n, column in enumerate(columns, 1):
        type_, comment = VIEW_COLUMNS.get(f"{name}.{column}") or _shown(name, table, column)
        yield Entry(
            name,
            n,
            "view",
            column,
            type_,
            _unit_of(column, type_, words.get(column)),
            int(column in keys),
            int(personal and column not in _NOT_PERSONAL),
            comment,
        )


VIEW_KEYS: Final = {
    "v_pipeline": ("lead_id",),
    "v_stages": ("lead_id", "n"),
    "v_decided": ("lead_id",),
    "v_touches": ("lead_id", "n"),
    "v_conversions": ("lead_id", "n"),
    "v_credit": ("lead_id", "model", "conversion", "touch"),
    "v_opportunities": ("lead_id", "n"),
    "v_people": ("lead_id",),
    "v_consents": ("lead_id", "n"),
    "v_accounts": ("account",),
    "v_funnel": ("stage",),
    "v_sources": ("channel", "source"),
    "v_channel_matrix": ("channel",),
    "v_handoffs": ("lead_id", "n"),
    "v_clocks": ("lead_id", "cycle"),
    "v_spend": ("fact_source", "fact_id"),
    "v_economics": ("month", "campaign", "currency"),
}
"""Columns that tell the rows of a view apart; what is not here has no key of its own."""


def _shown(view: str, table: Table | None, name: str) -> tuple[str, str]:
    """Return type and meaning of the column that *view* shows as *name*.

    Neither is known where no table has it and ``VIEW_COLUMNS`` does not say: a test tells then.
    """
    words = shown_as(view).get(name)
    for suffix in ("_us", "_minor", "_nano", ""):
        column = None if table is None else table.columns.get(name + suffix)
        if column is None:
            continue
        said = (column.comment or "").removesuffix(_MICROSECONDS)
        if words == "bool":
            said = f"True {said.removeprefix('1 ').removesuffix(', else 0')}"
        return _WORD_TYPES.get(words or "") or _type_of(column), said
    return VIEW_COLUMNS.get(name) or (_WORD_TYPES.get(words or "", "text"), "")


_WORD_TYPES: Final = {
    "at": "timestamp",
    "money": "decimal",
    "nano": "decimal",
    "bool": "boolean",
}


def _type_of(column: Column[Any]) -> str:
    kind = column.type.python_type
    return {str: "text", float: "float"}.get(kind, "integer")


def _unit_of(name: str, type_: str, word: str | None = None) -> str | None:
    if type_ == "timestamp":
        return "UTC"
    if type_ == "decimal":
        return "parts of one" if word == "nano" else "major units of the currency"
    if type_ in ("integer", "float"):
        return next((unit for end, unit in _UNITS if name.endswith(end)), None)
    return None
