"""Read a CSV file row by row: the line of each, in constant memory, whatever the file holds.

One bad row costs one row. A quote that is never closed, which would swallow the rest of the file,
is given up after the row's limit, and reading goes on with the line after the one it opened on.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from leadflow.importer.mapping_rules import FileRules

MAX_CELL: Final = 65_536
"""Characters of one cell: no event may carry more."""

MAX_LINE: Final = 1_048_576
"""Characters of one physical line."""

MAX_ROW: Final = 4 * MAX_LINE
"""Characters of one row."""

MAX_ROW_LINES: Final = 1_000
"""Physical lines of one row, whose quoted cells may hold line breaks."""

_SHOWN: Final = 80
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WIDE_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class CsvError(Exception):
    """A CSV file that cannot be read at all; the message names the file and the mend."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that gives no events, and why.

    *line* is the physical line on which the row begins; *column* is None where the row as a whole
    is at fault; *value* is shortened.
    """

    line: int
    column: str | None
    value: str
    problem: str
    mend: str

    def __str__(self) -> str:
        """Say it in one line of plain text."""
        where = f"line {self.line}" if self.column is None else f"line {self.line}, {self.column}"
        shown = f" {self.value!r}" if self.value else ""
        return f"{where}:{shown} {self.problem}; {self.mend}"


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row, as many as the header names; *line* is where it begins."""

    line: int
    cells: list[str]


def shortened(value: str) -> str:
    """Return *value* cut to what fits in a message."""
    return value if len(value) <= _SHOWN else f"{value[: _SHOWN - 1]}…"


def read_header(path: Path, rules: FileRules) -> list[str]:
    """Return the names of the columns, trimmed; from the map where the file has no header.

    Raises CsvError where the file cannot be read, has no header, or names a column twice.
    """
    with _opened(path, rules) as stream:
        return _header(path, rules, _records(path, rules, stream))


def read_rows(path: Path, rules: FileRules) -> Iterator[Row | BadRow]:
    """Yield every row that is not blank, in the order of the file.

    Raises CsvError as `read_header` does, and where the file breaks off in the middle.
    """
    with _opened(path, rules) as stream:
        records = _records(path, rules, stream)
        width = len(_header(path, rules, records))
        for record in records:
            if isinstance(record, BadRow):
                yield record
            elif any(map(str.strip, record.cells)):
                yield _checked(record, width, rules)


def _opened(path: Path, rules: FileRules) -> IO[str]:
    """Open *path* as text in which undecodable bytes stay visible as lone surrogates."""
    try:
        with path.open("rb") as head:
            start = head.read(4)
    except OSError as error:
        raise CsvError(f"{path}: cannot be read: {error.strerror or error}") from error
    encoding = codecs.lookup(rules.encoding).name
    for mark, wide in _WIDE_MARKS.items():
        if start.startswith(mark) and not encoding.startswith(("utf-16", "utf-32")):
            raise CsvError(
                f"{path}: begins with the mark of {wide}, and is read as {rules.encoding};"
                f' set encoding = "{wide}" under [file] in the map'
            )
    if encoding == "utf-8":
        encoding = "utf-8-sig"
    return path.open(encoding=encoding, errors="surrogateescape", newline="")


def _header(path: Path, rules: FileRules, records: Iterator[Row | BadRow]) -> list[str]:
    if rules.header is not None:
        return list(rules.header)
    for record in records:
        if isinstance(record, BadRow):
            raise CsvError(f"{path}: the header cannot be read: {record}")
        if not any(map(str.strip, record.cells)):
            continue
        bad = _checked(record, len(record.cells), rules)
        if isinstance(bad, BadRow):
            raise CsvError(f"{path}: the header cannot be read: {bad}")
        names = [name.strip() for name in record.cells]
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise CsvError(
                f"{path}: line {record.line}: the header names {', '.join(map(repr, twice))} twice;"
                " rename one of the columns"
            )
        return names
    raise CsvError(
        f"{path}: the file is empty; it needs a header row, or header = [...] in the map"
    )


