"""Ask the read models in SQL, without the means to change anything.

The SQL is the user's own and is run as it is: one statement, in a transaction that only reads. On
SQLite the file is opened for reading and an authorizer allows nothing but reading the relations
of the data dictionary; on PostgreSQL the statement runs as one of our roles (``projections.grants``).
Whoever has the password of the database has the data, whatever this module refuses: it keeps
people from doing by accident what they did not mean to.
"""

import re
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rapidfuzz import fuzz, process
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from leadflow.csv_cells import plain
from leadflow.store import migrate
from leadflow.store.tables import SCHEMA as STORE
from projections.answers import Answer
from projections.dictionary import PERSONAL, Entry, readable, relations
from projections.grants import PII, READER, may_become
from projections.schema import SCHEMA

LIMIT: Final = 1_000
"""Rows that are returned unless another number is asked for."""

TIMEOUT: Final = 30.0
"""Seconds until a statement is stopped."""

RENEW: Final = (
    "`leadflow init` brings the views of a newer leadflow, `leadflow rebuild` its tables, too"
)

_READS: Final = ("SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "SHOW")
_STEPS: Final = 10_000
"""Instructions of SQLite between two looks at the clock: less than a millisecond."""

_QUOTED: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
"""Text, quoted names and comments, in which words are not what they seem."""

_LOCKS: Final = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+UPDATE|KEY\s+SHARE|UPDATE|SHARE)\b", re.IGNORECASE
)

_SPACE: Final = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*", re.DOTALL)


class QueryInvalid(ValueError):
    """The SQL cannot be run; the message names the place, and names that are near."""


class QueryStopped(Exception):
    """The statement took longer than it may."""


class DatabaseAbsent(Exception):
    """There are no read models to ask; the message says how to make them."""


def query(
    connection: Connection,
    sql: str,
    *,
    personal: bool = False,
    limit: int | None = LIMIT,
    timeout: float = TIMEOUT,
) -> Answer:
    """Return ``columns``, ``rows`` (at most *limit*), ``truncated`` and the ``position`` answered.

    *connection* is one of `reader` or of ``projections.as_of``; it is spent afterwards. *personal*
    lets the statement read relations that tell who somebody is. *timeout* is in seconds. Decimals
    and instants are text.

    Raises QueryInvalid and QueryStopped.
    """
    if not sql.strip():
        raise QueryInvalid("there is no SQL: leadflow query 'SELECT * FROM v_funnel'")
    word = (re.match(r"[A-Za-z]*", sql[_skipped(sql) :]) or [""])[0]
    if word.upper() not in _READS:
        raise QueryInvalid(
            f"a question begins with {', '.join(_READS[:-1])} or {_READS[-1]}, not with"
            f" {word or sql.strip()[:10]!r}: nothing can be changed here"
        )
    if re.search(r"\bset_config\s*\(", _QUOTED.sub(" ", sql), re.IGNORECASE):
        raise QueryInvalid(
            f"{_at_in(_place_of('set_config', sql), sql)}set_config cannot be used here: it changes"
            " the settings that the query runs under"
        )
    ask = _ask_postgresql if connection.dialect.name == "postgresql" else _ask_sqlite
    with ask(connection, sql, personal, timeout) as (position, columns, found):
        rows: list[list[Any]] = []
        truncated = False
        for row in found:
            if limit is not None and len(rows) == limit:
                truncated = True
                break
            rows.append([plain(value) for value in row])
    return {"position": position, "columns": columns, "rows": rows, "truncated": truncated}


