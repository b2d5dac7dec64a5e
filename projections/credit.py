"""What each touch earns of each conversion, under five models.

One row holds all models: they are asked about the same journey. Credit counts parts of 10^9 per
conversion, money minor units; both are divided by largest remainder (``domain.attribution``), so
that they sum to the conversion and to its amount exactly.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from domain.attribution import HALF_LIFE, MODELS, NANO
from domain.decay import half_life_weight
from domain.journey import LOOKBACK, Journey, Touch
from domain.money import split
from projections.schema import key, keys, number, read_model

NAME: Final = "credit"
VERSION: Final = 1

STORED: Final = ("first", "last", "linear", "u_first_last", "time_decay")
"""The models whose credit is kept, with their defaults; others are computed when asked for."""

credit = read_model(
    NAME,
    "What each touch earns of each conversion (lookback 90 days, runs of 30 minutes made one)",
    *keys(and_n="Number of the conversion of the lead; see conversions"),
    key("touch", "Number of the touch of the lead, see touches; 0: there was none"),
    *[number(f"{name}_nano", f"Credit of {name}, parts of 10^9") for name in STORED],
    *[
        number(f"{name}_minor", f"Amount credited by {name}, minor units", null=True)
        for name in STORED
    ],
)

Row = tuple[int | None, ...]

_NOTHING: Final = (None,) * len(STORED)
_ALL: Final = (NANO,) * len(STORED)


def journey_range(run_at: Sequence[int], at: int) -> tuple[int, int]:
    """Return the slice of collapsed touches (their instants in *run_at*) that leads to *at*."""
    end = bisect_right(run_at, at)
    return bisect_right(run_at, at - LOOKBACK, 0, end), end


def credit_rows(
    lead_no: int,
    conversion: int,
    at: int,
    amount: int | None,
    run_at: Sequence[int],
    run_n: Sequence[int],
) -> list[Row]:
    """Return the rows of one conversion at the instant *at*.

    *run_at* and *run_n* are instants and numbers of the lead's touches after collapsing; *amount*
    is minor units or None.
    """
    start, end = journey_range(run_at, at)
    count = end - start
    if count < 2:
        whole = _NOTHING if amount is None else (amount,) * len(STORED)
        touch = run_n[start] if count else 0
        return [(lead_no, conversion, touch, *_ALL, *whole)]
    latest = run_at[end - 1]
    decay = [half_life_weight(latest - run_at[i], HALF_LIFE) for i in range(start, end)]
    nano = zip(*_even_parts(count), split(NANO, decay), strict=True)
    numbers = run_n[start:end]
    if amount is None:
        return [
            (lead_no, conversion, touch, *parts, *_NOTHING)
            for touch, parts in zip(numbers, nano, strict=True)
        ]
    money = zip(
        *[split(amount, weights) for weights in _even_weights(count)],
        split(amount, decay),
        strict=True,
    )
    return [
        (lead_no, conversion, touch, *parts, *units)
        for touch, parts, units in zip(numbers, nano, money, strict=True)
    ]


@lru_cache(256)
def _even_weights(count: int) -> tuple[tuple[int, ...], ...]:
    """Return the weights of the models that look at places, not times."""
    journey = Journey((Touch(0, ""),) * count, 0)
    return tuple(tuple(MODELS[name](journey)) for name in STORED[:-1])


@lru_cache(256)
def _even_parts(count: int) -> tuple[tuple[int, ...], ...]:
    """Return what these models make of one conversion."""
    return tuple(tuple(split(NANO, weights)) for weights in _even_weights(count))
