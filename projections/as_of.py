"""The read models as they were: what had happened by an instant, as far as it was known by another.

The same fold as a rebuild, over part of the history, into a database in memory that the same
queries are asked of.
"""

from collections.abc import Collection, Iterator

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from domain.book import Rules
from domain.decide import as_occurred
from domain.events import ActorJudged, Event, Fact, LeadMerged
from projections.fill import Filler
from projections.history import History
from projections.setup import VERSION, create
from projections.writer import Checkpoint, writer


class Filtered:
    """A history of the facts with ``at`` <= *as_of* and ``recorded_at`` <= *known_at* only.

    Both are microseconds UTC, None is no limit. The decisions that were taken stand where what is
    left of a stream is how it began; else those stand that the facts left would have led to.
    """

    def __init__(
        self,
        history: History,
        rules: Rules,
        as_of: int | None = None,
        known_at: int | None = None,
    ) -> None:
        self._history = history
        self._rules = rules
        self._as_of = as_of
        self._known_at = known_at
        self._lengths: dict[str, int] = {}
        """Streams of merged leads to how long they were when ``all_streams`` passed them."""

    def _holds(self, event: Event) -> bool:
        return (self._as_of is None or event.at <= self._as_of) and (
            self._known_at is None or event.recorded_at <= self._known_at
        )

    def _filtered(self, events: list[Event]) -> list[Event]:
        kept = [event for event in events if self._holds(event)]
        if kept == events[: len(kept)]:
            return kept
        merges: list[Event] = [event for event in kept if isinstance(event, LeadMerged)]
        facts = [event for event in kept if isinstance(event, Fact)]
        _, history = as_occurred(facts, self._rules)
        made = [event for events in history for event in events]
        counted = [event for event in made if isinstance(event, Fact)]
        told = {(fact.source, fact.id): fact for fact in facts}
        judged = [fact for fact in counted if fact != told[fact.source, fact.id]]
        if judged or len(counted) < len(facts):
            # by what is left, these may be several people, of whom a verdict on all of them
            # together says nothing: it only says that what counts is to be worked out anew
            verdicts = [_verdict(fact) for fact in judged]
            decisions = [event for event in made if not isinstance(event, Fact)]
            made = [*facts, *verdicts, *decisions]
        return [*made, *merges]

    def head(self) -> int:
        """Return the last position of the whole log."""
        return self._history.head()

    def stream(self, after: int, limit: int) -> list[tuple[int, str, int, Event]]:
        """Refuse: what is left of the log has no versions to go on from."""
        raise NotImplementedError("a filtered history is read by streams")

    def histories(self, streams: Collection[str]) -> dict[str, list[Event]]:
        """Return what is left of *streams*."""
        return {
            stream: self._filtered(events[: self._lengths.get(stream)])
            for stream, events in self._history.histories(streams).items()
        }

    def all_streams(
        self, upto: int, bucket: int = 0, buckets: int = 1
    ) -> Iterator[tuple[str, list[Event]]]:
        """Yield what is left of each stream."""
        merged = self.merged()
        shared = {*merged, *merged.values()}
        for stream, events in self._history.all_streams(upto, bucket, buckets):
            if stream in shared:
                self._lengths[stream] = len(events)
            kept = self._filtered(events)
            if kept:
                yield stream, kept

    def merged(self) -> dict[str, str]:
        """Return every merge; those that do not hold yet are told by the events themselves."""
        return self._history.merged()


def _verdict(fact: Fact) -> ActorJudged:
    return ActorJudged(
        (fact.source, fact.id),
        fact.actor,
        fact.at,
        fact.recorded_at,
        "as_of",
        "",
        fact.source,
        fact.id,
    )


def as_of_engine(
    history: History, rules: Rules, as_of: int | None = None, known_at: int | None = None
) -> Engine:
    """Return a database in memory with all read models of what had happened by *as_of*.

    *known_at* leaves out what the log received later. Both are microseconds UTC. Dispose of the
    engine when it has answered.
    """
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    create(engine)
    to = writer(engine)
    position = history.head()
    filler = Filler(to.fill, rules, joined=False)
    filler.add_all(Filtered(history, rules, as_of, known_at), position)
    to.set_checkpoint(Checkpoint(position, VERSION, filler.next_lead_no))
    return engine
