"""Journeys built one by one with the domain, the reference for the columns; and columns of such."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import numpy as np
from sqlalchemy import Connection, select

from domain.attribution import Conversion, by_channel
from domain.journey import Journey, Touch, collapse, cut
from projections.columns import MISSING
from projections.conversions import conversions
from projections.journeys import LARGE, Journeys, offsets_of
from projections.touches import touches


def journeys(
    connection: Connection, conversion: str, lookback: int | None, gap: int | None
) -> Iterator[Conversion]:
    """Yield the conversions of a kind with their journeys, computed from all touches."""
    query = (
        select(
            conversions.c.lead_no,
            conversions.c.n,
            conversions.c.at_us,
            conversions.c.amount_minor,
            conversions.c.currency,
        )
        .where(conversions.c.kind == conversion)
        .order_by(conversions.c.lead_no, conversions.c.n)
    )
    converted = connection.execute(query).all()
    if not converted:
        return
    touched = _touches(connection, conversion)
    next_lead, found = next(touched, (None, []))
    for lead_no, rows in groupby(converted, key=lambda row: row[0]):
        collapsed: list[Touch] = []
        if next_lead == lead_no:
            collapsed = collapse(found, gap)
            next_lead, found = next(touched, (None, []))
        for _, _, at, amount, currency in rows:
            yield Conversion(Journey(cut(collapsed, at, lookback), at), amount, currency)


def _touches(connection: Connection, conversion: str) -> Iterator[tuple[int | None, list[Touch]]]:
    """Yield the touches of each lead that has such a conversion, by number of the lead."""
    of = touches.c
    query = (
        select(
            of.lead_no,
            of.n,
            of.at_us,
            of.channel,
            of.source,
            of.medium,
            of.campaign,
            of.content,
            of.term,
        )
        .where(
            of.lead_no.in_(select(conversions.c.lead_no).where(conversions.c.kind == conversion))
        )
        .order_by(of.lead_no, of.n)
    )
    rows = connection.execute(query.execution_options(yield_per=10_000))
    for lead_no, group in groupby(rows, key=lambda row: row[0]):
        # the number of a touch is its place in canonical order
        yield lead_no, [Touch(*row[2:], sequence=row[1]) for row in group]


class Builder:
    """Takes journeys one by one and makes columns of them."""

    def __init__(self) -> None:
        self._lengths: list[int] = []
        self._at: list[int] = []
        self._codes: list[int] = []
        self._channels: list[int] = []
        self._rows: list[tuple[bool, int, int, int, int, int, int, int, int]] = []
        self._values: dict[str | None, int] = {}
        self._names: dict[str, int] = {}
        self._currencies: dict[str, int] = {}
        self._large: dict[int, int] = {}

    def add(
        self,
        conversion: Conversion,
        unit: int,
        *,
        converted: bool = True,
        key: Callable[[Touch], str | None] = by_channel,
    ) -> None:
        """Add a journey of *unit*, of whose touches *key* is credited."""
        journey, amount, currency, count = conversion
        if amount is not None and currency is None:
            raise ValueError(f"amount {amount} has no currency")
        values, names = self._values, self._names
        self._lengths.append(len(journey.touches))
        for touch in journey.touches:
            self._at.append(touch.at)
            self._codes.append(values.setdefault(key(touch), len(values)))
            self._channels.append(names.setdefault(touch.channel, len(names)))
        if amount is not None and abs(amount) >= LARGE:
            self._large[len(self._rows)] = amount
            amount = None
        currencies = self._currencies
        code = -1 if currency is None else currencies.setdefault(currency, len(currencies))
        moments = [MISSING if at is None else at for at in journey.moments]
        at, worth = journey.conversion_at, MISSING if amount is None else amount
        made, deal, closed = moments
        self._rows.append((converted, count, at, worth, code, made, deal, closed, unit))

    def journeys(self) -> Journeys:
        """Return what was added."""
        rows = np.array(self._rows, np.int64).reshape(-1, 9).T
        return Journeys(
            offsets_of(np.array(self._lengths, np.int64)),
            np.array(self._at, np.int64),
            np.array(self._codes, np.int32),
            tuple(self._values),
            np.array(self._channels, np.int32),
            tuple(self._names),
            rows[0].astype(np.bool_),
            rows[1].copy(),
            rows[2].copy(),
            rows[3].copy(),
            rows[4].astype(np.int32),
            tuple(self._currencies),
            rows[5:8].copy(),
            rows[8].copy(),
            self._large,
        )


def journeys_of(
    conversions: Iterable[Conversion],
    key: Callable[[Touch], str | None] = by_channel,
    nulls: Iterable[Journey] = (),
) -> Journeys:
    """Return columns of *conversions*, and of journeys that led to nothing, each its own unit."""
    builder = Builder()
    unit = 0
    for conversion in conversions:
        builder.add(conversion, unit, key=key)
        unit += 1
    for journey in nulls:
        builder.add(Conversion(journey), unit, converted=False, key=key)
        unit += 1
    return builder.journeys()
