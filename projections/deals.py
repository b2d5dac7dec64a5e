"""What a view keeps of the opportunities and the conversions of its lead."""

from collections.abc import Sequence
from typing import Final

from domain.events import Fact, StageEntered
from domain.guards import opportunity_of
from domain.stages import MQL, OPPORTUNITY, SQL, WON
from projections.credit import Shares, journey_range
from projections.rows import Rows

_CONVERTING: Final = frozenset((MQL, SQL, OPPORTUNITY))


class Deal:
    """One opportunity of a lead."""

    __slots__ = (
        "amount",
        "changed",
        "close_date",
        "closed_at",
        "competitor",
        "conversion",
        "created_at",
        "currency",
        "is_won",
        "n",
        "name",
        "owner",
        "product",
        "reason",
        "stage_name",
        "status",
        "written",
    )

    def __init__(self, n: int, name: str, created_at: int) -> None:
        self.n = n
        self.name = name
        self.created_at = created_at
        self.status = "open"
        self.amount: int | None = None
        self.currency: str | None = None
        self.product: str | None = None
        self.stage_name: str | None = None
        self.close_date: str | None = None
        """The day on which it is expected to close."""
        self.closed_at: int | None = None
        self.owner: str | None = None
        self.reason: str | None = None
        self.competitor: str | None = None
        self.conversion: Conversion | None = None
        """The conversion of kind opportunity, which follows the amount."""
        self.is_won = False
        """Whether it was ever won: a deal is won once."""
        self.changed = True
        self.written = False


class Conversion:
    """One conversion of a lead."""

    __slots__ = ("amount", "at", "currency", "cycle", "kind", "n", "opportunity", "written")

    def __init__(self, n: int, kind: str, at: int, cycle: int) -> None:
        self.n = n
        self.kind = kind
        self.at = at
        self.cycle = cycle
        self.opportunity: str | None = None
        self.amount: int | None = None
        self.currency: str | None = None
        self.written = False


