"""The table of each pack, row by row: each move fires where it says and nowhere else."""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from domain.decide import decide
from domain.events import Fact, StageEntered
from domain.guards import GUARDS
from domain.lead import Lead
from domain.stages import (
    BEFORE_OPPORTUNITY,
    DEFAULT,
    MOVES,
    OPEN,
    OWNER,
    PACKS,
    PATH,
    RANK,
    STAGES,
    Move,
    Pack,
)
from domain.vocabulary import FAMILY_OF
from tests.examples import START, VP, fact, small_policy

EVERYWHERE = (None, *STAGES)
ANY = "note.added"
"""Stands for any type where a move does not ask for one: no rule of its own looks at it."""


def _hot_and_fit(lead: Lead) -> dict[str, Any]:
    lead.hot, lead.hot_until = True, 2**62
    lead.traits = dict(VP)
    return {}


def _short_of_a_count(lead: Lead) -> dict[str, Any]:
    lead.facts = [fact("content.opened", -1), fact("content.opened", -2)]
    return {}


def _hot_and_answered(lead: Lead) -> dict[str, Any]:
    return _hot_and_fit(lead) | _answered(lead)


def _due(lead: Lead) -> dict[str, Any]:
    lead.recycled_until = START
    return {}


def _answered(lead: Lead) -> dict[str, Any]:
    lead.qualified = True
    lead.criteria = {"need": True, "budget": True}
    return {}


