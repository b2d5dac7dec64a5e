"""What a log of the corpus folds to, as hashes: SHA-256 over canonical JSON.

A hash looks at the fields that there were when it was recorded, its *shape*. So a field that is
added to an event or a slot that is added to a lead changes no hash, and one that is renamed,
removed or read otherwise does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from domain.book import POLICY_STREAM, Rules
from domain.corrections import effective
from domain.decide import as_occurred
from domain.events import DECISION_TOPICS, Event, Fact, PolicyPublished, canonical, topic_of
from domain.lead import Lead, fold_streams
from domain.ledger import Contribution
from domain.persons import named
from domain.policy import DAY
from domain.scoring import Score, contributions, score
from projections.runner import Runner
from projections.setup import VERSION
from tests.corpus.logs import Log
from tests.projections_kit import read_model_database

Shape = Mapping[str, Sequence[str]]
"""Name of a class to the fields that a hash looks at."""

Told = dict[str, str]
"""What people read, and hashes by what they are of."""

EVENTS: Final = (Fact, PolicyPublished, *DECISION_TOPICS.values())
"""The classes of what is stored."""


def shape_now() -> dict[str, list[str]]:
    """Return the shape of this version."""
    found = {kind.__name__: [f.name for f in fields(kind)] for kind in (*EVENTS, Score)}
    found["Contribution"] = [f.name for f in fields(Contribution)]
    # what a lead has seen is the ids of its facts
    found["Lead"] = [name for name in Lead().state() if name != "seen"]
    return found


def digest(value: Any) -> str:
    """Return the SHA-256 of *value* as canonical JSON: keys sorted, no spaces, UTF-8."""
    text = json.dumps(
        value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain
    )
    return sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    raise TypeError(f"a {type(value).__name__} has no place in a hash")


def of_fields(value: Any, shape: Shape) -> dict[str, Any]:
    """Return the fields of a dataclass that *shape* names."""
    return {name: getattr(value, name) for name in shape[type(value).__name__]}


def of_event(event: Event, shape: Shape) -> list[Any]:
    """Return topic and fields of an event."""
    return [topic_of(event), of_fields(event, shape)]


def of_lead(lead: Lead, shape: Shape) -> dict[str, Any]:
    """Return what a lead knows, its facts by their ids, and who did what counts."""
    state = {name: getattr(lead, name) for name in shape["Lead"]}
    state["facts"] = [[fact.source, fact.id] for fact in lead.facts]
    state["counted"] = [[fact.source, fact.id, fact.actor] for fact in lead.effective()]
    state["judged"] = sorted([*key, actor] for key, actor in lead.judged.items())
    for name in ("criteria", "opportunities"):  # their order tells which came last
        state[name] = list(getattr(lead, name).items())
    return state


def decoded(log: Log, shape: Shape) -> str:
    """Return the hash of what the lines of *log* say."""
    return digest([of_event(line.event, shape) for line in log.lines])


def folded(streams: Mapping[str, Sequence[Event]], shape: Shape) -> dict[str, Told]:
    """Return the state of each stream as it was decided, with what was merged into it."""
    found = {}
    for stream in streams:
        if stream != POLICY_STREAM:
            lead = fold_streams(streams, stream)
            found[stream] = {"is": _told(lead), "state": digest(of_lead(lead, shape))}
    return found


def occurred(log: Log, rules: Rules, shape: Shape) -> dict[str, Told]:
    """Return each person of each family: state and decisions as it occurred, scores in time.

    Scores and their explanations are those at the middle fact, at the last one, and 30 days later.
    """
    streams, merged = log.streams(), log.merged()
    families: dict[str, list[Fact]] = {}
    for stream, events in streams.items():
        if stream != POLICY_STREAM:
            family = families.setdefault(merged.get(stream, stream), [])
            family += [event for event in events if isinstance(event, Fact)]
    found = {}
    for stream, facts in families.items():
        for known, part in named(canonical(facts), rules):
            lead, history = as_occurred(part, rules)
            instants = (part[len(part) // 2].at, part[-1].at, part[-1].at + 30 * DAY)
            scores = [_scored(part, rules, instant, shape) for instant in instants]
            found[stream if known is None else ":".join(known)] = {
                "is": f"{_told(lead)}; {' '.join(one['score']['grade'] for one in scores)}",
                "state": digest(of_lead(lead, shape)),
                "decisions": digest(
                    [[of_event(event, shape) for event in told[1:]] for told in history]
                ),
                "scores": digest(scores),
            }
    return found


def _scored(part: Sequence[Fact], rules: Rules, instant: int, shape: Shape) -> dict[str, Any]:
    policy = rules.at(instant)
    counted = effective([fact for fact in part if fact.at <= instant], rules)
    parts: Iterable[Contribution] = contributions(counted, policy, instant)
    return {
        "at": instant,
        "score": of_fields(score(counted, policy, instant), shape),
        "contributions": [of_fields(one, shape) for one in parts],
    }


def _told(lead: Lead) -> str:
    """Return for people how far a lead is."""
    hot = ", hot" if lead.hot else ""
    stage = lead.stage or "no stage"
    return f"{stage}, cycle {lead.cycle} {lead.cycle_kind}{hot}, facts: {len(lead.facts)}"


def versions_now() -> dict[str, int]:
    """Return the read models and their versions."""
    return {name: int(n) for name, _, n in (one.partition("@") for one in VERSION.split())}


def projected(log: Log, database: Path) -> tuple[Rules, dict[str, str]]:
    """Return what judges *log*, and the digest of each read model of it.

    The log is put into a new event store in the file *database*.
    """
    store = log.store(database)
    try:
        rules = log.rules(store)
        runner = Runner(read_model_database(), store, rules)
        try:
            runner.catch_up()
            return rules, runner.digest()
        finally:
            runner.engine.dispose()
    finally:
        store.close()
