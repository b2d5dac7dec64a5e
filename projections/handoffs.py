"""The question ``handoffs`` answers: what became of every MQL that marketing handed over."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, and_, select

from domain.handoffs import DAY, IGNORED_AFTER, STATUSES, answer, totals
from domain.handoffs import Answer as Outcome
from domain.stage_graph import MEDIAN, P90
from domain.stages import MQL
from projections.activities import activities
from projections.answers import Answer, by_size, rfc3339
from projections.dwell import quantiles
from projections.period import between
from projections.pipeline import DIMENSIONS, UnknownDimension, dimension, observed_until, pipeline
from projections.stage_graph import seconds
from projections.stages import stages

OF_HANDOFFS: Final = ("reason", "answered_by", "status", "rule", "policy")
"""What handoffs can be grouped by beside the dimensions of the lead."""


class Handoff:
    """One entry into MQL and what became of it."""

    __slots__ = ("entry", "outcome", "reason", "waited", "who")

    def __init__(self, entry: Any, rejection: Any | None, now: int, ignored_after: int) -> None:
        self.entry = entry
        rejected_at = None if rejection is None else rejection.at_us
        self.outcome: Outcome = answer(
            entry.entered_at_us,
            rejected_at,
            entry.next_stage,
            entry.exited_at_us,
            now,
            ignored_after,
        )
        said = rejection if self.outcome.status == "rejected" else entry
        is_answered = self.outcome.at is not None and said is not None
        self.reason: str | None = said.reason if is_answered and said is not None else None
        self.who: str | None = said.actor_id if is_answered and said is not None else None
        ended = now if self.outcome.at is None else self.outcome.at
        self.waited: int = max(ended - entry.entered_at_us, 0)

    def value(self, by: str) -> str | None:
        """Return the value that the handoff is grouped by."""
        if by == "reason":
            return self.reason
        if by == "answered_by":
            return self.who
        if by == "status":
            return self.outcome.status
        found: str | None = getattr(self.entry, by if by in ("rule", "policy") else "value")
        return found


def handoffs(
    connection: Connection,
    by: str | None = None,
    *,
    since: int | None = None,
    until: int | None = None,
    as_of: int | None = None,
    ignored_after: int = IGNORED_AFTER,
    status: str | None = None,
    limit: int = 20,
) -> Answer:
    """Return what became of the MQLs that were made in [*since*, *until*), and how fast.

    Instants and *ignored_after* are microseconds; *as_of*, by default the latest event, is until
    when those without an answer have waited. ``answer_seconds`` says by when half and nine tenths
    of all have an answer, those that wait censored (Kaplan, Meier 1958); null where that is not
    so yet. *by* is a dimension of the lead or one of `OF_HANDOFFS`. The latest *limit* rows are
    listed, those of *status* alone where it is given.

    The rules are `domain.handoffs.answer`. Raises ValueError for no such status, UnknownDimension.
    """
    if status is not None and status not in STATUSES:
        raise ValueError(f"{status!r} is no status; there are {', '.join(STATUSES)}")
    if by is not None and by not in OF_HANDOFFS and by not in DIMENSIONS:
        known = ", ".join((*OF_HANDOFFS, *DIMENSIONS))
        raise UnknownDimension(f"cannot group by {by!r}; there are {known}")
    now = observed_until(connection, as_of)
    found = _read(connection, by, since, until, now or 0, ignored_after)
    groups: dict[str | None, list[Handoff]] = {}
    if by is not None:
        for one in found:
            groups.setdefault(one.value(by), []).append(one)
    told = [one for one in found if status is None or one.outcome.status == status]
    told.sort(key=lambda one: (-one.entry.entered_at_us, one.entry.lead_id, -one.entry.n))
    return {
        "as_of": None if now is None else rfc3339(now),
        "ignored_after_seconds": ignored_after // 1_000_000,
        **_totals(found),
        "groups": [
            {"value": value, **_totals(groups[value])}
            for value in by_size({value: len(some) for value, some in groups.items()})
        ],
        "rows": [_row(one) for one in told[:limit]],
    }


def _totals(found: Sequence[Handoff]) -> Answer:
    counted = totals(one.outcome.status for one in found)
    waited = np.array([one.waited for one in found], np.int64)
    is_over = np.array([one.outcome.at is not None for one in found], np.bool_)
    accepted = np.array([one.outcome.status == "accepted" for one in found], np.bool_)
    answered = quantiles(waited, (MEDIAN, P90), is_over)
    taken = quantiles(waited[accepted], (MEDIAN, P90))
    interval = counted.interval
    return {
        "mqls": counted.mqls,
        **counted.counts,
        "implied": sum(one.outcome.is_implied for one in found),
        "late": sum(one.outcome.is_late for one in found),
        "acceptance_rate": None if counted.acceptance is None else float(counted.acceptance),
        "acceptance_interval": None if interval is None else [float(end) for end in interval],
        "answer_seconds": {"p50": seconds(answered[0]), "p90": seconds(answered[1])},
        "accepted_seconds": {"p50": seconds(taken[0]), "p90": seconds(taken[1])},
    }


def _row(one: Handoff) -> Answer:
    entry, outcome = one.entry, one.outcome
    return {
        "lead_id": entry.lead_id,
        "cycle": entry.cycle,
        "mql_at": rfc3339(entry.entered_at_us),
        "rule": entry.rule,
        "status": outcome.status,
        "answered_at": None if outcome.at is None else rfc3339(outcome.at),
        "answered_by": one.who,
        "reason": one.reason,
        "next_stage": entry.next_stage,
        "is_implied": outcome.is_implied,
        "was_taken_later": outcome.was_taken_later,
        "waited_seconds": seconds(one.waited),
        "days_waited": one.waited / DAY,
        "owner": entry.owner,
    }


def _read(
    connection: Connection,
    by: str | None,
    since: int | None,
    until: int | None,
    now: int,
    ignored_after: int,
) -> list[Handoff]:
    following, said = stages.alias("following"), activities.alias("said")
    columns = [] if by is None or by in OF_HANDOFFS else [dimension(by).label("value")]
    query = (
        select(
            stages.c.lead_no,
            stages.c.n,
            stages.c.cycle,
            stages.c.entered_at_us,
            stages.c.exited_at_us,
            stages.c.rule,
            stages.c.policy,
            following.c.stage.label("next_stage"),
            said.c.reason,
            said.c.actor_id,
            pipeline.c.lead_id,
            pipeline.c.owner,
            *columns,
        )
        .join(pipeline, pipeline.c.lead_no == stages.c.lead_no)
        .outerjoin(
            following,
            and_(following.c.lead_no == stages.c.lead_no, following.c.n == stages.c.n + 1),
        )
        .outerjoin(
            said,
            and_(
                said.c.lead_no == following.c.lead_no,
                said.c.fact_source == following.c.fact_source,
                said.c.fact_id == following.c.fact_id,
            ),
        )
        .where(stages.c.stage == MQL, *between(stages.c.entered_at_us, since, until))
    )
    rejections = _rejections(connection)
    return [
        Handoff(entry, _first_after(rejections, entry), now, ignored_after)
        for entry in connection.execute(query)
    ]


def _rejections(connection: Connection) -> Mapping[int, list[Any]]:
    """Return the rejections of each lead, in canonical order."""
    columns = activities.c
    found: dict[int, list[Any]] = {}
    for row in connection.execute(
        select(columns.lead_no, columns.at_us, columns.reason, columns.actor_id)
        .where(columns.type == "lead.rejected")
        .order_by(columns.lead_no, columns.n)
    ):
        found.setdefault(row.lead_no, []).append(row)
    return found


def _first_after(rejections: Mapping[int, list[Any]], entry: Any) -> Any | None:
    """Return the first rejection of a lead from *entry* until it went on."""
    until = entry.exited_at_us
    for one in rejections.get(entry.lead_no, ()):
        if one.at_us >= entry.entered_at_us and (until is None or one.at_us <= until):
            return one
    return None
