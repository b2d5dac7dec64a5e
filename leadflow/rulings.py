"""What people say about who is who: two leads are one person, or they are not.

A ruling is an event like any other, ``lead.merged`` or ``lead.unmerged``, and goes the way of all
events: nothing is changed in place. Of several rulings on the same two identifiers the latest
holds, so a ruling is taken back by its opposite.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Connection, or_, select

from consumers.contract import parse
from consumers.unpack import Record
from domain.corrections import VOIDED, corrections
from domain.events import FACT_TOPIC, Fact, Identifier, OrderKey, canonical
from domain.groups import anchored
from domain.identity import MERGED, RULINGS, UNMERGED, lead_id, others_of, precedence
from domain.policy import Policy
from leadflow.dossier import LeadUnknown
from leadflow.duplicates import Person, people_of
from leadflow.instants import rfc3339
from leadflow.lead_keys import HOW, KeyUnclear, readings
from leadflow.store.codec import decode
from leadflow.store.tables import SCHEMA, events
from projections.people import people
from projections.pipeline import pipeline

if TYPE_CHECKING:
    from leadflow.app import App

SOURCE: Final = "/leadflow/rulings"
"""Names this program as the producer of rulings."""

Pair = tuple[Identifier, Identifier]
"""Two identifiers, the lesser first."""


class RulingRefused(Exception):
    """The ruling makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The latest word on two identifiers."""

    pair: Pair
    merged: bool
    """Whether they are one person's; else two persons'."""
    order: OrderKey
    by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a ruling led to."""

    changed: bool
    """False where it was so already."""
    events: tuple[tuple[str, str], ...]
    """Source and id of the events that were stored."""
    leads: tuple[Person, ...]
    """The leads afterwards: one if merged, else two."""


# --- what was ruled -----------------------------------------------------------------------------


def latest_rulings(facts: Iterable[Fact], policy: Policy) -> dict[Pair, Ruling]:
    """Return the latest ruling on each pair; voided ones do not count."""
    ordered = canonical(facts)
    voided = corrections(ordered).voided
    found: dict[Pair, Ruling] = {}
    for fact in ordered:
        if fact.type not in RULINGS or (fact.source, fact.id) in voided:
            continue
        for other in others_of(fact):
            keys = anchored(fact, policy)
            if not keys or keys[0] == other:
                continue
            pair = pair_of(keys[0], other)
            reason = fact.get("reason")
            merged = fact.type == MERGED
            found[pair] = Ruling(pair, merged, fact.order, fact.actor_id, reason)
    return found


def pair_of(one: Identifier, other: Identifier) -> Pair:
    """Return the two, the lesser first."""
    return (one, other) if one <= other else (other, one)


def rulings(app: "App") -> dict[Pair, Ruling]:
    """Return the latest ruling on each pair in the whole log."""
    topics = [FACT_TOPIC + type_ for type_ in (*sorted(RULINGS), VOIDED)]
    query = select(events.c.topic, events.c.state).where(events.c.topic.in_(topics))
    schema = SCHEMA if app.engine.dialect.name == "postgresql" else None
    options: dict[str, Any] = {"schema_translate_map": {SCHEMA: schema}}
    with app.engine.execution_options(**options).connect() as connection:
        rows = connection.execute(query).all()
    found = (decode(topic, bytes(state)) for topic, state in rows)
    return latest_rulings((fact for fact in found if isinstance(fact, Fact)), app.rules.current)


def dismissed_pairs(
    said: Mapping[Pair, Ruling], everybody: Iterable[Person], policy: Policy
) -> dict[tuple[str, str], Ruling]:
    """Return the pairs of leads of which somebody said that they are two persons."""
    holders: dict[Identifier, list[Person]] = {}
    for person in everybody:
        for identifier in person.identifiers:
            holders.setdefault(identifier, []).append(person)

    def leads_of(identifier: Identifier) -> list[str]:
        found = holders.get(identifier, [])
        if len(found) > 1:
            # many have the switchboard's number; the one meant is known by nothing better
            weak = policy.weak_kinds
            bare = [one for one in found if all(kind in weak for kind, _ in one.identifiers)]
            found = bare or found
        return [one.lead for one in found]

    dismissed: dict[tuple[str, str], Ruling] = {}
    for ruling in sorted(said.values(), key=lambda ruling: ruling.order):
        for one in leads_of(ruling.pair[0]):
            for other in leads_of(ruling.pair[1]):
                pair = (min(one, other), max(one, other))
                if one != other and not ruling.merged:
                    dismissed[pair] = ruling
                else:
                    dismissed.pop(pair, None)
    return dismissed


