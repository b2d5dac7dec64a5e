"""The example map turns Maven's CRM into events from which its published answers follow."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from consumers.contract import Malformed, parse
from leadflow.importer import Event, dry_run, load_mapping, read_events

MAP = Path(__file__).parents[1] / "docs" / "examples" / "maven_crm.toml"


@dataclass
class Deal:
    """One lead as its events tell it."""

    times: dict[str, datetime] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    amount: Decimal = Decimal(0)
    amounts: int = 0

    def stage(self, as_of: datetime | None = None) -> str:
        """Return the stage by what had happened at *as_of*."""
        happened = {type_ for type_, at in self.times.items() if as_of is None or at <= as_of}
        names = {"deal.won": "won", "deal.lost": "lost", "opportunity.created": "engaging"}
        return next((name for type_, name in names.items() if type_ in happened), "prospecting")

    @property
    def closed(self) -> datetime:
        return self.times.get("deal.won") or self.times["deal.lost"]

    @property
    def cycle_days(self) -> int:
        return (self.closed.date() - self.times["opportunity.created"].date()).days


@pytest.fixture(scope="module")
def deals(shared_data: Path) -> dict[str, Deal]:
    deals: defaultdict[str, Deal] = defaultdict(Deal)
    events: list[Any] = []
    for row in read_events(shared_data / "maven_crm" / "sales_pipeline.csv", load_mapping(MAP)):
        assert row.problems == ()
        events += row.events
    for event in events:
        deal, data = deals[event["subject"]], event["data"]
        deal.times[event["type"]] = datetime.fromisoformat(event["time"])
        deal.data.update(data)
        if "amount" in data:
            assert data["currency"] == "USD"
            deal.amount += Decimal(data["amount"])
            deal.amounts += 1
    return dict(deals)


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((shared_data / "maven_crm" / "crm.json").read_text())
    return answers


def group(deals: list[Deal]) -> dict[str, Any]:
    stages = Counter(deal.stage() for deal in deals)
    won = [deal for deal in deals if deal.stage() == "won"]
    closed = stages["won"] + stages["lost"]
    return {
        "engaging": stages["engaging"],
        "lost": stages["lost"],
        "median_cycle_days_won": median(deal.cycle_days for deal in won) if won else None,
        "opportunities": len(deals),
        "prospecting": stages["prospecting"],
        "win_rate": stages["won"] / closed if closed else None,
        "won": stages["won"],
        "won_value": float(sum(deal.amount for deal in won)),
    }


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("by_agent", lambda deal: deal.data["owner"]),
        ("by_product", lambda deal: deal.data["product"]),
        (
            "by_account",
            lambda deal: deal.data.get("person", {}).get("company", {}).get("name", "(none)"),
        ),
        ("by_manager", lambda deal: deal.data["manager"]),
        ("by_region", lambda deal: deal.data["regional_office"]),
    ],
)
def test_every_group_has_its_answer(
    deals: dict[str, Deal], answers: dict[str, Any], answer: str, value: Callable[[Deal], str]
) -> None:
    groups: defaultdict[str, list[Deal]] = defaultdict(list)
    for deal in deals.values():
        groups[value(deal)].append(deal)

    # The answers keep the slip of the file; the map says what the product is called.
    expected = {name.replace("GTXPro", "GTX Pro"): of for name, of in answers[answer].items()}
    assert expected == {name: group(members) for name, members in groups.items()}


def test_the_state_at_the_end_of_each_day_is_the_answer(
    deals: dict[str, Deal], answers: dict[str, Any]
) -> None:
    for day, answer in answers["as_of"].items():
        end = datetime.fromisoformat(f"{day}T23:59:59.999999+00:00")
        stages = Counter(deal.stage(end) for deal in deals.values())
        value = sum(deal.amount for deal in deals.values() if deal.stage(end) == "won")
        counted = {stage: stages[stage] for stage in ("engaging", "lost", "won")}

        assert answer == {**counted, "won_value": float(value)}, day


def test_quarters_of_closing_have_their_answers(
    deals: dict[str, Deal], answers: dict[str, Any]
) -> None:
    quarters: defaultdict[str, dict[str, float]] = defaultdict(
        lambda: {"lost": 0, "won": 0, "won_value": 0.0}
    )
    for deal in deals.values():
        if deal.stage() in {"won", "lost"}:
            quarter = quarters[f"{deal.closed.year}Q{(deal.closed.month + 2) // 3}"]
            quarter[deal.stage()] += 1
            quarter["won_value"] += float(deal.amount)

    assert answers["by_close_quarter"] == quarters


def test_cohorts_by_month_of_engagement_have_their_answers(
    deals: dict[str, Deal], answers: dict[str, Any]
) -> None:
    cohorts: defaultdict[str, dict[str, int]] = defaultdict(
        lambda: {"engaged": 0, "lost": 0, "won": 0}
    )
    for deal in deals.values():
        if (engaged := deal.times.get("opportunity.created")) is not None:
            cohort = cohorts[f"{engaged:%Y-%m}"]
            cohort["engaged"] += 1
            if deal.stage() != "engaging":
                cohort[deal.stage()] += 1

    assert answers["by_engage_month_cohort"] == cohorts


def test_cycle_days_and_totals_are_the_answers(
    deals: dict[str, Deal], answers: dict[str, Any]
) -> None:
    for stage in ("Won", "Lost"):
        days = [deal.cycle_days for deal in deals.values() if deal.stage() == stage.lower()]
        counted = {"max": max(days), "mean": pytest.approx(mean(days)), "median": median(days)}
        assert answers["cycle_days"][stage] == counted
    totals, whole = answers["totals"], group(list(deals.values()))
    for name in ("engaging", "lost", "opportunities", "prospecting", "won", "won_value"):
        assert totals[name] == whole[name]
    assert totals["unique_ids"] == len(deals)
    assert totals["agents_in_pipeline"] == len({deal.data["owner"] for deal in deals.values()})
    assert totals["rows_without_account"] == sum(
        "company" not in d.data.get("person", {}) for d in deals.values()
    )


def test_a_lead_without_a_date_counts_from_the_first_day_of_the_data(
    deals: dict[str, Deal],
) -> None:
    prospects = [deal for deal in deals.values() if deal.stage() == "prospecting"]

    assert len(prospects) == 500
    first = min(deal.times["record.imported"] for deal in deals.values())
    assert {deal.times["record.imported"] for deal in prospects} == {first}


def test_only_won_deals_have_an_amount(deals: dict[str, Deal]) -> None:
    """The file's 0 of a lost deal is no amount: a missing amount is not zero."""
    assert all(deal.amounts == (deal.stage() == "won") for deal in deals.values())


