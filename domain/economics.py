"""Economics: what leads and customers cost, and what they bring back, exactly.

Money is whole minor units of one currency, everything divided is a `Fraction`; nothing is rounded
before the answer is written (`rounded`). What cannot be known is None, and `Measures.missing` says
why: a price without buyers is no price of zero.

Formulas: CPL, CPMQL, CAC = spend / count; ROAS = revenue / spend; ROI = (revenue - spend) / spend;
break-even ROAS = 1 / gross margin; contribution = revenue * gross margin - spend; LTV = ARPA *
gross margin / churn, for at most `HORIZON` months; payback = CAC / (ARPA * gross margin). See
Farris et al., *Marketing Metrics*, chapters 5 and 10; Gupta & Lehmann, *Managing Customers as
Investments*, for margin over churn.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal, NamedTuple, TypeVar

from domain.money import split

MONTH: Final = 2_629_800_000_000
"""A twelfth of 365.25 days in microseconds: what rates per month are counted by."""

HORIZON: Final = 36
"""Months for which a customer is counted on at most: no history tells of more."""

Value = TypeVar("Value", bound=Hashable)


def rounded(value: Fraction) -> int:
    """Return *value* in whole minor units: half of one goes to the even neighbour."""
    return round(value)


def break_even_roas(margin: Fraction) -> Fraction:
    """Return the ROAS at which the gross margin just pays for the spend.

    *margin* is the part of the revenue that is left after the cost of what is sold, above 0 and at
    most 1. Raises ValueError for any other.
    """
    return 1 / _margin(margin)


def contribution(revenue: int, spend: int, margin: Fraction) -> Fraction:
    """Return what is left of *revenue* after the cost of what is sold and *spend*; may be below 0.

    Raises ValueError for a margin that is not above 0 and at most 1.
    """
    return revenue * _margin(margin) - spend


def lifetime(churn: Fraction, horizon: int = HORIZON) -> Fraction:
    """Return how many months a customer stays: 1 / *churn*, at most *horizon*.

    *churn* is the rate per month. Raises ValueError for one below 0.
    """
    if churn < 0:
        raise ValueError(f"churn must not be below 0, not {churn}")
    return Fraction(horizon) if churn * horizon <= 1 else 1 / churn


def ltv(arpa: Fraction, margin: Fraction, churn: Fraction, horizon: int = HORIZON) -> Fraction:
    """Return what a customer brings over its lifetime, in minor units.

    *arpa* is the revenue of a customer per month in minor units, *churn* the rate per month.
    Raises ValueError as `lifetime` and `break_even_roas` do.
    """
    return arpa * _margin(margin) * lifetime(churn, horizon)


def payback(cac: Fraction, arpa: Fraction, margin: Fraction) -> Fraction | None:
    """Return after how many months a customer has paid for winning it; None where it never does.

    *cac* and *arpa* (per month) are minor units. Raises ValueError as `break_even_roas` does.
    """
    monthly = arpa * _margin(margin)
    return cac / monthly if monthly > 0 else None


def _margin(margin: Fraction) -> Fraction:
    if not 0 < margin <= 1:
        raise ValueError(f"gross margin must be above 0 and at most 1, not {float(margin)}")
    return margin


def allocate(overhead: int, spend: Mapping[Value, int]) -> dict[Value, int]:
    """Divide *overhead* among the keys of *spend* in proportion to it, to the last minor unit.

    What was refunded on balance carries none. Empty where nobody spent anything: then the overhead
    is nobody's.
    """
    weights = [max(amount, 0) for amount in spend.values()]
    if not any(weights):
        return {}
    return dict(zip(spend, split(overhead, weights), strict=True))


# --- what one source came to, in one currency ----------------------------------------------------


class Worth(NamedTuple):
    """What a customer is worth, in minor units of one currency."""

    arpa: Fraction
    """Revenue per customer and month."""
    ltv: Fraction


class Result(NamedTuple):
    """What was spent in one currency, and what came of it."""

    spend: int | None
    """Of the period; None where nothing was spent in this currency."""
    leads: int
    mqls: Fraction
    customers: Fraction
    """New customers as an attribution model credits them: parts of one are."""
    revenue: int | None
    """None where it is unknown: deals without an amount, or in other currencies alone."""
    winning: int | None
    """The spend that won the customers: that of the period, or of an earlier one where they lag."""
    overhead: int | None = None
    """What else it took to win them, not paid for media; None where it was not given."""


@dataclass(slots=True)
class Measures:
    """The figures of one `Result`; money in minor units, exact; None where ``missing`` says why."""

    cost_per_lead: Fraction | None = None
    cost_per_mql: Fraction | None = None
    cac: Fraction | None = None
    cac_fully_loaded: Fraction | None = None
    roas: Fraction | None = None
    roi: Fraction | None = None
    break_even_roas: Fraction | None = None
    contribution: Fraction | None = None
    contribution_on_spend: Fraction | None = None
    """Contribution / spend: what each unit of money that was spent came back as, beyond itself."""
    ltv_to_cac: Fraction | None = None
    payback_months: Fraction | None = None
    missing: dict[str, str] = field(default_factory=dict)


NO_SPEND: Final = "nothing was spent in this currency"
REFUNDED: Final = "the spend is not above zero"
NO_LEADS: Final = "no lead came"
NO_MQLS: Final = "no MQL is credited"
NO_CUSTOMERS: Final = "no new customer is credited"
NO_OVERHEAD: Final = "no overhead was given in this currency"
NO_REVENUE: Final = "its deals name no amount in this currency"
NO_MARGIN: Final = "no gross margin was given"
NO_WORTH: Final = "ARPA or churn is unknown"
NEVER: Final = "a customer brings nothing"


def measure(result: Result, margin: Fraction | None = None, worth: Worth | None = None) -> Measures:
    """Return the figures of *result*.

    Lifetime and payback are set against the fully loaded cost of a customer where there is one,
    else against the paid one. Raises ValueError for a margin that is not above 0 and at most 1.
    """
    told = Measures()
    spend, revenue = result.spend, result.revenue
    told.cost_per_lead = _per(told, "cost_per_lead", spend, Fraction(result.leads), NO_LEADS)
    told.cost_per_mql = _per(told, "cost_per_mql", spend, result.mqls, NO_MQLS)
    told.cac = _per(told, "cac", result.winning, result.customers, NO_CUSTOMERS)
    if result.overhead is None:
        told.missing["cac_fully_loaded"] = NO_OVERHEAD
    else:
        loaded = (result.winning or 0) + result.overhead
        told.cac_fully_loaded = _per(
            told, "cac_fully_loaded", loaded, result.customers, NO_CUSTOMERS
        )
    _returns(told, spend, revenue, margin)
    _lifetime(told, margin, worth)
    return told


def _per(
    told: Measures, name: str, amount: int | None, count: Fraction, nobody: str
) -> Fraction | None:
    if amount is None:
        told.missing[name] = NO_SPEND
    elif amount <= 0:
        told.missing[name] = REFUNDED
    elif count <= 0:
        told.missing[name] = nobody
    else:
        return amount / count
    return None


def _returns(
    told: Measures, spend: int | None, revenue: int | None, margin: Fraction | None
) -> None:
    """Fill in what the spend brought back."""
    why = NO_SPEND if spend is None else REFUNDED if spend <= 0 else None
    if why is None and revenue is None:
        why = NO_REVENUE
    if why is not None or spend is None or revenue is None:
        told.missing.update(dict.fromkeys(("roas", "roi"), why or NO_REVENUE))
    else:
        told.roas = Fraction(revenue, spend)
        told.roi = Fraction(revenue - spend, spend)
    if margin is None:
        why = NO_MARGIN
        told.missing["break_even_roas"] = NO_MARGIN
    else:
        told.break_even_roas = break_even_roas(margin)
    if why is not None or spend is None or revenue is None or margin is None:
        names = ("contribution", "contribution_on_spend")
        told.missing.update(dict.fromkeys(names, why or NO_REVENUE))
    else:
        told.contribution = contribution(revenue, spend, margin)
        told.contribution_on_spend = told.contribution / spend


def _lifetime(told: Measures, margin: Fraction | None, worth: Worth | None) -> None:
    """Fill in how what a customer brings compares with what it costs."""
    name = "cac" if told.cac_fully_loaded is None else "cac_fully_loaded"
    cost = told.cac if told.cac_fully_loaded is None else told.cac_fully_loaded
    why = told.missing.get(name)
    if margin is None:
        why = NO_MARGIN
    elif worth is None:
        why = NO_WORTH
    if cost is None or margin is None or worth is None:
        names = ("ltv_to_cac", "payback_months")
        told.missing.update(dict.fromkeys(names, why or NO_CUSTOMERS))
        return
    told.ltv_to_cac = worth.ltv / cost
    told.payback_months = payback(cost, worth.arpa, margin)
    if told.payback_months is None:
        told.missing["payback_months"] = NEVER


# --- what customers bring, and how long they stay -------------------------------------------------


class Dealing(NamedTuple):
    """Something that makes, keeps or ends a customer."""

    at: int
    """Instant, microseconds UTC."""
    kind: Literal["won", "revenue", "churned"]
    amount: int | None = None
    """Of revenue recognised, minor units (below 0: refunded); None where unknown."""
    currency: str | None = None


@dataclass(slots=True)
class Customer:
    """A lead while it buys: from a deal won, or the first revenue, until it churns."""

    since: int
    """Instant, microseconds UTC."""
    churned: int | None = None
    """When it was lost as a customer; None while it is one."""
    revenue: list[tuple[int, str, int]] = field(default_factory=list)
    """Revenue recognised: instant, currency, minor units."""


def customers_of(dealings: Iterable[Dealing]) -> list[Customer]:
    """Return what *dealings* of one lead, in order of time, make of it: a customer, or again.

    Only a deal that is won brings back who had churned: an invoice that comes after is the last of
    what was before.
    """
    made: list[Customer] = []
    for at, kind, amount, currency in dealings:
        if kind == "churned":
            if made and made[-1].churned is None:
                made[-1].churned = at
            continue
        if not made or (kind == "won" and made[-1].churned is not None):
            made.append(Customer(at))
        if kind == "revenue" and amount is not None and currency is not None:
            made[-1].revenue.append((at, currency, amount))
    return made


@dataclass(frozen=True, slots=True)
class Base:
    """The customers of a period; who came back counts again."""

    customers: int
    """Who was one at any instant of it."""
    churned: int
    months: Fraction
    """For how many months they were customers in it, all together."""
    churn: Fraction | None
    """Lost customers per customer and month; None where nobody was one."""
    arpa: Mapping[str, Fraction]
    """Revenue per month of a customer that pays in the currency, minor units."""


def base(customers: Iterable[Customer], since: int | None, until: int) -> Base:
    """Return what *customers* brought from *since* to before *until* (microseconds UTC).

    Churn is the number lost by the time that they were customers, the rate that fits best if it is
    the same in every month (occurrence by exposure). ARPA is the revenue recognised in a currency
    by the time of those customers that ever have any in it: who pays in another is not counted.
    """
    present = churned = 0
    exposed = 0
    revenue: dict[str, int] = {}
    paying: dict[str, int] = {}
    for customer in customers:
        begin = customer.since if since is None else max(customer.since, since)
        end = until if customer.churned is None else min(customer.churned, until)
        if customer.since >= until or (customer.churned is not None and customer.churned < begin):
            continue
        present += 1
        exposed += end - begin
        if customer.churned is not None and customer.churned < until:
            churned += 1
        for currency in {currency for _, currency, _ in customer.revenue}:
            paying[currency] = paying.get(currency, 0) + end - begin
        for at, currency, amount in customer.revenue:
            if at < until and (since is None or at >= since):
                revenue[currency] = revenue.get(currency, 0) + amount
    return Base(
        present,
        churned,
        Fraction(exposed, MONTH),
        Fraction(churned * MONTH, exposed) if exposed > 0 else None,
        {
            currency: Fraction(amount * MONTH, paying[currency])
            for currency, amount in sorted(revenue.items())
            if paying[currency] > 0
        },
    )
