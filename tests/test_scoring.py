"""Points that add up: decay, caps, the clamp, and what each fact counts for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decay import decay, divide
from domain.events import Fact, canonical
from domain.ledger import Contribution, gains_and_losses
from domain.policy import DAY, FULL, POINT, EngagementRule, FitRule, Policy
from domain.scoring import (
    band_start,
    contributions,
    engagement,
    fit,
    fit_points,
    flat_traits,
    score,
)
from tests.examples import DEMO, HOUR, NEWSLETTER, POLICY, PRICING, START, VP, fact, small_policy


def rule(points: int, **fields: Any) -> EngagementRule:
    """Return a rule that gives *points* for an ``act``."""
    usual: dict[str, Any] = {
        "name": "act",
        "types": ("act",),
        "points": points * POINT,
        "half_life": 30 * DAY,
        "group": "acts",
    }
    return EngagementRule(**(usual | fields))


def rules(*some: EngagementRule, **caps: int) -> Policy:
    """Return a policy of these engagement rules and caps (points by group)."""
    return small_policy(
        fit_rules=(),
        engagement_rules=some,
        group_caps={group: cap * POINT for group, cap in caps.items()},
    )


def counted(facts: Sequence[Fact], policy: Policy, day: float) -> list[int]:
    """Return the micro-points that each contribution counts for at *day*."""
    parts = contributions(canonical(facts), policy, START + round(day * DAY))
    return [part.counted for part in parts]


# --- decay ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "day, expected",
    [(0, 20_000_000), (15, 14_142_136), (30, 10_000_000), (45, 7_071_068), (60, 5_000_000)],
)
def test_twenty_points_halve_every_thirty_days(day: float, expected: int) -> None:
    act = fact("act")

    assert engagement([act], rules(rule(20)), START + round(day * DAY)) == expected


def test_sixty_points_are_fifty_after_7_891_days() -> None:
    policy = rules(rule(60))
    act = [fact("act")]

    assert engagement(act, policy, START + round(7.890 * DAY)) > 50 * POINT
    assert engagement(act, policy, START + round(7.892 * DAY)) < 50 * POINT


def test_each_rule_has_its_own_half_life() -> None:
    policy = rules(rule(40, name="quick", half_life=DAY), rule(40, name="slow"))

    assert counted([fact("act")], policy, 30) == [0, 20 * POINT]


def test_what_has_not_happened_yet_does_not_count() -> None:
    later = [fact("act", 2, traits=VP)]
    policy = replace(POLICY, engagement_rules=(rule(20),))

    assert contributions(later, policy, START + DAY) == []
    assert score(later, policy, START + DAY).total == 0
    assert score(later, policy, START + 2 * DAY).engagement == 20 * POINT


@pytest.mark.parametrize(
    "numerator, denominator, quotient",
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (8, 3, 3), (-8, 3, -3), (0, 9, 0)],
)
def test_ties_are_rounded_to_the_even_neighbour(
    numerator: int, denominator: int, quotient: int
) -> None:
    assert divide(numerator, denominator) == quotient


# --- caps and the clamp ---------------------------------------------------------------------------


def test_a_cap_takes_the_oldest_first() -> None:
    acts = [fact("act", 0), fact("act", 0), fact("act", 0)]

    assert counted(acts, rules(rule(20), acts=50), 0) == [20 * POINT, 20 * POINT, 10 * POINT]


def test_decay_comes_before_the_cap() -> None:
    """What the older act has lost leaves room for the newer one."""
    acts = [fact("act", 0), fact("act", 30)]

    assert counted(acts, rules(rule(20), acts=25), 30) == [10 * POINT, 15 * POINT]


def test_a_cap_holds_for_its_group_alone() -> None:
    policy = rules(rule(20), rule(20, name="other", group="others"), acts=5)

    assert counted([fact("act")], policy, 0) == [5 * POINT, 20 * POINT]


def test_a_group_without_a_cap_can_fill_the_score() -> None:
    acts = [fact("act") for _ in range(7)]

    assert counted(acts, rules(rule(20)), 0) == [20 * POINT] * 5 + [0, 0]


def test_a_loss_is_not_capped_and_not_made_good_by_a_cap() -> None:
    policy = rules(rule(20), rule(-15, name="loss", types=("loss",)), acts=30)
    acts = [fact("act"), fact("act"), fact("loss"), fact("loss")]

    assert counted(acts, policy, 0) == [20 * POINT, 10 * POINT, -15 * POINT, -15 * POINT]


def test_nobody_falls_below_zero() -> None:
    policy = rules(rule(10), rule(-15, name="loss", types=("loss",)))
    acts = [fact("act"), fact("loss", 0), fact("loss", 0)]

    assert counted(acts, policy, 0) == [10 * POINT, -10 * POINT, 0]
    assert engagement(acts, policy, START) == 0


def test_nobody_rises_above_a_hundred() -> None:
    policy = rules(rule(60))
    acts = [fact("act"), fact("act")]

    assert counted(acts, policy, 0) == [60 * POINT, 40 * POINT]
    assert engagement(acts, policy, START) == FULL


# --- which facts earn points ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "actor, points", [("prospect", 3), ("unknown", 3), ("rep", 0), ("machine", 0)]
)
def test_what_machines_and_reps_do_earns_nothing(actor: str, points: int) -> None:
    clicked = fact("email.clicked", actor=actor)

    assert engagement([clicked], POLICY, START) == points * POINT


def test_opens_earn_nothing_since_mail_programs_open_mails() -> None:
    assert engagement([fact("email.opened")], POLICY, START) == 0


def test_what_a_rep_reports_of_two_people_talking_earns_points() -> None:
    met = fact("meeting.held", actor="rep")
    robot = fact("meeting.held", actor="machine")

    assert engagement([met], POLICY, START) == 30 * POINT
    assert engagement([robot], POLICY, START) == 0


def test_a_rule_may_ask_for_values_refuse_some_and_look_for_words() -> None:
    asks = rule(1, where=(("kind", ("demo", "trial")),))
    refuses = rule(1, unless=(("kind", ("demo",)),))
    looks = rule(1, contains=(("url", ("pricing", "/plans")),))
    demo, plans = fact("act", kind="demo"), fact("act", url="https://example.com/Plans")
    odd = fact("act", kind=["demo"], url=7)

    assert [asks.matches(one) for one in (demo, plans, odd)] == [True, False, False]
    assert [refuses.matches(one) for one in (demo, plans, odd)] == [False, True, True]
    assert [looks.matches(one) for one in (demo, plans, odd)] == [False, True, False]


def test_a_pricing_page_earns_the_point_of_every_page_and_four_more() -> None:
    page = fact("page.viewed", url="https://example.com/pricing")
    parts = contributions([page], POLICY, START)

    assert [(part.rule, part.counted) for part in parts] == [
        ("page viewed", POINT),
        ("pricing page viewed", 4 * POINT),
    ]


# --- fit ------------------------------------------------------------------------------------------

SIZE = FitRule("size", "company.size", at_least=((10, 5 * POINT), (200, 30 * POINT)))
TITLE = FitRule(
    "title", "title", {"cto": 25 * POINT}, (("director", 20), ("managing director", 25))
)


@pytest.mark.parametrize(
    "size, least",
    [
        *((200, 200), ("200-499", 200), ("2000+", 2000), (" 50 - 99 ", 50)),
        *(("many", None), ("", None), (True, None), (None, None), (2.5, None), ([1], None)),
        *(("²00", None), ("9" * 5_000, None)),
    ],
)
def test_a_band_is_compared_by_its_lower_end(size: object, least: int | None) -> None:
    assert band_start(size) == least


@pytest.mark.parametrize(
    "size, points", [(9, 0), (10, 5), (199, 5), (200, 30), ("200-499", 30), ("huge", 0)]
)
def test_the_best_step_that_is_reached_counts(size: object, points: int) -> None:
    assert fit_points(SIZE, size) == points * POINT


def test_words_count_whole_or_within_and_the_best_of_them() -> None:
    assert fit_points(TITLE, " CTO ") == 25 * POINT
    assert fit_points(TITLE, "Managing Director, Europe") == 25
    assert fit_points(TITLE, "Director of Sales") == 20
    assert fit_points(TITLE, "Clerk") == 0


def test_traits_are_read_by_their_dotted_path() -> None:
    traits = {"title": "CTO", "region": None, "company": {"size": 500, "name": None}}

    assert dict(flat_traits(traits)) == {"title": "CTO", "company.size": 500}


def test_fit_is_kept_between_zero_and_a_hundred() -> None:
    gives = FitRule("a", "title", {"x": 90 * POINT, "y": -90 * POINT})
    more = replace(gives, name="b", attribute="seniority")
    policy = small_policy(fit_rules=(gives, more))

    assert fit({"title": "x", "seniority": "x"}, policy) == FULL
    assert fit({"title": "y", "seniority": "y"}, policy) == 0
    assert fit({}, policy) == 0


def test_fit_follows_the_newest_value_and_does_not_decay() -> None:
    hired = fact("person.updated", 0, traits={"seniority": "manager"}, id="hired")
    promoted = fact("person.updated", 1, traits={"seniority": "vp"}, id="promoted")
    years = START + 1_000 * DAY

    assert contributions([hired, promoted], POLICY, years) == [
        Contribution(
            rule="seniority",
            axis="fit",
            source="/test",
            id="promoted",
            at=promoted.at,
            points=25 * POINT,
            decayed=25 * POINT,
            counted=25 * POINT,
        )
    ]


def test_fit_that_exceeds_a_hundred_is_taken_from_the_last_rule() -> None:
    gives = FitRule("a", "title", {"x": 90 * POINT})
    more = replace(gives, name="b", attribute="seniority")
    policy = small_policy(fit_rules=(gives, more))
    parts = contributions([fact("act", traits={"title": "x", "seniority": "x"})], policy, START)

    assert [part.counted for part in parts] == [90 * POINT, 10 * POINT]


# --- the score ------------------------------------------------------------------------------------


def test_a_score_has_two_axes_a_grade_and_their_sum() -> None:
    at_demo = score([NEWSLETTER, DEMO, PRICING], POLICY, PRICING.at)

    assert at_demo.fit == 25 * POINT
    assert at_demo.engagement == 60_000_000 + decay(5 * POINT, 3 * DAY, 30 * DAY)
    assert at_demo.total == at_demo.fit + at_demo.engagement
    assert at_demo.grade == "C2"


def test_weights_are_percent() -> None:
    policy = replace(POLICY, fit_weight=60, engagement_weight=40)
    found = score([NEWSLETTER, DEMO], policy, DEMO.at)

    assert found.total == divide(60 * found.fit + 40 * found.engagement, 100)


def test_nobody_known_is_a_d4() -> None:
    assert score([], POLICY, START).grade == "D4"


# --- of every history -----------------------------------------------------------------------------

ACTS = ("a", "b", "c", "none")
histories = st.lists(
    st.builds(
        fact,
        st.sampled_from(ACTS),
        st.integers(0, 60) | st.floats(0, 60),
        id=st.integers(0, 10**9).map(str),
        traits=st.none() | st.fixed_dictionaries({"title": st.sampled_from("xyz")}),
        actor=st.sampled_from(("prospect", "machine")),
    ),
    max_size=20,
)
policies = st.builds(
    small_policy,
    fit_rules=st.lists(
        st.builds(
            FitRule,
            st.just("fit"),
            st.just("title"),
            st.dictionaries(st.sampled_from("xyz"), st.integers(-FULL, FULL)),
        ),
        max_size=3,
    ).map(tuple),
    engagement_rules=st.lists(
        st.builds(
            rule,
            st.integers(-60, 60).filter(bool),
            types=st.sampled_from((("a",), ("b", "c"), ("a", "b", "c"))),
            half_life=st.sampled_from((HOUR, 7 * DAY, 30 * DAY)),
            group=st.sampled_from("xy"),
        ),
        max_size=5,
    ).map(tuple),
    group_caps=st.dictionaries(st.sampled_from("xy"), st.integers(1, FULL)),
)
instants = st.integers(START, START + 90 * DAY)


@given(histories, policies, instants)
def test_what_counts_sums_to_the_score(history: list[Fact], policy: Policy, as_of: int) -> None:
    """At every instant, for both axes, to the last micro-point."""
    facts = canonical(history)
    found = score(facts, policy, as_of)
    parts = contributions(facts, policy, as_of)
    by_axis = {
        axis: sum(part.counted for part in parts if part.axis == axis)
        for axis in ("fit", "engagement")
    }
    traits = dict(
        pair for one in facts if one.at <= as_of for pair in flat_traits(one.traits or {})
    )

    assert by_axis == {"fit": found.fit, "engagement": found.engagement}
    assert found.engagement == engagement(history, policy, as_of)
    assert found.fit == fit(traits, policy)
    assert 0 <= found.fit <= FULL
    assert 0 <= found.engagement <= FULL


@given(histories, policies, instants)
def test_no_contribution_counts_for_more_than_is_left_of_it(
    history: list[Fact], policy: Policy, as_of: int
) -> None:
    for part in contributions(canonical(history), policy, as_of):
        assert abs(part.counted) <= abs(part.decayed) <= abs(part.points)
        assert part.counted * part.points >= 0
        assert part.at <= as_of


@given(histories, policies, instants, st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_matter(
    history: list[Fact], policy: Policy, as_of: int, random: Any
) -> None:
    shuffled = random.sample(history, len(history))

    assert engagement(history, policy, as_of) == engagement(shuffled, policy, as_of)


@given(histories, policies, st.integers(0, 90 * DAY), st.integers(0, 90 * DAY))
def test_while_nothing_happens_gains_only_fade_and_losses_too(
    history: list[Fact], policy: Policy, wait: int, longer: int
) -> None:
    end = START + 60 * DAY
    gains, losses = gains_and_losses(history, policy, end + wait)
    gains_then, losses_then = gains_and_losses(history, policy, end + wait + longer)

    assert 0 <= gains_then <= gains
    assert losses <= losses_then <= 0


@given(histories, policies, instants)
def test_caps_hold_for_what_counts(history: list[Fact], policy: Policy, as_of: int) -> None:
    groups: dict[str, int] = {}
    gains, _ = gains_and_losses(history, policy, as_of)
    for one in history:
        for each in policy.rules_of.get(one.type, ()):
            if each.matches(one) and each.points > 0 and one.at <= as_of:
                left = decay(each.points, as_of - one.at, each.half_life)
                groups[each.group] = groups.get(each.group, 0) + left

    assert gains == sum(
        min(sum_, policy.group_caps.get(name, FULL)) for name, sum_ in groups.items()
    )
