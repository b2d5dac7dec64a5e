"""What is voided, reclassified or judged a machine's act: numbers change, decisions stay."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.corrections import (
    BURST,
    CORRECTIONS,
    FAST,
    RECLASSIFIED,
    VOIDED,
    Corrections,
    FactId,
    corrections,
    effective,
    machine_acts,
    target_of,
)
from domain.decide import as_occurred, decide
from domain.events import (
    ActorJudged,
    Event,
    Fact,
    LeadRestated,
    StageEntered,
    ThresholdCrossed,
    canonical,
)
from domain.lead import Lead, fold
from domain.policy import DAY
from domain.scoring import engagement, score
from leadflow.store.codec import decode, decode_lead, encode, encode_lead
from tests.examples import (
    BUDGET,
    DEMO,
    NEED,
    NEWSLETTER,
    POLICY,
    PRICING,
    START,
    VP,
    WON,
    fact,
    small_policy,
)
from tests.given import Crosses, Enters, Judges, Restates, happen
from tests.given import given as lead_given

SECOND = DAY // 86_400


def void(of: Fact, day: float = 60, /, **fields: Any) -> Fact:
    """Return the fact that *of* did not happen."""
    who = {"person": None, "actor": "unknown"}
    return fact(VOIDED, day, event_source=of.source, event_id=of.id, **(who | fields))


def reclassify(of: Fact, kind: str, day: float = 60, /, **fields: Any) -> Fact:
    """Return the fact that a *kind* of actor did *of*."""
    who = {"person": None, "actor": "unknown"}
    told = {"event_source": of.source, "event_id": of.id, "actor_kind": kind}
    return fact(RECLASSIFIED, day, **(told | who | fields))


def mail(kind: str, second: float, link: str | None = None, message: str = "m1") -> Fact:
    """Return what became of a message, *second* seconds after START."""
    data = {} if link is None else {"link": f"https://example.com/{link}"}
    return fact(
        f"email.{kind}", second / 86_400, id=f"{kind} {second} {link}", message=message, **data
    )


def in_force(*facts: Fact) -> Corrections:
    return corrections(canonical(facts))


def key(one: Fact) -> FactId:
    return one.source, one.id


def recorded(*facts: Fact) -> tuple[Lead, list[Event]]:
    """Return the lead to which *facts* happened in this order, and its log."""
    lead, log = Lead(), list[Event]()
    for one in facts:
        log += happen(lead, one)
    return lead, log


# --- which corrections are in force ---------------------------------------------------------------


def test_nothing_is_corrected_where_nobody_says_so() -> None:
    assert not in_force(NEWSLETTER, DEMO)
    assert effective([NEWSLETTER, DEMO], POLICY) == [NEWSLETTER, DEMO]


def test_a_voided_fact_counts_again_when_the_voiding_is_voided() -> None:
    first = void(DEMO, 5)
    second = void(first, 6)
    third = void(second, 7)

    assert {key(DEMO): key(first)} == in_force(DEMO, first).voided
    assert {key(first): key(second)} == in_force(DEMO, first, second).voided
    assert {key(DEMO), key(second)} == in_force(DEMO, first, second, third).voided.keys()


def test_the_last_reclassification_holds_and_an_earlier_one_when_it_is_voided() -> None:
    machine, rep = reclassify(DEMO, "machine", 5), reclassify(DEMO, "rep", 6)

    assert {key(DEMO): "rep"} == in_force(machine, rep).as_actors()
    assert {key(DEMO): "machine"} == in_force(machine, rep, void(rep, 7)).as_actors()
    assert [DEMO.actor] == [
        one.actor
        for one in effective(canonical([DEMO, machine, void(machine, 7)]), POLICY)
        if one.type == DEMO.type
    ]


def test_a_correction_reaches_forward_only_to_facts_that_are_no_later_correction() -> None:
    """A clock may run behind: facts that happen after their correction was said are corrected."""
    early = void(DEMO, 0)
    assert in_force(early, DEMO).voided

    one, other = fact(VOIDED, 1, id="one"), fact(VOIDED, 2, id="other")
    one = void(other, 1, id="one")
    other = void(one, 2, id="other")
    assert {key(one): key(other)} == in_force(one, other).voided


def test_a_correction_of_itself_or_in_a_circle_ends() -> None:
    itself = fact(VOIDED, 1, id="x", person=None, event_source="/test", event_id="x")
    ring = [
        fact(VOIDED, n, id=f"r{n}", person=None, event_source="/test", event_id=f"r{(n + 1) % 3}")
        for n in range(3)
    ]

    assert not in_force(itself)
    assert {("/test", "r0"): ("/test", "r2")} == in_force(*ring).voided
    for order in permutations((itself, *ring, NEWSLETTER)):
        assert recorded(*order)[0].stage == "mqo"


@pytest.mark.parametrize(
    "data", [None, {}, {"event_source": "/test"}, {"event_source": 1, "event_id": ["demo"]}]
)
def test_a_correction_that_names_nothing_corrects_nothing(data: dict[str, Any] | None) -> None:
    for type_ in (VOIDED, RECLASSIFIED):
        said = fact(type_, 5, data=data)
        assert target_of(said) is None
        assert not in_force(DEMO, said)
        lead_given(NEWSLETTER).when(said).then()


def test_a_reclassification_to_nobody_known_leaves_what_was_said_before() -> None:
    assert {key(DEMO): "machine"} == in_force(
        DEMO, reclassify(DEMO, "machine", 5), reclassify(DEMO, "ghost", 6)
    ).as_actors()


# --- what a correction leads to -------------------------------------------------------------------


def test_voiding_takes_points_and_traits_but_no_stage() -> None:
    lead = lead_given(NEWSLETTER, DEMO, PRICING)
    lead.when(void(DEMO, 3)).then(Restates(), Crosses("down"))

    assert lead.lead.stage == "mql"
    assert lead.lead.traits == {}
    assert lead.lead.intent  # the prices were asked for all the same
    assert as_occurred(lead.lead.facts, POLICY)[0].stage == "mqo"

    lead.when(void(PRICING, 3)).then(Restates())
    assert not lead.lead.intent


def test_voiding_a_deal_opens_it_again_while_the_stage_stays_won() -> None:
    lead = lead_given(DEMO, fact("opportunity.created", 8, opportunity="o1"), WON)
    lead.when(void(WON, 21)).then(Restates())

    assert lead.lead.stage == "won"
    assert lead.lead.opportunities == {"o1": "open"}
    assert as_occurred(lead.lead.facts, POLICY)[0].stage == "opportunity"


def test_voiding_an_answer_leaves_the_one_before() -> None:
    no = fact("qualification.answered", 6, criterion="need", satisfied=False)
    lead = lead_given(DEMO, NEED, BUDGET, no)
    assert lead.lead.criteria == {"budget": True, "need": False}

    lead.when(void(no, 7)).then(Restates())
    assert lead.lead.criteria == {"need": True, "budget": True}


def test_voiding_the_reason_against_may_qualify_a_lead() -> None:
    """The score that follows is looked at at once, with the traits that are left."""
    intern = fact("form.submitted", 2.1, kind="other", traits={"seniority": "intern"})
    lead = lead_given(DEMO, intern, fact("pricing.requested", 2.2))
    assert lead.lead.stage == "captured"

    lead.when(void(intern, 2.3)).then(Restates(), Enters("mql", "fit_and_engagement"))


def test_reclassifying_takes_points_and_gives_them_back() -> None:
    lead = lead_given(DEMO, PRICING)
    machine = reclassify(PRICING, "machine", 3)
    lead.when(machine).then(Restates(), Crosses("down"))
    assert lead.lead.stage == "mql"

    lead.when(reclassify(PRICING, "prospect", 3.1)).then(Restates(), Crosses("up"))
    assert score(lead.lead.effective(), POLICY, START + 4 * DAY) == score(
        [DEMO, PRICING], POLICY, START + 4 * DAY
    )


def test_a_correction_of_what_never_comes_leads_to_nothing() -> None:
    lead_given(NEWSLETTER).when(void(DEMO, 3), reclassify(DEMO, "machine", 4)).then()


def test_what_was_voided_before_it_came_is_kept_and_leads_to_nothing() -> None:
    lead = lead_given(NEWSLETTER, void(DEMO, 1)).when(DEMO, DEMO)
    lead.then()

    assert DEMO in lead.lead.facts
    assert (lead.lead.stage, lead.lead.traits, lead.lead.intent) == ("mqo", {}, False)


def test_what_was_reclassified_before_it_came_counts_as_that() -> None:
    lead_given(reclassify(PRICING, "machine", 1), DEMO).when(PRICING).then()
    lead_given(DEMO).when(PRICING).then(Crosses("up"), Enters("mql", "fit_and_engagement"))


def test_a_mail_that_was_reclassified_before_it_came_still_shows_what_others_did() -> None:
    delivered, click = mail("delivered", 0), mail("clicked", 1, "a")
    lead_given(reclassify(delivered, "machine", 0), click).when(delivered).then(
        Judges(click.id, "machine", FAST)
    )


def test_a_correction_that_comes_again_decides_nothing() -> None:
    said = void(DEMO, 3)
    lead_given(NEWSLETTER, DEMO, PRICING, said).when(said, DEMO).then()


def test_voiding_and_taking_it_back_leaves_all_numbers_as_they_were() -> None:
    lead = lead_given(NEWSLETTER, DEMO, PRICING)
    before = lead.lead.copy()
    first = void(DEMO, 3)
    lead.when(first, void(first, 3)).then(Restates(), Crosses("down"), Restates(), Crosses("up"))

    corrected = ("facts", "seen", "last", "in_order")
    assert {name: value for name, value in before.state().items() if name not in corrected} == {
        name: value for name, value in lead.lead.state().items() if name not in corrected
    }


def test_the_last_word_on_an_actor_holds_throughout_what_occurred() -> None:
    """Not until the last word is said: a stage that only a refuted word leads to is not entered."""
    machine = reclassify(DEMO, "machine", 2.1)
    person = reclassify(DEMO, "prospect", 5)
    occurred, _ = as_occurred([DEMO, machine, PRICING, person], POLICY)

    assert occurred.entered_at == PRICING.at
    assert occurred.stage == "mql"


# --- acts of machines -----------------------------------------------------------------------------


def test_a_click_sooner_than_two_seconds_after_delivery_is_a_machines() -> None:
    delivered = mail("delivered", 0)
    for second, judged in ((0, True), (1.999999, True), (2, False), (60, False)):
        click = mail("clicked", second, "a")
        assert {key(click): FAST} if judged else {} == machine_acts([click, delivered], POLICY)


def test_a_click_at_the_instant_of_delivery_is_judged_alike_in_any_order() -> None:
    delivered, opened = mail("delivered", 0), mail("opened", 0)
    for facts in permutations((delivered, opened, mail("clicked", 0, "a"))):
        assert [FAST, FAST] == list(machine_acts(facts, POLICY).values())


def test_three_links_of_a_message_within_five_seconds_are_a_machines() -> None:
    burst = [mail("clicked", 60 + n, "abc"[n]) for n in range(3)]
    slow = [mail("clicked", 60 + 3 * n, "abc"[n]) for n in range(3)]
    same = [mail("clicked", 60 + n, "aab"[n]) for n in range(3)]
    bare = [mail("clicked", 60 + n) for n in range(3)]

    assert {key(one): BURST for one in burst} == machine_acts(burst, POLICY)
    assert (
        {} == machine_acts(slow, POLICY) == machine_acts(same, POLICY) == machine_acts(bare, POLICY)
    )


def test_a_burst_takes_all_clicks_in_it_and_none_beside_it() -> None:
    clicks = [mail("clicked", 60 + n, "aabcd"[n]) for n in range(5)]
    beside = [mail("clicked", 0, "a"), mail("clicked", 90, "b"), mail("clicked", 61, "c", "m2")]

    assert {key(one) for one in clicks} == machine_acts([*beside, *clicks], POLICY).keys()


def test_a_rule_of_nought_judges_nothing() -> None:
    burst = [mail("delivered", 0), *(mail("clicked", n / 9, "abc"[n]) for n in range(3))]

    assert {BURST} == {*machine_acts(burst, small_policy(click_within=0)).values()}
    assert {FAST} == {*machine_acts(burst, small_policy(burst_links=0)).values()}
    assert {} == machine_acts(burst, small_policy(click_within=0, burst_links=0))


def test_a_machines_click_earns_nothing_whichever_comes_first() -> None:
    delivered, click = mail("delivered", 0), mail("clicked", 1, "a")
    lead = lead_given(delivered).when(click).then(Judges(click.id, "machine", FAST)).lead
    late = lead_given(click).when(delivered).then(Judges(click.id, "machine", FAST)).lead

    assert 0 == engagement(lead.effective(), POLICY, START + DAY)
    assert 0 == engagement(late.effective(), POLICY, START + DAY)
    assert 3_000_000 < 4 * engagement([click], POLICY, START + DAY)


def test_the_click_that_completes_a_burst_takes_points_from_the_others() -> None:
    policy = small_policy(mql_engagement=5_000_000)
    burst = [mail("clicked", 60 + n, "abc"[n]) for n in range(3)]
    lead = lead_given(policy=policy).when(burst[0], burst[1])
    lead.then(Crosses("up"))

    lead.when(burst[2]).then(*(Judges(one.id, "machine", BURST) for one in burst), Crosses("down"))


def test_the_word_of_a_person_outweighs_the_verdict_before_and_after_it() -> None:
    delivered, click = mail("delivered", 0), mail("clicked", 1, "a")
    word = reclassify(click, "prospect", 1)
    after = lead_given(delivered, click).when(word).then(Restates()).lead
    before = lead_given(word, delivered).when(click).then().lead

    for lead in (after, before):
        assert click in lead.effective()
        assert click in effective(canonical(lead.facts), POLICY)


def test_a_verdict_comes_back_when_the_word_against_it_is_voided() -> None:
    delivered, click = mail("delivered", 0), mail("clicked", 1, "a")
    word = reclassify(click, "prospect", 1)
    lead = lead_given(word, delivered, click).when(void(word, 2))

    lead.then(Judges(click.id, "machine", FAST), Restates())


def test_a_verdict_is_withdrawn_with_what_it_rests_on() -> None:
    delivered, click = mail("delivered", 0), mail("clicked", 1, "a")
    said = void(delivered, 1)
    lead = lead_given(delivered, click).when(said)
    lead.then(Judges(click.id, None, "withdrawn"), Restates())
    assert lead.lead.judged == {}
    assert click in lead.lead.effective()

    lead.when(void(said, 2)).then(Judges(click.id, "machine", FAST), Restates())
    lead.when(click, delivered, said).then()


# --- of every history -----------------------------------------------------------------------------

IDS = st.sampled_from("abcdefgh")
days = st.integers(0, 20)
acts = st.builds(
    fact,
    st.sampled_from(
        (
            *("form.submitted", "demo.requested", "pricing.requested", "page.viewed"),
            *("lead.accepted", "lead.qualified", "qualification.answered", "lead.recycled"),
            *("opportunity.created", "deal.won", "deal.lost", "email.unsubscribed"),
            *("lead.reopened", "prospect.added", "event.attended"),
        )
    ),
    days,
    id=IDS,
    actor=st.sampled_from(("prospect", "machine", "rep", "unknown")),
    criterion=st.sampled_from(("need", "budget")),
    value=st.sampled_from((1, None)),
    kind=st.sampled_from(("newsletter", "trade_show")),
    traits=st.none() | st.sampled_from((VP, {"seniority": "intern"}, {"country": "DE"})),
)
mails = st.builds(
    fact,
    st.sampled_from(("email.delivered", "email.opened", "email.clicked", "email.clicked")),
    id=IDS,
    at=st.integers(0, 8).map(lambda second: START + second * SECOND),
    actor=st.sampled_from(("prospect", "unknown", "machine")),
    message=st.sampled_from(("m1", "m1", "m2")),
    link=st.sampled_from(("x", "y", "z", None, ["x"])),
)
said = st.builds(
    fact,
    st.sampled_from((VOIDED, VOIDED, RECLASSIFIED)),
    days,
    id=IDS,
    person=st.none(),
    actor=st.just("unknown"),
    event_source=st.just("/test"),
    event_id=IDS,
    actor_kind=st.sampled_from(("prospect", "machine", "rep", "ghost")),
)
histories = st.lists(acts | mails | said, max_size=10, unique_by=lambda one: one.id)
Facts = Sequence[Fact]


def is_voided(one: Fact, facts: Facts) -> bool:
    """Return what ``corrections`` does, the long way."""
    return any(
        other.type == VOIDED
        and target_of(other) == key(one)
        and not (one.type in CORRECTIONS and other.order <= one.order)
        and not is_voided(other, facts)
        for other in facts
    )


@given(histories)
def test_a_fact_counts_unless_a_later_word_that_counts_says_it_does_not(facts: Facts) -> None:
    found = in_force(*facts)

    assert {key(one) for one in facts if is_voided(one, facts)} == {
        key(one) for one in facts if key(one) in found.voided
    }
    for of, (_, by) in found.actors.items():
        others = [one for one in facts if one.type == RECLASSIFIED and target_of(one) == of]
        counting = [
            one
            for one in others
            if key(one) not in found.voided and one.get("actor_kind") != "ghost"
        ]
        assert by == key(max(counting, key=lambda one: one.order))


@given(st.lists(mails, max_size=8, unique_by=lambda one: one.id), st.randoms(use_true_random=False))
def test_verdicts_do_not_depend_on_arrival_and_more_facts_take_none_back(
    facts: Facts, random: Any
) -> None:
    shuffled = random.sample(facts, len(facts))

    assert machine_acts(facts, POLICY) == machine_acts(shuffled, POLICY)
    assert machine_acts(facts[1:], POLICY).keys() <= machine_acts(facts, POLICY).keys()


@given(histories)
def test_a_lead_counts_what_its_facts_say_whatever_came_first(facts: Facts) -> None:
    """Decided one by one, or all at once: the same facts count, and as the same actors'."""
    lead, _ = recorded(*facts)

    assert lead.effective() == effective(canonical(facts), POLICY)
    assert lead.corrected == in_force(*facts)
    assert lead.traits == as_occurred(facts, POLICY)[0].traits
    assert all(decide(lead, one, POLICY) == [] for one in facts)


