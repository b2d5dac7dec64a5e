"""The tables of the event store. alembic creates them (``leadflow/migrations``).

Column comments are the documentation: the data dictionary is made from them.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = "leadflow"
"""The schema on PostgreSQL; SQLite has none."""

metadata = MetaData(schema=SCHEMA)

_position = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only in a column of exactly the type INTEGER."""

events = Table(
    "stored_events",
    metadata,
    Column("notification_id", _position, primary_key=True, comment="Position in the log"),
    Column("originator_id", Text, nullable=False, comment="Stream: the id of a lead"),
    Column("originator_version", BigInteger, nullable=False, comment="Place in the stream, from 1"),
    Column("topic", Text, nullable=False, comment="fact:TYPE, policy.published, or a decision"),
    Column("state", LargeBinary, nullable=False, comment="The event as JSON"),
    UniqueConstraint("originator_id", "originator_version", name="stored_events_version"),
    comment="Every fact and decision, for ever; written once",
    # Ids must not be used again after an erasure: a projection already past them would miss them.
    sqlite_autoincrement=True,
)

seen = Table(
    "seen",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="Digest of the event's source and id"),
    Column("body", LargeBinary, nullable=False, comment="Digest of its content, key order aside"),
    Column("stream", Text, comment="The stream that it is on, where corrections look for it"),
    comment="Every accepted event, so that a redelivery counts once",
    sqlite_with_rowid=False,
)

corrections = Table(
    "corrections",
    metadata,
    Column("number", _position, primary_key=True, comment="Counts up"),
    Column("target", LargeBinary, nullable=False, comment="Digest of source and id; see seen"),
    Column("stream", Text, nullable=False, comment="The stream that the correction is on"),
    Index("corrections_target", "target"),
    comment="Corrections that came before the event that they correct",
    sqlite_autoincrement=True,
)

identifiers = Table(
    "identifiers",
    metadata,
    Column("kind", Text, primary_key=True, comment="email, phone, anonymous_id, subject:..., ..."),
    Column("value", Text, primary_key=True, comment="Normalised value; personal"),
    Column("lead", Text, nullable=False, comment="The lead that it belongs to"),
    comment="Which lead an identifier belongs to; each belongs to one",
    sqlite_with_rowid=False,
)

merged_streams = Table(
    "merged_streams",
    metadata,
    Column("stream", Text, primary_key=True, comment="A stream that ended in a merge"),
    Column("lead", Text, nullable=False, comment="The lead that its facts belong to"),
    Index("merged_streams_lead", "lead"),
    comment="Streams that turned out to be the same person as another",
)

positions = Table(
    "positions",
    metadata,
    Column("stream", Text, primary_key=True, comment="Kafka topic, or a file"),
    Column("partition", Integer, primary_key=True, comment="Partition of the stream"),
    Column("position", BigInteger, nullable=False, comment="The next position to read"),
    Column("epoch", BigInteger, nullable=False, comment="Rises with each claim; fences zombies"),
    comment="How far each partition is in the log: the only truth about it",
)

streams = Table(
    "streams",
    metadata,
    Column("stream", Text, primary_key=True, comment="Kafka topic"),
    Column("cluster_id", Text, nullable=False, comment="The Kafka cluster it was read from"),
    comment="Where streams were read, so that another cluster is noticed",
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("lead", Text, primary_key=True, comment="The lead"),
    Column("version", BigInteger, nullable=False, comment="Version of its stream that is included"),
    Column("state", LargeBinary, nullable=False, comment="The folded lead as JSON; personal"),
    comment="Folded leads with long histories; may be dropped at any time",
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", _position, primary_key=True, comment="Number of the dead letter"),
    Column("reason", Text, nullable=False, comment="malformed_json, invalid_data, ..."),
    Column("message", Text, nullable=False, comment="What is wrong, where, and the mend"),
    Column("stream", Text, nullable=False, comment="Where the record came from"),
    Column("partition", Integer, nullable=False, comment="Its partition"),
    Column("position", BigInteger, nullable=False, comment="Its position"),
    Column("received_at_us", BigInteger, nullable=False, comment="Microseconds UTC"),
    Column("key", LargeBinary, comment="Key of the record; may be personal"),
    Column("value", LargeBinary, comment="The record as it came; may be personal"),
    Column("headers", LargeBinary, nullable=False, comment="Headers as JSON, values in base64"),
    Column("state", Text, nullable=False, comment="open or redriven"),
    Index("dead_letters_place", "stream", "partition", "position"),
    comment="Records that were refused, each with its reason; nothing is dropped",
    sqlite_autoincrement=True,
)
