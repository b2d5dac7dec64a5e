"""Money on the wire: from a string of major units, or an integer, to minor units."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from iso4217 import Currency

from consumers.malformed import INVALID_DATA, Malformed
from domain.money import WITHDRAWN

LARGEST: Final = 2**63 - 1
"""Minor units; a database's integer holds no more."""

_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,19})(?:\.([0-9]{1,4}))?")


@cache
def _digits() -> Mapping[str, int]:
    """Return the digits after the point of every currency that has a minor unit or none."""
    current = {c.code: c.exponent for c in Currency if c.exponent is not None}
    return MappingProxyType({**WITHDRAWN, **current})


def digits_of(currency: str) -> int | None:
    """Return how many digits *currency* has after the point: 2 for EUR; None if there is no such.

    Precious metals, units of account and test codes (XAU, XDR, XTS) are no money to be paid in.
    """
    return _digits().get(currency)


def check_currency(currency: Any, field: str = "data.currency") -> str:
    """Return *currency* if it is an ISO 4217 code, else raise Malformed."""
    if isinstance(currency, str) and currency in _digits():
        return currency
    mend = 'send three capital letters such as "EUR"'
    if isinstance(currency, str) and currency.strip().upper() in _digits():
        mend = f'send "{currency.strip().upper()}"'
    raise Malformed(
        INVALID_DATA, field, "is no currency of ISO 4217 that is paid in", mend, currency
    )


def minor_units(
    amount: Any, currency: str, *, below_zero: bool = False, field: str = "data.amount"
) -> int:
    """Return *amount* in minor units of *currency*, which must be known to ``digits_of``.

    A string is a decimal in major units with at most the currency's digits after the point, an
    integer counts minor units. Raises Malformed for anything else: a JSON number with a fraction,
    an exponent, a group separator, an amount below zero where *below_zero* is false, and what
    does not fit 64 bits.
    """
    if isinstance(amount, str):
        match = _DECIMAL.fullmatch(amount)
        if match is None:
            raise Malformed(
                INVALID_DATA,
                field,
                "is not a plain decimal",
                'send digits with at most one point, such as "1250.00"',
                amount,
            )
        sign, whole, fraction = match[1], match[2], match[3] or ""
        digits = _digits()[currency]
        if len(fraction) > digits:
            raise Malformed(
                INVALID_DATA,
                field,
                f"has {len(fraction)} digits after the point, {currency} has {digits}",
                "round it where the price is made, and send what was agreed",
                amount,
            )
        minor = int(whole + fraction.ljust(digits, "0"))
        if sign:
            minor = -minor
    elif isinstance(amount, int) and not isinstance(amount, bool):
        minor = amount
    else:
        problem = "is neither a string nor an integer"
        if isinstance(amount, float):
            problem = "is a JSON number with a fraction, which no computer keeps exactly"
        raise Malformed(
            INVALID_DATA,
            field,
            problem,
            'send major units as a string ("12.50") or minor units as an integer (1250)',
            amount,
        )
    if minor < 0 and not below_zero:
        raise Malformed(
            INVALID_DATA, field, "is below zero", "send zero or more, or leave it out", amount
        )
    if not -LARGEST <= minor <= LARGEST:
        raise Malformed(
            INVALID_DATA, field, "is more than 64 bits of minor units hold", "check it", amount
        )
    return minor
