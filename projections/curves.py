"""Conversion curves: how long it takes from one stage to another, and how many ever get there.

The curves are those of `domain.survival`, which is the exact reference, over columns and in floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from domain.intervals import Z95
from domain.stages import DISQUALIFIED, LOST, RANK, RECYCLED, STAGES, WON
from projections.answers import DAY, Answer, by_size, rfc3339
from projections.columns import Coded, read
from projections.funnel_columns import next_of
from projections.pipeline import dimension, observed_until, pipeline
from projections.stages import stages

Array = NDArray[Any]

CLOSING: Final = (WON, LOST, RECYCLED, DISQUALIFIED)
"""The stages that end a cycle; who is there will not get to another stage in it."""

QUANTILES: Final = tuple(Fraction(n, 100) for n in (10, 25, 50, 75, 90))
"""The shares for which the duration is told by which so many have got there."""

DAYS: Final = (0, 1, 3, 7, 14, 30, 60, 90, 180, 365, 730)
"""The durations for which the number at risk is told."""

OPEN: Final = -1
"""The cause of an observation that ended without one."""

_NEAR: Final = 1e-12
"""A float that is nearer than this to a share has reached it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve at each duration at which the event happened; see `domain.survival.Step`."""

    at: Array
    at_risk: Array
    events: Array
    reached: Array
    variance: Array

    def intervals(self) -> tuple[Array, Array]:
        """Return the low and high ends of `domain.survival.log_log`; NaN where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            left = 1 - self.reached
            middle = np.log(-np.log(left))
            spread = float(Z95) * np.sqrt(self.variance) / (left * -np.log(left))
            low, high = (1 - np.exp(-np.exp(middle + sign * spread)) for sign in (-1, 1))
        none = (left <= _NEAR) | (left >= 1)
        return np.where(none, np.nan, low), np.where(none, np.nan, high)

    def quantile(self, share: Fraction) -> int | None:
        """Return the first duration by which *share* is reached; None where it never is."""
        there = np.flatnonzero(self.reached >= float(share) - _NEAR)
        return int(self.at[there[0]]) if len(there) else None


def curve(durations: Array, causes: Array, cause: int = 0) -> Curve:
    """Return the share to whom *cause* has happened by duration, where others end the matter.

    *causes* are whole numbers, `OPEN` for a censored observation. It is the curve of Aalen and
    Johansen; with no other cause it is that of Kaplan and Meier, its variance Greenwood's.

    Raises ValueError for a negative duration.
    """
    if len(durations) and int(durations.min()) < 0:
        raise ValueError(f"a duration must not be negative: {int(durations.min())}")
    at, place = np.unique(durations, return_inverse=True)
    ended = np.bincount(place, minlength=len(at))
    every = np.bincount(place[causes != OPEN], minlength=len(at))
    own = np.bincount(place[causes == cause], minlength=len(at))
    at_risk = len(durations) - np.cumsum(ended) + ended
    some = every > 0
    at, every, own, at_risk = at[some], every[some], own[some], at_risk[some]
    kept = np.cumprod(1 - every / at_risk)
    left = np.append(1.0, kept)[: len(kept)]
    reached = np.cumsum(left * own / at_risk)
    # The sums of domain.survival.aalen_johansen, with the squares multiplied out.
    weight = np.divide(
        every, at_risk * (at_risk - every), out=np.zeros(len(at)), where=every < at_risk
    )
    mixed = left * own / at_risk.astype(float) ** 2
    variance = (
        reached**2 * np.cumsum(weight)
        - 2 * reached * np.cumsum(weight * reached)
        + np.cumsum(weight * reached**2)
        + np.cumsum(left**2 * own * (at_risk - own) / at_risk.astype(float) ** 3)
        - 2 * (reached * np.cumsum(mixed) - np.cumsum(mixed * reached))
    )
    hit = own > 0
    return Curve(at[hit], at_risk[hit], own[hit], reached[hit], np.maximum(variance[hit], 0))


def between_stages(
    connection: Connection,
    from_stage: str,
    to_stage: str,
    *,
    by: str | None = None,
    plain: bool = False,
    as_of: int | None = None,
) -> Answer:
    """Return how long cycles take from entering *from_stage* to reaching *to_stage*.

    A stage further on the way reaches those before it. A cycle that was lost, disqualified or
    recycled meanwhile (won, where *to_stage* lies off the way) cannot get there any more: it
    competes. *plain* takes it for one that is only out of sight, so that the share is what would
    be if nothing else ended a cycle. What is open is censored at *as_of* (microseconds UTC, by
    default the latest event), or when the next cycle begins. A cycle that skipped *from_stage* is
    not part of it.

    Raises ValueError for stages that make no curve, UnknownDimension for *by*.
    """
    for stage in (from_stage, to_stage):
        if stage not in STAGES:
            raise ValueError(f"unknown stage {stage!r}; there are {', '.join(STAGES)}")
    goals = _reaching(to_stage)
    if from_stage in goals:
        raise ValueError(
            f"who is in {from_stage} has reached {to_stage} already: no time passes between them"
        )
    if from_stage in CLOSING and to_stage in RANK:
        raise ValueError(
            f"{from_stage} ends a cycle, and {to_stage} would be of the next one: a curve is of one"
            " cycle; leadflow recycled tells how many come back"
        )
    as_of = observed_until(connection, as_of)
    # From a stage that ended the cycle, such as recycled, it is no news that it ended.
    others = [stage for stage in CLOSING if stage not in goals and stage != from_stage]
    durations, causes, values = _observed(connection, from_stage, goals, others, by, as_of or 0)
    method = "kaplan_meier" if plain else "aalen_johansen"
    answer: Answer = {
        "from_stage": from_stage,
        "to_stage": to_stage,
        "unit": "cycle",
        "method": method,
        "as_of": None if as_of is None else rfc3339(as_of),
        "by": by,
        **_answer(durations, causes, others, plain=plain),
        "groups": [],
    }
    if values is not None:
        sizes = np.bincount(values.codes, minlength=len(values.values))
        of = {value: code for code, value in enumerate(values.values) if sizes[code]}
        answer["groups"] = [
            {
                "value": value,
                **_answer(
                    durations[values.codes == of[value]],
                    causes[values.codes == of[value]],
                    others,
                    plain=plain,
                ),
            }
            for value in by_size({value: int(sizes[code]) for value, code in of.items()})
        ]
    return answer


