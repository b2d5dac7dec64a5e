"""What a lead earned: every kind of rule, every decay, every cap, and that it all adds up."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.decay import Inactivity, Lasting, Linear, Window
from domain.decide import decide
from domain.events import Fact, canonical
from domain.lead import Lead, evolve
from domain.ledger import Ledger, gains_and_losses, ledger_of
from domain.policy import DAY, FULL, POINT, EngagementRule, Policy
from domain.scoring import contributions, engagement
from tests.examples import HOUR, START, fact, small_policy
from tests.naive_score import any_history, any_instant, any_policy, naive_engagement


def rule(points: int, **fields: Any) -> EngagementRule:
    """Return a rule that gives *points* for an ``act``, which do not fade."""
    usual: dict[str, Any] = {
        "name": "act",
        "types": ("act",),
        "points": points * POINT,
        "half_life": 30 * DAY,
        "group": "acts",
        "fading": Lasting(),
    }
    return EngagementRule(**(usual | fields))


def rules(*some: EngagementRule, **fields: Any) -> Policy:
    """Return a policy of these engagement rules, without caps of groups."""
    return small_policy(**({"engagement_rules": some, "group_caps": {}} | fields))


def points_at(policy: Policy, facts: Sequence[Fact], *days: float) -> list[float]:
    """Return the points of engagement at each of *days*."""
    ledger = Ledger(policy, canonical(facts))
    return [ledger.engagement(START + round(day * DAY)) / POINT for day in days]


def acts(*days: float, **fields: Any) -> list[Fact]:
    """Return an act on each of *days*."""
    return [fact("act", day, **fields) for day in days]


# --- kinds of rules -------------------------------------------------------------------------------


def test_the_first_act_alone_earns_what_is_given_once() -> None:
    assert points_at(rules(rule(5, once=True)), acts(1, 2, 3), 0, 1, 3) == [0, 5, 5]


def test_so_many_acts_within_a_window_earn_the_points_and_counting_starts_anew() -> None:
    policy = rules(rule(5, count=3, within=14 * DAY))

    assert points_at(policy, acts(0, 7, 14), 13, 14) == [0, 5]
    assert points_at(policy, acts(0, 7, 14.001, 15), 14.5, 15) == [0, 5]
    assert points_at(policy, acts(1, 2, 3, 4, 5, 6), 3, 5, 6) == [5, 5, 10]


def test_each_value_of_a_field_earns_the_points_once() -> None:
    policy = rules(rule(5, distinct="content"))
    read = [fact("act", day, content=name) for day, name in enumerate(("a", "b", "a", 1, "1"))]

    assert points_at(policy, read, 0, 1, 2, 3, 4) == [5, 10, 10, 15, 20]
    assert points_at(policy, acts(0, 1), 1) == [0]


def test_so_many_values_within_a_window_earn_the_points_together() -> None:
    policy = rules(rule(5, distinct="content", count=2, within=DAY))
    read = [
        fact("act", day, content=name)
        for day, name in ((0, "a"), (0.5, "a"), (1.5, "b"), (2, "b"), (2.5, "a"))
    ]

    assert points_at(policy, read, 0.5, 1.5, 2, 2.5) == [0, 5, 5, 10]


def test_an_absence_counts_from_the_end_of_the_patience_to_the_next_act() -> None:
    policy = rules(rule(50), rule(-20, name="quiet", absent=30 * DAY))

    assert points_at(policy, acts(0, 40), 29.999, 30, 39.999, 40, 70) == [50, 30, 30, 100, 80]


def test_before_the_first_act_nothing_is_missed() -> None:
    policy = rules(rule(-20, absent=30 * DAY), rule(50, types=("other",)))

    assert points_at(policy, [fact("other")], 100) == [50]


def test_an_absence_is_explained_by_the_last_act_before_it() -> None:
    policy = rules(rule(50), rule(-20, name="quiet", absent=30 * DAY))
    first, last = acts(0, 10)
    part = contributions([first, last], policy, START + 50 * DAY)[-1]

    assert (part.rule, part.id, part.at) == ("quiet", last.id, last.at)
    assert (part.points, part.counted) == (-20 * POINT, -20 * POINT)


# --- decays ---------------------------------------------------------------------------------------


def test_a_linear_decay_takes_its_percent_with_every_month_that_is_over() -> None:
    policy = rules(rule(50, fading=Linear(10)))

    assert points_at(policy, acts(0), 0, 29.999, 30, 60, 299, 300, 900) == [50, 50, 45, 40, 5, 0, 0]


def test_a_window_counts_everything_and_then_nothing() -> None:
    policy = rules(rule(50, fading=Window(90 * DAY)))

    assert points_at(policy, acts(0), 0, 90, 90.001) == [50, 50, 0]


def test_points_that_wait_for_the_lead_fall_only_while_it_does_nothing() -> None:
    """The silence is that of the lead, whichever rule its last act was under."""
    policy = rules(
        rule(50, fading=Inactivity(45 * DAY, 50, 90 * DAY)), rule(1, types=("other",), name="other")
    )
    seen = [*acts(0), fact("other", 60)]

    assert points_at(policy, acts(0), 44.999, 45, 89.999, 90) == [50, 25, 25, 0]
    assert points_at(policy, seen, 59, 60, 104.999, 105) == [25, 51, 51, 26]


def test_what_no_rule_looks_at_ends_no_silence() -> None:
    policy = rules(rule(50, fading=Inactivity(45 * DAY, 50, 90 * DAY)))

    assert points_at(policy, [*acts(0), *acts(60, actor="machine"), fact("other", 60)], 60) == [25]


def test_points_may_last() -> None:
    assert points_at(rules(rule(50)), acts(0), 10_000) == [50]


@pytest.mark.parametrize(
    "fading, share",
    [
        (None, Fraction(1, 2)),
        (Linear(10), Fraction(9, 10)),
        (Window(29 * DAY), Fraction(0)),
        (Inactivity(29 * DAY, 30, 40 * DAY), Fraction(3, 10)),
        (Lasting(), Fraction(1)),
    ],
)
def test_a_contribution_says_the_share_that_is_left(fading: Any, share: Fraction) -> None:
    (part,) = contributions(acts(0), rules(rule(20, fading=fading)), START + 30 * DAY)

    assert part.factor == share
    assert part.decayed == part.counted + part.cap_loss == 20 * POINT * share


# --- caps -----------------------------------------------------------------------------------------


def test_a_rule_adds_no_more_than_its_cap_and_its_group_no_more_than_that_of_the_group() -> None:
    policy = rules(rule(20, cap=30 * POINT), rule(20, name="more"), group_caps={"acts": 60 * POINT})
    parts = contributions(acts(0, 1), policy, START + DAY)

    assert [part.counted // POINT for part in parts] == [20, 20, 10, 10]
    assert [part.cap_loss // POINT for part in parts] == [0, 0, 10, 10]


def test_a_rule_takes_no_more_than_its_cap() -> None:
    policy = rules(rule(50), rule(-20, name="loss", types=("loss",), cap=30 * POINT))
    lost = [fact("loss", 1), fact("loss", 2)]

    assert points_at(policy, [*acts(0), *lost], 2) == [20]
    assert [part.counted // POINT for part in contributions(lost, policy, START + 2 * DAY)] == [
        0,
        0,
    ]


def test_a_day_gives_no_more_than_its_cap_before_decay() -> None:
    policy = rules(rule(3, day_cap=5 * POINT))

    assert points_at(policy, acts(0, 0.1, 0.2, 0.99, 1), 0.1, 0.99, 1) == [5, 5, 8]


def test_all_rules_together_give_no_more_than_the_day_has_room_for() -> None:
    policy = rules(rule(3), rule(4, name="more"), rule(-2, name="loss"), day_cap=5 * POINT)
    parts = contributions(acts(0, 0.5), policy, START + DAY)

    assert [(part.rule, part.points // POINT) for part in parts] == [
        *(("act", 3), ("more", 2), ("loss", -2)),
        ("loss", -2),
    ]


# --- of every policy and history ------------------------------------------------------------------


@settings(max_examples=300)
@given(any_policy, any_history, any_instant)
def test_the_ledger_is_the_sum_by_definition(
    policy: Policy, history: list[Fact], as_of: int
) -> None:
    """Whatever is explained sums to it, and the order of arrival does not matter."""
    facts = canonical(history)
    expected = naive_engagement(facts, policy, as_of)
    parts = Ledger(policy, facts).contributions(as_of)

    assert expected == Ledger(policy, facts).engagement(as_of)
    assert expected == engagement(history, policy, as_of)
    assert expected == sum(part.counted for part in parts)
    for part in parts:
        assert abs(part.counted) <= abs(part.decayed) <= abs(part.points)
        assert part.counted * part.points >= 0
        assert part.at <= as_of
        assert part.cap_loss * part.points >= 0


@given(any_policy, any_history, any_instant)
def test_a_ledger_that_grew_tells_every_past_instant_as_one_that_stopped_there(
    policy: Policy, history: list[Fact], as_of: int
) -> None:
    facts = canonical(history)
    past = Ledger(policy, [one for one in facts if one.at <= as_of])
    ledger = Ledger(policy)
    for one in facts:
        ledger.add(one)
        ledger.engagement(one.at)

    assert ledger.engagement(as_of) == past.engagement(as_of)
    assert ledger.contributions(as_of) == past.contributions(as_of)
    assert ledger.awards(as_of) == past.awards(as_of)


@given(any_policy, any_history, st.integers(0, 90 * DAY), st.integers(0, 90 * DAY))
def test_bounds_hold_between_their_instants(
    policy: Policy, history: list[Fact], wait: int, within: int
) -> None:
    """While nothing happens gains only fade, and so do losses, but for an absence that begins."""
    ledger = Ledger(policy, canonical(history))
    start = START + 60 * DAY
    since, until = start + min(wait, within), start + max(wait, within)
    least, most = ledger.least_and_most(since, until)
    for instant in (since, (since + until) // 2, until):
        gains, losses = ledger.gains_and_losses(instant)
        assert least <= gains + losses <= most
        assert gains >= 0 >= losses
    if ledger.next_absence(since) is None:
        gains, losses = ledger.gains_and_losses(since)
        gains_then, losses_then = ledger.gains_and_losses(until)
        assert gains_then <= gains
        assert losses_then >= losses


@given(any_policy, any_history, st.lists(st.sampled_from(("happen", "ask", "copy")), max_size=25))
def test_the_ledger_of_a_lead_is_that_of_its_facts(
    policy: Policy, history: list[Fact], actions: list[str]
) -> None:
    """Whatever the order of arrival, and however often it was asked, decided or copied."""
    lead = Lead()
    for n, one in enumerate(history):
        action = actions[n] if n < len(actions) else "happen"
        if action == "copy":
            lead = lead.copy()
        events = decide(lead, one, policy)
        if action != "ask":
            for event in events:
                evolve(lead, event)
        as_of = START + 61 * DAY
        found = ledger_of(lead, policy)
        again = Ledger(policy, lead.effective())
        assert found.engagement(as_of) == again.engagement(as_of)
        assert found.contributions(as_of) == again.contributions(as_of)


MANY = st.lists(st.integers(0, 90 * DAY), min_size=150, max_size=200)


@settings(max_examples=40)
@given(
    MANY,
    st.sampled_from((HOUR, 5 * DAY, 30 * DAY)) | st.integers(1, 40 * DAY),
    st.sampled_from((3, POINT, 40_000_001, FULL)),
    st.integers(0, 200 * DAY),
)
@example([7 * DAY] * 150, DAY, 64_000_000, 14 * DAY)  # each of them a tie
@example([7 * DAY] * 150, DAY, 3, 8 * DAY)
def test_many_acts_decay_at_once_as_they_do_one_by_one(
    after: list[int], half_life: int, points: int, later: int
) -> None:
    act = EngagementRule("act", ("act",), -points, half_life, "acts")
    facts = canonical(fact("act", at=START + wait) for wait in after)
    ledger = Ledger(rules(act), facts)
    as_of = START + later
    parts = ledger.contributions(as_of)

    assert ledger.gains_and_losses(as_of) == (0, sum(part.decayed for part in parts))
    assert gains_and_losses(facts, rules(act), as_of) == ledger.gains_and_losses(as_of)


def test_a_ledger_takes_nothing_that_is_older_than_what_it_holds() -> None:
    ledger = Ledger(rules(rule(1)), acts(2))

    with pytest.raises(ValueError, match="older than the ledger"):
        ledger.add(acts(1)[0])
