"""What a new fact leads to: decisions, taken once and for all.

``decide`` is a function of its arguments alone; ``as_occurred`` decides a whole history anew, as if
every fact had arrived when it happened.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from domain.band import crossing
from domain.book import Rules
from domain.corrections import (
    CORRECTIONS,
    MAILS,
    NOTHING,
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
    StageEntered,
    canonical,
    judged_at,
)
from domain.guards import GUARDS, Case
from domain.lead import Lead, evolve
from domain.policy import Policy
from domain.stages import Move


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


def merge(
    lead: Lead,
    lead_id: str,
    other: Lead,
    other_id: str,
    fact: Fact,
    rules: Rules,
    rule: str = "shared_identifier",
    known: Lead | None = None,
) -> tuple[LeadMerged, LeadMerged]:
    """Return the decisions, for the stream of *lead* and of *other*, that the two belong together.

    *fact* carries identifiers of both, or corrects what is on one; *rule* names which.
    *known* is what they are told to be together, where somebody has worked it out. The stage is the one that the facts of both lead to.
    """
    union = as_occurred([*lead.facts, *other.facts], rules)[0] if known is None else known
    goes_on = LeadMerged(
        other=other_id,
        into=None,
        **_told(union),
        at=fact.at,
        recorded_at=fact.recorded_at,
        rule=rule,
        policy=rules.at(fact.recorded_at).version,
        source=fact.source,
        id=fact.id,
    )
    return goes_on, replace(goes_on, other=lead_id, into=lead_id)


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
