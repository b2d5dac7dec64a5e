"""A CSV file with its map as a positioned stream: positions count the events it becomes."""

import json
from array import array
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from consumers.contract import Malformed, parse
from leadflow.files import FileStream, Line, now, stream_name
from leadflow.importer import Event, Mapping, Report, dry_run, load_mapping, read_events

_CHUNK: Final = 1 << 20

MAX_PROBLEMS: Final = 1_000
"""Bad rows that are kept in words; all are counted."""


class CsvFile:
    """One CSV file and its map. Raises MapError and CsvError as the importer does."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        self.path = path
        self.mapping = mapping
        self.bad_rows = 0
        """Bad rows of the last reading; ``problems`` says what is wrong with the first of them."""
        self.problems: list[str] = []
        self.lines: array[int] = array("q")
        """The line of the file that each event of the last reading comes from, by position."""
        read_events(path, mapping)  # what is wrong with the map is said before anything is made
        self.stream = FileStream(
            stream_name(_digest(_parts(path, mapping))), path.name, None, self._read
        )

    def dry_run(self) -> Report:
        """Return what an import would do, column by column, with what the contract would say."""
        return dry_run(self.path, self.mapping, _refusal)

    def _read(self, start: int) -> Iterator[Line]:
        self.bad_rows, self.problems, self.lines = 0, [], array("q")
        position = 0
        for row in read_events(self.path, self.mapping):
            if row.problems:
                self.bad_rows += 1
                if len(self.problems) < MAX_PROBLEMS:
                    self.problems += map(str, row.problems)
            for event in row.events:
                self.lines.append(row.line)
                if position >= start:
                    yield Line(position, row.line, encoded(event))
                position += 1


def open_csv(path: Path, map_path: Path) -> CsvFile:
    """Return the CSV file at *path* with the map at *map_path*.

    Raises MapError, CsvError and OSError.
    """
    return CsvFile(path, load_mapping(map_path))


def encoded(event: Event) -> bytes:
    """Return *event* as the bytes of a record: always the same for the same event."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _refusal(event: Event) -> str | None:
    try:
        parse(encoded(event), (), now())
    except Malformed as error:
        return str(error)
    return None


def _parts(path: Path, mapping: Mapping) -> list[Path]:
    """Return every file that the events depend on: the CSV, the map, what is looked up."""
    lookups: list[Path] = []
    for _, rules in sorted(mapping.lookups.items()):
        beside = path.parent / rules.file
        lookups.append(beside if beside.is_file() else mapping.path.parent / rules.file)
    return [path, mapping.path, *lookups]


def _digest(paths: list[Path]) -> str:
    whole = sha256()
    for path in paths:
        one = sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                one.update(chunk)
        whole.update(one.digest())
    return whole.hexdigest()
