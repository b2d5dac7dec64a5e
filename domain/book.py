"""The policies that were in force, one after the other: which one judges what.

A fact is judged by the policy in force when the log received it. What is worked out as it occurred
is judged by the policy in force when it happened, and a score by the one at its instant.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from domain.events import Fact, PolicyPublished
from domain.identity import lead_id
from domain.policy import Policy

POLICY_STREAM: Final = lead_id(("policy", ""))
"""The stream of publications; like those of spend and of corrections it belongs to no lead."""


class PolicyBook:
    """Every policy with the instant from which it is in force; never changes.

    ``base`` is in force before the first publication. Each of ``published`` comes with what it
    was made of, in the order of the stream, whose instants only rise.
    """

    __slots__ = ("_instants", "_policies", "base", "published")

    def __init__(
        self, base: Policy, published: Iterable[tuple[PolicyPublished, Policy]] = ()
    ) -> None:
        """Raise ValueError when the instants do not rise."""
        entries = tuple(published)
        self.base = base
        self.published: tuple[PolicyPublished, ...] = tuple(event for event, _ in entries)
        self._policies: tuple[Policy, ...] = (base, *(policy for _, policy in entries))
        self._instants: list[int] = [event.at for event in self.published]
        if any(a >= b for a, b in zip(self._instants, self._instants[1:], strict=False)):
            raise ValueError("each publication is in force later than the one before")

    def at(self, instant: int) -> Policy:
        """Return the policy in force at *instant*, microseconds UTC."""
        return self._policies[bisect_right(self._instants, instant)]

    @property
    def current(self) -> Policy:
        """Return the newest policy; it may be in force only from an instant that is to come."""
        return self._policies[-1]

    @property
    def stream_version(self) -> int:
        """Return the version of the stream of publications that the book was read at."""
        return len(self.published)

    @property
    def versions(self) -> Sequence[str]:
        """Return the version of each policy, the base first, in the order of their instants."""
        return [policy.version for policy in self._policies]

    @property
    def shared_kinds(self) -> frozenset[str]:
        """Return the kinds of identifier of which several values never told anybody apart."""
        return frozenset.intersection(*(policy.shared_kinds for policy in self._policies))

    def find(self, version: str) -> Policy | None:
        """Return the policy of *version*, whole or by a beginning that only one has; else None."""
        found = {one.version: one for one in self._policies if one.version.startswith(version)}
        if version in found:
            return found[version]
        return next(iter(found.values())) if len(found) == 1 else None


Rules = Policy | PolicyBook
"""What judges: one policy for all times, or the policy of each time. Both are asked ``at``."""


def judged_alike(facts: Iterable[Fact], rules: Rules) -> bool:
    """Return whether each of *facts* was received under the policy that it happened under.

    Only then do the decisions that were taken stand for those that would have been, had every fact
    arrived when it happened.
    """
    if isinstance(rules, Policy) or not rules.published:
        return True
    at = rules.at
    return all(fact.at >= fact.recorded_at or at(fact.at) is at(fact.recorded_at) for fact in facts)
