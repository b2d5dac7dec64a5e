"""One batch of the log: which leads it is about, and the rows that follow.

A stream is read from history only where the view of its lead is not in memory, or where the batch
brings what does not simply follow. What is read then ends with the batch: streams of the batch are
cut at their last version in it, and other streams of a lead were closed when they were merged.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from domain.book import Rules, judged_alike
from domain.corrections import machine_acts
from domain.events import Event, Fact, LeadMerged, PolicyPublished
from projections.feeding import decide_anew, decided_in, go_on, has_keys, views_of
from projections.history import FIRST_VERSION, History
from projections.rows import Rows
from projections.spend import SPEND, spend_rows
from projections.view import View
from projections.writer import Writer

Events = list[tuple[int, str, int, Event]]
"""Position, stream, version, event."""

STREAMS_AT_ONCE: Final = 500
"""Streams whose history is in memory at a time."""


class Memory:
    """The views of the leads that were met last, within a weight."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.of_stream: dict[str, View] = {}
        self._views: dict[int, View] = {}
        """By number of the lead, the longest unused first."""
        self._weights: dict[int, int] = {}
        self._weight = 0

    def clear(self) -> None:
        """Forget all views."""
        self.of_stream.clear()
        self._views.clear()
        self._weights.clear()
        self._weight = 0

    def keep(self, view: View) -> None:
        """Remember *view* as the one used last."""
        lead_no = view.lead_no
        before = self._views.pop(lead_no, None)
        self._views[lead_no] = view
        weight = view.weight
        self._weight += weight - self._weights.get(lead_no, 0)
        self._weights[lead_no] = weight
        if before is not view:
            for stream in view.streams:
                self.of_stream[stream] = view

    def forget(self, lead_no: int) -> None:
        """Forget the view of a lead, if there is one."""
        view = self._views.pop(lead_no, None)
        if view is not None:
            self._weight -= self._weights.pop(lead_no)
            for stream in view.streams:
                del self.of_stream[stream]

    def shrink(self) -> None:
        """Forget the views that were not used for longest, down to the limit."""
        while self._weight > self.limit:
            self.forget(next(iter(self._views)))


