"""Conditions of the stage table: named questions about a lead at the moment of a fact."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.events import Fact
from domain.policy import Policy
from domain.qualification import criterion_of, is_satisfied
from domain.scoring import fit, flat_traits
from domain.vocabulary import INTENT

if TYPE_CHECKING:
    from domain.lead import Lead

INTENT_FORMS: Final = frozenset(("contact", "demo", "pricing"))
"""Kinds of form that say what an intent event says."""

CONTENT_FORMS: Final = frozenset(("content", "newsletter"))

PERSON: Final = frozenset(("prospect", "unknown"))
"""Actors whose acts are the person's own; unknown is what a producer says that does not know."""


class Case(NamedTuple):
    """What a guard looks at: the lead before the fact, the fact, and the rules."""

    lead: "Lead"
    fact: Fact
    policy: Policy
    hot: bool
    """Whether the engagement is in the MQL band, the fact included."""


def is_intent(fact: Fact) -> bool:
    """Return whether the person asks to be contacted, shown or quoted something."""
    return fact.type in INTENT or (fact.type == "form.submitted" and _kind(fact) in INTENT_FORMS)


def _kind(fact: Fact) -> str | None:
    kind = fact.get("kind")
    return kind if isinstance(kind, str) else None


def opportunity_of(lead: "Lead", fact: Fact) -> str:
    """Return the opportunity a sales fact is about.

    Where the fact names none: the lead's latest open one, else one of its own, named after the
    fact.
    """
    named = fact.get("opportunity")
    if isinstance(named, str) and named:
        return named
    if fact.type != "opportunity.created":
        for name in reversed(lead.opportunities):
            if lead.opportunities[name] == "open":
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
    return fit(traits, case.policy) >= case.policy.mql_fit


def _qualified_with_criteria(case: Case) -> bool:
    criteria = case.lead.criteria
    if case.fact.type == "qualification.answered":
        if not case.lead.qualified:
            return False
        criterion = criterion_of(case.fact)
        if criterion is not None:
            criteria = {**criteria, criterion: is_satisfied(case.fact)}
    return sum(criteria.values()) >= case.policy.criteria_needed


def _no_other_open_opportunity(case: Case) -> bool:
    closed = opportunity_of(case.lead, case.fact)
    opportunities = case.lead.opportunities
    return not any(state == "open" and name != closed for name, state in opportunities.items())


Guard = Callable[[Case], bool]

GUARDS: Final[Mapping[str, Guard]] = {
    "by_person": _by_person,
    "content_without_intent": _content_without_intent,
    "fit_and_engagement": _fit_and_engagement,
    "no_other_open_opportunity": _no_other_open_opportunity,
    "qualified_with_criteria": _qualified_with_criteria,
    "wake_up_due": _wake_up_due,
}
