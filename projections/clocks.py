"""The clocks of ``domain.speed`` over all leads at once, as columns.

Two passes over two tables, no question per lead. What an act is, an attempt or a contact, is asked
of the domain once for every combination of type, actor, direction and outcome that there is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, or_, select

from domain.counts import PERSON
from domain.outreach import CHANNEL_OF, CHAT, REPLIES, attempt, is_contact
from domain.speed import ASKED, CLOSING, EARLY, ENGINE_RULES, QUALIFIED
from domain.stages import MQL, SQL, WON
from domain.vocabulary import INTENT
from projections.activities import activities
from projections.columns import Coded, Codes, Columns, Flags, Integers, read
from projections.stages import stages

NEVER: Final = int(np.iinfo(np.int64).max)
"""The instant of what has not happened."""

STARTS: Final = (ASKED, MQL, SQL)
"""What starts a clock, by the code in `Clocks.start`."""

_ASSIGNING: Final = ("lead.assigned", "lead.unassigned")
_PROGRAMMES: Final = ("email.sent", "sms.sent")
_TYPES: Final = frozenset(
    {
        *CHANNEL_OF,
        *REPLIES,
        *INTENT,
        "meeting.held",
        "lead.accepted",
        "lead.qualified",
        *_ASSIGNING,
    }
)

_ASK, _ATTEMPT, _CONTACT, _QUALIFY, _ASSIGN, _ACCEPT = (1 << n for n in range(6))
_ENTERS_MQL, _ENTERS_SQL, _CLOSES, _QUALIFIES, _LEAVES_EARLY, _WINS = (1 << n for n in range(6))


@dataclass(frozen=True, slots=True)
class Cycles:
    """The cycles of all leads, by number of the lead and of the cycle."""

    lead_no: Integers
    number: Integers
    opened_at: Integers
    following: Integers
    """When the next cycle of the lead opened, or `NEVER`."""

    def of(self, lead_no: Integers, at: Integers) -> Integers:
        """Return the place of the cycle in which each lead was at each instant; -1 before all."""
        low = np.searchsorted(self.lead_no, lead_no, "left")
        high = np.searchsorted(self.lead_no, lead_no, "right")
        found = last_upto(self.opened_at, low, high, at)
        return np.where(found < low, -1, found)


@dataclass(frozen=True, slots=True)
class Clocks:
    """How each cycle was answered; instants are `NEVER` where it did not happen."""

    cycles: Cycles
    started_at: Integers
    start: Integers
    """Place in `STARTS`; it says nothing where no clock started."""
    ended_at: Integers
    is_open: Flags
    assigned_at: Integers
    taken_up_at: Integers
    attempted_at: Integers
    contacted_at: Integers
    qualified_at: Integers
    rep: Coded
    is_won: Flags
    premature: Integers


def clocks(connection: Connection, as_of: int) -> Clocks:
    """Return the clocks of all cycles, as `domain.speed.responses` does for those of one lead.

    *as_of* is the instant up to which is observed, microseconds UTC; the read models hold nothing
    later.
    """
    entries = _Entries(connection)
    cycles = entries.cycles
    acts = _Acts(connection, cycles)
    size = len(cycles.number)

    closed = entries.first(_CLOSES)
    starts = np.stack(
        [acts.first(_ASK), entries.first(_ENTERS_MQL), entries.first(_ENTERS_SQL)],
    )
    start = np.argmin(starts, axis=0)
    began = starts.min(axis=0)
    began[began > closed] = NEVER
    end = np.minimum(np.minimum(closed, cycles.following), as_of)

    rows, of = acts.all(_ATTEMPT)
    early = acts.at[rows] < np.minimum(entries.first(_LEAVES_EARLY), began)[of]
    premature = np.bincount(of[early], minlength=size)
    rows, of = acts.inside(_ATTEMPT, began, end)
    attempt_row = first(size, of, rows)
    tried = _at(acts.at, attempt_row)

    rows, of = acts.inside(_CONTACT, began, end)
    contacted = np.minimum(first(size, of, acts.at[rows]), _chats(connection, cycles, began, end))

    rows, of = acts.inside(_QUALIFY, began, end)
    qualified = np.minimum(
        first(size, of, acts.at[rows]), entries.first_inside(_QUALIFIES, began, end)
    )

    rows, of = acts.all(_ACCEPT)
    in_time = acts.at[rows] <= end[of]
    accepted = first(size, of[in_time], np.maximum(acts.at[rows], began[of])[in_time])

    owners = _Owners(acts.columns, cycles)
    rows, of = acts.inside(_ASSIGN, began, end)
    owned = owners.codes[rows] != owners.nobody
    assigned = first(size, of[owned], acts.at[rows[owned]])
    assigned = np.where(owners.at(began) != owners.nobody, began, assigned)
    assigned = np.minimum(np.minimum(assigned, accepted), tried)
    started = began < NEVER
    return Clocks(
        cycles,
        began,
        start,
        end,
        (closed == NEVER) & (cycles.following == NEVER),
        _if(started, assigned),
        _if(started, np.minimum(accepted, tried)),
        tried,
        contacted,
        qualified,
        _reps(acts.columns, attempt_row, owners.at(end)),
        entries.first(_WINS) < NEVER,
        premature,
    )


class _Entries:
    """All entries into stages, and the cycles that they make up."""

    cycles: Cycles

    def __init__(self, connection: Connection) -> None:
        entry = stages.c
        query = select(
            entry.lead_no, entry.cycle, entry.entered_at_us, entry.stage, entry.rule
        ).order_by(entry.lead_no, entry.n)
        entered = read(connection, query, {"stage", "rule"})
        self.cycles, self._of = cycles_of(entered)
        self._at = entered["entered_at_us"]
        self._bits = by_values(_entry_bits, entered.coded["stage"], entered.coded["rule"])

    def first(self, mask: int) -> Integers:
        """Return when each cycle had its first such entry."""
        return self._first((self._bits & mask) != 0)

    def first_inside(self, mask: int, began: Integers, end: Integers) -> Integers:
        """Return when each cycle had its first such entry from when it *began* to its *end*."""
        inside = (began[self._of] <= self._at) & (self._at <= end[self._of])
        return self._first(((self._bits & mask) != 0) & inside)

    def _first(self, chosen: Flags) -> Integers:
        return first(len(self.cycles.number), self._of[chosen], self._at[chosen])


class _Acts:
    """All acts that say something here, and the cycle in which each was."""

    columns: Columns
    at: Integers

    def __init__(self, connection: Connection, cycles: Cycles) -> None:
        self.columns = _activities(connection)
        self.at = self.columns["at_us"]
        self._size = len(cycles.number)
        self._of = cycles.of(self.columns["lead_no"], self.at)
        told = [self.columns.coded[name] for name in ("type", "actor", "direction", "outcome")]
        self._bits = by_values(_act_bits, *told)
        self._bits[self._of < 0] = 0

    def all(self, mask: int) -> tuple[Integers, Integers]:
        """Return the rows of such acts, and their cycles."""
        rows = np.flatnonzero(self._bits & mask)
        return rows, self._of[rows]

    def first(self, mask: int) -> Integers:
        """Return when each cycle had its first such act."""
        rows, of = self.all(mask)
        return first(self._size, of, self.at[rows])

    def inside(self, mask: int, began: Integers, end: Integers) -> tuple[Integers, Integers]:
        """Return the rows of such acts from when their cycle *began* to its *end*, and the cycles."""
        rows, of = self.all(mask)
        within = (began[of] <= self.at[rows]) & (self.at[rows] <= end[of])
        return rows[within], of[within]


class _Owners:
    """Who owned the lead of each cycle, as codes of the column."""

    codes: Codes
    nobody: int

    def __init__(self, acts: Columns, cycles: Cycles) -> None:
        owner = acts.coded["owner"]
        self.codes, self.nobody = owner.codes, owner.code_of(None)
        self._act_at = acts["at_us"]
        self._low = np.searchsorted(acts["lead_no"], cycles.lead_no, "left")
        self._high = np.searchsorted(acts["lead_no"], cycles.lead_no, "right")

    def at(self, instant: Integers) -> Integers:
        """Return the owner of each cycle's lead at an instant of each."""
        last = last_upto(self._act_at, self._low, self._high, instant)
        known = _at(self.codes, np.maximum(last, 0), self.nobody)
        return np.where(last < self._low, self.nobody, known)


