"""Windowed funnels over columns: the chains of `domain.funnel`, of every subject at once.

All attempts of all subjects go forward together, one step at a time: for each step an array tells
for every event which the next event of that step is, so that a step costs one look-up an attempt,
however many events lie between. The answer is that of `domain.funnel.longest_chain`, event for
event; a test holds both against each other. Only subjects whose events fit overlapping sets of
steps in mode ``any`` are asked of it: which event serves which step is then a matching.

Memory stays small because subjects are taken in chunks, and two chunks at a time.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domain.funnel import Exclusion, Mode, check_funnel, longest_chain
from projections.period import rows_between

Array = NDArray[Any]

CHUNK: Final = 200_000
"""Events that are judged at a time, as long as no subject has more."""

WORKERS: Final = 2
"""Chunks that are judged at the same time; numpy leaves Python's lock while it counts."""

_NONE: Final = -1
_PLACE: Final = 2**32
"""More than there are attempts in a chunk: a level times this, and a place, make one number."""


@dataclass(frozen=True, slots=True)
class Chains:
    """The chains of the subjects that reached a step, in the order of the subjects."""

    subjects: Array
    """The subjects."""
    levels: Array
    """How many steps each one reached, from 1."""
    picks: Array
    """A row per subject, a column per level: the event that was taken, by its place in the
    columns; -1 beyond the subject's level."""
    steps: Array
    """The same for the step that the event was taken for, from 0."""
    by_definition: int = 0
    """Subjects that were asked of `domain.funnel`, one by one."""

    def instants(self, times: Array) -> Array:
        """Return the instant of each pick, of the column *times*; beyond the level it is 0."""
        return np.where(self.picks < 0, 0, times[np.maximum(self.picks, 0)] if len(times) else 0)

    def reached(self, steps: int) -> list[int]:
        """Return how many subjects reached each of so many steps, in mode any so many of them."""
        counts = np.bincount(self.levels, minlength=steps + 1)[: steps + 1]
        return [int(n) for n in np.cumsum(counts[::-1])[::-1][1:]]


