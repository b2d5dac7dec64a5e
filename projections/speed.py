"""How fast leads are answered: the question `leadflow speed`."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, select

from domain.business_time import Calendar
from domain.intervals import wilson
from domain.speed import BANDS, UNANSWERED
from projections.answers import Answer, by_size, rfc3339
from projections.clocks import NEVER, STARTS, Clocks, clocks
from projections.columns import Coded, Flags, Integers, read
from projections.period import rows_between
from projections.pipeline import DIMENSIONS, UnknownDimension, dimension, observed_until, pipeline
from projections.quantiles import reached
from projections.working_time import WorkingTime

HOUR: Final = 3_600_000_000

PROMISED: Final = HOUR
"""How soon a lead is to be answered unless the question says otherwise, microseconds."""

PROMISED_HOT: Final = HOUR // 12
"""The same for a lead that asks by itself."""

OF_CLOCKS: Final = ("rep", "team", "start", "cycle")
"""What answers can be grouped by beside the dimensions of leads."""

_SHARES: Final = {"p50": Fraction(1, 2), "p90": Fraction(9, 10), "p95": Fraction(19, 20)}
_SECOND: Final = 1_000_000


def speed(
    connection: Connection,
    *,
    by: str | None = None,
    since: int | None = None,
    until: int | None = None,
    as_of: int | None = None,
    promised: int = PROMISED,
    promised_hot: int = PROMISED_HOT,
    calendar: Calendar | None = None,
    teams: Mapping[str, str] | None = None,
) -> Answer:
    """Return how fast leads are answered, by the definitions of `domain.speed`.

    What counts is a clock: one per cycle of a lead. *since* and *until* bound the instant at which
    it started, *until* is excluded; *as_of* is up to when it is observed, by default the latest
    event. All are microseconds UTC, as *promised* (to everybody) and *promised_hot* (to those who
    asked) are microseconds. With a *calendar* the same is told in its working time too. *by* is a
    dimension of leads, ``rep``, ``team``, ``start`` or ``cycle``; *teams* gives the team of a rep.

    Raises UnknownDimension.
    """
    if by is not None and by not in OF_CLOCKS and by not in DIMENSIONS:
        known = ", ".join((*OF_CLOCKS, *DIMENSIONS))
        raise UnknownDimension(f"cannot group by {by!r}; there are {known}")
    as_of = observed_until(connection, as_of)
    found = clocks(connection, as_of or 0)
    chosen = (found.started_at < NEVER) & rows_between(found.started_at, since, until)
    promises = (promised, promised_hot)
    measures = _Measures(found, _working_time(found, calendar), promises)
    answer: Answer = {
        "as_of": None if as_of is None else rfc3339(as_of),
        "sla_seconds": promised / _SECOND,
        "hot_sla_seconds": promised_hot / _SECOND,
        **measures.of(np.flatnonzero(chosen)),
        "premature": _premature(found, since, until),
        "groups": [],
    }
    if by is not None:
        values = _values(connection, found, by, teams or {})
        rows: dict[Any, Integers] = {}
        for code in np.unique(values.codes[chosen]).tolist():
            rows[values.values[code]] = np.flatnonzero(chosen & (values.codes == code))
        sizes = {value: len(of) for value, of in rows.items()}
        answer["groups"] = [
            {"value": value, **measures.of(rows[value])} for value in by_size(sizes)
        ]
    return answer


class _Measures:
    """The waiting times of all clocks, on the wall and in working time."""

    def __init__(
        self, found: Clocks, working: WorkingTime | None, promises: tuple[int, int]
    ) -> None:
        self._found = found
        self._promises = promises
        self._working = working
        started = found.started_at
        self._ended = {
            "attempt": (started, found.attempted_at),
            "contact": (started, found.contacted_at),
            "qualification": (started, found.qualified_at),
            "system": (started, found.assigned_at),
            "queue": (found.assigned_at, found.taken_up_at),
            "human": (found.taken_up_at, found.attempted_at),
        }

    def of(self, rows: Integers) -> Answer:
        """Return what is told of the clocks at *rows*."""
        found = self._found
        tried = found.attempted_at[rows] < NEVER
        waits = self._waits(rows)
        counts = {
            "leads": len(rows),
            "attempted": int(tried.sum()),
            "contacted": int((found.contacted_at[rows] < NEVER).sum()),
            "qualified": int((found.qualified_at[rows] < NEVER).sum()),
            "unanswered": int((~tried).sum()),
        }
        told: Answer = {
            **counts,
            **{f"{name}_seconds": _quantiles(*of) for name, of in waits.items()},
            **self._kept(rows, waits["attempt"]),
            "business": None,
        }
        if self._working is not None:
            working = self._waits(rows, self._working)
            told["business"] = {
                **{f"{name}_seconds": _quantiles(*of) for name, of in working.items()},
                **self._kept(rows, working["attempt"]),
            }
        return told

    def _waits(
        self, rows: Integers, working: WorkingTime | None = None
    ) -> dict[str, tuple[Integers, Flags]]:
        """Return by name how long each wait was, or has been so far, and whether it has ended."""
        waits = {}
        for name, (since, until) in self._ended.items():
            begun = rows[since[rows] < NEVER]
            start, ended = since[begun], until[begun] < NEVER
            stop = np.where(ended, until[begun], self._found.ended_at[begun])
            waits[name] = (
                stop - start if working is None else working.elapsed(start, stop),
                ended,
            )
        return waits

    def _kept(self, rows: Integers, waits: tuple[Integers, Flags]) -> Answer:
        """Return the bands, and how the promises were kept."""
        found, (waited, tried) = self._found, waits
        won = found.is_won[rows]
        asked = found.start[rows] == 0
        band = np.searchsorted([one.most for one in BANDS if one.most is not None], waited, "left")
        band = np.where(tried, band, len(BANDS))
        bands = [
            {
                "band": name,
                "leads": int((of := band == n).sum()),
                "won": int((of & won).sum()),
                **_rate(int((of & won).sum()), int(of.sum())),
            }
            for n, name in enumerate((*[one.name for one in BANDS], UNANSWERED))
        ]
        over = waited > self._promises[0]
        hot = waited[asked] > self._promises[1]
        return {
            "bands": bands,
            "met": int((tried & ~over).sum()),
            "breaches": int(over.sum()),
            "pending": int((~tried & ~over & found.is_open[rows]).sum()),
            "hot": {
                "leads": int(asked.sum()),
                "met": int((tried[asked] & ~hot).sum()),
                "breaches": int(hot.sum()),
            },
        }


def _rate(won: int, leads: int) -> Answer:
    low, high = wilson(won, leads)
    return {
        "conversion": won / leads if leads else None,
        "interval": [round(float(low), 6), round(float(high), 6)] if leads else None,
    }


def _quantiles(waited: Integers, ended: Flags) -> dict[str, float | None]:
    found = reached(waited, ended, list(_SHARES.values()))
    return {
        name: None if at is None else at / _SECOND for name, at in zip(_SHARES, found, strict=True)
    }


def _working_time(found: Clocks, calendar: Calendar | None) -> WorkingTime | None:
    started = found.started_at[found.started_at < NEVER]
    if calendar is None:
        return None
    if not len(started):
        return WorkingTime(calendar, 0, 0)
    return WorkingTime(calendar, int(started.min()), int(max(found.ended_at.max(), started.max())))


def _premature(found: Clocks, since: int | None, until: int | None) -> Answer:
    """Return what became of cycles with attempts before their time, and of the others.

    These are all cycles that opened in the period, whether or not their clock ever started.
    """
    chosen = rows_between(found.cycles.opened_at, since, until)
    early = chosen & (found.premature > 0)
    others = chosen & (found.premature == 0)

    def told(rows: Flags) -> Answer:
        leads, won = int(rows.sum()), int((rows & found.is_won).sum())
        ready = int((rows & (found.started_at < NEVER)).sum())
        return {"leads": leads, "ready": ready, "won": won, **_rate(won, leads)}

    return {"attempts": int(found.premature[chosen].sum()), **told(early), "others": told(others)}


def _values(connection: Connection, found: Clocks, by: str, teams: Mapping[str, str]) -> Coded:
    """Return the value of each clock that it is grouped by."""
    if by == "rep":
        return found.rep
    if by == "team":
        return _coded(
            [None if rep is None else teams.get(rep) for rep in found.rep.values], found.rep.codes
        )
    if by == "start":
        return Coded(found.start.astype(np.int32), list(STARTS))
    if by == "cycle":
        numbers, codes = np.unique(found.cycles.number, return_inverse=True)
        return Coded(codes.astype(np.int32), [str(n) for n in numbers.tolist()])
    query = select(pipeline.c.lead_no, dimension(by).label("value")).order_by(pipeline.c.lead_no)
    leads = read(connection, query, {"value"})
    place = np.searchsorted(leads["lead_no"], found.cycles.lead_no)
    return Coded(leads.coded["value"].codes[place], leads.coded["value"].values)


def _coded(values: Sequence[str | None], codes: Any) -> Coded:
    """Return the column in which *values* stand for the *codes*, each value once."""
    known = list(dict.fromkeys(values))
    places = np.array([known.index(value) for value in values], np.int32)
    return Coded(places[codes] if len(places) else codes, known)
