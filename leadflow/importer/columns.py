"""The columns that a map speaks of: cells of a row, and cells of a record that is looked up."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from leadflow.importer.cells import BadCell, ColumnRules, Value, instant_reader, reader
from leadflow.importer.mapping_checks import kind_of
from leadflow.importer.mapping_rules import FileRules, LookupRules, closest
from leadflow.importer.rows import BadRow, CsvError, read_header, read_rows
from leadflow.importer.templates import parts_of

Cells = list[str]

Source = Callable[[Cells], Value | None]
"""Where the value of a field comes from, for a row; raises Refused."""

_REMEMBERED: Final = 10_000  # values read of one column: enough for days, little in memory


class Refused(Exception):
    """A cell of the row at hand that cannot be read."""

    def __init__(self, column: str, value: str, reason: BadCell) -> None:
        super().__init__(column, value, reason)
        self.column = column
        self.value = value
        self.reason = reason


class Column:
    """A column as the map reads it; a column without an index is empty in every row."""

    def __init__(self, name: str, rules: ColumnRules, file: FileRules, index: int | None) -> None:
        self.name = name
        self.rules = rules
        self._index = index
        self._trim = file.trim
        self._missing = frozenset(file.missing)

    def cell(self, cells: Cells) -> str | None:
        """Return the text of the cell after trimming; None where it is empty."""
        text = self._raw(cells)
        if self._trim:
            text = text.strip()
        return None if not text or text in self._missing else text

    def text(self, cells: Cells) -> str | None:
        """Return the text after replacing, too; raises Refused where it has to be a known one."""
        text = self.cell(cells)
        if text is None or not self.rules.values:
            return text
        replaced = self.rules.values.get(text)
        if replaced is not None:
            return replaced or None
        if self.rules.otherwise == "keep":
            return text
        if self.rules.otherwise == "null":
            return None
        meant = closest(text, self.rules.values)
        mend = f"did you mean {meant!r}?" if meant else f"add it to the values of {self.name}"
        raise Refused(self.name, text, BadCell("is none of the values in the map", mend))

    def _raw(self, cells: Cells) -> str:
        return "" if self._index is None else cells[self._index]


class LookupColumn(Column):
    """A column of another file, whose record is found by a column of the row."""

    def __init__(
        self, name: str, rules: ColumnRules, file: FileRules, lookup: "Lookup", column: str
    ) -> None:
        super().__init__(name, rules, file, lookup.header.index(column))
        self._lookup = lookup

    def _raw(self, cells: Cells) -> str:
        record = self._lookup.find(cells)
        return "" if record is None else super()._raw(record)


class Lookup:
    """Another CSV file, held in memory by its key.

    Raises CsvError where it cannot be read.
    """

    def __init__(self, rules: LookupRules, path: Path) -> None:
        self._rules = rules
        self._path = path
        self._file = FileRules(encoding=rules.encoding, delimiter=rules.delimiter)
        self._records: dict[str, Cells] = {}
        self._by: Column | None = None
        self.header = read_header(path, self._file)

    def load(self, by: Column) -> None:
        """Read the records, to be found by the column *by* of a row.

        Raises CsvError at a bad row and at a key that stands there twice.
        """
        self._by = by
        index = self.header.index(self._rules.key)
        for row in read_rows(self._path, self._file):
            if isinstance(row, BadRow):
                raise CsvError(f"{self._path}: {row}")
            key = row.cells[index].strip()
            if key in self._records:
                raise CsvError(
                    f"{self._path}: line {row.line}: {self._rules.key} {key!r} stands there twice;"
                    " a lookup needs one row for each value"
                )
            self._records[key] = row.cells

    def find(self, cells: Cells) -> Cells | None:
        """Return the record for a row; None where its cell is empty or, if allowed, unknown."""
        key = None if self._by is None else self._by.text(cells)
        if key is None:
            return None
        record = self._records.get(key)
        if record is None and self._rules.unmatched == "error":
            meant = closest(key, self._records)
            mend = f"did you mean {meant!r}?" if meant else f"add it to {self._path.name}"
            raise Refused(self._rules.by, key, BadCell(f"is not in {self._path.name}", mend))
        return record


def cell_source(column: Column, path: str, zone: str | None) -> Source:
    """Return the source that reads *column* for the field at *path*."""
    kind = kind_of(column.rules, path)
    if kind == "text":
        return column.text
    read = (
        instant_reader(column.rules, zone) if path == "time" else reader(column.rules, kind, zone)
    )
    # What was read lately is remembered: days and amounts repeat, and reading them is slow.
    known: dict[str, Value | BadCell] = {}

    def value_of(cells: Cells) -> Value | None:
        text = column.text(cells)
        if text is None:
            return None
        value = known.get(text)
        if value is None:
            try:
                value = read(text)
            except BadCell as error:
                value = error
            if len(known) >= _REMEMBERED:
                known.clear()
            known[text] = value
        if isinstance(value, BadCell):
            raise Refused(column.name, text, value)
        return value

    return value_of


def template_source(template: str, columns: dict[str, Column]) -> Source:
    """Return the source that fills in *template*: None where a column it needs is empty."""
    parts = [
        (text, None if name is None else columns[name], optional)
        for text, name, optional in parts_of(template)
    ]

    def fill(cells: Cells) -> str | None:
        filled: list[str] = []
        for text, column, optional in parts:
            filled.append(text)
            if column is not None:
                value = column.text(cells)
                if value is None and not optional:
                    return None
                filled.append(value or "")
        return "".join(filled)

    return fill
