"""The page on queries, exports and access is what happens, and SQL says what the commands say."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from leadflow.app import App
from leadflow.query import query, reader
from projections import pipeline_now, sources
from projections.grants import make_roles
from projections.schema import SCHEMA
from tests.command_line import CommandLine
from tests.exporting import events, open_filled
from tests.pages import DOCS, run_page


def test_the_page_on_sql_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/sql.md", tmp_path) > 0


def ask(app: App, sql: str) -> list[list[Any]]:
    with reader(app.settings.database_url) as connection:
        rows: list[list[Any]] = query(connection, sql, limit=None)["rows"]
        return rows


def test_views_and_query_functions_give_the_same_numbers(database_url: str, tmp_path: Path) -> None:
    with open_filled(database_url, tmp_path) as app:
        if app.engine.dialect.name == "postgresql":
            with app.engine.begin() as connection:
                make_roles(connection, SCHEMA)
        with app.connect() as connection:
            stages = pipeline_now.summary(connection)["stages"]
            channels = sources.summary(connection, "channel")["rows"]

        in_sql = dict(ask(app, "SELECT stage, count(*) FROM v_pipeline GROUP BY stage"))
        assert {one["stage"]: one["leads"] for one in stages} == in_sql
        counted: dict[str, Counter[str]] = {}
        columns = ("leads", "mql", "sal", "sql", "opportunity", "won")
        for channel, *numbers in ask(app, f"SELECT channel, {', '.join(columns)} FROM v_sources"):
            counted.setdefault(channel, Counter()).update(
                {name: int(number) for name, number in zip(columns, numbers, strict=True)}
            )
        assert counted == {
            one["value"] or "(none)": Counter({name: one[name] for name in columns})
            for one in channels
        }


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    program = CommandLine(tmp_path, monkeypatch)
    program("ingest", program.write("events.jsonl", *events()), "--as-if-live")
    program("project")
    return program


def test_queries_and_exports_end_with_the_code_that_fits(leadflow: CommandLine) -> None:
    found = leadflow.json("query", "SELECT stage FROM v_funnel ORDER BY n", "--limit", "2")
    assert ([["captured"], ["mqo"]], True, None) == (
        found["rows"],
        found["truncated"],
        found["as_of"],
    )
    (leadflow.folder / "q.sql").write_text("SELECT '=1' AS cell, 2 AS n")
    assert "cell,n\n'=1,2\n" == leadflow("query", "--file", "q.sql", "--csv").stdout
    assert "0 rows" in leadflow("query", "-", stdin=b"SELECT 1 WHERE 1 = 0").stdout
    then = leadflow.json("query", "SELECT count(*) FROM v_pipeline", "--as-of", "2026-03-01")
    assert ([[2]], "2026-03-01T23:59:59.999999Z") == (then["rows"], then["as_of"])

    for wrong in (
        ("query",),
        ("query", "SELECT 1", "--file", "q.sql"),
        ("query", "SELECT 1", "--json", "--csv"),
        ("query", "SELECT x FROM v_pipeline"),
        ("query", "SELECT 1", "--timeout", "soon"),
        ("query", "--describe", "v_nothing"),
        ("export",),
        ("export", "--to", "out", "--by-lead-hash", "2"),
        ("export", "--to", "out", "--facts", "--as-of", "2026-03-01"),
        ("export", "--to", "out", "--relations", "v_people"),
        ("export", "--to", "out", "--format", "xlsx"),
        ("roles",),
    ):
        leadflow(*wrong, code=2)
    slow = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT max(n) FROM r"
    assert "--timeout" in leadflow("query", slow, "--timeout", "1s", code=1).stderr
    assert "--personal" in leadflow("export", "--facts", "--to", "out", code=1).stderr
    assert not (leadflow.folder / "out").exists()


def test_rows_that_are_behind_the_log_are_told_beside_the_answer(leadflow: CommandLine) -> None:
    asked = ("query", "SELECT 1 AS n", "--csv")
    assert "behind" not in leadflow(*asked).stderr
    with closing(sqlite3.connect("leadflow.db")) as connection, connection:
        connection.execute("UPDATE checkpoints SET position = position - 2")

    result = leadflow(*asked)

    assert "the read models are 2 positions behind: leadflow project" in result.stderr
    assert "n\n1\n" == result.stdout
    assert "behind" not in leadflow(*asked, "--as-of", "2026-03-01").stderr


def test_an_export_by_command_is_verified_and_says_what_it_is(leadflow: CommandLine) -> None:
    made = leadflow.json("export", "--to", "out", "--as-of", "2026-03-02")
    assert "2026-03-02T23:59:59.999999Z" == made["as_of"]
    assert 1 == len(made["policies"])
    assert {"files": len(made["files"]), "findings": []} == leadflow.json("export", "verify", "out")
    assert "not empty" in leadflow("export", "--to", "out", code=1).stderr
    leadflow("export", "--to", "out", "--force", "--format", "csv")
    (leadflow.folder / "out" / "v_stages.csv").unlink()
    found = leadflow.json("export", "verify", "out", code=3)
    assert [{"path": "v_stages.csv", "problem": "missing"}] == found["findings"]
    facts = leadflow.json("export", "--facts", "--by-lead-hash", "3", "--to", "f", "--personal")
    assert 4 == len(facts["files"])


def test_the_roles_are_made_by_a_command(leadflow: CommandLine, postgres_database: str) -> None:
    leadflow("ingest", "events.jsonl", "--as-if-live", "--database", postgres_database)
    document = leadflow.json("roles", "--database", postgres_database)
    again = leadflow.json("roles", "--database", postgres_database)

    assert ["leadflow_reader", "leadflow_pii"] == [one["name"] for one in document["roles"]]
    assert [] == again["made"]
    found = leadflow.json(
        "query", "SELECT count(*) FROM v_pipeline", "--database", postgres_database
    )
    assert found["rows"]
