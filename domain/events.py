"""Facts and decisions, as they are stored.

The names of the topics and of the fields below are the storage format: add to them with a default,
never rename or remove. An event written by any released version must fold for ever.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Identifier = tuple[str, str]
"""Kind and value: ``("email", "ada@example.com")``, ``("subject:/crm/hubspot", "1042")``."""

OrderKey = tuple[int, str, int, str]
"""The canonical order of facts: instant, source, sequence, id."""

FACT_TOPIC: Final = "fact:"
"""Facts are stored under ``fact:<type>``: no type of a producer can pass for a decision."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One interaction as a producer reported it, normalised.

    ``touch``, ``person``, ``traits`` and ``data`` hold JSON values. ``person`` is personal data and
    nothing else is: its ``keys`` are the normalised identifiers, in the order of precedence.
    ``traits`` describe without identifying (title, seniority, country, company). ``data`` holds
    the fields of the type and whatever else the producer sent.
    """

    type: str
    source: str
    id: str
    at: int
    """When it happened, microseconds UTC."""
    recorded_at: int
    """When the log received it, microseconds UTC."""
    sequence: int = -1
    """The producer's own order within equal instants; -1 where it gave none."""
    actor: str = "unknown"
    """Who acted: prospect, rep, machine or unknown."""
    actor_id: str | None = None
    touch: Mapping[str, str] | None = None
    person: Mapping[str, Any] | None = None
    traits: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None

    @property
    def order(self) -> OrderKey:
        """Return the fact's place in canonical order."""
        return (self.at, self.source, self.sequence, self.id)

    @property
    def keys(self) -> tuple[Identifier, ...]:
        """Return the identifiers the fact carries, strongest first."""
        if self.person is None:
            return ()
        return tuple(map(tuple, self.person["keys"]))

    def get(self, field: str) -> Any:
        """Return a field of the type, or None."""
        return None if self.data is None else self.data.get(field)


def canonical(facts: Iterable[Fact]) -> list[Fact]:
    """Return *facts* in canonical order: instant, source, sequence, id."""
    return sorted(facts, key=lambda fact: (fact.at, fact.source, fact.sequence, fact.id))


def judged_at(fact: Fact) -> int:
    """Return the instant whose policy judges *fact* as it occurred.

    That is when it happened, or was received if its clock ran ahead.
    """
    return min(fact.at, fact.recorded_at)


@dataclass(frozen=True, slots=True)
class StageEntered:
    """The lead entered ``stage`` in its ``cycle``; ``source`` and ``id`` name the causing fact."""

    stage: str
    cycle: int
    at: int
    recorded_at: int
    rule: str
    policy: str
    source: str
    id: str
    previous: str | None = None
    cycle_kind: str = "new"
    """new, recycled, reopened or expansion: what opened this cycle."""


@dataclass(frozen=True, slots=True)
class ThresholdCrossed:
    """The engagement score rose to the threshold, or fell below its lower edge."""

    threshold: str
    direction: str
    """up or down."""
    score: int
    """Micro-points at the crossing fact."""
    at: int
    recorded_at: int
    rule: str
    policy: str
    source: str
    id: str


@dataclass(frozen=True, slots=True)
class LeadMerged:
    """A fact carried identifiers of this lead and of ``other``: they are one person.

    Stored on both streams: on the stream that goes on with ``into`` None, on the other one with
    the id of the first. What it says of the lead is what the facts of both lead to, in canonical
    order.
    """

    other: str
    into: str | None
    stage: str | None
    cycle: int
    entered_at: int | None
    hot: bool
    at: int
    recorded_at: int
    rule: str
    policy: str
    source: str
    id: str
    cycle_kind: str = "new"
    intent: bool = False
    qualified: bool = False
    criteria: Mapping[str, bool] = field(default_factory=dict)
    opportunities: Mapping[str, str] = field(default_factory=dict)
    recycled_until: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyPublished:
    """Somebody made ``document`` the policy from ``at`` on, for the reason given.

    It stands on a stream of its own and belongs to no lead.
    """

    version: str
    """What decisions cite: name and content hash of the document."""
    document: Mapping[str, Any]
    """The policy as JSON values."""
    at: int
    """In force from, microseconds UTC."""
    recorded_at: int
    by: str
    reason: str
    previous: str | None = None
    """The version in force before; None for what was in force before the first publication."""
    approved_by: tuple[str, ...] = ()
    """Who agreed beside the one who published."""

    @property
    def source(self) -> str:
        """Return what stands for the producer: the log itself."""
        return POLICY_TOPIC

    @property
    def id(self) -> str:
        """Return what names the publication: two of one version differ by their instants."""
        return f"{self.version} {self.at}"


POLICY_TOPIC: Final = "policy.published"


@dataclass(frozen=True, slots=True)
class LeadRestated:
    """Who the facts belong to has changed: what they lead to, in canonical order, holds anew.

    Stored when facts that had been told apart turn out to be one lead's again.
    """

    stage: str | None
    cycle: int
    entered_at: int | None
    hot: bool
    at: int
    recorded_at: int
    rule: str
    policy: str
    source: str
    id: str
    cycle_kind: str = "new"
    intent: bool = False
    qualified: bool = False
    criteria: Mapping[str, bool] = field(default_factory=dict)
    opportunities: Mapping[str, str] = field(default_factory=dict)
    recycled_until: int | None = None


@dataclass(frozen=True, slots=True)
class ActorJudged:
    """The fact ``of`` (source and id) was done by ``actor``, whatever was reported.

    ``rule`` is ``fast_after_delivery`` or ``burst_of_links`` for a machine, ``withdrawn`` where an
    earlier verdict does not hold any more. ``source`` and ``id`` name the fact that brought it up.
    """

    of: tuple[str, str]
    actor: str | None
    """None: whoever was reported."""
    at: int
    recorded_at: int
    rule: str
    policy: str
    source: str
    id: str


Decision = StageEntered | ThresholdCrossed | LeadMerged | LeadRestated | ActorJudged
Event = Fact | Decision | PolicyPublished

DECISION_TOPICS: Final[Mapping[str, type[Decision]]] = {
    "lead.stage_entered": StageEntered,
    "lead.threshold_crossed": ThresholdCrossed,
    "lead.merged": LeadMerged,
    "lead.restated": LeadRestated,
    "lead.actor_judged": ActorJudged,
}
TOPIC_OF: Final[Mapping[type[Decision], str]] = {
    kind: topic for topic, kind in DECISION_TOPICS.items()
}


def topic_of(event: Event) -> str:
    """Return the name under which *event* is stored."""
    if isinstance(event, Fact):
        return FACT_TOPIC + event.type
    if isinstance(event, PolicyPublished):
        return POLICY_TOPIC
    return TOPIC_OF[type(event)]
