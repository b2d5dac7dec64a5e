"""Dead letters for people: find them, mend them, send them again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, bindparam, select, update

from consumers.contract import Malformed, Parsed, parse
from consumers.intake import Intake
from consumers.ledger import DeadLetter
from consumers.unpack import Record
from leadflow.store.base import Store
from leadflow.store.tables import SCHEMA, dead_letters

AT_ONCE: Final = 1_000
"""Letters sent again in one transaction."""


class Place(NamedTuple):
    """Where a letter of a stream lies, and why it was refused."""

    id: int
    position: int
    state: str
    reason: str
    message: str


@dataclass(slots=True)
class Redriven:
    """What became of the letters that were sent again."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    """Events that had come meanwhile by another way."""
    still_open: int = 0


def letters_of(engine: Engine, stream: str) -> list[Place]:
    """Return the letters of *stream*, by position."""
    table = dead_letters
    query = (
        select(table.c.id, table.c.position, table.c.state, table.c.reason, table.c.message)
        .where(table.c.stream == stream)
        .order_by(table.c.position)
    )
    with _tables(engine).connect() as connection:
        return [Place(*row) for row in connection.execute(query)]


def redrive(
    store: Store,
    engine: Engine,
    intake: Intake,
    letters: Sequence[tuple[int, DeadLetter]],
    mended: Mapping[int, bytes],
    clock: int,
) -> Redriven:
    """Send *letters* (id and letter) through intake again, with the bytes of *mended* by id.

    What is accepted now is recorded at *clock* and its letter is settled; what is still wrong
    stays open with its new message. Raises what intake raises; whole batches are settled then.
    """
    result = Redriven()
    for start in range(0, len(letters), AT_ONCE):
        _redrive(store, engine, intake, letters[start : start + AT_ONCE], mended, clock, result)
    return result


def _redrive(
    store: Store,
    engine: Engine,
    intake: Intake,
    letters: Sequence[tuple[int, DeadLetter]],
    mended: Mapping[int, bytes],
    clock: int,
    result: Redriven,
) -> None:
    parsed: list[tuple[int, Record, Parsed]] = []
    refused: list[tuple[int, str, str]] = []
    for id_, letter in letters:
        value, headers = letter.value, letter.headers
        if id_ in mended:
            # What was mended is written in the structured form, whatever form it came in.
            value, headers = mended[id_], ()
        record = Record(
            letter.stream, letter.partition, letter.position, clock, letter.key, value, headers
        )
        try:
            parsed.append((id_, record, parse(value, headers, clock)))
        except Malformed as error:
            refused.append((id_, error.reason, str(error)))
    seen = dict(store.seen([each.key for _, _, each in parsed])) if parsed else {}
    good: list[tuple[int, Record]] = []
    for id_, record, each in parsed:
        rule = intake.refused(each.fact) if each.key not in seen else None
        if rule is not None:
            refused.append((id_, rule.reason, str(rule)))
        elif seen.setdefault(each.key, each.body) == each.body:
            good.append((id_, record))
        else:
            refused.append((id_, "conflicting_duplicate", _conflicting(each)))
    if good:
        outcome = intake.process(
            [record for _, record in good], {}, redriven=[id_ for id_, _ in good], clock=clock
        )
        result.accepted += outcome.accepted
        result.duplicates += outcome.duplicates
        # Refused after all, because another worker was first: it has a new letter.
        result.still_open += outcome.dead_letters
    if refused:
        _say_anew(engine, refused)
    result.read += len(letters)
    result.still_open += len(refused)


def _conflicting(parsed: Parsed) -> str:
    fact = parsed.fact
    return (
        f"id {fact.id[:80]!r} of source {fact.source[:80]!r} was accepted before with other"
        " content; give an event that says something new an id of its own"
    )


def _say_anew(engine: Engine, refused: Sequence[tuple[int, str, str]]) -> None:
    """Write why letters are still refused."""
    table = dead_letters
    statement = (
        update(table)
        .where(table.c.id == bindparam("letter"))
        .values(reason=bindparam("why"), message=bindparam("words"))
    )
    rows = [{"letter": id_, "why": why, "words": words} for id_, why, words in refused]
    with _tables(engine).begin() as connection:
        connection.execute(statement, rows)


def open_letters(store: Store, ids: Collection[int] | None = None) -> list[tuple[int, DeadLetter]]:
    """Return the open letters with one of *ids*, or all of them."""
    found = store.dead_letters(ids, state="open", limit=10_000_000)
    return [(id_, letter) for id_, _, letter in found]


def _tables(engine: Engine) -> Engine:
    """Return *engine* so that queries find the tables: SQLite has no schema."""
    schema = SCHEMA if engine.dialect.name == "postgresql" else None
    options: dict[str, Any] = {"schema_translate_map": {SCHEMA: schema}}
    return engine.execution_options(**options)
