"""What ClickHouse and PostHog answer, where their reading of a funnel is ours.

ClickHouse's other modes have no counterpart here: `strict_deduplication`, `allow_reentry`, and
one event counting for two steps that ask the same (a step listed twice needs two events).
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from domain.funnel import Chain, Exclusion, Mode, funnel, longest_chain, totals

Events = list[tuple[int, str]]


def load(shared_data: Path, name: str) -> dict[str, Any]:
    """Return one of the files of funnel answers."""
    answers: dict[str, Any] = json.loads((shared_data / "funnels" / name).read_text())
    return answers


def by_step(happened: Events, steps: Sequence[str]) -> Events:
    """Put equal instants in the order of steps, as ClickHouse does."""
    place = {step: k for k, step in enumerate(steps)}
    return sorted(happened, key=lambda event: (event[0], place.get(event[1], -1)))


def until_broken(happened: Events, steps: Sequence[str], window: int) -> Events:
    """Cut *happened* where ClickHouse's strict_order stops looking.

    It ends the whole search, not one attempt, at the first event that is no step or whose step
    before was not reached; here other attempts go on, and events that are no step may pass.
    """
    began: dict[int, int] = {}  # step reached -> start of the attempt that reached it last
    for i, (at, name) in enumerate(happened):
        k = steps.index(name) if name in steps else len(steps)
        if k == 0:
            began[0] = at
        elif began and k - 1 not in began:
            return happened[:i]
        elif began and at <= began[k - 1] + window:
            began[k] = began[k - 1]
    return happened


@pytest.mark.parametrize("mode", ["default", "strict_increase", "strict_once"])
def test_clickhouse_answers_the_same_in_order(shared_data: Path, mode: str) -> None:
    answers = load(shared_data, "clickhouse_micro.json")
    compared = 0
    for case in answers["cases"]:
        happened = [(at, name) for at, name in case["events"]]
        for window in (5, 30, 1000):
            chain = longest_chain(
                happened, answers["steps"], window=window, increase=mode == "strict_increase"
            )
            level = case["levels"][f"{window}|{mode}"]
            if mode == "strict_increase" and case["equal_times"]:
                # a start at the instant of its second step hides an earlier start from ClickHouse
                assert chain.level >= level, (happened, window)
            else:
                assert chain.level == level, (happened, window)
            compared += 1

    assert compared == 900


def test_clickhouse_answers_the_same_in_strict_order_up_to_the_first_break(
    shared_data: Path,
) -> None:
    answers = load(shared_data, "clickhouse_micro.json")
    steps = answers["steps"]
    compared = 0
    for case in answers["cases"]:
        happened = by_step([(at, name) for at, name in case["events"]], steps)
        for window in (5, 30, 1000):
            level = case["levels"][f"{window}|strict_order"]
            searched = until_broken(happened, steps, window)
            assert longest_chain(searched, steps, window=window, mode="strict").level == level
            # looking on after the break may find more and never less
            assert longest_chain(happened, steps, window=window, mode="strict").level >= level
            compared += 1

    assert compared == 900


def test_clickhouse_answers_its_own_published_cases_the_same(shared_data: Path) -> None:
    compared = 0
    for case in load(shared_data, "clickhouse_published.json")["cases"]:
        modes, steps, happened = set(case["modes"]), case["steps"], case["events"]
        if not modes <= {"strict_increase", "strict_once", "strict_order"}:
            continue
        if len(set(steps)) < len(steps) and "strict_once" not in modes:
            continue
        mode: Mode = "ordered"
        if "strict_order" in modes:
            mode, happened = "strict", until_broken(happened, steps, case["window"])
        chain = longest_chain(
            [(at, name) for at, name in happened],
            steps,
            window=case["window"],
            mode=mode,
            increase="strict_increase" in modes,
        )
        assert chain.level == case["level"], case
        compared += 1

    assert compared == 37


# --- PostHog -----------------------------------------------------------------------------------


def posthog(shared_data: Path, test: str, suite: str) -> dict[str, Any]:
    """Return one case of PostHog's."""
    cases = load(shared_data, "posthog_cases.json")["cases"]
    return next(case for case in cases if case["test"] == test and case["suite"] == suite)


