"""Workers as processes, so that a test can kill, freeze and stop them.

`python -m tests.reliability.member BOOTSTRAP TOPIC GROUP DATABASE` is the parent of them all: it
imports everything once and forks a worker for each line `start LOG FREEZE` on its standard input,
answering with the process id; `wait PID` waits for the end and answers with the exit code.

A worker works until SIGTERM. In its log it says `ready` when it has stored a batch, and how many
records it stored when it ends in good order. With a number for FREEZE it stops itself (SIGSTOP)
when it is about to write that batch.
"""

import gc
import os
import signal
import sys
import threading
import traceback

from consumers.cluster import KafkaSettings
from consumers.contract import parse
from consumers.intake import Intake, Outcome
from consumers.worker import Pace, Worker
from leadflow.store import faults
from tests.reliability import kit

SESSION_MS = 1_500


def work(bootstrap_servers: str, topic: str, group: str, database: str, freeze: int) -> None:
    """Work until told to stop."""
    left = freeze

    def reach(point: str) -> None:
        nonlocal left
        if point == "begin" and left:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGSTOP)

    setattr(faults, "reach", reach)  # noqa: B010  # as a test does it, for mypy too
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    said = False

    def tell(_: Outcome) -> None:
        nonlocal said
        if not said:
            said = True
            print("ready", flush=True)

    with kit.opened(database) as store:
        worker = Worker(
            store,
            store,
            Intake(store, kit.policy()),
            KafkaSettings(bootstrap_servers=bootstrap_servers),
            topic,
            group,
            pace=Pace(batch=500, linger=0.05),
            session_timeout_ms=SESSION_MS,
        )
        total = worker.run(stop, on_progress=tell)
    print(f"stopped {total.read}", flush=True)


def start(log: str, words: list[str], freeze: int) -> int:
    """Fork a worker that writes to *log*; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT)
        for number, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (out, 2)):
            os.dup2(number, target)
        bootstrap_servers, topic, group, database = words
        work(bootstrap_servers, topic, group, database, freeze)
        code = 0
    except BaseException:  # noqa: BLE001  # whatever it is, the child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def main(words: list[str]) -> None:
    """Answer until the standard input ends."""
    kit.policy()
    parse(kit.sent("1", email="ada@example.com", phone="+4930123456"), (), kit.NOW)
    gc.freeze()
    # A worker that is told to stop before it listens hears of it when it does.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    while line := sys.stdin.readline().split():
        if line[0] == "start":
            print(start(line[1], words, int(line[2])), flush=True)
        else:
            _, status = os.waitpid(int(line[1]), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
