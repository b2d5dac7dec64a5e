"""What it takes to win customers beside media, from a CSV file, and amounts from options."""

import csv
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Final

from consumers.malformed import Malformed
from consumers.money import check_currency, minor_units
from projections.economics import Overhead

COLUMNS: Final = ("day", "amount", "currency")
"""What the file must have; other columns are for people."""


class OverheadsUnreadable(Exception):
    """A file of overheads that cannot be used: file, line, column, value and the mend."""


def read_overheads(path: Path) -> list[Overhead]:
    """Return the overheads in *path*: a CSV file with the columns `COLUMNS`.

    An amount is a decimal in major units; one below zero takes back. Raises OverheadsUnreadable,
    which names the first line that is wrong, and OSError.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise OverheadsUnreadable(f"{path}:{line}: is not UTF-8; save it as UTF-8") from None
    with closing(StringIO(text, newline="")) as file:
        reader = csv.DictReader(file, strict=True)
        found = [name.strip() for name in reader.fieldnames or ()]
        lacking = [name for name in COLUMNS if name not in found]
        if lacking:
            raise OverheadsUnreadable(
                f"{path}:1: has no column {lacking[0]!r}; its first line must name"
                f" {', '.join(COLUMNS)}"
            )
        reader.fieldnames = found
        return list(_rows(path, reader))


def _rows(path: Path, reader: "csv.DictReader[str]") -> Iterator[Overhead]:
    try:
        for row in reader:
            day, amount, currency = ((row[name] or "").strip() for name in COLUMNS)
            where = f"{path}:{reader.line_num}"
            try:
                told = date.fromisoformat(day).isoformat()
            except ValueError:
                raise OverheadsUnreadable(
                    f"{where}: day = {day!r} is no day; write 2026-01-05"
                ) from None
            try:
                units, code = money(amount, currency)
            except ValueError as error:
                raise OverheadsUnreadable(f"{where}: {error}") from None
            yield Overhead(units, code, told)
    except csv.Error as error:
        line = reader.reader.line_num
        raise OverheadsUnreadable(f"{path}:{line}: {error}; correct the line") from None


def money(amount: str, currency: str) -> tuple[int, str]:
    """Return *amount*, a decimal in major units, in minor units of *currency*.

    Raises ValueError with the value and the mend.
    """
    try:
        code = check_currency(currency, "currency")
        return minor_units(amount, code, below_zero=True, field="amount"), code
    except Malformed as error:
        raise ValueError(str(error)) from None


def rate(text: str, name: str, *, above_zero: bool = True) -> Fraction:
    """Return the rate *text*, 0 to 1, exactly: ``0.3``. *name* is whose it is.

    Raises ValueError with the value and the mend.
    """
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= 1 or (above_zero and not number):
        least = "above 0 and at most 1" if above_zero else "from 0 to 1"
        raise ValueError(f"{name}: {text!r} is no rate {least}; write 0.3 for 30 %")
    return Fraction(number)
