"""The lifecycle as a table: everything about which stage may follow which lives here.

A lead runs through *cycles*: a cycle starts at the first stage it enters and ends when the lead is
recycled, reopened or comes back with a new opportunity. Going back is only ever done by an
explicit event; skipped stages are reached, not entered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.vocabulary import CAPTURE, INTENT

CAPTURED: Final = "captured"
MQO: Final = "mqo"
MQL: Final = "mql"
SGL: Final = "sgl"
SAL: Final = "sal"
SQL: Final = "sql"
OPPORTUNITY: Final = "opportunity"
WON: Final = "won"
LOST: Final = "lost"
RECYCLED: Final = "recycled"
DISQUALIFIED: Final = "disqualified"

STAGES: Final = (
    CAPTURED,
    MQO,
    MQL,
    SGL,
    SAL,
    SQL,
    OPPORTUNITY,
    WON,
    LOST,
    RECYCLED,
    DISQUALIFIED,
)
"""All eleven codes, in machine order."""

PATH: Final = (CAPTURED, MQO, MQL, SAL, SQL, OPPORTUNITY, WON)
"""The way to a deal: entering one of these means that those before it are reached."""

RANK: Final[Mapping[str, int]] = {stage: n for n, stage in enumerate(PATH)} | {SGL: 3}
"""How far along the path a stage is; stages off the path have no rank."""

OWNER: Final[Mapping[str, str]] = {
    CAPTURED: "marketing",
    MQO: "marketing",
    MQL: "marketing",
    SGL: "sales",
    SAL: "sales",
    SQL: "sales",
    OPPORTUNITY: "sales",
    WON: "service",
    LOST: "sales",
    RECYCLED: "marketing",
    DISQUALIFIED: "marketing",
}
"""Which department works the leads of a stage."""

Stages = frozenset[str | None]

BEFORE_SAL: Final[Stages] = frozenset((None, CAPTURED, MQO, MQL))
BEFORE_SQL: Final[Stages] = BEFORE_SAL | {SGL, SAL}
BEFORE_OPPORTUNITY: Final[Stages] = BEFORE_SQL | {SQL}
OPEN: Final[Stages] = BEFORE_OPPORTUNITY | {OPPORTUNITY}
CLOSED: Final[Stages] = frozenset((WON, LOST))


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the table.

    On a fact of one of the types ``on``, while the lead is in one of the stages ``after`` and the
    guard holds, it enters ``to``.
    """

    to: str
    rule: str
    after: Stages
    on: frozenset[str] | None
    """Types of fact; None: any fact."""
    guard: str | None = None
    """Name of a condition in ``domain.guards``; None: no condition."""
    opens: str | None = None
    """The kind of cycle that the move opens, or None to stay in the cycle."""
    automatic: bool = False
    """True where the engine, not the producer, decides: off when ``auto_advance`` is false."""


CONTENT_ACTS: Final = frozenset(("content.downloaded", "content.opened", "form.submitted"))


def _on(*types: str) -> frozenset[str]:
    return frozenset(types)


MOVES: Final = (
    Move(CAPTURED, "first_capture", frozenset((None,)), CAPTURE | INTENT),
    Move(
        CAPTURED,
        "reopened",
        frozenset((DISQUALIFIED, LOST, RECYCLED)),
        _on("lead.reopened"),
        opens="reopened",
    ),
    Move(CAPTURED, "reopened_won", frozenset((WON,)), _on("lead.reopened"), opens="expansion"),
    Move(
        MQO,
        "content_act",
        frozenset((CAPTURED,)),
        CONTENT_ACTS,
        guard="content_without_intent",
        automatic=True,
    ),
    Move(
        MQO,
        "woken_up",
        frozenset((RECYCLED,)),
        None,
        guard="wake_up_due",
        opens="recycled",
        automatic=True,
    ),
    Move(
        MQL,
        "new_intent",
        frozenset((RECYCLED,)),
        INTENT,
        guard="by_person",
        opens="recycled",
        automatic=True,
    ),
    Move(
        MQL,
        "fit_and_engagement",
        frozenset((CAPTURED, MQO)),
        None,
        guard="fit_and_engagement",
        automatic=True,
    ),
    Move(SGL, "added_by_sales", frozenset((CAPTURED,)), _on("prospect.added")),
    Move(SAL, "accepted", BEFORE_SAL, _on("lead.accepted")),
    Move(SAL, "accepted_again", frozenset((RECYCLED,)), _on("lead.accepted"), opens="recycled"),
    Move(
        SQL,
        "qualified",
        BEFORE_SQL,
        _on("lead.qualified", "qualification.answered"),
        guard="qualified_with_criteria",
    ),
    Move(OPPORTUNITY, "opportunity_created", BEFORE_OPPORTUNITY, _on("opportunity.created")),
    Move(
        OPPORTUNITY,
        "new_opportunity_after_won",
        frozenset((WON,)),
        _on("opportunity.created"),
        opens="expansion",
    ),
    Move(
        OPPORTUNITY,
        "new_opportunity",
        frozenset((LOST, RECYCLED)),
        _on("opportunity.created"),
        opens="recycled",
    ),
    Move(WON, "deal_won", OPEN, _on("deal.won")),
    Move(
        WON, "deal_won_after_recycling", frozenset((RECYCLED,)), _on("deal.won"), opens="recycled"
    ),
    Move(LOST, "deal_lost", OPEN, _on("deal.lost"), guard="no_other_open_opportunity"),
    Move(
        RECYCLED,
        "recycled",
        frozenset((MQL, SAL, SGL, SQL, OPPORTUNITY, LOST)),
        _on("lead.recycled"),
    ),
    Move(
        DISQUALIFIED,
        "disqualified",
        OPEN | {LOST, RECYCLED},
        _on("lead.disqualified"),
    ),
)
"""The default pack, in machine order: one fact may make several moves, each is recorded."""


def _moves_by_stage(type_: str | None) -> Mapping[str | None, tuple[Move, ...]]:
    rows = [move for move in MOVES if move.on is None or type_ in move.on]
    return {stage: tuple(move for move in rows if stage in move.after) for stage in (None, *STAGES)}


_ANY_TYPE: Final = _moves_by_stage(None)
_OF_TYPE: Final = {
    type_: _moves_by_stage(type_)
    for type_ in {type_ for move in MOVES if move.on is not None for type_ in move.on}
}
_PLACE: Final = {move.rule: n for n, move in enumerate(MOVES)}


def moves(type_: str, stage: str | None, behind: Move | None = None) -> tuple[Move, ...]:
    """Return the moves that a fact of *type_* may cause in *stage*, in machine order.

    With *behind*, only those that come after that move.
    """
    found = _OF_TYPE.get(type_, _ANY_TYPE).get(stage, ())
    if behind is None:
        return found
    place = _PLACE[behind.rule]
    return tuple(move for move in found if _PLACE[move.rule] > place)
