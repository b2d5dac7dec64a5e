"""Which touches lead to a conversion."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.events import Fact
from domain.journey import COLLAPSE_GAP, Journey, Touch, collapse, cut, journey, touch_of

MINUTE = 60 * 1_000_000


def at(minutes: int, channel: str = "email", id: str = "") -> Touch:  # noqa: A002 (as in Touch)
    """Return a touch so many minutes after the epoch."""
    return Touch(minutes * MINUTE, channel, id=id)


@st.composite
def histories(draw: st.DrawFn) -> list[Touch]:
    """Touches of one lead: few channels and a few hours, so that runs and ties are common."""
    places = draw(st.lists(st.tuples(st.integers(0, 240), st.sampled_from("abc")), max_size=15))
    return [
        Touch(minute * MINUTE, channel, producer="/p", sequence=-1, id=str(i))
        for i, (minute, channel) in enumerate(places)
    ]


gaps = st.one_of(st.none(), st.integers(0, 90).map(lambda minutes: minutes * MINUTE))


def test_touches_of_one_channel_within_the_gap_are_the_first_of_them() -> None:
    assert collapse([at(0), at(30)]) == [at(0)]
    assert collapse([at(0), at(31)]) == [at(0), at(31)]


def test_a_run_goes_on_as_long_as_each_touch_is_near_the_one_before() -> None:
    assert collapse([at(0), at(25), at(50), at(75)]) == [at(0)]
    assert collapse([at(0), at(25), at(56)]) == [at(0), at(56)]


def test_another_channel_between_ends_a_run() -> None:
    touches = [at(0), at(10, "direct"), at(20)]

    assert collapse(touches) == touches


def test_without_a_gap_nothing_collapses_not_even_at_one_instant() -> None:
    touches = [at(0, id="1"), at(0, id="2")]

    assert collapse(touches, None) == collapse(touches, 0) == touches


def test_equal_instants_stand_in_the_order_of_producer_sequence_and_id() -> None:
    ordered = [
        Touch(0, "a", producer="/a", sequence=2, id="1"),
        Touch(0, "b", producer="/b", id="9"),
        Touch(0, "c", producer="/b", sequence=9, id="2"),
        Touch(0, "d", producer="/b", sequence=10, id="1"),
        Touch(0, "e", producer="/b", sequence=10, id="10"),
    ]

    assert collapse(reversed(ordered)) == ordered
    assert sorted(ordered, key=lambda touch: touch.order) == ordered


@given(histories(), gaps, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    touches: list[Touch], gap: int | None, random: Random
) -> None:
    shuffled = list(touches)
    random.shuffle(shuffled)

    assert collapse(shuffled, gap) == collapse(touches, gap)


@given(histories(), gaps)
def test_collapsing_twice_is_collapsing_once(touches: list[Touch], gap: int | None) -> None:
    once = collapse(touches, gap)

    assert collapse(once, gap) == once


@given(histories(), gaps)
def test_what_is_left_is_a_part_of_the_touches_with_the_first(
    touches: list[Touch], gap: int | None
) -> None:
    kept = collapse(touches, gap)

    assert set(kept) <= set(touches)
    assert kept[:1] == sorted(touches, key=lambda touch: touch.order)[:1]


def test_touches_at_the_conversion_count_and_those_at_the_lookback_do_not() -> None:
    touches = [at(0, "a"), at(1, "b"), at(10, "c"), at(11, "d")]

    assert cut(touches, 10 * MINUTE, 10 * MINUTE) == (at(1, "b"), at(10, "c"))
    assert cut(touches, 10 * MINUTE, None) == (at(0, "a"), at(1, "b"), at(10, "c"))


def test_a_run_that_began_before_the_lookback_stays_outside() -> None:
    assert journey([at(0), at(20), at(40)], 60 * MINUTE, lookback=30 * MINUTE).touches == ()


@given(histories(), gaps, st.integers(0, 240), st.integers(0, 300))
def test_touches_after_the_conversion_change_nothing(
    touches: list[Touch], gap: int | None, minute: int, lookback: int
) -> None:
    conversion = minute * MINUTE
    before = [touch for touch in touches if touch.at <= conversion]

    assert journey(touches, conversion, lookback * MINUTE, gap) == journey(
        before, conversion, lookback * MINUTE, gap
    )


def test_a_lead_without_touches_has_an_empty_journey() -> None:
    assert journey([], 5) == Journey((), 5)


def test_a_fact_is_a_touch_by_its_block_unless_a_machine_acted() -> None:
    block = {"channel": "paid_search", "source": "google", "medium": "cpc", "campaign": "spring"}
    fact = Fact("page.viewed", "/web", "e1", 7, 9, 3, "prospect", touch=block)

    assert touch_of(fact) == Touch(
        7, "paid_search", "google", "cpc", "spring", None, None, "/web", 3, "e1"
    )
    assert touch_of(Fact("email.opened", "/mail", "e2", 7, 9, actor="machine", touch=block)) is None
    assert touch_of(Fact("form.submitted", "/forms", "e3", 7, 9)) is None


def test_the_default_gap_is_half_an_hour() -> None:
    assert COLLAPSE_GAP == 30 * MINUTE
