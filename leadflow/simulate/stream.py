"""A market played: its events in order of arrival, and the truth about them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple, cast

from leadflow.simulate.arrival import be_born, fair_paid_on
from leadflow.simulate.fate import Fate
from leadflow.simulate.life import live
from leadflow.simulate.market import DAY, HOUR, UNIT_PRICE, WORTH, Market, between, chance
from leadflow.simulate.wire import (
    DIALER,
    MONEY,
    CloudEvent,
    Envelope,
    to_json,
    write_day,
    write_event,
)

CAMPAIGNS = (
    ("paid_social", "linkedin", "brand-push", "EUR", 9_000_00),
    ("paid_search", "google", "pumps-de", "EUR", 4_000_00),
    ("event", "expo", "expo", "USD", 12_000_00),
    ("webinar", "webinar", "line-care", "JPY", 60_000),
)
LATE = HOUR
"""An event that arrives this long after it happened counts as late."""


class LeadTruth(NamedTuple):
    """What the simulator knows of one lead, as far as its events have arrived."""

    lead: int
    """The simulator's own number."""
    identifiers: tuple[tuple[str, str], ...]
    """(kind, value) as vocabulary and normalisation have them, sorted."""
    events: tuple[tuple[str, str], ...]
    """(source, id) of each event, once, in order of arrival."""
    origin: str
    """The real way by which the lead came."""
    channel: str | None
    """The channel of that way; None where nobody touched anything, as in a bought list."""
    source: str | None
    """The touch source of that way."""
    reps: tuple[str, ...]
    """Who called, in the order of their first calls."""
    called_at: int | None
    """When the first call happened, in microseconds."""
    outcome: str
    """`won`, `lost` or `open`."""
    lost_reason: str
    """never_called, collision, slow, too_early, wrong_fit, no_need, no_response, competitor,
    price; `none` unless lost. Seldom what the CRM says."""
    won_amount: int | None
    """In minor units of `currency`."""
    currency: str | None
    machine_opens: int
    duplicates: int


@dataclass(slots=True)
class Totals:
    """Sums over the events of a simulation."""

    events: int = 0
    """Everything sent, second sendings included."""
    distinct: int = 0
    """Pairs of source and id."""
    duplicates: int = 0
    late: int = 0
    """Events that arrive an hour or more after they happened; second sendings apart."""
    machine_opens: int = 0
    types: dict[str, int] = field(default_factory=dict)
    """Distinct events of each type."""
    sources: dict[str, int] = field(default_factory=dict)
    """Distinct events of each source."""
    leads: int = 0
    """Leads of whom at least one event has arrived."""
    won: int = 0
    amounts: dict[str, int] = field(default_factory=dict)
    """Won amounts by currency, in minor units."""
    lost: dict[str, int] = field(default_factory=dict)
    """Leads by real reason of loss."""
    spend: dict[str, int] = field(default_factory=dict)
    """Spend by currency, in minor units."""


class Truth(NamedTuple):
    """What the simulator knows."""

    leads: dict[int, LeadTruth]
    """By the simulator's number of the lead, in order of first arrival."""
    totals: Totals


@dataclass(frozen=True)
class Simulation:
    """A market that can be played again and again, with the same events each time."""

    market: Market
    limit: int | None = None
    """How many events to play; all when None."""

    @property
    def events(self) -> Iterator[Envelope]:
        """Play from the beginning: yield envelopes in order of arrival."""
        return islice(_play(self.market), self.limit)

    @cached_property
    def truth(self) -> Truth:
        """Return what is true when the last event has arrived; plays the market once."""
        fates: dict[int, Fate] = {}
        return _tell(islice(_play(self.market, fates), self.limit), fates)

    def first(self, n: int) -> "Simulation":
        """Return the simulation of the first *n* events, with the truth as it is by then."""
        return Simulation(self.market, n)


def simulate(market: Market) -> Simulation:
    """Return the simulation of *market*; nothing is played until its events are asked for."""
    return Simulation(market)


def write_jsonl(path: Path, simulation: Simulation) -> int:
    """Write the events to *path*, one JSON object a line, in order of arrival; return how many."""
    count = 0
    with path.open("wb") as file:
        for envelope in simulation.events:
            count += 1
            file.write(to_json(envelope.event) + b"\n")
    return count


