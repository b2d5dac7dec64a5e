"""How long it takes, where not everybody has got there yet.

Subjects are observed for a duration that ends with an event or without one (*censored*: still
open, so that it may yet happen). At equal durations events come before censoring, as is the
custom. All values are exact fractions; durations are any whole unit.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple, TypeVar

C = TypeVar("C", bound=Hashable)

_ONE: Final = Fraction(1)
_ZERO: Final = Fraction(0)


class Step(NamedTuple):
    """The curve from one event time on."""

    at: int
    """The duration at which something happened to somebody."""
    at_risk: int
    """Subjects that were still observed just before."""
    events: int
    """Subjects to whom it happened then."""
    reached: Fraction
    """The share to whom it has happened by then."""
    variance: Fraction | None = None
    """Greenwood's variance of that share; None where it is not estimated."""


def kaplan_meier(observations: Iterable[tuple[int, bool]]) -> list[Step]:
    """Return the share to whom it has happened, by duration (Kaplan, Meier 1958).

    An observation is a duration and whether it ended with the event. The share is
    1 - Π (1 - d/n) over the event times, d of the n at risk; its variance is Greenwood's (1926).
    Where something else can end the matter for good, it overstates: see `aalen_johansen`.

    Raises ValueError for a negative duration.
    """
    left, spread = _ONE, _ZERO
    steps = []
    for at, at_risk, happened in _event_times((at, 0 if hit else None) for at, hit in observations):
        events = happened[0]
        left *= Fraction(at_risk - events, at_risk)
        if events < at_risk:
            spread += Fraction(events, at_risk * (at_risk - events))
        steps.append(Step(at, at_risk, events, 1 - left, left * left * spread))
    return steps


def aalen_johansen(observations: Iterable[tuple[int, C | None]]) -> dict[C, list[Step]]:
    """Return the share to whom each cause has happened, where the first cause ends the matter.

    An observation is a duration and its cause, None for a censored one (Aalen, Johansen 1978).
    The shares of all causes and of those to whom nothing has happened sum to one; with one cause
    it is that of `kaplan_meier`. A curve has a step where its cause happened.

    Raises ValueError for a negative duration.
    """
    left = _ONE
    reached: dict[C, Fraction] = {}
    curves: dict[C, list[Step]] = {}
    for at, at_risk, happened in _event_times(observations):
        for cause, events in happened.items():
            share = reached.get(cause, _ZERO) + left * Fraction(events, at_risk)
            reached[cause] = share
            curves.setdefault(cause, []).append(Step(at, at_risk, events, share))
        left *= Fraction(at_risk - sum(happened.values()), at_risk)
    return curves


def reached_by(curve: Sequence[Step], duration: int) -> Fraction:
    """Return the share to whom it has happened by *duration*."""
    return next((step.reached for step in reversed(curve) if step.at <= duration), _ZERO)


def quantile(curve: Sequence[Step], share: Fraction) -> int | None:
    """Return the first duration by which it has happened to *share*; None where it never has."""
    return next((step.at for step in curve if step.reached >= share), None)


def _event_times(
    observations: Iterable[tuple[int, C | None]],
) -> Iterable[tuple[int, int, Mapping[C, int]]]:
    """Yield each duration at which something happened, how many were at risk, and what happened."""
    happened: dict[int, dict[C, int]] = {}
    ended: dict[int, int] = {}
    for at, cause in observations:
        if at < 0:
            raise ValueError(f"a duration must not be negative: {at}")
        ended[at] = ended.get(at, 0) + 1
        if cause is not None:
            causes = happened.setdefault(at, {})
            causes[cause] = causes.get(cause, 0) + 1
    at_risk = sum(ended.values())
    for at in sorted(ended):
        if at in happened:
            yield at, at_risk, happened[at]
        at_risk -= ended[at]
