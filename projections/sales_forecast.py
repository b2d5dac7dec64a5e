"""The question ``forecast`` answers: what open opportunities will bring, month by month.

The sums are those of `domain.sales_forecast`, per currency. What is needed beside it: when each
opportunity will close, how likely it is to be won, and what it is worth.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from domain.calibration import ONE
from domain.months import month_of, month_of_day, name_of, shifted, start_of
from domain.win import LEAST, MOST
from projections.answers import Answer, decimal, exponents, rfc3339
from projections.bernoulli import Spread, placed_among, spread, won_by_age
from projections.columns import MISSING, Coded, Integers, read
from projections.opportunities import opportunities
from projections.opportunity_columns import exact_sum

COMMIT: Final = Fraction(7, 10)
"""The probability from which on an opportunity is committed, by default."""

STAGE_OUTCOMES: Final = 10
"""Closed opportunities that a sub-stage needs to have a win rate of its own."""

YEAR: Final = 12
"""Months that are looked back for what opportunities bring that are not there yet."""

_UNDATED: Final = -1
_NO_CHANCE: Final = np.int64(-1)

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Book:
    """All opportunities, by column."""

    lead_no: Integers
    is_open: NDArray[np.bool_]
    is_won: NDArray[np.bool_]
    created: Integers
    closed: Integers
    amount: Integers
    currency: Coded
    stage: Coded
    product: Coded
    day: Coded

    @property
    def closed_rate(self) -> Fraction | None:
        """Return the share of the closed that was won; None where none is closed."""
        closed = int((~self.is_open).sum())
        return Fraction(int(self.is_won.sum()), closed) if closed else None


@dataclass(frozen=True, slots=True)
class Months:
    """The months that are asked about, as numbers of `domain.months`, and the instant of asking."""

    as_of: int
    first: int
    count: int

    @property
    def current(self) -> int:
        """Return the month that begins or goes on after the instant of asking."""
        return month_of(self.as_of + 1)

    def bounds(self) -> list[tuple[int, int]]:
        """Return each month as times after the instant of asking: after the first, to the second."""
        return [
            (max(start_of(month) - 1 - self.as_of, 0), start_of(month + 1) - 1 - self.as_of)
            for month in range(self.first, self.first + self.count)
        ]


@dataclass(frozen=True, slots=True)
class Ahead:
    """Open opportunities with what is expected of them."""

    rows: Integers
    """Their places in the book."""
    amount: Integers
    """Known or assumed; `MISSING` where neither."""
    assumed: NDArray[np.bool_]
    chance: Integers
    """Of being won, in parts of `ONE`; -1 where there is nothing to tell it by."""
    by_stage: Integers
    """The same by the win rate of their sub-stage."""
    month: Integers
    """Month in which they are to close, overdue ones the current one; -1 where no day is known."""
    overdue: NDArray[np.bool_]
    """Whether that day, in UTC, was over by the instant of asking."""
    when: Shares
    """A row each, a column per month: the share of its chance that falls there; nan: unknown."""


def read_book(connection: Connection) -> Book:
    """Return all opportunities that the read models know."""
    of = opportunities.c
    query = select(
        of.lead_no,
        of.status,
        of.created_at_us,
        of.closed_at_us,
        of.amount_minor,
        of.currency,
        of.stage_name,
        of.product,
        of.close_date,
    )
    text = {"status", "currency", "stage_name", "product", "close_date"}
    found = read(connection, query, text)
    status = found.coded["status"]
    return Book(
        found["lead_no"],
        status.codes == status.code_of("open"),
        status.codes == status.code_of("won"),
        found["created_at_us"],
        found["closed_at_us"],
        found["amount_minor"],
        found.coded["currency"],
        found.coded["stage_name"],
        found.coded["product"],
        found.coded["close_date"],
    )


def forecast(
    connection: Connection,
    chances: Mapping[int, int] | None,
    months: Months,
    *,
    commit: Fraction = COMMIT,
    assume: bool = False,
    seed: int | None = None,
) -> Answer:
    """Return what is won and what open opportunities are expected to bring, per month and currency.

    *chances* are those of open leads by number, in parts of `domain.calibration.ONE`; where they
    say nothing of a lead, or are None, the win rate of all closed opportunities stands in.
    *assume*: an open opportunity without an amount counts with the mean of the won ones of its
    product, else of all, where these have one currency; else it counts nothing.
    """
    book = read_book(connection)
    places = exponents(connection)
    ahead = _ahead(book, chances, months, assume=assume)
    believed = chances is not None and any(int(no) in chances for no in book.lead_no[ahead.rows])
    rate = book.closed_rate
    return {
        "as_of": rfc3339(months.as_of),
        "from": name_of(months.first),
        "to": name_of(months.first + months.count - 1),
        "probabilities": "model" if believed else "none" if rate is None else "base_rate",
        "base_rate": None if rate is None else float(rate),
        "commit_from": float(commit),
        "open": len(ahead.rows),
        "overdue": int(ahead.overdue.sum()),
        "without_close_date": int((ahead.month == _UNDATED).sum()),
        "without_amount": int((ahead.amount == MISSING).sum()),
        "assumed_amounts": int(ahead.assumed.sum()),
        "currencies": [
            _currency(book, ahead, months, code, currency, commit, places, seed)
            for currency, code in _currencies(book, ahead)
        ],
    }


def _currencies(book: Book, ahead: Ahead) -> Iterator[tuple[str, int]]:
    """Yield the currencies of anything open or won, sorted, with their codes."""
    codes = _codes(book, ahead)
    used = {*codes[ahead.amount != MISSING].tolist(), *book.currency.codes[book.is_won].tolist()}
    named = [(name, n) for n, name in enumerate(book.currency.values) if name is not None]
    yield from sorted((name, n) for name, n in named if n in used)


def _codes(book: Book, ahead: Ahead) -> NDArray[np.int32]:
    """Return the currency of each open opportunity; an assumed amount is of the only one there is."""
    codes = book.currency.codes[ahead.rows].copy()
    if ahead.assumed.any():
        codes[ahead.assumed] = _only_currency(book)
    return codes


def _only_currency(book: Book) -> int:
    """Return the code of the currency in which all was won; -1 where there are none or several."""
    paid = np.unique(book.currency.codes[book.is_won & (book.amount != MISSING)])
    return int(paid[0]) if len(paid) == 1 else -1


def _ahead(book: Book, chances: Mapping[int, int] | None, months: Months, *, assume: bool) -> Ahead:
    rows = np.flatnonzero(book.is_open)
    amount, assumed = _amounts(book, rows, assume=assume)
    rate = book.closed_rate
    # three won of three is no certainty
    base = _NO_CHANCE if rate is None else np.int64(min(max(round(rate * ONE), LEAST), MOST))
    told = chances or {}
    chance = np.array([told.get(no, base) for no in book.lead_no[rows].tolist()], np.int64)
    # at the last instant of a day that day has passed: a month that ends with it takes no more
    today = rfc3339(months.as_of + 1)[:10]
    day_month = np.array(
        [_UNDATED if day is None else month_of_day(day) for day in book.day.values], np.int64
    )
    late = np.array([day is not None and day < today for day in book.day.values], np.bool_)
    codes = book.day.codes[rows]
    overdue = late[codes] if len(late) else np.zeros(0, np.bool_)
    month = day_month[codes] if len(day_month) else np.zeros(0, np.int64)
    month = np.where(overdue, months.current, month)
    return Ahead(
        rows,
        amount,
        assumed,
        chance,
        _stage_chances(book, rows, base),
        month,
        overdue,
        _when(book, rows, month, months),
    )


def _amounts(book: Book, rows: Integers, *, assume: bool) -> tuple[Integers, NDArray[np.bool_]]:
    amount = book.amount[rows].copy()
    assumed = np.zeros(len(rows), np.bool_)
    if not assume or _only_currency(book) < 0:
        return amount, assumed
    paid = np.flatnonzero(book.is_won & (book.amount != MISSING))
    of_all = round(Fraction(exact_sum(book.amount[paid]), len(paid)))
    for code in np.unique(book.product.codes[rows[amount == MISSING]]).tolist():
        alike = paid[book.product.codes[paid] == code]
        mean = round(Fraction(exact_sum(book.amount[alike]), len(alike))) if len(alike) else of_all
        filled = (amount == MISSING) & (book.product.codes[rows] == code)
        amount[filled], assumed[filled] = mean, True
    return amount, assumed


def _stage_chances(book: Book, rows: Integers, base: np.int64) -> Integers:
    """Return the win rate of the closed opportunities of the same sub-stage, else of all."""
    kinds = len(book.stage.values)
    closed = np.bincount(book.stage.codes[~book.is_open], minlength=kinds)
    won = np.bincount(book.stage.codes[book.is_won], minlength=kinds)
    rates = np.array(
        [
            round(Fraction(int(wins) * ONE, int(ends))) if ends >= STAGE_OUTCOMES else base
            for wins, ends in zip(won, closed, strict=True)
        ],
        np.int64,
    )
    return rates[book.stage.codes[rows]] if kinds else np.empty(0, np.int64)


def _when(book: Book, rows: Integers, month: Integers, months: Months) -> Shares:
    """Return where the chance of each falls: by its day, else by how long the won ones took."""
    asked = np.arange(months.first, months.first + months.count)
    when: Shares = (month[:, None] == asked[None, :]).astype(np.float64)
    undated = np.flatnonzero(month == _UNDATED)
    if len(undated):
        end = np.where(book.is_open, months.as_of, book.closed)
        ages = np.maximum(end - book.created, 0)
        causes = np.where(book.is_won, 1, np.where(book.is_open, 0, 2)).astype(np.int8)
        there = (ages > 0) | book.is_open
        curve = won_by_age(ages[there], causes[there])
        when[undated] = placed_among(curve, ages[rows[undated]], months.bounds())
    return when


# --- one currency -------------------------------------------------------------------------------


def _currency(
    book: Book,
    ahead: Ahead,
    months: Months,
    code: int,
    currency: str,
    commit: Fraction,
    places: Mapping[str, int],
    seed: int | None,
) -> Answer:
    mine = (_codes(book, ahead) == code) & (ahead.amount != MISSING)
    part = _Part(ahead, mine, commit, places.get(currency, 2), seed)
    in_currency = book.is_won & (book.currency.codes == code) & (book.amount != MISSING)
    asked = range(months.first, months.first + months.count)
    won = [_won_in(book, in_currency, start_of(one), start_of(one + 1)) for one in asked]
    new = [_new_in(book, in_currency, months, one) for one in asked]
    rows = [
        {
            "month": name_of(month),
            "overdue": int((ahead.overdue & mine).sum()) if month == months.current else 0,
            **part.answer(part.when[:, n], part.month == month, won[n], new[n]),
        }
        for n, month in enumerate(asked)
    ]
    lost_when = np.isnan(part.when).any(axis=1)
    within = np.where(lost_when, 0.0, np.minimum(part.when.sum(axis=1), 1.0))
    in_range = (part.month >= months.first) & (part.month < months.first + months.count)
    total_new = None if None in new else sum((one for one in new if one is not None), Fraction(0))
    return {
        "currency": currency,
        "open": int(mine.sum()),
        "amount": decimal(exact_sum(ahead.amount[mine]), part.places),
        "expected": part.money(part.expected(np.ones(int(mine.sum())))),
        "months": rows,
        "total": part.answer(within, in_range | (part.month == _UNDATED), sum(won), total_new),
        "elsewhere": {
            "opportunities": int((~in_range & (part.month != _UNDATED)).sum()),
            "expected": part.money(part.expected(1.0 - within)),
        },
    }


class _Part:
    """The open opportunities of one currency."""

    def __init__(
        self,
        ahead: Ahead,
        mine: NDArray[np.bool_],
        commit: Fraction,
        places: int,
        seed: int | None,
    ) -> None:
        self.amount, self.chance = ahead.amount[mine], ahead.chance[mine]
        self.by_stage, self.month = ahead.by_stage[mine], ahead.month[mine]
        self.when = ahead.when[mine]
        self.places, self._commit, self._seed = places, commit, seed

    @property
    def _known(self) -> bool:
        """Return whether there is anything to tell probabilities by."""
        return not bool((self.chance < 0).any())

    def money(self, units: Fraction | None) -> str | None:
        """Return minor units as a decimal."""
        return None if units is None else decimal(round(units), self.places)

    def parts(self, when: Shares, chance: Integers) -> Integers:
        """Return the chance that falls where *when* says, in whole parts of `ONE`."""
        found: Integers = np.rint(np.nan_to_num(when) * chance).astype(np.int64)
        return found

    def expected(self, when: Shares, chance: Integers | None = None) -> Fraction | None:
        """Return the sum of probability times amount."""
        if not self._known:
            return None
        parts = self.parts(when, self.chance if chance is None else chance)
        pairs = zip(self.amount.tolist(), parts.tolist(), strict=True)
        return Fraction(sum(amount * part for amount, part in pairs), ONE)

    def answer(
        self, when: Shares, due: NDArray[np.bool_], won: int, new: Fraction | None
    ) -> Answer:
        """Return what is won and what is to come; *due* are those that best and commit count."""
        amount, chance = self.amount[due], self.chance[due]
        sure = exact_sum(amount[chance >= int(self._commit * ONE)])
        expected = self.expected(when)
        found: Spread | None = None
        if self._known:
            found = spread(self.amount, self.parts(when, self.chance), self._seed)
        total = None if expected is None or new is None else won + expected + new

        def ends(low: int, high: int) -> list[str]:
            return [decimal(won + low, self.places), decimal(won + high, self.places)]

        return {
            "opportunities": int(due.sum()),
            "won": decimal(won, self.places),
            "expected": self.money(expected),
            "interval_80": None if found is None else ends(found.low80, found.high80),
            "interval_95": None if found is None else ends(found.low95, found.high95),
            "method": None if found is None else found.method,
            "weighted": self.money(self.expected(when, self.by_stage)),
            "worst": decimal(won, self.places),
            "commit": decimal(won + sure, self.places),
            "best": decimal(won + exact_sum(amount), self.places),
            "new_business": self.money(new),
            "forecast": self.money(total),
        }


def _won_in(book: Book, rows: NDArray[np.bool_], since: int, until: int, after: int = 0) -> int:
    """Return what was won from *since* on and before *until*, of those created after *after*."""
    there = rows & (book.closed >= since) & (book.closed < until)
    if after:
        there &= book.created > after
    return exact_sum(book.amount[there])


def _new_in(book: Book, rows: NDArray[np.bool_], months: Months, month: int) -> Fraction | None:
    """Return what *month* may bring from opportunities that are not there yet.

    It is the mean, over the instants a month, two months, ... a year before, of what was won as
    long after them from opportunities that were not there then. None where history is too short.
    """
    if not len(book.created):
        return None
    begun = int(book.created.min())
    start, end = max(start_of(month), months.as_of + 1), start_of(month + 1)
    found = []
    for back in range(1, YEAR + 1):
        origin = shifted(months.as_of + 1, -back)
        if origin < begun:
            break
        if shifted(end, -back) <= months.as_of + 1:
            then = shifted(start, -back), shifted(end, -back)
            found.append(_won_in(book, rows, *then, after=origin - 1))
    return Fraction(sum(found), len(found)) if found else None


def realised(connection: Connection, month: int, created_by: int | None = None) -> dict[str, int]:
    """Return what was won in *month*, by currency, of opportunities that were there by an instant.

    Both are as they are known now; *created_by* None counts all.
    """
    of: Any = opportunities.c
    query = select(of.currency, of.amount_minor).where(
        of.status == "won",
        of.closed_at_us >= start_of(month),
        of.closed_at_us < start_of(month + 1),
        of.amount_minor.is_not(None),
    )
    if created_by is not None:
        query = query.where(of.created_at_us <= created_by)
    sums: dict[str, int] = {}
    for currency, units in connection.execute(query):
        sums[currency] = sums.get(currency, 0) + int(units)
    return sums
