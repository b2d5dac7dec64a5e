"""What holds for every command: exit codes, one document, one clear line when it fails."""

import json
import re
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main

from leadflow.cli import app
from leadflow.cli.errors import EXPECTED
from leadflow.cli.root import hoisted
from leadflow.store import migrate
from tests.command_line import CommandLine, event

DEMO = event("1", "demo.requested", "2025-03-01T09:00:00Z")


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def _commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from _commands(command, *names, name)
        else:
            yield (*names, name), command


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_every_command_says_what_it_does_and_gives_an_example() -> None:
    for names, command in COMMANDS.items():
        words = " ".join(names)
        assert command.help, words
        assert f"Example: leadflow {words}" in command.epilog, words


def test_every_option_and_argument_says_what_it_is_for() -> None:
    for names, command in COMMANDS.items():
        for parameter in command.params:
            assert parameter.help, (names, parameter.name)


@pytest.mark.parametrize("names", COMMANDS)
def test_help_is_there_without_a_database(leadflow: CommandLine, names: tuple[str, ...]) -> None:
    assert "Usage" in leadflow(*names, "--help").stdout
    assert list(leadflow.folder.iterdir()) == []


def test_ingest_counts_and_pipeline_answers_at_once(leadflow: CommandLine) -> None:
    document = leadflow.json("ingest", leadflow.write("one.jsonl", DEMO))
    seconds = document.pop("seconds")
    assert {
        "read": 1,
        "accepted": 1,
        "duplicates": 0,
        "dead_letters": 0,
        "leads": 1,
    } == document
    assert seconds >= 0
    answer = leadflow.json("pipeline")
    assert ("2025-03-01T09:00:00Z", 1) == (answer["as_of"], answer["leads"])
    assert ["captured"] == [stage["stage"] for stage in answer["stages"]]


def test_ingesting_again_adds_nothing(leadflow: CommandLine) -> None:
    file = leadflow.write("one.jsonl", DEMO)
    leadflow("ingest", file)
    digest = leadflow.json("digest")
    again = leadflow.json("ingest", file)
    assert (1, 0, 1, 0) == (again["read"], again["accepted"], again["duplicates"], again["leads"])
    assert digest == leadflow.json("digest")


def test_standard_input_is_a_file_like_any_other(leadflow: CommandLine) -> None:
    document = leadflow.json("ingest", "-", stdin=(json.dumps(DEMO) + "\n").encode())
    assert 1 == document["accepted"]


def test_refused_lines_are_named_by_file_and_line_with_exit_code_3(leadflow: CommandLine) -> None:
    result = leadflow("ingest", leadflow.write("two.jsonl", DEMO, '{"id": 1'), code=3)
    assert "1 accepted" in result.stdout
    assert "leadflow: two.jsonl:2: malformed_json: " in result.stderr
    assert "leadflow dead-letters list" in result.stderr


def test_as_if_live_records_an_event_at_its_own_time(leadflow: CommandLine) -> None:
    leadflow("ingest", leadflow.write("one.jsonl", DEMO), "--as-if-live")
    told = leadflow.json("lead", "timeline", "ada@example.com")["events"][0]
    assert told["occurred_at"] == told["recorded_at"] == "2025-03-01T09:00:00Z"
    assert 1 == leadflow.json("pipeline", "--known-at", "2025-03-01T09:00:00Z")["leads"]
    assert 0 == leadflow.json("pipeline", "--known-at", "2025-02-28")["leads"]


def test_status_tells_positions_read_models_and_counts(leadflow: CommandLine) -> None:
    leadflow("ingest", leadflow.write("one.jsonl", DEMO, "broken"), code=3)
    status = leadflow.json("status")
    assert [2] == [one["position"] for one in status["positions"]]
    assert {0} == {one["lag"] for one in status["read_models"]}
    counts = {name: status[name] for name in ("leads", "events", "decisions", "dead_letters")}
    assert {"leads": 1, "events": 1, "decisions": 1, "dead_letters": 1} == counts


