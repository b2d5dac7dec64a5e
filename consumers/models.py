"""The vocabulary as pydantic models: the fields of every type of event.

These models are the one definition of the contract: validation runs on them, and the JSON Schemas
are generated from them. Names of fields are fixed: producers rely on them.
"""

from typing import Annotated, Any, Literal, Required

from pydantic import Field, with_config

# pydantic asks for this one on Python 3.11
from typing_extensions import TypedDict

from consumers.blocks import (
    OPEN,
    ActorKind,
    Amount,
    Channel,
    Common,
    ConsentChannel,
    Currency,
    Day,
    Instant,
    Label,
    Mark,
    Ref,
    Scalar,
    Seconds,
    Text,
    Url,
)

# --- capture -----------------------------------------------------------------------------------

Fields = Annotated[
    dict[str, Any] | None,
    Field(description="The answers as the form sent them: {field: answer}."),
    Mark.PRIVATE,
]


@with_config(OPEN)
class FormSubmitted(Common, total=False):
    """A web form was submitted."""

    form: Annotated[Ref | None, Field(description="Id or name of the form.")]
    fields: Fields
    kind: Annotated[
        Literal["content", "newsletter", "contact", "demo", "pricing", "trial", "other"] | None,
        Field(description="What the form asks for."),
    ]


@with_config(OPEN)
class EventAttended(Common, total=False):
    """The person came to a trade show, webinar or seminar, or registered for it."""

    event: Annotated[Label | None, Field(description="Name or id of the event.")]
    kind: Annotated[
        Literal["trade_show", "webinar", "seminar"] | None, Field(description="Kind of event.")
    ]
    booth: Annotated[Label | None, Field(description="Booth at which the badge was scanned.")]
    registered_only: Annotated[
        bool | None, Field(description="true: registered, but was not there.")
    ]


@with_config(OPEN)
class AdLeadReceived(Common, total=False):
    """A lead ad was filled in on an ad platform."""

    platform: Annotated[Label | None, Field(description="The ad platform.")]
    ad: Annotated[Ref | None, Field(description="Id of the ad.")]
    platform_lead_id: Annotated[Ref | None, Field(description="The platform's id of the lead.")]
    form: Annotated[Ref | None, Field(description="Id of the lead form.")]
    fields: Fields


@with_config(OPEN)
class RecordImported(Common, total=False):
    """A row of a list, or a record new in a CRM."""

    list: Annotated[Label | None, Field(description="Name of the list.")]
    vendor: Annotated[Label | None, Field(description="Who supplied it.")]
    legal_basis: Annotated[Label | None, Field(description="Legal basis for using it.")]


@with_config(OPEN)
class ProspectAdded(Common, total=False):
    """A sales generated lead."""

    reason: Annotated[
        Literal["outbound", "customer_referral"] | None, Field(description="How sales found it.")
    ]


@with_config(OPEN)
class ReferralReceived(Common, total=False):
    """Somebody recommended us to the person."""

    referrer: Annotated[
        Label | None, Field(description="Who referred; personal data."), Mark.PRIVATE
    ]


# --- web ---------------------------------------------------------------------------------------


@with_config(OPEN)
class PageViewed(Common, total=False):
    """A page was viewed."""

    url: Annotated[Url | None, Field(description="Address of the page.")]
    title: Annotated[Text | None, Field(description="Title of the page.")]
    seconds: Annotated[Seconds | None, Field(description="Time on the page; cut to seconds.")]


@with_config(OPEN)
class ContentUsed(Common, total=False):
    """A piece of content was downloaded or opened."""

    content: Annotated[Label | None, Field(description="Name or id of the content.")]
    topic: Annotated[Label | None, Field(description="What it is about.")]
    phase: Annotated[
        Literal["awareness", "consideration", "decision"] | None,
        Field(description="Phase of the buyer's journey that it is made for."),
    ]


@with_config(OPEN)
class TrialStarted(Common, total=False):
    """A trial was started."""

    plan: Annotated[Label | None, Field(description="Plan that is tried.")]


@with_config(OPEN)
class FeatureUsed(Common, total=False):
    """A feature of the product was used."""

    feature: Annotated[Label | None, Field(description="Name of the feature.")]


# --- e-mail ------------------------------------------------------------------------------------


