"""The types of event by name: family, model, and what a field needs beyond its shape."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

from consumers.blocks import Common, Mark
from consumers.models import (
    AdLeadReceived,
    Assigned,
    Call,
    ConsentChanged,
    ContentUsed,
    Correction,
    Customer,
    Deal,
    Email,
    EventAttended,
    FeatureUsed,
    FormSubmitted,
    Meeting,
    Merge,
    Opportunity,
    PageViewed,
    PersonDeleted,
    PersonUpdated,
    ProspectAdded,
    QualificationAnswered,
    Reclassification,
    RecordImported,
    ReferralReceived,
    Request,
    SpendRecorded,
    Talk,
    TrialStarted,
    Unassigned,
    Verdict,
)
from domain.vocabulary import FAMILY_OF, LEADLESS


class EventType(NamedTuple):
    """A type of event: its name, family, model, and what its fields need beyond their shape."""

    name: str
    family: str
    title: str
    """One sentence: what happened."""
    model: Any
    private: tuple[str, ...]
    """Fields that move to ``person["private"]``."""
    instants: tuple[str, ...]
    days: tuple[str, ...]
    money: bool
    seconds: bool
    negative: bool
    """Whether an amount below zero makes sense: money given back."""
    needs_identifier: bool


_MODELS: Final[Mapping[str, tuple[Any, str]]] = {
    "form.submitted": (FormSubmitted, "A web form was submitted."),
    "event.attended": (
        EventAttended,
        "The person came to a trade show, webinar or seminar, or registered for it.",
    ),
    "ad_lead.received": (AdLeadReceived, "A lead ad was filled in on an ad platform."),
    "record.imported": (RecordImported, "A row of a list, or a record new in a CRM."),
    "prospect.added": (ProspectAdded, "Sales found the person: a sales generated lead."),
    "referral.received": (ReferralReceived, "Somebody recommended us to the person."),
    "page.viewed": (PageViewed, "A page was viewed."),
    "content.downloaded": (ContentUsed, "A piece of content was downloaded."),
    "content.opened": (ContentUsed, "A piece of content was opened."),
    "trial.started": (TrialStarted, "A trial was started."),
    "feature.used": (FeatureUsed, "A feature of the product was used."),
    "email.sent": (Email, "An e-mail was sent to the person."),
    "email.delivered": (Email, "An e-mail reached the person's server."),
    "email.opened": (Email, "An e-mail was opened."),
    "email.clicked": (Email, "A link in an e-mail was clicked."),
    "email.replied": (Email, "The person answered an e-mail."),
    "email.bounced": (Email, "An e-mail could not be delivered."),
    "email.complained": (Email, "The person reported an e-mail as spam."),
    "email.unsubscribed": (Email, "The person wants no more such e-mail."),
    "call.attempted": (Call, "A call was tried."),
    "call.completed": (Call, "A call ended."),
    "meeting.booked": (Meeting, "A meeting was booked."),
    "meeting.moved": (Meeting, "A meeting was moved."),
    "meeting.cancelled": (Meeting, "A meeting was called off."),
    "meeting.held": (Meeting, "A meeting took place."),
    "meeting.missed": (Meeting, "The person did not come to a meeting."),
    "chat.messaged": (Talk, "A chat message was written."),
    "sms.sent": (Talk, "A text message was sent to the person."),
    "sms.replied": (Talk, "The person answered a text message."),
    "note.added": (Talk, "A note about the lead was written."),
    "demo.requested": (Request, "The person asked for a demo."),
    "pricing.requested": (Request, "The person asked for prices."),
    "quote.requested": (Request, "The person asked for a quote."),
    "contact.requested": (Request, "The person asked to be contacted."),
    "qualification.answered": (
        QualificationAnswered,
        "A criterion of a qualification framework was answered.",
    ),
    "lead.accepted": (Verdict, "Sales accepted the lead."),
    "lead.rejected": (Verdict, "Sales gave the lead back."),
    "lead.qualified": (Verdict, "Sales qualified the lead."),
    "lead.disqualified": (Verdict, "The lead will never buy."),
    "lead.recycled": (Verdict, "The lead goes back to nurture."),
    "lead.reopened": (Verdict, "A disqualified lead is open again."),
    "lead.assigned": (Assigned, "The lead was given to an owner."),
    "lead.unassigned": (Unassigned, "The lead was taken from its owner."),
    "opportunity.created": (Opportunity, "A sales opportunity was opened."),
    "opportunity.changed": (Opportunity, "A sales opportunity changed."),
    "deal.won": (Deal, "A deal was won."),
    "deal.lost": (Deal, "A deal was lost."),
    "customer.onboarded": (Customer, "A customer is up and running."),
    "ticket.opened": (Customer, "A support ticket was opened."),
    "ticket.resolved": (Customer, "A support ticket was resolved."),
    "usage.reported": (Customer, "The customer's use of the product was reported."),
    "survey.answered": (Customer, "The customer answered a survey."),
    "revenue.recognized": (Customer, "Revenue was recognised; below zero: given back."),
    "customer.churned": (Customer, "The customer left."),
    "person.updated": (PersonUpdated, "The person block holds the news."),
    "person.deleted": (
        PersonDeleted,
        "The person was deleted in the producer's system, or asks to be erased.",
    ),
    "lead.merged": (Merge, "Two leads are one person."),
    "lead.unmerged": (Merge, "Two leads that were merged are two persons."),
    "event.voided": (Correction, "An earlier event did not happen."),
    "event.reclassified": (Reclassification, "Another kind of actor did what an event says."),
    "consent.granted": (ConsentChanged, "The person consented to a purpose."),
    "consent.withdrawn": (ConsentChanged, "The person withdrew a consent."),
    "spend.recorded": (SpendRecorded, "Money was spent on marketing; belongs to no lead."),
}
"""The model of each type, and one sentence on what happened."""

_BELOW_ZERO: Final = frozenset({"spend.recorded", "revenue.recognized"})

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        family: tuple(name for name in _MODELS if FAMILY_OF[name] == family)
        for family in dict.fromkeys(FAMILY_OF.values())
    }
)
"""Family to its types, in the vocabulary's order."""


