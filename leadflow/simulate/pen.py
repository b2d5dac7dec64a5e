"""The pen: writes the events of one lead, and remembers which identifiers they have carried."""

from leadflow.simulate.cast import Person
from leadflow.simulate.market import DAY, HOUR, SECOND, Draw, Market, between, chance
from leadflow.simulate.wire import STYLES, CloudEvent, Envelope, write_event

Block = dict[str, object]
PROSPECT: Block = {"kind": "prospect"}
MACHINE: Block = {"kind": "machine", "id": "gateway"}


class Pen:
    """Write what happens to one lead.

    An event that links a new identifier to the person is never late, and every event carries an
    identifier that is known when it arrives: in order of arrival exact matching finds one lead,
    without ever having to merge two.
    """

    __slots__ = ("_known", "_market", "draw", "lead", "person", "sent")

    def __init__(self, market: Market, lead: int, person: Person, draw: Draw) -> None:
        self._market = market
        self._known: set[str] = set()
        self.lead = lead
        self.person = person
        self.draw = draw
        self.sent: list[Envelope] = []

    def write(
        self,
        source: str,
        kind: str,
        at: int,
        who: Block,
        fields: Block,
        *,
        subject: bool = False,
        arrives: int | None = None,
    ) -> int:
        """Send an event of *kind* that happened at *at*; return the time that its source wrote.

        *who* is the `person` block by which the source knows the lead, *fields* the rest of
        `data`; *subject* adds the record id of the CRM. *arrives* fixes the arrival, else it
        follows within a second, or rarely days later.
        """
        market, draw, person = self._market, self.draw, self.person
        at -= at % STYLES[source].unit
        number = len(self.sent)
        data: Block = {"person": who}
        data.update(fields)
        event = write_event(source, kind, at, (market.seed, self.lead, number), data)
        key = ""
        for name in ("email", "phone", "anonymous_id", "external_ids"):
            if name in who:
                key = key or getattr(person, _HELD_AS[name])
                if name not in self._known:
                    self._known.add(name)
                    arrives = arrives or at + SECOND
        if market.one_key:
            event["subject"] = key = f"hub-{market.seed}-{self.lead}"
        elif subject:
            event["subject"] = key = person.crm_id
        if arrives is None:
            late = chance(draw, market.late)
            arrives = at + (between(draw, HOUR, 3 * DAY) if late else between(draw, 0, SECOND))
        arrives += -arrives % 1_000
        self.sent.append(Envelope(arrives, self.lead, number, False, key, at, event))
        return at

    def finish(self) -> list[Envelope]:
        """Return everything sent, with the second sendings that the market's rate asks for."""
        draw, share = self.draw, self._market.duplicates
        again: list[Envelope] = []
        for first in self.sent:
            if draw() < share:
                event: CloudEvent = first.event
                if draw() < 0.5:
                    # The same values in another order of keys are the same event.
                    event = dict(reversed(event.items()))
                arrives = first.arrived_at + between(draw, 1, 2 * 24 * 3_600_000) * 1_000
                again.append(first._replace(arrived_at=arrives, copy=True, event=event))
        return self.sent + again


_HELD_AS = {
    "email": "email",
    "phone": "phone",
    "anonymous_id": "anonymous_id",
    "external_ids": "crm_id",
}
