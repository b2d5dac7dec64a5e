"""The life of a lead under each pack: given what happened, when a fact comes, then what follows."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import example, settings
from hypothesis import given as whatever
from hypothesis import strategies as st

from domain.counts import Act, Count
from domain.cycles import cycles
from domain.events import Fact, StageEntered
from domain.lead import Lead
from domain.policy import DAY, Policy
from domain.stages import CONTENT_LED, PACKS, RANK, SIRIUSDECISIONS, TWO_STAGE, Pack
from tests.examples import (
    ACCEPTED,
    BUDGET,
    DEMO,
    NEED,
    NEWSLETTER,
    OPPORTUNITY,
    PRICING,
    QUALIFIED,
    START,
    VP,
    WON,
    fact,
    recycled,
    small_policy,
)
from tests.given import Crosses, Enters, given, happen

SIRIUS = small_policy(pack=SIRIUSDECISIONS)
STAGED = small_policy(pack=TWO_STAGE)
READING = small_policy(pack=CONTENT_LED)

MQL = (NEWSLETTER, DEMO, PRICING)
LOST = fact("deal.lost", 20, opportunity="o1", reason="price")
LATER = 60
"""A day by which the engagement has left the band."""

each_pack = pytest.mark.parametrize("pack", PACKS.values(), ids=lambda pack: pack.name)


# --- siriusdecisions ------------------------------------------------------------------------------


def test_sirius_a_reader_is_an_mqo_and_one_who_fits_and_is_engaged_an_mql() -> None:
    given(policy=SIRIUS).when(*MQL).then(
        Enters("captured", "first_capture"),
        Enters("mqo", "content_act"),
        Crosses("up"),
        Enters("mql", "fit_and_engagement"),
    )


def test_sirius_sales_qualify_only_what_they_accepted() -> None:
    given(*MQL, NEED, BUDGET, policy=SIRIUS).when(QUALIFIED).then()
    given(*MQL, ACCEPTED, NEED, BUDGET, policy=SIRIUS).when(QUALIFIED).then(
        Enters("sql", "qualified")
    )


def test_sirius_what_was_called_qualified_before_needs_only_to_be_accepted() -> None:
    given(*MQL, NEED, BUDGET, QUALIFIED, policy=SIRIUS).when(fact("lead.accepted", 7)).then(
        Enters("sal", "accepted"), Enters("sql", "qualified")
    )


def test_sirius_what_sales_generated_joins_at_the_sql() -> None:
    added = fact("prospect.added", actor="rep")

    given(added, NEED, BUDGET, policy=SIRIUS).when(fact("lead.accepted", 5.8), QUALIFIED).then(
        Enters("sql", "qualified")
    )


def test_sirius_what_sales_reject_rests_until_it_asks_again() -> None:
    rejected = fact("lead.rejected", 5, actor="rep", reason="no budget")

    given(*MQL, policy=SIRIUS).when(rejected).then(Enters("recycled", "rejected"))
    given(*MQL, rejected, policy=SIRIUS).when(fact("quote.requested", 30)).then(
        Enters("mql", "new_intent", 2, "recycled")
    )
    given(*MQL).when(rejected).then()


def test_sirius_a_lead_accepted_again_is_not_qualified_by_what_was_said_before() -> None:
    before = (*MQL, ACCEPTED, NEED, BUDGET, QUALIFIED, recycled(10))

    given(*before, policy=SIRIUS).when(fact("lead.accepted", 12)).then(
        Enters("sal", "accepted_again", 2, "recycled")
    )


# --- two_stage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        fact("form.submitted", kind="content"),
        fact("form.submitted", kind="newsletter"),
        fact("event.attended", kind="webinar", registered_only=True),
    ],
)
def test_two_stage_one_act_makes_an_mql(act: Fact) -> None:
    given(policy=STAGED).when(act).then(
        Enters("captured", "first_capture"), Enters("mql", "qualified_act")
    )


def test_two_stage_a_download_makes_an_mql_of_a_lead_and_of_a_former_mqo() -> None:
    download = fact("content.downloaded", 1)

    given(fact("ad_lead.received"), policy=STAGED).when(download).then(
        Enters("mql", "qualified_act")
    )
    reader = given(NEWSLETTER).lead
    reader.forget_bounds()
    entered = [one for one in happen(reader, download, STAGED) if isinstance(one, StageEntered)]
    assert [one.rule for one in entered] == ["qualified_act"]


def test_two_stage_a_badge_at_a_fair_and_what_others_do_make_no_mql() -> None:
    given(policy=STAGED).when(
        fact("event.attended", kind="trade_show"),
        fact("content.downloaded", 1, actor="machine"),
        fact("content.downloaded", 2, actor="rep"),
    ).then(Enters("captured", "first_capture"))


@pytest.mark.parametrize("type_", ["demo.requested", "pricing.requested", "quote.requested"])
def test_two_stage_a_request_makes_an_sql_that_nobody_accepted(type_: str) -> None:
    given(policy=STAGED).when(NEWSLETTER, fact(type_, 2)).then(
        Enters("captured", "first_capture"),
        Enters("mql", "qualified_act"),
        Enters("sql", "intent"),
    )
    given(policy=STAGED).when(fact(type_)).then(
        Enters("captured", "first_capture"), Enters("sql", "intent")
    )


def test_two_stage_score_and_criteria_together_make_an_sql() -> None:
    trial = [fact("trial.started", 0, traits=VP), fact("meeting.held", 1, kind="intro")]
    policy = replace(STAGED, mql_engagement=10_000_000)
    warm = given(NEWSLETTER, *trial, NEED, policy=policy)

    assert warm.lead.hot
    assert warm.lead.stage == "mql"
    warm.when(BUDGET).then(Enters("sql", "score_and_criteria"))
    given(NEWSLETTER, NEED, policy=STAGED).when(BUDGET).then()


def test_two_stage_the_word_of_a_producer_is_kept() -> None:
    given(NEWSLETTER, policy=STAGED).when(ACCEPTED).then(Enters("sal", "accepted"))
    given(NEWSLETTER, ACCEPTED, NEED, BUDGET, policy=STAGED).when(QUALIFIED).then(
        Enters("sql", "qualified")
    )


def test_two_stage_acts_are_those_of_the_policy() -> None:
    policy = replace(STAGED, acts=(Act("trial", ("trial.started",), (("plan", ("pro",)),)),))

    given(NEWSLETTER, policy=policy).when(
        fact("content.downloaded", 1), fact("trial.started", 2, plan="free")
    ).then()
    given(NEWSLETTER, policy=policy).when(fact("trial.started", 2, plan="pro")).then(
        Enters("mql", "qualified_act")
    )


def test_two_stage_who_rests_comes_back_as_an_mql_or_by_a_request_as_an_sql() -> None:
    resting = (NEWSLETTER, recycled(10, until=40))

    given(*resting, policy=STAGED).when(fact("page.viewed", 41)).then(
        Enters("mql", "woken_up", 2, "recycled")
    )
    given(*resting, policy=STAGED).when(fact("form.submitted", 20, kind="demo")).then(
        Enters("sql", "new_intent", 2, "recycled")
    )


# --- content_led ----------------------------------------------------------------------------------

GUIDE = fact("form.submitted", 0, kind="content")


def opened(day: float, **more: Any) -> Fact:
    return fact("content.opened", day, content="guide", **more)


def clicked(day: float, **more: Any) -> Fact:
    return fact("email.clicked", day, **more)


def test_content_led_the_form_for_a_guide_makes_a_lead() -> None:
    given(policy=READING).when(GUIDE).then(Enters("captured", "first_capture"))


def test_content_led_a_guide_opened_three_times_within_thirty_days_makes_an_mql() -> None:
    given(GUIDE, opened(1), opened(2), policy=READING).when(opened(3)).then(
        Enters("mql", "acts_counted")
    )
    given(GUIDE, opened(1), opened(2), policy=READING).when(opened(31)).then(
        Enters("mql", "acts_counted")
    )
    given(GUIDE, opened(1), opened(2), policy=READING).when(opened(31.1)).then()


def test_content_led_a_newsletter_clicked_twice_makes_an_mql() -> None:
    given(GUIDE, clicked(1), policy=READING).when(clicked(2)).then(Enters("mql", "acts_counted"))
    given(GUIDE, clicked(1), policy=READING).when(opened(2)).then()


def test_content_led_machines_do_not_count_whether_reported_or_found_out() -> None:
    by_machine = clicked(1, actor="machine")
    delivered = fact("email.delivered", 1, actor="machine", message="m1")
    too_fast = clicked(1, message="m1", at=delivered.at + 500_000)

    given(GUIDE, by_machine, policy=READING).when(clicked(2)).then()
    found_out = given(GUIDE, delivered, too_fast, policy=READING).lead
    assert "mql" not in [event.stage for event in stages(happen(found_out, clicked(2), READING))]


def test_content_led_what_was_voided_does_not_count() -> None:
    first = clicked(1, id="first")
    voided = fact("event.voided", 1.5, event_source="/test", event_id="first")
    lead = given(GUIDE, first, voided, policy=READING).lead

    assert stages(happen(lead, clicked(2), READING)) == []


def test_content_led_a_late_act_counts_while_it_is_in_the_time() -> None:
    given(GUIDE, clicked(20), policy=READING).when(clicked(2)).then(Enters("mql", "acts_counted"))
    given(GUIDE, clicked(40), policy=READING).when(clicked(2)).then()


def test_content_led_distinct_objects_count_once_each() -> None:
    count = Count(Act("guides", ("content.opened",)), 2, 10 * DAY, "content")
    policy = replace(READING, counts=(count,))
    other = fact("content.opened", 3, content="another guide")

    given(GUIDE, opened(1), policy=policy).when(opened(2), fact("content.opened", 2.5)).then()
    given(GUIDE, opened(1), policy=policy).when(other).then(Enters("mql", "acts_counted"))


def test_content_led_a_request_or_the_score_hands_over() -> None:
    given(GUIDE, policy=READING).when(fact("quote.requested", 1)).then(Enters("sql", "intent"))
    policy = replace(READING, mql_engagement=5_000_000)  # so that it is the fit that was missing
    given(GUIDE, policy=policy).when(fact("trial.started", 1, traits=VP)).then(
        Enters("sql", "score_reached")
    )


# --- every pack -----------------------------------------------------------------------------------


@each_pack
def test_opportunity_and_deal_skip_what_was_not_said(pack: Pack) -> None:
    policy = small_policy(pack=pack)
    story = given(policy=policy).when(OPPORTUNITY, WON)

    story.then(Enters("opportunity", "opportunity_created"), Enters("won", "deal_won"))


@each_pack
def test_nothing_goes_back_but_by_an_explicit_word(pack: Pack) -> None:
    policy = small_policy(pack=pack, engagement_rules=())
    before = (*MQL, ACCEPTED, NEED, BUDGET, QUALIFIED, OPPORTUNITY)
    given(*before, fact("note.added", 50), policy=policy).when(
        fact("form.submitted", LATER, kind="content"),
        fact("content.downloaded", LATER),
        fact("demo.requested", LATER),
        fact("prospect.added", LATER, actor="rep"),
        fact("lead.accepted", LATER, actor="rep"),
        fact("lead.qualified", LATER, actor="rep"),
        fact("lead.rejected", LATER, actor="rep"),
        fact("lead.reopened", LATER, actor="rep"),
    ).then()


@each_pack
def test_a_lead_is_recycled_reopened_and_expanded_in_cycles_of_their_own(pack: Pack) -> None:
    policy = small_policy(pack=pack)
    cold = replace(policy, engagement_rules=())
    story = given(*MQL, ACCEPTED, recycled(10), policy=cold)
    story.when(
        fact("opportunity.created", 11, opportunity="o1", actor="rep"),
        LOST,
        fact("lead.reopened", 30, actor="rep"),
        fact("deal.won", 40, opportunity="o2", actor="rep"),
        fact("opportunity.created", 90, opportunity="o3", actor="rep"),
    ).then(
        Enters("opportunity", "new_opportunity", 2, "recycled"),
        Enters("lost", "deal_lost", 2, "recycled"),
        Enters("captured", "reopened", 3, "reopened"),
        Enters("won", "deal_won", 3, "reopened"),
        Enters("opportunity", "new_opportunity_after_won", 4, "expansion"),
    )


@each_pack
def test_without_auto_advance_only_the_words_of_producers_move_a_lead(pack: Pack) -> None:
    policy = small_policy(pack=pack, auto_advance=False, engagement_rules=())
    acts = (NEWSLETTER, fact("content.downloaded", 1), opened(1), opened(2), opened(2.5))
    given(policy=policy).when(*acts, fact("quote.requested", 3, traits=VP)).then(
        Enters("captured", "first_capture")
    )
    given(NEWSLETTER, policy=policy).when(ACCEPTED, NEED, BUDGET, QUALIFIED, OPPORTUNITY).then(
        Enters("sal", "accepted"),
        Enters("sql", "qualified"),
        Enters("opportunity", "opportunity_created"),
    )


@each_pack
def test_sales_may_disqualify_whom_marketing_left_behind(pack: Pack) -> None:
    policy = small_policy(pack=pack)

    given(fact("ad_lead.received"), policy=policy).when(fact("lead.disqualified", 3)).then(
        Enters("disqualified", "disqualified")
    )


# --- of every history -----------------------------------------------------------------------------


def stages(events: Sequence[Any]) -> list[StageEntered]:
    """Return the stage entries among *events*."""
    return [event for event in events if isinstance(event, StageEntered)]


TYPES = sorted({type_ for pack in PACKS.values() for move in pack.table for type_ in move.on or ()})
facts = st.builds(
    fact,
    st.sampled_from(TYPES) | st.sampled_from(("content.opened", "email.clicked", "page.viewed")),
    st.integers(0, 90),
    id=st.integers(0, 10**6).map(str),
    actor=st.sampled_from(("prospect", "prospect", "rep", "machine", "unknown")),
    kind=st.sampled_from(("content", "demo", "webinar", "trial")),
    criterion=st.sampled_from(("need", "money", "budget", "champion", "other")),
    satisfied=st.sampled_from((True, True, False, None)),
    opportunity=st.sampled_from(("o1", "o2")),
    until=st.integers(0, 90).map(lambda day: START + day * DAY),
    traits=st.none() | st.just(VP),
)
histories = st.lists(facts, max_size=25, unique_by=lambda one: one.id)
policies = st.builds(
    small_policy,
    pack=st.sampled_from(list(PACKS.values())),
    auto_advance=st.booleans(),
    mql_engagement=st.sampled_from((5_000_000, 50_000_000)),
    criteria_needed=st.sampled_from((1, 2)),
)

EXPLICIT = {"lead.recycled", "lead.rejected", "lead.disqualified", "deal.lost"}


@settings(max_examples=200)
@whatever(histories, policies)
@example([*MQL, ACCEPTED, QUALIFIED, OPPORTUNITY, WON], SIRIUS)
def test_whatever_happens_the_moves_made_are_rows_of_the_pack(
    history: list[Fact], policy: Policy
) -> None:
    """And a stage goes back within its cycle only by an explicit word."""
    lead = Lead()
    by_rule = {move.rule: move for move in policy.pack.table}
    for one in history:
        stage, place = lead.stage, -1
        for entry in stages(happen(lead, one, policy)):
            move = by_rule[entry.rule]
            assert entry.stage == move.to
            assert entry.previous == stage
            assert stage in move.after
            assert move.on is None or one.type in move.on
            assert policy.auto_advance or not move.automatic
            assert policy.pack.table.index(move) > place, "machine order"
            back = RANK.get(entry.stage, -1) <= RANK.get(stage or "", -1)
            assert not back or move.opens or one.type in EXPLICIT
            stage, place = entry.stage, policy.pack.table.index(move)


@settings(max_examples=100)
@whatever(histories, policies)
def test_whatever_happens_the_cycles_tell_every_entry_once(
    history: list[Fact], policy: Policy
) -> None:
    lead = Lead()
    entries = [
        one
        for each in sorted(history, key=lambda one: one.order)
        for one in stages(happen(lead, each, policy))
    ]
    told = cycles(entries)

    assert sum(visit.entries for cycle in told for visit in cycle.visits) == len(entries)
    assert [cycle.number for cycle in told] == sorted({one.cycle for one in entries})
    for cycle, following in zip_longest(told, told[1:]):
        assert cycle.closed_at == (None if following is None else following.opened_at)
        for visit in cycle.visits:
            assert visit.implied == (visit.first_entered_at is None)
            assert visit.dwell is None or visit.dwell >= 0
        left = sum(visit.dwell or 0 for visit in cycle.visits)
        until = cycle.closed_at
        if until is not None:
            assert left == until - cycle.opened_at
