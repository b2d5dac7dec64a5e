"""A CRM export from its CSV file to the answers beside it, through the command line."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine, command_line

MAP = Path(__file__).resolve().parents[1] / "docs" / "examples" / "maven_crm.toml"

STAGES = {"captured": "prospecting", "opportunity": "engaging", "won": "won", "lost": "lost"}


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (shared_data / "maven_crm" / "crm.json").read_text(encoding="utf-8")
    )
    return found


@pytest.fixture(scope="module")
def imported(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[CommandLine, dict[str, Any]]]:
    with command_line(tmp_path_factory.mktemp("maven")) as program:
        file = shared_data / "maven_crm" / "sales_pipeline.csv"
        yield program, program.json("import", str(file), "--map", str(MAP))


@pytest.fixture
def leadflow(imported: tuple[CommandLine, dict[str, Any]]) -> CommandLine:
    return imported[0]


def _group(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the answers say of a group, as far as the pipeline does."""
    found: dict[str, Any] = dict.fromkeys(STAGES.values(), 0)
    found["won_value"] = 0.0
    for stage in stages:
        found[STAGES[stage["stage"]]] = stage["leads"]
        if stage["stage"] == "won":
            found["won_value"] = float(Decimal(stage["amounts"][0]["amount"]))
    closed = found["won"] + found["lost"]
    found["win_rate"] = found["won"] / closed if closed else None
    found["opportunities"] = sum(found[name] for name in STAGES.values())
    return found


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "median_cycle_days_won"}


def test_every_row_is_a_lead(imported: tuple[CommandLine, dict[str, Any]]) -> None:
    _, counted = imported
    assert (32_611, 32_611, 0, 0) == tuple(
        counted[name] for name in ("read", "accepted", "duplicates", "dead_letters")
    )
    assert (8_800, 0) == (counted["leads"], counted["bad_rows"])


@pytest.mark.parametrize("dimension, key", [("owner", "by_agent"), ("company", "by_account")])
def test_groups_have_their_stages_win_rate_and_value(
    leadflow: CommandLine, answers: dict[str, Any], dimension: str, key: str
) -> None:
    groups = leadflow.json("pipeline", "--by", dimension)["groups"]
    assert {name: _told(answer) for name, answer in answers[key].items()} == {
        group["value"] or "(none)": _group(group["stages"]) for group in groups
    }
    sizes = [group["leads"] for group in groups]
    assert sorted(sizes, reverse=True) == sizes


def test_products_have_their_leads_and_value(
    leadflow: CommandLine, answers: dict[str, Any]
) -> None:
    """The map gives a product the name that products.csv has; the answers keep the slip."""
    groups = leadflow.json("pipeline", "--by", "product")["groups"]
    assert {group["value"]: _group(group["stages"]) for group in groups} == {
        name.replace("GTXPro", "GTX Pro"): _told(answer)
        for name, answer in answers["by_product"].items()
    }


@pytest.mark.parametrize("day", ["2016-10-31", "2017-03-31", "2017-08-31", "2017-12-31"])
def test_the_state_at_the_end_of_a_day_is_the_answer(
    leadflow: CommandLine, answers: dict[str, Any], day: str
) -> None:
    found = _group(leadflow.json("pipeline", "--as-of", day)["stages"])
    assert answers["as_of"][day] == {
        name: found[name] for name in ("engaging", "lost", "won", "won_value")
    }


def test_importing_again_adds_nothing(leadflow: CommandLine, shared_data: Path) -> None:
    before = leadflow.json("digest")
    file = shared_data / "maven_crm" / "sales_pipeline.csv"
    again = leadflow.json("import", str(file), "--map", str(MAP))
    assert (0, 32_611, 0) == (again["accepted"], again["duplicates"], again["leads"])
    assert before == leadflow.json("digest")


def test_history_imported_as_if_live_is_known_as_it_happened(
    shared_data: Path, tmp_path: Path, answers: dict[str, Any]
) -> None:
    rows = (shared_data / "maven_crm" / "sales_pipeline.csv").read_text("utf-8").splitlines()
    day, expected = "2017-06-30", {"won": 0, "lost": 0}
    for row in rows[1:801]:
        stage, closed = row.split(",")[4], row.split(",")[6]
        if stage in ("Won", "Lost") and closed <= day:
            expected[stage.lower()] += 1
    with command_line(tmp_path) as program:
        for name in ("accounts.csv", "sales_teams.csv"):
            (tmp_path / name).write_bytes((shared_data / "maven_crm" / name).read_bytes())
        (tmp_path / "some.csv").write_text("\n".join(rows[:801]) + "\n", encoding="utf-8")
        program("import", "some.csv", "--map", str(MAP), "--as-if-live")
        known = _group(program.json("pipeline", "--known-at", day)["stages"])
        happened = _group(program.json("pipeline", "--as-of", day)["stages"])
    assert expected == {name: known[name] for name in expected}
    assert happened == known


def test_a_dry_run_stores_nothing_and_a_bad_row_is_named(shared_data: Path, tmp_path: Path) -> None:
    rows = (shared_data / "maven_crm" / "sales_pipeline.csv").read_text("utf-8").splitlines()[:6]
    rows[3] = rows[3].replace("Won", "Wonn")
    with command_line(tmp_path) as program:
        for name in ("accounts.csv", "sales_teams.csv"):
            (tmp_path / name).write_bytes((shared_data / "maven_crm" / name).read_bytes())
        (tmp_path / "some.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        report = program.json("import", "some.csv", "--map", str(MAP), "--dry-run", code=3)
        assert (5, 1) == (report["rows"], report["bad_rows"])
        assert not (tmp_path / "leadflow.db").exists()
        result = program("import", "some.csv", "--map", str(MAP), code=3)
        assert "leadflow: some.csv: line 4, deal_stage: 'Wonn'" in result.stderr
        assert 4 == program.json("status")["leads"]


def test_an_unknown_column_in_a_map_stores_nothing(shared_data: Path, tmp_path: Path) -> None:
    with command_line(tmp_path) as program:
        (tmp_path / "map.toml").write_text(
            MAP.read_text("utf-8").replace('subject = "opportunity_id"', 'subject = "oportunity"')
        )
        file = shared_data / "maven_crm" / "sales_pipeline.csv"
        result = program("import", str(file), "--map", "map.toml", code=1)
        assert "oportunity" in result.stderr
        assert "map.toml:" in result.stderr
        assert not (tmp_path / "leadflow.db").exists()
