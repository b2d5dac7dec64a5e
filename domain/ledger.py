"""The ledger of a lead: what it earned under one policy, act by act, and what that counts now.

The order of operations is eligibility (with the caps of a day), decay, cap of the rule, cap of the
group (oldest accepted first), clamp to 0..100. Everything is counted in integer micro-points.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from domain.decay import decay
from domain.earnings import NO_LIMIT, Absence, Earnings, left_of
from domain.events import Fact, OrderKey, canonical
from domain.policy import DAY, FULL, EngagementRule, Policy

if TYPE_CHECKING:
    from domain.lead import Lead

_WHOLE: Final = Fraction(1)


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
    """What the rule gives, after the caps of the day."""
    decayed: int
    """What is left of it at the instant asked for."""
    counted: int
    """What of that counts, after the caps of rule and group and the clamp."""
    factor: Fraction = _WHOLE
    """The share of the points that is left, before rounding."""

    @property
    def cap_loss(self) -> int:
        """Return what the caps and the clamp take of what is left."""
        return self.decayed - self.counted


@dataclass(frozen=True, slots=True)
class Award:
    """Points that an act earned under a rule."""

    rule: EngagementRule
    at: int
    """The instant from which they count, microseconds."""
    points: int
    """Micro-points after the caps of the day, with their sign."""
    source: str
    id: str


class Ledger:
    """What a lead earned under one policy.

    Whether an act earns points is settled when it is added; a question costs decay and caps alone,
    and may be asked for any instant.
    """

    __slots__ = (
        "_absences",
        "_acts",
        "_awards",
        "_by_type",
        "_day",
        "_earnings",
        "_newest",
        "_spent",
        "last",
        "policy",
        "read",
        "tail",
    )

    def __init__(self, policy: Policy, facts: Iterable[Fact] = ()) -> None:
        self.policy = policy
        self.read = 0
        """How many facts of the lead's log are in it."""
        self.tail: Fact | None = None
        """The one of them that the log brought last."""
        self.last: OrderKey = (-NO_LIMIT, "", -1, "")
        """The greatest place in canonical order among them."""
        self._newest = -NO_LIMIT
        self._awards: list[tuple[int, int, int, Fact]] = []  # since, points, index of rule, fact
        self._acts: list[int] = []
        self._day, self._spent = -1, 0
        self._earnings: dict[int, Earnings] = {}
        self._absences: dict[int, Absence] = {}
        for index, rule in enumerate(policy.engagement_rules):
            if rule.absent:
                self._absences[index] = Absence(rule)
            else:
                self._earnings[index] = Earnings(rule)
        self._by_type = _by_type(policy)
        for fact in facts:
            self.add(fact)

    def copy(self) -> "Ledger":
        """Return an independent copy."""
        other = Ledger(self.policy)
        other.read, other.tail, other.last = self.read, self.tail, self.last
        other._newest = self._newest
        other._awards, other._acts = self._awards.copy(), self._acts.copy()
        other._day, other._spent = self._day, self._spent
        other._earnings = {index: one.copy() for index, one in self._earnings.items()}
        other._absences = {index: one.copy() for index, one in self._absences.items()}
        return other

    def add(self, fact: Fact) -> None:
        """Book what *fact* earns.

        Raises ValueError for a fact that happened before one that is in the ledger already.
        """
        rules = self._by_type.get(fact.type)
        if rules is None:
            return
        if fact.at < self._newest:
            raise ValueError(f"fact {fact.id} of {fact.source} is older than the ledger")
        acted = False
        for index, rule in rules:
            if not rule.matches(fact):
                continue
            acted = True
            if rule.absent:
                self._absences[index].end(fact)
                continue
            earnings = self._earnings[index]
            points = earnings.earned(fact)
            if points and self.policy.day_cap is not None and rule.points > 0:
                points = self._within_day(fact.at, points)
            if points:
                earnings.book(fact.at, points)
                self._awards.append((fact.at, points, index, fact))
        if acted:
            self._newest = fact.at
            if self.policy.minds_silence:
                self._acts.append(fact.at)

    def take(self, fact: Fact) -> None:
        """Add the fact that the lead's log brought next, which also follows in canonical order."""
        self.add(fact)
        self.read, self.tail, self.last = self.read + 1, fact, fact.order

    def _within_day(self, at: int, points: int) -> int:
        """Return what the day has room for of *points*, all rules together."""
        if at // DAY != self._day:
            self._day, self._spent = at // DAY, 0
        allowed = min(points, (self.policy.day_cap or 0) - self._spent)
        self._spent += allowed
        return allowed

    # --- sums ------------------------------------------------------------------------------------

    def engagement(self, as_of: int) -> int:
        """Return the engagement at *as_of*, micro-points 0..100 M; later acts do not count."""
        gains, losses = self.gains_and_losses(as_of)
        return min(max(gains + losses, 0), FULL)

    def gains_and_losses(self, as_of: int) -> tuple[int, int]:
        """Return the capped sum of what adds and the sum of what takes away, before the clamp."""
        return self._sums(as_of, as_of)

    def least_and_most(self, since: int, until: int) -> tuple[int, int]:
        """Return bounds of gains and losses together from *since* to *until*, both included.

        They hold if nothing happens after *since*, and the least also if acts only add, the most
        if they only take away, as long as no absence ends and no silence.
        """
        gains, losses = self._sums(since, since)
        faded_gains, faded_losses = self._sums(until, since)
        least, most = faded_gains + losses, gains + faded_losses
        for absence in self._absences.values():
            start = absence.next(since)
            if start is not None and start <= until:
                least += min(absence.rule.points, 0)
                most += max(absence.rule.points, 0)
        return least, most

    def next_absence(self, after: int) -> int | None:
        """Return when the next absence begins if nothing happens, microseconds, or None."""
        starts = [one.next(after) for one in self._absences.values()]
        return min((start for start in starts if start is not None), default=None)

    def _sums(self, as_of: int, begun: int) -> tuple[int, int]:
        """Return gains and losses at *as_of* without the absences that began after *begun*."""
        caps, silence = self.policy.group_caps, self._silence(as_of)
        gains: dict[str, int] = {}
        losses = 0
        for earnings in self._earnings.values():
            if not earnings.times:
                continue
            rule = earnings.rule
            limit = NO_LIMIT if rule.cap is None else rule.cap
            if rule.points < 0:
                losses -= min(limit, earnings.left(as_of, silence, limit))
                continue
            gained = gains.get(rule.group, 0)
            limit = min(limit, caps.get(rule.group, FULL) - gained)
            if limit > 0:
                gains[rule.group] = gained + min(limit, earnings.left(as_of, silence, limit))
        for absence in self._absences.values():
            found = absence.at(begun)
            if found is None:
                continue
            rule = absence.rule
            _, left = left_of(rule, abs(rule.points), as_of - found[0], silence)
            left = left if rule.cap is None else min(left, rule.cap)
            if rule.points < 0:
                losses -= left
            else:
                gained = gains.get(rule.group, 0)
                gains[rule.group] = min(gained + left, caps.get(rule.group, FULL))
        return sum(gains.values()), losses

    def _silence(self, as_of: int) -> int:
        """Return how long the lead has done nothing at *as_of*, microseconds."""
        n = bisect_right(self._acts, as_of)
        return as_of - self._acts[n - 1] if n else 0

    # --- one by one ------------------------------------------------------------------------------

    def awards(self, as_of: int) -> list[Award]:
        """Return the points that count at *as_of*, before decay, oldest first."""
        rules = self.policy.engagement_rules
        return [
            Award(
                rules[index],
                since,
                points if rules[index].points > 0 else -points,
                fact.source,
                fact.id,
            )
            for since, points, index, fact in self._past(as_of)
        ]

    def contributions(self, as_of: int) -> list[Contribution]:
        """Return what each act adds at *as_of*, oldest first.

        What is counted sums to the engagement exactly.
        """
        rules, silence = self.policy.engagement_rules, self._silence(as_of)
        rooms = {index: rule.cap for index, rule in enumerate(rules) if rule.cap is not None}
        groups = dict(self.policy.group_caps)
        parts = []
        for since, points, index, fact in self._past(as_of):
            rule = rules[index]
            factor, left = left_of(rule, points, as_of - since, silence)
            counted = left
            if rule.cap is not None:
                counted = min(counted, rooms[index])
                rooms[index] -= counted
            if rule.points > 0:
                room = groups.get(rule.group, FULL)
                counted = min(counted, room)
                groups[rule.group] = room - counted
            else:
                points, left, counted = -points, -left, -counted  # noqa: PLW2901 - with its sign
            parts.append(
                Contribution(
                    rule.name,
                    "engagement",
                    fact.source,
                    fact.id,
                    fact.at,
                    points,
                    left,
                    counted,
                    factor,
                )
            )
        return clamped(parts)

    def _past(self, as_of: int) -> Sequence[tuple[int, int, int, Fact]]:
        """Return what counts at *as_of*: since when, points without sign, index of rule, fact."""
        end = bisect_right(self._awards, as_of, key=lambda award: award[0])
        past = self._awards[:end]
        for index, absence in self._absences.items():
            found = absence.at(as_of)
            if found is not None:
                past.append((found[0], abs(absence.rule.points), index, found[1]))
        if len(past) > end:
            past.sort(key=lambda award: award[0])
        return past


