"""The cycles of a lead: which stages it entered or only reached, when, and for how long.

A function of the decisions alone. Nothing here is stored: the furthest stage of a cycle, for one,
is derived, and never the stage itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from domain.events import Event, StageEntered
from domain.stages import PATH, RANK, STAGES


@dataclass(frozen=True, slots=True)
class Visit:
    """What one cycle knows of one stage; instants and durations are microseconds."""

    stage: str
    first_entered_at: int | None
    last_entered_at: int | None
    exited_at: int | None
    """When it was left last; None while the lead is in it, and for a stage never entered."""
    dwell: int | None
    """How long the lead was in it, all stays that have ended together; None where none has."""
    entries: int
    rule: str | None
    """The rule of the last entry."""

    @property
    def implied(self) -> bool:
        """Return whether the stage was reached by going further, and never entered."""
        return self.entries == 0


@dataclass(frozen=True, slots=True)
class Cycle:
    """One run through the stages."""

    number: int
    kind: str
    """new, recycled, reopened or expansion."""
    opened_at: int
    closed_at: int | None
    """When the next cycle opened."""
    visits: tuple[Visit, ...]
    """In machine order; those that are only implied among them."""
    high_water: str | None
    """The stage furthest on the way to a deal; None where none on the way was entered."""


@dataclass(slots=True)
class _Stay:
    """The stays in one stage."""

    first: int
    last: int
    entries: int
    rule: str
    exited: int | None = None
    dwell: int | None = None


@dataclass(slots=True)
class _Run:
    number: int
    kind: str
    opened: int
    stays: dict[str, _Stay] = field(default_factory=dict)
    closed: int | None = None


def cycles(events: Iterable[Event]) -> list[Cycle]:
    """Return the cycles that the stage entries among *events* make up, in their order.

    Of leads that became one, give the history as it occurred: two streams tell two lives. Where a
    late fact moved a lead, a stay may seem to end before it began; it then lasted no time.
    """
    runs: list[_Run] = []
    inside: _Stay | None = None
    for event in events:
        if not isinstance(event, StageEntered):
            continue
        if inside is not None:
            inside.exited = max(event.at, inside.last)
            inside.dwell = (inside.dwell or 0) + inside.exited - inside.last
        if not runs or runs[-1].number != event.cycle:
            if runs:
                runs[-1].closed = event.at
            runs.append(_Run(event.cycle, event.cycle_kind, event.at))
        stays = runs[-1].stays
        inside = stays.get(event.stage)
        if inside is None:
            inside = stays[event.stage] = _Stay(event.at, event.at, 1, event.rule)
        else:
            inside.last, inside.exited, inside.rule = event.at, None, event.rule
            inside.entries += 1
    return [_cycle(run) for run in runs]


def implied(entered: Sequence[str]) -> list[str]:
    """Return the stages that *entered* ones imply were reached, in machine order.

    A stage on the way to a deal implies those before it, as in every funnel of stages.
    """
    ranks = [RANK[stage] for stage in entered if stage in RANK]
    if not ranks:
        return []
    most = max(ranks)
    return [stage for stage in PATH if RANK[stage] < most and stage not in entered]


def _cycle(run: _Run) -> Cycle:
    entered = list(run.stays)
    skipped = set(implied(entered))
    on_the_way = [stage for stage in entered if stage in RANK]
    return Cycle(
        run.number,
        run.kind,
        run.opened,
        run.closed,
        tuple(
            _visit(stage, run.stays.get(stage))
            for stage in STAGES
            if stage in run.stays or stage in skipped
        ),
        max(on_the_way, key=RANK.__getitem__) if on_the_way else None,
    )


def _visit(stage: str, stay: _Stay | None) -> Visit:
    if stay is None:
        return Visit(stage, None, None, None, None, 0, None)
    return Visit(stage, stay.first, stay.last, stay.exited, stay.dwell, stay.entries, stay.rule)
