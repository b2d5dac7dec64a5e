"""The people of a family: which facts are whose, where identifiers are shared by several.

A family is joined edge by edge, as a minimum spanning forest is: first what people have ruled, then
what strong identifiers say, then the weak ones that people share, each in canonical order. An edge
that would make one person of two whom something tells apart is left out. The answer is a function
of the facts alone: neither the order of arrival nor what was believed in between matters.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from operator import itemgetter
from typing import Final

from domain.book import Rules
from domain.corrections import CORRECTIONS, FactId, corrections, target_of
from domain.events import Fact, Identifier, OrderKey, judged_at
from domain.identity import ANONYMOUS, MERGED, RULINGS, UNMERGED, known_by, others_of
from domain.policy import Policy

_RULED: Final = 0
_STRONG: Final = 1
_WEAK: Final = 2

_VERIFIED: Final = "verified email"
"""Stands for the kind of those e-mail addresses that are verified."""

Edge = tuple[int, OrderKey, Identifier, Identifier]
"""Class, place of the first fact that says so, and the two identifiers."""

_TELLING: Final = RULINGS | CORRECTIONS
"""Types that may tell who is who whatever identifiers they carry."""

_Claims = dict[Identifier, list[tuple[OrderKey, Identifier]]]
"""Weak identifiers to when they came together with a strong one, and with which."""


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


class Watch:
    """Whether a family may be several people: cheap to keep, and never wrong about a no.

    Feed it with all facts of the family. Where nothing tells people apart there is one, and
    ``persons`` need not be asked.
    """

    __slots__ = ("_shared", "corrected", "doubt", "known", "values")

    def __init__(self, rules: Rules) -> None:
        self._shared = rules.shared_kinds - {"email"}  # addresses may be verified
        self.values: dict[str, str] = {}
        """Kinds that may tell people apart to the first value there was."""
        self.known: set[tuple[Identifier, ...]] = set()
        """Identifiers as they came together: again they tell nothing new."""
        self.corrected = False
        """Whether something is corrected, so that what came together may not count."""
        self.doubt = False
        """Whether something may tell several people apart."""

    def add(self, fact: Fact, keys: tuple[Identifier, ...] | None = None) -> bool:
        """Take *fact* in; return whether it may change whose the facts before it are.

        *keys* are its identifiers, for who has them at hand.

        It may also do so if it does not come last in canonical order, which is for the caller to
        look at. Where the family is not in doubt there is nothing to change.
        """
        if fact.type in CORRECTIONS:
            self.corrected = self.doubt = True
            return True
        if fact.person is None:
            return self.corrected
        if fact.type in RULINGS:
            self.doubt = True
            keys = None  # those at hand may be those of both leads
        changes = self.corrected or fact.type in RULINGS or bool(fact.person.get("attributes"))
        if keys is None:
            keys = fact.keys
        for kind, value in keys:
            if kind not in self._shared and self.values.setdefault(kind, value) != value:
                self.doubt = True
        if keys not in self.known:
            self.known.add(keys)
            changes = True
        return changes

    def join(self, other: "Watch") -> None:
        """Take in the family of *other*."""
        self.known |= other.known
        self.corrected = self.corrected or other.corrected
        self.doubt = self.doubt or other.doubt
        for kind, value in other.values.items():
            if self.values.setdefault(kind, value) != value:
                self.doubt = True


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


class _Rank(IntEnum):
    """How well an identifier says whose a fact is, the best first."""

    UNIQUE = 0
    VERIFIED = 1
    STRONG = 2
    WEAK = 3


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
        self._policy = policy = rules.at(judged_at(facts[-1]))
        self._last = facts[-1].order
        voided = corrections(facts).voided
        self._verified = _verified(facts, voided, policy)
        self._groups = _Groups(policy, facts, voided, self._verified)
        edges = _edges(facts, voided, policy, self._verified)
        self._groups.join(edges)
        self._pairs = {(one, other) for _, _, one, other in edges}
        self._claims: _Claims = {}
        keys_of = [anchored(fact, policy, self._verified) for fact in facts]
        for fact, keys in zip(facts, keys_of, strict=True):
            if (fact.source, fact.id) not in voided:
                self._claim(fact, keys)
        places = [self._place(fact, keys) for fact, keys in zip(facts, keys_of, strict=True)]
        of_fact = {(fact.source, fact.id): place for fact, place in zip(facts, places, strict=True)}
        self._targets = {
            (fact.source, fact.id): target
            for fact in facts
            if (target := target_of(fact)) is not None
        }
        self._awaited = {target for target in self._targets.values() if target not in of_fact}
        self.parts: dict[Identifier | None, list[Fact]] = {}
        """The facts of each person, by one of the identifiers."""
        for fact, place in zip(facts, places, strict=True):
            found = self._corrected(fact, place, of_fact)
            self.parts.setdefault(found, []).append(fact)

    def add(self, fact: Fact) -> list[Fact] | None:
        """Take in *fact*; return the facts of whose it is, *fact* the last of them.

        None where the family has to be divided anew, as *fact* may change who is who.
        """
        keys = anchored(fact, self._policy, self._verified)
        if (
            not keys
            or fact.order <= self._last
            or fact.type in RULINGS
            or fact.type in CORRECTIONS
            or None in self.parts  # nobody's until somebody is known
            or (fact.source, fact.id) in self._awaited
            or verified_email(fact) is not None
            or self._rules.at(judged_at(fact)) is not self._policy
        ):
            return None
        groups, anchor = self._groups, keys[0]
        fresh = {key for key in keys if not groups.knows(key)}
        if anchor in fresh and len({groups.find(key) for key in keys if key not in fresh}) > 1:
            return None
        weak = self._policy.weak_kinds
        for key in keys[1:]:
            if (
                anchor[0] not in weak
                and key[0] in weak
                and not (key in fresh or key in self._claims)
            ):
                return None  # what came by it alone was whoever's it is joined to, and may not be
            if (anchor, key) in self._pairs or (anchor in fresh and key in fresh):
                continue
            if _class_of(anchor, key, self._policy) != _WEAK:
                return None
            if anchor not in fresh and key not in fresh and not groups.are_apart(anchor, key):
                return None
        for key in fresh:
            groups.add(key, self._policy)
        edges = [
            (_class_of(anchor, key, self._policy), fact.order, anchor, key) for key in keys[1:]
        ]
        for edge in sorted(edges):
            key = edge[-1]
            if (anchor, key) not in self._pairs:
                self._pairs.add((anchor, key))
                before = (groups.find(anchor), groups.find(key))
                groups.join([edge])
                for root in before:
                    if root in self.parts and groups.find(root) != root:
                        self.parts[groups.find(root)] = self.parts.pop(root)
        self._claim(fact, keys)
        self._last = fact.order
        part = self.parts.setdefault(self._place(fact, keys), [])
        part.append(fact)
        return part

    def join(self, other: "Division") -> bool:
        """Take in the people of another family, which shares no identifier with this one.

        False where the families have to be divided together, since a correction of the one may be
        about the other, or another policy judges it.
        """
        apart = (self._awaited, other._awaited)  # noqa: SLF001 - of its own class
        if any(apart) or None in self.parts or None in other.parts:
            return False
        if self._policy is not other._policy:  # noqa: SLF001 - the same
            return False
        self._groups.update(other._groups)  # noqa: SLF001 - the same
        self._verified |= other._verified  # noqa: SLF001 - the same
        self._last = max(self._last, other._last)  # noqa: SLF001 - the same
        for name in ("_pairs", "_claims", "_targets", "parts"):
            getattr(self, name).update(getattr(other, name))
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
        find = self._groups.find
        own = [key for fact in part for key in fact.keys if find(key) == place]
        return next((key for key in own if key[0] != ANONYMOUS), own[0] if own else place)

    def _claim(self, fact: Fact, keys: tuple[Identifier, ...]) -> None:
        """Note who is known by weak identifiers, and since when."""
        weak = self._policy.weak_kinds
        if keys and keys[0][0] not in weak:
            for key in keys[1:]:
                if key[0] in weak:
                    self._claim_one(fact, keys[0], key)
        if keys and fact.type == MERGED:
            for other in others_of(fact):
                one = anchored(fact, self._policy)[0]
                if one[0] in weak and other[0] not in weak:
                    self._claim_one(fact, other, one)
                elif other[0] in weak and one[0] not in weak:
                    self._claim_one(fact, one, other)

    def _claim_one(self, fact: Fact, owner: Identifier, weak: Identifier) -> None:
        if not self._groups.are_foes(owner, weak):
            self._claims.setdefault(weak, []).append((fact.order, owner))

    def _place(self, fact: Fact, keys: tuple[Identifier, ...]) -> Identifier | None:
        """Return the root of the person whose *fact* is; None of one without identifiers.

        A fact that carries nothing but weak identifiers belongs to whoever was last known by them
        then, before anybody was to the first who became so: an own history of anonymous visits.
        """
        if not keys:
            return None
        if keys[0][0] in self._policy.weak_kinds:
            said = next((self._claims[key] for key in keys if key in self._claims), None)
            if said is not None:
                n = bisect_right(said, fact.order, key=itemgetter(0))
                return self._groups.find(said[max(n - 1, 0)][1])
        return self._groups.find(keys[0])

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
        target = self._targets.get((fact.source, fact.id))
        while target is not None and target not in seen:
            seen.add(target)
            place = of_fact.get(target) or place
            target = self._targets.get(target)
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
    return _WEAK if one[0] in policy.weak_kinds or other[0] in policy.weak_kinds else _STRONG


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
            ruled[_pair(anchored(fact, policy)[0], other)] = (fact.type, fact.order)
    edges = [(kind, order, one, other) for (one, other), (kind, order) in said.items()]
    edges += [(_RULED, order, *pair) for pair, (type_, order) in ruled.items() if type_ == MERGED]
    return sorted(edges)


def _pair(one: Identifier, other: Identifier) -> tuple[Identifier, Identifier]:
    return (one, other) if one <= other else (other, one)


class _Groups:
    """Disjoint sets of identifiers, each with what tells it from others."""

    def __init__(
        self,
        policy: Policy,
        facts: Sequence[Fact],
        voided: Mapping[FactId, FactId],
        verified: Collection[str],
    ) -> None:
        self._parent: dict[Identifier, Identifier] = {}
        self._members: dict[Identifier, list[Identifier]] = {}
        self._unique: dict[Identifier, dict[str, set[str]]] = {}
        """Root to the values of unique kinds."""
        self._strong: dict[Identifier, dict[str, set[str]]] = {}
        """Root to the values of all kinds that are not weak."""
        self._foes: dict[Identifier, set[Identifier]] = {}
        """Root to identifiers that were ruled to be somebody else's."""
        latest: dict[tuple[Identifier, Identifier], str] = {}
        for fact in facts:
            if voided and (fact.source, fact.id) in voided:
                continue
            for other in others_of(fact):
                if keys := anchored(fact, policy):
                    latest[_pair(keys[0], other)] = fact.type
        for fact in facts:
            for key in (*fact.keys, *others_of(fact)):
                if key not in self._parent:
                    self.add(key, policy, verified)
        for (one, other), type_ in latest.items():
            if type_ == UNMERGED:
                self._foes[one].add(other)
                self._foes[other].add(one)

    def update(self, other: "_Groups") -> None:
        """Add the sets of *other*, none of whose identifiers is here."""
        for name in ("_parent", "_members", "_unique", "_strong", "_foes"):
            getattr(self, name).update(getattr(other, name))

    def knows(self, key: Identifier) -> bool:
        """Return whether *key* is in some set."""
        return key in self._parent

    def add(self, key: Identifier, policy: Policy, verified: Collection[str] = frozenset()) -> None:
        """Add a set of *key* alone."""
        kind, value = key
        self._parent[key] = key
        self._members[key] = [key]
        self._foes[key] = set()
        self._strong[key] = {} if kind in policy.weak_kinds else {kind: {value}}
        unique = {kind: {value}} if kind in policy.unique_kinds else {}
        if kind == "email" and value in verified:
            unique[_VERIFIED] = {value}
        self._unique[key] = unique

    def find(self, key: Identifier) -> Identifier:
        """Return the root of the set that *key* is in."""
        parent = self._parent
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
        few, many = (a, b) if len(self._members[a]) <= len(self._members[b]) else (b, a)
        foes = self._foes[many]
        if foes and any(member in foes for member in self._members[few]):
            return True
        if kind == _RULED:
            return False
        if _differ(self._unique[a], self._unique[b]):
            return True
        return kind == _WEAK and _differ(self._strong[a], self._strong[b])

    def are_apart(self, one: Identifier, other: Identifier) -> bool:
        """Return whether the two are in different sets, and a weak edge would not join them."""
        a, b = self.find(one), self.find(other)
        return a != b and self._apart(_WEAK, a, b)

    def are_foes(self, one: Identifier, other: Identifier) -> bool:
        """Return whether somebody ruled that the two are not one person's."""
        return other in self._foes[self.find(one)]

    def _unite(self, a: Identifier, b: Identifier) -> None:
        if len(self._members[a]) < len(self._members[b]):
            a, b = b, a
        self._parent[b] = a
        self._members[a] += self._members.pop(b)
        self._foes[a] |= self._foes.pop(b)
        for values in (self._unique, self._strong):
            for kind, found in values.pop(b).items():
                values[a].setdefault(kind, set()).update(found)


def _differ(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> bool:
    """Return whether some kind has values on both sides, and none in common."""
    return any(kind in other and values.isdisjoint(other[kind]) for kind, values in one.items())


def in_doubt(facts: Iterable[Fact], rules: Rules) -> bool:
    """Return whether *facts*, which are of one family, may be those of several people."""
    watch = Watch(rules)
    last = None
    for fact in facts:
        person = fact.person
        if person is None or person != last or fact.type in _TELLING:
            watch.add(fact)
            if watch.doubt:
                return True
            last = person
    return False
