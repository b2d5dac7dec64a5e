"""The five questions: what their pages say is what happens, and what is so in the market."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, create_engine

from leadflow.simulate import Market, Truth, simulate
from leadflow.simulate.cast import ORIGINS, REPS
from projections.channel_matrix import channel_matrix
from projections.economics import economics
from projections.sources import summary
from projections.speed import speed
from tests.pages import DOCS, blocks, commands, ran, run_page

PAGES = sorted((DOCS / "questions").glob("*.md"))
START, MARCH = (
    int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000 for day in ((2025, 10, 1), (2026, 3, 2))
)
"""The first instant of the market, and the end of 1 March, microseconds UTC."""
MARKET = Market(leads=1_200, days=182, start=START, currency="EUR")


def beginning(page: Path) -> tuple[str, str]:
    """Return the two commands that make the data of *page*, and the section they stand in."""
    first = next(block for block in blocks(page.read_text()) if block.language == "console")
    simulated, ingested = (command.text for command in commands(first))
    return simulated, ingested


def test_there_are_five_pages_and_all_make_the_same_data() -> None:
    assert 5 == len(PAGES)
    assert 1 == len({beginning(page) for page in PAGES})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the first two commands of the pages were run, as they are shown."""
    folder = tmp_path_factory.mktemp("market")
    for _, one in zip(range(2), ran(PAGES[0], folder), strict=False):
        assert one.as_shown, one.printed
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_is_what_happens(page: Path, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    shutil.copytree(made, folder)

    assert run_page(page, folder, done=beginning(page)) > 2


# --- the market knows better --------------------------------------------------------------------


@pytest.fixture(scope="module")
def truth() -> Truth:
    return simulate(MARKET).truth


@pytest.fixture
def connection(made: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{made}/leadflow.db")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_the_deals_of_each_channel_are_those_that_the_market_made(
    connection: Connection, truth: Truth
) -> None:
    rows = summary(connection, "channel")["rows"]
    won = Counter(lead.channel for lead in truth.leads.values() if lead.outcome == "won")

    assert won == Counter({row["value"]: row["won"] for row in rows if row["won"]})


def test_the_best_and_the_leakiest_channel_are_those_that_the_market_made_so(
    connection: Connection,
) -> None:
    found = {
        (row["value"], one["class"])
        for row in channel_matrix(connection)["rows"]
        for one in row["findings"]
    }
    brought = [origin for origin in ORIGINS if origin.touch is not None]
    best = max(brought, key=lambda origin: origin.intent * origin.win)
    coldest = min(brought, key=lambda origin: origin.warmth)

    assert ("referral", "lead_ad") == (best.name, coldest.name)
    assert {("referral", "no_leads"), ("paid_social", "no_conversion")} == found


def test_who_leaves_most_unanswered_is_the_rep_who_cares_least(connection: Connection) -> None:
    groups = [row for row in speed(connection, by="rep")["groups"] if row["value"] is not None]
    worst = max(groups, key=lambda row: Fraction(row["unanswered"], row["leads"]))

    assert max(REPS, key=lambda rep: rep.neglect).id == worst["value"]


def test_what_was_open_on_1_march_is_what_the_events_say() -> None:
    amounts: dict[str, int] = {}
    happened = sorted(
        (envelope for envelope in simulate(MARKET).events if envelope.occurred_at < MARCH),
        key=lambda envelope: envelope.occurred_at,
    )
    for envelope in happened:
        type_, data = envelope.event["type"], cast("dict[str, Any]", envelope.event["data"])
        if type_ in ("opportunity.created", "opportunity.changed") and "amount" in data:
            given = data["amount"]
            minor = given if isinstance(given, int) else int(Decimal(given) * 100)
            amounts[data["opportunity"]] = minor
        elif type_ in ("deal.won", "deal.lost"):
            amounts.pop(data["opportunity"], None)
    page = (DOCS / "questions/what-is-the-pipeline-worth.md").read_text()

    shown = re.search(r"^opportunity +(\d+) +([\d,.]+) EUR", page, re.MULTILINE)
    assert shown is not None
    assert (f"{len(amounts)}", f"{Decimal(sum(amounts.values())) / 100:,.2f}") == shown.groups()


def test_what_campaigns_cost_and_brought_is_what_the_market_spent_and_sold(
    connection: Connection, truth: Truth
) -> None:
    answer = economics(connection, "first", "campaign")
    revenue = {row["value"]: money["revenue"] for row in answer["rows"] for money in row["money"]}
    (total,) = answer["total"]["money"]

    def sold(origin: str) -> str:
        leads = [lead for lead in truth.leads.values() if lead.origin == origin]
        return f"{Decimal(sum(lead.won_amount or 0 for lead in leads)) / 100:.2f}"

    assert [truth.totals.spend["EUR"], truth.totals.amounts["EUR"]] == [
        int(Decimal(total[name]) * 100) for name in ("spend", "revenue")
    ]
    assert [sold(origin) for origin in ("lead_ad", "paid_search", "webinar")] == [
        revenue[campaign] for campaign in ("brand-push", "pumps-de", "line-care")
    ]
