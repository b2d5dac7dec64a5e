"""Funnels by definition: small cases by hand, any case by exhaustive search."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.funnel import MODES, Chain, Exclusion, Mode, StepTotal, funnel, longest_chain

Events = list[tuple[int, str]]
STEPS = ["a", "b", "c"]


def events(text: str) -> Events:
    """Read "a0 b5" as a at 0 and b at 5."""
    return [(int(word[1:]), word[0]) for word in text.split()]


histories = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abcx")), max_size=7).map(
    lambda happened: sorted(happened, key=lambda event: event[0])
)
windows = st.one_of(st.none(), st.integers(0, 12))
modes = st.sampled_from(MODES)


# --- by exhaustive search ----------------------------------------------------------------------


def longest(happened: Events, steps: Sequence[str], window: int | None, *, increase: bool) -> int:
    """Return the level of an ordered funnel by trying every choice of events."""
    best = 0
    for size in range(1, min(len(steps), len(happened)) + 1):
        for chosen in permutations(happened, size):
            times = [at for at, _ in chosen]
            if (
                [name for _, name in chosen] == list(steps[:size])
                and all(later - at >= increase for at, later in pairwise(times))
                and (window is None or times[-1] - times[0] <= window)
            ):
                best = size
    return best


@given(histories, st.lists(st.sampled_from("abc"), min_size=1, max_size=4), windows, st.booleans())
def test_no_choice_of_events_makes_an_ordered_chain_longer(
    happened: Events, steps: list[str], window: int | None, increase: bool
) -> None:
    chain = longest_chain(happened, steps, window=window, increase=increase)

    assert chain.level == longest(happened, steps, window, increase=increase)


@given(histories, st.lists(st.sampled_from("abc"), min_size=1, max_size=4), windows)
def test_in_any_order_a_chain_has_the_most_steps_that_a_window_holds(
    happened: Events, steps: list[str], window: int | None
) -> None:
    def filled(start: int) -> int:
        inside = [name for at, name in happened if start <= at and within(at - start, window)]
        return sum(min(inside.count(name), steps.count(name)) for name in set(steps))

    chain = longest_chain(happened, steps, window=window, mode="any")

    assert chain.level == max((filled(at) for at, name in happened), default=0)


def within(elapsed: int, window: int | None) -> bool:
    """Tell whether *elapsed* is in the window."""
    return window is None or elapsed <= window


# --- promises of every mode --------------------------------------------------------------------


@given(histories, windows, modes)
def test_a_chain_names_events_that_are_its_steps_within_the_window(
    happened: Events, window: int | None, mode: Mode
) -> None:
    chain = longest_chain(happened, STEPS, window=window, mode=mode)

    assert chain.instants == tuple(happened[i][0] for i in chain.picks)
    assert list(chain.instants) == sorted(chain.instants)
    if chain.picks:
        assert within(chain.instants[-1] - chain.instants[0], window)
    for pick, step in zip(chain.picks, chain.steps, strict=True):
        reached = STEPS.index(happened[pick][1])
        assert reached >= step if mode == "monotone" else reached == step
    if mode != "monotone":
        assert len(set(chain.picks)) == chain.level


@given(histories, windows, modes)
def test_a_stricter_mode_never_reaches_further(
    happened: Events, window: int | None, mode: Mode
) -> None:
    levels = {
        mode: longest_chain(happened, STEPS, window=window, mode=mode).level for mode in MODES
    }

    assert levels["strict_all"] <= levels["strict"] <= levels["ordered"] <= levels["any"]
    assert levels["ordered"] <= levels["monotone"]


@given(histories, windows, st.randoms(use_true_random=False))
def test_at_equal_instants_order_decides_nothing_unless_the_mode_is_strict(
    happened: Events, window: int | None, random: Any
) -> None:
    shuffled = list(happened)
    random.shuffle(shuffled)
    shuffled.sort(key=lambda event: event[0])

    modes: list[Mode] = ["ordered", "any", "monotone"]
    for mode in modes:
        chain = longest_chain(happened, STEPS, window=window, mode=mode)
        other = longest_chain(shuffled, STEPS, window=window, mode=mode)
        assert other.instants == chain.instants


@given(histories, windows, modes)
def test_a_wider_window_never_reaches_less(
    happened: Events, window: int | None, mode: Mode
) -> None:
    wider = None if window is None else window + 1

    narrow = longest_chain(happened, STEPS, window=window, mode=mode).level

    assert narrow <= longest_chain(happened, STEPS, window=wider, mode=mode).level


@given(histories, windows, st.integers(-(10**6), 10**6), modes)
def test_when_it_all_happened_changes_no_chain(
    happened: Events, window: int | None, shift: int, mode: Mode
) -> None:
    moved = [(at + shift, name) for at, name in happened]

    assert (
        longest_chain(moved, STEPS, window=window, mode=mode).picks
        == longest_chain(happened, STEPS, window=window, mode=mode).picks
    )


# --- by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "happened", "picks"),
    [
        ("ordered", "a0 x1 c2 b3 c4", (0, 3, 4)),
        ("ordered", "b0 a1", (1,)),
        ("ordered", "x0", ()),
        ("ordered", "", ()),
        ("strict", "a0 x1 b2 x3 c4", (0, 2, 4)),
        ("strict", "a0 b1 a2 b3 c4", (0, 1, 4)),  # repeats of steps taken are no step out of turn
        ("strict", "a0 c1 b2", (0,)),
        ("strict", "a0 c1 a2 b3 c4", (2, 3, 4)),  # a later attempt may go further
        ("strict_all", "a0 x1 b2 c3", (0,)),
        ("strict_all", "a0 b1 c2", (0, 1, 2)),
        ("strict_all", "a0 a1 b2 b3 c4", (1, 2)),
        ("any", "c0 x1 a2 b3", (0, 2, 3)),
        ("monotone", "a0 c5", (0, 1, 1)),
        ("monotone", "b3 a4 c5", (0, 0, 2)),
        ("monotone", "c5", (0, 0, 0)),
        ("monotone", "b0 c9 a9", (0, 0, 1)),
    ],
)
def test_the_mode_says_what_may_stand_between(
    mode: Mode, happened: str, picks: tuple[int, ...]
) -> None:
    assert longest_chain(events(happened), STEPS, mode=mode).picks == picks


def test_any_order_tells_which_steps_were_reached() -> None:
    assert longest_chain(events("c0 x1 a2"), STEPS, mode="any") == Chain((0, 2), (0, 2), (2, 0))


def test_the_last_step_may_be_a_window_after_the_first_and_no_later() -> None:
    happened = events("a0 b5 c10")

    assert longest_chain(happened, STEPS, window=10).level == 3
    assert longest_chain(happened, STEPS, window=9).level == 2


def test_a_stage_reached_too_late_was_not_reached() -> None:
    assert longest_chain(events("a0 b5 c99"), STEPS, window=30, mode="monotone").level == 2


def test_the_earliest_of_the_longest_attempts_is_the_chain() -> None:
    assert longest_chain(events("a0 a1 a50 b51 a60 b61 c99"), STEPS, window=10).picks == (2, 3)


def test_equal_instants_follow_each_other_unless_each_must_be_later() -> None:
    assert longest_chain(events("c0 b0 a0"), STEPS).picks == (2, 1, 0)
    assert longest_chain(events("a0 b0 c0"), STEPS, increase=True).picks == (0,)
    assert longest_chain(events("a0 b0 b1 c2"), STEPS, increase=True).picks == (0, 2, 3)


@pytest.mark.parametrize("mode", ["ordered", "strict", "strict_all", "any"])
def test_a_step_listed_twice_needs_two_events(mode: Mode) -> None:
    assert longest_chain(events("a0 b1"), ["a", "a"], mode=mode).level == 1
    assert longest_chain(events("a0 a0"), ["a", "a"], mode=mode).level == 2


def test_a_step_may_be_a_test_and_one_event_serves_the_step_that_it_helps_most() -> None:
    happened = [(0, 3), (1, 7), (2, 9)]

    def odd(number: int) -> bool:
        return number % 2 == 1

    assert longest_chain(happened, [odd, lambda number: number > 8]).picks == (0, 2)
    assert longest_chain(happened[:2], [odd, lambda number: number < 5], mode="any") == Chain(
        (0, 1), (0, 1), (1, 0)
    )


@pytest.mark.parametrize(
    ("happened", "picks"),
    [
        ("a0 x1 b2 c3", ()),  # between
        ("a0 b2 x3 c4", (0, 1, 3)),  # after it
        ("x0 a1 b2", (1, 2)),  # before it
        ("a0 x0 x2 b2", (0, 3)),  # at the instants of the steps themselves
        ("a0 x1", ()),  # on the way to a step that was never reached
        ("a0 x99", (0,)),  # but not for ever
        ("a0 x1 a2 b3", (2, 3)),  # another attempt stands
    ],
)
def test_an_excluded_event_between_two_steps_voids_the_attempt(
    happened: str, picks: tuple[int, ...]
) -> None:
    excluded: list[Exclusion[str]] = [Exclusion("x", 1, 2)]

    assert longest_chain(events(happened), STEPS, window=30, exclusions=excluded).picks == picks


def test_an_exclusion_after_a_step_not_reached_voids_nothing() -> None:
    chain = longest_chain(events("a0 x1"), STEPS, exclusions=[Exclusion("x", 2, 3)])

    assert chain.level == 1


# --- totals ------------------------------------------------------------------------------------


def test_totals_count_subjects_rates_and_the_median_of_seconds() -> None:
    second = 1_000_000
    subjects = [
        [(0, "a"), (10 * second, "b"), (30 * second, "c")],
        [(0, "a"), (25 * second, "b")],
        [(5 * second, "a")],
        [(5 * second, "b")],
    ]

    assert funnel(subjects, STEPS) == [
        StepTotal(3, Fraction(1), Fraction(1), *[Fraction(0)] * 4),
        StepTotal(2, Fraction(2, 3), Fraction(2, 3), *[Fraction(35, 2), Fraction(25)] * 2),
        StepTotal(1, Fraction(1, 3), Fraction(1, 2), *[Fraction(30)] * 2, *[Fraction(20)] * 2),
    ]


def test_nobody_has_no_rate_and_no_median() -> None:
    assert funnel([[]], ["a"]) == [StepTotal(0, None, None, None)]


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        ([], {}, "at least one step"),
        (STEPS, {"mode": "loose"}, "'loose'; there are ordered, strict,"),
        (STEPS, {"mode": "any", "increase": True}, "increase asks for an order"),
        (["a", "a"], {"mode": "monotone"}, "listed twice"),
        (STEPS, {"exclusions": [Exclusion("x", 2, 2)]}, "between steps 2 and 2 of 3"),
        (STEPS, {"exclusions": [Exclusion("x", 0, 1)]}, "between steps 0 and 1 of 3"),
        (STEPS, {"exclusions": [Exclusion("x", 1, 4)]}, "between steps 1 and 4 of 3"),
    ],
)
def test_what_makes_no_funnel_is_refused(
    steps: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        funnel([], steps, **options)
