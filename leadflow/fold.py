"""The fold of exported facts into read models, as every engine does it, and what comes of it.

The leads are folded by ``projections.fill.Filler``, as a rebuild folds them; engines differ only
in who reads which part and how lines meet.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from domain.book import Rules
from domain.events import Event
from leadflow.fold_files import Family
from projections.fill import Filler
from projections.lines import Line, lines_of
from projections.rows import READ_MODELS, Rows

TABLES: Final = {table.name: table for table in READ_MODELS}

Take = Callable[[str, list[Line]], None]
"""Takes the lines of one read model, in no order."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold made."""

    position: int
    """Last position of the log that was exported."""
    events: int
    leads: int
    rows: Mapping[str, int]
    read_models: Mapping[str, str]
    """Digests, as `leadflow digest` gives them."""


class Folder:
    """Folds families of streams and hands on their lines."""

    def __init__(self, rules: Rules, take: Take) -> None:
        def put(rows: Rows) -> None:
            for name, lines in lines_of(rows):
                if lines:
                    take(name, lines)

        self._filler = Filler(put, rules)

    @property
    def events(self) -> int:
        """Return how many events are folded."""
        return self._filler.events

    @property
    def leads(self) -> int:
        """Return how many leads there are among them."""
        return self._filler.leads

    def add(self, streams: Mapping[str, list[Event]]) -> None:
        """Fold the whole histories of the streams of one family."""
        if len(streams) == 1:
            self._filler.add(list(streams), list(streams.values()))
            return
        family = Family(streams)
        lengths = {stream: len(events) for stream, events in streams.items()}
        self._filler.add_merged(family, family.merged(), lengths)

    def add_all(self, families: Iterable[Mapping[str, list[Event]]]) -> None:
        """Fold *families*, and hand on the last lines."""
        for streams in families:
            self.add(streams)
        self._filler.flush()
