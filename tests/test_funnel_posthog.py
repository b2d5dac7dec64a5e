"""Every case of PostHog's, by the definition and over columns, where its reading is a funnel's.

What does not apply is its own surface, listed below with the reason; a test sees to it that no
other case is left out.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import numpy as np
import pytest

from domain.events import Fact
from domain.funnel import Chain, Exclusion, Mode, longest_chain
from leadflow.funnel_steps import Filter, Step, condition_of, field, told
from projections.columns import Coded
from projections.funnel import Happenings, Question, document
from projections.funnel_columns import chains

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
CLOCK: Final = "2021-06-15T12:00:00"

NOT_APPLICABLE: Final = {
    # PostHog asks every order of the steps as a funnel of its own and adds up their groups, so
    # that a person stands in several groups of one step. Here a person has one chain.
    ("TestFunnelUnorderedStepsBreakdown", "test_funnel_step_breakdown_with_step_one_attribution"),
    (
        "TestFunnelUnorderedStepsBreakdown",
        "test_funnel_step_breakdown_event_single_person_multiple_breakdowns",
    ),
}

KEYS: Final = ("count", "average_conversion_time", "median_conversion_time")
"""What a row of PostHog's says that is about the funnel, not about its page."""


def micros(text: str) -> int:
    """Return an instant without zone in microseconds."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001 (both without zone)


def end_of(text: str) -> int:
    """Return the instant before which a range ends: a bare date means its whole day."""
    return micros(text) + (DAY if len(text) == len("2020-01-01") else 0)


@dataclass(frozen=True)
class Asked:
    """One expectation of a case, read as a funnel."""

    persons: dict[str, list[Fact]]
    steps: list[Step]
    tests: list[Callable[[Fact], bool]]
    exclusions: list[tuple[str, int, int]]
    question: Question

    @classmethod
    def of(cls, case: dict[str, Any], expected: dict[str, Any]) -> "Asked":
        asked = expected["filter"]
        first = {
            key: one["distinct_ids"][0] for one in case["persons"] for key in one["distinct_ids"]
        }
        properties = {one["distinct_ids"][0]: one["properties"] for one in case["persons"]}
        persons: dict[str, list[Fact]] = {}
        for n, event in enumerate(case["events"][: expected["n_events"]]):
            person = first.get(event["distinct_id"], event["distinct_id"])
            at = micros(event["timestamp"])
            data = {key: value for key, value in event["properties"].items() if value is not None}
            # What is asked of the person is asked of each of its events.
            data |= {f"person {key}": value for key, value in properties.get(person, {}).items()}
            persons.setdefault(person, []).append(
                Fact(event["event"], "/posthog", f"{n:04}", at, at, data=data)
            )
        steps = [
            Step(step["id"], step["id"], tuple(_filter(one) for one in step.get("properties", ())))
            for step in asked["events"]
        ]
        exclusions = [
            (one["id"], one["funnel_from_step"] + 1, one["funnel_to_step"] + 1)
            for one in asked.get("exclusions", [])
        ]
        window = asked.get("funnel_window_interval", asked.get("funnel_window_days", 14))
        by = asked.get("breakdown")
        question = Question(
            _mode(expected),
            window * DAY,
            exclusions=tuple((after, before) for _, after, before in exclusions),
            since=micros(asked["date_from"]) if "date_from" in asked else micros(CLOCK) - 7 * DAY,
            until=end_of(asked["date_to"]) if "date_to" in asked else None,
            by=None if by is None else "event",
            **_reading(asked),
        )
        tests = [_all_of(step) for step in steps]
        by_time = {
            person: sorted(facts, key=lambda one: one.at) for person, facts in persons.items()
        }
        return cls(by_time, steps, tests, exclusions, question)

    def by_definition(self) -> dict[str, Chain]:
        """Return the chain of each person."""
        return {
            person: longest_chain(
                [(fact.at, fact) for fact in facts],
                self.tests,
                window=self.question.window,
                mode=self.question.mode,
                exclusions=[
                    Exclusion(_named(name), after, before)
                    for name, after, before in self.exclusions
                ],
                since=self.question.since,
                until=self.question.until,
            )
            for person, facts in self.persons.items()
        }

    def columns(self, fields: list[str]) -> Happenings:
        """Return the same as columns, persons numbered from 0, with the values to group by."""
        tests = [*self.tests, *(_named(name) for name, _, _ in self.exclusions)]
        facts = [fact for of_person in self.persons.values() for fact in of_person]
        values: dict[str | None, int] = {}
        codes = [values.setdefault(_value(fact, fields), len(values)) for fact in facts]
        return Happenings(
            np.repeat(np.arange(len(self.persons)), [len(one) for one in self.persons.values()]),
            np.array([fact.at for fact in facts], np.int64),
            np.array(
                [sum(1 << k for k, test in enumerate(tests) if test(fact)) for fact in facts],
                np.uint64,
            ),
            Coded(np.array(codes, np.int32), list(values)),
        )


def _mode(expected: dict[str, Any]) -> Mode:
    order = expected["filter"].get("funnel_order_type", "")
    if "Strict" in expected["funnel_class"] or order == "strict":
        return "strict_all"
    if "Unordered" in expected["funnel_class"] or order == "unordered":
        return "any"
    return "ordered"


def _reading(asked: dict[str, Any]) -> dict[str, Any]:
    kind = asked.get("breakdown_attribution_type", "first_touch")
    if kind == "step":
        return {"reading": "step", "at_step": int(asked["breakdown_attribution_value"]) + 1}
    return {"reading": {"first_touch": "first", "last_touch": "conversion"}[kind]}


def _filter(one: dict[str, Any]) -> Filter:
    key = one["key"] if one["type"] == "event" else f"person {one['key']}"
    return Filter(
        key,
        {"icontains": "~", "is_set": "~"}[one["operator"]],
        "" if one["operator"] == "is_set" else one["value"],
    )


def _all_of(step: Step) -> Callable[[Fact], bool]:
    passes = condition_of(step)
    return lambda fact: fact.type == step.name and passes(fact)


def _named(name: str) -> Callable[[Fact], bool]:
    return lambda fact: fact.type == name


def _value(fact: Fact, fields: list[str]) -> str | None:
    values = [told(field(fact, name)) for name in fields]
    return None if all(value is None for value in values) else json.dumps(values)


def cases(shared_data: Path) -> list[dict[str, Any]]:
    """Return PostHog's cases."""
    found: list[dict[str, Any]] = json.loads(
        (shared_data / "funnels" / "posthog_cases.json").read_text()
    )["cases"]
    return found


