"""The question ``stage-graph`` answers: which stage follows which, how often, after how long."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, select

from domain.stage_graph import MEDIAN, P90, is_backward
from domain.stages import STAGES
from projections.answers import Answer, by_size, rfc3339
from projections.columns import MISSING, Coded, Codes, Columns, Flags, Integers, read
from projections.dwell import parts, quantiles
from projections.period import rows_between
from projections.pipeline import dimension, observed_until, pipeline
from projections.stages import stages

CYCLE_KIND: Final = "cycle_kind"
"""Groups by what opened the cycle that a stay belongs to; not a dimension of the lead."""

_START: Final = len(STAGES)
"""The code of no stage before."""


def stage_graph(
    connection: Connection,
    by: str | None = None,
    *,
    since: int | None = None,
    until: int | None = None,
    as_of: int | None = None,
) -> Answer:
    """Return the graph of the stays that began in [*since*, *until*), and of how they ended.

    Instants are microseconds UTC. Stays that last are observed until *as_of*, by default the
    latest event. *by* is a dimension of the lead, or ``cycle_kind``. The exact reference is
    `domain.stage_graph.stage_graph`. Raises UnknownDimension.
    """
    as_of = observed_until(connection, as_of)
    columns = _read(connection, by)
    stays = _Stays(columns, since, until, as_of or 0)
    answer: Answer = {
        "as_of": None if as_of is None else rfc3339(as_of),
        "from": None if since is None else rfc3339(since),
        "to": None if until is None else rfc3339(until),
        "leads": _distinct(stays.lead),
        **stays.graph(),
        "groups": [],
    }
    if by is not None:
        groups = columns.coded["value"]
        found = parts(groups.codes[stays.rows].astype(np.int64))
        sizes = {groups.values[code]: len(rows) for code, rows in found.items()}
        graphs = {groups.values[code]: stays.of(rows).graph() for code, rows in found.items()}
        answer["groups"] = [{"value": value, **graphs[value]} for value in by_size(sizes)]
    return answer


def _read(connection: Connection, by: str | None) -> Columns:
    """Return all stage entries, lead by lead in their order."""
    query = select(
        stages.c.lead_no, stages.c.stage, stages.c.cycle, stages.c.entered_at_us
    ).order_by(stages.c.lead_no, stages.c.n)
    if by == CYCLE_KIND:
        query = query.add_columns(stages.c.cycle_kind.label("value"))
    elif by is not None:
        query = query.add_columns(dimension(by).label("value")).join(
            pipeline, pipeline.c.lead_no == stages.c.lead_no
        )
    return read(connection, query, {"stage", "value"})


def stage_codes(stage: Coded) -> Integers:
    """Return the stages of a column by their place in machine order, from 0."""
    places = [STAGES.index(value) for value in stage.values if value is not None]
    return np.array(places, np.int64)[stage.codes]


class _Stays:
    """Stays in stages, with what came before and after each."""

    __slots__ = ("dwell", "following", "is_first", "is_over", "lead", "opens", "rows", "stage")

    def __init__(self, columns: Columns, since: int | None, until: int | None, as_of: int) -> None:
        lead, entered, cycle = columns["lead_no"], columns["entered_at_us"], columns["cycle"]
        stage = stage_codes(columns.coded["stage"])
        same = lead[1:] == lead[:-1]  # row n and row n + 1 are of one lead
        is_over = np.append(same, False)[: len(lead)]
        end = np.where(is_over, np.append(entered[1:], MISSING)[: len(lead)], as_of)
        kept = rows_between(entered, since, until)
        self.rows: Any = np.flatnonzero(kept)
        self.lead: Integers = lead[kept]
        self.stage: Integers = stage[kept]
        self.dwell: Integers = np.maximum(end - entered, 0)[kept]
        self.is_over: Flags = is_over[kept]
        self.is_first: Flags = ~np.append(np.zeros(1, np.bool_), same)[: len(lead)][kept]
        self.following: Integers = np.append(stage[1:], 0)[: len(lead)][kept]
        self.opens: Flags = np.append(cycle[1:] != cycle[:-1], False)[: len(lead)][kept]

    def of(self, rows: Codes | Any) -> "_Stays":
        """Return some of the stays."""
        some = object.__new__(_Stays)
        for name in _Stays.__slots__:
            setattr(some, name, getattr(self, name)[rows])
        return some

    def graph(self) -> Answer:
        """Return nodes and edges as answers hold them."""
        return {"nodes": list(self._nodes()), "edges": list(self._edges())}

    def _nodes(self) -> Iterator[Answer]:
        found = parts(self.stage)
        for code in sorted(found):
            rows = found[code]
            dwell, over = self.dwell[rows], self.is_over[rows]
            exits = int(over.sum())
            ended = quantiles(dwell[over], (MEDIAN, P90))
            every = quantiles(dwell, (MEDIAN, P90), over)
            yield {
                "stage": STAGES[code],
                "entries": len(rows),
                "leads": _distinct(self.lead[rows]),
                "exits": exits,
                "still_there": len(rows) - exits,
                "dwell_seconds": {"p50": seconds(ended[0]), "p90": seconds(ended[1])},
                "km_dwell_seconds": {"p50": seconds(every[0]), "p90": seconds(every[1])},
            }

    def _edges(self) -> Iterator[Answer]:
        over = np.flatnonzero(self.is_over)
        first = np.flatnonzero(self.is_first)
        taken = {
            divmod(key, _START): over[rows]
            for key, rows in parts(self.stage[over] * _START + self.following[over]).items()
        }
        taken |= {(_START, code): first[rows] for code, rows in parts(self.stage[first]).items()}
        left: dict[int, int] = {}
        for (previous, _), rows in taken.items():
            left[previous] = left.get(previous, 0) + len(rows)
        for previous, code in sorted(taken, key=lambda pair: ((pair[0] + 1) % (_START + 1), pair)):
            rows = taken[previous, code]
            before = None if previous == _START else STAGES[previous]
            ended = [None, None] if before is None else quantiles(self.dwell[rows], (MEDIAN, P90))
            yield {
                "from": before,
                "to": STAGES[code],
                "count": len(rows),
                "leads": _distinct(self.lead[rows]),
                "share_of_exits": len(rows) / left[previous],
                "is_backward": is_backward(before, STAGES[code]),
                "opens_cycle": before is not None and bool(self.opens[rows].any()),
                "dwell_seconds": {"p50": seconds(ended[0]), "p90": seconds(ended[1])},
            }


def _distinct(values: Integers) -> int:
    return len(np.unique(values))


def seconds(duration: int | None) -> float | None:
    """Return microseconds in seconds."""
    return None if duration is None else duration / 1_000_000
