"""Kill intake at every step of the commit protocol, start it again, and compare in the end.

`python -m tests.reliability.crash URL KILLS SEED` forks a process per attempt, so that a kill
costs milliseconds and not the start of an interpreter. It prints what it found as JSON.
"""

import gc
import json
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import make_url

from consumers.intake import Intake
from leadflow.store import faults
from leadflow.store.base import Store
from tests.reliability import kit
from tests.reliability.conftest import empty
from tests.reliability.small import small_log

ANY = "any instant"
"""A kill by a clock, wherever the process is by then: inside the database as well."""


@dataclass(slots=True)
class Found:
    """What many kills led to."""

    kills: Counter[str] = field(default_factory=Counter)
    """By the point where the process died."""
    logs: int = 0
    lost: int = 0
    """Events that a run without kills stored and these runs did not."""
    doubled: int = 0
    """Events stored more than once."""
    different: int = 0
    """Logs whose end was not that of a run without kills, to the byte."""


def consume(store: Store, values: Sequence[bytes | None], batch: int, cached: int = 5) -> None:
    """Take *values* into the store as one partition, from where the last run stopped."""
    claim = store.claim(kit.STREAM, [0])[0]
    faults.reach("claimed")
    intake = Intake(store, kit.policy(), cached_facts=cached)
    position = claim.position
    while position < len(values):
        records = kit.records(values[position : position + batch], position)
        reached = position + len(records)
        intake.process(records, {(kit.STREAM, 0): (position, reached, claim.epoch)})
        position = reached


def fork(work: Callable[[], object]) -> tuple[int, Any]:
    """Do *work* in a child process; return its wait status and what the work returned."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(readable)
            answer = json.dumps(work()).encode()
            os.write(writable, answer)
            code = 0
        except BaseException:  # noqa: BLE001  # whatever it is, the child must not go on as its parent
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writable)
    with os.fdopen(readable, "rb") as answer_of:
        answer = answer_of.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(answer) if answer else None


def kill_at(point: str, times: int) -> None:
    """Let this process kill itself when it reaches *point* for the *times*-th time."""
    left = times

    def reach(reached: str) -> None:
        nonlocal left
        if reached == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    setattr(faults, "reach", reach)  # noqa: B010  # as a test does it, for mypy too


def attempt(url: str, values: Sequence[bytes | None], batch: int, point: str, times: int) -> None:
    """Consume until the kill comes, or until the end."""
    if point == ANY:
        signal.setitimer(signal.ITIMER_REAL, times / 1_000)  # its signal ends a process at once
    else:
        kill_at(point, times)
    with kit.opened(url) as store:
        consume(store, values, batch)


def result(url: str) -> dict[str, Any]:
    """Return what is in the store."""
    with kit.opened(url) as store:
        ids = [f"{fact.source} {fact.id}" for fact in kit.facts_of(store)]
        return {"ids": ids, "digest": kit.digest(store)}


def clear(url: str, template: Path) -> None:
    """Put the database back to its beginning."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        path = Path(address.database or "")
        for end in ("", "-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        kit.new_sqlite(path.parent, template, path.name)
    else:
        empty(url)


def expect(status: int, wanted: str) -> None:
    """Raise if a child did not end by itself and well."""
    if status != 0:
        raise RuntimeError(f"{wanted} ended with wait status {status}")


def warm_up(template: Path) -> None:
    """Do everything once, so that no child has to load tables of telephone numbers and the like."""
    kit.policy()
    with kit.quick_folder() as folder, kit.opened(kit.new_sqlite(folder, template)) as store:
        consume(store, small_log(0), 5)
        kit.digest(store)
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Trial:
    """One log, to be consumed in spite of kills."""

    url: str
    template: Path
    values: Sequence[bytes | None]
    batch: int

    def clear(self) -> None:
        """Put the database back to its beginning."""
        status, _ = fork(lambda: clear(self.url, self.template))
        if status:
            raise RuntimeError(f"emptying the database ended with wait status {status}")

    def run(self, point: str, times: int) -> int:
        """Consume until the kill, or until the end; return the exit code, negative if killed."""
        status, _ = fork(lambda: attempt(self.url, self.values, self.batch, point, times))
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, -signal.SIGKILL, -signal.SIGALRM):
            raise RuntimeError(f"a run that was to die at {point!r} failed by itself: {code}")
        return code

    def result(self) -> dict[str, Any]:
        """Return what is in the store."""
        _, found = fork(lambda: result(self.url))
        return dict(found)


def main(url: str, template: Path, kills: int, seed: int) -> Found:
    """Kill at least *kills* times, in as many logs as that takes."""
    warm_up(template)
    draw = Random(seed)
    found = Found()
    points = ["claimed", *faults.POINTS, ANY]
    turn = 0
    while found.kills.total() < kills:
        trial = Trial(url, template, small_log(draw.randrange(10**6), 30), draw.choice((2, 3, 5)))
        trial.clear()
        trial.run("never", 1)
        clean = trial.result()
        trial.clear()
        while True:
            point = points[turn % len(points)]
            times = draw.randint(1, 25) if point == ANY else 1 + (turn // len(points)) % 2
            turn += 1
            if trial.run(point, times) == 0:
                break
            found.kills[point] += 1
        killed = trial.result()
        found.logs += 1
        found.lost += (Counter(clean["ids"]) - Counter(killed["ids"])).total()
        found.doubled += (Counter(killed["ids"]) - Counter(set(killed["ids"]))).total()
        found.different += clean["digest"] != killed["digest"]
    return found


if __name__ == "__main__":
    outcome = main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps({name: getattr(outcome, name) for name in Found.__slots__}))
