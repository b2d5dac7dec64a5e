"""What journeys lead to: MQL, SQL, opportunity, and every deal that is won."""

from typing import Final

from projections.schema import instant, keys, number, read_model, text

NAME: Final = "conversions"
VERSION: Final = 1

KINDS: Final = ("mql", "sql", "opportunity", "won")
"""What can be attributed."""

conversions = read_model(
    NAME,
    "The first entry into mql, sql and opportunity per cycle, and every deal that was won, once",
    *keys(and_n="Counts the conversions of the lead from 1"),
    text("kind", "mql, sql, opportunity or won", null=False),
    instant("at_us", "When it happened"),
    number("cycle", "Cycle of the lead, from 1"),
    text("opportunity", "The opportunity it is about; null for mql and sql"),
    number(
        "amount_minor",
        "Minor units: of a won deal what the winning event says, of an opportunity its latest"
        " amount; null where unknown",
        null=True,
    ),
    text("currency", "ISO 4217 code of the amount"),
    number("journey_touches", "Touches that get credit: collapsed, in the 90 days up to it"),
)
