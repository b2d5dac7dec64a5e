"""An export of facts, read back to fold it: which streams are one family, who judges, what is said.

The layout is the one of ``leadflow.export_facts``.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from domain.book import POLICY_STREAM, PolicyBook
from domain.events import Event
from leadflow.export_facts import MERGED, part_path
from leadflow.export_files import ExportRefused, pyarrow, read_manifest, verify
from leadflow.policy_book import book_of, stored_policy
from leadflow.store.codec import decode
from projections.fill import families

COLUMNS: Final = ("stream", "version", "name", "state")
"""What a fold reads of a stored event; its position only says that it is there."""

Stored = tuple[str, int, str, bytes]
"""Stream, version, name and state of one event."""


class FactsExport:
    """The events of one log in a folder of Parquet files."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest. Raises ExportRefused and ColumnsMissing."""
        self._arrow = pyarrow()
        self.folder = folder
        self.manifest: Mapping[str, Any] = read_manifest(folder)
        if self.manifest.get("kind") != "facts":
            raise ExportRefused(
                f"{folder} holds no facts but {self.manifest.get('kind')}: export them with"
                " `leadflow export --facts --personal`"
            )

    @property
    def position(self) -> int:
        """Return the last position of the log that was exported."""
        return int(self.manifest["position"])

    @property
    def buckets(self) -> int:
        """Return in how many parts the streams lie."""
        return int(self.manifest["buckets"])

    def check(self) -> None:
        """Make sure that every file is as the manifest says. Raises ExportRefused."""
        found = [f"{finding.path} is {finding.problem}" for finding in verify(self.folder)]
        if found:
            raise ExportRefused(
                f"{self.folder} is not what its manifest says: {', '.join(found)}; export it again"
            )

    def part(self, bucket: int) -> Path:
        """Return the file of one bucket."""
        return self.folder / part_path(bucket)

    def parts(self) -> list[Path]:
        """Return the files of all buckets."""
        return [self.part(bucket) for bucket in range(self.buckets)]

    def roots(self) -> dict[str, str]:
        """Return every stream of a merged lead, with one of them that stands for all."""
        table = self._arrow.parquet.read_table(self.folder / MERGED)
        merged = zip(table["stream"].to_pylist(), table["into"].to_pylist(), strict=True)
        return {
            stream: root
            for family in families(merged)
            for root in [min(family)]
            for stream in family
        }

    def rules(self) -> PolicyBook:
        """Return the policies that judge: those that were published, and the one before them.

        Raises PolicyInvalid.
        """
        wanted = [("stream", "==", POLICY_STREAM)]
        rows: list[Stored] = []
        for path in self.parts():
            table = self._arrow.parquet.read_table(path, columns=list(COLUMNS), filters=wanted)
            rows += _rows(table)
        base = self.manifest["base_policy"]
        return book_of(decoded(sorted(rows)), stored_policy(base["version"], base["document"]))


def stored(path: Path) -> Iterator[Stored]:
    """Yield the events of one file, by stream and version, a row group in memory at a time."""
    with pyarrow().parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(COLUMNS)):
            yield from _rows(batch)


def by_stream(rows: Iterable[Stored]) -> Iterator[tuple[str, list[Stored]]]:
    """Yield each stream with its rows, which come one stream after the other."""
    for stream, group in groupby(rows, key=itemgetter(0)):
        yield stream, list(group)


def decoded(rows: Iterable[Stored]) -> list[Event]:
    """Return the events of *rows*. Raises UnknownTopic."""
    return [decode(name, state) for _, _, name, state in rows]


def _rows(table: Any) -> Iterator[Stored]:
    return zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)


class Family:
    """The history of the streams of one merged lead: as much of the log as it takes to fold it."""

    def __init__(self, streams: Mapping[str, list[Event]]) -> None:
        self._streams = streams

    def head(self) -> int:
        """Return 0: positions tell nothing here."""
        return 0

    def stream(self, after: int, limit: int) -> list[tuple[int, str, int, Event]]:
        """Refuse: a family is read as a whole."""
        raise NotImplementedError("a family is read by its streams")

    def histories(self, streams: Collection[str]) -> dict[str, list[Event]]:
        """Return the events of *streams*."""
        return {stream: self._streams[stream] for stream in streams if stream in self._streams}

    def all_streams(
        self, upto: int, bucket: int = 0, buckets: int = 1
    ) -> Iterator[tuple[str, list[Event]]]:
        """Refuse: a family is read as a whole."""
        raise NotImplementedError("a family is read by its streams")

    def merged(self) -> dict[str, str]:
        """Return every stream but one, which the others belong to."""
        first, *others = sorted(self._streams)
        return dict.fromkeys(others, first)