# --- what rows say ------------------------------------------------------------------------------


def _act_bits(type_: str, actor: str, direction: str | None, outcome: str | None) -> int:
    return (
        _ASK * (type_ in INTENT and actor in PERSON)
        | _ATTEMPT * (attempt(type_, actor, direction) is not None)
        | _CONTACT * is_contact(type_, actor, outcome)
        | _QUALIFY * (type_ == "lead.qualified" and actor != "machine")
        | _ASSIGN * (type_ == "lead.assigned")
        | _ACCEPT * (type_ == "lead.accepted" and actor != "machine")
    )


def _entry_bits(stage: str, rule: str) -> int:
    return (
        _ENTERS_MQL * (stage == MQL)
        | _ENTERS_SQL * (stage == SQL and rule in ENGINE_RULES)
        | _CLOSES * (stage in CLOSING)
        | _QUALIFIES * (stage in QUALIFIED)
        | _LEAVES_EARLY * (stage not in EARLY)
        | _WINS * (stage == WON)
    )


def by_values(says: Callable[..., int], *columns: Coded) -> Integers:
    """Return what *says* returns for the values of each row; it is asked once for each set."""
    if not len(columns[0].codes):
        return np.empty(0, np.int64)
    key = np.zeros(len(columns[0].codes), np.int64)
    for column in columns:
        key = key * len(column.values) + column.codes
    known, of_row = np.unique(key, return_inverse=True)
    answers = []
    for one in known.tolist():
        values: list[str | None] = []
        rest = one
        for column in reversed(columns):
            rest, code = divmod(rest, len(column.values))
            values.append(column.values[code])
        answers.append(says(*reversed(values)))
    return np.array(answers, np.int64)[of_row]


