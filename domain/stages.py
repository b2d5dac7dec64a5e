"""The lifecycle as a table: everything about which stage may follow which lives here.

A lead runs through *cycles*: a cycle starts at the first stage it enters and ends when the lead is
recycled, reopened or comes back with a new opportunity. Going back is only ever done by an
explicit event; skipped stages are reached, not entered.

Which acts and words move a lead is a matter of its *pack*: one table of moves. The stages, their
order and their owners are the same in all packs, so that figures can be compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
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


_FIRST_CAPTURE: Final = Move(CAPTURED, "first_capture", frozenset((None,)), CAPTURE | INTENT)
_REOPENED: Final = (
    Move(
        CAPTURED,
        "reopened",
        frozenset((DISQUALIFIED, LOST, RECYCLED)),
        _on("lead.reopened"),
        opens="reopened",
    ),
    Move(CAPTURED, "reopened_won", frozenset((WON,)), _on("lead.reopened"), opens="expansion"),
)
_CONTENT_ACT: Final = Move(
    MQO,
    "content_act",
    frozenset((CAPTURED,)),
    CONTENT_ACTS,
    guard="content_without_intent",
    automatic=True,
)
_FIT_AND_ENGAGEMENT: Final = Move(
    MQL,
    "fit_and_engagement",
    frozenset((CAPTURED, MQO)),
    None,
    guard="fit_and_engagement",
    automatic=True,
)
_BY_SALES: Final = (
    Move(SGL, "added_by_sales", frozenset((CAPTURED,)), _on("prospect.added")),
    Move(SAL, "accepted", BEFORE_SAL, _on("lead.accepted")),
    Move(SAL, "accepted_again", frozenset((RECYCLED,)), _on("lead.accepted"), opens="recycled"),
)
_QUALIFIED: Final = Move(
    SQL,
    "qualified",
    BEFORE_SQL,
    _on("lead.qualified", "qualification.answered"),
    guard="qualified_with_criteria",
)
_DEALS: Final = (
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
)
_RECYCLED: Final = Move(
    RECYCLED,
    "recycled",
    frozenset((MQL, SAL, SGL, SQL, OPPORTUNITY, LOST)),
    _on("lead.recycled"),
)
_DISQUALIFIED: Final = Move(
    DISQUALIFIED,
    "disqualified",
    OPEN | {LOST, RECYCLED},
    _on("lead.disqualified"),
)


def _woken_up(to: str) -> Move:
    """Return the move of a lead that rests and acts again once it is due."""
    return Move(
        to,
        "woken_up",
        frozenset((RECYCLED,)),
        None,
        guard="wake_up_due",
        opens="recycled",
        automatic=True,
    )


def _new_intent(to: str, on: frozenset[str] = INTENT, guard: str = "by_person") -> Move:
    """Return the move of a lead that rests and asks for sales again."""
    return Move(
        to,
        "new_intent",
        frozenset((RECYCLED,)),
        on,
        guard=guard,
        opens="recycled",
        automatic=True,
    )


@dataclass(frozen=True)
class Pack:
    """One table of moves, under a name that policies choose it by."""

    name: str
    description: str
    table: tuple[Move, ...]
    """In machine order: one fact may make several moves, each is recorded."""
    parameters: frozenset[str] = frozenset()
    """Keys of the policy's table ``stages`` that this pack asks and others do not."""

    def moves(self, type_: str, stage: str | None, behind: Move | None = None) -> tuple[Move, ...]:
        """Return the moves that a fact of *type_* may cause in *stage*, in machine order.

        With *behind*, a move of this pack, only those that come after it.
        """
        found = self._of_type.get(type_, self._any_type).get(stage, ())
        if behind is None:
            return found
        place = self._place[behind.rule]
        return tuple(move for move in found if self._place[move.rule] > place)

    @cached_property
    def _any_type(self) -> Mapping[str | None, tuple[Move, ...]]:
        return self._moves_by_stage(None)

    @cached_property
    def _of_type(self) -> Mapping[str, Mapping[str | None, tuple[Move, ...]]]:
        types = {type_ for move in self.table if move.on is not None for type_ in move.on}
        return {type_: self._moves_by_stage(type_) for type_ in types}

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {move.rule: n for n, move in enumerate(self.table)}

    def _moves_by_stage(self, type_: str | None) -> Mapping[str | None, tuple[Move, ...]]:
        rows = [move for move in self.table if move.on is None or type_ in move.on]
        return {
            stage: tuple(move for move in rows if stage in move.after) for stage in (None, *STAGES)
        }


