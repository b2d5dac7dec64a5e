"""The notebook of the examples runs without anybody watching, and says what leadflow says."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from projections.channel_matrix import channel_matrix
from projections.credit import attribution
from projections.handoffs import handoffs
from tests.exported_market import ExportedMarket, page_on_example
from tests.pages import DOCS

NOTEBOOK = DOCS / "examples/notebook/pipeline.py"

pytestmark = pytest.mark.xdist_group("notebook")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the notebook shows and what its names are, beside the market that it read."""

    market: ExportedMarket
    outputs: str
    names: Any


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Yield the notebook, run on the export that its page makes."""
    found = importlib.util.spec_from_file_location("pipeline_notebook", NOTEBOOK)
    assert found is not None
    assert found.loader is not None
    notebook = importlib.util.module_from_spec(found)
    found.loader.exec_module(notebook)
    folder = tmp_path_factory.mktemp("notebook")
    with (
        page_on_example("notebook.md", folder) as market,
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        monkeypatch.setenv("EXPORT_DIR", str(market.export))
        outputs, names = notebook.app.run()
        yield Shown(market, "".join(getattr(one, "text", "") for one in outputs), names)


def test_leads_leak_where_the_command_says(shown: Shown) -> None:
    answer = channel_matrix(shown.market.connection)
    stages = ("captured", "mql", "sal", "sql", "opportunity", "won")
    by_channel = {row["channel"]: row for row in shown.names["by_channel"].to_dicts()}

    assert {stage: answer[stage] for stage in stages} == shown.names["reached"]
    assert len(answer["rows"]) == len(by_channel)
    for row in answer["rows"]:
        told = by_channel[row["value"]]
        assert {name: row[name] for name in ("leads", *stages)} == {
            name: told[name] for name in ("leads", *stages)
        }


@pytest.mark.parametrize("model", ["first", "last", "linear", "time_decay", "u_first_last"])
def test_deals_are_credited_as_the_command_does(shown: Shown, model: str) -> None:
    answer = attribution(shown.market.connection, model)

    assert {row["value"]: Decimal(row["credit"]) for row in answer["rows"] if row["credit"]} == {
        row["channel"]: row[model] for row in shown.names["deals"].to_dicts() if row[model]
    }


def test_revenue_is_exact_and_per_currency(shown: Shown) -> None:
    answer = attribution(shown.market.connection, "linear")
    revenue = shown.names["revenue"].to_dicts()

    assert len({row["currency"] for row in revenue}) > 1
    assert {
        (row["value"], one["currency"]): Decimal(one["amount"])
        for row in answer["rows"]
        for one in row["amounts"]
    } == {(row["channel"], row["currency"]): row["amount"] for row in revenue}


def test_sales_answer_as_fast_as_the_command_says(shown: Shown) -> None:
    answer = handoffs(shown.market.connection)["answer_seconds"]

    for share, name in (("half", "p50"), ("nine in ten", "p90")):
        hours = shown.names["hours"][share]
        if answer[name] is None:
            assert hours is None
        else:
            assert hours * 3_600 == pytest.approx(answer[name], abs=1)
    assert answer["p50"] is not None


def test_three_charts_are_drawn(shown: Shown) -> None:
    assert 3 == shown.outputs.count("<svg")


def test_the_page_of_it_has_the_charts(shown: Shown) -> None:
    page = (shown.market.folder / "pipeline.html").read_text()

    assert 3 == page.lower().count("\\u003csvg xmlns=")


def test_nothing_in_it_depends_on_the_order_of_its_cells() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "marimo", "check", "--strict", NOTEBOOK],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
