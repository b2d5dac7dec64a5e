"""Bring the views and the dictionary of a set up to date without folding anything anew.

Views change more often than what they show: a newer leadflow has more of them, or others, over the
same tables. What anybody was granted on them stays granted.
"""

from sqlalchemy import Connection, delete, inspect, select, text
from sqlalchemy.exc import DBAPIError

from projections.dictionary import NAME, data_dictionary, entries, fill_dictionary
from projections.grants import grant_roles, grants_in
from projections.naming import schema_of
from projections.schema import SCHEMA, is_postgresql
from projections.views import create_view, view_texts

_DEPENDED_ON = "2BP01"
"""The code of PostgreSQL for what something else is made of."""


def renew(connection: Connection) -> bool:
    """Make the views of the live set those of this leadflow; return whether any was another.

    Call it only where the tables are those of this leadflow. A view that somebody built another
    one on cannot be replaced and stays as it was until the next rebuild.
    """
    schema = schema_of(connection.dialect)
    if not inspect(connection).has_table(NAME, schema=schema):
        return False
    if schema is not None:
        connection.execute(text("SELECT set_config('search_path', :s, true)"), {"s": schema})
    table = data_dictionary
    there = {
        (row.relation, row.n): (row.comment, row.definition)
        for row in connection.execute(
            select(table.c.relation, table.c.n, table.c.comment, table.c.definition)
        )
    }
    wanted = view_texts(connection.dialect)
    expected = {
        (entry.relation, entry.n): (entry.comment, None if entry.n else wanted.get(entry.relation))
        for entry in entries()
    }
    if there == expected:
        return False
    if schema is None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none for these statements
    before = {name: sql for (name, n), (_, sql) in there.items() if not n and sql is not None}
    _replace(connection, before, wanted)
    connection.execute(delete(table))
    fill_dictionary(connection)
    return True


def _replace(connection: Connection, before: dict[str, str], wanted: dict[str, str]) -> None:
    """Drop the views that are not wanted any more or as they are, and create what is missing."""
    grants = grants_in(connection, SCHEMA) if is_postgresql(connection.dialect) else []
    changed = [name for name in {**before, **wanted} if before.get(name) != wanted.get(name)]
    for name in changed:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
                if name in wanted:
                    create_view(connection, name, wanted[name])
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _DEPENDED_ON:
                raise
    for relation, statement in grants:
        if relation in changed and relation in wanted:
            connection.exec_driver_sql(statement)
    if is_postgresql(connection.dialect):
        grant_roles(connection, SCHEMA)
