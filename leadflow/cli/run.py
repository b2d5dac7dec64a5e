"""Keep it running: take in the topic, project, or both in one process."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    AsJson,
    Session,
    answer,
    new_leads,
    note,
    session,
)
from leadflow.cli.progress import Progress, stopping

if TYPE_CHECKING:
    from consumers.intake import Outcome
    from leadflow.app import App

_PAUSE = 0.5
"""Seconds between two looks for new history, where there was none."""

_LAPTOP_SESSION_MS = 2_000
"""Tansu lets a member join after half a session timeout: minutes would pass for nothing."""

UntilIdle = Annotated[
    float | None,
    typer.Option(
        "--until-idle",
        min=0.1,
        metavar="SECONDS",
        help="Stop when nothing has come for so long; left out, run until stopped.",
    ),
]
AcceptNewLog = Annotated[
    bool,
    typer.Option(
        "--accept-new-log",
        help="Read the topic from its start although the broker or topic was replaced.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow consume --until-idle 5")(consume)
    app.command(epilog="Example: leadflow project --follow")(project)
    app.command(epilog="Example: leadflow up")(up)


def consume(
    ctx: typer.Context,
    until_idle: UntilIdle = None,
    accept_new_log: AcceptNewLog = False,
    as_json: AsJson = False,
) -> None:
    """Take the topic into the store, as one member of the group; start as many as you like.

    A database that is away is waited for. SIGTERM ends it after the batch under way.
    """
    call = session(ctx)
    started = time.monotonic()
    with call.app(makes=True, runs_on=True) as app, stopping() as stop:
        outcome = _consume(call, app, stop, until_idle, accept_new_log=accept_new_log)
    document = _counted(outcome, time.monotonic() - started)
    answer(document, as_json, lambda console: _show(console, document))


def _consume(
    call: Session,
    app: "App",
    stop: threading.Event,
    until_idle: float | None,
    *,
    accept_new_log: bool,
) -> "Outcome":
    """Run a worker until it is to stop."""
    from consumers.stream import describe

    session_timeout: int | None = None
    cluster = describe(app.settings.kafka).cluster_id or ""
    if cluster.startswith("leadflow-laptop"):
        session_timeout = min(_LAPTOP_SESSION_MS, app.settings.kafka_session_timeout_ms)
    worker = app.worker(accept_new_log=accept_new_log, session_timeout_ms=session_timeout)
    topic = app.settings.topic_interactions
    with Progress(f"consume {topic}", None, "records") as progress:
        if not call.verbose and until_idle is None:
            note(f"reading {topic}; Ctrl-C stops it")
        return worker.run(
            stop, idle=until_idle, on_progress=lambda outcome: progress.reach(outcome.read)
        )


def _counted(outcome: "Outcome", seconds: float) -> dict[str, Any]:
    return {
        "read": outcome.read,
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "dead_letters": outcome.dead_letters,
        "leads": outcome.leads - outcome.merged,
        "seconds": round(seconds, 3),
    }


def _show(console: Console, document: dict[str, Any], then: str = "project") -> None:
    console.print(
        f"{document['read']:,} read, {document['accepted']:,} accepted,"
        f" {document['duplicates']:,} duplicates, {document['dead_letters']:,} refused;"
        f" {new_leads(document['leads'])} ({document['seconds']:.1f} s)"
    )
    then = "dead-letters list" if document["dead_letters"] else then
    console.print(f"Next: leadflow {then}", style="dim")


def project(
    ctx: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes, until stopped.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the read models up to date."""
    started = time.monotonic()
    with (
        # one that follows may be there before the first event is
        session(ctx).app(makes=follow, runs_on=True) as app,
        stopping() as stop,
    ):
        app.runner.create()
        count = catch_up(app, stop)
        while follow and not stop.wait(_PAUSE):
            count += catch_up(app, stop)
        document = {
            "events": count,
            "checkpoint": app.runner.checkpoint(),
            "lag": app.runner.lag(),
            "seconds": round(time.monotonic() - started, 3),
        }

    def show(console: Console) -> None:
        console.print(
            f"{document['events']:,} events projected, {document['lag']:,} to come"
            f" ({document['seconds']:.1f} s)"
        )
        console.print(f"Next: leadflow {'project' if document['lag'] else 'pipeline'}", style="dim")

    answer(document, as_json, show)


