"""The log as Parquet, by hash of the lead: what a fold on other machines reads.

::

    facts/bucket=00/part.parquet   position, stream, version, name, state
    merged.parquet                 stream, into
    manifest.json

One row per stored event, in the order of stream and version: ``name`` is the name it is stored
under, ``state`` the stored JSON. A stream lies in one bucket as a whole; streams that were merged
into one lead (``merged.parquet``) may lie in several. Publications of policies are events too;
the policy in force before the first of them is in the manifest.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from msgspec import to_builtins

from domain.book import PolicyBook
from leadflow.export_files import PARQUET, export_folder, pyarrow, write_manifest
from leadflow.store.base import Position, Store

MERGED: Final = "merged.parquet"

ROWS: Final = 16_384
"""Events in a row group, and in memory at a time."""

_TRIES: Final = 16


class PersonalDataRefused(Exception):
    """What was asked for holds personal data, and nobody said that it may."""


def part_path(bucket: int) -> str:
    """Return where the events of *bucket* lie in the export."""
    return f"facts/bucket={bucket:02d}/part.parquet"


def export_facts(
    store: Store,
    rules: PolicyBook,
    to: Path,
    buckets: int = 1,
    *,
    personal: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Write the log of *store* into the folder *to* and return the manifest.

    Facts hold what people wrote and who they are: *personal* says that they may be copied.

    Raises PersonalDataRefused, ExportRefused, ColumnsMissing, StoreUnavailable.
    """
    if not personal:
        raise PersonalDataRefused(
            "facts hold names, addresses and whatever else people sent: say --personal to export"
            " them all the same, or export views (--relations)"
        )
    if not 1 <= buckets <= 4_096:
        raise ValueError(f"{buckets} buckets: there can be 1 to 4096")
    arrow = pyarrow()
    upto, merged = _snapshot(store)
    rows: dict[str, int] = {}
    with export_folder(to, force=force) as folder:
        for bucket in range(buckets):
            path = part_path(bucket)
            (folder / path).parent.mkdir(parents=True)
            rows[path] = _write_part(
                arrow, folder / path, store.rows_by_stream(upto, bucket, buckets)
            )
        table = arrow.table(
            {"stream": sorted(merged), "into": [merged[stream] for stream in sorted(merged)]},
            schema=arrow.schema([("stream", arrow.string()), ("into", arrow.string())]),
        )
        arrow.parquet.write_table(table, folder / MERGED, **PARQUET)
        rows[MERGED] = len(merged)
        said = {
            "kind": "facts",
            "position": upto,
            "events": sum(rows.values()) - len(merged),
            "buckets": buckets,
            "personal": True,
            "policies": list(rules.versions),
            "base_policy": {
                "version": rules.base.version,
                "document": to_builtins(rules.base.document),
            },
        }
        return dict(write_manifest(folder, said, rows))


def _snapshot(store: Store) -> tuple[int, dict[str, str]]:
    """Return the end of the log and the merges up to there.

    Where the log never stands still, merges may be among them whose events come later: a fold
    goes by the events, and takes them for leads that are not merged yet.
    """
    for _ in range(_TRIES):
        upto, merged = store.head(), store.merged()
        if store.head() == upto:
            break
    return upto, merged


def _schema(arrow: Any) -> Any:
    return arrow.schema(
        [
            arrow.field("position", arrow.int64(), nullable=False),
            arrow.field("stream", arrow.string(), nullable=False),
            arrow.field("version", arrow.int32(), nullable=False),
            arrow.field("name", arrow.string(), nullable=False),
            arrow.field("state", arrow.binary(), nullable=False),
        ]
    )


def _write_part(arrow: Any, path: Path, rows: Iterator[Position]) -> int:
    """Write one bucket, a row group at a time; return the number of its events."""
    schema = _schema(arrow)
    count = 0
    with arrow.parquet.ParquetWriter(path, schema, **PARQUET) as writer:
        while page := list(islice(rows, ROWS)):
            columns = [
                arrow.array(column, type=field.type)
                for column, field in zip(zip(*page, strict=True), schema, strict=True)
            ]
            writer.write_batch(arrow.record_batch(columns, schema=schema), row_group_size=ROWS)
            count += len(page)
    return count
