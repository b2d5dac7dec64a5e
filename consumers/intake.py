"""Intake: one batch of records becomes facts and decisions, durable, once each.

The batch is parsed, deduplicated, resolved to leads and decided in memory; then everything is
written in one transaction together with the positions (``consumers.ledger``). Whatever fails, the
batch can be processed again from the start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from consumers.contract import Malformed, Parsed, parse
from consumers.ledger import Batch, Conflict, DeadLetter, Ledger, Stored
from domain.admission import Refusal, refusal
from domain.book import PolicyBook, Rules
from domain.events import Fact, Identifier
from domain.identity import lead_id, stream_of
from domain.lead import Lead, absorb, decide, evolve, merge

MAX_CONFLICTS: Final = 8
"""How often a batch is decided again because other workers were first, before giving up."""

CACHED_FACTS: Final = 40_000
"""Facts of leads kept in memory, about 2.4 KiB each: fewer, and leads are read and folded again."""

SNAPSHOT_EVERY: Final = 1_000
"""Events of a lead between snapshots; shorter histories fold in a few milliseconds."""


class Record(Protocol):
    """What a source hands over: a Kafka record, or a line of a file in its form."""

    @property
    def stream(self) -> str:
        """Return the topic, or the name of the file's stream."""

    @property
    def partition(self) -> int:
        """Return the partition."""

    @property
    def position(self) -> int:
        """Return the position in the partition."""

    @property
    def timestamp(self) -> int:
        """Return when the log received it, microseconds UTC."""

    @property
    def key(self) -> bytes | None:
        """Return the key."""

    @property
    def value(self) -> bytes | None:
        """Return the body."""

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """Return the headers."""