def _by_type(policy: Policy) -> dict[str, list[tuple[int, EngagementRule]]]:
    """Return the rules of engagement and their index by the type of fact that they look at."""
    found: dict[str, list[tuple[int, EngagementRule]]] = {}
    for index, rule in enumerate(policy.engagement_rules):
        for type_ in rule.types:
            found.setdefault(type_, []).append((index, rule))
    return found


def clamped(parts: list[Contribution]) -> list[Contribution]:
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


# --- of facts, and of a lead ----------------------------------------------------------------------


def gains_and_losses(facts: Sequence[Fact], policy: Policy, as_of: int) -> tuple[int, int]:
    """Return the capped sum of what adds and the sum of what takes away, before the clamp.

    Micro-points; the order of *facts* does not matter. Canonical order is quickest: under a plain
    policy the newest facts are looked at first, and what a full group would refuse is not.
    """
    if not policy.plain:
        return Ledger(policy, canonical(facts)).gains_and_losses(as_of)
    rules_of = policy.rules_of
    caps = policy.group_caps
    gains: dict[str, int] = {}
    losses = 0
    for fact in reversed(facts):
        rules = rules_of.get(fact.type)
        if rules is None or fact.at > as_of:
            continue
        full = False
        for rule in rules:
            if not rule.matches(fact):
                continue
            if rule.fading is None:
                left = decay(rule.points, as_of - fact.at, rule.half_life)
            else:
                _, left = left_of(rule, rule.points, as_of - fact.at, 0)
            if left < 0:
                losses += left
            else:
                cap = caps.get(rule.group, FULL)
                gained = min(gains.get(rule.group, 0) + left, cap)
                gains[rule.group] = gained
                full = full or gained == cap
        if full:
            rules_of = {
                type_: still
                for type_, some in rules_of.items()
                if (
                    still := tuple(
                        rule
                        for rule in some
                        if rule.points < 0 or gains.get(rule.group, 0) < caps.get(rule.group, FULL)
                    )
                )
            }
            if not rules_of:
                break
    return sum(gains.values()), losses


