"""A newer leadflow brings its views along, without a rebuild and without taking a right away."""

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from projections.dictionary import relations
from projections.grants import READER, make_roles
from projections.rows import READ_MODELS
from projections.schema import SCHEMA
from projections.setup import VERSION, create


@pytest.fixture
def engine(database_url: str) -> Any:
    engine = create_engine(database_url)
    create(engine)
    yield engine
    engine.dispose()


def run(engine: Engine, *statements: str) -> list[Any]:
    """Run statements where the views lie; return the rows of the last one, if it has any."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL search_path = {SCHEMA}")
        for statement in statements:
            found = connection.execute(text(statement))
        return [tuple(row) for row in found] if found.returns_rows else []


def test_views_that_are_missing_or_others_are_made_anew(engine: Engine) -> None:
    before = run(engine, "SELECT * FROM data_dictionary ORDER BY relation, n")
    run(
        engine,
        "DROP VIEW v_funnel",
        "DROP VIEW v_people",
        "CREATE VIEW v_people AS SELECT 1 AS one",
        "CREATE VIEW v_gone AS SELECT 1 AS one",
        "UPDATE data_dictionary SET definition = 'older' WHERE relation = 'v_people' AND n = 0",
        "DELETE FROM data_dictionary WHERE relation = 'v_funnel'",
        "INSERT INTO data_dictionary (relation, n, kind, is_key, is_personal, comment, definition)"
        " VALUES ('v_gone', 0, 'view', 0, 0, 'x', 'SELECT 1 AS one')",
    )

    create(engine)

    assert before == run(engine, "SELECT * FROM data_dictionary ORDER BY relation, n")
    assert [] == run(engine, "SELECT email FROM v_people")
    assert run(engine, "SELECT entered FROM v_funnel")
    with pytest.raises(Exception, match="v_gone"):
        run(engine, "SELECT * FROM v_gone")


def test_the_dictionary_has_the_definition_of_every_view(engine: Engine) -> None:
    found = run(engine, "SELECT relation FROM data_dictionary WHERE definition LIKE 'SELECT%'")

    assert {(name,) for name, (own, _) in relations().items() if own.kind == "view"} == set(found)


def test_the_version_of_a_set_names_the_version_of_every_read_model() -> None:
    assert [table.name for table in READ_MODELS] == [
        word.partition("@")[0] for word in VERSION.split()
    ]


def test_tables_of_another_version_keep_their_views_until_a_rebuild(engine: Engine) -> None:
    run(engine, "UPDATE checkpoints SET version = 'older'", "DROP VIEW v_funnel")

    create(engine)

    with pytest.raises(Exception, match="v_funnel"):
        run(engine, "SELECT * FROM v_funnel")


def test_a_view_keeps_its_readers_and_one_that_others_are_made_of_stays(
    postgres_database: str,
) -> None:
    engine = create_engine(postgres_database)
    create(engine)
    with engine.begin() as connection:
        make_roles(connection, SCHEMA)
    older = "UPDATE data_dictionary SET definition = 'older' WHERE n = 0 AND kind = 'view'"
    run(engine, "CREATE VIEW public.mine AS SELECT * FROM v_funnel", older)

    create(engine)

    assert run(engine, "SELECT * FROM public.mine")
    for name in ("v_funnel", "v_sources"):
        held = f"SELECT has_table_privilege('{READER}', '{SCHEMA}.{name}', 'SELECT')"
        assert [(True,)] == run(engine, held)
    engine.dispose()
