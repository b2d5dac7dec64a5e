"""One lead as the read models see it: the fold of its facts, in canonical order, into rows.

A view is fed with facts and the decisions they led to, and puts the rows that follow into a
``Rows``. It keeps only what later rows need, so that many leads fit into memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from domain.book import Rules
from domain.consent import SPEAKING, Standings, words_of
from domain.corrections import CORRECTIONS
from domain.events import (
    ActorJudged,
    Event,
    Fact,
    Identifier,
    LeadMerged,
    LeadRestated,
    OrderKey,
    StageEntered,
    ThresholdCrossed,
)
from domain.guards import opportunity_of
from domain.identity import ANONYMOUS, RULINGS, lead_id
from domain.journey import COLLAPSE_GAP
from domain.lead import Lead
from domain.policy import ConsentRules
from domain.scoring import flat_traits
from domain.stages import CAPTURED, MQL, OPPORTUNITY, SQL, WON
from projections.account_key import account_of
from projections.activities import TYPES as ACTIVITIES
from projections.activities import activity_row
from projections.credit import Shares, journey_range
from projections.deals import Conversion, Deal
from projections.rows import Row, Rows
from projections.spend import SPEND

BEFORE_ALL: Final[OrderKey] = (-(2**63), "", -1, "")

_CONVERTING: Final = frozenset((MQL, SQL, OPPORTUNITY))
_NO_DEAL: Final = ""
_SILENT: Final = ConsentRules()
_NO_DOMAINS: Final[frozenset[str]] = frozenset()
_json: Final = msgspec.json.Encoder().encode


StageDecision = StageEntered | LeadMerged | LeadRestated
"""What says in which stage a lead is."""


class View:
    """The fold of one lead. ``feed`` facts in canonical order, then ``settle``."""

    __slots__ = (
        "_activities",
        "_changed_consents",
        "_changed_person",
        "_channel",
        "_consent_rows",
        "_consents",
        "_conversion_count",
        "_deal",
        "_decided",
        "_entered",
        "_entry",
        "_entry_count",
        "_entry_written",
        "_firm",
        "_first_touch",
        "_human_at",
        "_journey",
        "_judged_at",
        "_known",
        "_person",
        "_person_written",
        "_run_until",
        "_settled_at",
        "_traits",
        "_won",
        "captured_at",
        "cycle",
        "cycle_kind",
        "deals",
        "decision",
        "email",
        "events",
        "first_at",
        "hot",
        "identifiers",
        "is_unsettled",
        "last",
        "lead",
        "lead_id",
        "lead_no",
        "machine_events",
        "name",
        "opportunities",
        "owner",
        "pending",
        "phone",
        "product",
        "prospect_events",
        "rep_events",
        "rules",
        "run_at",
        "run_n",
        "stage",
        "streams",
        "touches",
        "traits",
        "written",
    )

    def __init__(self, lead_no: int, streams: list[str]) -> None:
        self.lead_no = lead_no
        self.streams = streams
        self.lead_id: str | None = None
        """None until ``settle`` finds by what the lead is known."""
        self.lead: Lead | None = None
        """The lead as it occurred, where the decisions of the log do not stand: facts came out of
        order, or from several streams. None for the others."""
        self.rules: Rules | None = None
        """What tells of consent and accounts; None: as a policy that says nothing of them."""
        self.last: OrderKey = BEFORE_ALL
        self.written = False
        """Whether the lead has a row in pipeline."""
        self.events = self.prospect_events = self.rep_events = self.machine_events = 0
        self.first_at = 0
        self.stage: str | None = None
        self.cycle = 1
        self.cycle_kind = "new"
        self.captured_at: int | None = None
        self.hot = False
        self.owner: str | None = None
        self.product: str | None = None
        self.traits: dict[str, Any] = {}
        self._traits: Mapping[str, Any] | None = None
        self.name: str | None = None
        self.email: str | None = None
        self.phone: str | None = None
        self.identifiers: dict[Identifier, None] = {}
        self._decided: Row | None = None
        """The row of the stage as decided, as it was written last."""
        self.is_unsettled = False
        """Whether facts may count otherwise than they came: it is always read from history."""
        self.decision: StageDecision | None = None
        """What the stage as decided comes from, where it may be another than the stage."""
        self.opportunities: dict[str, str] = {}
        """Opportunity to status, as ``domain.guards.opportunity_of`` looks for it in a lead."""
        self.deals: dict[str, Deal] = {}
        self.touches = 0
        self.run_at: list[int] = []
        """The instants of the touches that begin a run: the collapsed touches."""
        self.run_n: list[int] = []
        """Their numbers."""
        self.pending: list[Conversion] = []
        """Conversions to write, or to write again."""
        self._channel: str | None = None
        self._run_until = 0
        self._first_touch: tuple[str | None, ...] = (None,) * 5
        self._entry: tuple[Any, ...] | None = None
        self._entry_count = 0
        self._entry_written = False
        self._entered: set[str] = set()
        self._deal = _NO_DEAL
        self._activities = 0
        self._human_at: int | None = None
        self._conversion_count = 0
        self._journey: tuple[int, int, Shares] | None = None
        """The last journey that was credited: several conversions often end the same one."""
        self._settled_at: int | None = None
        """The latest instant of a conversion that is written."""
        self._won: Conversion | None = None
        """The latest deal won, until the lead enters the stage by it."""
        self._person: Mapping[str, Any] | None = None
        self._person_written = False
        self._changed_person = False
        self._known: Identifier | None = None
        self._firm = False
        self._judged_at = 0
        self._consents: Standings | None = None
        self._consent_rows: dict[tuple[str, str | None], int] = {}
        """Purposes and channels that have a row, to its number."""
        self._changed_consents: dict[tuple[str, str | None], None] = {}

    @property
    def weight(self) -> int:
        """Return about how much memory the view takes, in facts kept."""
        return 2 + (len(self.run_at) >> 4) + (2 * len(self.lead.facts) if self.lead else 0)

    def follows(self, facts: Iterable[Fact]) -> bool:
        """Return whether *facts* come after all that is in here, one after the other.

        False also where a touch happens at the very instant of a conversion that is written: it
        counts for it.
        """
        last = self.last
        for fact in facts:
            order = (fact.at, fact.source, fact.sequence, fact.id)
            if order <= last:
                return False
            if fact.at == self._settled_at and fact.touch is not None:
                return False
            last = order
        return True

    def is_disturbed_by(self, events: Iterable[Event], rules: Rules) -> bool:
        """Return whether *events* may change what is in here, other than by following it."""
        identifiers = self.identifiers
        values: dict[str, str] | None = None
        for event in events:
            if type(event) is not Fact:
                if type(event) is ActorJudged or type(event) is LeadRestated:
                    return True
                continue
            if event.type in CORRECTIONS or event.type in RULINGS or event.type == SPEND:
                return True
            person = event.person
            if person is None or person == self._person:
                continue
            keys = person["keys"]
            if values is None:
                values = {}
                doubt = False
                for kind, value in identifiers:
                    if kind not in rules.shared_kinds:
                        doubt = doubt or values.setdefault(kind, value) != value
            if doubt and (len(keys) > 1 or person.get("attributes")):
                return True
            for kind, value in keys:
                if (
                    kind not in rules.shared_kinds
                    and values.setdefault(kind, value) != value
                    and (kind, value) not in identifiers
                ):
                    return True
        return False

    def feed(self, events: Sequence[Event], rows: Rows) -> None:
        """Take in *events*: facts that follow, each with the decisions it led to behind it."""
        lead_no = self.lead_no
        if not self.events and events:
            self.first_at = events[0].at
        fact: Fact | None = None
        for event in events:
            if type(event) is Fact:
                fact = event
                self.events += 1
                at = event.at
                actor = event.actor
                if actor == "rep":
                    self.rep_events += 1
                elif actor == "machine":
                    self.machine_events += 1
                else:
                    self.prospect_events += 1
                if actor != "machine":
                    self._human_at = at
                person = event.person
                if person is not None and person != self._person:
                    self._remember_person(person)
                touch = event.touch
                if touch is not None and actor != "machine":
                    get = touch.get
                    channel = get("channel", "unknown")
                    self.touches = n = self.touches + 1
                    if channel == self._channel and at <= self._run_until:
                        collapsed = 1
                    else:
                        collapsed = 0
                        self.run_at.append(at)
                        self.run_n.append(n)
                        self._channel = channel
                    self._run_until = at + COLLAPSE_GAP
                    source, medium, campaign = get("source"), get("medium"), get("campaign")
                    party = get("party")
                    if n == 1:
                        self._first_touch = (channel, source, medium, campaign, party)
                    rows.touches.append(
                        (
                            lead_no,
                            n,
                            at,
                            channel,
                            source,
                            medium,
                            campaign,
                            get("content"),
                            get("term"),
                            party,
                            collapsed,
                            event.type,
                            event.source,
                            event.id,
                        )
                    )
                traits = event.traits
                if traits is not None and traits != self._traits:
                    self._traits = traits
                    self.traits.update(flat_traits(traits))
                data = event.data
                if data is not None:
                    if type(product := data.get("product")) is str:
                        self.product = product
                    if "consent" in data and event.type not in SPEAKING:
                        self._note_consent(event)
                note = _NOTES.get(event.type)
                if note is not None:
                    note(self, event)
                if event.type in ACTIVITIES:
                    self._activities = n = self._activities + 1
                    rows.activities.append(activity_row(lead_no, n, self.cycle, self.owner, event))
            elif type(event) is StageEntered:
                self._enter(event, rows)
            elif type(event) is ThresholdCrossed:
                self.hot = event.direction == "up"
        if fact is not None:
            self.last = (fact.at, fact.source, fact.sequence, fact.id)
            self._judged_at = min(fact.at, fact.recorded_at)

    # --- what some facts say ---

    def _remember_person(self, person: Mapping[str, Any]) -> None:
        self._person = person
        identifiers = self.identifiers
        for kind, value in person["keys"]:
            identifier = (kind, value)
            if identifier not in identifiers:
                identifiers[identifier] = None
                self._changed_person = True
                # the rule of domain.identity.known_by, one fact at a time
                if not self._firm and (kind != ANONYMOUS or self._known is None):
                    self._known, self._firm = identifier, kind != ANONYMOUS
                    self.lead_id = None
        get = person.get
        name, email, phone = get("name"), get("email"), get("phone")
        if name is not None and name != self.name:
            self.name = name
            self._changed_person = True
        if email is not None and email != self.email:
            self.email = email
            self._changed_person = True
        if phone is not None and phone != self.phone:
            self.phone = phone
            self._changed_person = True

    def _note_consent(self, fact: Fact) -> None:
        rules = _SILENT
        if self.rules is not None:
            rules = self.rules.at(min(fact.at, fact.recorded_at)).consent
        if self._consents is None:
            self._consents = Standings()
        for word in words_of(fact, rules):
            self._changed_consents |= dict.fromkeys(self._consents.hear(word, rules))

    def _note_owner(self, fact: Fact) -> None:
        owner = fact.get("owner") if fact.type == "lead.assigned" else None
        if owner != self.owner:
            self.owner = owner
            for deal in self.deals.values():
                if deal.status == "open":
                    deal.owner = owner
                    deal.changed = True

    def _note_deal(self, fact: Fact) -> None:
        # opportunity_of reads nothing of a lead but its opportunities, and a view has these
        name = opportunity_of(cast("Lead", self), fact)
        deal = self.deals.get(name)
        if deal is None:
            deal = self.deals[name] = Deal(len(self.deals) + 1, name, fact.at)
            deal.owner = self.owner
        self._deal = name
        get = (fact.data or {}).get
        amount, currency = get("amount"), get("currency")
        if fact.type in ("opportunity.created", "opportunity.changed"):
            self.opportunities.setdefault(name, "open")
        else:
            deal.status = self.opportunities[name] = "won" if fact.type == "deal.won" else "lost"
            deal.closed_at = fact.at
            deal.owner = self.owner
            deal.reason = get("reason")
            deal.competitor = get("competitor")
            if fact.type == "deal.won" and not deal.is_won:
                deal.is_won = True
                won = self._won = self._convert("won", fact.at)
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

    # --- what decisions say ---

    def _enter(self, entered: StageEntered, rows: Rows) -> None:
        at = entered.at
        stage = entered.stage
        if self._entry is not None:
            self._leave(self._entry, at, rows)
        if entered.cycle != self.cycle:
            self._entered.clear()
            self.cycle, self.cycle_kind = entered.cycle, entered.cycle_kind
        first = stage not in self._entered
        if first:
            self._entered.add(stage)
            if stage in _CONVERTING:
                conversion = self._convert(stage, at)
                if stage == OPPORTUNITY and self._deal:
                    deal = self.deals[self._deal]
                    conversion.opportunity = deal.name
                    conversion.amount, conversion.currency = deal.amount, deal.currency
                    deal.conversion = conversion
        if stage == WON and self._won is not None:
            # the deal may open the cycle that it is won in
            if self._won.cycle != entered.cycle:
                self._won.cycle = entered.cycle
                self._write_again(self._won)
            self._won = None
        if stage == CAPTURED and self.captured_at is None:
            self.captured_at = at
        self.stage = stage
        self._entry_count += 1
        self._entry_written = False
        self._entry = (
            self.lead_no,
            self._entry_count,
            stage,
            entered.cycle,
            entered.cycle_kind,
            at,
            None,
            None,
            entered.previous,
            1 if first else 0,
            entered.rule,
            entered.policy,
            entered.source,
            entered.id,
        )

    def _leave(self, entry: Row, at: int, rows: Rows) -> None:
        row = (*entry[:6], at, at - entry[5], *entry[8:])
        (rows.changed_stages if self._entry_written else rows.stages).append(row)

    def _convert(self, kind: str, at: int) -> Conversion:
        self._conversion_count += 1
        conversion = Conversion(self._conversion_count, kind, at, self.cycle)
        self.pending.append(conversion)
        return conversion

    def _write_again(self, conversion: Conversion) -> None:
        if conversion not in self.pending:
            self.pending.append(conversion)

    # --- the end of a batch ---

    def settle(self, rows: Rows) -> None:
        """Put the rows that stand for the whole lead, as far as they changed, into *rows*."""
        lead_no = self.lead_no
        if self.lead_id is None:
            if self._known is None:
                raise ValueError("no fact carries an identifier: there is no lead")
            self.lead_id = lead_id(self._known)
        if self._entry is not None and not self._entry_written:
            rows.stages.append(self._entry)
            self._entry_written = True
        if self.pending:
            for conversion in self.pending:
                self._write_conversion(conversion, rows)
                if self._settled_at is None or conversion.at > self._settled_at:
                    self._settled_at = conversion.at
            self.pending = []
        open_deals = won_deals = lost_deals = 0
        for deal in self.deals.values():
            if deal.status == "open":
                open_deals += 1
            elif deal.status == "won":
                won_deals += 1
            else:
                lost_deals += 1
            if deal.changed:
                self._write_deal(deal, rows)
        if self._changed_person or not self._person_written:
            person = (
                lead_no,
                self.name,
                self.email,
                self.phone,
                _json(list(self.identifiers)).decode(),
            )
            (rows.changed_people if self._person_written else rows.people).append(person)
            self._person_written, self._changed_person = True, False
        if self._changed_consents:
            self._write_consents(rows)
        self._write_decided(rows)
        trait = self.traits.get
        size = trait("company.size")
        free = _NO_DOMAINS
        if self.rules is not None:
            free = self.rules.at(self._judged_at).accounts.free_mail
        host = None if self.email is None else self.email.rpartition("@")[2]
        (rows.changed_pipeline if self.written else rows.pipeline).append(
            (
                lead_no,
                self.lead_id,
                self.stage,
                self.cycle,
                self.cycle_kind,
                self._entry[5] if self._entry is not None else None,
                self.captured_at,
                self.first_at,
                self.last[0],
                self._human_at,
                self.events,
                self.prospect_events,
                self.rep_events,
                self.machine_events,
                1 if self.hot else 0,
                self.owner,
                self.touches,
                self.run_at[0] if self.run_at else None,
                *self._first_touch,
                trait("country"),
                trait("region"),
                trait("seniority"),
                trait("title"),
                trait("company.name"),
                trait("company.domain"),
                account_of(trait("company.domain"), host, free),
                None if size is None else str(size),
                trait("company.industry"),
                self.product,
                open_deals,
                won_deals,
                lost_deals,
            )
        )
        self.written = True

    def _write_decided(self, rows: Rows) -> None:
        made = self.decision
        if made is not None:
            row: Row = (
                self.lead_no,
                made.stage,
                made.cycle,
                made.at if isinstance(made, StageEntered) else made.entered_at,
                made.policy,
                made.rule,
            )
        elif self._entry is not None:
            row = (self.lead_no, self.stage, self.cycle, self._entry[5], *self._entry[11:9:-1])
        else:
            row = (self.lead_no, None, self.cycle, None, None, None)
        if row != self._decided:
            (rows.decided if self._decided is None else rows.changed_decided).append(row)
            self._decided = row

    def _write_consents(self, rows: Rows) -> None:
        if self._consents is None:
            raise ValueError("nobody has said a word of consent")
        for pair in self._changed_consents:
            n = self._consent_rows.get(pair)
            to = rows.consents if n is None else rows.changed_consents
            if n is None:
                n = self._consent_rows[pair] = len(self._consent_rows) + 1
            standing = self._consents.of[pair]
            word = standing.word
            to.append(
                (
                    self.lead_no,
                    n,
                    *pair,
                    standing.state,
                    word.at,
                    standing.until,
                    1 if word.proof else 0,
                    word.source,
                    word.id,
                )
            )
        self._changed_consents = {}

    def _write_conversion(self, conversion: Conversion, rows: Rows) -> None:
        start, end = journey_range(self.run_at, conversion.at)
        if self._journey is None or self._journey[:2] != (start, end):
            self._journey = (start, end, Shares(self.run_at, self.run_n, start, end))
        (rows.changed_conversions if conversion.written else rows.conversions).append(
            (
                self.lead_no,
                conversion.n,
                conversion.kind,
                conversion.at,
                conversion.cycle,
                conversion.opportunity,
                conversion.amount,
                conversion.currency,
                end - start,
            )
        )
        (rows.changed_credit if conversion.written else rows.credit).extend(
            self._journey[2].rows(self.lead_no, conversion.n, conversion.amount)
        )
        conversion.written = True

    def _write_deal(self, deal: Deal, rows: Rows) -> None:
        (rows.changed_opportunities if deal.written else rows.opportunities).append(
            (
                self.lead_no,
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


_NOTES: Final[Mapping[str, Callable[[View, Fact], None]]] = {
    "lead.assigned": View._note_owner,  # noqa: SLF001 - the table of its own methods
    "lead.unassigned": View._note_owner,  # noqa: SLF001 - the same
    "opportunity.created": View._note_deal,  # noqa: SLF001 - the same
    "opportunity.changed": View._note_deal,  # noqa: SLF001 - the same
    "deal.won": View._note_deal,  # noqa: SLF001 - the same
    "deal.lost": View._note_deal,  # noqa: SLF001 - the same
} | dict.fromkeys(SPEAKING, View._note_consent)  # noqa: SLF001 - the same
