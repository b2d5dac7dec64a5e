"""A small log with everything in it that can go wrong, made from a seed."""

from collections.abc import Collection
from random import Random
from typing import Any, Final

import msgspec

from tests.reliability.kit import sent

TYPES = (
    "form.submitted",
    "form.submitted",
    "demo.requested",
    "email.clicked",
    "lead.accepted",
    "lead.qualified",
    "opportunity.created",
    "deal.won",
    "deal.lost",
    "lead.recycled",
    "lead.reopened",
    "unheard.of",
)
MAILS = ("email.delivered", "email.clicked", "email.clicked")
CORRECTIONS = ("event.voided", "event.reclassified")
RULINGS = ("lead.merged", "lead.merged", "lead.unmerged")
PEOPLE = 4
POISON = (
    b"{",
    b'{"specversion":"1.0"}',
    sent("p1", data={"touch": 7}, email="ada@example.com"),
    sent("p2"),
    None,
)
OWN: Final = ("email", "email", "phone", "anonymous_id")
"""Kinds of identifier that are one person's alone."""
SHARED: Final = (*OWN, "desk", "tablet", "verified", "login")
"""With those that several people show, and those that tell people apart."""
THIRD_PARTY: Final = {"touch": {"channel": "other", "party": "third"}}
"""Data of an event that a rule refuses: it names no legal basis."""


def shown(who: int, kinds: Collection[str]) -> dict[str, Any]:
    """Return the person block of somebody who shows identifiers of some *kinds*."""
    every: dict[str, dict[str, Any]] = {
        "email": {"email": f"person{who}@example.com"},
        "verified": {
            "email": f"person{who}@example.com",
            "attributes": {"email_verified": True},
        },
        "phone": {"phone": f"+4930123456{who}"},
        "desk": {"phone": "+49301234569"},
        "anonymous_id": {"anonymous_id": f"cookie{who}"},
        "tablet": {"anonymous_id": "tablet"},
        "login": {"external_ids": {"login": f"login{who}"}},
    }
    person: dict[str, Any] = {}
    for kind in kinds:
        person |= every[kind]
    return person


def mail(message: int, link: int) -> dict[str, Any]:
    """Return what a mail act says of its message and its link."""
    return {"message": f"m{message}", "link": f"https://example.com/{link}"}


def aimed(target: str, actor: str) -> dict[str, Any]:
    """Return what a correction says of the event *target*; *actor* is for a reclassification."""
    return {"event_source": "/test", "event_id": target, "actor_kind": actor}


def ruled(other: int) -> dict[str, Any]:
    """Return what a ruling says of the other person."""
    return {"other": {"kind": "email", "value": f"person{other}@example.com"}}


def small_log(seed: int, length: int = 40) -> list[bytes | None]:
    """Return *length* records: few people under several identifiers, duplicates, poison.

    Some logs hold corrections, some rulings on who is who, some identifiers that people share;
    some hold all of it, some nothing.
    """
    draw = Random(seed)
    corrected, disputed, shared = (draw.random() < 0.7 for _ in range(3))
    kinds = SHARED if shared else OWN
    values: list[bytes | None] = []
    for number in range(length):
        kind = draw.random()
        good = [value for value in values if value is not None and value not in POISON]
        if kind < 0.06:
            values.append(draw.choice(POISON))
        elif kind < 0.16 and good:
            values.append(draw.choice(good))
        elif kind < 0.2 and good:
            other = msgspec.json.decode(draw.choice(good))
            other["data"]["changed"] = number
            values.append(msgspec.json.encode(other))
        elif kind < 0.22:
            values.append(spend(number))
        elif kind < 0.37 and corrected:
            values.append(correction(draw, number, length))
        elif kind < 0.44 and disputed:
            values.append(ruling(draw, number, kinds))
        elif kind < 0.58:
            values.append(mailing(draw, number, kinds))
        else:
            values.append(interaction(draw, number, kinds))
    return values


def interaction(draw: Random, number: int, kinds: Collection[str]) -> bytes:
    """Return an event of somebody, who shows one or two identifiers."""
    who = draw.randrange(PEOPLE)
    person = shown(who, draw.sample(sorted(kinds), draw.choice((1, 2))))
    if draw.random() < 0.5:
        person |= {"title": draw.choice(("CEO", "Intern")), "company": {"size": 500}}
    data: dict[str, Any] = {"kind": draw.choice(("content", "demo", "newsletter"))}
    if draw.random() < 0.06:
        data |= THIRD_PARTY
    return sent(f"e{number}", draw.choice(TYPES), at=draw.randrange(80_000), data=data, **person)


def mailing(draw: Random, number: int, kinds: Collection[str]) -> bytes:
    """Return what became of a mail: clicks soon after the delivery, or many, are a machine's."""
    who = draw.randrange(PEOPLE)
    data = mail(message := draw.choice((who, who, 0)), draw.randrange(6))
    at = 9_000 + 9_000 * message + draw.choice((0, 1, 2, 3, 30, 4_000))
    person = shown(who, draw.sample(sorted(kinds), 1))
    return sent(f"e{number}", draw.choice(MAILS), at=at, data=data, **person)


def correction(draw: Random, number: int, length: int) -> bytes:
    """Return a correction of an event that came, is to come, never comes, or is one itself."""
    target = f"e{draw.choice((draw.randrange(length), number, draw.randrange(number + 1)))}"
    data = aimed(target, draw.choice(("prospect", "machine", "rep")))
    person = shown(draw.randrange(PEOPLE), ["email"] if draw.random() < 0.2 else [])
    at = draw.randrange(80_000)
    return sent(f"e{number}", draw.choice(CORRECTIONS), at=at, data=data, **person)


def ruling(draw: Random, number: int, kinds: Collection[str]) -> bytes:
    """Return the word of somebody who knows that two are one person, or are not."""
    who, other = draw.sample(range(PEOPLE), 2)
    person = shown(who, draw.sample(sorted(kinds), 1))
    at = draw.randrange(80_000)
    return sent(f"e{number}", draw.choice(RULINGS), at=at, data=ruled(other), **person)


def spend(number: int) -> bytes:
    """Return an event that belongs to no lead."""
    data = {"campaign": "spring", "day": "2026-01-04", "amount": "99", "currency": "EUR"}
    return sent(f"e{number}", "spend.recorded", data=data)
