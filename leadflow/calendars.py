"""Calendars of working time: TOML documents, with the holidays of a country.

The form is described in docs/howto/speed.md; what a calendar does is `domain.business_time`.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.business_time import Calendar, Hours
from leadflow.toml_lines import key_lines, line_of, read_toml

WEEKDAYS: Final = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
_WORKDAYS: Final = "weekdays"
"""The key that stands for Monday to Friday."""

YEARS: Final = range(2000, 2061)
"""The years whose holidays a calendar knows; no event may happen before the first of them."""

_EPOCH: Final = date(1970, 1, 1)
_MINUTE: Final = 60_000_000
_SPAN: Final = re.compile(
    r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))"
)


class DocumentInvalid(ValueError):
    """The document says something that cannot be; the message names file, line, key and mend."""


class _Reader:
    """Reads one TOML document and tells what is wrong with it by file, line and key."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise DocumentInvalid(f"{path} is no UTF-8 text") from None
        self._lines = key_lines(text)
        try:
            self.document: dict[str, Any] = read_toml(text)
        except tomllib.TOMLDecodeError as error:
            raise DocumentInvalid(f"{path} is no TOML: {error}") from None

    def wrong(self, what: str, *keys: str) -> DocumentInvalid:
        """Return the error about the value at *keys*."""
        line = line_of(self._lines, keys) if keys else None
        where = f"{self._path}:{line}" if line else str(self._path)
        return DocumentInvalid(f"{where}: {'.'.join(keys)}{': ' if keys else ''}{what}")

    def table(self, name: str, known: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Return the table *name*, empty where there is none; its keys must be *known* ones."""
        found = self.document.get(name, {})
        if not isinstance(found, dict):
            raise self.wrong(f"must be a table, not {found!r}", name)
        for key in found:
            if known is not None and key not in known:
                raise self.wrong(f"there is no such key; there are {', '.join(known)}", name, key)
        return found

    def only(self, *known: str) -> None:
        """Refuse keys of the document that are not *known*."""
        for key in self.document:
            if key not in known:
                raise self.wrong(f"there is no such key; there are {', '.join(known)}", key)


def load_calendar(path: Path) -> Calendar:
    """Return the calendar of the document at *path*.

    Raises DocumentInvalid, and OSError where the file cannot be read.
    """
    read = _Reader(path)
    read.only("zone", "hours", "holidays", "days")
    zone = _zone(read)
    hours = read.table("hours", (_WORKDAYS, *WEEKDAYS))
    if not hours:
        raise read.wrong('says when work is done: weekdays = ["09:00-17:00"]', "hours")
    usual = _hours(read, hours[_WORKDAYS], "hours", _WORKDAYS) if _WORKDAYS in hours else ()
    week = tuple(
        _hours(read, hours[name], "hours", name) if name in hours else (usual if n < 5 else ())
        for n, name in enumerate(WEEKDAYS)
    )
    days: dict[int, Hours] = dict.fromkeys(_holidays(read), ())
    for key, value in read.table("days").items():
        try:
            day = date.fromisoformat(key)
        except ValueError:
            raise read.wrong("is no day; write 2026-12-24", "days", key) from None
        days[(day - _EPOCH).days] = _hours(read, value, "days", key)
    return Calendar(zone, week, days)


def _zone(read: _Reader) -> ZoneInfo:
    name = read.document.get("zone")
    if name is None:
        raise read.wrong('zone is missing; write zone = "Europe/Berlin"')
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, TypeError, ValueError, OSError):
        raise read.wrong(
            f"{name!r} is no zone of the tz database; write one such as Europe/Berlin", "zone"
        ) from None


def _hours(read: _Reader, value: Any, *keys: str) -> Hours:
    if not isinstance(value, list):
        raise read.wrong(f'must be a list such as ["09:00-17:00"], not {value!r}', *keys)
    found: list[tuple[int, int]] = []
    for span in value:
        match = _SPAN.fullmatch(span) if isinstance(span, str) else None
        if match is None:
            raise read.wrong(f"{span!r} is no span of time; write 09:00-17:00", *keys)
        start, end = (
            (int(hour) * 60 + int(minute)) * _MINUTE
            for hour, minute in ((match[1], match[2]), (match[3] or match[5], match[4] or match[6]))
        )
        if start >= end:
            raise read.wrong(
                f"{span!r} ends before it begins; write a night as two spans, until 24:00 and from"
                " 00:00 on the next day",
                *keys,
            )
        if found and start < found[-1][1]:
            raise read.wrong(f"{span!r} begins before the span before it ends", *keys)
        found.append((start, end))
    return tuple(found)


def _holidays(read: _Reader) -> list[int]:
    table = read.table("holidays", ("country", "subdivision"))
    if not table:
        return []
    from holidays import country_holidays, list_supported_countries

    country, subdivision = table.get("country"), table.get("subdivision")
    supported: Mapping[str, list[str]] = list_supported_countries(include_aliases=True)
    if not isinstance(country, str) or country not in supported:
        raise read.wrong(
            f"no holidays are known of {country!r}; write a country of ISO 3166-1 such as DE",
            "holidays",
            "country",
        )
    parts = supported[country]
    if subdivision is not None and subdivision not in parts:
        known = f"there are {', '.join(parts)}" if parts else "leave it out"
        raise read.wrong(f"{country} has no {subdivision!r}; {known}", "holidays", "subdivision")
    days = country_holidays(country, subdiv=subdivision, years=YEARS)
    return [(day - _EPOCH).days for day in days]


def load_teams(path: Path) -> dict[str, str]:
    """Return the team of each rep, by a document whose table ``teams`` lists the reps of each.

    Raises DocumentInvalid, and OSError where the file cannot be read.
    """
    read = _Reader(path)
    read.only("teams")
    found: dict[str, str] = {}
    for team, reps in read.table("teams").items():
        if not isinstance(reps, list) or not all(isinstance(rep, str) for rep in reps):
            raise read.wrong(
                f'must list reps, such as ["rep-1", "rep-2"], not {reps!r}', "teams", team
            )
        for rep in reps:
            if found.setdefault(rep, team) != team:
                raise read.wrong(f"{rep!r} is in {found[rep]!r} already", "teams", team)
    if not found:
        raise read.wrong('names no rep; write north = ["rep-1", "rep-2"]', "teams")
    return found
