"""What was said and done, and what marketing cost: facts given, rows then."""

from typing import Any

from sqlalchemy import Engine

from domain.events import Fact
from domain.vocabulary import FAMILY_OF
from projections.activities import TYPES, activities
from projections.pipeline import pipeline
from projections.spend import spend
from tests.projections_kit import DAY, HOUR, fact
from tests.test_projections import projected, rows


def cost(at: int, amount: int, campaign: str = "pumps", **more: Any) -> Fact:
    data = {"day": "2024-10-04", "amount": amount, "currency": "EUR", "campaign": campaign}
    return fact("spend.recorded", at, None, **{**data, **more})


def void(at: int, target: Fact, **more: Any) -> Fact:
    return fact("event.voided", at, None, event_source=target.source, event_id=target.id, **more)


def amounts(engine: Engine) -> list[int]:
    return sorted(row["amount_minor"] for row in rows(engine, spend))


def test_a_call_says_who_called_whom_and_how_it_went() -> None:
    engine = projected(
        fact("demo.requested", 0, message="call me, I am Ada"),
        fact("lead.assigned", HOUR, actor="rep", owner="anna"),
        fact("call.completed", 2 * HOUR, actor="rep", direction="outbound", outcome="connected"),
    )

    asked, assigned, called = rows(engine, activities)

    assert (asked["type"], asked["owner"], asked["n"]) == ("demo.requested", None, 1)
    assert assigned["owner"] == "anna"
    assert (called["actor"], called["owner"], called["cycle"]) == ("rep", "anna", 1)
    assert (called["direction"], called["outcome"]) == ("outbound", "connected")


def test_what_a_person_wrote_is_no_activity_column() -> None:
    engine = projected(fact("contact.requested", 0, message="my number is 12345"))

    assert "12345" not in str(rows(engine, activities))


def test_a_mail_is_told_by_message_campaign_and_variant() -> None:
    mail = {"message": "m1", "campaign": "autumn", "variant": "b"}
    engine = projected(
        fact("email.sent", 0, actor="rep", **mail),
        fact("email.bounced", HOUR, actor="machine", bounce="hard", message="m1"),
        fact("email.clicked", 2 * HOUR, touch={"channel": "email", "campaign": "autumn"}),
    )

    sent, bounced, clicked = rows(engine, activities)

    assert (sent["message"], sent["campaign"], sent["variant"]) == ("m1", "autumn", "b")
    assert (bounced["kind"], bounced["message"]) == ("hard", "m1")
    assert clicked["campaign"] == "autumn"


def test_page_views_notes_and_answers_are_no_activities() -> None:
    assert not {"page.viewed", "note.added", "qualification.answered", "deal.won"} & TYPES
    assert TYPES <= FAMILY_OF.keys()


def test_activities_come_in_canonical_order_whatever_came_first() -> None:
    late = fact("email.sent", 0, actor="rep", id="late")
    engine = projected(fact("call.completed", DAY, actor="rep"), late, fact("email.opened", HOUR))

    types = [(row["n"], row["type"]) for row in rows(engine, activities)]

    assert types == [(1, "email.sent"), (2, "email.opened"), (3, "call.completed")]


def test_spend_is_nobodys() -> None:
    engine = projected(cost(0, 1250), fact("page.viewed", HOUR), cost(HOUR, -50))

    assert [-50, 1250] == amounts(engine)
    assert 1 == len(rows(engine, pipeline))


def test_voided_spend_is_gone_whichever_came_first() -> None:
    wrong, right = cost(0, 99_999), cost(HOUR, 1250)

    assert [1250] == amounts(projected(wrong, right, void(DAY, wrong)))
    assert [1250] == amounts(projected(void(DAY, wrong), wrong, right))


def test_a_voiding_that_is_voided_brings_the_spend_back() -> None:
    wrong = cost(0, 1250)
    no = void(DAY, wrong, id="no")

    assert [1250] == amounts(projected(wrong, no, void(2 * DAY, no)))


def test_spend_that_names_a_person_is_spend_all_the_same() -> None:
    engine = projected(
        fact("page.viewed", 0),
        fact("spend.recorded", HOUR, day="2024-10-04", amount=5, currency="EUR"),
        fact("page.viewed", -HOUR),
    )

    assert [5] == amounts(engine)
