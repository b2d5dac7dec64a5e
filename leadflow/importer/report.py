"""What an import would do, told column by column, event by event and row by bad row."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from leadflow.importer.columns import Refused, Source
from leadflow.importer.mapping import Mapping
from leadflow.importer.plan import Event, Plan, RowEvents
from leadflow.importer.rows import BadRow, Row, shortened

MAX_DISTINCT: Final = 1_000
"""Different values that are counted in one column."""

MAX_PROBLEMS: Final = 1_000
"""Bad rows that are kept by name; all are counted."""

MAX_IDS: Final = 200_000
"""Events whose ids are compared with each other."""

_FIRST_LINES: Final = 5

Check = Callable[[Event], str | None]
"""Another judge of an event: what is wrong with it, or None."""


@dataclass(slots=True)
class ColumnReport:
    """One column of the file.

    *distinct* counts at most MAX_DISTINCT values; *bad* counts the filled cells that a field which
    uses the column cannot read, also where no event comes of the row; *bad_lines* are the first of
    them. *used_by* names the fields, ids and conditions; nothing uses a column without them.
    """

    column: str
    used_by: list[str]
    filled: int = 0
    empty: int = 0
    distinct: int = 0
    ok: int = 0
    bad: int = 0
    bad_lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class EventReport:
    """One event of the map, and how many of it the file would give."""

    name: str
    type: str
    events: int = 0


@dataclass(slots=True)
class Report:
    """What an import of the file would do.

    *rows* are those that are not blank. *silent_rows* become nothing, since no event of the map
    applies to them. *bad_rows* become nothing, since something in them cannot be read. *repeated* events
    have the id and the content of an earlier one and count as duplicates; *refused* events have its
    id and another content, or fail the check. *problems* are the first of all of these.
    """

    file: str
    columns: list[ColumnReport]
    events: list[EventReport]
    rows: int = 0
    bad_rows: int = 0
    silent_rows: int = 0
    repeated: int = 0
    refused: int = 0
    silent_lines: list[int] = field(default_factory=list)
    problems: list[BadRow] = field(default_factory=list)

    @property
    def unused(self) -> list[str]:
        """Return the columns that nothing in the map uses."""
        return [column.column for column in self.columns if not column.used_by]

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON document with stable keys."""
        return {**asdict(self), "unused": self.unused}

    def lines(self) -> Iterator[str]:
        """Yield the report as plain text."""
        total = sum(event.events for event in self.events)
        yield f"{self.file}: {self.rows:,} rows would become {total:,} events"
        yield ""
        table = [("column", "filled", "empty", "distinct", "bad", "used by")]
        for column in self.columns:
            more = "+" if column.distinct >= MAX_DISTINCT else ""
            used = ", ".join(column.used_by) or "- unused -"
            figures = (f"{column.filled:,}", f"{column.empty:,}", f"{column.distinct:,}{more}")
            table.append((column.column or "(no name)", *figures, f"{column.bad:,}", used))
        yield from _aligned(table)
        yield ""
        rows = [(event.name, f"{event.events:,}", event.type) for event in self.events]
        yield from _aligned([("event", "made", "type"), *rows])
        if self.silent_rows:
            yield ""
            where = ", ".join(map(str, self.silent_lines))
            more = ", ..." if self.silent_rows > len(self.silent_lines) else ""
            yield f"{self.silent_rows:,} rows become nothing, since no event applies: lines {where}{more}"
        if self.repeated:
            yield ""
            yield f"{self.repeated:,} events repeat an earlier one and would count as duplicates"
        if self.problems:
            yield ""
            yield f"{self.bad_rows:,} bad rows would be left out, {self.refused:,} events refused:"
            yield from (f"  {problem}" for problem in self.problems)


def dry_run(csv_path: Path, mapping: Mapping, check: Check | None = None) -> Report:
    """Read the whole file and report what an import would do; nothing is stored.

    *check* may judge each event further, as the contract does. Raises CsvError and MapError as
    `read_events` does.
    """
    plan = Plan(csv_path, mapping)
    columns = [ColumnReport(name, plan.used_by.get(name, [])) for name in plan.header]
    report = Report(
        csv_path.name, columns, [EventReport(event.name, event.type) for event in mapping.events]
    )
    count_cells = _CellCounter(plan, columns)
    count_events = _EventCounter(report, check)
    for row in plan.rows():
        report.rows += 1
        if isinstance(row, Row):
            count_cells(row)
        result = plan.convert(row)
        for problem in (*result.problems, *count_events(result)):
            if len(report.problems) < MAX_PROBLEMS:
                report.problems.append(problem)
        if result.problems:
            report.bad_rows += 1
        elif not result.events:
            report.silent_rows += 1
            _note(report.silent_lines, result.line)
    return report


class _CellCounter:
    """Count what the cells of each column hold."""

    def __init__(self, plan: Plan, columns: list[ColumnReport]) -> None:
        self._columns = columns
        self._cells = [plan.columns[column.column] for column in columns]
        self._sources: list[list[Source]] = [plan.sources_of(c.column) for c in columns]
        self._seen: list[set[int]] = [set() for _ in columns]

    def __call__(self, row: Row) -> None:
        parts = zip(self._columns, self._cells, self._sources, self._seen, strict=True)
        for report, column, sources, seen in parts:
            text = column.cell(row.cells)
            if text is None:
                report.empty += 1
                continue
            report.filled += 1
            if report.distinct < MAX_DISTINCT:
                # Hashes, since a cell may be long.
                seen.add(hash(text))
                report.distinct = len(seen)
            try:
                for source in sources:
                    source(row.cells)
            except Refused:
                report.bad += 1
                _note(report.bad_lines, row.line)
            else:
                report.ok += 1


class _EventCounter:
    """Count events by name, and find those that the intake would refuse."""

    def __init__(self, report: Report, check: Check | None) -> None:
        self._report = report
        self._check = check
        self._by_name = {event.name: event for event in report.events}
        self._known: dict[
            int, tuple[int, int]
        ] = {}  # id: content and line, as hashes: they may be long

    def __call__(self, row: RowEvents) -> Iterator[BadRow]:
        for name, event in zip(row.names, row.events, strict=True):
            self._by_name[name].events += 1
            shown = shortened(str(event["id"]))
            if self._check is not None and (problem := self._check(event)):
                yield self._refused(row.line, shown, f"{name}: {problem}", "correct row or map")
            identity, content = hash(event["id"]), hash(json.dumps(event, sort_keys=True))
            if len(self._known) < MAX_IDS:
                self._known.setdefault(identity, (content, row.line))
            known, line = self._known.get(identity, (content, row.line))
            if line == row.line:
                continue
            if known == content:
                self._report.repeated += 1
            else:
                problem = f"is the id of another event, made of line {line}"
                mend = f"add a column that tells them apart to the id of {name}"
                yield self._refused(row.line, shown, problem, mend)

    def _refused(self, line: int, value: str, problem: str, mend: str) -> BadRow:
        self._report.refused += 1
        return BadRow(line, None, value, problem, mend)


def _note(lines: list[int], line: int) -> None:
    if len(lines) < _FIRST_LINES:
        lines.append(line)


def _aligned(table: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield the rows of a table, figures to the right, the last column as it is."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row[:-1], widths, strict=False))
        ]
        yield "  ".join([*cells, row[-1]]).rstrip()
