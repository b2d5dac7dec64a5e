"""A small log with everything in it that can go wrong, made from a seed."""

from random import Random
from typing import Any

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
PEOPLE = 4
POISON = (
    b"{",
    b'{"specversion":"1.0"}',
    sent("p1", data={"touch": 7}, email="ada@example.com"),
    sent("p2"),
    None,
)


def small_log(seed: int, length: int = 40) -> list[bytes | None]:
    """Return *length* records: few people under several identifiers, duplicates, poison."""
    draw = Random(seed)
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
        elif kind < 0.25:
            values.append(correction(draw, number))
        else:
            values.append(interaction(draw, number))
    return values


def interaction(draw: Random, number: int) -> bytes:
    """Return an event of somebody, who shows one or two identifiers."""
    who = draw.randrange(PEOPLE)
    every = {
        "email": f"person{who}@example.com",
        "phone": f"+4930123456{who}",
        "anonymous_id": f"cookie{who}",
    }
    shown = draw.sample(sorted(every), draw.choice((1, 1, 2)))
    person: dict[str, Any] = {name: every[name] for name in shown}
    if draw.random() < 0.5:
        person |= {"title": draw.choice(("CEO", "Intern")), "company": {"size": 500}}
    data = {"kind": draw.choice(("content", "demo", "newsletter"))}
    return sent(f"e{number}", draw.choice(TYPES), at=draw.randrange(80_000), data=data, **person)


def correction(draw: Random, number: int) -> bytes:
    """Return an event that belongs to no lead."""
    if draw.random() < 0.5:
        data = {"event_source": "/test", "event_id": f"e{draw.randrange(40)}"}
        return sent(f"c{number}", "event.voided", data=data)
    spend = {"campaign": "spring", "day": "2026-01-04", "amount": "99", "currency": "EUR"}
    return sent(f"c{number}", "spend.recorded", data=spend)
