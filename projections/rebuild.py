"""Rebuild: fill a new set of read models beside the live one, compare, and switch.

Every lead is folded once from its whole history and written in bulk. The set that was live stays
as the old one, for ``roll_back``.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import Engine

from domain.events import Event, Fact, LeadMerged
from domain.policy import Policy
from projections.batch import STREAMS_AT_ONCE, has_keys
from projections.digest import digests
from projections.history import History
from projections.naming import LIVE, NEW, OLD
from projections.pause import no_cycles
from projections.rows import Rows
from projections.setup import VERSION, create, drop, switch
from projections.view import View, decide_anew, from_history
from projections.writer import Checkpoint, Writer, writer

T = TypeVar("T", bound=Hashable)

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


Divide = Callable[[Sequence[Sequence[Event]]], list[list[Fact]]]
"""Returns the facts of each person in what the log holds as one lead."""


def fill(
    to: Writer,
    history: History,
    policy: Policy,
    position: int,
    on_progress: Progress | None = None,
    divide: Divide | None = None,
) -> tuple[int, int]:
    """Write the rows of all leads up to *position*; return the number of events and of leads.

    With *divide*, a lead of the log may be several.
    """
    filler = _Filler(to, policy, on_progress, divide)
    merged = history.merged()
    shared = {*merged, *merged.values()}
    lengths: dict[str, int] = {}
    with no_cycles():
        for stream, events in history.all_streams(position):
            if stream in shared:
                lengths[stream] = len(events)
            else:
                filler.add([stream], [events])
        for parts in _merged_leads(history, merged, lengths, apart=divide is None):
            streams = sorted(parts)
            filler.add(streams, [parts[stream] for stream in streams])
        filler.flush()
    return filler.events, filler.leads


class _Filler:
    """Folds lead after lead, and writes when there is enough to write."""

    def __init__(
        self, to: Writer, policy: Policy, on_progress: Progress | None, divide: Divide | None
    ) -> None:
        self.to = to
        self.policy = policy
        self.on_progress = on_progress
        self.divide = divide
        self.events = 0
        self.leads = 0
        self._flushed = 0
        self._rows = Rows()

    def add(self, streams: list[str], parts: list[list[Event]]) -> None:
        """Fold one lead of the log; *parts* are the events of its *streams*."""
        for part in parts:
            self.events += len(part)
        if any(has_keys(part) for part in parts):
            rows = self._rows
            self.leads += 1
            rows.streams += [(stream, self.leads) for stream in streams]
            if len(streams) > 1:
                rows.parts += [(self.leads, stream) for stream in streams]
            persons = [] if self.divide is None else self.divide(parts)
            if len(persons) < 2:
                from_history(self.leads, streams, parts, self.policy, rows).settle(rows)
            else:
                self.leads -= 1
                for facts in persons:
                    self.leads += 1
                    view = View(self.leads, streams)
                    decide_anew(view, facts, self.policy, rows)
                    view.settle(rows)
        if self.events - self._flushed >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what is folded."""
        self.to.fill(self._rows)
        self._rows, self._flushed = Rows(), self.events
        if self.on_progress is not None:
            self.on_progress(self.events)


def _merged_leads(
    history: History, merged: Mapping[str, str], lengths: Mapping[str, int], *, apart: bool
) -> Iterator[dict[str, list[Event]]]:
    """Yield the streams of each lead that is, or will be, merged; cut to *lengths*.

    *apart*: leads whose merge is not among these events yet come one by one.
    """
    left = iter(families(merged.items()))
    while some := list(islice(left, STREAMS_AT_ONCE // 4)):
        found = history.histories([s for family in some for s in family if s in lengths])
        for family in some:
            parts = {s: found.pop(s)[: lengths[s]] for s in family if s in lengths}
            for streams in _merged_so_far(parts) if apart else [set(parts)]:
                yield {stream: parts[stream] for stream in streams}


def _merged_so_far(parts: Mapping[str, list[Event]]) -> list[set[str]]:
    merges = [
        (stream, event.other)
        for stream, part in parts.items()
        for event in part
        if type(event) is LeadMerged and event.other in parts
    ]
    return families([*[(stream, stream) for stream in parts], *merges])


def families(pairs: Iterable[tuple[T, T]]) -> list[set[T]]:
    """Return the connected parts of a graph with the edges *pairs*."""
    of: dict[T, set[T]] = {}
    for one, other in pairs:
        mine = of.setdefault(one, {one})
        theirs = of.setdefault(other, {other})
        if mine is not theirs:
            mine |= theirs
            for node in theirs:
                of[node] = mine
    return list({id(family): family for family in of.values()}.values())
