"""Every entry of a lead into a stage, as it occurred."""

from typing import Final

from projections.schema import instant, keys, number, read_model, text

NAME: Final = "stages"
VERSION: Final = 1

stages = read_model(
    NAME,
    "Every entry of a lead into a stage, in the order in which the facts occurred",
    *keys(and_n="Counts the entries of the lead from 1"),
    text("stage", "Stage code", null=False),
    number("cycle", "Cycle, from 1"),
    text("cycle_kind", "What opened the cycle: new, recycled, reopened, expansion", null=False),
    instant("entered_at_us", "When the stage was entered"),
    instant(
        "exited_at_us", "When the next stage was entered; null while it is the stage", null=True
    ),
    number("dwell_us", "Microseconds between both", null=True),
    text("previous", "Stage before; null for the first"),
    number("is_first", "1 for the first entry into the stage in its cycle, else 0"),
    text("rule", "Rule that moved the lead", null=False),
    text("policy", "Policy version that holds the rule", null=False),
    text("fact_source", "Source of the event that caused the entry", null=False),
    text("fact_id", "Id of the event that caused the entry", null=False),
)
