"""The dbt project of the examples builds without a warning, and its marts say what leadflow says."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import select

from domain.stages import RANK
from domain.standing import WORKED
from projections.answers import exponents
from projections.channel_matrix import channel_matrix
from projections.credit import STORED, attribution
from projections.dictionary import entries
from projections.economics import economics
from projections.pipeline_now import summary
from projections.pipeline_over_time import over_time
from projections.schema import stage_order
from tests.exported_market import ExportedMarket, page_on_example
from tests.pages import DOCS, ROOT

PROJECT = DOCS / "examples/dbt"
DBT = ROOT / ".venv/dbt/bin/dbt"

pytestmark = pytest.mark.xdist_group("dbt")


@dataclass(frozen=True, slots=True)
class Built:
    """What dbt made of a market."""

    market: ExportedMarket
    marts: duckdb.DuckDBPyConnection
    project: Path

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of *query* by the names of their columns."""
        found = self.marts.execute(query)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Yield the project, built as the page says: with its own tests, none of which may fail."""
    assert DBT.exists(), "dbt lives in .venv/dbt: make test makes it"
    folder = tmp_path_factory.mktemp("dbt")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{DBT.parent}")
        monkeypatch.setenv("DO_NOT_TRACK", "1")
        with page_on_example("dbt.md", folder) as market:
            project = folder / "marts"
            with duckdb.connect(project / "leadflow.duckdb", read_only=True) as marts:
                marts.execute("SET TimeZone = 'UTC'")
                yield Built(market, marts, project)


def money(amounts: list[dict[str, Any]]) -> dict[str, Decimal]:
    """Return amounts of an answer by currency."""
    return {one["currency"]: Decimal(one["amount"]) for one in amounts}


def test_the_page_builds_it_with_all_of_its_tests(built: Built) -> None:
    told = json.loads((built.project / "target/run_results.json").read_text())
    kinds = [one["unique_id"].partition(".")[0] for one in told["results"]]

    assert built.project.is_dir()
    assert {"success", "pass"} >= {one["status"] for one in told["results"]}, kinds


def test_the_lead_mart_has_every_lead_in_its_stage(built: Built) -> None:
    answer = summary(built.market.connection)
    found = built.rows("SELECT stage, count(*) AS leads FROM leads GROUP BY stage")

    assert {one["stage"]: one["leads"] for one in answer["stages"]} == {
        row["stage"]: row["leads"] for row in found
    }


def test_the_monthly_pipeline_is_that_of_the_command(built: Built) -> None:
    answer = over_time(built.market.connection, "month")
    leads = {
        (point["period"], stage["stage"]): stage["leads"]
        for point in answer["points"]
        for stage in point["stages"]
        if stage["stage"] is not None
    }
    worth = {
        (point["period"], currency): amount
        for point in answer["points"]
        for currency, amount in money(point["open_amounts"]).items()
    }

    found = built.rows("SELECT * REPLACE (strftime(month, '%Y-%m') AS month) FROM pipeline_monthly")
    assert leads == {(row["month"], row["stage"]): row["leads"] for row in found}
    found = built.rows(
        "SELECT * REPLACE (strftime(month, '%Y-%m') AS month) FROM pipeline_value_monthly"
    )
    assert worth == {(row["month"], row["currency"]): row["amount"] for row in found}
    assert len({month for month, _ in worth}) > 1


def test_the_funnel_of_channels_is_that_of_the_command(built: Built) -> None:
    names = ("leads", "captured", "mql", "sal", "sql", "opportunity", "won")
    answer = channel_matrix(built.market.connection)
    expected = {
        "(none)" if row["value"] is None else row["value"]: tuple(row[name] for name in names)
        for row in answer["rows"]
    }
    rows = built.rows("SELECT * FROM channel_funnel")

    assert expected == {row["channel"]: tuple(row[name] for name in names) for row in rows}
    rate = {row["value"]: row["conversions"][0]["rate"] for row in answer["rows"]}
    assert rate["event"] == next(
        row["captured_to_mql"] for row in rows if row["channel"] == "event"
    )


@pytest.mark.parametrize("model", STORED)
def test_revenue_by_campaign_is_the_credit_of_the_command(built: Built, model: str) -> None:
    answer = attribution(built.market.connection, model, "campaign")
    told = [
        ("(no campaign)" if row["value"] is None else row["value"], Decimal(row["credit"]), row)
        for row in answer["rows"]
    ]
    nobody = answer["unattributed"]
    told.append(("(no touch)", Decimal(nobody["conversions"]), nobody))
    rows = built.rows(f"SELECT * FROM revenue_by_campaign WHERE model = '{model}'")
    deals: dict[str, Decimal] = {}
    for row in rows:
        deals[row["campaign"]] = deals.get(row["campaign"], Decimal(0)) + row["deals"]

    assert {name: credit for name, credit, _ in told if credit} == deals
    assert {
        (name, currency): amount
        for name, _, row in told
        for currency, amount in money(row["amounts"]).items()
    } == {
        (row["campaign"], row["currency"]): row["revenue"]
        for row in rows
        if row["revenue"] is not None
    }


def test_what_campaigns_cost_and_bring_is_what_the_command_says(built: Built) -> None:
    places = exponents(built.market.connection)
    answer = economics(built.market.connection, "linear", "campaign")
    found = {
        (row["campaign"], row["currency"]): row
        for row in built.rows("SELECT * FROM campaign_economics")
    }
    compared = 0
    for row in answer["rows"]:
        name = "(no campaign)" if row["value"] is None else row["value"]
        for told in row["money"]:
            mart = found.pop((name, told["currency"]))
            least = Decimal(1).scaleb(-places[told["currency"]])
            assert (row["leads"], Decimal(row["mql"]), Decimal(row["customers"])) == (
                mart["leads"],
                mart["mql"],
                mart["customers"],
            )
            for figure in ("spend", "revenue", "cost_per_lead", "cost_per_mql", "cac"):
                value = mart[figure]
                if value is not None:
                    value = Decimal(value).quantize(least, ROUND_HALF_EVEN)
                    compared += 1
                expected = None if told[figure] is None else Decimal(told[figure])
                assert expected == value, (name, told["currency"], figure)
            assert told["roas"] == pytest.approx(mart["roas"])

    assert found == {}
    assert compared > 10


def test_the_stages_of_the_project_are_those_of_leadflow(built: Built) -> None:
    with (PROJECT / "seeds/stage_order.csv").open(newline="") as file:
        seeded = {row["stage"]: row for row in csv.DictReader(file)}
    ordered = {row.stage: row for row in built.market.connection.execute(select(stage_order))}

    assert [*ordered] == [*seeded]
    for stage, row in seeded.items():
        assert int(row["place"]) == ordered[stage].n
        assert (int(row["way"]) if row["way"] else None) == RANK.get(stage)
        assert (row["is_path"] == "true") == bool(ordered[stage].is_path)
        assert (row["is_open"] == "true") == (stage in WORKED)


def test_a_column_means_what_the_dictionary_says(built: Built) -> None:
    """Staging may leave columns out and name them anew, but not change what they mean."""
    manifest = json.loads((built.project / "target/manifest.json").read_text())
    sources = {node["unique_id"]: node["name"] for node in manifest["sources"].values()}
    meanings: dict[str | None, set[str]] = {}
    for entry in entries():
        meanings.setdefault(entry.relation, set()).add(entry.comment.replace('"', "'"))
    derived = {"is_new_customer", "is_touched"}
    checked = 0
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model" or not node["name"].startswith("stg_"):
            continue
        (view,) = (sources[one] for one in node["depends_on"]["nodes"])
        for name, column in node["columns"].items():
            if name not in derived:
                assert column["description"] in meanings[view], (node["name"], name)
                checked += 1
        there = {row["column_name"] for row in built.rows(f"DESCRIBE {node['name']}")}
        assert there == node["columns"].keys(), node["name"]

    assert checked > 50


def test_every_mart_is_described(built: Built) -> None:
    manifest = json.loads((built.project / "target/manifest.json").read_text())

    assert [] == [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and not node["description"]
    ]
