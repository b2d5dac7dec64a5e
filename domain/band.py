"""The band of engagement in which a lead may become marketing qualified: when it is entered or left.

A lead enters at the threshold and leaves at its lower edge, so that one at the threshold does not
flicker. Leaving changes no stage.
"""

from math import log2
from typing import TYPE_CHECKING, Final

from domain.events import Fact, ThresholdCrossed
from domain.policy import Policy
from domain.scoring import FULL, gains_and_losses

if TYPE_CHECKING:
    from domain.lead import Lead

MQL_ENGAGEMENT: Final = "mql_engagement"
"""The threshold that ``ThresholdCrossed`` reports."""


def crossing(lead: "Lead", fact: Fact, policy: Policy) -> ThresholdCrossed | None:
    """Return the crossing of the engagement threshold that *fact* causes or brings to light.

    The exact sum over all facts is only taken when a bound does not already answer; the answer is
    that of the sum.
    """
    gain, loss = 0, False
    for rule in policy.rules_of.get(fact.type, ()):
        if rule.matches(fact):
            if rule.points > 0:
                gain += rule.points
            else:
                loss = True
    as_of = max(fact.at, lead.last[0])
    if lead.hot:
        if not loss and as_of <= lead.hot_until:
            return None
    else:
        if lead.ceiling is not None:
            lead.ceiling += gain
            if lead.ceiling < policy.mql_engagement:
                return None
        if not gain and as_of <= lead.cold_until:
            return None
    gains, losses = gains_and_losses([*lead.facts, fact], policy, as_of)
    exact = min(max(gains + losses, 0), FULL)
    # What every contribution may lose to rounding between now and later: one micro-point each.
    slack = (len(lead.facts) + 1) * policy.rules_at_once + 1
    hot_until = cold_until = -1
    if exact >= (policy.band_floor if lead.hot else policy.mql_engagement):
        hot_until = as_of + _hot_for(gains, losses, slack, policy)
        direction = "up"
    else:
        cold_until = as_of + _cold_for(gains, losses, slack, policy)
        direction = "down"
    lead.pending = (fact, gains, hot_until, cold_until)
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
