"""Published journeys get their published credit under every model that is published with them.

The tests read the definitions of the shared data (its README): what a journey is, what a model is,
how near an answer must be.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path as File
from typing import Any

import pytest

from domain.attribution import NANO, Conversion
from domain.journey import Journey, Touch
from domain.markov import CONVERSION, NULL, State
from projections.attribution_columns import Columns
from projections.attribution_models import Asked, Models
from projections.attribution_overall import transitions
from projections.journeys import Journeys
from tests.command_line import CommandLine, command_line
from tests.journeys_by_domain import journeys_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

RULES = {
    "first": "first",
    "last": "last",
    "linear": "linear",
    "position_40_20_40": "u_first_last",
    "position_decay": "position_decay",
}
TIMED = {"time_decay_7d": "time_decay", "time_decay_7d_step": "time_decay_stepped"}
OVERALL = {
    "markov_order1": "markov",
    "markov_order1_converted_only": "markov_converted_only",
    "shapley": "shapley",
}
FIGURES = {"channels", "conversions", "journeys", "value"}


@pytest.fixture
def leadflow(tmp_path: File) -> Iterator[CommandLine]:
    with command_line(tmp_path) as program:
        yield program


def answers(shared_data: File, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared_data / "attribution" / name).read_text())
    return found


def dp6(shared_data: File) -> tuple[list[Conversion], list[Journey]]:
    """Return the journeys of dp6: what a conversion row ends, and what is left without one.

    A visitor's touches in time order up to and with the conversion row; the touches after it begin
    the next journey; the value is the number of purchases, here in parts of 10^9.
    """
    waiting: dict[str, list[Touch]] = defaultdict(list)
    won: list[Conversion] = []
    with (shared_data / "attribution" / "dp6_multiple_conversions.csv").open(newline="") as lines:
        for row in sorted(csv.DictReader(lines), key=lambda row: row["event_time"]):
            at = datetime.fromisoformat(row["event_time"]).replace(tzinfo=UTC) - EPOCH
            micros = at // timedelta(microseconds=1)
            waiting[row["user_pseudo_id"]].append(Touch(micros, row["source_medium"]))
            if row["is_conversion_purchase"] == "1":
                touches = tuple(waiting.pop(row["user_pseudo_id"]))
                worth = int(row["n_purchases"]) * NANO
                won.append(Conversion(Journey(touches, micros), worth, "PURCHASES"))
    return won, [Journey(tuple(touches), touches[-1].at) for touches in waiting.values()]


def dp6_columns(shared_data: File) -> Journeys:
    won, lost = dp6(shared_data)
    return journeys_of(won, nulls=lost)


def test_dp6_has_the_journeys_that_it_says(shared_data: File) -> None:
    won, lost = dp6(shared_data)
    said = answers(shared_data, "dp6_small.json")
    assert (said["journeys"], said["conversions"]) == (len(won) + len(lost), len(won))
    assert said["value"] * NANO == sum(one.amount or 0 for one in won)


def test_every_published_model_is_asked(shared_data: File) -> None:
    ours = {*RULES, *TIMED, *OVERALL, *FIGURES}
    assert ours == set(answers(shared_data, "dp6_small.json"))
    assert ours - set(TIMED) == set(answers(shared_data, "pathdata_half.json"))


@pytest.mark.parametrize(("name", "model"), [*RULES.items(), *TIMED.items(), *OVERALL.items()])
def test_dp6_is_answered_to_1e_9(shared_data: File, name: str, model: str) -> None:
    said = answers(shared_data, "dp6_small.json")[name]
    report, told = Models(dp6_columns(shared_data)).ask(model, Asked())

    assert 5 == report.conversions
    credit = {channel: report.credit.get(channel, 0) / NANO for channel in said["conversions"]}
    # credit is in whole parts of 10^9, each part of each journey rounded once
    assert credit == pytest.approx(said["conversions"], rel=0, abs=2e-9 + 1e-9 * len(credit))
    for channel, value in said.get("value", {}).items():
        units = report.amounts.get(channel, {}).get("PURCHASES", 0)
        assert units / NANO == pytest.approx(value, rel=0, abs=6e-9)
    if "removal_effects" in said:
        assert told["removal_effects"] == pytest.approx(said["removal_effects"], abs=1e-9)
        assert told["conversion_rate"] == pytest.approx(said["p_conversion"], abs=1e-9)


@pytest.mark.parametrize("only", [False, True])
def test_the_steps_of_dp6_are_the_published_matrix(shared_data: File, only: bool) -> None:
    journeys = dp6_columns(shared_data)
    if only:
        journeys = journeys.chosen(journeys.converted)
    name = "markov_order1_converted_only" if only else "markov_order1"
    said = answers(shared_data, "dp6_small.json")[name]["transition_matrix"]
    words: dict[State, str] = {(): "(start)", CONVERSION: "(conversion)", NULL: "(null)"}

    found = {
        f"{words.get(origin, origin[-1] if origin else '')} -> {words.get(to, to[-1])}": count
        / sum(row.values())
        for origin, row in transitions(journeys, 1).rows.items()
        for to, count in row.items()
    }
    assert found == pytest.approx(said, abs=1e-9)


@pytest.mark.parametrize(("name", "model"), [*RULES.items(), *OVERALL.items()])
def test_dp6_as_paths_is_answered_by_the_command(
    leadflow: CommandLine, shared_data: File, name: str, model: str
) -> None:
    won, lost = dp6(shared_data)
    with (leadflow.folder / "dp6.csv").open("w", newline="") as lines:
        out = csv.writer(lines)
        out.writerow(["path", "total_conversions", "total_conversion_value", "total_null"])
        for journey, amount, _, _ in won:
            path = " > ".join(touch.channel for touch in journey.touches)
            out.writerow([path, 1, f"{(amount or 0) // NANO}.000000000", 0])
        for way in lost:
            out.writerow([" > ".join(touch.channel for touch in way.touches), 0, "", 1])
    document = leadflow.json("attribution", "--paths", "dp6.csv", "--model", model)
    check(document, answers(shared_data, "dp6_small.json")[name], rel=0, least=6e-9)


def check(document: dict[str, Any], said: dict[str, Any], rel: float, least: float) -> None:
    """Assert that an answer of the command is what was published."""
    credit = {row["value"]: float(row["credit"]) for row in document["rows"]}
    zeros = dict.fromkeys(said["conversions"], 0.0)
    assert zeros | credit == pytest.approx(said["conversions"], rel=rel, abs=least)
    if "value" in said:
        money = {row["value"]: float(row["amounts"][0]["amount"]) for row in document["rows"]}
        assert zeros | money == pytest.approx(said["value"], rel=rel, abs=least)
    if "removal_effects" in said:
        assert document["removal_effects"] == pytest.approx(said["removal_effects"], rel=1e-6)
        assert document["conversion_rate"] == pytest.approx(said["p_conversion"], rel=1e-6)


@pytest.mark.parametrize(("name", "model"), [*RULES.items(), *OVERALL.items()])
def test_thousands_of_paths_are_answered_to_a_millionth(
    leadflow: CommandLine, shared_data: File, name: str, model: str
) -> None:
    file = str(shared_data / "attribution" / "pathdata_half.csv")
    said = answers(shared_data, "pathdata_half.json")
    document = leadflow.json("attribution", "--paths", file, "--model", model)

    assert said["conversions"] == document["conversions"]
    assert float(document["amounts"][0]["amount"]) == pytest.approx(said["value"], rel=1e-9)
    check(document, said[name], rel=1e-6, least=1e-7)


def test_all_models_stand_side_by_side_as_published(
    leadflow: CommandLine, shared_data: File
) -> None:
    file = str(shared_data / "attribution" / "pathdata_half.csv")
    said = answers(shared_data, "pathdata_half.json")
    models = {**RULES, **OVERALL}
    document = leadflow.json(
        "attribution", "--paths", file, "--compare", "--models", ",".join(models.values())
    )
    for name, model in models.items():
        found = {row["value"]: float(row["models"][model]["credit"]) for row in document["rows"]}
        assert found == pytest.approx(said[name]["conversions"], rel=1e-6, abs=1e-7)


# --- how files are written ---


def test_paths_are_read_with_other_separators_and_without_optional_columns(
    leadflow: CommandLine,
) -> None:
    (leadflow.folder / "a.csv").write_text("path;total_conversions\na | b;2\nb;1\n;1\n")
    words = ("attribution", "--paths", "a.csv", "--separator", "|", "--delimiter", ";")
    document = leadflow.json(*words)
    assert {"b": "2", "a": "1"} == {row["value"]: row["credit"] for row in document["rows"]}
    assert ([], 1) == (document["amounts"], document["unattributed"]["conversions"])

    told = leadflow("attribution", "--paths", "a.csv", code=1).stderr
    assert "columns are taken to be parted by ','" in told


def test_a_value_of_many_digits_is_credited_to_the_last(leadflow: CommandLine) -> None:
    lines = ["path,total_conversions,total_conversion_value"]
    lines += ["a > b > c,3,123456789012345678.123456789012345678", "a,1,-0.000000000000000001"]
    (leadflow.folder / "a.csv").write_text("\n".join(lines))
    document = leadflow.json("attribution", "--paths", "a.csv", "--model", "linear")
    third = "41152263004115226.041152263004115226"
    assert {"b": third, "c": third} == {
        row["value"]: row["amounts"][0]["amount"] for row in document["rows"] if row["value"] != "a"
    }
    assert "123456789012345678.123456789012345677" == document["amounts"][0]["amount"]


def test_a_path_may_be_shortened(leadflow: CommandLine) -> None:
    (leadflow.folder / "a.csv").write_text("path,total_conversions\na > a > direct,1\n")
    words = ["--transform", "exposure", "--transform", "remove_if_last_and_not_all=direct"]
    document = leadflow.json("attribution", "--paths", "a.csv", *words)
    assert [("a", "1")] == [(row["value"], row["credit"]) for row in document["rows"]]


def test_a_long_file_tells_how_far_it_is(leadflow: CommandLine) -> None:
    from leadflow.paths import read_paths

    text = "path,total_conversions\n" + "a > b,1\n" * 45_000
    (leadflow.folder / "a.csv").write_text(text)
    told: list[int] = []
    journeys, _ = read_paths(leadflow.folder / "a.csv", tell=told.append)
    assert 2 == len(told)
    assert told[0] < told[1] < len(text)
    assert {"a": 22_500 * NANO, "b": 22_500 * NANO} == Columns(journeys).attribute("linear").credit
