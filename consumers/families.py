"""Families in memory: which facts belong together, and the lead or leads that they make.

A family is all that shares identifiers; the store keeps it as one lead of one or more streams. It
mostly is one person, and its facts are decided one by one as they come. Where something tells
several people apart (``domain.persons``), each is decided as it occurred.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from consumers.contract import event_key
from consumers.ledger import Batch, Conflict, Known, Stored
from domain.book import Rules
from domain.corrections import MAILS, target_of
from domain.decide import as_occurred, changed_verdicts, decide, mails_beside, merge, restate
from domain.events import Event, Fact, Identifier, canonical
from domain.identity import MERGED, lead_id, linked, stream_of
from domain.lead import Lead, absorb, evolve
from domain.persons import Division
from domain.watch import Watch

SNAPSHOT_EVERY: Final = 1_000
"""Events of a lead between snapshots; shorter histories fold in a few milliseconds."""


class Incoming(NamedTuple):
    """A fact that is new."""

    fact: Fact
    keys: tuple[Identifier, ...]
    """All identifiers that it links."""
    key: bytes
    """Digest of source and id."""
    body: bytes
    """Digest of the content."""


@dataclass(slots=True)
class Family:
    """A family in the cache."""

    lead: Lead
    """The fold of all its facts, in the order of the log; its only lead, if it is not divided."""
    versions: dict[str, int]
    """The last version of the family's own stream and of each stream merged into it."""
    snapshot_at: int
    watch: Watch
    identifiers: set[Identifier] = field(default_factory=set)
    division: Division | None = None
    """The people that the facts are divided into, where something may tell several apart."""
    divided: bool = False
    """Whether its people were decided one by one, so that ``lead`` stands for none of them."""

    @property
    def leads(self) -> int:
        """Return how many leads the family is; what carries no identifier is none."""
        return self.people if self.identifiers else 0

    @property
    def people(self) -> int:
        """Return how many people the family is."""
        return 1 if self.division is None else max(1, self.division.count)


