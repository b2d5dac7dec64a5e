"""What becomes of leads that were recycled.

The follow-up of a recycling begins with it and ends with the next recycling of the lead, or when
its time is up: what comes later is the merit of another. Until its time is up it is *immature*.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.stages import RANK, RECYCLED, SQL, WON

SQL_OR_LATER: Final = frozenset(stage for stage, rank in RANK.items() if rank >= RANK[SQL])
"""The stages that mean that an SQL was reached."""


class Recycling(NamedTuple):
    """One recycling of a lead, and what came of it so far."""

    at: int
    mature: bool
    """Whether its time is up: rates are of these, or what came soon would count for too much."""
    sql: bool
    """Whether the lead reached SQL or a later stage in time."""
    won: bool


def recyclings(entries: Sequence[tuple[int, str]], as_of: int, within: int) -> list[Recycling]:
    """Return the recyclings of a lead, from its *entries* (instant, stage) in canonical order.

    *within* is the time that a recycling is given, all in microseconds; an entry at its very end
    still counts.
    """
    starts = [n for n, (_, stage) in enumerate(entries) if stage == RECYCLED]
    found = []
    for start, following in zip(starts, [*starts, len(entries)][1:], strict=True):
        at = entries[start][0]
        after = {stage for when, stage in entries[start + 1 : following] if when <= at + within}
        mature = as_of >= at + within
        found.append(Recycling(at, mature, bool(after & SQL_OR_LATER), WON in after))
    return found
