"""The measured work of leadflow, each piece in a process of its own.

`python -m tests.bench.jobs NAME` reads the arguments as JSON from standard input and writes what
it took to standard output. A process of its own has a heap, a collector and a peak of its own.
"""

import resource
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, cast

import msgspec
import structlog

from consumers.cluster import KafkaSettings
from consumers.intake import Intake, Outcome
from consumers.ledger import Claim
from consumers.ledger import Ledger as EventLedger
from consumers.stream import Source
from consumers.worker import Worker
from domain.events import Event
from domain.lead import Lead, fold, fold_streams
from domain.ledger import Ledger, ledger_of
from domain.scoring import engagement
from leadflow.app import settle_memory
from leadflow.dossier import open_dossier
from leadflow.leads import explain
from leadflow.policies import load_policy
from leadflow.store import open_store
from leadflow.store.base import Store
from leadflow.store.codec import decode
from leadflow.store.migrate import make_engine
from projections.rebuild import first_fill
from projections.runner import Runner
from tests.bench import bare, shares
from tests.bench.shares import Shares
from tests.bench.took import Took

SESSION_MS = 3_000
"""Tansu takes half of it to let a member join."""


class _Timed:
    """A store that notes when its partitions are claimed: the group is joined, work begins."""

    def __init__(self, store: Store, shares: Shares) -> None:
        self._store = store
        self._shares = shares
        self.since = 0.0

    def claim(self, stream: str, partitions: list[int]) -> Mapping[int, Claim]:
        self._shares.reset()
        self.since = perf_counter()
        return self._store.claim(stream, partitions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _measured(parts: Sequence[shares.Part], profile: bool) -> AbstractContextManager[Shares]:
    return shares.measure(parts) if profile else nullcontext(Shares())


def intake(bootstrap: str, topic: str, events: int, database: str, profile: bool = False) -> Took:
    """Take a topic into a store, with the worker that `leadflow consume` runs."""
    store = open_store(database)
    stop = threading.Event()
    end = 0.0

    def progress(total: Outcome) -> None:
        nonlocal end
        if total.read >= events:
            end = perf_counter()
            stop.set()

    with _measured(shares.INTAKE, profile) as found:
        timed = _Timed(store, found)
        ledger = cast("EventLedger", timed)
        worker = Worker(
            ledger,
            store,
            Intake(ledger, load_policy()),
            KafkaSettings(bootstrap_servers=bootstrap),
            topic,
            "bench-intake",
            session_timeout_ms=SESSION_MS,
        )
        total = worker.run(stop, on_progress=progress)
    store.close()
    return Took(end - timed.since, total.read, parts=found.parts)


def poll(bootstrap: str, topic: str, events: int) -> Took:
    """Poll a topic as the worker does, and look at no record."""
    since = 0.0

    def positions(_: Collection[int]) -> Mapping[int, int]:
        nonlocal since
        since = perf_counter()
        return {}

    with Source(
        bootstrap, topic, "bench-poll", positions=positions, session_timeout_ms=SESSION_MS
    ) as source:
        read = 0
        while read < events:
            read += len(source.poll())
        end = perf_counter()
    return Took(end - since, read)


def catch_up(database: str, profile: bool = False) -> Took:
    """Project the whole log into all read models."""
    store, engine = open_store(database), make_engine(database)
    runner = Runner(engine, store, load_policy())
    runner.create()
    with _measured(shares.PROJECTIONS, profile) as found:
        start = perf_counter()
        events = runner.catch_up()
        seconds = perf_counter() - start
    engine.dispose()
    store.close()
    return Took(seconds, events, parts=found.parts)


def first_fill_of(database: str) -> Took:
    """Project the whole log into read models that hold nothing, as `leadflow project` does."""
    store, engine = open_store(database), make_engine(database)
    runner = Runner(engine, store, load_policy())
    runner.create()
    start = perf_counter()
    first_fill(engine, store, load_policy)
    runner.catch_up()
    seconds = perf_counter() - start
    events = runner.checkpoint()
    engine.dispose()
    store.close()
    return Took(seconds, events)


def rebuild(database: str) -> Took:
    """Fold the whole log into tables beside the live ones, compare and switch."""
    store, engine = open_store(database), make_engine(database)
    runner = Runner(engine, store, load_policy())
    runner.create()
    start = perf_counter()
    report = runner.rebuild()
    seconds = perf_counter() - start
    engine.dispose()
    store.close()
    return Took(seconds, report.events)


def replay(database: str, profile: bool = False) -> Took:
    """Read and fold all leads, in one process."""
    store = open_store(database)
    merged, head = store.merged(), store.head()
    read = 0
    with _measured(shares.REPLAY, profile) as found:
        start = perf_counter()
        for _, count in _folded(store, merged, head):
            read += count
        seconds = perf_counter() - start
    store.close()
    return Took(seconds, read, parts=found.parts)


def _folded(store: Store, merged: Mapping[str, str], head: int) -> Iterator[tuple[Lead, int]]:
    """Yield every lead with the number of its events; a merged one when all its streams are read."""
    parts: dict[str, int] = {}
    for lead in merged.values():
        parts[lead] = parts.get(lead, 1) + 1
    waiting: dict[str, dict[str, list[Event]]] = {}
    for stream, events in store.all_streams(head):
        lead = merged.get(stream, stream)
        if lead not in parts:
            yield fold(events), len(events)
            continue
        group = waiting.setdefault(lead, {})
        group[stream] = events
        if len(group) == parts[lead]:
            del waiting[lead]
            yield fold_streams(group, lead), sum(map(len, group.values()))


def one_lead(database: str, lead: str, now: int, times: int) -> Took:
    """Read and fold one lead from its whole history, score it and explain the score."""
    store, policy = open_store(database), load_policy()
    rounds: list[tuple[float, float, float]] = []
    facts = 0
    for _ in range(times):
        start = perf_counter()
        dossier = open_dossier(store, policy, lead, now=now)
        folded = perf_counter()
        dossier.score()
        scored = perf_counter()
        explain(dossier)
        rounds.append((folded - start, scored - folded, perf_counter() - scored))
        facts = len(dossier.facts)
    store.close()
    state, points, explanation = map(median, zip(*rounds, strict=True))
    parts = {"state": state, "score": points, "explanation": explanation}
    return Took(sum(parts.values()), facts, parts=parts)


def score(database: str, lead: str, now: int, times: int) -> Took:
    """Score one lead: by the sum over all facts, from bare facts, and from its ledger."""
    store, policy = open_store(database), load_policy()
    events = [decode(topic, state) for *_, topic, state in store.positions_of([lead])]
    store.close()
    folded = fold(events)
    facts = folded.effective()

    def clocked(ask: Callable[[], int]) -> float:
        found = []
        for _ in range(times):
            start = perf_counter()
            points = ask()
            found.append(perf_counter() - start)
            if points != expected:
                raise AssertionError(f"{points} is not the sum, which is {expected}")
        return median(found)

    expected = engagement(facts, policy, now)
    parts = {
        "sum over all": clocked(lambda: bare.engagement(facts, policy, now)),
        "bare facts": clocked(lambda: engagement(facts, policy, now)),
        "ledger": clocked(lambda: ledger_of(folded, policy).engagement(now)),
    }
    start = perf_counter()
    Ledger(policy, facts).engagement(now)
    parts["ledger anew"] = perf_counter() - start
    return Took(parts["ledger"], len(facts), parts=parts)


JOBS: Mapping[str, Callable[..., Took]] = {
    "bare loop": bare.loop,
    "bare poll": bare.poll,
    "decode log": bare.decode_log,
    "decode streams": bare.decode_streams,
    "intake": intake,
    "poll": poll,
    "catch up": catch_up,
    "first fill": first_fill_of,
    "rebuild": rebuild,
    "replay": replay,
    "one lead": one_lead,
    "score": score,
}


def job(name: str) -> Callable[..., Took]:
    """Return the work of that name; work over columns loads what no other shall have in memory."""
    if name in JOBS:
        return JOBS[name]
    from tests.bench import attribution, funnel

    return {**funnel.JOBS, **attribution.JOBS}[name]


def peak() -> int:
    """Return the most memory this process held, bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would tell the peak of the parent, whose memory a new process begins with
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(name: str) -> None:
    """Do one piece of work and say what it took."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(30),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    arguments = msgspec.json.decode(sys.stdin.buffer.read())
    settle_memory()
    took = job(name)(**arguments)
    took.peak = peak()
    sys.stdout.buffer.write(msgspec.json.encode(took))


if __name__ == "__main__":
    main(sys.argv[1])
