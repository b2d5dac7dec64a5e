"""Key figures that a user may set a goal for: what each is, and how answers tell it.

A KPI is a pure function over the document of a query. `KPIS` is the registry: whoever adds a
question adds its document to `DOCUMENTS` and its figures with `register`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection

from domain.stages import CAPTURED, MQL, OPPORTUNITY, SQL, WON
from projections.answers import Answer
from projections.costs import SPENT_BY
from projections.economics import Terms, economics
from projections.funnel import funnel
from projections.pipeline import DIMENSIONS
from projections.win_rate import win_rate

Unit = Literal["rate", "ratio", "money", "number", "months"]
"""A rate is 0 to 1; money is a decimal of a currency."""


class Scope(NamedTuple):
    """Of what a figure is asked."""

    by: str | None = None
    """A dimension, or None for all."""
    value: str | None = None
    """The value of ``by``."""
    since: int | None = None
    """Instant, microseconds UTC."""
    until: int | None = None
    """Instant, excluded."""
    currency: str | None = None
    """Of money, and of what is made of it; None: there is one."""


class Actual(NamedTuple):
    """A figure as it is; None where ``reason`` says why there is none."""

    value: Fraction | None
    reason: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What answers about money need to know beside the data."""

    model: str = "linear"
    terms: Terms = field(default_factory=Terms)