def micros(text: str) -> int:
    """Return an instant without zone in microseconds."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001 (both without zone)


def subjects(case: dict[str, Any], events: int) -> dict[str, Events]:
    """Return the first so many events by person, each person's in order of time."""
    person = {key: one["distinct_ids"][0] for one in case["persons"] for key in one["distinct_ids"]}
    happened: dict[str, Events] = defaultdict(list)
    for event in case["events"][:events]:
        key = event["distinct_id"]
        happened[person.get(key, key)].append((micros(event["timestamp"]), event["event"]))
    return {person: sorted(those) for person, those in happened.items()}


def chains(case: dict[str, Any], expected: dict[str, Any], mode: Mode) -> dict[str, Chain]:
    """Return the chain of each person."""
    filters = expected["filter"]
    steps = [step["id"] for step in filters["events"]]
    exclusions: list[Exclusion[str]] = [
        Exclusion(x["id"], x["funnel_from_step"] + 1, x["funnel_to_step"] + 1)
        for x in filters.get("exclusions", [])
    ]
    window = filters.get("funnel_window_days", 14) * 86_400 * 1_000_000
    return {
        person: longest_chain(happened, steps, window=window, mode=mode, exclusions=exclusions)
        for person, happened in subjects(case, expected["n_events"]).items()
    }


@pytest.mark.parametrize(
    ("suite", "test", "mode"),
    [
        ("TestFOSSFunnel", "test_funnel_with_single_step", "ordered"),
        ("TestFOSSFunnel", "test_basic_funnel_with_repeat_step_updated_param", "ordered"),
        ("TestFOSSFunnel", "test_advanced_funnel_with_repeat_steps_out_of_order_events", "ordered"),
        ("TestFOSSFunnel", "test_advanced_funnel_exclusions_between_steps", "ordered"),
        ("TestFunnelStrictSteps", "test_basic_strict_funnel", "strict_all"),
        ("TestFunnelUnorderedSteps", "test_big_multi_step_unordered_funnel", "any"),
        (
            "TestFunnelUnorderedSteps",
            "test_advanced_funnel_multiple_exclusions_between_steps",
            "any",
        ),
    ],
)
def test_posthog_counts_the_same_persons(
    shared_data: Path, suite: str, test: str, mode: Mode
) -> None:
    case = posthog(shared_data, test, suite)
    compared = 0
    for expected in case["expect"]:
        filters = expected["filter"]
        found = chains(case, expected, mode)
        if expected["kind"] == "actors":
            reached = filters["funnel_step"]
            persons = {f"person:{person}" for person, c in found.items() if c.level >= reached}
            assert persons == set(expected["value"]), filters
            compared += 1
        elif expected["path"][1:] == ["count"]:
            counts = totals(found.values(), len(filters["events"]))
            assert counts[expected["path"][0]].subjects == expected["value"], filters
            compared += 1

    assert compared


@pytest.mark.parametrize(
    ("suite", "mode"),
    [
        ("TestFunnelConversionTime", "ordered"),
        ("TestFunnelStrictStepsConversionTime", "strict_all"),
        ("TestFunnelUnorderedStepsConversionTime", "any"),
    ],
)
def test_posthog_takes_the_same_times_from_step_to_step(
    shared_data: Path, suite: str, mode: Mode
) -> None:
    case = posthog(shared_data, "test_funnel_step_conversion_times", suite)
    average = {"average_conversion_time": mean, "median_conversion_time": median}
    compared = 0
    for expected in case["expect"]:
        k, figure = expected["path"][:2] if len(expected["path"]) == 2 else (0, "")
        if not k or figure not in average:
            continue
        found = chains(case, expected, mode).values()
        seconds = [(c.instants[k] - c.instants[k - 1]) / 1_000_000 for c in found if c.level > k]
        assert average[figure](seconds) == expected["value"]
        compared += 1

    assert compared == 4


def test_the_totals_of_a_funnel_are_those_of_its_chains(shared_data: Path) -> None:
    case = posthog(shared_data, "test_funnel_step_conversion_times", "TestFunnelConversionTime")
    steps = [step["id"] for step in case["expect"][0]["filter"]["events"]]

    result = funnel(subjects(case, len(case["events"])).values(), steps)

    assert [step.subjects for step in result] == [3, 3, 2]
    assert [step.median_seconds_from_first for step in result] == [0, 7_200, 10_800]
