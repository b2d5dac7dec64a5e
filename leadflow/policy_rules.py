"""The rules of a policy document: as the engine is given them, and in words."""

import json
from collections.abc import Iterator
from typing import Any

from domain.decay import Fading, Inactivity, Lasting, Linear, Window
from domain.policy import DAY, EngagementRule, FitRule
from leadflow.policy_checks import decimal_of
from leadflow.policy_document import EngagementEntry, EngagementTable, Fades, FitEntry


def fit_rule(rule: FitEntry) -> FitRule:
    """Return the rule of fit that an entry of the document describes."""
    if rule.criterion is not None:
        return FitRule(rule.name, "", criterion=rule.criterion, satisfied=rule.satisfied)
    return FitRule(
        rule.name,
        rule.attribute or "",
        {text.strip().lower(): points for text, points in rule.points.items()},
        tuple((text.lower(), points) for text, points in rule.contains.items()),
        tuple(sorted((int(size), points) for size, points in rule.at_least.items())),
    )


def engagement_rule(rule: EngagementEntry, table: EngagementTable) -> EngagementRule:
    """Return the rule of engagement that an entry describes; *table* says how points fade."""
    fades: Fades = rule if rule.fades else table
    return EngagementRule(
        name=rule.name,
        types=tuple(rule.types),
        points=rule.points,
        half_life=fades.half_life_days or DAY,
        group=rule.group,
        where=tuple(rule.where.items()),
        actors=tuple(rule.actors),
        unless=tuple(rule.unless.items()),
        contains=tuple(rule.contains.items()),
        fading=_fading(fades),
        once=rule.once,
        count=rule.count or 0,
        within=rule.within_days or 0,
        distinct=rule.distinct,
        absent=rule.absent_days or 0,
        cap=rule.cap,
        day_cap=rule.day_cap,
    )


def _fading(fades: Fades) -> Fading | None:
    """Return how points fade; None where they halve."""
    if fades.linear is not None:
        return Linear(fades.linear.percent_a_month)
    if fades.window_days is not None:
        return Window(fades.window_days)
    if fades.inactivity is not None:
        table = fades.inactivity
        return Inactivity(table.floor_after_days, table.floor_percent, table.zero_after_days)
    return None if fades.decay is None else Lasting()


# --- in words ----------------------------------------------------------------------------------


def fit_lines(rule: FitRule) -> Iterator[str]:
    """Yield what a rule of fit gives, a line per value."""
    if rule.criterion is not None:
        yield f"  {rule.name} (qualification)"
        yield row(rule.satisfied, f"while the latest answer satisfies {rule.criterion}")
        return
    yield f"  {rule.name} ({rule.attribute})"
    for text, points in rule.points.items():
        yield row(points, text)
    for word, points in rule.contains:
        yield row(points, f'contains the word "{word}"')
    for size, points in rule.at_least:
        yield row(points, f"{size:,} and more")


def engagement_line(rule: EngagementRule) -> str:
    """Return what a rule of engagement gives, when, and how it fades."""
    parts = [" or ".join(rule.types)]
    parts += [f"{field} is {choice(values)}" for field, values in rule.where]
    parts += [f"{field} is not {choice(values)}" for field, values in rule.unless]
    parts += [f"{field} contains {choice(words)}" for field, words in rule.contains]
    if set(rule.actors) != {"prospect", "unknown"}:
        parts.append(f"by {choice(rule.actors)}")
    parts += _kind(rule)
    caps = []
    if rule.cap is not None:
        caps.append(f"at most {decimal_of(rule.cap)}")
    if rule.day_cap is not None:
        caps.append(f"at most {decimal_of(rule.day_cap)} a day")
    text = "; ".join([", ".join(parts), *caps, _fades(rule)])
    return row(rule.points, f"{rule.name}: {text}")


def _kind(rule: EngagementRule) -> Iterator[str]:
    if rule.absent:
        yield f"while none came for {_days(rule.absent)}"
    elif rule.count:
        what = f"different values of {rule.distinct}" if rule.distinct else "times"
        yield f"when {rule.count} {what} lie within {_days(rule.within)}, then counted anew"
    elif rule.distinct:
        yield f"once for each value of {rule.distinct}"
    if rule.once:
        yield "the first time only"


def _fades(rule: EngagementRule) -> str:
    match rule.fading:
        case None:
            return f"half-life {_days(rule.half_life)}"
        case Linear(percent):
            return f"less {percent} % with every 30 days"
        case Window(time):
            return f"for {_days(time)}"
        case Inactivity(floor_after, floor, zero_after):
            low, gone = _days(floor_after), _days(zero_after)
            return f"{floor} % after {low} without any act, nothing after {gone}"
        case Lasting():
            return "never fades"


def _days(time: int) -> str:
    return f"{time / DAY:g} d"


def row(points: int, text: str) -> str:
    """Return points and what they are for, aligned."""
    return f"    {decimal_of(points):>8}  {text}"


def choice(values: tuple[Any, ...]) -> str:
    """Return values as a sentence joins them."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in values]
    return " or ".join(texts)
