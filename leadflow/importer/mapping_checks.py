"""What is wrong with a well-formed map: names, formats, and fields the vocabulary does not have."""

import re
from collections.abc import Iterator
from collections.abc import Mapping as Table
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.vocabulary import FAMILY_OF, LEADLESS
from leadflow.importer.cells import ISO, ColumnRules, Kind, has_time, instant_reader
from leadflow.importer.mapping_rules import EventRules, FieldRule, Mapping, MapProblem, closest
from leadflow.importer.templates import TemplateError, columns_of

Path = tuple[str | int, ...]

BLOCKS: Final[Table[str, tuple[str, ...]]] = {
    "data.person": (
        *("email", "phone", "anonymous_id", "external_ids", "name", "title", "seniority"),
        *("language", "country", "region", "company", "attributes"),
    ),
    "data.person.company": ("name", "domain", "size", "industry", "country"),
    "data.touch": (
        *("channel", "source", "medium", "campaign", "content", "term", "click_id", "referrer"),
        *("page", "party"),
    ),
    "data.actor": ("kind", "id", "org"),
}
"""The blocks whose fields are all known; a producer's own belong into `attributes`."""

IDENTIFIERS: Final = (
    *("subject", "data.person.email", "data.person.phone", "data.person.anonymous_id"),
    "data.person.external_ids.",
)
"""The fields, or beginnings of fields, that identify a lead."""

REQUIRED: Final[Table[str, tuple[str, ...]]] = {
    "lead.assigned": ("data.owner",),
    "lead.merged": ("data.other.kind", "data.other.value"),
    "lead.unmerged": ("data.other.kind", "data.other.value"),
    "consent.granted": ("data.purpose",),
    "consent.withdrawn": ("data.purpose",),
    "event.voided": ("data.event_source", "data.event_id"),
    "event.reclassified": ("data.event_source", "data.event_id"),
    "spend.recorded": ("data.day", "data.amount"),
}
"""The fields without which an event of the type says nothing."""

AMOUNT: Final = "data.amount"
CURRENCY: Final = "data.currency"
_ROOTS: Final = ("subject", "time", "sequence", "dataschema")
_ELSEWHERE: Final = {
    "id": "set id in the event itself: it is a template",
    "source": "set source at the top of the map",
    "type": "set type in the event itself",
    "specversion": "leave it out: it is always 1.0",
}


def is_identifier(path: str) -> bool:
    """Tell whether the field at *path* identifies a lead."""
    return path.startswith(IDENTIFIERS)


def required_fields(event: EventRules) -> tuple[str, ...]:
    """Return the fields without which *event* is not made but reported."""
    return ("time", *REQUIRED.get(event.type, ()))


def kind_of(rules: ColumnRules, path: str) -> Kind:
    """Return how a cell of a column with *rules* is read for the field at *path*."""
    if rules.type is not None:
        return rules.type
    if path == "time":
        return "datetime"
    return "decimal" if path.endswith(".amount") else "text"


def problems_of(mapping: Mapping) -> Iterator[MapProblem]:
    """Yield everything that is wrong with *mapping*, top to bottom."""
    if re.search(r"\s", mapping.source):
        yield MapProblem(
            ("source",), mapping.source, "has blanks", 'write a path such as "/import/crm"'
        )
    yield from _zone(("zone",), mapping.zone)
    yield from _file(mapping)
    for name, column in mapping.columns.items():
        yield from _column(("columns", name), column)
    for name, lookup in mapping.lookups.items():
        yield from _encoding(("lookups", name), lookup.encoding)
        yield from _single(("lookups", name, "delimiter"), lookup.delimiter)
        if "." in name:
            yield MapProblem(("lookups", name), name, "has a dot", "choose a name without one")
    for path, rule in mapping.fields.items():
        yield from _field(("fields", path), path, rule, mapping)
    seen: set[str] = set()
    for index, event in enumerate(mapping.events):
        if event.name in seen:
            yield MapProblem(
                ("events", index, "name"), event.name, "is the name of two events", "rename one"
            )
        seen.add(event.name)
        yield from _event(("events", index), event, mapping)


