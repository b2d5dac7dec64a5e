"""Every opportunity: what it is worth, whose it is, how it ended."""

from typing import Final

from projections.schema import instant, keys, number, read_model, text

NAME: Final = "opportunities"
VERSION: Final = 2

opportunities = read_model(
    NAME,
    "Every opportunity of a lead, in the order in which they were first heard of",
    *keys(and_n="Counts the opportunities of the lead from 1"),
    text("opportunity", "Name of the opportunity", null=False),
    text("status", "open, won or lost", null=False),
    number("amount_minor", "Latest known amount in minor units; null where unknown", null=True),
    text("currency", "ISO 4217 code of the amount"),
    text("product", "Latest known product"),
    text("stage_name", "Latest known sub-stage: the producer's own label, else discovery, ..."),
    instant("created_at_us", "When it was first heard of"),
    instant("closed_at_us", "When it was won or lost; null while it is open", null=True),
    text("owner", "Owner of the lead when it was closed, or now while it is open"),
    text("reason", "Why it was won or lost"),
    text("competitor", "Who won it instead"),
    text("close_date", "Latest known day on which it is expected to close, YYYY-MM-DD"),
)
