"""The question ``sources`` answers: what becomes of leads, by where they first came from."""

from typing import Any, Final

from sqlalchemy import Connection, func, select

from domain.stages import MQL, OPPORTUNITY, SAL, SQL, WON
from projections.answers import Answer, add_up, amounts, by_size, exponents
from projections.conversions import conversions
from projections.pipeline import dimension, pipeline
from projections.stages import stages

_COUNTED: Final = (MQL, SAL, SQL, OPPORTUNITY, WON)


def summary(connection: Connection, by: str = "channel") -> Answer:
    """Return leads, how many of them ever entered each stage, and what they won.

    *by* is a dimension of the lead; raises UnknownDimension. Spend is not recorded in any read
    model yet, so what needs it is null.
    """
    column = dimension(by)
    places = exponents(connection)
    counted = select(column, func.count()).group_by(column)
    leads: dict[Any, int] = {row[0]: row[1] for row in connection.execute(counted)}
    entered = {
        (value, stage): count
        for value, stage, count in connection.execute(
            select(column, stages.c.stage, func.count(stages.c.lead_no.distinct()))
            .join(stages, stages.c.lead_no == pipeline.c.lead_no)
            .where(stages.c.stage.in_(_COUNTED))
            .group_by(column, stages.c.stage)
        )
    }
    won = add_up(
        (value, currency, units)
        for value, currency, units in connection.execute(
            select(column, conversions.c.currency, func.sum(conversions.c.amount_minor))
            .join(conversions, conversions.c.lead_no == pipeline.c.lead_no)
            .where(conversions.c.kind == "won")
            .group_by(column, conversions.c.currency)
        )
    )
    return {
        "rows": [
            {
                "value": value,
                "leads": leads[value],
                **{stage: entered.get((value, stage), 0) for stage in _COUNTED},
                "conversion_to_won": entered.get((value, WON), 0) / leads[value],
                "amounts": amounts(won.get(value, {}), places),
                "spend": None,
                "cost_per_lead": None,
                "cac": None,
                "roas": None,
            }
            for value in by_size(leads)
        ]
    }
