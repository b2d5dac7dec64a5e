"""One lead from the store: all that is known of it at one moment.

Without ``as_of`` and ``known_at`` the stage is the one that was decided, fact by fact as the log
brought them. With either, only the facts count that had happened or had been recorded by then; the
decisions stand where these are the first facts of a lead that came in order, else they are taken
anew, as if every fact had arrived when it happened. Everything else is a fold of the facts in
canonical order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from domain.book import Rules, judged_alike
from domain.corrections import effective
from domain.decide import as_occurred
from domain.events import (
    Decision,
    Event,
    Fact,
    LeadMerged,
    PolicyPublished,
    canonical,
)
from domain.identity import known_by, lead_id
from domain.lead import Lead, fold, fold_streams
from domain.ledger import Contribution, Ledger
from domain.policy import Policy
from domain.scoring import (
    Score,
    fit_contributions,
    score_of,
)
from leadflow.instants import rfc3339
from leadflow.store.base import Store
from leadflow.store.codec import decode
from projections.feeding import Person, counting, people_in, unsettles
from projections.rows import Rows
from projections.view import View

FactId = tuple[str, str]
"""Source and id."""


class LeadUnknown(Exception):
    """Nobody is known by the key, or was at the instant asked for."""


@dataclass(slots=True)
class Dossier:
    """All that is known of one lead at one moment."""

    lead_id: str
    facts: list[Fact]
    """In canonical order, all that hold for the moment; some may be voided."""
    positions: Mapping[FactId, int]
    """Where each fact is in the log."""
    decisions: Mapping[FactId, list[Decision]]
    decided: Lead
    """The lead as it was decided."""
    occurred: Sequence[Sequence[Event]]
    """Per fact in canonical order: the fact and the decisions, as it occurred."""
    view: View
    rows: Rows
    """What the read models hold of the lead."""
    rules: Rules
    at: int
    """The instant that scores are told for, microseconds UTC."""
    _counted: list[Fact] | None = None
    _ledger: Ledger | None = None
    _contributions: list[Contribution] | None = None

    @property
    def policy(self) -> Policy:
        """Return the policy in force at the instant of the dossier."""
        return self.rules.at(self.at)

    def counted_at_last(self) -> list[Fact]:
        """Return the facts that count, whenever they happened, as they count, in order."""
        return counting(self.facts, self.rules)

    def counted(self) -> list[Fact]:
        """Return the facts that had happened by then and count, as they count, in order."""
        if self._counted is None:
            past = [fact for fact in self.facts if fact.at <= self.at]
            self._counted = effective(past, self.rules)
        return self._counted

    def ledger(self) -> Ledger:
        """Return what the facts earned under the policy of the instant; worked out once."""
        if self._ledger is None:
            self._ledger = Ledger(self.policy, self.counted())
        return self._ledger

    def contributions(self) -> list[Contribution]:
        """Return what each fact adds to the score at the instant of the dossier; worked out once."""
        if self._contributions is None:
            self._contributions = [
                *fit_contributions(self.counted(), self.policy),
                *self.ledger().contributions(self.at),
            ]
        return self._contributions

    def score(self) -> Score:
        """Return the score at the instant of the dossier."""
        fits = sum(part.counted for part in fit_contributions(self.counted(), self.policy))
        return score_of(fits, self.ledger().engagement(self.at), self.policy)


Choose = Callable[[Sequence[Person]], int]
"""Says which of several people, who share streams, is meant."""


def open_dossier(
    store: Store,
    rules: Rules,
    stream: str,
    *,
    now: int,
    as_of: int | None = None,
    known_at: int | None = None,
    choose: Choose | None = None,
) -> Dossier:
    """Return what is known of the lead whose stream is *stream*; instants are microseconds UTC.

    Where its streams hold several people, *choose* says who is meant, by default the first known.
    Scores are told for *as_of*, else *known_at*, else *now*. Raises LeadUnknown and
    StoreUnavailable.
    """
    positions, streams = _read(store, stream)
    if not any(fact.keys for fact in _facts(streams.values())):
        raise LeadUnknown("no lead is known by it")

    def holds(event: Event) -> bool:
        return (as_of is None or event.at <= as_of) and (
            known_at is None or event.recorded_at <= known_at
        )

    histories = [[event for event in events if holds(event)] for events in streams.values()]
    whole = all(
        len(kept) == len(had) for kept, had in zip(histories, streams.values(), strict=True)
    )
    people = [
        person
        for person in people_in(histories, rules, joined=whole)
        if any(fact.keys for fact in person[1])
    ]
    if not people:
        moment = rfc3339(min(one for one in (as_of, known_at) if one is not None))
        raise LeadUnknown(f"nothing was known of the lead at {moment}")
    identifier, kept = people[choose(people) if choose is not None and len(people) > 1 else 0]
    lead, events = _in_order(streams, stream, kept, rules) if len(people) == 1 else (None, [])
    rows = Rows()
    view = View(1, list(streams))
    view.rules = rules
    if lead is not None:
        # The decisions that were taken are those that would be taken again.
        history = _by_fact(events)
        decisions = _decisions([events])
        decided = lead
    else:
        decided, history = as_occurred(kept, rules)
        taken = _decisions(streams.values()) if whole else _decisions(history)
        decisions = {(fact.source, fact.id): taken.get((fact.source, fact.id), []) for fact in kept}
        if whole and len(people) == 1:
            decided = fold_streams(streams, stream)
    view.feed([event for told in history for event in told], rows)
    known = identifier or known_by(canonical(kept))
    if known is None:
        raise LeadUnknown("no lead is known by it")
    view.lead_id = lead_id(known)
    view.settle(rows)
    return Dossier(
        lead_id=view.lead_id if whole else _id_now(streams, rules, kept[0]),
        facts=canonical(kept),
        positions=positions,
        decisions=decisions,
        decided=decided,
        occurred=history,
        view=view,
        rows=rows,
        rules=rules,
        at=now if as_of is None and known_at is None else _first(as_of, known_at),
    )


def _id_now(streams: Mapping[str, Sequence[Event]], rules: Rules, fact: Fact) -> str:
    """Return the id that the person whose *fact* is has by all that is known."""
    for identifier, facts in people_in(streams.values(), rules):
        if fact in facts:
            known = identifier or known_by(canonical(facts))
            if known is not None:
                return lead_id(known)
    raise LeadUnknown("no lead is known by it")


def _read(store: Store, stream: str) -> tuple[dict[FactId, int], dict[str, list[Event]]]:
    """Return where each fact of a lead is in the log, and the events of its streams."""
    positions: dict[FactId, int] = {}
    streams: dict[str, list[Event]] = {}
    for position, name, _version, topic, state in store.positions_of(
        [stream, *store.merged([stream])]
    ):
        event = decode(topic, state)
        streams.setdefault(name, []).append(event)
        if isinstance(event, Fact):
            positions.setdefault((event.source, event.id), position)
    return positions, streams


def _facts(histories: Iterable[Iterable[Event]]) -> list[Fact]:
    return [event for events in histories for event in events if isinstance(event, Fact)]


def _first(*instants: int | None) -> int:
    return next(instant for instant in instants if instant is not None)


def _in_order(
    streams: Mapping[str, list[Event]], stream: str, kept: Sequence[Fact], rules: Rules
) -> tuple[Lead | None, list[Event]]:
    """Return the lead and its events up to the last of the facts that are *kept*.

    Only where one stream brought all facts in canonical order and these are the first of them, each
    under the policy that it happened under; else None.
    """
    if len(streams) != 1 or not judged_alike(kept, rules):
        return None, []
    if any(unsettles(event) for event in streams[stream]):
        return None, []
    ids = {(fact.source, fact.id) for fact in kept}
    events = list(takewhile(lambda event: (event.source, event.id) in ids, streams[stream]))
    lead = fold(events)
    if not lead.in_order or len(lead.facts) != len(kept):
        return None, []
    return lead, events


def _by_fact(events: Iterable[Event]) -> list[list[Event]]:
    """Return the facts, each with the decisions behind it."""
    history: list[list[Event]] = []
    for event in events:
        if isinstance(event, Fact):
            history.append([event])
        else:
            history[-1].append(event)
    return history


def _decisions(histories: Iterable[Iterable[Event]]) -> dict[FactId, list[Decision]]:
    """Return the decisions by the fact that caused them; of a merge, the lead's own half."""
    found: dict[FactId, list[Decision]] = {}
    for events in histories:
        for event in events:
            if isinstance(event, Fact | PolicyPublished):
                continue
            if isinstance(event, LeadMerged) and event.into:
                continue
            found.setdefault((event.source, event.id), []).append(event)
    return found
