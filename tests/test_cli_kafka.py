"""The commands that talk to Kafka, on the laptop broker; and how they stop."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadflow.broker import RunningBroker, start_broker
from tests.command_line import CommandLine, event

pytestmark = pytest.mark.kafka

IDLE = "3"
"""Seconds: joining a group counts as idle too."""

EVENTS = [
    event(
        str(n),
        "form.submitted",
        f"2025-03-01T09:{n:02}:00Z",
        {"person": {"email": f"p{n % 7}@example.com"}, "kind": "demo"},
    )
    for n in range(40)
]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningBroker]:
    with start_broker() as broker:
        yield broker


@pytest.fixture
def leadflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: RunningBroker
) -> CommandLine:
    monkeypatch.setenv("LEADFLOW_KAFKA_BOOTSTRAP_SERVERS", running.bootstrap_servers)
    monkeypatch.setenv("LEADFLOW_TOPIC_INTERACTIONS", tmp_path.name)
    monkeypatch.setenv("LEADFLOW_KAFKA_GROUP", tmp_path.name)
    return CommandLine(tmp_path, monkeypatch)


def test_what_is_sent_is_consumed_projected_and_answered(leadflow: CommandLine) -> None:
    file = leadflow.write("events.jsonl", *EVENTS)
    assert {"read": 40, "sent": 40} == leadflow.json("send", file)
    consumed = leadflow.json("consume", "--until-idle", IDLE)
    assert (40, 40, 7) == (consumed["read"], consumed["accepted"], consumed["leads"])
    assert "39" not in leadflow("pipeline").stdout
    assert "events wait: leadflow project" in leadflow("pipeline").stderr
    assert 0 == leadflow.json("project")["lag"]
    assert 7 == leadflow.json("pipeline")["leads"]


def test_sending_twice_counts_once_and_equals_the_file_itself(
    leadflow: CommandLine, tmp_path: Path
) -> None:
    file = leadflow.write("events.jsonl", *EVENTS)
    leadflow("send", file)
    leadflow("send", file)
    counted = leadflow.json("up", "--until-idle", IDLE)
    assert (80, 40, 40) == (counted["read"], counted["accepted"], counted["duplicates"])
    database = ("--database", f"sqlite:///{tmp_path / 'file.db'}")
    leadflow("ingest", file, *database)
    expected = leadflow.json("digest", *database)["read_models"]
    assert expected == leadflow.json("digest")["read_models"]


def test_a_topic_that_is_not_there_is_named_with_the_mend(leadflow: CommandLine) -> None:
    result = leadflow("consume", "--until-idle", IDLE, code=1)
    assert "does not exist" in result.stderr
    assert "leadflow init" in result.stderr


def test_another_log_under_the_same_name_stops_intake_until_it_is_accepted(
    leadflow: CommandLine,
) -> None:
    file = leadflow.write("events.jsonl", *EVENTS)
    leadflow("send", file)
    leadflow("consume", "--until-idle", IDLE)
    with start_broker() as other:
        leadflow("send", file, "--kafka", other.bootstrap_servers)
        words = ("consume", "--until-idle", IDLE, "--kafka", other.bootstrap_servers)
        assert "--accept-new-log" in leadflow(*words, code=1).stderr
        counted = leadflow.json(*words, "--accept-new-log")
    assert (40, 0, 40) == (counted["read"], counted["accepted"], counted["duplicates"])


def test_init_creates_the_topics_and_doctor_sees_them(leadflow: CommandLine) -> None:
    topics = leadflow.json("init")["topics"]
    assert 4 == topics[leadflow.folder.name]
    states = {one["name"]: one["state"] for one in leadflow.json("doctor")["checks"]}
    assert ("ok", "ok") == (states["kafka"], states["topic"])


def test_up_ends_after_the_batch_under_way_with_everything_projected(
    leadflow: CommandLine,
) -> None:
    leadflow("init")
    leadflow("send", leadflow.write("events.jsonl", *EVENTS))
    with (leadflow.folder / "log").open("w") as log:
        program = subprocess.Popen(
            [sys.executable, "-m", "leadflow", "up", "--json"],
            cwd=leadflow.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        while 40 > _positions(leadflow):
            assert program.poll() is None, (leadflow.folder / "log").read_text()
            time.sleep(0.1)
        program.send_signal(signal.SIGTERM)
        out, _ = program.communicate(timeout=60)
    finally:
        program.kill()
        program.wait()
    assert 0 == program.returncode, (leadflow.folder / "log").read_text()
    assert 40 == json.loads(out)["accepted"]
    status = leadflow.json("status")
    assert {0} == {one["lag"] for one in status["read_models"]}
    assert {0} == {one["lag"] for one in status["positions"]}


def _positions(leadflow: CommandLine) -> int:
    """Return how many records of the topic are stored."""
    return sum(one["position"] for one in leadflow.json("status")["positions"])
