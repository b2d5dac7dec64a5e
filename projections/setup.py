"""Makes the tables and views of the read models."""

from typing import Final

from iso4217 import Currency
from sqlalchemy import Engine, insert, inspect, text
from sqlalchemy.schema import CreateSchema

from projections import conversions, credit, opportunities, people, pipeline, stages, touches
from projections.naming import LIVE, schema_of, tables_of
from projections.schema import checkpoints, currencies, is_postgresql
from projections.writer import SET

_MODULES: Final = (pipeline, stages, touches, conversions, credit, opportunities, people)

VERSION: Final = " ".join(f"{module.NAME}@{module.VERSION}" for module in _MODULES)
"""Versions of the read models: rows of other ones are of no use."""


def create(engine: Engine, which: str = LIVE) -> None:
    """Create the tables and views of a set where they are missing, in one transaction."""
    schema = schema_of(engine.dialect, which)
    tables = tables_of(engine.dialect, which)
    with engine.begin() as connection:
        if schema is not None:
            # two processes may start at once; "if not exists" alone does not hold then
            connection.execute(text("SELECT pg_advisory_xact_lock(7301145118)"))
            connection.execute(CreateSchema(schema, if_not_exists=True))
        name = checkpoints.name if is_postgresql(engine.dialect) else checkpoints.name + which
        if inspect(connection).has_table(name, schema=schema):
            return
        tables.create_all(connection)
        by_name = {table.name: table for table in tables.sorted_tables}
        suffix = "" if is_postgresql(engine.dialect) else which
        connection.execute(
            insert(by_name[currencies.name + suffix]),
            [
                {"currency": c.code, "exponent": c.exponent, "unit": 10**c.exponent}
                for c in Currency
                if c.exponent is not None
            ],
        )
        connection.execute(
            insert(by_name[checkpoints.name + suffix]),
            [{"name": SET, "position": 0, "version": VERSION, "next_lead_no": 1}],
        )
