"""The demo runs anywhere, answers what it shows, and leaves a database to ask."""

import json
from pathlib import Path

import pytest

from leadflow.broker import BrokerMissing
from tests.command_line import CommandLine


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def test_the_demo_counts_every_event_once_and_names_what_to_try_next(
    leadflow: CommandLine,
) -> None:
    result = leadflow("demo", "--events", "3000", "--keep", "shown")
    assert "3,000 events of a simulated market" in result.stdout
    assert "Never called: asked for sales on " in result.stdout
    database = "sqlite:///shown/leadflow.db"
    following = [line.strip() for line in result.stdout.splitlines() if line.startswith("  lead")]
    assert 3 == len(following)
    assert all(line.endswith(f"--database {database}") for line in following)
    status = leadflow.json("status", "--database", database)
    assert {0} == {one["lag"] for one in status["read_models"]}
    assert 3000 == sum(one["position"] for one in status["positions"])
    assert 0 == status["dead_letters"]
    lead = following[2].split()[3]
    explained = leadflow.json("lead", "explain", lead, "--database", database)
    assert lead == explained["lead_id"]


def test_the_same_seed_is_the_same_market(leadflow: CommandLine) -> None:
    shown = []
    for folder in ("one", "two"):
        document = leadflow.json("demo", "--events", "400", "--seed", "3", "--keep", folder)
        assert 400 == document["accepted"] + document["duplicates"]
        document.pop("database"), document.pop("seconds")
        # Partitions are read side by side: what was decided may differ, what occurred may not.
        for life in document["lost_leads"]:
            for entry in life["events"]:
                for name in ("position", "late", "decisions"):
                    entry.pop(name)
        shown.append(json.dumps(document, sort_keys=True))
    assert shown[0] == shown[1]


def test_a_folder_with_a_demo_is_not_overwritten(leadflow: CommandLine) -> None:
    (leadflow.folder / "kept").mkdir()
    (leadflow.folder / "kept" / "leadflow.db").write_text("mine")
    result = leadflow("demo", "--keep", "kept", code=1)
    assert "leadflow: kept/leadflow.db is there already" in result.stderr
    assert "mine" == (leadflow.folder / "kept" / "leadflow.db").read_text()


def test_without_a_broker_the_demo_says_so_and_makes_nothing(
    leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Path:
        raise BrokerMissing("no broker to start on this machine")

    monkeypatch.setattr("leadflow.broker.tansu_binary", missing)
    result = leadflow("demo", "--keep", "kept", code=1)
    assert "leadflow: no broker to start on this machine" in result.stderr
    assert not (leadflow.folder / "kept").exists()
