"""How a long job tells how far it is, and how it is stopped."""

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

from leadflow.cli.frame import err, note

_EVERY: Final = 5.0
"""Seconds between two lines of progress where there is no terminal."""


class Progress:
    """Tells on the standard error how far a long job is, and how fast."""

    def __init__(self, what: str, total: int | None, unit: str, start: int = 0) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._started = self._told = time.monotonic()
        self._start = start  # what an earlier run did is no speed of this one
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        console = err()
        if console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[done]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total, done="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def reach(self, done: int, what: str | None = None) -> None:
        """Tell that *done* units are done; another *what* begins another part of the job."""
        now = time.monotonic()
        if what is not None and what != self._what:
            self._what, self._started, self._start = what, now, done
        rate = int((done - self._start) / max(now - self._started, 0.001))
        if self._total is not None and done > self._total:
            self._total = done  # more came meanwhile
        of = f" of {self._total:,}" if self._total else ""
        words = f"{done:,}{of} {self._unit}, {rate:,}/s"
        if self._bar is not None:
            self._bar.update(self._task, description=self._what, completed=done, done=words)
        elif now - self._told >= _EVERY:
            self._told = now
            note(f"{self._what}: {words}")


@contextmanager
def stopping() -> Generator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets: the batch under way is finished first.

    A second signal ends the program at once; nothing is lost then either.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heard(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note(f"{signal.Signals(number).name}: stopping after the batch under way")

    before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
