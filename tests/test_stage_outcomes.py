"""The page of where each event takes a lead, row by row against the engine."""

from collections import Counter
from typing import Any

import pytest

from domain.counts import COUNTS
from domain.decide import decide
from domain.events import Fact, StageEntered
from domain.guards import GUARDS
from domain.lead import Lead
from domain.policy import DAY
from domain.stages import PACKS, STAGES, Pack
from domain.vocabulary import FAMILY_OF
from leadflow.reference_stages import outcomes_page
from leadflow.stage_outcomes import KNOWN, OTHER_TYPE, Case, cases, holds, outcome, rows
from tests.examples import START, VP, fact, small_policy

EVERYWHERE = (None, *STAGES)
packs = pytest.mark.parametrize("pack", PACKS.values(), ids=lambda pack: pack.name)


def earlier_acts(type_: str) -> list[Fact]:
    """Return the acts that are one short of a count of *type_*, or none."""
    for one in COUNTS:
        if type_ in one.act.types:
            return [fact(type_, -n) for n in range(1, one.count)]
    return []


def lead_in(stage: str | None, type_: str, case: Case) -> Lead:
    """Return a lead in *stage* of which is known what *case* says."""
    lead = Lead()
    lead.stage = stage
    known = case.known
    if "scored" in known:
        lead.hot, lead.hot_until = True, 2**62
        lead.traits = dict(VP)
    if "criteria" in known:
        lead.criteria = {"need": True, "money": True}
    lead.qualified = "qualified" in known
    if "due" in known:
        lead.recycled_until = START - DAY
    if "intent" in known:
        lead.intent = True
    lead.opportunities = {"o1": "open", "o2": "open"} if "other_open" in known else {}
    if "counted" in known:
        lead.facts = earlier_acts(type_)
    return lead


def entered(pack: Pack, type_: str, stage: str | None, case: Case) -> list[StageEntered]:
    """Return what the engine decides when the event of *case* comes."""
    data: dict[str, Any] = dict(case.data)
    if type_ == "deal.lost":
        data["opportunity"] = "o1"
    name = "acme.waved" if type_ == OTHER_TYPE else type_
    # No act earns or costs points, so that the lead is in its band just where the case says so.
    policy = small_policy(pack=pack, engagement_rules=())
    lead = lead_in(stage, type_, case)
    lead.decided_by = policy  # the bound that keeps the lead in its band stands
    events = decide(lead, fact(name, actor=case.actor, **data), policy)
    return [event for event in events if isinstance(event, StageEntered)]


@packs
def test_each_row_of_the_page_is_what_the_engine_decides(pack: Pack) -> None:
    for row in rows(pack):
        for type_ in row.types:
            for case in row.cases:
                for stage in row.stages:
                    found = entered(pack, type_, stage, case)
                    place = (type_, case, stage)
                    assert row.outcome.path == tuple((e.stage, e.rule) for e in found), place
                    kinds = {e.cycle_kind for e in found if e.cycle == 2}
                    assert kinds == ({row.outcome.opens} if row.outcome.opens else set()), place


@packs
def test_what_the_page_does_not_list_is_what_the_engine_does_without_the_case(pack: Pack) -> None:
    """Every type, case and stage there is, listed or not."""
    for type_ in (*FAMILY_OF, OTHER_TYPE):
        for case in cases(pack, type_):
            for stage in EVERYWHERE:
                expected = outcome(pack, type_, stage, case).path
                found = entered(pack, type_, stage, case)
                assert expected == tuple((e.stage, e.rule) for e in found), (type_, case, stage)


@packs
def test_every_type_has_its_place_on_the_page(pack: Pack) -> None:
    told = Counter(type_ for row in rows(pack) for type_ in set(row.types))

    assert set(told) == {*FAMILY_OF, OTHER_TYPE}


@packs
def test_every_rule_of_a_pack_is_told_of(pack: Pack) -> None:
    told = {rule for row in rows(pack) for _, rule in row.outcome.path}

    assert told == {move.rule for move in pack.table}


def test_every_guard_has_its_cases_and_every_thing_known_its_words() -> None:
    for guard in GUARDS:
        assert isinstance(holds(guard, "form.submitted", Case()), bool), guard
    with pytest.raises(ValueError, match="no case tells"):
        holds("another", "form.submitted", Case())
    used = {word for pack in PACKS.values() for row in rows(pack) for word in row.cases[0].known}
    assert used == set(KNOWN)


def test_the_page_has_a_part_for_each_pack() -> None:
    page = outcomes_page()

    for name in PACKS:
        assert f"\n## `{name}`\n" in page
    for type_ in FAMILY_OF:
        assert page.count(f"`{type_}`") >= len(PACKS)
