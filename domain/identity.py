"""Who is who: kinds of identifier, their precedence, and the id of a lead.

Facts that share an identifier, directly or through other facts, are one *family*: the connected
parts of the graph, whatever the order in which they arrived. Most families are one person, and so
one lead. Where something tells people apart (two verified addresses, two accounts, a switchboard
that colleagues share, the word of somebody who knows) ``domain.persons`` divides the family.
"""

from collections.abc import Iterable
from hashlib import sha1
from typing import Final
from uuid import UUID

from domain.corrections import target_of
from domain.events import Fact, Identifier

LEAD_NAMESPACE: Final = UUID("0b9e5c1e-6d0c-5f0a-9d57-6f0f2b1c7a11")
"""Fixed for ever: ids of leads are derived under it."""

ANONYMOUS: Final = "anonymous_id"

MERGED: Final = "lead.merged"
UNMERGED: Final = "lead.unmerged"
RULINGS: Final = frozenset((MERGED, UNMERGED))
"""The types by which somebody says who is who."""

_PRECEDENCE: Final = {"subject": 0, "email": 1, "phone": 2, ANONYMOUS: 3, "external": 4}


def precedence(identifier: Identifier) -> tuple[int, str, str]:
    """Return the sort key that puts the identifier first by which a record is keyed."""
    kind, value = identifier
    return _PRECEDENCE[kind.partition(":")[0]], kind, value


def lead_id(identifier: Identifier) -> str:
    """Return the id of the lead that is first known by *identifier*: UUIDv5 of kind and value.

    The steps of RFC 9562, section 5.5, without the objects of the uuid module: a rebuild names
    every lead, and they cost three times the digest.
    """
    kind, value = identifier
    name = f"{kind}\x00{value}".encode()
    digest = bytearray(sha1(LEAD_NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def others_of(fact: Fact) -> tuple[Identifier, ...]:
    """Return the identifiers of the other lead that a ``lead.merged`` or ``lead.unmerged`` names."""
    if fact.person is None or fact.type not in RULINGS:
        return ()
    other = fact.person.get("other")
    return () if other is None else ((other[0], other[1]),)


def linked(fact: Fact) -> tuple[Identifier, ...]:
    """Return all identifiers that *fact* brings into one family: its own, strongest first."""
    keys = fact.keys
    return keys + others_of(fact) if fact.type in RULINGS else keys


def known_by(facts: Iterable[Fact]) -> Identifier | None:
    """Return the identifier by which the person was first known.

    *facts* come in canonical order. It is the strongest identifier of the first fact that carries
    one that is not anonymous; of a lead that is anonymous throughout, the first anonymous one.
    None where no fact carries an identifier.
    """
    anonymous: Identifier | None = None
    for fact in facts:
        if fact.person is None:
            continue
        for kind, value in fact.person["keys"]:
            if kind != ANONYMOUS:
                return kind, value
            if anonymous is None:
                anonymous = (kind, value)
    return anonymous


def stream_of(fact: Fact) -> str:
    """Return the stream of a fact that belongs to no lead.

    Spend is kept by campaign, a correction by the event that it corrects.
    """
    if fact.type == "spend.recorded":
        names = (fact.get("channel"), fact.get("source"), fact.get("campaign"))
        name = "\x00".join(value if isinstance(value, str) else "" for value in names)
        return lead_id(("campaign", name))
    target = target_of(fact) or ("", f"{fact.source}\x00{fact.id}")
    return lead_id(("event", "\x00".join(target)))
