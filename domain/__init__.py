"""What a lead is: the rules of lead management, without clock, randomness or I/O.

A *lead* is a person (known or still anonymous) whose interactions we follow. Every interaction
that a producer reports is a *fact*: a form submitted, a call attempted, a deal won. From the facts
the engine takes *decisions*: the lead entered a stage, its score crossed a threshold, two leads
turned out to be one person. Facts and decisions together are the lead's *history*; nothing else
is stored as truth.

``decide`` says which decisions a new fact leads to, ``evolve`` applies one event to the lead,
``score`` counts points at an instant. Each decision names the rule, the version of the policy and
the fact that caused it, so that "why?" always has an answer.

Facts have two clocks: ``at`` is when it happened, ``recorded_at`` when the log received it. Live
decisions are taken in the order of the log; analysis replays the facts in canonical order
``(at, source, sequence, id)``, so that late arrival changes numbers but never a decision taken.

Instants are ``int`` microseconds since 1970-01-01 UTC, money is ``int`` minor units beside an
ISO 4217 currency, points are ``int`` micro-points.
"""
