"""Qualification frameworks: which criteria a person has answered, and which are still missing.

BANT and CHAMP ask the same four things in other words, so an answer to either counts for both.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from domain.events import Fact

CRITERIA: Final = ("budget", "authority", "need", "timeline")

ALIASES: Final[Mapping[str, str]] = {
    "budget": "budget",
    "money": "budget",
    "authority": "authority",
    "need": "need",
    "challenge": "need",
    "challenges": "need",
    "timeline": "timeline",
    "timing": "timeline",
    "introduction_date": "timeline",
    "priority": "timeline",
}


def criterion_of(fact: Fact) -> str | None:
    """Return the shared criterion that a ``qualification.answered`` fact is about, or None."""
    name = fact.get("criterion")
    return ALIASES.get(name.strip().lower().replace(" ", "_")) if isinstance(name, str) else None


def is_satisfied(fact: Fact) -> bool:
    """Return whether the answer satisfies its criterion: as said, else whether a value is given."""
    said = fact.get("satisfied")
    return bool(said) if said is not None else fact.get("value") is not None


def satisfied(facts: Iterable[Fact]) -> frozenset[str]:
    """Return the criteria satisfied by the latest answer to each; *facts* in canonical order."""
    answers: dict[str, bool] = {}
    for fact in facts:
        if fact.type == "qualification.answered":
            criterion = criterion_of(fact)
            if criterion is not None:
                answers[criterion] = is_satisfied(fact)
    return frozenset(criterion for criterion, yes in answers.items() if yes)
