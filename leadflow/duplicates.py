"""Which leads may be one person: candidates with a score and reasons, for a person to rule on.

Records are brought together by keys that two of one person are likely to share, so that not each is
compared with each; then every pair is weighed. What many leads have in common (a switchboard, a
tablet at a fair, a frequent name) says little, and weighs little. Nothing here merges anything.
"""

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, select

from domain.events import Identifier
from leadflow import matching
from leadflow.matching import address_of, compare_addresses, compare_names, name_parts
from projections.account_key import free_mail_domains
from projections.people import people
from projections.pipeline import pipeline

LIKELY: Final = 40
"""The score, of 100, from which a pair is worth a look."""

BLOCK: Final = 50
"""Leads that share a key at most; a key of more of them brings nobody together."""


@dataclass(frozen=True)
class Person:
    """What is known of one lead, as far as it tells who they are."""

    lead: str
    identifiers: tuple[Identifier, ...] = ()
    names: tuple[str, ...] = ()
    company: str | None = None
    domain: str | None = None
    """Domain of the company."""
    country: str | None = None

    def _values(self, kind: str) -> tuple[str, ...]:
        return tuple(value for of, value in self.identifiers if of == kind)

    @cached_property
    def emails(self) -> tuple[str, ...]:
        """Return the e-mail addresses."""
        return self._values("email")

    @cached_property
    def phones(self) -> tuple[str, ...]:
        """Return the telephone numbers, E.164."""
        return self._values("phone")

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Return the anonymous ids: browsers, tablets."""
        return self._values("anonymous_id")

    @cached_property
    def name_keys(self) -> frozenset[tuple[str, ...]]:
        """Return the names as they are compared."""
        return frozenset(parts for name in self.names if (parts := name_parts(name)))

    @cached_property
    def companies(self) -> frozenset[str]:
        """Return name and domain of the company, and the domains of the addresses.

        Those of e-mail providers are no company's.
        """
        found = {address_of(email).domain for email in self.emails}
        if self.domain:
            found.add(self.domain.lower().removeprefix("www."))
        found -= free_mail_domains()
        if self.company:
            found.add(matching.company_key(self.company))
        return frozenset(found - {""})

    @cached_property
    def locals(self) -> frozenset[str]:
        """Return what stands before the @, without tags and dots; functions' mailboxes left out."""
        addresses = map(address_of, self.emails)
        return frozenset(address.bare for address in addresses if not address.is_role)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks for or against two leads being one person."""

    reason: str
    """A code, such as ``same_phone``."""
    detail: str
    """The same in words, with the values."""
    weight: int
    """Points; negative where it speaks against."""


@dataclass(frozen=True, slots=True)
class Match:
    """Two leads, and how likely they are one person."""

    lead: str
    other: str
    score: int
    """From 0 to 100: the weights of the reasons, added up."""
    reasons: tuple[Reason, ...]
    """The weightiest first."""

    def document(self) -> dict[str, Any]:
        """Return the match as JSON."""
        return {
            "lead": self.lead,
            "other": self.other,
            "score": self.score,
            "reasons": [
                {"reason": one.reason, "detail": one.detail, "weight": one.weight}
                for one in self.reasons
            ],
        }


class Population:
    """All leads at once: how frequent each value is, and who shares it."""

    def __init__(self, everybody: Iterable[Person]) -> None:
        self.people = {person.lead: person for person in everybody}
        self._counts: Counter[Hashable] = Counter()
        for person in self.people.values():
            self._counts.update(_values(person))

    def holders(self, kind: str, *value: Hashable) -> int:
        """Return how many leads have a value: of phone, device, name, local or company."""
        return self._counts[(kind, *value)]

    def candidates(self, least: int = LIKELY) -> list[Match]:
        """Return the pairs with a score of *least* or more, the likeliest first.

        The order and the scores depend on what the leads are, not on how they come.
        """
        found = []
        for lead, other in sorted(self._pairs()):
            match = self.match(lead, other)
            if match.score >= least:
                found.append(match)
        return sorted(found, key=lambda match: (-match.score, match.lead, match.other))

    def match(self, lead: str, other: str) -> Match:
        """Return how two leads compare; raise KeyError where one is unknown."""
        lead, other = sorted((lead, other))
        one, two = self.people[lead], self.people[other]
        reasons = [
            reason
            for weigh in _EVIDENCE
            if (reason := weigh(self, one, two)) is not None and reason.weight
        ]
        reasons.sort(key=lambda reason: (-reason.weight, reason.reason))
        score = min(max(sum(reason.weight for reason in reasons), 0), 100)
        return Match(lead, other, score, tuple(reasons))

    def _pairs(self) -> set[tuple[str, str]]:
        """Return the pairs of leads that share a key."""
        near = _near_domains(
            {address_of(email).domain for one in self.people.values() for email in one.emails}
        )
        # Most keys are one lead's alone. Only their hashes are kept, which is a tenth of the memory;
        # where two hashes meet by chance, a block of one lead comes of it.
        once: set[int] = set()
        again: set[int] = set()
        for person in self.people.values():
            for key in {hash(key) for key in _keys(person, near)}:
                (again if key in once else once).add(key)
        blocks: dict[Hashable, list[str]] = {}
        for lead in sorted(self.people):
            for value in set(_keys(self.people[lead], near)):
                if hash(value) in again:
                    blocks.setdefault(value, []).append(lead)
        return {
            pair
            for leads in blocks.values()
            if 2 <= len(leads) <= BLOCK
            for pair in combinations(leads, 2)
        }


def _values(person: Person) -> Iterator[Hashable]:
    """Yield the values of a lead that are counted, each once."""
    for phone in set(person.phones):
        yield "phone", phone
    for device in set(person.devices):
        yield "device", device
    for local in person.locals:
        yield "local", local
    for company in person.companies:
        yield "company", company
    for name in person.name_keys:
        yield "name", name
        for company in person.companies:
            yield "name", name, company


# --- who is compared ----------------------------------------------------------------------------


def _keys(person: Person, near: Mapping[str, Sequence[str]]) -> Iterator[Hashable]:
    """Yield the keys by which the lead meets others."""
    for phone in person.phones:
        yield "phone", phone
    for device in person.devices:
        yield "device", device
    for name in person.name_keys:
        yield "name", name
        for thing in (*person.companies, *person.phones, *person.devices):
            yield "name", name, thing
        for part in name:
            for company in person.companies:
                yield "part", part, company
        yield from _spelt(name)
    for email in person.emails:
        yield from _address_keys(email, near)


def _spelt(name: tuple[str, ...]) -> Iterator[Hashable]:
    """Yield the local parts that are made of a name."""
    if len(name) == 2:
        first, last = name
        for local in (first + last, last + first, first[0] + last, last[0] + first):
            yield "spelt", local


def _address_keys(email: str, near: Mapping[str, Sequence[str]]) -> Iterator[Hashable]:
    address = address_of(email)
    if address.is_role:
        return
    bare, domain = address.bare, address.domain
    if len(bare) >= 4:
        yield "local", bare
        yield "spelt", bare
    yield "looks", address.looks, matching.skeleton(domain)
    yield "words", address.words, domain
    for neighbour in near.get(domain, ()):
        yield "near", address.looks, min(domain, neighbour), max(domain, neighbour)
    # an address meets one that is a keystroke away where both lack the same letter
    yield "slip", bare, domain
    for n in range(len(bare)):
        yield "slip", bare[:n] + bare[n + 1 :], domain
    yield "short", bare, domain
    for short in matching.short_forms(address.local):
        yield "short", short, domain


def _near_domains(domains: Iterable[str]) -> dict[str, list[str]]:
    """Return the domains that are spelt or look like another, each with its neighbours."""
    groups: dict[Hashable, list[str]] = {}
    for domain in sorted(domains):
        groups.setdefault(("looks", matching.skeleton(domain)), []).append(domain)
        groups.setdefault(domain, []).append(domain)
        for short in {domain[:n] + domain[n + 1 :] for n in range(len(domain))}:
            groups.setdefault(short, []).append(domain)
    near: dict[str, list[str]] = {}
    for key, group in groups.items():
        if len(group) > BLOCK:
            continue
        for one, other in combinations(dict.fromkeys(group), 2):
            looks = isinstance(key, tuple)
            if (looks or matching.one_slip(one, other)) and other not in near.get(one, ()):
                near.setdefault(one, []).append(other)
                near.setdefault(other, []).append(one)
    return near


# --- what it weighs -----------------------------------------------------------------------------


def _rare(weights: Sequence[int], holders: int) -> int:
    """Return the weight of a value that *holders* leads have: 2, 3, up to 5, up to 10, more."""
    step = 0 if holders <= 2 else 1 if holders == 3 else 2 if holders <= 5 else 3
    return weights[step if holders <= 10 else 4]


def _shared_by(holders: int) -> str:
    return "nobody else has it" if holders <= 2 else f"{holders} leads have it"


_PHONE: Final = (45, 25, 15, 8, 4)
_DEVICE: Final = (40, 20, 12, 6, 3)
_NAME: Final = (45, 38, 28, 20, 14)
_LOCAL: Final = (35, 28, 20, 14, 8)


def _phone(all_: Population, one: Person, other: Person) -> Reason | None:
    return _shared("phone", "same_phone", _PHONE, all_, one.phones, other.phones)


def _device(all_: Population, one: Person, other: Person) -> Reason | None:
    return _shared("device", "same_device", _DEVICE, all_, one.devices, other.devices)


def _shared(
    kind: str,
    reason: str,
    weights: Sequence[int],
    all_: Population,
    mine: Sequence[str],
    yours: Sequence[str],
) -> Reason | None:
    common = sorted(set(mine) & set(yours), key=lambda value: (all_.holders(kind, value), value))
    if not common:
        return None
    holders = all_.holders(kind, common[0])
    words = f"both have the {kind} {common[0]}; {_shared_by(holders)}"
    return Reason(reason, words, _rare(weights, holders))


_NAMES: Final = {
    matching.CLOSE: ("similar_name", "the names differ in a few letters", 30),
    matching.PARTIAL: ("partial_name", "one name is short for the other", 28),
    matching.KINDRED: ("other_name", "the names have a part in common, and another not", -35),
    matching.DIFFERENT: ("other_name", "the names are different", -40),
}
_ORDER: Final = (matching.SAME, *_NAMES)


def _name(all_: Population, one: Person, other: Person) -> Reason | None:
    pairs = [
        (_ORDER.index(grade), mine, yours)
        for mine in one.names
        for yours in other.names
        if (grade := compare_names(mine, yours)) is not None
    ]
    if not pairs:
        return None
    rank, mine, yours = min(pairs)
    shown = mine if mine == yours else f"{mine} / {yours}"
    if _ORDER[rank] != matching.SAME:
        reason, words, weight = _NAMES[_ORDER[rank]]
        return Reason(reason, f"{words}: {shown}", weight)
    key = name_parts(mine)
    where = [
        all_.holders("name", key, company)
        for company in one.companies & other.companies
        if all_.holders("company", company) <= BLOCK  # else it is a provider of mailboxes
    ]
    if where:
        # within a company it matters how many there have the name, not how many in the world
        holders = min(where)
        told = "nobody else there has it" if holders <= 2 else f"{holders} leads there have it"
    else:
        holders = all_.holders("name", key)
        told = _shared_by(holders)
    weight = _rare(_NAME, holders)
    return Reason("same_name", f"the same name: {shown}; {told}", weight)


_ADDRESSES: Final = {
    matching.VARIANT: ("address_variant", "the same address but for tag, dots or case", 55),
    matching.DOMAIN: ("similar_domain", "the same address but for a slip in the domain", 55),
    matching.LOOK_ALIKE: ("confusable_address", "the addresses look alike", 50),
    matching.REORDERED: ("reordered_address", "the same words in another order", 45),
    matching.MISSPELT: ("misspelt_address", "the addresses are one keystroke apart", 40),
    matching.ABBREVIATED: ("short_address", "one address is short for the other", 30),
}


def _address(all_: Population, one: Person, other: Person) -> Reason | None:
    best: Reason | None = None
    for mine in sorted(one.emails):
        for yours in sorted(other.emails):
            if mine == yours:
                continue
            grade = compare_addresses(mine, yours)
            if grade is None:
                continue
            if grade == matching.SAME_LOCAL:
                holders = all_.holders("local", address_of(mine).bare)
                words = f"the same before the @: {mine} / {yours}; {_shared_by(holders)}"
                found = Reason("same_local_part", words, _rare(_LOCAL, holders))
            else:
                reason, words, weight = _ADDRESSES[grade]
                found = Reason(reason, f"{words}: {mine} / {yours}", weight)
            if best is None or found.weight > best.weight:
                best = found
    return best


def _spelling(all_: Population, one: Person, other: Person) -> Reason | None:
    """Weigh an address that is made of the other's name, where names alone say nothing."""
    for mine, yours in ((one, other), (other, one)):
        if mine.names or not yours.names:
            continue
        for email in sorted(mine.emails):
            for name in yours.names:
                if matching.address_fits_name(email, name):
                    rare = all_.holders("name", name_parts(name)) <= 2
                    words = f"the address is made of the other's name: {email} / {name}"
                    return Reason("name_in_address", words, 30 if rare else 18)
    return None


