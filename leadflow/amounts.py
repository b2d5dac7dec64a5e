"""Amounts of money and points for documents: exact, never by way of a binary fraction."""

from decimal import Decimal

from consumers.money import digits_of
from domain.policy import POINT


def decimal_text(minor: int, currency: str) -> str:
    """Return *minor* units of *currency* as a decimal in major units: 1250 EUR is ``12.50``."""
    digits = digits_of(currency)
    return f"{Decimal(minor).scaleb(-(2 if digits is None else digits)):f}"


def points(micro: int) -> int | float:
    """Return micro-points as points: a JSON number exact to its six decimals."""
    return micro // POINT if micro % POINT == 0 else micro / POINT