@given(histories)
def test_the_log_and_the_snapshot_are_the_lead(facts: Facts) -> None:
    lead = Lead()
    log: list[Event] = []
    for one in facts:
        assert decode_lead(encode_lead(lead)) == lead
        assert decode_lead(encode_lead(lead)).corrected == lead.corrected
        assert decide(fold(log), one, POLICY) == decide(decode_lead(encode_lead(lead)), one, POLICY)
        log += [decode(*encode(event)) for event in happen(lead, one)]

    assert fold(log) == lead
    assert fold(log).corrected == lead.corrected
    half = len(log) // 2
    assert fold(log[half:], decode_lead(encode_lead(fold(log[:half])))) == lead


@given(histories)
def test_a_correction_undoes_no_decision(facts: Facts) -> None:
    """Whatever else is told anew, the stage is the one last entered; only the score may move it."""
    lead = Lead()
    for one in facts:
        stage, cycle, hot = lead.stage, lead.cycle, lead.hot
        events = happen(lead, one)[1:]
        for event in events:
            if isinstance(event, LeadRestated):
                assert (event.stage, event.cycle, event.hot) == (stage, cycle, hot)
                known, _ = as_occurred(lead.facts, POLICY)
                assert (event.intent, event.qualified, event.criteria, event.opportunities) == (
                    known.intent,
                    known.qualified,
                    known.criteria,
                    known.opportunities,
                )
            elif target_of(one) and isinstance(event, StageEntered):
                assert event.rule == "fit_and_engagement"