def _company(all_: Population, one: Person, other: Person) -> Reason | None:
    common = one.companies & other.companies
    if common:
        holders, name = min((all_.holders("company", name), name) for name in common)
        weight = 15 if holders <= 5 else 12 if holders <= 50 else 5
        return Reason("same_company", f"both belong to {name}; {holders} leads do", weight)
    if one.company and other.company:
        words = f"other companies: {one.company} / {other.company}"
        return Reason("other_company", words, -15)
    return None


def _country(_: Population, one: Person, other: Person) -> Reason | None:
    if one.country and other.country and one.country != other.country:
        return Reason("other_country", f"{one.country} / {other.country}", -8)
    return None


_EVIDENCE: Final[tuple[Callable[[Population, Person, Person], Reason | None], ...]] = (
    _phone,
    _device,
    _name,
    _address,
    _spelling,
    _company,
    _country,
)


# --- from the read models -----------------------------------------------------------------------


def people_of(connection: Connection, condition: ColumnElement[bool] | None = None) -> list[Person]:
    """Return who the leads are, as the read models know them; by lead id.

    *condition* on the tables ``people`` and ``pipeline`` leaves only some of them.
    """
    query = select(
        pipeline.c.lead_id,
        people.c.identifiers,
        people.c.name,
        pipeline.c.company,
        pipeline.c.company_domain,
        pipeline.c.country,
    ).join(people, people.c.lead_no == pipeline.c.lead_no)
    if condition is not None:
        query = query.where(condition)
    return [
        Person(
            lead,
            tuple((kind, value) for kind, value in json.loads(identifiers)),
            () if name is None else (name,),
            company,
            domain,
            country,
        )
        for lead, identifiers, name, company, domain, country in sorted(connection.execute(query))
    ]
