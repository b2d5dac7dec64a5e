"""The band of engagement in which a lead may become marketing qualified: when it is entered or left.

A lead enters at the threshold and leaves at its lower edge, so that one at the threshold does not
flicker. Leaving changes no stage.
"""

from collections.abc import Callable
from math import log2
from typing import TYPE_CHECKING, Final

from domain.events import Fact, ThresholdCrossed
from domain.ledger import gains_and_losses, ledger_with
from domain.policy import DAY, FULL, Policy

if TYPE_CHECKING:
    from domain.lead import Lead

MQL_ENGAGEMENT: Final = "mql_engagement"
"""The threshold that ``ThresholdCrossed`` reports."""

_SHORTEST: Final = DAY // 24
_LONGEST: Final = 256 * DAY
"""Microseconds for which it is worth knowing that a lead stays where it is."""


def crossing(lead: "Lead", fact: Fact, policy: Policy) -> ThresholdCrossed | None:
    """Return the crossing of the engagement threshold that *fact* causes or brings to light.

    The exact sum over all facts is only taken when a bound does not already answer; the answer is
    that of the sum.
    """
    gain, loss, shifts = _tendency(lead, fact, policy)
    as_of = max(fact.at, lead.last[0])
    if shifts:
        pass
    elif lead.hot:
        if not loss and as_of <= lead.hot_until:
            return None
    else:
        if lead.ceiling is not None:
            lead.ceiling += gain
            if lead.ceiling < policy.mql_engagement:
                return None
        if not gain and as_of <= lead.cold_until:
            return None
    if policy.plain and policy.halves:
        exact, direction = _weigh_sums(lead, fact, policy, as_of)
    else:
        exact, direction = _weigh_ledger(lead, fact, policy, as_of)
    if lead.hot == (direction == "up"):
        return None
    return ThresholdCrossed(
        threshold=MQL_ENGAGEMENT,
        direction=direction,
        score=exact,
        at=fact.at,
        recorded_at=fact.recorded_at,
        rule=MQL_ENGAGEMENT,
        policy=policy.version,
        source=fact.source,
        id=fact.id,
    )


def _tendency(lead: "Lead", fact: Fact, policy: Policy) -> tuple[int, bool, bool]:
    """Return what *fact* gains at most, whether it loses, and whether it changes what others count.

    It does so if it ends an absence or a silence, or comes late and is counted with others.
    """
    gain, loss, acts, ends = 0, False, False, False
    for rule in policy.rules_of.get(fact.type, ()):
        if rule.matches(fact):
            acts = True
            if rule.absent:
                ends = True
            elif rule.points > 0:
                gain += rule.points
            else:
                loss = True
    shifts = ends or (
        acts and not policy.plain and (policy.minds_silence or fact.order < lead.last)
    )
    return gain, loss, shifts


def _weigh_sums(lead: "Lead", fact: Fact, policy: Policy, as_of: int) -> tuple[int, str]:
    """Return the engagement with *fact* and where it lies, by the sum over the newest facts.

    For policies under which all points halve and groups alone are capped.
    """
    facts = lead.effective() if lead.judged or lead.corrected else lead.facts
    gains, losses = gains_and_losses([*facts, fact], policy, as_of)
    exact = min(max(gains + losses, 0), FULL)
    # What every contribution may lose to rounding between now and later: one micro-point each.
    slack = (len(lead.facts) + 1) * policy.rules_at_once + 1
    if exact >= (policy.band_floor if lead.hot else policy.mql_engagement):
        lead.pending = (fact, gains, as_of + _hot_for(gains, losses, slack, policy), -1)
        return exact, "up"
    lead.pending = (fact, gains, -1, as_of + _cold_for(gains, losses, slack, policy))
    return exact, "down"


def _weigh_ledger(lead: "Lead", fact: Fact, policy: Policy, as_of: int) -> tuple[int, str]:
    """Return the engagement with *fact* and where it lies, by the ledger of the lead."""
    ledger = ledger_with(lead, fact, policy)
    gains, losses = ledger.gains_and_losses(as_of)
    exact = min(max(gains + losses, 0), FULL)
    ceiling = gains + policy.absence_gain
    if exact >= (policy.band_floor if lead.hot else policy.mql_engagement):
        until = _as_long_as(
            as_of, lambda then: ledger.least_and_most(as_of, then)[0] >= policy.band_floor
        )
        lead.pending = (fact, ceiling, until, -1)
        return exact, "up"
    until = _as_long_as(
        as_of, lambda then: ledger.least_and_most(as_of, then)[1] < policy.mql_engagement
    )
    lead.pending = (fact, ceiling, -1, until)
    return exact, "down"


def _as_long_as(as_of: int, holds: Callable[[int], bool]) -> int:
    """Return an instant until which *holds*, by doubling the time from *as_of*; -1: not for long.

    *holds* is asked of the end of the time and answers for all of it.
    """
    until, wait = -1, _SHORTEST
    while wait <= _LONGEST and holds(as_of + wait):
        until = as_of + wait
        wait *= 4
    return until


def _hot_for(gains: int, losses: int, slack: int, policy: Policy) -> int:
    """Return for how long a hot lead stays in the band unless it loses points, microseconds.

    h log2(gains / (floor - losses)) for the shortest half-life h: losses only fade, and a capped
    group falls no faster than what is in it. A thousandth is left off, so that the rounding of the
    logarithm cannot matter.
    """
    needed = policy.band_floor - losses + slack
    if gains <= needed:
        return 0
    return int(policy.shortest_half_life * log2(gains / needed) * 0.999)


def _cold_for(gains: int, losses: int, slack: int, policy: Policy) -> int:
    """Return for how long a cold lead stays below the threshold unless it gains points.

    In microseconds: h log2(-losses / (gains - threshold)) for the shortest half-life h, since
    gains only fade, and losses no faster than that. Gains below the threshold need no such bound:
    the ceiling answers.
    """
    excess = gains - policy.mql_engagement + slack
    if excess <= 0 or -losses <= excess:
        return 0
    return int(policy.shortest_half_life * log2(-losses / excess) * 0.999)
