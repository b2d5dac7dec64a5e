"""Fold an export of facts in processes of one machine.

First each bucket is folded, without the families whose streams may lie in several buckets; their
events are put aside by family, and folded then. What a process makes is sorted and put into files;
in the end the files are merged, read model by read model. No process ever holds more than one part.
"""

import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from struct import Struct
from typing import IO, Final, NamedTuple
from zlib import crc32

from domain.book import Rules
from domain.events import Event
from leadflow.export_files import PARQUET, pyarrow
from leadflow.fold import TABLES, Folded, Folder
from leadflow.fold_files import FactsExport, Stored, by_stream, decoded, stored
from projections.lines import Line, columns_of, digest_of
from projections.pause import no_cycles
from projections.workers import shared

Progress = Callable[[int], None]
"""Told how many events are folded so far."""

_LENGTHS: Final = Struct(">II")


class _Task(NamedTuple):
    number: int
    aside: bool
    """Whether to fold the families that were put aside, not a bucket."""


class _Job(NamedTuple):
    """What all tasks share."""

    folder: Path
    roots: Mapping[str, str]
    rules: Rules
    parts: int
    """Parts of the families that are put aside."""
    scratch: Path
    to: Path | None


class _Done(NamedTuple):
    events: int
    leads: int
    rows: dict[str, int]


def fold_in_processes(
    export: FactsExport, workers: int, to: Path | None = None, on_progress: Progress | None = None
) -> Folded:
    """Fold *export* in *workers* processes; write the rows as Parquet into *to*, if given.

    Raises WorkerFailed, or with one worker whatever went wrong.
    """
    roots = export.roots()
    scratch = Path(tempfile.mkdtemp(prefix=".fold-", dir=to))
    try:
        job = _Job(export.folder, roots, export.rules(), export.buckets, scratch, to)
        events = leads = 0
        rows = dict.fromkeys(TABLES, 0)
        for aside in (False, True) if roots else (False,):
            tasks = [_Task(number, aside) for number in range(export.buckets)]
            for _, done in shared(workers, partial(_prepared, job), tasks):
                events, leads = events + done.events, leads + done.leads
                for name, count in done.rows.items():
                    rows[name] += count
                if on_progress is not None:
                    on_progress(events)
        digests = {name: _merged_digest(scratch, name) for name in TABLES}
        return Folded(export.position, events, leads, rows, digests)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _prepared(job: _Job) -> Callable[[_Task], _Done]:
    return partial(_work, job)


def _work(job: _Job, task: _Task) -> _Done:
    """Fold one bucket, or one part of what was put aside."""
    lines: dict[str, list[Line]] = {}

    def take(name: str, made: list[Line]) -> None:
        lines.setdefault(name, []).extend(made)

    folder = Folder(job.rules, take)
    with no_cycles():
        folder.add_all(_put_aside(job, task.number) if task.aside else _bucket(job, task.number))
    name_of_part = f"{'families' if task.aside else 'bucket'}-{task.number:04}"
    for name, made in lines.items():
        made.sort(key=itemgetter(0))
        _write_run(job.scratch / f"{name}.{name_of_part}.run", made)
        if job.to is not None:
            _write_rows(job.to / name / f"{name_of_part}.parquet", name, made)
    return _Done(folder.events, folder.leads, {name: len(made) for name, made in lines.items()})


# --- what there is to fold ------------------------------------------------------------------------


def _bucket(job: _Job, bucket: int) -> Iterator[dict[str, list[Event]]]:
    """Yield the streams of one bucket; put those aside that belong to others."""
    with ExitStack() as files:
        aside: dict[int, IO[bytes]] = {}
        for stream, rows in by_stream(stored(FactsExport(job.folder).part(bucket))):
            root = job.roots.get(stream)
            if root is None:
                yield {stream: decoded(rows)}
                continue
            part = crc32(root.encode()) % job.parts
            if part not in aside:
                path = job.scratch / f"aside-{part:04}.{bucket:04}"
                aside[part] = files.enter_context(path.open("wb"))
            pickle.dump((root, rows), aside[part], pickle.HIGHEST_PROTOCOL)


def _put_aside(job: _Job, part: int) -> Iterator[dict[str, list[Event]]]:
    """Yield the families of one part."""
    found: list[tuple[str, list[Stored]]] = []
    for path in sorted(job.scratch.glob(f"aside-{part:04}.*")):
        found += _unpickled(path)
    found.sort(key=itemgetter(0))
    for _, family in groupby(found, key=itemgetter(0)):
        yield {rows[0][0]: decoded(rows) for _, rows in family}


def _unpickled(path: Path) -> Iterator[tuple[str, list[Stored]]]:
    with path.open("rb") as file:
        while file.peek(1):
            yield pickle.load(file)  # noqa: S301 - written by a process of this fold


# --- what comes of it -----------------------------------------------------------------------------


def _write_run(path: Path, lines: list[Line]) -> None:
    """Write sorted lines, to be merged with those of other parts."""
    with path.open("wb") as file:
        for key, _, text in lines:
            file.write(_LENGTHS.pack(len(key), len(text)) + key + text)


def _run(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        while lengths := file.read(_LENGTHS.size):
            key, text = _LENGTHS.unpack(lengths)
            yield file.read(key), file.read(text)


def _merged_digest(scratch: Path, name: str) -> str:
    """Return the digest of a read model whose sorted parts lie in *scratch*."""
    runs = [_run(path) for path in sorted(scratch.glob(f"{name}.*.run"))]
    return digest_of(text for _, text in merge(*runs))


def _write_rows(path: Path, name: str, lines: list[Line]) -> None:
    """Write rows as Parquet; in place of the number of the lead stands its id."""
    arrow = pyarrow()
    kinds = {int: arrow.int64(), str: arrow.string()}
    columns = columns_of(TABLES[name])
    values = zip(*(values for _, values, _ in lines), strict=True)
    path.parent.mkdir(exist_ok=True)
    arrow.parquet.write_table(
        arrow.table(
            [
                arrow.array(column, type=kinds[kind])
                for column, kind in zip(values, columns.values(), strict=True)
            ],
            names=list(columns),
        ),
        path,
        **PARQUET,
    )
