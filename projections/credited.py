"""What an attribution model credits to each source within a period: MQLs, customers, revenue.

Two roads: the models whose credit is kept are added up by the database, the other rules are
computed journey by journey, exactly as ``domain.attribution`` says. Models that look at all
journeys at once know no period; they are asked of ``projections.credit``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, func, select

from domain.attribution import MODELS, NANO
from domain.journey import COLLAPSE_GAP, LOOKBACK, Journey, Touch, collapse, cut
from domain.money import split
from projections.answers import exponents
from projections.conversions import conversions
from projections.costs import SPENT_BY
from projections.credit import STORED, attribution, credit
from projections.period import between
from projections.touches import touches


class NoPeriod(ValueError):
    """The model looks at all journeys at once and cannot be asked about a part of them."""


class UnknownSource(ValueError):
    """Spend is not told by that."""


@dataclass(slots=True)
class Credited:
    """What one source earned."""

    mqls: int = 0
    """Parts of 10^9 of an entry into mql; of the lead's first one in each cycle."""
    deals: int = 0
    """Parts of 10^9 of a deal won."""
    customers: int = 0
    """Parts of 10^9 of the first deal that a lead ever won."""
    revenue: dict[str, int] = field(default_factory=dict)
    """What the deals were worth, minor units by currency."""

    def add(self, kind: str, nano: int, currency: str | None, units: int, *, first: bool) -> None:
        """Add the credit of some conversions of a *kind*; *first*: they made new customers."""
        if kind == "mql":
            self.mqls += nano
            return
        self.deals += nano
        self.customers += nano if first else 0
        if currency is not None:
            self.revenue[currency] = self.revenue.get(currency, 0) + units


class Touched(NamedTuple):
    """A source that touched somebody; the credit of those whom nobody touched is under None."""

    value: str | None


ByTouch = dict[Touched | None, Credited]


def credited(
    connection: Connection,
    model: str,
    by: str = "channel",
    since: int | None = None,
    until: int | None = None,
    lookback: int | None = LOOKBACK,
    collapse_gap: int | None = COLLAPSE_GAP,
) -> ByTouch:
    """Return what *model* credits to each value of *by*, and under None what nobody touched.

    Conversions count that happened at *since* or later and before *until*; all of these are
    microseconds. Raises UnknownSource where *by* is none of `SPENT_BY`, NoPeriod where the model
    takes no period, ValueError for a model that is not known.
    """
    if by not in SPENT_BY:
        raise UnknownSource(f"spend is not told by {by!r}; there are {', '.join(SPENT_BY)}")
    if model not in MODELS:
        if since is not None or until is not None:
            raise NoPeriod(
                f"{model} cannot be asked about a period: leave --from and --to out, or take one of"
                f" {', '.join(MODELS)}"
            )
        return _of_all(connection, model, by, lookback, collapse_gap)
    if model in STORED and (lookback, collapse_gap) == (LOOKBACK, COLLAPSE_GAP):
        return _stored(connection, model, by, since, until)
    return _computed(connection, model, by, since, until, lookback, collapse_gap)


def _first_deals() -> Any:
    """Return the query of the number of each lead's first deal."""
    return (
        select(conversions.c.lead_no, func.min(conversions.c.n).label("n"))
        .where(conversions.c.kind == "won")
        .group_by(conversions.c.lead_no)
        .subquery()
    )


def _counted(since: int | None, until: int | None) -> Any:
    """Return the condition that a conversion is asked for."""
    of = conversions.c
    return and_(of.kind.in_(("mql", "won")), *between(of.at_us, since, until))


def _stored(
    connection: Connection, model: str, by: str, since: int | None, until: int | None
) -> ByTouch:
    firsts = _first_deals()
    column, touched = touches.c[by], touches.c.lead_no.is_not(None)
    first = firsts.c.n.is_not(None)
    of = conversions.c
    query = (
        select(
            touched,
            column,
            of.kind,
            first,
            of.currency,
            func.sum(credit.c[f"{model}_nano"]),
            func.sum(credit.c[f"{model}_minor"]),
        )
        .select_from(credit)
        .join(conversions, and_(of.lead_no == credit.c.lead_no, of.n == credit.c.n))
        .outerjoin(
            touches, and_(touches.c.lead_no == credit.c.lead_no, touches.c.n == credit.c.touch)
        )
        .outerjoin(firsts, and_(firsts.c.lead_no == of.lead_no, firsts.c.n == of.n))
        .where(_counted(since, until))
        .group_by(touched, column, of.kind, first, of.currency)
    )
    found: ByTouch = {}
    for has_touch, value, kind, is_first, currency, nano, units in connection.execute(query):
        if nano or units:
            known = None if units is None else currency
            found.setdefault(Touched(value) if has_touch else None, Credited()).add(
                kind, int(nano), known, int(units or 0), first=bool(is_first)
            )
    return found


