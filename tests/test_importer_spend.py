"""The report of an ad platform becomes spend, by the map in docs/examples."""

from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine

MAP = str(Path(__file__).parents[1] / "docs" / "examples" / "spend.toml")
HEAD = "day,channel,source,campaign,amount,currency\n"
ROWS = (
    "2026-01-05,paid_search,google,spring,120.50,EUR\n"
    "2026-01-06,paid_search,google,spring,80.00,EUR\n"
    "2026-01-06,display,,,900,JPY\n"
)


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    program = CommandLine(tmp_path, monkeypatch)
    program("init")
    return program


def imported(program: CommandLine, rows: str) -> Any:
    (program.folder / "spend.csv").write_text(HEAD + rows, encoding="utf-8")
    return program.json("import", "spend.csv", "--map", MAP, code=0)


def total(program: CommandLine, *words: str) -> dict[str, str]:
    program("project")
    spend = program.json("sources", *words)["spend"]
    return {one["currency"]: one["amount"] for one in spend}


def test_a_report_is_imported_once_however_often(leadflow: CommandLine) -> None:
    first, again = imported(leadflow, ROWS), imported(leadflow, ROWS)

    assert (3, 0) == (first["accepted"], again["accepted"])
    assert {"EUR": "200.50", "JPY": "900"} == total(leadflow)
    assert {"EUR": "80.00", "JPY": "900"} == total(leadflow, "--from", "2026-01-06")


def test_a_refund_is_below_zero(leadflow: CommandLine) -> None:
    imported(leadflow, ROWS + "2026-01-07,paid_search,google,spring,-20.50,EUR\n")

    assert {"EUR": "180.00", "JPY": "900"} == total(leadflow)


def test_a_report_that_was_wrong_is_voided_and_another_takes_its_place(
    leadflow: CommandLine,
) -> None:
    imported(leadflow, ROWS)
    void = {
        "specversion": "1.0",
        "source": "/ads/office",
        "id": "1",
        "type": "event.voided",
        "time": "2026-01-08T09:00:00Z",
        "data": {
            "event_source": "/import/spend",
            "event_id": "2026-01-05:paid_search:google:spring:120.50:EUR",
        },
    }
    leadflow("ingest", leadflow.write("void.jsonl", void))
    assert {"EUR": "80.00", "JPY": "900"} == total(leadflow)

    imported(leadflow, ROWS.replace("120.50", "112.50"))
    assert {"EUR": "192.50", "JPY": "900"} == total(leadflow)


def test_a_row_that_is_no_spend_is_named_and_the_others_go_through(leadflow: CommandLine) -> None:
    (leadflow.folder / "spend.csv").write_text(
        HEAD + ROWS + "2026-01-32,display,,,1,EUR\n", encoding="utf-8"
    )
    told = leadflow.json("import", "spend.csv", "--map", MAP, code=3)

    assert 3 == told["accepted"]
    assert {"EUR": "200.50", "JPY": "900"} == total(leadflow)
