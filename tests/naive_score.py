"""Points by their definitions alone: slow, without a ledger, and for nothing but comparison."""

from collections.abc import Sequence
from fractions import Fraction
from json import dumps
from typing import Any

from hypothesis import strategies as st

from domain.decay import MONTH, Inactivity, Lasting, Linear, Window, decay, divide
from domain.events import Fact
from domain.policy import DAY, FULL, EngagementRule, Policy
from tests.examples import HOUR, START, fact, small_policy

Earned = tuple[EngagementRule, int, int]
"""Rule, instant from which the points count, points before decay and without sign."""


def acts_of(rule: EngagementRule, facts: Sequence[Fact]) -> list[Fact]:
    """Return the facts that the rule looks at."""
    return [one for one in facts if one.type in rule.types and rule.matches(one)]


def _eligible(rule: EngagementRule, facts: Sequence[Fact]) -> list[Fact]:
    """Return the acts that earn points before the caps of the day; *facts* in canonical order."""
    acts = acts_of(rule, facts)
    if rule.distinct:
        acts = [one for one in acts if one.get(rule.distinct) is not None]
    if rule.count:
        found, counting = [], list[Fact]()
        for act in acts:
            counting.append(act)
            near = [one for one in counting if act.at - one.at <= rule.within]
            kinds = {dumps(one.get(rule.distinct)) for one in near} if rule.distinct else near
            if len(kinds) >= rule.count:
                found.append(act)
                counting = []
        acts = found
    elif rule.distinct:
        acts = [
            act
            for n, act in enumerate(acts)
            if dumps(act.get(rule.distinct)) not in [dumps(a.get(rule.distinct)) for a in acts[:n]]
        ]
    return acts[:1] if rule.once else acts


def earned(facts: Sequence[Fact], policy: Policy) -> list[Earned]:
    """Return what every act earned; *facts* in canonical order."""
    rules = [one for one in policy.engagement_rules if not one.absent]
    eligible = [{id(act) for act in _eligible(rule, facts)} for rule in rules]
    of_rule: dict[tuple[int, int], int] = {}
    of_all: dict[int, int] = {}
    found = []
    for one in facts:
        for n, rule in enumerate(rules):
            if id(one) not in eligible[n]:
                continue
            day, points = one.at // DAY, abs(rule.points)
            if rule.day_cap is not None:
                points = min(points, rule.day_cap - of_rule.get((n, day), 0))
                of_rule[n, day] = of_rule.get((n, day), 0) + points
            if policy.day_cap is not None and rule.points > 0:
                points = min(points, policy.day_cap - of_all.get(day, 0))
                of_all[day] = of_all.get(day, 0) + points
            found.append((rule, one.at, points))
    return found


def left(rule: EngagementRule, points: int, elapsed: int, silence: int) -> int:
    """Return what is left of the points."""
    match rule.fading:
        case None:
            return decay(points, elapsed, rule.half_life)
        case Linear(percent):
            share = max(Fraction(0), 1 - Fraction(percent, 100) * (elapsed // MONTH))
        case Window(time):
            share = Fraction(elapsed <= time)
        case Inactivity(floor_after, floor, zero_after):
            share = Fraction(100 if silence < floor_after else floor, 100)
            share = share if silence < zero_after else Fraction(0)
        case Lasting():
            share = Fraction(1)
    return divide(points * share.numerator, share.denominator)


def naive_engagement(facts: Sequence[Fact], policy: Policy, as_of: int) -> int:
    """Return the engagement at *as_of*, micro-points."""
    past = sorted((one for one in facts if one.at <= as_of), key=lambda one: one.order)
    acts = [act.at for rule in policy.engagement_rules for act in acts_of(rule, past)]
    silence = as_of - max(acts, default=as_of)
    sums: dict[int, int] = {}
    for rule, since, points in earned(past, policy):
        sums[id(rule)] = sums.get(id(rule), 0) + left(rule, points, as_of - since, silence)
    for rule in policy.engagement_rules:
        if rule.absent and (done := acts_of(rule, past)):
            since = done[-1].at + rule.absent
            if since <= as_of:
                sums[id(rule)] = left(rule, abs(rule.points), as_of - since, silence)
    groups: dict[str, int] = {}
    total = 0
    for rule in policy.engagement_rules:
        points = sums.get(id(rule), 0)
        points = points if rule.cap is None else min(points, rule.cap)
        if rule.points < 0:
            total -= points
        else:
            groups[rule.group] = groups.get(rule.group, 0) + points
    total += sum(min(points, policy.group_caps.get(name, FULL)) for name, points in groups.items())
    return min(max(total, 0), FULL)


# --- policies and histories of every kind ---------------------------------------------------------

FADINGS = st.sampled_from(
    (
        None,
        None,
        Linear(10),
        Linear(40),
        Window(7 * DAY),
        Inactivity(5 * DAY, 50, 12 * DAY),
        Inactivity(2 * DAY, 0, 3 * DAY),
        Lasting(),
    )
)
KINDS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    (
        {},
        {},
        {"once": True},
        {"count": 3, "within": 2 * DAY},
        {"count": 2, "within": 0},
        {"count": 2, "within": 40 * DAY, "once": True},
        {"distinct": "page"},
        {"distinct": "page", "count": 2, "within": 5 * DAY},
        {"absent": 4 * DAY},
        {"absent": 30 * DAY},
    )
)
CAPS = st.none() | st.sampled_from((1, 3_000_000, 25_000_000, 60_000_000))


@st.composite
def any_rule(draw: st.DrawFn) -> EngagementRule:
    """Return a rule of any kind, fading and cap."""
    kind = draw(KINDS)
    return EngagementRule(
        name="rule",
        types=draw(st.sampled_from((("a",), ("b",), ("c",), ("a", "c")))),
        points=draw(
            st.sampled_from((20_000_000, -10_000_000, 45_000_001, 3, 1_000_000))
            | st.integers(-40_000_000, 40_000_000).filter(bool)
        ),
        half_life=draw(st.sampled_from((HOUR, DAY, 7 * DAY, 30 * DAY))),
        group=draw(st.sampled_from("xy")),
        actors=("prospect",),
        fading=draw(FADINGS),
        cap=draw(CAPS),
        day_cap=None if "absent" in kind else draw(CAPS),
        **kind,
    )


any_policy = st.builds(
    small_policy,
    engagement_rules=st.lists(any_rule(), min_size=1, max_size=4).map(tuple),
    group_caps=st.dictionaries(st.sampled_from("xy"), st.integers(1, 60).map(lambda n: n * 10**6)),
    mql_engagement=st.sampled_from((1, 20_000_000, 50_000_000, 100_000_000)),
    hysteresis=st.sampled_from((0, 10, 99)),
    day_cap=CAPS,
)
"""Policies that pull in all directions: every kind of rule, every decay, every cap."""

any_history = st.lists(
    st.builds(
        fact,
        st.sampled_from(("a", "b", "c", "nothing")),
        st.integers(0, 60) | st.floats(0, 60) | st.sampled_from((1, 1.001, 1.002)),
        id=st.integers(0, 10**9).map(str),
        actor=st.sampled_from(("prospect", "prospect", "prospect", "machine")),
        page=st.sampled_from(("p", "q", 1, True, None, ["p"])),
    ),
    max_size=25,
    unique_by=lambda one: one.id,
)
any_instant = st.integers(START, START + 150 * DAY) | st.integers(0, 150).map(
    lambda day: START + day * DAY
)
