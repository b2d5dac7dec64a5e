"""What comes of recycled leads, and where leads come from: the definition, and all rows at once."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert

from domain.calibration import ONE
from domain.counts import DAY
from domain.months import month_of
from domain.recycling import Recycling, recyclings
from domain.stages import MQL, OPPORTUNITY, RANK, SQL, WON
from leadflow.policies import load_policy
from projections.activities import activities
from projections.effort import EFFORT, effort
from projections.hygiene import hygiene
from projections.pipeline import UnknownDimension, pipeline
from projections.recycled import outcomes, recycled
from projections.runner import Runner
from projections.sales_forecast import Months, forecast
from projections.schema import read_models
from projections.source_mix import read_leads, source_mix
from projections.stages import stages
from projections.velocity import velocity
from projections.win_rate import win_rate
from tests.command_line import CommandLine, command_line
from tests.projections_kit import START, Log, fact, read_model_database

YEAR = 365 * DAY


def test_a_recycling_that_gets_to_sql_in_time_counts() -> None:
    entries = [(0, "recycled"), (YEAR, SQL), (YEAR + 1, WON)]
    assert [Recycling(0, True, True, False)] == recyclings(entries, 2 * YEAR, YEAR)
    assert [Recycling(0, False, False, False)] == recyclings(entries[:1], YEAR - 1, YEAR)


def test_a_later_stage_means_that_sql_was_reached() -> None:
    assert recyclings([(0, "recycled"), (5, OPPORTUNITY)], 9, YEAR)[0].sql
    assert not recyclings([(0, "recycled"), (5, MQL)], 9, YEAR)[0].sql


def test_what_follows_the_next_recycling_is_that_ones() -> None:
    found = recyclings([(0, "recycled"), (5, "recycled"), (9, WON)], 2 * YEAR, YEAR)
    assert [(False, False), (True, True)] == [(one.sql, one.won) for one in found]


# --- all rows at once -----------------------------------------------------------------------------


def stage_row(lead_no: int, n: int, stage: str, at: int, **more: Any) -> dict[str, Any]:
    row = dict.fromkeys((column.name for column in stages.columns), None)
    return {
        **row,
        "lead_no": lead_no,
        "n": n,
        "stage": stage,
        "entered_at_us": at,
        "cycle": 1,
        "cycle_kind": "new",
        "is_first": 1,
        "rule": "r",
        "policy": "p",
        "fact_source": "/s",
        "fact_id": f"{lead_no}-{n}",
        **more,
    }


way = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["recycled", MQL, SQL, OPPORTUNITY, WON, "lost"])),
    max_size=8,
)


def put(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


@settings(max_examples=80)
@given(st.lists(way, max_size=5), st.integers(0, 12), st.integers(1, 9))
def test_recyclings_over_columns_are_those_of_each_lead(
    leads: list[list[tuple[int, str]]], as_of: int, within: int
) -> None:
    expected, rows = [], []
    for lead_no, steps in enumerate(leads):
        at, entries = 0, []
        for n, (later, stage) in enumerate(steps):
            at += later
            entries.append((at, stage))
            rows.append(stage_row(lead_no, n, stage, at))
        expected += recyclings(entries, as_of, within)
    with read_model_database().connect() as connection:
        put(connection, stages, rows)
        found, reasons = outcomes(connection, "reason", as_of, within)
    columns = (found.at, found.mature, found.sql, found.won)
    assert expected == [Recycling(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    assert len(expected) == len(reasons.codes)


people = st.fixed_dictionaries(
    {
        "captured": st.none() | st.integers(0, 90).map(lambda day: day * DAY),
        "party": st.sampled_from(["first", "third", None]),
        "channel": st.sampled_from(["outbound", "email", None]),
        "source": st.sampled_from(["google", None]),
        "campaign": st.sampled_from(["spring", None]),
        "stages": st.lists(st.sampled_from(["captured", MQL, "sgl", SQL, WON, "lost"]), max_size=4),
        "bounce": st.sampled_from(["hard", "soft", "none", None]),
    }
)


@settings(max_examples=80)
@given(st.lists(people, max_size=12))
def test_the_mix_is_what_counting_by_hand_finds(everybody: list[dict[str, Any]]) -> None:
    with read_model_database().connect() as connection:
        _fill(connection, everybody)
        found = source_mix(connection, targets={"first": Fraction(1, 2)})
    captured = [one for one in everybody if one["captured"] is not None]
    assert len(captured) == found["leads"]
    assert len(everybody) - len(captured) == found["not_captured"]
    bare = [one for one in captured if one["source"] is None and one["campaign"] is None]
    assert len(bare) == found["untagged"]["leads"]["leads"]
    for row in found["parties"]:
        mine = [one for one in captured if one["party"] == row["value"]]
        assert len(mine) == row["leads"]
        for stage in (MQL, SQL, WON):
            far = [
                one
                for one in mine
                if any(RANK.get(entered, -1) >= RANK[stage] for entered in one["stages"])
            ]
            assert len(far) == row[stage]["leads"]
        mailed = [one for one in mine if one["bounce"] is not None]
        assert len(mailed) == row["mailed"]
        assert sum(one["bounce"] == "hard" for one in mailed) == row["bounced"]["leads"]
    out = [one for one in captured if one["channel"] == "outbound" or "sgl" in one["stages"]]
    sizes = {row["value"]: row["leads"] for row in found["motions"]}
    assert len(out) == sizes.get("outbound", 0)


def _fill(connection: Connection, everybody: list[dict[str, Any]]) -> None:
    leads, entries, mails = [], [], []
    for lead_no, one in enumerate(everybody):
        row: dict[str, Any] = dict.fromkeys((column.name for column in pipeline.columns), None)
        row |= {name: 0 for name, column in pipeline.columns.items() if not column.nullable}
        row |= {name: one[name] for name in ("party", "channel", "source", "campaign")}
        row |= {"lead_no": lead_no, "lead_id": str(lead_no), "captured_at_us": one["captured"]}
        leads.append(row)
        entries += [
            stage_row(lead_no, n, stage, 100 * DAY) for n, stage in enumerate(one["stages"])
        ]
        if one["bounce"] is not None:
            mails.append(_mail(lead_no, one["bounce"]))
    put(connection, pipeline, leads)
    put(connection, stages, entries)
    put(connection, activities, mails)


def _mail(lead_no: int, bounce: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys((column.name for column in activities.columns), None)
    kind = None if bounce == "none" else bounce
    return {
        **row,
        "lead_no": lead_no,
        "n": 1,
        "at_us": 0,
        "cycle": 1,
        "type": "email.sent" if kind is None else "email.bounced",
        "actor": "machine",
        "kind": kind,
        "fact_source": "/s",
        "fact_id": str(lead_no),
    }


# --- on both databases ----------------------------------------------------------------------------


@pytest.fixture
def projected(database_url: str) -> Iterator[Connection]:
    """Yield read models in which a lead is recycled, wakes up, is won, and is sold to again."""
    log = Log(load_policy())
    rep = {"actor": "rep"}
    tagged = {"channel": "email", "source": "news", "party": "first"}
    for one in (
        fact("demo.requested", 0, touch=tagged),
        fact("lead.accepted", 1, **rep),
        fact("call.attempted", 1, call="c1", direction="outbound", **rep),
        fact("call.completed", 2, call="c1", direction="outbound", **rep),
        fact("lead.recycled", DAY, reason="no budget", **rep),
        fact("demo.requested", 2 * DAY),
        fact("opportunity.created", 3 * DAY, opportunity="o", **rep),
        fact("email.sent", 4 * DAY, message="m1", **rep),
        fact("deal.won", 5 * DAY, opportunity="o", **rep),
        fact("email.sent", 6 * DAY, message="m2", **rep),
        fact("form.submitted", 7 * DAY, "bo@example.com", kind="contact"),
        fact("lead.accepted", 8 * DAY - 1, "bo@example.com", **rep),
        fact("lead.recycled", 8 * DAY, "bo@example.com", reason="no budget", **rep),
    ):
        log.arrive(one)
    engine = create_engine(database_url)
    runner = Runner(engine, log, load_policy())
    runner.create()
    runner.catch_up()
    with read_models(engine).connect() as connection:
        yield connection
    engine.dispose()


def test_the_reason_is_the_one_that_was_given(projected: Connection) -> None:
    found = recycled(projected, within=7 * DAY)
    assert [("no budget", 2, 1, 1)] == [
        (one["value"], one["recycled"], one["mature"], one["won"]["leads"])
        for one in found["groups"]
    ]
    assert 1.0 == found["sql"]["rate"]
    by_channel = recycled(projected, "channel", within=7 * DAY)
    assert {"email", None} == {one["value"] for one in by_channel["groups"]}
    with pytest.raises(UnknownDimension, match="cannot group recycled leads"):
        recycled(projected, "colour")


def test_effort_for_a_customer_is_not_new_business(projected: Connection) -> None:
    """Both notices of one call are one act; what follows the deal is for a customer."""
    found = effort(projected, floor=Fraction(9, 10))
    assert (3, 2, 1, True) == (
        found["acts"],
        found["new"],
        found["existing"],
        found["below_floor"],
    )
    assert {"new": 1, "recycled": 1, "expansion": 1} == {
        one["value"]: one["acts"] for one in found["kinds"]
    }
    assert "note.added" not in EFFORT
    leads, uncaptured = read_leads(projected)
    assert (2, 0) == (len(leads.captured), uncaptured)


def test_the_other_questions_say_the_same_on_both_databases(projected: Connection) -> None:
    rates = win_rate(projected, "channel", every="month")
    assert (1, 0, 1.0) == (rates["won"], rates["lost"], rates["win_rate"])
    assert ["email"] == [one["value"] for one in rates["groups"]]
    assert 2.0 == rates["cycle_days"]["won"]["median"]
    assert (0, 2.0) == (velocity(projected)["open"], velocity(projected)["sales_cycle_days"])
    at = START + 9 * DAY
    ahead = forecast(projected, {1: ONE // 2}, Months(at, month_of(at), 2))
    assert (0, "base_rate", 1.0) == (ahead["open"], ahead["probabilities"], ahead["base_rate"])
    mix = source_mix(projected)
    assert {"first": 1, None: 1} == {one["value"]: one["leads"] for one in mix["parties"]}
    clean = hygiene(projected, ("email",), as_of=at, show="stale")
    assert (2, 1.0, []) == (clean["leads"], clean["completeness"]["rate"], clean["list"])


# --- the program ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    def act(who: str, n: int, type_: str, day: str, **data: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "source": "/crm",
            "id": f"{who}-{n}",
            "type": type_,
            "time": f"{day}T09:00:00Z",
            "data": {"person": {"email": f"{who}@example.com"}, **data},
        }

    with command_line(tmp_path_factory.mktemp("mix")) as program:
        ads = {"channel": "paid_search", "source": "google", "party": "third"}
        events = [
            act("ada", 1, "record.imported", "2025-01-05", legal_basis="consent", touch=ads),
            act("ada", 4, "lead.accepted", "2025-01-06"),
            act("ada", 2, "lead.recycled", "2025-02-01", reason="too early"),
            act("ada", 3, "deal.won", "2025-06-01"),
            act("bo", 1, "form.submitted", "2026-04-05", kind="demo"),
            act("bo", 2, "call.attempted", "2026-04-06", actor={"kind": "rep", "id": "r.kim"}),
            act("bo", 4, "lead.accepted", "2026-04-07"),
            act("bo", 3, "lead.recycled", "2026-05-01", reason="no answer"),
        ]
        program("ingest", program.write("events.jsonl", *events))
        yield program


def test_immature_recyclings_are_in_no_rate(leadflow: CommandLine) -> None:
    found = leadflow.json("recycled", "--within", "12mo")
    assert (2, 1, 1) == (found["recycled"], found["mature"], found["immature"])
    assert 1.0 == found["won"]["rate"]
    shown = leadflow("recycled").stdout
    assert "1 are immature" in shown
    assert "too early" in shown
    assert "no lead was recycled" in leadflow("recycled", "--to", "2020-01-01").stdout


def test_the_mix_has_targets_periods_and_a_floor(leadflow: CommandLine) -> None:
    found = leadflow.json("source-mix", "--every", "quarter", "--targets", "first=60%,third=0.4")
    gaps = {one["value"]: one["gap"] for one in found["parties"]}
    assert {"third": pytest.approx(0.1), None: None, "first": pytest.approx(-0.6)} == gaps
    assert ["2025Q1", "2026Q2"] == [one["period"] for one in found["periods"] if one["leads"]]
    shown = leadflow("source-mix", "--floor", "50%", "--every", "month", "--targets", "first=1")
    assert "untagged (no source, no campaign): 1 leads, 50.0 %" in shown.stdout
    assert "100.0 % for new business" in shown.stdout
    assert "no lead was captured" in leadflow("source-mix", "--to", "2020-01-01").stdout


def test_misuse_is_told(leadflow: CommandLine) -> None:
    def refused(*words: str) -> str:
        return " ".join(leadflow(*words, code=2).stderr.replace("│", " ").split())

    assert "no party 'fourth'" in refused("source-mix", "--targets", "fourth=0.1")
    assert "no target" in refused("source-mix", "--targets", "first")
    assert "more than all" in refused("source-mix", "--targets", "first=0.6,third=0.6")
    assert "no share" in refused("source-mix", "--floor", "3")
    assert "no time" in refused("recycled", "--within", "0")
    assert "cannot group" in refused("recycled", "--by", "colour")
