"""Questions about events and stages, and credit for paths, from the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadflow.funnel_steps import parse_steps
from tests.command_line import CommandLine, command_line, event

MONTH = "2025-03"


def _story(name: str, *acts: tuple[int, str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the acts of one person: day of the month, type, fields."""
    return [
        event(
            f"{name}-{n}",
            type_,
            f"{MONTH}-{day:02}T09:00:00Z",
            {"person": {"email": f"{name}@example.com", "country": "DE"}, **data},
        )
        for n, (day, type_, data) in enumerate(acts)
    ]


PAID = {"touch": {"channel": "paid_search", "source": "google"}}
STORIES = [
    *_story(
        "ada",
        (1, "form.submitted", {"kind": "content", **PAID}),
        (3, "form.submitted", {"kind": "demo"}),
        (20, "opportunity.created", {"opportunity": "a"}),
        (25, "deal.won", {"opportunity": "a", "amount": "10.00", "currency": "EUR"}),
    ),
    *_story(
        "bo",
        (2, "form.submitted", {"kind": "content"}),
        (4, "page.viewed", {}),
        (5, "form.submitted", {"kind": "demo"}),
    ),
    *_story("cy", (2, "form.submitted", {"kind": "demo", **PAID}), (9, "deal.lost", {})),
    {
        "specversion": "1.0",
        "source": "/ads",
        "id": "spend",
        "type": "spend.recorded",
        "time": f"{MONTH}-01T00:00:00Z",
        "data": {"day": f"{MONTH}-01", "channel": "display", "amount": "5.00", "currency": "EUR"},
    },
]


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("ask")) as program:
        program("ingest", program.write("stories.jsonl", *STORIES))
        yield program


def _leads(leadflow: CommandLine, steps: str, *words: str) -> list[int]:
    document = leadflow.json("funnel", "--steps", steps, *words)
    return [step["leads"] for step in document["steps"]]


def test_a_step_may_ask_for_a_field(leadflow: CommandLine) -> None:
    both = "form.submitted[kind=content],form.submitted[kind=demo]"
    assert [2, 2] == _leads(leadflow, both)
    assert [3, 1] == _leads(leadflow, "form.submitted[kind=demo],deal.won")
    assert [2] == _leads(leadflow, "form.submitted[touch.channel=paid_search]")
    assert [0] == _leads(leadflow, "form.submitted[kind=demo,touch.channel=email]")


def test_stages_and_events_may_be_mixed(leadflow: CommandLine) -> None:
    assert [3, 3, 1] == _leads(leadflow, "captured,form.submitted[kind=demo],won")
    assert [1, 1] == _leads(leadflow, "opportunity.created,won")


def test_window_mode_and_time_bound_the_chain(leadflow: CommandLine) -> None:
    steps = "form.submitted[kind=content],form.submitted[kind=demo]"
    assert [2, 1] == _leads(leadflow, steps, "--window", "2d")
    assert [2, 1] == _leads(leadflow, steps, "--mode", "strict_all")
    assert [1, 1] == _leads(leadflow, steps, "--from", f"{MONTH}-02")
    assert [1, 1] == _leads(leadflow, steps, "--to", f"{MONTH}-02")


def test_groups_add_up_to_the_whole(leadflow: CommandLine) -> None:
    document = leadflow.json("funnel", "--steps", "form.submitted,deal.won", "--by", "channel")
    assert ["paid_search", None] == [group["value"] for group in document["groups"]]
    for n, step in enumerate(document["steps"]):
        assert step["leads"] == sum(group["steps"][n]["leads"] for group in document["groups"])


def test_a_stage_funnel_counts_who_is_further_unless_asked_otherwise(
    leadflow: CommandLine,
) -> None:
    assert [3, 1, 1] == _leads(leadflow, "captured,mql,won")
    assert [3, 0, 0] == _leads(leadflow, "captured,mql,won", "--mode", "ordered")


@pytest.mark.parametrize(
    "text, names",
    [
        ("mql", ["mql"]),
        (" captured , won ", ["captured", "won"]),
        ("a.b[x=1,y=2],won", ["a.b", "won"]),
    ],
)
def test_steps_are_read_as_written(text: str, names: list[str]) -> None:
    assert names == [step.name for step in parse_steps(text)]


@pytest.mark.parametrize("text", ["", "mql,", "a.b[", "a.b[x]", "mql[x=1]", "nothing"])
def test_steps_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no step|neither|filter|no fields"):
        parse_steps(text)


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["first", "last", "linear"])
def test_published_paths_get_their_published_credit(
    leadflow: CommandLine, shared_data: Path, model: str
) -> None:
    folder = shared_data / "attribution"
    file = str(folder / "pathdata_half.csv")
    document = leadflow.json("attribution", "--paths", file, "--model", model)
    answers = json.loads((folder / "pathdata_half.json").read_text(encoding="utf-8"))
    found = {
        "conversions": {row["value"]: float(row["credit"]) for row in document["rows"]},
        "value": {row["value"]: float(row["amounts"][0]["amount"]) for row in document["rows"]},
    }
    for part, values in found.items():
        expected = {name: value for name, value in answers[model][part].items() if value}
        assert values == pytest.approx(expected, rel=1e-6)
    assert 8_193 == document["conversions"]


def test_paths_keep_every_cent_and_every_conversion(leadflow: CommandLine) -> None:
    (leadflow.folder / "paths.csv").write_text(
        "path,total_conversions,total_conversion_value,total_null\n"
        "a > b > c,1,10.00,3\n,2,1.5,0\na,1,,0\n"
    )
    document = leadflow.json("attribution", "--paths", "paths.csv", "--model", "linear")
    assert 4 == document["conversions"]
    assert [{"currency": None, "amount": "11.50"}] == document["amounts"]
    assert [("a", "1.333333334", "3.34"), ("b", "0.333333333", "3.33")] == [
        (row["value"], row["credit"], row["amounts"][0]["amount"]) for row in document["rows"][:2]
    ]
    assert 2 == document["unattributed"]["conversions"]


@pytest.mark.parametrize(
    "row, words",
    [
        ("a,1.5,1,0", "paths.csv:2: total_conversions '1.5' is no whole number"),
        ("a,1,cheap,0", "paths.csv:2: total_conversion_value 'cheap'"),
    ],
)
def test_a_wrong_path_row_is_named(leadflow: CommandLine, row: str, words: str) -> None:
    (leadflow.folder / "paths.csv").write_text(
        f"path,total_conversions,total_conversion_value,total_null\n{row}\n"
    )
    result = leadflow("attribution", "--paths", "paths.csv", code=1)
    assert words in result.stderr


def test_rules_that_need_times_are_refused_for_paths(leadflow: CommandLine) -> None:
    (leadflow.folder / "paths.csv").write_text("path,total_conversions\na,1\n")
    words = ("attribution", "--paths", "paths.csv", "--model", "time_decay")
    assert "needs times" in leadflow(*words, code=2).stderr
