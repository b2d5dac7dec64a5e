"""Intake: one batch of records becomes facts and decisions, durable, once each.

The batch is parsed, deduplicated, resolved to leads and decided in memory; then everything is
written in one transaction together with the positions (``consumers.ledger``). Whatever fails, the
batch can be processed again from the start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from consumers.contract import Malformed, Parsed, parse
from consumers.families import Families, Incoming, incoming
from consumers.ledger import Batch, Conflict, DeadLetter, Ledger
from domain.admission import Refusal, refusal
from domain.book import PolicyBook, Rules
from domain.events import Fact

MAX_CONFLICTS: Final = 8
"""How often a batch is decided again because other workers were first, before giving up."""

CACHED_FACTS: Final = 40_000
"""Facts of leads kept in memory, about 2.4 KiB each: fewer, and leads are read and folded again."""


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
        self._families = Families(ledger, cached_facts)
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
                self._families.evict()
                return outcome
        raise AssertionError("the loop returns or raises")

    def forget(self) -> None:
        """Drop what is remembered: it may not be what is stored."""
        self._families.forget()

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
        families, rules = self._families, self._rules
        families.prepare(facts, batch, rules)
        for one in facts:
            families.take(one, batch, rules)
        families.settle(batch)
        outcome.accepted = len(facts)
        outcome.leads, outcome.merged = families.opened, families.merged
        return outcome, batch

    def _fresh(
        self,
        records: Sequence[Record],
        parsed: Sequence[Parsed | Malformed],
        outcome: Outcome,
        batch: Batch,
    ) -> list[Incoming]:
        """Return the facts that are new; count duplicates, bury what is wrong."""
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
                facts.append(incoming(each.fact, each.key, each.body))
            elif body == each.body:
                outcome.duplicates += 1
            else:
                batch.dead_letters.append(_conflicting(record, each.fact))
        outcome.dead_letters = len(batch.dead_letters)
        return facts


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
