"""How often leads are reached out to: the definitions, and that all leads at once give the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.decide import as_occurred
from domain.events import Event, Fact
from domain.touch_coverage import Coverage, coverage, followed_up
from projections.coverage import touch_coverage
from projections.runner import Runner
from tests.projections_kit import DAY, HOUR, START, Log, fact, read_model_database
from tests.test_speed import POLICY, act, acts, made

FORM: tuple[str, dict[str, Any]] = ("form.submitted", {})
MAIL: tuple[str, dict[str, Any]] = ("email.sent", {"actor": "rep"})
PROGRAMME: tuple[str, dict[str, Any]] = ("email.sent", {"actor": "machine"})


def history(facts: list[Fact]) -> list[Event]:
    return [event for events in as_occurred(facts, POLICY)[1] for event in events]


def only(facts: list[Fact], **more: Any) -> Coverage:
    (one,) = coverage(history(facts), **more)
    return one


def test_a_call_counts_once_whatever_is_told_of_it() -> None:
    calls = [
        ("call.attempted", {"actor": "rep", "call": "c1"}),
        ("call.completed", {"actor": "rep", "call": "c1", "outcome": "connected"}),
        ("call.attempted", {"actor": "rep"}),
        ("call.attempted", {"actor": "rep"}),
    ]
    one = only([act(FORM, 0), *(act(call, n + 1) for n, call in enumerate(calls)), act(MAIL, 9)])

    assert (4, 2) == (one.touches, one.channels)


def test_a_chat_counts_once_a_day() -> None:
    line = ("chat.messaged", {"actor": "rep", "conversation": "k"})
    one = only([act(FORM, 0), *(act(line, at) for at in (1, 2, HOUR, DAY + 1))])

    assert (2, 1) == (one.touches, one.channels)


def test_what_a_programme_sends_counts_where_that_is_asked_for() -> None:
    facts = [act(FORM, 0), act(PROGRAMME, 1), act(MAIL, 2)]

    assert 1 == only(facts).touches
    assert 2 == only(facts, with_automated=True).touches


def test_who_was_captured_lately_is_not_yet_left_alone() -> None:
    told = history([act(FORM, 0), act(PROGRAMME, 1)])
    called = history([act(FORM, 0), act(MAIL, 14 * DAY)])
    late = history([act(FORM, 0), act(MAIL, 14 * DAY + 1)])

    assert followed_up(told, START + 14 * DAY - 1) is None
    assert not followed_up(told, START + 14 * DAY)
    assert followed_up(called, START + 20 * DAY)
    assert not followed_up(late, START + 20 * DAY)


@settings(max_examples=40)
@given(acts, st.booleans(), st.integers(0, 12))
def test_all_leads_at_once_add_up_to_each_lead(
    chosen: list[Any], with_automated: bool, hours: int
) -> None:
    facts = made(chosen)
    as_of = max((one.at for one in facts), default=START)
    leads = [
        history([one for one in facts if one.person == person])
        for person in {str(one.person): one.person for one in facts}.values()
    ]
    runner = Runner(read_model_database(), Log(POLICY, facts), POLICY)
    runner.catch_up()
    with runner.engine.connect() as connection:
        answer = touch_coverage(
            connection, with_automated=with_automated, within=hours * HOUR, wanted=(1, 2, 3)
        )
    cycles = [one for lead in leads for one in coverage(lead, with_automated=with_automated)]
    follow = [followed_up(lead, as_of, hours * HOUR) for lead in leads]

    assert len(cycles) == answer["cycles"]
    assert sum(one.touches for one in cycles) == answer["touches"]
    assert [sum(one.touches >= n for one in cycles) for n in (1, 2, 3)] == [
        share["cycles"] for share in answer["shares"]
    ]
    assert {
        n: (
            sum(one.channels == n for one in cycles),
            sum(one.channels == n and one.is_won for one in cycles),
        )
        for n in {one.channels for one in cycles}
    } == {row["channels"]: (row["cycles"], row["won"]) for row in answer["channels"]}
    assert follow.count(False) == answer["no_follow_up"]["leads"]
    assert len(follow) - follow.count(None) == answer["no_follow_up"]["due"]


def test_groups_add_up_to_the_whole() -> None:
    touch = {"touch": {"channel": "email"}}
    facts = [
        act(FORM, 0),
        act(MAIL, 1),
        act(FORM, 0, "bo@example.com", **touch),
        fact("page.viewed", 20 * DAY, "bo@example.com"),
    ]
    runner = Runner(read_model_database(), Log(POLICY, facts), POLICY)
    runner.catch_up()
    with runner.engine.connect() as connection:
        answer = touch_coverage(connection, by="channel", wanted=(1,))
        later = touch_coverage(connection, since=START + 1)
        with pytest.raises(ValueError, match="must rise from 1 on"):
            touch_coverage(connection, wanted=(7, 5))

    assert ["email", None] == [group["value"] for group in answer["groups"]]
    assert [0, 1] == [group["touches"] for group in answer["groups"]]
    assert {"captured": 2, "due": 2, "leads": 1} == {
        name: answer["no_follow_up"][name] for name in ("captured", "due", "leads")
    }
    assert (0, 0) == (later["cycles"], later["no_follow_up"]["captured"])
