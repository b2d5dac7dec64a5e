"""Whatever happens, in whatever order: what the domain promises of every history."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.corrections import CORRECTIONS, MAILS, effective
from domain.decide import as_occurred, decide
from domain.events import Event, Fact, PolicyPublished, StageEntered, ThresholdCrossed, canonical
from domain.lead import Lead, evolve, fold
from domain.policy import DAY, EngagementRule, Policy
from domain.scoring import engagement
from domain.stages import MOVES, STAGES
from domain.vocabulary import ACTORS, FAMILY_OF
from tests.examples import HOUR, POLICY, START, fact, small_policy
from tests.given import happen

# --- any facts whatever ---------------------------------------------------------------------------

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8))
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.text(), scalars))
MEANINGFUL = {
    "kind": ("content", "newsletter", "demo", "trial", "webinar", "trade_show"),
    "criterion": ("budget", "money", "need", "timeline", "other"),
    "satisfied": (True, False, None),
    "value": (1, None),
    "opportunity": ("o1", "o2", ""),
    "until": (START, START + 30 * DAY),
    "url": ("https://example.com/pricing", "https://example.com/"),
    "outcome": ("connected", "busy"),
    "registered_only": (True, False),
    "message": ("m1", "m2"),
    "link": ("https://example.com/a", "https://example.com/b", "https://example.com/c"),
}
data = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(known) | values for name, known in MEANINGFUL.items()}
)
traits = st.fixed_dictionaries(
    {},
    optional={
        "seniority": st.sampled_from(("vp", "c_level", "intern")) | values,
        "title": values,
        "country": st.sampled_from(("DE", "GB")) | values,
        "company": st.fixed_dictionaries(
            {}, optional={"size": st.sampled_from((500, "200-499", "9" * 5_000)) | values}
        ),
    },
)
DRIVING = sorted({type_ for move in MOVES for type_ in move.on or ()} - {"prospect.added"})
types = st.sampled_from(DRIVING) | st.sampled_from(sorted(FAMILY_OF)) | st.just("acme.waved")
instants = st.one_of(
    st.integers(0, 90).map(lambda day: START + day * DAY),
    st.integers(START, START + 60 * DAY),
)
facts = st.builds(
    Fact,
    type=types,
    source=st.sampled_from(("/a", "/b")),
    id=st.integers(0, 40).map(str),
    at=instants,
    recorded_at=instants,
    sequence=st.integers(-1, 3),
    actor=st.sampled_from(ACTORS),
    traits=st.none() | traits,
    data=st.none() | data,
)
ids = st.integers(0, 40).map(str)
mails = st.builds(
    fact,
    st.sampled_from(sorted(MAILS)),
    source=st.just("/a"),
    id=ids,
    at=st.integers(0, 12).map(lambda second: START + second * DAY // 86_400),
    actor=st.sampled_from(ACTORS),
    message=st.sampled_from(("m1", "m2")),
    link=st.sampled_from(MEANINGFUL["link"]),
)
corrections = st.builds(
    fact,
    st.sampled_from(sorted(CORRECTIONS)),
    source=st.sampled_from(("/a", "/b")),
    id=ids,
    at=instants,
    actor=st.just("unknown"),
    person=st.none(),
    event_source=st.sampled_from(("/a", "/b")),
    event_id=ids,
    actor_kind=st.sampled_from(ACTORS) | values,
)


@st.composite
def corrected_histories(draw: st.DrawFn) -> list[Fact]:
    """Return any facts; what is corrected is mostly there, sooner or later."""
    history = draw(st.lists(st.one_of(facts, facts, mails), max_size=20))
    for one in draw(st.lists(corrections, max_size=4)):
        said = one
        if draw(st.booleans()) and history:
            of = draw(st.sampled_from(history))
            data = {**(one.data or {}), "event_source": of.source, "event_id": of.id}
            said = replace(one, data=data)
        history.insert(draw(st.integers(0, len(history))), said)
    return history


histories = corrected_histories()
uncorrected = st.lists(facts, max_size=25).map(
    lambda history: [one for one in history if one.type not in MAILS | CORRECTIONS]
)
policies = st.sampled_from(
    (POLICY, replace(POLICY, auto_advance=False), small_policy(mql_engagement=10_000_000))
)


@given(histories, policies)
@example([fact("page.viewed", 1, traits={"company": {"size": "9" * 5_000}})], POLICY)
@example([fact("form.submitted", 1, kind=["demo"])], POLICY)
def test_no_fact_is_ever_refused_and_a_lead_stays_a_lead(
    history: list[Fact], policy: Policy
) -> None:
    lead = Lead()
    for one in history:
        cycle = lead.cycle
        known = (one.source, one.id) in lead.seen
        events = happen(lead, one, policy)

        assert known == (events == [])
        assert events[:1] == ([] if known else [one])
        assert lead.stage is None or lead.stage in STAGES
        assert lead.cycle >= cycle
        assert decide(lead, one, policy) == []


@given(histories, policies)
def test_decisions_say_which_fact_and_policy_made_them_and_go_on_from_each_other(
    history: list[Fact], policy: Policy
) -> None:
    lead = Lead()
    stage, cycle, kind = None, 1, "new"
    for one in history:
        for event in happen(lead, one, policy)[1:]:
            assert not isinstance(event, Fact | PolicyPublished)
            assert (event.source, event.id) == (one.source, one.id)
            assert (event.at, event.recorded_at) == (one.at, one.recorded_at)
            assert event.policy == policy.version
            if isinstance(event, StageEntered):
                assert event.previous == stage
                assert event.cycle - cycle in (0, 1)
                assert event.cycle > cycle or event.cycle_kind == kind
                stage, cycle, kind = event.stage, event.cycle, event.cycle_kind
    assert (lead.stage, lead.cycle, lead.cycle_kind) == (stage, cycle, kind)


@given(histories)
def test_without_auto_advance_only_what_producers_say_moves_a_lead(history: list[Fact]) -> None:
    automatic = {move.rule for move in MOVES if move.automatic}
    lead = Lead()
    for one in history:
        for event in happen(lead, one, replace(POLICY, auto_advance=False)):
            assert not isinstance(event, StageEntered) or event.rule not in automatic


@given(histories, policies)
def test_the_log_is_the_lead(history: list[Fact], policy: Policy) -> None:
    """What was stored folds to the lead in memory, from the start or from any point on."""
    live = Lead()
    log: list[Event] = []
    for one in history:
        log += happen(live, one, policy)
    half = len(log) // 2

    assert fold(log) == live
    assert fold(log[half:], fold(log[:half])) == live


@given(histories, policies, st.randoms(use_true_random=False))
def test_a_lead_as_it_occurred_does_not_depend_on_arrival(
    history: list[Fact], policy: Policy, random: Any
) -> None:
    unique = list({(one.source, one.id): one for one in history}.values())
    shuffled = random.sample(unique, len(unique))

    assert as_occurred(unique, policy) == as_occurred(shuffled, policy)


@given(uncorrected, policies)
def test_decisions_on_facts_in_order_are_those_as_it_occurred(
    history: list[Fact], policy: Policy
) -> None:
    """Where nothing is corrected, and no mail shows only later who opened it."""
    unique = {(one.source, one.id): one for one in history}.values()
    lead = Lead()
    recorded = [happen(lead, one, policy) for one in sorted(unique, key=lambda one: one.order)]

    assert (lead, recorded) == as_occurred(list(unique), policy)
    assert lead.in_order


@given(histories, policies)
def test_what_counts_does_not_depend_on_arrival(history: list[Fact], policy: Policy) -> None:
    lead = Lead()
    for one in history:
        happen(lead, one, policy)

    assert lead.effective() == effective(canonical(lead.facts), policy)


@given(histories, policies)
def test_late_facts_leave_the_traits_that_are_newest(history: list[Fact], policy: Policy) -> None:
    lead = Lead()
    for one in history:
        happen(lead, one, policy)

    assert lead.traits == as_occurred(lead.facts, policy)[0].traits


@given(histories, policies)
def test_a_copy_goes_its_own_way(history: list[Fact], policy: Policy) -> None:
    lead, reference = Lead(), Lead()
    for one in history:
        other = lead.copy()
        assert other == lead
        happen(other, one, policy)
        assert lead == reference
        happen(lead, one, policy)
        happen(reference, one, policy)
        assert lead == other


# --- bounds never change a decision ---------------------------------------------------------------

MOMENTS = (0, 1, 1_000, HOUR, DAY, 3 * DAY, 30 * DAY)
SMALL = ("a", "b", "c", "nothing")


@st.composite
def rough_policies(draw: st.DrawFn) -> Policy:
    """Return rules that pull in all directions: losses, caps, several half-lives."""
    rules = draw(
        st.lists(
            st.builds(
                EngagementRule,
                name=st.just("rule"),
                types=st.sampled_from((("a",), ("b",), ("c",), ("a", "c"))),
                points=st.integers(-40_000_000, 40_000_000).filter(bool)
                | st.sampled_from((20_000_000, -10_000_000, 45_000_001, 3)),
                half_life=st.sampled_from((HOUR, DAY, 7 * DAY, 30 * DAY)),
                group=st.sampled_from("xy"),
                actors=st.just(("prospect",)),
            ),
            min_size=1,
            max_size=4,
        )
    )
    return small_policy(
        engagement_rules=tuple(rules),
        group_caps=draw(
            st.dictionaries(st.sampled_from("xy"), st.integers(1, 60).map(lambda n: n * 10**6))
        ),
        mql_engagement=draw(st.sampled_from((1, 20_000_000, 50_000_000, 100_000_000))),
        hysteresis=draw(st.sampled_from((0, 10, 99))),
    )


steps = st.lists(
    st.tuples(
        st.sampled_from(("happen",) * 6 + ("ask", "restart", "copy")),
        st.sampled_from(SMALL),
        st.sampled_from(MOMENTS) | st.integers(0, 60 * DAY),
        st.sampled_from((0,) * 6 + (-5 * DAY, -40 * DAY)),
    ),
    max_size=30,
)
Steps = Sequence[tuple[str, str, int, int]]


def eager(facts_so_far: Sequence[Fact], hot: bool, policy: Policy, as_of: int) -> bool:
    """Return whether the lead is in the band, by the exact sum."""
    exact = engagement(facts_so_far, policy, as_of)
    return exact >= (policy.band_floor if hot else policy.mql_engagement)


LOSS_FADES = small_policy(
    engagement_rules=(
        EngagementRule("gain", ("a",), 40_000_000, 30 * DAY, "x"),
        EngagementRule("loss", ("b",), -20_000_000, 30 * DAY, "x"),
    ),
    group_caps={"x": 60_000_000},
)
"""Gains may be capped, and then only the loss is seen to fade."""

ONE_ACT = small_policy(
    engagement_rules=(EngagementRule("gain", ("a",), 60_000_000, 30 * DAY, "x"),)
)


@settings(max_examples=300)
@given(rough_policies(), steps)
@example(  # two hundred points capped at sixty, less twenty: fifty after a half-life
    LOSS_FADES,
    [("happen", "b", 0, 0)] + [("happen", "a", 0, 0)] * 5 + [("happen", "nothing", 30 * DAY, 0)],
)
@example(  # eighty less twenty: below forty-five after 12.45 days
    replace(LOSS_FADES, group_caps={}),
    [
        ("happen", "b", 0, 0),
        ("happen", "a", 0, 0),
        ("happen", "a", 0, 0),
        ("happen", "nothing", 15 * DAY, 0),
    ],
)
@example(  # a thousand points capped at sixty, less forty: fifty after two half-lives, not before
    LOSS_FADES,
    [("happen", "b", 0, 0)] * 2
    + [("happen", "a", 0, 0)] * 25
    + [("happen", "nothing", 60 * DAY - HOUR, 0), ("happen", "nothing", 5 * HOUR, 0)],
)
@example(
    ONE_ACT,
    [
        ("happen", "a", 0, 0),
        ("ask", "a", 20 * DAY, 0),  # would keep the lead hot for long
        ("happen", "nothing", DAY, 0),
        ("happen", "nothing", 25 * DAY, 0),
    ],
)
def test_bounds_never_change_a_decision(policy: Policy, actions: Steps) -> None:
    """Each fact crosses the threshold just when the exact sum over all facts does.

    However often the lead is asked what a fact would lead to, copied, or read back from the log.
    """
    lead, log, known = Lead(), list[Event](), list[Fact]()
    hot, clock, newest = False, START, START
    for n, (action, type_, later, late) in enumerate(actions):
        if action == "restart":
            lead = fold(log)
        elif action == "copy":
            lead = lead.copy()
        clock += later if action != "ask" else 0
        one = fact(type_, id=str(n), at=max(clock + (later if action == "ask" else late), 0))
        events = decide(lead, one, policy)
        crossed = [event for event in events if isinstance(event, ThresholdCrossed)]
        as_of = max(one.at, newest if known else one.at)
        now = eager([*known, one], hot, policy, as_of)

        assert [event.direction for event in crossed] == (
            [] if now == hot else [["down", "up"][now]]
        )
        if crossed:
            assert crossed[0].score == engagement([*known, one], policy, as_of)
        if action == "ask":
            continue
        for event in events:
            evolve(lead, event)
        log += events
        known.append(one)
        hot, newest = now, as_of
