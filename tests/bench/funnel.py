"""The funnel row: a windowed, ordered funnel over many events, beside DuckDB and polars.

All three read the same Parquet file in the same run and must count the same. DuckDB and polars
get the question in the form that is fastest for them, the latest start that leads to each step:
of a step's events the latest before, by an as-of join (DuckDB) or a running maximum (polars). They
count subjects, while ours tells every subject's chain.

Each is imported where it works: what is imported here would be in the memory of every other job.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from projections.funnel_columns import chains
from tests.bench.report import Line, rates
from tests.bench.took import Took

STEPS: Final = 4
KINDS: Final = 8
"""Kinds of event: the first four are the steps."""

SHARES: Final = (0.2, 0.12, 0.1, 0.05, 0.2, 0.13, 0.1, 0.1)
EACH: Final = 20
"""Events a subject has, on average."""

SPAN: Final = 90 * 86_400 * 1_000_000
WINDOW: Final = 14 * 86_400 * 1_000_000
THREADS: Final = 2
ROW_GROUP: Final = 122_880
"""Rows that Parquet keeps together: what DuckDB itself writes."""

MEGABYTE: Final = 1_000_000


def write_events(path: Path, events: int) -> None:
    """Write so many seeded events, sorted by subject and instant: as Parquet and as columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(20_261_122)
    subjects = max(events // EACH, 1)
    key = random.integers(0, subjects, events) * SPAN + random.integers(0, SPAN, events)
    key.sort()
    columns = {
        "subject": (key // SPAN).astype(np.int32),
        "at_us": key % SPAN,
        "kind": random.choice(KINDS, events, p=SHARES).astype(np.uint8),
    }
    pq.write_table(pa.table(columns), path, row_group_size=ROW_GROUP)
    for name, column in columns.items():
        np.save(path.with_suffix(f".{name}.npy"), column)


def _columns(path: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the columns of the file; batch by batch, so that no more than they are in memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        rows = file.metadata.num_rows
        columns = (np.empty(rows, np.int32), np.empty(rows, np.int64), np.empty(rows, np.uint8))
        start = 0
        for batch in file.iter_batches(ROW_GROUP):
            for whole, part in zip(columns, batch.columns, strict=True):
                whole[start : start + len(part)] = part.to_numpy()
            start += batch.num_rows
    return columns


def of_columns(path: str) -> Took:
    """Find the chains of all subjects, of columns that are in memory."""
    subject, at, kind = (
        np.load(Path(path).with_suffix(f".{name}.npy")) for name in ("subject", "at_us", "kind")
    )
    return _chained(subject, at, kind, perf_counter())


def of_parquet(path: str) -> Took:
    """Find the chains of all subjects, reading the file included."""
    start = perf_counter()
    return _chained(*_columns(path), start)


def _chained(subject: NDArray[Any], at: NDArray[Any], kind: NDArray[Any], start: float) -> Took:
    masks = np.zeros(256, np.uint8)
    masks[:STEPS] = [1 << k for k in range(STEPS)]
    found = chains(subject, at, masks[kind], STEPS, window=WINDOW)
    return Took(perf_counter() - start, len(at), parts=_told(found.reached(STEPS)))


def in_duckdb(path: str) -> Took:
    """Count with as-of joins: the latest start of the latest chain so far is the best one."""
    import duckdb

    events = f"read_parquet('{path}')"
    parts = [f"s0 AS (SELECT subject, at_us, at_us AS start FROM {events} WHERE kind = 0)"]
    parts += [
        f"s{k} AS (SELECT e.subject, e.at_us, s.start"
        f" FROM (SELECT subject, at_us FROM {events} WHERE kind = {k}) e"
        f" ASOF JOIN s{k - 1} s ON e.subject = s.subject AND e.at_us >= s.at_us"
        f" WHERE e.at_us - s.start <= {WINDOW})"
        for k in range(1, STEPS)
    ]
    counts = [f"(SELECT count(DISTINCT subject) FROM s{k})" for k in range(STEPS)]
    query = f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"
    with duckdb.connect(config={"threads": THREADS}) as connection:
        start = perf_counter()
        row = connection.execute(query).fetchone()
        seconds = perf_counter() - start
    assert row is not None
    return Took(seconds, _rows(path), parts=_told(row))


def _rows(path: str) -> int:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def in_polars(path: str) -> Took:
    """Count with expressions over each subject."""
    import polars as pl

    at, kind = pl.col("at_us"), pl.col("kind")
    start = perf_counter()
    frame = pl.scan_parquet(path).filter(kind < STEPS)
    best = pl.when(kind == 0).then(at)
    reached = [pl.col("subject").filter(kind == 0).n_unique().alias("0")]
    for k in range(1, STEPS):
        # A running maximum has nothing where its column has nothing: fill it forward.
        latest = best.cum_max().forward_fill().over("subject")
        frame = frame.with_columns(latest.alias(f"best{k}"))
        got = (kind == k) & (at - pl.col(f"best{k}") <= WINDOW)
        reached.append(pl.col("subject").filter(got).n_unique().alias(str(k)))
        best = pl.when(got).then(pl.col(f"best{k}"))
    row = frame.select(reached).collect().row(0)
    seconds = perf_counter() - start
    return Took(seconds, _rows(path), parts=_told(row))


def _told(reached: Sequence[int]) -> dict[str, float]:
    return {f"step {k}": float(n) for k, n in enumerate(reached, 1)}


def funnel(place: Any, events: int, rounds: int) -> Sequence[Line]:
    """Measure all three on the same events, and refuse to tell a ratio of other answers."""
    path = place.file().with_suffix(".parquet")
    write_events(path, events)
    sides = [partial(place.run, name, path=str(path)) for name in JOBS]
    took: list[list[Took]] = [[side() for side in sides] for _ in range(rounds)]
    for one in took:
        answers = {tuple(side.parts[f"step {k}"] for k in range(1, STEPS + 1)) for side in one}
        if len(answers) > 1:
            raise AssertionError(f"they do not count the same: {answers}")
    columns, parquet, duck, bear = (list(side) for side in zip(*took, strict=True))
    lines = [
        rates(
            "funnel",
            what,
            [one.rate for one in own],
            against,
            [one.rate for one in base],
            least_ratio=least,
        )
        for what, own, against, base, least in (
            ("chains, of columns", columns, "DuckDB, Parquet", duck, 0.5),
            ("chains, of Parquet", parquet, "DuckDB, Parquet", duck, None),
            ("chains, of columns", columns, "polars, Parquet", bear, None),
        )
    ]
    peak = max(one.peak for one in columns) / MEGABYTE
    base = median(one.peak for one in duck) / MEGABYTE
    lines.append(
        Line(
            "funnel",
            f"memory, {events:,} events in columns",
            "MB",
            peak,
            peak,
            "DuckDB",
            base,
            base,
            peak / base,
            "<= 300 MB",
            peak <= 300,
        )
    )
    for file in path.parent.glob(f"{path.stem}.*"):
        file.unlink()
    return lines


JOBS: Final = {
    "funnel of columns": of_columns,
    "funnel of Parquet": of_parquet,
    "funnel in DuckDB": in_duckdb,
    "funnel in polars": in_polars,
}
"""The pieces of work, each to be done in a process of its own."""
