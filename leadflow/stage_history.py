"""What a lead went through and what sales know of it, as parts of `leadflow lead show`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.cycles import Cycle, Visit, cycles
from domain.events import Decision, Event, Fact, LeadMerged, StageEntered
from domain.policy import Policy
from domain.qualification import Answer, qualification
from leadflow.instants import rfc3339


def cycles_document(
    decided: Iterable[Decision], occurred: Iterable[Iterable[Event]]
) -> list[dict[str, Any]]:
    """Return the cycles with the stages of each, in machine order.

    They are those that were *decided*; of leads that became one, those that *occurred*, since each
    of the two was decided upon by itself.
    """
    told = list(decided)
    if any(isinstance(event, LeadMerged) for event in told):
        return [_cycle(one) for one in cycles(event for events in occurred for event in events)]
    return [_cycle(one) for one in cycles(one for one in told if isinstance(one, StageEntered))]


def _cycle(cycle: Cycle) -> dict[str, Any]:
    return {
        "cycle": cycle.number,
        "kind": cycle.kind,
        "opened_at": rfc3339(cycle.opened_at),
        "closed_at": _instant(cycle.closed_at),
        "high_water": cycle.high_water,
        "stages": [_visit(one) for one in cycle.visits],
    }


def _visit(visit: Visit) -> dict[str, Any]:
    return {
        "stage": visit.stage,
        "first_entered_at": _instant(visit.first_entered_at),
        "last_entered_at": _instant(visit.last_entered_at),
        "exited_at": _instant(visit.exited_at),
        "dwell_seconds": None if visit.dwell is None else visit.dwell // 1_000_000,
        "entries": visit.entries,
        "implied": visit.implied,
        "rule": visit.rule,
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def qualification_document(
    facts: Sequence[Fact], policy: Policy, answers: Mapping[str, bool]
) -> dict[str, Any]:
    """Return what is known of a lead by the policy's framework, and what is missing.

    *facts* are those that count, in canonical order. *answers* are those of the current cycle, by
    name as said: they alone are what the guard of the stage counts.
    """
    found = qualification(facts, policy)
    counted = found.framework.satisfied(answers)
    return {
        "framework": found.framework.name,
        "needed": found.needed,
        "satisfied": len(found.satisfied),
        "satisfied_in_cycle": len(counted),
        "missing": list(found.missing),
        "criteria": [_answer(one, counts=one.criterion in counted) for one in found.answers],
    }


def _answer(answer: Answer, *, counts: bool) -> dict[str, Any]:
    fact = answer.fact
    return {
        "criterion": answer.criterion,
        "satisfied": answer.satisfied,
        "counts": counts,
        "value": answer.value,
        "asked_as": None if fact is None else fact.get("criterion"),
        "source": None if fact is None else fact.source,
        "id": None if fact is None else fact.id,
        "at": None if fact is None else rfc3339(fact.at),
    }
