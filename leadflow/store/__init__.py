"""The event store: facts, decisions, identifiers, positions and dead letters, for ever.

It is built on the recorders of the eventsourcing library: ``sqlite`` and ``postgres`` subclass
them, ``mapper`` lets the library's own ``Application`` read our log.
"""

from sqlalchemy import make_url

from leadflow.store.base import Store


class UnknownDatabase(Exception):
    """The database URL names something that leadflow cannot store events in."""


def open_store(database_url: str) -> Store:
    """Return the store at *database_url*: ``sqlite:///FILE`` or ``postgresql://...``.

    Raises UnknownDatabase; StoreUnavailable comes with the first use.
    """
    url = make_url(database_url)
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        from leadflow.store.sqlite import SQLiteStore

        return SQLiteStore(url.database)
    if backend == "postgresql":
        from leadflow.store.postgres import PostgresStore

        return PostgresStore(url)
    raise UnknownDatabase(
        f"database URL {url.render_as_string(hide_password=True)!r}: leadflow stores events in"
        " sqlite:///FILE (a file, not memory) or postgresql://USER:PASSWORD@HOST/DATABASE"
    )
