"""Money in whole minor units: to divide it without losing or making any."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import Final

WITHDRAWN: Final[Mapping[str, int]] = {
    **dict.fromkeys(("ITL", "ESP", "PTE", "LUF", "BEF", "GRD", "BYR", "ROL", "TRL", "MGF"), 0),
    **dict.fromkeys(("ATS", "DEM", "FIM", "FRF", "IEP", "NLG", "CYP", "MTL", "SIT", "SKK"), 2),
    **dict.fromkeys(("EEK", "LVL", "LTL", "HRK", "BGN", "ANG", "CUC", "SLL", "ZMK", "ZWL"), 2),
    **dict.fromkeys(("AZM", "CSD", "GHC", "MRO", "MZM", "SDD", "SRG", "STD", "TMM", "VEB"), 2),
    **dict.fromkeys(("AFA", "AOR", "MXV", "VEF", "ZWD", "YUM"), 2),
}
"""Currencies withdrawn since 2000 (ISO 4217, list three) and their digits after the point.

Deals of those years have such amounts; the packages of codes know the present ones alone.
"""


def split(amount: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Divide *amount* in proportion to *weights* by largest remainder.

    The parts are in the unit of *amount* and sum to it exactly. Each is its exact share
    rounded down or up (towards or away from zero, for a negative amount: a refund is divided
    like the sale); the units that rounding down leaves go to the largest remainders, and
    among equal ones to the earlier item.

    Raises ValueError when a weight is negative or none is above zero.
    """
    whole = _integers(weights)
    total = sum(whole)
    if total <= 0 or min(whole) < 0:
        raise ValueError(f"weights must not be negative and not all zero: {list(weights)[:10]}")
    size = abs(amount)
    parts: list[int] = []
    remainders: list[int] = []
    for weight in whole:
        part, remainder = divmod(size * weight, total)
        parts.append(part)
        remainders.append(remainder)
    left = size - sum(parts)
    if left:
        # the sort is stable and reverse keeps it so: equal remainders stay in their order
        order = sorted(range(len(parts)), key=remainders.__getitem__, reverse=True)
        for i in order[:left]:
            parts[i] += 1
    return parts if amount >= 0 else [-part for part in parts]


def _integers(weights: Sequence[int | Fraction]) -> Sequence[int]:
    """Return weights in the same proportion without fractions."""
    if set(map(type, weights)) == {int}:
        return weights  # type: ignore[return-value]  # the line above has seen to it
    common = lcm(*(weight.denominator for weight in weights))
    return [weight.numerator * (common // weight.denominator) for weight in weights]
