"""The stage table, row by row: each move fires where it says and nowhere else."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from domain.events import Fact, StageEntered
from domain.guards import GUARDS
from domain.lead import Lead, decide
from domain.stages import (
    BEFORE_OPPORTUNITY,
    DEFAULT,
    MOVES,
    OPEN,
    OWNER,
    PATH,
    RANK,
    STAGES,
    Move,
)
from domain.vocabulary import FAMILY_OF
from tests.examples import POLICY, START, VP, fact

EVERYWHERE = (None, *STAGES)
ANY = "note.added"
"""Stands for any type where a move does not ask for one: no rule of its own looks at it."""


def _hot_and_fit(lead: Lead) -> dict[str, Any]:
    lead.hot, lead.hot_until = True, 2**62
    lead.traits = dict(VP)
    return {}


def _due(lead: Lead) -> dict[str, Any]:
    lead.recycled_until = START
    return {}


def _answered(lead: Lead) -> dict[str, Any]:
    lead.qualified = True
    lead.criteria = {"need": True, "budget": True}
    return {}


HOLDS: dict[str | None, Callable[[Lead], dict[str, Any]]] = {
    None: lambda lead: {},
    "by_person": lambda lead: {},
    "content_without_intent": lambda lead: {"kind": "content"},
    "fit_and_engagement": _hot_and_fit,
    "no_other_open_opportunity": lambda lead: {"opportunity": "o1"},
    "qualified_with_criteria": _answered,
    "wake_up_due": _due,
}
"""By guard: make it hold for a lead, and return the data that the fact needs."""


def _shown_intent(lead: Lead) -> dict[str, Any]:
    lead.intent = True
    return {"kind": "content"}


def _cool(lead: Lead) -> dict[str, Any]:
    lead.traits = dict(VP)
    return {}


def _unfit(lead: Lead) -> dict[str, Any]:
    lead.hot, lead.hot_until = True, 2**62
    return {}


def _other_open(lead: Lead) -> dict[str, Any]:
    lead.opportunities = {"o1": "open", "o2": "open"}
    return {"opportunity": "o1"}


def _one_answer(lead: Lead) -> dict[str, Any]:
    lead.qualified = True
    lead.criteria = {"need": True, "budget": False}
    return {}


def _not_yet(lead: Lead) -> dict[str, Any]:
    lead.recycled_until = START + 1
    return {}


FAILS: list[tuple[str, Callable[[Lead], dict[str, Any]]]] = [
    ("by_person", lambda lead: {"actor": "machine"}),
    ("by_person", lambda lead: {"actor": "rep"}),
    ("content_without_intent", _shown_intent),
    ("content_without_intent", lambda lead: {"kind": "content", "actor": "machine"}),
    ("fit_and_engagement", _cool),
    ("fit_and_engagement", _unfit),
    ("no_other_open_opportunity", _other_open),
    ("qualified_with_criteria", _one_answer),
    ("wake_up_due", _not_yet),
    ("wake_up_due", lambda lead: _due(lead) | {"actor": "rep"}),
    ("wake_up_due", lambda lead: _due(lead) | {"actor": "unknown"}),
    ("wake_up_due", lambda lead: {}),
]
"""What keeps a guard from holding, one thing at a time."""


def lead_in(stage: str | None) -> Lead:
    """Return a lead in *stage* that knows nothing else."""
    lead = Lead()
    lead.stage = stage
    return lead


def first_move(lead: Lead, one: Fact) -> StageEntered | None:
    """Return the first stage that *one* makes *lead* enter."""
    found = [event for event in decide(lead, one, POLICY) if isinstance(event, StageEntered)]
    return found[0] if found else None


def rows() -> Iterator[Any]:
    """Yield each move with each type of fact that may cause it, and each stage there is."""
    for move in MOVES:
        for type_ in sorted(move.on or (ANY,)):
            for stage in EVERYWHERE:
                yield pytest.param(move, type_, stage, id=f"{move.rule}-{type_}-{stage}")


@pytest.mark.parametrize("move, type_, stage", list(rows()))
def test_a_move_fires_from_the_stages_it_names_and_only_there(
    move: Move, type_: str, stage: str | None
) -> None:
    lead = lead_in(stage)
    entered = first_move(lead, fact(type_, **HOLDS[move.guard](lead)))

    fired = entered is not None and entered.rule == move.rule
    assert fired == (stage in move.after)
    if entered is not None and fired:
        assert (entered.stage, entered.previous) == (move.to, stage)
        assert entered.cycle == (2 if move.opens else 1)
        assert entered.cycle_kind == (move.opens or "new")


@pytest.mark.parametrize("move, type_, stage", [row for row in rows() if row.values[0].automatic])
def test_an_automatic_move_is_off_without_auto_advance(
    move: Move, type_: str, stage: str | None
) -> None:
    lead = lead_in(stage)
    one = fact(type_, **HOLDS[move.guard](lead))

    rules = [
        event.rule
        for event in decide(lead, one, replace(POLICY, auto_advance=False))
        if isinstance(event, StageEntered)
    ]
    assert move.rule not in rules


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.rule)
def test_no_other_type_of_fact_makes_the_move(move: Move) -> None:
    if move.on is None:
        assert move.guard is not None, "a move that asks for nothing would always fire"
        return
    for stage in move.after:
        for type_ in sorted({*FAMILY_OF, "acme.waved"} - move.on):
            assert move not in DEFAULT.moves(type_, stage)
            lead = lead_in(stage)
            entered = first_move(lead, fact(type_, **HOLDS[move.guard](lead)))
            assert entered is None or entered.rule != move.rule


@pytest.mark.parametrize("guard, spoil", FAILS, ids=lambda one: one if isinstance(one, str) else "")
def test_a_move_does_not_fire_when_its_guard_fails(
    guard: str, spoil: Callable[[Lead], dict[str, Any]]
) -> None:
    for move in MOVES:
        if move.guard == guard:
            for stage in move.after:
                lead = lead_in(stage)
                type_ = min(move.on or (ANY,))
                entered = first_move(lead, fact(type_, **spoil(lead)))
                assert entered is None or entered.rule != move.rule


def test_every_guard_is_tested_both_ways_and_used() -> None:
    assert set(GUARDS) == {move.guard for move in MOVES} - {None}
    assert set(GUARDS) == {guard for guard, _ in FAILS}
    assert set(GUARDS) == set(HOLDS) - {None}


def test_a_rule_is_the_name_of_one_move() -> None:
    assert len(MOVES) == len({move.rule for move in MOVES})


def test_moves_stand_in_machine_order() -> None:
    places = [STAGES.index(move.to) for move in MOVES]

    assert places == sorted(places)


def test_the_eleven_codes_are_those_of_the_field() -> None:
    assert STAGES == (
        *("captured", "mqo", "mql", "sgl", "sal", "sql", "opportunity", "won", "lost"),
        *("recycled", "disqualified"),
    )
    assert set(OWNER) == set(STAGES)
    assert set(RANK) == {*PATH, "sgl"}


def test_every_stage_can_be_reached() -> None:
    reached: set[str | None] = {None}
    waiting: deque[str | None] = deque([None])
    while waiting:
        stage = waiting.popleft()
        for move in MOVES:
            if stage in move.after and move.to not in reached:
                reached.add(move.to)
                waiting.append(move.to)

    assert reached == set(EVERYWHERE)


def test_a_lead_goes_back_within_a_cycle_only_when_sales_or_marketing_say_so() -> None:
    """Going back is going to a stage of lower rank, or off the path."""
    for move in MOVES:
        if move.opens is None:
            for stage in move.after - {None}:
                assert stage is not None
                forward = move.to in RANK and RANK.get(stage, 99) < RANK[move.to]
                explicit = {"lead.recycled", "lead.disqualified", "deal.lost"} >= (move.on or {""})
                assert forward or explicit, (stage, move.rule)


def test_what_ends_a_cycle_or_opens_one_is_no_accident() -> None:
    """Won, lost, recycled and disqualified are left by a new cycle, or by what was said of them."""
    for move in MOVES:
        for stage in move.after & {"won", "lost", "recycled", "disqualified"}:
            assert move.opens is not None or move.to in {"recycled", "disqualified"}, stage


def test_a_fact_of_unknown_type_or_a_stage_of_a_later_version_moves_nothing() -> None:
    assert {move.on for stage in EVERYWHERE for move in DEFAULT.moves("acme.waved", stage)} == {
        None
    }
    assert DEFAULT.moves("deal.won", "a stage to come") == ()


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.rule)
def test_the_moves_behind_a_move_are_those_further_down_the_table(move: Move) -> None:
    below = MOVES[MOVES.index(move) + 1 :]
    for stage in EVERYWHERE:
        for type_ in FAMILY_OF:
            expected = tuple(one for one in DEFAULT.moves(type_, stage) if one in below)
            assert expected == DEFAULT.moves(type_, stage, move)


@pytest.mark.parametrize("stage", sorted(BEFORE_OPPORTUNITY, key=str))
def test_stages_may_be_skipped_on_the_way_to_a_deal(stage: str | None) -> None:
    for type_, to in (("opportunity.created", "opportunity"), ("deal.won", "won")):
        entered = first_move(lead_in(stage), fact(type_))
        assert entered is not None
        assert (entered.stage, entered.previous) == (to, stage)


def test_open_stages_are_those_from_which_a_deal_can_be_won_without_a_new_cycle() -> None:
    assert OPEN == next(move.after for move in MOVES if move.rule == "deal_won")
