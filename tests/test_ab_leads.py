"""Who is in a test of mails, what they did, and what the question about it answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from domain.ab_subject import Mail, subject
from domain.events import Fact
from projections.ab_tests import ab_test
from projections.coverage import touch_coverage
from projections.runner import Runner
from projections.speed import speed
from tests.projections_kit import DAY, HOUR, Log, fact
from tests.test_speed import ASK, CALL, POLICY, TALK, act


def mail(at: int, type_: str, variant: str | None = None, **more: Any) -> Mail:
    given = {"actor": "unknown", "message": "m1", "campaign": "c"} | more
    return Mail(at, f"email.{type_}", variant=variant, **given)


def test_a_lead_belongs_to_the_first_variant_that_it_was_sent() -> None:
    found = subject([mail(1, "sent", "b"), mail(2, "sent", "a"), mail(3, "opened")], campaign="c")

    assert found is not None
    assert ("b", 1, frozenset("a")) == (found.variant, found.assigned_at, found.others)


def test_machines_open_nothing_and_are_counted_apart() -> None:
    found = subject(
        [
            mail(1, "sent", "a"),
            mail(2, "opened", actor="machine"),
            mail(3, "clicked", actor="machine"),
            mail(4, "opened", actor="prospect"),
        ],
        campaign="c",
    )

    assert found is not None
    assert frozenset({"email.opened"}) == found.acts
    assert 2 == found.machine_acts
    assert found.is_delivered


def test_an_act_that_names_no_campaign_belongs_to_the_message() -> None:
    """A click may name the campaign of its link, or none; a mail of another campaign is its own."""
    told = [
        mail(1, "sent", "a"),
        mail(2, "clicked", campaign="link"),
        mail(3, "replied", campaign=None, message="m2"),
        mail(4, "sent", "b", campaign="other"),
    ]
    found = subject(told, campaign="c")
    by_message = subject(told, message="m1")

    assert found is not None
    assert by_message is not None
    assert frozenset({"email.clicked"}) == found.acts == by_message.acts
    assert frozenset() == found.others
    assert frozenset("b") == by_message.others


def test_what_came_before_the_variant_is_not_the_tests() -> None:
    found = subject([mail(1, "opened"), mail(2, "sent", "a")], campaign="c")

    assert found is not None
    assert frozenset() == found.acts
    assert subject([mail(1, "sent"), mail(2, "opened")], campaign="c") is None


# --- both databases -----------------------------------------------------------------------------


def facts() -> Iterator[Fact]:
    """Yield 40 leads in two variants: half of a, nobody of b clicks and becomes an opportunity."""
    for n in range(40):
        who, variant = f"p{n:02}@example.com", "ab"[n % 2]
        about = {"campaign": "spring", "message": f"m{n}"}
        touch = {"channel": "email", "source": "news"}
        yield fact("form.submitted", n, who, kind="content", touch=touch)
        if n < 38:
            yield fact("email.sent", HOUR + n, who, variant=variant, **about)
        else:  # the variant stands in the touch alone
            said = {"channel": "email", "source": "news", "content": variant}
            yield fact("email.sent", HOUR + n, who, touch=said, **about)
        yield fact("email.delivered", 2 * HOUR + n, who, **about)
        if n % 4 == 0:
            yield fact("email.clicked", 3 * HOUR + n, who, message=f"m{n}", actor="prospect")
            yield fact("opportunity.created", DAY, who, opportunity=f"o{n}")
        if n % 4 == 1:
            yield fact("email.clicked", 3 * HOUR + n, who, message=f"m{n}", actor="machine")
        if n % 8 == 3:
            yield fact("email.unsubscribed", 4 * HOUR, who, **about)
        if n % 5 == 0:
            yield act(ASK, 5 * HOUR, who)
            yield act(CALL, 5 * HOUR + n * 60_000_000, who)
            yield act(TALK, 6 * HOUR, who)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url)
    runner = Runner(engine, Log(POLICY, facts()), POLICY)
    runner.create()
    runner.catch_up()
    with runner.engine.connect() as connection:
        yield connection
    engine.dispose()


def test_both_databases_answer_alike(connection: Connection) -> None:
    clicked = ab_test(connection, campaign="spring")
    reached = ab_test(connection, campaign="spring", metric="converted:sql", control="b")
    one = ab_test(connection, message="m4")
    fast = speed(connection, by="channel")
    often = touch_coverage(connection, by="source")

    a, b = clicked["variants"]
    assert (20, 20, 10, 0.5) == (a["assigned"], a["delivered"], a["successes"], a["rate"])
    assert (20, 20, 0, -0.5) == (b["assigned"], b["delivered"], b["successes"], b["difference"])
    assert "exact" == b["method"]
    assert b["p"] < 0.001
    assert 10 == clicked["machine_acts"]
    assert not clicked["sample_ratio"]["is_mismatch"]
    unsubscribed = clicked["guardrails"][0]["variants"]
    assert [0, 5] == [row["successes"] for row in unsubscribed]
    assert unsubscribed[1]["is_worse"]
    assert [("b", 0), ("a", 10)] == [
        (row["variant"], row["successes"]) for row in reached["variants"]
    ]
    assert (1, None) == (one["assigned"], one["sample_ratio"])
    assert (8, 8, 8) == (fast["leads"], fast["attempted"], fast["contacted"])
    assert {"p50": 900.0, "p90": 2100.0, "p95": 2100.0} == fast["attempt_seconds"]
    assert [("email", 8)] == [(group["value"], group["leads"]) for group in fast["groups"]]
    assert (40, 16) == (often["cycles"], often["touches"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "name one of both"),
        ({"campaign": "c", "message": "m"}, "name one of both"),
        ({"campaign": "spring", "metric": "sold"}, "is no metric"),
        ({"campaign": "spring", "metric": "converted:moon"}, "unknown stage"),
        ({"campaign": "spring", "guardrails": ["x"]}, "is no guardrail"),
        ({"campaign": "spring", "control": "z"}, "nobody was sent 'z'; there are a, b"),
        ({"campaign": "spring", "split": {"a": 1}}, "must name every variant once: a, b"),
    ],
)
def test_what_is_no_test_is_refused_with_what_there_is(
    sqlite_database: str, asked: dict[str, Any], told: str
) -> None:
    engine = create_engine(sqlite_database)
    runner = Runner(engine, Log(POLICY, facts()), POLICY)
    runner.create()
    runner.catch_up()
    with runner.engine.connect() as connection, pytest.raises(ValueError, match=told):
        ab_test(connection, **asked)
    engine.dispose()


def test_without_a_word_of_delivery_who_did_not_bounce_got_it(sqlite_database: str) -> None:
    engine = create_engine(sqlite_database)
    log = Log(POLICY)
    for n in range(4):
        about = {"campaign": "c", "message": f"m{n}", "variant": "ab"[n % 2]}
        log.arrive(fact("email.sent", n, f"p{n}@example.com", **about))
    log.arrive(fact("email.bounced", 9, "p0@example.com", campaign="c", message="m0"))
    log.arrive(fact("email.sent", 9, "x@example.com", campaign="c", message="m9"))
    runner = Runner(engine, log, POLICY)
    runner.create()
    runner.catch_up()
    with runner.engine.connect() as connection:
        found = ab_test(connection, campaign="c", split={"a": 1, "b": 1})
        nobody = ab_test(connection, campaign="none")
    engine.dispose()

    assert "sent and not bounced" == found["delivered_is"]
    assert [1, 2] == [row["delivered"] for row in found["variants"]]
    assert 1 == found["without_variant"]
    assert ([], None, 0) == (nobody["variants"], nobody["control"], nobody["assigned"])
