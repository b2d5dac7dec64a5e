"""One bad record in a hundred: the good ones pass, the bad ones are kept, and can be mended."""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consumers.intake import Intake, Outcome
from consumers.unpack import Record
from leadflow.simulate import Delivery, market_for_events, poison, simulate
from leadflow.store.base import Store
from tests.reliability import kit

pytestmark = pytest.mark.slow

EVENTS = 100_000
BATCH = 5_000


def delivered(deliveries: Sequence[Delivery]) -> list[Record]:
    """Return *deliveries* as the records of one partition."""
    return [
        Record(kit.STREAM, 0, position, each.arrived_at, each.key.encode(), each.value, ())
        for position, each in enumerate(deliveries)
    ]


def take(store: Store, records: Sequence[Record]) -> Outcome:
    """Take *records* into the store in batches."""
    intake = Intake(store, kit.policy())
    claim = store.claim(kit.STREAM, [0])[0]
    total = Outcome()
    for first in range(0, len(records), BATCH):
        batch = records[first : first + BATCH]
        reached = first + len(batch)
        total.add(intake.process(batch, {(kit.STREAM, 0): (first, reached, claim.epoch)}))
    return total


def people(store: Store, redriven: set[str]) -> tuple[set[frozenset[Any]], dict[str, Any]]:
    """Return who is who, and the story of each person one of whose events was *redriven*.

    Stories are told in the order in which things happened. That of the others follows from their
    events, which are the same as they ever were.
    """
    groups = [lead.facts for lead in kit.leads_in(store).values()]
    touched = [facts for facts in groups if any(fact.id in redriven for fact in facts)]
    everyone = {frozenset((fact.source, fact.id) for fact in facts) for facts in groups}
    return everyone, kit.as_people(touched)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep the garbage collector from going through a hundred thousand records again and again."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_poison_is_kept_apart_and_once_mended_all_is_as_if_it_had_never_been(
    folder: Path, sqlite_template: Path
) -> None:
    events = simulate(market_for_events(EVENTS, seed=3)).first(EVENTS).events
    poisoned = poison(events, 0.01)
    deliveries = list(poisoned)
    records = delivered(deliveries)
    bad = sum(poisoned.reasons.values())
    assert bad > EVENTS // 120

    with kit.opened(kit.new_sqlite(folder, sqlite_template)) as store:
        outcome = take(store, records)
        letters = store.dead_letters(limit=EVENTS)
        assert (outcome.read, outcome.dead_letters) == (len(records), bad)
        assert outcome.accepted + outcome.duplicates == len(records) - bad
        assert Counter(letter.reason for _, _, letter in letters) == poisoned.reasons
        assert {letter.position: letter.reason for _, _, letter in letters} == {
            position: each.reason for position, each in enumerate(deliveries) if each.reason
        }
        for _, _, letter in letters:
            record = records[letter.position]
            assert (letter.key, letter.value) == (record.key, record.value)

        mended = [
            records[letter.position]._replace(value=poisoned.mend(letter.value or b""))
            for _, _, letter in letters
        ]
        again = Intake(store, kit.policy()).process(
            mended, {}, redriven=[id_ for id_, *_ in letters]
        )
        conflicts = poisoned.reasons["conflicting_duplicate"]
        assert again.dead_letters == 0
        assert again.duplicates >= conflicts
        assert store.counts()["dead_letters"] == 0
        redriven = {msgspec.json.decode(record.value or b"")["id"] for record in mended}
        found = people(store, redriven)
        accepted = outcome.accepted + again.accepted

    clean = [
        record._replace(value=poisoned.mend(record.value or b"")) if each.reason else record
        for record, each in zip(records, deliveries, strict=True)
    ]
    with kit.opened(kit.new_sqlite(folder, sqlite_template, "clean.db")) as store:
        outcome = take(store, clean)
        assert outcome.dead_letters == 0
        assert outcome.accepted == accepted
        assert people(store, redriven) == found