def test_init_is_harmless_when_all_is_there(leadflow: CommandLine) -> None:
    assert leadflow.json("init", "--no-topics")["made"]
    assert not leadflow.json("init", "--no-topics")["made"]


def test_a_rebuild_changes_no_digest(leadflow: CommandLine) -> None:
    leadflow("ingest", leadflow.write("one.jsonl", DEMO))
    before = leadflow.json("digest")["read_models"]
    report = leadflow.json("rebuild")
    assert before == report["after"] == leadflow.json("digest")["read_models"]


def test_the_schema_of_a_type_is_one_document(leadflow: CommandLine) -> None:
    schema = json.loads(leadflow("schema", "form.submitted").stdout)
    assert "form.submitted" == schema["title"]
    assert "form.submitted" in {one["type"] for one in leadflow.json("schema")["types"]}
    assert "form.submitted" in leadflow("schema", "--all").stdout


def test_the_policy_in_the_folder_is_the_policy(leadflow: CommandLine) -> None:
    default = leadflow.json("policy", "check")
    text = (Path(migrate.__file__).parents[1] / "policy.toml").read_text(encoding="utf-8")
    (leadflow.folder / "policy.toml").write_text(
        text.replace('name = "default"', 'name = "ours"'), encoding="utf-8"
    )
    ours = leadflow.json("policy", "check")
    assert default["policy"].startswith("default@")
    assert ours["policy"].startswith("ours@")
    assert "Policy ours@" in leadflow("policy", "show").stdout


# --- global options -----------------------------------------------------------------------------


def test_global_options_may_stand_anywhere() -> None:
    assert ["--database", "x", "--kafka=k:1", "--verbose", "lead", "show", "K"] == hoisted(
        ["lead", "--database", "x", "show", "--kafka=k:1", "K", "-v"]
    )
    assert ["show", "--", "--database", "x"] == hoisted(["show", "--", "--database", "x"])