HOLDS: dict[str | None, Callable[[Lead], dict[str, Any]]] = {
    None: lambda lead: {},
    "acts_counted": _short_of_a_count,
    "by_person": lambda lead: {},
    "content_without_intent": lambda lead: {"kind": "content"},
    "fit_and_engagement": _hot_and_fit,
    "no_other_open_opportunity": lambda lead: {"opportunity": "o1"},
    "qualified_act": lambda lead: {"kind": "content"},
    "qualified_with_criteria": _answered,
    "score_and_criteria": _hot_and_answered,
    "shows_intent": lambda lead: {"kind": "demo"},
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


def _hot_with_one_answer(lead: Lead) -> dict[str, Any]:
    return _hot_and_fit(lead) | _one_answer(lead)


def _cool_and_answered(lead: Lead) -> dict[str, Any]:
    return _cool(lead) | _answered(lead)


def _never_called_qualified(lead: Lead) -> dict[str, Any]:
    lead.criteria = {"need": True, "budget": False}
    return {"criterion": "authority", "value": 1}


def _long_ago(lead: Lead) -> dict[str, Any]:
    lead.facts = [fact("content.opened", -31), fact("content.opened", -32)]
    return {}


def _by_machines(lead: Lead) -> dict[str, Any]:
    lead.facts = [fact("content.opened", -n, actor="machine") for n in (1, 2)]
    return {}


def _not_yet(lead: Lead) -> dict[str, Any]:
    lead.recycled_until = START + 1
    return {}


FAILS: list[tuple[str, Callable[[Lead], dict[str, Any]]]] = [
    ("acts_counted", lambda lead: {}),
    ("acts_counted", _long_ago),
    ("acts_counted", _by_machines),
    ("acts_counted", lambda lead: _short_of_a_count(lead) | {"actor": "machine"}),
    ("by_person", lambda lead: {"actor": "machine"}),
    ("by_person", lambda lead: {"actor": "rep"}),
    ("content_without_intent", _shown_intent),
    ("content_without_intent", lambda lead: {"kind": "content", "actor": "machine"}),
    ("fit_and_engagement", _cool),
    ("fit_and_engagement", _unfit),
    ("no_other_open_opportunity", _other_open),
    ("qualified_act", lambda lead: {"kind": "trial"}),
    ("qualified_act", lambda lead: {"kind": "content", "actor": "rep"}),
    ("qualified_with_criteria", _one_answer),
    ("qualified_with_criteria", _never_called_qualified),
    ("score_and_criteria", _hot_with_one_answer),
    ("score_and_criteria", _cool_and_answered),
    ("shows_intent", lambda lead: {"kind": "demo", "actor": "machine"}),
    ("shows_intent", lambda lead: {"kind": "demo", "actor": "rep"}),
    ("wake_up_due", _not_yet),
    ("wake_up_due", lambda lead: _due(lead) | {"actor": "rep"}),
    ("wake_up_due", lambda lead: _due(lead) | {"actor": "unknown"}),
    ("wake_up_due", lambda lead: {}),
]
"""What keeps a guard from holding, one thing at a time."""

EXAMPLE = {"acts_counted": "content.opened", "qualified_act": "form.submitted"}
"""By guard of a move on any fact: a type of fact that it can hold for."""

packs = pytest.mark.parametrize("pack", PACKS.values(), ids=lambda pack: pack.name)


def lead_in(stage: str | None) -> Lead:
    """Return a lead in *stage* that knows nothing else."""
    lead = Lead()
    lead.stage = stage
    return lead


def types_of(move: Move) -> list[str]:
    """Return the types of fact that *move* is tried with."""
    return sorted(move.on or (EXAMPLE.get(move.guard or "", ANY),))


def entered(lead: Lead, one: Fact, pack: Pack, **changes: Any) -> list[StageEntered]:
    """Return the stages that *one* makes *lead* enter under *pack*."""
    policy = small_policy(pack=pack, engagement_rules=(), **changes)
    lead.decided_by = policy  # the bound that keeps the lead in its band stands
    return [event for event in decide(lead, one, policy) if isinstance(event, StageEntered)]


def entries(pack: Pack, move: Move, type_: str, stage: str | None) -> list[StageEntered]:
    """Return what a fact of *type_* leads to in *stage* where the guard of *move* holds."""
    lead = lead_in(stage)
    return entered(lead, fact(type_, **HOLDS[move.guard](lead)), pack)


@packs
def test_a_move_fires_from_the_stages_it_names_and_only_there(pack: Pack) -> None:
    """Unless a move further up the table was made first."""
    order = [move.rule for move in pack.table]
    for move in pack.table:
        for type_ in types_of(move):
            for stage in EVERYWHERE:
                assert (move in pack.moves(type_, stage)) == (stage in move.after)
                found = {one.rule: one for one in entries(pack, move, type_, stage)}
                if move.rule not in found:
                    first = next(iter(found), None)
                    overtaken = first is not None and order.index(first) < order.index(move.rule)
                    assert overtaken or stage not in move.after, (move, type_, stage)
                    continue
                one = found[move.rule]
                assert one.stage == move.to
                assert one.previous in move.after
                assert one.cycle == 1 + any(pack_move(pack, rule).opens for rule in found)
                assert move.opens in (None, one.cycle_kind)


def pack_move(pack: Pack, rule: str) -> Move:
    """Return the move of *pack* that goes by *rule*."""
    return next(move for move in pack.table if move.rule == rule)


@packs
def test_an_automatic_move_is_off_without_auto_advance(pack: Pack) -> None:
    for move in pack.table:
        for type_ in types_of(move):
            for stage in EVERYWHERE:
                lead = lead_in(stage)
                one = fact(type_, **HOLDS[move.guard](lead))
                rules = {each.rule for each in entered(lead, one, pack, auto_advance=False)}
                assert not rules & {each.rule for each in pack.table if each.automatic}


@packs
def test_no_other_type_of_fact_makes_the_move(pack: Pack) -> None:
    for move in pack.table:
        if move.on is None:
            assert move.guard is not None, "a move that asks for nothing would always fire"
            continue
        for stage in move.after:
            for type_ in sorted({*FAMILY_OF, "acme.waved"} - move.on):
                assert move not in pack.moves(type_, stage)
                assert move.rule not in {one.rule for one in entries(pack, move, type_, stage)}


@packs
@pytest.mark.parametrize("guard, spoil", FAILS, ids=lambda one: one if isinstance(one, str) else "")
def test_a_move_does_not_fire_when_its_guard_fails(
    pack: Pack, guard: str, spoil: Callable[[Lead], dict[str, Any]]
) -> None:
    for move in pack.table:
        if move.guard == guard:
            for stage in move.after:
                lead = lead_in(stage)
                # lead.qualified is the word that the guard of SQL otherwise waits for
                type_ = min(set(types_of(move)) - {"lead.accepted"})
                found = entered(lead, fact(type_, **spoil(lead)), pack)
                assert move.rule not in {one.rule for one in found}


def test_every_guard_is_tested_both_ways_and_used() -> None:
    used = {move.guard for pack in PACKS.values() for move in pack.table}

    assert set(GUARDS) == used - {None}
    assert set(GUARDS) == {guard for guard, _ in FAILS}
    assert set(GUARDS) == set(HOLDS) - {None}


@packs
def test_a_rule_is_the_name_of_one_move(pack: Pack) -> None:
    assert len(pack.table) == len({move.rule for move in pack.table})


@packs
def test_moves_stand_in_machine_order(pack: Pack) -> None:
    places = [STAGES.index(move.to) for move in pack.table]

    assert places == sorted(places)


def test_the_eleven_codes_are_those_of_the_field() -> None:
    assert STAGES == (
        *("captured", "mqo", "mql", "sgl", "sal", "sql", "opportunity", "won", "lost"),
        *("recycled", "disqualified"),
    )
    assert set(OWNER) == set(STAGES)
    assert set(RANK) == {*PATH, "sgl"}


def test_the_default_rules_keep_the_names_that_stored_decisions_cite() -> None:
    assert [move.rule for move in MOVES] == [
        *("first_capture", "reopened", "reopened_won", "content_act", "woken_up", "new_intent"),
        *("fit_and_engagement", "added_by_sales", "accepted", "accepted_again", "qualified"),
        *("opportunity_created", "new_opportunity_after_won", "new_opportunity", "deal_won"),
        *("deal_won_after_recycling", "deal_lost", "recycled", "disqualified"),
    ]


@packs
def test_every_stage_can_be_reached(pack: Pack) -> None:
    """But the one that marketing has no name for where reading makes an MQL, or nothing."""
    reached: set[str | None] = {None}
    waiting: deque[str | None] = deque([None])
    while waiting:
        stage = waiting.popleft()
        for move in pack.table:
            if stage in move.after and move.to not in reached:
                reached.add(move.to)
                waiting.append(move.to)
    never = {"mqo"} if pack.name in {"two_stage", "content_led"} else set()

    assert reached == set(EVERYWHERE) - never


@packs
def test_every_stage_has_a_way_out(pack: Pack) -> None:
    """Also those that the pack never enters: a lead may be there when the policy changes."""
    for stage in EVERYWHERE:
        assert any(stage in move.after and move.to != stage for move in pack.table)


@packs
def test_a_lead_goes_back_within_a_cycle_only_when_sales_or_marketing_say_so(pack: Pack) -> None:
    """Going back is going to a stage of lower rank, or off the path."""
    words = {"lead.recycled", "lead.rejected", "lead.disqualified", "deal.lost"}
    for move in pack.table:
        if move.opens is None:
            for stage in move.after - {None}:
                assert stage is not None
                forward = move.to in RANK and RANK.get(stage, 99) < RANK[move.to]
                explicit = words >= (move.on or {""})
                assert forward or explicit, (stage, move.rule)


@packs
def test_what_ends_a_cycle_or_opens_one_is_no_accident(pack: Pack) -> None:
    """Won, lost, recycled and disqualified are left by a new cycle, or by what was said of them."""
    for move in pack.table:
        for stage in move.after & {"won", "lost", "recycled", "disqualified"}:
            assert move.opens is not None or move.to in {"recycled", "disqualified"}, stage


@packs
def test_a_fact_of_unknown_type_or_a_stage_of_a_later_version_moves_nothing(pack: Pack) -> None:
    found = {move.on for stage in EVERYWHERE for move in pack.moves("acme.waved", stage)}
    assert found == {None}
    assert pack.moves("deal.won", "a stage to come") == ()


@packs
def test_the_moves_behind_a_move_are_those_further_down_the_table(pack: Pack) -> None:
    for n, move in enumerate(pack.table):
        below = pack.table[n + 1 :]
        for stage in EVERYWHERE:
            for type_ in FAMILY_OF:
                expected = tuple(one for one in pack.moves(type_, stage) if one in below)
                assert expected == pack.moves(type_, stage, move)


@packs
@pytest.mark.parametrize("stage", sorted(BEFORE_OPPORTUNITY, key=str))
def test_stages_may_be_skipped_on_the_way_to_a_deal(pack: Pack, stage: str | None) -> None:
    for type_, to in (("opportunity.created", "opportunity"), ("deal.won", "won")):
        found = entered(lead_in(stage), fact(type_), pack)
        assert [(one.stage, one.previous) for one in found] == [(to, stage)]


def test_open_stages_are_those_from_which_a_deal_can_be_won_without_a_new_cycle() -> None:
    assert OPEN == next(move.after for move in MOVES if move.rule == "deal_won")


@packs
def test_a_pack_is_found_by_its_name_and_says_what_it_is(pack: Pack) -> None:
    assert PACKS[pack.name] is pack
    assert pack.description.endswith(".")


def test_the_default_pack_is_the_one_of_a_policy_that_names_none() -> None:
    assert small_policy().pack is DEFAULT
