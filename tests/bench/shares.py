"""Where the time of a piece of work goes: functions are wrapped, each told its own time only."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from time import perf_counter
from typing import Any

Part = tuple[str, str]
"""`module:attribute` or `module:Class.method`, and the name of the part its time counts for."""

INTAKE: Sequence[Part] = (
    ("consumers.stream:Source.poll", "fetch"),
    ("consumers.worker:Worker._gather", "gather"),
    ("consumers.intake:_parse", "parse"),
    ("consumers.intake:Intake._fresh", "dedupe"),
    ("leadflow.store.sqlite:SQLiteStore.seen", "dedupe, query"),
    ("leadflow.store.postgres:PostgresStore.seen", "dedupe, query"),
    ("consumers.families:Families.prepare", "resolve"),
    ("leadflow.store.sqlite:SQLiteStore.leads_of", "resolve, query"),
    ("leadflow.store.postgres:PostgresStore.leads_of", "resolve, query"),
    ("leadflow.store.base:Store.load", "load leads"),
    ("consumers.families:Families.take", "take"),
    ("consumers.families:decide", "decide"),
    ("consumers.families:Families._tell_apart", "tell apart"),
    ("consumers.families:Families._join", "merge"),
    ("consumers.families:Families.evict", "evict"),
    ("leadflow.store.base:encode", "encode"),
    ("leadflow.store.sqlite:SQLiteTransaction.insert_seen", "insert seen"),
    ("leadflow.store.postgres:PostgresTransaction.insert_seen", "insert seen"),
    ("leadflow.store.sqlite:SQLiteTransaction.append", "insert events"),
    ("leadflow.store.postgres:PostgresTransaction.append", "insert events"),
    ("leadflow.store.sqlite:SQLiteTransaction.insert_identifiers", "insert identifiers"),
    ("leadflow.store.postgres:PostgresTransaction.insert_identifiers", "insert identifiers"),
    ("leadflow.store.sqlite:SQLiteStore.commit", "begin, commit"),
    ("leadflow.store.postgres:PostgresStore.commit", "begin, commit"),
)

PROJECTIONS: Sequence[Part] = (
    ("leadflow.store.base:Store.stream", "decode"),
    ("leadflow.store.sqlite:SQLiteStore.rows_after", "read"),
    ("leadflow.store.postgres:PostgresStore.rows_after", "read"),
    ("projections.batch:Batch.__init__", "group"),
    ("projections.batch:Batch.project", "project"),
    ("projections.batch:Batch._refold", "read leads again"),
    ("projections.writer:SQLiteWriter.write", "write"),
    ("projections.writer_postgres:PostgresWriter.write", "write"),
)

REPLAY: Sequence[Part] = (
    ("tests.bench.jobs:fold", "fold"),
    ("tests.bench.jobs:fold_streams", "fold"),
)


class Shares:
    """Seconds by part. A function's time is its own, without that of wrapped ones it calls."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._calls: list[list[float]] = [[0.0, 0.0]]
        """Of each call under way, when it began and the time of wrapped functions it called."""

    def reset(self) -> None:
        """Count from now on, also for the calls under way."""
        self.parts = dict.fromkeys(self.parts, 0.0)
        now = perf_counter()
        self._calls = [[now, 0.0] for _ in self._calls]

    def wrap(self, plain: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return *plain*, with its time counted for the part *name*."""
        self.parts.setdefault(name, 0.0)

        @wraps(plain)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._calls.append([perf_counter(), 0.0])
            try:
                return plain(*args, **kwargs)
            finally:
                since, inner = self._calls.pop()
                took = perf_counter() - since
                self.parts[name] += took - inner
                self._calls[-1][1] += took

        return wrapped


@contextmanager
def measure(parts: Sequence[Part]) -> Iterator[Shares]:
    """Wrap the functions of *parts* until the context is left."""
    shares = Shares()
    wrapped: list[tuple[Any, str, Any]] = []
    for place, name in parts:
        module, _, path = place.partition(":")
        owner: Any = import_module(module)
        *classes, attribute = path.split(".")
        for each in classes:
            owner = getattr(owner, each)
        plain = getattr(owner, attribute)
        wrapped.append((owner, attribute, plain))
        setattr(owner, attribute, shares.wrap(plain, name))
    try:
        yield shares
    finally:
        for owner, attribute, plain in reversed(wrapped):
            setattr(owner, attribute, plain)


def table(title: str, seconds: float, events: int, parts: dict[str, float]) -> str:
    """Return the shares as a table, the largest first: share, and microseconds an event."""
    shown = {name: spent for name, spent in parts.items() if spent > 0}
    rows = sorted(shown.items(), key=lambda part: -part[1])
    rows += [("rest", seconds - sum(shown.values())), ("all of it", seconds)]
    lines = [f"{title}: {events:,} events, {events / seconds:,.0f}/s with the clocks in place"]
    lines += [
        f"  {name:<20} {100 * spent / seconds:5.1f} %  {spent / events * 1e6:7.2f} us"
        for name, spent in rows
    ]
    return "\n".join(lines)
