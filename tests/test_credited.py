"""What each model credits to a source: the fast roads, and the journeys one by one."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from domain.attribution import NANO, OVERALL_MODELS
from domain.events import Fact
from projections.costs import SPENT_BY
from projections.credit import attribution
from projections.credited import RULES, Credited, Touched, credited
from projections.economics import Terms, economics
from tests.credited_by_domain import credited_by_domain
from tests.economics_kit import bounds, by_value, filled, histories, market, spent, told
from tests.projections_kit import DAY, HOUR, START, fact, read_model_database


@settings(max_examples=60)
@given(histories, st.sampled_from(RULES), st.sampled_from(SPENT_BY), bounds, bounds)
def test_every_rule_credits_what_it_says_of_each_journey(
    history: Any, model: str, by: str, start: int | None, end: int | None
) -> None:
    since = None if start is None else START + start * DAY
    until = None if end is None else START + end * DAY
    with told(history).connect() as connection:
        found = credited(connection, model, by, since, until)
        exact = credited_by_domain(connection, model, by, since, until)
        narrow = credited(connection, model, by, since, until, 20 * DAY, None)
        exact_narrow = credited_by_domain(connection, model, by, since, until, 20 * DAY, None)

    assert exact == found
    assert exact_narrow == narrow


@settings(max_examples=25)
@given(histories, st.sampled_from((*RULES, *OVERALL_MODELS)), st.sampled_from(SPENT_BY))
def test_the_deals_of_sources_are_those_of_the_attribution(
    history: Any, model: str, by: str
) -> None:
    with told(history).connect() as connection:
        everything = credited(connection, model, by)
        document = attribution(connection, model, by, "won")

    deals = {
        touched.value: one.deals
        for touched, one in everything.items()
        if touched is not None and (one.deals or one.revenue)
    }
    assert {row["value"]: int(Decimal(row["credit"]) * NANO) for row in document["rows"]} == deals
    nobody = everything.get(None)
    assert document["unattributed"]["conversions"] * NANO == (nobody.deals if nobody else 0)


@settings(max_examples=25)
@given(histories, st.sampled_from(OVERALL_MODELS))
def test_who_is_new_is_credited_once_and_nobodys_where_nobody_touched_them(
    history: Any, model: str
) -> None:
    with told(history).connect() as connection:
        found = credited(connection, model)
        exact = credited_by_domain(connection, "linear", "channel")
    nobody, untouched = (one.get(None, Credited()).customers for one in (found, exact))
    assert sum(one.customers for one in exact.values()) == sum(
        one.customers for one in found.values()
    )
    touched = [one for value, one in found.items() if value is not None]
    deals = sum(one.deals for one in touched)
    assert deals == 0 or untouched == nobody
    for one in touched:
        whole = sum(each.customers for each in touched)
        assert abs(one.customers * deals - whole * one.deals) <= deals


def leads_of_one_and_of_three_deals() -> list[Fact]:
    """Return a customer of a channel with one deal, and one of another with three."""
    facts = [spent(0, 10_000, channel=channel) for channel in ("paid_search", "paid_social")]
    for channel, deals in (("paid_search", 1), ("paid_social", 3)):
        who = f"{channel}@example.com"
        facts.append(fact("form.submitted", HOUR, who, kind="contact", touch={"channel": channel}))
        facts += [
            fact("deal.won", (9 + n) * DAY, who, opportunity=f"{channel}{n}") for n in range(deals)
        ]
    return facts


@pytest.mark.parametrize("model", [*RULES, *OVERALL_MODELS])
def test_a_second_deal_makes_no_second_customer(model: str) -> None:
    with filled(read_model_database(), leads_of_one_and_of_three_deals()).connect() as connection:
        document = economics(connection, model)
        period = None
        if model in RULES:
            period = economics(connection, model, terms=Terms(since=START + 10 * DAY))
    rows = by_value(document)
    # models of all journeys divide the two new customers as the four deals
    each = ("0.5", "1.5") if model in OVERALL_MODELS else ("1", "1")
    assert each == tuple(rows[one]["customers"] for one in ("paid_search", "paid_social"))
    if period is not None:
        assert ("2", "0") == (period["total"]["deals"], period["total"]["customers"])


@pytest.mark.parametrize("model", OVERALL_MODELS)
def test_customers_whom_nobody_touched_are_credited_to_nobody(model: str) -> None:
    facts = [
        fact("form.submitted", 0, "a@example.com", kind="contact", touch={"channel": "email"}),
        fact("deal.won", DAY, "a@example.com", opportunity="a"),
        fact("deal.won", DAY, "b@example.com", opportunity="b"),
        fact("deal.won", 2 * DAY, "b@example.com", opportunity="c"),
    ]
    with filled(read_model_database(), facts).connect() as connection:
        document = economics(connection, model)
    assert ("1", "1") == (
        by_value(document)["email"]["customers"],
        document["unattributed"]["customers"],
    )


def test_credit_to_a_touch_that_names_nothing_is_not_credit_to_nobody() -> None:
    facts = [
        fact("form.submitted", 0, touch={"channel": "email"}, kind="contact"),
        fact("deal.won", DAY, opportunity="o", amount=5, currency="EUR"),
        fact("deal.won", DAY, "cy@example.com", opportunity="p", amount=7, currency="EUR"),
    ]
    with filled(read_model_database(), facts).connect() as connection:
        found = credited(connection, "linear", "campaign")

    assert ({"EUR": 5}, {"EUR": 7}) == (found[Touched(None)].revenue, found[None].revenue)


def test_models_of_all_journeys_say_of_sources_what_attribution_says(database_url: str) -> None:
    engine = create_engine(database_url)
    with filled(engine, market()).connect() as connection:
        for model in OVERALL_MODELS:
            found = credited(connection, model, "campaign")
            document = attribution(connection, model, "campaign")
            revenue = {
                row["value"]: {one["currency"]: _units(one["amount"]) for one in row["amounts"]}
                for row in document["rows"]
            }
            assert revenue == {
                touched.value: one.revenue
                for touched, one in found.items()
                if touched is not None and one.deals
            }
            assert 2 * NANO == sum(one.customers for one in found.values())
    engine.dispose()


def _units(text: str) -> int:
    return int(text.replace(".", ""))
