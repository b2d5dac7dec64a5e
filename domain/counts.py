"""Acts that say how far a person is: one of them, or so many within a time.

What counts as the person's act is the same everywhere: the actor is the prospect, or unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from domain.events import Fact

DAY: Final = 86_400_000_000
"""Microseconds in a day."""

PERSON: Final = frozenset(("prospect", "unknown"))
"""Actors whose acts are the person's own; unknown is what a producer says that does not know."""

Condition = tuple[str, tuple[str | int | bool | None, ...]]
"""A field of the fact, and the values of which it must have one."""


@dataclass(frozen=True, slots=True)
class Act:
    """What a person does: a fact of one of ``types`` whose fields have the values of ``where``."""

    name: str
    types: tuple[str, ...]
    where: tuple[Condition, ...] = ()

    def matches(self, fact: Fact) -> bool:
        """Return whether *fact* is such an act, and the person's own."""
        if fact.type not in self.types or fact.actor not in PERSON:
            return False
        return all(fact.get(name) in allowed for name, allowed in self.where)


@dataclass(frozen=True, slots=True)
class Count:
    """So many such acts within a time."""

    act: Act
    count: int
    """How many are needed, 1 or more."""
    within: int
    """How long ago the first of them may be at most, microseconds."""
    distinct: str | None = None
    """A field of which each value counts once; acts without it do not count. None: all count."""

    def is_reached(self, earlier: Sequence[Fact], fact: Fact, as_of: int) -> bool:
        """Return whether *fact*, which is such an act, and those *earlier* are enough at *as_of*.

        *earlier* come in canonical order. *as_of* is an instant in microseconds UTC; of the acts
        those count that happened no longer than ``within`` before it.
        """
        since = as_of - self.within
        seen: set[object] = set()
        for n, one in enumerate(chain((fact,), reversed(earlier))):
            if one.at < since and n:
                break
            if since <= one.at <= as_of and self.act.matches(one):
                value = n if self.distinct is None else _hashable(one.get(self.distinct))
                if value is not None:
                    seen.add(value)
                    if len(seen) >= self.count:
                        return True
        return False


def _hashable(value: object) -> object:
    return value if value is None or isinstance(value, str | int) else repr(value)


ACTS: Final = (
    Act("download", ("content.downloaded",)),
    Act("webinar", ("event.attended",), (("kind", ("webinar",)),)),
    Act("content form", ("form.submitted",), (("kind", ("content", "newsletter")),)),
)
"""One of these makes a marketing qualified lead where the policy names no others."""

COUNTS: Final = (
    Count(Act("guide opened again and again", ("content.opened",)), 3, 30 * DAY),
    Count(Act("newsletter clicked", ("email.clicked",)), 2, 30 * DAY),
)
"""Either of these makes a marketing qualified lead where the policy names no others."""
