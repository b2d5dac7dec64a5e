"""Attribution of path data: the CSV in which attribution libraries exchange journeys."""

import csv
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path as File
from typing import Any, Final, NamedTuple, TextIO

from domain.attribution import MOMENT_MODELS, NEEDS_TIMES
from projections.attribution import (
    NO_CURRENCY,
    checked,
    compared,
    document,
)
from projections.attribution_models import NAMES, OF_PATHS, Asked, Models, check
from projections.journeys import Journeys

COLUMNS: Final = ("path", "total_conversions", "total_conversion_value", "total_null")

COMPARED: Final = (
    "first",
    "last",
    "linear",
    "u_first_last",
    "position_decay",
    "markov",
    "shapley",
    "shapley_rate",
)
"""The models that stand side by side unless others are named."""

_MOST_DIGITS: Final = 18

_EVERY: Final = 20_000
"""Rows between two words of progress."""

Tell = Callable[[int], None]
"""Is told how many bytes of the file have been read."""


class PathsUnreadable(Exception):
    """Path data that cannot be read: file, line, column, value and the mend."""


class Layout(NamedTuple):
    """How a file of paths is written."""

    separator: str = ">"
    """Stands between the touches of a path; blanks around it do not count."""
    delimiter: str = ","
    """Stands between the columns."""