# --- who is meant -------------------------------------------------------------------------------


def find(connection: Connection, key: str) -> tuple[Person, Identifier]:
    """Return the lead that *key* names, and the identifier of it that is meant.

    *key* is a lead id, also one by which the lead was known before a merge, or an identifier.
    Raises LeadUnknown and KeyUnclear.
    """
    key = key.strip()
    wanted = dict.fromkeys(readings(key))
    values = {key, *(value for _, value in wanted)}
    texts = [msgspec.json.encode(value).decode() for value in values]
    has = or_(*(people.c.identifiers.contains(text, autoescape=True) for text in texts))
    found = _named(people_of(connection, has), wanted, key)
    if not found:
        current = people_of(connection, pipeline.c.lead_id == key.lower())
        found = _by_id(current or people_of(connection), key.lower())
    if not found:
        raise LeadUnknown(f"no lead is known by {key!r}; {HOW}")
    if len({person.lead for person, _ in found}) > 1:
        ids = ", ".join(sorted({person.lead for person, _ in found})[:5])
        raise KeyUnclear(f"{key!r} fits several leads: {ids}; say which")
    return min(found, key=lambda pair: precedence(pair[1]))


def _named(
    candidates: Sequence[Person], wanted: Collection[Identifier], key: str
) -> list[tuple[Person, Identifier]]:
    exact = [
        (person, identifier)
        for person in candidates
        for identifier in person.identifiers
        if identifier in wanted
    ]
    if exact:
        return exact
    return [
        (person, identifier)
        for person in candidates
        for identifier in person.identifiers
        if identifier[1] == key
    ]


def _by_id(candidates: Sequence[Person], key: str) -> list[tuple[Person, Identifier]]:
    """Return the lead with an id, now or before it was merged."""
    every = [(person, one) for person in candidates for one in person.identifiers]
    known_by = [(person, one) for person, one in every if lead_id(one) == key]
    # of two parts of a family that are known by the same, one has another id
    named = [(person, one) for person, one in every if person.lead == key]
    return known_by[:1] or named[:1]


def strongest(person: Person, policy: Policy, *, taken: Collection[Identifier] = ()) -> Identifier:
    """Return the identifier to name a lead by: strong, its own, not among *taken* where it can be."""
    weak = policy.weak_kinds
    free = [one for one in person.identifiers if one not in taken] or person.identifiers
    return min(
        free, key=lambda one: (one[0] in weak, one[0].startswith("subject:"), precedence(one))
    )


# --- to rule ------------------------------------------------------------------------------------


def merge(app: "App", one: str, other: str, *, by: str | None, reason: str, now: int) -> Ruled:
    """Rule that two leads, named by any key, are one person.

    Raises LeadUnknown, KeyUnclear, RulingRefused, and what intake raises.
    """
    app.runner.catch_up()
    with app.connect() as connection:
        (mine, my_key), (yours, your_key) = find(connection, one), find(connection, other)
    if my_key == your_key:
        raise RulingRefused(f"{one} and {other} are the same: a lead cannot be merged with itself")
    if mine.lead == yours.lead:
        return Ruled(False, (), (mine,))
    apart = _between(rulings(app), mine, yours, merged=False)
    pairs = [ruling.pair for ruling in apart] or [_names_of(mine, yours, app.rules.current)]
    events = _rule(app, MERGED, pairs, by, reason, now, _after(apart, now))
    with app.connect() as connection:
        both = [
            one for one in _holders(connection, pairs[0]) if set(pairs[0]) <= {*one.identifiers}
        ]
    if not both:
        raise RulingRefused(
            f"{one} and {other} stay two leads: an earlier ruling keeps parts of them apart;"
            " `leadflow lead timeline` shows it"
        )
    return Ruled(True, events, tuple(both))


