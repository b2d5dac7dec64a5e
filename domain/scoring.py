"""Points: what a lead is (fit) and what it does (engagement), at any instant.

Everything is counted in integer micro-points, so that a score is the same to the last digit on
every machine. ``contributions`` accounts for every micro-point: what it counts sums to the score
exactly. What acts earn, and how it fades and is capped, stands in ``domain.ledger``.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.decay import divide
from domain.events import Fact
from domain.ledger import Contribution, Ledger, clamped, gains_and_losses
from domain.policy import FULL, FitRule, Policy
from domain.qualification import is_satisfied, latest

_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Score:
    """Both axes at an instant, in micro-points."""

    fit: int
    engagement: int
    total: int
    """The weighted sum of both, for sorting only."""
    grade: str
    """The letter of fit and the level of engagement, ``A1`` to ``D4``."""


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


def has_word(text: str, word: str) -> bool:
    """Return whether *word*, or a phrase, stands in *text* as a word of its own; case counts.

    Where a script puts no spaces between words (Chinese, Japanese, Korean, Thai and their
    neighbours), anywhere in the text.
    """
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        glued = (start > 0 and _joined(text[start - 1], word[0])) or (
            end < len(text) and _joined(word[-1], text[end])
        )
        if not glued:
            return True
        start = text.find(word, start + 1)
    return False


def _joined(left: str, right: str) -> bool:
    """Return whether two neighbours belong to one word."""
    return all(one.isalnum() and not _is_unspaced(one) for one in (left, right))


def _is_unspaced(letter: str) -> bool:
    """Return whether the letter is of a script that is written without spaces between words."""
    return (
        letter >= "\u2e80"
        or "\u0e00" <= letter <= "\u0eff"
        or "\u1000" <= letter <= "\u109f"
        or "\u1780" <= letter <= "\u17ff"
    )


def fit_points(rule: FitRule, value: Any) -> int:
    """Return what *rule* gives for *value*, micro-points; 0 where it says nothing of it."""
    if rule.at_least:
        size = band_start(value)
        steps = [points for least, points in rule.at_least if size is not None and size >= least]
        return max(steps, default=0)
    text = str(value).strip().lower()
    if text in rule.points:
        return rule.points[text]
    return max((points for word, points in rule.contains if has_word(text, word)), default=0)


def fit(traits: Mapping[str, Any], policy: Policy, satisfied: Collection[str] = _NOBODY) -> int:
    """Return the fit of a person with *traits* (dotted path to value), micro-points 0..100 M.

    *satisfied* are the criteria of qualification that the latest answers satisfy.
    """
    total = 0
    for rule in policy.fit_rules:
        if rule.criterion is not None:
            if rule.criterion in satisfied:
                total += rule.satisfied
            continue
        value = traits.get(rule.attribute)
        if value is not None:
            total += fit_points(rule, value)
    return min(max(total, 0), FULL)


def engagement(facts: Sequence[Fact], policy: Policy, as_of: int) -> int:
    """Return the engagement at *as_of*, micro-points 0..100 M; facts after it do not count.

    Equal to the sum that ``contributions`` counts; the order of *facts* does not matter.
    """
    gains, losses = gains_and_losses(facts, policy, as_of)
    return min(max(gains + losses, 0), FULL)


def contributions(facts: Sequence[Fact], policy: Policy, as_of: int) -> list[Contribution]:
    """Return what each fact adds at *as_of*, oldest first; *facts* in canonical order.

    The counted micro-points of an axis sum to that axis of ``score``.
    """
    past = [fact for fact in facts if fact.at <= as_of]
    return fit_contributions(past, policy) + Ledger(policy, past).contributions(as_of)


def score(facts: Sequence[Fact], policy: Policy, as_of: int) -> Score:
    """Return the score at *as_of*; *facts* in canonical order."""
    past = [fact for fact in facts if fact.at <= as_of]
    fits = sum(part.counted for part in fit_contributions(past, policy))
    return score_of(fits, engagement(past, policy, as_of), policy)


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


def fit_contributions(facts: Sequence[Fact], policy: Policy) -> list[Contribution]:
    """Return what the latest facts say of the person adds to fit; *facts* in canonical order."""
    said: dict[str, tuple[Any, Fact]] = {}
    for fact in facts:
        if fact.traits:
            for path, value in flat_traits(fact.traits):
                said[path] = (value, fact)
    answers = latest(facts, policy.framework) if policy.asks_criteria else {}
    parts = []
    for rule in policy.fit_rules:
        if rule.criterion is not None:
            answer = answers.get(rule.criterion)
            if answer is None or not is_satisfied(answer):
                continue
            fact, points = answer, rule.satisfied
        else:
            known = said.get(rule.attribute)
            if known is None:
                continue
            fact, points = known[1], fit_points(rule, known[0])
        if points:
            parts.append(
                Contribution(
                    rule.name, "fit", fact.source, fact.id, fact.at, points, points, points
                )
            )
    return clamped(parts)