def chains(
    subjects: Array,
    times: Array,
    masks: Array,
    steps: int,
    *,
    window: int | None = None,
    mode: Mode = "ordered",
    increase: bool = False,
    exclusions: Sequence[tuple[int, int]] = (),
    since: int | None = None,
    until: int | None = None,
    chunk: int = CHUNK,
) -> Chains:
    """Return the longest chain of each subject, as `domain.funnel.longest_chain` defines it.

    The columns hold an event a row, those of a subject together and in canonical order, subjects
    ascending: its subject (whole number), its instant (64 bits) and a mask (unsigned). Bit k of
    the mask says that the event can be step k, from 0; bit ``steps`` + x that it is excluded by
    ``exclusions[x]``, the pair of steps from 1 that it must not stand between. A row without a
    bit is any other event: only mode ``strict_all`` looks at those.

    Raises ValueError for what makes no funnel, for columns of several lengths, and for rows that
    are not in order.
    """
    check_funnel(
        [str(k) for k in range(steps)],
        mode=mode,
        increase=increase,
        exclusions=[Exclusion("", *between) for between in exclusions],
    )
    if not len(subjects) == len(times) == len(masks):
        raise ValueError("the columns of a funnel must be of one length")
    if steps + len(exclusions) > masks.dtype.itemsize * 8:
        raise ValueError(f"{masks.dtype} has too few bits for {steps} steps and their exclusions")
    asked = _Asked(steps, window, mode, increase, tuple(exclusions), since, until)
    bounds = list(_bounds(subjects, chunk))
    if len(bounds) == 1:
        parts = [_chunk(asked, subjects, times, masks, *bounds[0])]
    else:
        with ThreadPoolExecutor(WORKERS) as pool:
            parts = list(
                pool.map(lambda bound: _chunk(asked, subjects, times, masks, *bound), bounds)
            )
    return Chains(
        np.concatenate([part.subjects for part in parts]),
        np.concatenate([part.levels for part in parts]),
        np.concatenate([part.picks for part in parts]),
        np.concatenate([part.steps for part in parts]),
        sum(part.by_definition for part in parts),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question."""

    steps: int
    window: int | None
    mode: Mode
    increase: bool
    exclusions: tuple[tuple[int, int], ...]
    since: int | None
    until: int | None

    @property
    def step_bits(self) -> int:
        return (1 << self.steps) - 1


def _bounds(subjects: Array, chunk: int) -> Iterator[tuple[int, int]]:
    """Yield where chunks begin and end: at the end of a subject."""
    start, rows = 0, len(subjects)
    while start + chunk < rows:
        last = subjects[start + chunk - 1]
        end = start + chunk + int(np.searchsorted(subjects[start + chunk :], last, "right"))
        yield start, end
        start = end
    yield start, rows


def _chunk(asked: _Asked, subjects: Array, times: Array, masks: Array, lo: int, hi: int) -> Chains:
    """Return the chains of the events from *lo* to before *hi*."""
    bits = asked.steps + len(asked.exclusions)
    small = next(kind for kind in ("u1", "u2", "u4", "u8") if np.dtype(kind).itemsize * 8 >= bits)
    subject, at, mask = subjects[lo:hi], times[lo:hi], masks[lo:hi]
    if (hi < len(subjects) and subjects[hi - 1] >= subjects[hi]) or _unsorted(subject, at):
        raise ValueError("the events of a funnel must be sorted by subject and instant")
    places: Array | None = None
    mask = (mask & ((1 << bits) - 1)).astype(small) if bits < masks.dtype.itemsize * 8 else mask
    if asked.mode != "strict_all":
        places = np.flatnonzero(mask)
        if len(places) == len(mask):
            places = None
        else:
            subject, at, mask = subject[places], at[places], mask[places]
    found = _judged(_Events.of(subject, at, mask), asked)
    taken = (
        found.picks
        if places is None
        else np.where(
            found.picks < 0, _NONE, places[np.maximum(found.picks, 0)] if len(places) else _NONE
        )
    )
    place = np.int32 if len(subjects) <= np.iinfo(np.int32).max else np.int64
    shifted = np.where(taken < 0, _NONE, taken.astype(np.int64) + lo).astype(place)
    return Chains(
        subject[found.owners],
        found.levels,
        shifted,
        found.steps.astype(np.int8),
        found.by_definition,
    )


def _unsorted(subject: Array, at: Array) -> bool:
    """Tell whether an event stands before one that it should follow."""
    if len(subject) < 2:
        return False
    back = at[1:] < at[:-1]
    return bool((subject[1:] < subject[:-1]).any() or (back & (subject[1:] == subject[:-1])).any())


@dataclass(frozen=True, slots=True)
class _Events:
    """The events of a chunk that matter."""

    at: Array
    """Instants, and one more so that the place after the last one can be looked up."""
    mask: Array
    code: Array
    """The subjects, numbered from 0; -1 stands after the last one."""
    first_at: Array | None
    """The place of the first event of the same subject and instant; None: it is every event's
    own, since no two are at one instant."""
    after_at: Array | None
    """The place of the first event after this one's instant; None: it is the next place."""

    @classmethod
    def of(cls, subject: Array, at: Array, mask: Array) -> "_Events":
        rows = len(subject)
        code = np.full(rows + 1, _NONE, np.int32)
        new = np.ones(rows, bool)
        np.not_equal(subject[1:], subject[:-1], out=new[1:])
        code[:rows] = np.cumsum(new, dtype=np.int32)
        code[:rows] -= 1
        new[1:] |= at[1:] != at[:-1]
        first_at = after_at = None
        if not new.all():
            place = np.arange(rows, dtype=np.int32)
            first_at = np.maximum.accumulate(np.where(new, place, 0))
            after_at = next_of(new)[1:]
        return cls(np.append(at, at.dtype.type(0)), mask, code, first_at, after_at)

    def __len__(self) -> int:
        return len(self.mask)

    def later(self, places: Array) -> Array:
        """Return the place of the first event after the instant of those at *places*."""
        return places + 1 if self.after_at is None else self.after_at[places]


def next_of(those: Array) -> Array:
    """Return for each place, and two beyond the end, the first of *those* at it or after it."""
    rows = len(those)
    following = np.full(rows + 2, rows, np.int32)
    following[:rows] = np.where(those, np.arange(rows, dtype=np.int32), np.int32(rows))
    return np.minimum.accumulate(following[::-1])[::-1]


@dataclass(frozen=True, slots=True)
class _Found:
    """The chains of a chunk: places are those of `_Events`."""

    owners: Array
    """The place of one event of the subject."""
    levels: Array
    picks: Array
    steps: Array
    by_definition: int = 0


def _judged(events: _Events, asked: _Asked) -> _Found:
    """Return the longest attempt of each subject, the earliest among equals."""
    if asked.mode == "any":
        return _any_order(events, asked)
    starts = _starts(events, asked)
    levels, picks = _attempts(events, asked, starts)
    levels[_void(events, asked, levels, picks)] = 0
    won = _longest(events.code[starts], levels)
    steps = np.where(picks[won] < 0, _NONE, np.arange(asked.steps))
    return _Found(starts[won], levels[won], picks[won], steps)


def _starts(events: _Events, asked: _Asked) -> Array:
    """Return the places at which an attempt may start."""
    step = events.mask & asked.step_bits
    if asked.mode == "any":
        may = step != 0
    else:
        may = (step & 1).astype(bool)
        if asked.mode == "monotone":
            any_step = np.flatnonzero(step)
            owner = events.code[any_step]
            may[any_step[np.append(True, owner[1:] != owner[:-1])[: len(owner)]]] = True
    starts = np.flatnonzero(may).astype(np.int32)
    inside = rows_between(events.at[starts], asked.since, asked.until)
    return starts if inside.all() else starts[inside]


def _attempts(events: _Events, asked: _Asked, starts: Array) -> tuple[Array, Array]:
    """Return how many steps the attempt from each of *starts* takes, and its events."""
    levels = np.ones(len(starts), np.int8)
    picks = np.full((len(starts), asked.steps), _NONE, np.int32)
    last = starts
    if asked.mode == "monotone" and events.first_at is not None:
        # At equal instants the attempt begins with the first event that is a step.
        last = next_of((events.mask & asked.step_bits) != 0)[events.first_at[starts]]
    picks[:, 0] = last
    alive = np.arange(len(starts), dtype=np.int32)
    owner = events.code[starts]
    end = None if asked.window is None else events.at[starts] + asked.window
    for k in range(1, asked.steps):
        place = _step(events, asked, k, last, picks[alive])
        fits = events.code[place] == owner
        if end is not None:
            fits &= events.at[place] <= end
        on = np.flatnonzero(fits)
        last, alive, owner = place[on], alive[on], owner[on]
        end = None if end is None else end[on]
        picks[alive, k] = last
        levels[alive] = k + 1
        if not len(alive):
            break
    return levels, picks


def _step(events: _Events, asked: _Asked, k: int, last: Array, taken: Array) -> Array:
    """Return the place of step *k* for the attempts that are at *last*.

    Where there is none it is the place after the last event, which is nobody's.
    """
    beyond = len(events)
    bit = 1 << k
    if asked.mode == "monotone":
        return next_of((events.mask & asked.step_bits) >= bit)[taken[:, 0]]
    if asked.mode == "strict_all":
        here = last + 1
        fits = np.append((events.mask & bit) != 0, False)[here]
        if asked.increase:
            fits &= events.at[here] > events.at[last]
        return np.where(fits, here, beyond)
    following = next_of((events.mask & bit) != 0)
    if asked.mode == "strict":
        found = following[events.later(last) if asked.increase else last + 1]
        step = events.mask & asked.step_bits
        barrier = next_of((step != 0) & ((step & ((bit << 1) - 1)) == 0))
        return np.where(found < barrier[last + 1], found, beyond)
    if asked.increase:
        return following[events.later(last)]
    place: Array = following[last + 1 if events.first_at is None else events.first_at[last]]
    # An event that was taken is not taken twice: look for the next one instead.
    earlier = asked.step_bits & (bit - 1)
    if ((events.mask & bit) != 0)[(events.mask & earlier) != 0].any():
        while True:
            twice = np.flatnonzero((taken[:, :k] == place[:, None]).any(axis=1))
            if not len(twice):
                break
            place[twice] = following[place[twice] + 1]
    return place


def _void(events: _Events, asked: _Asked, levels: Array, picks: Array) -> Array:
    """Return the attempts with an excluded event within."""
    void = np.zeros(len(levels), bool)
    for x, (after, before) in enumerate(asked.exclusions):
        excluded = next_of((events.mask & (1 << (asked.steps + x))) != 0)
        those = np.flatnonzero(levels >= after)
        since = picks[those, after - 1]
        place = excluded[events.later(since)]
        inside = events.code[place] == events.code[since]
        whole = levels[those] >= before
        until = picks[those, before - 1]
        inside &= ~whole | (events.at[place] < events.at[until])
        if asked.window is not None:
            inside &= whole | (events.at[place] <= events.at[picks[those, 0]] + asked.window)
        void[those[inside]] = True
    return void


def _longest(owners: Array, levels: Array) -> Array:
    """Return which attempts are their owner's longest, the first among equals.

    *owners* stand together. Attempts of level 0 win nothing.
    """
    if not len(owners):
        return np.empty(0, np.int64)
    new = np.append(True, owners[1:] != owners[:-1])
    rank = levels.astype(np.int64) * _PLACE + (_PLACE - 1 - np.arange(len(owners)))
    best = np.maximum.reduceat(rank, np.flatnonzero(new))
    best = best[best >= _PLACE]
    won: Array = _PLACE - 1 - best % _PLACE
    return won


# --- any order ----------------------------------------------------------------------------------


def _any_order(events: _Events, asked: _Asked) -> _Found:
    """Return the chains where steps come in any order.

    Where the sets of steps that events fit do not overlap, the steps of a set are served by the
    first events that fit it, one each. Subjects with other events are asked of the definition.
    """
    step = events.mask & asked.step_bits
    sets, hard = _disjoint(step)
    starts = _starts(events, asked)
    hard_owners = np.unique(events.code[:-1][hard])
    if len(hard_owners):
        starts = starts[~np.isin(events.code[starts], hard_owners)]
    owner = events.code[starts]
    end = None if asked.window is None else events.at[starts] + asked.window
    beyond = len(events)
    picks = np.full((len(starts), asked.steps), beyond, np.int32)
    for those in sets:
        following = next_of(step == those)
        place = following[starts]
        for k in _steps_of(those):
            fits = events.code[place] == owner
            if end is not None:
                fits &= events.at[place] <= end
            picks[:, k] = np.where(fits, place, beyond)
            place = following[place + 1]
    levels = (picks < beyond).sum(axis=1, dtype=np.int8)
    if not asked.exclusions:
        won = _longest(owner, levels)
        starts, levels, picks = starts[won], levels[won], picks[won]
    order = np.argsort(picks, axis=1, kind="stable")
    picks = np.take_along_axis(picks, order, axis=1)
    picks[picks == beyond] = _NONE
    order[picks < 0] = _NONE
    if asked.exclusions:
        levels[_void(events, asked, levels, picks)] = 0
        won = _longest(owner, levels)
        starts, levels, picks, order = starts[won], levels[won], picks[won], order[won]
    found = _Found(starts, levels, picks, order)
    return _with_hard(found, events, asked, hard_owners) if len(hard_owners) else found


def _disjoint(step: Array) -> tuple[list[int], Array]:
    """Return sets of steps that do not overlap, the most frequent first, and the other events."""
    sets, counts = np.unique(step, return_counts=True)
    chosen: list[int] = []
    covered = 0
    for one in sets[np.argsort(-counts, kind="stable")].tolist():
        if one and not one & covered:
            chosen.append(one)
            covered |= one
    fits = step == 0
    for one in chosen:
        fits |= step == one
    return chosen, np.flatnonzero(~fits)


def _steps_of(mask: int) -> list[int]:
    return [k for k in range(mask.bit_length()) if mask >> k & 1]


def _with_hard(found: _Found, events: _Events, asked: _Asked, owners: Array) -> _Found:
    """Return *found* and the chains of the subjects *owners*, by the definition."""
    steps = [_bit(k) for k in range(asked.steps)]
    exclusions = [
        Exclusion(_bit(asked.steps + x), *between) for x, between in enumerate(asked.exclusions)
    ]
    rows: list[tuple[int, int, list[int], list[int]]] = []
    for owner in owners.tolist():
        lo, hi = np.searchsorted(events.code[:-1], [owner, owner + 1]).tolist()
        chain = longest_chain(
            list(zip(events.at[lo:hi].tolist(), events.mask[lo:hi].tolist(), strict=True)),
            steps,
            window=asked.window,
            mode=asked.mode,
            exclusions=exclusions,
            since=asked.since,
            until=asked.until,
        )
        if chain.level:
            pad = [_NONE] * (asked.steps - chain.level)
            rows.append(
                (lo, chain.level, [lo + i for i in chain.picks] + pad, [*chain.steps, *pad])
            )
    own = np.array([row[0] for row in rows], np.int32)
    width = (len(rows), asked.steps)
    every = np.concatenate([found.owners, own])
    order = np.argsort(every, kind="stable")
    return _Found(
        every[order],
        np.concatenate([found.levels, np.array([row[1] for row in rows], np.int8)])[order],
        np.concatenate([found.picks, np.array([row[2] for row in rows], np.int32).reshape(width)])[
            order
        ],
        np.concatenate([found.steps, np.array([row[3] for row in rows], np.int64).reshape(width)])[
            order
        ],
        len(owners),
    )


def _bit(k: int) -> "_Bit":
    return _Bit(1 << k)


@dataclass(frozen=True, slots=True)
class _Bit:
    """A step of the definition: an event whose mask has the bit."""

    value: int

    def __call__(self, mask: int) -> bool:
        return bool(mask & self.value)
