"""What a rule refuses goes to the dead letters, and comes back when event or policy is mended."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from consumers.contract import parse
from domain.admission import refusal
from leadflow.simulate import market_for_events, simulate, to_json
from tests.command_line import CommandLine, event
from tests.examples import POLICY

SECOND = {"touch": {"channel": "partner", "party": "second"}}
THIRD = {"touch": {"channel": "other", "party": "third"}, "vendor": "lists.example"}
PARTNER = event("1", "form.submitted", "2025-03-01T09:00:00Z", SECOND)
BOUGHT = event("2", "record.imported", "2025-03-01T10:00:00Z", THIRD)
OWN = event("3", "form.submitted", "2025-03-01T11:00:00Z")


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def letters(leadflow: CommandLine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = leadflow.json("dead-letters", "list")["dead_letters"]
    return found


def test_a_fact_that_shows_too_little_is_a_dead_letter(leadflow: CommandLine) -> None:
    found = leadflow.json(
        "ingest", leadflow.write("events.jsonl", PARTNER, BOUGHT, OWN, PARTNER), code=3
    )

    assert (4, 1, 0, 3) == tuple(
        found[name] for name in ("read", "accepted", "duplicates", "dead_letters")
    )
    assert {"rejected_by_rule"} == {one["reason"] for one in letters(leadflow)}
    fields = [one["message"].partition(":")[0] for one in letters(leadflow)]
    assert ["data.consent", "data.legal_basis", "data.consent"] == fields
    assert 1 == leadflow.json("lead", "show", "ada@example.com")["events"]


def test_a_mended_event_is_taken_in_under_its_own_id(leadflow: CommandLine) -> None:
    leadflow("ingest", leadflow.write("events.jsonl", PARTNER), code=3)
    proven = {**SECOND, "consent": [{"purpose": "sales", "granted": True, "proof": "form 12"}]}
    mended = event("1", "form.submitted", "2025-03-01T09:00:00Z", proven)
    file = leadflow.write("mended.jsonl", {"id": 1, "event": mended})

    assert 1 == leadflow.json("dead-letters", "redrive", "--file", file)["accepted"]
    assert [] == letters(leadflow)
    assert 1 == leadflow.json("lead", "show", "ada@example.com")["events"]


def test_what_is_still_refused_stays_open_under_its_number(leadflow: CommandLine) -> None:
    leadflow("ingest", leadflow.write("events.jsonl", PARTNER, BOUGHT), code=3)
    before = letters(leadflow)
    answer = leadflow.json("dead-letters", "redrive", "--all", code=3)

    assert {"read": 2, "accepted": 0, "duplicates": 0, "dead_letters": 2} == answer
    assert before == letters(leadflow)


def test_a_policy_that_asks_for_less_lets_the_letters_in(leadflow: CommandLine) -> None:
    leadflow("ingest", leadflow.write("events.jsonl", PARTNER, BOUGHT), code=3)
    text = files("leadflow").joinpath("policy.toml").read_text("utf-8")
    text = text.replace('second = "consent_proof"', 'second = "none"')
    (leadflow.folder / "policy.toml").write_text(text, encoding="utf-8")

    answer = leadflow.json("dead-letters", "redrive", "--all", code=3)

    assert (1, 1) == (answer["accepted"], answer["dead_letters"])
    assert ["data.legal_basis"] == [one["message"].partition(":")[0] for one in letters(leadflow)]


def test_what_was_accepted_once_stays_a_duplicate_under_a_stricter_policy(
    leadflow: CommandLine,
) -> None:
    text = files("leadflow").joinpath("policy.toml").read_text("utf-8")
    loose = text.replace('second = "consent_proof"', 'second = "none"')
    (leadflow.folder / "loose.toml").write_text(loose, encoding="utf-8")
    first = leadflow.write("first.jsonl", PARTNER)
    leadflow("ingest", first, "--policy", "loose.toml")

    found = leadflow.json("ingest", leadflow.write("second.jsonl", PARTNER))

    assert (1, 0) == (found["duplicates"], found["dead_letters"])


def test_the_simulated_market_keeps_the_rules() -> None:
    asked = 0
    for envelope in simulate(market_for_events(6_000, 7)).first(6_000).events:
        found = parse(to_json(envelope.event), (), envelope.arrived_at).fact
        asked += (found.touch or {}).get("party") in ("second", "third")
        assert refusal(found, POLICY) is None, found
    assert asked > 10
