"""Charts of answers, as Vega-Lite: one specification for files, pages and notebooks.

A chart says what the answer says and nothing else: its data are the rows of the document. Files are
drawn without a browser and without a network (``vl-convert-python``, the extra ``charts``).
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final

Document = Mapping[str, Any]
Spec = dict[str, Any]

Chart = Callable[[Document], Spec]
"""Makes the chart of a document."""

SUFFIXES: Final = (".svg", ".png", ".json")
"""What a chart can be written as; .json is the specification itself."""

_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"
_WIDTH: Final = 560
_BAR: Final = 26
_THIN_BAR: Final = 13
_NONE: Final = "(none)"
_UNTOUCHED: Final = "(no touch)"
_NOTHING: Final = "nothing to draw"
_COLOR: Final = "#4c78a8"
_STAGE_NAMES: Final = "stage"


class ChartsMissing(Exception):
    """The extra that draws charts is not installed."""


class UnknownChart(ValueError):
    """A chart cannot be written to a file of that name."""


# --- what a chart shows -------------------------------------------------------------------------

MOST_GROUPS: Final = 10
"""Groups that a chart shows, the largest first: as many as have a colour of their own."""

MOST_BARS: Final = 40
"""Values that a chart without groups shows, the largest first."""

MOST_BANDS: Final = 4
"""Curves that are drawn with their intervals; of more the intervals would hide the curves."""


def funnel(document: Document) -> Spec:
    """Return the chart of `leadflow funnel`: a bar per step, grouped where the answer is."""
    groups = document["groups"][:MOST_GROUPS]
    rows = [
        {
            "group": _named(group["value"]) if group is not None else "all",
            "step": f"{n}. {step['step']}",
            "leads": step["leads"],
            "of first": step["rate_from_first"],
        }
        for group, steps in [(g, g["steps"]) for g in groups] or [(None, document["steps"])]
        for n, step in enumerate(steps, 1)
    ]
    title = f"Funnel, {document['mode']}" + _of(groups, document["groups"])
    y = {"field": "step", "type": "nominal", "sort": None, "title": None}
    x = {"field": "leads", "type": "quantitative", "title": "leads"}
    spec = _chart(title, rows, "bar", x=x, y=y)
    if groups and rows:
        return _side_by_side(spec, "group")
    if not rows:
        return _empty(spec)
    label = {"mark": {"type": "text", "align": "left", "dx": 4}}
    text = {"field": "of first", "type": "quantitative", "format": ".1%"}
    return _layered(spec, [{"mark": "bar"}, {**label, "encoding": {"text": text}}])


def attribution(document: Document) -> Spec:
    """Return the chart of `leadflow attribution`: the credit of each value.

    Of several models side by side where the answer compares them.
    """
    compared = "model" not in document
    shown = document["rows"][: MOST_GROUPS if compared else MOST_BARS]
    rows = [
        {"value": _named(row["value"]), "model": model, "credit": float(credit)}
        for row in shown
        for model, credit in _credits(document, row)
    ]
    title = f"Credit of conversions ({document.get('conversion') or 'paths'})"
    title += "" if compared else f" by {document['model']}"
    y = {"field": "value", "type": "nominal", "sort": None, "title": None}
    x = {"field": "credit", "type": "quantitative", "title": "conversions credited"}
    nobody = document.get("unattributed", {}).get("conversions", 0)
    if nobody:  # or the bars would not add up to the conversions
        names = [name for name, _ in _credits(document, shown[0])] if shown else []
        rows += [{"value": _UNTOUCHED, "model": name, "credit": float(nobody)} for name in names]
    spec = _chart(title + _of(shown, document["rows"]), rows, "bar", x=x, y=y)
    if not rows:
        return _empty(spec)
    return _side_by_side(spec, "model") if compared else spec


def _credits(document: Document, row: Document) -> list[tuple[str, str]]:
    if "models" in row:
        return [(name, told["credit"]) for name, told in row["models"].items()]
    return [(document["model"], row["credit"])]


def pipeline_over_time(document: Document) -> Spec:
    """Return the chart of `leadflow pipeline --every`: the open leads by stage at each end."""
    from domain.stages import STAGES
    from domain.standing import WORKED

    found = {stage["stage"] for point in document["points"] for stage in point["stages"]}
    order = [stage for stage in STAGES if stage in found and stage in WORKED]
    rows = [
        {"at": point["at"], "stage": stage, "n": n, "leads": told.get(stage, 0)}
        for point in document["points"]
        for told in [{one["stage"]: one["leads"] for one in point["stages"]}]
        for n, stage in enumerate(order)
    ]
    x = {"field": "at", "type": "temporal", "title": None, "scale": {"type": "utc"}}
    y = {"field": "leads", "type": "quantitative", "stack": "zero", "title": "open leads"}
    spec = _chart(f"Pipeline by {document['every']}", rows, "area", x=x, y=y)
    color = {"field": _STAGE_NAMES, "type": "nominal", "sort": order, "title": None}
    spec["encoding"] |= {"color": color, "order": {"field": "n", "type": "quantitative"}}
    return spec if rows else _empty(spec)


def curve(document: Document) -> Spec:
    """Return the chart of `leadflow curve`: the share that got there, by days since."""
    groups = document["groups"][:MOST_GROUPS] or [{**document, "value": "all"}]
    rows = [
        {
            "group": _named(group["value"]),
            "days": step["seconds"] / _DAY,
            "reached": step["reached"],
            "low": step["low"],
            "high": step["high"],
        }
        for group in groups
        for step in [_START, *group["curve"], *_seen_until(group)]
    ]
    method = _METHODS[document["method"]]
    title = f"From {document['from_stage']} to {document['to_stage']} ({method})"
    title += _of(groups, document["groups"])
    x = {"field": "days", "type": "quantitative", "title": "days since"}
    share = {"type": "quantitative", "axis": {"format": ".0%"}, "title": "share that got there"}
    legend = {"symbolOpacity": 1, "symbolType": "stroke", "symbolStrokeWidth": 2}
    color = {"field": "group", "type": "nominal", "sort": None, "title": None, "legend": legend}
    spec = _chart(title, rows, "line", x=x, y={"field": "reached", **share})
    spec["encoding"]["color"] = color if document["groups"] else {"value": _COLOR}
    ends = {"y": {"field": "low", **share}, "y2": {"field": "high"}}
    band = {"type": "area", "interpolate": "step-after", "opacity": 0.2}
    line = {"type": "line", "interpolate": "step-after"}
    bands = [{"mark": band, "encoding": ends}] if len(groups) <= MOST_BANDS else []
    return _layered(spec, [*bands, {"mark": line}])


_DAY: Final = 86_400
_START: Final[Document] = {"seconds": 0, "reached": 0.0, "low": None, "high": None}
_METHODS: Final = {"aalen_johansen": "Aalen-Johansen", "kaplan_meier": "Kaplan-Meier"}


def _seen_until(group: Document) -> list[Document]:
    """Return where a curve ends: the last of the told days on which somebody was still watched."""
    last: Document = group["curve"][-1] if group["curve"] else _START
    days = [row["days"] for row in group["at_risk"] if row["at_risk"]]
    seconds = max(days, default=0) * _DAY
    return [{**last, "seconds": seconds}] if seconds > last["seconds"] else []


def _of(shown: Sequence[Any], every: Sequence[Any]) -> str:
    """Return what a title says where not all of the rows are shown."""
    return f", the {len(shown)} largest of {len(every)}" if len(shown) < len(every) else ""


def _side_by_side(spec: Spec, field: str) -> Spec:
    """Return bars with one thin bar per value of *field* in place of each."""
    spec["height"] = {"step": _THIN_BAR, "for": "offset"}
    spec["encoding"]["y"]["scale"] = {"paddingInner": 0.15, "paddingOuter": 0.05}
    split = {"field": field, "type": "nominal", "sort": None}
    many = len({row[field] for row in spec["data"]["values"]}) > MOST_GROUPS
    colors = {"scale": {"scheme": "tableau20"}} if many else {}
    spec["encoding"] |= {"yOffset": split, "color": {**split, "title": field, **colors}}
    return spec


def _named(value: Any) -> str:
    return _NONE if value is None else str(value)


def _chart(title: str, rows: Sequence[Mapping[str, Any]], mark: str, *, x: Spec, y: Spec) -> Spec:
    spec: Spec = {
        "$schema": _SCHEMA,
        "title": title,
        "width": _WIDTH,
        "data": {"values": list(rows)},
        "mark": mark,
        "encoding": {"x": x, "y": y},
        "config": {"axis": {"labelLimit": 220}, "view": {"stroke": None}},
    }
    spec["height"] = {"step": _BAR} if y["type"] == "nominal" else 320
    return spec


def _empty(spec: Spec) -> Spec:
    """Return the chart *spec* without rows: its title, and the words that there is nothing.

    Axes of no data have no ends, and some of them cannot be drawn.
    """
    kept = {name: spec[name] for name in ("$schema", "title", "width", "data", "config")}
    words = {"type": "text", "text": _NOTHING}
    return kept | {"height": 2 * _BAR, "data": {"values": [{}]}, "mark": words, "encoding": {}}


def _layered(spec: Spec, layers: list[Spec]) -> Spec:
    """Return *spec* with *layers* in place of its mark; they share its encoding."""
    return {name: value for name, value in spec.items() if name != "mark"} | {"layer": layers}


# --- where it goes ------------------------------------------------------------------------------


def check_path(file: Path) -> None:
    """Refuse what no chart can be written to: raise UnknownChart, ChartsMissing or OSError."""
    if file.suffix.lower() not in SUFFIXES:
        raise UnknownChart(
            f"{file}: a chart is written as {', '.join(SUFFIXES)}; name such a file, or - for the"
            " terminal"
        )
    if not file.parent.is_dir():
        raise UnknownChart(f"{file}: there is no folder {file.parent}; make it first")
    if file.suffix.lower() != ".json":
        _drawing()


def save(spec: Spec, file: Path) -> None:
    """Write the chart to *file*, whose suffix says as what: `SUFFIXES`.

    A file of that name is replaced as a whole. Raises as `check_path` does.
    """
    check_path(file)
    suffix = file.suffix.lower()
    if suffix == ".json":
        content = (json.dumps(spec, indent=2, ensure_ascii=False) + "\n").encode()
    elif suffix == ".svg":
        content = as_svg(spec).encode()
    else:
        content = _drawing().vegalite_to_png(spec, scale=2, allowed_base_urls=[])
    beside = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def as_svg(spec: Spec) -> str:
    """Return the chart as SVG, for a page or a notebook. Raises ChartsMissing."""
    drawn: str = _drawing().vegalite_to_svg(spec, allowed_base_urls=[])
    return drawn


def as_text(spec: Spec, width: int = 78) -> str:
    """Return the chart in characters, at most *width* of them a line.

    It can be read without colours. Raises ChartsMissing for lines, which another library of the
    extra draws.
    """
    if not spec["encoding"]:
        return f"{spec['title']}\n{_NOTHING}"
    if spec["encoding"]["y"]["type"] == "nominal":
        return _bars(spec, width)
    if spec.get("mark") == "area":
        return _stacked(spec, width)
    return _lines(spec, width)


_FULL: Final = "█"
_PARTS: Final = " ▏▎▍▌▋▊▉"


def _bars(spec: Spec, width: int) -> str:
    encoding, rows = spec["encoding"], spec["data"]["values"]
    size, label = encoding["x"]["field"], encoding["y"]["field"]
    within = encoding.get("yOffset", {}).get("field")
    names = [f"{row[label]}  {row[within]}" if within else str(row[label]) for row in rows]
    numbers = [f"{row[size]:,.2f}".removesuffix(".00") for row in rows]
    longest, most = max(map(len, names), default=0), max((row[size] for row in rows), default=0)
    room = max(8, width - longest - max(map(len, numbers), default=0) - 3)
    lines = [spec["title"]]
    for row, name, number in zip(rows, names, numbers, strict=True):
        eighths = round(8 * room * row[size] / most) if most > 0 else 0
        bar = _FULL * (eighths // 8) + _PARTS[eighths % 8].strip()
        lines.append(f"{name:<{longest}}  {bar} {number}")
    return "\n".join(lines)


def _stacked(spec: Spec, width: int) -> str:
    """Return a bar per instant, each of its parts in a letter of its own."""
    encoding, rows = spec["encoding"], spec["data"]["values"]
    across, up, by = (encoding[one]["field"] for one in ("x", "y", "color"))
    letters = dict(zip(dict.fromkeys(row[by] for row in rows), ascii_lowercase, strict=False))
    bars: dict[str, dict[str, int]] = {}
    for row in rows:
        bars.setdefault(row[across], {})[row[by]] = row[up]
    every = -(-len(bars) // MOST_BARS)
    # the last instant, and every so many before it
    shown = {
        at: parts for n, (at, parts) in enumerate(bars.items(), 1) if not (len(bars) - n) % every
    }
    most = max(sum(parts.values()) for parts in shown.values())
    room = max(8, width - _DATE - 2 - len(f"{most:,}") - 1)
    lines = [
        spec["title"] + (f", one of {every}" if every > 1 else ""),
        f"{encoding['y']['title']}: "
        + "  ".join(f"{letter} {name}" for name, letter in letters.items()),
    ]
    for at, parts in shown.items():
        bar, sum_ = "", 0
        for name, letter in letters.items():
            sum_ += parts.get(name, 0)
            bar += letter * ((round(room * sum_ / most) if most else 0) - len(bar))
        lines.append(f"{at[:_DATE]}  {bar} {sum_:,}")
    return "\n".join(lines)


_DATE: Final = len("2026-01-31")


def _lines(spec: Spec, width: int) -> str:
    try:
        import plotille
    except ImportError:
        raise ChartsMissing(
            "drawing lines in the terminal needs the extra `charts`: pip install 'leadflow[charts]'"
        ) from None
    encoding, rows = spec["encoding"], spec["data"]["values"]
    across, up = encoding["x"]["field"], encoding["y"]["field"]
    by = encoding["color"].get("field")
    figure = plotille.Figure()
    figure.width, figure.height = max(20, width - 24), 16
    figure.color_mode = "byte"
    figure.x_label, figure.y_label = encoding["x"]["title"], encoding["y"]["title"]
    figure.set_x_limits(min_=0)
    figure.set_y_limits(min_=0)
    figure.register_label_formatter(float, _tick)
    figure.register_label_formatter(int, _tick)
    names = list(dict.fromkeys(row[by] if by else None for row in rows))
    for name, letter in zip(names, ascii_lowercase, strict=False):
        mine = [row for row in rows if by is None or row[by] == name]
        stairs = _steps([row[across] for row in mine], [row[up] for row in mine])
        figure.plot(*stairs, label=name, marker=letter if len(names) > 1 else None)
    return f"{spec['title']}\n{figure.show(legend=by is not None)}"


def _tick(value: float, chars: int, *, delta: float, left: bool = False) -> str:  # noqa: ARG001 - asked so
    """Return the label of an axis, *chars* wide."""
    return f"{value:{'<' if left else '>'}{chars},.{0 if value == round(value) else 2}f}"


def _steps(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the corners of the stairs that hold each value until the next one."""
    stairs = [(x, y) for i, x in enumerate(xs) for y in (ys[max(i - 1, 0)], ys[i])]
    return [x for x, _ in stairs], [y for _, y in stairs]


def _drawing() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise ChartsMissing(
            "drawing SVG and PNG needs the extra `charts`: pip install 'leadflow[charts]'; a .json"
            " file, which is the Vega-Lite specification, and - for the terminal need nothing"
        ) from None
    return vl_convert
