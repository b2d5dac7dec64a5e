"""What the stages of a policy ask for, in words: for ``policy show`` and the reference."""

from collections.abc import Iterator, Mapping
from typing import Final

from domain.counts import DAY, Act, Count
from domain.guards import CONTENT_FORMS, INTENT_FORMS
from domain.policy import POINT, Policy
from domain.stages import MQL, SQL, Move

_PEOPLE: Final = "the actor is the prospect, or unknown"


def number(micro_points: int) -> str:
    """Return micro-points as a decimal number of points."""
    whole, rest = divmod(micro_points, POINT)
    return f"{whole}.{rest:06}".rstrip("0") if rest else str(whole)


def act_words(act: Act) -> str:
    """Return what an act is: its types and the values of its fields."""
    parts = [" or ".join(act.types)]
    for field, values in act.where:
        parts.append(f"{field} is {' or '.join(str(value) for value in values)}")
    return f"{act.name} ({', '.join(parts)})"


def count_words(count: Count) -> str:
    """Return how many of which acts a count asks for, and within which time."""
    days = f"{count.within / DAY:g}"
    each = f", each {count.distinct} once" if count.distinct else ""
    return f"{count.count} times {act_words(count.act)} within {days} days{each}"


def score_words(policy: Policy) -> str:
    """Return what the score rule asks for."""
    return (
        f"fit grade {policy.mql_grade} or better (fit {number(policy.mql_fit)} or more) and"
        f" engagement {number(policy.mql_engagement)} or more"
    )


def criteria_words(policy: Policy) -> str:
    """Return how many criteria of which framework are asked for."""
    framework = policy.framework
    return f"{policy.criteria_needed} of {len(framework.criteria)} criteria satisfied" + (
        "" if framework.name == "bant" else f" ({framework.name}: {', '.join(framework.criteria)})"
    )


def guard_words(policy: Policy) -> Mapping[str, str]:
    """Return what each guard asks for, with the numbers of *policy*."""
    score = (
        f"the fit has grade {policy.mql_grade} or better, and the engagement is in the band:"
        f" {number(policy.mql_engagement)} points entered it, {number(policy.band_floor)} keep it"
    )
    criteria = f"{policy.criteria_needed} of {len(policy.framework.criteria)} criteria"
    return {
        "acts_counted": "it completes a count: " + "; or ".join(map(count_words, policy.counts)),
        "by_person": _PEOPLE,
        "content_without_intent": (
            f"{_PEOPLE}; a form is of kind {' or '.join(sorted(CONTENT_FORMS))}; and no intent was"
            " shown in this cycle"
        ),
        "fit_and_engagement": score,
        "no_other_open_opportunity": "no other opportunity of the lead is open",
        "qualified_act": f"{_PEOPLE}; one of: " + "; ".join(map(act_words, policy.acts)),
        "qualified_with_criteria": (
            f"a person called the lead qualified in this cycle, and {criteria} are satisfied"
        ),
        "score_and_criteria": f"{score}; and {criteria} are satisfied in this cycle",
        "shows_intent": f"{_PEOPLE}; a form is of kind {', '.join(sorted(INTENT_FORMS))}",
        "wake_up_due": "the actor is the prospect, and the date `until` of the recycling has come",
    }


def stage_lines(policy: Policy) -> Iterator[str]:
    """Yield what makes an MQL and an SQL under *policy*, for people."""
    yield f"  pack         {policy.pack.name}: {policy.pack.description}"
    for stage in (MQL, SQL):
        ways = list(_ways(policy, stage))
        yield f"  {stage:<13}{ways[0]}"
        for way in ways[1:]:
            yield f"               or {way}"
        if stage == MQL and policy.auto_advance:
            yield (
                f"               the engagement band is left below {number(policy.band_floor)}"
                f" ({policy.hysteresis} % lower); that changes no stage"
            )


def _ways(policy: Policy, stage: str) -> Iterator[str]:
    moves = [move for move in policy.pack.table if move.to == stage and move.opens is None]
    found = [move for move in moves if policy.auto_advance or not move.automatic]
    if not found:
        yield "only when a producer says so: auto_advance is off"
    for move in found:
        yield from _way(policy, move)


def _way(policy: Policy, move: Move) -> Iterator[str]:
    match move.guard:
        case "fit_and_engagement":
            yield score_words(policy)
        case "qualified_act":
            yield from (f"one act: {act_words(act)}" for act in policy.acts)
        case "acts_counted":
            yield from map(count_words, policy.counts)
        case "score_and_criteria":
            yield f"{score_words(policy)}, and {criteria_words(policy)}"
        case "shows_intent":
            yield "a request: demo, pricing, quote or contact"
        case _:
            yield f"{criteria_words(policy)}, and a person calls the lead qualified"
