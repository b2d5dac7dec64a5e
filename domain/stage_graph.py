"""The process as it is lived: which stage follows which, how often, and after how long.

A *stay* lasts from the entry into a stage to the entry into the next. The graph has a node per
stage and an edge per pair of stages that followed each other. This is the reference;
``projections.stage_graph`` does the same over columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from domain.stages import DISQUALIFIED, RANK, RECYCLED, STAGES
from domain.survival import kaplan_meier, quantile

MEDIAN: Final = Fraction(1, 2)
P90: Final = Fraction(9, 10)

_ORDER: Final = {stage: n for n, stage in enumerate((None, *STAGES))}


class Stay(NamedTuple):
    """The time of a lead in a stage; instants are microseconds UTC."""

    stage: str
    cycle: int
    entered_at: int
    exited_at: int | None
    """When the next stage was entered; None while the lead is there."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One stage after another; durations in microseconds."""

    previous: str | None
    """None: the stage was the first of the lead."""
    stage: str
    count: int
    leads: int
    share: Fraction
    """Of all stays in the stage before that ended; of all first stages where there was none."""
    is_backward: bool
    opens_cycle: bool
    """Whether it ever opened another cycle."""
    p50: int | None
    """Half of these stays in the stage before were over by then; None where there was none."""
    p90: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """One stage; durations in microseconds."""

    stage: str
    entries: int
    leads: int
    exits: int
    p50: int | None
    """Half of the stays that ended were over by then; None where none has ended."""
    p90: int | None
    km_p50: int | None
    """Half of all stays were over by then, those that last censored (Kaplan, Meier 1958)."""
    km_p90: int | None


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in machine order, edges by the stages that they join."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def is_backward(previous: str | None, stage: str) -> bool:
    """Return whether *stage* lies behind *previous*: recycled, disqualified, or a lower rank."""
    if previous is None:
        return False
    if stage in (RECYCLED, DISQUALIFIED):
        return True
    before, after = RANK.get(previous), RANK.get(stage)
    return before is not None and after is not None and after < before


def stage_graph(
    histories: Iterable[Sequence[Stay]],
    now: int,
    since: int | None = None,
    until: int | None = None,
) -> Graph:
    """Return the graph of the stays that began in [*since*, *until*), and of how they ended.

    A history is all stays of one lead, in their order; those that last are observed until *now*.
    """
    stays: dict[str, list[tuple[int, Stay]]] = {}
    steps: dict[tuple[str | None, str], list[tuple[int, int | None, bool]]] = {}
    for lead, history in enumerate(histories):
        for n, stay in enumerate(history):
            if (since is not None and stay.entered_at < since) or (
                until is not None and stay.entered_at >= until
            ):
                continue
            if n == 0:
                steps.setdefault((None, stay.stage), []).append((lead, None, False))
            stays.setdefault(stay.stage, []).append((lead, stay))
            if stay.exited_at is not None:
                following = history[n + 1]
                steps.setdefault((stay.stage, following.stage), []).append(
                    (lead, stay.exited_at - stay.entered_at, following.cycle != stay.cycle)
                )
    left: dict[str | None, int] = {}
    for (previous, _), taken in steps.items():
        left[previous] = left.get(previous, 0) + len(taken)
    nodes = [_node(stage, found, now) for stage, found in stays.items()]
    edges = [_edge(*pair, taken, left[pair[0]]) for pair, taken in steps.items()]
    return Graph(
        tuple(sorted(nodes, key=lambda node: _ORDER[node.stage])),
        tuple(sorted(edges, key=lambda edge: (_ORDER[edge.previous], _ORDER[edge.stage]))),
    )


def _node(stage: str, stays: list[tuple[int, Stay]], now: int) -> Node:
    over = [one.exited_at - one.entered_at for _, one in stays if one.exited_at is not None]
    ended = kaplan_meier((dwell, True) for dwell in over)
    every = kaplan_meier(
        [
            *((dwell, True) for dwell in over),
            *((max(now - one.entered_at, 0), False) for _, one in stays if one.exited_at is None),
        ]
    )
    return Node(
        stage,
        len(stays),
        len({lead for lead, _ in stays}),
        len(over),
        quantile(ended, MEDIAN),
        quantile(ended, P90),
        quantile(every, MEDIAN),
        quantile(every, P90),
    )


def _edge(
    previous: str | None, stage: str, taken: list[tuple[int, int | None, bool]], left: int
) -> Edge:
    curve = kaplan_meier((dwell, True) for _, dwell, _ in taken if dwell is not None)
    return Edge(
        previous,
        stage,
        len(taken),
        len({lead for lead, _, _ in taken}),
        Fraction(len(taken), left),
        is_backward(previous, stage),
        any(opens for _, _, opens in taken),
        quantile(curve, MEDIAN),
        quantile(curve, P90),
    )