@with_config(OPEN)
class Email(Common, total=False):
    """Something happened to an e-mail message."""

    message: Annotated[Ref | None, Field(description="Id of the message, not its text.")]
    campaign: Annotated[Label | None, Field(description="Campaign it was sent for.")]
    variant: Annotated[Label | None, Field(description="Variant of a test.")]
    link: Annotated[Url | None, Field(description="Link that was clicked.")]
    bounce: Annotated[Literal["hard", "soft"] | None, Field(description="Kind of bounce.")]


# --- talk --------------------------------------------------------------------------------------


@with_config(OPEN)
class Call(Common, total=False):
    """A phone call was tried or held."""

    call: Annotated[
        Ref | None, Field(description="The vendor's id; its status notices are of one call.")
    ]
    direction: Annotated[
        Literal["inbound", "outbound"] | None, Field(description="Who called whom.")
    ]
    outcome: Annotated[
        Literal["connected", "voicemail", "no_answer", "busy", "refused", "failed"] | None,
        Field(description="How it ended."),
    ]
    seconds: Annotated[Seconds | None, Field(description="Length of the call; cut to seconds.")]


@with_config(OPEN)
class Meeting(Common, total=False):
    """A meeting was booked, moved, cancelled, held or missed; `time` is when that was done."""

    meeting: Annotated[Ref | None, Field(description="Id of the meeting.")]
    kind: Annotated[Label | None, Field(description="Kind of meeting.")]
    starts_at: Annotated[Instant | None, Field(description="When it is to start, RFC 3339.")]
    reason: Annotated[Text | None, Field(description="Why it was moved or cancelled.")]
    previous: Annotated[
        Ref | None, Field(description="The meeting this one replaces, where the id is new.")
    ]


@with_config(OPEN)
class Talk(Common, total=False):
    """Something was written: a chat message, a text message, a note."""

    text: Annotated[Text | None, Field(description="What was written."), Mark.PRIVATE]
    message: Annotated[Text | None, Field(description="The same, by another name."), Mark.PRIVATE]
    platform: Annotated[Label | None, Field(description="Platform it was written on.")]
    conversation: Annotated[Ref | None, Field(description="Id of the conversation.")]


# --- intent and qualification ------------------------------------------------------------------


@with_config(OPEN)
class Request(Common, total=False):
    """The person asked for a demo, prices, a quote or a contact."""

    message: Annotated[
        Text | None, Field(description="What the person wrote with it."), Mark.PRIVATE
    ]


@with_config(OPEN)
class QualificationAnswered(Common, total=False):
    """A criterion of a qualification framework was answered."""

    framework: Annotated[
        Label | None,
        Field(
            description="The framework: bant, champ or one of the policy's own. The answer counts"
            " for that alone; without it, for whichever asks for the criterion."
        ),
    ]
    criterion: Annotated[Label | None, Field(description="The criterion, e.g. budget.")]
    value: Annotated[Scalar | None, Field(description="The answer.")]
    satisfied: Annotated[bool | None, Field(description="Whether it satisfies the criterion.")]


@with_config(OPEN)
class Verdict(Common, total=False):
    """A person in sales or marketing decided about the lead."""

    reason: Annotated[Label | None, Field(description="Why.")]
    until: Annotated[
        Instant | None, Field(description="When to look again: RFC 3339, or a day (UTC).")
    ]


@with_config(OPEN)
class Assigned(Common, total=False):
    """The lead was given to an owner."""

    owner: Required[Annotated[Ref, Field(min_length=1, description="The new owner.")]]
    reason: Annotated[Label | None, Field(description="Why.")]


@with_config(OPEN)
class Unassigned(Common, total=False):
    """The lead was taken from its owner."""

    owner: Annotated[Ref | None, Field(description="The owner it was taken from.")]
    reason: Annotated[Label | None, Field(description="Why.")]


# --- sales, customer, money --------------------------------------------------------------------

_AMOUNT = (
    'A string is a decimal in major units ("12.50"), an integer counts minor units of `currency`.'
)
OptionalAmount = Annotated[Amount | None, Field(description=_AMOUNT), Mark.MONEY]
OptionalCurrency = Annotated[
    Currency | None, Field(description="ISO 4217; required beside `amount`.")
]


