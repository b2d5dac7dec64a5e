"""Histories of spend, touches and deals, and how to read what economics say of them."""

from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Engine

from domain.events import Fact
from leadflow.policies import load_policy
from projections.costs import first_day
from projections.runner import Runner
from tests.projections_kit import DAY, HOUR, START, Log, fact, read_model_database

POLICY = load_policy()
SPRING = {"channel": "paid_search", "source": "google", "campaign": "spring"}
NEWS = {"channel": "email", "source": "news", "campaign": "news"}


def spent(day: int, amount: int, currency: str = "EUR", **where: str) -> Fact:
    """Return a report, on a day after START, of what was spent on it."""
    said = first_day(START + day * DAY)
    return fact(
        "spend.recorded", day * DAY, None, day=said, amount=amount, currency=currency, **where
    )


def market() -> list[Fact]:
    """Return two campaigns: one that wins two customers, one that wins half of one."""
    facts = [
        spent(0, 10_000, **SPRING),
        spent(40, 6_000, **SPRING),
        spent(0, 5_000, **NEWS),
        spent(1, -1_000, **NEWS),
        spent(1, 700, "USD", **NEWS),
        spent(1, 900, channel="display", campaign="nobody came"),
        spent(1, 50),
    ]
    for n, (touches, amount) in enumerate(
        [((SPRING,), 30_000), ((SPRING, NEWS), 20_000), ((NEWS,), None), ((), None)]
    ):
        who = f"p{n}@example.com"
        facts.append(
            fact(
                "form.submitted",
                n * HOUR,
                who,
                kind="contact",
                touch=touches[0] if touches else None,
            )
        )
        facts += [fact("page.viewed", DAY + n * HOUR, who, touch=touch) for touch in touches[1:]]
        if amount is not None:
            facts.append(
                fact("deal.won", 30 * DAY, who, opportunity=f"o{n}", amount=amount, currency="EUR")
            )
    facts.append(
        fact("deal.won", 35 * DAY, "p0@example.com", opportunity="more", amount=500, currency="EUR")
    )
    return facts


def filled(engine: Engine, facts: list[Fact]) -> Engine:
    runner = Runner(engine, Log(POLICY, facts), POLICY)
    runner.create()
    runner.catch_up()
    return runner.engine


def by_value(document: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    return {row["value"]: row for row in document["rows"]}


def money(row: dict[str, Any], currency: str = "EUR") -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [one for one in row["money"] if one["currency"] == currency]
    return found


_touch = st.sampled_from([None, SPRING, NEWS, {"channel": "email"}, {"channel": "direct"}])
_act = st.tuples(
    st.sampled_from(["page.viewed", "demo.requested", "deal.won", "form.submitted"]),
    st.integers(0, 120),
    st.integers(0, 3),
    _touch,
    st.none() | st.integers(-999, 99_999),
    st.sampled_from(["EUR", "JPY"]),
)
_spend = st.tuples(
    st.integers(0, 120),
    st.integers(-999, 99_999),
    st.sampled_from(["EUR", "JPY"]),
    st.sampled_from([SPRING, NEWS, {}, {"campaign": "lonely"}, {"channel": "email"}]),
)
histories = st.tuples(st.lists(_act, max_size=14), st.lists(_spend, max_size=6))
bounds = st.none() | st.integers(0, 120)


def told(history: tuple[list[Any], list[Any]]) -> Engine:
    """Return the read models of a history that Hypothesis made."""
    facts = [spent(day, amount, currency, **where) for day, amount, currency, where in history[1]]
    for n, (type_, day, who, touch, amount, currency) in enumerate(history[0]):
        data = {"opportunity": f"o{n}"} if type_ == "deal.won" else {}
        worth = {"amount": amount, "currency": currency} if data and amount is not None else {}
        facts.append(
            fact(type_, day * DAY + n, f"p{who}@example.com", touch=touch, **data, **worth)
        )
    return filled(read_model_database(), facts)