def fields_of(asked: dict[str, Any]) -> list[str]:
    """Return the fields that an expectation groups by."""
    by = asked.get("breakdown") or []
    return [by] if isinstance(by, str) else list(by)


def group_of(value: Any, fields: list[str]) -> str | None:
    """Return a value of PostHog's as `Asked.columns` writes it: empty text means none."""
    values = [one or None for one in (value if isinstance(value, list) else [value])]
    assert len(values) == len(fields)
    return None if all(one is None for one in values) else json.dumps(values)


def own_row(chained: list[Chain], k: int) -> dict[str, Any]:
    """Return what PostHog says of step *k* of these chains."""
    seconds = [
        (one.instants[k] - one.instants[k - 1]) / SECOND for one in chained if one.level > k > 0
    ]
    return {
        "count": sum(one.level > k for one in chained),
        "average_conversion_time": mean(seconds) if seconds else None,
        "median_conversion_time": median(seconds) if seconds else None,
    }


def in_group(
    asked: Asked, happened: Happenings, value: str | None, found: list[Chain]
) -> list[int]:
    """Return the persons whose chain is in the group of *value*, by the reading."""
    coded = happened.values
    assert coded is not None
    offsets = np.searchsorted(happened.subjects, np.arange(len(asked.persons))).tolist()
    chosen = []
    for n, chain in enumerate(found):
        along = [coded.values[coded.codes[offsets[n] + pick]] for pick in chain.picks]
        known = [one for one in along if one is not None]
        at_step = asked.question.at_step
        if at_step is not None:
            own = [along[at_step - 1]] if chain.level >= at_step else []
        elif asked.question.reading == "first":
            own = [known[0] if known else None]
        else:
            own = [known[-1] if known else None]
        if chain.level and own == [value]:
            chosen.append(n)
    return chosen


