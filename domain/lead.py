"""A lead: what a new fact leads to (decide) and what has happened (evolve).

``decide`` and ``evolve`` are functions of their arguments alone. For speed ``evolve`` changes the
lead it is given, as a fold owns its accumulator; keep a ``copy`` where the old state is needed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from domain.band import crossing
from domain.book import Rules
from domain.corrections import (
    CORRECTIONS,
    MAILS,
    NOTHING,
    Corrections,
    FactId,
    corrections,
    effective,
    machine_acts,
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
    judged_at,
)
from domain.guards import GUARDS, Case, is_intent, note_answer, opportunity_of
from domain.ledger import Ledger
from domain.policy import Policy
from domain.scoring import flat_traits
from domain.stages import Move
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


def canonical(facts: Iterable[Fact]) -> list[Fact]:
    """Return *facts* in canonical order: instant, source, sequence, id."""
    return sorted(facts, key=lambda fact: (fact.at, fact.source, fact.sequence, fact.id))


# --- decide ---------------------------------------------------------------------------------------


def decide(lead: Lead, fact: Fact, policy: Policy) -> list[Event]:
    """Return the fact and the decisions that it leads to; [] when the lead has it already.

    The decisions are taken at the instant of the fact, or of the lead's newest fact if that is
    later, and stand as they are taken: what arrives late, or is corrected later, changes numbers,
    not decisions.
    """
    if (fact.source, fact.id) in lead.seen:
        return []
    if lead.decided_by is not policy:
        if lead.decided_by is not None:
            lead.forget_bounds()
        lead.decided_by = policy
    if fact.type in CORRECTIONS:
        return _decide_correction(lead, fact, policy)
    if lead.corrected:  # it may have been corrected before it came
        key = (fact.source, fact.id)
        if key in lead.corrected.voided:
            return [fact]
    verdicts = _verdicts(lead, fact, policy) if fact.type in MAILS else []
    if not verdicts and (fact.source, fact.id) not in lead.corrected.actors:
        return _decide(lead, fact, policy)
    return _decide_judged(lead, fact, policy, verdicts)


def _decide(lead: Lead, fact: Fact, policy: Policy) -> list[Event]:
    """Return the fact and the decisions that it leads to, as it stands."""
    events: list[Event] = [fact]
    crossed = crossing(lead, fact, policy)
    if crossed is not None:
        events.append(crossed)
        hot = crossed.direction == "up"
    else:
        hot = lead.hot
    pack = policy.pack
    case = Case(lead, fact, policy, hot)
    move = _next_move(pack.moves(fact.type, lead.stage), case)
    stage, cycle, cycle_kind = lead.stage, lead.cycle, lead.cycle_kind
    while move is not None:
        if move.opens is not None:
            cycle, cycle_kind = cycle + 1, move.opens
            case = case._replace(fresh=True)
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
        move = _next_move(pack.moves(fact.type, stage, move), case)
    return events


def _decide_correction(lead: Lead, fact: Fact, policy: Policy) -> list[Event]:
    """Return what follows from a correction.

    What the lead knows is what its facts say now. Its stage stays as it was decided, but for what
    the score that follows leads to.
    """
    after = lead.copy()
    facts = canonical([*lead.facts, fact])
    after.corrected = corrections(facts)
    changed = lead.corrected.changed_to(after.corrected)
    if changed.isdisjoint(lead.seen):
        return _decide(lead, fact, policy)
    verdicts = changed_verdicts(after, mails_beside(facts, changed), fact, policy)
    for verdict in verdicts:
        evolve(after, verdict)
    known, _ = as_occurred(facts, policy)
    after.traits = known.traits
    restated = restate(known, fact, policy.version, "corrected", stage_of=lead)
    evolve(after, restated)
    return [fact, *verdicts, restated, *_decide(after, fact, policy)[1:]]


def _decide_judged(
    lead: Lead, fact: Fact, policy: Policy, verdicts: Sequence[ActorJudged]
) -> list[Event]:
    """Return what follows from a fact whose actor is another, or that shows who did others."""
    after = lead
    if verdicts:
        after = lead.copy()
        for verdict in verdicts:
            evolve(after, verdict)
    as_judged = with_actors([fact], after.judged | after.corrected.as_actors())[0]
    return [fact, *verdicts, *_decide(after, as_judged, policy)[1:]]


def _verdicts(lead: Lead, fact: Fact, policy: Policy) -> list[ActorJudged]:
    """Return the verdicts on machines that *fact*, a mail act, brings up."""
    message = fact.get("message")
    if not isinstance(message, str):
        return []
    if lead.mails is None:
        lead.mails = {}
        for one in lead.facts:
            if one.type in MAILS and isinstance(name := one.get("message"), str):
                lead.mails.setdefault(name, []).append(one)
    acts = lead.mails.get(message)
    if acts is None:
        return []
    counted = [one for one in acts if (one.source, one.id) not in lead.corrected.voided]
    return [
        _judged(key, "machine", rule, fact, policy)
        for key, rule in machine_acts([*counted, fact], policy).items()
        if key not in lead.judged and key not in lead.corrected.actors
    ]


def mails_beside(facts: Iterable[Fact], keys: Collection[FactId]) -> list[Fact]:
    """Return the mail acts among *facts* of the messages that those of *keys* are about."""
    mails = [fact for fact in facts if fact.type in MAILS]
    messages = {fact.get("message") for fact in mails if (fact.source, fact.id) in keys}
    return [fact for fact in mails if fact.get("message") in messages]


def changed_verdicts(
    after: Lead, mails: Sequence[Fact], by: Fact, rules: Rules
) -> list[ActorJudged]:
    """Return the verdicts on *mails* that hold otherwise now.

    They are all mail acts of some messages; *by* is the fact that brought it up: a correction, or
    what joined two leads.
    """
    counted = [one for one in mails if (one.source, one.id) not in after.corrected.voided]
    asked = {(one.source, one.id) for one in mails}
    found = machine_acts(counted, rules)
    policy = rules.at(by.recorded_at)
    return [
        _judged(key, "machine", rule, by, policy)
        for key, rule in sorted(found.items())
        if key not in after.judged and key not in after.corrected.actors
    ] + [
        _judged(key, None, "withdrawn", by, policy)
        for key in sorted(after.judged)
        if key in asked and key not in found
    ]


def _judged(of: FactId, actor: str | None, rule: str, by: Fact, policy: Policy) -> ActorJudged:
    return ActorJudged(of, actor, by.at, by.recorded_at, rule, policy.version, by.source, by.id)


def restate(
    known: Lead, fact: Fact, policy: str, rule: str, *, stage_of: Lead | None = None
) -> LeadRestated:
    """Return the decision, caused by *fact*, that a lead is as *known*, or its stage as before."""
    told = _told(known)
    if stage_of is not None:
        told |= {name: value for name, value in _told(stage_of).items() if name in _STAGE}
    return LeadRestated(
        **told,
        at=fact.at,
        recorded_at=fact.recorded_at,
        rule=rule,
        policy=policy,
        source=fact.source,
        id=fact.id,
    )


_STAGE: Final = frozenset(("stage", "cycle", "cycle_kind", "entered_at", "hot"))


def _told(lead: Lead) -> dict[str, Any]:
    """Return what decisions that make a lead hold anew tell of it."""
    return {
        "stage": lead.stage,
        "cycle": lead.cycle,
        "entered_at": lead.entered_at,
        "hot": lead.hot,
        "cycle_kind": lead.cycle_kind,
        "intent": lead.intent,
        "qualified": lead.qualified,
        "criteria": lead.criteria,
        "opportunities": lead.opportunities,
        "recycled_until": lead.recycled_until,
    }


def _next_move(candidates: tuple[Move, ...], case: Case) -> Move | None:
    """Return the first of *candidates* whose guard holds."""
    for move in candidates:
        if move.automatic and not case.policy.auto_advance:
            continue
        if move.guard is None or GUARDS[move.guard](case):
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
    name = opportunity_of(lead, fact)
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
        **_told(union),
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
    is judged by the policy in force when it happened, or was received if its clock ran ahead. What
    was voided is not there, and actors are those that the last word names.
    """
    lead = Lead()
    history: list[list[Event]] = []
    ordered = canonical(facts)
    if not ordered:
        return lead, history
    for fact in effective(ordered, rules):
        if (fact.source, fact.id) in lead.seen:
            continue
        policy = rules.at(judged_at(fact))
        if lead.decided_by is not policy:
            lead.forget_bounds()
            lead.decided_by = policy
        events = _decide(lead, fact, policy)
        for event in events:
            evolve(lead, event)
        lead.corrected = NOTHING  # the facts say already what the last word is
        history.append(events)
    return lead, history
