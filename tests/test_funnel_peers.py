"""Every case of ClickHouse's, by the definition and over columns.

ClickHouse ends its whole search where a strict mode is broken; here an attempt ends and others go
on. So its strict modes are compared up to where it stops (`stopped`). Its other modes are ours: `strict_once` is how every step is counted here,
`strict_increase` is ``increase``, and `strict_order` with `allow_reentry` is ``strict``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from domain.funnel import Mode, longest_chain
from projections.funnel_columns import chains

Events = list[tuple[int, str]]

WINDOWS = (5, 30, 1000)


def load(shared_data: Path, name: str) -> dict[str, Any]:
    """Return one of the files of funnel answers."""
    answers: dict[str, Any] = json.loads((shared_data / "funnels" / name).read_text())
    return answers


class Asked(NamedTuple):
    """One funnel over one history."""

    events: Events
    steps: Sequence[str]
    window: int
    mode: Mode = "ordered"
    increase: bool = False

    @property
    def level(self) -> int:
        """Return how far the history gets: the same by both roads."""
        found = longest_chain(
            self.events, self.steps, window=self.window, mode=self.mode, increase=self.increase
        )
        columns = chains(
            np.zeros(len(self.events), np.int64),
            np.array([at for at, _ in self.events], np.int64),
            np.array([_mask(name, self.steps) for _, name in self.events], np.uint64),
            len(self.steps),
            window=self.window,
            mode=self.mode,
            increase=self.increase,
        )
        levels = columns.levels.tolist()
        assert [found.level] * bool(found.level) == levels, self
        assert [list(found.picks)] * len(levels) == [
            columns.picks[0, : found.level].tolist() for _ in levels
        ]
        return found.level


def _mask(name: str, steps: Sequence[str]) -> int:
    return sum(1 << k for k, step in enumerate(steps) if step == name)


def by_step(happened: Events, steps: Sequence[str]) -> Events:
    """Put equal instants in the order of steps, as ClickHouse does."""
    place = {step: k for k, step in enumerate(steps)}
    return sorted(happened, key=lambda event: (event[0], place.get(event[1], -1)))


def stopped(
    happened: Events,
    steps: Sequence[str],
    window: int,
    *,
    order: bool = False,
    deduplicate: bool = False,
    increase: bool = False,
) -> Events:
    """Return what ClickHouse looks at.

    *order*: it stops at the first event that is no step or whose step before was not reached.
    *deduplicate*: it stops at a step, not the first, that was reached before.
    """
    began: dict[int, tuple[int, int]] = {}  # step reached -> start of its attempt, and when
    for i, (at, name) in enumerate(happened):
        k = steps.index(name) if name in steps else len(steps)
        if k == len(steps) and not order:
            continue
        if k == 0:
            began[0] = at, at
        elif (deduplicate and k in began) or (order and began and k - 1 not in began):
            return happened[:i]
        elif k - 1 in began:
            start, last = began[k - 1]
            if at <= start + window and (at > last or not increase):
                began[k] = start, at
                if k == len(steps) - 1:
                    return happened[: i + 1]
    return happened


@pytest.mark.parametrize("mode", ["default", "strict_increase", "strict_once"])
def test_clickhouse_answers_the_same_in_order(shared_data: Path, mode: str) -> None:
    answers = load(shared_data, "clickhouse_micro.json")
    compared = 0
    for case in answers["cases"]:
        happened = [(at, name) for at, name in case["events"]]
        for window in WINDOWS:
            increase = mode == "strict_increase"
            ours = Asked(happened, answers["steps"], window, increase=increase).level
            level = case["levels"][f"{window}|{mode}"]
            if increase and case["equal_times"]:
                # a start at the instant of its second step hides an earlier start from ClickHouse
                assert ours >= level, (happened, window)
            else:
                assert ours == level, (happened, window)
            compared += 1

    assert compared == 900


@pytest.mark.parametrize("increase", [False, True])
def test_clickhouse_answers_the_same_in_strict_order_up_to_the_first_break(
    shared_data: Path, increase: bool
) -> None:
    answers = load(shared_data, "clickhouse_micro.json")
    steps = answers["steps"]
    mode = "strict_order+strict_increase" if increase else "strict_order"
    compared = 0
    for case in answers["cases"]:
        happened = by_step([(at, name) for at, name in case["events"]], steps)
        for window in WINDOWS:
            level = case["levels"][f"{window}|{mode}"]
            searched = stopped(happened, steps, window, order=True, increase=increase)
            ours = Asked(searched, steps, window, "strict", increase=increase).level
            if increase and case["equal_times"]:
                assert ours >= level
            else:
                assert ours == level
            # looking on after the break may find more and never less
            assert Asked(happened, steps, window, "strict", increase=increase).level >= level
            compared += 1

    assert compared == 900


@pytest.mark.parametrize("order", [False, True])
def test_clickhouse_answers_the_same_up_to_a_repeated_step(shared_data: Path, order: bool) -> None:
    """strict_deduplication is no mode of ours: a step taken again makes nothing undone."""
    answers = load(shared_data, "clickhouse_micro.json")
    steps = answers["steps"]
    mode = "strict_order+strict_deduplication" if order else "strict_deduplication"
    ours: Mode = "strict" if order else "ordered"
    compared = 0
    for case in answers["cases"]:
        happened = by_step([(at, name) for at, name in case["events"]], steps)
        for window in WINDOWS:
            searched = stopped(happened, steps, window, order=order, deduplicate=True)
            level = case["levels"][f"{window}|{mode}"]
            assert Asked(searched, steps, window, ours).level == level, (happened, window)
            assert Asked(happened, steps, window, ours).level >= level
            compared += 1

    assert compared == 900


def test_clickhouse_answers_its_own_published_cases_the_same(shared_data: Path) -> None:
    compared = 0
    for case in load(shared_data, "clickhouse_published.json")["cases"]:
        modes, steps = set(case["modes"]), case["steps"]
        happened = [(at, name) for at, name in case["events"]]
        increase = "strict_increase" in modes
        mode: Mode = "strict" if "strict_order" in modes else "ordered"
        if len(set(steps)) < len(steps) and "strict_once" not in modes:
            # Without strict_once one event counts for all steps that ask the same; a step listed
            # twice needs two events here.
            twice = Asked(happened, steps, case["window"], mode, increase).level
            assert twice <= case["level"]
            compared += 1
            continue
        if "allow_reentry" not in modes:
            happened = stopped(
                happened,
                steps,
                case["window"],
                order=mode == "strict",
                deduplicate="strict_deduplication" in modes and "strict_once" not in modes,
                increase=increase,
            )
        ours = Asked(happened, steps, case["window"], mode, increase).level
        assert case["level"] == ours, case
        compared += 1

    assert compared == 60


def test_the_order_of_the_columns_is_that_of_the_events(shared_data: Path) -> None:
    """All histories of the file at once, each a subject: as one by one."""
    answers = load(shared_data, "clickhouse_micro.json")
    steps = answers["steps"]
    rows = [
        (n, at, _mask(name, steps))
        for n, case in enumerate(answers["cases"])
        for at, name in case["events"]
    ]
    subject, at, mask = (np.array(column) for column in zip(*rows, strict=True))

    for window in WINDOWS:
        found = chains(subject, at, mask.astype(np.uint8), len(steps), window=window, chunk=64)
        levels = dict(zip(found.subjects.tolist(), found.levels.tolist(), strict=True))
        expected = [case["levels"][f"{window}|default"] for case in answers["cases"]]
        assert expected == [levels.get(n, 0) for n in range(len(expected))]
