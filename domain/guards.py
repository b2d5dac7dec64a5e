"""Conditions of the stage table: named questions about a lead at the moment of a fact."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.counts import PERSON
from domain.events import Fact, canonical
from domain.policy import Policy
from domain.qualification import is_satisfied, name_said, satisfied
from domain.scoring import fit, flat_traits
from domain.vocabulary import INTENT

if TYPE_CHECKING:
    from domain.lead import Lead

INTENT_FORMS: Final = frozenset(("contact", "demo", "pricing"))
"""Kinds of form that say what an intent event says."""

CONTENT_FORMS: Final = frozenset(("content", "newsletter"))


class Case(NamedTuple):
    """What a guard looks at: the lead before the fact, the fact, and the rules."""

    lead: "Lead"
    fact: Fact
    policy: Policy
    hot: bool
    """Whether the engagement is in the MQL band, the fact included."""
    fresh: bool = False
    """Whether the fact has opened a cycle already: what was said in the one before is over."""


def is_intent(fact: Fact) -> bool:
    """Return whether the person asks to be contacted, shown or quoted something."""
    return fact.type in INTENT or (fact.type == "form.submitted" and _kind(fact) in INTENT_FORMS)


def _kind(fact: Fact) -> str | None:
    kind = fact.get("kind")
    return kind if isinstance(kind, str) else None


def opportunity_of(states: dict[str, str], fact: Fact) -> str:
    """Return the opportunity a sales fact is about.

    *states* is each opportunity of the lead, in the order of creation, to open, won or lost. Where
    the fact names none: the latest open one, else one of its own, named after the fact.
    """
    named = fact.get("opportunity")
    if isinstance(named, str) and named:
        return named
    if fact.type != "opportunity.created":
        for name in reversed(states):
            if states[name] == "open":
                return name
    return f"{fact.source}#{fact.id}"


def _by_person(case: Case) -> bool:
    return case.fact.actor in PERSON


def _content_without_intent(case: Case) -> bool:
    fact = case.fact
    if case.lead.intent or fact.actor not in PERSON:
        return False
    return fact.type != "form.submitted" or _kind(fact) in CONTENT_FORMS


def _wake_up_due(case: Case) -> bool:
    until = case.lead.recycled_until
    return until is not None and case.fact.at >= until and case.fact.actor == "prospect"


def _fit_and_engagement(case: Case) -> bool:
    if not case.hot:
        return False
    traits = case.lead.traits
    if case.fact.traits:
        traits = {**traits, **dict(flat_traits(case.fact.traits))}
    answered: frozenset[str] = frozenset()
    if case.policy.asks_criteria:
        # all answers ever given, as an explanation of the score counts them
        facts = canonical([*case.lead.effective(), case.fact])
        answered = satisfied(facts, case.policy.framework)
    return fit(traits, case.policy, answered) >= case.policy.mql_fit


def _criteria(case: Case) -> int:
    """Return how many criteria are satisfied in this cycle, the fact included."""
    answers = {} if case.fresh else case.lead.criteria
    if case.fact.type == "qualification.answered":
        answers = dict(answers)
        note_answer(answers, case.fact)
    return len(case.policy.framework.satisfied(answers))


def note_answer(answers: dict[str, bool], fact: Fact) -> None:
    """Add the answer of *fact* to *answers*, by the name it says, behind the earlier ones.

    Only a policy knows which names mean the same criterion, and it may change.
    """
    name = name_said(fact)
    if name is not None:
        answers.pop(name, None)
        answers[name] = is_satisfied(fact)


def _qualified_with_criteria(case: Case) -> bool:
    if case.fact.type != "lead.qualified" and (case.fresh or not case.lead.qualified):
        return False
    return _criteria(case) >= case.policy.criteria_needed


def _score_and_criteria(case: Case) -> bool:
    return case.hot and _criteria(case) >= case.policy.criteria_needed and _fit_and_engagement(case)


def _shows_intent(case: Case) -> bool:
    return is_intent(case.fact) and case.fact.actor in PERSON


def _qualified_act(case: Case) -> bool:
    return any(act.matches(case.fact) for act in case.policy.acts)


def _acts_counted(case: Case) -> bool:
    """Return whether the fact completes a count; acts before the cycle count as well."""
    lead, fact, policy = case.lead, case.fact, case.policy
    asked = [one for one in policy.counts if one.act.matches(fact)]
    if not asked:
        return False
    as_of = max(fact.at, lead.last[0])
    earlier = lead.effective()
    return any(one.is_reached(earlier, fact, as_of) for one in asked)


def _no_other_open_opportunity(case: Case) -> bool:
    states = case.lead.opportunities
    closed = opportunity_of(states, case.fact)
    return not any(state == "open" and name != closed for name, state in states.items())


Guard = Callable[[Case], bool]

GUARDS: Final[Mapping[str, Guard]] = {
    "acts_counted": _acts_counted,
    "by_person": _by_person,
    "content_without_intent": _content_without_intent,
    "fit_and_engagement": _fit_and_engagement,
    "no_other_open_opportunity": _no_other_open_opportunity,
    "qualified_act": _qualified_act,
    "qualified_with_criteria": _qualified_with_criteria,
    "score_and_criteria": _score_and_criteria,
    "shows_intent": _shows_intent,
    "wake_up_due": _wake_up_due,
}