def _checked(row: Row, width: int, rules: FileRules) -> Row | BadRow:
    """Return *row* as it is, or what is wrong with it as a row."""
    cells = row.cells
    if len(cells) != width:
        return BadRow(
            row.line,
            None,
            shortened(rules.delimiter.join(cells)),
            f"has {len(cells)} cells where the header names {width}",
            f"put cells that hold {rules.delimiter!r} in quotes, or complete the row",
        )
    text = "".join(cells)
    if len(text) > MAX_CELL and (longest := max(cells, key=len)) and len(longest) > MAX_CELL:
        return BadRow(
            row.line,
            None,
            shortened(longest),
            f"a cell has {len(longest):,} characters, more than {MAX_CELL:,}",
            "shorten it, or leave the column out",
        )
    if "\0" in text:
        return BadRow(
            row.line,
            None,
            shortened(next(cell for cell in cells if "\0" in cell)),
            "holds a NUL character",
            'export the file again as text; a file full of them may be encoding = "utf-16"',
        )
    if not text.isascii() and (found := _SURROGATE.search(text)):
        code = ord(found[0])
        what = f"byte 0x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else "a lone surrogate"
        cell = next(cell for cell in cells if found[0] in cell)
        return BadRow(
            row.line,
            None,
            shortened(_visible(cell)),
            f"{what} is not {rules.encoding}",
            'set the encoding of the file in the map, for example encoding = "cp1252"',
        )
    return row


class _GivenUpError(Exception):
    """The row has become too long to be one row."""


class _Lines:
    """The physical lines of a stream, some of which can be read a second time."""

    def __init__(self, stream: IO[str]) -> None:
        self.number = 0
        """The line given out last."""
        # Lines of the row at hand, kept so that they can be read again as rows of their own. A
        # None stands for a line that is too long to be kept.
        self._row: list[str | None] = []
        self._size = 0
        self._again: deque[str | None] = deque()
        self._stream = stream

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        self.number += 1
        self._row.append(line)
        if line is None:
            raise _GivenUpError(f"the line has more than {MAX_LINE:,} characters")
        self._size += len(line)
        if len(self._row) > MAX_ROW_LINES or self._size > MAX_ROW:
            raise _GivenUpError(f"the row has more than {MAX_ROW_LINES:,} lines")
        return line

    def begin(self) -> int:
        """Forget the row before; return the line on which the next one begins."""
        self._row.clear()
        self._size = 0
        return self.number + 1

    def give_up(self) -> tuple[str, bool]:
        """Go back to the second line of this row; return the first, and whether there was more."""
        first, *later = self._row
        self._again.extendleft(reversed(later))
        self.number -= len(later)
        return (first or "").rstrip("\r\n"), bool(later)

    def _read(self) -> str | None:
        line = self._stream.readline(MAX_LINE)
        if not line:
            raise StopIteration
        if len(line) < MAX_LINE or line[-1] in "\r\n":
            return line
        while (rest := self._stream.readline(MAX_LINE)) and rest[-1] not in "\r\n":
            pass
        return None


def _records(path: Path, rules: FileRules, stream: IO[str]) -> Iterator[Row | BadRow]:
    """Yield the records of *stream* with the line of each; a broken one costs its first line."""
    lines = _Lines(stream)
    # Strict: text behind a closing quote is an error, not something to guess about.
    reader = csv.reader(lines, delimiter=rules.delimiter, quotechar=rules.quote, strict=True)
    while True:
        line = lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _GivenUpError) as error:
            first, more = lines.give_up()
            problem, mend = str(error), "close the quote, and write a quote inside quotes twice"
            if more or problem == "unexpected end of data":
                problem = "opens a quote that is not closed as it should be"
            elif isinstance(error, _GivenUpError):
                mend = "shorten it, or leave columns out"
            yield BadRow(line, None, shortened(_visible(first)), problem, mend)
        except (UnicodeError, OSError) as error:
            raise CsvError(f"{path}: line {line}: cannot be read: {error}") from error
        else:
            yield Row(line, cells)


def _visible(text: str) -> str:
    """Return *text* with what no encoding can carry as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