def _activities(connection: Connection) -> Columns:
    act = activities.c
    query = (
        select(
            act.lead_no,
            act.at_us,
            act.type,
            act.actor,
            act.direction,
            act.outcome,
            act.owner,
            act.actor_id,
        )
        # most mails are a programme's and say nothing here; who assigns may be a machine
        .where(
            act.type.in_(_TYPES),
            or_(act.actor != "machine", act.type.in_(_ASSIGNING)),
            or_(act.actor == "rep", act.type.not_in(_PROGRAMMES)),
        )
        .order_by(act.lead_no, act.n)
    )
    text = {"type", "actor", "direction", "outcome", "owner", "actor_id"}
    return read(connection, query, text)


def _chats(connection: Connection, cycles: Cycles, began: Integers, end: Integers) -> Integers:
    """Return when each cycle had its first message of a prospect after one of a rep."""
    act = activities.c
    query = (
        select(act.lead_no, act.at_us, act.actor, act.message)
        .where(act.type == CHAT, act.actor.in_(("rep", "prospect")))
        .order_by(act.lead_no, act.n)
    )
    chats = read(connection, query, {"actor", "message"})
    of = cycles.of(chats["lead_no"], chats["at_us"])
    led = of >= 0
    of, at = of[led], chats["at_us"][led]
    actor, message = chats.coded["actor"], chats.coded["message"]
    of_rep = actor.codes[led] == actor.code_of("rep")
    _, talk = np.unique(of * len(message.values) + message.codes[led], return_inverse=True)
    rows = np.arange(len(of), dtype=np.int64)
    opened = first(len(of), talk[of_rep], rows[of_rep])
    answers = ~of_rep & (opened[talk] < rows) & (began[of] <= at) & (at <= end[of])
    return first(len(began), of[answers], at[answers])


def _reps(acts: Columns, attempt_row: Integers, owner_at_end: Integers) -> Coded:
    """Return who made the attempt, else who owned the lead then."""
    owner, actor = acts.coded["owner"], acts.coded["actor_id"]
    values = list(dict.fromkeys([*owner.values, *actor.values, None]))
    place = {value: n for n, value in enumerate(values)}
    owners = np.array([place[value] for value in [*owner.values, None]], np.int32)
    actors = np.array([place[value] for value in [*actor.values, None]], np.int32)
    tried = attempt_row < NEVER
    row = np.where(tried, attempt_row, 0)
    by_owner = owners[np.where(tried, _at(owner.codes, row, -1), owner_at_end)]
    by_actor = actors[np.where(tried, _at(actor.codes, row, -1), -1)]
    return Coded(np.where(by_actor == place[None], by_owner, by_actor).astype(np.int32), values)


# --- columns ------------------------------------------------------------------------------------


def cycles_of(entered: Columns) -> tuple[Cycles, Integers]:
    """Return the cycles that entries into stages make up, and the place of each entry's own."""
    lead_no, number = entered["lead_no"], entered["cycle"]
    if not entered.rows:
        nothing = np.empty(0, np.int64)
        return Cycles(nothing, nothing, nothing, nothing), nothing
    opens = np.concatenate(([True], (lead_no[1:] != lead_no[:-1]) | (number[1:] != number[:-1])))
    at = entered["entered_at_us"][opens]
    leads = lead_no[opens]
    following = np.full(len(at), NEVER, np.int64)
    goes_on = leads[1:] == leads[:-1]
    following[:-1][goes_on] = at[1:][goes_on]
    return Cycles(leads, number[opens], at, following), np.cumsum(opens) - 1


def first(size: int, of: Integers, at: Integers) -> Integers:
    """Return the least *at* of each of *size* groups, `NEVER` where a group has none."""
    found = np.full(size, NEVER, np.int64)
    np.minimum.at(found, of, at)
    return found


def last_upto(values: Integers, low: Integers, high: Integers, at: Integers) -> Integers:
    """Return the last place from *low* and before *high* whose value is at most *at*.

    Values rise within each range. Where there is none, it is the one before *low*.
    """
    low, high = low.copy(), high.copy()
    while (todo := np.flatnonzero(low < high)).size:
        middle = (low[todo] + high[todo]) // 2
        right = values[middle] <= at[todo]
        low[todo[right]] = middle[right] + 1
        high[todo[~right]] = middle[~right]
    return low - 1


def _at(values: NDArray[np.integer], rows: Integers, missing: int = NEVER) -> Integers:
    """Return the values of *rows*, *missing* for the row `NEVER`."""
    if not len(values):
        return np.full(len(rows), missing, np.int64)
    there = rows < NEVER
    return np.where(there, values[np.where(there, rows, 0)], missing)


def _if(condition: Flags, at: Integers) -> Integers:
    return np.where(condition, at, NEVER)