class Deals:
    """The opportunities of a lead, and what it converted to: stages, and deals won."""

    __slots__ = (
        "_conversions",
        "_journey",
        "_latest",
        "_of",
        "_pending",
        "_states",
        "_won",
        "settled_at",
    )

    def __init__(self) -> None:
        self.settled_at: int | None = None
        """The latest instant of a conversion that is written."""
        self._of: dict[str, Deal] = {}
        self._states: dict[str, str] = {}
        """Opportunity to status, as ``domain.guards.opportunity_of`` reads them."""
        self._latest: Deal | None = None
        """What the last sales fact was about."""
        self._won: Conversion | None = None
        """The latest deal won, until the lead enters the stage by it."""
        self._conversions = 0
        self._pending: list[Conversion] = []
        """Conversions to write, or to write again."""
        self._journey: tuple[int, int, Shares] | None = None
        """The last journey that was credited: several conversions often end the same one."""

    def assign(self, owner: str | None) -> None:
        """Give the open opportunities to the *owner* of the lead."""
        for deal in self._of.values():
            if deal.status == "open":
                deal.owner = owner
                deal.changed = True

    def note(self, fact: Fact, cycle: int, owner: str | None) -> None:
        """Take in a sales fact: an opportunity created or changed, a deal won or lost."""
        name = opportunity_of(self._states, fact)
        deal = self._of.get(name)
        if deal is None:
            deal = self._of[name] = Deal(len(self._of) + 1, name, fact.at)
            deal.owner = owner
        self._latest = deal
        get = (fact.data or {}).get
        amount, currency = get("amount"), get("currency")
        if fact.type in ("opportunity.created", "opportunity.changed"):
            self._states.setdefault(name, "open")
        else:
            deal.status = self._states[name] = "won" if fact.type == "deal.won" else "lost"
            deal.closed_at = fact.at
            deal.owner = owner
            deal.reason = get("reason")
            deal.competitor = get("competitor")
            if fact.type == "deal.won" and not deal.is_won:
                deal.is_won = True
                won = self._won = self._convert("won", fact.at, cycle)
                won.opportunity, won.amount, won.currency = name, amount, currency
        if amount is not None:
            deal.amount, deal.currency = amount, currency
            conversion = deal.conversion
            if conversion is not None and (conversion.amount, conversion.currency) != (
                amount,
                currency,
            ):
                conversion.amount, conversion.currency = amount, currency
                self._write_again(conversion)
        product = get("product")
        if product is not None:
            deal.product = product
        stage_name = get("stage_name") or get("stage")
        if stage_name is not None:
            deal.stage_name = stage_name
        close_date = get("close_date")
        if close_date is not None:
            deal.close_date = close_date
        deal.changed = True

    def enter(self, entered: StageEntered, *, first: bool) -> None:
        """Take in a stage entered, *first* where it is the first time in its cycle."""
        stage = entered.stage
        if first and stage in _CONVERTING:
            conversion = self._convert(stage, entered.at, entered.cycle)
            deal = self._latest
            if stage == OPPORTUNITY and deal is not None:
                conversion.opportunity = deal.name
                conversion.amount, conversion.currency = deal.amount, deal.currency
                deal.conversion = conversion
        if stage == WON and self._won is not None:
            # the deal may open the cycle that it is won in
            if self._won.cycle != entered.cycle:
                self._won.cycle = entered.cycle
                self._write_again(self._won)
            self._won = None

    def write(
        self, lead_no: int, run_at: Sequence[int], run_n: Sequence[int], rows: Rows
    ) -> tuple[int, int, int]:
        """Put what changed into *rows*; return how many deals are open, won and lost.

        *run_at* and *run_n* are the instants and numbers of the lead's touches after collapsing.
        """
        for conversion in self._pending:
            start, end = journey_range(run_at, conversion.at)
            if self._journey is None or self._journey[:2] != (start, end):
                self._journey = (start, end, Shares(run_at, run_n, start, end))
            _write_conversion(lead_no, conversion, end - start, self._journey[2], rows)
            if self.settled_at is None or conversion.at > self.settled_at:
                self.settled_at = conversion.at
        if self._pending:
            self._pending = []
        open_deals = won_deals = lost_deals = 0
        for deal in self._of.values():
            if deal.status == "open":
                open_deals += 1
            elif deal.status == "won":
                won_deals += 1
            else:
                lost_deals += 1
            if deal.changed:
                _write_deal(lead_no, deal, rows)
        return open_deals, won_deals, lost_deals

    def _convert(self, kind: str, at: int, cycle: int) -> Conversion:
        self._conversions += 1
        conversion = Conversion(self._conversions, kind, at, cycle)
        self._pending.append(conversion)
        return conversion

    def _write_again(self, conversion: Conversion) -> None:
        if conversion not in self._pending:
            self._pending.append(conversion)


def _write_conversion(
    lead_no: int, conversion: Conversion, touches: int, shares: Shares, rows: Rows
) -> None:
    (rows.changed_conversions if conversion.written else rows.conversions).append(
        (
            lead_no,
            conversion.n,
            conversion.kind,
            conversion.at,
            conversion.cycle,
            conversion.opportunity,
            conversion.amount,
            conversion.currency,
            touches,
        )
    )
    (rows.changed_credit if conversion.written else rows.credit).extend(
        shares.rows(lead_no, conversion.n, conversion.amount)
    )
    conversion.written = True


def _write_deal(lead_no: int, deal: Deal, rows: Rows) -> None:
    (rows.changed_opportunities if deal.written else rows.opportunities).append(
        (
            lead_no,
            deal.n,
            deal.name,
            deal.status,
            deal.amount,
            deal.currency,
            deal.product,
            deal.stage_name,
            deal.created_at,
            deal.closed_at,
            deal.owner,
            deal.reason,
            deal.competitor,
            deal.close_date,
        )
    )
    deal.changed, deal.written = False, True
