"""The life of a lead: what one fact after another leads to."""

import pytest

from domain.decide import decide
from domain.events import Fact, LeadMerged, StageEntered
from domain.lead import evolve
from tests.examples import (
    ACCEPTED,
    BOUGHT,
    BUDGET,
    DEMO,
    NEED,
    NEWSLETTER,
    OPPORTUNITY,
    POLICY,
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

MQL = (NEWSLETTER, DEMO, PRICING)
LOST = fact("deal.lost", 20, opportunity="o1", reason="price")
COOLED = fact("note.added", 39, actor="rep")
"""The engagement has left the band when this comes."""
REOPENED = fact("lead.reopened", 40, actor="rep")


# --- on the way -----------------------------------------------------------------------------------


def test_a_newsletter_makes_a_lead_and_a_marketing_qualified_opportunity() -> None:
    given().when(NEWSLETTER).then(Enters("captured", "first_capture"), Enters("mqo", "content_act"))


def test_whoever_asks_for_sales_is_no_mere_reader() -> None:
    form = fact("form.submitted", kind="demo")

    given().when(form, fact("content.opened", 1)).then(Enters("captured", "first_capture"))


def test_fit_and_engagement_make_a_marketing_qualified_lead() -> None:
    given(NEWSLETTER, DEMO).when(PRICING).then(Crosses("up"), Enters("mql", "fit_and_engagement"))


def test_engagement_without_fit_waits_for_the_fit() -> None:
    unknown = fact("demo.requested", 2)
    news = fact("person.updated", 5, traits=VP)

    given(NEWSLETTER, unknown).when(PRICING).then(Crosses("up"))
    given(NEWSLETTER, unknown, PRICING).when(news).then(Enters("mql", "fit_and_engagement"))


def test_one_fact_may_make_several_moves_in_machine_order() -> None:
    policy = small_policy(mql_engagement=10_000_000)
    download = fact("form.submitted", kind="content", traits=VP)

    given(policy=policy).when(download).then(
        Crosses("up"),
        Enters("captured", "first_capture"),
        Enters("mqo", "content_act"),
        Enters("mql", "fit_and_engagement"),
    )


def test_a_whole_way_to_a_deal() -> None:
    given(*MQL).when(ACCEPTED, NEED, BUDGET, QUALIFIED, OPPORTUNITY, WON).then(
        Enters("sal", "accepted"),
        Enters("sql", "qualified"),
        Enters("opportunity", "opportunity_created"),
        Enters("won", "deal_won"),
    )


def test_answers_and_the_word_of_sales_may_come_in_either_order() -> None:
    given(*MQL, ACCEPTED, QUALIFIED, NEED).when(BUDGET).then(Enters("sql", "qualified"))
    given(*MQL, ACCEPTED, NEED).when(QUALIFIED).then()
    given(*MQL, ACCEPTED, NEED, BUDGET).when(fact("note.added", 6)).then()


def test_an_answer_that_is_taken_back_does_not_count() -> None:
    taken_back = fact("qualification.answered", 6, criterion="budget", satisfied=False)

    given(*MQL, NEED, BUDGET, taken_back).when(fact("lead.qualified", 7)).then()


def test_skipped_stages_are_not_entered() -> None:
    given().when(WON).then(Enters("won", "deal_won"))
    given(NEWSLETTER).when(OPPORTUNITY).then(Enters("opportunity", "opportunity_created"))


def test_reading_pages_makes_nobody_a_lead() -> None:
    given().when(fact("page.viewed"), fact("email.clicked", 1)).then()


def test_a_prospect_that_sales_adds_is_sales_generated() -> None:
    given().when(fact("prospect.added", actor="rep", reason="outbound")).then(
        Enters("captured", "first_capture"), Enters("sgl", "added_by_sales")
    )


def test_without_auto_advance_a_lead_still_goes_where_it_is_sent() -> None:
    policy = small_policy(auto_advance=False)

    given(policy=policy).when(*MQL, ACCEPTED, OPPORTUNITY, WON).then(
        Enters("captured", "first_capture"),
        Crosses("up"),
        Enters("sal", "accepted"),
        Enters("opportunity", "opportunity_created"),
        Enters("won", "deal_won"),
    )


def test_the_same_fact_twice_is_one_fact() -> None:
    given(*BOUGHT).when(*BOUGHT).then()


def test_a_lead_is_not_lost_while_another_opportunity_is_open() -> None:
    second = fact("opportunity.created", 9, opportunity="o2")
    both = given(*MQL, OPPORTUNITY, second)

    both.when(LOST).then()
    both.when(fact("deal.lost", 21, opportunity="o2")).then(Enters("lost", "deal_lost"))


def test_a_deal_without_a_name_is_the_latest_open_one() -> None:
    lead = given(*MQL, OPPORTUNITY, fact("opportunity.created", 9, opportunity="o2")).lead
    happen(lead, fact("deal.won", 10))

    assert lead.opportunities == {"o1": "open", "o2": "won"}


def test_a_deal_without_any_opportunity_is_one_of_its_own() -> None:
    lead = given(fact("deal.won", source="/crm", id="7")).lead

    assert lead.opportunities == {"/crm#7": "won"}


# --- decay ----------------------------------------------------------------------------------------


def test_decay_alone_changes_no_stage_and_is_told_when_it_comes_to_light() -> None:
    cooled = given(*MQL).when(fact("note.added", 60)).then(Crosses("down"))

    assert cooled.lead.stage == "mql"


def test_the_band_is_left_ten_percent_below_the_threshold() -> None:
    """Forty points and thirty make 70; they are 45.0 after 30 d x log2(70 / 45) = 19.12 d."""
    at_once = (fact("demo.requested", 0, traits=VP), fact("pricing.requested", 0))
    policy = small_policy(group_caps={})

    given(*at_once, policy=policy).when(fact("note.added", 19.1)).then()
    given(*at_once, policy=policy).when(fact("note.added", 19.2)).then(Crosses("down"))


def test_a_person_who_unsubscribes_leaves_the_band() -> None:
    unsubscribed = fact("email.unsubscribed", 3.1)

    given(*MQL).when(unsubscribed).then(Crosses("down"))


def test_a_late_fact_counts_from_when_it_happened() -> None:
    """The demo was two months ago: at the newest fact a quarter of it is left."""
    late = fact("demo.requested", 0)

    given(NEWSLETTER, fact("pricing.requested", 60)).when(late).then()


# --- cycles ---------------------------------------------------------------------------------------


def test_a_recycled_lead_is_woken_up_by_the_person_once_it_is_due() -> None:
    resting = (*MQL, recycled(10, until=40))

    given(*resting).when(fact("page.viewed", 39)).then(Crosses("down"))
    given(*resting).when(fact("email.sent", 41, actor="rep")).then(Crosses("down"))
    given(*resting).when(fact("content.opened", 41)).then(
        Crosses("down"), Enters("mqo", "woken_up", 2, "recycled")
    )


def test_without_a_date_a_recycled_lead_waits_for_intent() -> None:
    resting = (*MQL, recycled(10))

    given(*resting).when(fact("content.opened", 12)).then()
    given(*resting).when(fact("contact.requested", 12)).then(
        Enters("mql", "new_intent", 2, "recycled")
    )


def test_a_machine_wakes_nobody_up() -> None:
    given(*MQL, recycled(10, until=12)).when(
        fact("email.opened", 13, actor="machine"), fact("contact.requested", 13, actor="machine")
    ).then()


def test_both_stages_entered_on_one_fact_name_the_cycle_that_it_opened() -> None:
    warm = (*MQL, recycled(4, until=5))

    given(*warm).when(fact("page.viewed", 6)).then(
        Enters("mqo", "woken_up", 2, "recycled"), Enters("mql", "fit_and_engagement", 2, "recycled")
    )


def test_a_recycled_lead_may_be_accepted_again_or_turn_out_to_buy() -> None:
    resting = (*MQL, recycled(10))

    given(*resting).when(fact("lead.accepted", 11)).then(
        Enters("sal", "accepted_again", 2, "recycled")
    )
    given(*resting).when(fact("opportunity.created", 11)).then(
        Enters("opportunity", "new_opportunity", 2, "recycled")
    )
    given(*resting).when(fact("deal.won", 11)).then(
        Enters("won", "deal_won_after_recycling", 2, "recycled")
    )


@pytest.mark.parametrize("end", [LOST, recycled(20), fact("lead.disqualified", 20)])
def test_what_has_ended_can_be_reopened(end: Fact) -> None:
    given(*MQL, end, COOLED).when(REOPENED).then(Enters("captured", "reopened", 2, "reopened"))


def test_a_customer_who_buys_again_is_in_an_expansion_cycle() -> None:
    second = fact("opportunity.created", 90, opportunity="o2")
    again = fact("deal.won", 95, opportunity="o2")

    given(*BOUGHT, COOLED).when(second, again).then(
        Enters("opportunity", "new_opportunity_after_won", 2, "expansion"),
        Enters("won", "deal_won", 2, "expansion"),
    )
    given(*BOUGHT, COOLED).when(REOPENED).then(Enters("captured", "reopened_won", 2, "expansion"))


def test_after_a_deal_acts_change_no_stage() -> None:
    given(*BOUGHT).when(
        fact("form.submitted", 30, kind="demo"),
        fact("lead.accepted", 31),
        fact("lead.recycled", 32),
        fact("lead.disqualified", 33),
        fact("deal.lost", 34, opportunity="o1"),
        fact("deal.won", 35, opportunity="o1"),
    ).then()


def test_a_new_cycle_forgets_what_was_said_in_the_one_before() -> None:
    lead = given(*MQL, ACCEPTED, NEED, BUDGET, QUALIFIED, recycled(20, until=90)).lead
    happen(lead, REOPENED)

    assert (lead.cycle, lead.cycle_kind) == (2, "reopened")
    assert (lead.intent, lead.qualified, lead.criteria) == (False, False, {})
    assert lead.recycled_until is None


def test_the_fact_that_opens_a_cycle_belongs_to_it() -> None:
    lead = given(*MQL, recycled(10)).lead
    happen(lead, fact("quote.requested", 12))

    assert (lead.cycle, lead.intent) == (2, True)


# --- what a decision says -------------------------------------------------------------------------


def test_a_decision_cites_its_rule_its_policy_and_its_fact() -> None:
    form = fact("form.submitted", 1, id="f1", source="/forms", recorded_at=START)

    assert decide(given().lead, form, POLICY) == [
        form,
        StageEntered(
            stage="captured",
            cycle=1,
            at=form.at,
            recorded_at=START,
            rule="first_capture",
            policy=POLICY.version,
            source="/forms",
            id="f1",
        ),
    ]


def test_a_stream_that_ended_in_another_lead_keeps_its_state() -> None:
    lead = given(NEWSLETTER).lead
    ended = LeadMerged(
        "other", "other", "won", 7, 0, True, 0, 0, "shared_identifier", "p@1", "/x", "1"
    )

    assert evolve(lead.copy(), ended) == lead