@contextmanager
def reader(database_url: str) -> Iterator[Connection]:
    """Yield a connection to the live read models that cannot write.

    Raises DatabaseAbsent.
    """
    engine = _reading(database_url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def lag(connection: Connection) -> int | None:
    """Return how many positions of the log the rows do not know yet.

    None where whoever is connected may not read the event store, or there is none.
    """
    if connection.dialect.name == "postgresql":
        store, rows, seen = f"{STORE}.stored_events", f"{SCHEMA}.checkpoints", _SEEN_POSTGRESQL
    else:
        store, rows, seen = "stored_events", "checkpoints", _SEEN_SQLITE
    if connection.execute(text(seen)).scalar() != 2:
        return None
    words = f"SELECT (SELECT max(notification_id) FROM {store}), (SELECT max(position) FROM {rows})"  # noqa: S608 - constants
    head, position = connection.execute(text(words)).one()
    return max(0, int(head or 0) - int(position or 0))


_SEEN_SQLITE: Final = (
    "SELECT count(*) FROM sqlite_master WHERE name IN ('stored_events', 'checkpoints')"
)
_SEEN_POSTGRESQL: Final = (
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"  # noqa: S608 - constants
    f" WHERE (n.nspname, c.relname) IN (('{STORE}', 'stored_events'), ('{SCHEMA}', 'checkpoints'))"
    " AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
)


def _reading(database_url: str) -> Engine:
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        return migrate.make_engine(database_url).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    path = Path(url.database or "")
    if not path.is_file():
        raise _absent(str(path))

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _absent(where: str) -> DatabaseAbsent:
    return DatabaseAbsent(
        f"there are no read models at {where}; `leadflow init` makes them, as do `leadflow ingest`"
        " and `leadflow import`; --database names another database"
    )


# --- what there is to ask -----------------------------------------------------------------------


def listing() -> Answer:
    """Return every table and view with what it shows."""
    return {
        "relations": [
            {
                "name": name,
                "kind": own.kind,
                "personal": bool(own.is_personal),
                "columns": len(columns),
                "comment": own.comment,
            }
            for name, (own, columns) in relations().items()
        ]
    }


def description(name: str) -> Answer:
    """Return the columns of the table or view *name*. Raises QueryInvalid."""
    if name not in relations():
        raise QueryInvalid(f"there is no table or view {name!r}{_near(name, list(relations()))}")
    own, columns = relations()[name]
    return {
        "name": name,
        "kind": own.kind,
        "personal": bool(own.is_personal),
        "comment": own.comment,
        "columns": [_described(entry) for entry in columns],
    }


def _described(entry: Entry) -> Answer:
    return {
        "name": entry.column_name,
        "type": entry.type,
        "unit": entry.unit,
        "key": bool(entry.is_key),
        "personal": bool(entry.is_personal),
        "comment": entry.comment,
    }


# --- SQLite -------------------------------------------------------------------------------------

_Found = tuple[int, list[str], Iterator[Sequence[Any]]]


@contextmanager
def _ask_sqlite(
    connection: Connection, sql: str, personal: bool, timeout: float
) -> Iterator[_Found]:
    driver: Any = connection.connection.driver_connection
    # a table-valued function writes its own schema when it is first met: before nobody may
    driver.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").fetchall()
    driver.execute("PRAGMA query_only = ON")
    allowed = {*readable(personal=personal), "json_each", "json_tree"}
    real = {str(name).lower() for (name,) in driver.execute(_REAL_NAMES)}
    denied: list[str] = []

    def may_read(name: str, column: str | None) -> bool:
        # names as they are written; a common table is met only where none of its columns is read
        folded = name.lower()
        is_common = column == "" and folded not in real and not folded.startswith(_RESERVED)
        return folded in allowed or is_common

    def authorize(
        action: int, one: str | None, two: str | None, _db: str | None, _inner: str | None
    ) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and two != "load_extension":
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and one is not None and may_read(one, two):
            return sqlite3.SQLITE_OK
        denied.append(str((two if action == sqlite3.SQLITE_FUNCTION else one) or action))
        return sqlite3.SQLITE_DENY

    deadline = time.monotonic() + timeout
    driver.execute("BEGIN")
    try:
        with closing(driver.cursor()) as cursor:
            try:
                (position,) = cursor.execute("SELECT max(position) FROM checkpoints").fetchone()
                roots = dict(cursor.execute(_ROOTS).fetchall())
                driver.set_authorizer(authorize)
                driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
                denied += _opened(cursor, sql, roots, allowed)
                if denied:
                    raise _refused(denied[-1], sql)
                cursor.execute(sql)
                columns = [one[0] for one in cursor.description or ()]
                yield int(position or 0), columns, cursor
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise _said_by_sqlite(error, sql, denied, timeout) from None
    finally:
        driver.set_progress_handler(None, 0)
        driver.set_authorizer(None)
        if driver.in_transaction:
            driver.rollback()


_REAL_NAMES: Final = "SELECT name FROM sqlite_master UNION ALL SELECT name FROM pragma_module_list"
_RESERVED: Final = ("sqlite_", "pragma_")
_ROOTS: Final = "SELECT rootpage, tbl_name FROM sqlite_master WHERE rootpage > 0"


def _opened(cursor: Any, sql: str, roots: Mapping[int, str], allowed: Collection[str]) -> list[str]:
    """Return the tables that *sql* opens though they are not *allowed*.

    The authorizer is not asked about the columns by which NATURAL and USING join; the program that
    SQLite makes of the statement shows every table that it opens, by its root page.
    """
    if sql[_skipped(sql) :][: len("EXPLAIN")].upper() == "EXPLAIN":
        return []  # which opens nothing
    cursor.execute(f"EXPLAIN {sql}")
    names = [
        roots.get(root, "this")
        for _, code, _, root, *_ in cursor
        if code in ("OpenRead", "OpenWrite")
    ]
    return [name for name in names if name.lower() not in allowed]


def _said_by_sqlite(error: Exception, sql: str, denied: Sequence[str], timeout: float) -> Exception:
    words = str(error)
    if words == "interrupted":
        return _stopped(timeout)
    if "no such table: checkpoints" in words:
        return _absent("this place")
    if "prohibited" in words or "not authorized" in words:
        return _refused(next(reversed(denied), ""), sql)
    unknown = re.fullmatch(r"no such (table|column): (.+)", words)
    if unknown:
        return _unknown(unknown[1], unknown[2], sql, _place_of(unknown[2], sql))
    near = re.fullmatch(r'near "(.+)": syntax error', words, re.DOTALL)
    place = _place_of(near[1], sql) if near else None
    if isinstance(error, sqlite3.OperationalError) and "locked" in words:
        return error
    return QueryInvalid(f"{_at_in(place, sql)}{words}")


def _place_of(words: str, sql: str) -> int | None:
    """Return where *words* stand in *sql*, from 0; None where that is not told apart."""
    found = [one.start() for one in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", sql)]
    return found[0] if len(found) == 1 else None


# --- PostgreSQL ---------------------------------------------------------------------------------


@contextmanager
def _ask_postgresql(
    connection: Connection, sql: str, personal: bool, timeout: float
) -> Iterator[_Found]:
    import psycopg

    there = connection.execute(text(f"SELECT to_regclass('{SCHEMA}.checkpoints')")).scalar()
    if there is None:
        raise _absent(str(connection.engine.url.render_as_string(hide_password=True)))
    position = connection.execute(text(f"SELECT max(position) FROM {SCHEMA}.checkpoints")).scalar()  # noqa: S608 - a constant
    role = _role(connection, personal=personal)
    connection.execute(
        text(
            "SELECT set_config('statement_timeout', :limit, true),"
            " set_config('search_path', :path, true), set_config('TimeZone', 'UTC', true)"
        ),
        {"limit": str(max(1, round(timeout * 1_000))), "path": f"{SCHEMA}, pg_catalog"},
    )
    if role is not None:
        connection.execute(text("SELECT set_config('role', :role, true)"), {"role": role})
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor:
            # row by row, by the protocol that takes one statement and no more
            found = cursor.stream(sql)
            first = next(found, None)
            columns = [one.name for one in cursor.description or ()]
            with closing(found):
                yield int(position or 0), columns, _behind(first, found)
    except psycopg.errors.QueryCanceled:
        raise _stopped(timeout) from None
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise _said_by_postgresql(error, sql, personal=personal) from None
    finally:
        connection.rollback()


def _behind(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def _role(connection: Connection, *, personal: bool) -> str | None:
    """Return the role to ask as; None for the one who is connected. Raises QueryInvalid."""
    role = PII if personal else READER
    if may_become(connection, role):
        return role
    if personal:
        return None
    sees = connection.execute(
        text(
            "SELECT bool_or(has_table_privilege(c.oid, 'SELECT')) FROM pg_class c"
            " WHERE c.relnamespace = to_regnamespace(:schema) AND c.relname = ANY(:names)"
        ),
        {"schema": SCHEMA, "names": sorted(PERSONAL)},
    ).scalar()
    if not sees:
        return None
    raise QueryInvalid(
        f"the role {READER}, which keeps personal data out of reach, is missing or not yours:"
        " `leadflow roles` makes it; --personal asks without it"
    )


def _said_by_postgresql(error: Any, sql: str, *, personal: bool) -> Exception:
    said = error.diag
    words = said.message_primary or str(error)
    at = int(said.statement_position) - 1 if said.statement_position else None
    match said.sqlstate:
        case "42501":
            found = re.search(r"permission denied for (?:table|view|schema) (\S+)", words)
            locks = _LOCKS.search(_QUOTED.sub(" ", sql))
            if locks and found and found[1] in readable(personal=personal):
                return QueryInvalid(f"a query takes no locks: leave out {locks[0]}")
            if found and personal and found[1] in PERSONAL:
                return QueryInvalid(f"{words}: your login needs the role {PII} for it")
            return _refused(found[1], sql) if found else QueryInvalid(f"{_at_in(at, sql)}{words}")
        case "42P01" | "42703":
            kind = "table" if said.sqlstate == "42P01" else "column"
            found = re.search(r'(?:relation|column|entry for table) "?([^" ]+)"?', words)
            return _unknown(kind, found[1] if found else "", sql, at)
        case "25006":
            return QueryInvalid(f"{words}: nothing can be changed here")
    return QueryInvalid(f"{_at_in(at, sql)}{words}")


# --- what went wrong ----------------------------------------------------------------------------


def _at_in(place: int | None, sql: str) -> str:
    """Return the place as line and column, from 1."""
    if place is None:
        return ""
    before = sql[:place]
    line = before.count("\n") + 1
    column = place - (before.rfind("\n") + 1) + 1
    return f"line {line}, column {column}: "


def _unknown(kind: str, name: str, sql: str, place: int | None) -> QueryInvalid:
    bare = name.rpartition(".")[2]
    if kind == "table" and bare in relations():
        return QueryInvalid(f"{bare} is not in this database yet: {RENEW}")
    if kind == "table":
        candidates = list(relations())
        hint = "; leadflow query --list shows all"
    else:
        named = [one for one in relations() if re.search(rf"\b{one}\b", sql)]
        candidates = [
            str(entry.column_name) for one in named or relations() for entry in relations()[one][1]
        ]
        hint = f"; leadflow query --describe {named[0]} shows all" if named else ""
    words = f"{_at_in(place, sql)}there is no {kind} {name}"
    return QueryInvalid(f"{words}{_near(bare, candidates)}{hint}")


def _near(name: str, candidates: Sequence[str]) -> str:
    found = process.extract(
        name, list(dict.fromkeys(candidates)), scorer=fuzz.ratio, limit=3, score_cutoff=60
    )
    return f"; did you mean {' or '.join(one for one, _, _ in found)}?" if found else ""


def _refused(name: str, sql: str) -> QueryInvalid:
    if name in PERSONAL:
        return QueryInvalid(f"{name} holds personal data: --personal lets the query read it")
    where = _at_in(_place_of(name, sql), sql) if name else ""
    return QueryInvalid(
        f"{where}{name or 'this'} cannot be used here: a query reads the tables and views that"
        " `leadflow query --list` shows, and nothing else"
    )


def _stopped(timeout: float) -> QueryStopped:
    return QueryStopped(
        f"the query was stopped after {timeout:g} s; narrow it, or give it longer: --timeout 5m"
    )


def _skipped(sql: str) -> int:
    """Return where the first word of *sql* stands, behind blanks, comments and parentheses."""
    found = _SPACE.match(sql)
    return 0 if found is None else found.end()
