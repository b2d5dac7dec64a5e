"""Where every lead stands now, and what they are worth."""

from typing import Any, Final

from sqlalchemy import Column, Connection, func, select

from projections.schema import instant, keys, number, read_model, text

NAME: Final = "pipeline"
VERSION: Final = 4

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
    instant("last_human_at_us", "When a person acted last, no machine", null=True),
    instant(
        "person_updated_at_us",
        "When the data of the person were last brought up to date",
        null=True,
    ),
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


def latest_event(connection: Connection) -> int | None:
    """Return the instant of the latest event of any lead, microseconds UTC."""
    found: int | None = connection.execute(select(func.max(pipeline.c.last_event_at_us))).scalar()
    return found


def observed_until(connection: Connection, as_of: int | None) -> int | None:
    """Return up to when leads are observed, microseconds UTC: *as_of*, else the latest event.

    None where there is neither.
    """
    return latest_event(connection) if as_of is None else as_of
