"""The question ``economics`` answers: what leads and customers cost, and whether it pays.

Read by period: what was spent in it, beside the leads that were captured, the MQLs and the deals
in it, whenever these leads first came. Spend is matched with what an attribution model credits to
the same channel, source or campaign.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from domain.attribution import NANO
from domain.economics import (
    HORIZON,
    NO_MARGIN,
    Base,
    Customer,
    Dealing,
    Measures,
    Result,
    Worth,
    allocate,
    base,
    customers_of,
    lifetime,
    ltv,
    measure,
)
from domain.journey import COLLAPSE_GAP, LOOKBACK
from projections.activities import activities
from projections.answers import Answer, amounts, by_size, credit_text, exponents, rfc3339
from projections.conversions import conversions
from projections.costs import Costs, costs, first_day, price, ratio, together
from projections.credited import ByTouch, Credited, Crediting, Touched
from projections.period import between
from projections.pipeline import observed_until, pipeline

CHURNED: Final = "customer.churned"
RECOGNIZED: Final = "revenue.recognized"

_RANKS: Final = {"won": 0, "revenue": 1, "churned": 2}
"""At one instant who is won pays and leaves in this order."""

NO_CUSTOMERS: Final = "nobody was a customer in the period"
NO_CHURN: Final = f"no {CHURNED} was ever reported"
NO_ARPA: Final = f"no {RECOGNIZED} in this currency in the period"


class Overhead(NamedTuple):
    """What it takes to win customers beside media: salaries, tools, agencies."""

    amount: int
    """Minor units."""
    currency: str
    day: str | None = None
    """YYYY-MM-DD; None: it belongs to whatever period is asked for."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What economics are reckoned by. Instants and durations are microseconds."""

    since: int | None = None
    until: int | None = None
    """The end of the period, excluded; None: up to now."""
    as_of: int | None = None
    """What now is; None: the instant of the latest event."""
    lag: int = 0
    """How long before customers are won the money for them is spent."""
    margin: Fraction | None = None
    """Gross margin, above 0 and at most 1."""
    overheads: Sequence[Overhead] = ()
    arpa: tuple[int, str] | None = None
    """Revenue per customer and month, minor units and currency; None: from what was recognised."""
    churn: Fraction | None = None
    """Customers lost per month; None: from those that churned."""
    lookback: int | None = LOOKBACK
    collapse_gap: int | None = COLLAPSE_GAP


def economics(
    connection: Connection, model: str = "linear", by: str = "channel", terms: Terms | None = None
) -> Answer:
    """Return what each value of *by* cost and brought, as *model* credits it.

    *by* is channel, source or campaign. Leads are those captured in the period, by first touch;
    MQLs, deals and customers (leads that won their first deal) are credited. Prices are decimals
    rounded half to even to the currency's minor unit, ratios floats; currencies are never added.
    What is null is named in ``missing``, with the reason. Raises ValueError for a model, dimension
    or margin that there is none of; see ``projections.credited``.
    """
    told = _Economics(connection, by, terms or Terms())
    found = told.rows(model)
    return {"model": model, **told.head, **found, "customers": told.customers}


def compare(
    connection: Connection,
    models: Sequence[str],
    by: str = "channel",
    terms: Terms | None = None,
) -> Answer:
    """Return the economics under each of *models*: one row per value of *by* and model.

    Raises ValueError as `economics` does.
    """
    told = _Economics(connection, by, terms or Terms())
    by_value: dict[str | None, list[Answer]] = {}
    parts: Answer = {}
    for model in models:
        parts = told.rows(model)
        for row in parts["rows"]:
            by_value.setdefault(row["value"], []).append({"model": model, **row})
    sizes = {value: rows[0]["leads"] for value, rows in by_value.items()}
    return {
        "models": list(models),
        **told.head,
        "rows": [row for value in by_size(sizes) for row in by_value[value]],
        "unmatched": parts.get("unmatched"),
        "total": parts.get("total"),  # models divide it in different ways; it stays the same
        "customers": told.customers,
    }


