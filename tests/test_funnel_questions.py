"""Funnels and cohorts over read models are those of the definition, on both databases."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from domain.funnel import Chain, Exclusion, StepTotal, longest_chain, totals
from domain.intervals import wilson
from domain.periods import periods
from domain.stages import PATH, RANK
from leadflow.store.migrate import make_engine
from projections.cohorts import cohorts
from projections.funnel import MOST_STEPS, Question, funnel
from projections.pipeline import UnknownDimension
from projections.schema import read_models
from projections.setup import create
from tests.funnel_kit import Story, asked, limits, many, paths, tell
from tests.projections_kit import DAY, START, read_model_database

# --- leads by hand ------------------------------------------------------------------------------


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Return empty read models, on SQLite and on PostgreSQL."""
    made = read_models(make_engine(database_url))
    create(made)
    yield made
    made.dispose()


def leads(answer: dict[str, Any]) -> list[int]:
    """Return the numbers of an answer."""
    return [step["leads"] for step in answer["steps"]]


def groups(answer: dict[str, Any]) -> dict[Any, list[int]]:
    """Return the numbers by group."""
    return {group["value"]: leads(group) for group in answer["groups"]}


# --- any stories ---------------------------------------------------------------------------------


def units(story_of: Sequence[Story], unit: str) -> dict[Any, list[tuple[int, str, int]]]:
    """Return the entries (instant, stage, lead) of each subject of *unit*."""
    found: dict[Any, list[tuple[int, str, int]]] = {}
    for lead, story in enumerate(story_of):
        for day, stage, cycle in story.entries:
            key = {"lead": lead, "cycle": (lead, cycle), "account": story.account}[unit]
            if key is not None:
                found.setdefault(key, []).append((START + day * DAY, stage, lead))
    return {key: sorted(entries, key=lambda one: one[0]) for key, entries in found.items()}


def reaches(
    steps: Sequence[str], entries: list[tuple[int, str, int]]
) -> list[Callable[[Any], bool]]:
    """Return the tests of a monotone funnel: an event is its place in *entries*.

    A stage that is no step stands for the last step it lies beyond, and for the first only where
    no step came before it.
    """
    stood: list[set[int]] = []
    for _, stage, _ in entries:
        own = {k for k, step in enumerate(steps) if step == stage}
        if not own and stage in RANK:
            own = set(
                [k for k, one in enumerate(steps) if one in RANK and RANK[one] < RANK[stage]][-1:]
            )
            if own == {0} and any(stood):
                own = set()
        stood.append(own)
    return [lambda i, k=k: k in stood[i] for k in range(len(steps))]  # type: ignore[misc]  # mypy sees no default of a lambda


def told(total: StepTotal) -> dict[str, Any]:
    """Return a total of the definition as an answer has it."""
    names = ("rate_from_first", "rate_from_previous", *StepTotal._fields[3:])
    row: dict[str, Any] = {"leads": total.subjects}
    for name in names:
        value = getattr(total, name)
        row[name] = None if value is None else float(value)
    return row


@settings(max_examples=150)
@given(
    many,
    asked("ordered", "strict", "any"),
    st.sampled_from(["lead", "cycle", "account"]),
    st.one_of(st.none(), st.integers(0, 30)),
    limits,
    limits,
    st.booleans(),
)
def test_a_funnel_over_stages_is_that_of_the_definition(
    told_of: list[Story],
    of: tuple[list[str], Any],
    unit: Any,
    days: int | None,
    since: int | None,
    until: int | None,
    exclude: bool,
) -> None:
    steps, mode = of
    window = None if days is None else days * DAY
    between = [("recycled", 1, len(steps))] if exclude and len(steps) > 1 else []
    found: dict[Any, Chain] = {}
    for key, entries in units(told_of, unit).items():
        tests: list[Any] = [lambda i, s=s, e=entries: e[i][1] == s for s in steps]
        if mode == "monotone":
            tests = reaches(steps, entries)
        excluded = [
            Exclusion(lambda i, e=entries: e[i][1] == "recycled", after, before)  # type: ignore[misc]  # as above
            for _, after, before in between
        ]
        found[key] = longest_chain(
            [(at, i) for i, (at, _, _) in enumerate(entries)],
            tests,
            window=window,
            mode=mode,
            exclusions=excluded,
            since=since,
            until=until,
        )
    with read_model_database().connect() as connection:
        tell(connection, told_of)
        answer = funnel(
            connection,
            steps,
            mode=mode,
            window=window,
            unit=unit,
            since=since,
            until=until,
            exclusions=between,
            by="owner",
        )

    rows = [told(total) for total in totals(found.values(), len(steps))]
    assert rows == [
        {key: step[key] for key in row} for row, step in zip(rows, answer["steps"], strict=True)
    ]
    by_owner: dict[Any, list[Chain]] = {}
    entries_of = units(told_of, unit)
    for key, chain in found.items():
        if chain.level:
            lead = entries_of[key][chain.picks[0]][2]
            by_owner.setdefault(told_of[lead].owner, []).append(chain)
    assert {
        owner: [total.subjects for total in totals(chains, len(steps))]
        for owner, chains in by_owner.items()
    } == groups(answer)
    first = answer["steps"][0]["leads"]
    for step in answer["steps"]:
        exact = wilson(step["leads"], first)
        assert step["interval_from_first"] == ([*map(float, exact)] if first else None)


