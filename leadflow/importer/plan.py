"""A map bound to a CSV file: its columns found, its events ready to be made row by row."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.vocabulary import LEADLESS
from leadflow.importer.cells import ColumnRules
from leadflow.importer.columns import (
    Cells,
    Column,
    Lookup,
    LookupColumn,
    Refused,
    Source,
    cell_source,
    template_source,
)
from leadflow.importer.mapping import MapError, Mapping, MapProblem
from leadflow.importer.mapping_checks import AMOUNT, CURRENCY, is_identifier, required_fields
from leadflow.importer.mapping_rules import Condition, EventRules, FieldRule, LookupRules, closest
from leadflow.importer.rows import BadRow, Row, read_header, read_rows, shortened
from leadflow.importer.templates import columns_of

Event = dict[str, object]
"""A CloudEvent in the JSON form of the vocabulary."""

Place = tuple[str | int, ...]

_SHOWN_COLUMNS: Final = 30


@dataclass(frozen=True, slots=True)
class RowEvents:
    """What one row became: its events in the order of the map, or the problems in their place.

    Neither where no event of the map applies to the row. *line* is where the row begins, *names* are
    the names of the events in the map.
    """

    line: int
    events: tuple[Event, ...]
    names: tuple[str, ...] = ()
    problems: tuple[BadRow, ...] = ()


class Plan:
    """A map whose columns have been found in a CSV file.

    Raises CsvError where the file or a lookup cannot be read, and MapError where the map names a
    column that there is not.
    """

    def __init__(self, csv_path: Path, mapping: Mapping) -> None:
        self.csv_path = csv_path
        self.mapping = mapping
        header = read_header(csv_path, mapping.file)
        self.header = _canonical(header, mapping)
        self._lookups = {
            name: Lookup(rules, _beside(rules, name, csv_path, mapping))
            for name, rules in mapping.lookups.items()
        }
        self._problems: list[MapProblem] = []
        self.columns: dict[str, Column] = {}
        self._sources: dict[str, list[Source]] = {}
        self.used_by: dict[str, list[str]] = {}
        for at, name, user in _references(mapping):
            self._find(at, name, user)
        self._check_keys()
        if self._problems:
            raise MapError(mapping.path, mapping.lines, self._problems)
        for index, name in enumerate(self.header):
            rules = mapping.columns.get(name, ColumnRules())
            self.columns.setdefault(name, Column(name, rules, mapping.file, index))
        for name, lookup in self._lookups.items():
            lookup.load(self.columns[mapping.lookups[name].by])
        self._for_digest = sorted({name: self.columns[name] for name in self.header}.items())
        self.events = [
            _EventPlan(place, rules, self) for place, rules in enumerate(mapping.events, 1)
        ]

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield the rows of the file that are not blank."""
        return read_rows(self.csv_path, self.mapping.file)

    def convert(self, row: Row | BadRow) -> RowEvents:
        """Return what *row* becomes: all of its events, or what is wrong with it."""
        if isinstance(row, BadRow):
            return RowEvents(row.line, (), problems=(row,))
        problems = _Problems(row)
        events: list[Event] = []
        names: list[str] = []
        ids: set[object] = set()
        for plan in self.events:
            event = plan.make(row, problems)
            if event is None:
                continue
            if event["id"] in ids:
                problem = f"{plan.rules.name} has the id of another event of the row"
                problems.add(None, str(event["id"]), problem, "add the event's name to its id")
            ids.add(event["id"])
            events.append(event)
            names.append(plan.rules.name)
        if problems.found:
            return RowEvents(row.line, (), problems=tuple(problems.found.values()))
        return RowEvents(row.line, tuple(events), tuple(names))

    def digest(self, cells: Cells, name: str) -> str:
        """Return the id of the event *name* of a row: SHA-256 of its filled cells and the name.

        The order of the columns, blanks around a cell and empty columns make no difference.
        """
        filled = [(column, text) for column, at in self._for_digest if (text := at.cell(cells))]
        content = json.dumps([name, filled], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def source(self, path: str, rule: FieldRule) -> Source:
        """Return where the field at *path* comes from."""
        if rule.constant is not None:
            return lambda _: rule.constant
        if rule.column is None:
            source = template_source(rule.template or "", self.columns)
        else:
            source = cell_source(self.columns[rule.column], path, self.mapping.zone)
            self._sources.setdefault(rule.column, []).append(source)
        if rule.default is None:
            return source
        return lambda cells: rule.default if (value := source(cells)) is None else value

    def sources_of(self, name: str) -> list[Source]:
        """Return all that reads the column *name*; nothing where the map does not use it."""
        if name not in self.used_by:
            return []
        return [self.columns[name].text, *self._sources.get(name, [])]

    def _find(self, at: Place, name: str, user: str | None) -> None:
        if user is not None:
            self.used_by.setdefault(name, []).append(user)
        if name in self.columns:
            return
        mapping = self.mapping
        rules = mapping.columns.get(name, ColumnRules())
        lookup, _, column = name.partition(".")
        if lookup in self._lookups:
            found = self._lookups[lookup]
            if column in found.header:
                self.columns[name] = LookupColumn(name, rules, mapping.file, found, column)
            else:
                where = mapping.lookups[lookup].file
                self._unknown(at, name, column, found.header, where)
        elif name in self.header or rules.optional:
            index = self.header.index(name) if name in self.header else None
            self.columns[name] = Column(name, rules, mapping.file, index)
        else:
            self._unknown(at, name, name, self.header, self.csv_path.name)

    def _check_keys(self) -> None:
        for name, rules in self.mapping.lookups.items():
            header = self._lookups[name].header
            if rules.key not in header:
                at = ("lookups", name, "key")
                self._unknown(at, rules.key, rules.key, header, rules.file)
            if rules.by.partition(".")[0] in self._lookups:
                problem = "is a column of a lookup itself"
                mend = f"name a column of {self.csv_path.name}"
                at = ("lookups", name, "by")
                self._problems.append(MapProblem(at, rules.by, problem, mend))

    def _unknown(self, at: Place, value: str, name: str, header: list[str], file: str) -> None:
        there = ", ".join(map(repr, header[:_SHOWN_COLUMNS]))
        if len(header) > _SHOWN_COLUMNS:
            there += f" and {len(header) - _SHOWN_COLUMNS} more"
        if len(header) == 1 and (sign := next((s for s in ",;\t|" if s in header[0]), None)):
            mend = f"the header is one cell, {shortened(header[0])!r}: set delimiter = {sign!r}"
        elif meant := closest(name, header):
            mend = f"did you mean {meant!r}? There are {there}"
        else:
            mend = f"there are {there}"
        self._problems.append(MapProblem(at, value, f"is not a column of {file}", mend))


class _Problems:
    """What is wrong with one row, each thing once."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.found: dict[tuple[str | None, str], BadRow] = {}

    def add(self, column: str | None, value: str, problem: str, mend: str) -> None:
        bad = BadRow(self.row.line, column, shortened(value), problem, mend)
        self.found.setdefault((column, problem), bad)

    def refuse(self, refused: Refused) -> None:
        reason = refused.reason
        self.add(refused.column, refused.value, reason.problem, reason.mend)


class _EventPlan:
    """One event of the map, ready to be made of a row."""

    def __init__(self, place: int, rules: EventRules, plan: Plan) -> None:
        self.rules = rules
        self._plan = plan
        # The place in the map orders the events of a row that happen at one instant.
        self._sequence = str(place)
        self._when = [(plan.columns[name], when) for name, when in rules.when.items()]
        self._id = None if rules.id is None else template_source(rules.id, plan.columns)
        self._required = required_fields(rules)
        self._leadless = rules.type in LEADLESS
        self._rules_of = plan.mapping.fields_of(rules)
        self._fields = [
            (path, path.split("."), plan.source(path, rule))
            for path, rule in self._rules_of.items()
        ]

    def make(self, row: Row, problems: _Problems) -> Event | None:
        """Return the event of *row*; None where it does not apply or has *problems*, now added."""
        cells = row.cells
        try:
            if not all(_holds(when, column.text(cells)) for column, when in self._when):
                return None
        except Refused as refused:
            problems.refuse(refused)
            return None
        fields: dict[str, Any] = {}
        found: set[str] = set()
        readable = True
        for path, keys, source in self._fields:
            try:
                value = source(cells)
            except Refused as refused:
                problems.refuse(refused)
                readable = False
                continue
            if value is not None:
                found.add(path)
                table = fields
                for key in keys[:-1]:
                    table = table.setdefault(key, {})
                table[keys[-1]] = value
        identity = self._identity(cells, problems)
        if not readable or identity is None:
            return None
        if AMOUNT in self._rules_of and AMOUNT not in found and CURRENCY in found:
            # A currency says nothing without its amount.
            del fields["data"]["currency"]
        fields.setdefault("data", {})
        self._check(found, problems)
        return {
            "specversion": "1.0",
            "id": identity,
            "source": self._plan.mapping.source,
            "type": self.rules.type,
            "sequence": self._sequence,
            **fields,
        }

    def _identity(self, cells: Cells, problems: _Problems) -> str | None:
        if self._id is None:
            return self._plan.digest(cells, self.rules.name)
        try:
            identity = self._id(cells)
        except Refused as refused:
            problems.refuse(refused)
            return None
        if identity is not None:
            return str(identity)
        names = columns_of(self.rules.id or "")
        empty = next(name for name in names if self._plan.columns[name].text(cells) is None)
        problem = f"is empty, and the id of {self.rules.name} needs it"
        problems.add(empty, "", problem, f"fill the cell, or write {{{empty}?}} in the id")
        return None

    def _check(self, found: set[str], problems: _Problems) -> None:
        """Add what the event cannot do without and does not have."""
        name = self.rules.name
        for path in self._required:
            if path not in found:
                self._needs(path, f"is empty, and {name} needs {path}", problems)
        if not self._leadless and not any(map(is_identifier, found)):
            path = next(filter(is_identifier, self._rules_of))
            self._needs(path, f"is empty, and nothing else says whose event {name} is", problems)
        if AMOUNT in found and CURRENCY not in found:
            self._needs(CURRENCY, f"is empty, and the amount of {name} needs it", problems)

    def _needs(self, path: str, problem: str, problems: _Problems) -> None:
        rule = self._rules_of[path]
        column = rule.column or next(iter(columns_of(rule.template or "")), None)
        mend = "fill the cell, give the field a default, or make the event only when it is filled"
        problems.add(column, "", problem, mend)


def _holds(condition: Condition, text: str | None) -> bool:
    """Tell whether every part of *condition* that is given holds for the text of a cell."""
    return not (
        (condition.equals is not None and text != condition.equals)
        or (condition.among is not None and text not in condition.among)
        or (condition.unlike is not None and text in condition.unlike)
        or (condition.present is not None and (text is not None) != condition.present)
    )


def _canonical(header: list[str], mapping: Mapping) -> list[str]:
    """Return *header* with aliases replaced by the names that the map uses."""
    names = {
        alias: name
        for name, rules in mapping.columns.items()
        if name not in header
        for alias in rules.aliases
    }
    canonical = [names.get(name, name) for name in header]
    twice = next((name for name in canonical if name and canonical.count(name) > 1), None)
    if twice is not None:
        problem = "finds two of its aliases in the file"
        mend = "keep the alias that is meant"
        raise MapError(
            mapping.path,
            mapping.lines,
            [MapProblem(("columns", twice, "aliases"), twice, problem, mend)],
        )
    return canonical


def _beside(rules: LookupRules, name: str, csv_path: Path, mapping: Mapping) -> Path:
    """Return where the file of a lookup is: beside the imported file, or beside the map."""
    for folder in (csv_path.parent, mapping.path.parent):
        if (folder / rules.file).is_file():
            return folder / rules.file
    problem = f"is neither in {csv_path.parent} nor in {mapping.path.parent}"
    at = ("lookups", name, "file")
    raise MapError(
        mapping.path,
        mapping.lines,
        [MapProblem(at, rules.file, problem, "put it there, or correct the name")],
    )


def _references(mapping: Mapping) -> Iterator[tuple[Place, str, str | None]]:
    """Yield where the map names a column, the column, and the event field that uses it."""
    for name in mapping.columns:
        yield ("columns", name), name, None
    for name, lookup in mapping.lookups.items():
        yield ("lookups", name, "by"), lookup.by, f"lookup {name}"
    for index, event in enumerate(mapping.events):
        at: Place = ("events", index)
        for column in columns_of(event.id or ""):
            yield (*at, "id"), column, f"{event.name}.id"
        for column in event.when:
            yield (*at, "when", column), column, f"{event.name}.when"
        for path, rule in mapping.fields_of(event).items():
            place = (*at, "fields", path) if path in event.fields else ("fields", path)
            for column in [rule.column] if rule.column else columns_of(rule.template or ""):
                yield place, column, f"{event.name}.{path}"
