"""Bounds save sums and change no decision, whatever the kinds of rules, decays and caps."""

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.decay import Inactivity, Lasting, Linear, Window
from domain.decide import decide
from domain.events import Event, Fact, ThresholdCrossed
from domain.lead import Lead, evolve, fold
from domain.policy import DAY, POINT, EngagementRule, Policy
from tests.examples import HOUR, START, fact, small_policy
from tests.naive_score import any_policy, naive_engagement

MOMENTS = (0, 1, HOUR, DAY, 3 * DAY, 30 * DAY)
steps = st.lists(
    st.tuples(
        st.sampled_from(("happen",) * 6 + ("ask", "restart", "copy")),
        st.sampled_from(("a", "b", "c", "nothing")),
        st.sampled_from(MOMENTS) | st.integers(0, 60 * DAY),
        st.sampled_from((0,) * 6 + (-5 * DAY, -40 * DAY)),
    ),
    max_size=25,
)
Steps = Sequence[tuple[str, str, int, int]]


def policy_of(*rules: EngagementRule) -> Policy:
    """Return a policy whose band begins at 50 points and ends below 45."""
    return small_policy(
        engagement_rules=rules, group_caps={}, mql_engagement=50 * POINT, hysteresis=10
    )


def gives(points: int, type_: str = "a", **fields: object) -> EngagementRule:
    """Return a rule for facts of *type_*, whose points last."""
    usual = {"fading": Lasting()}
    return EngagementRule("rule", (type_,), points * POINT, DAY, "x", **(usual | fields))  # type: ignore[arg-type]  # fields of any kind


def happens(*days: tuple[str, float]) -> Steps:
    """Return the steps in which facts happen: type, and days after the one before."""
    return [("happen", type_, round(day * DAY), 0) for type_, day in days]


@settings(max_examples=400)
@given(any_policy, steps)
@example(  # an absence that nobody reports: the next fact brings it to light
    policy_of(gives(60), gives(-20, absent=30 * DAY)), happens(("a", 0), ("b", 29), ("b", 2))
)
@example(  # an act ends an absence, and another begins later
    policy_of(gives(30), gives(-20, "c", absent=10 * DAY), gives(-9, "a")),
    happens(("c", 0), ("a", 0), ("a", 0), ("a", 0), ("b", 9), ("c", 2), ("b", 8), ("b", 3)),
)
@example(  # an absence that adds takes a cold lead up by itself
    policy_of(gives(40), gives(20, "a", absent=5 * DAY)), happens(("a", 0), ("b", 4), ("b", 2))
)
@example(  # an unsubscription is an act too: what waited for the lead is back
    policy_of(gives(60, fading=Inactivity(5 * DAY, 50, 9 * DAY)), gives(-1, "b")),
    happens(("a", 0), ("nothing", 6), ("b", 0.5), ("nothing", 6)),
)
@example(
    policy_of(gives(60, fading=Window(7 * DAY)), gives(-30, "b", fading=Window(2 * DAY))),
    happens(("a", 0), ("b", 1), ("nothing", 1), ("nothing", 3), ("nothing", 3)),
)
@example(
    policy_of(gives(60, fading=Linear(10))),
    happens(("a", 0), ("nothing", 59), ("nothing", 29), ("nothing", 3)),
)
@example(  # a late first act takes the place of the one that earned the points, and is older
    policy_of(gives(60, once=True, fading=None)),
    [("happen", "a", 40 * DAY, 0), ("happen", "a", 0, -5 * DAY)],
)
def test_bounds_never_change_a_decision(policy: Policy, actions: Steps) -> None:
    """Each fact crosses the threshold just when the sum by definition does.

    However often the lead is asked what a fact would lead to, copied, or read back from the log.
    """
    lead, log, known = Lead(), list[Event](), list[Fact]()
    hot, clock, newest = False, START, START
    for n, (action, type_, later, late) in enumerate(actions):
        if action == "restart":
            lead = fold(log)
        elif action == "copy":
            lead = lead.copy()
        clock += later if action != "ask" else 0
        one = fact(type_, id=str(n), at=max(clock + (later if action == "ask" else late), 0))
        events = decide(lead, one, policy)
        as_of = max(one.at, newest if known else one.at)
        exact = naive_engagement([*known, one], policy, as_of)
        now = exact >= (policy.band_floor if hot else policy.mql_engagement)
        crossed = [event for event in events if isinstance(event, ThresholdCrossed)]

        assert [event.direction for event in crossed] == (
            [] if now == hot else [["down", "up"][now]]
        )
        assert all(event.score == exact for event in crossed)
        if action == "ask":
            continue
        for event in events:
            evolve(lead, event)
        log += events
        known.append(one)
        hot, newest = now, as_of


def test_a_lead_that_is_far_from_the_threshold_is_not_summed_up() -> None:
    """No ledger is made for a cold lead whose points could not reach it."""
    policy = policy_of(gives(1, once=True))
    lead = Lead()
    for n in range(20):
        for event in decide(lead, fact("a", n), policy):
            evolve(lead, event)

    assert lead.ledger is None


def test_a_hot_lead_is_not_summed_up_at_every_fact() -> None:
    policy = policy_of(gives(60, fading=Linear(1)))
    lead = Lead()
    for event in decide(lead, fact("a"), policy):
        evolve(lead, event)
    lead.ledger = None
    for n in range(20):
        for event in decide(lead, fact("nothing", n), policy):
            evolve(lead, event)

    assert (lead.hot, lead.ledger) == (True, None)
