"""How often leads are reached out to: the question `leadflow touch-coverage`."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, select

from domain.intervals import wilson
from domain.outreach import CHANNEL_OF, CHAT
from domain.policy import DAY
from domain.stages import WON
from domain.touch_coverage import FOLLOWED_UP, reaches_out
from projections.activities import activities
from projections.answers import Answer, by_size, rfc3339
from projections.clocks import NEVER, Cycles, by_values, cycles_of, first
from projections.columns import MISSING, Coded, Flags, Integers, read
from projections.period import rows_between
from projections.pipeline import dimension, observed_until, pipeline
from projections.stages import stages

WANTED: Final = (5, 7)
"""How many touches a lead is said to need; a claim of guides to lead management, no law."""

_MOST: Final = 12
"""Touches from which on cycles are one row of the distribution."""

_CHANNELS: Final = tuple(sorted(set(CHANNEL_OF.values())))


def touch_coverage(
    connection: Connection,
    *,
    by: str | None = None,
    since: int | None = None,
    until: int | None = None,
    as_of: int | None = None,
    wanted: Sequence[int] = WANTED,
    within: int = FOLLOWED_UP,
    with_automated: bool = False,
) -> Answer:
    """Return how often, over how many channels, and how soon people reach out to leads.

    What counts is a cycle of a lead that opened from *since* on and before *until*. *within* is
    how soon after its capture a lead is to be followed up; *as_of* is up to when that is observed,
    by default the latest event. All are microseconds UTC. *with_automated* counts what programmes
    and machines sent among the touches; follow-up is always a person's. *by* is a dimension of
    leads.

    Raises UnknownDimension, and ValueError unless *wanted* are rising numbers above zero.
    """
    if list(wanted) != sorted(set(wanted)) or any(least < 1 for least in wanted) or not wanted:
        raise ValueError(f"touches that are wanted must rise from 1 on: {list(wanted)}")
    as_of = observed_until(connection, as_of)
    query = select(pipeline.c.lead_no, pipeline.c.captured_at_us)
    if by is not None:
        query = query.add_columns(dimension(by).label("value"))
    leads = read(connection, query.order_by(pipeline.c.lead_no), set() if by is None else {"value"})
    found = _Found(connection, leads["lead_no"], leads["captured_at_us"], with_automated, within)
    chosen = rows_between(found.cycles.opened_at, since, until)
    captured = rows_between(found.captured_at, since, until) & (found.captured_at != MISSING)
    now = as_of or 0

    def told(rows: Flags, of_leads: Flags) -> Answer:
        return {
            **found.touches(np.flatnonzero(rows), wanted),
            "no_follow_up": found.follow_up(np.flatnonzero(of_leads), now),
        }

    answer: Answer = {
        "as_of": None if as_of is None else rfc3339(now),
        "with_automated": with_automated,
        **told(chosen, captured),
        "groups": [],
    }
    if by is not None:
        values: Coded = leads.coded["value"]
        place = np.searchsorted(leads["lead_no"], found.cycles.lead_no)
        of_cycle = values.codes[place]
        groups: dict[Any, Answer] = {}
        for code in np.unique(of_cycle[chosen]).tolist():
            groups[values.values[code]] = told(
                chosen & (of_cycle == code), captured & (values.codes == code)
            )
        sizes = {value: group["cycles"] for value, group in groups.items()}
        answer["groups"] = [{"value": value, **groups[value]} for value in by_size(sizes)]
    return answer


class _Found:
    """The outreach of all cycles and leads, as columns."""

    cycles: Cycles
    captured_at: Integers
    number: Integers
    """Touches of each cycle."""
    channels: Integers
    """Different channels of each cycle."""
    is_won: Flags

    def __init__(
        self,
        connection: Connection,
        lead_no: Integers,
        captured_at: Integers,
        with_automated: bool,
        within: int,
    ) -> None:
        entry = stages.c
        query = select(entry.lead_no, entry.cycle, entry.entered_at_us, entry.stage)
        entered = read(connection, query.order_by(entry.lead_no, entry.n), {"stage"})
        self.cycles, of_entry = cycles_of(entered)
        size = len(self.cycles.number)
        won = of_entry[entered.coded["stage"].codes == entered.coded["stage"].code_of(WON)]
        self.is_won = np.bincount(won, minlength=size) > 0
        self.captured_at = captured_at
        self._within = within

        act = activities.c
        acts = read(
            connection,
            select(
                act.lead_no,
                act.n,
                act.at_us,
                act.type,
                act.actor,
                act.direction,
                act.message,
            )
            .where(act.type.in_(CHANNEL_OF))
            .order_by(act.lead_no, act.n),
            {"type", "actor", "direction", "message"},
        )

        def channel(automated: bool) -> Integers:
            def says(type_: str, actor: str, direction: str | None) -> int:
                found = reaches_out(type_, actor, direction, automated)
                return -1 if found is None else _CHANNELS.index(found)

            columns = (acts.coded[name] for name in ("type", "actor", "direction"))
            return by_values(says, *columns)

        at, of_person = acts["at_us"], channel(False) >= 0
        over = channel(with_automated)
        of = self.cycles.of(acts["lead_no"], at)
        counted = (over >= 0) & (of >= 0)
        message = acts.coded["message"]
        nameless = message.codes == message.code_of(None)
        chats = acts.coded["type"].codes == acts.coded["type"].code_of(CHAT)
        # a touch is told from others by its name, else it is itself: by its number
        thing = np.where(nameless & ~chats, -1 - acts["n"], message.codes)
        day = np.where(chats, at // DAY, 0)
        touch = np.stack([of, over, thing, day], axis=1)[counted]
        self.number = np.bincount(np.unique(touch, axis=0)[:, 0], minlength=size)
        channels = np.unique(touch[:, :2], axis=0)[:, 0]
        self.channels = np.bincount(channels, minlength=size)

        place = np.searchsorted(lead_no, acts["lead_no"])
        since = captured_at[place]
        soon = of_person & (since != MISSING) & (since <= at) & (at <= since + within)
        self._first = first(len(lead_no), place[soon], at[soon])

    def touches(self, rows: Integers, wanted: Sequence[int]) -> Answer:
        """Return the distribution of touches and channels over the cycles *rows*."""
        number, channels, won = self.number[rows], self.channels[rows], self.is_won[rows]
        size = len(rows)
        capped = np.minimum(number, _MOST)
        return {
            "cycles": size,
            "touches": int(number.sum()),
            "mean_touches": round(float(number.mean()), 6) if size else None,
            "median_touches": float(np.median(number)) if size else None,
            "mean_channels": round(float(channels.mean()), 6) if size else None,
            "shares": [
                {"at_least": least, "cycles": (many := int((number >= least).sum()))}
                | _rate("share", many, size)
                for least in wanted
            ],
            "distribution": [
                {
                    "touches": n,
                    "or_more": n == _MOST,
                    "cycles": (many := int((of := capped == n).sum())),
                    "won": (good := int((of & won).sum())),
                }
                | _rate("conversion", good, many)
                for n in np.unique(capped).tolist()
            ],
            "channels": [
                {
                    "channels": n,
                    "cycles": (many := int((of := channels == n).sum())),
                    "won": (good := int((of & won).sum())),
                }
                | _rate("conversion", good, many)
                for n in np.unique(channels).tolist()
            ],
        }

    def follow_up(self, rows: Integers, now: int) -> Answer:
        """Return how many of the captured leads *rows* nobody followed up."""
        reached = self._first[rows] < NEVER
        due = self.captured_at[rows] + self._within <= now
        silent = int((due & ~reached).sum())
        return {
            "within_seconds": self._within // 1_000_000,
            "captured": len(rows),
            "due": int(due.sum()),
            "leads": silent,
            **_rate("share", silent, int(due.sum())),
        }


def _rate(name: str, some: int, of: int) -> Answer:
    low, high = wilson(some, of)
    return {
        name: some / of if of else None,
        "interval": [round(float(low), 6), round(float(high), 6)] if of else None,
    }
