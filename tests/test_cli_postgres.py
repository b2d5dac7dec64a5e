"""PostgreSQL answers what SQLite answers."""

from pathlib import Path

import pytest

from tests.command_line import CommandLine, event

EVENTS = [
    event("1", "demo.requested", "2025-03-01T09:00:00Z"),
    event("2", "deal.won", "2025-03-02T09:00:00Z", {"amount": "5.00", "currency": "EUR"}),
    event("3", "page.viewed", "2025-03-03T09:00:00", {}),
]


def test_every_answer_is_the_same_on_both_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    leadflow = CommandLine(tmp_path, monkeypatch)
    file = leadflow.write("events.jsonl", *EVENTS)
    mended = leadflow.write(
        "mended.jsonl", {"id": 1, "event": {**EVENTS[2], "time": "2025-03-03T09:00:00Z"}}
    )
    questions = (
        ("status",),
        ("pipeline", "--by", "owner"),
        ("pipeline", "--as-of", "2025-03-01"),
        ("funnel", "--steps", "captured,won"),
        ("funnel", "--steps", "demo.requested,deal.won"),
        ("attribution",),
        ("sources",),
        ("lead", "show", "ada@example.com", "--as-of", "2025-03-04"),
        ("lead", "explain", "ada@example.com", "--as-of", "2025-03-04"),
        ("dead-letters", "list", "--state", "all"),
    )
    answers = []
    for database in ("sqlite:///leadflow.db", postgres_database):
        monkeypatch.setenv("LEADFLOW_DATABASE_URL", database)
        assert "no leadflow database" in leadflow("pipeline", code=1).stderr
        leadflow("ingest", file, "--as-if-live", code=3)
        leadflow("dead-letters", "redrive", "--file", mended)
        answers.append([leadflow.json(*words) for words in questions])
        answers[-1].append(leadflow.json("digest")["read_models"])
        answers[-1].append(leadflow.json("rebuild")["after"])
        for letter in answers[-1][questions.index(("dead-letters", "list", "--state", "all"))][
            "dead_letters"
        ]:
            letter.pop("received_at")  # a time that cannot be read leaves the present
    assert answers[0] == answers[1]
