"""A store of an earlier revision, with events in it, goes on as one that was always new."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from consumers.contract import Parsed, event_key, parse
from consumers.intake import Intake
from domain.events import Event, Fact, LeadMerged
from domain.identity import lead_id, stream_of
from leadflow.store import migrate, open_store
from leadflow.store.codec import encode
from tests.reliability import kit
from tests.reliability.kit import sent
from tests.reliability.small import aimed

ADA, BOB, CAT = (f"{name}@example.com" for name in ("ada", "bob", "cat"))
A, B, C = (lead_id(("email", email)) for email in (ADA, BOB, CAT))
SPEND = {"campaign": "spring", "day": "2026-01-04", "amount": "99", "currency": "EUR"}
MANY = 5_001
"""Events of one lead: more than are looked at at a time."""


@dataclass
class Old:
    """What a store of revision 0001 holds."""

    seen: list[tuple[bytes, bytes]] = field(default_factory=list)
    events: list[tuple[str, int, Event]] = field(default_factory=list)
    identifiers: list[tuple[str, str, str]] = field(default_factory=list)
    merged: list[tuple[str, str]] = field(default_factory=list)
    places: dict[bytes, str] = field(default_factory=dict)
    """By digest of source and id, the stream of each fact."""
    versions: dict[str, int] = field(default_factory=dict)

    def put(self, stream: str, event: Event) -> None:
        version = self.versions[stream] = self.versions.get(stream, 0) + 1
        self.events.append((stream, version, event))

    def take(self, value: bytes, stream: str | None = None) -> Fact:
        """Store an event as revision 0001 did: a correction on a stream of its own."""
        parsed = parse(value, (), kit.NOW)
        assert isinstance(parsed, Parsed)
        to = stream or (
            lead_id(parsed.fact.keys[0]) if parsed.fact.keys else stream_of(parsed.fact)
        )
        self.put(to, parsed.fact)
        self.seen.append((parsed.key, parsed.body))
        self.places[parsed.key] = to
        return parsed.fact

    def insert_into(self, url: str) -> None:
        """Write everything to the tables of revision 0001 at *url*."""
        engine = migrate.make_engine(url)
        prefix = "leadflow." if engine.dialect.name == "postgresql" else ""
        rows: Mapping[str, Sequence[tuple[object, ...]]] = {
            "seen (key, body)": self.seen,
            "stored_events (originator_id, originator_version, topic, state)": [
                (stream, version, *encode(event)) for stream, version, event in self.events
            ],
            "identifiers (kind, value, lead)": self.identifiers,
            "merged_streams (stream, lead)": self.merged,
        }
        with engine.begin() as connection:
            for into, values in rows.items():
                if not values:
                    continue
                names = [f"v{n}" for n in range(len(values[0]))]
                marks = ", ".join(f":{name}" for name in names)
                connection.execute(
                    text(f"INSERT INTO {prefix}{into} VALUES ({marks})"),
                    [dict(zip(names, row, strict=True)) for row in values],
                )
        engine.dispose()


def merged(other: str, into: str | None, by: Fact) -> LeadMerged:
    """Return the decision that *by* has brought two leads together."""
    return LeadMerged(
        other=other,
        into=into,
        stage="mql",
        cycle=1,
        entered_at=by.at,
        hot=False,
        at=by.at,
        recorded_at=by.recorded_at,
        rule="shared_identifier",
        policy="p",
        source=by.source,
        id=by.id,
    )


def old_store() -> Old:
    """Return a log with a merge, corrections of what came and of what did not, and spend."""
    old = Old()
    for number in range(MANY):
        old.take(sent(f"v{number}", "page.viewed", at=number, email=CAT))
    old.take(sent("a", "demo.requested", at=1, email=ADA))
    old.take(sent("b", "demo.requested", at=2, email=BOB))
    link = old.take(sent("link", at=3, email=ADA, phone="+4930123456"), A)
    old.put(A, merged(B, None, link))
    old.put(B, merged(A, A, link))
    old.take(sent("void a", "event.voided", at=4, data=aimed("a", "rep")))
    old.take(sent("void z", "event.voided", at=5, data=aimed("z", "rep")))
    old.take(sent("void z again", "event.voided", at=6, data=aimed("z", "rep")))
    old.take(sent("größer 'é\"", "spend.recorded", source="/ads?ü", data=SPEND))
    old.identifiers = [
        ("email", CAT, C),
        ("email", ADA, A),
        ("email", BOB, A),
        ("phone", "+4930123456", A),
    ]
    old.merged = [(B, A)]
    return old


@pytest.fixture
def at_0001(database_url: str) -> str:
    """Give the URL of a database with the tables of revision 0001."""
    engine = migrate.make_engine(database_url)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("CREATE SCHEMA leadflow"))
            connection.commit()
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.commit()
    engine.dispose()
    assert migrate.revision(database_url) == "0001"
    return database_url


def test_each_event_of_an_old_store_is_found_on_its_stream(at_0001: str) -> None:
    """On the stream that it is on; where that has ended, on the lead that it ended in."""
    old = old_store()
    old.insert_into(at_0001)
    migrate.upgrade(at_0001)

    with kit.opened(at_0001) as store:
        found = store.places(old.places)
        assert found == {key: A if stream == B else stream for key, stream in old.places.items()}
        engine = migrate.make_engine(at_0001)
        prefix = "leadflow." if engine.dialect.name == "postgresql" else ""
        with engine.connect() as connection:
            rows = connection.execute(text(f"SELECT key, body, stream FROM {prefix}seen")).all()
        engine.dispose()
        assert {(bytes(key), bytes(body)) for key, body, _ in rows} == set(old.seen)
        assert {bytes(key): stream for key, _, stream in rows} == old.places


def test_a_correction_that_waits_in_an_old_store_finds_its_target(at_0001: str) -> None:
    """Both that came for the event are there once; what came for an event that is there is not."""
    old = old_store()
    old.insert_into(at_0001)
    migrate.upgrade(at_0001)

    key = event_key("/test", "z")
    with kit.opened(at_0001) as store:
        assert store.corrections_of([*old.places, key]) == {
            key: lead_id(("event", "/test\x00z")),
        }
        intake = Intake(store, kit.policy())
        intake.process([kit.record(sent("z", "trial.started", at=9, email=CAT))], {})
        lead = kit.leads_in(store)[C]
        assert {"z", "void z", "void z again"} <= {fact.id for fact in lead.facts}
        assert [event.id for event in lead.effective() if event.type == "trial.started"] == []


def test_an_old_store_goes_on_as_one_that_was_always_new(
    at_0001: str, folder: Path, sqlite_template: Path
) -> None:
    old = Old()
    before = [
        sent("a", "note.added", at=1, email=ADA),
        sent("b", "note.added", at=2, email=BOB),
        sent("s", "spend.recorded", data=SPEND),
    ]
    after = [
        sent("void b", "event.voided", at=3, data=aimed("b", "rep")),
        sent("rep a", "event.reclassified", at=4, data=aimed("a", "rep")),
        sent("a", "note.added", at=1, email=ADA),
        sent("c", "demo.requested", at=5, email=ADA),
    ]
    for value in before:
        old.take(value)
    old.identifiers = [("email", ADA, A), ("email", BOB, B)]
    old.insert_into(at_0001)
    migrate.upgrade(at_0001)
    new = kit.new_sqlite(folder, sqlite_template)
    with kit.opened(new) as store:
        Intake(store, kit.policy()).process([kit.record(value) for value in before], {})

    ends = []
    for url in (at_0001, new):
        store = open_store(url)
        outcome = Intake(store, kit.policy()).process([kit.record(value) for value in after], {})
        leads = [lead.facts for lead in kit.leads_in(store).values()]
        ends.append((outcome, list(kit.log_of(store)), kit.as_people(leads)))
        store.close()
    assert ends[0] == ends[1]


def test_an_empty_store_is_upgraded(at_0001: str) -> None:
    migrate.upgrade(at_0001)

    with kit.opened(at_0001) as store:
        assert (store.corrections(), store.head()) == (0, 0)
