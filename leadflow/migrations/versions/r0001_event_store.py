"""Create the event store: events, seen ids, identifiers, positions, dead letters, snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, in the schema ``leadflow`` on PostgreSQL."""
    schema = "leadflow" if op.get_bind().dialect.name == "postgresql" else None
    op.create_table(
        "stored_events",
        sa.Column("notification_id", _counter, primary_key=True),
        sa.Column("originator_id", sa.Text(collation=_bytewise()), nullable=False),
        sa.Column("originator_version", sa.BigInteger, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("originator_id", "originator_version", name="stored_events_version"),
        schema=schema,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "seen",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        schema=schema,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "identifiers",
        sa.Column("kind", sa.Text(collation=_bytewise()), primary_key=True),
        sa.Column("value", sa.Text(collation=_bytewise()), primary_key=True),
        sa.Column("lead", sa.Text, nullable=False),
        schema=schema,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "merged_streams",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("lead", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_index("merged_streams_lead", "merged_streams", ["lead"], schema=schema)
    op.create_table(
        "positions",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        schema=schema,
    )
    op.create_table(
        "streams",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("cluster_id", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        "snapshots",
        sa.Column("lead", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        schema=schema,
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", _counter, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("received_at_us", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        schema=schema,
        sqlite_autoincrement=True,
    )
    # Not unique: a topic that was made anew has other records at the same places.
    op.create_index(
        "dead_letters_place", "dead_letters", ["stream", "partition", "position"], schema=schema
    )


def _bytewise() -> str | None:
    """Return the collation that compares bytes: quicker, and the order of SQLite."""
    return "C" if op.get_bind().dialect.name == "postgresql" else None
