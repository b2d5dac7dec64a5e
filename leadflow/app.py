"""The composition root: builds every part from the settings, hands it over, closes it."""

import gc
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog
from sqlalchemy import Connection, Engine, make_url

from domain.book import PolicyBook
from domain.policy import Policy
from leadflow.policies import load_policy
from leadflow.policy_book import read_book
from leadflow.settings import Settings
from leadflow.store import UnknownDatabase, migrate, open_store
from leadflow.store.base import Store
from projections.digest import hold_still
from projections.runner import Runner

if TYPE_CHECKING:
    # Kafka's client alone takes half a second to import, and a question needs none.
    from consumers.intake import Intake
    from consumers.worker import Worker

_log = structlog.get_logger(__name__)


class NotInitialised(Exception):
    """There is no leadflow database at the URL; the message says how to make one."""


class OtherRevision(Exception):
    """The database was made by an older or a newer leadflow; the message names the mend."""


class App:
    """One installation: store, policy and read models, each built when first asked for.

    Leave the context to close what was opened.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store: Store | None = None
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        store, self._store = self._store, None
        engine, self._engine = self._engine, None
        if store is not None:
            store.close()
        if engine is not None:
            engine.dispose()

    # --- the database ---

    def revision(self) -> str | None:
        """Return the revision of the tables; None where there are none.

        Raises UnknownDatabase and StoreUnavailable. Makes no file.
        """
        url = make_url(self.settings.database_url)
        if url.get_backend_name() == "sqlite":
            if not url.database or url.database == ":memory:":
                raise UnknownDatabase(
                    f"database URL {self.settings.shown_database}: leadflow stores events in a"
                    " file: sqlite:///FILE"
                )
            if not Path(url.database).exists():
                return None
        return migrate.revision(self.settings.database_url)

    def require(self) -> None:
        """Make sure that the database is there and of our revision.

        Raises NotInitialised, OtherRevision, UnknownDatabase and StoreUnavailable.
        """
        found, needed = self.revision(), migrate.NEWEST
        if found == needed:
            return
        where = self.settings.shown_database
        if found is None:
            raise NotInitialised(
                f"there is no leadflow database at {where}; `leadflow init` makes one, as do"
                " `leadflow ingest` and `leadflow import`; --database names another"
            )
        if found > needed:
            raise OtherRevision(
                f"the database at {where} has revision {found} and this leadflow knows {needed}:"
                " install the newer leadflow that made it"
            )
        raise OtherRevision(
            f"the database at {where} has revision {found}, this leadflow needs {needed}:"
            " `leadflow init` brings it up to date (take a copy first)"
        )

    def prepare(self, *, upgrade: bool = False) -> bool:
        """Make the tables where there are none; return whether anything was made.

        *upgrade* also brings older tables up to date. Raises as `require` does, and PolicyInvalid.
        """
        self.policy  # noqa: B018 - a wrong policy is told before anything is made
        found, needed = self.revision(), migrate.NEWEST
        if found is not None and found != needed and not (upgrade and found < needed):
            self.require()
        made = found != needed
        if made:
            migrate.upgrade(self.settings.database_url)
            _log.info("database.upgraded", database=self.settings.shown_database, revision=needed)
        self.runner.create()
        return made

    @property
    def engine(self) -> Engine:
        """Return the engine of the read models, which lie in the same database."""
        if self._engine is None:
            self._engine = migrate.make_engine(self.settings.database_url)
        return self._engine

    def connect(self) -> Connection:
        """Return a connection on which queries of the read models find their tables.

        Whatever is asked on it is answered by one state of them, though a batch is projected, or
        another set becomes live, between two queries.
        """
        return hold_still(self.runner.engine.connect())

    # --- the parts ---

    @property
    def store(self) -> Store:
        """Return the event store."""
        if self._store is None:
            self._store = open_store(self.settings.database_url)
        return self._store

    @cached_property
    def policy(self) -> Policy:
        """Return the configured policy, which judges until one is published. Raises PolicyInvalid."""
        return load_policy(self.settings.policy_path)

    @property
    def rules(self) -> PolicyBook:
        """Return the policies in force at each time, as published by now.

        Raises PolicyInvalid and StoreUnavailable.
        """
        return read_book(self.store, self.policy)

    @cached_property
    def runner(self) -> Runner:
        """Return what keeps the read models."""
        return Runner(self.engine, self.store, self.policy, reread=lambda: self.rules)

    def intake(self) -> "Intake":
        """Return an intake of its own, with an empty memory of leads."""
        from consumers.intake import Intake

        return Intake(self.store, self.rules, reread=lambda: self.rules)

    def worker(
        self, *, accept_new_log: bool = False, session_timeout_ms: int | None = None
    ) -> "Worker":
        """Return a member of the consumer group that reads the interactions."""
        from consumers.worker import Pace, Worker

        settings = self.settings
        return Worker(
            self.store,
            self.store,
            self.intake(),
            settings.kafka,
            settings.topic_interactions,
            settings.kafka_group,
            pace=Pace(batch=settings.batch_size),
            session_timeout_ms=session_timeout_ms or settings.kafka_session_timeout_ms,
            accept_new_log=accept_new_log,
        )


def settle_memory() -> None:
    """Tune the collector of cycles for a job that makes and keeps millions of small objects.

    Facts and leads hold no cycles; scanning the cache of leads again and again costs half of an
    intake's time. What was imported so far is never scanned, and the rest seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def tell_retries() -> None:
    """Log in plain words what a job waits for, each time before it tries again."""
    from stamina.instrumentation import RetryDetails, set_on_retry_hooks

    def told(details: RetryDetails) -> None:
        _log.info(
            "retry.waits",
            cause=str(details.caused_by),
            seconds=round(details.wait_for, 3),
            waited_seconds=round(details.waited_so_far, 3),
        )

    set_on_retry_hooks([told])
