"""Poison: what producers get wrong, with the dead-letter reason it must lead to, and its mend."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import NamedTuple

from leadflow.simulate.market import Draw, pick
from leadflow.simulate.wire import CloudEvent, Envelope, to_json


class Delivery(NamedTuple):
    """One record as the topic gets it."""

    arrived_at: int
    """Microseconds since 1970-01-01 UTC."""
    key: str
    value: bytes
    reason: str | None
    """The dead-letter reason that it must lead to; None for a good record."""


class Poisoned:
    """Deliver events of which some are bad, and know what each bad one should have been.

    A bad record stands where the good one stood, except `conflicting_duplicate`, which follows
    the good one. So a log mended in place is the clean log, with some events in it twice.
    """

    def __init__(
        self, events: Iterable[Envelope], share: float, seed: int, *, keep: bool = False
    ) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share is from 0 to 1, not {share}")
        self._events = events
        self._share = share
        self._seed = seed
        self._keep = keep
        self._mends: dict[bytes, bytes] = {}
        self.reasons: Counter[str] = Counter()
        """How many bad records of each reason have been delivered so far."""

    def __iter__(self) -> Iterator[Delivery]:
        """Deliver good and bad records in order of arrival."""
        draw = Random(f"{self._seed}:poison").random
        self._mends.clear()
        self.reasons.clear()
        for envelope in self._events:
            good = to_json(envelope.event)
            # A second sending is left alone: its bad twin would mend to bytes seen already.
            bad = not envelope.copy and envelope.lead >= 0 and draw() < self._share
            reason = pick(draw, REASONS) if bad else None
            keep = self._keep or reason in (None, "conflicting_duplicate")
            if keep:
                yield Delivery(envelope.arrived_at, envelope.key, good, None)
            if reason is not None:
                value = SPOIL[reason](draw, envelope.event, good)
                self._mends[value] = good
                self.reasons[reason] += 1
                yield Delivery(envelope.arrived_at, envelope.key, value, reason)

    def mend(self, raw: bytes) -> bytes:
        """Return what the producer should have sent in place of the bad record *raw*.

        Raises KeyError for bytes that were not delivered as bad.
        """
        return self._mends[raw]


def poison(
    events: Iterable[Envelope], share: float, seed: int = 1, *, keep: bool = False
) -> Poisoned:
    """Spoil about *share* (0 to 1) of *events*, each reason as often as the other.

    A bad record takes the place of the good one; with *keep* it follows the good one, which
    then loses nothing by it. Raises ValueError for a share that is none.
    """
    return Poisoned(events, share, seed, keep=keep)


def _break_json(draw: Draw, event: CloudEvent, good: bytes) -> bytes:
    head = b'{"id":' + to_json({"": event["id"]})[4:-1] + b","
    match int(draw() * 4):
        case 0:
            return good[: -1 - int(draw() * 12)]
        case 1:
            return head + b'"data":{"score":NaN},' + good[1:]
        case 2:
            return good.replace(b'"specversion"', b"specversion", 1)
        case _:
            return good[:-1] + b',"\xff":1}'


def _break_envelope(draw: Draw, event: CloudEvent, good: bytes) -> bytes:
    del good
    wrong: dict[str, object] = pick(
        draw,
        (
            {"time": None},
            {"specversion": "0.3"},
            {"type": None},
            {"time": "yesterday"},
            {"time": str(event["time"])[:19]},
            {"time": "1999" + str(event["time"])[4:]},
            {"sequence": "first"},
        ),
    )
    changed = event | wrong
    return to_json({name: value for name, value in changed.items() if value is not None})


def _break_data(draw: Draw, event: CloudEvent, good: bytes) -> bytes:
    del good
    wrong: dict[str, object] = pick(
        draw,
        (
            {"person": [_data(event)["person"]]},
            {"touch": "email"},
            {"actor": {"kind": ["rep"]}},
            {"consent": [{"granted": True}]},
        ),
    )
    return to_json(event | {"data": _data(event) | wrong})


def _swell(draw: Draw, event: CloudEvent, good: bytes) -> bytes:
    del draw, good
    return to_json(event | {"data": _data(event) | {"scan": "x" * 70_000}})


def _strip(draw: Draw, event: CloudEvent, good: bytes) -> bytes:
    del draw, good
    data = {name: value for name, value in _data(event).items() if name != "person"}
    changed = event | {"data": data}
    changed.pop("subject", None)
    return to_json(changed)


def _contradict(draw: Draw, event: CloudEvent, good: bytes) -> bytes:
    del draw, good
    return to_json(event | {"data": _data(event) | {"revision": 2}})


def _data(event: CloudEvent) -> dict[str, object]:
    data: dict[str, object] = json.loads(to_json(event))["data"]
    return data


SPOIL: dict[str, Callable[[Draw, CloudEvent, bytes], bytes]] = {
    "malformed_json": _break_json,
    "invalid_envelope": _break_envelope,
    "invalid_data": _break_data,
    "too_large": _swell,
    "no_identifier": _strip,
    "conflicting_duplicate": _contradict,
}
REASONS = tuple(SPOIL)
