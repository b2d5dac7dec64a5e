"""Read the text of one cell as a value of an event: numbers, days, instants, yes and no.

Nothing becomes a float: money is a decimal text in major units, or a count of minor units.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict

Kind = Literal["text", "integer", "decimal", "minor_units", "boolean", "date", "datetime"]
"""How the text of a cell is read."""

Value = str | int | bool
"""What a cell may become in an event."""

ISO: Final = "iso"
_MAX_DIGITS: Final = 18
_FIRST_YEAR: Final = 2000  # the vocabulary refuses earlier instants
_LAST_YEAR: Final = 9998  # keeps the conversion to UTC inside the calendar


class Rules(BaseModel):
    """A table of a map: no key but the known ones, no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _time_of_day(value: object) -> object:
    if isinstance(value, str):
        try:
            value = time.fromisoformat(value)
        except ValueError:
            raise ValueError('is not a time of day; write for example "12:00"') from None
    if isinstance(value, time) and value.tzinfo is None:
        return value
    raise ValueError('is not a time of day without an offset; write for example "12:00"')


class ColumnRules(Rules):
    """How the cells of one column are read."""

    type: Kind | None = None
    """Guessed from the field that the column goes to where it is missing."""
    aliases: list[str] = []
    """Other names the column has had in the header."""
    optional: bool = False
    """A file without this column is read as if all its cells were empty."""
    values: dict[str, str] = {}
    """Replacements: `"GTXPro" = "GTX Pro"`; a replacement of `""` makes the cell empty."""
    otherwise: Literal["keep", "null", "error"] = "keep"
    """What becomes of a text that `values` does not name."""
    formats: list[str] = [ISO]
    """`iso` or patterns of strptime; the first that fits is taken."""
    zone: str | None = None
    """The IANA zone of times without an offset; that of the whole map where missing."""
    at: Annotated[time | None, BeforeValidator(_time_of_day)] = None
    """The local time of day that a day without one stands for."""
    thousands: str = ""
    """The sign between groups of digits; none where empty."""
    decimal: str = "."
    """The sign before the decimals."""
    strip: list[str] = []
    """Signs around a number that do not count: `["$", "USD"]`."""
    true: list[str] = ["true", "yes", "1", "y"]
    """What means true, in small or capital letters."""
    false: list[str] = ["false", "no", "0", "n"]
    """What means false, in small or capital letters."""


