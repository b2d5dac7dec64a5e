"""Curves over read models are those of `domain.survival`, on both databases."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from domain.stages import RANK
from domain.survival import aalen_johansen, kaplan_meier, log_log, quantile
from leadflow.store.migrate import make_engine
from projections.curves import CLOSING, OPEN, QUANTILES, between_stages, curve
from projections.schema import read_models
from projections.setup import create
from tests.funnel_kit import Story, many, tell
from tests.projections_kit import DAY, START, read_model_database


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Return empty read models, on SQLite and on PostgreSQL."""
    made = read_models(make_engine(database_url))
    create(made)
    yield made
    made.dispose()


observed = st.lists(st.tuples(st.integers(0, 15), st.sampled_from([OPEN, 0, 1, 2])), max_size=25)


@given(observed, st.booleans())
def test_a_curve_over_columns_is_the_exact_one(some: list[tuple[int, int]], plain: bool) -> None:
    seen = [(at, OPEN if plain and cause > 0 else cause) for at, cause in some]
    exact = aalen_johansen((at, None if cause == OPEN else cause) for at, cause in seen).get(0, [])
    if plain:
        assert exact == kaplan_meier((at, cause == 0) for at, cause in seen)

    found = curve(np.array([at for at, _ in seen], np.int64), np.array([c for _, c in seen], int))

    assert [step.at for step in exact] == found.at.tolist()
    assert [step.at_risk for step in exact] == found.at_risk.tolist()
    assert [step.events for step in exact] == found.events.tolist()
    assert found.reached.tolist() == pytest.approx([float(s.reached) for s in exact], abs=1e-12)
    assert found.variance.tolist() == pytest.approx([float(s.variance) for s in exact], abs=1e-12)
    low, high = found.intervals()
    for step, lowest, highest in zip(exact, low.tolist(), high.tolist(), strict=True):
        interval = log_log(step.reached, step.variance)
        if interval is None:
            assert np.isnan(lowest)
        else:
            assert (lowest, highest) == pytest.approx(interval, abs=1e-6)
    for share in QUANTILES:
        assert quantile(exact, share) == found.quantile(share)


@settings(max_examples=100)
@given(
    many,
    st.sampled_from([("mql", "sql"), ("captured", "won"), ("sql", "lost"), ("lost", "recycled")]),
    st.booleans(),
)
def test_the_curve_between_stages_sees_every_cycle_to_its_end_or_to_now(
    told_of: list[Story], way: tuple[str, str], plain: bool
) -> None:
    start, goal = way
    goals = {goal} | {one for one in RANK if goal in RANK and RANK[one] > RANK[goal]}
    closing = {one for one in CLOSING if one not in goals and one != start}
    seen: list[tuple[int, str | None]] = []
    for story in told_of:
        for cycle in {one[2] for one in story.entries}:
            entries = [one for one in story.entries if one[2] == cycle]
            begun = [n for n, one in enumerate(entries) if one[1] == start]
            if not begun:
                continue
            since = entries[begun[0]][0]
            ends = [one for one in entries[begun[0] + 1 :] if one[1] in goals | closing]
            later = [one[0] for one in story.entries if one[2] > cycle]
            if ends:
                seen.append((ends[0][0] - since, "goal" if ends[0][1] in goals else ends[0][1]))
            else:
                seen.append(((later[0] if later else 70) - since, None))
    if plain:
        steps = kaplan_meier((at * DAY, cause == "goal") for at, cause in seen)
    else:
        steps = aalen_johansen((at * DAY, cause) for at, cause in seen).get("goal", [])
    with read_model_database().connect() as connection:
        tell(connection, told_of, now=70)
        answer = between_stages(connection, start, goal, plain=plain)

    assert len(seen) == answer["leads"]
    assert sum(cause is None for _, cause in seen) == answer["open"]
    assert {one["stage"]: one["leads"] for one in answer["competing"]} == {
        stage: sum(cause == stage for _, cause in seen) for stage in closing
    }
    assert [step.at / 1_000_000 for step in steps] == [row["seconds"] for row in answer["curve"]]
    assert [row["reached"] for row in answer["curve"]] == pytest.approx(
        [float(step.reached) for step in steps], abs=1e-12
    )
    median = quantile(steps, Fraction(1, 2))
    assert answer["median_seconds"] == (None if median is None else median / 1_000_000)


def test_competing_ends_make_the_curve_lower(engine: Engine) -> None:
    told_of = [
        Story(((0, "mql", 1), (3, "sql", 1)), owner="kim"),
        Story(((0, "mql", 1), (4, "disqualified", 1)), owner="kim"),
        Story(((0, "mql", 1), (5, "opportunity", 1)), owner="lee"),
        Story(((0, "mql", 1),), owner="lee"),
        Story(((0, "captured", 1),)),
    ]
    with engine.begin() as connection:
        tell(connection, told_of, now=10)
        answer = between_stages(connection, "mql", "sql", by="owner")
        plain = between_stages(connection, "mql", "sql", plain=True)
        early = between_stages(connection, "mql", "sql", as_of=START + 10 * DAY)
        with pytest.raises(ValueError, match="has reached mql already"):
            between_stages(connection, "sql", "mql")
        with pytest.raises(ValueError, match="unknown stage 'born'"):
            between_stages(connection, "born", "mql")

    assert (4, 2, 1) == (answer["leads"], answer["reached"], answer["open"])
    assert answer["reached_ever"] == pytest.approx(0.5)
    assert plain["reached_ever"] == pytest.approx(0.625)
    assert ["aalen_johansen", "kaplan_meier"] == [answer["method"], plain["method"]]
    assert answer["curve"] == early["curve"]
    assert {"kim": 2, "lee": 2} == {group["value"]: group["leads"] for group in answer["groups"]}
    assert 432_000.0 == answer["median_seconds"]


def test_the_golden_curve_over_columns() -> None:
    """Conversions at 3 and 5; censored at 4, 10, 10: 46.67 %, where the naive rate is 40 %."""
    found = curve(np.array([3, 4, 5, 10, 10]), np.array([0, OPEN, 0, OPEN, OPEN]))

    assert "46.67%" == f"{found.reached[-1]:.2%}"
    with pytest.raises(ValueError, match="must not be negative: -1"):
        curve(np.array([-1]), np.array([0]))


def test_there_is_no_curve_where_there_are_no_leads(engine: Engine) -> None:
    with engine.connect() as connection:
        empty = between_stages(connection, "mql", "sql", by="owner")

    assert (0, None, []) == (empty["leads"], empty["reached_ever"], empty["curve"])
    assert (None, []) == (empty["as_of"], empty["groups"])
