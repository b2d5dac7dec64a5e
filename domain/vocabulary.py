"""The types of fact that a producer may send, and the family each belongs to.

A type that is not listed is kept on the lead's timeline and earns nothing by itself.
"""

from collections.abc import Mapping
from typing import Final

_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "capture": (
        "form.submitted",
        "event.attended",
        "ad_lead.received",
        "record.imported",
        "prospect.added",
        "referral.received",
    ),
    "web": (
        "page.viewed",
        "content.downloaded",
        "content.opened",
        "trial.started",
        "feature.used",
    ),
    "email": (
        "email.sent",
        "email.delivered",
        "email.opened",
        "email.clicked",
        "email.replied",
        "email.bounced",
        "email.complained",
        "email.unsubscribed",
    ),
    "talk": (
        "call.attempted",
        "call.completed",
        "meeting.booked",
        "meeting.moved",
        "meeting.cancelled",
        "meeting.held",
        "meeting.missed",
        "chat.messaged",
        "sms.sent",
        "sms.replied",
        "note.added",
    ),
    "intent": (
        "demo.requested",
        "pricing.requested",
        "quote.requested",
        "contact.requested",
    ),
    "qualification": (
        "qualification.answered",
        "lead.accepted",
        "lead.rejected",
        "lead.qualified",
        "lead.disqualified",
        "lead.recycled",
        "lead.reopened",
        "lead.assigned",
        "lead.unassigned",
    ),
    "sales": (
        "opportunity.created",
        "opportunity.changed",
        "deal.won",
        "deal.lost",
    ),
    "customer": (
        "customer.onboarded",
        "ticket.opened",
        "ticket.resolved",
        "usage.reported",
        "survey.answered",
        "revenue.recognized",
        "customer.churned",
    ),
    "data": (
        "person.updated",
        "person.deleted",
        "lead.merged",
        "lead.unmerged",
        "event.voided",
        "event.reclassified",
    ),
    "consent": (
        "consent.granted",
        "consent.withdrawn",
    ),
    "money": ("spend.recorded",),
}

FAMILY_OF: Final[Mapping[str, str]] = {
    type_: family for family, types in _TYPES.items() for type_ in types
}
"""Each known type and its family."""

CAPTURE: Final = frozenset(_TYPES["capture"])
"""The types of the capture family: the first one captures the lead."""

INTENT: Final = frozenset(_TYPES["intent"])
"""The types of the intent family: the person asks for sales."""

LEADLESS: Final = frozenset({"spend.recorded", "event.voided", "event.reclassified"})
"""The types that need no identifier of a lead."""

TRAITS: Final = frozenset(
    {
        "title",
        "seniority",
        "language",
        "country",
        "region",
        "company.name",
        "company.domain",
        "company.size",
        "company.industry",
        "company.country",
    }
)
"""The dotted paths of what a fact may say of the person without identifying it."""

ACTORS: Final = ("prospect", "rep", "machine", "unknown")
"""Who may have acted; unknown where the producer does not say."""
