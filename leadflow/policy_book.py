"""The policies in the event store: read them, publish another.

A publication is an event on a stream of its own. The first one brings the policy in force before it
along, so that from then on the log alone tells which policy judges what, whatever file a worker is
configured with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import msgspec

from consumers.ledger import Batch, Conflict
from domain.book import POLICY_STREAM, PolicyBook
from domain.events import Event, PolicyPublished
from domain.policy import Policy
from leadflow.policies import policy_of
from leadflow.store.base import Store, Transaction

FIRST: Final = 0
"""The instant from which the policy before the first publication is in force: before all facts."""

_TRIES: Final = 8
"""How often to publish again because somebody else was first."""

BEFORE: Final = "in force before the first publication"
"""The reason that is stored with that policy."""

_PAGE: Final = 20_000


class PolicyUnchanged(Exception):
    """What is to be published is in force already; the message names the version."""


class VersionUnknown(Exception):
    """No policy goes by the version asked for."""


class _Recorded(msgspec.Struct):
    """The part of a stored event that tells when the log received it."""

    recorded_at: int = 0


_decode_recorded: Final = msgspec.json.Decoder(_Recorded).decode


@dataclass(frozen=True, slots=True)
class Entry:
    """One policy and the time in which it is in force."""

    number: int
    """From 1, in the order of publication."""
    policy: Policy
    since: int | None
    """Microseconds UTC; None: from the beginning."""
    until: int | None
    """Microseconds UTC, excluded; None: no other is published."""
    published_at: int | None
    """None: nothing was ever published, this is the configured policy."""
    by: str | None
    reason: str | None
    approved_by: tuple[str, ...] = ()


def read_book(store: Store, base: Policy) -> PolicyBook:
    """Return the policies of *store*; *base* is in force where none was ever published.

    Raises PolicyInvalid when a published document is beyond this version of leadflow, and
    StoreUnavailable.
    """
    return book_of(store.histories([POLICY_STREAM]).get(POLICY_STREAM, []), base)


def book_of(events: Iterable[Event], base: Policy) -> PolicyBook:
    """Return the policies that *events*, those of the stream of publications, publish.

    Raises PolicyInvalid as `read_book` does.
    """
    published = [event for event in events if isinstance(event, PolicyPublished)]
    return PolicyBook(base, [(event, _policy_of(event)) for event in published])


def _policy_of(event: PolicyPublished) -> Policy:
    return stored_policy(event.version, event.document)


def stored_policy(version: str, document: Mapping[str, Any]) -> Policy:
    """Return the policy of a stored *document*, by the *version* it was stored as.

    Raises PolicyInvalid when it is beyond this version of leadflow.
    """
    return _parsed(version, msgspec.json.encode(document))


@lru_cache(maxsize=64)
def _parsed(version: str, document: bytes) -> Policy:
    """Return the policy of a stored document: the same object, as long as it is remembered."""
    policy = policy_of(msgspec.json.decode(document), f"policy {version} of the event store")
    return policy if policy.version == version else replace(policy, version=version)


def publish(
    store: Store,
    base: Policy,
    policy: Policy,
    *,
    by: str,
    reason: str,
    now: int,
    approved_by: Sequence[str] = (),
) -> PolicyPublished:
    """Make *policy* the one in force from *now* on, microseconds UTC; return what was stored.

    What the log has received keeps the policy that decided it: where an event is recorded later
    than *now*, as by a clock that runs ahead, the policy is in force from right behind it.

    The configured policy itself, published first, is in force from the beginning, as it was.

    Raises PolicyUnchanged when it was published and is in force already, which makes a retry
    harmless; ValueError when *by* or *reason* are blank; Conflict when others were first too
    often; StoreUnavailable.
    """
    by, reason = by.strip(), reason.strip()
    if not by or not reason:
        raise ValueError("a publication says who published it and why")
    event = PolicyPublished(
        version=policy.version,
        document=policy.document,
        at=now,
        recorded_at=now,
        by=by,
        reason=reason,
        approved_by=tuple(name.strip() for name in approved_by if name.strip()),
    )
    for attempt in range(1, _TRIES + 1):
        try:
            return _publish(store, read_book(store, base), event)
        except Conflict:  # somebody has published something else
            if attempt == _TRIES:
                raise
    raise AssertionError("the loop returns or raises")


def _publish(store: Store, book: PolicyBook, event: PolicyPublished) -> PolicyPublished:
    """Store *event* as the next publication of *book*; raise Conflict where there is another."""
    before = book.current
    events: list[PolicyPublished] = []
    if not book.published:
        now, by = event.recorded_at, event.by
        events.append(PolicyPublished(before.version, before.document, FIRST, now, by, BEFORE))
    if before.version != event.version:
        events.append(replace(event, previous=before.version))
    elif book.published:
        raise PolicyUnchanged(f"policy {event.version} is in force already: nothing to publish")
    else:
        events = [replace(event, at=FIRST)]
    # Most of the log is looked at before anybody has to wait, the rest while nobody writes.
    head, latest = _recorded_last(store)

    def decide(transaction: Transaction) -> Batch:
        transaction.lock()
        if events[-1].at != FIRST:
            received = [_recorded_at(state) for state in transaction.states_after(head)]
            events[-1] = replace(
                events[-1], at=max(event.at, *(at + 1 for at in (latest, *received)))
            )
        first = book.stream_version + 1
        rows = [(POLICY_STREAM, first + n, each) for n, each in enumerate(events)]
        return Batch(events=[*rows], policy_version=book.stream_version)

    store.commit_decided(decide)
    return events[-1]


def _recorded_last(store: Store) -> tuple[int, int]:
    """Return the last position of the log, and the latest instant that it knows.

    Later than all that it received, and than the instant from which the newest policy is in force.
    """
    head, latest = 0, FIRST
    for position, *_, state in store.positions_of([POLICY_STREAM]):
        # Whatever stands before a publication was recorded before it came into force; only one that
        # is in force from the beginning says nothing of what stands before it.
        since = msgspec.json.decode(state, type=PolicyPublished).at
        if since != FIRST:
            head, latest = position, since
    while rows := store.rows_after(head, _PAGE):
        latest = max(latest, *(_recorded_at(row[4]) for row in rows))
        head = rows[-1][0]
    return head, latest


def _recorded_at(state: bytes) -> int:
    return _decode_recorded(state).recorded_at


def entries(book: PolicyBook) -> list[Entry]:
    """Return every policy with the time in which it is in force, in order."""
    if not book.published:
        return [Entry(1, book.base, None, None, None, None, None)]
    starts: Sequence[int | None] = [event.at for event in book.published]
    return [
        Entry(
            number=number,
            policy=book.at(event.at),
            since=None if event.at == FIRST else event.at,
            until=until,
            published_at=event.recorded_at,
            by=event.by,
            reason=event.reason,
            approved_by=event.approved_by,
        )
        for number, (event, until) in enumerate(
            zip(book.published, [*starts[1:], None], strict=True), 1
        )
    ]


def find(book: PolicyBook, version: str) -> Policy:
    """Return the policy of *version*: its number, its whole name, or a beginning of one name.

    Raises VersionUnknown.
    """
    found: Policy | None = None
    if version.isascii() and version.isdigit():
        numbered = [entry.policy for entry in entries(book) if entry.number == int(version)]
        found = numbered[0] if numbered else None
    else:
        found = book.find(version)
    if found is None:
        raise VersionUnknown(
            f"no policy of version {version!r} was ever in force, or several begin so;"
            " `leadflow policy list` names them"
        )
    return found
