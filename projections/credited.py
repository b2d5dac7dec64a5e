"""What an attribution model credits to each source within a period: MQLs, customers, revenue.

Three roads lead there. The models whose credit is kept are added up by the database. The other
rules, those of moments among them, look at one journey at a time, and are asked about columns of
journeys (``projections.attribution_columns``). Models that look at all journeys at once know no
period; they are asked of ``projections.attribution``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, and_, func, select

from domain.attribution import MODELS, MOMENT_MODELS, NANO
from domain.journey import COLLAPSE_GAP, LOOKBACK
from domain.money import split
from projections.attribution import Scope
from projections.attribution_columns import Columns
from projections.attribution_models import Asked, Models, check
from projections.columns import MISSING, Flags
from projections.conversions import conversions
from projections.costs import SPENT_BY
from projections.credit import STORED, credit
from projections.journeys import Journeys
from projections.journeys_read import read_journeys
from projections.period import between, rows_between
from projections.sums import halves, whole
from projections.touches import touches

RULES: Final = (*MODELS, *MOMENT_MODELS)
"""The models that look at one journey at a time, and so may be asked about a period."""


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

    def earn(self, currency: str, units: int) -> None:
        """Add what was earned in a currency, minor units; nothing of a known amount is known."""
        self.revenue[currency] = self.revenue.get(currency, 0) + units

    def add(self, kind: str, nano: int, *, first: bool) -> None:
        """Add the credit of some conversions of a *kind*; *first*: they made new customers."""
        if kind == "mql":
            self.mqls += nano
            return
        self.deals += nano
        self.customers += nano if first else 0


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
    return Crediting(connection, by, since, until, lookback, collapse_gap).by_model(model)


class Crediting:
    """The same journeys, to be credited by one model after the other; see `credited`."""

    def __init__(
        self,
        connection: Connection,
        by: str = "channel",
        since: int | None = None,
        until: int | None = None,
        lookback: int | None = LOOKBACK,
        collapse_gap: int | None = COLLAPSE_GAP,
    ) -> None:
        """Say what is credited. Raises UnknownSource."""
        if by not in SPENT_BY:
            raise UnknownSource(f"spend is not told by {by!r}; there are {', '.join(SPENT_BY)}")
        self._connection, self._by, self._since, self._until = connection, by, since, until
        self._lookback, self._gap = lookback, collapse_gap
        self._read: dict[str, tuple[Columns, Flags]] = {}

    def by_model(self, model: str) -> ByTouch:
        """Return what *model* credits. Raises NoPeriod and ValueError as `credited` does."""
        check(model, Asked())
        if model not in RULES:
            if self._since is not None or self._until is not None:
                raise NoPeriod(
                    f"{model} cannot be asked about a period: leave --from and --to out, or take"
                    f" one of {', '.join(RULES)}"
                )
            return self._of_all(model)
        if model in STORED and (self._lookback, self._gap) == (LOOKBACK, COLLAPSE_GAP):
            return _stored(self._connection, model, self._by, self._since, self._until)
        return self._by_rule(model)

    def _by_rule(self, model: str) -> ByTouch:
        found: ByTouch = {}
        for kind in ("mql", "won"):
            columns, first = self._columns(kind)
            of, parts = columns.journeys, columns.parts(model)
            journey = np.repeat(np.arange(len(of)), of.lengths)
            for new in (False, True):
                mine = np.flatnonzero((parts > 0) & (first[journey] == new))
                nanos = np.zeros(len(of.values), np.int64)
                np.add.at(nanos, of.codes[mine], parts[mine])
                for code in np.flatnonzero(nanos).tolist():
                    _of(found, of.values[code]).add(kind, int(nanos[code]), first=new)
                untouched = int((first[columns.untouched] == new).sum())
                if untouched:
                    found.setdefault(None, Credited()).add(kind, untouched * NANO, first=new)
            if kind == "won":
                _earn(found, columns.attribute(model).amounts)
                _known(found, columns, parts > 0)
        return found

    def _columns(self, kind: str) -> tuple[Columns, Flags]:
        """Return the journeys to conversions of a kind, and which of them made new customers."""
        if kind not in self._read:
            journeys = read_journeys(
                self._connection, kind, self._by, self._lookback, self._gap, moments=True
            )
            asked = rows_between(journeys.conversion_at, self._since, self._until)
            self._read[kind] = Columns(journeys.chosen(asked)), _firsts(journeys)[asked]
        return self._read[kind]

    def _of_all(self, model: str) -> ByTouch:
        """Return the credit of a model that shares all conversions out alike.

        It credits deals, not new customers. Those whose first deal nobody touched are nobody's;
        the others are divided as the model divides the deals that were touched.
        """
        found: ByTouch = {}
        mqls, _ = self._models("mql", model).ask(model, Asked())
        for value, nano in mqls.credit.items():
            _of(found, value).mqls += nano
        models = self._models("won", model)
        won, _ = models.ask(model, Asked())
        for value, nano in won.credit.items():
            _of(found, value).deals += nano
        _earn(found, won.amounts)
        nobody = found.setdefault(None, Credited())
        nobody.mqls, nobody.deals = mqls.unattributed * NANO, won.unattributed * NANO
        for currency, units in won.unattributed_amounts.items():
            nobody.earn(currency, units)
        first = _firsts(models.journeys)
        new = int((first & (models.journeys.lengths > 0)).sum()) if won.credit else 0
        nobody.customers = (int(first.sum()) - new) * NANO
        if new:
            parts = split(new * NANO, list(won.credit.values()))
            for value, nano in zip(won.credit, parts, strict=True):
                _of(found, value).customers = nano
        if nobody == Credited():
            del found[None]
        return found

    def _models(self, kind: str, model: str) -> Models:
        scope = Scope(kind, self._by, self._lookback, self._gap)
        return scope.models(self._connection, [model])


def _of(found: ByTouch, value: str | None) -> Credited:
    return found.setdefault(Touched(value), Credited())


def _earn(found: ByTouch, amounts: Mapping[str | None, Mapping[str, int]]) -> None:
    for value, by_currency in amounts.items():
        for currency, units in by_currency.items():
            _of(found, value).earn(currency, units)


def _known(found: ByTouch, columns: Columns, earns: Flags) -> None:
    """Add what deals without a touch were worth, and in which currencies the others have worth.

    *earns* says of each touch whether it has credit. Its part of a known amount may round to
    nothing: that is 0, not unknown.
    """
    of = columns.journeys
    known = of.amount != MISSING
    worth = earns & np.repeat(known, of.lengths)
    count = len(of.currencies)
    pairs = of.codes.astype(np.int64) * count + np.repeat(of.currency, of.lengths)
    for pair in np.unique(pairs[worth]).tolist():
        _of(found, of.values[pair // count]).earn(of.currencies[pair % count], 0)
    for number in columns.untouched[known[columns.untouched]].tolist():
        found[None].earn(of.currencies[of.currency[number]], int(of.amount[number]))


def _firsts(journeys: Journeys) -> Flags:
    """Return which journeys led to the first conversion of somebody; they lie in order."""
    first: Flags = journeys.converted & (np.diff(journeys.unit, prepend=-1) != 0)
    return first


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
            *halves(credit.c[f"{model}_minor"]),
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
    for has_touch, value, kind, is_first, currency, nano, *worth in connection.execute(query):
        units = whole(*worth)
        if nano or units:
            earned = found.setdefault(Touched(value) if has_touch else None, Credited())
            earned.add(kind, int(nano), first=bool(is_first))
            if kind == "won" and units is not None and currency is not None:
                earned.earn(currency, units)
    return found
