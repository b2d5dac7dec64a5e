"""The graph of stages: what its figures mean, and that columns give those of the reference."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.stage_graph import MEDIAN, P90, Edge, Node, Stay, is_backward, stage_graph
from domain.survival import kaplan_meier, quantile
from projections.dwell import quantiles
from projections.pipeline import UnknownDimension
from projections.stage_graph import stage_graph as by_columns
from tests.stage_histories import NOW, Life, filled, populations

SECOND = 1_000_000


def node(stage: str, **values: Any) -> Node:
    return Node(
        **{"stage": stage, "p50": None, "p90": None, "km_p50": None, "km_p90": None} | values
    )


def test_a_graph_tells_what_followed_how_often_and_after_how_long() -> None:
    ada = [Stay("captured", 1, 0, 10), Stay("mql", 1, 10, 40), Stay("recycled", 1, 40, None)]
    ben = [Stay("captured", 1, 5, 25), Stay("mql", 1, 25, None)]

    graph = stage_graph([ada, ben], now=100)

    assert (
        node("captured", entries=2, leads=2, exits=2, p50=10, p90=20, km_p50=10, km_p90=20),
        # one of two left after 30; the other has been there for 75, so half is over by 30
        node("mql", entries=2, leads=2, exits=1, p50=30, p90=30, km_p50=30),
        node("recycled", entries=1, leads=1, exits=0),
    ) == graph.nodes
    assert (
        Edge(None, "captured", 2, 2, Fraction(1), False, False, None, None),
        Edge("captured", "mql", 2, 2, Fraction(1), False, False, 10, 20),
        Edge("mql", "recycled", 1, 1, Fraction(1), True, False, 30, 30),
    ) == graph.edges


def test_a_period_takes_the_stays_that_began_in_it_and_all_that_came_of_them() -> None:
    ada = [Stay("captured", 1, 0, 10), Stay("mql", 1, 10, 40), Stay("sal", 1, 40, None)]

    graph = stage_graph([ada], now=100, since=10, until=40)

    assert ["mql"] == [one.stage for one in graph.nodes]
    assert [("mql", "sal")] == [(one.previous, one.stage) for one in graph.edges]


@pytest.mark.parametrize(
    "previous, stage, backward",
    [
        (None, "captured", False),
        ("captured", "mql", False),
        ("mql", "recycled", True),
        ("captured", "disqualified", True),
        ("won", "opportunity", True),
        ("opportunity", "lost", False),
        ("recycled", "mqo", False),
        ("sgl", "sal", False),
    ],
)
def test_back_is_a_lower_rank_or_out_of_the_way(
    previous: str | None, stage: str, backward: bool
) -> None:
    assert backward == is_backward(previous, stage)


@given(populations(), st.sampled_from([(None, None), (50, None), (60, 200), (None, 120)]))
@settings(max_examples=60)
def test_columns_give_the_graph_of_the_reference(
    population: list[Life], period: tuple[int | None, int | None]
) -> None:
    since, until = period
    engine = filled(population)
    with engine.connect() as connection:
        answer = by_columns(connection, since=since, until=until, as_of=NOW)
        grouped = by_columns(connection, "channel", since=since, until=until, as_of=NOW)
    engine.dispose()

    assert as_answer([life.stays for life in population], since, until) == {
        name: answer[name] for name in ("nodes", "edges")
    }
    for group in grouped["groups"]:
        alike = [life.stays for life in population if life.channel == group["value"]]
        assert {"value": group["value"], **as_answer(alike, since, until)} == group


def as_answer(histories: list[list[Stay]], since: int | None, until: int | None) -> dict[str, Any]:
    """Return the graph of the reference in the words of the answer."""
    graph = stage_graph(histories, NOW, since, until)

    def both(p50: int | None, p90: int | None) -> dict[str, float | None]:
        return {
            "p50": None if p50 is None else p50 / SECOND,
            "p90": None if p90 is None else p90 / SECOND,
        }

    return {
        "nodes": [
            {
                "stage": one.stage,
                "entries": one.entries,
                "leads": one.leads,
                "exits": one.exits,
                "still_there": one.entries - one.exits,
                "dwell_seconds": both(one.p50, one.p90),
                "km_dwell_seconds": both(one.km_p50, one.km_p90),
            }
            for one in graph.nodes
        ],
        "edges": [
            {
                "from": one.previous,
                "to": one.stage,
                "count": one.count,
                "leads": one.leads,
                "share_of_exits": float(one.share),
                "is_backward": one.is_backward,
                "opens_cycle": one.opens_cycle,
                "dwell_seconds": both(one.p50, one.p90),
            }
            for one in graph.edges
        ],
    }


def test_what_cannot_be_grouped_by_is_refused_with_what_can() -> None:
    with filled([]).connect() as connection:
        with pytest.raises(UnknownDimension, match="there are owner"):
            by_columns(connection, "stars")
        assert {"leads": 0, "nodes": [], "edges": [], "groups": []} == {
            name: value
            for name, value in by_columns(connection, "cycle_kind").items()
            if name not in ("as_of", "from", "to")
        }


@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=60),
    st.sampled_from([MEDIAN, P90, Fraction(1, 3), Fraction(1)]),
)
@settings(max_examples=300)
def test_quantiles_by_columns_are_those_of_the_exact_curve(
    stays: list[tuple[int, bool]], share: Fraction
) -> None:
    durations = np.array([duration for duration, _ in stays], np.int64)
    ended = np.array([over for _, over in stays], np.bool_)

    assert [quantile(kaplan_meier(stays), share)] == quantiles(durations, (share,), ended)
    done = [stay for stay in stays if stay[1]]
    assert [quantile(kaplan_meier(done), share)] == quantiles(durations[ended], (share,))


def test_a_level_that_floats_miss_by_a_hair_is_met_exactly() -> None:
    """A tenth of 30 is left, though 30 factors of floats end above or below it."""
    for size in range(10, 400, 10):
        durations = np.arange(size + 1)
        ended = np.append(np.ones(size, np.bool_), False)
        exact = quantile(kaplan_meier([(n, n < size) for n in range(size + 1)]), P90)
        assert [exact] == quantiles(durations, (P90,), ended)
