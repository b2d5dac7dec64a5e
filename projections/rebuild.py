"""Rebuild: fill a new set of read models beside the live one, compare, and switch.

The set that was live stays as the old one, for ``roll_back``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from domain.book import Rules
from projections.apart import OpenHistory, fill_together
from projections.digest import digests
from projections.fill import Filler
from projections.history import History
from projections.naming import LIVE, NEW, OLD
from projections.rows import Rows
from projections.setup import VERSION, create, drop, switch
from projections.writer import Checkpoint, writer

Progress = Callable[[int], None]
"""Told how many events are folded so far."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild made, and how it compares with what was there."""

    position: int
    """Last position of the log that is in the rows."""
    events: int
    leads: int
    before: Mapping[str, str] | None
    """Digests of the set that was live; None where it stood for another position or version."""
    after: Mapping[str, str]
    """Digests of the new set."""

    @property
    def differences(self) -> list[str] | None:
        """Return the read models whose rows changed; None where nothing could be compared."""
        if self.before is None:
            return None
        return [name for name, digest in self.after.items() if self.before.get(name) != digest]


def rebuild(
    engine: Engine,
    history: History,
    rules: Callable[[], Rules],
    on_progress: Progress | None = None,
    *,
    workers: int = 1,
    open_history: OpenHistory | None = None,
) -> RebuildReport:
    """Rebuild all read models from *history* and make the new ones live.

    *rules* is asked once the end of the history is known, so that it holds every policy published
    by then. With *workers* > 1, as many processes share the work; each calls *open_history*, which has to
    be picklable, for a history of its own.
    """
    position = history.head()
    in_force = rules()
    drop(engine, NEW)
    create(engine, NEW)
    new = writer(engine, NEW)
    if workers > 1 and open_history is not None:
        filled: Filler = fill_together(
            new, history, in_force, position, workers, open_history, on_progress
        )
    else:

        def put(rows: Rows) -> None:
            new.fill(rows)
            if on_progress is not None:
                on_progress(filled.events)

        filled = Filler(put, in_force)
        filled.add_all(history, position)
    new.set_checkpoint(Checkpoint(position, VERSION, filled.next_lead_no))
    live = writer(engine).checkpoint()
    comparable = live is not None and (live.position, live.version) == (position, VERSION)
    report = RebuildReport(
        position,
        filled.events,
        filled.leads,
        digests(engine, LIVE) if comparable else None,
        digests(engine, NEW),
    )
    drop(engine, OLD)
    switch(engine, live_becomes=OLD, becomes_live=NEW)
    return report


def roll_back(engine: Engine) -> None:
    """Make the set that was live before the last rebuild live again, and keep the other as new."""
    drop(engine, NEW)
    switch(engine, live_becomes=NEW, becomes_live=OLD)
