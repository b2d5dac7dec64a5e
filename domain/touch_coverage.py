"""How often a lead is reached out to, and over how many channels: one count per cycle.

A **touch** of this count is outreach by a person (``domain.outreach.attempt``); what programmes and
machines send is added where that is asked for. A call, a meeting or a mail that has a name counts
once, however many notices there are of it; a chat counts once per conversation and day (UTC), since a
talk is not as many touches as it has lines.

Who was captured and not called: no attempt from the capture on within a time, over all leads that
were captured at least that long ago.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from domain.events import Event, Fact, StageEntered
from domain.outreach import CHAT, attempt, automated, thing
from domain.policy import DAY
from domain.stages import CAPTURED, WON

FOLLOWED_UP: Final = 14 * DAY
"""How long after the capture somebody is expected to have followed up, microseconds."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The outreach of one cycle."""

    cycle: int
    touches: int
    channels: int
    """Different ones."""
    is_won: bool


def coverage(history: Iterable[Event], *, with_automated: bool = False) -> list[Coverage]:
    """Return the outreach of each cycle of one lead.

    *history* are the facts that count, each with the entries into stages that it led to, in
    canonical order. What happened at the instant at which a cycle opens belongs to it.
    """
    events = list(history)
    opened: dict[int, int] = {}
    won: set[int] = set()
    for event in events:
        if isinstance(event, StageEntered):
            opened.setdefault(event.cycle, event.at)
            if event.stage == WON:
                won.add(event.cycle)
    names: dict[int, set[object]] = {cycle: set() for cycle in opened}
    channels: dict[int, set[str]] = {cycle: set() for cycle in opened}
    for event in events:
        if isinstance(event, Fact):
            channel = reaches_out(event.type, event.actor, event.get("direction"), with_automated)
            inside = [cycle for cycle, at in opened.items() if at <= event.at]
            if channel is not None and inside:
                names[inside[-1]].add(_name(event, channel))
                channels[inside[-1]].add(channel)
    return [
        Coverage(cycle, len(names[cycle]), len(channels[cycle]), cycle in won) for cycle in opened
    ]


def reaches_out(type_: str, actor: str, direction: str | None, with_automated: bool) -> str | None:
    """Return the channel of a touch; None where the fact is none."""
    channel = attempt(type_, actor, direction)
    if channel is None and with_automated:
        return automated(type_, actor, direction)
    return channel


def _name(fact: Fact, channel: str) -> object:
    """Return what is the same for all notices of one touch."""
    if fact.type == CHAT:
        return (channel, thing(fact), fact.at // DAY)
    name = thing(fact)
    return (fact.source, fact.id) if name is None else (channel, name)


def followed_up(history: Iterable[Event], as_of: int, within: int = FOLLOWED_UP) -> bool | None:
    """Return whether a person reached out *within* microseconds of the first capture.

    None where the time is not over yet: to count those who were quick alone would flatter. None,
    too, where nothing was captured.
    """
    events = list(history)
    captured = next(
        (e.at for e in events if isinstance(e, StageEntered) and e.stage == CAPTURED), None
    )
    if captured is None or captured + within > as_of:
        return None
    return any(
        captured <= event.at <= captured + within
        and attempt(event.type, event.actor, event.get("direction")) is not None
        for event in events
        if isinstance(event, Fact)
    )
