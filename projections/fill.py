"""Fills an empty set of read models: every lead is folded once, from its whole history."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

from domain.book import Rules
from domain.events import Event, LeadMerged
from projections.batch import STREAMS_AT_ONCE, is_kept
from projections.feeding import views_of
from projections.history import History
from projections.pause import no_cycles
from projections.rows import Rows
from projections.spend import spend_rows

T = TypeVar("T", bound=Hashable)

FLUSH: Final = 20_000
"""Events whose rows are in memory before they are written."""


class Filler:
    """Folds lead after lead, and hands rows on when there are enough to write.

    The leads are numbered *first*, *first* + *stride* and so on. *joined* is false where facts
    may be missing that joined others of the same streams.
    """

    def __init__(
        self,
        put: Callable[[Rows], None],
        rules: Rules,
        *,
        first: int = 1,
        stride: int = 1,
        joined: bool = True,
    ) -> None:
        self.events = 0
        self.leads = 0
        self.next_lead_no = first
        self._put = put
        self._rules = rules
        self._stride = stride
        self._joined = joined
        self._flushed = 0
        self._rows = Rows()

    def add(self, streams: list[str], parts: list[list[Event]]) -> None:
        """Fold one lead of the log; *parts* are the events of its *streams*."""
        for part in parts:
            self.events += len(part)
        if any(is_kept(part) for part in parts):
            rows = self._rows
            lead_no = self.next_lead_no
            rows.streams += [(stream, lead_no) for stream in streams]
            if len(streams) > 1:
                rows.parts += [(lead_no, stream) for stream in streams]
            rows.spend += spend_rows(lead_no, parts, self._rules)
            views = views_of(
                self._numbers(), streams, parts, self._rules, rows, joined=self._joined
            )
            rows.siblings += [(lead_no, view.lead_no) for view in views[1:]]
            if not views:  # the number is taken by the streams
                self.next_lead_no += self._stride
            self.leads += len(views)
        if self.events - self._flushed >= FLUSH:
            self.flush()

    def _numbers(self) -> Iterator[int]:
        while True:
            self.next_lead_no += self._stride
            yield self.next_lead_no - self._stride

    def flush(self) -> None:
        """Hand on what is folded."""
        self._put(self._rows)
        self._rows, self._flushed = Rows(), self.events

    def add_all(self, history: History, position: int) -> None:
        """Fold all leads up to *position*."""
        merged = history.merged()
        with no_cycles():
            lengths = self.add_unmerged(history, position, merged)
            self.add_merged(history, merged, lengths)
            self.flush()

    def add_unmerged(
        self,
        history: History,
        position: int,
        merged: Mapping[str, str],
        bucket: int = 0,
        buckets: int = 1,
    ) -> dict[str, int]:
        """Fold the leads of one part that are no part of a merge; return how long the others are.

        The streams of a merged lead may lie in several parts.
        """
        shared = {*merged, *merged.values()}
        lengths: dict[str, int] = {}
        for stream, events in history.all_streams(position, bucket, buckets):
            if stream in shared:
                lengths[stream] = len(events)
            else:
                self.add([stream], [events])
        return lengths

    def add_merged(
        self, history: History, merged: Mapping[str, str], lengths: Mapping[str, int]
    ) -> None:
        """Fold the leads that are, or will be, merged; their streams are cut to *lengths*."""
        for parts in _merged_leads(history, merged, lengths, apart=self._joined):
            streams = sorted(parts)
            self.add(streams, [parts[stream] for stream in streams])


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