def _play(market: Market, fates: dict[int, Fate] | None = None) -> Iterator[Envelope]:
    """Yield all envelopes by arrival, and note in *fates*, if given, what becomes of each lead.

    Leads are played on the day of their birth and their sendings wait in one basket a day, so
    the memory goes with the lives under way and not with the length of the market.
    """
    rng = Random()
    births: list[list[int]] = [[] for _ in range(market.days)]
    for lead in range(market.leads):
        births[(be_born(market, lead, rng).at - market.start) // DAY].append(lead)
    baskets: dict[int, list[Envelope]] = {}
    for day in range(market.days):
        for envelope in _spend(market, day, rng):
            baskets.setdefault(day, []).append(envelope)
        for lead in births[day]:
            sent, fate = live(market, lead, rng)
            if fates is not None:
                fates[lead] = fate
            for envelope in sent:
                arrives = (envelope.arrived_at - market.start) // DAY
                if arrives < market.days:
                    baskets.setdefault(arrives, []).append(envelope)
        births[day] = []
        today = baskets.pop(day, [])
        today.sort()
        yield from today


def _spend(market: Market, day: int, rng: Random) -> Iterator[Envelope]:
    """Yield what each campaign cost in the week that ends on *day*, on every seventh day."""
    if day % 7 != 6:
        return
    rng.seed(f"{market.seed}:spend:{day}")
    at = market.start + day * DAY + 20 * HOUR
    for number, (channel, source, name, usually_in, usual) in enumerate(CAMPAIGNS):
        campaign = f"{name}-{fair_paid_on(market, day)}" if channel == "event" else name
        currency = market.currency or usually_in
        amount = usual * between(rng.random, 80, 120) // 100
        amount = amount * _price(currency) // _price(usually_in)
        written: str | int = amount
        if currency != "JPY" and chance(rng.random, 0.5):
            written = f"{amount // 100}.{amount % 100:02d}"
        data: dict[str, object] = {
            "channel": channel,
            "source": source,
            "campaign": campaign,
            "day": write_day(at),
            "amount": written,
            "currency": currency,
        }
        event = write_event(MONEY, "spend.recorded", at, (market.seed, day, number), data)
        yield Envelope(at + number * 1_000, -1, day * 10 + number, False, campaign, at, event)


def _price(currency: str) -> int:
    """Return the minor units of *currency* that buy what one euro buys."""
    return UNIT_PRICE[currency] * WORTH[currency]


@dataclass(slots=True)
class _Known:
    """What the events of one lead have shown so far."""

    identifiers: set[tuple[str, str]] = field(default_factory=set)
    events: list[tuple[str, str]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    """The first call of each rep."""
    machine_opens: int = 0
    duplicates: int = 0
    won: bool = False


def _tell(envelopes: Iterator[Envelope], fates: dict[int, Fate]) -> Truth:
    """Return the truth once all *envelopes* have arrived; they fill *fates* while they pass."""
    known: dict[int, _Known] = {}
    totals = Totals()
    horizon = 0
    for arrived_at, lead, number, copy, _, occurred_at, event in envelopes:
        horizon = arrived_at
        totals.events += 1
        seen = None if lead < 0 else known.setdefault(lead, _Known())
        if copy:
            totals.duplicates += 1
            if seen is not None:
                seen.duplicates += 1
            continue
        kind, source, data = str(event["type"]), str(event["source"]), _block(event["data"])
        totals.distinct += 1
        totals.late += arrived_at - occurred_at >= LATE
        totals.types[kind] = totals.types.get(kind, 0) + 1
        totals.sources[source] = totals.sources.get(source, 0) + 1
        if seen is None:
            currency = str(data["currency"])
            spent = int(str(data["amount"]).replace(".", ""))
            totals.spend[currency] = totals.spend.get(currency, 0) + spent
            continue
        fate = fates[lead]
        seen.events.append((source, str(event["id"])))
        seen.identifiers.update(_identifiers(event, source, _block(data["person"]), fate))
        seen.won |= number == fate.won
        if source == DIALER:
            rep = str(_block(data["actor"])["id"])
            seen.calls[rep] = min(occurred_at, seen.calls.get(rep, occurred_at))
        elif kind == "email.opened" and _block(data["actor"])["kind"] == "machine":
            seen.machine_opens += 1
    leads = {lead: _conclude(lead, seen, fates[lead], horizon) for lead, seen in known.items()}
    totals.leads = len(leads)
    for truth in leads.values():
        totals.machine_opens += truth.machine_opens
        if truth.won_amount is not None and truth.currency is not None:
            totals.won += 1
            amounts = totals.amounts
            amounts[truth.currency] = amounts.get(truth.currency, 0) + truth.won_amount
        elif truth.outcome == "lost":
            totals.lost[truth.lost_reason] = totals.lost.get(truth.lost_reason, 0) + 1
    return Truth(leads, totals)


def _conclude(lead: int, seen: _Known, fate: Fate, horizon: int) -> LeadTruth:
    """Return the truth of one lead at the instant *horizon*."""
    lost = fate.lost_at is not None and fate.lost_at <= horizon
    touch = fate.origin.touch
    source = None if touch is None else touch.get("source")
    return LeadTruth(
        lead=lead,
        identifiers=tuple(sorted(seen.identifiers)),
        events=tuple(seen.events),
        origin=fate.origin.name,
        channel=None if touch is None else str(touch.get("channel", fate.origin.name)),
        source=None if source is None else str(source),
        reps=tuple(sorted(seen.calls, key=lambda rep: (seen.calls[rep], rep))),
        called_at=min(seen.calls.values(), default=None),
        outcome="won" if seen.won else "lost" if lost else "open",
        lost_reason=fate.lost_reason if lost else "none",
        won_amount=fate.amount if seen.won else None,
        currency=fate.currency if seen.won else None,
        machine_opens=seen.machine_opens,
        duplicates=seen.duplicates,
    )


def _identifiers(
    event: CloudEvent, source: str, who: dict[str, object], fate: Fate
) -> Iterator[tuple[str, str]]:
    """Yield the identifiers that *event* carries, normalised as the engine does."""
    person = fate.person
    if "subject" in event:
        yield f"subject:{source}", str(event["subject"])
    if "email" in who:
        yield "email", person.email
    if "phone" in who:
        yield "phone", str(person.phone)
    if "anonymous_id" in who:
        yield "anonymous_id", person.anonymous_id
    if "external_ids" in who:
        yield "external:crm", person.crm_id


def _block(value: object) -> dict[str, object]:
    """Return *value*, which the simulator itself wrote as a JSON object."""
    return cast("dict[str, object]", value)
