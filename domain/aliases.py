"""Names that other houses give to the stages, and the code that each stands for.

A name stands for the code whose meaning is nearest: two of their stages may be one of ours.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from domain.stages import (
    CAPTURED,
    DISQUALIFIED,
    LOST,
    MQL,
    MQO,
    OPPORTUNITY,
    RECYCLED,
    SAL,
    SGL,
    SQL,
    STAGES,
    WON,
)

ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "leadflow": {
        "lead": CAPTURED,
        "marketing qualified opportunity": MQO,
        "marketing qualified lead": MQL,
        "sales generated lead": SGL,
        "sales accepted lead": SAL,
        "sales qualified lead": SQL,
        "deal": OPPORTUNITY,
        "closed won": WON,
        "closed lost": LOST,
        "nurture": RECYCLED,
        "unqualified": DISQUALIFIED,
    },
    "SiriusDecisions": {
        "inquiry": CAPTURED,
        "AQL": MQL,
        "automation qualified lead": MQL,
        "TAL": MQL,
        "teleprospecting accepted lead": MQL,
        "TQL": MQL,
        "teleprospecting qualified lead": MQL,
        "TGL": SGL,
        "teleprospecting generated lead": SGL,
        "SAL": SAL,
        "SGL": SGL,
        "SQL": SQL,
        "won business": WON,
    },
    "HubSpot": {
        "subscriber": CAPTURED,
        "lead": CAPTURED,
        "marketing qualified lead": MQL,
        "sales qualified lead": SQL,
        "opportunity": OPPORTUNITY,
        "customer": WON,
        "evangelist": WON,
        "other": DISQUALIFIED,
    },
    "Pardot": {
        "visitor": CAPTURED,
        "prospect": CAPTURED,
        "MQL": MQL,
        "SQL": SQL,
        "won": WON,
    },
}
"""Vocabulary to its names, as it writes them, to codes."""

NOTES: Final[Mapping[str, str]] = {
    "MQO": "Here what a reader is who has not asked for sales, before the MQL, as some guides"
    " have it. The published SiriusDecisions waterfall has no such stage, and elsewhere an MQO is"
    " a marketing qualified opportunity late in the funnel: that one is `opportunity` here.",
    "visitor": "An anonymous visitor has no stage at all until a first capture or intent event.",
    "evangelist": "A customer who recommends is a customer still.",
    "other": "Whoever fits no stage; nearest to `disqualified`.",
    "TAL, TQL": "Accepted and qualified by telephone, still before sales: `mql` both.",
}
"""Where a name means something else elsewhere, or only nearly the same."""


class UnknownStage(ValueError):
    """Nothing goes by a name; the message says what it may have meant."""


def code_of(name: str) -> str:
    """Return the code of the stage that goes by *name*, whatever its case, dashes and spaces.

    Raises UnknownStage.
    """
    plain = _plain(name)
    code = _CODES.get(plain)
    if code is None:
        near = get_close_matches(plain, list(_CODES), 3, 0.7)
        known = f"did you mean {', '.join(near)}?" if near else f"stages: {', '.join(STAGES)}"
        raise UnknownStage(f"{name!r} is neither a stage nor another name of one; {known}")
    return code


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


_CODES: Final[Mapping[str, str]] = {
    **{_plain(alias): code for names in ALIASES.values() for alias, code in names.items()},
    **{stage: stage for stage in STAGES},
}