def marks(hint: Any) -> frozenset[Mark]:
    """Return the marks anywhere inside a type hint."""
    found = {part for part in getattr(hint, "__metadata__", ()) if isinstance(part, Mark)}
    for part in get_args(hint):
        found |= marks(part)
    return frozenset(found)


def _event_type(name: str, family: str, title: str, model: Any) -> EventType:
    own = {
        field: marks(hint)
        for field, hint in get_type_hints(model, include_extras=True).items()
        if field not in Common.__annotations__
    }

    def having(mark: Mark) -> tuple[str, ...]:
        return tuple(field for field, found in own.items() if mark in found)

    return EventType(
        name=name,
        family=family,
        title=title,
        model=model,
        private=having(Mark.PRIVATE),
        instants=having(Mark.INSTANT),
        days=having(Mark.DAY),
        money=bool(having(Mark.MONEY)),
        seconds="seconds" in own,
        negative=name in _BELOW_ZERO,
        needs_identifier=name not in LEADLESS,
    )


@cache
def validator_of(model: Any) -> Callable[[Any], Any]:
    """Return the function that validates by a model, built when it is first asked for.

    It returns the data anew or raises ``pydantic.ValidationError``.
    """
    validator = TypeAdapter(model).validator
    if not isinstance(validator, SchemaValidator):
        raise TypeError(f"{model.__name__}: pydantic deferred the building of its validator")
    return validator.validate_python


TYPES: Final[Mapping[str, EventType]] = MappingProxyType(
    {
        name: _event_type(name, FAMILY_OF[name], title, model)
        for name, (model, title) in _MODELS.items()
    }
)
"""Every type of the vocabulary by its name."""

UNKNOWN_TYPE: Final = _event_type(
    "", "unknown", "An event of a type not named here.", Common
)._replace(private=("fields", "text", "message"))
"""What holds for a type that the vocabulary does not name.

What people write stands in fields of these names in other types; it stays personal in this one.
"""
