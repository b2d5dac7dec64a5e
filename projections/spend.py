"""What marketing cost: one row per report of spend that counts."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from domain.book import Rules
from domain.corrections import effective
from domain.events import Event, Fact, canonical
from projections.schema import instant, keys, number, read_model, text

NAME: Final = "spend"
VERSION: Final = 1

SPEND: Final = "spend.recorded"

spend = read_model(
    NAME,
    "What marketing cost, by day and campaign; corrections are worked in, refunds are negative",
    *keys(and_n="Counts the reports of spend that were kept together from 1", leadless=True),
    instant("at_us", "When it was reported"),
    text("day", "Day it was spent on, YYYY-MM-DD", null=False),
    text("channel", "Channel"),
    text("source", "Marketing source"),
    text("campaign", "Campaign"),
    number("amount_minor", "Amount in minor units"),
    text("currency", "ISO 4217 code of the amount", null=False),
    text("fact_source", "Source of the event", null=False),
    text("fact_id", "Id of the event", null=False),
    leadless=True,
)


def spend_rows(
    lead_no: int, histories: Iterable[Sequence[Event]], rules: Rules
) -> list[tuple[Any, ...]]:
    """Return the rows of the spend in the whole *histories* of some streams.

    *lead_no* is what the streams are numbered by, as those of a lead are.
    """
    facts = [event for events in histories for event in events if type(event) is Fact]
    if not any(fact.type == SPEND for fact in facts):
        return []
    reported = [fact for fact in effective(canonical(facts), rules) if fact.type == SPEND]
    return [
        (
            lead_no,
            n,
            fact.at,
            fact.get("day"),
            fact.get("channel"),
            fact.get("source"),
            fact.get("campaign"),
            fact.get("amount"),
            fact.get("currency"),
            fact.source,
            fact.id,
        )
        for n, fact in enumerate(reported, 1)
    ]