def attribution_of_paths(
    file: File,
    model: str,
    asked: Asked = Asked(),  # noqa: B008 (frozen: shared, never changed)
    transforms: Sequence[str] = (),
    layout: Layout = Layout(),  # noqa: B008 (the same)
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Return the document of `leadflow attribution` for the path data in *file*.

    Amounts have no currency. Raises PathsUnreadable, OSError, and ValueError for a model that is
    not there or needs times, for options that it does not have, and for an unknown transform.
    """
    _check([model])
    check(model, asked)
    journeys, digits = read_paths(file, transforms, layout, tell)
    result, told = Models(journeys).ask(model, asked)
    return document(result, model, None, {NO_CURRENCY: digits}) | told


def comparison_of_paths(
    file: File,
    models: Sequence[str] = COMPARED,
    asked: Asked = Asked(),  # noqa: B008 (frozen: shared, never changed)
    rounds: int = 0,
    transforms: Sequence[str] = (),
    layout: Layout = Layout(),  # noqa: B008 (the same)
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Return the document of `leadflow attribution --compare` for the path data in *file*.

    *rounds* draws are of journeys, since paths know no leads. Raises as `attribution_of_paths`.
    """
    _check(models)
    checked(models, asked)
    journeys, digits = read_paths(file, transforms, layout, tell)
    return compared(Models(journeys), models, None, {NO_CURRENCY: digits}, asked, rounds)


def _check(models: Sequence[str]) -> None:
    there = ", ".join(OF_PATHS)
    for model in models:
        if model in NEEDS_TIMES or model in MOMENT_MODELS:
            raise ValueError(f"{model} needs times, and paths have none; there are {there}")
        if model not in NAMES:
            raise ValueError(f"unknown attribution model {model!r}; there are {there}")


def read_paths(
    file: File,
    transforms: Sequence[str] = (),
    layout: Layout = Layout(),  # noqa: B008 (a tuple: shared, never changed)
    tell: Tell | None = None,
) -> tuple[Journeys, int]:
    """Return the journeys of *file*, read row by row, and the decimals of their amounts.

    The converted journeys of a row are one journey that counts so often, the others one that led
    to nothing. Raises PathsUnreadable and OSError, ValueError for an unknown transform.
    """
    from projections.journeys_read import transformed

    found = _Paths()
    for row in _rows(file, layout, tell):
        found.add(row)
    return transformed(found.journeys(), transforms), found.digits


class _Row(NamedTuple):
    """One row of path data."""

    channels: tuple[str, ...]
    conversions: int
    value: Decimal | None
    nulls: int


class _Paths:
    """Takes rows, and keeps eight bytes per touch of them."""

    def __init__(self) -> None:
        self.digits = 0
        """The most decimals of any value."""
        self._names: dict[str, int] = {}
        self._codes = array("i")
        self._lengths = array("q")
        self._count = array("q")
        self._converted = array("b")
        self._values: dict[int, Decimal] = {}

    def add(self, row: _Row) -> None:
        """Add the journeys of a row."""
        names = self._names
        codes = [names.setdefault(name, len(names)) for name in row.channels]
        self.digits = max(self.digits, _digits(row.value))
        if row.conversions:
            if row.value is not None:
                self._values[len(self._count)] = row.value
            self._journey(codes, row.conversions, converted=True)
        if row.nulls:
            self._journey(codes, row.nulls, converted=False)

    def _journey(self, codes: list[int], count: int, *, converted: bool) -> None:
        self._codes.extend(codes)
        self._lengths.append(len(codes))
        self._count.append(count)
        self._converted.append(converted)

    def journeys(self) -> Journeys:
        """Return the rows as columns; the instants are places."""
        import numpy as np

        from projections.columns import MISSING
        from projections.journeys import LARGE, offsets_of

        size = len(self._count)
        codes = np.array(self._codes, np.int32)
        offsets = offsets_of(np.array(self._lengths, np.int64))
        lengths = np.diff(offsets)
        amount, large = np.full(size, MISSING), {}
        for number, value in self._values.items():
            top, bottom = value.as_integer_ratio()
            units = top * 10**self.digits // bottom  # exact: no value has more decimals
            if abs(units) < LARGE:
                amount[number] = units
            else:
                large[number] = units
        names = tuple(self._names)
        return Journeys(
            offsets=offsets,
            at=np.arange(len(codes), dtype=np.int64) - np.repeat(offsets[:-1], lengths),
            codes=codes,
            values=names,
            channels=codes,
            channel_names=names,
            converted=np.array(self._converted, np.bool_),
            count=np.array(self._count, np.int64),
            conversion_at=lengths,
            amount=amount,
            currency=np.zeros(size, np.int32),
            currencies=(NO_CURRENCY,),
            moments=np.full((3, size), MISSING),
            unit=np.arange(size, dtype=np.int64),
            large=large,
        )


def _digits(value: Decimal | None) -> int:
    if value is None:
        return 0
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _rows(file: File, layout: Layout, tell: Tell | None) -> Iterator[_Row]:
    """Yield the rows."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(_told(lines, tell), delimiter=layout.delimiter)
        try:
            names = reader.fieldnames or ()
            missing = [name for name in COLUMNS[:2] if name not in names]
            if missing:
                alone = len(names) == 1 and missing[0] not in names
                other = f"; columns are taken to be parted by {layout.delimiter!r}" if alone else ""
                raise PathsUnreadable(
                    f"{file}:1: the column {missing[0]} is missing; path data has the columns"
                    f" {', '.join(COLUMNS)}{other}"
                )
            for row in reader:
                yield _row(row, f"{file}:{reader.line_num}", layout.separator)
        except (csv.Error, UnicodeDecodeError) as error:
            raise PathsUnreadable(f"{file}: is no CSV in UTF-8: {error}") from error


def _told(lines: TextIO, tell: Tell | None) -> Iterator[str]:
    """Yield lines, and tell now and then how far they are."""
    read = 0
    for number, line in enumerate(lines, 1):
        read += len(line)
        if tell is not None and number % _EVERY == 0:
            tell(read)
        yield line


def _row(row: Mapping[str, str | None], place: str, separator: str) -> _Row:
    parts = (row["path"] or "").split(separator)
    channels = tuple(name for part in parts if (name := part.strip()))
    conversions = _count(row, "total_conversions", place)
    nulls = _count(row, "total_null", place)
    text = (row.get("total_conversion_value") or "").strip()
    if not text:
        return _Row(channels, conversions, None, nulls)
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or _digits(value) > _MOST_DIGITS or value.adjusted() > _MOST_DIGITS:
        raise PathsUnreadable(
            f"{place}: total_conversion_value {text!r} is no decimal of at most {_MOST_DIGITS}"
            " digits before and after the point"
        )
    return _Row(channels, conversions, value, nulls)


def _count(row: Mapping[str, str | None], column: str, place: str) -> int:
    """Return the whole number in *column*; a missing or empty one is 0."""
    text = (row.get(column) or "0").strip()
    try:
        count = Decimal(text)
    except InvalidOperation:
        count = Decimal("NaN")
    if not count.is_finite() or not 0 <= count < 10**9 or count != int(count):
        raise PathsUnreadable(f"{place}: {column} {text!r} is no whole number below 10^9")
    return int(count)
