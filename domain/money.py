"""Money in whole minor units: to divide it without losing or making any."""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm


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
