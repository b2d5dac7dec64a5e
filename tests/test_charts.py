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


def test_a_pipeline_in_the_terminal_has_dates_and_letters_instead_of_colours() -> None:
    stages = [{"stage": "captured", "leads": 6}, {"stage": "mql", "leads": 3}]
    points = [
        {"at": "2026-01-31T23:59:59.999999Z", "stages": stages[1:]},
        {"at": "2026-02-28T23:59:59.999999Z", "stages": stages},
    ]
    title, legend, first, last = as_text(
        charts.pipeline_over_time({"every": "month", "points": points}), 60
    ).splitlines()

    assert ("Pipeline by month", "open leads: a captured  b mql") == (title, legend)
    assert first.split() == ["2026-01-31", "b" * first.count("b"), "3"]
    assert last.startswith("2026-02-28  aaa")
    assert last.endswith("bb 9")
    assert last.count("a") == pytest.approx(2 * last.count("b"), abs=1)
    assert first.count("b") == pytest.approx(last.count("b"), abs=1)
    assert max(len(first), len(last)) <= 60


def test_of_many_periods_the_terminal_shows_some_the_last_among_them() -> None:
    days = [f"2026-{month:02}-{day:02}" for month in range(1, 4) for day in range(1, 29)]
    points = [{"at": f"{day}T23:59:59Z", "stages": [{"stage": "mql", "leads": 1}]} for day in days]

    title, _, *bars = as_text(
        charts.pipeline_over_time({"every": "day", "points": points})
    ).splitlines()

    assert title.endswith("one of 3")
    assert [bar[:10] for bar in bars] == days[::-1][::3][::-1]


def test_curves_in_the_terminal_are_told_apart_without_colours() -> None:
    groups = [{"value": value, **GROUP} for value in ("email", "event")]

    *_, email, event = as_text(charts.curve({**CURVE, "groups": groups})).splitlines()

    assert ("a", "b") == (email.strip()[1], event.strip()[1])


def test_lines_in_the_terminal_name_their_group() -> None:
    text = as_text(charts.curve({**CURVE, "groups": [{"value": "email", **GROUP}]}))

    assert "From mql to sql" in text
    assert "email" in text
    assert len(text.splitlines()) > 10


EMPTY = (
    "chart, document",
    [
        (charts.funnel, {**FUNNEL, "steps": []}),
        (charts.funnel, {**FUNNEL, "steps": [step("captured", 0, None)]}),
        (charts.attribution, {**CREDIT, "rows": []}),
        (charts.attribution, {"conversion": "won", "models": ["first", "last"], "rows": []}),
        (charts.pipeline_over_time, {**SERIES, "points": []}),
        (
            charts.pipeline_over_time,
            {**SERIES, "points": [{"at": SERIES["points"][0]["at"], "stages": []}]},
        ),
        (charts.curve, {**CURVE, "curve": [], "at_risk": []}),
    ],
)


@pytest.mark.parametrize(*EMPTY)
def test_an_empty_answer_is_drawn_too(
    chart: charts.Chart, document: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("chart.svg", "chart.png", "chart.json"):
        save(chart(document), tmp_path / name)
    root = ET.parse(tmp_path / "chart.svg").getroot()  # noqa: S314 - our own file
    assert float(root.attrib["width"]) < 2_000
    assert as_text(chart(document))


def test_a_chart_of_nothing_says_so() -> None:
    for chart in (
        charts.pipeline_over_time({**SERIES, "points": []}),
        charts.attribution({**CREDIT, "rows": []}),
    ):
        assert as_text(chart) == f"{chart['title']}\nnothing to draw"


def test_conversions_without_a_touch_have_a_bar_too() -> None:
    told = {"unattributed": {"conversions": 3, "amounts": []}}
    models = {"first": {"credit": "1"}, "last": {"credit": "2"}}
    rows = charts.attribution({**CREDIT, **told})["data"]["values"]
    both = charts.attribution(
        {"conversion": "won", "rows": [{"value": "email", "models": models}], **told}
    )["data"]["values"]

    assert ("(no touch)", 3.0, 6.0) == (
        rows[-1]["value"],
        rows[-1]["credit"],
        sum(row["credit"] for row in rows),
    )
    assert [("(no touch)", "first", 3.0), ("(no touch)", "last", 3.0)] == [
        tuple(row.values()) for row in both[2:]
    ]


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