def _zone(at: Path, zone: str | None) -> Iterator[MapProblem]:
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield MapProblem(at, zone, "is no time zone", 'use an IANA name such as "Europe/Berlin"')


def _encoding(at: Path, encoding: str) -> Iterator[MapProblem]:
    try:
        "x".encode(encoding)
    except LookupError:
        yield MapProblem(
            (*at, "encoding"), encoding, "is no text encoding", 'write "utf-8" or "cp1252"'
        )


def _single(at: Path, sign: str) -> Iterator[MapProblem]:
    if len(sign) != 1 or sign in "\r\n\0":
        yield MapProblem(at, sign, "is not one character", 'write ",", ";" or "\\t"')


def _file(mapping: Mapping) -> Iterator[MapProblem]:
    rules = mapping.file
    yield from _encoding(("file",), rules.encoding)
    yield from _single(("file", "delimiter"), rules.delimiter)
    yield from _single(("file", "quote"), rules.quote)
    if rules.delimiter == rules.quote:
        yield MapProblem(
            ("file", "quote"), rules.quote, "is the delimiter, too", "choose another sign"
        )
    if rules.header is not None and len(set(rules.header)) != len(rules.header):
        yield MapProblem(
            ("file", "header"), rules.header, "names a column twice", "rename one of them"
        )


def _column(at: Path, rules: ColumnRules) -> Iterator[MapProblem]:
    yield from _zone((*at, "zone"), rules.zone)
    for pattern in rules.formats:
        yield from _format((*at, "formats"), pattern, rules)
    if not rules.formats:
        yield MapProblem((*at, "formats"), [], "is empty", 'write ["iso"] or leave it out')
    if rules.otherwise != "keep" and not rules.values:
        yield MapProblem(
            (*at, "otherwise"), rules.otherwise, "needs values", "list the known texts in values"
        )
    if len(rules.decimal) != 1 or rules.decimal == rules.thousands:
        yield MapProblem(
            (*at, "decimal"),
            rules.decimal,
            "is not one character of its own",
            'write "." or ",", and another sign for thousands',
        )


def _format(at: Path, pattern: str, rules: ColumnRules) -> Iterator[MapProblem]:
    if pattern == ISO:
        return
    sample = datetime(2001, 2, 3, 4, 5, 6)  # noqa: DTZ001  written and read back, nothing else
    try:
        read = datetime.strptime(sample.strftime(pattern), pattern)  # noqa: DTZ007  the same
    except ValueError as error:
        yield MapProblem(at, pattern, f"cannot be read: {error}", 'write a pattern like "%d.%m.%Y"')
        return
    if read.date() != sample.date():
        yield MapProblem(at, pattern, "leaves out day, month or year", "write all three")
    elif rules.type == "date" and has_time(pattern):
        yield MapProblem(at, pattern, "has a time of day", 'set type = "datetime"')


def _event(at: Path, event: EventRules, mapping: Mapping) -> Iterator[MapProblem]:
    if event.type not in FAMILY_OF and not event.custom_type:
        meant = closest(event.type, FAMILY_OF)
        mend = f"did you mean {meant!r}?" if meant else "set custom_type = true to send it as it is"
        yield MapProblem((*at, "type"), event.type, "is not in the vocabulary", mend)
    if event.id is not None:
        yield from _template((*at, "id"), event.id, needs_column=True)
    for path, rule in event.fields.items():
        yield from _field((*at, "fields", path), path, rule, mapping)
    fields = mapping.fields_of(event)
    for path in required_fields(event):
        if path not in fields:
            mend = f'add {path} = "column" under fields'
            yield MapProblem((*at, "fields"), None, f"{event.type} needs {path}", mend)
    if event.type not in LEADLESS and not any(map(is_identifier, fields)):
        yield MapProblem(
            (*at, "fields"),
            None,
            "nothing says whose event it is",
            'add subject = "column", or an e-mail, phone or id of data.person',
        )
    if AMOUNT in fields and CURRENCY not in fields:
        mend = 'add data.currency = "column" or { constant = "EUR" }'
        yield MapProblem((*at, "fields"), None, "an amount needs its currency", mend)
    for path in fields:
        if deeper := next((other for other in fields if other.startswith(f"{path}.")), None):
            mend = "keep one of them"
            yield MapProblem((*at, "fields"), path, f"is a value and holds {deeper}", mend)


