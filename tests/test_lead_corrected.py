"""A lead whose facts were voided or judged is told as any other."""

from collections.abc import Iterator

import pytest

from tests.command_line import CommandLine, command_line, event

BO = {"person": {"email": "bo@example.com"}}
VOIDED = [
    event("1", "demo.requested", "2026-03-02T09:00:00Z"),
    event("2", "trial.started", "2026-03-02T10:00:00Z"),
    event("3", "event.voided", "2026-03-02T11:00:00Z", {"event_source": "/shop", "event_id": "2"}),
]
JUDGED = [
    event("4", "email.delivered", "2026-03-02T09:00:00Z", {**BO, "message": "m"}),
    event("5", "email.clicked", "2026-03-02T09:00:01Z", {**BO, "message": "m", "link": "a"}),
    event("6", "email.clicked", "2026-03-02T09:30:00Z", {**BO, "message": "m", "link": "b"}),
]


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("corrected")) as leadflow:
        leadflow("init")
        leadflow("ingest", leadflow.write("events.jsonl", *VOIDED, *JUDGED))
        yield leadflow


def test_the_timeline_of_a_corrected_lead_scores_what_counts(leadflow: CommandLine) -> None:
    told = leadflow.json("lead", "timeline", "ada@example.com")["events"]
    shown = leadflow("lead", "timeline", "ada@example.com").stdout

    assert told[-1]["score"]["engagement"] < 40
    assert "lead.restated" in {one["type"] for event in told for one in event["decisions"]}
    assert "told anew (corrected)" in shown


def test_the_timeline_says_whose_act_was_judged_a_machines(leadflow: CommandLine) -> None:
    told = leadflow.json("lead", "timeline", "bo@example.com")["events"]
    shown = leadflow("lead", "timeline", "bo@example.com").stdout
    judged = [one for event in told for one in event["decisions"] if "of" in one]

    assert [(one["of"]["id"], one["actor"]) for one in judged] == [("5", "machine")]
    assert "5 by machine" in shown
    assert 2.9 < told[-1]["score"]["engagement"] <= 3
