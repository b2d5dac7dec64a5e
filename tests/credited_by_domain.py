"""What a rule credits to each source, journey by journey with the domain: the reference."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from domain.attribution import MODELS, MOMENT_MODELS, NANO
from domain.journey import COLLAPSE_GAP, LOOKBACK, Journey, Moments, Touch, collapse, cut
from domain.money import split
from projections.conversions import conversions
from projections.credited import ByTouch, Credited, Touched
from projections.opportunities import opportunities
from projections.pipeline import pipeline
from projections.stages import stages
from projections.touches import touches


def credited_by_domain(
    connection: Connection,
    model: str,
    by: str,
    since: int | None = None,
    until: int | None = None,
    lookback: int | None = LOOKBACK,
    collapse_gap: int | None = COLLAPSE_GAP,
) -> ByTouch:
    """Return what `projections.credited.credited` should, of a model that looks at one journey."""
    rule = {**MODELS, **MOMENT_MODELS}[model]
    met = _touches(connection, by)
    moments = _Moments.of(connection)
    found: ByTouch = {}
    of = conversions.c
    query = select(
        of.lead_no, of.kind, of.at_us, of.amount_minor, of.currency, of.cycle, of.opportunity
    ).order_by(of.lead_no, of.n)
    customers: set[int] = set()
    for lead, kind, at, amount, currency, cycle, opportunity in connection.execute(query):
        is_first = kind == "won" and lead not in customers
        if kind == "won":
            customers.add(lead)
        early, late = since is not None and at < since, until is not None and at >= until
        if kind not in ("mql", "won") or early or late:
            continue
        made = moments.lead(lead, cycle), moments.deals.get((lead, opportunity))
        journey = Journey(
            cut(collapse(met.get(lead, []), collapse_gap), at, lookback),
            at,
            Moments(*made, at if kind == "won" else None),
        )
        values: list[Touched | None] = [Touched(touch.source) for touch in journey.touches]
        weights = rule(journey) if values else [1]
        parts = split(NANO, weights), split(amount or 0, weights)
        for value, nano, units in zip(values or [None], *parts, strict=True):
            if nano or units:
                earned = found.setdefault(value, Credited())
                earned.add(kind, nano, first=is_first)
                if kind == "won" and amount is not None:
                    earned.earn(currency, units)
    return found


def _touches(connection: Connection, by: str) -> dict[int, list[Touch]]:
    of = touches.c
    query = select(of.lead_no, of.n, of.at_us, of.channel, of[by]).order_by(of.lead_no, of.n)
    found: dict[int, list[Touch]] = {}
    for lead, n, at, channel, value in connection.execute(query):
        found.setdefault(lead, []).append(Touch(at, channel, value, sequence=n))
    return found


@dataclass(slots=True)
class _Moments:
    """When leads and opportunities were made."""

    captured: dict[int, int | None] = field(default_factory=dict)
    cycles: dict[tuple[int, int], int] = field(default_factory=dict)
    deals: dict[tuple[int, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection) -> "_Moments":
        found = cls()
        for lead, at in connection.execute(select(pipeline.c.lead_no, pipeline.c.captured_at_us)):
            found.captured[lead] = at
        entered = select(stages.c.lead_no, stages.c.cycle, stages.c.entered_at_us)
        for lead, cycle, at in connection.execute(entered):
            found.cycles[lead, cycle] = min(at, found.cycles.get((lead, cycle), at))
        deal = opportunities.c
        created = select(deal.lead_no, deal.opportunity, deal.created_at_us)
        for lead, name, at in connection.execute(created):
            found.deals[lead, name] = min(at, found.deals.get((lead, name), at))
        return found

    def lead(self, lead: int, cycle: int) -> int | None:
        """Return when a lead was made in a cycle."""
        return self.cycles.get((lead, cycle), self.captured.get(lead))
