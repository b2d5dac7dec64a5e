"""CSV that spreadsheets show as it is, and never run.

A cell that begins with ``=``, ``+``, ``-``, ``@``, one of these in full width, a tab or a carriage
return is a formula to a spreadsheet, whoever wrote it: such text gets an apostrophe in front (OWASP,
CSV injection). Plain numbers stay as they are. Null is an empty cell, empty text is ``""``.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

_FORMULA: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_QUOTED: Final = re.compile(r'[",\r\n]')


def csv_line(values: Iterable[Any]) -> str:
    """Return one line of CSV, its line feed included."""
    return ",".join([csv_cell(value) for value in values]) + "\n"


def csv_cell(value: Any) -> str:
    """Return one cell: text that is no formula, numbers, true and false, instants as RFC 3339."""
    if value is None:
        return ""
    words = plain(value)
    if isinstance(words, bool):
        return "true" if words else "false"
    if not isinstance(words, str):
        return str(words)
    if isinstance(value, str) and words.startswith(_FORMULA) and not _NUMBER.fullmatch(words):
        words = f"'{words}"
    if not words or _QUOTED.search(words):
        return '"' + words.replace('"', '""') + '"'
    return words


def plain(value: Any) -> Any:
    """Return a value of a database as JSON has it: decimals and instants as text.

    An instant is UTC with six decimals of a second, as the views show it on SQLite; bytes are
    hexadecimal, and so is nothing else.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        at = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no infinity, and no NaN
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return [plain(one) for one in value] if isinstance(value, list) else str(value)
