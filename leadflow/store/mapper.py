"""Let the eventsourcing library's own ``Application`` read our log.

Its environment: ``PERSISTENCE_MODULE=leadflow.store.sqlite`` (or ``.postgres``),
``MAPPER_TOPIC=leadflow.store.mapper:LeadMapper``, ``ORIGINATOR_ID_TYPE=text`` and
``CREATE_TABLE=n``; on PostgreSQL also ``POSTGRES_SCHEMA=leadflow``. It is for reading: what is to
be written goes through intake, which decides.
"""

from dataclasses import dataclass
from typing import Any

from eventsourcing.persistence import Mapper, StoredEvent

from domain.events import Event
from leadflow.store.codec import decode, encode


@dataclass(frozen=True, slots=True)
class Logged:
    """An event and its place, in the shape that the library gives to events."""

    originator_id: str
    """The stream."""
    originator_version: int
    event: Event


class LeadMapper(Mapper[str]):
    """Maps stored events with our codec; compression and ciphers of the library are not used."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Return a ``Logged`` event as it is stored."""
        topic, state = encode(domain_event.event)
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=topic,
            state=state,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return a stored event as ``Logged``. Raises UnknownTopic."""
        return Logged(
            str(stored_event.originator_id),
            stored_event.originator_version,
            decode(stored_event.topic, stored_event.state),
        )
