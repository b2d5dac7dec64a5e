"""The same events give the same digest, whatever the road: the matrix behind guarantee G3.

``python -m tests.reliability.digests --events 100000`` runs all roads and prints a table; the test
suite runs it with fewer events.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import NamedTuple
from zlib import crc32

from consumers.intake import Intake
from consumers.ledger import Conflict
from consumers.stream import Record
from leadflow.policies import load_policy
from leadflow.simulate import market_for_events, simulate
from leadflow.store import migrate, open_store
from projections.decided import NAME as DECIDED
from projections.runner import Runner
from tests.postgres import PostgresServer
from tests.reliability.disputed import disputed

PARTITIONS = 4
STREAM = "leadflow.interactions"

Log = list[list[Record]]
"""The records of each partition, in order."""


def make_log(events: int, *, twice: bool = False, seed: int = 7) -> Log:
    """Return *events* simulated events and what people dispute of them, by partition of their key.

    *twice*: each record twice.
    """
    log: Log = [[] for _ in range(PARTITIONS)]
    market = simulate(market_for_events(events, seed)).first(events)
    for arrived_at, key, value in disputed(list(market.events), seed):
        part = crc32(key.encode()) % PARTITIONS
        for _ in range(2 if twice else 1):
            log[part].append(Record(STREAM, part, len(log[part]), arrived_at, b"", value, ()))
    return log


def in_order(log: Log) -> Iterator[Record]:
    """Yield the records as they arrived: the partitions merged by time."""
    yield from sorted(
        (record for part in log for record in part),
        key=lambda record: (record.timestamp, record.partition, record.position),
    )


def shuffled(log: Log, seed: int) -> Iterator[Record]:
    """Yield the records in another order that Kafka allows: each partition in its own."""
    draw = Random(seed)
    nexts = [0] * len(log)
    while left := [part for part, at in enumerate(nexts) if at < len(log[part])]:
        part = draw.choice(left)
        run = draw.randrange(1, 400)
        yield from log[part][nexts[part] : nexts[part] + run]
        nexts[part] += run


def take(url: str, records: Iterator[Record] | Sequence[Record], batch: int, workers: int) -> None:
    """Take *records* into the store at *url*, batch by batch, by several workers in turn.

    The workers share nothing but the store: a lead that one has cached may be changed by another,
    and the conflict must bring it up to date.
    """
    policy = load_policy()
    store = open_store(url)
    owner = {part: part % workers for part in range(PARTITIONS)}
    intakes = [Intake(store, policy) for _ in range(workers)]
    claims = store.claim(STREAM, range(PARTITIONS))
    at = {part: claim.position for part, claim in claims.items()}
    waiting: list[list[Record]] = [[] for _ in range(workers)]

    def flush(worker: int) -> None:
        mine, waiting[worker] = waiting[worker], []
        moves: dict[tuple[str, int], tuple[int, int, int]] = {}
        for record in mine:
            old = moves.get((STREAM, record.partition), (at[record.partition],))[0]
            moves[STREAM, record.partition] = (
                old,
                record.position + 1,
                claims[record.partition].epoch,
            )
        intakes[worker].process(mine, moves)
        at.update({part: new for (_, part), (_, new, _) in moves.items()})

    for record in records:
        worker = owner[record.partition]
        waiting[worker].append(record)
        if len(waiting[worker]) == batch:
            flush(worker)
    for worker in range(workers):
        if waiting[worker]:
            flush(worker)
    store.close()


def take_partitions(url: str, log: Log, parts: Sequence[int], batch: int) -> None:
    """Take some partitions as one process of a group; others write at the same time."""
    policy = load_policy()
    store = open_store(url)
    intake = Intake(store, policy)
    claims = store.claim(STREAM, parts)
    at = {part: claims[part].position for part in parts}
    while left := [part for part in parts if at[part] < len(log[part])]:
        moves: dict[tuple[str, int], tuple[int, int, int]] = {}
        records: list[Record] = []
        for part in left:
            chunk = log[part][at[part] : at[part] + max(1, batch // len(left))]
            records += chunk
            moves[STREAM, part] = (at[part], at[part] + len(chunk), claims[part].epoch)
        while True:
            try:
                intake.process(records, moves)
            except Conflict:
                continue  # a busy neighbour: the worker would come back to it too
            break
        at |= {part: new for (_, part), (_, new, _) in moves.items()}
    store.close()


def take_side_by_side(url: str, log: Log, batch: int, workers: int) -> None:
    """Take all partitions by *workers* processes at the same time."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(
            target=take_partitions,
            args=(url, log, [p for p in range(PARTITIONS) if p % workers == worker], batch),
        )
        for worker in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    failed = [process.exitcode for process in processes if process.exitcode]
    if failed:
        raise AssertionError(f"a worker ended with {failed}")


