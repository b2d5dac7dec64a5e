"""The benchmarks run: each row on few events, so that none of them rots. No figure is judged."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench.__main__ import main
from tests.bench.jobs import job, peak
from tests.bench.place import DATABASES, Place
from tests.bench.report import Line, as_json, rates, table
from tests.bench.rows import PROFILES, ROWS, profile
from tests.bench.shares import Shares
from tests.bench.took import Took
from tests.kafka.server import Server
from tests.postgres import PostgresServer

pytestmark = pytest.mark.kafka

EVENTS = 500


def run_here(name: str, **arguments: Any) -> Took:
    took = job(name)(**arguments)
    took.peak = peak()
    return took


@pytest.fixture(scope="module")
def place(kafka: Server, postgres_server: PostgresServer) -> Iterator[Place]:
    with Place(run_here, kafka, postgres_server) as place:
        yield place


@pytest.mark.parametrize("row", ROWS)
def test_every_row_gives_a_figure_for_each_of_its_lines(row: str, place: Place) -> None:
    measure, _ = ROWS[row]

    lines = measure(place, EVENTS, 1)

    assert {row} == {line.row for line in lines}
    assert all(line.figure >= 0 for line in lines)
    assert table(lines).count("\n") == len(lines)
    assert len(json.loads(as_json(lines))) == len(lines)


@pytest.mark.parametrize("row", PROFILES)
def test_the_parts_of_a_profile_have_time_in_them(row: str, place: Place) -> None:
    tables = profile(place, row, EVENTS)

    assert len(tables) == len(DATABASES)
    assert all("all of it" in text and len(text.splitlines()) > 3 for text in tables)


def test_each_job_runs_in_a_process_of_its_own(
    kafka: Server, postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["one lead", "--events", "30", "--rounds", "1", "--json"]

    assert main(words, lambda: Place(broker=kafka, postgres=postgres_server)) == 0
    lines = json.loads(capsys.readouterr().out)

    assert ["ms"] * len(DATABASES) == [line["unit"] for line in lines]


def test_an_unknown_row_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["intak"])

    assert "there is no row 'intak'" in capsys.readouterr().err


def test_the_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    line = rates("r", "w", [50.0, 10.0, 60.0], "b", [100.0, 100.0, 100.0], least_ratio=0.5)

    assert (50.0, 60.0, 0.5, True) == (line.figure, line.best, line.ratio, line.met)


def test_a_missed_target_is_printed_as_such() -> None:
    assert "NO" in table([Line("r", "w", "u", 1.0, 1.0, target=">= 2", met=False)])


def test_a_part_is_told_its_own_time_and_not_that_of_the_parts_it_calls() -> None:
    shares = Shares()
    inner = shares.wrap(lambda: None, "inner")
    outer = shares.wrap(inner, "outer")

    outer()
    spent = dict(shares.parts)
    shares.reset()

    assert all(seconds > 0 for seconds in spent.values())
    assert {"inner": 0.0, "outer": 0.0} == shares.parts