@settings(max_examples=80)
@given(many, st.sampled_from(["first", "conversion", "step"]))
def test_a_group_has_the_source_of_the_latest_touch_at_the_step(
    told_of: list[Story], reading: Any
) -> None:
    steps = ["captured", "sql"]
    counted: dict[Any, list[int]] = {}
    for story in told_of:
        entries = [(day, stage) for day, stage, _ in story.entries]
        chain = longest_chain([(day, stage) for day, stage in entries], steps, mode="ordered")
        then = [
            next((name for at, name in reversed(story.touched) if at <= day), None)
            for day in chain.instants
        ]
        known = [name for name in then if name is not None]
        for k in range(chain.level):
            value = then[k]
            if reading != "step":
                value = known[0 if reading == "first" else -1] if known else None
            counted.setdefault(value, [0, 0])[k] += 1
    with read_model_database().connect() as connection:
        tell(connection, told_of)
        answer = funnel(connection, steps, mode="ordered", by="source", reading=reading)

    assert counted == groups(answer)
    assert (reading, "source") == (answer["reading"], answer["by"])


@settings(max_examples=60)
@given(many, asked("ordered"), st.sampled_from(["month", "week"]))
def test_a_cohort_is_the_funnel_that_starts_in_its_period(
    told_of: list[Story], of: tuple[list[str], Any], every: Any
) -> None:
    steps, mode = of
    question = Question(mode, 20 * DAY)
    now = START + 70 * DAY
    with read_model_database().connect() as connection:
        tell(connection, told_of, now=70)
        answer = cohorts(connection, steps, question, every=every)
        whole = funnel(connection, steps, mode=mode, window=20 * DAY)
        within = {one.name: one for one in periods(START, now + 1, every)}
        for cohort in answer["cohorts"]:
            period = within[cohort["cohort"]]
            same = funnel(
                connection, steps, mode=mode, window=20 * DAY, since=period.start, until=period.end
            )
            assert leads(same) == leads(cohort)
            assert cohort["mature"] == (period.end - 1 + 20 * DAY <= now)

    entered = sum(leads(cohort)[0] for cohort in answer["cohorts"])
    assert entered >= whole["steps"][0]["leads"]


@settings(max_examples=80)
@given(many, paths)
def test_the_rate_of_a_period_is_of_those_who_left_a_step_in_it(
    told_of: list[Story], steps: list[str]
) -> None:
    def step_of(stage: str) -> int:
        if stage in steps:
            return steps.index(stage)
        behind = [
            k for k, one in enumerate(steps) if one in RANK and RANK[one] < RANK.get(stage, 0)
        ]
        return behind[-1] if behind and stage in RANK else -1

    expected = [[0, 0] for _ in steps[1:]]
    for story in told_of:
        at_steps = [step_of(stage) for _, stage, _ in story.entries]
        for left, entered in pairwise(at_steps):
            if entered != left and 0 <= left < len(steps) - 1:
                expected[left][0] += 1
                expected[left][1] += entered > left
    with read_model_database().connect() as connection:
        tell(connection, told_of)
        question = Question(window=DAY, since=START - 60 * DAY)
        answer = cohorts(connection, steps, question)

    for k in range(len(steps) - 1):
        rows = [cohort["period"][k] for cohort in answer["cohorts"]]
        assert (
            expected[k]
            == [
                sum(row["exits_from_previous"] for row in rows),
                sum(row["exits_to"] for row in rows),
            ]
            or not told_of
        )


# --- by hand, on both databases -----------------------------------------------------------------


def test_a_window_measures_from_the_first_step_and_not_from_a_stage_on_the_way(
    engine: Engine,
) -> None:
    slow = Story(((0, "captured", 1), (50, "mql", 1), (60, "won", 1)))
    skipped = Story(((0, "mql", 1), (10, "won", 1)))
    with engine.begin() as connection:
        tell(connection, [slow, skipped])

        answer = funnel(connection, ["captured", "won"], window=30 * DAY)

    assert [2, 1] == leads(answer)
    assert 864_000.0 == answer["steps"][1]["median_seconds_from_first"]


def test_what_counts_may_be_leads_their_cycles_or_companies(engine: Engine) -> None:
    again = ((0, "mql", 1), (1, "recycled", 1), (5, "mql", 2), (6, "sql", 2))
    told_of = [
        Story(again, account="acme"),
        Story(((2, "mql", 1),), account="acme"),
        Story(((3, "mql", 1), (4, "sql", 1))),
    ]
    with engine.begin() as connection:
        tell(connection, told_of)
        counted = {
            unit: leads(funnel(connection, ["mql", "sql"], unit=unit))
            for unit in ("lead", "cycle", "account")
        }

    assert {"lead": [3, 2], "cycle": [4, 2], "account": [1, 1]} == counted