class _Enough(Exception):
    """Leave a catch-up between two batches."""


def catch_up(app: "App", stop: threading.Event) -> int:
    """Project what there is, until *stop* is set; return the number of positions passed."""
    from projections.rebuild import FIRST_FILL

    before = app.runner.checkpoint()
    head = app.store.head()
    if head <= before:
        return 0
    with Progress("project", head, "events", before) as progress:

        def told(position: int, _head: int = 0) -> None:
            progress.reach(position)
            if stop.is_set():
                raise _Enough

        with suppress(_Enough):
            if not before and head >= FIRST_FILL:
                _first_fill(app, told)
            app.runner.catch_up(batch=app.settings.projection_batch_size, on_progress=told)
    return app.runner.checkpoint() - before


def _first_fill(app: "App", told: Callable[[int], None]) -> None:
    """Fill read models that hold nothing yet by lead, which is faster than by the log."""
    from projections.rebuild import RightMissing, await_fill, first_fill
    from projections.setup import Behind, Busy
    from projections.writer import Superseded

    filled = 0

    def reach(events: int) -> None:
        nonlocal filled
        filled = events
        told(events)

    try:
        first_fill(app.engine, app.store, lambda: app.rules, reach, lambda _: told(filled))
    except Superseded:
        note("another process fills the read models: waiting for it")
        if not await_fill(app.engine, lambda: told(filled)):
            note("it does not go on; this one goes on by the log")
    except (Busy, Behind, RightMissing) as error:
        note(f"not filled by lead ({error}); going on by the log, which is slower")
    except _Enough:
        note("stopped; what is filled stays: `leadflow project` goes on with it")
        raise


def up(
    ctx: typer.Context,
    until_idle: UntilIdle = None,
    accept_new_log: AcceptNewLog = False,
    as_json: AsJson = False,
) -> None:
    """Consume and project in one process: the whole of leadflow on one machine.

    Creates tables and topics where they are missing. SIGTERM ends it after the batches under way.
    """
    call = session(ctx)
    started = time.monotonic()
    with call.app(makes=True, runs_on=True) as app, stopping() as stop:
        from consumers.stream import ensure_topics

        settings = app.settings
        ensure_topics(settings.kafka, {settings.topic_interactions: settings.topic_partitions})
        consumed = _Consumed(call, app, stop, until_idle, accept_new_log=accept_new_log)
        consumed.start()
        try:
            while consumed.is_alive():
                if not catch_up(app, stop):
                    consumed.join(_PAUSE)
        finally:
            stop.set()
            consumed.join()
        consumed.check()
        catch_up(app, threading.Event() if until_idle is not None else stop)
        outcome = consumed.outcome
    document = _counted(outcome, time.monotonic() - started)
    answer(document, as_json, lambda console: _show(console, document, "pipeline"))


class _Consumed(threading.Thread):
    """A worker beside the projections; it stops them when it fails, and they stop it."""

    def __init__(
        self,
        call: Session,
        app: "App",
        stop: threading.Event,
        until_idle: float | None,
        *,
        accept_new_log: bool,
    ) -> None:
        super().__init__(name="consume")
        from consumers.intake import Outcome

        self._call, self._app, self._stop_event = call, app, stop
        self._until_idle, self._accept_new_log = until_idle, accept_new_log
        self._error: BaseException | None = None
        self.outcome = Outcome()

    def run(self) -> None:
        """Consume; keep what went wrong for `check`."""
        try:
            self.outcome = _consume(
                self._call,
                self._app,
                self._stop_event,
                self._until_idle,
                accept_new_log=self._accept_new_log,
            )
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error
