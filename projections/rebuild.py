"""Rebuild: fill a new set of read models beside the live one, compare, and switch.

Every lead is folded once from its whole history and written in bulk. The set that was live stays
as the old one, for ``roll_back``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Engine

from domain.events import Event, LeadMerged
from domain.policy import Policy
from projections.batch import STREAMS_AT_ONCE, has_keys
from projections.digest import digests
from projections.history import History
from projections.naming import LIVE, NEW, OLD
from projections.rows import Rows
from projections.setup import VERSION, create, drop, switch
from projections.view import from_history
from projections.writer import Checkpoint, Writer, writer

FLUSH: Final = 50_000
"""Events whose rows are in memory before they are written."""

Progress = Callable[[int], None]
"""Told how many events are folded so far."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild made, and how it compares with what was there."""

    position: int
    """Last position of the log that is in the rows."""
    events: int
    leads: int
    before: Mapping[str, str] | None
    """Digests of the set that was live; None where it stood for another position or version."""
    after: Mapping[str, str]
    """Digests of the new set."""

    @property
    def differences(self) -> list[str] | None:
        """Return the read models whose rows changed; None where nothing could be compared."""
        if self.before is None:
            return None
        return [name for name, digest in self.after.items() if self.before.get(name) != digest]


def rebuild(
    engine: Engine, history: History, policy: Policy, on_progress: Progress | None = None
) -> RebuildReport:
    """Rebuild all read models from *history* and make the new ones live."""
    position = history.head()
    drop(engine, NEW)
    create(engine, NEW)
    new = writer(engine, NEW)
    events, leads = fill(new, history, policy, position, on_progress)
    new.set_checkpoint(Checkpoint(position, VERSION, leads + 1))
    live = writer(engine).checkpoint()
    comparable = live is not None and (live.position, live.version) == (position, VERSION)
    report = RebuildReport(
        position,
        events,
        leads,
        digests(engine, LIVE) if comparable else None,
        digests(engine, NEW),
    )
    drop(engine, OLD)
    switch(engine, live_becomes=OLD, becomes_live=NEW)
    return report


def roll_back(engine: Engine) -> None:
    """Make the set that was live before the last rebuild live again, and keep the other as new."""
    drop(engine, NEW)
    switch(engine, live_becomes=NEW, becomes_live=OLD)


def fill(
    to: Writer,
    history: History,
    policy: Policy,
    position: int,
    on_progress: Progress | None = None,
) -> tuple[int, int]:
    """Write the rows of all leads up to *position*; return the number of events and of leads."""
    merged = history.merged()
    shared = {*merged, *merged.values()}
    lengths: dict[str, int] = {}
    rows = Rows()
    events = leads = written = 0

    def flush() -> None:
        nonlocal rows, written
        to.fill(rows)
        rows, written = Rows(), events
        if on_progress is not None:
            on_progress(events)

    for stream, history_of in history.all_streams(position):
        if stream in shared:
            lengths[stream] = len(history_of)
            continue
        events += len(history_of)
        if has_keys(history_of):
            leads += 1
            rows.streams.append((stream, leads))
            from_history(leads, [stream], [history_of], policy, rows).settle(rows)
        if events - written >= FLUSH:
            flush()
    for parts in _merged_leads(history, merged, lengths):
        events += sum(len(part) for part in parts.values())
        if any(has_keys(part) for part in parts.values()):
            leads += 1
            streams = sorted(parts)
            rows.streams += [(stream, leads) for stream in streams]
            if len(streams) > 1:
                rows.parts += [(leads, stream) for stream in streams]
            parts_of = [parts[stream] for stream in streams]
            from_history(leads, streams, parts_of, policy, rows).settle(rows)
        if events - written >= FLUSH:
            flush()
    flush()
    return events, leads


def _merged_leads(
    history: History, merged: Mapping[str, str], lengths: Mapping[str, int]
) -> Iterator[dict[str, list[Event]]]:
    """Yield the streams of each lead that is, or will be, merged; cut to *lengths*."""
    families = _families((stream, into) for stream, into in merged.items())
    left = iter(families)
    while some := list(islice(left, STREAMS_AT_ONCE // 4)):
        found = history.histories([s for family in some for s in family if s in lengths])
        for family in some:
            parts = {s: found.pop(s)[: lengths[s]] for s in family if s in lengths}
            for streams in _families(
                [
                    *[(stream, stream) for stream in parts],
                    *[
                        (stream, event.other)
                        for stream, part in parts.items()
                        for event in part
                        if type(event) is LeadMerged and event.other in parts
                    ],
                ]
            ):
                yield {stream: parts[stream] for stream in streams}


def _families(pairs: Iterable[tuple[str, str]]) -> list[set[str]]:
    """Return the connected parts of a graph with the edges *pairs*."""
    of: dict[str, set[str]] = {}
    for one, other in pairs:
        mine = of.setdefault(one, {one})
        theirs = of.setdefault(other, {other})
        if mine is not theirs:
            mine |= theirs
            for stream in theirs:
                of[stream] = mine
    return list({id(family): family for family in of.values()}.values())
