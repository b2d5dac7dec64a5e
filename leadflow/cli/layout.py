"""How wide the columns of a table are, and where its cells break: nothing is cropped."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import strip_control_codes
from rich.text import Text

_NARROWEST: Final = 12
"""Characters that a column of texts keeps, where its cells have as many."""

_GAP: Final = 2
"""Blanks between two columns."""


class Uncropped(Console):
    """A console that prints whole lines, also those that are wider than it is."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print *objects* as any console does, but crop no line."""
        super().print(*objects, **{"crop": False, **options})


class Column:
    """One column: what its cells say, and in which lines they say it."""

    def __init__(self, name: str, cells: Sequence[str]) -> None:
        self.head = [name.lstrip(">=")]
        self.cells = [
            [strip_control_codes(line.expandtabs()) for line in cell.splitlines()] or [""]
            for cell in cells
        ]
        self.to_the_right = name.startswith(">")
        self._wraps = not name.startswith((">", "="))

    @property
    def width(self) -> int:
        """Return the characters that its longest line takes."""
        return max(cell_len(line) for lines in (self.head, *self.cells) for line in lines)

    @property
    def least(self) -> int:
        """Return the fewest characters in which everything is told."""
        words = [word for line in self.head for word in line.split(" ")]
        for line in (line for lines in self.cells for line in lines):
            words += line.split(" ") if self._wraps else [line]
        longest = max(map(cell_len, words))
        return max(longest, min(self.width, _NARROWEST)) if self._wraps else longest

    @property
    def lists(self) -> bool:
        """Return whether a cell tells several amounts in one line."""
        return self.to_the_right and any(", " in line for lines in self.cells for line in lines)

    def list_down(self) -> None:
        """Put each of several amounts into a line of its own."""
        self.cells = [
            [part for line in lines for part in line.replace(", ", ",\n").split("\n")]
            for lines in self.cells
        ]

    def wrap(self, width: int) -> None:
        """Wrap its lines at blanks so that they take *width* characters, not under the least."""
        self.head = _wrapped(self.head, width)
        if self._wraps:
            self.cells = [_wrapped(lines, width) for lines in self.cells]


class Table:
    """A table whose every cell is there in full, however narrow the terminal is.

    Where it is wider than the terminal, several amounts go one per line, and texts wrap at
    blanks; where that is not enough, its lines run over. A file or a pipe has no width: there a
    row is one line.
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._columns, self._rows = columns, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield its lines, those of the head dim."""
        columns = [
            Column(name, [row[n] for row in self._rows]) for n, name in enumerate(self._columns)
        ]
        if console.is_terminal:
            _fit(columns, options.max_width)
        widths = [column.width for column in columns]
        for line in _lines(columns, widths, [column.head for column in columns]):
            yield Text(line, "dim", no_wrap=True, overflow="ignore")
        for row in zip(*(column.cells for column in columns), strict=True):
            for line in _lines(columns, widths, row):
                yield Text(line, no_wrap=True, overflow="ignore")


def _fit(columns: Sequence[Column], room: int) -> None:
    """Break lines until the table is no wider than *room*, or nothing is left to break."""
    room -= _GAP * (len(columns) - 1)
    for column in sorted(columns, key=lambda one: -one.width):
        if sum(one.width for one in columns) > room and column.lists:
            column.list_down()
    widths = [column.width for column in columns]
    least = [column.least for column in columns]
    while sum(widths) > room and widths != least:
        widest = max(
            (n for n in range(len(columns)) if widths[n] > least[n]), key=widths.__getitem__
        )
        widths[widest] -= 1
    for column, width in zip(columns, widths, strict=True):
        column.wrap(width)


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    """Return *lines* with a break at the last blank before each reaches beyond *width*."""
    made = []
    for line in lines:
        whole, *words = line.split(" ") if cell_len(line) > width else [line]
        for word in words:
            if cell_len(whole) + 1 + cell_len(word) > width:
                made.append(whole)
                whole = word
            else:
                whole += " " + word
        made.append(whole)
    return made


def _lines(
    columns: Sequence[Column], widths: Sequence[int], row: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Yield the lines of one row of cells, without blanks at their ends."""
    for parts in zip_longest(*row, fillvalue=""):
        told = ""
        for column, width, part in zip(columns, widths, parts, strict=True):
            blanks = " " * (width - cell_len(part))
            told += (blanks + part if column.to_the_right else part + blanks) + " " * _GAP
        yield told.rstrip()
