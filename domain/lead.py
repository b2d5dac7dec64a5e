"""A lead: what a new fact leads to (decide) and what has happened (evolve).

``decide`` and ``evolve`` are functions of their arguments alone. For speed ``evolve`` changes the
lead it is given, as a fold owns its accumulator; keep a ``copy`` where the old state is needed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from domain.band import crossing
from domain.book import Rules
from domain.events import (
    Event,
    Fact,
    LeadMerged,
    OrderKey,
    StageEntered,
    ThresholdCrossed,
)
from domain.guards import GUARDS, Case, is_intent, opportunity_of
from domain.policy import Policy
from domain.qualification import criterion_of, is_satisfied
from domain.scoring import flat_traits
from domain.stages import Move, moves
from domain.vocabulary import INTENT

_BEFORE_ALL: Final[OrderKey] = (-(2**63), "", -1, "")

_BOUNDS: Final = ("ceiling", "hot_until", "cold_until", "pending", "decided_by")


class Lead:
    """The state of one lead: the fold of its history in the order of the log."""

    __slots__ = (
        "ceiling",
        "cold_until",
        "criteria",
        "cycle",
        "cycle_kind",
        "decided_by",
        "entered_at",
        "facts",
        "hot",
        "hot_until",
        "in_order",
        "intent",
        "last",
        "opportunities",
        "pending",
        "qualified",
        "recycled_until",
        "seen",
        "stage",
        "trait_orders",
        "traits",
    )

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        """Every fact, in the order of the log."""
        self.seen: set[tuple[str, str]] = set()
        """Source and id of every fact."""
        self.last: OrderKey = _BEFORE_ALL
        """The greatest place in canonical order so far."""
        self.in_order = True
        """Whether the log brought the facts in canonical order."""
        self.stage: str | None = None
        self.cycle = 1
        self.cycle_kind = "new"
        self.entered_at: int | None = None
        self.hot = False
        """Whether the engagement is in the band above the MQL threshold."""
        self.traits: dict[str, Any] = {}
        """Dotted path to the latest value, in canonical order."""
        self.trait_orders: dict[str, OrderKey] = {}
        """Dotted path to the place of the fact that gave the value."""
        self.intent = False
        """Whether the person showed intent in this cycle."""
        self.qualified = False
        """Whether a person called the lead qualified in this cycle."""
        self.criteria: dict[str, bool] = {}
        """Qualification criterion to whether its latest answer satisfies it."""
        self.opportunities: dict[str, str] = {}
        """Opportunity to ``open``, ``won`` or ``lost``."""
        self.recycled_until: int | None = None
        # What follows are bounds that save work in decide and say nothing about the lead: the
        # capped gains cannot exceed the ceiling (None: not known), a hot lead stays so until
        # hot_until unless it loses points, a cold one until cold_until unless it gains some.
        # Pending are a fact that was weighed and the bounds that hold once it has happened.
        self.ceiling: int | None = 0
        self.hot_until = -1
        self.cold_until = -1
        self.pending: tuple[Fact, int, int, int] | None = None
        self.decided_by: Policy | None = None
        """The policy that the bounds belong to."""

    def copy(self) -> "Lead":
        """Return an independent copy; facts are shared, since they never change."""
        other = Lead.__new__(Lead)
        for name in Lead.__slots__:
            value = getattr(self, name)
            setattr(other, name, value.copy() if hasattr(value, "copy") else value)
        return other

    def state(self) -> Mapping[str, Any]:
        """Return what the lead knows, without the bounds that only save work."""
        return {name: getattr(self, name) for name in Lead.__slots__ if name not in _BOUNDS}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lead) and self.state() == other.state()

    __hash__ = None  # type: ignore[assignment]  # mutable, as mypy's stub of object forbids to say

    def forget_bounds(self) -> None:
        """Drop what saves work in ``decide``.

        Call it before deciding by another policy, or after changing the lead by other means than
        ``evolve``.
        """
        self.ceiling, self.hot_until, self.cold_until = None, -1, -1
        self.pending = None


def canonical(facts: Iterable[Fact]) -> list[Fact]:
    """Return *facts* in canonical order: instant, source, sequence, id."""
    return sorted(facts, key=lambda fact: (fact.at, fact.source, fact.sequence, fact.id))


# --- decide ---------------------------------------------------------------------------------------


def decide(lead: Lead, fact: Fact, policy: Policy) -> list[Event]:
    """Return the fact and the decisions that it leads to; [] when the lead has it already.

    The decisions are taken at the instant of the fact, or of the lead's newest fact if that is
    later, and stand as they are taken: what arrives late changes numbers, not decisions.
    """
    if (fact.source, fact.id) in lead.seen:
        return []
    if lead.decided_by is not policy:
        if lead.decided_by is not None:
            lead.forget_bounds()
        lead.decided_by = policy
    events: list[Event] = [fact]
    crossed = crossing(lead, fact, policy)
    if crossed is not None:
        events.append(crossed)
        hot = crossed.direction == "up"
    else:
        hot = lead.hot
    move = _next_move(moves(fact.type, lead.stage), lead, fact, policy, hot)
    stage, cycle, cycle_kind = lead.stage, lead.cycle, lead.cycle_kind
    while move is not None:
        if move.opens is not None:
            cycle, cycle_kind = cycle + 1, move.opens
        events.append(
            StageEntered(
                stage=move.to,
                cycle=cycle,
                at=fact.at,
                recorded_at=fact.recorded_at,
                rule=move.rule,
                policy=policy.version,
                source=fact.source,
                id=fact.id,
                previous=stage,
                cycle_kind=cycle_kind,
            )
        )
        stage = move.to
        move = _next_move(moves(fact.type, stage, move), lead, fact, policy, hot)
    return events


def _next_move(
    candidates: tuple[Move, ...], lead: Lead, fact: Fact, policy: Policy, hot: bool
) -> Move | None:
    """Return the first of *candidates* whose guard holds."""
    for move in candidates:
        if move.automatic and not policy.auto_advance:
            continue
        if move.guard is None or GUARDS[move.guard](Case(lead, fact, policy, hot)):
            return move
    return None


# --- evolve ---------------------------------------------------------------------------------------


def evolve(lead: Lead, event: Event) -> Lead:
    """Return *lead*, changed by *event*. A fact cannot be refused: this never raises."""
    if isinstance(event, Fact):
        _remember(lead, event)
    elif isinstance(event, StageEntered):
        lead.stage = event.stage
        lead.entered_at = event.at
        if event.cycle != lead.cycle:
            lead.cycle = event.cycle
            lead.cycle_kind = event.cycle_kind
            # the fact that opens a cycle belongs to it
            lead.intent = bool(lead.facts) and is_intent(lead.facts[-1])
            lead.qualified = False
            lead.criteria = {}
            lead.recycled_until = None
    elif isinstance(event, ThresholdCrossed):
        lead.hot = event.direction == "up"
    elif isinstance(event, LeadMerged) and event.into is None:
        lead.stage, lead.cycle = event.stage, event.cycle
        lead.cycle_kind = event.cycle_kind
        lead.entered_at, lead.hot = event.entered_at, event.hot
        lead.intent, lead.qualified = event.intent, event.qualified
        lead.criteria = dict(event.criteria)
        lead.opportunities = dict(event.opportunities)
        lead.recycled_until = event.recycled_until
        lead.forget_bounds()
    return lead


def _remember(lead: Lead, fact: Fact) -> None:
    lead.facts.append(fact)
    lead.seen.add((fact.source, fact.id))
    if lead.pending is not None:
        weighed, ceiling, hot_until, cold_until = lead.pending
        lead.pending = None
        if weighed is fact:
            lead.ceiling, lead.hot_until, lead.cold_until = ceiling, hot_until, cold_until
    order = (fact.at, fact.source, fact.sequence, fact.id)
    if order > lead.last:
        lead.last = order
    else:
        lead.in_order = False
    if fact.traits:
        for path, value in flat_traits(fact.traits):
            if order > lead.trait_orders.get(path, _BEFORE_ALL):
                lead.traits[path] = value
                lead.trait_orders[path] = order
    if fact.type == "lead.qualified":
        lead.qualified = True
    note = _NOTES.get(fact.type)
    if note is not None:
        note(lead, fact)


def _note_intent(lead: Lead, fact: Fact) -> None:
    if is_intent(fact):
        lead.intent = True


def _note_answer(lead: Lead, fact: Fact) -> None:
    criterion = criterion_of(fact)
    if criterion is not None:
        lead.criteria[criterion] = is_satisfied(fact)


def _note_opportunity(lead: Lead, fact: Fact) -> None:
    name = opportunity_of(lead, fact)
    if fact.type in ("opportunity.created", "opportunity.changed"):
        lead.opportunities.setdefault(name, "open")
    else:
        lead.opportunities[name] = "won" if fact.type == "deal.won" else "lost"


def _note_recycled(lead: Lead, fact: Fact) -> None:
    until = fact.get("until")
    lead.recycled_until = until if isinstance(until, int) else None


_NOTES: Final[Mapping[str, Callable[[Lead, Fact], None]]] = {
    **dict.fromkeys(INTENT, _note_intent),
    "form.submitted": _note_intent,
    "qualification.answered": _note_answer,
    "opportunity.created": _note_opportunity,
    "opportunity.changed": _note_opportunity,
    "deal.won": _note_opportunity,
    "deal.lost": _note_opportunity,
    "lead.recycled": _note_recycled,
}


def absorb(lead: Lead, other: Lead) -> Lead:
    """Return *lead* with the facts of *other*, which is the same person, in the order they came."""
    for fact in other.facts:
        if (fact.source, fact.id) not in lead.seen:
            _remember(lead, fact)
    return lead


def merge(
    lead: Lead, lead_id: str, other: Lead, other_id: str, fact: Fact, rules: Rules
) -> tuple[LeadMerged, LeadMerged]:
    """Return the decisions, for the stream of *lead* and of *other*, that the two are one person.

    *fact* carries identifiers of both. The stage is the one that the facts of both lead to.
    """
    union, _ = as_occurred([*lead.facts, *other.facts], rules)
    goes_on = LeadMerged(
        other=other_id,
        into=None,
        stage=union.stage,
        cycle=union.cycle,
        entered_at=union.entered_at,
        hot=union.hot,
        cycle_kind=union.cycle_kind,
        intent=union.intent,
        qualified=union.qualified,
        criteria=union.criteria,
        opportunities=union.opportunities,
        recycled_until=union.recycled_until,
        at=fact.at,
        recorded_at=fact.recorded_at,
        rule="shared_identifier",
        policy=rules.at(fact.recorded_at).version,
        source=fact.source,
        id=fact.id,
    )
    return goes_on, replace(goes_on, other=lead_id, into=lead_id)


def fold(
    events: Iterable[Event],
    start: Lead | None = None,
    others: Mapping[str, Lead] | None = None,
) -> Lead:
    """Return the lead after *events*, from *start* or from a new one.

    *others* are the folded leads that were merged into it, by stream.
    """
    lead = Lead() if start is None else start
    for event in events:
        if others and isinstance(event, LeadMerged) and event.into is None:
            absorb(lead, others[event.other])
        evolve(lead, event)
    lead.forget_bounds()
    return lead


def fold_streams(streams: Mapping[str, Sequence[Event]], lead_id: str) -> Lead:
    """Return the lead whose stream is *lead_id*, with those merged into it, theirs likewise."""
    folded: dict[str, Lead] = {}
    waiting = [lead_id]
    while waiting:  # not recursive: a device that many people share makes chains of any length
        stream = waiting[-1]
        missing = [
            event.other
            for event in streams[stream]
            if isinstance(event, LeadMerged) and event.into is None and event.other not in folded
        ]
        if missing:
            waiting += missing
        else:
            folded[stream] = fold(streams[stream], others=folded)
            waiting.pop()
    return folded[lead_id]


def as_occurred(facts: Sequence[Fact], rules: Rules) -> tuple[Lead, list[list[Event]]]:
    """Return the lead as if every fact had arrived when it happened.

    Beside it stand, per fact in canonical order, the fact and the decisions it leads to. Each fact
    is judged by the policy in force when it happened, or was received if its clock ran ahead.
    """
    lead = Lead()
    history = []
    for fact in canonical(facts):
        events = decide(lead, fact, rules.at(min(fact.at, fact.recorded_at)))
        for event in events:
            evolve(lead, event)
        if events:
            history.append(events)
    return lead, history
