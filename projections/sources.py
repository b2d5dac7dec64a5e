"""The question ``sources`` answers: what becomes of leads, by where they first came from, and costs.

Read by cohort: the leads whose first touch lies in the period, whatever became of them later,
beside what was spent in that period.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, select, true

from domain.economics import Result, measure
from domain.stages import MQL, OPPORTUNITY, SAL, SQL, WON
from projections.answers import Answer, add_up, amounts, by_size, exponents
from projections.conversions import conversions
from projections.costs import SPENT_BY, Costs, costs, price, ratio, together
from projections.period import between
from projections.pipeline import dimension, pipeline
from projections.stages import stages
from projections.sums import halves, whole

_COUNTED: Final = (MQL, SAL, SQL, OPPORTUNITY, WON)
_FIGURES: Final = ("cost_per_lead", "cac", "roas")


def summary(
    connection: Connection,
    by: str = "channel",
    since: int | None = None,
    until: int | None = None,
) -> Answer:
    """Return leads, how many of them ever entered each stage, what they won, and what they cost.

    *by* is a dimension of the lead. *since* and *until* are microseconds UTC: the leads count
    whose first touch, or first event where there was none, lies between them, and the days of
    spend that begin between them. Spend is matched where *by* is what spend names, see
    ``projections.costs``; the rest of it is ``unmatched``. A row's ``spend``, ``cost_per_lead``,
    ``cac`` and ``roas`` are plain values where it was spent in one currency, ``currency``; where
    in several, lists by currency. ``costs`` is such a list in any case. Prices are rounded half to
    even to the minor unit. Raises UnknownDimension.
    """
    column = dimension(by)
    places = exponents(connection)
    came = func.coalesce(pipeline.c.first_touch_at_us, pipeline.c.first_event_at_us)
    within = and_(true(), *between(came, since, until))
    leads, entered, won = _leads(connection, column, within)
    spent = costs(connection, by, since, until)
    everything = amounts(together(spent), places)
    matched = {value: spent.pop(value) for value in leads if value is not None and value in spent}
    rows = []
    for value in by_size(leads):
        counts = {stage: entered.get((value, stage), 0) for stage in _COUNTED}
        row = {
            "value": value,
            "leads": leads[value],
            **counts,
            "conversion_to_won": counts[WON] / leads[value],
            "amounts": amounts(won.get(value, {}), places),
        }
        paid = _costs(row, matched.get(value, {}), won.get(value, {}), places)
        rows.append({**row, **_plain(paid)})
    return {
        "rows": rows,
        "spend": everything,
        "unmatched": _unmatched(spent, by, places),
    }


def _leads(
    connection: Connection, column: Any, within: ColumnElement[bool]
) -> tuple[dict[Any, int], dict[tuple[Any, str], int], Costs]:
    """Return leads by value, those that entered a stage by value and stage, and what they won."""
    counted = select(column, func.count()).where(within).group_by(column)
    leads: dict[Any, int] = {row[0]: row[1] for row in connection.execute(counted)}
    entered = {
        (value, stage): count
        for value, stage, count in connection.execute(
            select(column, stages.c.stage, func.count(stages.c.lead_no.distinct()))
            .join(stages, stages.c.lead_no == pipeline.c.lead_no)
            .where(stages.c.stage.in_(_COUNTED), within)
            .group_by(column, stages.c.stage)
        )
    }
    won = add_up(
        (value, currency, whole(*units))
        for value, currency, *units in connection.execute(
            select(column, conversions.c.currency, *halves(conversions.c.amount_minor))
            .join(conversions, conversions.c.lead_no == pipeline.c.lead_no)
            .where(conversions.c.kind == "won", within)
            .group_by(column, conversions.c.currency)
        )
    )
    return leads, entered, won


def _costs(
    row: Mapping[str, Any],
    spent: Mapping[str, int],
    won: Mapping[str, int],
    places: Mapping[str, int],
) -> list[Answer]:
    """Return what the leads of *row* cost, per currency in which something was spent."""
    made = []
    for currency, units in sorted(spent.items()):
        revenue = won.get(currency)
        if revenue is None and not row[WON]:
            revenue = 0
        told = measure(
            Result(units, row["leads"], Fraction(row[MQL]), Fraction(row[WON]), revenue, units)
        )
        digits = places.get(currency, 2)
        made.append(
            {
                "currency": currency,
                "spend": price(Fraction(units), digits),
                "cost_per_lead": price(told.cost_per_lead, digits),
                "cac": price(told.cac, digits),
                "roas": ratio(told.roas),
                "missing": {name: told.missing[name] for name in _FIGURES if name in told.missing},
            }
        )
    return made


def _plain(paid: Sequence[Answer]) -> Answer:
    """Return the keys of a row that tell its costs."""
    names = ("spend", *_FIGURES)
    if len(paid) < 2:
        one: Mapping[str, Any] = paid[0] if paid else {}
        told: Answer = {name: one.get(name) for name in names}
        return {"currency": one.get("currency"), **told, "costs": list(paid)}
    listed: Answer = {
        name: [
            {"currency": one["currency"], "ratio" if name == "roas" else "amount": one[name]}
            for one in paid
        ]
        for name in names
    }
    return {"currency": None, **listed, "costs": list(paid)}


def _unmatched(spent: Costs, by: str, places: Mapping[str, int]) -> Answer:
    """Return the spend that is in no row, by what it names; null: it names nothing."""
    known = by in SPENT_BY
    return {
        "spend": amounts(together(spent), places),
        "reason": None
        if known or not spent
        else f"spend is told by {', '.join(SPENT_BY)}, not by {by}",
        "values": [
            {"value": value, "spend": amounts(spent[value], places)}
            for value in sorted(spent, key=lambda value: (value is None, value or ""))
        ]
        if known
        else [],
    }
