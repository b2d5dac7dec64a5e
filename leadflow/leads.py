"""One lead from the store: what it is, what it went through, and why.

Without ``as_of`` and ``known_at`` the stage is the one that was decided, fact by fact as the log
brought them. With either, only the facts count that had happened or had been recorded by then; the
decisions stand where these are the first facts of a lead that came in order, else they are taken
anew, as if every fact had arrived when it happened. Everything else is a fold of the facts in
canonical order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from typing import Any, Final

from domain.book import Rules, judged_alike
from domain.corrections import corrections, effective
from domain.decay import divide
from domain.events import (
    ActorJudged,
    Decision,
    Event,
    Fact,
    LeadMerged,
    LeadRestated,
    PolicyPublished,
    StageEntered,
    topic_of,
)
from domain.forecast import forecast as forecast_of
from domain.identity import known_by, lead_id
from domain.lead import Lead, as_occurred, canonical, fold, fold_streams
from domain.ledger import Contribution, Ledger
from domain.policy import DAY, Policy
from domain.qualification import criterion_of, is_satisfied
from domain.scoring import (
    Score,
    fit,
    fit_contributions,
    flat_traits,
    score_of,
    total_of,
)
from leadflow.amounts import decimal_text, points
from leadflow.consents import standings_document
from leadflow.instants import rfc3339
from leadflow.stage_history import cycles_document, qualification_document
from leadflow.store.base import Store
from leadflow.store.codec import decode
from leadflow.summaries import summary
from projections.feeding import Person, counting, people_in, unsettles
from projections.rows import Rows
from projections.view import View

_LATE: Final = 60_000_000
"""Microseconds; partitions that are read side by side overtake each other by less."""

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


# --- show ---------------------------------------------------------------------------------------


def show(dossier: Dossier) -> dict[str, Any]:
    """Return the document of `leadflow lead show`."""
    lead, view = dossier.decided, dossier.view
    touches = dossier.rows.touches
    return {
        "lead_id": dossier.lead_id,
        "as_of": rfc3339(dossier.at),
        "stage": lead.stage,
        "stage_as_occurred": view.stage,
        "cycle": lead.cycle,
        "entered_at": None if lead.entered_at is None else rfc3339(lead.entered_at),
        "score": score_document(dossier.score()),
        "owner": view.owner,
        "identifiers": [{"kind": kind, "value": value} for kind, value in view.identifiers],
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
    if candidates or lead.stage is None:
        return candidates[-1] if candidates else None
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
    return {
        "lead_id": dossier.lead_id,
        "as_of": rfc3339(dossier.at),
        "policy": dossier.policy.version,
        "score": score_document(dossier.score()),
        "in_band": dossier.decided.hot,
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
