"""Events for the tests of the contract: one good one of every type, and how to send them."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from consumers.contract import Malformed, Parsed, parse

NOW: Final = 1_767_700_000_000_000
"""2026-01-06T11:46:40Z"""

TIME: Final = "2026-01-05T09:30:00Z"
AT: Final = 1_767_605_400_000_000
"""TIME in microseconds."""

EMAIL: Final = {"person": {"email": "ada@example.com"}}


def event(type_: str = "form.submitted", data: Any = None, **attributes: Any) -> dict[str, Any]:
    """Return an event of *type_*; an attribute given as None is left out."""
    found = {
        "specversion": "1.0",
        "id": "1",
        "source": "/test",
        "type": type_,
        "time": TIME,
        "data": EMAIL if data is None else data,
        **attributes,
    }
    return {name: value for name, value in found.items() if value is not None}


def read(sent: Mapping[str, Any] | bytes) -> Parsed:
    """Parse an event as a structured record without headers."""
    return parse(sent if isinstance(sent, bytes) else msgspec.json.encode(sent), [], NOW)


def refusal(
    sent: Mapping[str, Any] | bytes | None, headers: list[tuple[str, bytes]] | None = None
) -> Malformed:
    """Return why the record is refused; fail if it is not."""
    raw = sent if sent is None or isinstance(sent, bytes) else msgspec.json.encode(sent)
    try:
        parsed = parse(raw, headers or [], NOW)
    except Malformed as e:
        return e
    raise AssertionError(f"not refused: {parsed}")


def binary(sent: Mapping[str, Any]) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """Return value and headers of the same event in binary mode."""
    headers = [
        (f"ce_{name}", value.encode())
        for name, value in sent.items()
        if name != "data" and value is not None
    ]
    headers.append(("content-type", b"application/json"))
    data = sent.get("data")
    return None if data is None else msgspec.json.encode(data), headers


OWN_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "form.submitted": {"form": "f1", "kind": "demo", "fields": {"why": "curious"}},
    "event.attended": {"event": "Fair", "kind": "trade_show", "booth": "B2"},
    "ad_lead.received": {"platform": "linkedin", "ad": "a1", "platform_lead_id": "p1"},
    "record.imported": {"list": "spring", "vendor": "acme", "legal_basis": "consent"},
    "prospect.added": {"reason": "outbound"},
    "referral.received": {"referrer": "Grace"},
    "page.viewed": {"url": "https://example.com/pricing", "title": "Pricing", "seconds": 12},
    "content.downloaded": {"content": "guide", "topic": "leads", "phase": "awareness"},
    "content.opened": {"content": "guide"},
    "trial.started": {"plan": "pro"},
    "feature.used": {"feature": "export"},
    "email.sent": {"message": "m1", "campaign": "spring", "variant": "b"},
    "email.delivered": {"message": "m1"},
    "email.opened": {"message": "m1"},
    "email.clicked": {"message": "m1", "link": "https://example.com"},
    "email.replied": {"message": "m1"},
    "email.bounced": {"message": "m1", "bounce": "hard"},
    "email.complained": {"message": "m1"},
    "email.unsubscribed": {"message": "m1"},
    "call.attempted": {"call": "c1", "direction": "outbound", "outcome": "no_answer"},
    "call.completed": {"call": "c1", "outcome": "connected", "seconds": 61.5},
    "meeting.booked": {"meeting": "m1", "kind": "demo", "starts_at": "2026-02-01T10:00:00+01:00"},
    "meeting.moved": {"meeting": "m2", "previous": "m1", "reason": "ill"},
    "meeting.cancelled": {"meeting": "m2", "reason": "ill"},
    "meeting.held": {"meeting": "m2"},
    "meeting.missed": {"meeting": "m2"},
    "chat.messaged": {"text": "hello", "platform": "web", "conversation": "k1"},
    "sms.sent": {"text": "hello"},
    "sms.replied": {"text": "hello"},
    "note.added": {"text": "hello"},
    "demo.requested": {"message": "please"},
    "pricing.requested": {"message": "please"},
    "quote.requested": {"message": "please"},
    "contact.requested": {"message": "please"},
    "qualification.answered": {"framework": "bant", "criterion": "budget", "value": 10},
    "lead.accepted": {"reason": "fits"},
    "lead.rejected": {"reason": "student"},
    "lead.qualified": {},
    "lead.disqualified": {"reason": "student"},
    "lead.recycled": {"reason": "later", "until": "2026-06-01"},
    "lead.reopened": {},
    "lead.assigned": {"owner": "rep-1", "reason": "region"},
    "lead.unassigned": {"owner": "rep-1"},
    "opportunity.created": {"opportunity": "o1", "amount": "12.50", "currency": "EUR"},
    "opportunity.changed": {"opportunity": "o1", "stage": "quote", "close_date": "2026-03-31"},
    "deal.won": {"opportunity": "o1", "amount": 1250, "currency": "JPY", "product": "p"},
    "deal.lost": {"opportunity": "o1", "reason": "price", "competitor": "other.example"},
    "customer.onboarded": {},
    "ticket.opened": {"ticket": "t1"},
    "ticket.resolved": {"ticket": "t1"},
    "usage.reported": {"score": 7},
    "survey.answered": {"score": 9.5},
    "revenue.recognized": {"amount": "-3.20", "currency": "USD"},
    "customer.churned": {},
    "person.updated": {},
    "person.deleted": {"erase": True, "reason": "asked"},
    "lead.merged": {"other": {"kind": "email", "value": "Grace@Example.com"}},
    "lead.unmerged": {"other": {"kind": "external:crm", "value": "77"}},
    "event.voided": {"event_source": "/test", "event_id": "9", "reason": "test"},
    "event.reclassified": {"event_source": "/test", "event_id": "9", "actor_kind": "machine"},
    "consent.granted": {"purpose": "news", "channel": "email", "proof": "p"},
    "consent.withdrawn": {"purpose": "news"},
    "spend.recorded": {"day": "2026-01-04", "amount": "99", "currency": "EUR"},
}
"""Every type with fields of its own."""


def example(type_: str) -> dict[str, Any]:
    """Return a good event of *type_* with all the blocks it may carry."""
    blocks = {
        "person": {"email": "ada@example.com", "country": "DE", "company": {"size": "200-499"}},
        "touch": {"source": "newsletter", "medium": "email"},
        "actor": {"kind": "prospect"},
        "consent": [{"purpose": "news", "granted": True}],
    }
    return event(type_, {**blocks, **OWN_FIELDS[type_]})
