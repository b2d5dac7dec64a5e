"""Sets of identifiers that are one person's, and what keeps two of them apart."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from domain.corrections import FactId
from domain.events import Fact, Identifier, OrderKey
from domain.identity import UNMERGED, others_of
from domain.policy import Policy

RULED: Final = 0
"""The class of edges that somebody has ruled."""
STRONG: Final = 1
WEAK: Final = 2
"""The class of edges with an identifier that people share; all others are strong."""

VERIFIED: Final = "verified email"
"""Stands for the kind of those e-mail addresses that are verified."""

Edge = tuple[int, OrderKey, Identifier, Identifier]
"""Class, place of the first fact that says so, and the two identifiers."""


def verified_email(fact: Fact) -> str | None:
    """Return the e-mail address that *fact* tells to be verified, or None.

    It is when the producer says so in the attribute ``email_verified``.
    """
    person = fact.person
    if person is None or not (attributes := person.get("attributes")):
        return None
    if attributes.get("email_verified") is not True:
        return None
    return next((value for kind, value in person["keys"] if kind == "email"), None)


class _Rank(IntEnum):
    """How well an identifier says whose a fact is, the best first."""

    UNIQUE = 0
    VERIFIED = 1
    STRONG = 2
    WEAK = 3


def anchored(
    fact: Fact, policy: Policy, verified: Collection[str] = frozenset()
) -> tuple[Identifier, ...]:
    """Return the identifiers of *fact*, the one that says best whose it is before all others.

    That is one of a unique kind, else an address that is among the *verified*, else the first that
    is not weak.
    """
    keys = fact.keys
    if len(keys) < 2:
        return keys
    best, least = 0, _Rank.WEAK + 1
    for n, (kind, value) in enumerate(keys):
        if kind in policy.weak_kinds:
            rank = _Rank.WEAK
        elif kind in policy.unique_kinds:
            rank = _Rank.UNIQUE
        elif kind == "email" and value in verified:
            rank = _Rank.VERIFIED
        else:
            rank = _Rank.STRONG
        if rank < least:
            best, least = n, rank
    return keys if best == 0 else (keys[best], *keys[:best], *keys[best + 1 :])


def pair(one: Identifier, other: Identifier) -> tuple[Identifier, Identifier]:
    """Return two identifiers in the order that stands for both orders."""
    return (one, other) if one <= other else (other, one)


class Groups:
    """Disjoint sets of identifiers, each with what tells it from others."""

    def __init__(
        self,
        policy: Policy,
        facts: Sequence[Fact],
        voided: Mapping[FactId, FactId],
        verified: Collection[str],
    ) -> None:
        self.parent: dict[Identifier, Identifier] = {}
        self.members: dict[Identifier, list[Identifier]] = {}
        self.unique: dict[Identifier, dict[str, set[str]]] = {}
        """Root to the values of unique kinds."""
        self.strong: dict[Identifier, dict[str, set[str]]] = {}
        """Root to the values of all kinds that are not weak."""
        self.foes: dict[Identifier, set[Identifier]] = {}
        """Root to identifiers that were ruled to be somebody else's."""
        latest: dict[tuple[Identifier, Identifier], str] = {}
        for fact in facts:
            if voided and (fact.source, fact.id) in voided:
                continue
            for other in others_of(fact):
                if keys := anchored(fact, policy):
                    latest[pair(keys[0], other)] = fact.type
        for fact in facts:
            for key in (*fact.keys, *others_of(fact)):
                if key not in self.parent:
                    self.add(key, policy, verified)
        for (one, other), type_ in latest.items():
            if type_ == UNMERGED:
                self.foes[one].add(other)
                self.foes[other].add(one)

    def update(self, other: "Groups") -> None:
        """Add the sets of *other*, none of whose identifiers is here."""
        self.parent |= other.parent
        self.members |= other.members
        self.unique |= other.unique
        self.strong |= other.strong
        self.foes |= other.foes

    def knows(self, key: Identifier) -> bool:
        """Return whether *key* is in some set."""
        return key in self.parent

    def add(self, key: Identifier, policy: Policy, verified: Collection[str] = frozenset()) -> None:
        """Add a set of *key* alone."""
        kind, value = key
        self.parent[key] = key
        self.members[key] = [key]
        self.foes[key] = set()
        self.strong[key] = {} if kind in policy.weak_kinds else {kind: {value}}
        unique = {kind: {value}} if kind in policy.unique_kinds else {}
        if kind == "email" and value in verified:
            unique[VERIFIED] = {value}
        self.unique[key] = unique

    def find(self, key: Identifier) -> Identifier:
        """Return the root of the set that *key* is in."""
        parent = self.parent
        root = key
        while parent[root] != root:
            root = parent[root]
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    def join(self, edges: Iterable[Edge]) -> None:
        """Join what *edges* say, unless something tells the two apart."""
        for kind, _, one, other in edges:
            a, b = self.find(one), self.find(other)
            if a != b and not self._apart(kind, a, b):
                self._unite(a, b)

    def _apart(self, kind: int, a: Identifier, b: Identifier) -> bool:
        few, many = (a, b) if len(self.members[a]) <= len(self.members[b]) else (b, a)
        foes = self.foes[many]
        if foes and any(member in foes for member in self.members[few]):
            return True
        if kind == RULED:
            return False
        if _differ(self.unique[a], self.unique[b]):
            return True
        return kind == WEAK and _differ(self.strong[a], self.strong[b])

    def are_apart(self, one: Identifier, other: Identifier) -> bool:
        """Return whether the two are in different sets, and a weak edge would not join them."""
        a, b = self.find(one), self.find(other)
        return a != b and self._apart(WEAK, a, b)

    def are_foes(self, one: Identifier, other: Identifier) -> bool:
        """Return whether somebody ruled that the two are not one person's."""
        return other in self.foes[self.find(one)]

    def _unite(self, a: Identifier, b: Identifier) -> None:
        if len(self.members[a]) < len(self.members[b]):
            a, b = b, a
        self.parent[b] = a
        self.members[a] += self.members.pop(b)
        self.foes[a] |= self.foes.pop(b)
        for values in (self.unique, self.strong):
            for kind, found in values.pop(b).items():
                values[a].setdefault(kind, set()).update(found)


def _differ(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> bool:
    """Return whether some kind has values on both sides, and none in common."""
    return any(kind in other and values.isdisjoint(other[kind]) for kind, values in one.items())
