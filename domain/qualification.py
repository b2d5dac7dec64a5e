"""Qualification frameworks: which criteria a person has answered, and which are still missing.

BANT and CHAMP ask the same four things in other words, so an answer to either counts for both. A
policy may bring a framework of its own. An answer that names no framework counts for every one that
has a criterion of that name; one that names a framework counts for that alone, BANT and CHAMP
being one in this. So "authority" of another framework does not pass for that of BANT.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.events import Fact

if TYPE_CHECKING:
    from domain.policy import Policy

MAX_NAME: Final = 64
"""Characters of a criterion's name at most; longer names are those of nothing."""


def plain_name(name: object) -> str | None:
    """Return *name* as criteria are compared: lower case, words joined by an underscore.

    None for what is no name.
    """
    if not isinstance(name, str):
        return None
    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    return plain if 0 < len(plain) <= MAX_NAME else None


@dataclass(frozen=True, slots=True)
class Framework:
    """What sales must know of a lead: criteria, and other names by which they go."""

    name: str
    criteria: tuple[str, ...]
    """In the order in which people read them; each is its own `plain_name`."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Another name, as `plain_name` has it, to the criterion."""

    def asks(self, named: object) -> bool:
        """Return whether an answer to the framework *named* counts for this one.

        It does where no framework is named.
        """
        if is_unnamed(named):
            return True
        other, own = plain_name(named), plain_name(self.name)
        return other is not None and (other == own or {other, own} <= _SAME)

    def criterion(self, name: object) -> str | None:
        """Return the criterion that goes by *name*, or None."""
        plain = plain_name(name)
        if plain is None or plain in self.criteria:
            return plain
        return self.aliases.get(plain)

    def satisfied(self, answers: Mapping[str, bool]) -> frozenset[str]:
        """Return the satisfied criteria; *answers* by `name_said`, the latest last."""
        found: dict[str, bool] = {}
        for said, yes in answers.items():
            named, _, name = said.rpartition(" ")
            criterion = self.criterion(name)
            if criterion is not None and self.asks(named):
                found[criterion] = yes
        return frozenset(criterion for criterion, yes in found.items() if yes)


def is_unnamed(named: object) -> bool:
    """Return whether an answer leaves open to which framework it belongs."""
    return not isinstance(named, str) or not named.strip()


_SAME: Final = frozenset(("bant", "champ"))
"""They ask the same."""

BANT: Final = Framework(
    "bant",
    ("budget", "authority", "need", "timeline"),
    {
        "money": "budget",
        "challenge": "need",
        "challenges": "need",
        "timing": "timeline",
        "introduction_date": "timeline",
        "priority": "timeline",
        "prioritization": "timeline",
    },
)

CHAMP: Final = Framework(
    "champ",
    ("challenges", "authority", "money", "priority"),
    {
        "challenge": "challenges",
        "need": "challenges",
        "budget": "money",
        "prioritization": "priority",
        "timeline": "priority",
        "timing": "priority",
        "introduction_date": "priority",
    },
)

FRAMEWORKS: Final[Mapping[str, Framework]] = {one.name: one for one in (BANT, CHAMP)}
"""Those that every policy knows."""

CRITERIA: Final = BANT.criteria

ALIASES: Final[Mapping[str, str]] = {
    **{criterion: criterion for criterion in CRITERIA},
    **BANT.aliases,
}
"""Every name of a criterion of BANT."""


def criterion_of(fact: Fact, framework: Framework = BANT) -> str | None:
    """Return the criterion that a ``qualification.answered`` fact is about, or None."""
    if not framework.asks(fact.get("framework")):
        return None
    return framework.criterion(fact.get("criterion"))


def name_said(fact: Fact) -> str | None:
    """Return what a ``qualification.answered`` fact says it is about, whatever the policy; or None.

    That is the name of the criterion, behind that of the framework and a space where one is named:
    neither name has a space in it.
    """
    name, named = plain_name(fact.get("criterion")), fact.get("framework")
    if name is None or is_unnamed(named):
        return name
    framework = plain_name(named)
    return None if framework is None else f"{framework} {name}"


def is_satisfied(fact: Fact) -> bool:
    """Return whether the answer satisfies its criterion: as said, else whether a value is given."""
    said = fact.get("satisfied")
    return bool(said) if said is not None else fact.get("value") is not None


def satisfied(facts: Iterable[Fact], framework: Framework = BANT) -> frozenset[str]:
    """Return the criteria satisfied by the latest answer to each; *facts* in canonical order."""
    return frozenset(
        criterion for criterion, fact in latest(facts, framework).items() if is_satisfied(fact)
    )


def latest(facts: Iterable[Fact], framework: Framework = BANT) -> dict[str, Fact]:
    """Return the latest answer to each criterion; *facts* in canonical order."""
    answers: dict[str, Fact] = {}
    for fact in facts:
        if fact.type == "qualification.answered":
            criterion = criterion_of(fact, framework)
            if criterion is not None:
                answers[criterion] = fact
    return answers


# --- what is known and what is missing ------------------------------------------------------------


class Answer(NamedTuple):
    """A criterion and the latest answer to it, with the fact that is the evidence."""

    criterion: str
    satisfied: bool
    value: str | int | bool | None
    fact: Fact | None
    """None where nobody asked, or answered."""


class Qualification(NamedTuple):
    """How far a lead is known, by one framework."""

    framework: Framework
    needed: int
    """How many criteria the policy asks for."""
    answers: tuple[Answer, ...]
    """One per criterion, in the framework's order."""

    @property
    def satisfied(self) -> tuple[str, ...]:
        """Return the satisfied criteria, in the framework's order."""
        return tuple(one.criterion for one in self.answers if one.satisfied)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the criteria that are not satisfied, in the framework's order."""
        return tuple(one.criterion for one in self.answers if not one.satisfied)

    @property
    def enough(self) -> bool:
        """Return whether as many are satisfied as the policy asks for."""
        return len(self.satisfied) >= self.needed


def qualification(facts: Iterable[Fact], policy: "Policy") -> Qualification:
    """Return what is known of a lead by the framework of *policy*; *facts* in canonical order.

    All answers ever given count, the latest of each criterion; the guard of the stage asks for
    those of the current cycle alone.
    """
    found = latest(facts, policy.framework)
    return Qualification(
        policy.framework,
        policy.criteria_needed,
        tuple(_answer(criterion, found.get(criterion)) for criterion in policy.framework.criteria),
    )


def _answer(criterion: str, fact: Fact | None) -> Answer:
    if fact is None:
        return Answer(criterion, satisfied=False, value=None, fact=None)
    return Answer(criterion, is_satisfied(fact), fact.get("value"), fact)