def digest(url: str, *, batch: int = 20_000, rebuild: bool = False) -> dict[str, str]:
    """Return the digest of the read models of the store at *url*."""
    store = open_store(url)
    engine = migrate.make_engine(url)
    runner = Runner(engine, store, load_policy())
    runner.create()
    runner.catch_up(batch)
    found = runner.digest()
    if rebuild:
        report = runner.rebuild()
        if not found == report.before == report.after == runner.digest():
            raise AssertionError(f"a rebuild changes the read models: {report}")
    engine.dispose()
    store.close()
    return found


class Road(NamedTuple):
    """A way for events into read models."""

    order: str
    """In which order the log is read: on the same road, what was decided is the same, too."""
    run: Callable[[], dict[str, str]]
    """Go that way, and return the digest of each read model."""


def different(found: Mapping[str, dict[str, str]], ways: Mapping[str, Road]) -> dict[str, set[str]]:
    """Return the read models that differ from those of another road, by the name of the road.

    All of them must be those of the first road, and `decided` that of the first road that reads
    the log in the same order.
    """
    first = next(iter(found.values()))
    decided: dict[str, str] = {}
    wrong: dict[str, set[str]] = {}
    for name, digests in found.items():
        expected = first | {DECIDED: decided.setdefault(ways[name].order, digests[DECIDED])}
        differ = {model for model, sha in expected.items() if digests.get(model) != sha}
        if differ:
            wrong[name] = differ
    return wrong


def roads(
    events: int, sqlite: Callable[[], str], postgresql: Callable[[], str], *, small: int
) -> dict[str, Road]:
    """Return every road by name. Each takes the same events into a new database.

    *small*: how many of the events go in batches of one; each of those is a transaction.
    """
    log = make_log(events)
    twice = make_log(events, twice=True)

    def road(
        url: Callable[[], str],
        order: str,
        records: Callable[[], Iterator[Record]],
        *,
        batch: int = 5_000,
        workers: int = 1,
        project: int = 20_000,
        rebuild: bool = False,
    ) -> Road:
        def run() -> dict[str, str]:
            database = url()
            migrate.upgrade(database)
            take(database, records(), batch, workers)
            return digest(database, batch=project, rebuild=rebuild)

        return Road(order, run)

    def one_by_one() -> dict[str, str]:
        database = sqlite()
        migrate.upgrade(database)
        records = list(in_order(log))
        take(database, records[:small], 1, 1)
        take(database, records[small:], 5_000, 1)
        return digest(database)

    def side_by_side() -> dict[str, str]:
        database = postgresql()
        migrate.upgrade(database)
        take_side_by_side(database, log, 1_000, 3)
        return digest(database)

    def arrived(url: Callable[[], str], batch: int = 5_000) -> Road:
        return road(url, "as it arrived", lambda: in_order(log), batch=batch)

    def mixed(url: Callable[[], str], seed: int, *, rebuild: bool = False) -> Road:
        return road(url, f"shuffled, seed {seed}", lambda: shuffled(log, seed), rebuild=rebuild)

    return {
        "in order": arrived(sqlite),
        "shuffled, seed 1": mixed(sqlite, 1),
        "shuffled, seed 2": mixed(sqlite, 2),
        "every record twice": road(sqlite, "as it arrived", lambda: in_order(twice)),
        f"batches of 1 (the first {small})": Road("as it arrived", one_by_one),
        "batches of 7": arrived(sqlite, batch=7),
        "batches of 500, projected by 333": road(
            sqlite, "shuffled, seed 1", lambda: shuffled(log, 1), batch=500, project=333
        ),
        "three workers in turn": road(
            sqlite, "by worker", lambda: shuffled(log, 4), batch=500, workers=3
        ),
        "rebuilt": mixed(sqlite, 2, rebuild=True),
        "PostgreSQL": arrived(postgresql),
        "PostgreSQL, rebuilt": mixed(postgresql, 2, rebuild=True),
        "PostgreSQL, three workers at once": Road("by chance", side_by_side),
    }


@contextmanager
def databases() -> Iterator[tuple[Callable[[], str], Callable[[], str]]]:
    """Yield functions that give a new SQLite and a new PostgreSQL database each time."""
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer() as server,
        ExitStack() as opened,
    ):
        numbers = count()

        def sqlite() -> str:
            return f"sqlite:///{Path(folder) / f'{next(numbers)}.db'}"

        def postgresql() -> str:
            return opened.enter_context(server.database())

        yield sqlite, postgresql


def main() -> int:
    """Run every road and print a line each; 1 when two digests differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=None, help="events in batches of one")
    asked = parser.parse_args()
    with databases() as (sqlite, postgresql):
        small = asked.events if asked.small is None else asked.small
        ways = roads(asked.events, sqlite, postgresql, small=small)
        found: dict[str, dict[str, str]] = {}
        for name, road in ways.items():
            started = time.perf_counter()
            found[name] = road.run()
            text = " ".join(f"{model}={sha[:8]}" for model, sha in sorted(found[name].items()))
            verdict = "DIFFERENT" if name in different(found, ways) else "same"
            print(
                f"{name:36} {time.perf_counter() - started:6.1f} s  {verdict}  {text}", flush=True
            )
    return 1 if different(found, ways) else 0


if __name__ == "__main__":
    sys.exit(main())
