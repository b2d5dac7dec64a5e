"""Ways to break the commit protocol. Tests that do not find them prove nothing."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from consumers import families
from consumers.ledger import Batch, Claim, Fenced, StoreUnavailable
from domain.decide import decide
from domain.lead import Lead
from leadflow.store import sqlite
from leadflow.store.base import Transaction, write
from leadflow.store.sqlite import SQLiteStore, SQLiteTransaction
from tests.reliability.world import Member

Mutant = Callable[[pytest.MonkeyPatch], None]


def offset_first(patch: pytest.MonkeyPatch) -> None:
    """Move the position in a transaction of its own, and store the events afterwards."""
    commit = SQLiteStore.commit

    def commit_twice(self: SQLiteStore, batch: Batch) -> None:
        commit(self, Batch(positions=batch.positions))
        commit(self, replace(batch, positions={}))

    patch.setattr(SQLiteStore, "commit", commit_twice)


def no_dedupe(patch: pytest.MonkeyPatch) -> None:
    """Ask nobody whether an event was stored before."""

    def seen(_self: SQLiteStore, _keys: Collection[bytes]) -> dict[bytes, bytes]:
        return {}

    def insert_seen(self: SQLiteTransaction, rows: Sequence[tuple[bytes, bytes, str]]) -> None:
        self._driver.executemany(
            "INSERT OR REPLACE INTO seen (key, body, stream) VALUES (?,?,?)", rows
        )

    def decide_anew(lead: Lead, fact: Any, policy: Any) -> Any:
        unaware = lead.copy()
        unaware.seen = set()
        return decide(unaware, fact, policy)

    patch.setattr(SQLiteStore, "seen", seen)
    patch.setattr(SQLiteTransaction, "insert_seen", insert_seen)
    patch.setattr(families, "decide", decide_anew)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Move a position whoever asks."""

    def move(
        self: SQLiteTransaction, stream: str, partition: int, old: int, new: int, epoch: int
    ) -> bool:
        del old, epoch
        self._driver.execute(
            'UPDATE positions SET position = ? WHERE stream = ? AND "partition" = ?',
            (new, stream, partition),
        )
        return True

    patch.setattr(SQLiteTransaction, "move", move)


def swallowed_error(patch: pytest.MonkeyPatch) -> None:
    """Go on to the position when the events could not be written."""

    def write_what_goes(transaction: Transaction, batch: Batch) -> bool:
        positions = batch.positions
        try:
            write(transaction, replace(batch, positions={}))
        except StoreUnavailable as error:
            del error
        return write(transaction, Batch(positions=positions))

    patch.setattr(sqlite, "write", write_what_goes)


def skip_on_timeout(patch: pytest.MonkeyPatch) -> None:
    """Leave a batch behind that could not be stored."""
    step = Member.step

    def step_on(self: Member, most: int) -> str:
        outcome = step(self, most)
        if outcome == "unavailable":
            for part, claim in self.claims.items():
                reached = claim.position + len(self.world.after(part, claim.position, most))
                move = (claim.position, reached, claim.epoch)
                try:
                    self.store.commit(Batch(positions={("events", part): move}))
                except (Fenced, StoreUnavailable):
                    break
                self.claims[part] = Claim(reached, claim.epoch)
        return outcome

    patch.setattr(Member, "step", step_on)


def position_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """Move the position after the events are committed."""
    commit = SQLiteStore.commit

    def commit_twice(self: SQLiteStore, batch: Batch) -> None:
        commit(self, replace(batch, positions={}))
        commit(self, Batch(positions=batch.positions))

    patch.setattr(SQLiteStore, "commit", commit_twice)


def corrections_do_not_wait(patch: pytest.MonkeyPatch) -> None:
    """Ask nobody whether an event was corrected before it came."""

    def corrections_of(_self: SQLiteStore, _keys: Collection[bytes]) -> dict[bytes, str]:
        return {}

    patch.setattr(SQLiteStore, "corrections_of", corrections_of)


def places_are_wrong(patch: pytest.MonkeyPatch) -> None:
    """Look for what is corrected on a stream where it is not."""

    def insert_seen(self: SQLiteTransaction, rows: Sequence[tuple[bytes, bytes, str]]) -> None:
        self._driver.executemany(
            "INSERT INTO seen (key, body, stream) VALUES (?,?,?)",
            [(key, body, f"not {stream}") for key, body, stream in rows],
        )

    patch.setattr(SQLiteTransaction, "insert_seen", insert_seen)


MUTANTS: Final[tuple[Mutant, ...]] = (
    offset_first,
    no_dedupe,
    no_fence,
    swallowed_error,
    skip_on_timeout,
    position_outside_the_transaction,
    corrections_do_not_wait,
    places_are_wrong,
)
