"""Charts show the rows of an answer, as Vega-Lite, as files, as characters."""

import json
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from leadflow import charts
from leadflow.charts import ChartsMissing, UnknownChart, as_text, save


def step(name: str, leads: int, rate: float | None) -> dict[str, Any]:
    return {"step": name, "leads": leads, "rate_from_first": rate}


FUNNEL: dict[str, Any] = {
    "mode": "monotone",
    "steps": [step("captured", 200, 1.0), step("mql", 50, 0.25), step("won", 0, 0.0)],
    "groups": [],
}
CREDIT: dict[str, Any] = {
    "model": "linear",
    "conversion": "won",
    "rows": [{"value": "<email>&", "credit": "2.5"}, {"value": None, "credit": "0.5"}],
}
SERIES: dict[str, Any] = {
    "every": "month",
    "points": [
        {"at": "2026-01-31T23:59:59.999999Z", "stages": [{"stage": "mql", "leads": 3}]},
        {
            "at": "2026-02-28T23:59:59.999999Z",
            "stages": [{"stage": "mql", "leads": 5}, {"stage": "won", "leads": 1}],
        },
    ],
}
CURVE: dict[str, Any] = {
    "from_stage": "mql",
    "to_stage": "sql",
    "method": "aalen_johansen",
    "curve": [
        {"seconds": 86_400, "reached": 0.25, "low": 0.1, "high": 0.5},
        {"seconds": 172_800, "reached": 0.5, "low": 0.3, "high": 0.8},
    ],
    "at_risk": [{"days": 0, "at_risk": 9}, {"days": 7, "at_risk": 2}, {"days": 14, "at_risk": 0}],
    "groups": [],
}
GROUP: dict[str, Any] = {name: CURVE[name] for name in ("curve", "at_risk")}
ALL = [
    (charts.funnel, FUNNEL),
    (charts.funnel, {**FUNNEL, "groups": [{"value": "email", "steps": FUNNEL["steps"]}]}),
    (charts.attribution, CREDIT),
    (charts.pipeline_over_time, SERIES),
    (charts.curve, CURVE),
    (charts.curve, {**CURVE, "groups": [{"value": None, **GROUP}]}),
]


@pytest.mark.parametrize("chart, document", ALL)
def test_every_chart_is_drawn_as_svg_without_a_network(
    chart: charts.Chart, document: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "chart.svg"

    save(chart(document), file)

    root = ET.parse(file).getroot()  # noqa: S314 - our own file
    assert root.tag.endswith("svg")
    assert [] == [one for one in root.iter() if one.tag.endswith(("script", "image"))]
    assert [file] == list(tmp_path.iterdir())


def test_a_png_is_a_png_and_replaces_the_file_of_that_name(tmp_path: Path) -> None:
    file = tmp_path / "chart.PNG"
    file.write_text("old")

    save(charts.funnel(FUNNEL), file)

    content = file.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, _ = struct.unpack(">II", content[16:24])
    assert width > 1_000


def test_the_specification_holds_the_rows_of_the_answer(tmp_path: Path) -> None:
    file = tmp_path / "chart.json"

    save(charts.funnel(FUNNEL), file)

    values = json.loads(file.read_text())["data"]["values"]
    assert [("1. captured", 200), ("2. mql", 50), ("3. won", 0)] == [
        (row["step"], row["leads"]) for row in values
    ]


def test_the_same_answer_is_the_same_file(tmp_path: Path) -> None:
    one, two = tmp_path / "one.svg", tmp_path / "two.svg"
    for file in (one, two):
        save(charts.attribution(CREDIT), file)

    assert one.read_bytes() == two.read_bytes()


def test_text_of_the_data_is_escaped(tmp_path: Path) -> None:
    file = tmp_path / "chart.svg"

    save(charts.attribution(CREDIT), file)

    assert "<email>" not in file.read_text()
    assert "&lt;email&gt;&amp;" in file.read_text()


def test_models_are_drawn_side_by_side() -> None:
    told = {"first": {"credit": "1"}, "last": {"credit": "2"}}

    spec = charts.attribution({"conversion": "won", "rows": [{"value": "email", "models": told}]})

    assert [("first", 1.0), ("last", 2.0)] == [
        (row["model"], row["credit"]) for row in spec["data"]["values"]
    ]
    assert "yOffset" in spec["encoding"]


def test_stages_that_nobody_works_are_no_pipeline() -> None:
    values = charts.pipeline_over_time(SERIES)["data"]["values"]

    assert [3, 5] == [row["leads"] for row in values]


def test_a_curve_starts_where_nobody_is_there_yet() -> None:
    first, *_ = charts.curve(CURVE)["data"]["values"]

    assert (0, 0.0) == (first["days"], first["reached"])


def test_a_curve_goes_on_for_as_long_as_somebody_is_watched() -> None:
    *_, last = charts.curve(CURVE)["data"]["values"]

    assert (7, 0.5) == (last["days"], last["reached"])


def test_only_the_largest_groups_are_drawn_and_the_title_says_so() -> None:
    many = [{"value": f"c{n}", **GROUP} for n in range(12)]

    spec = charts.curve({**CURVE, "groups": many})

    assert 10 == len({row["group"] for row in spec["data"]["values"]})
    assert spec["title"].endswith("the 10 largest of 12")
    assert 1 == len(spec["layer"]), "so many intervals would hide the curves"


def test_a_drawn_file_is_for_whoever_may_read_other_files(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save(charts.funnel(FUNNEL), tmp_path / "chart.svg")

    assert (tmp_path / "other").stat().st_mode == (tmp_path / "chart.svg").stat().st_mode


def test_bars_in_the_terminal_are_as_long_as_they_count() -> None:
    title, captured, mql, won = as_text(charts.funnel(FUNNEL), 60).splitlines()

    assert title == "Funnel, monotone"
    assert captured.count("█") == pytest.approx(4 * mql.count("█"), abs=4)
    assert "█" not in won
    assert won.endswith(" 0")
    assert max(map(len, (captured, mql, won))) <= 60


def test_lines_in_the_terminal_name_their_group() -> None:
    text = as_text(charts.curve({**CURVE, "groups": [{"value": "email", **GROUP}]}))

    assert "From mql to sql" in text
    assert "email" in text
    assert len(text.splitlines()) > 10


@pytest.mark.parametrize(
    "chart, document",
    [
        (charts.funnel, {**FUNNEL, "steps": []}),
        (charts.attribution, {**CREDIT, "rows": []}),
        (charts.pipeline_over_time, {**SERIES, "points": []}),
        (charts.curve, {**CURVE, "curve": [], "at_risk": []}),
    ],
)
def test_an_empty_answer_is_drawn_too(
    chart: charts.Chart, document: dict[str, Any], tmp_path: Path
) -> None:
    save(chart(document), tmp_path / "chart.svg")
    assert as_text(chart(document))


@pytest.mark.parametrize("name", ["chart.jpg", "chart", "nowhere/chart.svg"])
def test_what_is_no_chart_file_is_said_before_anything_is_asked(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownChart, match="chart"):
        charts.check_path(tmp_path / name)


def test_without_the_extra_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    monkeypatch.setitem(__import__("sys").modules, "plotille", None)

    with pytest.raises(ChartsMissing, match=r"leadflow\[charts\]"):
        save(charts.funnel(FUNNEL), tmp_path / "chart.svg")
    with pytest.raises(ChartsMissing, match=r"leadflow\[charts\]"):
        as_text(charts.curve(CURVE))
    save(charts.funnel(FUNNEL), tmp_path / "chart.json")
    assert as_text(charts.funnel(FUNNEL))
