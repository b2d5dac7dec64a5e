"""Two sets of read models side by side: equal digests, or the first rows that differ."""

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from projections.dictionary import PERSONAL
from projections.digest import digests_in, key_of, rows_in
from projections.naming import LIVE, NEW
from projections.rows import READ_MODELS

Cell = int | str | None

DIFFERING_ROWS: Final = 3
"""Rows of one read model that a report shows."""


class Difference(msgspec.Struct, frozen=True):
    """A row that is not the same in both sets."""

    key: dict[str, Cell]
    live: dict[str, Cell] | None
    """The columns that differ, of personal ones the length; None where there is no such row."""
    new: dict[str, Cell] | None


class Compared(NamedTuple):
    """What two sets have in common."""

    live: dict[str, str]
    """Digests."""
    new: dict[str, str]
    rows: dict[str, list[Difference]]
    """The first rows that differ, of each read model that does."""


def compare(live: Connection, new: Connection, names: Collection[str]) -> Compared:
    """Compare the read models of *names* of the live set and the new one.

    Each set as its connection sees it; both may be the same.
    """
    of_live, of_new = digests_in(live, LIVE, names), digests_in(new, NEW)
    rows = {
        name: _first(live, new, name) for name, digest in of_live.items() if of_new[name] != digest
    }
    return Compared(of_live, of_new, rows)


def alike(version: str, other: str) -> list[str]:
    """Return the read models that two sets hold in the same version."""
    both = set(version.split()) & set(other.split())
    names = {module.partition("@")[0] for module in both}
    return [table.name for table in READ_MODELS if table.name in names]


def _first(live: Connection, new: Connection, name: str) -> list[Difference]:
    keys = key_of(name)
    found: list[Difference] = []
    with closing(_rows(live, name, LIVE)) as one, closing(_rows(new, name, NEW)) as other:
        for mine, theirs in _paired(one, other, keys):
            if mine == theirs:
                continue
            row = mine or theirs or {}
            changed = [
                column
                for column in row
                if mine is None or theirs is None or mine[column] != theirs[column]
            ]
            found.append(
                Difference(
                    {key: row[key] for key in keys},
                    _shown(name, mine, changed),
                    _shown(name, theirs, changed),
                )
            )
            if len(found) == DIFFERING_ROWS:
                break
    return found


def _rows(connection: Connection, name: str, which: str) -> Generator[dict[str, Cell]]:
    with closing(rows_in(connection, name, which)) as pages:
        for page in pages:
            yield from page


def _paired(
    one: Iterator[dict[str, Cell]], other: Iterator[dict[str, Cell]], keys: Collection[str]
) -> Iterator[tuple[dict[str, Cell] | None, dict[str, Cell] | None]]:
    """Yield the rows of both, those of the same key together; both come in the order of keys."""

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in keys)

    mine, theirs = next(one, None), next(other, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and key(mine) < key(theirs)):
            yield mine, None
            mine = next(one, None)
        elif mine is None or key(theirs) < key(mine):
            yield None, theirs
            theirs = next(other, None)
        else:
            yield mine, theirs
            mine, theirs = next(one, None), next(other, None)


def _shown(
    name: str, row: Mapping[str, Cell] | None, columns: Collection[str]
) -> dict[str, Cell] | None:
    if row is None:
        return None
    if name not in PERSONAL:
        return {column: row[column] for column in columns}
    return {
        column: None if row[column] is None else f"({len(str(row[column]))} characters)"
        for column in columns
        if column != "lead_id"
    }