def _computed(
    connection: Connection,
    model: str,
    by: str,
    since: int | None,
    until: int | None,
    lookback: int | None,
    collapse_gap: int | None,
) -> ByTouch:
    firsts, rule = _first_deals(), MODELS[model]
    of = conversions.c
    query = (
        select(of.lead_no, of.kind, of.at_us, of.amount_minor, of.currency, firsts.c.n)
        .outerjoin(firsts, and_(firsts.c.lead_no == of.lead_no, firsts.c.n == of.n))
        .where(_counted(since, until))
        .order_by(of.lead_no, of.n)
    )
    converted = connection.execute(query).all()
    touched = _touches(connection, by, since, until) if converted else iter(())
    next_lead, run = next(touched, (None, []))
    found: ByTouch = {}
    for lead_no, rows in groupby(converted, key=lambda row: row[0]):
        collapsed: list[Touch] = []
        if next_lead == lead_no:
            collapsed = collapse(run, collapse_gap)
            next_lead, run = next(touched, (None, []))
        for _, kind, at, amount, currency, first in rows:
            journey = Journey(cut(collapsed, at, lookback), at)
            values: list[Touched | None] = [None]
            weights: list[int] = [1]
            if journey.touches:
                values = [Touched(touch.source) for touch in journey.touches]
                weights = list(rule(journey))
            known = None if amount is None else currency
            nanos = split(NANO, weights)
            money = split(amount or 0, weights)
            for value, nano, units in zip(values, nanos, money, strict=True):
                if nano or units:
                    found.setdefault(value, Credited()).add(
                        kind, nano, known, units, first=first is not None
                    )
    return found


def _touches(
    connection: Connection, by: str, since: int | None, until: int | None
) -> Iterator[tuple[int | None, list[Touch]]]:
    """Yield the touches of each lead that converted, by its number; ``source`` holds *by*."""
    of = touches.c
    asked = select(conversions.c.lead_no).where(_counted(since, until))
    query = (
        select(of.lead_no, of.n, of.at_us, of.channel, of[by])
        .where(of.lead_no.in_(asked))
        .order_by(of.lead_no, of.n)
    )
    rows = connection.execute(query.execution_options(yield_per=10_000))
    for lead_no, group in groupby(rows, key=lambda row: row[0]):
        yield lead_no, [Touch(row[2], row[3], row[4], sequence=row[1]) for row in group]


def _of_all(
    connection: Connection, model: str, by: str, lookback: int | None, collapse_gap: int | None
) -> ByTouch:
    """Return the credit of a model that shares all conversions out alike.

    It credits deals, not new customers; these are divided as the deals are.
    """
    found: ByTouch = {}
    mqls = attribution(connection, model, by, "mql", lookback, collapse_gap)
    for touched, nano, _ in _told(mqls):
        found.setdefault(touched, Credited()).mqls += nano
    won = attribution(connection, model, by, "won", lookback, collapse_gap)
    places = exponents(connection)
    for touched, nano, amounts in _told(won):
        of_value = found.setdefault(touched, Credited())
        of_value.deals += nano
        for one in amounts:
            units = int(Decimal(one["amount"]).scaleb(places.get(one["currency"], 2)))
            of_value.revenue[one["currency"]] = of_value.revenue.get(one["currency"], 0) + units
    deals = [of_value.deals for of_value in found.values()]
    if any(deals):
        new = connection.execute(select(func.count()).select_from(_first_deals())).scalar() or 0
        for of_value, nano in zip(found.values(), split(new * NANO, deals), strict=True):
            of_value.customers = nano
    return found


_NOBODY: Final[dict[str, Any]] = {"conversions": 0, "amounts": []}


def _told(document: dict[str, Any]) -> Iterator[tuple[Touched | None, int, list[dict[str, str]]]]:
    """Yield source, credit in parts of 10^9 and amounts of the answer to `attribution`."""
    for row in document["rows"]:
        yield Touched(row["value"]), int(Decimal(row["credit"]).scaleb(9)), row["amounts"]
    nobody = document.get("unattributed", _NOBODY)
    if nobody["conversions"] or nobody["amounts"]:
        yield None, nobody["conversions"] * NANO, nobody["amounts"]
