"""Where leads stand: how many in which stage, for how long, worth what, and who is stuck."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, case, func, select

from domain.stage_graph import P90
from domain.stages import LOST, STAGES, WON
from domain.standing import LEAST_EXITS, WORKED, Limit
from projections.answers import DAY, Answer, add_up, amounts, by_size, exponents, rfc3339
from projections.columns import MISSING, Columns, Integers, read
from projections.conversions import conversions
from projections.dwell import parts, quantiles
from projections.opportunities import opportunities
from projections.pipeline import dimension, observed_until, pipeline
from projections.stages import stages
from projections.sums import halves, whole

_ORDER: Final = {stage: n for n, stage in enumerate((None, *STAGES))}
_STAGE: Final = (None, *STAGES)

Worth = Mapping[tuple[Any, str | None], Mapping[str, int]]
"""Minor units by currency, of the leads of a group that are in a stage."""


def summary(
    connection: Connection,
    by: str | None = None,
    as_of: int | None = None,
    *,
    stuck: int = 0,
    silent_for: int | None = None,
) -> Answer:
    """Return leads, amounts and days per stage, over all and per value of *by*; who is stuck.

    *as_of* is the instant (microseconds UTC) up to which days are counted, by default that of the
    latest event. Won leads are worth their won deals, lost ones their lost opportunities, others
    their open ones; unknown amounts add nothing.

    A lead is stuck that is in an open stage and has been silent for longer than nine stays of ten
    in that stage take (`domain.standing.silence_limit`), or than *silent_for* (microseconds).
    *stuck* is how many of them to list, the longest silent first. Raises UnknownDimension.
    """
    column = dimension(by) if by is not None else None
    as_of = observed_until(connection, as_of)
    places = exponents(connection)
    leads = _leads(connection, column)
    standing = _Standing(leads, as_of or 0, limits(connection, as_of or 0, silent_for))
    everything = np.arange(leads.rows)
    overall = standing.rows(everything, None, _worth(connection, None), places)
    answer: Answer = {
        "as_of": None if as_of is None else rfc3339(as_of),
        "leads": leads.rows,
        "stages": overall,
        "groups": [],
        "opportunities": _open_opportunities(connection, as_of, places),
        "stuck": {
            "leads": int(standing.is_stuck.sum()),
            "rows": _stuck(connection, standing, stuck, places),
        },
    }
    if column is not None:
        values = leads.coded["value"]
        worth = _worth(connection, column)
        groups = {
            values.values[code]: rows for code, rows in parts(values.codes.astype(np.int64)).items()
        }
        sizes = {value: len(rows) for value, rows in groups.items()}
        answer["groups"] = [
            {
                "value": value,
                "leads": sizes[value],
                "stages": standing.rows(groups[value], value, worth, places),
            }
            for value in by_size(sizes)
        ]
    return answer


def limits(connection: Connection, as_of: int, silent_for: int | None = None) -> dict[str, Limit]:
    """Return how long leads may be silent in each open stage, as far as that can be told.

    The fast version of `domain.standing.silence_limit`; *silent_for* overrules what the stays say.
    """
    if silent_for is not None:
        return {stage: Limit(silent_for, "given") for stage in WORKED}
    query = select(stages.c.stage, stages.c.entered_at_us, stages.c.exited_at_us)
    stays = read(connection, query, {"stage"})
    over = stays["exited_at_us"] != MISSING
    until = np.where(over, stays["exited_at_us"], as_of)
    dwell = np.maximum(until - stays["entered_at_us"], 0)
    found = {}
    stage = stays.coded["stage"]
    for code, rows in parts(stage.codes.astype(np.int64)).items():
        name = stage.values[code]
        ended = over[rows]
        if name not in WORKED or ended.sum() < LEAST_EXITS:
            continue
        (of_all,) = quantiles(dwell[rows], (P90,), ended)
        (of_ended,) = quantiles(dwell[rows][ended], (P90,))
        if of_all is not None:
            found[name] = Limit(of_all, "all")
        elif of_ended is not None:
            found[name] = Limit(of_ended, "ended")
    return found


def _leads(connection: Connection, column: Column[Any] | None) -> Columns:
    query = select(
        pipeline.c.lead_no,
        pipeline.c.stage,
        pipeline.c.entered_at_us,
        func.coalesce(pipeline.c.last_human_at_us, pipeline.c.first_event_at_us).label("heard_us"),
    )
    if column is not None:
        query = query.add_columns(column.label("value"))
    return read(connection, query, {"stage", "value"})


class _Standing:
    """The leads by column: where they stand, for how long, and whether they are stuck."""

    def __init__(self, leads: Columns, as_of: int, of_stage: Mapping[str, Limit]) -> None:
        stage = leads.coded["stage"]
        places = np.array([_ORDER[value] for value in stage.values], np.int64)
        self.lead_no: Integers = leads["lead_no"]
        self.stage: Integers = places[stage.codes]
        entered = leads["entered_at_us"]
        self.age: Integers = np.where(entered == MISSING, MISSING, as_of - entered)
        self.silence: Integers = as_of - leads["heard_us"]
        self.limits = of_stage
        most = [-1, *(of_stage[name].duration if name in of_stage else -1 for name in STAGES)]
        limit = np.array(most, np.int64)[self.stage]
        self.is_stuck: NDArray[np.bool_] = (limit >= 0) & (self.silence > limit)

    def rows(
        self, of_group: NDArray[np.intp], value: Any, worth: Worth, places: Mapping[str, int]
    ) -> list[Answer]:
        """Return the rows per stage of the leads at *of_group*, in machine order."""
        found = parts(self.stage[of_group])
        return [
            self._row(_STAGE[code], of_group[found[code]], value, worth, places)
            for code in sorted(found)
        ]

    def _row(
        self,
        stage: str | None,
        leads: NDArray[np.intp],
        value: Any,
        worth: Worth,
        places: Mapping[str, int],
    ) -> Answer:
        age = self.age[leads]
        known = age[age != MISSING]
        limit = None if stage is None else self.limits.get(stage)
        return {
            "stage": stage,
            "leads": len(leads),
            "amounts": amounts(worth.get((value, stage), {}), places),
            "median_days_in_stage": median(known.tolist()) / DAY if len(known) else None,
            "p90_days_in_stage": days(quantiles(known, (P90,))[0]),
            "stuck": None if limit is None else int(self.is_stuck[leads].sum()),
            "silent_limit_days": None if limit is None else days(limit.duration),
            "silent_limit_from": None if limit is None else limit.basis,
        }


def days(duration: int | None) -> float | None:
    """Return microseconds in days."""
    return None if duration is None else duration / DAY


def _stuck(
    connection: Connection, standing: _Standing, limit: int, places: Mapping[str, int]
) -> list[Answer]:
    """Return the *limit* stuck leads that have been silent for longest."""
    stuck = np.flatnonzero(standing.is_stuck)
    # the longest silent of all are few; equal silence is ordered by id once they are read
    order = np.argsort(-standing.silence[stuck], kind="stable")
    longest = stuck[order]
    if limit < len(longest):
        last = standing.silence[longest[limit - 1]] if limit else np.iinfo(np.int64).max
        longest = longest[standing.silence[longest] >= last]
    place_of = {int(standing.lead_no[place]): int(place) for place in longest}
    rows = []
    worth = _open_worth(connection, list(place_of))
    for lead in _by_number(connection, list(place_of)):
        place = place_of[lead.lead_no]
        rows.append(
            {
                "lead_id": lead.lead_id,
                "stage": lead.stage,
                "owner": lead.owner,
                "account": lead.account,
                "days_in_stage": int(standing.age[place]) / DAY,
                "days_silent": int(standing.silence[place]) / DAY,
                "amounts": amounts(worth.get(lead.lead_no, {}), places),
            }
        )
    rows.sort(key=lambda row: (-row["days_silent"], row["lead_id"]))
    return rows[:limit]


_AT_ONCE: Final = 5_000
"""Values in one IN list."""


def _by_number(connection: Connection, leads: Sequence[int]) -> list[Any]:
    columns = pipeline.c
    query = select(columns.lead_no, columns.lead_id, columns.stage, columns.owner, columns.account)
    return [
        row
        for start in range(0, len(leads), _AT_ONCE)
        for row in connection.execute(
            query.where(columns.lead_no.in_(leads[start : start + _AT_ONCE]))
        )
    ]


def _open_worth(connection: Connection, leads: Sequence[int]) -> dict[Any, dict[str, int]]:
    """Return what the open opportunities of each of *leads* are worth."""
    columns = opportunities.c
    query = select(columns.lead_no, columns.currency, columns.amount_minor).where(
        columns.status == "open"
    )
    return add_up(
        (row.lead_no, row.currency, row.amount_minor)
        for start in range(0, len(leads), _AT_ONCE)
        for row in connection.execute(
            query.where(columns.lead_no.in_(leads[start : start + _AT_ONCE]))
        )
    )


def _open_opportunities(
    connection: Connection, as_of: int | None, places: Mapping[str, int]
) -> list[Answer]:
    """Return the open opportunities by sub-stage: discovery, quote, contract, or other words."""
    columns = opportunities.c
    found: dict[str | None, list[int]] = {}
    money = []
    for name, created, currency, units in connection.execute(
        select(
            columns.stage_name, columns.created_at_us, columns.currency, columns.amount_minor
        ).where(columns.status == "open")
    ):
        found.setdefault(name, []).append(created)
        money.append((name, currency, units))
    worth = add_up(money)
    return [
        {
            "stage_name": name,
            "opportunities": len(found[name]),
            "amounts": amounts(worth.get(name, {}), places),
            "median_days_open": median((as_of or 0) - at for at in found[name]) / DAY,
        }
        for name in by_size({name: len(created) for name, created in found.items()})
    ]


def _worth(connection: Connection, column: Any) -> Worth:
    """Return what the leads are worth by value of *column* (None: over all) and stage."""
    group = [] if column is None else [column]
    deals, of_deals = conversions.c.amount_minor, opportunities.c.amount_minor
    won = (
        select(pipeline.c.stage, conversions.c.currency, *halves(deals), *group)
        .join(conversions, conversions.c.lead_no == pipeline.c.lead_no)
        .where(pipeline.c.stage == WON, conversions.c.kind == "won")
        .group_by(pipeline.c.stage, conversions.c.currency, *group)
    )
    others = (
        select(pipeline.c.stage, opportunities.c.currency, *halves(of_deals), *group)
        .join(opportunities, opportunities.c.lead_no == pipeline.c.lead_no)
        .where(
            func.coalesce(pipeline.c.stage, "") != WON,
            opportunities.c.status == case((pipeline.c.stage == LOST, "lost"), else_="open"),
        )
        .group_by(pipeline.c.stage, opportunities.c.currency, *group)
    )
    return add_up(
        ((value[0] if value else None, stage), currency, whole(upper, lower))
        for query in (won, others)
        for stage, currency, upper, lower, *value in connection.execute(query)
    )
