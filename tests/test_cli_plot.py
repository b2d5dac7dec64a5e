"""Commands draw what they answer, and refuse what they cannot draw."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import CommandLine, command_line, event
from tests.pages import DOCS, run_page

ASKED = {
    "funnel": ("funnel", "--steps", "captured,mql,won"),
    "funnel by": ("funnel", "--steps", "captured,mql,won", "--by", "channel"),
    "attribution": ("attribution", "--conversion", "mql"),
    "pipeline": ("pipeline", "--every", "day"),
    "curve": ("curve", "--from-stage", "captured", "--to-stage", "mql"),
    "curve by": ("curve", "--from-stage", "captured", "--to-stage", "mql", "--by", "channel"),
}


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    events = []
    for n, channel in enumerate(["email", "email", "event"]):
        who = {
            "person": {"email": f"p{n}@example.com", "title": "CEO", "company": {"size": 300}},
            "touch": {"channel": channel},
        }
        events.append(event(f"f{n}", "form.submitted", f"2026-03-0{n + 1}T09:00:00Z", who))
        events.append(event(f"d{n}", "demo.requested", f"2026-03-0{n + 3}T09:00:00Z", who))
        events.append(event(f"p{n}", "pricing.requested", f"2026-03-0{n + 3}T10:00:00Z", who))
    with command_line(tmp_path_factory.mktemp("plot")) as program:
        program("ingest", program.write("events.jsonl", *events))
        yield program


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_the_answer_is_drawn_as_well(leadflow: CommandLine, asked: tuple[str, ...]) -> None:
    plain = leadflow(*asked).stdout
    for name in ("chart.svg", "chart.png", "chart.json"):
        result = leadflow(*asked, "--plot", name)

        assert plain == result.stdout
        assert f"drawn: {name}" in result.stderr
        assert (leadflow.folder / name).stat().st_size > 500
        (leadflow.folder / name).unlink()


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_the_terminal_shows_it_below_the_answer(
    leadflow: CommandLine, asked: tuple[str, ...]
) -> None:
    plain = leadflow(*asked).stdout
    drawn = leadflow(*asked, "--plot", "-").stdout

    assert drawn.startswith(plain)
    assert len(drawn.splitlines()) > len(plain.splitlines()) + 2


def test_the_chart_has_the_numbers_of_the_document(leadflow: CommandLine) -> None:
    asked = ASKED["funnel by"]
    document = leadflow.json(*asked, "--plot", "funnel.json")
    rows = json.loads((leadflow.folder / "funnel.json").read_text())["data"]["values"]

    assert [
        (group["value"], step["leads"]) for group in document["groups"] for step in group["steps"]
    ] == [(row["group"], row["leads"]) for row in rows]
    asked = ASKED["pipeline"]
    document = leadflow.json(*asked, "--plot", "pipeline.json")
    rows = json.loads((leadflow.folder / "pipeline.json").read_text())["data"]["values"]
    for point in document["points"]:
        assert point["open_leads"] == sum(row["leads"] for row in rows if row["at"] == point["at"])


def test_models_that_are_compared_are_drawn_side_by_side(leadflow: CommandLine) -> None:
    asked = ("attribution", "--conversion", "mql", "--compare", "--models", "first,last,linear")
    document = leadflow.json(*asked, "--plot", "models.json")
    rows = json.loads((leadflow.folder / "models.json").read_text())["data"]["values"]

    assert [
        (row["value"], model, float(told["credit"]))
        for row in document["rows"]
        for model, told in row["models"].items()
    ] == [(row["value"], row["model"], row["credit"]) for row in rows]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("pipeline", "--plot", "x.svg"), "--every"),
        (("funnel", "--steps", "mql,won", "--plot", "x.pdf"), ".svg"),
        (("funnel", "--steps", "mql,won", "--plot", "nowhere/x.svg"), "no folder"),
        (("curve", "--from-stage", "mql", "--to-stage", "sql", "--plot", "-", "--json"), "--json"),
    ],
)
def test_what_cannot_be_drawn_is_misuse(
    leadflow: CommandLine, asked: tuple[str, ...], words: str
) -> None:
    assert words in leadflow(*asked, code=2).stderr
    assert not (leadflow.folder / "x.svg").exists()


def test_without_the_extra_the_command_says_how_to_get_it(
    leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    result = leadflow("funnel", "--steps", "mql,won", "--plot", "x.svg", code=1)

    assert "leadflow[charts]" in result.stderr
    assert result.stdout == ""


def test_the_page_on_charts_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/charts.md", tmp_path) > 0
