"""The stage of every lead as it was decided, beside the one as it occurred in pipeline.

The two differ where facts came late, or were corrected: what was decided stays. So this read
model, alone of all, depends on the order in which the log brought the facts.
"""

from typing import Final

from projections.schema import instant, keys, number, read_model, text

NAME: Final = "decided"
VERSION: Final = 1

decided = read_model(
    NAME,
    "The stage of every lead as it was decided, fact by fact as the log brought them",
    *keys(),
    text("stage_as_decided", "Stage code; null until the first capture or intent event"),
    number("cycle", "Cycle, from 1"),
    instant("entered_at_us", "When the stage was entered", null=True),
    text("policy", "Version of the policy that decided"),
    text("rule", "Rule that decided, or what made the stage hold anew: a merge, a correction"),
)
