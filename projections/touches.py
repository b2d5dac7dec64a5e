"""Every touch of marketing or sales that reached a person."""

from typing import Final

from projections.schema import instant, keys, number, read_model, text

NAME: Final = "touches"
VERSION: Final = 1

touches = read_model(
    NAME,
    "Every human touch, in canonical order",
    *keys(and_n="Counts the touches of the lead from 1"),
    instant("at_us", "When it happened"),
    text("channel", "Channel, given or derived", null=False),
    text("source", "Marketing source"),
    text("medium", "Medium"),
    text("campaign", "Campaign"),
    text("content", "Content or variant"),
    text("term", "Search term"),
    text("party", "first, second or third party"),
    number("is_collapsed", "1 when it continues a run of its channel (30 minutes), else 0"),
    text("type", "Type of the event", null=False),
    text("fact_source", "Source of the event", null=False),
    text("fact_id", "Id of the event", null=False),
)
