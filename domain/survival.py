"""How long it takes, where not everybody has got there yet.

Subjects are observed for a duration that ends with an event or without one (*censored*: still
open, so that it may yet happen). At equal durations events come before censoring, as is the
custom. All values are exact fractions; durations are any whole unit.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import exp, log, sqrt
from typing import Final, NamedTuple, TypeVar

from domain.intervals import Z95

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
    variance: Fraction
    """The variance of that share: Greenwood's, and where causes compete its like."""


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

    The variance is that of the delta method (Marubini, Valsecchi 1995): over the event times up
    to t, d of n at risk, d_k of them by the cause, S the share that was left just before,

        Σ (F(t)-F)²·d/(n(n-d)) + Σ S²·d_k(n-d_k)/n³ - 2 Σ (F(t)-F)·S·d_k/n²

    and with one cause it is Greenwood's.

    Raises ValueError for a negative duration.
    """
    times = list(_event_times(observations))
    causes = dict.fromkeys(cause for _, _, happened in times for cause in happened)
    return {cause: _incidence(times, cause) for cause in causes}


def _incidence(times: Sequence[tuple[int, int, Mapping[C, int]]], cause: C) -> list[Step]:
    """Return the curve of one cause."""
    left, reached = _ONE, _ZERO
    # The sums of the variance, with (F(t)-F)² and F(t)-F multiplied out.
    all_, of_reached, of_square, own, mixed, mixed_reached = [_ZERO] * 6
    steps = []
    for at, at_risk, happened in times:
        events, every = happened.get(cause, 0), sum(happened.values())
        reached += left * Fraction(events, at_risk)
        if every < at_risk:  # else nobody is left, and F(t) is F for good
            weight = Fraction(every, at_risk * (at_risk - every))
            all_ += weight
            of_reached += weight * reached
            of_square += weight * reached * reached
        own += left * left * Fraction(events * (at_risk - events), at_risk**3)
        mixed += left * Fraction(events, at_risk**2)
        mixed_reached += left * Fraction(events, at_risk**2) * reached
        if events:
            variance = reached * reached * all_ - 2 * reached * of_reached + of_square
            variance += own - 2 * (reached * mixed - mixed_reached)
            steps.append(Step(at, at_risk, events, reached, variance))
        left *= Fraction(at_risk - every, at_risk)
    return steps


def log_log(reached: Fraction, variance: Fraction, z: Fraction = Z95) -> tuple[float, float] | None:
    """Return the interval of a share that has been reached, by the log of minus the log of 1 - it.

    So it stays within 0 to 1 (Kalbfleisch, Prentice 1980). Where the share is 0 or 1 there is
    none.
    """
    if not 0 < reached < 1:
        return None
    left = 1 - float(reached)
    middle = log(-log(left))
    spread = float(z) * sqrt(variance) / (left * -log(left))
    return 1 - exp(-exp(middle - spread)), 1 - exp(-exp(middle + spread))


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