def _reaching(stage: str) -> list[str]:
    """Return the stages by entering which *stage* is reached."""
    rank = RANK.get(stage)
    further = [] if rank is None else [other for other in RANK if RANK[other] > rank]
    return [stage, *further]


def _observed(
    connection: Connection,
    from_stage: str,
    goals: Sequence[str],
    others: Sequence[str],
    by: str | None,
    as_of: int,
) -> tuple[Array, Array, Coded | None]:
    """Return per cycle in *from_stage* how long it was observed, what ended it, and its value.

    The cause is 0 for a goal, 1 and up for the *others*, `OPEN` for none.
    """
    column = [] if by is None else [dimension(by).label("value")]
    rows = read(
        connection,
        select(stages.c.lead_no, stages.c.cycle, stages.c.entered_at_us, stages.c.stage, *column)
        .join(pipeline, pipeline.c.lead_no == stages.c.lead_no)
        .order_by(stages.c.lead_no, stages.c.n),
        {"stage"} | ({"value"} if column else set()),
    )
    leads, cycles, entered = rows["lead_no"], rows["cycle"], rows["entered_at_us"]
    names = rows.coded["stage"]
    stage = np.array([STAGES.index(str(name)) for name in names.values], np.int64)[names.codes]
    causes_of = np.full(len(STAGES), OPEN)
    for goal in goals:
        causes_of[STAGES.index(goal)] = 0
    for n, other in enumerate(others, 1):
        causes_of[STAGES.index(other)] = n
    new = np.ones(rows.rows, bool)
    new[1:] = (leads[1:] != leads[:-1]) | (cycles[1:] != cycles[:-1])
    cycle = np.cumsum(new)
    starts = np.flatnonzero(stage == STAGES.index(from_stage))
    starts = starts[np.append(True, cycle[starts][1:] != cycle[starts][:-1])[: len(starts)]]
    ends = next_of(causes_of[stage] != OPEN)[starts + 1]
    following = next_of(new)[starts + 1]
    own = ends < following
    # Without an end: until the lead's next cycle, and where there is none, until now.
    beyond = np.append(entered, 0)[following]
    ongoing = np.append(leads, -1)[following] != leads[starts]
    until = np.where(ongoing, np.maximum(as_of, entered[starts]), beyond)
    until = np.where(own, np.append(entered, 0)[ends], until)
    causes = np.where(own, np.append(causes_of[stage], OPEN)[ends], OPEN)
    values = None
    if column:
        coded = rows.coded["value"]
        values = Coded(coded.codes[starts], coded.values)
    return until - entered[starts], causes, values


def _answer(durations: Array, causes: Array, others: Sequence[str], *, plain: bool) -> Answer:
    """Return the part of the answer that is about some of the cycles."""
    seen = np.where(causes > 0, OPEN, causes) if plain else causes
    found = curve(durations, seen)
    low, high = found.intervals()
    rows: list[Answer] = [
        {
            "seconds": at / 1_000_000,
            "at_risk": at_risk,
            "events": events,
            "reached": reached,
            "low": None if np.isnan(lowest) else lowest,
            "high": None if np.isnan(highest) else highest,
        }
        for at, at_risk, events, reached, lowest, highest in zip(
            *(part.tolist() for part in (found.at, found.at_risk, found.events, found.reached)),
            low.tolist(),
            high.tolist(),
            strict=True,
        )
    ]
    ended = [
        {
            "stage": other,
            "leads": int((causes == n).sum()),
            "reached": None if plain else _last(curve(durations, causes, n)),
        }
        for n, other in enumerate(others, 1)
    ]
    quantiles = {share: found.quantile(share) for share in QUANTILES}
    return {
        "leads": len(durations),
        "reached": int((causes == 0).sum()),
        "open": int((causes == OPEN).sum()),
        "competing": ended,
        "reached_ever": _last(found) if len(durations) else None,
        "median_seconds": _seconds(quantiles[Fraction(1, 2)]),
        "quantiles": [
            {"share": float(share), "seconds": _seconds(at)} for share, at in quantiles.items()
        ],
        "at_risk": _at_risk(durations, found, rows),
        "curve": rows,
    }


def _at_risk(durations: Array, found: Curve, rows: Sequence[Answer]) -> list[Answer]:
    """Return the number at risk and the share reached at durations that people think in."""
    longest = int(durations.max()) if len(durations) else -1
    told = []
    for days in DAYS:
        if days * DAY > longest:
            break
        last = int(np.searchsorted(found.at, days * DAY, "right")) - 1
        told.append(
            {
                "days": days,
                "at_risk": int((durations >= days * DAY).sum()),
                "reached": rows[last]["reached"] if last >= 0 else 0.0,
                "low": rows[last]["low"] if last >= 0 else None,
                "high": rows[last]["high"] if last >= 0 else None,
            }
        )
    return told


def _last(found: Curve) -> float:
    return float(found.reached[-1]) if len(found.reached) else 0.0


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1_000_000
