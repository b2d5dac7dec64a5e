"""What marketing and sales agree that each stage is: five fields per stage and pack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.stages import (
    CAPTURED,
    DISQUALIFIED,
    LOST,
    MQL,
    MQO,
    OPPORTUNITY,
    OWNER,
    RECYCLED,
    SAL,
    SGL,
    SQL,
    STAGES,
    WON,
    Pack,
)


@dataclass(frozen=True, slots=True)
class Card:
    """The five fields by which two stages are told apart."""

    definition: str
    interest: str
    """What the person wants by then."""
    activities: str
    """What the person does, and what is done."""
    department: str
    goal: str
    """Where the department means to bring the lead."""


def _cards(rows: Mapping[str, tuple[str, str, str, str]]) -> Mapping[str, Card]:
    return {
        stage: Card(definition, interest, activities, OWNER[stage], goal)
        for stage, (definition, interest, activities, goal) in rows.items()
    }


_COMMON: Final = _cards(
    {
        CAPTURED: (
            "A lead: somebody left a way to be reached, or asked for sales.",
            "unknown, or a first look",
            "fills in a form, attends an event, is on a list",
            "to learn what it needs: mqo or mql",
        ),
        MQO: (
            "Marketing qualified opportunity: reads, and has not asked for sales.",
            "low: wants to learn",
            "downloads, opens, takes the newsletter; no call from sales yet",
            "a relation: mql",
        ),
        MQL: (
            "Marketing qualified lead: fits and is engaged, or asks again after a rest.",
            "clear, not yet to buy",
            "comes back, reads deeper, attends webinars",
            "to be accepted by sales: sal",
        ),
        SGL: (
            "Sales generated lead: sales found it.",
            "unknown: sales spoke first",
            "outbound by sales, or a customer's recommendation",
            "to be qualified like any other: sql",
        ),
        SAL: (
            "Sales accepted lead: a person in sales took it.",
            "clear enough to be worked",
            "calls and meetings to learn need, means and time",
            "to be qualified: sql",
        ),
        SQL: (
            "Sales qualified lead: sales says so and knows enough of need, means and time.",
            "to buy, if it fits",
            "asks for prices, demos and quotes; answers what sales must know",
            "a contract: opportunity",
        ),
        OPPORTUNITY: (
            "There is something to sell, with an amount and a date.",
            "to buy here or elsewhere",
            "compares quotes, negotiates",
            "won",
        ),
        WON: (
            "A deal was won.",
            "to succeed with what was bought",
            "is onboarded, uses it, asks for help",
            "the next deal: a cycle of kind expansion",
        ),
        LOST: (
            "The last open deal was lost.",
            "not now, or not here",
            "says why",
            "to rest with marketing: recycled",
        ),
        RECYCLED: (
            "Handed back to marketing, to be woken up later.",
            "later, perhaps",
            "is written to now and then, until the date or a new request",
            "a new cycle",
        ),
        DISQUALIFIED: (
            "No lead after all.",
            "none",
            "none",
            "nothing, unless it is reopened",
        ),
    }
)

_OWN: Final[Mapping[str, Mapping[str, Card]]] = {
    "siriusdecisions": _cards(
        {
            SAL: (
                "Sales accepted lead: sales took it formally, as one that can be worked.",
                "clear enough to be worked",
                "is accepted or rejected by a person; then calls and meetings",
                "need confirmed by sales: sql",
            ),
            SQL: (
                "Sales qualified lead: sales confirmed the need after accepting the lead.",
                "a concrete need, with means and time",
                "answers what sales must know",
                "a contract: opportunity",
            ),
            RECYCLED: (
                "Handed back or rejected by sales, to be woken up later.",
                "later, perhaps",
                "is written to now and then, until the date or a new request",
                "a new cycle",
            ),
        }
    ),
    "two_stage": _cards(
        {
            MQL: (
                "Marketing qualified lead: did one thing that counts.",
                "to learn, no clear intent to buy",
                "a download, a webinar, the newsletter",
                "to become an SQL",
            ),
            SQL: (
                "Sales qualified lead: asks for sales, or has the score and enough criteria.",
                "to buy: budget, authority, need partly met",
                "asks for a quote, a demo or advice",
                "a contract",
            ),
        }
    ),
    "content_led": _cards(
        {
            CAPTURED: (
                "A lead: somebody left a way to be reached, mostly to get a guide.",
                "in a topic",
                "fills in the form for a guide",
                "to read on: mql",
            ),
            MQL: (
                "Marketing qualified lead: reads again and again within a time.",
                "lasting: in the topic, and in us",
                "opens the guide repeatedly, reads and clicks the newsletter",
                "offers and stories until it asks: sql",
            ),
            SQL: (
                "Sales qualified lead: asks for prices, a demo or a quote, or reached the score.",
                "to buy",
                "asks for a quote; marketing stops and sales act, fast",
                "a contract: opportunity",
            ),
        }
    ),
}


def cards_of(pack: Pack) -> Mapping[str, Card]:
    """Return the card of every stage, as *pack* means it, in machine order."""
    own = _OWN.get(pack.name, {})
    return {stage: own.get(stage, _COMMON[stage]) for stage in STAGES}
