"""Where benchmarks run: a broker with topics, databases with and without a history, processes."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import make_url

from consumers.stream import Sink
from leadflow.simulate import market_for_events, simulate, to_json
from leadflow.store import migrate
from tests.bench.took import Took
from tests.kafka.fetch import KafkaMissingError
from tests.kafka.fixtures import create_topic
from tests.kafka.server import KafkaServer, Server, TansuServer
from tests.postgres import PostgresServer

SQLITE: Final = "SQLite"
POSTGRES: Final = "PostgreSQL"
DATABASES: Final = (SQLITE, POSTGRES)

DURABLE: Final = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}
"""A benchmark pays for durability, unlike a test."""

Run = Callable[..., Took]


def say(text: str) -> None:
    """Tell the person who waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run_apart(job: str, **arguments: Any) -> Took:
    """Do a job of `tests.bench.jobs` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.jobs", job],
        input=msgspec.json.encode(arguments),
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Took)


class Place:
    """Everything is made when first asked for, and gone when the context is left."""

    def __init__(
        self,
        run: Run = run_apart,
        broker: Server | None = None,
        postgres: PostgresServer | None = None,
    ) -> None:
        self.run = run
        self._broker = broker
        self._postgres = postgres
        self._ends = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="leadflow-bench-"))
        self._topics: dict[int, str] = {}
        self._histories: dict[tuple[str, int], tuple[str, Took]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def bootstrap(self) -> str:
        """Return the address of Apache Kafka, or of Tansu where there is no Java."""
        if self._broker is None:
            try:
                server: Server = KafkaServer()
            except KafkaMissingError as error:
                say(f"*** Apache Kafka is missing ({error}): Tansu takes its place ***")
                server = TansuServer()
            say(f"starting {'Apache Kafka' if server.is_apache else 'Tansu'}")
            self._broker = self._ends.enter_context(server)
        return self._broker.bootstrap_servers

    def topic(self, events: int) -> str:
        """Return a topic of four partitions with so many simulated events."""
        if events not in self._topics:
            topic = create_topic(self.bootstrap)
            say(f"sending {events:,} simulated events")
            # Uncompressed: what a broker's decompression costs says nothing about either side.
            with Sink(self.bootstrap, compression=None) as sink:
                for envelope in simulate(market_for_events(events)).first(events).events:
                    sink.send(topic, envelope.key.encode(), to_json(envelope.event))
            self._topics[events] = topic
        return self._topics[events]

    def file(self) -> Path:
        """Return the path of a file that does not exist yet."""
        return self._folder / f"{uuid4().hex}.db"

    @contextmanager
    def database(self, kind: str) -> Iterator[str]:
        """Lend the URL of a database with empty tables of the event store."""
        with self._new(kind) as url:
            migrate.upgrade(url)
            yield url

    def history(self, kind: str, events: int) -> str:
        """Return a database in which intake has stored so many records."""
        return self._history(kind, events)[0]

    def stored(self, kind: str, events: int) -> Took:
        """Return what storing the history took."""
        return self._history(kind, events)[1]

    def _history(self, kind: str, events: int) -> tuple[str, Took]:
        if (kind, events) not in self._histories:
            url = self._ends.enter_context(self.database(kind))
            topic = self.topic(events)
            say(f"storing {events:,} events in {kind}")
            took = self.run(
                "intake", bootstrap=self.bootstrap, topic=topic, events=events, database=url
            )
            self._histories[kind, events] = url, took
        return self._histories[kind, events]

    @contextmanager
    def copy(self, kind: str, events: int) -> Iterator[str]:
        """Lend a copy of a history, to write into."""
        original = make_url(self.history(kind, events)).database or ""
        if kind == SQLITE:
            path = self.file()
            shutil.copyfile(original, path)
            yield f"sqlite:///{path}"
            path.unlink()
        else:
            with self._new(kind, original) as url:
                yield url

    @contextmanager
    def _new(self, kind: str, template: str = "template0") -> Iterator[str]:
        if kind == SQLITE:
            yield f"sqlite:///{self.file()}"
            return
        server = self._server()
        name = f"bench_{uuid4().hex}"
        with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            yield server.url(name)
            connection.execute(
                sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            )

    def _server(self) -> PostgresServer:
        if self._postgres is None:
            say("starting PostgreSQL")
            self._postgres = self._ends.enter_context(PostgresServer(DURABLE))
        return self._postgres


def machine() -> str:
    """Return what the figures depend on: processors, load, Python."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores, load {load} at the start, Python {version}"
