"""A seeded market: the demo, the load generator, the oracle of tests.

It plays a trade fair whose badges are uploaded days late, web forms, newsletters, advertisements
and reps of different speed and care; it sends what a real stack would send, machine opens,
second sendings and late events included, and keeps the truth beside it.

>>> simulation = simulate(market_for_events(1_000, seed=7)).first(1_000)
>>> len(list(simulation.events)), simulation.truth.totals.events
(1000, 1000)
"""

from leadflow.simulate.market import Market, market_for_events
from leadflow.simulate.poison import Delivery, Poisoned, poison
from leadflow.simulate.stream import (
    LeadTruth,
    Simulation,
    Totals,
    Truth,
    simulate,
    write_jsonl,
)
from leadflow.simulate.wire import CloudEvent, Envelope, to_json

__all__ = [
    "CloudEvent",
    "Delivery",
    "Envelope",
    "LeadTruth",
    "Market",
    "Poisoned",
    "Simulation",
    "Totals",
    "Truth",
    "market_for_events",
    "poison",
    "simulate",
    "to_json",
    "write_jsonl",
]
