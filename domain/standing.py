"""Where leads stand at an instant, and which of them have stood still for too long.

Instants and durations are whole microseconds. This is the reference; ``projections.pipeline`` and
``projections.pipeline_over_time`` do the same over columns.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from domain.stage_graph import P90, Stay
from domain.stages import OPEN
from domain.survival import kaplan_meier, quantile

LEAST_EXITS: Final = 10
"""Stays that must have ended before their 90th percentile says when a lead is late."""

WORKED: Final = frozenset(stage for stage in OPEN if stage is not None)
"""The stages in which somebody ought to do something with the lead."""

Basis = Literal["all", "ended", "given"]
"""What a limit comes from: all stays, those alone that ended, or whoever asked."""


class Limit(NamedTuple):
    """How long a lead may be silent in a stage."""

    duration: int
    basis: Basis


def silence_limit(stays: Sequence[tuple[int, bool]], share: Fraction = P90) -> Limit | None:
    """Return by when *share* of the stays in a stage are over; None where too few have ended.

    A stay is a duration and whether it has ended. Those that last are censored (Kaplan, Meier
    1958). Where more leads than the rest stay for good, that never comes to the share: then it is
    the percentile of the stays that ended.
    """
    ended = [stay for stay in stays if stay[1]]
    if len(ended) < LEAST_EXITS:
        return None
    of_all = quantile(kaplan_meier(stays), share)
    if of_all is not None:
        return Limit(of_all, "all")
    of_ended = quantile(kaplan_meier(ended), share)
    return None if of_ended is None else Limit(of_ended, "ended")


def is_stuck(stage: str | None, last_event_at: int, now: int, limit: Limit | None) -> bool:
    """Return whether a lead is in an open stage and silent for longer than *limit*."""
    return stage in WORKED and limit is not None and now - last_event_at > limit.duration


def stage_at(history: Iterable[Stay], at: int) -> str | None:
    """Return the stage of a lead at an instant: the latest that it had entered by then."""
    found = None
    for stay in history:
        if stay.entered_at > at:
            break
        found = stay.stage
    return found
