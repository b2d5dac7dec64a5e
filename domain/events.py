"""Facts and decisions, as they are stored.

The names of the topics and of the fields below are the storage format: add to them with a default,
never rename or remove. An event written by any released version must fold for ever.
"""

from collections.abc import Mapping
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


Decision = StageEntered | ThresholdCrossed | LeadMerged
Event = Fact | Decision

DECISION_TOPICS: Final[Mapping[str, type[Decision]]] = {
    "lead.stage_entered": StageEntered,
    "lead.threshold_crossed": ThresholdCrossed,
    "lead.merged": LeadMerged,
}
TOPIC_OF: Final[Mapping[type[Decision], str]] = {
    kind: topic for topic, kind in DECISION_TOPICS.items()
}


def topic_of(event: Event) -> str:
    """Return the name under which *event* is stored."""
    if isinstance(event, Fact):
        return FACT_TOPIC + event.type
    return TOPIC_OF[type(event)]
