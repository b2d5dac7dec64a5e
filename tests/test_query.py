"""Questions in SQL: answered from one moment, unable to change anything, kept from personal data."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from leadflow.app import App
from leadflow.query import (
    DatabaseAbsent,
    QueryInvalid,
    QueryStopped,
    description,
    lag,
    listing,
    query,
    reader,
)
from projections.answers import Answer
from projections.as_of import as_of_engine
from projections.dictionary import relations
from projections.grants import make_roles
from projections.schema import SCHEMA
from projections.setup import create
from tests.exporting import open_filled, tells_who


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Yield an application that no test changes, once on each database."""
    folder = tmp_path_factory.mktemp("query")
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'leadflow.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(request.getfixturevalue("postgres_server").database())
        app = stack.enter_context(open_filled(url, folder))
        if request.param == "postgresql":
            with app.engine.begin() as connection:
                make_roles(connection, SCHEMA)
        yield app


def ask(app: App, sql: str, **options: Any) -> Answer:
    with reader(app.settings.database_url) as connection:
        return query(connection, sql, **options)


def test_an_answer_has_columns_rows_and_the_position_it_stands_for(app: App) -> None:
    found = ask(app, "SELECT stage, entered FROM v_funnel WHERE n = 1 -- first\n")

    assert (["stage", "entered"], [["captured", 8]], False) == (
        found["columns"],
        found["rows"],
        found["truncated"],
    )
    assert app.runner.checkpoint() == found["position"]


def test_money_and_instants_are_the_same_text_on_both_databases(app: App) -> None:
    found = ask(
        app,
        "SELECT amount, currency, converted_at FROM v_conversions WHERE kind = 'won'"
        " ORDER BY currency",
    )

    assert [
        ["123.45", "EUR", "2026-03-01T13:00:00.000000Z"],
        ["12348", "JPY", "2026-03-04T13:00:00.000000Z"],
        ["12.351", "KWD", "2026-03-07T13:00:00.000000Z"],
    ] == found["rows"]


def test_more_rows_than_the_limit_are_told_and_not_returned(app: App) -> None:
    for limit, truncated in ((7, True), (8, False), (None, False)):
        found = ask(app, "SELECT lead_id FROM v_pipeline WHERE stage IS NOT NULL", limit=limit)
        assert (limit or 8, truncated) == (len(found["rows"]), found["truncated"])


