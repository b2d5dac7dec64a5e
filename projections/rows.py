"""What a batch writes: rows by table, collected until they go out in bulk."""

from typing import Any, Final

from sqlalchemy import Table

from projections.activities import activities
from projections.consents import consents
from projections.conversions import conversions
from projections.credit import credit
from projections.decided import decided
from projections.opportunities import opportunities
from projections.people import people
from projections.pipeline import pipeline
from projections.schema import lead_parts, lead_siblings, lead_streams
from projections.spend import spend
from projections.stages import stages
from projections.touches import touches

Row = tuple[Any, ...]

READ_MODELS: Final = (
    pipeline,
    stages,
    touches,
    conversions,
    credit,
    opportunities,
    people,
    consents,
    decided,
    activities,
    spend,
)
"""The read models, in the order in which they are listed."""


class Rows:
    """New rows of each table, and rows that may be there and then are replaced.

    Rows are tuples in the order of the table's columns.
    """

    __slots__ = (
        "activities",
        "changed_consents",
        "changed_conversions",
        "changed_credit",
        "changed_decided",
        "changed_opportunities",
        "changed_people",
        "changed_pipeline",
        "changed_stages",
        "changed_streams",
        "consents",
        "conversions",
        "credit",
        "decided",
        "dropped",
        "opportunities",
        "parts",
        "people",
        "pipeline",
        "siblings",
        "spend",
        "stages",
        "streams",
        "touches",
    )

    def __init__(self) -> None:
        self.dropped: list[int] = []
        """Leads all of whose rows go before any row comes."""
        self.pipeline: list[Row] = []
        self.changed_pipeline: list[Row] = []
        self.stages: list[Row] = []
        self.changed_stages: list[Row] = []
        self.touches: list[Row] = []
        self.conversions: list[Row] = []
        self.changed_conversions: list[Row] = []
        self.credit: list[Row] = []
        self.changed_credit: list[Row] = []
        self.opportunities: list[Row] = []
        self.changed_opportunities: list[Row] = []
        self.people: list[Row] = []
        self.changed_people: list[Row] = []
        self.consents: list[Row] = []
        self.changed_consents: list[Row] = []
        self.decided: list[Row] = []
        self.changed_decided: list[Row] = []
        self.activities: list[Row] = []
        self.spend: list[Row] = []
        self.streams: list[Row] = []
        self.changed_streams: list[Row] = []
        self.parts: list[Row] = []
        self.siblings: list[Row] = []

    def inserts(self) -> list[tuple[Table, list[Row]]]:
        """Return the new rows by table."""
        return [
            (pipeline, self.pipeline),
            (stages, self.stages),
            (touches, self.touches),
            (conversions, self.conversions),
            (credit, self.credit),
            (opportunities, self.opportunities),
            (people, self.people),
            (consents, self.consents),
            (decided, self.decided),
            (activities, self.activities),
            (spend, self.spend),
            (lead_streams, self.streams),
            (lead_parts, self.parts),
            (lead_siblings, self.siblings),
        ]

    def upserts(self) -> list[tuple[Table, list[Row]]]:
        """Return the rows that replace those of the same key, by table."""
        return [
            (pipeline, self.changed_pipeline),
            (stages, self.changed_stages),
            (conversions, self.changed_conversions),
            (credit, self.changed_credit),
            (opportunities, self.changed_opportunities),
            (people, self.changed_people),
            (consents, self.changed_consents),
            (decided, self.changed_decided),
            (lead_streams, self.changed_streams),
        ]


def renumber(rows: Rows, by: int) -> None:
    """Add *by* to the numbers of the leads in new *rows*, whose set has others under theirs."""
    for table, made in rows.inserts():
        if table is lead_siblings:
            made[:] = [(lead_no + by, sibling + by) for lead_no, sibling in made]
        elif table is lead_streams:
            made[:] = [(stream, lead_no + by) for stream, lead_no in made]
        else:
            made[:] = [(row[0] + by, *row[1:]) for row in made]
