"""The map of an import: which column of a CSV file becomes which field of which event.

A map is a TOML file. Everything that can be wrong with it without looking at the data is found
here and named with file, line, key, value and the mend; `leadflow.importer` adds what can only be
told beside a CSV file: a column that the file does not have.
"""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from leadflow.importer.cells import ColumnRules, Rules
from leadflow.importer.mapping_checks import problems_of
from leadflow.importer.mapping_rules import (
    Condition,
    EventRules,
    FieldRule,
    FileRules,
    LookupRules,
    Mapping,
    MapProblem,
    closest,
)
from leadflow.toml_lines import key_lines, line_of, line_of_error, read_toml

__all__ = ["MapError", "MapProblem", "Mapping", "load_mapping"]


class MapError(Exception):
    """A map that cannot be used: one line for each problem, each with file, line, key and mend."""

    def __init__(self, path: Path, lines: dict[str, int], problems: Iterable[MapProblem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        said = (_said(path, lines, problem) for problem in self.problems)
        super().__init__("\n".join(dict.fromkeys(said)))


def load_mapping(path: Path) -> Mapping:
    """Read and check the map in *path*.

    Raises MapError, which names everything that is wrong with it.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        document = read_toml(text)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise MapError(
            path, {}, [MapProblem((), None, problem, "give the path of a map")]
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        problems = [MapProblem((), None, byte, "save the map as UTF-8")]
        raise MapError(path, {"": line}, problems) from None
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error, text)
        problems = [MapProblem((), None, str(error), "correct the TOML")]
        raise MapError(path, {"": line}, problems) from None
    lines = key_lines(text)
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        raise MapError(path, lines, _model_problems(error)) from None
    if problems := list(problems_of(mapping)):
        raise MapError(path, lines, problems)
    return mapping.read_from(path, lines)


def _said(path: Path, lines: dict[str, int], problem: MapProblem) -> str:
    line = line_of(lines, problem.at)
    where = f"{path}:{line}" if line else f"{path}"
    key = ".".join(map(str, problem.at))
    shown = "" if problem.value is None else f" = {_shortened(problem.value)}"
    subject = f" {key}{shown}:" if key else ""
    return f"{where}:{subject} {problem.problem}; {problem.mend}"


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


_MENDS: Final = {
    "string_type": ("is not a text", 'put it in quotes: "..."'),
    "string_too_short": ("is empty", "fill it in"),
    "list_type": ("is not a list", 'write it in brackets: ["..."]'),
    "dict_type": ("is not a table", "write it as a table of keys and values"),
    "model_type": ("is not a table", "write it as a table of keys and values"),
    "bool_type": ("is neither true nor false", "write true or false without quotes"),
    "too_short": ("is empty", "add at least one [[events]] table"),
    "missing": ("is missing", "add it"),
}


def _model_problems(error: ValidationError) -> Iterable[MapProblem]:
    for found in error.errors():
        at, value = found["loc"], found["input"]
        known, context = found["type"], found.get("ctx", {})
        if known == "extra_forbidden":
            keys = _keys_at(at[:-1])
            meant = closest(str(at[-1]), keys)
            mend = f"did you mean {meant!r}?" if meant else f"known are {', '.join(keys)}"
            yield MapProblem(at, value, "is not a known key", mend)
        elif known == "value_error":
            problem, _, mend = str(context["error"]).partition("; ")
            yield MapProblem(at, value, problem, mend or "correct it")
        elif known == "literal_error":
            yield MapProblem(at, value, "is not a known value", f"write {context['expected']}")
        else:
            problem, mend = _MENDS.get(known, (found["msg"], "correct it"))
            yield MapProblem(at, None if known == "missing" else value, problem, mend)


def _keys_at(at: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at *at* may have."""
    model: type[Rules] = Mapping
    match at:
        case ["file"]:
            model = FileRules
        case ["columns", _]:
            model = ColumnRules
        case ["lookups", _]:
            model = LookupRules
        case ["events", _]:
            model = EventRules
        case [*_, "when", _]:
            model = Condition
        case [*_, "fields", _]:
            model = FieldRule
    return [field.alias or name for name, field in model.model_fields.items()]