def test_an_option_is_stronger_than_a_variable_and_that_than_the_file(
    leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def origin() -> tuple[str, str]:
        settings = leadflow.json("doctor", *options, code=3)["settings"]
        found = next(one for one in settings if one["name"] == "kafka_bootstrap_servers")
        return found["value"], found["from"]

    options: list[str] = []
    (leadflow.folder / "leadflow.toml").write_text(
        'kafka_bootstrap_servers = "127.0.0.1:1"\nkafka_connect_timeout_ms = 200\n'
    )
    assert ("127.0.0.1:1", "leadflow.toml") == origin()
    monkeypatch.setenv("LEADFLOW_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:2")
    assert ("127.0.0.1:2", "LEADFLOW_KAFKA_BOOTSTRAP_SERVERS") == origin()
    options = ["--kafka", "127.0.0.1:3"]
    assert ("127.0.0.1:3", "command line") == origin()


# --- what goes wrong ----------------------------------------------------------------------------


def _one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert 1 == len(lines), text
    assert lines[0].startswith("leadflow: ")
    return lines[0]


def test_a_question_about_a_database_that_is_not_there_makes_none(leadflow: CommandLine) -> None:
    line = _one_line(leadflow("pipeline", code=1).stderr)
    assert "no leadflow database at sqlite:///leadflow.db" in line
    assert "leadflow init" in line
    assert list(leadflow.folder.iterdir()) == []


def test_a_file_that_is_missing_is_named(leadflow: CommandLine) -> None:
    line = _one_line(leadflow("ingest", "nowhere.jsonl", code=1).stderr)
    assert "leadflow: nowhere.jsonl: No such file or directory" == line
    assert list(leadflow.folder.iterdir()) == []


def test_a_folder_in_place_of_a_file_is_named(leadflow: CommandLine) -> None:
    (leadflow.folder / "folder").mkdir()
    assert "folder: Is a directory" in leadflow("ingest", "folder", code=1).stderr


def test_a_file_that_is_no_database_is_no_bug(leadflow: CommandLine) -> None:
    (leadflow.folder / "leadflow.db").write_bytes(b"something else entirely, and long enough" * 99)
    result = leadflow("pipeline", code=1)
    assert "not a database" in result.stderr
    assert "bug" not in result.stderr


def test_a_database_that_another_process_holds_is_named(
    leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    leadflow("init", "--no-topics")
    monkeypatch.setattr("leadflow.store.sqlite.LOCK_TIMEOUT", 0)
    holder = sqlite3.connect("leadflow.db")
    try:
        holder.execute("BEGIN IMMEDIATE")
        result = leadflow("ingest", leadflow.write("one.jsonl", DEMO), code=1)
    finally:
        holder.close()
    assert "locked" in result.stderr
    assert "bug" not in result.stderr
    assert 1 == leadflow.json("ingest", "one.jsonl")["accepted"]


def test_tables_of_another_revision_are_not_touched(leadflow: CommandLine) -> None:
    leadflow("init", "--no-topics")
    with sqlite3.connect("leadflow.db") as database:
        database.execute("UPDATE leadflow_version SET version_num = '9999'")
    database.close()
    for words in (("pipeline",), ("init", "--no-topics"), ("project",)):
        line = _one_line(leadflow(*words, code=1).stderr)
        assert "revision 9999" in line
        assert "newer leadflow" in line


@pytest.mark.parametrize(
    "variable, value, words",
    [
        ("LEADFLOW_DATABASE_URL", "mysql://ada:secret@host/db", "LEADFLOW_DATABASE_URL"),
        ("LEADFLOW_BATCH_SIZE", "many", "LEADFLOW_BATCH_SIZE: 'many': is no whole number"),
        ("LEADFLOW_KAFKA_BOOTSTRAP_SERVERS", "host", "'host': is not written as it should be"),
        ("LEADFLOW_LOG_FORMAT", "xml", "LEADFLOW_LOG_FORMAT: 'xml'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_but_no_secret(
    leadflow: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: str,
) -> None:
    monkeypatch.setenv(variable, value)
    line = _one_line(leadflow("pipeline", code=1).stderr)
    assert words in line
    assert "secret" not in line


def test_an_unknown_key_of_the_settings_file_is_named(leadflow: CommandLine) -> None:
    (leadflow.folder / "leadflow.toml").write_text("batchsize = 1\n")
    assert "leadflow.toml: batchsize" in _one_line(leadflow("pipeline", code=1).stderr)


def test_a_wrong_policy_is_told_by_line_before_anything_is_stored(leadflow: CommandLine) -> None:
    (leadflow.folder / "mine.toml").write_text('name = "mine"\npoints = 3\n')
    file = leadflow.write("one.jsonl", DEMO)
    result = leadflow("ingest", file, "--policy", "mine.toml", code=1)
    assert re.search(r"leadflow: mine\.toml:2: points", result.stderr)
    assert not (leadflow.folder / "leadflow.db").exists()
    assert leadflow.json("policy", "check", "mine.toml", code=1)["problems"]


def test_a_broker_that_is_away_is_one_line(leadflow: CommandLine) -> None:
    (leadflow.folder / "leadflow.toml").write_text("kafka_connect_timeout_ms = 200\n")
    file = leadflow.write("one.jsonl", DEMO)
    for words in (("send", file), ("consume", "--until-idle", "1")):
        result = leadflow(*words, "--kafka", "127.0.0.1:1", code=1)
        assert "leadflow: no Kafka broker answers at 127.0.0.1:1" in result.stderr


def test_send_checks_the_whole_file_first_and_sends_nothing_when_a_line_is_wrong(
    leadflow: CommandLine,
) -> None:
    file = leadflow.write("two.jsonl", DEMO, {**DEMO, "id": "2", "time": "yesterday"})
    result = leadflow("send", file, "--kafka", "127.0.0.1:1", code=1)
    assert 'leadflow: two.jsonl:2: invalid_envelope: time = "yesterday"' in result.stderr
    assert "nothing was sent" in result.stderr


def test_every_error_that_a_user_is_told_is_where_it_is_looked_up() -> None:
    for module, names in EXPECTED.items():
        for name in names:
            assert getattr(import_module(module), name).__module__ == module, f"{module}.{name}"


def test_a_key_that_nobody_has_is_told_with_the_kinds_of_key(leadflow: CommandLine) -> None:
    leadflow("init", "--no-topics")
    line = _one_line(leadflow("lead", "show", "nobody@example.com", code=1).stderr)
    assert "leadflow: no lead is known by 'nobody@example.com'; give a lead id" in line


def test_a_bug_is_one_line_and_verbose_shows_where(
    leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("leadflow.status.status", broken)
    leadflow("init", "--no-topics")
    line = _one_line(leadflow("status", code=1).stderr)
    assert "a bug in leadflow: ZeroDivisionError: by zero; --verbose shows where" in line
    assert "Traceback" in leadflow("status", "-v", code=1).stderr


@pytest.mark.parametrize(
    "words, told",
    [
        (("pipeline", "--by", "colour"), "cannot group by 'colour'"),
        (("pipeline", "--as-of", "yesterday"), "2026-01-05T09:30:00Z"),
        (("pipeline", "--as-of", "2026-13-01"), "'2026-13-01' is no day of the calendar"),
        (("funnel", "--steps", "won", "--from", "soon"), "for its start in UTC"),
        (("funnel", "--steps", "colour"), "neither a stage"),
        (("funnel", "--steps", "won[kind=demo]"), "has no fields"),
        (("funnel", "--steps", "captured,won", "--mode", "odd"), "unknown funnel mode"),
        (("funnel", "--steps", "captured,won", "--window", "long"), "no duration"),
        (
            ("funnel", "--steps", "won", "--from", "2026-01-02", "--to", "2026-01-01"),
            "--from is not before --to",
        ),
        (("attribution", "--model", "guess"), "unknown model 'guess'"),
        (("attribution", "--conversion", "hope"), "'hope' is neither a stage"),
        (("attribution", "--conversion", "sal"), "unknown conversion 'sal'"),
        (("dead-letters", "redrive"), "give IDs, or --all, or --file"),
        (("schema", "form.submited"), "form.submitted"),
    ],
)
def test_misuse_is_exit_code_2_and_says_how_to_use_it(
    leadflow: CommandLine, words: tuple[str, ...], told: str
) -> None:
    leadflow("init", "--no-topics")
    said = " ".join(leadflow(*words, code=2).stderr.replace("│", " ").split())
    assert told in said


def test_doctor_finds_what_is_broken_and_what_files_do_without(leadflow: CommandLine) -> None:
    def states(code: int, *words: str) -> dict[str, str]:
        document = leadflow.json("doctor", "--kafka", "127.0.0.1:1", *words, code=code)
        return {one["name"]: one["state"] for one in document["checks"]}

    (leadflow.folder / "leadflow.toml").write_text("kafka_connect_timeout_ms = 200\n")
    leadflow("init", "--no-topics")
    assert {"database": "ok", "policy": "ok", "kafka": "finding", "disk": "ok"} == {
        name: state
        for name, state in states(3).items()
        if name in ("database", "policy", "kafka", "disk")
    }
    (leadflow.folder / "leadflow.db").write_bytes(b"no database at all, and long enough " * 99)
    assert "broken" == states(1)["database"]
    assert "broken" == states(1, "--policy", "nowhere.toml")["policy"]


def test_doctor_names_variables_that_are_no_setting(
    leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (leadflow.folder / "leadflow.toml").write_text("kafka_connect_timeout_ms = 200\n")
    monkeypatch.setenv("LEADFLOW_DATABSE_URL", "sqlite:///x.db")
    said = leadflow("doctor", "--kafka", "127.0.0.1:1", code=3).stdout
    assert "LEADFLOW_DATABSE_URL is no setting" in said