class Families:
    """The families met lately, and those of the batch at hand.

    Per batch: ``prepare``, then ``take`` every fact, then ``settle``.
    """

    def __init__(self, ledger: Known, capacity: int) -> None:
        self.opened = self.merged = 0
        """Leads that the batch has opened, and that turned out to be one with another."""
        self.live: dict[str, Family] = {}
        """By own stream, the longest unused first."""
        self.lead_of: dict[Identifier, str] = {}
        self.cached = 0
        """Facts in memory."""
        self._ledger = ledger
        self._capacity = capacity
        self._touched: dict[str, Family] = {}
        self._alias: dict[str, str] = {}
        self._placed: dict[bytes, str] | None = None
        self._awaited: dict[bytes, str] = {}

    def forget(self) -> None:
        """Drop what is remembered: it may not be what is stored."""
        self.live.clear()
        self.lead_of.clear()
        self.cached = 0

    def evict(self) -> None:
        """Forget the families that were touched longest ago until the cache fits."""
        while self.cached > self._capacity and self.live:
            family = self.live.pop(next(iter(self.live)))
            self.cached -= len(family.lead.facts)
            for identifier in family.identifiers:
                self.lead_of.pop(identifier, None)

    # --- before the facts of a batch ---

    def prepare(self, incoming: Iterable[Incoming], batch: Batch, rules: Rules) -> None:
        """Bring the families that *incoming* belong to into memory, with one query each way."""
        incoming = list(incoming)
        self.opened = self.merged = 0
        self._touched, self._alias = {}, {}
        unknown = {key for one in incoming for key in one.keys if key not in self.lead_of}
        if unknown:
            self.lead_of.update(self._ledger.leads_of(unknown))
        wanted = self._corrected(incoming, batch)
        for one in incoming:
            if one.keys:
                for identifier in one.keys:
                    lead = self.lead_of.get(identifier)
                    if lead is not None and lead not in self.live:
                        wanted[lead] = None
            elif (target := target_of(one.fact)) is None or self._place_of(
                event_key(*target)
            ) is None:
                wanted[stream_of(one.fact)] = None
        missing = [lead for lead in wanted if lead not in self.live]
        if missing:
            for lead, stored in self._ledger.load(missing).items():
                self._remember(lead, stored, rules)

    def _corrected(self, incoming: Iterable[Incoming], batch: Batch) -> dict[str, None]:
        """Look for what is corrected, and for corrections that wait; return their families."""
        targets = {
            event_key(*target) for one in incoming if (target := target_of(one.fact)) is not None
        }
        batch.corrections = self._ledger.corrections()
        self._placed = dict(self._ledger.places(targets)) if targets else None
        self._awaited = {}
        if batch.corrections:
            asked = [*targets, *(one.key for one in incoming)]
            self._awaited.update(self._ledger.corrections_of(asked))
        return dict.fromkeys([*(self._placed or {}).values(), *self._awaited.values()])

    def _place_of(self, corrected: bytes) -> str | None:
        """Return the family of a fact that is corrected, or of its corrections that wait."""
        return (self._placed or {}).get(corrected) or self._awaited.get(corrected)

    def _remember(self, lead: str, stored: Stored, rules: Rules) -> Family:
        watch = Watch(rules)
        family = Family(stored.lead, stored.versions, stored.snapshot, watch)
        for fact in stored.lead.facts:
            watch.add(fact)
            for identifier in linked(fact):
                family.identifiers.add(identifier)
                self.lead_of[identifier] = lead
        if watch.doubt:
            family.division = Division(canonical(stored.lead.facts), rules)
            family.divided = family.people > 1
        self.live[lead] = family
        self.cached += len(stored.lead.facts)
        return family

    # --- fact by fact ---

    def take(self, one: Incoming, batch: Batch, rules: Rules) -> None:
        """Decide one fact. Raises Conflict when what is remembered is not what is stored."""
        lead, others, unknown = self._families_of(one, batch)
        family = self.live.get(lead)
        if family is None:
            family = self._remember(lead, Stored(Lead(), {lead: 0}), rules)
        before = family.leads
        for other in others:
            before += self.live[other].leads if other in self.live else 0
            self._join(lead, family, other, one.fact, batch, rules)
        self._touched[lead] = family
        for key in unknown:
            self.lead_of[key] = lead
            family.identifiers.add(key)
            batch.identifiers.append((*key, lead))
        if self._placed is not None:
            self._placed[one.key] = lead
        tells = (
            family.watch.add(one.fact, one.keys)
            or bool(others)
            or one.fact.order < family.lead.last
        )
        if family.watch.doubt and (tells or family.people > 1):
            self._tell_apart(lead, family, one, batch, rules)
        else:
            policy = rules.at(one.fact.recorded_at)
            self._append(lead, family, one, decide(family.lead, one.fact, policy), batch)
        more = family.leads - before
        self.opened += max(0, more)
        self.merged -= min(0, more)

    def _tell_apart(
        self, lead: str, family: Family, one: Incoming, batch: Batch, rules: Rules
    ) -> None:
        """Decide a fact of a family that may be several people.

        Where it is, each is decided as it occurred: their decisions lie on shared streams.
        """
        fact, division = one.fact, family.division
        part = None if division is None or family.people == 1 else division.add(fact)
        if part is None:
            family.division = Division(canonical([*family.lead.facts, fact]), rules)
            part = next(part for part in family.division.parts.values() if fact in part)
        if family.people == 1 and not family.divided:
            policy = rules.at(fact.recorded_at)
            self._append(lead, family, one, decide(family.lead, fact, policy), batch)
            return
        known, history = as_occurred(part, rules)
        events = next((events for events in history if events[0] == fact), [fact])
        family.divided = family.people > 1
        if not family.divided:
            policy = rules.at(fact.recorded_at)
            events = [*events, restate(known, fact, policy.version, "one_person")]
        self._append(lead, family, one, [fact, *events[1:]], batch)

    def _families_of(self, one: Incoming, batch: Batch) -> tuple[str, list[str], list[Identifier]]:
        """Return the family of a fact, those that it joins to it, and identifiers that are new."""
        found: list[str] = []
        unknown: list[Identifier] = []
        for key in one.keys:
            known = self.lead_of.get(key)
            if known is None:
                unknown.append(key)
            elif known not in found:
                found.append(known)
        target = target_of(one.fact)
        if target is not None:
            found = [self._stream_of_correction(one.fact, event_key(*target), batch)]
        elif not found:
            found = [lead_id(one.keys[0]) if one.keys else stream_of(one.fact)]
        elif len(found) > 1:  # few facts go to many, not many to few
            found.sort(
                key=lambda lead: -len(self.live[lead].lead.facts) if lead in self.live else 0
            )
        if self._awaited and (waiting := self._awaited.get(one.key)) is not None:
            batch.waiting = [(key, stream) for key, stream in batch.waiting if key != one.key]
            waiting = self._alias.get(waiting, waiting)
            if waiting not in found:
                found.append(waiting)
        return found[0], found[1:], unknown

    def _stream_of_correction(self, fact: Fact, corrected: bytes, batch: Batch) -> str:
        """Return the family of what *fact* corrects, or a stream on which it waits for it."""
        place = self._place_of(corrected)
        if place is None:
            place = stream_of(fact)
            self._awaited[corrected] = place
            batch.waiting.append((corrected, place))
        return self._alias.get(place, place)

    def _join(
        self, lead: str, family: Family, other: str, fact: Fact, batch: Batch, rules: Rules
    ) -> None:
        """Let the family *other* end in *lead*: its facts belong to it from now on."""
        ending = self.live.pop(other, None)
        if ending is None:  # another worker told more of it than is remembered here
            raise Conflict(f"lead {other} has changed since it was read")
        self._touched.pop(other, None)
        rule = "ruling" if fact.type == MERGED else "shared_identifier"
        if not ending.identifiers or not family.identifiers:
            rule = "correction"
        division = self._united(family, ending, rules)
        # what several people are together nobody asks, and it would be worked out for each of them
        known = family.lead if family.divided or ending.divided else None
        goes_on, ends = merge(family.lead, lead, ending.lead, other, fact, rules, rule, known)
        family.versions[lead] += 1
        ending.versions[other] += 1
        batch.events.append((lead, family.versions[lead], goes_on))
        batch.events.append((other, ending.versions[other], ends))
        absorb(family.lead, ending.lead)
        evolve(family.lead, goes_on)
        brought = {(one.source, one.id) for one in ending.lead.facts if one.type in MAILS}
        if brought:
            mails = mails_beside(family.lead.facts, brought)
            for verdict in changed_verdicts(family.lead, mails, fact, rules):
                family.versions[lead] += 1
                batch.events.append((lead, family.versions[lead], verdict))
                evolve(family.lead, verdict)
        family.versions |= ending.versions
        family.identifiers |= ending.identifiers
        family.watch.join(ending.watch)
        family.division = division
        family.divided = family.divided or ending.divided
        batch.merged = [
            (stream, lead if owner == other else owner) for stream, owner in batch.merged
        ]
        batch.merged.append((other, lead))
        self._alias = {
            stream: lead if owner == other else owner for stream, owner in self._alias.items()
        }
        self._alias[other] = lead
        if self._placed is not None:
            self._placed = {
                key: lead if owner == other else owner for key, owner in self._placed.items()
            }
        for identifier in ending.identifiers:
            self.lead_of[identifier] = lead
            batch.moved.append((*identifier, lead))

    def _united(self, family: Family, ending: Family, rules: Rules) -> Division | None:
        """Return the people of two families, as far as nothing joins them yet; None: not known."""
        large, small = (family, ending) if family.divided else (ending, family)
        if not large.divided or large.division is None or not small.lead.facts:
            return None
        division = small.division or Division(canonical(small.lead.facts), rules)
        return large.division if large.division.join(division) else None

    def _append(
        self, lead: str, family: Family, one: Incoming, events: Iterable[Event], batch: Batch
    ) -> None:
        """Put a fact and the decisions that it leads to into the batch."""
        version = family.versions[lead]
        for event in events:
            version += 1
            batch.events.append((lead, version, event))
            evolve(family.lead, event)
        family.versions[lead] = version
        self.cached += 1
        batch.seen.append((one.key, one.body, lead))

    # --- after the facts of a batch ---

    def settle(self, batch: Batch) -> None:
        """Take snapshots of long histories."""
        for lead, family in self._touched.items():
            del self.live[lead]
            self.live[lead] = family  # the cache is in the order of last use
            version = family.versions[lead]
            # A lead made of several streams is always read whole.
            if version - family.snapshot_at >= SNAPSHOT_EVERY and len(family.versions) == 1:
                batch.snapshots.append((lead, version, family.lead))
                family.snapshot_at = version


def incoming(fact: Fact, key: bytes, body: bytes) -> Incoming:
    """Return a new fact with what it links."""
    return Incoming(fact, linked(fact), key, body)
