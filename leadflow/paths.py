"""Attribution of path data: the CSV in which attribution libraries exchange journeys."""

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path as File
from typing import Any, Final, NamedTuple

from domain import markov, shapley
from domain.attribution import (
    MODELS,
    MOMENT_MODELS,
    NEEDS_TIMES,
    Attribution,
    Conversion,
    Path,
    attribute,
    credit_paths,
)
from domain.journey import Journey, Touch
from projections.answers import by_size, credit_text, decimal

COLUMNS: Final = ("path", "total_conversions", "total_conversion_value", "total_null")

PATH_MODELS: Final = ("markov", "shapley", "shapley_rate")
"""The models that look at all journeys at once, those that led to nothing too."""

_UNKNOWN: Final = "XXX"
"""The code of ISO 4217 for no currency: path data names none."""

_MOST_DIGITS: Final = 18


class PathsUnreadable(Exception):
    """Path data that cannot be read: file, line, column, value and the mend."""


def attribution_of_paths(file: File, model: str, order: int = 1) -> dict[str, Any]:
    """Return the document of `leadflow attribution` for the path data in *file*.

    *order* is that of the chain of ``markov``. Amounts have no currency. Raises PathsUnreadable,
    OSError, and ValueError for a model that is not there or needs times, and for an order that
    other models do not have.
    """
    _check(model, order)
    digits = max((_digits(row.value) for row in _rows(file)), default=0)
    if model in PATH_MODELS:
        result, told = _over_paths(list(_paths(file, digits)), model, order)
        return _document(result, model, digits) | told
    return _document(attribute(_conversions(file, digits), model), model, digits)


def _check(model: str, order: int) -> None:
    there = [name for name in MODELS if name not in NEEDS_TIMES] + list(PATH_MODELS)
    if model in NEEDS_TIMES or model in MOMENT_MODELS:
        raise ValueError(f"{model} needs times, and paths have none; there are {', '.join(there)}")
    if model not in there:
        raise ValueError(f"unknown attribution model {model!r}; there are {', '.join(there)}")
    if order != 1 and model != "markov":
        raise ValueError(f"{model} has no order; markov has")


def _over_paths(paths: list[Path], model: str, order: int) -> tuple[Attribution, dict[str, Any]]:
    """Return the credit by a model of all paths, and what the document tells beside it."""
    if model == "markov":
        chain = markov.removal(paths, order)
        return credit_paths(paths, chain.effects), {
            "order": chain.order,
            "states": chain.states,
            "conversion_rate": float(chain.conversion),
            "removal_effects": {name: float(share) for name, share in chain.effects.items()},
            "warnings": [] if chain.warning is None else [chain.warning],
        }
    conversions = shapley.distinct(paths)
    if model == "shapley":
        return attribute(conversions, "linear"), {"warnings": []}
    found = shapley.by_rate(paths)
    has_nulls = any(path.nulls for path in paths)
    return attribute(conversions, shapley.rate_rule(paths)), {
        "conversion_rate": float(found.total),
        "values": {name: float(value) for name, value in found.values.items()},
        "samples": found.samples,
        "warnings": [] if has_nulls else [markov.NO_NULL_PATHS],
    }


def _document(result: Attribution, model: str, digits: int) -> dict[str, Any]:
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


class _Row(NamedTuple):
    """One row of path data."""

    channels: tuple[str, ...]
    conversions: int
    value: Decimal | None
    nulls: int


def _conversions(file: File, digits: int) -> Iterator[Conversion]:
    for channels, conversions, value, _ in _rows(file):
        if not conversions:
            continue
        touches = tuple(Touch(n, channel) for n, channel in enumerate(channels))
        amount = _units(value, digits)
        yield Conversion(Journey(touches, len(touches)), amount, _UNKNOWN, conversions)


def _paths(file: File, digits: int) -> Iterator[Path]:
    for channels, conversions, value, nulls in _rows(file):
        amount = _units(value, digits) if conversions else None
        yield Path(channels, conversions, nulls, amount, _UNKNOWN)


def _units(value: Decimal | None, digits: int) -> int | None:
    return None if value is None else int(value.scaleb(digits))


def _rows(file: File) -> Iterator[_Row]:
    """Yield the rows."""
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


def _row(row: Mapping[str, str | None], place: str) -> _Row:
    channels = tuple(name for part in (row["path"] or "").split(">") if (name := part.strip()))
    conversions = _count(row, "total_conversions", place)
    nulls = _count(row, "total_null", place)
    text = (row.get("total_conversion_value") or "").strip()
    if not text:
        return _Row(channels, conversions, None, nulls)
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or _digits(value) > _MOST_DIGITS:
        raise PathsUnreadable(
            f"{place}: total_conversion_value {text!r} is no decimal of at most {_MOST_DIGITS}"
            " digits after the point"
        )
    return _Row(channels, conversions, value, nulls)


def _count(row: Mapping[str, str | None], column: str, place: str) -> int:
    """Return the whole number in *column*; a missing or empty one is 0."""
    text = (row.get(column) or "0").strip()
    try:
        count = Decimal(text)
    except InvalidOperation:
        count = Decimal("NaN")
    if not count.is_finite() or count < 0 or count != int(count):
        raise PathsUnreadable(f"{place}: {column} {text!r} is no whole number")
    return int(count)
