"""Journeys built one by one with the domain, the reference for the columns; and columns of such."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from sqlalchemy import Connection, select

from domain.attribution import Conversion, by_channel
from domain.journey import Journey, Touch, collapse, cut
from projections.conversions import conversions
from projections.journeys import Builder, Journeys
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
