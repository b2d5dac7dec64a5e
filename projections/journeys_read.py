"""Journeys of the read models as columns: of every conversion, and of the leads without one.

A lead without a conversion of the kind that is asked for has one journey that led to nothing: its
touches of the lookback up to its last touch. No clock is asked; a lead that is still under way is
told by what it has done so far, which is what ``--as-of`` is for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, and_, func, null, select

from domain.journey import COLLAPSE_GAP, LOOKBACK, transform_named
from projections.columns import MISSING, Flags, Integers, read
from projections.conversions import conversions
from projections.journeys import Journeys, offsets_of, spans
from projections.opportunities import opportunities
from projections.pipeline import pipeline
from projections.stages import stages
from projections.touches import touches


def read_journeys(
    connection: Connection,
    conversion: str,
    by: str = "channel",
    lookback: int | None = LOOKBACK,
    gap: int | None = COLLAPSE_GAP,
    *,
    nulls: bool = False,
    moments: bool = False,
) -> Journeys:
    """Return the journeys to conversions of a kind, whose touches are credited by *by*.

    *lookback* and *gap* are microseconds, as in ``domain.journey``. *nulls* asks for those that led
    to nothing as well, *moments* for when lead and opportunity were made and closed.
    """
    won = read(connection, _conversions(conversion, moments=moments), {"currency"})
    of = touches.c
    query = select(of.lead_no, of.at_us, of.channel, of[by].label("value"))
    if not nulls:
        leads = select(conversions.c.lead_no).where(conversions.c.kind == conversion)
        query = query.where(of.lead_no.in_(leads))
    met = read(connection, query.order_by(of.lead_no, of.n), {"channel", "value"})
    lead, at, channels = met["lead_no"], met["at_us"], met.coded["channel"].codes
    kept = _kept(lead, at, channels, gap)
    lead, at = lead[kept], at[kept]

    converted = np.ones(won.rows, np.bool_)
    whose, until = won["lead_no"], won["at_us"]
    if nulls and len(lead):
        last = np.flatnonzero(np.append(lead[1:] != lead[:-1], True))
        lost = last[~np.isin(lead[last], whose)]
        converted = np.append(converted, np.zeros(len(lost), np.bool_))
        whose, until = np.append(whose, lead[lost]), np.append(until, at[lost])
    low = np.searchsorted(lead, whose, "left")
    high = np.searchsorted(lead, whose, "right")
    end = _after(at, low, high, until)
    start = low if lookback is None else _after(at, low, end, until - lookback)
    lengths = end - start
    chosen = spans(start, lengths)
    more = len(whose) - won.rows
    currency = won.coded["currency"]
    # the unknown currency has no code: where there is an amount, there is a currency
    names = [value for value in currency.values if value is not None]
    place = np.array([-1 if v is None else names.index(v) for v in currency.values], np.int32)
    codes = place[currency.codes] if won.rows else currency.codes
    _, unit = np.unique(whose, return_inverse=True)
    return Journeys(
        offsets=offsets_of(lengths),
        at=at[chosen],
        codes=met.coded["value"].codes[kept][chosen],
        values=tuple(met.coded["value"].values),
        channels=channels[kept][chosen],
        channel_names=tuple(str(name) for name in met.coded["channel"].values),
        converted=converted,
        count=np.ones(len(whose), np.int64),
        conversion_at=until,
        amount=np.append(won["amount_minor"], np.full(more, MISSING)),
        currency=np.append(codes, np.full(more, -1, np.int32)),
        currencies=tuple(names),
        moments=np.stack(
            [np.append(won[name], np.full(more, MISSING)) for name in ("made", "deal", "closed")]
        ),
        unit=unit.astype(np.int64),
    )


def _conversions(kind: str, *, moments: bool) -> Any:
    """Return the query of the conversions of a kind, with their moments where asked for."""
    of = conversions.c
    plain = (of.lead_no, of.at_us, of.amount_minor, of.currency)
    where, order = of.kind == kind, (of.lead_no, of.n)
    if not moments:
        none = [null().label(name) for name in ("made", "deal", "closed")]
        return select(*plain, *none).where(where).order_by(*order)
    cycles = (
        select(stages.c.lead_no, stages.c.cycle, func.min(stages.c.entered_at_us).label("at"))
        .group_by(stages.c.lead_no, stages.c.cycle)
        .subquery()
    )
    deals = (
        select(
            opportunities.c.lead_no,
            opportunities.c.opportunity,
            func.min(opportunities.c.created_at_us).label("at"),
        )
        .group_by(opportunities.c.lead_no, opportunities.c.opportunity)
        .subquery()
    )
    return (
        select(
            *plain,
            func.coalesce(cycles.c.at, pipeline.c.captured_at_us).label("made"),
            deals.c.at.label("deal"),
            (of.at_us if kind == "won" else null()).label("closed"),
        )
        .join(pipeline, pipeline.c.lead_no == of.lead_no)
        .outerjoin(cycles, and_(cycles.c.lead_no == of.lead_no, cycles.c.cycle == of.cycle))
        .outerjoin(
            deals, and_(deals.c.lead_no == of.lead_no, deals.c.opportunity == of.opportunity)
        )
        .where(where)
        .order_by(*order)
    )


def _kept(lead: Integers, at: Integers, channels: Any, gap: int | None) -> Flags:
    """Return which touches begin a run; see ``domain.journey.collapse``."""
    kept = np.ones(len(lead), np.bool_)
    if gap:
        same = (lead[1:] == lead[:-1]) & (channels[1:] == channels[:-1])
        kept[1:] = ~(same & (at[1:] - at[:-1] <= gap))
    return kept


def _after(at: Integers, low: Integers, high: Integers, limit: Integers) -> Integers:
    """Return in each sorted span of *at* the first place after *limit*; the end where none is."""
    low, high = low.copy(), high.copy()
    while True:
        going = low < high
        if not going.any():
            return low
        middle = (low + high) // 2
        passed = going & (at[np.where(going, middle, 0)] <= limit)
        low = np.where(passed, middle + 1, low)
        high = np.where(going & ~passed, middle, high)


def transformed(journeys: Journeys, transforms: Sequence[str]) -> Journeys:
    """Return journeys after the path transforms of these names, one after the other.

    The transforms look at channels, whatever is credited. Raises ValueError for a name that is not
    there, see ``domain.journey.transform_named``.
    """
    for name in transforms:
        transform_named(name)
        verb, _, channel = name.partition("=")
        journeys = _transformed(journeys, verb, channel)
    return journeys


def _transformed(journeys: Journeys, verb: str, channel: str) -> Journeys:
    channels, lengths = journeys.channels, journeys.lengths
    journey = np.repeat(np.arange(len(journeys)), lengths)
    if verb == "unique" or not len(channels):
        return journeys
    if verb == "exposure":
        kept = np.ones(len(channels), np.bool_)
        kept[1:] = (journey[1:] != journey[:-1]) | (channels[1:] != channels[:-1])
        return journeys.kept(kept)
    if verb == "first":
        kept = np.zeros(len(channels), np.bool_)
        cells = journey * len(journeys.channel_names) + channels
        kept[np.unique(cells, return_index=True)[1]] = True
        return journeys.kept(kept)
    if channel not in journeys.channel_names:
        return journeys
    other = channels != journeys.channel_names.index(channel)
    others = np.bincount(journey[other], minlength=len(journeys))
    if verb == "remove_if_not_all":
        return journeys.kept(other | (others == 0)[journey])
    # the last touch of another channel ends the journey
    place = np.where(other, np.arange(len(channels)), -1)
    last = np.full(len(journeys), -1)
    np.maximum.at(last, journey, place)
    return journeys.kept((np.arange(len(channels)) <= last[journey]) | (others == 0)[journey])