class _Economics:
    """What all models share: leads, spend, and what a customer is worth."""

    def __init__(self, connection: Connection, by: str, terms: Terms) -> None:
        self._credited = Crediting(
            connection, by, terms.since, terms.until, terms.lookback, terms.collapse_gap
        )
        self._connection, self._terms = connection, terms
        self._places = exponents(connection)
        since, until, lag = terms.since, terms.until, terms.lag
        now = observed_until(connection, terms.as_of) or 0
        end = now + 1 if until is None else until
        early = None if since is None else since - lag
        late = end - lag if lag else until
        self._spent = costs(connection, by, since, until)
        self._winning = costs(connection, by, early, late) if lag else self._spent
        self._overhead = _overhead(terms.overheads, early, late)
        self._leads = _captured(connection, by, since, until)
        self._worth: dict[str, Worth] = {}
        self.customers = self._customers(min(end, now + 1))
        self.head: Answer = {
            "by": by,
            "from": None if since is None else rfc3339(since),
            "to": None if until is None else rfc3339(until),
            "lag_seconds": lag // 1_000_000,
            "gross_margin": ratio(terms.margin),
        }

    def rows(self, model: str) -> Answer:
        """Return rows, what is in none of them, and the total, as *model* credits it."""
        found = self._credited.by_model(model)
        shared = self._shared_overhead()
        sizes = dict.fromkeys((touched.value for touched in found if touched is not None), 0)
        for spent in (self._spent, self._winning):
            sizes.update(dict.fromkeys((value for value in spent if value is not None), 0))
        sizes.update(self._leads)
        rows = [
            {
                "value": value,
                **self._row(
                    self._leads.get(value, 0),
                    found.get(Touched(value), Credited()),
                    {} if value is None else self._spent.get(value, {}),
                    {} if value is None else self._winning.get(value, {}),
                    {} if value is None else shared.get(value, {}),
                ),
            }
            for value in by_size(sizes)
        ]
        nobody = found.get(None, Credited())
        places = self._places
        return {
            "rows": rows,
            "unmatched": {"spend": amounts(self._spent.get(None, {}), places)},
            "unattributed": {
                "mql": credit_text(nobody.mqls),
                "deals": credit_text(nobody.deals),
                "customers": credit_text(nobody.customers),
                "amounts": amounts(nobody.revenue, places),
            },
            "total": self._row(
                sum(self._leads.values()),
                _together(found),
                together(self._spent),
                together(self._winning),
                self._overhead,
            ),
        }

    def _shared_overhead(self) -> Costs:
        """Return the overhead of each value, as it is divided by what was spent."""
        shared: Costs = {}
        for currency, overhead in self._overhead.items():
            spent = {
                value: of_value[currency]
                for value, of_value in sorted(
                    self._winning.items(), key=lambda one: (one[0] is None, one[0] or "")
                )
                if currency in of_value
            }
            for value, part in allocate(overhead, spent).items():
                shared.setdefault(value, {})[currency] = part
        return shared

    def _row(
        self,
        leads: int,
        earned: Credited,
        spent: Mapping[str, int],
        winning: Mapping[str, int],
        overhead: Mapping[str, int],
    ) -> Answer:
        money = []
        for currency in sorted({*spent, *winning, *overhead, *earned.revenue}):
            revenue = earned.revenue.get(currency)
            if revenue is None and not earned.deals:
                revenue = 0
            result = Result(
                spent.get(currency),
                leads,
                Fraction(earned.mqls, NANO),
                Fraction(earned.customers, NANO),
                revenue,
                winning.get(currency),
                overhead.get(currency),
            )
            told = measure(result, self._terms.margin, self._worth.get(currency))
            money.append(_money(currency, result, told, self._places.get(currency, 2)))
        return {
            "leads": leads,
            "mql": credit_text(earned.mqls),
            "deals": credit_text(earned.deals),
            "customers": credit_text(earned.customers),
            "money": money,
        }

    def _customers(self, end: int) -> Answer:
        """Return what customers bring and how long they stay, up to before the instant *end*."""
        terms, margin = self._terms, self._terms.margin
        found = base(_customers(self._connection), terms.since, end)
        missing: dict[str, str] = {}
        churn = _churn(self._connection, found, terms.churn, missing)
        arpa = dict(found.arpa)
        if terms.arpa is not None:
            arpa = {terms.arpa[1]: Fraction(terms.arpa[0])}
        if not arpa:
            missing["arpa_per_month"] = NO_ARPA
        why = NO_MARGIN if margin is None else missing.get("churn_per_month")
        money = []
        for currency, of_month in sorted(arpa.items()):
            value = None
            if margin is not None and churn is not None:
                value = ltv(of_month, margin, churn)
                self._worth[currency] = Worth(of_month, value)
            places = self._places.get(currency, 2)
            money.append(
                {
                    "currency": currency,
                    "arpa_per_month": price(of_month, places),
                    "ltv": price(value, places),
                    "missing": {"ltv": why} if value is None and why else {},
                }
            )
        stays = None if churn is None else lifetime(churn)
        return {
            "customers": found.customers,
            "churned": found.churned,
            "months": ratio(found.months),
            "churn_per_month": ratio(churn),
            "lifetime_months": ratio(stays),
            "is_capped": stays == HORIZON if stays is not None else None,
            "money": money,
            "missing": missing,
        }


