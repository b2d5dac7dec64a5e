"""Facts given, rows then."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select

from domain.events import Fact
from domain.identity import lead_id
from domain.policy import Policy
from leadflow.policies import load_policy
from projections.conversions import conversions
from projections.opportunities import opportunities
from projections.people import people
from projections.pipeline import pipeline
from projections.runner import Runner
from projections.stages import stages
from projections.touches import touches
from tests.projections_kit import DAY, HOUR, MINUTE, START, Log, fact, person

POLICY = load_policy()


@pytest.fixture
def policy() -> Policy:
    return POLICY


def projected(*facts: Fact, engine: Engine | None = None) -> Engine:
    """Return a database with the read models of *facts*, which arrive in this order."""
    engine = engine or create_engine("sqlite://")
    runner = Runner(engine, Log(POLICY, facts), POLICY)
    runner.create()
    runner.catch_up()
    return runner.engine


def rows(engine: Engine, table: Any) -> list[Mapping[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key))
        return [dict(row) for row in found.mappings()]


SEARCH = {"channel": "paid_search", "source": "google", "campaign": "pumps"}
MAIL = {"channel": "email", "party": "first"}


def test_a_lead_has_one_row_that_says_where_it_stands() -> None:
    engine = projected(
        fact("page.viewed", 0, touch=SEARCH),
        fact("form.submitted", HOUR, kind="demo", traits={"country": "DE", "company": {"size": 7}}),
        fact("lead.assigned", 2 * HOUR, actor="rep", owner="anna"),
        fact("email.opened", 3 * HOUR, actor="machine", touch=MAIL),
    )

    (row,) = rows(engine, pipeline)

    assert row["lead_id"] == lead_id(("email", "ada@example.com"))
    assert (row["stage"], row["cycle"], row["owner"]) == ("captured", 1, "anna")
    assert (row["events"], row["prospect_events"], row["rep_events"]) == (4, 2, 1)
    assert (row["touches"], row["channel"], row["campaign"]) == (1, "paid_search", "pumps")
    assert (row["country"], row["company_size"], row["is_hot"]) == ("DE", "7", 0)
    assert row["captured_at_us"] == START + HOUR
    assert row["last_event_at_us"] == START + 3 * HOUR
    assert row["last_human_at_us"] == START + 2 * HOUR


def test_facts_without_identifier_are_nobody() -> None:
    engine = projected(fact("event.voided", 0, None), fact("event.reclassified", 1, None))

    assert [] == rows(engine, pipeline)


def test_every_stage_entry_knows_when_the_next_one_ended_it() -> None:
    engine = projected(
        fact("demo.requested", 0),
        fact("lead.accepted", HOUR, actor="rep"),
        fact("lead.disqualified", 3 * HOUR, actor="rep", id="no"),
    )

    entries = [
        (row["stage"], row["entered_at_us"], row["dwell_us"], row["previous"], row["fact_id"])
        for row in rows(engine, stages)
    ]

    assert entries[1] == ("sal", START + HOUR, 2 * HOUR, "captured", entries[1][4])
    assert entries[2] == ("disqualified", START + 3 * HOUR, None, "sal", "no")


def test_touches_of_a_channel_within_half_an_hour_are_one_run() -> None:
    engine = projected(
        fact("page.viewed", 0, touch=SEARCH),
        fact("page.viewed", 20 * MINUTE, touch=SEARCH),
        fact("page.viewed", 40 * MINUTE, touch=SEARCH),
        fact("page.viewed", 41 * MINUTE, touch=MAIL),
        fact("page.viewed", 80 * MINUTE, touch=MAIL),
    )

    assert [0, 1, 1, 0, 0] == [row["is_collapsed"] for row in rows(engine, touches)]


def test_a_deal_is_won_once_and_keeps_its_owner() -> None:
    engine = projected(
        fact("lead.assigned", 0, owner="anna"),
        fact("opportunity.created", DAY, opportunity="o", amount=500, currency="EUR"),
        fact("deal.won", 2 * DAY, opportunity="o", amount=700, currency="EUR"),
        fact("deal.won", 3 * DAY, opportunity="o", amount=900, currency="EUR"),
        fact("lead.assigned", 4 * DAY, owner="ben"),
    )

    won = [row for row in rows(engine, conversions) if row["kind"] == "won"]
    (deal,) = rows(engine, opportunities)

    assert [700] == [row["amount_minor"] for row in won]
    assert (deal["status"], deal["owner"]) == ("won", "anna")


def test_a_deal_without_a_name_is_the_open_one() -> None:
    engine = projected(
        fact("opportunity.created", 0, opportunity="o"),
        fact("deal.won", DAY, amount=700, currency="EUR"),
    )

    (deal,) = rows(engine, opportunities)

    assert (deal["opportunity"], deal["status"], deal["amount_minor"]) == ("o", "won", 700)


def test_a_visitor_who_becomes_known_is_named_anew_and_stays_one_lead() -> None:
    visitor = person(anonymous_id="v1")
    engine = projected(
        fact("page.viewed", 0, visitor, touch=SEARCH),
        fact("form.submitted", HOUR, person(email="ada@example.com", anonymous_id="v1")),
    )

    (row,) = rows(engine, pipeline)
    (who,) = rows(engine, people)

    assert row["lead_id"] == lead_id(("email", "ada@example.com"))
    assert row["channel"] == "paid_search"
    assert who["identifiers"] == '[["anonymous_id","v1"],["email","ada@example.com"]]'


def test_merged_leads_are_one() -> None:
    engine = projected(
        fact("page.viewed", 0, person(anonymous_id="v1"), touch=SEARCH),
        fact("form.submitted", HOUR, "ada@example.com", touch=MAIL),
        fact("form.submitted", 2 * HOUR, person(email="ada@example.com", anonymous_id="v1")),
        fact("page.viewed", 3 * HOUR, "ada@example.com"),
    )

    (row,) = rows(engine, pipeline)

    assert (row["events"], row["touches"], row["channel"]) == (4, 2, "paid_search")
    assert row["lead_id"] == lead_id(("email", "ada@example.com"))
