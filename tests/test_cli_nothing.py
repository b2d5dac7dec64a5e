"""What questions say where there is nothing, or something else than was asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import CommandLine, command_line, event


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("nothing")) as program:
        program("init", "--no-topics")
        yield program


def test_an_empty_log_has_no_month_to_forecast(leadflow: CommandLine) -> None:
    document = leadflow.json("forecast")

    assert (None, None, None) == (document["as_of"], document["from"], document["to"])
    assert "no leads yet" in leadflow("forecast").stdout


def test_before_the_first_event_there_is_no_lead_and_nothing_to_take_in(
    leadflow: CommandLine,
) -> None:
    told = leadflow("pipeline", "--as-of", "1999-01-01").stdout

    assert "no leads as of 1999-01-01" in told
    assert "ingest" not in told
    assert "ingest" in leadflow("pipeline").stdout


@pytest.mark.parametrize("command", ["project", "rebuild"])
def test_what_reads_the_log_makes_no_database(leadflow: CommandLine, command: str) -> None:
    told = leadflow("--database", "sqlite:///other.db", command, code=1).stderr

    assert "there is no leadflow database at sqlite:///other.db" in told
    assert not Path("other.db").exists()


def test_what_is_no_export_is_told_without_the_words_of_the_system(
    leadflow: CommandLine,
) -> None:
    Path("empty").mkdir()

    assert "there is no such folder" in leadflow("export", "verify", "nosuch", code=1).stderr
    assert "it has no manifest" in leadflow("export", "verify", "empty", code=1).stderr


@pytest.mark.parametrize(
    "option, value, words",
    [
        ("--targets", "first=60%,first=20%", "two targets"),
        ("--outbound", "outbound,fairs", "'fairs' is no channel"),
    ],
)
def test_a_word_of_the_source_mix_that_means_nothing_is_refused(
    leadflow: CommandLine, option: str, value: str, words: str
) -> None:
    assert words in " ".join(leadflow("source-mix", option, value, code=2).stderr.split())


DRAWN = {
    "pipeline": ("pipeline", "--every", "month"),
    "pipeline later": ("pipeline", "--every", "month", "--from", "2030-01-01"),
    "funnel": ("funnel", "--steps", "captured,mql,won"),
    "funnel by": ("funnel", "--steps", "captured,mql,won", "--by", "channel"),
    "attribution": ("attribution",),
    "compare": ("attribution", "--compare"),
    "curve": ("curve", "--from-stage", "mql", "--to-stage", "sql"),
}


@pytest.mark.parametrize("asked", DRAWN.values(), ids=DRAWN)
def test_nothing_can_be_drawn(leadflow: CommandLine, asked: tuple[str, ...]) -> None:
    for where in ("none.svg", "none.png", "none.json", "-"):
        result = leadflow(*asked, "--plot", where)

        assert where == "-" or f"drawn: {where}" in result.stderr


@pytest.mark.parametrize(
    "asked",
    [
        ("attribution", "--paths", "nix"),
        ("targets", "--targets", "nix"),
        ("targets", "check", "nix"),
        ("query", "--file", "nix"),
        ("economics", "--fully-loaded", "nix"),
        ("speed", "--calendar", "nix"),
        ("speed", "--by", "team", "--teams", "nix"),
    ],
)
def test_a_file_that_is_missing_is_misuse_of_the_option_that_names_it(
    leadflow: CommandLine, asked: tuple[str, ...]
) -> None:
    *_, option, file = asked
    told = " ".join(leadflow(*asked, code=2).stderr.replace("│", "").split())

    option = "FILE" if option == "check" else option
    assert f"Invalid value for {option}: {file}: No such file or directory; give the" in told


@pytest.mark.parametrize(
    "asked, words",
    [
        (("pipeline", "--stuck", "-1"), "'--stuck': -1 is too small; give 0 or more"),
        (("pipeline", "--stuck", "100001"), "'--stuck': 100001 is too large; give 100000 or less"),
        (("forecast", "--months", "0"), "'--months': 0 is too small; give 1 or more"),
        (("query", "SELECT 1", "--limit", "-1"), "'--limit': -1 is too small; give 0 or more"),
        (("simulate", "x", "--leads", "0"), "'--leads': 0 is too small; give 1 or more"),
        (("simulate", "x", "--leads", "many"), "'--leads': many is no whole number"),
    ],
)
def test_a_number_out_of_its_limits_is_told_with_them(
    leadflow: CommandLine, asked: tuple[str, ...], words: str
) -> None:
    told = " ".join(leadflow(*asked, code=2).stderr.replace("│", "").split())

    assert f"Invalid value for {words}" in told


ASKED = {
    "funnel": ("funnel", "--steps", "captured,mql,won"),
    "funnel of events": ("funnel", "--steps", "form.submitted,won"),
    "cohorts": ("cohorts", "--steps", "mql,sql,won"),
    "attribution": ("attribution",),
    "compare": ("attribution", "--compare"),
    "sources": ("sources",),
    "economics": ("economics",),
    "speed": ("speed",),
    "curve": ("curve", "--from-stage", "mql", "--to-stage", "sql"),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_questions_about_no_leads_say_so_and_what_to_do(
    leadflow: CommandLine, asked: tuple[str, ...]
) -> None:
    assert leadflow(*asked).stdout.splitlines() == [
        "no leads yet",
        "Next: leadflow ingest FILE, or leadflow demo",
    ]
    assert "no leads as of 1999-01-01" in leadflow(*asked, "--as-of", "1999-01-01").stdout
    assert leadflow.json(*asked)


def test_spend_before_the_first_lead_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    paid = event("s", "spend.recorded", "2026-03-01T09:00:00Z")
    paid["data"] = {"channel": "email", "amount": "10.00", "currency": "EUR", "day": "2026-03-01"}
    with command_line(tmp_path_factory.mktemp("spend")) as program:
        program("ingest", program.write("spend.jsonl", paid))
        for asked in ("sources", "economics"):
            told = program(asked).stdout
            assert "10.00" in told
            assert "no leads" not in told