@with_config(OPEN)
class Opportunity(Common, total=False):
    """A sales opportunity was opened or changed."""

    opportunity: Annotated[Ref | None, Field(description="Id of the opportunity.")]
    amount: OptionalAmount
    currency: OptionalCurrency
    close_date: Annotated[Day | None, Field(description="Day it is expected to close.")]
    stage: Annotated[
        Literal["discovery", "quote", "contract"] | None, Field(description="How far it is.")
    ]
    stage_name: Annotated[Label | None, Field(description="The producer's own label of it.")]
    product: Annotated[Label | None, Field(description="What is to be sold.")]


@with_config(OPEN)
class Deal(Common, total=False):
    """A deal was won or lost."""

    opportunity: Annotated[
        Ref | None, Field(description="Its opportunity; missing: the lead's latest open one.")
    ]
    amount: OptionalAmount
    currency: OptionalCurrency
    product: Annotated[Label | None, Field(description="What was sold.")]
    reason: Annotated[Label | None, Field(description="Why.")]
    competitor: Annotated[Label | None, Field(description="Who it was lost to.")]


@with_config(OPEN)
class Customer(Common, total=False):
    """Something happened with a customer."""

    ticket: Annotated[Ref | None, Field(description="Id of the support ticket.")]
    score: Annotated[int | float | Label | None, Field(description="Score of a survey.")]
    amount: OptionalAmount
    currency: OptionalCurrency


@with_config(OPEN)
class SpendRecorded(Common, total=False):
    """Money was spent on marketing; belongs to no lead."""

    channel: Annotated[Channel | None, Field(description="Channel it was spent on.")]
    source: Annotated[Label | None, Field(description="utm_source it was spent on.")]
    campaign: Annotated[Label | None, Field(description="Campaign it was spent on.")]
    day: Required[Annotated[Day, Field(description="Day it was spent.")]]
    amount: Required[Annotated[Amount, Field(description=_AMOUNT), Mark.MONEY]]
    currency: Required[Annotated[Currency, Field(description="ISO 4217.")]]


# --- data and consent --------------------------------------------------------------------------


@with_config(OPEN)
class PersonUpdated(Common, total=False):
    """The `person` block is the news."""


@with_config(OPEN)
class PersonDeleted(Common, total=False):
    """The person was deleted in the producer's system, or asks to be erased."""

    erase: Annotated[
        bool | None,
        Field(description="true: asks to be erased; false: gone from that system only."),
    ]
    reason: Annotated[Label | None, Field(description="Why.")]


@with_config(OPEN)
class OtherLead(TypedDict, total=False):
    """An identifier of another lead."""

    kind: Required[
        Annotated[
            str,
            Field(
                max_length=300,
                pattern=r"^(email|phone|anonymous_id|subject:.+|external:.+)$",
                description=(
                    "email, phone, anonymous_id, `subject:<source>` or `external:<system>`."
                ),
            ),
        ]
    ]
    value: Required[Annotated[Ref, Field(min_length=1, description="The identifier.")]]


@with_config(OPEN)
class Merge(Common, total=False):
    """Two leads are one person, or are not after all."""

    other: Required[
        Annotated[
            OtherLead,
            Field(
                description=(
                    'The other lead by one of its identifiers: {"kind": "email", "value": ...};'
                    " `kind` is email, phone, anonymous_id, subject:SOURCE or external:SYSTEM."
                )
            ),
            Mark.PRIVATE,
        ]
    ]


@with_config(OPEN)
class Correction(Common, total=False):
    """An earlier event did not happen."""

    event_source: Required[
        Annotated[Ref, Field(min_length=1, description="`source` of the event corrected.")]
    ]
    event_id: Required[
        Annotated[Ref, Field(min_length=1, description="`id` of the event corrected.")]
    ]
    reason: Annotated[Label | None, Field(description="Why.")]


@with_config(OPEN)
class Reclassification(Correction, total=False):
    """Another kind of actor did what an earlier event says."""

    actor_kind: Required[Annotated[ActorKind, Field(description="Who acted in truth.")]]


@with_config(OPEN)
class ConsentChanged(Common, total=False):
    """The person consented to a purpose, or withdrew that."""

    purpose: Required[Annotated[Label, Field(min_length=1, description="What it is for.")]]
    channel: Annotated[
        ConsentChannel | None, Field(description="The channel it holds for; missing: all.")
    ]
    text_version: Annotated[Label | None, Field(description="Version of the text shown.")]
    proof: Annotated[Text | None, Field(description="Where the proof is kept.")]
