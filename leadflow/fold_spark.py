"""Fold an export of facts in Apache Spark: the leads on as many machines as there are.

The streams of one family meet in one partition (``repartition`` by what stands for the family),
in the order of stream and version, and go through the same fold as everywhere. Each row comes back
with the key that it sorts by and the bytes that count in a digest; Spark sorts them, and one pass
over each read model hashes them.

Executors need leadflow installed as the driver has it, and to see the folder of the export.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from domain.book import Rules
from domain.events import Event
from leadflow.fold import TABLES, Folded, Folder
from leadflow.fold_files import COLUMNS, FactsExport, by_stream, decoded
from projections.lines import Line, columns_of, digest_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA: Final = "name string, key binary, line binary, events long, leads long"
"""A row of a read model; or, with an empty name, how much a partition has folded."""

_AT_ONCE: Final = 10_000
"""Lines in one batch."""


class SparkMissing(Exception):
    """Spark is not there; the message names the extra, or what else it takes."""


def spark_session(master: str | None = None, partitions: int = 1) -> "SparkSession":
    """Return a session of Spark at *master*, or as its own configuration says.

    *partitions*: how many there are behind a shuffle.

    Raises SparkMissing.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise SparkMissing(
            "folding in Spark needs pyspark: pip install 'leadflow[spark]', and Java 17;"
            " --engine processes needs neither"
        ) from None
    builder = SparkSession.builder.appName("leadflow fold")
    if master is not None:
        builder = builder.master(master)
        if master.startswith("local"):
            # else its processes would run whatever python3 comes first, without leadflow
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        session: SparkSession = (
            builder.config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", str(partitions))
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
    except (PySparkException, OSError, RuntimeError) as error:
        raise SparkMissing(f"Spark does not start, it needs Java 17: {error}") from error
    return session


def fold_in_spark(
    export: FactsExport, session: "SparkSession", partitions: int, to: Path | None = None
) -> Folded:
    """Fold *export* in *partitions* of *session*; write the rows as Parquet into *to*, if given."""
    lines = _facts(export, session, partitions).mapInArrow(_folding(export.rules()), SCHEMA)
    lines = lines.cache()
    try:
        counted = lines.where("name = ''").groupBy().sum("events", "leads").first()
        events, leads = (0, 0) if counted is None else (counted[0] or 0, counted[1] or 0)
        rows, digests = _digests(lines)
        if to is not None:
            for name in TABLES:
                _write(lines, name, to)
        return Folded(export.position, int(events), int(leads), rows, digests)
    finally:
        lines.unpersist()


def _facts(export: FactsExport, session: "SparkSession", partitions: int) -> "DataFrame":
    """Return the facts, families together, each in the order of stream and version."""
    from pyspark.sql import functions as f

    facts = session.read.parquet(*(str(path.absolute()) for path in export.parts()))
    roots = session.createDataFrame(_table(export.roots()))
    family = f.coalesce("root", "stream").alias("family")
    return (
        facts.select(*COLUMNS)
        .join(f.broadcast(roots), "stream", "left")
        .select(family, *COLUMNS)
        .repartition(partitions, "family")
        .sortWithinPartitions("family", "stream", "version")
    )


def _table(roots: Mapping[str, str]) -> Any:
    """Return the streams of merged leads as a table, which Spark takes as a whole."""
    import pyarrow as pa

    kinds = pa.schema([("stream", pa.string()), ("root", pa.string())])
    return pa.table({"stream": list(roots), "root": list(roots.values())}, schema=kinds)


def _folding(rules: Rules) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """Return what folds one partition; it goes to the executors."""

    def fold(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as pa

        schema = pa.schema(
            [
                ("name", pa.string()),
                ("key", pa.binary()),
                ("line", pa.binary()),
                ("events", pa.int64()),
                ("leads", pa.int64()),
            ]
        )
        made: list[tuple[str, bytes, bytes]] = []

        def take(name: str, lines: list[Line]) -> None:
            made.extend((name, line.key, line.text) for line in lines)

        def batch(rows: list[tuple[Any, ...]]) -> Any:
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(column, type=field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            return pa.record_batch(arrays, schema=schema)

        folder = Folder(rules, take)
        for streams in _families(batches):
            folder.add(streams)
            while len(made) >= _AT_ONCE:
                yield batch([(*line, None, None) for line in made[:_AT_ONCE]])
                del made[:_AT_ONCE]
        folder.add_all(())
        yield batch(
            [("", b"", b"", folder.events, folder.leads), *((*line, None, None) for line in made)]
        )

    return fold


def _families(batches: Iterable[Any]) -> Iterator[dict[str, list[Event]]]:
    rows = (
        row
        for batch in batches
        for row in zip(*(batch.column(n).to_pylist() for n in ("family", *COLUMNS)), strict=True)
    )
    for _, family in groupby(rows, key=itemgetter(0)):
        streams = by_stream(
            (stream, version, name, state) for _, stream, version, name, state in family
        )
        yield {stream: decoded(stored) for stream, stored in streams}


def _digests(lines: "DataFrame") -> tuple[dict[str, int], dict[str, str]]:
    """Return rows and digest of each read model, all of it sorted once."""
    rows, digests = dict.fromkeys(TABLES, 0), {name: digest_of(()) for name in TABLES}
    ordered = lines.where("name <> ''").select("name", "key", "line").sort("name", "key")
    for name, group in groupby(ordered.toLocalIterator(prefetchPartitions=True), key=itemgetter(0)):
        numbered = enumerate((bytes(row[2]) for row in group), 1)
        digests[name] = digest_of(_counting(numbered, name, rows))
    return rows, digests


def _counting(
    numbered: Iterable[tuple[int, bytes]], name: str, rows: dict[str, int]
) -> Iterator[bytes]:
    """Yield the lines of *name*, and keep in *rows* how many there were."""
    for number, line in numbered:
        rows[name] = number
        yield line


def _write(lines: "DataFrame", name: str, to: Path) -> None:
    """Write the rows of one read model; in place of the number of the lead stands its id."""
    from pyspark.sql import functions as f

    kinds = {int: "bigint", str: "string"}
    columns = columns_of(TABLES[name])
    schema = ", ".join(f"`{column}` {kinds[kind]}" for column, kind in columns.items())
    mine = lines.where(lines.name == name).select("key", f.col("line").cast("string"))
    rows = mine.sortWithinPartitions("key").select(f.from_json("line", schema).alias("row"))
    rows.select("row.*").write.mode("overwrite").parquet(str((to / name).absolute()))
