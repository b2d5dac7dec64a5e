"""Windowed funnels over one subject's events, exactly as defined, and their totals.

An *attempt* starts at an event of the first step and takes the following steps as they come,
each from an event of its own, all within the window after the start. A subject's *chain* is the
longest attempt, the earliest among equals. What may stand between two steps is the mode's matter:

- ``ordered``: anything. Each step takes the first event, in canonical order, that is its own, not
  yet used, and not earlier than the step before; at equal instants it may be either side of it,
  since no clock tells which was first.
- ``strict``: events that are no step of the funnel, and repeats of steps already taken; a step
  out of turn ends the attempt. Order is canonical order, at equal instants too.
- ``strict_all``: nothing.
- ``any``: the steps come in any order; an attempt starts at any of them, and its level is how
  many there are. An event that fits several steps serves the one that helps most.
- ``monotone``: for stages. Who reached a step has reached all before it, skipped ones at the same
  instant. An attempt starts at the first step, or at the subject's first step of all; at equal
  instants order decides nothing.

Attempts may be asked to start in a period. What comes before it starts none, and counts only for
what ``monotone`` calls first; what comes after it may still be a later step.

An *exclusion* voids an attempt: an excluded event later than step i and earlier than step j (or
within the window, where j was not reached). A void attempt reaches nothing, not even its first
step; others of the subject may stand.

Instants and windows are microseconds; any other whole unit does too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final, Generic, Literal, NamedTuple, TypeVar

E = TypeVar("E")

Mode = Literal["ordered", "strict", "strict_all", "any", "monotone"]
MODES: Final[tuple[Mode, ...]] = ("ordered", "strict", "strict_all", "any", "monotone")

Step = str | Callable[[E], bool]
"""What a step asks of an event: to equal this name, or to pass this test."""


class Exclusion(NamedTuple, Generic[E]):
    """An event that must not happen between two steps, which are numbered from 1."""

    event: Step[E]
    after: int
    before: int


class Chain(NamedTuple):
    """The steps that a subject reached, in the order of reaching them; empty for none.

    ``picks`` are indexes of the events taken, ``instants`` their times, ``steps`` the indexes of
    the steps they are (0, 1, 2, ... unless the mode is ``any``).
    """

    picks: tuple[int, ...] = ()
    instants: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()

    @property
    def level(self) -> int:
        """Return the number of steps reached."""
        return len(self.picks)


class StepTotal(NamedTuple):
    """How many subjects reached a step, and how fast. Nobody to divide by gives None.

    In mode ``any`` this is about reaching so many steps, whichever they are. A median lies between
    the two in the middle; the 90th percentile is the least time by which 90 % are there.
    """

    subjects: int
    rate_from_first: Fraction | None
    rate_from_previous: Fraction | None
    median_seconds_from_first: Fraction | None
    p90_seconds_from_first: Fraction | None = None
    median_seconds_from_previous: Fraction | None = None
    p90_seconds_from_previous: Fraction | None = None


def longest_chain(
    events: Sequence[tuple[int, E]],
    steps: Sequence[Step[E]],
    *,
    window: int | None = None,
    mode: Mode = "ordered",
    increase: bool = False,
    exclusions: Sequence[Exclusion[E]] = (),
    since: int | None = None,
    until: int | None = None,
) -> Chain:
    """Return the chain of one subject.

    *events* are (instant, event) in canonical order. A step *window* after the first still
    counts; None sets no end. *increase* asks each step to be later than the one before. Attempts
    start at the instant *since* or later, and before *until*.

    Raises ValueError for steps, modes, exclusions and options that make no funnel.
    """
    check_funnel(steps, mode=mode, increase=increase, exclusions=exclusions)
    hits = [_hits(event, steps) for _, event in events]
    times = [at for at, _ in events]
    best = Chain()
    for start in _starts(hits, mode):
        if (since is not None and times[start] < since) or (
            until is not None and times[start] >= until
        ):
            continue
        end = times[-1] if window is None else times[start] + window
        chain = _attempt(times, hits, start, end, len(steps), mode, increase=increase)
        if chain.level > best.level and not _void(events, chain, end, exclusions):
            best = chain
            if best.level == len(steps):
                break
    return best


def funnel(
    subjects: Iterable[Sequence[tuple[int, E]]],
    steps: Sequence[Step[E]],
    *,
    window: int | None = None,
    mode: Mode = "ordered",
    increase: bool = False,
    exclusions: Sequence[Exclusion[E]] = (),
) -> list[StepTotal]:
    """Return the totals per step over the events of each of the *subjects*.

    The arguments are those of `longest_chain`, instants in microseconds.
    """
    check_funnel(steps, mode=mode, increase=increase, exclusions=exclusions)
    chains = (
        longest_chain(
            events, steps, window=window, mode=mode, increase=increase, exclusions=exclusions
        )
        for events in subjects
    )
    return totals(chains, len(steps))


def totals(chains: Iterable[Chain], steps: int) -> list[StepTotal]:
    """Return the totals per step of *chains* of a funnel with so many *steps*."""
    elapsed: list[list[int]] = [[] for _ in range(steps)]
    since_previous: list[list[int]] = [[] for _ in range(steps)]
    for chain in chains:
        for k, at in enumerate(chain.instants):
            elapsed[k].append(at - chain.instants[0])
            since_previous[k].append(at - chain.instants[max(k - 1, 0)])
    counts = [len(times) for times in elapsed]
    return [
        StepTotal(
            counts[k],
            _ratio(counts[k], counts[0]),
            _ratio(counts[k], counts[max(k - 1, 0)]),
            _median_seconds(elapsed[k]),
            _p90_seconds(elapsed[k]),
            _median_seconds(since_previous[k]),
            _p90_seconds(since_previous[k]),
        )
        for k in range(steps)
    ]


def check_funnel(
    steps: Sequence[Step[E]],
    *,
    mode: str,
    increase: bool = False,
    exclusions: Sequence[Exclusion[E]] = (),
) -> None:
    """Raise ValueError, saying what is wrong, unless the arguments make a funnel."""
    if not steps:
        raise ValueError("a funnel needs at least one step")
    if mode not in MODES:
        raise ValueError(f"unknown funnel mode {mode!r}; there are {', '.join(MODES)}")
    if increase and mode in ("any", "monotone"):
        raise ValueError(f"increase asks for an order of steps, which mode {mode!r} has not")
    if mode == "monotone" and len(set(steps)) < len(steps):
        raise ValueError("a step listed twice is never reached once: not in mode 'monotone'")
    for _, after, before in exclusions:
        if not 1 <= after < before <= len(steps):
            raise ValueError(
                f"no exclusion fits between steps {after} and {before} of {len(steps)}"
            )


def _hits(event: E, steps: Sequence[Step[E]]) -> tuple[int, ...]:
    """Return the indexes of the steps that *event* can be."""
    return tuple([k for k, step in enumerate(steps) if _is(event, step)])


def _is(event: E, step: Step[E]) -> bool:
    """Tell whether *event* is what *step* asks for."""
    return step(event) if callable(step) else event == step


def _starts(hits: Sequence[tuple[int, ...]], mode: Mode) -> Iterator[int]:
    """Yield the indexes of the events at which an attempt may start, in order."""
    fresh = True
    for i, steps in enumerate(hits):
        if steps and (mode == "any" or 0 in steps or (mode == "monotone" and fresh)):
            yield i
        fresh = fresh and not steps


def _attempt(
    times: Sequence[int],
    hits: Sequence[tuple[int, ...]],
    start: int,
    end: int,
    steps: int,
    mode: Mode,
    *,
    increase: bool,
) -> Chain:
    """Return the chain from *start*, with nothing after the instant *end*."""
    if mode == "any":
        return _any_order(times, hits, start, end, steps)
    if mode == "monotone":
        picks = _monotone(times, hits, start, end, steps)
    elif mode == "ordered":
        picks = _ordered(times, hits, start, end, steps, increase=increase)
    else:
        picks = _strict(times, hits, start, end, steps, mode, increase=increase)
    return Chain(tuple(picks), tuple([times[i] for i in picks]), tuple(range(len(picks))))


def _ordered(
    times: Sequence[int],
    hits: Sequence[tuple[int, ...]],
    start: int,
    end: int,
    steps: int,
    *,
    increase: bool,
) -> list[int]:
    """Return the events of the steps, each the first that fits."""
    picks = [start]
    for k in range(1, steps):
        last = picks[-1]
        earliest = times[last] + increase
        i = last if increase else _first_at(times, last)
        while i < len(times) and times[i] <= end:
            if times[i] >= earliest and k in hits[i] and i not in picks:
                picks.append(i)
                break
            i += 1
        else:
            break
    return picks


def _first_at(times: Sequence[int], i: int) -> int:
    """Return the first event of the instant of event *i*, where equal instants have no order."""
    while i > 0 and times[i - 1] == times[i]:
        i -= 1
    return i


def _strict(
    times: Sequence[int],
    hits: Sequence[tuple[int, ...]],
    start: int,
    end: int,
    steps: int,
    mode: Mode,
    *,
    increase: bool,
) -> list[int]:
    """Return the events of the steps, up to the first event that may not stand between."""
    picks = [start]
    for i in range(start + 1, len(times)):
        k = len(picks)
        if k == steps or times[i] > end:
            break
        if k in hits[i] and times[i] >= times[picks[-1]] + increase:
            picks.append(i)
        elif mode == "strict_all" or (hits[i] and hits[i][0] > k):
            break
    return picks


def _monotone(
    times: Sequence[int], hits: Sequence[tuple[int, ...]], start: int, end: int, steps: int
) -> list[int]:
    """Return for each step the first event of it or of one beyond it."""
    picks: list[int] = []
    for i in range(_first_at(times, start), len(times)):
        if times[i] > end or len(picks) == steps:
            break
        if hits[i]:
            picks += [i] * (hits[i][-1] + 1 - len(picks))
    return picks


def _any_order(
    times: Sequence[int], hits: Sequence[tuple[int, ...]], start: int, end: int, steps: int
) -> Chain:
    """Return the most steps that events of their own can fill, by augmenting paths.

    Event by event the matching grows where it can and never lets an event go again, so that
    each level is reached at the first instant at which it could be.
    """
    filled: dict[int, int] = {}

    def place(event: int, tried: set[int]) -> bool:
        for step in hits[event]:
            if step not in filled:
                filled[step] = event
                return True
        for step in hits[event]:
            if step not in tried:
                tried.add(step)
                if place(filled[step], tried):
                    filled[step] = event
                    return True
        return False

    for i in range(start, len(times)):
        if times[i] > end or len(filled) == steps:
            break
        place(i, set())
    taken = sorted((event, step) for step, event in filled.items())
    return Chain(
        tuple([event for event, _ in taken]),
        tuple([times[event] for event, _ in taken]),
        tuple([step for _, step in taken]),
    )


def _void(
    events: Sequence[tuple[int, E]],
    chain: Chain,
    end: int,
    exclusions: Sequence[Exclusion[E]],
) -> bool:
    """Tell whether an excluded event lies within *chain*."""
    for excluded, after, before in exclusions:
        if chain.level < after:
            continue
        since = chain.instants[after - 1]
        until = chain.instants[before - 1] if chain.level >= before else end + 1
        if any(since < at < until and _is(event, excluded) for at, event in events):
            return True
    return False


def _ratio(part: int, whole: int) -> Fraction | None:
    """Return part / whole, or None when there is no whole."""
    return Fraction(part, whole) if whole else None


def _median_seconds(micros: list[int]) -> Fraction | None:
    """Return the median of *micros* in seconds: of two in the middle, their mean."""
    if not micros:
        return None
    ordered, middle = sorted(micros), len(micros) // 2
    return Fraction(ordered[~middle] + ordered[middle], 2_000_000)


def _p90_seconds(micros: list[int]) -> Fraction | None:
    """Return the least of *micros*, in seconds, that 90 % of them do not exceed."""
    if not micros:
        return None
    return Fraction(sorted(micros)[-(-9 * len(micros) // 10) - 1], 1_000_000)
