"""The worked example of the shared data, from the file to every answer beside it."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine, command_line

MODELS = {
    "first": "first",
    "last": "last",
    "linear": "linear",
    "u_first_last": "u_first_last",
    "time_decay": "time_decay_7d",
}


@pytest.fixture(scope="module")
def expected(shared_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (shared_data / "dp6_events" / "expected.json").read_text(encoding="utf-8")
    )
    return found


@pytest.fixture(scope="module")
def leadflow(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("dp6")) as program:
        program("ingest", str(shared_data / "dp6_events" / "dp6.jsonl"))
        yield program


def _won(document: dict[str, Any]) -> tuple[int, str]:
    """Return the leads won and their amount."""
    for stage in document["stages"]:
        if stage["stage"] == "won":
            return stage["leads"], stage["amounts"][0]["amount"]
    return 0, "0.00"


def _stages(document: dict[str, Any]) -> dict[str, int]:
    return {stage["stage"] or "(null)": stage["leads"] for stage in document["stages"]}


def test_ingest_counts_every_event_and_lead(
    leadflow: CommandLine, shared_data: Path, expected: dict[str, Any]
) -> None:
    again = leadflow.json("ingest", str(shared_data / "dp6_events" / "dp6.jsonl"))
    assert expected["events"] == again["read"] == again["duplicates"]
    status = leadflow.json("status")
    assert (expected["events"], expected["leads"]) == (status["events"], status["leads"])


def test_the_pipeline_has_the_leads_stages_and_won_amount(
    leadflow: CommandLine, expected: dict[str, Any]
) -> None:
    document = leadflow.json("pipeline")
    assert expected["leads"] == document["leads"]
    assert expected["final_stage_as_recorded"] == _stages(document)
    assert (expected["won_leads"], expected["won_amount"]) == _won(document)


@pytest.mark.parametrize("dimension", ["channel", "source"])
def test_sources_are_told_by_first_touch(
    leadflow: CommandLine, expected: dict[str, Any], dimension: str
) -> None:
    rows = leadflow.json("sources", "--by", dimension)["rows"]
    answers = expected[f"by_first_touch_{dimension}"]
    assert {name: (one["leads"], one["won_leads"]) for name, one in answers.items()} == {
        row["value"]: (row["leads"], row["won"]) for row in rows
    }
    for row in rows:
        answer = answers[row["value"]]
        assert answer.get("rate", row["conversion_to_won"]) == row["conversion_to_won"]
        if "won_amount" in answer:
            assert [{"currency": "USD", "amount": answer["won_amount"]}] == row["amounts"]


@pytest.mark.parametrize(
    "key, options",
    [
        ("collapse_30min", ()),
        ("no_collapse", ("--collapse", "0")),
        ("no_collapse_by_source", ("--collapse", "0", "--by", "source")),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_attribution_credits_every_model_right(
    leadflow: CommandLine, expected: dict[str, Any], model: str, key: str, options: tuple[str, ...]
) -> None:
    document = leadflow.json("attribution", "--model", model, *options)
    answer = expected["attribution_90d"][key][MODELS[model]]
    credit = {row["value"]: float(row["credit"]) for row in document["rows"]}
    assert credit == pytest.approx(answer["conversions"], abs=1e-6)
    # Amounts are whole cents whose sum is exact; each is the exact share but for a cent a deal.
    units = {row["value"]: Decimal(row["amounts"][0]["amount"]) for row in document["rows"]}
    assert Decimal(expected["won_amount"]) == sum(units.values())
    for value, share in answer["value"].items():
        assert abs(float(units[value]) - share) < 0.01 * expected["won_deals"]
    assert expected["won_deals"] == document["conversions"]
    assert {"conversions": 0, "amounts": []} == document["unattributed"]


INSTANTS = (
    "2022-01-20T16:00:00Z",
    "2022-02-21T21:00:00Z",
    "2022-02-21T23:11:00Z",
    "2022-02-27T02:00:00Z",
    "2022-03-21T23:00:00Z",
)


@pytest.mark.parametrize("instant", INSTANTS)
def test_the_pipeline_as_of_an_instant_is_what_had_happened_by_then(
    leadflow: CommandLine, expected: dict[str, Any], instant: str
) -> None:
    answer = expected["as_of"][instant]
    document = leadflow.json("pipeline", "--as-of", instant, "--by", "channel")
    assert (instant, answer["leads"]) == (document["as_of"], document["leads"])
    assert answer["stage_as_recorded"] == _stages(document)
    assert (answer["won_leads"], answer["won_amount"]) == _won(document)
    assert answer["leads_by_first_touch_channel"] == {
        group["value"]: group["leads"] for group in document["groups"]
    }


def test_all_instants_of_the_answers_are_asked(expected: dict[str, Any]) -> None:
    assert INSTANTS == tuple(expected["as_of"])


def test_a_funnel_counts_the_leads_of_each_type(
    leadflow: CommandLine, expected: dict[str, Any]
) -> None:
    document = leadflow.json("funnel", "--steps", "page.viewed,opportunity.created,deal.won")
    counted = {step["step"]: step["leads"] for step in document["steps"]}
    assert counted.pop("page.viewed") == expected["leads"]
    assert expected["leads_with_at_least_one"] == counted


def test_a_lead_is_shown_as_it_was(leadflow: CommandLine) -> None:
    before = leadflow.json("lead", "show", "anonymous_id:A", "--as-of", "2022-01-20T16:00:00Z")
    after = leadflow.json("lead", "show", "shop:A1")
    assert before["lead_id"] == after["lead_id"]
    assert (None, 3, []) == (before["stage"], before["events"], before["opportunities"])
    assert ("won", 6) == (after["stage"], after["events"])
    assert "2021-07-20T15:00:00Z" == after["first_touch"]["at"]
    assert [("o4", "won", "1.00")] == [
        (deal["opportunity"], deal["status"], deal["amount"]) for deal in after["opportunities"]
    ]
