"""What every lead may be contacted for, by purpose and channel."""

from typing import Final

from projections.schema import instant, keys, number, read_model, text

NAME: Final = "consents"
VERSION: Final = 1

consents = read_model(
    NAME,
    "What a lead may be contacted for: one row per purpose and channel that was ever named",
    *keys(and_n="Counts the purposes and channels of the lead from 1, as they were first named"),
    text("purpose", "Purpose, in lower case", null=False),
    text("channel", "Channel; null: all channels that have no row of their own"),
    text("state", "granted, pending (not confirmed yet: as good as no) or withdrawn", null=False),
    instant("since_us", "When the word was said that the state stands on"),
    instant("until_us", "When the grant lapses; null: never, or no grant", null=True),
    number("is_proven", "1 when that word carries a proof, else 0"),
    text("fact_source", "Source of the event that holds the word", null=False),
    text("fact_id", "Id of the event that holds the word", null=False),
)
