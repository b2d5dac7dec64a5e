"""A journey: the touches that led to one conversion, as every attribution model sees them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from domain.events import Fact, OrderKey

COLLAPSE_GAP: Final = 30 * 60 * 1_000_000
"""The default gap: touches of one channel within 30 minutes are one; microseconds."""

LOOKBACK: Final = 90 * 86_400 * 1_000_000
"""The default lookback: touches of the 90 days before the conversion count; microseconds."""


class Touch(NamedTuple):
    """One human touch of marketing or sales. Instants are microseconds UTC.

    ``source`` is the marketing source (``google``); ``producer``, ``sequence`` and ``id`` are the
    fact's own, and give the canonical order among equal instants.
    """

    at: int
    channel: str
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None
    producer: str = ""
    sequence: int = -1
    id: str = ""

    @property
    def order(self) -> OrderKey:
        """Return the touch's place in canonical order."""
        return (self.at, self.producer, self.sequence, self.id)


class Moments(NamedTuple):
    """Instants (microseconds UTC) that position models ask for, None where it never came to it."""

    lead_created: int | None = None
    opportunity_created: int | None = None
    closed: int | None = None


class Journey(NamedTuple):
    """The touches before one conversion, in canonical order, and the instant it happened."""

    touches: tuple[Touch, ...]
    conversion_at: int
    moments: Moments = Moments()


def touch_of(fact: Fact) -> Touch | None:
    """Return the touch that *fact* is, or None: no block or a machine's act is no touch."""
    block = fact.touch
    if block is None or fact.actor == "machine":
        return None
    get = block.get
    return Touch(
        fact.at,
        get("channel", "unknown"),
        get("source"),
        get("medium"),
        get("campaign"),
        get("content"),
        get("term"),
        fact.source,
        fact.sequence,
        fact.id,
    )


_order = attrgetter("at", "producer", "sequence", "id")


def collapse(touches: Iterable[Touch], gap: int | None = COLLAPSE_GAP) -> list[Touch]:
    """Return *touches* in canonical order, runs of one channel made one touch.

    A touch of the same channel as its neighbour before, and at most *gap* microseconds after
    that neighbour, belongs to the neighbour's run however long the run grows; the run is its
    first touch. No gap (None or 0) means no collapse.
    """
    ordered = sorted(touches, key=_order)
    if not gap:
        return ordered
    kept: list[Touch] = []
    channel, until = None, 0
    for touch in ordered:
        if touch.channel != channel or touch.at > until:
            kept.append(touch)
            channel = touch.channel
        until = touch.at + gap
    return kept


def cut(
    collapsed: Sequence[Touch], conversion_at: int, lookback: int | None = LOOKBACK
) -> tuple[Touch, ...]:
    """Return those of the *collapsed* touches of a lead that led to the conversion.

    They lie after conversion_at - *lookback* and not after conversion_at (microseconds; None
    looks back for ever). A run of touches that began before the lookback stays outside with its
    first touch, since collapsing comes before cutting. Collapse a lead once, cut per conversion.
    """
    if lookback is None:
        return tuple([touch for touch in collapsed if touch.at <= conversion_at])
    since = conversion_at - lookback
    return tuple([touch for touch in collapsed if since < touch.at <= conversion_at])


Transform = Callable[[Sequence[str]], list[int]]
"""Says which touches of a path stay: given their channels, returns their places, in order."""


def unique(channels: Sequence[str]) -> list[int]:
    """Keep every touch."""
    return list(range(len(channels)))


def exposure(channels: Sequence[str]) -> list[int]:
    """Keep the first touch of each run of one channel, however long after each other they were."""
    return [i for i, name in enumerate(channels) if not i or channels[i - 1] != name]


def first(channels: Sequence[str]) -> list[int]:
    """Keep the first touch of each channel."""
    places = {name: i for i, name in reversed(list(enumerate(channels)))}
    return sorted(places.values())


def remove_if_not_all(channel: str) -> Transform:
    """Return the transform that drops the touches of *channel*, unless there are no others."""

    def kept(channels: Sequence[str]) -> list[int]:
        return [i for i, name in enumerate(channels) if name != channel] or unique(channels)

    return kept


def remove_if_last_and_not_all(channel: str) -> Transform:
    """Return the transform that drops *channel* from the end, unless there are no others."""

    def kept(channels: Sequence[str]) -> list[int]:
        end = len(channels)
        while end and channels[end - 1] == channel:
            end -= 1
        return list(range(end or len(channels)))

    return kept


TRANSFORMS: Final[Mapping[str, Transform]] = {
    "unique": unique,
    "exposure": exposure,
    "first": first,
}
"""Path transforms by the names that Google's Fractribution gave them and Snowplow's
dbt-snowplow-attribution keeps (there with ``_path`` behind)."""

CHANNEL_TRANSFORMS: Final[Mapping[str, Callable[[str], Transform]]] = {
    "remove_if_not_all": remove_if_not_all,
    "remove_if_last_and_not_all": remove_if_last_and_not_all,
}
"""Those that take a channel; the names are Snowplow's."""


def transform_named(name: str) -> Transform:
    """Return the transform called ``exposure`` or ``remove_if_not_all=direct``.

    Raises ValueError for a name that is not there, or that needs a channel and has none.
    """
    verb, equals, channel = name.partition("=")
    if verb in CHANNEL_TRANSFORMS and channel:
        return CHANNEL_TRANSFORMS[verb](channel)
    if verb in TRANSFORMS and not equals:
        return TRANSFORMS[verb]
    there = [*TRANSFORMS, *(f"{one}=CHANNEL" for one in CHANNEL_TRANSFORMS)]
    raise ValueError(f"unknown transform {name!r}; there are {', '.join(there)}")


def journey(
    touches: Iterable[Touch],
    conversion_at: int,
    lookback: int | None = LOOKBACK,
    gap: int | None = COLLAPSE_GAP,
    moments: Moments = Moments(),  # noqa: B008 (a tuple: shared, never changed)
) -> Journey:
    """Return the journey to a conversion from all *touches* of its lead, in whatever order.

    *gap* and *lookback* are microseconds and mean what they mean to `collapse` and `cut`.
    """
    return Journey(cut(collapse(touches, gap), conversion_at, lookback), conversion_at, moments)
