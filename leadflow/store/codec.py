"""Events as JSON bytes and back: msgspec, since a replay decodes millions of them.

The stored form is the field names and types of ``domain.events``; a field that is added there has
a default, so that older bytes still decode.
"""

from typing import Any, Final

import msgspec

from domain.corrections import CORRECTIONS, corrections
from domain.events import (
    DECISION_TOPICS,
    FACT_TOPIC,
    POLICY_TOPIC,
    Event,
    Fact,
    PolicyPublished,
    canonical,
    topic_of,
)
from domain.lead import Lead

_encode = msgspec.json.Encoder().encode
_decode_fact = msgspec.json.Decoder(Fact).decode
_DECODERS: Final = {
    topic: msgspec.json.Decoder(kind).decode for topic, kind in DECISION_TOPICS.items()
}
_decode_policy = msgspec.json.Decoder(PolicyPublished).decode


class UnknownTopic(Exception):
    """The log holds an event that this version of leadflow does not know: upgrade it."""


class _LeadState(msgspec.Struct):
    """A snapshot: what a lead knows, by the names of its slots."""

    facts: list[Fact]
    last: tuple[int, str, int, str]
    in_order: bool
    stage: str | None
    cycle: int
    cycle_kind: str
    entered_at: int | None
    hot: bool
    traits: dict[str, Any]
    trait_orders: dict[str, tuple[int, str, int, str]]
    intent: bool
    qualified: bool
    criteria: dict[str, bool]
    opportunities: dict[str, str]
    recycled_until: int | None
    judged: list[tuple[str, str, str]] = []
    """Source and id of facts, and who acted: no key of a JSON object is a pair."""


_decode_lead = msgspec.json.Decoder(_LeadState).decode


def encode(event: Event) -> tuple[str, bytes]:
    """Return the topic and the bytes of *event*."""
    return topic_of(event), _encode(event)


def decode(topic: str, state: bytes) -> Event:
    """Return the event stored as *topic* and *state*.

    Raises UnknownTopic.
    """
    decoder = _DECODERS.get(topic)
    if decoder is not None:
        return decoder(state)
    if topic.startswith(FACT_TOPIC):
        return _decode_fact(state)
    if topic == POLICY_TOPIC:
        return _decode_policy(state)
    raise UnknownTopic(topic)


def encode_lead(lead: Lead) -> bytes:
    """Return the bytes of a snapshot of *lead*."""
    state = {name: value for name, value in lead.state().items() if name != "seen"}
    state["judged"] = [(*key, actor) for key, actor in lead.judged.items()]
    return _encode(state)


def decode_lead(state: bytes) -> Lead:
    """Return the lead of a snapshot; equal to the one that was encoded."""
    fields = _decode_lead(state)
    lead = Lead()
    for name in fields.__struct_fields__:
        setattr(lead, name, getattr(fields, name))
    lead.judged = {(source, id_): actor for source, id_, actor in fields.judged}
    lead.seen = {(fact.source, fact.id) for fact in lead.facts}
    lead.corrected = corrections(canonical(f for f in lead.facts if f.type in CORRECTIONS))
    lead.forget_bounds()
    return lead
