"""A lead: what has happened to it (evolve), folded from its history in the order of the log.

``evolve`` is a function of its arguments alone. For speed it changes the lead it is given, as a
fold owns its accumulator; keep a ``copy`` where the old state is needed. What a new fact leads to
is in ``domain.decide``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from domain.corrections import (
    CORRECTIONS,
    MAILS,
    NOTHING,
    Corrections,
    FactId,
    corrections,
    with_actors,
)
from domain.events import (
    ActorJudged,
    Event,
    Fact,
    LeadMerged,
    LeadRestated,
    OrderKey,
    StageEntered,
    ThresholdCrossed,
    canonical,
)
from domain.guards import is_intent, note_answer, opportunity_of
from domain.ledger import Ledger
from domain.policy import Policy
from domain.scoring import flat_traits
from domain.vocabulary import INTENT

_BEFORE_ALL: Final[OrderKey] = (-(2**63), "", -1, "")

_BOUNDS: Final = ("ceiling", "hot_until", "cold_until", "pending", "decided_by", "mails", "ledger")
_DERIVED: Final = (*_BOUNDS, "corrected")


class Lead:
    """The state of one lead: the fold of its history in the order of the log."""

    __slots__ = (
        "ceiling",
        "cold_until",
        "corrected",
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
        "judged",
        "last",
        "ledger",
        "mails",
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
        """Name of a criterion, as said, to whether the answer satisfies it; the latest last."""
        self.opportunities: dict[str, str] = {}
        """Opportunity to ``open``, ``won`` or ``lost``."""
        self.recycled_until: int | None = None
        self.judged: dict[FactId, str] = {}
        """Facts to who acted, as the engine has judged, whatever was reported."""
        self.corrected: Corrections = NOTHING
        """The corrections in force: what the facts say, kept at hand."""
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
        self.mails: dict[str, list[Fact]] | None = None
        """Mail acts by message, as far as a verdict on machines looks at them; None: not looked."""
        self.ledger: Ledger | None = None
        """What the facts earned under a policy; None: not asked yet."""

    def copy(self) -> "Lead":
        """Return an independent copy; facts are shared, since they never change."""
        other = Lead.__new__(Lead)
        for name in Lead.__slots__:
            value = getattr(self, name)
            setattr(other, name, value.copy() if hasattr(value, "copy") else value)
        other.mails = other.ledger = None  # both would be changed under the other's hands
        return other

    def state(self) -> Mapping[str, Any]:
        """Return what the lead knows, without the bounds that only save work."""
        return {name: getattr(self, name) for name in Lead.__slots__ if name not in _DERIVED}

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
        self.mails = None
        self.ledger = None

    def effective(self) -> list[Fact]:
        """Return the facts that count, as they count, in canonical order."""
        facts = self.facts if self.in_order else canonical(self.facts)
        voided = self.corrected.voided
        if voided:
            facts = [fact for fact in facts if (fact.source, fact.id) not in voided]
        if not self.judged and not self.corrected.actors:
            return facts
        return with_actors(facts, self.judged | self.corrected.as_actors())


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
    elif isinstance(event, ActorJudged):
        if event.actor is None:
            lead.judged.pop(event.of, None)
        else:
            lead.judged[event.of] = event.actor
        lead.forget_bounds()
    elif isinstance(event, LeadRestated) or (isinstance(event, LeadMerged) and event.into is None):
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
    if (
        lead.corrected.voided
        and (fact.source, fact.id) in lead.corrected.voided
        and fact.type not in CORRECTIONS  # with it, what voids it may not hold any more
    ):
        return
    if fact.traits:
        for path, value in flat_traits(fact.traits):
            if order > lead.trait_orders.get(path, _BEFORE_ALL):
                lead.traits[path] = value
                lead.trait_orders[path] = order
    if fact.type == "lead.qualified":
        lead.qualified = True
    if lead.mails is not None and fact.type in MAILS and isinstance(fact.get("message"), str):
        lead.mails.setdefault(fact.get("message"), []).append(fact)
    note = _NOTES.get(fact.type)
    if note is not None:
        note(lead, fact)


def _note_intent(lead: Lead, fact: Fact) -> None:
    if is_intent(fact):
        lead.intent = True


def _note_answer(lead: Lead, fact: Fact) -> None:
    note_answer(lead.criteria, fact)


def _note_opportunity(lead: Lead, fact: Fact) -> None:
    name = opportunity_of(lead.opportunities, fact)
    if fact.type in ("opportunity.created", "opportunity.changed"):
        lead.opportunities.setdefault(name, "open")
    else:
        lead.opportunities[name] = "won" if fact.type == "deal.won" else "lost"


def _note_correction(lead: Lead, _: Fact) -> None:
    """Look at the traits again; what else the lead knows is told by the decision that follows."""
    lead.corrected = corrections(canonical(lead.facts))
    lead.traits, lead.trait_orders = {}, {}
    for one in lead.effective():
        if one.traits:
            for path, value in flat_traits(one.traits):
                lead.traits[path] = value
                lead.trait_orders[path] = one.order
    lead.forget_bounds()


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
    **dict.fromkeys(CORRECTIONS, _note_correction),
}


def absorb(lead: Lead, other: Lead) -> Lead:
    """Return *lead* with the facts of *other*, which is the same person, in the order they came."""
    for fact in other.facts:
        if (fact.source, fact.id) not in lead.seen:
            _remember(lead, fact)
    lead.judged |= other.judged
    return lead


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
