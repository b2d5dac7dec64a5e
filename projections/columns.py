"""Columns of a query as numpy arrays, for questions that look at every row.

Text becomes codes: whole numbers that stand for values, in the order in which they were first
met. Instants and amounts are 64-bit integers, as they are stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select

from projections.schema import is_postgresql

Integers = NDArray[np.int64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]

CHUNK: Final = 50_000
"""Rows that are in memory as Python objects at a time."""

MISSING: Final = np.iinfo(np.int64).min
"""What stands for null in a column of whole numbers."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of text: ``values[codes[i]]`` is what row *i* holds; None is a value like others."""

    codes: Codes
    values: list[str | None]

    def code_of(self, value: str | None) -> int:
        """Return the code of *value*; -1 where no row holds it."""
        return self.values.index(value) if value in self.values else -1


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a query, all of one length."""

    integers: Mapping[str, Integers]
    coded: Mapping[str, Coded]
    rows: int

    def __getitem__(self, name: str) -> Integers:
        """Return a column of whole numbers; nulls are `MISSING`."""
        return self.integers[name]


def read(connection: Connection, query: Select[Any], text: frozenset[str] | set[str]) -> Columns:
    """Return the rows of *query* by column; those named in *text* hold text, others integers."""
    names = [column.key for column in query.selected_columns]
    integers: dict[str, list[Integers]] = {str(n): [] for n in names if n not in text}
    codes: dict[str, list[Codes]] = {str(n): [] for n in names if n in text}
    known: dict[str, _Numbers] = {name: _Numbers() for name in codes}
    rows = 0
    for page in _pages(connection, query):
        rows += len(page)
        for name, column in zip(names, zip(*page, strict=True), strict=True):
            if name in codes:
                found = map(known[str(name)].__getitem__, column)
                codes[str(name)].append(np.fromiter(found, np.int32, len(column)))
            else:
                integers[str(name)].append(_integers(column))
    return Columns(
        {name: _joined(parts, np.int64) for name, parts in integers.items()},
        {name: Coded(_joined(parts, np.int32), list(known[name])) for name, parts in codes.items()},
        rows,
    )


def _pages(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows in pages."""
    if is_postgresql(connection.dialect):
        yield from connection.execute(query.execution_options(yield_per=CHUNK)).partitions()
        return
    # SQLite's own cursor is read as it goes; what is stored needs no conversion, and plain tuples
    # come in two thirds of the time
    compiled = query.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    values = compiled.construct_params()
    places: Sequence[str] = getattr(compiled, "positiontup", None) or ()
    driver: Any = connection.connection.driver_connection
    cursor = driver.execute(str(compiled), [values[name] for name in places])
    while page := cursor.fetchmany(CHUNK):
        yield page


class _Numbers(dict[str | None, int]):
    """Numbers values in the order in which they are first asked for."""

    def __missing__(self, value: str | None) -> int:
        number = self[value] = len(self)
        return number


def _integers(column: tuple[Any, ...]) -> Integers:
    if None in column:
        column = tuple([MISSING if value is None else value for value in column])
    return np.array(column, np.int64)


def _joined(parts: list[NDArray[Any]], kind: type[Any]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