@given(histories)
def test_a_lead_is_hot_by_what_counts(facts: Facts) -> None:
    lead = Lead()
    for one in facts:
        hot = lead.hot
        events = happen(lead, one)
        if key(one) in lead.corrected.voided:
            continue
        exact = engagement(lead.effective(), POLICY, lead.last[0])
        assert lead.hot == (exact >= (POLICY.band_floor if hot else POLICY.mql_engagement))
        assert [event.score for event in events if isinstance(event, ThresholdCrossed)] == (
            [] if hot == lead.hot else [exact]
        )


@given(histories)
def test_as_it_occurred_nothing_voided_was_there_and_actors_were_who_they_were(
    facts: Facts,
) -> None:
    """As if nobody had erred: the facts that count, as they count, with nothing to correct."""
    plain = [
        Fact(
            **{name: getattr(one, name) for name in Fact.__dataclass_fields__ if name != "data"}
            | ({"type": "acme.noted"} if target_of(one) else {}),
            data={
                name: value
                for name, value in (one.data or {}).items()
                if name not in ("message", "event_id")
            },
        )
        for one in effective(canonical(facts), POLICY)
    ]
    _, anew = recorded(*plain)
    occurred, history = as_occurred(facts, POLICY)
    decided = [event for events in history for event in events[1:]]

    assert [event for event in anew if not isinstance(event, Fact)] == decided
    assert not any(isinstance(event, LeadRestated | ActorJudged) for event in decided)
    assert occurred.stage == recorded(*plain)[0].stage
