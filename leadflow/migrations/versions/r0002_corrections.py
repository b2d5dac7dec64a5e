"""Let corrections find what they correct: the stream of each event, and what they wait for."""

import json
from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 5_000
_CORRECTIONS = ("event.voided", "event.reclassified")


def upgrade() -> None:
    """Add the column and the table, and look up the stream of every event there is."""
    bind = op.get_bind()
    schema = "leadflow" if bind.dialect.name == "postgresql" else None
    op.add_column("seen", sa.Column("stream", sa.Text), schema=schema)
    op.create_table(
        "corrections",
        sa.Column("number", _counter, primary_key=True),
        sa.Column("target", sa.LargeBinary, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        schema=schema,
        sqlite_autoincrement=True,
    )
    op.create_index("corrections_target", "corrections", ["target"], schema=schema)
    _fill(bind, schema)
    # What a snapshot holds has grown; they are taken again as leads are written.
    bind.execute(sa.delete(sa.table("snapshots", schema=schema)))


def _fill(bind: sa.Connection, schema: str | None) -> None:
    """Write the stream of each fact beside its digest, and which corrections wait."""
    events = sa.table(
        "stored_events",
        sa.column("notification_id"),
        sa.column("originator_id"),
        sa.column("topic"),
        sa.column("state"),
        schema=schema,
    )
    seen = sa.table("seen", sa.column("key"), sa.column("stream"), schema=schema)
    write = (
        sa.update(seen)
        .where(seen.c.key == sa.bindparam("digest", type_=sa.LargeBinary))
        .values(stream=sa.bindparam("name", type_=sa.Text))
    )
    waiting: dict[bytes, str] = {}
    position = 0
    while rows := bind.execute(
        sa.select(events.c.notification_id, events.c.originator_id, events.c.state)
        .where(events.c.notification_id > position, events.c.topic.startswith("fact:"))
        .order_by(events.c.notification_id)
        .limit(_BATCH)
    ).all():
        position = rows[-1][0]
        found = []
        for _, stream, state in rows:
            fact = json.loads(bytes(state))
            found.append({"digest": _digest(fact["source"], fact["id"]), "name": stream})
            if fact["type"] in _CORRECTIONS:
                said = fact.get("data") or {}
                source, id_ = said.get("event_source"), said.get("event_id")
                if isinstance(source, str) and isinstance(id_, str):
                    waiting.setdefault(_digest(source, id_), stream)
        bind.execute(write, found)
    if waiting:
        corrections = sa.table(
            "corrections", sa.column("target"), sa.column("stream"), schema=schema
        )
        rows_of = [{"target": target, "stream": stream} for target, stream in waiting.items()]
        bind.execute(sa.insert(corrections), rows_of)
        bind.execute(sa.delete(corrections).where(corrections.c.target.in_(sa.select(seen.c.key))))


def _digest(source: str, id_: str) -> bytes:
    return blake2b(f"{source}\0{id_}".encode(), digest_size=16).digest()
