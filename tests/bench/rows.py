"""The rows: what is measured against what, and how much is asked for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from consumers.intake import Intake
from consumers.stream import Record
from domain.policy import DAY
from leadflow.policies import load_policy
from leadflow.simulate import CloudEvent, market_for_events, simulate, to_json
from leadflow.store import open_store
from tests.bench import shares
from tests.bench.attribution import attribution
from tests.bench.funnel import funnel
from tests.bench.place import DATABASES, POSTGRES, SQLITE, Place, say
from tests.bench.report import Line, rates
from tests.bench.took import Took

Row = Callable[[Place, int, int], Sequence[Line]]
"""Measures with so many events, in so many rounds."""

MEGABYTE = 1_000_000


def interleaved(rounds: int, *sides: Callable[[], Took]) -> list[list[Took]]:
    """Run all sides once, then once more, and so on; return what each took, round by round."""
    took: list[list[Took]] = [[] for _ in sides]
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        for side, found in zip(sides, took, strict=True):
            found.append(side())
    return took


def _rates(took: Sequence[Took]) -> list[float]:
    return [each.rate for each in took]


def _bare(place: Place, events: int) -> Took:
    return place.run(
        "bare loop",
        bootstrap=place.bootstrap,
        topic=place.topic(events),
        events=events,
        path=str(place.file()),
    )


def _intake(place: Place, events: int, kind: str, *, profile: bool = False) -> Took:
    with place.database(kind) as url:
        return place.run(
            "intake",
            bootstrap=place.bootstrap,
            topic=place.topic(events),
            events=events,
            database=url,
            profile=profile,
        )


def intake(place: Place, events: int, rounds: int) -> Sequence[Line]:
    """Topic to facts and decisions, durable, deduplicated, positioned; one worker."""
    bare, *stores = interleaved(
        rounds,
        partial(_bare, place, events),
        *(partial(_intake, place, events, kind) for kind in DATABASES),
    )
    return [
        rates(
            "intake",
            f"topic to {kind}",
            _rates(took),
            "bare loop, state only",
            _rates(bare),
            least_ratio=least,
        )
        for kind, took, least in zip(DATABASES, stores, (0.6, 0.5), strict=True)
    ]


def consume(place: Place, events: int, rounds: int) -> Sequence[Line]:
    """Return what share of intake is spent on getting records out of Kafka."""
    at = {"bootstrap": place.bootstrap, "topic": place.topic(events), "events": events}
    bare, ours, whole = interleaved(
        rounds,
        partial(place.run, "bare poll", **at),
        partial(place.run, "poll", **at),
        partial(_intake, place, events, SQLITE),
    )
    shares = [100 * a.seconds / b.seconds for a, b in zip(ours, whole, strict=True)]
    theirs = [100 * a.seconds / b.seconds for a, b in zip(bare, whole, strict=True)]
    share = median(shares)
    return [
        rates("consume", "poll alone", _rates(ours), "kafka-python's poll", _rates(bare)),
        Line(
            "consume",
            "poll's share of intake",
            "%",
            share,
            min(shares),
            "kafka-python's poll",
            median(theirs),
            min(theirs),
            share / median(theirs),
            "<= 30 %",
            share <= 30,
        ),
    ]


def projections(place: Place, events: int, rounds: int) -> Sequence[Line]:
    """All read models of the whole log: the first fill, by the log, and beside the live ones."""
    return [
        *_projected(place, events, rounds, SQLITE, catch_up=100_000, rebuild=200_000),
        *_projected(place, events, rounds, POSTGRES, catch_up=45_000, rebuild=120_000),
    ]


def _projected(
    place: Place, events: int, rounds: int, kind: str, *, catch_up: float, rebuild: float
) -> list[Line]:
    def project(job: str) -> Callable[[], Took]:
        def run() -> Took:
            with place.copy(kind, events) as url:
                return place.run(job, database=url)

        return run

    decoded, filled, caught_up, rebuilt = interleaved(
        rounds,
        partial(place.run, "decode log", database=place.history(kind, events)),
        project("first fill"),
        project("catch up"),
        project("rebuild"),
    )
    return [
        rates(
            "projections",
            f"{what}, {kind}",
            _rates(took),
            "decode only",
            _rates(decoded),
            least=least,
        )
        for what, took, least in (
            ("first fill", filled, catch_up),
            ("catch up", caught_up, catch_up),
            ("rebuild", rebuilt, rebuild),
        )
    ]


def replay(place: Place, events: int, rounds: int) -> Sequence[Line]:
    """Read and fold all leads, one process."""
    lines: list[Line] = []
    for kind in DATABASES:
        history = place.history(kind, events)
        decoded, folded = interleaved(
            rounds,
            partial(place.run, "decode streams", database=history),
            partial(place.run, "replay", database=history),
        )
        lines.append(
            rates(
                "replay",
                f"fold all leads, {kind}",
                _rates(folded),
                "decode only",
                _rates(decoded),
                least_ratio=0.5,
            )
        )
    return lines


def one_lead(place: Place, events: int, rounds: int) -> Sequence[Line]:
    """State, score and explanation of a lead with a long history, from its first event on."""
    lines: list[Line] = []
    for kind in DATABASES:
        with place.database(kind) as url:
            lead, now = _long_lead(url, events)
            took = [
                place.run("one lead", database=url, lead=lead, now=now, times=10)
                for _ in range(rounds)
            ]
        millis = [1_000 * each.seconds for each in took]
        parts = ", ".join(f"{name} {1_000 * spent:.1f}" for name, spent in took[0].parts.items())
        say(f"  {kind}, {took[0].events:,} facts: {parts} ms")
        figure = median(millis)
        lines.append(
            Line(
                "one lead",
                f"{took[0].events:,} facts: state, score, explanation, {kind}",
                "ms",
                figure,
                min(millis),
                target="<= 20 ms",
                met=figure <= 20,
            )
        )
    return lines


def score(place: Place, events: int, rounds: int) -> Sequence[Line]:
    """Score one lead of so many facts, at its last fact and a year later."""
    lines = []
    with place.database(SQLITE) as url:
        lead, last = _long_lead(url, events)
        for when, now in (("now", last), ("a year later", last + 365 * DAY)):
            took = [
                place.run("score", database=url, lead=lead, now=now, times=10)
                for _ in range(rounds)
            ]
            naive = [1_000 * each.parts["sum over all"] for each in took]
            for part in ("ledger", "bare facts", "ledger anew"):
                millis = [1_000 * each.parts[part] for each in took]
                asked = part == "ledger" or (part == "bare facts" and when == "now")
                lines.append(
                    Line(
                        "score",
                        f"{took[0].events:,} facts, {when}, {part}",
                        "ms",
                        median(millis),
                        min(millis),
                        "sum over all facts",
                        median(naive),
                        min(naive),
                        median(a / b for a, b in zip(millis, naive, strict=True)),
                        "<= 5 ms" if asked else "",
                        median(millis) <= 5 if asked else None,
                    )
                )
    return lines


def _long_lead(url: str, events: int) -> tuple[str, int]:
    """Store so many events as one lead's; return its id and the instant of its last one.

    The events are those of many simulated leads, all sent as one person's. One in thirty is sent
    twice, so that there are a few more than will be stored.
    """
    more = events * 11 // 10
    sent = list(simulate(market_for_events(more)).first(more).events)
    records = [
        Record("bench", 0, n, envelope.arrived_at, None, _as_one_person(envelope.event), ())
        for n, envelope in enumerate(sent)
    ]
    store = open_store(url)
    try:
        claim = store.claim("bench", [0])[0]
        Intake(store, load_policy()).process(
            records, {("bench", 0): (0, len(records), claim.epoch)}
        )
        counts = {stream: len(found) for stream, found in store.all_streams(store.head())}
    finally:
        store.close()
    return max(counts, key=lambda stream: counts[stream]), sent[-1].arrived_at


def _as_one_person(event: CloudEvent) -> bytes:
    data = event["data"]
    if not isinstance(data, dict):
        raise TypeError("the simulator sends objects")
    own = {name: value for name, value in data.items() if name != "person"}
    return to_json({**event, "source": "/bench", "subject": "one person", "data": own})


def memory(place: Place, events: int, rounds: int) -> Sequence[Line]:
    """Return the most memory that each process holds, at half of the events and at all of them."""
    sizes = (events // 2, events)
    lines = []
    peaks: dict[str, list[int]] = {}
    for size in sizes:
        peaks.setdefault("intake", []).append(place.stored(SQLITE, size).peak)
        with place.copy(SQLITE, size) as url:
            peaks.setdefault("catch up", []).append(place.run("catch up", database=url).peak)
        url = place.history(SQLITE, size)
        peaks.setdefault("replay", []).append(place.run("replay", database=url).peak)
    for name, (half, whole) in peaks.items():
        lines.append(
            Line(
                "memory",
                f"{name} of {sizes[1]:,} events, SQLite",
                "MB",
                whole / MEGABYTE,
                whole / MEGABYTE,
                f"of {sizes[0]:,}",
                half / MEGABYTE,
                half / MEGABYTE,
                whole / half,
                "<= 300 MB",
                whole <= 300 * MEGABYTE,
            )
        )
    return lines


ROWS: Mapping[str, tuple[Row, int]] = {
    "intake": (intake, 100_000),
    "consume": (consume, 100_000),
    "projections": (projections, 100_000),
    "replay": (replay, 100_000),
    "one lead": (one_lead, 1_000),
    "score": (score, 10_000),
    "memory": (memory, 200_000),
    "funnel": (funnel, 10_000_000),
    "attribution": (attribution, 1_000_000),
}
"""What measures each row, and with how many events unless told otherwise."""


def profile(place: Place, row: str, events: int) -> list[str]:
    """Return where the time of *row* goes, a table per database.

    Raises KeyError for a row that has no shares.
    """
    job = PROFILES[row]
    tables = []
    for kind in DATABASES:
        if job == "intake":
            took = _intake(place, events, kind, profile=True)
        else:
            with place.copy(kind, events) as url:
                took = place.run(job, database=url, profile=True)
        tables.append(shares.table(f"{row}, {kind}", took.seconds, took.events, took.parts))
    return tables


PROFILES: Mapping[str, str] = {
    "intake": "intake",
    "projections": "catch up",
    "replay": "replay",
}
"""The rows whose time can be taken apart, and the job that each one is."""
