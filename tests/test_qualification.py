"""BANT, CHAMP and frameworks of one's own: what an answer says, and which answers count."""

from typing import Any

import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st

from domain.decide import decide
from domain.events import StageEntered
from domain.qualification import (
    ALIASES,
    BANT,
    CHAMP,
    CRITERIA,
    FRAMEWORKS,
    MAX_NAME,
    Framework,
    criterion_of,
    is_satisfied,
    plain_name,
    qualification,
    satisfied,
)
from tests.examples import ACCEPTED, BUDGET, NEED, NEWSLETTER, QUALIFIED, fact, small_policy
from tests.given import Enters, given, happen


@pytest.mark.parametrize(
    "said, criterion",
    [
        ("budget", "budget"),
        ("Money", "budget"),
        (" authority ", "authority"),
        ("challenges", "need"),
        ("Introduction Date", "timeline"),
        ("priority", "timeline"),
        ("shoe size", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_both_frameworks_ask_the_same_four_things(said: object, criterion: str | None) -> None:
    assert criterion_of(fact("qualification.answered", criterion=said)) == criterion


def test_every_alias_stands_for_one_of_the_four() -> None:
    assert set(ALIASES.values()) == set(CRITERIA)
    assert all(ALIASES[criterion] == criterion for criterion in CRITERIA)


@pytest.mark.parametrize(
    "data, expected",
    [
        ({"satisfied": True}, True),
        ({"satisfied": False, "value": "plenty"}, False),
        ({"value": "plenty"}, True),
        ({"value": 0}, True),
        ({"value": False}, True),
        ({}, False),
    ],
)
def test_an_answer_is_worth_what_is_said_of_it_or_that_there_is_one(
    data: dict[str, Any], expected: bool
) -> None:
    assert is_satisfied(fact("qualification.answered", criterion="need", **data)) == expected


def test_the_latest_answer_counts() -> None:
    yes = fact("qualification.answered", 0, criterion="budget", satisfied=True)
    no = fact("qualification.answered", 1, criterion="money", satisfied=False)
    need = fact("qualification.answered", 2, criterion="need", value="a CRM")
    other = fact("qualification.answered", 3, criterion="weather", value="fine")

    assert satisfied([yes, need, other]) == {"budget", "need"}
    assert satisfied([yes, no, need]) == {"need"}
    assert satisfied([fact("note.added", criterion="need", value=1)]) == frozenset()


# --- frameworks -----------------------------------------------------------------------------------

MEDDIC = Framework(
    "meddic",
    (
        *("metrics", "economic_buyer", "decision_criteria"),
        *("decision_process", "pain", "champion"),
    ),
    {"authority": "economic_buyer", "need": "pain"},
)


def answer(criterion: str, day: float = 0, **data: Any) -> Any:
    return fact("qualification.answered", day, criterion=criterion, **({"value": 1} | data))


def test_champ_asks_in_its_own_words_what_bant_asks() -> None:
    pairs = dict(zip(BANT.criteria, ("money", "authority", "challenges", "priority"), strict=True))

    assert set(pairs.values()) == set(CHAMP.criteria)
    for said in ALIASES:
        shared = BANT.criterion(said)
        assert shared is not None
        assert CHAMP.criterion(said) == pairs[shared]
    assert list(FRAMEWORKS) == ["bant", "champ"]


@pytest.mark.parametrize(
    "said, plain",
    [
        ("Economic Buyer", "economic_buyer"),
        (" decision-process ", "decision_process"),
        ("a__b", "a_b"),
        ("", None),
        ("  ", None),
        ("x" * (MAX_NAME + 1), None),
        (7, None),
        (["need"], None),
    ],
)
def test_names_are_compared_in_lower_case_with_underscores(said: object, plain: str | None) -> None:
    assert plain_name(said) == plain


def test_a_framework_of_ones_own_has_its_own_names() -> None:
    assert MEDDIC.criterion("Champion") == "champion"
    assert MEDDIC.criterion("authority") == "economic_buyer"
    assert MEDDIC.criterion("budget") is None
    assert satisfied([answer("need"), answer("metrics")], MEDDIC) == {"pain", "metrics"}


def test_what_is_known_comes_with_its_evidence_and_what_is_missing() -> None:
    policy = small_policy(criteria_needed=2)
    money = answer("money", 1, value="10k to 20k", id="money")
    late = answer("Timing", 2, satisfied=False, value="next year")
    found = qualification([answer("budget", 0), money, late], policy)

    assert [one.criterion for one in found.answers] == list(CRITERIA)
    assert found.satisfied == ("budget",)
    assert found.missing == ("authority", "need", "timeline")
    assert (found.needed, found.enough) == (2, False)
    budget, authority, _, timeline = found.answers
    assert (budget.value, budget.fact) == ("10k to 20k", money)
    assert (authority.value, authority.fact, authority.satisfied) == (None, None, False)
    assert (timeline.value, timeline.fact, timeline.satisfied) == ("next year", late, False)


def test_the_framework_of_the_policy_is_the_one_that_counts_for_an_sql() -> None:
    policy = small_policy(framework=MEDDIC, criteria_needed=3)
    answers = (answer("metrics", 5), answer("need", 5.2), answer("budget", 5.3))

    given(NEWSLETTER, ACCEPTED, *answers, policy=policy).when(QUALIFIED).then()
    given(NEWSLETTER, ACCEPTED, *answers, QUALIFIED, policy=policy).when(
        answer("Champion", 7)
    ).then(Enters("sql", "qualified"))


def test_three_of_four_may_be_asked_for() -> None:
    policy = small_policy(criteria_needed=3)
    story = given(NEWSLETTER, ACCEPTED, NEED, BUDGET, QUALIFIED, policy=policy)

    story.when(answer("timing", 7)).then(Enters("sql", "qualified"))


def test_a_lead_knows_what_was_said_so_that_another_policy_can_ask_it_otherwise() -> None:
    lead = given(NEWSLETTER, answer("champion", 1), answer("metrics", 2)).lead

    assert BANT.satisfied(lead.criteria) == frozenset()
    assert MEDDIC.satisfied(lead.criteria) == {"champion", "metrics"}
    qualified = decide(lead, QUALIFIED, small_policy(framework=MEDDIC))
    assert "sql" in [one.stage for one in qualified if isinstance(one, StageEntered)]


def test_of_two_names_for_one_criterion_the_later_answer_counts() -> None:
    yes, no = answer("money", 1, satisfied=True), answer("budget", 2, satisfied=False)

    assert BANT.satisfied(given(yes, no).lead.criteria) == frozenset()
    assert BANT.satisfied(given(no, yes).lead.criteria) == {"budget"}
    again = answer("money", 3, satisfied=True)
    assert BANT.satisfied(given(yes, no, again).lead.criteria) == {"budget"}


def test_a_new_cycle_asks_again() -> None:
    lead = given(NEWSLETTER, ACCEPTED, NEED, BUDGET, fact("lead.recycled", 6)).lead
    happen(lead, fact("lead.reopened", 7))

    assert lead.criteria == {}


@pytest.mark.parametrize(
    "named, bant, meddic",
    [
        (None, True, True),
        ("", True, True),
        (" ", True, True),
        ("bant", True, False),
        (" CHAMP ", True, False),
        ("meddic", False, True),
        ("MEDDIC", False, True),
        ("spin", False, False),
        ("x" * (MAX_NAME + 1), False, False),
    ],
)
def test_an_answer_to_another_framework_satisfies_nothing_by_accident(
    named: str | None, bant: bool, meddic: bool
) -> None:
    """Authority is asked by all of them, and may mean another thing to each."""
    said = answer("authority", framework=named)
    lead = given(said).lead

    for framework, counts in ((BANT, bant), (CHAMP, bant), (MEDDIC, meddic)):
        assert framework.asks(named) == counts
        assert bool(satisfied([said], framework)) == counts
        assert bool(framework.satisfied(lead.criteria)) == counts


def test_an_sql_needs_answers_to_the_framework_of_the_policy() -> None:
    spin = [answer(name, 5, framework="spin") for name in ("need", "budget", "authority")]
    story = given(NEWSLETTER, ACCEPTED, *spin, QUALIFIED)

    assert story.lead.stage == "sal"
    story.when(answer("need", 7, framework="champ")).then()
    given(NEWSLETTER, ACCEPTED, *spin, QUALIFIED, NEED).when(
        answer("money", 7, framework="champ")
    ).then(Enters("sql", "qualified"))


def test_a_no_to_another_framework_takes_nothing_back() -> None:
    yes = answer("budget", 1, framework="bant")
    no = answer("budget", 2, framework="spin", satisfied=False)

    assert satisfied([yes, no]) == {"budget"}
    assert BANT.satisfied(given(yes, no).lead.criteria) == {"budget"}


names = st.sampled_from(("need", "Challenges", "money", "budget", "authority", "champion", "x"))
frameworks = st.sampled_from((None, "bant", "Champ", "meddic", "spin", "a b", ""))


@whatever(st.lists(st.tuples(names, frameworks, st.booleans()), max_size=12))
def test_whatever_is_answered_the_lead_knows_what_its_facts_say(
    said: list[tuple[str, str | None, bool]],
) -> None:
    facts = [
        answer(name, n, framework=named, satisfied=yes) for n, (name, named, yes) in enumerate(said)
    ]
    lead = given(*facts).lead

    for framework in (BANT, CHAMP, MEDDIC):
        assert framework.satisfied(lead.criteria) == satisfied(facts, framework)
        found = qualification(facts, small_policy(framework=framework))
        assert set(found.satisfied) == satisfied(facts, framework)
        assert {*found.satisfied, *found.missing} == set(framework.criteria)
