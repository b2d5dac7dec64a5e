"""The people of a family: which facts are whose, where identifiers are shared by several.

A family is joined edge by edge, as a minimum spanning forest is: first what people have ruled, then
what strong identifiers say, then the weak ones that people share, each in canonical order. An edge
that would make one person of two whom something tells apart is left out. The answer is a function
of the facts alone: neither the order of arrival nor what was believed in between matters.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter

from domain.book import Rules
from domain.corrections import CORRECTIONS, FactId, corrections, target_of
from domain.events import Fact, Identifier, OrderKey, judged_at
from domain.groups import (
    RULED,
    STRONG,
    WEAK,
    Edge,
    Groups,
    anchored,
    pair,
    verified_email,
)
from domain.identity import ANONYMOUS, MERGED, RULINGS, known_by, others_of
from domain.policy import Policy

_Claims = dict[Identifier, list[tuple[OrderKey, Identifier]]]
"""Weak identifiers to when they came together with a strong one, and with which."""


def persons(facts: Sequence[Fact], rules: Rules) -> list[list[Fact]]:
    """Return the facts of each person, both in canonical order; *facts* likewise.

    Every fact is in one part: one that is voided joins nobody, but is still somebody's. A
    correction belongs where the fact is that it corrects; facts without a place are nobody's, and
    apart. The policy of the last fact says which
    kinds of identifier are unique, and which are weak.
    """
    return list(Division(facts, rules).parts.values()) if facts else []


def named(facts: Sequence[Fact], rules: Rules) -> list[tuple[Identifier | None, list[Fact]]]:
    """Return what ``persons`` does, each with the identifier by which the person is first known.

    Of one person alone it is that of ``identity.known_by``. Of several it is the first that is the
    person's own: no two have the same, though colleagues may first be seen by a number they share.
    None where no fact carries an identifier.
    """
    if not facts:
        return []
    division = Division(facts, rules)
    return [(division.known_by(place), part) for place, part in division.parts.items()]


class Division:
    """The people of a family, which takes in what comes last in canonical order."""

    def __init__(self, facts: Sequence[Fact], rules: Rules) -> None:
        """Divide *facts*, at least one, in canonical order."""
        self._rules = rules
        self.policy = policy = rules.at(judged_at(facts[-1]))
        self.last = facts[-1].order
        voided = corrections(facts).voided
        self.verified = _verified(facts, voided, policy)
        self.groups = Groups(policy, facts, voided, self.verified)
        edges = _edges(facts, voided, policy, self.verified)
        self.groups.join(edges)
        self.pairs = {(one, other) for _, _, one, other in edges}
        self.claims: _Claims = {}
        keys_of = [anchored(fact, policy, self.verified) for fact in facts]
        for fact, keys in zip(facts, keys_of, strict=True):
            if (fact.source, fact.id) not in voided:
                self._claim(fact, keys)
        places = [self._place(fact, keys) for fact, keys in zip(facts, keys_of, strict=True)]
        of_fact = {(fact.source, fact.id): place for fact, place in zip(facts, places, strict=True)}
        self.targets = {
            (fact.source, fact.id): target
            for fact in facts
            if (target := target_of(fact)) is not None
        }
        self.awaited = {target for target in self.targets.values() if target not in of_fact}
        self.parts: dict[Identifier | None, list[Fact]] = {}
        """The facts of each person, by one of the identifiers."""
        for fact, place in zip(facts, places, strict=True):
            found = self._corrected(fact, place, of_fact)
            self.parts.setdefault(found, []).append(fact)

    def add(self, fact: Fact) -> list[Fact] | None:
        """Take in *fact*; return the facts of whose it is, *fact* the last of them.

        None where the family has to be divided anew, as *fact* may change who is who.
        """
        keys = anchored(fact, self.policy, self.verified)
        if (
            not keys
            or fact.order <= self.last
            or fact.type in RULINGS
            or fact.type in CORRECTIONS
            or None in self.parts  # nobody's until somebody is known
            or (fact.source, fact.id) in self.awaited
            or verified_email(fact) is not None
            or self._rules.at(judged_at(fact)) is not self.policy
        ):
            return None
        groups, anchor = self.groups, keys[0]
        fresh = {key for key in keys if not groups.knows(key)}
        if anchor in fresh and len({groups.find(key) for key in keys if key not in fresh}) > 1:
            return None
        weak = self.policy.weak_kinds
        for key in keys[1:]:
            if (
                anchor[0] not in weak
                and key[0] in weak
                and not (key in fresh or key in self.claims)
            ):
                return None  # what came by it alone was whoever's it is joined to, and may not be
            if (anchor, key) in self.pairs or (anchor in fresh and key in fresh):
                continue
            if _class_of(anchor, key, self.policy) != WEAK:
                return None
            if anchor not in fresh and key not in fresh and not groups.are_apart(anchor, key):
                return None
        for key in fresh:
            groups.add(key, self.policy)
        edges = [(_class_of(anchor, key, self.policy), fact.order, anchor, key) for key in keys[1:]]
        for edge in sorted(edges):
            key = edge[-1]
            if (anchor, key) not in self.pairs:
                self.pairs.add((anchor, key))
                before = (groups.find(anchor), groups.find(key))
                groups.join([edge])
                for root in before:
                    if root in self.parts and groups.find(root) != root:
                        self.parts[groups.find(root)] = self.parts.pop(root)
        self._claim(fact, keys)
        self.last = fact.order
        part = self.parts.setdefault(self._place(fact, keys), [])
        part.append(fact)
        return part

    def join(self, other: "Division") -> bool:
        """Take in the people of another family, which shares no identifier with this one.

        False where the families have to be divided together, since a correction of the one may be
        about the other, or another policy judges it.
        """
        apart = (self.awaited, other.awaited)
        if any(apart) or None in self.parts or None in other.parts:
            return False
        if self.policy is not other.policy:
            return False
        self.groups.update(other.groups)
        self.verified |= other.verified
        self.last = max(self.last, other.last)
        self.pairs |= other.pairs
        self.claims |= other.claims
        self.targets |= other.targets
        self.parts |= other.parts
        return True

    @property
    def count(self) -> int:
        """Return how many people there are."""
        return len(self.parts) - (None in self.parts)

    def known_by(self, place: Identifier | None) -> Identifier | None:
        """Return the identifier by which the person at *place* was first known."""
        part = self.parts[place]
        if place is None or self.count == 1:
            return known_by(part)
        find = self.groups.find
        own = [key for fact in part for key in fact.keys if find(key) == place]
        return next((key for key in own if key[0] != ANONYMOUS), own[0] if own else place)

    def _claim(self, fact: Fact, keys: tuple[Identifier, ...]) -> None:
        """Note who is known by weak identifiers, and since when."""
        weak = self.policy.weak_kinds
        if keys and keys[0][0] not in weak:
            for key in keys[1:]:
                if key[0] in weak:
                    self._claim_one(fact, keys[0], key)
        if keys and fact.type == MERGED:
            for other in others_of(fact):
                one = anchored(fact, self.policy)[0]
                if one[0] in weak and other[0] not in weak:
                    self._claim_one(fact, other, one)
                elif other[0] in weak and one[0] not in weak:
                    self._claim_one(fact, one, other)

    def _claim_one(self, fact: Fact, owner: Identifier, weak: Identifier) -> None:
        if not self.groups.are_foes(owner, weak):
            self.claims.setdefault(weak, []).append((fact.order, owner))

    def _place(self, fact: Fact, keys: tuple[Identifier, ...]) -> Identifier | None:
        """Return the root of the person whose *fact* is; None of one without identifiers.

        A fact that carries nothing but weak identifiers belongs to whoever was last known by them
        then, before anybody was to the first who became so: an own history of anonymous visits.
        """
        if not keys:
            return None
        if keys[0][0] in self.policy.weak_kinds:
            said = next((self.claims[key] for key in keys if key in self.claims), None)
            if said is not None:
                n = bisect_right(said, fact.order, key=itemgetter(0))
                return self.groups.find(said[max(n - 1, 0)][1])
        return self.groups.find(keys[0])

    def _corrected(
        self,
        fact: Fact,
        place: Identifier | None,
        of_fact: Mapping[FactId, Identifier | None],
    ) -> Identifier | None:
        """Return the person of what *fact* corrects, through corrections of corrections.

        That is *place*, its own, where it corrects nothing that is here.
        """
        seen = set()
        target = self.targets.get((fact.source, fact.id))
        while target is not None and target not in seen:
            seen.add(target)
            place = of_fact.get(target) or place
            target = self.targets.get(target)
        return place


def _verified(
    facts: Iterable[Fact], voided: Mapping[FactId, FactId], policy: Policy
) -> frozenset[str]:
    """Return the e-mail addresses that are verified, and so tell people apart."""
    if not policy.verified_email_is_unique:
        return frozenset()
    return frozenset(
        address
        for fact in facts
        if (address := verified_email(fact)) is not None and (fact.source, fact.id) not in voided
    )


def _class_of(one: Identifier, other: Identifier, policy: Policy) -> int:
    return WEAK if one[0] in policy.weak_kinds or other[0] in policy.weak_kinds else STRONG


def _edges(
    facts: Sequence[Fact],
    voided: Mapping[FactId, FactId],
    policy: Policy,
    verified: Collection[str],
) -> list[Edge]:
    """Return what joins identifiers, the strongest first."""
    said: dict[tuple[Identifier, Identifier], tuple[int, OrderKey]] = {}
    ruled: dict[tuple[Identifier, Identifier], tuple[str, OrderKey]] = {}
    for fact in facts:
        keys = anchored(fact, policy, verified)
        if not keys or (voided and (fact.source, fact.id) in voided):
            continue
        first = keys[0]
        for key in keys[1:]:
            said.setdefault((first, key), (_class_of(first, key, policy), fact.order))
        for other in others_of(fact):
            ruled[pair(anchored(fact, policy)[0], other)] = (fact.type, fact.order)
    edges = [(kind, order, one, other) for (one, other), (kind, order) in said.items()]
    edges += [(RULED, order, *pair) for pair, (type_, order) in ruled.items() if type_ == MERGED]
    return sorted(edges)
