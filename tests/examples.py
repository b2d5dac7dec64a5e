"""Canonical examples, the same in every test and page: one policy, facts, and whole histories."""

from collections.abc import Mapping
from itertools import count
from typing import Any, Final

from domain.events import Fact
from domain.policy import DAY, Policy
from leadflow.policies import load_policy

HOUR: Final = DAY // 24
START: Final = 20_000 * DAY
"""2024-10-04T00:00:00Z"""

POLICY: Final = load_policy()
"""The default policy."""

VP: Final[Mapping[str, Any]] = {"seniority": "vp"}
"""Traits that are just good enough for a marketing qualified lead: 25 points, grade C."""

_numbers = count(1)


def person(*keys: tuple[str, str]) -> dict[str, Any]:
    """Return a person block with the identifiers *keys*, strongest first."""
    return {"keys": [list(key) for key in keys]}


ADA: Final = person(("email", "ada@example.com"))


def fact(type_: str, day: float = 0, /, **fields: Any) -> Fact:
    """Return a fact of Ada's, *day* days after START.

    Fields of a fact are its own (``id``, ``actor``, ``traits``, ...), all others are its data.
    """
    at = START + round(day * DAY)
    given: dict[str, Any] = {
        name: fields.pop(name) for name in Fact.__dataclass_fields__ if name in fields
    }
    usual: dict[str, Any] = {
        "source": "/test",
        "id": f"e{next(_numbers):06}",
        "at": at,
        "recorded_at": at,
        "actor": "prospect",
        "person": ADA,
        "data": fields or None,
    }
    return Fact(type_, **(usual | given))


NEWSLETTER: Final = fact("form.submitted", 0, id="newsletter", kind="newsletter")
DEMO: Final = fact("demo.requested", 2, id="demo", traits=VP)
PRICING: Final = fact("pricing.requested", 3, id="pricing")
ACCEPTED: Final = fact("lead.accepted", 4, id="accepted", actor="rep")
NEED: Final = fact("qualification.answered", 5, id="need", criterion="need", value="a CRM")
BUDGET: Final = fact("qualification.answered", 5.5, id="budget", criterion="budget", value=10_000)
QUALIFIED: Final = fact("lead.qualified", 6, id="qualified", actor="rep")
OPPORTUNITY: Final = fact("opportunity.created", 8, id="opportunity", opportunity="o1")
WON: Final = fact("deal.won", 20, id="won", opportunity="o1", amount=12_000_00, currency="EUR")

BOUGHT: Final = (
    NEWSLETTER,
    DEMO,
    PRICING,
    ACCEPTED,
    NEED,
    BUDGET,
    QUALIFIED,
    OPPORTUNITY,
    WON,
)
"""Ada's whole way, one stage after the other, from the newsletter to the deal."""


def recycled(day: float = 10, until: float | None = None) -> Fact:
    """Return the fact that sales hands the lead back, to be woken up from day *until* on."""
    data = {} if until is None else {"until": START + round(until * DAY)}
    return fact("lead.recycled", day, actor="rep", reason="no budget", **data)


def small_policy(**changes: Any) -> Policy:
    """Return the default policy with *changes* to its fields."""
    fields = {
        name: getattr(POLICY, name)
        for name in Policy.__dataclass_fields__
        if name not in ("document", "version")
    }
    return Policy(**({"version": "test@1"} | fields | changes))