class BadCell(ValueError):
    """A cell that cannot be read: the problem, and the mend."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem = problem
        self.mend = mend


def reader(rules: ColumnRules, kind: Kind, zone: str | None) -> Callable[[str], Value]:
    """Return the function that reads a filled cell of *kind*, or raises BadCell.

    *zone* is the IANA zone of the whole map. A date gives `2016-10-20`; where an instant is
    wanted, `instant_reader` reads the same column.
    """
    match kind:
        case "text":
            return _text
        case "integer":
            return _integer_reader(rules, "a whole number")
        case "minor_units":
            return _integer_reader(rules, "a whole number of minor units")
        case "decimal":
            return _decimal_reader(rules)
        case "boolean":
            return _boolean_reader(rules)
        case "date":
            return lambda text: _day(text, rules.formats).isoformat()
        case "datetime":
            return instant_reader(rules, zone)


def instant_reader(rules: ColumnRules, zone: str | None) -> Callable[[str], str]:
    """Return the function that reads a cell as an RFC 3339 instant with offset.

    A day takes the time of day `at`. Of a local time that a clock change repeats, the first is
    meant; one that it leaves out is moved on by what was left out.
    """
    name = rules.zone or zone
    info = None if name is None else ZoneInfo(name)

    def read(text: str) -> str:
        if rules.type == "date":
            moment: datetime | date = _day(text, rules.formats)
        else:
            moment = _moment(text, rules.formats)
        if not isinstance(moment, datetime):
            if rules.at is None:
                raise BadCell(
                    "is a day without a time of day", 'give the column at = "00:00" in the map'
                )
            moment = datetime.combine(moment, rules.at)
        if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            raise BadCell(
                f"lies in the year {moment.year}", "correct the date; years begin at 2000"
            )
        if moment.tzinfo is None:
            if info is None:
                raise BadCell(
                    "is a time without an offset",
                    'name its zone in the map: zone = "Europe/Berlin"',
                )
            # By way of UTC, so that an hour which the clocks left out becomes one that was.
            moment = moment.replace(tzinfo=info).astimezone(UTC).astimezone(info)
        return instant_text(moment)

    return read


def instant_text(moment: datetime) -> str:
    """Return *moment*, which knows its offset, in RFC 3339; UTC as `Z`."""
    offset = moment.utcoffset()
    if not offset or offset.seconds % 60 or offset.microseconds:
        # RFC 3339 knows no offset in seconds, which zones had a century ago.
        moment = moment.astimezone(UTC)
        return moment.isoformat().replace("+00:00", "Z")
    return moment.isoformat()


def has_time(pattern: str) -> bool:
    """Tell whether a pattern of strptime reads a time of day."""
    return any(f"%{sign}" in pattern.replace("%%", "") for sign in "HIMSfcXpz")


def _text(text: str) -> str:
    return text


def _day(text: str, formats: list[str]) -> date:
    for pattern in formats:
        try:
            if pattern == ISO:
                return date.fromisoformat(text)
            return datetime.strptime(text, pattern).date()  # noqa: DTZ007  a day has no zone
        except ValueError:
            continue
    raise BadCell(f"is not a day written as {_listed(formats)}", "correct it, or add its format")


def _moment(text: str, formats: list[str]) -> datetime | date:
    for pattern in formats:
        try:
            if pattern != ISO:
                found = datetime.strptime(text, pattern)  # noqa: DTZ007  the caller adds the zone
                return found if has_time(pattern) else found.date()
            try:
                # First, since datetime reads a day as its midnight.
                return date.fromisoformat(text)
            except ValueError:
                return datetime.fromisoformat(text)
        except ValueError:
            continue
    raise BadCell(f"is not a time written as {_listed(formats)}", "correct it, or add its format")


def _listed(formats: list[str]) -> str:
    return " or ".join("ISO 8601" if pattern == ISO else repr(pattern) for pattern in formats)


def _number(rules: ColumnRules, decimals: str) -> Callable[[str], re.Match[str] | None]:
    """Return the matcher of a number with sign, grouped or plain whole part, and decimals."""
    groups = re.escape(rules.thousands)
    whole = r"[0-9]+"
    if groups:
        # Groups of two as well: 12,34,567 is how India writes it.
        whole = rf"[0-9]{{1,3}}(?:{groups}[0-9]{{2,3}})*{groups}[0-9]{{3}}|{whole}"
    pattern = re.compile(rf"([+-]?)({whole}){decimals}")

    def match(text: str) -> re.Match[str] | None:
        for sign in rules.strip:
            text = text.removeprefix(sign).removesuffix(sign).strip()
        return pattern.fullmatch(text)

    return match


def _digits(found: re.Match[str], rules: ColumnRules) -> str:
    """Return sign and whole part without group signs and leading zeros."""
    digits = found[2].replace(rules.thousands, "") if rules.thousands else found[2]
    if len(digits.lstrip("0")) > _MAX_DIGITS:
        raise BadCell(f"has more than {_MAX_DIGITS} digits", "correct it")
    return ("-" if found[1] == "-" else "") + (digits.lstrip("0") or "0")


def _integer_reader(rules: ColumnRules, what: str) -> Callable[[str], int]:
    match = _number(rules, "")

    def read(text: str) -> int:
        found = match(text)
        if found is None:
            raise BadCell(f"is not {what}", _number_mend(rules))
        return int(_digits(found, rules))

    return read


def _decimal_reader(rules: ColumnRules) -> Callable[[str], str]:
    match = _number(rules, rf"(?:{re.escape(rules.decimal)}([0-9]{{1,{_MAX_DIGITS}}}))?")

    def read(text: str) -> str:
        found = match(text)
        if found is None:
            raise BadCell("is not a decimal number", _number_mend(rules))
        whole = _digits(found, rules)
        return f"{whole}.{found[3]}" if found[3] else whole

    return read


def _number_mend(rules: ColumnRules) -> str:
    example = f"1{rules.thousands}234{rules.decimal}50"
    return f"numbers are read like {example}; set thousands, decimal or strip, or correct it"


def _boolean_reader(rules: ColumnRules) -> Callable[[str], bool]:
    known = {text.casefold(): True for text in rules.true}
    known.update((text.casefold(), False) for text in rules.false)

    def read(text: str) -> bool:
        found = known.get(text.casefold())
        if found is None:
            raise BadCell("is neither true nor false", f"known are {', '.join(known)}")
        return found

    return read
