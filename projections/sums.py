"""Sums of money that no database can overflow.

SQLite ends a query whose sum leaves 64 bits, and one absurd amount is enough for that. So the
upper and lower halves of the amounts are summed apart, and put together here.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, func

_HALF: Final = 2**32


def halves(units: ColumnElement[int]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return two columns of a grouped query; `whole` of their values is the sum of *units*."""
    # both databases cut quotients towards zero, and give remainders the sign of the dividend
    return func.sum(units // _HALF), func.sum(units % _HALF)


def whole(upper: Any, lower: Any) -> int | None:
    """Return the sum that the two halves are of; None where there was nothing to sum."""
    return None if upper is None else int(upper) * _HALF + int(lower)