def test_a_chain_starts_within_the_period_and_may_end_after_it(engine: Engine) -> None:
    told_of = [Story(((0, "mql", 1), (10, "mql", 1), (40, "sql", 1)))]
    with engine.begin() as connection:
        tell(connection, told_of)
        found = [
            leads(
                funnel(
                    connection, ["mql", "sql"], since=START + low * DAY, until=START + high * DAY
                )
            )
            for low, high in ((0, 5), (5, 20), (11, 30), (0, 90))
        ]

    assert [[1, 1], [1, 1], [0, 0], [1, 1]] == found


def test_a_reading_tells_whose_value_it_is(engine: Engine) -> None:
    told_of = [
        Story(((1, "mql", 1), (9, "sql", 1)), ((0, "email"), (5, "event"), (20, "direct")), "kim")
    ]
    with engine.begin() as connection:
        tell(connection, told_of)
        found = {
            reading: groups(funnel(connection, ["mql", "sql"], by="channel", reading=reading))
            for reading in ("first", "conversion", "step")
        }
        now = groups(funnel(connection, ["mql", "sql"], by="owner"))
        with pytest.raises(UnknownDimension, match="as it is now, not as it was"):
            funnel(connection, ["mql"], by="owner", reading="first")
        with pytest.raises(UnknownDimension, match="cannot group by"):
            funnel(connection, ["mql"], by="stars", reading="first")

    assert {"email": [1, 1]} == found["first"]
    assert {"event": [1, 1]} == found["conversion"]
    assert {"email": [1, 0], "event": [0, 1]} == found["step"]
    assert {"kim": [1, 1]} == now


def test_touches_without_a_value_and_no_touch_at_all_are_one_group(engine: Engine) -> None:
    told_of = [
        Story(((1, "mql", 1), (9, "sql", 1)), ((0, None), (5, "ads"))),
        Story(((1, "mql", 1), (9, "sql", 1)), ((0, None),)),
        Story(((1, "mql", 1),)),
    ]
    with engine.begin() as connection:
        tell(connection, told_of)
        found = {
            reading: groups(funnel(connection, ["mql", "sql"], by="source", reading=reading))
            for reading in ("first", "step")
        }

    assert {None: [2, 1], "ads": [1, 1]} == found["first"]
    assert {None: [3, 1], "ads": [0, 1]} == found["step"]


def test_a_funnel_may_have_as_many_steps_as_there_are_bits(engine: Engine) -> None:
    told_of = [Story(tuple((day, "mql", 1) for day in range(MOST_STEPS)))]
    with engine.begin() as connection:
        tell(connection, told_of)
        for mode in ("ordered", "strict", "strict_all", "any"):
            found = funnel(connection, ["mql"] * MOST_STEPS, mode=mode)
            assert [1] * MOST_STEPS == leads(found)
        with pytest.raises(ValueError, match="at most 62 steps and exclusions together, not 63"):
            funnel(connection, ["mql"] * (MOST_STEPS + 1), mode="ordered")


def test_a_young_cohort_is_marked_and_the_period_stands_beside_it(engine: Engine) -> None:
    told_of = [
        Story(((0, "mql", 1), (5, "sql", 1))),
        Story(((0, "mql", 1), (100, "sql", 1))),
        Story(((101, "mql", 1), (102, "lost", 1))),
    ]
    with engine.begin() as connection:
        tell(connection, told_of, now=103)
        answer = cohorts(connection, ["mql", "sql"], Question(window=30 * DAY))
    first, *_, last = answer["cohorts"]

    assert ("2024-10", [2, 1], True) == (first["cohort"], leads(first), first["mature"])
    assert [1, 0] == leads(last)
    assert not last["mature"]
    assert {"exits_from_previous": 1, "exits_to": 1} == {
        key: first["period"][0][key] for key in ("exits_from_previous", "exits_to")
    }
    assert [2, 1] == [last["period"][0][key] for key in ("exits_from_previous", "exits_to")]


def test_there_is_an_answer_where_there_are_no_leads(engine: Engine) -> None:
    with engine.connect() as connection:
        assert [0, 0] == leads(funnel(connection, ["mql", "sql"], by="channel", reading="first"))
        assert [] == cohorts(connection, ["mql", "sql"], Question(window=DAY))["cohorts"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unit": "person"}, "unknown unit 'person'; there are lead"),
        ({"reading": "best"}, "unknown reading 'best'; there are current"),
        ({"at_step": 3}, "no step 3 of 2"),
        ({"mode": "odd"}, "unknown funnel mode"),
    ],
)
def test_what_makes_no_question_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Question(**options).check(PATH[:2])
