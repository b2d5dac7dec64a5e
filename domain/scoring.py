"""Points: what a lead is (fit) and what it does (engagement), at any instant.

Everything is counted in integer micro-points, so that a score is the same to the last digit on
every machine. The order of operations is eligibility, decay, cap of the group (oldest accepted
first), clamp to 0..100. ``contributions`` accounts for every micro-point: what it counts sums to
the score exactly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from domain.decay import ONE, half_life_weight
from domain.events import Fact
from domain.policy import POINT, FitRule, Policy

FULL: Final = 100 * POINT
"""The most that either axis can reach."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one fact adds to one axis under one rule, all in micro-points."""

    rule: str
    axis: str
    """fit or engagement."""
    source: str
    id: str
    at: int
    points: int
    """What the rule gives."""
    decayed: int
    """What is left of it at the instant asked for."""
    counted: int
    """What of that counts, after the cap of the group and the clamp."""


@dataclass(frozen=True, slots=True)
class Score:
    """Both axes at an instant, in micro-points."""

    fit: int
    engagement: int
    total: int
    """The weighted sum of both, for sorting only."""
    grade: str
    """The letter of fit and the level of engagement, ``A1`` to ``D4``."""


def divide(numerator: int, denominator: int) -> int:
    """Return the quotient rounded half to even; *denominator* is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def decayed(points: int, elapsed: int, half_life: int) -> int:
    """Return *points* x 2^(-elapsed / half_life), rounded half to even; times in microseconds."""
    return divide(points * half_life_weight(elapsed, half_life), ONE)


def flat_traits(traits: dict[str, Any] | Any) -> Iterable[tuple[str, Any]]:
    """Yield the traits of a fact as dotted path and value, without missing ones."""
    for name, value in traits.items():
        if isinstance(value, dict):
            for part, inner in value.items():
                if inner is not None:
                    yield f"{name}.{part}", inner
        elif value is not None:
            yield name, value


def band_start(size: Any) -> int | None:
    """Return the lower end of a company size: 200 for ``"200-499"``, ``"2000+"`` is 2000."""
    if isinstance(size, bool):
        return None
    if isinstance(size, int):
        return size
    if isinstance(size, str):
        digits = size.strip().rstrip("+").partition("-")[0].strip()
        # Python refuses to read thousands of digits, and no company has that many employees
        known = digits.isascii() and digits.isdigit() and len(digits) <= 18
        return int(digits) if known else None
    return None


def fit_points(rule: FitRule, value: Any) -> int:
    """Return what *rule* gives for *value*, micro-points; 0 where it says nothing of it."""
    if rule.at_least:
        size = band_start(value)
        steps = [points for least, points in rule.at_least if size is not None and size >= least]
        return max(steps, default=0)
    text = str(value).strip().lower()
    if text in rule.points:
        return rule.points[text]
    return max((points for word, points in rule.contains if word in text), default=0)


def fit(traits: dict[str, Any], policy: Policy) -> int:
    """Return the fit of a person with *traits* (dotted path to value), micro-points 0..100 M."""
    total = 0
    for rule in policy.fit_rules:
        value = traits.get(rule.attribute)
        if value is not None:
            total += fit_points(rule, value)
    return min(max(total, 0), FULL)


def engagement(facts: Iterable[Fact], policy: Policy, as_of: int) -> int:
    """Return the engagement at *as_of*, micro-points 0..100 M; facts after it do not count.

    Equal to the sum that ``contributions`` counts; the order of *facts* does not matter, since a
    cap takes from a sum.
    """
    gains, losses = gains_and_losses(facts, policy, as_of)
    return min(max(gains + losses, 0), FULL)


def gains_and_losses(facts: Iterable[Fact], policy: Policy, as_of: int) -> tuple[int, int]:
    """Return the capped sum of what adds and the sum of what takes away, before the clamp."""
    rules_of = policy.rules_of
    gains: dict[str, int] = {}
    losses = 0
    for fact in facts:
        rules = rules_of.get(fact.type)
        if rules is None or fact.at > as_of:
            continue
        for rule in rules:
            if rule.matches(fact):
                points = decayed(rule.points, as_of - fact.at, rule.half_life)
                if points >= 0:
                    gains[rule.group] = gains.get(rule.group, 0) + points
                else:
                    losses += points
    caps = policy.group_caps
    return sum(min(gain, caps.get(group, FULL)) for group, gain in gains.items()), losses


def contributions(facts: Sequence[Fact], policy: Policy, as_of: int) -> list[Contribution]:
    """Return what each fact adds at *as_of*, oldest first; *facts* in canonical order.

    The counted micro-points of an axis sum to that axis of ``score``.
    """
    past = [fact for fact in facts if fact.at <= as_of]
    return _fit_contributions(past, policy) + _engagement_contributions(past, policy, as_of)


def score(facts: Sequence[Fact], policy: Policy, as_of: int) -> Score:
    """Return the score at *as_of*; *facts* in canonical order."""
    return total_of(contributions(facts, policy, as_of), policy)


def total_of(parts: Iterable[Contribution], policy: Policy) -> Score:
    """Return the score that contributions add up to."""
    sums = {"fit": 0, "engagement": 0}
    for part in parts:
        sums[part.axis] += part.counted
    return score_of(sums["fit"], sums["engagement"], policy)


def score_of(fit_total: int, engagement_total: int, policy: Policy) -> Score:
    """Return the score of what both axes have reached, micro-points."""
    weighted = policy.fit_weight * fit_total + policy.engagement_weight * engagement_total
    letter = next(name for name, least in policy.grades if fit_total >= least)
    level = next(name for name, least in policy.levels if engagement_total >= least)
    return Score(fit_total, engagement_total, divide(weighted, 100), letter + level)


def _fit_contributions(facts: Sequence[Fact], policy: Policy) -> list[Contribution]:
    latest: dict[str, tuple[Any, Fact]] = {}
    for fact in facts:
        if fact.traits:
            for path, value in flat_traits(fact.traits):
                latest[path] = (value, fact)
    parts = []
    for rule in policy.fit_rules:
        known = latest.get(rule.attribute)
        if known is None:
            continue
        value, fact = known
        points = fit_points(rule, value)
        if points:
            parts.append(
                Contribution(
                    rule.name, "fit", fact.source, fact.id, fact.at, points, points, points
                )
            )
    return _clamped(parts)


def _engagement_contributions(
    facts: Sequence[Fact], policy: Policy, as_of: int
) -> list[Contribution]:
    room = dict(policy.group_caps)
    parts = []
    for fact in facts:
        for rule in policy.rules_of.get(fact.type, ()):
            if not rule.matches(fact):
                continue
            left = decayed(rule.points, as_of - fact.at, rule.half_life)
            counted = left
            if left > 0:
                counted = min(left, room.get(rule.group, FULL))
                room[rule.group] = room.get(rule.group, FULL) - counted
            parts.append(
                Contribution(
                    rule.name,
                    "engagement",
                    fact.source,
                    fact.id,
                    fact.at,
                    rule.points,
                    left,
                    counted,
                )
            )
    return _clamped(parts)


def _clamped(parts: list[Contribution]) -> list[Contribution]:
    """Take what exceeds 0..100 points from the newest contributions of that sign."""
    total = sum(part.counted for part in parts)
    excess = total - FULL if total > FULL else min(total, 0)
    for n in range(len(parts) - 1, -1, -1):
        if not excess:
            break
        part = parts[n]
        if (part.counted > 0) == (excess > 0):
            cut = min(part.counted, excess) if excess > 0 else max(part.counted, excess)
            parts[n] = replace(part, counted=part.counted - cut)
            excess -= cut
    return parts