Document = Callable[[Connection, Scope, Reckoning, int | None], Answer]
"""Asks a question about a scope, as of an instant."""


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure that may have a goal."""

    name: str
    meaning: str
    unit: Unit
    higher_is_better: bool
    document: str
    """The key of `DOCUMENTS` whose answer tells it."""
    read: Callable[[Answer, Scope], Actual]
    dimensions: tuple[str, ...] = DIMENSIONS
    """What it can be asked by."""


KPIS: Final[dict[str, Kpi]] = {}
"""The registry, by name."""


def register(*kpis: Kpi) -> None:
    """Add *kpis* to the registry. Raises ValueError for a name that is taken."""
    for kpi in kpis:
        if kpi.name in KPIS:
            raise ValueError(f"there is a KPI {kpi.name!r} already")
        KPIS[kpi.name] = kpi


# --- funnels -------------------------------------------------------------------------------------


def _funnel(start: str, end: str) -> Document:
    def ask(connection: Connection, scope: Scope, _: Reckoning, __: int | None) -> Answer:
        return funnel(connection, [start, end], by=scope.by, since=scope.since, until=scope.until)

    return ask


def _rate(document: Answer, scope: Scope) -> Actual:
    """Return who got to the last step, of those at the first."""
    steps = document["steps"]
    if scope.by is not None:
        groups = {group["value"]: group["steps"] for group in document["groups"]}
        steps = groups.get(scope.value, [])
    if not steps or not steps[0]["leads"]:
        return Actual(None, "no lead began in the period")
    return Actual(Fraction(steps[-1]["leads"], steps[0]["leads"]))


# --- deals ---------------------------------------------------------------------------------------


def _closed(connection: Connection, scope: Scope, _: Reckoning, as_of: int | None) -> Answer:
    return win_rate(connection, scope.by, since=scope.since, until=scope.until, as_of=as_of)


def _won(document: Answer, scope: Scope) -> Actual:
    row: Mapping[str, Any] = document
    if scope.by is not None:
        found = [group for group in document["groups"] if group["value"] == scope.value]
        row = found[0] if found else {"won": 0, "lost": 0}
    closed = row["won"] + row["lost"]
    if not closed:
        return Actual(None, "no deal closed in the period")
    return Actual(Fraction(row["won"], closed))


# --- money ---------------------------------------------------------------------------------------


def _economics(
    connection: Connection, scope: Scope, reckoning: Reckoning, as_of: int | None
) -> Answer:
    given = reckoning.terms
    terms = Terms(
        scope.since,
        scope.until,
        as_of,
        given.lag,
        given.margin,
        given.overheads,
        given.arpa,
        given.churn,
    )
    return economics(connection, reckoning.model, scope.by or "channel", terms)


def _row(document: Answer, scope: Scope) -> Mapping[str, Any] | None:
    if scope.by is None:
        total: Mapping[str, Any] = document["total"]
        return total
    found = [row for row in document["rows"] if row["value"] == scope.value]
    return found[0] if found else None


def _count(key: str) -> Callable[[Answer, Scope], Actual]:
    def read(document: Answer, scope: Scope) -> Actual:
        row = _row(document, scope)
        return Actual(Fraction(0) if row is None else Fraction(Decimal(row[key])))

    return read


def _money(key: str) -> Callable[[Answer, Scope], Actual]:
    """Return the function that reads *key* of the one currency, or of the one that is asked for."""

    def read(document: Answer, scope: Scope) -> Actual:
        row = _row(document, scope)
        if row is None:
            return Actual(None, f"nothing is known of {scope.by} {scope.value!r}")
        paid = {one["currency"]: one for one in row["money"]}
        currency = scope.currency
        if currency is None:
            if len(paid) > 1:
                return Actual(None, f"name the currency: there are {', '.join(paid)}")
            currency = next(iter(paid), None)
        if currency not in paid:
            return Actual(None, "no money is told of it" + (f" in {currency}" * bool(currency)))
        one = paid[currency]
        if one[key] is None:
            return Actual(None, one["missing"].get(key, "nothing is told of it"), currency)
        return Actual(_exact(one, key), None, currency)

    return read


def _exact(one: Mapping[str, Any], key: str) -> Fraction:
    """Return a figure exactly: ratios of money anew from the money that the document tells."""
    if key in ("roas", "roi"):
        spend, revenue = Fraction(Decimal(one["spend"])), Fraction(Decimal(one["revenue"]))
        return revenue / spend - (key == "roi")
    told = one[key]
    return Fraction(Decimal(told)) if isinstance(told, str) else Fraction(told)


# --- what there is -------------------------------------------------------------------------------

_PASSAGES: Final = {
    "lead_to_mql": (CAPTURED, MQL),
    "mql_to_sql": (MQL, SQL),
    "sql_to_opportunity": (SQL, OPPORTUNITY),
    "lead_to_opportunity": (CAPTURED, OPPORTUNITY),
    "opportunity_to_won": (OPPORTUNITY, WON),
    "lead_to_won": (CAPTURED, WON),
}

_MONEY: Final[tuple[tuple[str, str, Unit, bool, str], ...]] = (
    ("leads", "leads", "number", True, "leads captured in the period"),
    ("mqls", "mql", "number", True, "MQLs in the period, as the model credits them"),
    ("customers", "customers", "number", True, "new customers, as the model credits them"),
    (
        "revenue",
        "revenue",
        "money",
        True,
        "what deals won brought, as the model credits it",
    ),
    ("spend", "spend", "money", False, "what was spent"),
    ("cpl", "cost_per_lead", "money", False, "spend / leads"),
    ("cpmql", "cost_per_mql", "money", False, "spend / MQLs"),
    ("cac", "cac", "money", False, "spend / new customers"),
    ("roas", "roas", "ratio", True, "revenue / spend"),
    ("roi", "roi", "ratio", True, "(revenue - spend) / spend"),
    (
        "contribution_on_spend",
        "contribution_on_spend",
        "ratio",
        True,
        "(revenue * gross margin - spend) / spend",
    ),
    ("ltv_to_cac", "ltv_to_cac", "ratio", True, "LTV / CAC"),
    (
        "payback_months",
        "payback_months",
        "months",
        False,
        "months until a customer has paid for winning it",
    ),
)
"""Name, key of the answer, unit, whether higher is better, meaning."""

DOCUMENTS: Final[dict[str, Document]] = {
    **{name: _funnel(*steps) for name, steps in _PASSAGES.items()},
    "win_rate": _closed,
    "economics": _economics,
}
"""The questions that KPIs are read from."""

register(
    *(
        Kpi(
            name,
            f"of the leads that reached {start} in the period, those that reached {end} since",
            "rate",
            higher_is_better=True,
            document=name,
            read=_rate,
        )
        for name, (start, end) in _PASSAGES.items()
    ),
    Kpi(
        "win_rate",
        "won / (won + lost), of the deals that closed in the period",
        "rate",
        higher_is_better=True,
        document="win_rate",
        read=_won,
    ),
    *(
        Kpi(
            name,
            meaning,
            unit,
            higher_is_better=better,
            document="economics",
            read=(_count if unit == "number" else _money)(key),
            dimensions=SPENT_BY,
        )
        for name, key, unit, better, meaning in _MONEY
    ),
)
