"""What the projections ask of the event store: a port, so that the rooms stay apart."""

from collections.abc import Collection, Iterator
from typing import Final, Protocol

from domain.events import Event

FIRST_VERSION: Final = 1
"""The version of the first event of a stream; the versions of a stream have no gaps."""


class History(Protocol):
    """The log of facts and decisions, by position and by stream."""

    def head(self) -> int:
        """Return the last position in the log, 0 when it is empty."""

    def stream(self, after: int, limit: int) -> list[tuple[int, str, int, Event]]:
        """Return up to *limit* events behind position *after*: position, stream, version, event.

        They come in the order of positions, which may have gaps.
        """

    def histories(self, streams: Collection[str]) -> dict[str, list[Event]]:
        """Return the whole of each of *streams*, in the order of versions."""

    def all_streams(
        self, upto: int, bucket: int = 0, buckets: int = 1
    ) -> Iterator[tuple[str, list[Event]]]:
        """Yield each stream with its events up to position *upto*.

        With *buckets* > 1 only the streams of one part, by hash of the stream.
        """

    def merged(self) -> dict[str, str]:
        """Return every merged stream and the stream that its lead goes on in."""
