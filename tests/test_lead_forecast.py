"""A lead's points and what will become of them, as the command line tells it."""

from collections.abc import Iterator

import pytest

from tests.command_line import CommandLine, command_line, event

PERSON = {"person": {"email": "ada@example.com", "seniority": "vp"}}
STORY = [
    event("1", "demo.requested", "2026-03-02T09:00:00Z", PERSON),
    event("2", "trial.started", "2026-03-02T10:00:00Z"),
    *(event(f"p{n}", "page.viewed", "2026-03-02T11:00:00Z", {"url": "/"}) for n in range(20)),
]
BO = {"person": {"email": "bo@example.com"}}
VOIDED = [
    event("b1", "demo.requested", "2026-03-02T09:00:00Z", BO),
    event("b2", "trial.started", "2026-03-02T10:00:00Z", BO),
    event(
        "b3",
        "event.voided",
        "2026-03-02T10:30:00Z",
        {**BO, "event_source": "/shop", "event_id": "b2"},
    ),
]
NOW = ("--as-of", "2026-03-02T11:00:00Z")


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("forecast")) as leadflow:
        leadflow("init")
        leadflow("ingest", leadflow.write("events.jsonl", *STORY, *VOIDED))
        yield leadflow


def test_a_forecast_says_when_each_threshold_is_crossed(leadflow: CommandLine) -> None:
    told = leadflow.json("lead", "forecast", "ada@example.com", *NOW)
    leave = {one["threshold"]: one for one in told["thresholds"]}

    assert [one["threshold"] for one in told["thresholds"]] == [
        *("mql_enter", "mql_leave", "level_1", "level_2", "level_3")
    ]
    assert told["in_band"]
    assert leave["mql_enter"]["points"] == 50
    assert (leave["mql_leave"]["reached"], leave["mql_leave"]["direction"]) == (True, "down")
    assert 0 < leave["mql_enter"]["days"] < leave["mql_leave"]["days"] < leave["level_3"]["days"]


def test_at_the_instant_foretold_the_engagement_is_on_the_other_side(
    leadflow: CommandLine,
) -> None:
    told = leadflow.json("lead", "forecast", "ada@example.com", *NOW)
    at = next(one["at"] for one in told["thresholds"] if one["threshold"] == "mql_leave")
    then = leadflow.json("lead", "forecast", "ada@example.com", "--as-of", at)

    assert then["score"]["engagement"] < 45
    assert not then["in_band"]
    assert not next(one["reached"] for one in then["thresholds"] if one["points"] == 45)
    assert all(one["at"] is None for one in then["thresholds"] if not one["reached"])


def test_people_read_the_forecast_as_a_table(leadflow: CommandLine) -> None:
    told = leadflow("lead", "forecast", "ada@example.com", *NOW).stdout

    assert "in the MQL band; if nothing more happens:" in told
    assert "crossed down" in told
    assert "never crossed" in told or "level_1" in told


def test_an_explanation_tells_decay_and_caps_apart(leadflow: CommandLine) -> None:
    """Twenty pages are worth twenty points, and the group counts fifteen of them."""
    told = leadflow.json("lead", "explain", "ada@example.com", *NOW)
    pages = [one for one in told["contributions"] if one["rule"] == "page viewed"]

    assert told["policy"] == leadflow.json("policy", "show", "--as-of", NOW[1])["policy"]
    assert sum(one["decayed"] for one in pages) == 20
    assert sum(one["cap_loss"] for one in pages) == 5
    assert sum(one["counted"] for one in pages) == 15
    assert {one["factor"] for one in pages} == {"1"}
    later = leadflow.json("lead", "explain", "ada@example.com", "--as-of", "2026-04-01T11:00:00Z")
    assert {"1", "0.5"} < {one["factor"] for one in later["contributions"]}


def test_what_is_voided_earns_nothing(leadflow: CommandLine) -> None:
    told = leadflow.json("lead", "explain", "bo@example.com", *NOW)

    assert [one["id"] for one in told["contributions"]] == ["b1"]