def _field(at: Path, path: str, rule: FieldRule, mapping: Mapping) -> Iterator[MapProblem]:
    yield from _path(at, path)
    if rule.template is not None:
        yield from _template(at, rule.template, needs_column=False)
    if rule.column is not None:
        rules = mapping.columns.get(rule.column, ColumnRules())
        yield from _kind(at, path, rule.column, rules, mapping)
    for value in (rule.constant, rule.default):
        if path == "time" and value is not None:
            yield from _instant(at, value)
        elif path in _ROOTS and value is not None and not isinstance(value, str):
            yield MapProblem(at, value, "is not a text", 'put it in quotes: "..."')


def _path(at: Path, path: str) -> Iterator[MapProblem]:
    root, _, rest = path.partition(".")
    if root in _ELSEWHERE and not rest:
        yield MapProblem(at, path, "is not set by a field", _ELSEWHERE[root])
    elif path in _ROOTS:
        return
    elif root != "data" or not rest or "" in path.split("."):
        meant = closest(root, (*_ROOTS, "data"))
        mend = f"did you mean {meant!r}?" if meant else "fields of your own begin with data."
        yield MapProblem(at, path, "is not a field of an event", mend)
    elif path in BLOCKS or path == "data.person.external_ids":
        yield MapProblem(at, path, "is a table", f"name a field of it: {path}.…")
    elif path == "data.consent":
        mend = "map an event of type consent.granted or consent.withdrawn"
        yield MapProblem(at, path, "is a list", mend)
    else:
        for block, known in BLOCKS.items():
            name = path.removeprefix(f"{block}.").split(".")[0]
            if path.startswith(f"{block}.") and name not in known:
                meant = closest(name, known)
                mend = (
                    f"did you mean {block}.{meant}?"
                    if meant
                    else f"known are {', '.join(known)}; others go to data.person.attributes"
                )
                yield MapProblem(at, path, f"{name} is not a field of {block}", mend)


def _kind(
    at: Path, path: str, column: str, rules: ColumnRules, mapping: Mapping
) -> Iterator[MapProblem]:
    kind = kind_of(rules, path)
    if path == "time":
        if kind not in {"date", "datetime"}:
            yield MapProblem(at, column, f"is read as {kind}", 'set its type to "datetime"')
        elif kind == "date" and rules.at is None:
            mend = f'set at = "00:00" in [columns.{column}]'
            yield MapProblem(at, column, "is a day without a time of day", mend)
        elif kind == "date" and rules.zone is None and mapping.zone is None:
            mend = 'set zone = "UTC" (or another) at the top of the map'
            yield MapProblem(at, column, "is a day without a time zone", mend)
    elif path.endswith(".amount") and kind not in {"decimal", "minor_units"}:
        # A JSON integer would count cents: 1054 dollars would become 10.54.
        mend = 'set its type to "decimal", or to "minor_units" where it counts cents'
        yield MapProblem(at, column, f"is read as {kind}", mend)
    elif path in _ROOTS and kind != "text":
        yield MapProblem(at, column, f"is read as {kind}", 'set its type to "text"')


def _instant(at: Path, value: object) -> Iterator[MapProblem]:
    try:
        instant_reader(ColumnRules(type="datetime"), None)(str(value))
    except ValueError:
        yield MapProblem(at, value, "is not an instant with offset", "write 2016-10-20T00:00:00Z")


def _template(at: Path, template: str, *, needs_column: bool) -> Iterator[MapProblem]:
    try:
        columns = columns_of(template)
    except TemplateError as error:
        yield MapProblem(at, template, str(error), "write {column} or {column?}")
        return
    if needs_column and not columns:
        mend = 'name a column that differs from row to row: "{id}:won"'
        yield MapProblem(at, template, "is the same for all rows", mend)
