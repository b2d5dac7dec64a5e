"""What became of every lead that marketing handed over to sales: each entry into MQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from domain.intervals import wilson
from domain.stages import DISQUALIFIED, LOST, RECYCLED, SAL

DAY: Final = 86_400_000_000
"""Microseconds in a day."""

IGNORED_AFTER: Final = 14 * DAY
"""How long an MQL may wait for an answer before it counts as ignored, where nobody says else."""

Status = Literal["accepted", "rejected", "recycled", "disqualified", "lost", "ignored", "pending"]

STATUSES: Final[tuple[Status, ...]] = (
    "accepted",
    "rejected",
    "recycled",
    "disqualified",
    "lost",
    "ignored",
    "pending",
)
"""All that can become of one, in the order in which they are told."""

_UNDONE: Final[dict[str, Status]] = {
    RECYCLED: "recycled",
    DISQUALIFIED: "disqualified",
    LOST: "lost",
}
"""Stages that end the wait although nobody accepted."""


class Answer(NamedTuple):
    """What became of one entry into MQL; instants are microseconds UTC."""

    status: Status
    at: int | None
    """When the wait was over; None while it lasts."""
    is_implied: bool = False
    """Accepted by being worked on: it went past SAL without a word."""
    is_late: bool = False
    """Answered, but no earlier than it would have counted as ignored."""
    was_taken_later: bool = False
    """Rejected first, and worked on all the same."""


def answer(
    entered_at: int,
    rejected_at: int | None,
    next_stage: str | None,
    next_at: int | None,
    now: int,
    ignored_after: int = IGNORED_AFTER,
) -> Answer:
    """Return what became of an MQL: the first word of sales counts.

    *rejected_at* is the first rejection at or after the entry, *next_stage* what was entered next;
    None where there is none. Whatever follows MQL and undoes nothing lies further on the way to a
    deal, so somebody took the lead.
    """
    if rejected_at is not None and (next_at is None or rejected_at <= next_at):
        taken = next_stage is not None and next_stage not in _UNDONE
        late = rejected_at - entered_at >= ignored_after
        return Answer("rejected", rejected_at, is_late=late, was_taken_later=taken)
    if next_stage is None or next_at is None:
        waited = now - entered_at >= ignored_after
        return Answer("ignored" if waited else "pending", None)
    late = next_at - entered_at >= ignored_after
    undone = _UNDONE.get(next_stage)
    if undone is not None:
        return Answer(undone, next_at, is_late=late)
    return Answer("accepted", next_at, is_implied=next_stage != SAL, is_late=late)


@dataclass(frozen=True, slots=True)
class Totals:
    """The ledger in figures."""

    mqls: int
    counts: dict[str, int]
    """How many have each of `STATUSES`."""
    acceptance: Fraction | None
    """Accepted of all that are not pending; None where all are."""
    interval: tuple[Fraction, Fraction] | None
    """Of 95 % (Wilson 1927)."""


def totals(statuses: Iterable[Status]) -> Totals:
    """Return how many handoffs came to what, and the share that sales accepted."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    for status in statuses:
        counts[status] += 1
    every = sum(counts.values())
    due = every - counts["pending"]
    accepted = counts["accepted"]
    return Totals(
        every,
        counts,
        Fraction(accepted, due) if due else None,
        wilson(accepted, due) if due else None,
    )
