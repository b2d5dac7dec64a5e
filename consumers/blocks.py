"""What the events of every type share: the blocks of ``data``, and the shapes of fields.

Every field is optional unless marked ``Required``, null means missing, and fields that are not
named are kept. Nothing is coerced: ``"12"`` is no number.
"""

from enum import Enum
from typing import Annotated, Literal, Required

from pydantic import ConfigDict, Field, with_config

# pydantic asks for this one on Python 3.11
from typing_extensions import TypedDict


class Mark(Enum):
    """What a field needs beyond the check of its shape."""

    PRIVATE = "personal: stored apart, erased with the person"
    INSTANT = "an instant or a day, stored as microseconds UTC"
    DAY = "a calendar day"
    MONEY = "an amount of money, stored as minor units beside its currency"


Text = Annotated[str, Field(max_length=65536)]
Label = Annotated[str, Field(max_length=512)]
Ref = Annotated[str, Field(max_length=256)]
Url = Annotated[str, Field(max_length=8192)]
Scalar = str | int | float | bool
Instant = Annotated[str, Field(max_length=64), Mark.INSTANT]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), Mark.DAY]
Seconds = Annotated[int, Field(ge=0, le=10**9)] | Annotated[float, Field(ge=0, le=1e9)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[str, Field(pattern=r"^-?[0-9]{1,19}(\.[0-9]{1,4})?$")] | int
Country = Annotated[str, Field(max_length=512)]

Channel = Literal[
    "paid_search",
    "organic_search",
    "paid_social",
    "organic_social",
    "email",
    "event",
    "webinar",
    "referral",
    "partner",
    "direct",
    "outbound",
    "display",
    "video",
    "content",
    "other",
    "unknown",
]
ActorKind = Literal["prospect", "rep", "machine", "unknown"]
ConsentChannel = Literal["email", "phone", "sms", "chat", "post"]
OPEN = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

# --- blocks that every type may carry ----------------------------------------------------------


@with_config(OPEN)
class Company(TypedDict, total=False):
    """The company that the person works for."""

    name: Annotated[Label | None, Field(description="Name of the company.")]
    domain: Annotated[Label | None, Field(description="Its internet domain.")]
    size: Annotated[
        Annotated[int, Field(ge=0, le=10**9)]
        | Annotated[str, Field(pattern=r"^[0-9]{1,9}(-[0-9]{1,9}|\+)$")]
        | None,
        Field(description='Employees: an integer, or a band such as "200-499" or "2000+".'),
    ]
    industry: Annotated[Label | None, Field(description="Its line of business.")]
    country: Annotated[Country | None, Field(description="Its country, ISO 3166-1, two letters.")]


@with_config(OPEN)
class Person(TypedDict, total=False):
    """Who the lead is: identifiers, and what is known of the person."""

    email: Annotated[Text | None, Field(description="E-mail address. An identifier.")]
    phone: Annotated[
        Ref | None,
        Field(description="Phone number in any format, read with `country` as the hint."),
    ]
    anonymous_id: Annotated[Ref | None, Field(description="A visitor's id, e.g. of a cookie.")]
    external_ids: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=128)], Ref | int | None] | None,
        Field(description="The person's ids in other systems: {system: id}. Identifiers."),
    ]
    name: Annotated[Label | None, Field(description="Full name.")]
    title: Annotated[Label | None, Field(description="Job title.")]
    seniority: Annotated[Label | None, Field(description="Rank of the job, e.g. director.")]
    language: Annotated[Label | None, Field(description="Language, BCP 47, e.g. de-CH.")]
    country: Annotated[
        Country | None,
        Field(description="ISO 3166-1, two letters; anything else is kept in `attributes`."),
    ]
    region: Annotated[Label | None, Field(description="State, province or sales region.")]
    company: Annotated[Company | None, Field(description="The company the person works for.")]
    attributes: Annotated[
        dict[str, Scalar | None] | None,
        Field(description="Whatever else is known of the person: {key: scalar}."),
    ]