@dataclass(slots=True)
class Outcome:
    """What became of the records of a batch: read = accepted + duplicates + dead letters."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    leads: int = 0
    """Leads that were opened."""
    merged: int = 0
    """Leads that turned out to be one person with another."""

    def add(self, other: "Outcome") -> None:
        """Add the counts of *other*."""
        self.read += other.read
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.dead_letters += other.dead_letters
        self.leads += other.leads
        self.merged += other.merged


@dataclass(slots=True)
class _Entry:
    """A lead in the cache."""

    lead: Lead
    versions: dict[str, int]
    snapshot_at: int
    identifiers: set[Identifier] = field(default_factory=set)


class Intake:
    """Turns records into stored facts and decisions.

    One per worker: it remembers the leads it has seen lately, and is told by conflicts when
    another worker has changed one.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Rules,
        *,
        reread: Callable[[], Rules] | None = None,
        cached_facts: int = CACHED_FACTS,
    ) -> None:
        """Decide by *rules*; *reread* fetches those of now when somebody published a policy."""
        self._ledger = ledger
        self._rules = rules
        self._reread = reread
        self._capacity = cached_facts
        self._cached = 0
        self._entries: dict[str, _Entry] = {}
        self._lead_of: dict[Identifier, str] = {}
        self.attempted = Outcome()
        """The outcome of the batch that was last given to the store, committed or not."""

    def process(
        self,
        records: Sequence[Record],
        positions: Mapping[tuple[str, int], tuple[int, int, int]],
        *,
        redriven: Sequence[int] = (),
        clock: int | None = None,
    ) -> Outcome:
        """Store what *records* say, and move *positions* (old, new, epoch of the claim).

        *redriven* are dead letters that the records stand for: they are settled with the batch.
        *clock* judges times that lie ahead; without it each record's own timestamp does.

        Raises Fenced when a partition was claimed by another worker, StoreUnavailable when the
        database does not answer, Conflict when others were first too often; nothing is written
        then, but for a StoreUnavailable at the commit, whose outcome the positions tell.
        """
        parsed = [_parse(record, clock) for record in records]
        for attempt in range(1, MAX_CONFLICTS + 1):
            try:
                outcome, batch = self._decide(records, parsed)
                batch.positions = dict(positions)
                batch.redriven = list(redriven)
                self.attempted = outcome
                self._ledger.commit(batch)
            except Conflict:
                self.forget()
                if self._reread is not None:
                    self._rules = self._reread()
                if attempt == MAX_CONFLICTS:
                    raise
            except BaseException:
                self.forget()
                raise
            else:
                self._evict()
                return outcome
        raise AssertionError("the loop returns or raises")

    def forget(self) -> None:
        """Drop what is remembered: it may not be what is stored."""
        self._entries.clear()
        self._lead_of.clear()
        self._cached = 0

    def refused(self, fact: Fact) -> Refusal | None:
        """Return why a rule of the policy refuses *fact*, or None where none does."""
        return None if fact.touch is None else refusal(fact, self._rules.at(fact.recorded_at))

    # --- one attempt ---

    def _decide(
        self, records: Sequence[Record], parsed: Sequence[Parsed | Malformed]
    ) -> tuple[Outcome, Batch]:
        outcome = Outcome(read=len(records))
        batch = Batch()
        if isinstance(self._rules, PolicyBook):
            batch.policy_version = self._rules.stream_version
        facts = self._fresh(records, parsed, outcome, batch)
        self._resolve(facts)
        touched: dict[str, _Entry] = {}
        for fact, keys in facts:
            self._take(fact, keys, outcome, batch, touched)
        for lead, entry in touched.items():
            if self._entries.pop(lead, None) is None:
                continue  # it was merged into another lead of this batch
            self._entries[lead] = entry  # the cache is in the order of last use
            version = entry.versions[lead]
            # A lead made of several streams is always read whole.
            if version - entry.snapshot_at >= SNAPSHOT_EVERY and len(entry.versions) == 1:
                batch.snapshots.append((lead, version, entry.lead))
                entry.snapshot_at = version
        return outcome, batch

    def _fresh(
        self,
        records: Sequence[Record],
        parsed: Sequence[Parsed | Malformed],
        outcome: Outcome,
        batch: Batch,
    ) -> list[tuple[Fact, tuple[Identifier, ...]]]:
        """Return the facts that are new with their identifiers; count duplicates, bury what is wrong."""
        keys = [each.key for each in parsed if isinstance(each, Parsed)]
        seen = dict(self._ledger.seen(keys)) if keys else {}
        facts = []
        for record, each in zip(records, parsed, strict=True):
            if isinstance(each, Malformed):
                batch.dead_letters.append(_letter(record, each.reason, str(each)))
                continue
            body = seen.get(each.key)
            if body is None:
                refused = self.refused(each.fact)
                if refused is not None:
                    batch.dead_letters.append(_letter(record, refused.reason, str(refused)))
                    continue
                seen[each.key] = each.body
                batch.seen.append((each.key, each.body))
                facts.append((each.fact, each.fact.keys))
            elif body == each.body:
                outcome.duplicates += 1
            else:
                batch.dead_letters.append(_conflicting(record, each.fact))
        outcome.dead_letters = len(batch.dead_letters)
        return facts

    def _resolve(self, facts: Sequence[tuple[Fact, tuple[Identifier, ...]]]) -> None:
        """Bring the leads that *facts* belong to into memory, with one query each way."""
        unknown = {
            identifier
            for _, keys in facts
            for identifier in keys
            if identifier not in self._lead_of
        }
        if unknown:
            self._lead_of.update(self._ledger.leads_of(unknown))
        wanted: dict[str, None] = {}
        for fact, keys in facts:
            if keys:
                for identifier in keys:
                    lead = self._lead_of.get(identifier)
                    if lead is not None and lead not in self._entries:
                        wanted[lead] = None
            else:
                stream = stream_of(fact)
                if stream not in self._entries:
                    wanted[stream] = None
        if wanted:
            for lead, stored in self._ledger.load(wanted).items():
                self._remember(lead, stored)

    def _remember(self, lead: str, stored: Stored) -> _Entry:
        entry = _Entry(stored.lead, stored.versions, stored.snapshot)
        for fact in stored.lead.facts:
            for identifier in fact.keys:
                entry.identifiers.add(identifier)
                self._lead_of[identifier] = lead
        self._entries[lead] = entry
        self._cached += len(stored.lead.facts)
        return entry

    def _take(
        self,
        fact: Fact,
        keys: tuple[Identifier, ...],
        outcome: Outcome,
        batch: Batch,
        touched: dict[str, _Entry],
    ) -> None:
        """Decide one fact and put what follows into the batch."""
        lead_of = self._lead_of
        lead: str | None = None
        others: list[str] = []
        unknown: list[Identifier] = []
        for key in keys:
            known = lead_of.get(key)
            if known is None:
                unknown.append(key)
            elif lead is None:
                lead = known
            elif known != lead and known not in others:
                others.append(known)
        if lead is None:
            lead = lead_id(keys[0]) if keys else stream_of(fact)
        entry = self._entries.get(lead)
        if entry is None:
            entry = self._remember(lead, Stored(Lead(), {lead: 0}))
            outcome.leads += bool(keys)
        for other in others:
            self._merge(lead, entry, other, fact, batch)
            outcome.merged += 1
        events = decide(entry.lead, fact, self._rules.at(fact.recorded_at))
        if not events:
            outcome.duplicates += 1
            return
        outcome.accepted += 1
        touched[lead] = entry
        version = entry.versions[lead]
        for event in events:
            version += 1
            batch.events.append((lead, version, event))
            evolve(entry.lead, event)
        entry.versions[lead] = version
        self._cached += 1
        for key in unknown:
            lead_of[key] = lead
            entry.identifiers.add(key)
            batch.identifiers.append((*key, lead))

    def _merge(self, lead: str, entry: _Entry, other: str, fact: Fact, batch: Batch) -> None:
        """Let *other* end in *lead*: its facts belong to it from now on."""
        ending = self._entries.pop(other)
        goes_on, ends = merge(entry.lead, lead, ending.lead, other, fact, self._rules)
        entry.versions[lead] += 1
        ending.versions[other] += 1
        batch.events.append((lead, entry.versions[lead], goes_on))
        batch.events.append((other, ending.versions[other], ends))
        absorb(entry.lead, ending.lead)
        evolve(entry.lead, goes_on)
        entry.versions |= ending.versions
        entry.identifiers |= ending.identifiers
        batch.merged = [
            (stream, lead if owner == other else owner) for stream, owner in batch.merged
        ]
        batch.merged.append((other, lead))
        for identifier in ending.identifiers:
            self._lead_of[identifier] = lead
            batch.moved.append((*identifier, lead))

    def _evict(self) -> None:
        """Forget the leads that were touched longest ago until the cache fits."""
        while self._cached > self._capacity and self._entries:
            lead = next(iter(self._entries))
            entry = self._entries.pop(lead)
            self._cached -= len(entry.lead.facts)
            for identifier in entry.identifiers:
                self._lead_of.pop(identifier, None)


def _parse(record: Record, clock: int | None) -> Parsed | Malformed:
    try:
        return parse(record.value, record.headers, record.timestamp, clock=clock)
    except Malformed as error:
        return error


def _conflicting(record: Record, fact: Fact) -> DeadLetter:
    return _letter(
        record,
        "conflicting_duplicate",
        f"id {fact.id[:80]!r} of source {fact.source[:80]!r} was accepted before with other"
        " content; give an event that says something new an id of its own",
    )


def _letter(record: Record, reason: str, message: str) -> DeadLetter:
    return DeadLetter(
        reason=reason,
        message=message,
        stream=record.stream,
        partition=record.partition,
        position=record.position,
        received_at=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