def test_a_deal_is_engaged_before_it_is_closed_and_captured_before_both(
    deals: dict[str, Deal],
) -> None:
    for deal in deals.values():
        order = list(deal.times.values())
        assert order == sorted(order)


def test_importing_twice_gives_the_same_events_with_ids_of_their_own(shared_data: Path) -> None:
    path, mapping = shared_data / "maven_crm" / "sales_pipeline.csv", load_mapping(MAP)
    ids: set[object] = set()
    made = 0
    for one, two in zip(read_events(path, mapping), read_events(path, mapping), strict=True):
        assert one == two
        ids.update(event["id"] for event in one.events)
        made += len(one.events)

    assert made == len(ids) == 32_611


def test_a_later_export_repeats_what_it_does_not_change(shared_data: Path, tmp_path: Path) -> None:
    """A deal that was engaged and is now won adds the winning alone."""
    for name in ("accounts.csv", "sales_teams.csv"):
        (tmp_path / name).write_bytes((shared_data / "maven_crm" / name).read_bytes())
    header = (
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n"
    )
    row = "A1,Moses Frase,GTXPro,Isdom,{}\n"
    before, after = tmp_path / "before.csv", tmp_path / "after.csv"
    before.write_text(header + row.format("Engaging,2017-01-01,,"))
    after.write_text(header + row.format("Won,2017-01-01,2017-02-01,4514"))
    mapping = load_mapping(MAP)
    (was,), (now,) = read_events(before, mapping), read_events(after, mapping)

    assert now.events[:-1] == was.events
    assert now.names[-1] == "won"
    assert now.events[-1]["data"] == {
        "actor": {"kind": "rep", "id": "Moses Frase"},
        "opportunity": "A1",
        "product": "GTX Pro",
        "amount": "4514",
        "currency": "USD",
    }


def test_the_contract_accepts_every_event(shared_data: Path) -> None:
    def refusal(event: Event) -> str | None:
        try:
            parse(json.dumps(event).encode(), (), recorded_at=1_700_000_000_000_000)
        except Malformed as malformed:
            return str(malformed)
        return None

    path = shared_data / "maven_crm" / "sales_pipeline.csv"
    assert dry_run(path, load_mapping(MAP), refusal).problems == []


def test_a_dry_run_tells_what_the_file_holds(shared_data: Path) -> None:
    report = dry_run(shared_data / "maven_crm" / "sales_pipeline.csv", load_mapping(MAP))

    made = {event.name: event.events for event in report.events}
    assert made == {"captured": 8800, "assigned": 8800, "engaged": 8300, "won": 4238, "lost": 2473}
    assert (report.rows, report.bad_rows, report.silent_rows, report.refused) == (8800, 0, 0, 0)
    assert report.unused == []
    account = next(column for column in report.columns if column.column == "account")
    assert (account.filled, account.empty, account.distinct, account.bad) == (7375, 1425, 85, 0)
