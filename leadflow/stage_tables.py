"""What a pack of stages is, as a document: its stages, their other names, and its moves."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from domain.aliases import ALIASES, NOTES
from domain.policy import Policy
from domain.stage_cards import Card, cards_of
from domain.stages import OWNER, STAGES, Move, Pack
from leadflow.policy_stages import guard_words

FIELDS: Final = tuple(Card.__dataclass_fields__)
"""The five fields by which marketing and sales tell two stages apart."""


def document_of(policy: Policy, pack: Pack) -> dict[str, Any]:
    """Return the document of `leadflow stages`: *pack*, with the numbers of *policy*."""
    guards = guard_words(policy)
    cards = cards_of(pack)
    return {
        "pack": pack.name,
        "description": pack.description,
        "stages": [
            {
                "stage": code,
                **{name: getattr(cards[code], name) for name in FIELDS},
                "owner": OWNER[code],
                "aliases": sorted({alias for _, alias in aliases_of(code)}, key=str.lower),
            }
            for code in STAGES
        ],
        "moves": [_move(move, guards) for move in pack.table],
        "aliases": {vocabulary: dict(names) for vocabulary, names in ALIASES.items()},
        "notes": dict(NOTES),
    }


def aliases_of(code: str) -> Iterator[tuple[str, str]]:
    """Yield vocabulary and name of each other name of a stage, except the code itself."""
    for vocabulary, names in ALIASES.items():
        for name, of in names.items():
            if of == code and name.lower() != code:
                yield vocabulary, name


def _move(move: Move, guards: Mapping[str, str]) -> dict[str, Any]:
    return {
        "rule": move.rule,
        "from": [stage for stage in (None, *STAGES) if stage in move.after],
        "to": move.to,
        "on": None if move.on is None else sorted(move.on),
        "if": None if move.guard is None else guards[move.guard],
        "opens": move.opens,
        "automatic": move.automatic,
    }
