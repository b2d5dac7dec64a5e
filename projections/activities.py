"""What was said and done between the lead and the company: mails, calls, meetings, verdicts."""

from typing import Any, Final

from domain.events import Fact
from domain.vocabulary import FAMILY_OF, INTENT
from projections.schema import instant, keys, number, read_model, text

NAME: Final = "activities"
VERSION: Final = 1

activities = read_model(
    NAME,
    "Mails, calls, meetings, chats, requests, verdicts of sales and revenue, in canonical order",
    *keys(and_n="Counts the activities of the lead from 1"),
    instant("at_us", "When it happened"),
    number("cycle", "Cycle of the lead before it, from 1"),
    text("type", "Type of the event", null=False),
    text("actor", "Who acted: prospect, rep, machine or unknown", null=False),
    text("actor_id", "Who that is, as the producer names it"),
    text("owner", "Who worked the lead then; of an assignment, from then on"),
    text("direction", "inbound or outbound, of a call"),
    text("outcome", "How a call went: connected, voicemail, no_answer, busy, refused, failed"),
    text("kind", "Kind of a meeting; hard or soft of a bounce"),
    text("message", "Message, call, meeting or conversation that it is about"),
    text("campaign", "Campaign of the message, else of the touch"),
    text("variant", "Variant of the message"),
    text("reason", "Reason that was given"),
    number("amount_minor", "Amount in minor units; null where there is none", null=True),
    text("currency", "ISO 4217 code of the amount"),
    text("fact_source", "Source of the event", null=False),
    text("fact_id", "Id of the event", null=False),
)

TYPES: Final = frozenset(
    {
        *(type_ for type_, family in FAMILY_OF.items() if family in ("email", "talk")),
        *INTENT,
        *(type_ for type_, family in FAMILY_OF.items() if family == "qualification"),
        "revenue.recognized",
        "customer.churned",
    }
) - {"note.added", "qualification.answered"}
"""The types of event that are activities."""

_THING: Final = ("message", "call", "meeting", "conversation")


def activity_row(
    lead_no: int, n: int, cycle: int, owner: str | None, fact: Fact
) -> tuple[Any, ...]:
    """Return the row of *fact*, the *n*-th activity of a lead in its *cycle*, worked by *owner*."""
    data = fact.data
    if data is None:
        said: tuple[Any, ...] = (None,) * 9
    else:
        get = data.get
        thing = None
        # of a request `message` is what the person wrote: personal, and no name of a thing
        for name in _THING if fact.type not in INTENT else ():
            if (thing := get(name)) is not None:
                break
        kind = get("kind") or get("bounce")
        said = (
            get("direction"),
            get("outcome"),
            kind,
            thing,
            get("campaign"),
            get("variant"),
            get("reason"),
            get("amount"),
            get("currency"),
        )
    campaign = said[4]
    if campaign is None and fact.touch is not None:
        campaign = fact.touch.get("campaign")
    return (
        lead_no,
        n,
        fact.at,
        cycle,
        fact.type,
        fact.actor,
        fact.actor_id,
        owner,
        *said[:4],
        campaign,
        *said[5:],
        fact.source,
        fact.id,
    )