@with_config(OPEN)
class Touch(TypedDict, total=False):
    """What brought the person here; its presence makes the event a touch of the journey."""

    channel: Annotated[
        Channel | None, Field(description="The channel; derived from the rest when missing.")
    ]
    source: Annotated[Label | None, Field(description="utm_source, e.g. google.")]
    medium: Annotated[Label | None, Field(description="utm_medium, e.g. cpc.")]
    campaign: Annotated[Label | None, Field(description="utm_campaign.")]
    content: Annotated[Label | None, Field(description="utm_content.")]
    term: Annotated[Label | None, Field(description="utm_term, the search term.")]
    click_id: Annotated[Label | None, Field(description="The ad network's click id, e.g. gclid.")]
    referrer: Annotated[Url | None, Field(description="Address of the page that linked here.")]
    page: Annotated[Url | None, Field(description="Address of the landing page.")]
    party: Annotated[
        Literal["first", "second", "third"] | None,
        Field(description="Whose data it is: first, second or third party."),
    ]


@with_config(OPEN)
class Actor(TypedDict, total=False):
    """Who acted; in talk it tells who spoke."""

    kind: Annotated[ActorKind | None, Field(description="prospect, rep, machine or unknown.")]
    id: Annotated[Ref | None, Field(description="Id of the actor, e.g. of the rep.")]
    org: Annotated[Label | None, Field(description="Organisation or team of the actor.")]


@with_config(OPEN)
class Consent(TypedDict, total=False):
    """One purpose that the person consented to, or no longer does."""

    purpose: Required[Annotated[Label, Field(min_length=1, description="What it is for.")]]
    channel: Annotated[
        ConsentChannel | None, Field(description="The channel it holds for; missing: all.")
    ]
    granted: Annotated[bool | None, Field(description="true: granted, false: withdrawn.")]
    text_version: Annotated[Label | None, Field(description="Version of the text shown.")]
    proof: Annotated[Text | None, Field(description="Where the proof is kept.")]


@with_config(OPEN)
class Common(TypedDict, total=False):
    """An event of a type that the vocabulary does not name: kept, unscored."""

    person: Annotated[Person | None, Field(description="Who the lead is.")]
    touch: Annotated[Touch | None, Field(description="What brought the person here.")]
    actor: Annotated[Actor | None, Field(description="Who acted.")]
    consent: Annotated[
        list[Consent] | None, Field(description="Consent given or withdrawn with this event.")
    ]


class Envelope(TypedDict, total=False):
    """A CloudEvent 1.0 that reports one interaction with a lead.

    ``consumers.contract`` checks these attributes itself, for speed and for its messages; this
    model is what the published schema is made from.
    """

    specversion: Required[Annotated[Literal["1.0"], Field(description="Version of CloudEvents.")]]
    id: Required[
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=256,
                description=(
                    "Unique within `source`; (`source`, `id`) is the idempotency key. A vendor "
                    "that gives no id: the SHA-256 of what was delivered."
                ),
            ),
        ]
    ]
    source: Required[
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=256,
                pattern=r'^[^\s"<>\\^`{|}]+$',
                description="URI reference naming the producer, e.g. /forms/website.",
            ),
        ]
    ]
    type: Required[
        Annotated[str, Field(min_length=1, max_length=128, description="The type of the event.")]
    ]
    time: Required[
        Annotated[
            str,
            Field(
                pattern=(
                    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
                    r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"
                ),
                description=(
                    "When it happened: RFC 3339 with offset. More than six decimals of a second "
                    "are cut. Not before 2000, not more than 24 h ahead."
                ),
            ),
        ]
    ]
    sequence: Annotated[
        Annotated[str, Field(pattern="^[0-9]{1,20}$")]
        | Annotated[int, Field(ge=0, lt=10**20)]
        | None,
        Field(description="The producer's own order among equal instants: 1 to 20 digits."),
    ]
    subject: Annotated[
        str | None,
        Field(description="The producer's own key for the lead: always an identifier too."),
    ]
    dataschema: Annotated[
        str | None,
        Field(
            description=(
                "Version of `data`: urn:leadflow:schema:TYPE:MAJOR.MINOR; the newest when absent."
            )
        ),
    ]
    datacontenttype: Annotated[str | None, Field(description="application/json, or absent.")]
