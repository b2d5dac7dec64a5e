"""When a score will cross a threshold if nothing happens."""

from math import log2
from typing import Any

import pytest
from hypothesis import given, settings

from domain.decay import Inactivity, Lasting, Linear, Window
from domain.events import Fact, canonical
from domain.forecast import SECOND, Forecast, forecast
from domain.ledger import Ledger
from domain.policy import DAY, POINT, EngagementRule, Policy
from tests.examples import START, fact, small_policy
from tests.naive_score import any_history, any_instant, any_policy


def policy_of(*rules: EngagementRule, **fields: Any) -> Policy:
    """Return a policy with one threshold at 50 points, whose lower edge is 45."""
    usual: dict[str, Any] = {
        "engagement_rules": rules,
        "group_caps": {},
        "mql_engagement": 50 * POINT,
        "hysteresis": 10,
        "levels": (("1", 0),),
    }
    return small_policy(**(usual | fields))


def gives(points: int, type_: str = "a", **fields: Any) -> EngagementRule:
    """Return a rule for facts of *type_* with a half-life of 30 days."""
    return EngagementRule(type_, (type_,), points * POINT, 30 * DAY, "x", **fields)


def crossed_after(policy: Policy, *types: str, day: float = 0) -> float | None:
    """Return the days until 50 points are crossed, of a lead with one fact of each type."""
    as_of = START + round(day * DAY)
    ledger = Ledger(policy, [fact(type_) for type_ in types])
    at = forecast(ledger, as_of)[0].at
    return None if at is None else (at - as_of) / DAY


def test_sixty_points_are_fifty_after_7_891_days() -> None:
    """One half-life: t = h log2(S / threshold), exact to the microsecond."""
    days = crossed_after(policy_of(gives(60)), "a")

    assert days == pytest.approx(7.891, abs=0.0005)
    assert days == pytest.approx(30 * log2(60 / 50), abs=1e-6)


def test_a_group_that_is_full_falls_later() -> None:
    """Of 120 points 60 count, and 60 are left after a half-life; 50 after 7.891 days more."""
    policy = policy_of(gives(120), group_caps={"x": 60 * POINT})

    assert crossed_after(policy, "a") == pytest.approx(37.891, abs=0.0005)


@pytest.mark.parametrize(
    "rule, days",
    [
        (gives(60, fading=Linear(10)), 60),
        (gives(60, fading=Window(7 * DAY)), 7),
        (gives(60, fading=Inactivity(45 * DAY, 50, 90 * DAY)), 45),
        (gives(60, fading=Lasting()), None),
        (gives(40), None),
    ],
)
def test_each_decay_has_its_own_crossing(rule: EngagementRule, days: float | None) -> None:
    found = crossed_after(policy_of(rule), "a")

    assert found == (None if days is None else pytest.approx(days, abs=1e-9))


def test_an_absence_takes_the_score_down_at_the_instant_it_begins() -> None:
    policy = policy_of(gives(60, fading=Lasting()), gives(-15, absent=20 * DAY))

    assert crossed_after(policy, "a", day=5) == 15


def test_a_loss_that_fades_takes_the_score_up() -> None:
    """70 points that last less 40 that halve are 50 after a half-life."""
    policy = policy_of(gives(70, fading=Lasting()), gives(-40, "b"))
    up, leave = forecast(Ledger(policy, [fact("a"), fact("b")]), START)

    assert isinstance(up, Forecast)
    assert (up.threshold, up.points, up.direction) == ("mql_enter", 50 * POINT, "up")
    assert up.at == pytest.approx(START + 30 * DAY, abs=SECOND)
    assert leave.at is not None
    assert leave.at < START + 30 * DAY


def test_every_threshold_is_told_once_but_for_the_level_that_starts_at_zero() -> None:
    policy = policy_of(gives(60), levels=(("1", 75 * POINT), ("2", 40 * POINT), ("3", 0)))
    told = forecast(Ledger(policy, [fact("a")]), START)

    assert [(one.threshold, one.reached) for one in told] == [
        *(("mql_enter", True), ("mql_leave", True), ("level_1", False), ("level_2", True))
    ]
    assert told[2].at is None


@settings(max_examples=60)
@given(any_policy, any_history, any_instant)
def test_a_crossing_is_the_first_instant_on_the_other_side(
    policy: Policy, history: list[Fact], as_of: int
) -> None:
    facts = [one for one in canonical(history) if one.at <= as_of]
    ledger = Ledger(policy, facts)
    for one in forecast(ledger, as_of):
        assert one.reached == (ledger.engagement(as_of) >= one.points)
        if one.at is not None:
            assert one.at > as_of
            assert (ledger.engagement(one.at) >= one.points) != one.reached
            assert (ledger.engagement(one.at - 1) >= one.points) == one.reached
        # nothing is crossed before, wherever one looks
        end = as_of + 200 * DAY if one.at is None else one.at - SECOND
        for step in range(40):
            between = as_of + (end - as_of) * step // 40
            if between > as_of:
                assert (ledger.engagement(between) >= one.points) == one.reached