def ledger_of(lead: "Lead", policy: Policy) -> Ledger:
    """Return the ledger of what *lead* did, kept on the lead and brought up to date.

    It is built anew where facts came late or are not as they were reported, and for another policy.
    """
    ledger = lead.ledger
    if ledger is not None and ledger.policy is policy and _is_of(ledger, lead):
        fresh = lead.facts[ledger.read :]
        if not fresh or (_as_reported(lead, fresh) and _follow(ledger.last, fresh)):
            for fact in fresh:
                ledger.take(fact)
            return ledger
    ledger = Ledger(policy, lead.effective())
    ledger.read, ledger.last = len(lead.facts), lead.last
    ledger.tail = lead.facts[-1] if lead.facts else None
    lead.ledger = ledger
    return ledger


def ledger_with(lead: "Lead", fact: Fact, policy: Policy) -> Ledger:
    """Return the ledger of what *lead* did, *fact* included, which it has not remembered yet."""
    ledger = ledger_of(lead, policy)
    if _follow(ledger.last, [fact]):
        ledger.take(fact)
    else:
        ledger = Ledger(policy, canonical([*lead.effective(), fact]))
        ledger.read, ledger.tail, ledger.last = len(lead.facts) + 1, fact, lead.last
    lead.ledger = ledger if _as_reported(lead, [fact]) else None
    return ledger


def _is_of(ledger: Ledger, lead: "Lead") -> bool:
    """Return whether the lead has remembered what is in the ledger, and nothing else so far."""
    if ledger.read > len(lead.facts):
        return False
    return not ledger.read or lead.facts[ledger.read - 1] is ledger.tail


def _follow(last: OrderKey, facts: Iterable[Fact]) -> bool:
    """Return whether *facts* come in canonical order behind *last*."""
    for fact in facts:
        if fact.order <= last:
            return False
        last = fact.order
    return True


def _as_reported(lead: "Lead", facts: Iterable[Fact]) -> bool:
    """Return whether no correction and no verdict speaks of any of *facts*."""
    judged, corrected = lead.judged, lead.corrected
    if not judged and not corrected:
        return True
    keys = {(fact.source, fact.id) for fact in facts}
    return keys.isdisjoint(judged) and not any(
        key in corrected.voided or key in corrected.actors for key in keys
    )
