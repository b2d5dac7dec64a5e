"""The demo: a simulated market through a real Kafka-protocol broker into the store.

What it says about lost leads is found in the data, as anybody could who had only the events; the
simulator's truth is not asked.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select

from consumers.intake import Outcome
from consumers.stream import Sink, ensure_topics
from domain.events import Fact
from domain.guards import is_intent
from domain.stages import CAPTURED, LOST, MQL, MQO
from leadflow.app import App
from leadflow.broker import start_broker
from leadflow.dossier import Dossier, open_dossier
from leadflow.instants import rfc3339
from leadflow.settings import Settings
from leadflow.simulate import market_for_events, simulate, to_json
from projections.pipeline import pipeline
from projections.schema import lead_streams

EVENTS: Final = 20_000

_SESSION_MS: Final = 2_000
_IDLE_SECONDS: Final = 20.0
"""Nothing can be on its way for so long on one machine: then something is wrong."""

_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_SLOW: Final = 24 * _HOUR
_COLLISION: Final = 7 * _DAY
_LOOKED_AT: Final = 400
"""Leads that are looked at for one kind of loss."""


class DemoFailed(Exception):
    """The demo cannot run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Played:
    """What went through the broker."""

    sent: int
    outcome: Outcome
    projected: int
    send_seconds: float
    intake_seconds: float
    projection_seconds: float


@dataclass(frozen=True, slots=True)
class LostLead:
    """A lead that was lost, and what the data say about it."""

    why: str
    dossier: Dossier


def database_in(folder: Path) -> str:
    """Return the database URL of the demo in *folder*. Raises DemoFailed where there is one."""
    file = folder / "leadflow.db"
    if file.exists():
        raise DemoFailed(f"{file} is there already; remove it, or name another folder with --keep")
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{file}"


def play(
    app: App,
    events: int = EVENTS,
    seed: int = 1,
    on_progress: Callable[[str, int], object] = lambda _what, _done: None,
) -> Played:
    """Play a market of *events* events into *app* through a broker of its own.

    *on_progress* is told send, consume or project, and how much of it is done. Raises BrokerMissing
    and BrokerFailed where no broker can be started, and DemoFailed where events stay away.
    """
    with start_broker() as broker:
        settings = app.settings.model_copy(
            update={
                "kafka_bootstrap_servers": broker.bootstrap_servers,
                "kafka_security_protocol": "PLAINTEXT",
                "kafka_sasl_mechanism": None,
            }
        )
        app.settings = settings
        started = time.monotonic()
        sent = _send(settings, events, seed, lambda done: on_progress("send", done))
        sent_at = time.monotonic()
        outcome = _consume(app, sent, lambda done: on_progress("consume", done))
        taken_at = time.monotonic()

    def projecting(done: int, _head: int) -> None:
        on_progress("project", done)

    projected = app.runner.catch_up(on_progress=projecting)
    return Played(
        sent,
        outcome,
        projected,
        sent_at - started,
        taken_at - sent_at,
        time.monotonic() - taken_at,
    )


def _send(settings: Settings, events: int, seed: int, told: Callable[[int], object]) -> int:
    topic = settings.topic_interactions
    ensure_topics(settings.kafka, {topic: settings.topic_partitions})
    sent = 0
    with Sink(settings.kafka) as sink:
        for envelope in simulate(market_for_events(events, seed)).first(events).events:
            sink.send(
                topic,
                envelope.key.encode(),
                to_json(envelope.event),
                timestamp_ms=envelope.arrived_at // 1_000,
            )
            sent += 1
            if sent % 1_000 == 0:
                told(sent)
    return sent


def _consume(app: App, sent: int, told: Callable[[int], object]) -> Outcome:
    stop = threading.Event()

    def reached(outcome: Outcome) -> None:
        told(outcome.read)
        if outcome.read >= sent:
            stop.set()

    worker = app.worker(session_timeout_ms=_SESSION_MS)
    outcome = worker.run(stop, idle=_IDLE_SECONDS, on_progress=reached)
    if outcome.read < sent:
        raise DemoFailed(
            f"{sent:,} events were sent and {outcome.read:,} came back in {_IDLE_SECONDS:.0f} s"
        )
    return outcome


# --- lost leads ---------------------------------------------------------------------------------


def lost_leads(app: App, as_of: int) -> list[LostLead]:
    """Return up to three lost leads, each lost in another way, as of an instant (microseconds)."""
    kinds: tuple[tuple[Callable[[Dossier], str | None], Sequence[str]], ...] = (
        (_never_called, (MQL, CAPTURED, MQO)),
        (_collision, (LOST,)),
        (_slow, (LOST,)),
    )
    found: list[LostLead] = []
    for look, stages in kinds:
        for dossier in _leads(app, stages, as_of):
            why = look(dossier)
            if why is not None and all(dossier.lead_id != one.dossier.lead_id for one in found):
                found.append(LostLead(why, dossier))
                break
    return found


def _leads(app: App, stages: Sequence[str], as_of: int) -> Iterator[Dossier]:
    """Yield leads of *stages*, those with the most acts of their own first."""
    query = (
        select(lead_streams.c.stream)
        .join(pipeline, pipeline.c.lead_no == lead_streams.c.lead_no)
        .where(pipeline.c.stage.in_(stages))
        .order_by(pipeline.c.prospect_events.desc(), pipeline.c.lead_id)
        .limit(_LOOKED_AT)
    )
    with app.connect() as connection:
        streams = list(connection.execute(query).scalars())
    merged = app.store.merged()
    for stream in streams:
        if stream not in merged:
            yield open_dossier(app.store, app.rules, stream, now=as_of)


def _wish(dossier: Dossier) -> Fact | None:
    """Return the first fact by which the person asked for sales."""
    return next((fact for fact in dossier.facts if is_intent(fact)), None)


def _calls(dossier: Dossier) -> list[Fact]:
    """Return the attempts of reps to reach the person."""
    types = ("call.attempted", "call.completed")
    return [
        fact
        for fact in dossier.facts
        if fact.type in types and fact.actor == "rep" and fact.get("direction") != "inbound"
    ]


def _never_called(dossier: Dossier) -> str | None:
    wish = _wish(dossier)
    if wish is None or _calls(dossier) or dossier.at - wish.at < 2 * _DAY:
        return None
    days = (dossier.at - wish.at) // _DAY
    day = rfc3339(wish.at)[:10]
    return f"Never called: asked for sales on {day} ({wish.type}); in {days} days nobody tried."


def _collision(dossier: Dossier) -> str | None:
    calls = _calls(dossier)
    for n, call in enumerate(calls):
        for other in calls[n + 1 :]:
            if other.at - call.at > _COLLISION:
                break
            if call.actor_id and other.actor_id and call.actor_id != other.actor_id:
                return (
                    f"Two reps, one lead: {call.actor_id} and {other.actor_id} both called within"
                    f" {_span(other.at - call.at)}."
                )
    return None


def _slow(dossier: Dossier) -> str | None:
    wish = _wish(dossier)
    if wish is None:
        return None
    after = [call for call in _calls(dossier) if call.at >= wish.at]
    if not after or after[0].at - wish.at < _SLOW or after[0] != _calls(dossier)[0]:
        return None
    return (
        f"Too slow: asked for sales, and the first call came {_span(after[0].at - wish.at)} later."
    )


def _span(micros: int) -> str:
    if micros < 2 * _HOUR:
        return f"{max(1, micros // 60_000_000)} minutes"
    return f"{micros // _HOUR} hours" if micros < 3 * _DAY else f"{micros // _DAY} days"
