"""What each touch earns of each conversion, under five models.

One row holds all models: they are asked about the same journey. Credit counts parts of 10^9 per
conversion, money minor units; both are divided by largest remainder (``domain.attribution``), so
that they sum to the conversion and to its amount exactly.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, and_, func, select

from domain.attribution import HALF_LIFE, MODELS, NANO, Attribution
from domain.decay import half_life_weight
from domain.journey import COLLAPSE_GAP, LOOKBACK, Journey, Touch
from domain.money import split
from projections.answers import Answer
from projections.conversions import conversions
from projections.schema import key, keys, number, read_model
from projections.sums import halves, whole
from projections.touches import touches

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


class Shares:
    """How one journey divides whatever it leads to, under each of the stored models.

    *run_at* and *run_n* are instants and numbers of the lead's touches after collapsing, of which
    those from *start* to before *end* are the journey.
    """

    __slots__ = ("_decay", "_nano", "_numbers")

    def __init__(self, run_at: Sequence[int], run_n: Sequence[int], start: int, end: int) -> None:
        count = end - start
        self._numbers = tuple(run_n[start:end]) or (0,)
        self._decay: list[int] = []
        self._nano: tuple[tuple[int, ...], ...] = (_ALL,)
        if count > 1:
            latest = run_at[end - 1]
            self._decay = [
                half_life_weight(latest - run_at[i], HALF_LIFE) for i in range(start, end)
            ]
            self._nano = tuple(zip(*_even_parts(count), split(NANO, self._decay), strict=True))

    def rows(self, lead_no: int, conversion: int, amount: int | None) -> list[Row]:
        """Return the rows of a conversion worth *amount* minor units; None is unknown."""
        if amount is None:
            return [
                (lead_no, conversion, touch, *parts, *_NOTHING)
                for touch, parts in zip(self._numbers, self._nano, strict=True)
            ]
        if not self._decay:
            whole = (amount,) * len(STORED)
            return [(lead_no, conversion, self._numbers[0], *_ALL, *whole)]
        money = zip(
            *[split(amount, weights) for weights in _even_weights(len(self._decay))],
            split(amount, self._decay),
            strict=True,
        )
        return [
            (lead_no, conversion, touch, *parts, *units)
            for touch, parts, units in zip(self._numbers, self._nano, money, strict=True)
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


# --- the question `attribution` answers ---

BY: Final = ("channel", "source", "medium", "campaign", "content", "term")
"""What credit can be grouped by."""


def attribution(
    connection: Connection,
    model: str,
    by: str = "channel",
    conversion: str = "won",
    lookback: int | None = LOOKBACK,
    collapse_gap: int | None = COLLAPSE_GAP,
) -> Answer:
    """Return what each value of *by* earned of all conversions of one kind.

    *lookback* and *collapse_gap* are microseconds, as in ``domain.journey``. Raises ValueError for
    an unknown name. `projections.attribution` asks for more.
    """
    # Whoever keeps the read models needs none of what the questions compute with.
    from projections.attribution import Scope
    from projections.attribution import attribution as asked

    return asked(connection, model, Scope(conversion, by, lookback, collapse_gap))


def stored(connection: Connection, model: str, by: str, conversion: str) -> Attribution:
    """Return the attribution that the read model ``credit`` holds, added up by the database."""
    column = touches.c[by]
    touched = touches.c.lead_no.is_not(None)
    nano, minor = credit.c[f"{model}_nano"], credit.c[f"{model}_minor"]
    query = (
        select(
            touched,
            column,
            conversions.c.currency,
            func.sum(nano),
            *halves(minor),
        )
        .select_from(credit)
        .join(
            conversions,
            and_(conversions.c.lead_no == credit.c.lead_no, conversions.c.n == credit.c.n),
        )
        .outerjoin(
            touches, and_(touches.c.lead_no == credit.c.lead_no, touches.c.n == credit.c.touch)
        )
        .where(conversions.c.kind == conversion)
        .group_by(touched, column, conversions.c.currency)
    )
    result = Attribution()
    parts = 0
    for has_touch, value, currency, earned, *worth in connection.execute(query):
        units = whole(*worth)
        parts += int(earned)
        if not has_touch:
            result.unattributed += int(earned) // NANO
        elif earned:
            result.credit[value] = result.credit.get(value, 0) + int(earned)
        if units:
            of = result.amounts.setdefault(value, {}) if has_touch else result.unattributed_amounts
            of[currency] = of.get(currency, 0) + units
    result.conversions = parts // NANO
    return result
