"""Models of all journeys, asked for from the command line over a file of paths."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine, command_line
from tests.pages import DOCS, run_page

PATHS = "path,total_conversions,total_conversion_value,total_null\n"
GOLDEN = PATHS + "G,2,30.00,1\nM,1,10.01,0\nG > M,1,20.00,0\n"


@pytest.fixture
def leadflow(tmp_path: Path) -> Iterator[CommandLine]:
    with command_line(tmp_path) as program:
        (tmp_path / "paths.csv").write_text(GOLDEN)
        yield program


def asked(leadflow: CommandLine, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = leadflow.json("attribution", "--paths", "paths.csv", *words)
    return document


def credit(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {row["value"]: (row["credit"], row["amounts"][0]["amount"]) for row in document["rows"]}


def test_removal_effects_share_conversions_and_money(leadflow: CommandLine) -> None:
    document = asked(leadflow, "--model", "markov")

    assert {"G": ("2.4", "36.01"), "M": ("1.6", "24.00")} == credit(document)
    assert {"G": 0.75, "M": 0.5} == document["removal_effects"]
    assert (0.8, 1, 2, []) == tuple(
        document[name] for name in ("conversion_rate", "order", "states", "warnings")
    )


def test_a_coalition_shares_each_journey_evenly(leadflow: CommandLine) -> None:
    document = asked(leadflow, "--model", "shapley")

    assert {"G": ("2.5", "40.00"), "M": ("1.5", "20.01")} == credit(document)


def test_rates_share_each_combination_by_what_a_channel_adds(leadflow: CommandLine) -> None:
    """G alone converts 2 in 3, M always: of the one conversion of both, G earns a third."""
    document = asked(leadflow, "--model", "shapley_rate")

    assert {"G": ("2.333333333", "36.67"), "M": ("1.666666667", "23.34")} == credit(document)
    assert {"G": 7 / 30, "M": 17 / 30} == pytest.approx(document["values"])
    assert document["samples"] is None


def test_a_chain_without_failures_warns(leadflow: CommandLine) -> None:
    (leadflow.folder / "paths.csv").write_text("path,total_conversions\na > b,1\n")

    for model in ("markov", "shapley_rate"):
        assert ["no_null_paths"] == asked(leadflow, "--model", model)["warnings"]
    told = leadflow("attribution", "--paths", "paths.csv", "--model", "markov").stdout
    assert "no path led to nothing" in told


def test_a_higher_order_has_more_states(leadflow: CommandLine) -> None:
    document = asked(leadflow, "--model", "markov", "--order", "2")

    assert (2, 3) == (document["order"], document["states"])


@pytest.mark.parametrize(
    "words, told",
    [
        (("--model", "linear", "--paths", "paths.csv", "--order", "2"), "linear has no order"),
        (("--model", "u_lead", "--paths", "paths.csv"), "u_lead needs times"),
        (("--model", "markow", "--paths", "paths.csv"), "unknown attribution model"),
        (("--order", "3"), "linear has no order"),
        (("--order", "many", "--model", "markov"), "write 1 to 9, or auto"),
        (("--models", "first,last"), "go with --compare"),
        (("--compare", "--models", "first"), "two different models"),
        (("--paths", "paths.csv", "--by", "source"), "--by says nothing of --paths"),
        (("--paths", "paths.csv", "--delimiter", ";;"), "must be one character"),
        (("--paths", "paths.csv", "--transform", "shorter"), "unknown transform 'shorter'"),
        (("--separator", ";"), "go with --paths"),
        (("--model", "linear", "--half-life", "7d"), "linear has no half-life"),
    ],
)
def test_what_makes_no_sense_is_refused(
    leadflow: CommandLine, words: tuple[str, ...], told: str
) -> None:
    assert told in " ".join(leadflow("attribution", *words, code=2).stderr.split())


def test_a_wrong_number_of_failures_is_named(leadflow: CommandLine) -> None:
    (leadflow.folder / "paths.csv").write_text(PATHS + "a,1,1,-3\n")
    told = leadflow("attribution", "--paths", "paths.csv", "--model", "markov", code=1).stderr
    assert "paths.csv:2: total_null '-3' is no whole number" in told


@pytest.mark.parametrize(
    "model, answer", [("markov", "markov_order1"), ("shapley", "shapley"), ("j", None)]
)
def test_published_paths_get_their_published_credit(
    leadflow: CommandLine, shared_data: Path, model: str, answer: str | None
) -> None:
    folder = shared_data / "attribution"
    file = str(folder / "pathdata_half.csv")
    document = leadflow.json("attribution", "--paths", file, "--model", model)

    assert 8_193 == document["conversions"]
    if answer is not None:
        answers = json.loads((folder / "pathdata_half.json").read_text())[answer]
        found = {row["value"]: float(row["credit"]) for row in document["rows"]}
        assert found == pytest.approx(answers["conversions"], rel=1e-6)
        if "value" in answers:
            found = {row["value"]: float(row["amounts"][0]["amount"]) for row in document["rows"]}
            assert found == pytest.approx(answers["value"], rel=1e-6)


def test_the_page_on_attribution_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/attribution.md", tmp_path) > 0
