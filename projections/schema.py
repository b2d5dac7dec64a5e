"""What the tables of all read models have in common.

Instants are whole microseconds since 1970-01-01 UTC in columns named ``*_us``, money whole minor
units beside its currency: nothing is a float. The views (``projections.views``) show instants and
decimals to people. On PostgreSQL everything lies in the schema ``leadflow_bi``; SQLite has none.

A lead has two names. ``lead_id`` is the one that the world knows; it changes once, when an
anonymous visitor becomes known, and when two leads turn out to be one person. ``lead_no`` is the
short number by which the tables join, so that a new id changes one row; it means nothing outside
one set of read models and is part of no digest.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Dialect, Engine, Integer, MetaData, Table, Text

SCHEMA: Final = "leadflow_bi"
"""The schema on PostgreSQL."""

BIG: Final = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits on both databases; SQLite's own word makes a lone primary key the row's number."""

metadata = MetaData()


def read_models(engine: Engine, schema: str = SCHEMA) -> Engine:
    """Return *engine* so that queries of the read models find their tables.

    *schema* is the one on PostgreSQL; on SQLite it does not matter.
    """
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(schema_translate_map={None: schema})


def keys(*, and_n: str | None = None, leadless: bool = False) -> list[Column[Any]]:
    """Return the key columns of a table: the lead, and *and_n* says what a number counts.

    *leadless*: the rows belong to no lead, but their streams are numbered as those of leads are.
    """
    of = "streams that hold it" if leadless else "lead; see pipeline"
    lead = key("lead_no", f"Number of the {of}")
    return [lead] if and_n is None else [lead, key("n", and_n)]


def key(name: str, comment: str) -> Column[Any]:
    """Return a column of whole numbers that is part of the key."""
    return Column(name, BIG, primary_key=True, autoincrement=False, comment=comment)


def text(name: str, comment: str, *, null: bool = True) -> Column[Any]:
    """Return a column of text."""
    return Column(name, Text, nullable=null, comment=comment)


def number(name: str, comment: str, *, null: bool = False) -> Column[Any]:
    """Return a column of whole numbers."""
    return Column(name, BIG, nullable=null, comment=comment)


def instant(name: str, comment: str, *, null: bool = False) -> Column[Any]:
    """Return a column of instants; *name* ends in ``_us``."""
    return Column(name, BIG, nullable=null, comment=f"{comment} (microseconds UTC)")


def read_model(name: str, comment: str, *columns: Column[Any], leadless: bool = False) -> Table:
    """Declare the table of a read model.

    On SQLite a table with a compound key is kept in the order of the key. *leadless*: its rows
    belong to no lead; they are told apart by the fact that they come from.
    """
    compound = sum(column.primary_key for column in columns) > 1
    return Table(
        name,
        metadata,
        *columns,
        comment=comment,
        sqlite_with_rowid=not compound,
        info={"leadless": leadless},
    )


lead_streams = Table(
    "lead_streams",
    metadata,
    Column("stream", Text, primary_key=True, comment="Stream of the event store"),
    Column("lead_no", BIG, nullable=False, comment="Number of the lead; see pipeline"),
    comment="Which streams are whose: a lead that was merged has several",
    sqlite_with_rowid=False,
)

lead_parts = Table(
    "lead_parts",
    metadata,
    key("lead_no", "Number of the lead; see pipeline"),
    Column("stream", Text, primary_key=True, comment="Stream of the event store"),
    comment="The streams of the leads that have more than one",
    sqlite_with_rowid=False,
)

lead_siblings = Table(
    "lead_siblings",
    metadata,
    key("lead_no", "Number of the lead whose number the streams have"),
    key("sibling", "Number of another lead that was told apart from it"),
    comment="Leads that share streams: people told apart although something joins them",
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("name", Text, primary_key=True, comment="Name of the set of read models"),
    Column("position", BIG, nullable=False, comment="Last position of the log that is in the rows"),
    Column("version", Text, nullable=False, comment="Version of the read models that made them"),
    Column(
        "next_lead_no", BIG, nullable=False, comment="Number that the next unknown lead will get"
    ),
    Column("build", Text, nullable=False, comment="What filled the set: its numbers are its own"),
    Column(
        "policy", Text, nullable=False, comment="Version of the policy before the first published"
    ),
    comment="How far the read models have come",
)

currencies = Table(
    "currencies",
    metadata,
    Column("currency", Text, primary_key=True, comment="ISO 4217 code"),
    Column("exponent", Integer, nullable=False, comment="Decimals of the minor unit: EUR 2, JPY 0"),
    Column("unit", BIG, nullable=False, comment="Minor units in one major unit: EUR 100, JPY 1"),
    comment="Currencies, to write minor units as decimals",
)

stage_order = Table(
    "stage_order",
    metadata,
    Column("stage", Text, primary_key=True, comment="Stage code"),
    Column("n", Integer, nullable=False, comment="Place in machine order, from 1"),
    Column("rank", Integer, comment="Place on the way to a deal; null off the way"),
    Column("is_path", Integer, nullable=False, comment="1 for the stages of the way itself"),
    comment="The stages, to sort by and to see what a skip reached",
)


def is_postgresql(dialect: Dialect) -> bool:
    """Return whether the database is PostgreSQL."""
    return dialect.name == "postgresql"
