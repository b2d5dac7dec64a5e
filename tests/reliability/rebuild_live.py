"""A rebuild while events come, are projected and are asked for, killed again and again.

`python -m tests.reliability.rebuild_live --seconds 60 --rate 1000 [--url URL]` does it for so long
and prints what it found as JSON. Four processes work on one database:

- *intake* commits events at the rate, as a worker does;
- *project* keeps the live set up;
- *reader* asks the views, and compares every answer with the log in the same snapshot;
- *rebuild* makes the set anew: killed at a random instant or at a step, and started again.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from consumers.intake import Intake
from domain.events import FACT_TOPIC
from leadflow.store import migrate
from projections.digest import snapshot
from projections.rebuild import rebuild
from projections.runner import Runner
from projections.schema import SCHEMA, read_models
from tests.postgres import PostgresServer
from tests.projections_kit import read_model_database
from tests.reliability import kit
from tests.reliability.crash import expect, fork

TICK: Final = 0.1
"""Seconds between two commits of the intake."""

STEPS: Final = ("fill", "catch up", "compare", "switch")
AT_ANY_TIME: Final = "at any time"
NEVER: Final = "never"

PART: Final = 500
"""Events of a part: small, so that there are many marks to die between."""

_TYPES: Final = ("page.viewed", "page.viewed", "form.submitted", "email.clicked", "demo.requested")


@dataclass(slots=True)
class Found:
    """What happened."""

    events: int = 0
    reads: int = 0
    wrong: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)
    """By the step in which the rebuild died."""
    rebuilds: int = 0
    """That came to their end, and switched."""
    resumed: int = 0
    """Parts that a rebuild found done."""
    longest_read: float = 0.0
    """Seconds."""
    same: bool = False
    """Whether the digests in the end are those of one fold of the whole log."""


def events(count: int, seed: int, start: int = 0) -> Iterator[bytes]:
    """Yield events of people who come back, some of whom are anonymous at first."""
    draw = Random(seed)
    for number in range(start, start + count):
        who = draw.randrange(50) if draw.random() < 0.05 else draw.randrange(10_000)
        person: dict[str, Any] = {"email": f"p{who}@example.com"}
        type_ = draw.choice(_TYPES)
        if type_ == "page.viewed" and draw.random() < 0.3:
            person = {"anonymous_id": f"c{who}"}
        elif type_ == "form.submitted" and draw.random() < 0.1:
            person["anonymous_id"] = f"c{who}"
        data = {"message": f"m{number}"} if type_ == "email.clicked" else None
        yield kit.sent(f"e{number}", type_, at=number % 86_000, data=data, **person)


# --- the processes --------------------------------------------------------------------------------


def take_in(url: str, values: list[bytes], *, batch: int, pause: float) -> None:
    """Commit *values*, *batch* at a time, with at most one batch per *pause* seconds."""
    with kit.opened(url) as store:
        claim = store.claim(kit.STREAM, [0])[0]
        position = claim.position
        intake = Intake(store, kit.policy())
        due = time.monotonic()
        for start in range(0, len(values), batch):
            some = kit.records(values[start : start + batch], position)
            reached = position + len(some)
            intake.process(some, {(kit.STREAM, 0): (position, reached, claim.epoch)})
            position = reached
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))


def keep_up(url: str, until: Callable[[], bool]) -> None:
    """Project what comes."""
    engine = migrate.make_engine(url)
    with kit.opened(url) as store:
        runner = Runner(engine, store, kit.policy())
        while not until():
            runner.catch_up(2_000)
            time.sleep(TICK / 2)
    engine.dispose()


def ask(url: str, until: Callable[[], bool]) -> dict[str, Any]:
    """Read through the views in a loop; return how often, and what was wrong."""
    engine = migrate.make_engine(url)
    log = "leadflow.stored_events" if url.startswith("postgresql") else "stored_events"
    reads, longest, wrong = 0, 0.0, []
    facts, counted, before = 0, 0, 0
    while not until():
        start = time.monotonic()
        try:
            with snapshot(engine) as connection:
                names = _names(connection)
                position = _number(connection, f"SELECT position FROM {names}checkpoints")
                facts += _number(
                    connection,
                    f"SELECT count(*) FROM {log} WHERE notification_id > {counted}"
                    f" AND notification_id <= {position} AND topic LIKE '{FACT_TOPIC}%'",
                )
                counted = max(counted, position)
                said = {
                    "facts": _number(connection, f"SELECT sum(events) FROM {names}v_pipeline"),
                    "by lead": _number(connection, f"SELECT sum(leads) FROM {names}v_sources"),
                    "leads": _number(connection, f"SELECT count(*) FROM {names}v_pipeline"),
                    "people": _number(connection, f"SELECT count(*) FROM {names}v_people"),
                }
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is counted here
            wrong.append(f"{type(error).__name__}: {error}"[:300])
            continue
        if position < before:
            wrong.append(f"went back from {before} to {position}")
        elif said["facts"] != facts:
            wrong.append(f"at {position}: {said['facts']} of {facts} facts")
        elif not said["leads"] == said["people"] == said["by lead"]:
            wrong.append(f"at {position}: {said}")
        before = max(before, position)
        reads += 1
        longest = max(longest, time.monotonic() - start)
        time.sleep(0.002)
    engine.dispose()
    return {"reads": reads, "wrong": wrong[:10], "longest": longest}


def _names(connection: Connection) -> str:
    return f"{SCHEMA}." if connection.dialect.name == "postgresql" else ""


def _number(connection: Connection, query: str) -> int:
    return int(connection.execute(text(query)).scalar() or 0)


def remake(url: str, die: str, after: float, told: Path) -> dict[str, Any]:
    """Rebuild; die at the step *die*, or *after* seconds."""

    def step(name: str) -> None:
        told.write_text(name)
        if name == die:
            os.kill(os.getpid(), signal.SIGKILL)

    told.write_text("begin")
    if after:
        signal.setitimer(signal.ITIMER_REAL, after)  # its signal ends a process at once
    engine = migrate.make_engine(url)
    with kit.opened(url) as store:
        report = rebuild(engine, store, kit.policy, on_step=step, part=PART)
    signal.setitimer(signal.ITIMER_REAL, 0)
    engine.dispose()
    return {
        "switched": report.switched,
        "resumed": report.resumed,
        "differences": report.differences,
        "rows": str(report.rows),
    }


# --- all of them together -------------------------------------------------------------------------


def begin(url: str, count: int, seed: int) -> None:
    """Fill the log with *count* events, and project them."""
    take_in(url, list(events(count, seed)), batch=2_000, pause=0)
    engine = migrate.make_engine(url)
    with kit.opened(url) as store:
        runner = Runner(engine, store, kit.policy())
        runner.create()
        runner.catch_up()
    engine.dispose()


def run(url: str, folder: Path, *, seconds: float, rate: int, history: int, seed: int) -> Found:
    """Rebuild, kill and read for about *seconds* while *rate* events a second come."""
    draw = Random(seed)
    found = Found(events=history + int(rate * seconds))
    status, _ = fork(lambda: begin(url, history, seed))
    expect(status, "the beginning")
    coming = list(events(int(rate * seconds), seed + 1, history))
    context = multiprocessing.get_context("fork")
    stop, read = context.Event(), context.SimpleQueue()
    workers = [
        context.Process(
            target=take_in,
            args=(url, coming),
            kwargs={"batch": max(1, int(rate * TICK)), "pause": TICK},
        ),
        context.Process(target=keep_up, args=(url, stop.is_set)),
        context.Process(target=lambda: read.put(ask(url, stop.is_set))),
    ]
    for worker in workers:
        worker.start()
    told = folder / "step"
    while workers[0].is_alive() or not found.rebuilds:
        die = draw.choice([*STEPS, AT_ANY_TIME, AT_ANY_TIME, NEVER])
        after = draw.uniform(0.05, 2.0) if die == AT_ANY_TIME else 0.0
        status, outcome = fork(partial(remake, url, die, after, told))
        if os.WIFSIGNALED(status):
            at = told.read_text()
            found.kills[at] = found.kills.get(at, 0) + 1
            continue
        expect(status, "a rebuild")
        found.resumed += outcome["resumed"]
        if outcome["switched"]:
            found.rebuilds += 1
        else:
            found.wrong.append(f"not switched: {outcome}")
            break
    workers[0].join()
    time.sleep(3 * TICK)
    stop.set()
    answers = read.get()
    for worker in workers:
        worker.join()
        expect(worker.exitcode or 0, "a worker")
    found.reads, found.longest_read = answers["reads"], round(answers["longest"], 3)
    found.wrong += answers["wrong"]
    _, found.same = fork(lambda: is_right(url))
    return found


def is_right(url: str) -> bool:
    """Return whether the live set, caught up, is what one fold of the whole log makes."""
    engine, afresh = migrate.make_engine(url), read_model_database()
    with kit.opened(url) as store:
        live, other = Runner(engine, store, kit.policy()), Runner(afresh, store, kit.policy())
        live.catch_up()
        other.catch_up()
        same = live.digest() == other.digest()
    engine.dispose()
    afresh.dispose()
    return same


def prepare(url: str) -> Engine:
    """Make the tables of the store."""
    migrate.upgrade(url)
    return read_models(migrate.make_engine(url))


def main() -> None:
    """Run for long, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--history", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    outcome = {}
    options = {
        "seconds": asked.seconds,
        "rate": asked.rate,
        "history": asked.history,
        "seed": asked.seed,
    }
    with kit.quick_folder() as folder:
        url = f"sqlite:///{folder / 'leadflow.db'}"
        prepare(url).dispose()
        outcome["sqlite"] = asdict(run(url, folder, **options))
        with PostgresServer() as server, server.database() as url:
            prepare(url).dispose()
            outcome["postgresql"] = asdict(run(url, folder, **options))
    json.dump(outcome, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
