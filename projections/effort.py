"""How the acts of reps divide between new business and customers: a part of ``source-mix``."""

from fractions import Fraction
from typing import Final

from sqlalchemy import Connection, Text, and_, case, cast, func, select

from domain.stages import WON
from projections.activities import activities
from projections.answers import Answer, by_size
from projections.period import between
from projections.stages import stages

EFFORT: Final = (
    *("email.sent", "call.attempted", "call.completed", "sms.sent", "chat.messaged"),
    *("meeting.booked", "meeting.moved", "meeting.held", "meeting.missed"),
)
"""What reps do for a lead. All that is about one call, meeting or message is one act."""

EXISTING: Final = "expansion"
"""The kind of cycle that is about a customer."""


def effort(
    connection: Connection,
    since: int | None = None,
    until: int | None = None,
    floor: Fraction | None = None,
) -> Answer:
    """Return how the acts of reps divide between new business and customers.

    A customer is a lead in a cycle of kind expansion, or after the deal of its cycle. Acts about
    one call, meeting or message are one, at the instant of the first, which *since* and *until*
    (microseconds UTC, *until* excluded) bound. *floor* is the least share of new business.
    """
    of = activities.c
    cycles = (
        select(
            stages.c.lead_no,
            stages.c.cycle,
            func.min(stages.c.cycle_kind).label("kind"),
            func.min(case((stages.c.stage == WON, stages.c.entered_at_us))).label("won_at"),
        )
        .group_by(stages.c.lead_no, stages.c.cycle)
        .subquery()
    )
    kind = case(
        (of.at_us > cycles.c.won_at, EXISTING), else_=func.coalesce(cycles.c.kind, "new")
    ).label("kind")
    thing = func.coalesce(of.message, "#" + cast(of.n, Text))
    acts = (
        select(kind, of.lead_no, func.min(of.at_us).label("at"), thing.label("thing"))
        .select_from(
            activities.outerjoin(
                cycles, and_(cycles.c.lead_no == of.lead_no, cycles.c.cycle == of.cycle)
            )
        )
        .where(of.actor == "rep", of.type.in_(EFFORT))
        .group_by(kind, of.lead_no, thing)
        .subquery()
    )
    query = (
        select(acts.c.kind, func.count())
        .where(*between(acts.c.at, since, until))
        .group_by(acts.c.kind)
    )
    counts = {str(name): int(count) for name, count in connection.execute(query)}
    whole = sum(counts.values())
    new = whole - counts.get(EXISTING, 0)
    share = Fraction(new, whole) if whole else None
    return {
        "acts": whole,
        "new": new,
        "existing": whole - new,
        "new_share": None if share is None else float(share),
        "kinds": [{"value": name, "acts": counts[name]} for name in by_size(counts)],
        "floor": None if floor is None else float(floor),
        "below_floor": None if floor is None or share is None else share < floor,
    }
