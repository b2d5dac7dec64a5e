"""Where a key stands in a TOML text, so that an error can name the line.

tomllib tells the line of a syntax error, in its words, but not of a key that is well written and
wrong.
"""

import re
import tomllib
from collections.abc import Callable, Sequence
from typing import Any

_KEY = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_TABLE = re.compile(rf"^\s*(\[\[?)\s*({_KEYS})\s*\]\]?\s*(?:#.*)?$")
_PAIR = re.compile(rf"^\s*({_KEYS})\s*=")


def read_toml(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Return the document of a TOML *text*.

    Raises TOMLDecodeError, also for what tomllib fails at in other ways: a whole number of
    thousands of digits, and brackets nested hundreds deep.
    """
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError:
        raise
    except (ValueError, RecursionError):
        raise tomllib.TOMLDecodeError(
            "holds a number or a nesting beyond what such a document can need"
        ) from None


def key_lines(text: str) -> dict[str, int]:
    """Return the 1-based line of every table and key of *text*, by its path joined with dots.

    An element of an array of tables is counted from 0: `events.0.name`. Keys inside inline tables
    are not listed: they stand on the line of the table's own key.
    """
    lines: dict[str, int] = {}
    sizes: dict[str, int] = {}
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if found := _TABLE.match(line):
            table = _resolved(_names(found[2]), sizes, appends=found[1] == "[[")
        elif found := _PAIR.match(line):
            lines.setdefault(".".join([*table, *_names(found[1])]), number)
            continue
        else:
            continue
        lines.setdefault(".".join(table), number)
    return lines


def line_of(lines: dict[str, int], path: Sequence[str | int]) -> int | None:
    """Return the line of *path* or of its nearest known parent; None where nothing is known."""
    parts = ".".join(map(str, path)).split(".")
    while parts:
        line = lines.get(".".join(parts))
        if line is not None:
            return line
        parts.pop()
    return None


def line_of_error(error: tomllib.TOMLDecodeError, text: str) -> int:
    """Return the 1-based line of *text* that *error* names; the last where it is the end."""
    found = re.search(r"\(at line (\d+)", str(error))
    return int(found[1]) if found else text.count("\n") + 1


def _names(key: str) -> list[str]:
    """Return the parts of a dotted key; tomllib knows its quoting."""
    names: list[str] = []
    value: object = tomllib.loads(f"{key} = 0")
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        names.append(name)
    return names


def _resolved(names: list[str], sizes: dict[str, int], *, appends: bool) -> list[str]:
    """Return the path of a table header with the index of each array it passes through."""
    path: list[str] = []
    for name in names[:-1]:
        path.append(name)
        if (size := sizes.get(".".join(path))) is not None:
            path.append(str(size - 1))
    path.append(names[-1])
    if appends:
        array = ".".join(path)
        sizes[array] = sizes.get(array, 0) + 1
        path.append(str(sizes[array] - 1))
    return path