DEFAULT: Final = Pack(
    "default",
    "Reading makes an MQO, fit and engagement an MQL, the word of sales an SQL.",
    (
        _FIRST_CAPTURE,
        *_REOPENED,
        _CONTENT_ACT,
        _woken_up(MQO),
        _new_intent(MQL),
        _FIT_AND_ENGAGEMENT,
        *_BY_SALES,
        _QUALIFIED,
        *_DEALS,
        _RECYCLED,
        _DISQUALIFIED,
    ),
)

SIRIUSDECISIONS: Final = Pack(
    "siriusdecisions",
    "As the default, but sales must accept a lead before it can qualify it, and what sales"
    " rejects rests with marketing.",
    (
        _FIRST_CAPTURE,
        *_REOPENED,
        _CONTENT_ACT,
        _woken_up(MQO),
        _new_intent(MQL),
        _FIT_AND_ENGAGEMENT,
        *_BY_SALES,
        Move(
            SQL,
            "qualified",
            frozenset((SGL, SAL)),
            # Acceptance too: whoever was called qualified before needs nothing else.
            _on("lead.qualified", "qualification.answered", "lead.accepted"),
            guard="qualified_with_criteria",
        ),
        *_DEALS,
        Move(RECYCLED, "rejected", frozenset((MQL, SAL)), _on("lead.rejected")),
        _RECYCLED,
        _DISQUALIFIED,
    ),
)

_SHOWS_INTENT: Final = INTENT | {"form.submitted"}

_INTENT: Final = Move(
    SQL, "intent", BEFORE_SQL - {None}, _SHOWS_INTENT, guard="shows_intent", automatic=True
)

TWO_STAGE: Final = Pack(
    "two_stage",
    "One act makes an MQL; a request, or score and criteria, an SQL: nobody need accept it.",
    (
        _FIRST_CAPTURE,
        *_REOPENED,
        _woken_up(MQL),
        Move(
            MQL,
            "qualified_act",
            frozenset((CAPTURED, MQO)),
            None,
            guard="qualified_act",
            automatic=True,
        ),
        *_BY_SALES,
        _new_intent(SQL, _SHOWS_INTENT, "shows_intent"),
        _INTENT,
        Move(
            SQL,
            "score_and_criteria",
            BEFORE_SQL - {None},
            None,
            guard="score_and_criteria",
            automatic=True,
        ),
        _QUALIFIED,
        *_DEALS,
        _RECYCLED,
        _DISQUALIFIED,
    ),
    frozenset(("acts",)),
)

CONTENT_LED: Final = Pack(
    "content_led",
    "So much reading within a time makes an MQL; a request, or fit and engagement, an SQL.",
    (
        _FIRST_CAPTURE,
        *_REOPENED,
        _woken_up(MQL),
        Move(
            MQL,
            "acts_counted",
            frozenset((CAPTURED, MQO)),
            None,
            guard="acts_counted",
            automatic=True,
        ),
        *_BY_SALES,
        _new_intent(SQL, _SHOWS_INTENT, "shows_intent"),
        _INTENT,
        Move(
            SQL,
            "score_reached",
            frozenset((CAPTURED, MQO, MQL)),
            None,
            guard="fit_and_engagement",
            automatic=True,
        ),
        _QUALIFIED,
        *_DEALS,
        _RECYCLED,
        _DISQUALIFIED,
    ),
    frozenset(("counts",)),
)

PACKS: Final[Mapping[str, Pack]] = {
    pack.name: pack for pack in (DEFAULT, SIRIUSDECISIONS, TWO_STAGE, CONTENT_LED)
}
"""Every pack by its name."""

MOVES: Final = DEFAULT.table
"""The table of the default pack."""
