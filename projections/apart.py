"""Several processes fold, each its part of the leads, into one set of read models.

On PostgreSQL every process writes what it folds. On SQLite, where one connection writes at a
time, the others send their rows to the first.
"""

import pickle
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import Final, NamedTuple

from sqlalchemy import create_engine

from domain.book import Rules
from projections.fill import Filler
from projections.history import History
from projections.naming import NEW
from projections.pause import no_cycles
from projections.rows import Rows
from projections.schema import is_postgresql, read_models
from projections.writer import Writer, writer

OpenHistory = Callable[[], History]
"""Opens a history in another process: picklable, as a function of a module or a partial of one."""

_WAITING: Final = 8
"""Messages of one process that may wait to be written."""


class WorkerFailed(Exception):
    """A process that folded has failed; the message says why. Nothing became live."""


class _Done(NamedTuple):
    """What a process has folded."""

    events: int
    leads: int
    next_lead_no: int
    lengths: Mapping[str, int]
    """Streams of merged leads in its part, and how long they are."""


class _Part(NamedTuple):
    """What a process is to fold."""

    rules: Rules
    position: int
    merged: Mapping[str, str]
    bucket: int
    buckets: int
    url: str | None
    """The database to write to; None: send the rows."""


def fill_together(
    to: Writer,
    history: History,
    rules: Rules,
    position: int,
    workers: int,
    open_history: OpenHistory,
    on_progress: Callable[[int], None] | None = None,
) -> Filler:
    """Fold all leads up to *position* in *workers* processes, this one among them.

    Raises WorkerFailed.
    """
    merged = history.merged()
    several_write = is_postgresql(to.engine.dialect)
    url = to.engine.url.render_as_string(hide_password=False) if several_write else None
    others = [
        _Other(open_history, _Part(rules, position, merged, bucket, workers, url))
        for bucket in range(1, workers)
    ]
    try:

        def put(rows: Rows) -> None:
            to.fill(rows)
            for other in others:
                other.write(to, wait=False)
            if on_progress is not None:
                on_progress(filler.events + sum(other.events for other in others))

        filler = Filler(put, rules, first=1, stride=workers)
        with no_cycles():
            lengths = filler.add_unmerged(history, position, merged, 0, workers)
            filler.flush()
            for other in others:
                done = other.write(to, wait=True)
                lengths.update(done.lengths)
                filler.events += done.events
                filler.leads += done.leads
                filler.next_lead_no = max(filler.next_lead_no, done.next_lead_no)
                other.events = 0
            filler.add_merged(history, merged, lengths)
            filler.flush()
        return filler
    finally:
        for other in others:
            other.end()


class _Other:
    """Another process, seen from the first."""

    def __init__(self, open_history: OpenHistory, part: _Part) -> None:
        context = get_context("spawn")
        self.events = 0
        """How many it has folded, as far as it has told."""
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(open_history, part, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        self._done: _Done | None = None
        """What it has done, once it is done."""
        self._waiting: SimpleQueue[bytes] = SimpleQueue()
        self._room = BoundedSemaphore(_WAITING)
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Take what the process sends out of the pipe, which holds little."""
        try:
            while True:
                self._room.acquire()
                self._waiting.put(self._pipe.recv_bytes())
        except (EOFError, OSError):
            self._waiting.put(b"")

    def write(self, to: Writer, *, wait: bool) -> _Done:
        """Write what the process has sent; with *wait* until it is done."""
        while self._done is None:
            try:
                message = self._waiting.get(block=wait)
            except Empty:
                return _Done(0, 0, 0, {})
            if not message:
                raise WorkerFailed("a process that folded has ended before its work was done")
            self._room.release()
            events, content = pickle.loads(message)  # noqa: S301 - our own process has written it
            self.events = events
            if isinstance(content, Rows):
                to.fill(content)
            elif isinstance(content, _Done):
                self._done = content
            elif content is not None:
                raise WorkerFailed(content)
        return self._done

    def end(self) -> None:
        """Stop the process, done or not."""
        self._process.terminate()
        self._process.join()
        self._pipe.close()


def _work(open_history: OpenHistory, part: _Part, pipe: Connection) -> None:
    """Fold one part; the target of another process."""

    def send(content: object) -> None:
        pipe.send_bytes(pickle.dumps((filler.events, content), pickle.HIGHEST_PROTOCOL))

    put: Callable[[Rows], None] = send
    if part.url is not None:
        own = writer(read_models(create_engine(part.url)), NEW)

        def put(rows: Rows) -> None:
            own.fill(rows)
            send(None)

    filler = Filler(put, part.rules, first=part.bucket + 1, stride=part.buckets)
    try:
        history = open_history()
        with no_cycles():
            lengths = filler.add_unmerged(
                history, part.position, part.merged, part.bucket, part.buckets
            )
            filler.flush()
    except Exception as error:  # noqa: BLE001 - whatever it is, the first process has to tell
        send(f"{type(error).__name__}: {error}")
    else:
        send(_Done(filler.events, filler.leads, filler.next_lead_no, lengths))
