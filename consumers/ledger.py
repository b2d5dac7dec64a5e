"""What intake asks of the event store: a port, so that the rooms stay apart.

The store keeps one promise above all: ``commit`` is one transaction. Seen ids, events, identifiers,
dead letters and positions become durable together or not at all.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.events import Event, Identifier
from domain.lead import Lead


class Conflict(Exception):
    """Another writer was first: nothing was written; read again and decide again."""


class Fenced(Exception):
    """The partition belongs to another worker by now: nothing was written; stop working on it."""


class StoreUnavailable(Exception):
    """The database did not answer, or not in time; whether a commit took place may be unknown."""


class StoreBroken(StoreUnavailable):
    """The database answers that it is damaged, or has no tables: waiting does not help."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was refused, with all that is needed to send it again."""

    reason: str
    """One of the reasons of the contract: ``malformed_json`` ... ``conflicting_duplicate``."""
    message: str
    """What is wrong, where, and how to mend it, in one line."""
    stream: str
    partition: int
    position: int
    received_at: int
    """Microseconds UTC."""
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Stored:
    """A lead as the store has it."""

    lead: Lead
    versions: dict[str, int]
    """The last version of the lead's own stream and of each stream merged into it."""
    snapshot: int = 0
    """The version that the lead's snapshot stands for; 0 without one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to a partition: it holds until somebody claims the partition again."""

    position: int
    """The position to read next."""
    epoch: int


@dataclass(slots=True)
class Batch:
    """All that one transaction writes."""

    seen: list[tuple[bytes, bytes, str]] = field(default_factory=list)
    """Digest of source and id, digest of the content, stream that the fact is on."""
    events: list[tuple[str, int, Event]] = field(default_factory=list)
    """Stream, version, event."""
    identifiers: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, value, lead: identifiers met for the first time."""
    merged: list[tuple[str, str]] = field(default_factory=list)
    """Stream, and the lead that it belongs to from now on."""
    moved: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, value, lead: known identifiers that belong to another lead from now on."""
    snapshots: list[tuple[str, int, Lead]] = field(default_factory=list)
    """Lead, version of its own stream, state."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    redriven: list[int] = field(default_factory=list)
    """Ids of dead letters that this batch settles."""
    positions: dict[tuple[str, int], tuple[int, int, int]] = field(default_factory=dict)
    """Stream and partition to old position, new position, epoch of the claim."""
    policy_version: int | None = None
    """The version of the stream of policies that the events were decided by; None: of no matter."""
    corrections: int | None = None
    """How many corrections waited when the events were decided; None: of no matter."""
    waiting: list[tuple[bytes, str]] = field(default_factory=list)
    """Digests of source and id of facts that have not come, and the stream of their corrections."""


class Known(Protocol):
    """What families ask of the event store."""

    def leads_of(self, identifiers: Collection[Identifier]) -> Mapping[Identifier, str]:
        """Return the lead of each of *identifiers* that is known."""

    def places(self, keys: Collection[bytes]) -> Mapping[bytes, str]:
        """Return the lead that the event of each of *keys* belongs to, of those accepted before."""

    def corrections(self) -> int:
        """Return how many corrections ever came before what they correct."""

    def corrections_of(self, keys: Collection[bytes]) -> Mapping[bytes, str]:
        """Return the stream of the corrections that came before the event of each of *keys*."""

    def load(self, leads: Collection[str]) -> Mapping[str, Stored]:
        """Return each of *leads* folded; one of which nothing is stored is left out.

        Raises Conflict when one was merged while it was read.
        """


class Ledger(Known, Protocol):
    """The event store, as intake sees it."""

    def seen(self, keys: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Return the content digest of each of *keys* that was accepted before."""

    def commit(self, batch: Batch) -> None:
        """Write *batch* in one transaction.

        Raises Conflict, Fenced or StoreUnavailable; after the first two nothing is written.
        """

    def positions(self, stream: str) -> Mapping[int, int]:
        """Return the position to read next for each partition of *stream* that was ever read."""

    def claim(self, stream: str, partitions: Sequence[int]) -> Mapping[int, Claim]:
        """Claim *partitions* of *stream*: earlier claims are void from now on."""
