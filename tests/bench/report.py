"""What a benchmark found out, and how it is printed."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import msgspec


@dataclass(frozen=True, slots=True)
class Line:
    """One figure beside its baseline and its target."""

    row: str
    what: str
    unit: str
    figure: float
    """The median of the rounds."""
    best: float
    baseline_what: str | None = None
    baseline: float | None = None
    baseline_best: float | None = None
    ratio: float | None = None
    """The median of the rounds' own ratios: what disturbs a round disturbs both of its sides."""
    target: str = ""
    met: bool | None = None
    """None where there is no target."""


def rates(
    row: str,
    what: str,
    ours: Sequence[float],
    baseline_what: str,
    baseline: Sequence[float],
    *,
    least_ratio: float | None = None,
    least: float | None = None,
) -> Line:
    """Return the line of a rate, events a second, with the rounds of both sides in order.

    The target is a ratio to the baseline, or a rate; without one the line is for information.
    """
    figure = median(ours)
    ratio = median(a / b for a, b in zip(ours, baseline, strict=True))
    target, met = "", None
    if least_ratio is not None:
        target, met = f"ratio >= {least_ratio:g}", ratio >= least_ratio
    elif least is not None:
        target, met = f">= {least:,.0f}", figure >= least
    return Line(
        row,
        what,
        "events/s",
        figure,
        max(ours),
        baseline_what,
        median(baseline),
        max(baseline),
        ratio,
        target,
        met,
    )


def table(lines: Iterable[Line]) -> str:
    """Return *lines* as a table; the best round stands in brackets behind the median."""
    head = ("row", "what", "unit", "figure", "baseline", "", "ratio", "target", "met")
    cells = [head, *map(_cells, lines)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = {3, 5, 6}
    return "\n".join(
        "  ".join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _cells(line: Line) -> tuple[str, ...]:
    baseline = ""
    if line.baseline is not None and line.baseline_best is not None:
        baseline = f"{_number(line.baseline)} ({_number(line.baseline_best)})"
    return (
        line.row,
        line.what,
        line.unit,
        f"{_number(line.figure)} ({_number(line.best)})",
        line.baseline_what or "-",
        baseline,
        "" if line.ratio is None else f"{line.ratio:.2f}",
        line.target,
        {None: "", True: "yes", False: "NO"}[line.met],
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_json(lines: Iterable[Line]) -> str:
    """Return *lines* as one JSON document."""
    return msgspec.json.format(msgspec.json.encode([asdict(line) for line in lines])).decode()
