"""Attribution of path data: the CSV in which attribution libraries exchange journeys."""

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from domain.attribution import MODELS, NEEDS_TIMES, Attribution, Conversion, attribute
from domain.journey import Journey, Touch
from projections.answers import by_size, credit_text, decimal

COLUMNS: Final = ("path", "total_conversions", "total_conversion_value", "total_null")

_UNKNOWN: Final = "XXX"
"""The code of ISO 4217 for no currency: path data names none."""

_MOST_DIGITS: Final = 18


class PathsUnreadable(Exception):
    """Path data that cannot be read: file, line, column, value and the mend."""


def attribution_of_paths(file: Path, model: str) -> dict[str, Any]:
    """Return the document of `leadflow attribution` for the path data in *file*.

    Amounts have no currency. Raises PathsUnreadable, OSError, and ValueError for a model that is
    not there or needs times.
    """
    if model not in MODELS:
        raise ValueError(f"unknown attribution model {model!r}; there are {', '.join(MODELS)}")
    if model in NEEDS_TIMES:
        others = ", ".join(name for name in MODELS if name not in NEEDS_TIMES)
        raise ValueError(f"{model} needs times, and paths have none; there are {others}")
    digits = max((_digits(value) for _, _, value in _rows(file)), default=0)
    result = attribute(_conversions(file, digits), model)
    total = sum((units.get(_UNKNOWN, 0) for units in result.amounts.values()), 0)
    total += result.unattributed_amounts.get(_UNKNOWN, 0)
    keys = {**dict.fromkeys(result.amounts, 0), **result.credit}
    return {
        "model": model,
        "conversion": None,
        "conversions": result.conversions,
        "amounts": _amounts(total, digits),
        "rows": [
            {
                "value": value,
                "credit": credit_text(keys[value]),
                "amounts": _amounts(_earned(result, value), digits),
            }
            for value in by_size(keys)
        ],
        "unattributed": {
            "conversions": result.unattributed,
            "amounts": _amounts(result.unattributed_amounts.get(_UNKNOWN, 0), digits),
        },
    }


def _earned(result: Attribution, value: str | None) -> int:
    return result.amounts.get(value, {}).get(_UNKNOWN, 0)


def _amounts(units: int, digits: int) -> list[dict[str, str | None]]:
    return [{"currency": None, "amount": decimal(units, digits)}] if units else []


def _digits(value: Decimal | None) -> int:
    if value is None:
        return 0
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _conversions(file: Path, digits: int) -> Iterator[Conversion]:
    for path, conversions, value in _rows(file):
        if not conversions:
            continue
        touches = tuple(Touch(n, channel) for n, channel in enumerate(path))
        amount = None if value is None else int(value.scaleb(digits))
        yield Conversion(Journey(touches, len(touches)), amount, _UNKNOWN, conversions)


def _rows(file: Path) -> Iterator[tuple[list[str], int, Decimal | None]]:
    """Yield path, conversions and their value of each row."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in COLUMNS[:2] if name not in (reader.fieldnames or ())]
        if missing:
            raise PathsUnreadable(
                f"{file}:1: the column {missing[0]} is missing; path data has the columns"
                f" {', '.join(COLUMNS)}"
            )
        try:
            for row in reader:
                yield _row(row, f"{file}:{reader.line_num}")
        except (csv.Error, UnicodeDecodeError) as error:
            raise PathsUnreadable(f"{file}: is no CSV in UTF-8: {error}") from error


def _row(row: Mapping[str, str | None], place: str) -> tuple[list[str], int, Decimal | None]:
    path = [name for part in (row["path"] or "").split(">") if (name := part.strip())]
    text = (row["total_conversions"] or "0").strip()
    try:
        count = Decimal(text)
    except InvalidOperation:
        count = Decimal("NaN")
    if not count.is_finite() or count < 0 or count != int(count):
        raise PathsUnreadable(f"{place}: total_conversions {text!r} is no whole number")
    text = (row.get("total_conversion_value") or "").strip()
    if not text:
        return path, int(count), None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or _digits(value) > _MOST_DIGITS:
        raise PathsUnreadable(
            f"{place}: total_conversion_value {text!r} is no decimal of at most {_MOST_DIGITS}"
            " digits after the point"
        )
    return path, int(count), value
