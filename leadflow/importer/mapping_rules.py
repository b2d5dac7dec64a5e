"""The tables of a map, as TOML gives them: what each key means and which type it has."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from leadflow.importer.cells import ColumnRules, Rules, Value, instant_text

_RULE_KEYS: Final = ("column", "constant", "template", "default")
# Tables of fields, whose keys are never those of a rule, however alike (`content`, `constant`).
_TABLES: Final = frozenset(
    {
        *("data", "data.fields", "data.other", "data.touch", "data.actor", "data.person"),
        *(f"data.person.{table}" for table in ("company", "attributes", "external_ids")),
    }
)


def _scalar(value: object) -> Value:
    """Return a constant as JSON will carry it."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("is a time without an offset; write 2016-10-20T00:00:00Z")
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int):
        return value
    if isinstance(value, float):
        # A float cannot say 0.1; money and measures are decimal texts.
        raise ValueError('is a float; write it as text, for example "12.50"')
    raise ValueError("is a list or table; write a text, a whole number, a date, true or false")


def _condition(value: object) -> object:
    """Read `"Won"` as equal to it, and `["Won", "Lost"]` as one of them."""
    if isinstance(value, str):
        return {"equals": value}
    return {"in": value} if isinstance(value, list) else value


def _texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _flat(value: object) -> object:
    """Turn nested tables into dotted paths, and `path = "column"` into a rule."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, object] = {}

    def walk(path: str, inner: object) -> None:
        if isinstance(inner, str):
            flat[path] = {"column": inner}
        elif isinstance(inner, dict) and (path in _TABLES or not _is_rule(inner)):
            for key, deeper in inner.items():
                walk(f"{path}.{key}", deeper)
        elif isinstance(inner, dict):
            flat[path] = inner
        else:
            raise ValueError(f"{path} is neither a column nor a rule; write {{ constant = ... }}")

    for key, inner in value.items():
        walk(key, inner)
    return flat


def _is_rule(table: dict[str, object]) -> bool:
    """Tell a rule, rightly spelled or nearly, from a table of deeper fields."""
    return not table or any(closest(key, _RULE_KEYS) for key in table)


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of *words* that *word* was probably meant to be; None where none is near."""
    by_folded = {other.casefold(): other for other in words}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.75)
    return by_folded[near[0]] if near else None


Scalar = Annotated[Any, BeforeValidator(_scalar)]
Texts = Annotated[list[str] | None, BeforeValidator(_texts)]


class FileRules(Rules):
    """How the file is written."""

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    header: list[str] | None = None
    """The names of the columns, for a file without a header row."""
    trim: bool = True
    """Take blanks from both ends of a cell."""
    missing: list[str] = Field(default_factory=list)
    """Texts that mean an empty cell, besides the empty one: `["NULL", "n/a"]`."""


class LookupRules(Rules):
    """Another CSV file whose columns come along: `accounts.sector` is then a column, too."""

    file: str
    """Looked for beside the imported file, then beside the map."""
    key: str
    """The column of that file that is looked up; no value may stand in it twice."""
    by: str
    """The column of the imported file that is looked for."""
    unmatched: Literal["null", "error"] = "null"
    encoding: str = "utf-8"
    delimiter: str = ","


class FieldRule(Rules):
    """Where the value of a field comes from: exactly one of column, constant and template."""

    column: str | None = None
    constant: Scalar = None
    template: str | None = None
    default: Scalar = None
    """The value where the column or the template is empty."""

    @model_validator(mode="after")
    def _one(self) -> "FieldRule":
        given = [self.column, self.constant, self.template]
        if sum(value is not None for value in given) != 1:
            raise ValueError(
                "needs exactly one of column, constant and template; leave the rest out"
            )
        if self.constant is not None and self.default is not None:
            raise ValueError("is a constant, which is never empty; leave default out")
        return self


class Condition(Rules):
    """What a cell must be for an event to happen; every part that is given must hold."""

    equals: str | None = None
    among: Texts = Field(None, alias="in")
    unlike: Texts = Field(None, alias="not")
    """An empty cell is unlike everything."""
    present: bool | None = None


class EventRules(Rules):
    """One event that a row may become."""

    name: str = Field(min_length=1)
    type: str = Field(min_length=1)
    custom_type: bool = False
    """The type is none of the vocabulary, and that is meant."""
    id: str | None = Field(None, min_length=1)
    """A template over columns; the SHA-256 of the row and the event's name where missing."""
    when: dict[str, Annotated[Condition, BeforeValidator(_condition)]] = Field(default_factory=dict)
    fields: Annotated[dict[str, FieldRule], BeforeValidator(_flat)] = Field(default_factory=dict)


class Mapping(Rules):
    """A whole map, right as far as that can be told without a CSV file."""

    source: str = Field(min_length=1)
    """The `source` of every event, a URI reference."""
    zone: str | None = None
    """The IANA zone of times without an offset."""
    file: FileRules = FileRules()
    columns: dict[str, ColumnRules] = Field(default_factory=dict)
    lookups: dict[str, LookupRules] = Field(default_factory=dict)
    fields: Annotated[dict[str, FieldRule], BeforeValidator(_flat)] = Field(default_factory=dict)
    """Fields of every event; an event's own come before them."""
    events: list[EventRules] = Field(min_length=1)

    _path: Path = PrivateAttr(default=Path("map.toml"))
    _lines: dict[str, int] = PrivateAttr(default_factory=dict)

    @property
    def path(self) -> Path:
        """Return the file that the map was read from."""
        return self._path

    @property
    def lines(self) -> dict[str, int]:
        """Return the line of each key in that file."""
        return self._lines

    def fields_of(self, event: EventRules) -> dict[str, FieldRule]:
        """Return the fields of *event*, those of every event included."""
        return {**self.fields, **event.fields}

    def read_from(self, path: Path, lines: dict[str, int]) -> "Mapping":
        """Remember the file and the lines of its keys, for messages; return the map."""
        self._path, self._lines = path, lines
        return self


@dataclass(frozen=True, slots=True)
class MapProblem:
    """One thing that is wrong in a map.

    *at* is the path of keys with indexes of events; *value* is None where a key is missing.
    """

    at: tuple[str | int, ...]
    value: object
    problem: str
    mend: str