def dismiss(app: "App", one: str, other: str, *, by: str | None, reason: str, now: int) -> Ruled:
    """Rule that two leads, named by any key, are two persons, now and later.

    Raises LeadUnknown, KeyUnclear, RulingRefused, and what intake raises.
    """
    app.runner.catch_up()
    with app.connect() as connection:
        (mine, _), (yours, _) = find(connection, one), find(connection, other)
    if mine.lead == yours.lead:
        raise RulingRefused(
            f"{one} and {other} are one lead: `leadflow lead unmerge` makes two of it"
        )
    return _keep_apart(app, mine, yours, by, reason, now)


def _keep_apart(
    app: "App", mine: Person, yours: Person, by: str | None, reason: str, now: int
) -> Ruled:
    said = rulings(app)
    if _between(said, mine, yours, merged=False):
        return Ruled(False, (), (mine, yours))
    pairs = [_names_of(mine, yours, app.rules.current)]
    return Ruled(True, _rule(app, UNMERGED, pairs, by, reason, now, now), (mine, yours))


def unmerge(app: "App", one: str, other: str, *, by: str | None, reason: str, now: int) -> Ruled:
    """Rule that what became one lead is two persons; *one* and *other* name one thing of each.

    Where people had merged the two, their rulings are taken back; where events had joined them,
    the two identifiers are told apart. Raises LeadUnknown, KeyUnclear, RulingRefused, and what
    intake raises.
    """
    app.runner.catch_up()
    with app.connect() as connection:
        (mine, my_key), (yours, your_key) = find(connection, one), find(connection, other)
    if my_key == your_key:
        raise RulingRefused(f"{one} and {other} are the same; name an identifier of each person")
    if mine.lead != yours.lead:
        return _keep_apart(app, mine, yours, by, reason, now)
    facts = family(app, my_key)
    revoked = _joining(facts, app.rules.current, my_key, your_key)
    pairs = [ruling.pair for ruling in revoked] or [pair_of(my_key, your_key)]
    events = _rule(app, UNMERGED, pairs, by, reason, now, _after(revoked, now))
    with app.connect() as connection:
        found = _holders(connection, (my_key, your_key))
    # a number that both share is no sign of either
    mine_now = [lead for lead in found if my_key in lead.identifiers]
    yours_now = [lead for lead in found if your_key in lead.identifiers]
    mine_now.sort(key=lambda lead: your_key in lead.identifiers)
    yours_now.sort(key=lambda lead: my_key in lead.identifiers)
    if mine_now[0].lead == yours_now[0].lead:
        raise RulingRefused(
            f"{one} and {other} stand in the same events and cannot be told apart; the ruling is"
            " stored and holds for events to come"
        )
    return Ruled(True, events, (mine_now[0], yours_now[0]))


def family(app: "App", identifier: Identifier) -> list[Fact]:
    """Return all facts that are connected with *identifier*, in canonical order."""
    store = app.store
    stream = store.leads_of([identifier])[identifier]
    histories = store.histories([stream, *store.merged([stream])])
    return canonical(
        event for events in histories.values() for event in events if isinstance(event, Fact)
    )


def _joining(
    facts: Sequence[Fact], policy: Policy, one: Identifier, other: Identifier
) -> list[Ruling]:
    """Return the rulings to take back so that nothing ruled joins *one* and *other*.

    Empty where events themselves join them.
    """
    side = _sides(facts, policy)
    if side.get(one, one) == side.get(other, other):
        return []
    standing = [ruling for ruling in latest_rulings(facts, policy).values() if ruling.merged]
    revoked: list[Ruling] = []
    while path := _path(side, standing, side.get(one, one), side.get(other, other)):
        # of a chain, the link that was said last
        last = max(path, key=lambda ruling: ruling.order)
        standing.remove(last)
        revoked.append(last)
    return revoked


def _sides(facts: Sequence[Fact], policy: Policy) -> dict[Identifier, Identifier]:
    """Return each identifier's representative among those that events join without a ruling."""
    parent: dict[Identifier, Identifier] = {}

    def root(key: Identifier) -> Identifier:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for fact in facts:
        strong = [key for key in fact.keys if key[0] not in policy.weak_kinds]
        for key in strong or fact.keys[:1]:
            parent[root(key)] = root((strong or fact.keys)[0])
    return {key: root(key) for key in list(parent)}


