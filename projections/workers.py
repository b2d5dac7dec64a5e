"""Several processes that share tasks, each taking the next one when it is free.

A process ends with the one that started it, however that one ended: it reads the end of its pipe.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

Prepare = Callable[[], Callable[[Task], Result]]
"""Gets a process ready for its tasks: picklable, as a partial of a function of a module."""


class WorkerFailed(Exception):
    """A process that folded has failed; the message says why. What it did not finish is not done."""


def shared(
    count: int, prepare: Prepare[Task, Result], tasks: Iterable[Task]
) -> Iterator[tuple[Task, Result]]:
    """Yield each of *tasks* with what became of it, in the order in which they are done.

    *count* processes do them; with 1, this one does, and what goes wrong is raised as it is. Else
    it raises WorkerFailed. Whoever stops listening stops the processes.
    """
    if count <= 1:
        work = prepare()
        for task in tasks:
            yield task, work(task)
        return
    left = iter(tasks)
    with ExitStack() as stack:
        busy: dict[Any, tuple[_Process, Task]] = {}
        for task in _some(left, count):
            process = _Process(prepare)
            stack.callback(process.end)
            process.give(task)
            busy[process.pipe] = process, task
        while busy:
            for pipe in wait(list(busy)):
                process, task = busy.pop(pipe)
                result = process.take()
                for following in _some(left, 1):
                    process.give(following)
                    busy[pipe] = process, following
                yield task, result


def _some(tasks: Iterator[Task], count: int) -> Iterator[Task]:
    for _, task in zip(range(count), tasks, strict=False):
        yield task


class _Process:
    """One process, seen from the one that started it."""

    def __init__(self, prepare: Prepare[Any, Any]) -> None:
        # forked, it would hold the pipes of the others open, and threads' locks for ever
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_work, args=(prepare, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def give(self, task: Any) -> None:
        """Hand over a task; what a dead process does not take shows when it is asked for it."""
        try:
            self.pipe.send(task)
        except OSError:
            self._process.join()

    def take(self) -> Any:
        """Return what became of the task. Raises WorkerFailed."""
        try:
            failed, result = pickle.loads(self.pipe.recv_bytes())  # noqa: S301 - our own process has written it
        except (EOFError, OSError):
            raise WorkerFailed("a process that folded has ended before its work was done") from None
        if failed:
            raise WorkerFailed(result)
        return result

    def end(self) -> None:
        """Stop the process, done or not."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _work(prepare: Prepare[Any, Any], pipe: Connection) -> None:
    """Do tasks until there is nobody left to give any; the target of another process."""
    try:
        work = None
        while True:
            task = pipe.recv()
            try:
                work = work or prepare()
                answer = (False, work(task))
            except Exception as error:  # noqa: BLE001 - whatever it is, the first process has to tell
                answer = (True, f"{type(error).__name__}: {error}")
            pipe.send_bytes(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
    except (EOFError, OSError):
        return  # whoever started this process is gone
