"""given(*history).when(fact).then(*decisions): what a fact leads to, in twenty lines."""

from typing import NamedTuple

from domain.decide import decide
from domain.events import (
    ActorJudged,
    Event,
    Fact,
    LeadRestated,
    StageEntered,
    ThresholdCrossed,
)
from domain.lead import Lead, evolve
from domain.policy import Policy
from tests.examples import POLICY


class Enters(NamedTuple):
    """A stage entered, as tests speak of it."""

    stage: str
    rule: str
    cycle: int = 1
    kind: str = "new"


class Crosses(NamedTuple):
    """The engagement threshold crossed, as tests speak of it."""

    direction: str


class Judges(NamedTuple):
    """A verdict on who acted, as tests speak of it: id of the fact, actor, rule."""

    id: str
    actor: str | None
    rule: str


class Restates(NamedTuple):
    """What the lead knows is told anew, as tests speak of it."""

    rule: str = "corrected"


Outcome = Enters | Crosses | Judges | Restates


def outcome(event: Event) -> Outcome:
    """Return what a test says of a decision."""
    if isinstance(event, StageEntered):
        return Enters(event.stage, event.rule, event.cycle, event.cycle_kind)
    if isinstance(event, ActorJudged):
        return Judges(event.of[1], event.actor, event.rule)
    if isinstance(event, LeadRestated):
        return Restates(event.rule)
    assert isinstance(event, ThresholdCrossed)
    return Crosses(event.direction)


def happen(lead: Lead, fact: Fact, policy: Policy = POLICY) -> list[Event]:
    """Let *fact* happen to *lead*: return the fact and its decisions, which *lead* then knows."""
    events = decide(lead, fact, policy)
    for event in events:
        evolve(lead, event)
    return events


class given:  # noqa: N801 - reads as a sentence
    """A lead with a history: facts bring the decisions that they lead to."""

    def __init__(self, *history: Fact, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.lead = Lead()
        self.events: list[Event] = []
        for fact in history:
            happen(self.lead, fact, policy)

    def when(self, *facts: Fact) -> "given":
        """Let *facts* happen."""
        for fact in facts:
            self.events += happen(self.lead, fact, self.policy)
        return self

    def then(self, *expected: Outcome) -> "given":
        """Assert that *expected* are the decisions taken since, in this order."""
        found = [outcome(event) for event in self.events if not isinstance(event, Fact)]
        assert list(expected) == found, f"expected {list(expected)}, decided {found}"
        self.events = []
        return self