def _path(
    side: Mapping[Identifier, Identifier],
    standing: Iterable[Ruling],
    start: Identifier,
    end: Identifier,
) -> list[Ruling]:
    """Return the rulings that lead from one side to the other, the fewest; [] where none do."""
    links: dict[Identifier, list[tuple[Identifier, Ruling]]] = {}
    for ruling in standing:
        a, b = (side.get(key, key) for key in ruling.pair)
        links.setdefault(a, []).append((b, ruling))
        links.setdefault(b, []).append((a, ruling))
    ways: dict[Identifier, list[Ruling]] = {start: []}
    waiting = [start]
    for place in waiting:
        for there, ruling in links.get(place, ()):
            if there not in ways:
                ways[there] = [*ways[place], ruling]
                waiting.append(there)
    return ways.get(end, [])


def _between(
    said: Mapping[Pair, Ruling], mine: Person, yours: Person, *, merged: bool
) -> list[Ruling]:
    """Return the latest rulings of one kind on identifiers of two leads."""
    found = []
    for ruling in said.values():
        one, other = ruling.pair
        if ruling.merged == merged and (
            (one in mine.identifiers and other in yours.identifiers)
            or (other in mine.identifiers and one in yours.identifiers)
        ):
            found.append(ruling)
    return found


def _names_of(mine: Person, yours: Person, policy: Policy) -> Pair:
    one = strongest(mine, policy, taken=yours.identifiers)
    other = strongest(yours, policy, taken=mine.identifiers)
    if one == other:
        raise RulingRefused(
            f"both leads are known by nothing but {one[0]} {one[1]}: no ruling can tell which is"
            " meant; wait for another identifier"
        )
    return pair_of(one, other)


def _after(standing: Iterable[Ruling], now: int) -> int:
    """Return an instant that comes after rulings that are taken back, even those dated ahead."""
    return max([now, *(ruling.order[0] + 1 for ruling in standing)])


def _rule(
    app: "App",
    type_: str,
    pairs: Sequence[Pair],
    by: str | None,
    reason: str,
    now: int,
    at: int,
) -> tuple[tuple[str, str], ...]:
    """Store a ruling on each of *pairs*, bring the read models up to date; return the events' ids."""
    made = [ruling_event(type_, pair, by=by, reason=reason, at=at) for pair in pairs]
    records = []
    for n, event in enumerate(made):
        value = json.dumps(event, ensure_ascii=False).encode()
        parse(value, (), now, clock=now)  # a reason that is too long is refused before it is stored
        records.append(Record(SOURCE, 0, n, now, None, value, ()))
    app.intake().process(records, {}, clock=now)
    app.runner.catch_up()
    return tuple((event["source"], event["id"]) for event in made)


def _holders(connection: Connection, pair: Pair) -> list[Person]:
    """Return the leads that are known by either identifier."""
    texts = [msgspec.json.encode(value).decode() for _, value in pair]
    has = or_(*(people.c.identifiers.contains(text, autoescape=True) for text in texts))
    return [one for one in people_of(connection, has) if not {*pair}.isdisjoint(one.identifiers)]


def ruling_event(type_: str, pair: Pair, *, by: str | None, reason: str, at: int) -> dict[str, Any]:
    """Return the event, as producers send it, of a ruling made at *at* (microseconds UTC).

    The first identifier of the pair that any source can say names the lead; only where both are
    subjects of a source is the event that source's own.
    """
    one, other = sorted(pair, key=lambda key: (key[0].startswith("subject:"), precedence(key)))
    kind, value = one
    said = "\x00".join((type_, *one, *other, by or "", reason, str(at)))
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"ruling-{sha256(said.encode()).hexdigest()[:32]}",
        "source": SOURCE,
        "type": type_,
        "time": rfc3339(at),
        "data": {
            "other": {"kind": other[0], "value": other[1]},
            "actor": {"kind": "rep"} | ({} if by is None else {"id": by}),
            "reason": reason,
        },
    }
    if kind.startswith("subject:"):
        event["source"], event["subject"] = kind.partition(":")[2], value
    elif kind.startswith("external:"):
        event["data"]["person"] = {"external_ids": {kind.partition(":")[2]: value}}
    else:
        event["data"]["person"] = {kind: value}
    return event
