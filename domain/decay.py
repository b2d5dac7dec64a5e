"""Decay in integers and fractions: the same weight on every machine, to the last bit.

Points halve, fall by steps, count for a while, or wait for the lead to go quiet. Of halving the
power is what is hard: the platform's `exp2` differs between C libraries in the last place, and a score or a
credit that hangs on it could not be reproduced; so the power is made of integers alone.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

MONTH: Final = 30 * 86_400_000_000
"""Microseconds in a month of a linear decay: 30 days, so that every month is as long as the next."""

ONE = 1 << 64
"""The weight of something that has just happened: weights are counted in parts of it."""

# Working precision. Its errors stay below 2**-120, so the 64 bits of the result are rounded
# rightly unless the true value lies within 2**-56 of a part of a tie.
_BITS = 128
_UNIT = 1 << _BITS
_LN2 = 0xB17217F7D1CF79ABC9E3B39803F2F6AF  # ln 2 in parts of 2**128
_CHUNK = 8  # bits of the exponent that one table looks up
_HIGH_SHIFT = _BITS - _CHUNK
_LOW_SHIFT = _BITS - 2 * _CHUNK


def _power(exponent: int, terms: int) -> int:
    """Return 2**-x in parts of 2**128, x = exponent / 2**128 below 1.

    Horner's scheme for the series of exp(-x ln 2), cut after *terms*.
    """
    y = exponent * _LN2 >> _BITS
    power = _UNIT
    for n in range(terms, 0, -1):
        power = _UNIT - (y * power >> _BITS) // n
    return power


_HIGH = tuple(_power(i << _HIGH_SHIFT, 34) for i in range(1 << _CHUNK))
_LOW = tuple(_power(i << _LOW_SHIFT, 16) for i in range(1 << _CHUNK))
_CHUNK_MASK = (1 << _CHUNK) - 1
_REST_MASK = (1 << _LOW_SHIFT) - 1


def half_life_weight(elapsed_us: int, half_life_us: int) -> int:
    """Return 2**(-elapsed / half-life) in parts of `ONE` (2**64), rounded half to even.

    Both times are in microseconds. Whole half-lives up to the 64th are exact, any other
    weight lies within one part of the true value; after 65 half-lives nothing is left.

    Raises ValueError for a negative elapsed time or a half-life that is not positive.
    """
    if elapsed_us < 0 or half_life_us <= 0:
        message = f"elapsed must be >= 0 and half-life > 0, not {elapsed_us} and {half_life_us}"
        raise ValueError(message)
    halvings, rest = divmod(elapsed_us, half_life_us)
    if halvings > 64:
        return 0
    if not rest:
        return _round_shift(ONE, halvings)
    # 2**-x = 2**-(first 8 bits of x) * 2**-(next 8 bits) * 2**-(what is left, below 2**-16),
    # and of so small a rest seven terms of the series reach 2**-128
    x = (rest << _BITS) // half_life_us
    head = _HIGH[x >> _HIGH_SHIFT] * _LOW[x >> _LOW_SHIFT & _CHUNK_MASK] >> _BITS
    return _round_shift(head * _power(x & _REST_MASK, 7), 2 * _BITS - 64 + halvings)


def decay(amount: int, elapsed_us: int, half_life_us: int) -> int:
    """Return what is left of *amount* after *elapsed_us*, rounded half to even.

    The result has the unit of *amount* (micro-points, minor units) and its sign; times are
    in microseconds.

    Raises ValueError as `half_life_weight` does.
    """
    if elapsed_us < 0 or half_life_us <= 0 or abs(amount) >> 32:
        return _round_shift(amount * half_life_weight(elapsed_us, half_life_us), 64)
    halvings, rest = divmod(elapsed_us, half_life_us)
    if halvings > 33:
        return 0
    left = abs(amount) * near_weight(rest, half_life_us) >> 32 + halvings
    if -DOUBT <= (left & _FRACTION) - _HALF <= DOUBT:
        return _round_shift(amount * half_life_weight(elapsed_us, half_life_us), 64)
    whole = left + _HALF >> 32
    return whole if amount >= 0 else -whole


DOUBT: Final = 64
"""Parts of 2**32 around a tie in which an amount below 2**32 by `near_weight` may be misrounded.

Sixteen would do: eight parts of 2**64 times 2**32; a second factor, as good, doubles that.
"""

_HALF = 1 << 31
_FRACTION = (1 << 32) - 1
_NEAR_HIGH = tuple(power >> 64 for power in _HIGH)
_NEAR_LOW = tuple(power >> 64 for power in _LOW)
_NEAR_LAST = tuple(_power(i << _BITS - 3 * _CHUNK, 12) >> 64 for i in range(1 << _CHUNK))
_NEAR_LN2 = _LN2 >> 64
_NEAR_REST = (1 << 40) - 1


def near_weight(rest_us: int, half_life_us: int) -> int:
    """Return 2**(-rest / half-life) in parts of `ONE`, less than eight parts off, in less time.

    Both times are in microseconds, the rest is shorter than the half-life. Where eight parts
    cannot change the rounding of a product, it is that of the exact weight.
    """
    x = (rest_us << 64) // half_life_us
    head = _NEAR_HIGH[x >> 56] * _NEAR_LOW[x >> 48 & _CHUNK_MASK] >> 64
    head = head * _NEAR_LAST[x >> 40 & _CHUNK_MASK] >> 64
    y = (x & _NEAR_REST) * _NEAR_LN2 >> 64  # below 2**-24: the cube is beyond 2**-72
    return head * (ONE - y + (y * y >> 65)) >> 64


def divide(numerator: int, denominator: int) -> int:
    """Return the quotient rounded half to even; *denominator* is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def _round_shift(value: int, bits: int) -> int:
    """Return value / 2**bits, rounded half to even."""
    whole = value >> bits
    twice = (value - (whole << bits)) << 1
    unit = 1 << bits
    return whole + 1 if twice > unit or (twice == unit and whole & 1) else whole


# --- the ways in which points fade ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Linear:
    """So many percent of the points are lost with every month of 30 days that is over."""

    percent_a_month: int

    def left(self, elapsed_us: int) -> Fraction:
        """Return the share that is left after *elapsed_us* microseconds."""
        return Fraction(max(0, 100 - self.percent_a_month * (elapsed_us // MONTH)), 100)


@dataclass(frozen=True, slots=True)
class Window:
    """Everything counts for so long, the last microsecond included, and then nothing."""

    time: int

    def left(self, elapsed_us: int) -> Fraction:
        """Return the share that is left after *elapsed_us* microseconds."""
        return Fraction(1 if elapsed_us <= self.time else 0)


@dataclass(frozen=True, slots=True)
class Inactivity:
    """The points wait for the lead: they fall only while it does nothing.

    What elapses is the time since the lead's last act under any rule of engagement, not since the
    act that earned the points. From ``floor_after`` microseconds on ``floor_percent`` are left,
    from ``zero_after`` on nothing.
    """

    floor_after: int
    floor_percent: int
    zero_after: int

    def left(self, elapsed_us: int) -> Fraction:
        """Return the share that is left after *elapsed_us* microseconds without an act."""
        if elapsed_us >= self.zero_after:
            return Fraction(0)
        return Fraction(self.floor_percent if elapsed_us >= self.floor_after else 100, 100)


@dataclass(frozen=True, slots=True)
class Lasting:
    """The points never fade."""

    def left(self, elapsed_us: int) -> Fraction:  # noqa: ARG002 - asked as the others are
        """Return all of them, however long it was ago."""
        return Fraction(1)


Fading = Linear | Window | Inactivity | Lasting
"""How points fade that do not halve."""
