"""The columnar funnel is the one of the definition, for every history, mode and option."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.funnel import MODES, Chain, Exclusion, Mode, longest_chain
from projections.funnel_columns import Chains, chains

STEPS = 3
Event = tuple[int, int, int]
"""Subject, instant, mask."""


def has(bit: int) -> Callable[[int], bool]:
    """Return the test of an event's mask for *bit*."""
    return lambda mask: bool(mask >> bit & 1)


def columns(events: list[Event]) -> tuple[Any, Any, Any]:
    """Return *events* as columns."""
    subject, at, mask = zip(*events, strict=True) if events else ((), (), ())
    return np.array(subject, np.int64), np.array(at, np.int64), np.array(mask, np.uint64)


def one_by_one(events: list[Event], steps: int, **options: Any) -> dict[int, Chain]:
    """Return the chain of each subject by the definition; picks are places in *events*."""
    exclusions = [
        Exclusion(has(steps + x), *between) for x, between in enumerate(options["exclusions"])
    ]
    found = {}
    for subject in sorted({one[0] for one in events}):
        places = [i for i, one in enumerate(events) if one[0] == subject]
        chain = longest_chain(
            [(events[i][1], events[i][2]) for i in places],
            [has(k) for k in range(steps)],
            **{**options, "exclusions": exclusions},
        )
        if chain.level:
            picks = tuple(places[i] for i in chain.picks)
            found[subject] = chain._replace(picks=picks)
    return found


def as_chains(found: Chains, times: Any) -> dict[int, Chain]:
    """Return the chains of the columns as the definition writes them."""
    instants = found.instants(times)
    return {
        int(subject): Chain(
            tuple(found.picks[i, :level].tolist()),
            tuple(instants[i, :level].tolist()),
            tuple(found.steps[i, :level].tolist()),
        )
        for i, (subject, level) in enumerate(zip(found.subjects, found.levels, strict=True))
    }


histories = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 10), st.sampled_from([0, 1, 2, 4, 8, 16, 3, 6, 9])),
    max_size=24,
).map(lambda events: sorted(events, key=lambda event: event[:2]))
single = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from([0, 1, 2, 4, 8, 16])),
    max_size=40,
).map(lambda events: sorted(events, key=lambda event: event[:2]))
exclusions = st.lists(st.sampled_from([(1, 2), (2, 3), (1, 3)]), max_size=2)
limits = st.one_of(st.none(), st.integers(0, 12))


@settings(max_examples=600)
@given(
    st.one_of(histories, single),
    st.sampled_from(MODES),
    st.booleans(),
    limits,
    exclusions,
    limits,
    limits,
    st.sampled_from([1, 5, 1_000]),
)
def test_the_columns_take_the_same_events_as_the_definition(
    events: list[Event],
    mode: Mode,
    increase: bool,
    window: int | None,
    between: list[tuple[int, int]],
    since: int | None,
    until: int | None,
    chunk: int,
) -> None:
    options: dict[str, Any] = {
        "mode": mode,
        "window": window,
        "increase": increase and mode not in ("any", "monotone"),
        "exclusions": between,
        "since": since,
        "until": until,
    }
    subject, at, mask = columns(events)

    found = chains(subject, at, mask, STEPS, chunk=chunk, **options)

    assert one_by_one(events, STEPS, **options) == as_chains(found, at)


repeated = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from([0b101, 0b010, 0b1010, 0])),
    max_size=24,
).map(lambda events: sorted(events, key=lambda event: event[:2]))


@settings(max_examples=200)
@given(repeated, st.sampled_from([mode for mode in MODES if mode != "monotone"]), limits)
def test_a_step_listed_twice_takes_two_events(
    events: list[Event], mode: Mode, window: int | None
) -> None:
    options: dict[str, Any] = {"mode": mode, "window": window, "exclusions": [(1, 3)]}
    subject, at, mask = columns(events)

    found = chains(subject, at, mask, STEPS, **options)

    assert one_by_one(events, STEPS, **options) == as_chains(found, at)


def test_in_any_order_only_subjects_whose_steps_overlap_are_asked_of_the_definition() -> None:
    subject, at, mask = columns(
        [(1, 0, 1), (1, 1, 2), (2, 0, 1), (2, 1, 2), (3, 0, 1), (3, 1, 3), (3, 2, 1)]
    )

    found = chains(subject, at, mask, 2, mode="any")

    assert found.by_definition == 1
    assert [2, 2, 2] == found.levels.tolist()
    assert 0 == chains(subject, at, mask, 2, mode="ordered").by_definition


def test_as_many_subjects_reach_a_step_as_have_chains_that_long() -> None:
    subject, at, mask = columns([(1, 0, 1), (1, 1, 2), (2, 0, 1), (3, 0, 4)])

    assert [2, 1, 0] == chains(subject, at, mask, 3).reached(3)
    assert [0, 0] == chains(subject[:0], at[:0], mask[:0], 2).reached(2)


@pytest.mark.parametrize(
    ("events", "options", "words"),
    [
        ([(2, 0, 1), (1, 0, 1)], {}, "must be sorted"),
        ([(1, 5, 1), (1, 0, 1)], {}, "must be sorted"),
        ([(2, 0, 1), (1, 0, 1)], {"chunk": 1}, "must be sorted"),
        ([(1, 0, 1)], {"mode": "odd"}, "unknown funnel mode"),
        ([(1, 0, 1)], {"exclusions": [(2, 1)]}, "no exclusion fits"),
        ([(1, 0, 1)], {"mode": "any", "increase": True}, "increase asks for an order"),
    ],
)
def test_what_makes_no_funnel_is_refused(
    events: list[Event], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        chains(*columns(events), 2, **options)


def test_columns_that_do_not_fit_each_other_or_the_steps_are_refused() -> None:
    subject, at, mask = columns([(1, 0, 1)])

    with pytest.raises(ValueError, match="of one length"):
        chains(subject, at, mask[:0], 2)
    with pytest.raises(ValueError, match="too few bits"):
        chains(subject, at, mask.astype(np.uint8), 9)
