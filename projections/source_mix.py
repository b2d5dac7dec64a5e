"""The question ``source-mix`` answers: where leads come from, how good they are, who is worked.

Leads count from when they were captured; a visitor who never was is counted apart.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, and_, case, func, select

from domain.hygiene import HARD, SENT
from domain.months import Span, month_of, span_months, span_name, span_start, start_of
from domain.stages import MQL, RANK, SGL, SQL, WON
from projections.activities import activities
from projections.answers import DAY, Answer, by_size, rfc3339
from projections.columns import MISSING, Coded, Columns, Flags, Integers, read
from projections.effort import effort
from projections.period import between, rows_between
from projections.pipeline import observed_until, pipeline
from projections.recycled import rate_answer
from projections.stages import stages
from projections.touches import touches

PARTIES: Final = ("first", "second", "third")

OUTBOUND: Final = frozenset(("outbound",))
"""Channels by which we go to the lead; a sales generated lead is outbound by whatever channel."""


@dataclass(frozen=True, slots=True)
class Leads:
    """Captured leads, by column."""

    captured: Integers
    party: Coded
    channel: Coded
    motion: Coded
    untagged: Flags
    reached: Mapping[str, Flags]
    """Stage to whether the lead ever got there, or further on the way."""
    won_after: Integers
    """Microseconds from capture to the first deal; `MISSING` where there is none."""
    mailed: Flags
    bounced: Flags
    """Whether a message ever bounced for good."""


def source_mix(
    connection: Connection,
    *,
    since: int | None = None,
    until: int | None = None,
    every: Span | None = None,
    targets: Mapping[str, Fraction] | None = None,
    outbound: Collection[str] = OUTBOUND,
    floor: Fraction | None = None,
    as_of: int | None = None,
) -> Answer:
    """Return the mix of captured leads by party, channel and motion, and how good each part is.

    *since* and *until* (microseconds UTC, *until* excluded) bound the capture of leads, and the
    touches and acts that are told of; *every* adds a row per month or quarter. *targets* are the
    shares that parties should have, *floor* the least share of effort for new business. *outbound*
    are the channels by which we go to the lead.

    Raises ValueError for a target of no party, and for another *every*.
    """
    for party in targets or {}:
        if party not in PARTIES:
            raise ValueError(f"--targets: no party {party!r}; there are {', '.join(PARTIES)}")
    if every is not None:
        span_months(every)
    leads, uncaptured = read_leads(connection, outbound)
    inside = rows_between(leads.captured, since, until)
    at = observed_until(connection, as_of)
    return {
        "as_of": None if at is None else rfc3339(at),
        "leads": int(inside.sum()),
        "not_captured": uncaptured,
        "parties": _parts(leads, leads.party, inside, targets),
        "channels": _parts(leads, leads.channel, inside),
        "motions": _parts(leads, leads.motion, inside),
        "untagged": {
            "leads": rate_answer(int((inside & leads.untagged).sum()), int(inside.sum())),
            "touches": _untagged_touches(connection, since, until),
        },
        "effort": effort(connection, since, until, floor),
        "periods": [] if every is None else _periods(leads, inside, every),
    }


def read_leads(connection: Connection, outbound: Collection[str] = OUTBOUND) -> tuple[Leads, int]:
    """Return the captured leads, and how many were not captured."""
    of = pipeline.c
    query = select(
        of.lead_no, of.captured_at_us, of.party, of.channel, of.source, of.campaign
    ).order_by(of.lead_no)
    text = {"party", "channel", "source", "campaign"}
    found = read(connection, query, text)
    every, captured = found["lead_no"], found["captured_at_us"]
    there = captured != MISSING
    numbers = every[there]

    def coded(name: str) -> Coded:
        whole = found.coded[name]
        return Coded(whole.codes[there], whole.values)

    def with_any(lead_no: Integers) -> Flags:
        flags: Flags = np.isin(numbers, lead_no)
        return flags

    entered = read(
        connection,
        select(stages.c.lead_no, stages.c.stage, func.min(stages.c.entered_at_us).label("at"))
        .where(stages.c.stage.in_(tuple(RANK)))
        .group_by(stages.c.lead_no, stages.c.stage)
        .order_by(stages.c.lead_no),
        {"stage"},
    )
    stage = entered.coded["stage"]
    rank = np.array([RANK[str(name)] for name in stage.values], np.int64)
    ranks = rank[stage.codes] if len(rank) else np.empty(0, np.int64)
    reached = {name: with_any(entered["lead_no"][ranks >= RANK[name]]) for name in (MQL, SQL, WON)}
    wins = stage.codes == stage.code_of(WON)
    won_at = _at_of(numbers, entered["lead_no"][wins], entered["at"][wins])
    won_after = np.where(won_at == MISSING, MISSING, won_at - captured[there])
    channel = coded("channel")
    ours = [channel.code_of(name) for name in outbound]
    goes_out = np.isin(channel.codes, [code for code in ours if code >= 0]) | with_any(
        entered["lead_no"][stage.codes == stage.code_of(SGL)]
    )
    mails = _mails(connection)
    source, campaign = coded("source"), coded("campaign")
    leads = Leads(
        captured[there],
        coded("party"),
        channel,
        Coded(goes_out.astype(np.int32), ["inbound", "outbound"]),
        (source.codes == source.code_of(None)) & (campaign.codes == campaign.code_of(None)),
        reached,
        won_after,
        with_any(mails["lead_no"]),
        with_any(mails["lead_no"][mails["hard"] == 1]),
    )
    return leads, int((~there).sum())


def _at_of(numbers: Integers, lead_no: Integers, at: Integers) -> Integers:
    """Return the instant of each lead of *numbers*; `MISSING` where *lead_no*, rising, has none."""
    found = np.full(len(numbers), MISSING)
    if len(lead_no):
        place = np.searchsorted(lead_no, numbers).clip(max=len(lead_no) - 1)
        hit = lead_no[place] == numbers
        found[hit] = at[place[hit]]
    return found


def _mails(connection: Connection) -> Columns:
    """Return the leads that mail was sent to, and whether any of it bounced for good."""
    return read(
        connection,
        select(
            activities.c.lead_no,
            func.max(
                case(
                    (and_(activities.c.type == "email.bounced", activities.c.kind == HARD), 1),
                    else_=0,
                )
            ).label("hard"),
        )
        .where(activities.c.type.in_(sorted(SENT)))
        .group_by(activities.c.lead_no),
        set(),
    )


def _parts(
    leads: Leads, by: Coded, inside: Flags, targets: Mapping[str, Fraction] | None = None
) -> list[Answer]:
    counts = np.bincount(by.codes[inside], minlength=len(by.values)).tolist()
    sizes: dict[Any, int] = {
        value: count for value, count in zip(by.values, counts, strict=False) if count
    }
    for party in targets or {}:
        sizes.setdefault(party, 0)
    whole = int(inside.sum())
    rows = []
    for value in by_size(sizes):
        row = _part(leads, inside & (by.codes == by.code_of(value)), value, whole)
        if targets is not None:
            target = targets.get(value)
            row["target"] = None if target is None else float(target)
            row["gap"] = (
                None
                if target is None or not whole
                else float(Fraction(sizes[value], whole) - target)
            )
        rows.append(row)
    return rows


def _part(leads: Leads, rows: Flags, value: Any, whole: int) -> Answer:
    count = int(rows.sum())
    took = leads.won_after[rows & (leads.won_after != MISSING)]
    return {
        "value": value,
        "leads": count,
        "share": count / whole if whole else None,
        **{
            stage: rate_answer(int((rows & leads.reached[stage]).sum()), count)
            for stage in (MQL, SQL, WON)
        },
        "median_days_to_won": float(np.median(took)) / DAY if len(took) else None,
        "mailed": int((rows & leads.mailed).sum()),
        "bounced": rate_answer(int((rows & leads.bounced).sum()), int((rows & leads.mailed).sum())),
    }


def _periods(leads: Leads, inside: Flags, every: Span) -> list[Answer]:
    if not inside.any():
        return []
    step = span_months(every)
    at = leads.captured
    first = span_start(month_of(int(at[inside].min())), every)
    last = month_of(int(at[inside].max()))
    rows = []
    for month in range(first, last + 1, step):
        part = inside & (at >= start_of(month)) & (at < start_of(month + step))
        whole = int(part.sum())
        row: Answer = {"period": span_name(month, every), "leads": whole}
        for name, by in (
            ("parties", leads.party),
            ("channels", leads.channel),
            ("motions", leads.motion),
        ):
            counts = np.bincount(by.codes[part], minlength=len(by.values)).tolist()
            sizes = {value: n for value, n in zip(by.values, counts, strict=False) if n}
            row[name] = [
                {"value": value, "leads": sizes[value], "share": sizes[value] / whole}
                for value in by_size(sizes)
            ]
        rows.append(row)
    return rows


def _untagged_touches(connection: Connection, since: int | None, until: int | None) -> Answer:
    """Return the touches without source and campaign; direct ones have none by their nature."""
    of = touches.c
    bare = and_(of.source.is_(None), of.campaign.is_(None))
    query = select(
        func.count(),
        func.count(case((bare, 1))),
        func.count(case((and_(bare, of.channel == "direct"), 1))),
    ).where(*between(of.at_us, since, until))
    whole, untagged, direct = connection.execute(query).one()
    told = rate_answer(int(untagged), int(whole))
    return {"touches": told.pop("leads"), "of": int(whole), "direct": int(direct), **told}
