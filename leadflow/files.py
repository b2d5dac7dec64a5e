"""A file as a positioned stream: what was read of it is known, and an interrupted run resumes.

A file is named after its content, so that the same content is the same stream wherever it lies.
Its one partition counts lines (events, for a CSV file) from 0.
"""

import gzip
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec

from consumers import normalise
from consumers.intake import Intake, Outcome
from consumers.unpack import Record
from leadflow.store.base import Store

LONGEST_LINE: Final = 1_048_576
"""Bytes of a line that are read; more than any event may have, so the contract refuses the rest."""

BATCH: Final = 5_000
"""Records in a transaction at most."""

_CHUNK: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_GZIP: Final = b"\x1f\x8b"


class FileUnreadable(Exception):
    """A file that cannot be read as what it claims to be; the message says why."""


class Line(NamedTuple):
    """What stands at one position of a file."""

    position: int
    number: int
    """The line of the file, from 1, as an editor counts."""
    value: bytes | None
    """The event; None where the line is blank."""


@dataclass(frozen=True, slots=True)
class FileStream:
    """A file whose content has a name, ready to be read from any position."""

    name: str
    """``file:`` and the first 16 hex digits of SHA-256 of the content."""
    shown: str
    """What messages call the file."""
    end: int | None
    """The position after the last line; None where only reading tells."""
    read: Callable[[int], Iterator[Line]]
    """Yields the lines from a position on."""


class Stopped(Exception):
    """The run was told to stop; whole batches are stored, and the next run resumes."""


# --- JSON lines ---------------------------------------------------------------------------------


@contextmanager
def open_lines(path: str) -> Generator[FileStream]:
    """Open the JSONL file at *path* as a stream; ``-`` is the standard input, gzip is unpacked.

    Raises OSError and FileUnreadable.
    """
    if path != "-":
        yield _lines(Path(path), path)
        return
    with tempfile.NamedTemporaryFile(prefix="leadflow-") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.flush()
        yield _lines(Path(spool.name), "standard input")


def _lines(path: Path, shown: str) -> FileStream:
    with _opened(path, shown) as file:
        digest, size, ends, last = sha256(), 0, 0, b"\n"
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            ends += chunk.count(b"\n")
            last = chunk[-1:]
    end = ends + (last != b"\n")
    return FileStream(
        stream_name(digest.hexdigest()), shown, end, lambda start: _read(path, shown, start, size)
    )


def stream_name(digest: str) -> str:
    """Return the name of the stream whose content has the hex *digest*."""
    return f"file:{digest[:16]}"


def _read(path: Path, shown: str, start: int, size: int) -> Iterator[Line]:
    """Yield the lines from *start*, within the *size* bytes that the name stands for."""
    with _opened(path, shown) as file:
        position = 0
        while size > 0:
            raw = file.readline(min(LONGEST_LINE, size))
            if not raw:
                raise FileUnreadable(f"{shown}: the file became shorter while it was read")
            size -= len(raw)
            rest = raw
            while rest[-1:] != b"\n" and size > 0:
                # The value is cut: the contract refuses it for its size.
                rest = file.readline(min(LONGEST_LINE, size))
                size -= len(rest)
                if not rest:
                    break
            if position >= start:
                text = raw.removeprefix(_BOM) if position == 0 else raw
                text = text.strip()
                yield Line(position, position + 1, text or None)
            position += 1


@contextmanager
def _opened(path: Path, shown: str) -> Generator[IO[bytes]]:
    """Open *path* for reading bytes, unpacked where it is gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        try:
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]  # gzip's own class has the methods of IO
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileUnreadable(f"{shown}: the gzip file is broken: {error}") from error


# --- through intake -----------------------------------------------------------------------------


def now() -> int:
    """Return the present in microseconds UTC."""
    return time.time_ns() // 1_000


def ingest(
    stream: FileStream,
    store: Store,
    intake: Intake,
    *,
    as_if_live: bool = False,
    batch: int = BATCH,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Outcome, int], object] = lambda _outcome, _position: None,
) -> Outcome:
    """Take *stream* into the store; return what became of its lines.

    It begins where an interrupted run stopped, and from the start where none did; then all that
    was stored before are duplicates. *buried* are the positions that lie in the dead letters from
    an earlier run, with the state of the letter: they are counted, not buried twice.

    Each event is recorded now; with *as_if_live* at its own time, as if it had arrived when it
    happened. *on_progress* is told the sum so far and the position reached, after each batch.

    Raises Stopped, FileUnreadable, OSError, Fenced where another run reads the same file, and
    StoreUnavailable. Whatever it raises, whole batches are stored and the next run resumes.
    """
    claim = store.claim(stream.name, [0])[0]
    lines = stream.read(claim.position)
    first = next(lines, None)
    if first is None and claim.position:
        store.restart(stream.name)
        claim = store.claim(stream.name, [0])[0]
        lines = stream.read(0)
        first = next(lines, None)
    total = Outcome()
    position = claim.position
    lines = lines if first is None else chain([first], lines)
    while waiting := list(islice(lines, batch)):
        if stop():
            raise Stopped(
                f"{stream.shown}: stopped at position {position}; the same command goes on there"
            )
        reached, moment = waiting[-1].position + 1, now()
        outcome = intake.process(
            _records(stream.name, waiting, moment, as_if_live=as_if_live),
            {(stream.name, 0): (position, reached, claim.epoch)},
            clock=moment,
        )
        position = reached
        total.add(outcome)
        on_progress(total, position)
    return total


def _records(stream: str, lines: list[Line], moment: int, *, as_if_live: bool) -> list[Record]:
    return [
        Record(
            stream,
            0,
            line.position,
            occurred_at(line.value, moment) if as_if_live else moment,
            None,
            line.value,
            (),
        )
        for line in lines
        if line.value is not None
    ]


class _Timed(msgspec.Struct):
    """The only attribute that is looked at before the contract reads the event."""

    time: str = ""


_time_of: Final = msgspec.json.Decoder(_Timed).decode


def occurred_at(value: bytes, otherwise: int) -> int:
    """Return the ``time`` of an event in microseconds UTC, or *otherwise* where it has none."""
    try:
        return normalise.instant(_time_of(value).time)
    except (msgspec.DecodeError, ValueError):
        return otherwise
