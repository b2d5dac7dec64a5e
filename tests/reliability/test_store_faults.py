"""What the stores say when their database fails, and that nothing is half done then."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from consumers.ledger import Batch, Conflict, StoreBroken, StoreUnavailable
from leadflow.store import UnknownDatabase, faults, migrate, open_store
from leadflow.store import sqlite as sqlite_store
from leadflow.store.base import Store
from leadflow.store.postgres import PostgresStore, PostgresTransaction
from tests.postgres import PostgresServer
from tests.reliability import kit
from tests.reliability.conftest import plain
from tests.reliability.test_store import A, B, append, fact


def path_of(url: str) -> Path:
    return Path(make_url(url).database or "")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite wait a hundredth of a second for a lock."""
    monkeypatch.setattr(sqlite_store, "LOCK_TIMEOUT", 0.01)


# --- SQLite ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_a_locked_file_is_unavailable_and_says_who_holds_it(sqlite_url: str) -> None:
    with (
        kit.opened(sqlite_url) as store,
        closing(sqlite3.connect(path_of(sqlite_url), isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked: another process has been writing"):
            append(store, A, fact("1"))
        assert store.head() == 0  # readers do not wait
        other.execute("ROLLBACK")

        append(store, A, fact("1"))
        assert store.head() == 1


def test_a_full_disk_writes_nothing_and_goes_on_when_there_is_room(sqlite_url: str) -> None:
    with kit.opened(sqlite_url) as store:
        append(store, A, fact("1"))
        with limited(store) as widen:
            with pytest.raises(StoreUnavailable, match="full: free some space"):
                append(store, B, *(fact(f"{n}" + "x" * 4_000) for n in range(100)))
            assert store.head() == 1
            widen()
        append(store, B, fact("2"))
        assert [event.id for _, _, _, event in kit.log_of(store)] == ["1", "2"]
    with closing(sqlite3.connect(path_of(sqlite_url))) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def limited(store: Store) -> "Limit":
    assert isinstance(store, sqlite_store.SQLiteStore)
    return Limit(store)


class Limit:
    """A disk with room for one page more, for the one connection that writes."""

    def __init__(self, store: sqlite_store.SQLiteStore) -> None:
        self.store = store

    def __enter__(self) -> Callable[[], None]:
        self.set("(SELECT page_count FROM pragma_page_count) + 1")
        return lambda: self.set("1073741823")

    def __exit__(self, *_: object) -> None:
        self.set("1073741823")

    def set(self, pages: str) -> None:
        with self.store.datastore.raw(commit=True) as driver:
            number = driver.execute(f"SELECT {pages}").fetchone()[0]
            driver.execute(f"PRAGMA max_page_count = {number}")


def test_a_read_only_database_says_so(sqlite_url: str) -> None:
    with kit.opened(sqlite_url) as store:
        assert isinstance(store, sqlite_store.SQLiteStore)
        with store.datastore.raw(commit=True) as driver:
            driver.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreUnavailable, match="readonly database: give this user the right"):
            append(store, A, fact("1"))


def test_a_file_that_is_no_database_is_broken(folder: Path) -> None:
    path = folder / "letter.db"
    path.write_bytes(b"Dear Ada, " * 1_000)
    with kit.opened(f"sqlite:///{path}") as store:
        with pytest.raises(StoreBroken, match="not a database: the URL names"):
            store.head()
        with pytest.raises(StoreBroken, match="not a database"):
            append(store, A, fact("1"))


def test_a_damaged_file_is_broken(sqlite_url: str) -> None:
    with kit.opened(sqlite_url) as store:
        append(store, A, *(fact(f"{n}" + "x" * 2_000) for n in range(200)))
    path = path_of(sqlite_url)
    content = bytearray(path.read_bytes())
    page = sqlite_store.PAGE_SIZE
    for start in range(2 * page, len(content), page):
        content[start : start + 200] = b"\xa5" * 200
    path.write_bytes(bytes(content))

    with kit.opened(sqlite_url) as store, pytest.raises(StoreBroken, match="malformed: restore"):
        list(kit.log_of(store))


def test_a_missing_folder_is_unavailable(folder: Path) -> None:
    url = f"sqlite:///{folder / 'nowhere' / 'leadflow.db'}"
    with kit.opened(url) as store, pytest.raises(StoreUnavailable, match="does the folder exist"):
        store.head()
    with pytest.raises(StoreUnavailable, match="unable to open"):
        migrate.upgrade(url)


def test_missing_tables_are_named(folder: Path) -> None:
    with (
        kit.opened(f"sqlite:///{folder / 'new.db'}") as store,
        pytest.raises(StoreBroken, match=r"no such table.*leadflow init"),
    ):
        store.positions("events")


def test_an_upgrade_is_harmless_when_done_again(store_url: str) -> None:
    migrate.upgrade(store_url)

    assert migrate.revision(store_url) == migrate.NEWEST


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://root:secret@host/db"])
def test_other_databases_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(UnknownDatabase, match="leadflow stores events in") as refusal:
        open_store(url)

    assert "secret" not in str(refusal.value)


# --- PostgreSQL -----------------------------------------------------------------------------------


def test_a_missing_schema_is_broken(postgres_database: str) -> None:
    with kit.opened(postgres_database) as store, pytest.raises(StoreBroken, match="leadflow init"):
        store.head()


def test_a_server_that_is_away_is_unavailable() -> None:
    url = "postgresql://leadflow:secret@127.0.0.1:9/leadflow"
    with kit.opened(url) as store:
        assert isinstance(store, PostgresStore)
        store.datastore.pool.timeout = 0.2
        with pytest.raises(StoreUnavailable, match="Connection refused") as refusal:
            store.head()
    assert "secret" not in str(refusal.value)


def test_a_connection_that_was_closed_is_replaced(postgres_copy: str) -> None:
    with kit.opened(postgres_copy) as store:
        append(store, A, fact("1"))
        with psycopg.connect(plain(postgres_copy), autocommit=True) as admin:
            end_connections(admin)
        assert store.head() == 1


def end_connections(admin: psycopg.Connection) -> None:
    """End every other connection to the database, as an administrator may, and wait for the end."""
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_two_writers_that_wait_for_each_other_end_in_one_conflict(
    postgres_copy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has stored a key that the other wants: the database rolls one of them back."""
    both = threading.Barrier(2)
    outcomes: list[str] = []

    insert = PostgresTransaction.insert_seen

    def insert_slowly(self: PostgresTransaction, rows: Sequence[tuple[bytes, bytes, str]]) -> None:
        insert(self, rows[:1])
        both.wait(10)
        insert(self, rows[1:])

    def write(*keys: bytes) -> None:
        with kit.opened(postgres_copy) as store:
            try:
                store.commit(Batch(seen=[(key, b"b", "lead") for key in keys]))
                outcomes.append("stored")
            except Conflict as error:
                outcomes.append("deadlock" if "deadlock" in str(error) else "key")

    monkeypatch.setattr(PostgresTransaction, "insert_seen", insert_slowly)
    writers = [
        threading.Thread(target=write, args=(b"1", b"2")),
        threading.Thread(target=write, args=(b"2", b"1")),
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    assert sorted(outcomes) == ["deadlock", "stored"]


# --- the outcome of a commit may be unknown -------------------------------------------------------


@pytest.mark.parametrize("point", ["commit", "committed"])
def test_positions_tell_whether_a_commit_took_place(
    postgres_copy: str, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The connection dies just before, or just after the commit, 50 times each."""
    times = 50
    wrong = stored = 0
    with psycopg.connect(plain(postgres_copy), autocommit=True) as admin:

        def die(reached: str) -> None:
            if reached == point:
                end_connections(admin)
                if point == "committed":
                    raise StoreUnavailable("the answer was lost")

        for number in range(times):
            key = b"%d" % number
            with kit.opened(postgres_copy) as store:
                claim = store.claim("events", [0])[0]
                batch = Batch(
                    seen=[(key, b"b", "lead")],
                    events=[(A, stored + 1, fact(str(number)))],
                    positions={("events", 0): (stored, stored + 1, claim.epoch)},
                )
                with monkeypatch.context() as patch:
                    patch.setattr(faults, "reach", die)
                    with pytest.raises(StoreUnavailable):
                        store.commit(batch)
            with kit.opened(postgres_copy) as store:
                told = store.positions("events")[0] == stored + 1
                wrong += told != (store.seen([key]) != {})
                wrong += told != (point == "committed")
                stored += told

    assert (wrong, stored) == (0, times if point == "committed" else 0)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Give a server that this test alone may kill."""
    with PostgresServer() as server:
        yield server


def test_a_killed_server_has_what_it_acknowledged_and_nothing_else(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.upgrade(own_server.url())
    points = [*faults.POINTS, None]
    acknowledged = 0
    with kit.opened(own_server.url()) as store:
        claim = store.claim("events", [0])[0]
        for number, point in enumerate(points):
            batch = Batch(
                seen=[(b"%d" % number, b"b", "lead")],
                events=[(A, acknowledged + 1, fact(str(number)))],
                positions={("events", 0): (acknowledged, acknowledged + 1, claim.epoch)},
            )

            def die(reached: str, point: str | None = point) -> None:
                if reached == point:
                    own_server.kill()

            with monkeypatch.context() as patch:
                patch.setattr(faults, "reach", die)
                if point in ("committed", None):
                    store.commit(batch)
                    acknowledged += 1
                else:
                    with pytest.raises(StoreUnavailable):
                        store.commit(batch)
            if point is not None:
                own_server.restart()
            assert store.positions("events") == {0: acknowledged}
            assert store.head() >= acknowledged
            assert len(kit.facts_of(store)) == acknowledged
    assert acknowledged == 2
