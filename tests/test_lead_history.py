"""A lead is the fold of its history: from the log, from several streams, or as it occurred."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.decide import as_occurred, decide, merge
from domain.events import Event, Fact, LeadMerged, StageEntered
from domain.lead import Lead, absorb, evolve, fold, fold_streams
from domain.stages import STAGES
from tests.examples import (
    BOUGHT,
    DEMO,
    NEED,
    NEWSLETTER,
    POLICY,
    PRICING,
    QUALIFIED,
    START,
    VP,
    fact,
    recycled,
)
from tests.given import Enters, happen, outcome
from tests.given import given as lead_given

CONTACT = fact("contact.requested", 3.5, id="contact")


class Leads:
    """Several leads in memory and their streams in the log, side by side."""

    def __init__(self) -> None:
        self.live: dict[str, Lead] = {}
        self.log: dict[str, list[Event]] = {}

    def happen(self, stream: str, one: Fact) -> list[Event]:
        lead = self.live.setdefault(stream, Lead())
        events = happen(lead, one)
        self.log.setdefault(stream, []).extend(events)
        return events

    def merge(self, stream: str, other: str, one: Fact) -> LeadMerged:
        """Let *other* end in *stream*, since *one* carries identifiers of both."""
        lead, ending = self.live[stream], self.live.pop(other)
        goes_on, ends = merge(lead, stream, ending, other, one, POLICY)
        self.log[stream].append(goes_on)
        self.log[other].append(ends)
        absorb(lead, ending)
        evolve(lead, goes_on)
        return goes_on


def knows(lead: Lead) -> dict[str, object]:
    """Return what a lead knows but for the order in which it came to know it."""
    state = {**lead.state(), "facts": sorted(one.order for one in lead.facts)}
    del state["in_order"]
    return state


# --- by example -----------------------------------------------------------------------------------


def test_a_lead_as_it_occurred_gets_what_late_facts_would_have_led_to() -> None:
    lead = lead_given(PRICING, NEWSLETTER, DEMO).lead
    occurred, history = as_occurred(lead.facts, POLICY)

    assert not lead.in_order
    assert [events[0] for events in history] == [NEWSLETTER, DEMO, PRICING]
    assert [outcome(event) for event in history[0][1:]] == [
        Enters("captured", "first_capture"),
        Enters("mqo", "content_act"),
    ]
    assert occurred == lead_given(NEWSLETTER, DEMO, PRICING).lead


def test_a_fact_given_twice_occurred_once() -> None:
    assert as_occurred([*BOUGHT, *BOUGHT], POLICY) == as_occurred(BOUGHT, POLICY)


def test_equal_instants_are_ordered_by_source_sequence_and_id() -> None:
    one, two, three = (
        fact("note.added", source="/a", sequence=-1, id="z"),
        fact("note.added", source="/a", sequence=2, id="y"),
        fact("note.added", source="/a", sequence=10, id="x"),
    )
    other = fact("note.added", source="/b", id="a")

    _, history = as_occurred([other, three, two, one], POLICY)
    assert [events[0] for events in history] == [one, two, three, other]


def test_a_merged_lead_is_what_the_facts_of_both_lead_to() -> None:
    leads = Leads()
    leads.happen("visitor", NEWSLETTER)
    leads.happen("visitor", PRICING)
    leads.happen("buyer", DEMO)
    goes_on = leads.merge("visitor", "buyer", CONTACT)

    assert (goes_on.stage, goes_on.into, goes_on.other) == ("mql", None, "buyer")
    assert isinstance(leads.log["buyer"][-1], LeadMerged)
    assert leads.log["buyer"][-1].into == "visitor"
    assert leads.live["visitor"].stage == "mql"
    assert [outcome(event) for event in leads.happen("visitor", CONTACT)[1:]] == []


def test_a_merged_lead_forgets_what_a_closed_cycle_knew() -> None:
    """The answers of the first cycle qualify nobody in the second."""
    leads = Leads()
    reopened = fact("lead.reopened", 30, id="reopened")
    answer = replace(NEED, data={"criterion": "authority", "value": True}, id="authority")
    for one in (NEWSLETTER, DEMO, PRICING, NEED, answer, QUALIFIED, recycled(20), reopened):
        leads.happen("old", one)
    leads.happen("new", fact("page.viewed", 31))
    goes_on = leads.merge("new", "old", fact("note.added", 32))
    lead = leads.live["new"]

    assert (goes_on.cycle, goes_on.cycle_kind, lead.cycle_kind) == (2, "reopened", "reopened")
    assert (lead.qualified, lead.criteria) == (False, {})
    assert leads.happen("new", fact("lead.qualified", 33))[1:] == []


def test_a_merged_lead_that_rests_is_woken_up_when_it_is_due() -> None:
    leads = Leads()
    for one in (NEWSLETTER, DEMO, PRICING, recycled(10, until=40)):
        leads.happen("old", one)
    leads.happen("new", fact("page.viewed", 11))
    leads.merge("new", "old", fact("note.added", 12))
    woken = [
        event
        for event in leads.happen("new", fact("page.viewed", 41))
        if isinstance(event, StageEntered)
    ]

    assert [outcome(event) for event in woken] == [Enters("mqo", "woken_up", 2, "recycled")]


def test_a_fact_that_both_leads_have_is_one_fact() -> None:
    leads = Leads()
    leads.happen("a", NEWSLETTER)
    leads.happen("b", NEWSLETTER)
    leads.merge("a", "b", CONTACT)

    assert leads.live["a"].facts == [NEWSLETTER]


def test_chains_of_merges_fold_whatever_their_length() -> None:
    """A device that many people share merges one lead after the other."""
    links = 600
    streams: dict[str, list[Event]] = {}
    for n in range(links):
        streams[str(n)] = [fact("page.viewed", n / links, id=str(n))]
        if n:
            goes_on = LeadMerged(
                str(n - 1), None, None, 1, None, False, START, START, "shared_identifier", "p@1",
                "/test", str(n),
            )  # fmt: skip
            streams[str(n)].append(goes_on)

    assert len(fold_streams(streams, str(links - 1)).facts) == links


def test_a_copy_shares_nothing_that_changes() -> None:
    lead = lead_given(*BOUGHT).lead
    other = lead.copy()
    happen(other, fact("qualification.answered", 30, criterion="timeline", value=1, traits=VP))

    assert other != lead
    assert lead == lead_given(*BOUGHT).lead


def test_the_bounds_are_no_part_of_what_a_lead_knows() -> None:
    live, read = lead_given(NEWSLETTER).lead, fold(lead_given().when(NEWSLETTER).events)

    assert live.ceiling is not None
    assert read.ceiling is None
    assert live == read


def test_asking_what_a_fact_would_lead_to_leaves_the_lead_as_it_was() -> None:
    lead = lead_given(NEWSLETTER, DEMO).lead
    decide(lead, PRICING, POLICY)

    assert lead == lead_given(NEWSLETTER, DEMO).lead
    assert lead != NEWSLETTER


# --- of every history -----------------------------------------------------------------------------

facts = st.builds(
    fact,
    st.sampled_from(
        (
            *("form.submitted", "demo.requested", "page.viewed", "prospect.added"),
            *("lead.accepted", "lead.qualified", "qualification.answered", "lead.recycled"),
            *(
                "lead.reopened",
                "opportunity.created",
                "deal.won",
                "deal.lost",
                "email.unsubscribed",
            ),
        )
    ),
    st.integers(0, 90),
    id=st.integers(0, 10**9).map(str),
    criterion=st.sampled_from(("need", "budget")),
    value=st.just(1),
    opportunity=st.sampled_from(("o1", "o2")),
    until=st.integers(0, 90).map(lambda day: START + day * 86_400_000_000),
    traits=st.none() | st.just(VP),
)
actions_of_all = st.lists(
    st.tuples(st.sampled_from("aaab"), st.integers(0, 4), facts),
    max_size=25,
    unique_by=lambda action: action[2].id,
)


@given(actions_of_all)
def test_merged_streams_fold_to_the_lead_in_memory(
    actions: Sequence[tuple[str, int, Fact]],
) -> None:
    """Whichever leads merge, however often: the log is the lead, and decides as the lead does."""
    leads = Leads()
    for kind, number, one in actions:
        name = str(number)
        if kind == "a" or len(leads.live) < 2:
            name = name if name in leads.live or name not in leads.log else next(iter(leads.live))
            read_back = fold_streams(leads.log, name) if name in leads.log else Lead()
            assert decide(read_back, one, POLICY) == leads.happen(name, one)
        else:
            names = sorted(leads.live)
            first, second = names[number % len(names)], names[(number + 1) % len(names)]
            union = [*leads.live[first].facts, *leads.live[second].facts]
            leads.merge(first, second, one)
            assert knows(leads.live[first]) == knows(as_occurred(union, POLICY)[0])
    for name, lead in leads.live.items():
        assert fold_streams(leads.log, name) == lead
        assert lead.stage in (None, *STAGES)
