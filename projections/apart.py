"""Several processes fold, each its part of the leads, into the set that is being built.

On PostgreSQL every process writes what it folds. On SQLite, where one connection writes at a
time, the others send their rows to the first.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from sqlalchemy import create_engine

from domain.book import Rules
from projections.builds import Build, part_streams
from projections.fill import Filler
from projections.history import History
from projections.naming import NEW
from projections.pause import no_cycles
from projections.rows import Rows, renumber
from projections.schema import is_postgresql
from projections.workers import shared
from projections.writer import Writer, writer

OpenHistory = Callable[[], History]
"""Opens a history in another process: picklable, as a function of a module or a partial of one."""


class _Task(NamedTuple):
    """One part of a build."""

    number: int
    streams: dict[str, tuple[str, int]] | None
    """Streams of merged leads, each with the one that stands for all and its length; None: those
    streams of a part that no merge is about."""


class _Folded(NamedTuple):
    """A part that is folded."""

    rows: list[Rows]
    """Empty where the process itself has written them."""
    first: int
    """The number of the first lead, and how many numbers are taken."""
    numbers: int
    events: int
    leads: int
    lengths: dict[str, int]


class _Job(NamedTuple):
    """What all parts of a build share."""

    rules: Rules
    position: int
    parts: int
    merged: dict[str, str]
    name: str


class _Apart(NamedTuple):
    """How another process gets at the history, and at the database where it writes itself."""

    open_history: OpenHistory
    url: str | None


def fill(
    to: Writer,
    build: Build,
    history: History,
    rules: Rules,
    workers: int = 1,
    open_history: OpenHistory | None = None,
) -> Iterator[tuple[int, int]]:
    """Fill what is left of *build*; yield events and leads of each part when it is committed.

    With *workers* > 1, as many processes fold; each opens a history of its own.

    Raises WorkerFailed and Superseded.
    """
    job = _Job(rules, build.position, build.parts, build.merged(), build.name)
    if workers > 1 and open_history is not None:
        url = to.engine.url.render_as_string(hide_password=False)
        apart = _Apart(open_history, url if is_postgresql(to.engine.dialect) else None)
        prepare = partial(_prepared_apart, job, apart)
    else:
        workers, prepare = 1, partial(_prepared, job, history, to)
    left = build.left()
    for tasks in (
        (_Task(part, None) for part in left if part < build.parts),
        _merged_tasks(build, left),
    ):
        for task, folded in shared(workers, prepare, tasks):
            if folded.rows:
                _commit(to, build, task.number, folded)
            yield folded.events, folded.leads


def _merged_tasks(build: Build, left: list[int]) -> Iterator[_Task]:
    """Yield the parts of merged leads; asked for when all others are done."""
    wanted = [part for part in left if part >= build.parts]
    if wanted:
        streams = build.lengths()
        for part in wanted:
            yield _Task(part, streams.get(part, {}))


def _prepared(job: _Job, history: History, to: Writer) -> Callable[[_Task], _Folded]:
    def work(task: _Task) -> _Folded:
        checkpoint = to.checkpoint()
        return _fold(job, history, task, 1 if checkpoint is None else checkpoint.next_lead_no)

    return work


def _prepared_apart(job: _Job, apart: _Apart) -> Callable[[_Task], _Folded]:
    """Get ready in a process of its own."""
    history = apart.open_history()
    if apart.url is None:
        return lambda task: _fold(job, history, task, 1)
    engine = create_engine(apart.url)
    own, build = writer(engine, NEW), Build(engine, job.name, job.position, job.parts)

    def work(task: _Task) -> _Folded:
        folded = _fold(job, history, task, 1)
        _commit(own, build, task.number, folded)
        return folded._replace(rows=[], lengths={})

    return work


def _fold(job: _Job, history: History, task: _Task, first: int) -> _Folded:
    """Fold one part, with numbers for its leads from *first*."""
    rows: list[Rows] = []
    filler = Filler(rows.append, job.rules, first=first)
    lengths: dict[str, int] = {}
    with no_cycles():
        if task.streams is None:
            lengths = filler.add_unmerged(history, job.position, job.merged, task.number, job.parts)
        else:
            filler.add_merged(history, *part_streams(task.streams))
        filler.flush()
    taken = filler.next_lead_no - first
    return _Folded(rows, first, taken, filler.events, filler.leads, lengths)


def _commit(to: Writer, build: Build, part: int, folded: _Folded) -> None:
    """Write the rows of a part with the mark that it is done."""
    first = build.reserve(folded.numbers)
    if first != folded.first:
        for rows in folded.rows:
            renumber(rows, first - folded.first)
    now_us = time.time_ns() // 1_000
    to.fill_part(
        folded.rows, build.marking(part, folded.events, folded.leads, now_us, folded.lengths)
    )
