"""Who may read the read models on PostgreSQL: two roles of ours, and what others were granted.

``leadflow_reader`` reads every table and view that holds no personal data, ``leadflow_pii`` all of
them; neither reads the event store. Both are for being granted to logins. A rebuild puts another
schema in the place of the live one: grants are carried over to it before that.
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from projections.dictionary import readable, relations

READER: Final = "leadflow_reader"
PII: Final = "leadflow_pii"
ROLES: Final = (READER, PII)

_DENIED: Final = "42501"
"""The code of PostgreSQL for a privilege that is missing."""


class RolesRefused(Exception):
    """The database lets this user make no roles; the message holds the SQL for somebody who may."""


def make_roles(connection: Connection, schema: str) -> list[str]:
    """Make the roles that are missing, grant them what they may read, return the new ones.

    Whoever calls becomes a member of both, so as to ask in their place. Harmless when all is there.

    Raises RolesRefused.
    """
    there = roles(connection)
    missing = [role for role in ROLES if role not in there]
    wanted = [
        *(f"CREATE ROLE {role} NOLOGIN" for role in missing),
        *(f"GRANT {role} TO CURRENT_USER" for role in ROLES if not may_become(connection, role)),
    ]
    try:
        for statement in wanted:
            connection.exec_driver_sql(statement)
        grant_roles(connection, schema)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _DENIED:
            raise
        user = connection.engine.url.username or "CURRENT_USER"
        lines = [*(f"CREATE ROLE {role} NOLOGIN;" for role in missing)]
        lines += [f"GRANT {', '.join(ROLES)} TO {_quoted(connection, user)};"]
        raise RolesRefused(
            f"the database lets {user} make no roles ({error.orig}): have somebody who may run\n"
            + "\n".join(lines)
            + "\nand then run `leadflow roles` again, which grants them what they may read"
        ) from None
    return missing


def roles(connection: Connection) -> set[str]:
    """Return which of our roles there are; none on SQLite."""
    if connection.dialect.name != "postgresql":
        return set()
    found = connection.execute(
        text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)"), {"names": list(ROLES)}
    )
    return set(found.scalars())


def may_become(connection: Connection, role: str) -> bool:
    """Return whether *role* exists and the current user may take it on by ``SET ROLE``."""
    found = connection.execute(
        text(
            "SELECT pg_has_role(current_user, oid, CASE WHEN"
            " current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)"
            " FROM pg_roles WHERE rolname = :role"
        ),
        {"role": role},
    )
    return bool(found.scalar())


def grant_roles(connection: Connection, schema: str) -> None:
    """Grant our roles, as far as they exist, what they may read in *schema*; no other right."""
    there = roles(connection)
    if not there:
        return
    tables = _relations_in(connection, schema)
    for role in sorted(there):
        wanted = {name for name in readable(personal=role == PII) if name in tables}
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {_quoted(connection, schema)} TO {role}")
        for verb, to_from, names in (
            ("REVOKE ALL", "FROM", tables - wanted if role == READER else set()),
            ("GRANT SELECT", "TO", wanted),
        ):
            if names:
                listed = ", ".join(_named(connection, schema, name) for name in sorted(names))
                connection.exec_driver_sql(f"{verb} ON {listed} {to_from} {role}")


def carry_grants(connection: Connection, live: str, new: str) -> None:
    """Give the relations of the schema *new* what was granted on those of *live*.

    The schema itself, its tables and views by name, and single columns; what is only in *new* is
    granted to our own roles. Call it in the transaction that puts *new* in the place of *live*.
    Does nothing on SQLite.
    """
    if connection.dialect.name != "postgresql":
        return
    for _, statement in list(_carried(connection, live, new)):
        connection.exec_driver_sql(statement)
    grant_roles(connection, new)


def grants_in(connection: Connection, schema: str) -> list[tuple[str | None, str]]:
    """Return what was granted in *schema*: the relation, None for the schema, and the statement."""
    return list(_carried(connection, schema, schema))


def _carried(connection: Connection, live: str, new: str) -> Iterator[tuple[str | None, str]]:
    """Yield the statements that grant anew what somebody else than the owner was granted."""
    for relation, column, privilege, grantee, is_grantable in connection.execute(
        text(_GRANTS), {"live": live, "new": new}
    ):
        if relation is None:
            on = f"SCHEMA {_quoted(connection, new)}"
        else:
            on = _named(connection, new, relation)
        columns = "" if column is None else f" ({_quoted(connection, column)})"
        to = "PUBLIC" if grantee is None else _quoted(connection, grantee)
        option = " WITH GRANT OPTION" if is_grantable else ""
        statement = f"GRANT {privilege}{columns} ON {on} TO {to}{option}"
        yield relation, statement.replace("%", "%%")


_GRANTS: Final = """
SELECT NULL AS relation, NULL AS col, a.privilege_type, r.rolname, a.is_grantable
FROM pg_namespace s CROSS JOIN aclexplode(s.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE s.nspname = :live AND a.grantee <> s.nspowner
UNION ALL
SELECT c.relname, NULL, a.privilege_type, r.rolname, a.is_grantable
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE s.nspname = :live AND c.relkind IN ('r', 'v') AND a.grantee <> c.relowner
  AND EXISTS (SELECT FROM pg_class d JOIN pg_namespace t ON t.oid = d.relnamespace
    WHERE t.nspname = :new AND d.relname = c.relname AND d.relkind IN ('r', 'v'))
UNION ALL
SELECT c.relname, f.attname, a.privilege_type, r.rolname, a.is_grantable
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
JOIN pg_attribute f ON f.attrelid = c.oid
CROSS JOIN aclexplode(f.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE s.nspname = :live AND c.relkind IN ('r', 'v') AND a.grantee <> c.relowner
  AND EXISTS (SELECT FROM pg_class d JOIN pg_namespace t ON t.oid = d.relnamespace
    JOIN pg_attribute g ON g.attrelid = d.oid
    WHERE t.nspname = :new AND d.relname = c.relname AND g.attname = f.attname
      AND NOT g.attisdropped)
"""


def _relations_in(connection: Connection, schema: str) -> set[str]:
    """Return the tables and views of the dictionary that are in *schema*."""
    found = connection.execute(
        text(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace"
            " WHERE s.nspname = :schema AND c.relkind IN ('r', 'v')"
        ),
        {"schema": schema},
    )
    return set(found.scalars()) & relations().keys()


def _named(connection: Connection, schema: str, relation: str) -> str:
    return f"{_quoted(connection, schema)}.{_quoted(connection, relation)}"


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
