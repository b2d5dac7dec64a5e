"""What is wrong with single rules of a policy document: their kind, their caps, how points fade."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from domain.qualification import Framework
from leadflow.policy_document import SATISFIED, EngagementEntry, Fades, FitEntry
from leadflow.policy_stage_checks import Path, Remark

FADES: Final = tuple(Fades.model_fields)
"""The keys that say how points fade."""

_NOT_OF_ABSENCE: Final = ("once", "count", "within_days", "distinct", "day_cap")


def fading_remarks(path: Path, table: Fades, given: Mapping[str, Any]) -> Iterator[Remark]:
    """Yield what is wrong with how points fade; *given* is the table as it is written."""
    ways = [key for key in FADES if key in given]
    for key in ways[1:]:
        problem = f"is a second way to fade, beside {ways[0]}"
        yield Remark((*path, key), None, problem, "keep one of them")
    steps = table.inactivity
    if steps is not None and steps.zero_after_days <= steps.floor_after_days:
        days = given["inactivity"]["zero_after_days"]
        mend = "write more days than floor_after_days"
        where = (*path, "inactivity", "zero_after_days")
        yield Remark(where, days, "is not later than floor_after_days", mend)


def kind_remarks(path: Path, rule: EngagementEntry, given: Mapping[str, Any]) -> Iterator[Remark]:
    """Yield what does not go together in a rule of engagement; *given* is it as it is written."""
    if rule.absent_days is not None:
        for key in _NOT_OF_ABSENCE:
            if key in given:
                problem = "does not go with absent_days, which counts no acts"
                yield Remark((*path, key), None, problem, "take out one of them")
        return
    if rule.count is not None and rule.within_days is None:
        yield Remark((*path, "count"), rule.count, "has no window", "add within_days = 14")
    if rule.within_days is not None and rule.count is None:
        problem = "is the window of a count, and there is none"
        yield Remark((*path, "within_days"), None, problem, "add count = 3, or take it out")
    if rule.once and rule.distinct is not None and rule.count is None:
        problem = "leaves nothing to tell apart, since once gives the points a single time"
        yield Remark((*path, "distinct"), rule.distinct, problem, "take out one of them")


def kind_warnings(path: Path, rule: EngagementEntry, given: Mapping[str, Any]) -> Iterator[Remark]:
    """Yield what works in a rule of engagement, though hardly as its author meant."""
    for key, cap in (("cap", rule.cap), ("day_cap", rule.day_cap)):
        if cap is not None and abs(rule.points) > cap:
            problem = "is less than the points that one act is worth"
            yield Remark((*path, key), given[key], problem, f"raise {key}, or lower the points")
    if rule.absent_days is not None and rule.points > 0:
        mend = f"write points = -{given['points']}"
        yield Remark((*path, "points"), given["points"], "rewards doing nothing", mend)


def criterion_remarks(path: Path, rule: FitEntry, framework: Framework | None) -> Iterator[Remark]:
    """Yield what is wrong with a rule of fit as to what it looks at."""
    if rule.criterion is None:
        if rule.attribute is None:
            mend = 'add attribute = "seniority", or criterion = "budget"'
            yield Remark((*path, "attribute"), None, "is missing", mend)
        if rule.is_number:
            problem = "is one number, which a rule with a criterion has"
            mend = "write a table: points = { director = 20 }"
            yield Remark((*path, "points"), None, problem, mend)
        return
    if rule.attribute is not None:
        problem = "stands beside criterion, and a rule looks at one thing"
        yield Remark((*path, "attribute"), rule.attribute, problem, "make two rules of it")
    if framework is not None and rule.criterion not in framework.criteria:
        own = framework.criterion(rule.criterion)
        near = [own] if own else get_close_matches(rule.criterion, framework.criteria, 1, 0.5)
        mend = f'write "{near[0]}"' if near else "write one of " + ", ".join(framework.criteria)
        problem = f"is not a criterion of {framework.name}"
        yield Remark((*path, "criterion"), rule.criterion, problem, mend)
    for key, table in (("contains", rule.contains), ("at_least", rule.at_least)):
        if table:
            mend = "write points = 10"
            yield Remark((*path, key), None, "is for attributes, not for a criterion", mend)
    if rule.points.keys() - {SATISFIED}:
        problem = "is a table, where a criterion is worth one number"
        yield Remark((*path, "points"), None, problem, "write points = 10")
