"""One lead in documents: what it is, what it went through, why, and what will become of it.

All of them are told of a dossier; see ``leadflow.dossier``.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from domain.corrections import corrections
from domain.decay import divide
from domain.events import (
    ActorJudged,
    Decision,
    Fact,
    LeadMerged,
    LeadRestated,
    StageEntered,
    topic_of,
)
from domain.forecast import forecast as forecast_of
from domain.ledger import Ledger
from domain.policy import DAY, Policy
from domain.qualification import criterion_of, is_satisfied
from domain.scoring import (
    Score,
    fit,
    flat_traits,
    score_of,
    total_of,
)
from leadflow.amounts import decimal_text, points
from leadflow.consents import standings_document
from leadflow.dossier import Dossier, FactId
from leadflow.instants import rfc3339
from leadflow.stage_history import cycles_document, qualification_document
from leadflow.summaries import summary

_LATE: Final = 60_000_000
"""Microseconds; partitions that are read side by side overtake each other by less."""


# --- show ---------------------------------------------------------------------------------------


def show(dossier: Dossier) -> dict[str, Any]:
    """Return the document of `leadflow lead show`."""
    lead, view = dossier.decided, dossier.view
    touches = dossier.rows.touches
    return {
        "lead_id": dossier.lead_id,
        "as_of": rfc3339(dossier.at),
        "stage": lead.stage,
        "stage_as_decided": lead.stage,
        "stage_as_occurred": view.stage,
        "cycle": lead.cycle,
        "entered_at": None if lead.entered_at is None else rfc3339(lead.entered_at),
        "score": score_document(dossier.score()),
        "owner": view.owner,
        "identifiers": [{"kind": kind, "value": value} for kind, value in view.contact.identifiers],
        "first_touch": _touch(touches[0]) if touches else None,
        "last_touch": _touch(touches[-1]) if touches else None,
        "opportunities": [_opportunity(row) for row in dossier.rows.opportunities],
        "consent": standings_document(dossier.counted(), dossier.rules, dossier.at),
        "qualification": qualification_document(lead.effective(), dossier.policy, lead.criteria),
        "cycles": cycles_document(
            (one for decisions in dossier.decisions.values() for one in decisions),
            dossier.occurred,
        ),
        "events": len(dossier.facts),
    }


def score_document(found: Score) -> dict[str, Any]:
    """Return a score in points, exact to six decimals."""
    return {
        "fit": points(found.fit),
        "engagement": points(found.engagement),
        "total": points(found.total),
        "grade": found.grade,
    }


def _touch(row: tuple[Any, ...]) -> dict[str, Any]:
    _, _, at, channel, source, medium, campaign, *_ = row
    return {
        "channel": channel,
        "source": source,
        "medium": medium,
        "campaign": campaign,
        "at": rfc3339(at),
    }


def _opportunity(row: tuple[Any, ...]) -> dict[str, Any]:
    _, _, name, status, amount, currency, product, stage, created, closed, owner, *_ = row
    return {
        "opportunity": name,
        "status": status,
        "amount": None if amount is None else decimal_text(amount, currency),
        "currency": currency,
        "product": product,
        "stage": stage,
        "created_at": rfc3339(created),
        "closed_at": None if closed is None else rfc3339(closed),
        "owner": owner,
    }


# --- timeline -----------------------------------------------------------------------------------


def timeline(dossier: Dossier) -> dict[str, Any]:
    """Return the document of `leadflow lead timeline`: one entry per fact, as it happened.

    *stage* and *score* are those right after the fact, as it occurred; *decisions* are those that
    were taken. They tell different stories where facts came late: a fact is marked *late* when the
    log had already brought one that happened after it, and recorded it a minute later or more.
    """
    stage: str | None = None
    entries: list[dict[str, Any]] = []
    found = corrections(dossier.facts)
    counted = {(fact.source, fact.id): fact for fact in dossier.counted_at_last()}
    follows = {(made[0].source, made[0].id): made[1:] for made in dossier.occurred}
    for fact, scored in zip(dossier.facts, _scores(dossier), strict=True):
        key = (fact.source, fact.id)
        for event in follows.get(key, ()):
            if isinstance(event, StageEntered):
                stage = event.stage
        actor = counted[key].actor if key in counted else fact.actor
        entries.append(
            {
                "position": dossier.positions[key],
                "type": fact.type,
                "occurred_at": rfc3339(fact.at),
                "recorded_at": rfc3339(fact.recorded_at),
                "late": False,
                "source": fact.source,
                "id": fact.id,
                "actor": actor,
                "reported_actor": fact.actor,
                "voided_by": _named(found.voided.get(key)),
                "summary": summary(fact),
                "stage": stage,
                "score": score_document(scored),
                "decisions": [_decision(one) for one in dossier.decisions.get(key, ())],
            }
        )
    earliest: int | None = None
    for entry, fact in zip(reversed(entries), reversed(dossier.facts), strict=True):
        position = entry["position"]
        overtaken = earliest is not None and position > earliest
        entry["late"] = overtaken and fact.recorded_at - fact.at >= _LATE
        earliest = position if earliest is None else min(earliest, position)
    return {"lead_id": dossier.lead_id, "events": entries}


def _named(fact: FactId | None) -> dict[str, str] | None:
    return None if fact is None else {"source": fact[0], "id": fact[1]}


def _scores(dossier: Dossier) -> list[Score]:
    """Return the score right after each fact: `domain.scoring.score`, for all facts at once.

    What a fact earns is looked up once, so that each instant costs its decay alone.
    """
    counted = {(fact.source, fact.id): fact for fact in dossier.counted_at_last()}
    policy: Policy | None = None
    past: list[Fact] = []
    traits: dict[str, Any] = {}
    found = []
    for reported in dossier.facts:
        fact = counted.get((reported.source, reported.id))
        in_force = dossier.rules.at(reported.at)
        if policy is not in_force:  # the new policy judges all that happened so far
            policy = in_force
            ledger = Ledger(policy, past)
            answers = dict(filter(None, (_answer(one, policy) for one in past)))
            fits = fit(traits, policy, _satisfied(answers))
        if fact is not None:
            past.append(fact)
            ledger.add(fact)
            answer = _answer(fact, policy)
            if answer is not None:
                answers.update([answer])
            if fact.traits:
                traits.update(flat_traits(fact.traits))
            if fact.traits or answer is not None:
                fits = fit(traits, policy, _satisfied(answers))
        found.append(score_of(fits, ledger.engagement(reported.at), policy))
    return found


def _answer(fact: Fact, policy: Policy) -> tuple[str, bool] | None:
    """Return the criterion that a fact answers and whether it satisfies it, or None."""
    if fact.type != "qualification.answered":
        return None
    criterion = criterion_of(fact, policy.framework)
    return None if criterion is None else (criterion, is_satisfied(fact))


def _satisfied(answers: Mapping[str, bool]) -> frozenset[str]:
    return frozenset(criterion for criterion, yes in answers.items() if yes)


def _decision(decision: Decision) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": topic_of(decision),
        "rule": decision.rule,
        "policy": decision.policy,
    }
    if isinstance(decision, StageEntered):
        document |= {
            "stage": decision.stage,
            "cycle": decision.cycle,
            "previous": decision.previous,
        }
    elif isinstance(decision, LeadMerged):
        document |= {"other": decision.other, "stage": decision.stage}
    elif isinstance(decision, LeadRestated):
        document |= {"stage": decision.stage}
    elif isinstance(decision, ActorJudged):
        source, id_ = decision.of
        document |= {"actor": decision.actor, "of": {"source": source, "id": id_}}
    else:
        document |= {"threshold": decision.threshold, "direction": decision.direction}
    return document


# --- explain ------------------------------------------------------------------------------------


def explain(dossier: Dossier) -> dict[str, Any]:
    """Return the document of `leadflow lead explain`: every point, and the cause of the stage.

    What is counted sums to fit and engagement exactly.
    """
    parts, found = dossier.contributions(), dossier.score()
    if found != total_of(parts, dossier.policy):
        raise AssertionError("the contributions do not sum to the score")
    entered = _stage_entered(dossier)
    return {
        "lead_id": dossier.lead_id,
        "as_of": rfc3339(dossier.at),
        "policy": dossier.policy.version,
        "score": score_document(found),
        "contributions": [
            {
                "rule": part.rule,
                "axis": part.axis,
                "source": part.source,
                "id": part.id,
                "occurred_at": rfc3339(part.at),
                "points": points(part.points),
                "factor": _decimal(part.factor),
                "decayed": points(part.decayed),
                "cap_loss": points(part.cap_loss),
                "counted": points(part.counted),
            }
            for part in parts
        ],
        "stage": {
            "stage": dossier.decided.stage,
            "entered_at": None if entered is None else rfc3339(entered.at),
            "rule": None if entered is None else entered.rule,
            "policy": None if entered is None else entered.policy,
            "source": None if entered is None else entered.source,
            "id": None if entered is None else entered.id,
        },
    }


def _decimal(share: Fraction) -> str:
    """Return a share from 0 to 1 as a decimal with nine digits at most, rounded half to even."""
    whole, rest = divmod(divide(share.numerator * 10**9, share.denominator), 10**9)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")


def _stage_entered(dossier: Dossier) -> StageEntered | None:
    """Return the decision by which the lead is in its stage."""
    lead = dossier.decided
    candidates = [
        decision
        for decisions in dossier.decisions.values()
        for decision in decisions
        if isinstance(decision, StageEntered)
        and decision.stage == lead.stage
        and decision.at == lead.entered_at
        and decision.cycle == lead.cycle
    ]
    if lead.stage is None:
        return None
    if candidates:
        # of several at one instant, on the streams of leads that became one, the one that counted
        told = {(one.source, one.id) for events in dossier.occurred for one in events[1:]}
        counted = [one for one in candidates if (one.source, one.id) in told]
        return (counted or candidates)[-1]
    # A merge took the stage from the facts of both leads: they say what led to it.
    entries = [
        event
        for events in dossier.occurred
        for event in events
        if isinstance(event, StageEntered) and event.stage == lead.stage
    ]
    return entries[-1] if entries else None


# --- forecast -----------------------------------------------------------------------------------


def forecast(dossier: Dossier) -> dict[str, Any]:
    """Return the document of `leadflow lead forecast`: what the score will do if nothing happens.

    ``days`` are counted from ``as_of``, rounded to three decimals; ``at`` is exact. Both are null
    for a threshold that will never be crossed.
    """
    score, policy = dossier.score(), dossier.policy
    # The lead was left in the band or out of it by its latest fact; since then its points faded.
    least = policy.band_floor if dossier.decided.hot else policy.mql_engagement
    return {
        "lead_id": dossier.lead_id,
        "as_of": rfc3339(dossier.at),
        "policy": policy.version,
        "score": score_document(score),
        "in_band": score.engagement >= least,
        "thresholds": [
            {
                "threshold": one.threshold,
                "points": points(one.points),
                "reached": one.reached,
                "direction": one.direction,
                "at": None if one.at is None else rfc3339(one.at),
                "days": None
                if one.at is None
                else divide((one.at - dossier.at) * 1_000, DAY) / 1_000,
            }
            for one in forecast_of(dossier.ledger(), dossier.at)
        ],
    }
