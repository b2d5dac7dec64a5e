"""One lead as the read models see it: the fold of its facts, in canonical order, into rows.

A view is fed with facts and the decisions they led to, and puts the rows that follow into a
``Rows``. It keeps only what later rows need, so that many leads fit into memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from domain.book import Rules
from domain.consent import SPEAKING
from domain.corrections import CORRECTIONS
from domain.events import (
    ActorJudged,
    Event,
    Fact,
    LeadMerged,
    LeadRestated,
    OrderKey,
    StageEntered,
    ThresholdCrossed,
)
from domain.identity import RULINGS, lead_id
from domain.journey import COLLAPSE_GAP
from domain.lead import Lead
from domain.policy import ConsentRules
from domain.scoring import flat_traits
from domain.stages import CAPTURED
from projections.account_key import account_of
from projections.activities import TYPES as ACTIVITIES
from projections.activities import activity_row
from projections.contact import Consents, Contact
from projections.deals import Deals
from projections.rows import Row, Rows
from projections.spend import SPEND

BEFORE_ALL: Final[OrderKey] = (-(2**63), "", -1, "")

_SILENT: Final = ConsentRules()
_NO_DOMAINS: Final[frozenset[str]] = frozenset()


StageDecision = StageEntered | LeadMerged | LeadRestated
"""What says in which stage a lead is."""


class View:
    """The fold of one lead. ``feed`` facts in canonical order, then ``settle``."""

    __slots__ = (
        "_activities",
        "_channel",
        "_consents",
        "_deals",
        "_decided",
        "_entered",
        "_entry",
        "_entry_count",
        "_entry_written",
        "_first_touch",
        "_human_at",
        "_judged_at",
        "_run_until",
        "_traits",
        "_updated_at",
        "captured_at",
        "contact",
        "cycle",
        "cycle_kind",
        "decision",
        "events",
        "first_at",
        "hot",
        "is_unsettled",
        "last",
        "lead",
        "lead_id",
        "lead_no",
        "machine_events",
        "owner",
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
        self._decided: Row | None = None
        """The row of the stage as decided, as it was written last."""
        self.is_unsettled = False
        """Whether facts may count otherwise than they came: it is always read from history."""
        self.decision: StageDecision | None = None
        """What the stage as decided comes from, where it may be another than the stage."""
        self.touches = 0
        self.run_at: list[int] = []
        """The instants of the touches that begin a run: the collapsed touches."""
        self.run_n: list[int] = []
        """Their numbers."""
        self._channel: str | None = None
        self._run_until = 0
        self._first_touch: tuple[str | None, ...] = (None,) * 5
        self._entry: tuple[Any, ...] | None = None
        self._entry_count = 0
        self._entry_written = False
        self._entered: set[str] = set()
        self._activities = 0
        self._human_at: int | None = None
        self._updated_at: int | None = None
        self._judged_at = 0
        self.contact = Contact()
        self._deals = Deals()
        self._consents: Consents | None = None

    @property
    def weight(self) -> int:
        """Return about how much memory the view takes, in facts kept."""
        return 2 + (len(self.run_at) >> 4) + (2 * len(self.lead.facts) if self.lead else 0)

    def follows(self, facts: Iterable[Fact]) -> bool:
        """Return whether *facts* come after all that is in here, one after the other.

        False also where a touch happens at the very instant of a conversion that is written: it
        counts for it.
        """
        last, settled_at = self.last, self._deals.settled_at
        for fact in facts:
            order = (fact.at, fact.source, fact.sequence, fact.id)
            if order <= last:
                return False
            if fact.at == settled_at and fact.touch is not None:
                return False
            last = order
        return True

    def is_disturbed_by(self, events: Iterable[Event], rules: Rules) -> bool:
        """Return whether *events* may change what is in here, other than by following it."""
        identifiers, latest = self.contact.identifiers, self.contact.latest
        values: dict[str, str] | None = None
        for event in events:
            if type(event) is not Fact:
                if type(event) is ActorJudged or type(event) is LeadRestated:
                    return True
                continue
            if event.type in CORRECTIONS or event.type in RULINGS or event.type == SPEND:
                return True
            person = event.person
            if person is None or person == latest:
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
        lead_no, contact = self.lead_no, self.contact
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
                if person is not None and person != contact.latest and contact.remember(person):
                    self.lead_id = None
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

    def _note_consent(self, fact: Fact) -> None:
        rules = _SILENT
        if self.rules is not None:
            rules = self.rules.at(min(fact.at, fact.recorded_at)).consent
        if self._consents is None:
            self._consents = Consents()
        self._consents.hear(fact, rules)

    def _note_owner(self, fact: Fact) -> None:
        owner = fact.get("owner") if fact.type == "lead.assigned" else None
        if owner != self.owner:
            self.owner = owner
            self._deals.assign(owner)

    def _note_deal(self, fact: Fact) -> None:
        self._deals.note(fact, self.cycle, self.owner)

    def _note_update(self, fact: Fact) -> None:
        self._updated_at = fact.at

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
        self._deals.enter(entered, first=first)
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

    # --- the end of a batch ---

    def settle(self, rows: Rows) -> None:
        """Put the rows that stand for the whole lead, as far as they changed, into *rows*."""
        lead_no = self.lead_no
        if self.lead_id is None:
            known = self.contact.known
            if known is None:
                raise ValueError("no fact carries an identifier: there is no lead")
            self.lead_id = lead_id(known)
        if self._entry is not None and not self._entry_written:
            rows.stages.append(self._entry)
            self._entry_written = True
        deals = self._deals.write(lead_no, self.run_at, self.run_n, rows)
        self.contact.write(lead_no, rows)
        if self._consents is not None:
            self._consents.write(lead_no, rows)
        self._write_decided(rows)
        trait = self.traits.get
        size = trait("company.size")
        free = _NO_DOMAINS
        if self.rules is not None:
            free = self.rules.at(self._judged_at).accounts.free_mail
        email = self.contact.email
        host = None if email is None else email.rpartition("@")[2]
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
                self._updated_at,
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
                *deals,
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


_NOTES: Final[Mapping[str, Callable[[View, Fact], None]]] = {
    "lead.assigned": View._note_owner,  # noqa: SLF001 - the table of its own methods
    "lead.unassigned": View._note_owner,  # noqa: SLF001 - the same
    "opportunity.created": View._note_deal,  # noqa: SLF001 - the same
    "opportunity.changed": View._note_deal,  # noqa: SLF001 - the same
    "deal.won": View._note_deal,  # noqa: SLF001 - the same
    "deal.lost": View._note_deal,  # noqa: SLF001 - the same
    "person.updated": View._note_update,  # noqa: SLF001 - the same
} | dict.fromkeys(SPEAKING, View._note_consent)  # noqa: SLF001 - the same
