"""How fast a lead is answered: one clock per cycle, exactly as it is defined.

The **clock starts** when the lead first asks (an intent fact of the person's) or first enters a
stage that sales answer for: ``mql``, or ``sql`` where the engine put it there by itself. It does
not start when a record is imported, nor after the cycle has closed (won, lost, recycled,
disqualified). It is **observed until** the cycle closes, the next one opens, or the instant of the
question; who is not answered by then is censored there, never left out.

From the start on

- **attempt**: the first human outbound attempt (``domain.outreach``),
- **contact**: the first two-way contact,
- **qualification**: the first ``lead.qualified``, or entry into ``sql`` or further,

and the way to the attempt has three parts that add up to it: **system** until the lead has an
owner, **queue** until a person accepts it, **human** until the attempt. Who calls before anybody was
assigned, or before accepting, has done both by calling; who accepts unassigned takes the lead.

An attempt while the lead is only captured or an MQO, and has not asked, is **premature**: it is
counted apart and stops no clock.

Instants are microseconds UTC. What happened at the instant at which a cycle opens belongs to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from domain.counts import PERSON
from domain.events import Event, Fact, StageEntered
from domain.outreach import CHAT, attempt, is_contact, thing
from domain.stages import (
    CAPTURED,
    DISQUALIFIED,
    LOST,
    MQL,
    MQO,
    OPPORTUNITY,
    PACKS,
    RECYCLED,
    SQL,
    WON,
)
from domain.vocabulary import INTENT

ASKED: Final = "asked"
"""What starts a clock beside the codes of stages."""

CLOSING: Final = frozenset((WON, LOST, RECYCLED, DISQUALIFIED))
"""The stages that end a cycle."""

QUALIFIED: Final = frozenset((SQL, OPPORTUNITY, WON))
"""The stages by which a lead is qualified, one reached by a skip included."""

EARLY: Final = frozenset((CAPTURED, MQO))
"""The stages in which sales are not to call yet."""

ENGINE_RULES: Final = frozenset(
    move.rule for pack in PACKS.values() for move in pack.table if move.automatic and move.to == SQL
)
"""The rules by which the engine makes an SQL, and nobody in sales does."""


class Band(NamedTuple):
    """A range of waiting times; *most* still belongs to it, *above* does not (microseconds)."""

    name: str
    above: int | None
    most: int | None


_MINUTE: Final = 60_000_000

BANDS: Final = (
    Band("0-5", None, 5 * _MINUTE),
    Band("5-15", 5 * _MINUTE, 15 * _MINUTE),
    Band("15-60", 15 * _MINUTE, 60 * _MINUTE),
    Band("60+", 60 * _MINUTE, 24 * 60 * _MINUTE),
    Band("24h+", 24 * 60 * _MINUTE, None),
)
"""Minutes to the first attempt; more than a day stands apart."""

UNANSWERED: Final = "unanswered"
"""The band of those to whom nobody reached out."""


@dataclass(frozen=True, slots=True)
class Response:
    """How one cycle was answered; instants are None where it did not happen."""

    cycle: int
    started_at: int | None
    """When the clock started; None where it never did, and then all else but the last two is."""
    start: str | None = None
    """``asked``, or the stage that was entered."""
    ended_at: int | None = None
    """Until when it was observed."""
    is_open: bool = False
    """Whether the cycle may still be answered."""
    assigned_at: int | None = None
    taken_up_at: int | None = None
    attempted_at: int | None = None
    contacted_at: int | None = None
    qualified_at: int | None = None
    rep: str | None = None
    """Who made the attempt, else who owned the lead at the end."""
    is_won: bool = False
    """Whether the cycle came to a deal, by the instant of the question."""
    premature: int = 0
    """Attempts before their time."""


def responses(history: Iterable[Event], as_of: int) -> list[Response]:
    """Return how each cycle of one lead was answered, as far as *as_of* tells.

    *history* are the facts that count, each with the entries into stages that it led to, in
    canonical order, none later than *as_of*.
    """
    facts: list[tuple[Fact, str | None]] = []
    entries: list[StageEntered] = []
    owner: str | None = None
    for event in history:
        if isinstance(event, StageEntered):
            entries.append(event)
        elif isinstance(event, Fact):
            if event.type == "lead.assigned":
                owner = event.get("owner")
            elif event.type == "lead.unassigned":
                owner = None
            facts.append((event, owner))
    opened: dict[int, int] = {}
    for entry in entries:
        opened.setdefault(entry.cycle, entry.at)
    found = []
    for cycle, since in opened.items():
        following = [at for other, at in opened.items() if other > cycle]
        until = min(following) if following else None
        own = [
            (fact, of) for fact, of in facts if since <= fact.at and not _reached(until, fact.at)
        ]
        inside = [entry for entry in entries if entry.cycle == cycle]
        found.append(_response(cycle, own, facts, inside, until, as_of))
    return found


def _reached(until: int | None, at: int) -> bool:
    return until is not None and at >= until


def _response(
    cycle: int,
    own: Sequence[tuple[Fact, str | None]],
    facts: Sequence[tuple[Fact, str | None]],
    entries: Sequence[StageEntered],
    until: int | None,
    as_of: int,
) -> Response:
    closed = min((entry.at for entry in entries if entry.stage in CLOSING), default=None)
    starts = [(fact.at, 0, ASKED) for fact, _ in own if _asks(fact)]
    starts += [(one.at, 1, MQL) for one in entries if one.stage == MQL]
    starts += [(one.at, 2, SQL) for one in entries if one.stage == SQL and one.rule in ENGINE_RULES]
    start = min(starts, default=None)
    if start is not None and closed is not None and start[0] > closed:
        start = None
    left_early = [entry.at for entry in entries if entry.stage not in EARLY]
    limit = min([*left_early, *([] if start is None else [start[0]])], default=None)
    attempts = [
        (fact, of) for fact, of in own if attempt(fact.type, fact.actor, fact.get("direction"))
    ]
    premature = sum(limit is None or fact.at < limit for fact, _ in attempts)
    won = any(entry.stage == WON for entry in entries)
    if start is None:
        return Response(cycle, None, is_won=won, premature=premature)
    began = start[0]
    end = min(at for at in (closed, until, as_of) if at is not None)
    window = [(fact, of) for fact, of in own if began <= fact.at <= end]
    first = next(((fact, of) for fact, of in attempts if began <= fact.at <= end), None)
    tried = None if first is None else first[0].at
    owned = _owner_at(facts, began) is not None
    named = [fact.at for fact, of in window if fact.type == "lead.assigned" and of is not None]
    accepted = _first(max(fact.at, began) for fact, _ in own if _accepts(fact) and fact.at <= end)
    assigned = _first([began if owned else None, *named, accepted, tried])
    qualified = [fact.at for fact, _ in window if _qualifies(fact)]
    qualified += [one.at for one in entries if one.stage in QUALIFIED and began <= one.at <= end]
    return Response(
        cycle,
        began,
        start[2],
        end,
        closed is None and until is None,
        assigned,
        _first([accepted, tried]),
        tried,
        _contact(own, began, end),
        min(qualified, default=None),
        _owner_at(facts, end) if first is None else first[0].actor_id or first[1],
        won,
        premature,
    )


def _asks(fact: Fact) -> bool:
    return fact.type in INTENT and fact.actor in PERSON


def _accepts(fact: Fact) -> bool:
    return fact.type == "lead.accepted" and fact.actor != "machine"


def _qualifies(fact: Fact) -> bool:
    return fact.type == "lead.qualified" and fact.actor != "machine"


def _first(instants: Iterable[int | None]) -> int | None:
    return min((at for at in instants if at is not None), default=None)


def _owner_at(facts: Sequence[tuple[Fact, str | None]], at: int) -> str | None:
    """Return who owned the lead at the instant *at*, what happened then included."""
    return next((owner for fact, owner in reversed(facts) if fact.at <= at), None)


def _contact(own: Sequence[tuple[Fact, str | None]], began: int, end: int) -> int | None:
    """Return the first contact from *began* to *end*; a rep may have opened the chat before."""
    spoke: set[Any] = set()
    for fact, _ in own:
        told = is_contact(fact.type, fact.actor, fact.get("outcome"))
        if fact.type == CHAT:
            if fact.actor == "rep":
                spoke.add(thing(fact))
            told = fact.actor == "prospect" and thing(fact) in spoke
        if told and began <= fact.at <= end:
            return fact.at
    return None


def band_of(waited: int | None) -> str:
    """Return the name of the band of a wait for the first attempt, None for an unanswered lead."""
    if waited is None:
        return UNANSWERED
    return next(one.name for one in BANDS if one.most is None or waited <= one.most)


def breaches(waited: int | None, observed: int, promised: int) -> bool:
    """Return whether an answer within *promised* microseconds was missed.

    *waited* is the time to the attempt, None where there is none yet, *observed* how long was
    looked. Who is unanswered and was observed for no longer has not been failed so far.
    """
    return (observed if waited is None else waited) > promised
