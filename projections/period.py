"""The period of a question: what lies at an instant or later, and before another.

Either end may be left open.
"""

from typing import Any

import numpy as np
from sqlalchemy import ColumnElement

from projections.columns import Flags, Integers


def between(
    column: ColumnElement[Any], since: Any | None, until: Any | None
) -> list[ColumnElement[bool]]:
    """Return the conditions that *column* is *since* or later, and before *until*.

    Both ends are of the column's own unit. A null lies in no period but the one without ends.
    """
    conditions = [] if since is None else [column >= since]
    return conditions if until is None else [*conditions, column < until]


def rows_between(at: Integers, since: int | None, until: int | None) -> Flags:
    """Return which of *at* are *since* or later, and before *until*; all of one unit."""
    inside = np.ones(len(at), np.bool_)
    if since is not None:
        inside &= at >= since
    if until is not None:
        inside &= at < until
    return inside