@pytest.mark.parametrize("relation", sorted(relations()))
def test_no_relation_tells_who_somebody_is_unless_it_is_asked_to(
    relation: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "personal"
    if not folder.exists():
        folder.mkdir()
        with open_filled(f"sqlite:///{folder / 'leads.db'}", folder):
            pass
    statement = f"SELECT * FROM {relation}"
    with reader(f"sqlite:///{folder / 'leads.db'}") as connection:
        if relations()[relation][0].is_personal:
            with pytest.raises(QueryInvalid, match="--personal"):
                query(connection, statement)
            assert tells_who(str(query(connection, statement, personal=True)))
        else:
            assert not tells_who(str(query(connection, statement, limit=None)))


HOSTILE = [
    "DELETE FROM pipeline",
    "WITH gone AS (SELECT 1) DELETE FROM pipeline",
    "SELECT 1; DELETE FROM pipeline",
    "ATTACH 'other.db' AS other",
    "PRAGMA writable_schema = 1",
    "PRAGMA query_only = OFF",
    "SELECT * FROM stored_events",
    "SELECT * FROM leadflow.stored_events",
    "SELECT * FROM dead_letters",
    "SELECT count(*) FROM people",
    "SELECT count(*) FROM PEOPLE AS p",
    "SELECT count(*) FROM stored_events",
    "SELECT 1 FROM leadflow.stored_events",
    "SELECT 1 FROM people",
    "SELECT EXISTS (SELECT 1 FROM people)",
    "SELECT count(*) FROM v_People",
    'SELECT count(*) FROM "people"',
    "WITH x AS (SELECT 1 AS n FROM people) SELECT count(*) FROM x",
    "WITH x AS (SELECT DISTINCT email FROM v_people) SELECT count(*) FROM x",
    "WITH x AS (SELECT 1 AS n) SELECT count(*) FROM x, people",
    "WITH g (email) AS (VALUES ('')) SELECT email FROM g FULL JOIN v_people USING (email)",
    "WITH g (email) AS (VALUES ('')) SELECT count(*) FROM g JOIN v_people USING (email)",
    "SELECT count(*) FROM v_pipeline NATURAL JOIN people",
    "SELECT count(*) FROM sqlite_master",
    "SELECT count(*) FROM SQLITE_SCHEMA",
    "SELECT count(*) FROM sqlite_temp_master",
    "SELECT count(*) FROM dbstat",
    "SELECT count(*) FROM pragma_table_info('people')",
    "SELECT count(*) FROM pragma_database_list",
    "SELECT email FROM (SELECT * FROM v_people) AS w",
    "SELECT (SELECT max(name) FROM people) FROM v_pipeline",
    "SELECT load_extension('x')",
    "WITH a AS MATERIALIZED (SELECT set_config('role', 'postgres', true)) SELECT * FROM a",
    "SELECT pg_catalog.SET_CONFIG ('role', 'postgres', true)",
    "SELECT * FROM people FOR UPDATE",
    "SELECT * FROM pragma_table_info('people')",
    "CREATE TEMP TABLE mine (n int)",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COMMIT",
    "/* SELECT */ UPDATE pipeline SET stage = 'won'",
    "SELECT pg_read_file('/etc/hostname')",
    "",
    "-- nothing",
]


def test_nothing_but_reading_the_relations_is_possible(app: App) -> None:
    before = app.runner.digest()
    for statement in HOSTILE:
        with pytest.raises(QueryInvalid):
            ask(app, statement)
    assert before == app.runner.digest()
    assert [[12]] == ask(app, "SELECT count(*) FROM v_pipeline")["rows"]


def test_an_unknown_name_is_told_with_its_place_and_names_that_are_near(app: App) -> None:
    with pytest.raises(
        QueryInvalid, match="line 2, column 6: there is no table v_pipelin; did you"
    ):
        ask(app, "SELECT 1\nFROM v_pipelin")
    with pytest.raises(
        QueryInvalid, match=r"line 1, column 8: there is no column stge; did.* stage"
    ):
        ask(app, "SELECT stge FROM v_pipeline")
    with pytest.raises(QueryInvalid, match=r"there is no column p\.ownr; did you mean owner"):
        ask(app, "SELECT p.ownr FROM v_pipeline p")
    with pytest.raises(QueryInvalid, match=r"line 1, column 10: .*syntax error"):
        ask(app, "SELECT * FRM v_pipeline")


@pytest.mark.parametrize("lock", ["FOR UPDATE", "for no key update", "FOR SHARE", "FOR KEY SHARE"])
def test_a_query_that_would_lock_is_told_so(app: App, lock: str) -> None:
    words = "takes no locks: leave out" if app.engine.dialect.name == "postgresql" else "syntax"
    with pytest.raises(QueryInvalid, match=words):
        ask(app, f"SELECT * FROM v_pipeline {lock}")


def test_words_in_quotes_and_comments_are_no_calls(app: App) -> None:
    found = ask(
        app, "SELECT 'set_config(it''s)' AS \"set_config(\" -- set_config(\n/* set_config( */"
    )

    assert ([["set_config(it's)"]], ["set_config("]) == (found["rows"], found["columns"])


def test_a_query_that_takes_too_long_is_stopped(app: App) -> None:
    forever = (
        "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"
    )
    with pytest.raises(QueryStopped, match="--timeout"):
        ask(app, forever, timeout=0.2)


def test_the_models_as_they_were_are_asked_the_same_way(app: App) -> None:
    engine = as_of_engine(app.store, app.rules, as_of=1_772_400_000_000_000)  # 2026-03-01 21:20
    with engine.connect() as connection:
        found = query(connection, "SELECT count(*) FROM v_pipeline WHERE stage IS NOT NULL")
        with pytest.raises(QueryInvalid, match="--personal"):
            query(connection, "SELECT * FROM v_people")
    engine.dispose()

    assert [[1]] == found["rows"]


def test_sql_functions_and_common_tables_may_be_used(app: App) -> None:
    found = ask(
        app, "(SELECT 1)" if app.engine.dialect.name == "postgresql" else "SELECT min(1, 2)"
    )
    assert [[1]] == found["rows"]
    found = ask(app, "WITH p AS (SELECT * FROM v_pipeline) SELECT count(*) AS n FROM p")
    assert found["rows"][0][0] > 0


COMMON = [
    ("WITH x AS (SELECT DISTINCT stage FROM v_pipeline) SELECT count(*) > 0 FROM x", True),
    ("WITH x AS (SELECT stage FROM v_pipeline LIMIT 2) SELECT count(*) FROM x", 2),
    ("WITH x AS (SELECT DISTINCT stage FROM v_pipeline) SELECT count(*) > 0 FROM X AS y", True),
    ("WITH x AS MATERIALIZED (SELECT lead_id FROM v_pipeline) SELECT count(*) FROM x", 12),
    ("WITH x AS NOT MATERIALIZED (SELECT DISTINCT 1 AS n) SELECT count(*) FROM x", 1),
    (
        (
            "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5)"
            " SELECT count(*) FROM r"
        ),
        5,
    ),
    (
        (
            "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5)"
            " SELECT count(*) FROM r AS a, r AS b"
        ),
        25,
    ),
    (
        (
            "WITH a AS (SELECT DISTINCT lead_id FROM v_pipeline), b AS (SELECT 1 AS n UNION SELECT 2)"
            " SELECT count(*) FROM a CROSS JOIN b"
        ),
        24,
    ),
    (
        (
            "WITH a AS (SELECT lead_id FROM v_pipeline LIMIT 3), b AS (SELECT 1 AS n FROM a)"
            " SELECT count(*) FROM b"
        ),
        3,
    ),
    ("SELECT (WITH x AS (SELECT DISTINCT lead_id FROM v_pipeline) SELECT count(*) FROM x)", 12),
    (
        (
            "WITH x AS (SELECT DISTINCT stage FROM v_stages) SELECT count(*) > 0 FROM v_pipeline"
            " WHERE EXISTS (SELECT 1 FROM x)"
        ),
        True,
    ),
    (
        "WITH pipeline AS (SELECT DISTINCT lead_id FROM v_pipeline) SELECT count(*) FROM pipeline",
        12,
    ),
    ("SELECT count(*) FROM V_PIPELINE", 12),
    ("SELECT count(*) FROM (SELECT DISTINCT lead_id FROM v_pipeline LIMIT 4) AS x", 4),
    ("SELECT count(*) FROM v_pipeline JOIN v_pipeline AS other USING (lead_id)", 12),
]


@pytest.mark.parametrize(("statement", "answer"), COMMON)
def test_common_tables_may_be_counted(app: App, statement: str, answer: int) -> None:
    assert [[answer]] == ask(app, statement)["rows"]


def test_what_the_rows_do_not_know_yet_is_counted_for_whoever_may_see_it(app: App) -> None:
    with reader(app.settings.database_url) as connection:
        assert lag(connection) == 0
        assert [[12]] == query(connection, "SELECT count(*) FROM v_pipeline")["rows"]
    with app.engine.begin() as connection:
        where = f"{SCHEMA}." if app.engine.dialect.name == "postgresql" else ""
        there = connection.exec_driver_sql(f"SELECT max(position) FROM {where}checkpoints").scalar()
        connection.exec_driver_sql(f"UPDATE {where}checkpoints SET position = position - 3")
    try:
        with reader(app.settings.database_url) as connection:
            assert lag(connection) == 3
        if app.engine.dialect.name == "postgresql":
            with app.engine.connect() as connection:
                connection.exec_driver_sql("SET ROLE leadflow_reader")
                assert lag(connection) is None
    finally:
        with app.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {where}checkpoints SET position = {there}")


def test_a_database_that_is_not_there_is_told_and_not_made(database_url: str) -> None:
    with pytest.raises(DatabaseAbsent, match="leadflow init"), reader(database_url) as connection:
        query(connection, "SELECT 1")
    if database_url.startswith("sqlite"):
        assert not Path(str(make_url(database_url).database)).exists()


def test_without_the_role_nothing_is_read_that_may_be_personal(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leadflow.store import migrate

    engine = migrate.make_engine(postgres_database)
    create(engine)
    engine.dispose()
    monkeypatch.setattr("leadflow.query.may_become", lambda *_: False)
    with reader(postgres_database) as connection:
        with pytest.raises(QueryInvalid, match="`leadflow roles` makes it"):
            query(connection, "SELECT 1")
        assert [[0]] == query(connection, "SELECT count(*) FROM people", personal=True)["rows"]


def test_what_there_is_to_ask_is_listed_and_described() -> None:
    names = [one["name"] for one in listing()["relations"]]
    assert {"v_pipeline", "people", "data_dictionary"} <= set(names)
    (email,) = [one for one in description("v_people")["columns"] if one["name"] == "email"]
    assert email["personal"]
    assert {"type": "timestamp", "unit": "UTC"}.items() <= description("v_stages")["columns"][
        5
    ].items()
    with pytest.raises(QueryInvalid, match="did you mean v_pipeline"):
        description("v_piplines")


def test_a_login_that_only_reads_can_ask_without_the_event_store(
    postgres_database: str, tmp_path: Path
) -> None:
    name = f"analyst_{uuid4().hex[:8]}"
    with open_filled(postgres_database, tmp_path) as app:
        with app.engine.begin() as connection:
            make_roles(connection, SCHEMA)
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'for-a-second'")
            connection.exec_driver_sql(f"GRANT leadflow_reader TO {name}")
        url = make_url(postgres_database).set(username=name, password="for-a-second")
        with reader(url.render_as_string(hide_password=False)) as connection:
            assert [[12]] == query(connection, "SELECT count(*) FROM v_pipeline")["rows"]
            with pytest.raises(QueryInvalid, match="your login needs the role leadflow_pii"):
                query(connection, "SELECT * FROM people", personal=True)
        with app.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")
