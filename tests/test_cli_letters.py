"""Dead letters from the command line: what was refused is found, mended and sent again."""

from pathlib import Path

import pytest

from tests.command_line import CommandLine, event

GOOD = event("1", "demo.requested", "2025-03-01T09:00:00Z")
BAD = event("2", "form.submitted", "2025-03-02T09:00:00", {"kind": "demo"})
MENDED = {**BAD, "time": "2025-03-02T09:00:00Z"}


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    program = CommandLine(tmp_path, monkeypatch)
    program("ingest", program.write("events.jsonl", GOOD, "", BAD, "no json"), code=3)
    return program


def test_the_list_names_reason_message_and_place(leadflow: CommandLine) -> None:
    letters = leadflow.json("dead-letters", "list")["dead_letters"]
    assert [("invalid_envelope", 2, "open"), ("malformed_json", 3, "open")] == [
        (one["reason"], one["position"], one["state"]) for one in letters
    ]
    assert "offset" in letters[0]["message"]
    only = leadflow.json("dead-letters", "list", "--reason", "malformed_json")["dead_letters"]
    assert letters[1:] == only
    told = leadflow("dead-letters", "list", "--reason", "too_lage").stdout
    assert "there are invalid_envelope (1), malformed_json (1)" in told


def test_a_letter_is_shown_with_the_record_as_it_came(leadflow: CommandLine) -> None:
    assert "no json" == leadflow.json("dead-letters", "show", "2")["value"]
    leadflow("dead-letters", "show", "99", code=2)


def test_what_is_still_wrong_stays_open_under_its_number(leadflow: CommandLine) -> None:
    before = leadflow.json("dead-letters", "list")
    answer = leadflow.json("dead-letters", "redrive", "--all", code=3)
    assert {"read": 2, "accepted": 0, "duplicates": 0, "dead_letters": 2} == answer
    assert before == leadflow.json("dead-letters", "list")


def test_mended_letters_end_in_the_state_of_a_clean_run(
    leadflow: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = leadflow.write("mended.jsonl", {"id": 1, "event": MENDED}, "")
    answer = leadflow.json("dead-letters", "redrive", "--file", file)
    assert {"read": 1, "accepted": 1, "duplicates": 0, "dead_letters": 0} == answer
    assert [2] == [one["id"] for one in leadflow.json("dead-letters", "list")["dead_letters"]]
    states = [
        one["state"]
        for one in leadflow.json("dead-letters", "list", "--state", "all")["dead_letters"]
    ]
    assert ["redriven", "open"] == states
    clean = str(tmp_path_factory.mktemp("clean") / "clean.db")
    database = ("--database", f"sqlite:///{clean}")
    leadflow("ingest", leadflow.write("clean.jsonl", GOOD, MENDED), *database)
    expected = leadflow.json("digest", *database)["read_models"]
    assert expected == leadflow.json("digest")["read_models"]


def test_one_letter_is_mended_from_standard_input(leadflow: CommandLine) -> None:
    event_text = (
        b'{"specversion":"1.0","id":"3","source":"/shop","type":"page.viewed",'
        b'"time":"2025-03-03T09:00:00Z","data":{"person":{"email":"ada@example.com"}}}'
    )
    answer = leadflow.json("dead-letters", "redrive", "2", "--edit", stdin=event_text)
    assert 1 == answer["accepted"]


def test_a_letter_whose_event_says_other_than_before_stays_open(leadflow: CommandLine) -> None:
    conflicting = {**MENDED, "id": "1"}
    file = leadflow.write("mended.jsonl", {"id": 1, "event": conflicting})
    leadflow("dead-letters", "redrive", "--file", file, code=3)
    letter = leadflow.json("dead-letters", "show", "1")
    assert ("open", "conflicting_duplicate") == (letter["state"], letter["reason"])


def test_reading_the_file_again_makes_no_second_letter(leadflow: CommandLine) -> None:
    before = leadflow.json("dead-letters", "list")
    again = leadflow.json("ingest", "events.jsonl", code=3)
    assert (3, 0, 1, 2) == tuple(
        again[name] for name in ("read", "accepted", "duplicates", "dead_letters")
    )
    assert before == leadflow.json("dead-letters", "list")


@pytest.mark.parametrize(
    "line",
    ['{"id": "1", "event": {}}', '{"event": {}}', "[]", "no json", '{"id": true, "event": 1}'],
)
def test_a_wrong_line_of_the_mended_file_is_named_and_nothing_is_sent(
    leadflow: CommandLine, line: str
) -> None:
    file = leadflow.write("mended.jsonl", {"id": 1, "event": MENDED}, line)
    assert "mended.jsonl:2" in leadflow("dead-letters", "redrive", "--file", file, code=2).stderr
    assert 1 == leadflow.json("status")["events"]


def test_a_number_that_is_no_open_letter_is_misuse(leadflow: CommandLine) -> None:
    assert "77" in leadflow("dead-letters", "redrive", "77", code=2).stderr
