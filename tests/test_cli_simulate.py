"""The command that writes a simulated market into a file."""

from pathlib import Path

import pytest

from leadflow.simulate import Market, simulate, to_json
from tests.command_line import CommandLine

START = 1_767_225_600_000_000
"""2026-01-01, microseconds UTC."""
PERIOD = ("--leads", "30", "--from", "2026-01-01", "--to", "2026-03-02")


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def test_the_file_holds_the_events_of_that_market_in_order_of_arrival(
    leadflow: CommandLine,
) -> None:
    said = leadflow.json("simulate", "market.jsonl", *PERIOD, "--seed", "5", "--currency", "EUR")
    market = Market(seed=5, leads=30, days=60, start=START, currency="EUR")
    lines = (leadflow.folder / "market.jsonl").read_bytes().splitlines()
    assert [to_json(envelope.event) for envelope in simulate(market).events] == lines
    assert {
        "file": "market.jsonl",
        "events": len(lines),
        "leads": 30,
        "days": 60,
        "currency": "EUR",
        "seed": 5,
    } == said


def test_it_can_be_ingested_as_the_hint_says(leadflow: CommandLine) -> None:
    hint = leadflow("simulate", "market.jsonl", *PERIOD).stdout.splitlines()[-1]
    assert "Next: leadflow ingest market.jsonl --as-if-live" == hint
    counted = leadflow.json(*hint.split()[2:])
    assert 0 == counted["dead_letters"]
    assert 30 == counted["leads"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--from", "2026-02-01", "--to", "2026-01-01"], "at least one, after --from"),
        (["--from", "2026-02-01", "--to", "2026-02-02T12:00:00Z"], "whole number of days"),
        (["--currency", "GBP"], "one of EUR, JPY, USD, not 'GBP'"),
    ],
)
def test_what_makes_no_market_is_told_and_no_file_is_made(
    leadflow: CommandLine, options: list[str], told: str
) -> None:
    result = leadflow("simulate", "market.jsonl", *options, code=2)
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert not (leadflow.folder / "market.jsonl").exists()


def test_a_file_that_is_there_is_not_overwritten(leadflow: CommandLine) -> None:
    (leadflow.folder / "mine.jsonl").write_text("mine")
    assert "is there already" in leadflow("simulate", "mine.jsonl", code=2).stderr
    assert "mine" == (leadflow.folder / "mine.jsonl").read_text()
