"""The points of the commit protocol at which tests let the process die or the database fail."""

from typing import Final

POINTS: Final = (
    "begin",
    "seen",
    "events",
    "identifiers",
    "dead_letters",
    "positions",
    "commit",
    "committed",
)
"""In the order of the protocol: `commit` is the last before the commit, `committed` the first
after it. The others are named after what has just been written."""


def reach(point: str) -> None:
    """Do nothing: tests put a crash in place of this function, called through this module."""
