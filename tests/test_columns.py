"""Columns hold every row of a query, in its order."""

import numpy as np
import pytest
from sqlalchemy import Engine, insert, select

from projections.columns import MISSING, read
from projections.schema import currencies
from projections.stages import stages
from tests.projections_kit import read_model_database


@pytest.fixture
def engine() -> Engine:
    return read_model_database()


def test_text_becomes_codes_in_the_order_in_which_it_is_met(engine: Engine) -> None:
    query = select(currencies.c.currency, currencies.c.exponent).order_by(currencies.c.exponent)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
        found = read(connection, query, {"currency"})

    told = found.coded["currency"]
    assert [row[0] for row in rows] == [told.values[code] for code in told.codes]
    assert [row[1] for row in rows] == found["exponent"].tolist()
    assert len(rows) == found.rows
    assert -1 == told.code_of("never")


@pytest.mark.parametrize("options", [{}, {"stream_results": True}, {"yield_per": 3}])
def test_no_row_is_lost_whatever_the_connection_is_used_for(
    engine: Engine, options: dict[str, object]
) -> None:
    query = select(currencies.c.exponent)
    with engine.connect().execution_options(**options) as connection:
        many = len(connection.execute(query).all())

        assert many == read(connection, query, set()).rows


def test_a_query_may_have_values(engine: Engine) -> None:
    query = select(currencies.c.currency).where(
        currencies.c.exponent == 3, currencies.c.currency.in_(["BHD", "KWD", "EUR"])
    )
    with engine.connect() as connection:
        found = read(connection, query, {"currency"})

    assert {"BHD", "KWD"} == set(found.coded["currency"].values)


def test_null_is_a_value_of_text_and_missing_in_numbers(engine: Engine) -> None:
    row = {column.name: 1 if column.type.python_type is int else "x" for column in stages.columns}
    with engine.begin() as connection:
        connection.execute(insert(stages), [{**row, "previous": None, "exited_at_us": None}])
        query = select(stages.c.previous, stages.c.exited_at_us)
        found = read(connection, query, {"previous"})

    assert [None] == found.coded["previous"].values
    assert [MISSING] == found["exited_at_us"].tolist()


def test_no_rows_are_empty_columns(engine: Engine) -> None:
    with engine.connect() as connection:
        found = read(connection, select(stages.c.stage, stages.c.n), {"stage"})

    assert (0, [], 0) == (found.rows, found.coded["stage"].values, len(found["n"]))
    assert found["n"].dtype == np.int64