class Batch:
    """Projects one batch of events."""

    def __init__(self, memory: Memory, next_lead_no: int, rules: Rules) -> None:
        self.rows = Rows()
        self.next_lead_no = next_lead_no
        self.memory = memory
        self.rules = rules
        self.groups: dict[str, list[Event]] = {}
        self.first: dict[str, int] = {}
        """Streams to the version of their first event in the batch."""
        self.merges: list[tuple[str, str]] = []
        self.publishes = False
        """Whether a policy is published in the batch."""
        self._stale: dict[int, list[str]] = {}
        """Leads to read from history, with their streams."""

    def add(self, events: Events) -> None:
        """Add events that come next in the log."""
        groups = self.groups
        for _, stream, version, event in events:
            group = groups.get(stream)
            if group is None:
                groups[stream] = [event]
                self.first[stream] = version
            else:
                group.append(event)
            if type(event) is LeadMerged:
                self.merges.append((stream, event.other))
            elif type(event) is PolicyPublished:
                self.publishes = True

    @property
    def is_whole(self) -> bool:
        """Return whether both halves of every merge are here, one on either stream."""
        halves = set(self.merges)
        return all((other, one) in halves for one, other in halves)

    def project(self, writer: Writer, history: History) -> None:
        """Fill ``rows`` with what the batch changes."""
        lead_of = self._known(writer)
        united = self._unite(lead_of, writer)
        misses: dict[int, list[str]] = {}
        of_stream = self.memory.of_stream
        for stream, group in self.groups.items():
            if stream in united:
                continue
            view = of_stream.get(stream)
            if view is not None:
                self._advance(view, group)
                continue
            lead_no = lead_of.get(stream)
            if lead_no is not None:
                misses.setdefault(lead_no, []).append(stream)
            elif is_kept(group):
                lead_no = self._new_lead()
                self.rows.streams.append((stream, lead_no))
                if self.first[stream] <= FIRST_VERSION:
                    self._fold(lead_no, [stream], [group])
                else:
                    # its earlier facts carried no identifier, so that it was no lead's until now
                    self._stale[lead_no] = [stream]
        self._miss(misses, writer)
        self._refold(history)

    def _known(self, writer: Writer) -> dict[str, int]:
        """Return the leads of the streams that may be in the tables but are not in memory."""
        of_stream = self.memory.of_stream
        asked = [
            stream
            for stream, version in self.first.items()
            if version > FIRST_VERSION and stream not in of_stream
        ]
        asked += [
            other for _, other in self.merges if other not in of_stream and other not in self.first
        ]
        return writer.leads_of(asked) if asked else {}

    def _new_lead(self) -> int:
        lead_no = self.next_lead_no
        self.next_lead_no += 1
        return lead_no

    def _keep(self, view: View) -> None:
        view.settle(self.rows)
        self.memory.keep(view)

    def _advance(self, view: View, group: list[Event]) -> None:
        """Take *group* into *view*, or begin anew where it does not follow."""
        rows = self.rows
        facts = [event for event in group if type(event) is Fact]
        if view.is_disturbed_by(group, self.rules):
            self._begin_anew(view)
        elif view.lead is None:
            if judged_alike(facts, self.rules) and view.follows(facts):
                view.rules = self.rules
                view.feed(group, rows)
                self._keep(view)
            else:
                self._begin_anew(view)
        elif view.follows(facts):
            if go_on(view, facts, self.rules, rows):
                view.decision = decided_in([group]) or view.decision
                self._keep(view)
            else:
                self._begin_anew(view)
        elif machine_acts(everything := [*view.lead.facts, *facts], self.rules):
            self._begin_anew(view)
        else:
            anew = View(view.lead_no, view.streams)
            rows.dropped.append(view.lead_no)
            self._add_parts(view.lead_no, view.streams)
            rows.spend += spend_rows(view.lead_no, [everything], self.rules)
            decide_anew(anew, everything, self.rules, rows)
            anew.decision = decided_in([group]) or view.decision
            self._keep(anew)

    def _begin_anew(self, view: View) -> None:
        """Have the lead of *view* read from history."""
        self._stale[view.lead_no] = view.streams
        self.rows.dropped.append(view.lead_no)

    def _add_parts(self, lead_no: int, streams: Collection[str]) -> None:
        if len(streams) > 1:
            self.rows.parts += [(lead_no, stream) for stream in streams]

    def _miss(self, misses: dict[int, list[str]], writer: Writer) -> None:
        """Have leads read from history whose views are not in memory."""
        if not misses:
            return
        for lead_no, stream in writer.parts_of(misses):
            streams = misses[lead_no]
            if stream not in streams:
                streams.append(stream)
        self.rows.dropped += [*misses, *writer.siblings_of(misses)]
        self._stale.update(misses)

    def _unite(self, lead_of: dict[str, int], writer: Writer) -> set[str]:
        """Make leads one that the batch says are; return their streams."""
        if not self.merges:
            return set()
        of_stream = self.memory.of_stream
        parts: dict[str, set[str]] = {}
        """Stream to all streams of its lead, one set for all of them."""
        numbers: dict[str, int] = {}
        for pair in self.merges:
            for stream in pair:
                if stream in parts:
                    continue
                view = of_stream.get(stream)
                if view is not None:
                    streams, lead_no = set(view.streams), view.lead_no
                elif stream in lead_of:
                    lead_no = lead_of[stream]
                    streams = {stream, *(part for _, part in writer.parts_of([lead_no]))}
                else:
                    streams, lead_no = {stream}, 0
                for part in streams:
                    parts[part] = streams
                    if lead_no:
                        numbers[part] = lead_no
            one, other = parts[pair[0]], parts[pair[1]]
            if one is not other:
                one |= other
                for part in other:
                    parts[part] = one
        for streams in {id(streams): streams for streams in parts.values()}.values():
            leads = sorted({numbers[part] for part in streams if part in numbers})
            lead_no = leads[0] if leads else self._new_lead()
            for old in leads:
                self.memory.forget(old)
            self.rows.dropped += [*leads, *writer.siblings_of(leads)]
            ordered = sorted(streams)
            self.rows.changed_streams += [(stream, lead_no) for stream in ordered]
            self._stale[lead_no] = ordered
        return set(parts)

    def _refold(self, history: History) -> None:
        """Read leads from history and fold them."""
        for leads in _some(self._stale.items(), STREAMS_AT_ONCE):
            found = history.histories([stream for _, streams in leads for stream in streams])
            for lead_no, streams in leads:
                parts = [self._cut(stream, found.pop(stream, [])) for stream in streams]
                self._add_parts(lead_no, streams)
                self._fold(lead_no, streams, parts)
            self.memory.shrink()

    def _fold(self, lead_no: int, streams: list[str], parts: list[list[Event]]) -> None:
        """Fold the people in the whole histories of *streams*, the first as *lead_no*."""
        self.memory.forget(lead_no)
        self.rows.spend += spend_rows(lead_no, parts, self.rules)
        views = views_of(self._numbers(lead_no), streams, parts, self.rules, self.rows)
        self.rows.siblings += [(lead_no, view.lead_no) for view in views[1:]]
        if len(views) == 1 and not views[0].is_unsettled:
            self.memory.keep(views[0])

    def _numbers(self, first: int) -> Iterator[int]:
        """Yield *first*, then numbers that no lead has yet."""
        yield first
        while True:
            yield self._new_lead()

    def _cut(self, stream: str, events: list[Event]) -> list[Event]:
        """Return what of a stream's history lies within the batch."""
        group = self.groups.get(stream)
        if group is None:
            return events
        return events[: self.first[stream] - FIRST_VERSION + len(group)]


def is_kept(events: Iterable[Event]) -> bool:
    """Return whether there are rows for *events*: of a lead, or of spend, which is nobody's."""
    return has_keys(events) or any(type(event) is Fact and event.type == SPEND for event in events)


def _some(
    leads: Iterable[tuple[int, list[str]]], streams_at_once: int
) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield *leads* in lists of about so many streams."""
    some: list[tuple[int, list[str]]] = []
    count = 0
    for lead_no, streams in leads:
        some.append((lead_no, streams))
        count += len(streams)
        if count >= streams_at_once:
            yield some
            some, count = [], 0
    if some:
        yield some