def _churn(
    connection: Connection, found: Base, given: Fraction | None, missing: dict[str, str]
) -> Fraction | None:
    """Return the churn per month; None, and why in *missing*, where it is not known."""
    if given is not None:
        return given
    if found.churn is None:
        missing["churn_per_month"] = NO_CUSTOMERS
        return None
    told = select(activities.c.lead_no).where(activities.c.type == CHURNED).limit(1)
    if connection.execute(told).first() is None:
        missing["churn_per_month"] = NO_CHURN
        return None
    return found.churn


def _money(currency: str, result: Result, told: Measures, places: int) -> Answer:
    def amount(units: int | Fraction | None) -> str | None:
        return price(None if units is None else Fraction(units), places)

    return {
        "currency": currency,
        "spend": amount(result.spend),
        "winning_spend": amount(result.winning),
        "overhead": amount(result.overhead),
        "revenue": amount(result.revenue),
        "cost_per_lead": amount(told.cost_per_lead),
        "cost_per_mql": amount(told.cost_per_mql),
        "cac": amount(told.cac),
        "cac_fully_loaded": amount(told.cac_fully_loaded),
        "roas": ratio(told.roas),
        "roi": ratio(told.roi),
        "break_even_roas": ratio(told.break_even_roas),
        "contribution": amount(told.contribution),
        "contribution_on_spend": ratio(told.contribution_on_spend),
        "ltv_to_cac": ratio(told.ltv_to_cac),
        "payback_months": ratio(told.payback_months),
        "missing": told.missing,
    }


def _together(found: ByTouch) -> Credited:
    """Return what all earned."""
    everything = Credited()
    for one in found.values():
        everything.mqls += one.mqls
        everything.deals += one.deals
        everything.customers += one.customers
        for currency, units in one.revenue.items():
            everything.revenue[currency] = everything.revenue.get(currency, 0) + units
    return everything


def _overhead(
    overheads: Iterable[Overhead], since: int | None, until: int | None
) -> dict[str, int]:
    """Return the overheads of the days that begin within the period, by currency."""
    start = None if since is None else first_day(since)
    end = None if until is None else first_day(until)
    sums: dict[str, int] = {}
    for amount, currency, day in overheads:
        if day is None or ((start is None or day >= start) and (end is None or day < end)):
            sums[currency] = sums.get(currency, 0) + amount
    return sums


def _captured(
    connection: Connection, by: str, since: int | None, until: int | None
) -> dict[str | None, int]:
    """Return the leads that were captured in the period by where they first came from."""
    at, column = pipeline.c.captured_at_us, pipeline.c[by]
    query = select(column, func.count()).where(at.is_not(None), *between(at, since, until))
    return {row[0]: row[1] for row in connection.execute(query.group_by(column))}


def _customers(connection: Connection) -> Iterator[Customer]:
    """Yield the customers of the whole history; who came back, again."""
    told: list[tuple[int, int, int, Dealing]] = []
    won = select(conversions.c.lead_no, conversions.c.at_us).where(conversions.c.kind == "won")
    for lead_no, at in connection.execute(won):
        told.append((lead_no, at, _RANKS["won"], Dealing(at, "won")))
    of = activities.c
    later = (
        select(of.lead_no, of.type, of.at_us, of.amount_minor, of.currency)
        .where(of.type.in_((CHURNED, RECOGNIZED)))
        .order_by(of.lead_no, of.n)
    )
    for lead_no, type_, at, amount, currency in connection.execute(later):
        if type_ == CHURNED:
            told.append((lead_no, at, _RANKS["churned"], Dealing(at, "churned")))
        else:
            dealing = Dealing(at, "revenue", amount, currency)
            told.append((lead_no, at, _RANKS["revenue"], dealing))
    told.sort(key=itemgetter(0, 1, 2))
    for _, group in groupby(told, key=itemgetter(0)):
        yield from customers_of(one[3] for one in group)
