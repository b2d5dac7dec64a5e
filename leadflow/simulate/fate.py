"""What became of a lead, and what the scenes of its life hand on to each other."""

from dataclasses import dataclass, field
from typing import NamedTuple

from leadflow.simulate.cast import Origin, Person
from leadflow.simulate.market import Draw, Market
from leadflow.simulate.pen import Block, Pen


@dataclass(slots=True)
class Fate:
    """What became of a lead: known to the simulator, told by no event. Instants in microseconds."""

    origin: Origin
    person: Person
    asked_at: int | None = None
    """The first demo or price request."""
    handed_at: int | None = None
    """When sales was given the lead."""
    called_at: int | None = None
    """The first call by a rep."""
    reps: list[str] = field(default_factory=list)
    """Who called, in the order of their first calls."""
    collided: bool = False
    premature: bool = False
    lost_reason: str = "none"
    lost_at: int | None = None
    """When it was lost in truth, whatever the CRM says and whenever it says it."""
    won: int | None = None
    """The number of the event that tells of the deal."""
    amount: int = 0
    """What the deal is worth, in minor units of `currency`; 0 without a deal."""
    currency: str = ""

    def lose(self, reason: str, at: int) -> None:
        """Note why and when the lead was lost; the first loss stands."""
        if self.lost_at is None:
            self.lost_reason, self.lost_at = reason, at


class Scene(NamedTuple):
    """A life under way: the pen, the fate, and the `person` blocks by which sources know them."""

    market: Market
    pen: Pen
    fate: Fate
    draw: Draw
    anonymous: Block
    """What the web tracker knows before anybody leaves an address."""
    mailed: Block
    """What the mail sender and the calendar know."""
    linked: Block
    """E-mail and anonymous id together."""
    typed: Block
    """All that a person types into a form, e-mail included."""
    filed: Block
    """The CRM's record."""
    dialled: Block
    """What the dialer knows: a number, or the CRM's id where there is none."""


def open_scene(market: Market, pen: Pen, origin: Origin) -> Scene:
    """Return the scene in which nothing has happened yet."""
    person = pen.person
    external: Block = {"crm": person.crm_id}
    typed: Block = {
        "email": person.email,
        "name": person.name,
        "title": person.title,
        "seniority": person.seniority,
        "language": person.country.language,
        "country": person.country.code,
        "region": person.country.region,
        "company": person.company,
    }
    filed: Block = {"email": person.email, "external_ids": external}
    dialled: Block = {"external_ids": external}
    if person.phone is not None:
        typed["phone"] = person.phone_as_typed
        filed["phone"] = person.phone
        dialled = {"phone": person.phone}
    return Scene(
        market=market,
        pen=pen,
        fate=Fate(origin, person),
        draw=pen.draw,
        anonymous={"anonymous_id": person.anonymous_id},
        mailed={"email": person.email},
        linked={"email": person.email, "anonymous_id": person.anonymous_id},
        typed=typed,
        filed=filed,
        dialled=dialled,
    )