def expectations(shared_data: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each case that applies, with each of its expectations."""
    for case in cases(shared_data):
        if (case["suite"], case["test"]) not in NOT_APPLICABLE:
            for expected in case["expect"]:
                yield case, expected


def test_both_roads_take_the_same_events_in_every_case_of_posthog(shared_data: Path) -> None:
    compared = 0
    for case, expected in expectations(shared_data):
        asked = Asked.of(case, expected)
        happened = asked.columns([])
        found = chains(
            happened.subjects,
            happened.times,
            happened.masks,
            len(asked.steps),
            window=asked.question.window,
            mode=asked.question.mode,
            exclusions=asked.question.exclusions,
            since=asked.question.since,
            until=asked.question.until,
        )
        reached = {
            n: chain for n, chain in enumerate(asked.by_definition().values()) if chain.level
        }
        offsets = np.searchsorted(happened.subjects, np.arange(len(asked.persons)))
        assert list(reached) == found.subjects.tolist()
        for row, (n, chain) in enumerate(reached.items()):
            assert chain.level == found.levels[row]
            picks = found.picks[row, : chain.level] - offsets[n]
            assert list(chain.picks) == picks.tolist(), (case["test"], n)
        compared += 1

    assert compared == sum(1 for _ in expectations(shared_data)) > 130


def test_posthog_says_the_same_of_every_step_and_group(shared_data: Path) -> None:
    compared = 0
    for case, expected in expectations(shared_data):
        if expected["kind"] != "run" or "Time" in expected["funnel_class"]:
            continue
        asked, path, value = Asked.of(case, expected), expected["path"], expected["value"]
        names = [step.text for step in asked.steps]
        fields = fields_of(expected["filter"])
        if not fields:
            k, key = path
            if key == "name":
                assert names[k] == value
            else:
                assert own_row(list(asked.by_definition().values()), k)[key] == value, case["test"]
            compared += 1
            continue
        happened = asked.columns(fields)
        answer = document(happened, names, asked.question)
        group = group_of(value[0]["breakdown"], fields)
        rows = next(one["steps"] for one in answer["groups"] if one["value"] == group)
        everyone = list(asked.by_definition().values())
        chosen = in_group(asked, happened, group, everyone)
        for k, theirs in enumerate(value):
            ours = own_row([everyone[n] for n in chosen], k)
            assert {key: theirs[key] for key in KEYS} == ours, (case["test"], k)
            assert (theirs["name"], theirs["count"]) == (rows[k]["step"], rows[k]["leads"])
            if k:
                seconds = rows[k]["median_seconds_from_previous"]
                assert theirs["median_conversion_time"] == seconds, case["test"]
        compared += 1

    assert compared > 30


def test_posthog_names_the_same_persons(shared_data: Path) -> None:
    compared = 0
    for case, expected in expectations(shared_data):
        if expected["kind"] != "actors":
            continue
        asked, filters = Asked.of(case, expected), expected["filter"]
        found = asked.by_definition()
        persons, everyone = list(found), list(found.values())
        fields, step = fields_of(filters), filters["funnel_step"]
        chosen = list(range(len(persons)))
        if fields and filters.get("funnel_step_breakdown") is not None:
            group = group_of(filters["funnel_step_breakdown"], fields)
            chosen = in_group(asked, asked.columns(fields), group, everyone)
        reached = {f"person:{persons[n]}" for n in chosen if everyone[n].level >= step}
        assert set(expected["value"]) == reached, (case["suite"], case["test"], filters)
        compared += 1

    assert compared == 52


def test_posthog_takes_the_same_time_to_convert_on_average(shared_data: Path) -> None:
    """Its bins are those of its own chart; the mean, the least and the most are the funnel's."""
    (case,) = [one for one in cases(shared_data) if one["suite"] == "TestFunnelTrends"]
    (expected,) = case["expect"]

    found = Asked.of(case, expected).by_definition().values()
    seconds = [(one.instants[1] - one.instants[0]) / SECOND for one in found if one.level > 1]

    assert mean(seconds) == expected["value"]["average_conversion_time"]
    assert [min(seconds), max(seconds)] == [expected["value"]["bins"][n][0] for n in (0, -1)]


def test_only_what_is_listed_is_left_out(shared_data: Path) -> None:
    every = {(case["suite"], case["test"]) for case in cases(shared_data)}

    assert len(every) == 31
    assert every >= NOT_APPLICABLE
    assert {"run", "actors"} == {one["kind"] for _, one in expectations(shared_data)}
    with pytest.raises(KeyError):
        _reading({"breakdown_attribution_type": "all_events"})
