"""Where every lead stands now, and what they are worth."""

from collections.abc import Iterable
from statistics import median
from typing import Any, Final

from sqlalchemy import Column, Connection, case, func, select

from domain.stages import LOST, STAGES, WON
from projections.answers import DAY, Answer, add_up, amounts, by_size, exponents, rfc3339
from projections.conversions import conversions
from projections.opportunities import opportunities
from projections.schema import instant, keys, number, read_model, text

NAME: Final = "pipeline"
VERSION: Final = 2

pipeline = read_model(
    NAME,
    "Where every lead stands now",
    *keys(),
    text("lead_id", "Id of the lead: UUIDv5 of the identifier it was first known by", null=False),
    text("stage", "Stage code; null until the first capture or intent event"),
    number("cycle", "Cycle, from 1: recycling, reopening and expansion begin the next"),
    text("cycle_kind", "What opened the cycle: new, recycled, reopened, expansion", null=False),
    instant("entered_at_us", "When the stage was entered", null=True),
    instant("captured_at_us", "When the lead was first captured", null=True),
    instant("first_event_at_us", "When the first event happened"),
    instant("last_event_at_us", "When the latest event happened"),
    number("events", "Events of the lead, of whatever type"),
    number("prospect_events", "Events in which the person acted, or the producer does not say who"),
    number("rep_events", "Events in which a rep acted"),
    number("machine_events", "Events in which a machine acted"),
    number(
        "is_hot", "1 when the engagement was in the band of the MQL at the latest event, else 0"
    ),
    text("owner", "Who works the lead now"),
    number("touches", "Touches of marketing or sales, before runs are made one"),
    instant("first_touch_at_us", "When the first touch happened", null=True),
    text("channel", "Channel of the first touch"),
    text("source", "Marketing source of the first touch"),
    text("medium", "Medium of the first touch"),
    text("campaign", "Campaign of the first touch"),
    text("party", "Whose touch the first was: first, second, third"),
    text("country", "Latest known country of the person, ISO 3166-1"),
    text("region", "Latest known region of the person"),
    text("seniority", "Latest known seniority"),
    text("title", "Latest known job title"),
    text("company", "Latest known name of the company"),
    text("company_domain", "Latest known domain of the company"),
    text("account", "Registrable domain of the company, else of a work e-mail address"),
    text("company_size", "Latest known size of the company: a number or a band, as it was told"),
    text("industry", "Latest known industry of the company"),
    text("product", "Product of the latest event that names one"),
    number("deals_open", "Opportunities that are open"),
    number("deals_won", "Opportunities that were won last"),
    number("deals_lost", "Opportunities that were lost last"),
)

DIMENSIONS: Final = (
    "owner",
    "channel",
    "source",
    "medium",
    "campaign",
    "party",
    "country",
    "region",
    "seniority",
    "industry",
    "company",
    "account",
    "company_size",
    "product",
)
"""What leads can be grouped by; channel, source and their like are those of the first touch."""


class UnknownDimension(ValueError):
    """There is nothing of that name to group by."""


def dimension(name: str) -> Column[Any]:
    """Return the column of pipeline that *name* groups by; raise UnknownDimension."""
    if name not in DIMENSIONS:
        raise UnknownDimension(f"cannot group by {name!r}; there are {', '.join(DIMENSIONS)}")
    column: Column[Any] = pipeline.c[name]
    return column


_ORDER: Final = {stage: n for n, stage in enumerate((None, *STAGES))}


def summary(connection: Connection, by: str | None = None, as_of: int | None = None) -> Answer:
    """Return leads, amounts and median days per stage, over all and per value of *by*.

    *as_of* is the instant (microseconds UTC) up to which days are counted, by default that of the
    latest event. Won leads are worth their won deals, lost ones their lost opportunities, others
    their open ones; unknown amounts add nothing. Raises UnknownDimension.
    """
    column = dimension(by) if by is not None else None
    if as_of is None:
        as_of = connection.execute(select(func.max(pipeline.c.last_event_at_us))).scalar()
    places = exponents(connection)
    everything = _stages(connection, None, as_of, places).get(None, [])
    answer: Answer = {
        "as_of": None if as_of is None else rfc3339(as_of),
        "leads": sum(stage["leads"] for stage in everything),
        "stages": everything,
        "groups": [],
    }
    if column is not None:
        groups = _stages(connection, column, as_of, places)
        sizes = {value: sum(row["leads"] for row in rows) for value, rows in groups.items()}
        answer["groups"] = [
            {"value": value, "leads": sizes[value], "stages": groups[value]}
            for value in by_size(sizes)
        ]
    return answer


def _stages(
    connection: Connection, column: Any, as_of: int | None, places: dict[str, int]
) -> dict[Any, list[Answer]]:
    """Return the rows per stage by value of *column*; of one group, None, without a column."""
    group = [] if column is None else [column]
    entered: dict[Any, dict[str | None, list[int | None]]] = {}
    for stage, at, *value in connection.execute(
        select(pipeline.c.stage, pipeline.c.entered_at_us, *group)
    ):
        entered.setdefault(_value(value), {}).setdefault(stage, []).append(at)
    worth = add_up(
        ((_value(value), stage), currency, units)
        for stage, currency, units, *value in [
            *connection.execute(
                select(
                    pipeline.c.stage,
                    conversions.c.currency,
                    func.sum(conversions.c.amount_minor),
                    *group,
                )
                .join(conversions, conversions.c.lead_no == pipeline.c.lead_no)
                .where(pipeline.c.stage == WON, conversions.c.kind == "won")
                .group_by(pipeline.c.stage, conversions.c.currency, *group)
            ),
            *connection.execute(
                select(
                    pipeline.c.stage,
                    opportunities.c.currency,
                    func.sum(opportunities.c.amount_minor),
                    *group,
                )
                .join(opportunities, opportunities.c.lead_no == pipeline.c.lead_no)
                .where(
                    func.coalesce(pipeline.c.stage, "") != WON,
                    opportunities.c.status
                    == case((pipeline.c.stage == LOST, "lost"), else_="open"),
                )
                .group_by(pipeline.c.stage, opportunities.c.currency, *group)
            ),
        ]
    )
    return {
        value: [
            {
                "stage": stage,
                "leads": len(stages[stage]),
                "amounts": amounts(worth.get((value, stage), {}), places),
                "median_days_in_stage": _days(stages[stage], as_of),
            }
            for stage in sorted(stages, key=_ORDER.__getitem__)
        ]
        for value, stages in entered.items()
    }


def _value(values: list[Any]) -> Any:
    return values[0] if values else None


def _days(entered: Iterable[int | None], as_of: int | None) -> float | None:
    """Return the median days since *entered*; None where it is not known."""
    known = [as_of - at for at in entered if at is not None and as_of is not None]
    return median(known) / DAY if known else None
