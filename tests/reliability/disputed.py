"""What people dispute in a simulated market: corrections, rulings on who is who, shared tablets."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

from leadflow.simulate import Envelope, to_json

EVERY: Final = 40
"""Events of the market to one that is added."""

SOURCE: Final = "/desk/disputes"


def disputed(events: Sequence[Envelope], seed: int) -> Iterator[tuple[int, str, bytes]]:
    """Yield what arrives: when, the Kafka key and the event; the market's own and what is added.

    Corrections are of events that came, are to come, or are corrections; rulings are on any two.
    """
    draw = Random(seed)
    targets = [(one.event["source"], one.event["id"]) for one in events]
    people = [one.key for one in events if "@" in one.key]
    for number, one in enumerate(events):
        yield one.arrived_at, one.key, to_json(one.event)
        if number % EVERY:
            continue
        id_ = f"d{number}"
        kind = draw.random()
        data: dict[str, Any]
        if kind < 0.6:
            type_ = draw.choice(("event.voided", "event.reclassified"))
            source, target = draw.choice(targets)
            actor = draw.choice(("prospect", "machine", "rep"))
            data = {"event_source": source, "event_id": target, "actor_kind": actor}
            targets.append((SOURCE, id_))
        elif kind < 0.75:
            type_ = draw.choice(("lead.merged", "lead.merged", "lead.unmerged"))
            first, other = draw.sample(people, 2)
            data = {"person": {"email": first}, "other": {"kind": "email", "value": other}}
        else:
            type_ = "page.viewed"
            tablet = f"tablet{number // (EVERY * 12)}"
            data = {"person": {"email": draw.choice(people), "anonymous_id": tablet}}
        added = {
            "specversion": "1.0",
            "id": id_,
            "source": SOURCE,
            "type": type_,
            "time": one.event["time"],
            "data": data,
        }
        yield one.arrived_at, id_, to_json(added)
