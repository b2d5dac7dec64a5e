"""Pause the collector of reference cycles while many small objects come and go.

A batch holds a hundred thousand dicts for a moment, none of them in a cycle; looking through them
again and again costs more than the whole fold. Counting references frees them all the same.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_paused = 0


@contextmanager
def no_cycles() -> Iterator[None]:
    """Pause the collector; the last to leave sets it going, if it was."""
    global _paused  # noqa: PLW0603 - the collector is one for the whole process
    with _lock:
        mine = gc.isenabled() or _paused > 0
        if mine:
            _paused += 1
            gc.disable()
    try:
        yield
    finally:
        if mine:
            with _lock:
                _paused -= 1
                if not _paused:
                    gc.enable()
