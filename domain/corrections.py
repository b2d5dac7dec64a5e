"""What counts of what was reported: voided facts do not, and actors may be other than was said.

Nothing is edited in place. A correction is a fact itself, and so is withdrawn by voiding it. What
a machine did to a mail shows only beside its other facts, so that verdict is a function of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from domain.events import Fact, judged_at
from domain.policy import Policy
from domain.vocabulary import ACTORS

if TYPE_CHECKING:
    from domain.book import Rules

FactId = tuple[str, str]
"""Source and id."""

VOIDED: Final = "event.voided"
RECLASSIFIED: Final = "event.reclassified"
CORRECTIONS: Final = frozenset((VOIDED, RECLASSIFIED))

CLICK: Final = "email.clicked"
DELIVERED: Final = "email.delivered"
OPENED: Final = "email.opened"
MAILS: Final = frozenset((CLICK, DELIVERED, OPENED))
"""The types that a verdict on machines looks at."""

FAST: Final = "fast_after_delivery"
BURST: Final = "burst_of_links"

_PERSON: Final = frozenset(("prospect", "unknown"))


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrections in force among some facts."""

    voided: Mapping[FactId, FactId] = field(default_factory=dict)
    """Facts that do not count, and the fact that says so."""
    actors: Mapping[FactId, tuple[str, FactId]] = field(default_factory=dict)
    """Facts whose actor is another than was reported: who it is, and the fact that says so."""

    def __bool__(self) -> bool:
        """Return whether anything is corrected."""
        return bool(self.voided or self.actors)

    def changed_to(self, other: "Corrections") -> frozenset[FactId]:
        """Return the facts that count otherwise under *other*."""
        voided = self.voided.keys() ^ other.voided.keys()
        return frozenset(voided) | {
            key
            for key in self.actors.keys() | other.actors.keys()
            if self.actors.get(key, (None,))[0] != other.actors.get(key, (None,))[0]
        }

    def as_actors(self) -> dict[FactId, str]:
        """Return the facts whose actor is corrected, and who it is."""
        return {key: actor for key, (actor, _) in self.actors.items()}


NOTHING: Final = Corrections()


def target_of(fact: Fact) -> FactId | None:
    """Return source and id of the fact that *fact* corrects; None where it corrects none.

    Nothing corrects itself.
    """
    if fact.type not in CORRECTIONS:
        return None
    source, id_ = fact.get("event_source"), fact.get("event_id")
    if not isinstance(source, str) or not isinstance(id_, str):
        return None
    return None if (source, id_) == (fact.source, fact.id) else (source, id_)


def corrections(facts: Sequence[Fact]) -> Corrections:
    """Return the corrections in force; *facts* in canonical order.

    A later correction may void an earlier one, never the other way round. A fact that is voided
    stays so until the voiding itself is voided; of several reclassifications the last one holds.
    """
    said = [fact for fact in facts if fact.type in CORRECTIONS]
    if not said:
        return NOTHING
    voided: dict[FactId, FactId] = {}
    actors: dict[FactId, tuple[str, FactId]] = {}
    done: set[FactId] = set()
    for fact in reversed(said):
        by = (fact.source, fact.id)
        done.add(by)
        target = target_of(fact)
        if target is None or by in voided or target in done:
            continue
        if fact.type == VOIDED:
            voided[target] = by
        else:
            kind = fact.get("actor_kind")
            if kind in ACTORS:
                actors.setdefault(target, (kind, by))
    return Corrections(voided, actors)


def machine_acts(facts: Iterable[Fact], rules: "Rules") -> dict[FactId, str]:
    """Return the mail acts that a machine did, though a person was reported, and the rule.

    ``fast_after_delivery``: opened or clicked less than ``policy.click_within`` microseconds after
    the message was delivered. ``burst_of_links``: ``policy.burst_links`` or more different links
    of one message within ``policy.burst_within`` microseconds. Facts without ``message`` are left
    alone. A message is judged by the policy of its last act. The order of *facts* does not matter.
    """
    mails: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.type in MAILS and isinstance(message := fact.get("message"), str):
            mails.setdefault(message, []).append(fact)
    found: dict[FactId, str] = {}
    for acts in mails.values():
        if len(acts) > 1:
            found.update(_machine_acts(acts, rules.at(max(map(judged_at, acts)))))
    return found


def _machine_acts(acts: list[Fact], policy: Policy) -> dict[FactId, str]:
    """Return what `machine_acts` does for the facts of one message."""
    # of equal instants the delivery comes first: what is sent on arrival is a machine's
    acts = sorted(acts, key=lambda fact: (fact.at, fact.type != DELIVERED))
    found: dict[FactId, str] = {}
    delivered: int | None = None
    for fact in acts:
        if fact.type == DELIVERED:
            delivered = fact.at
        elif (
            delivered is not None
            and fact.at - delivered < policy.click_within
            and fact.actor in _PERSON
        ):
            found[fact.source, fact.id] = FAST
    clicks = [fact for fact in acts if fact.type == CLICK and fact.actor in _PERSON]
    if policy.burst_links and len(clicks) >= policy.burst_links:
        for fact in _in_bursts(clicks, policy):
            found.setdefault((fact.source, fact.id), BURST)
    return found


def _in_bursts(clicks: Sequence[Fact], policy: Policy) -> Iterable[Fact]:
    """Yield the clicks that stand in a burst; *clicks* of one message by instant."""
    links: Counter[str] = Counter()
    first = told = 0
    for last, click in enumerate(clicks):
        if link := _link(click):
            links[link] += 1
        while click.at - clicks[first].at > policy.burst_within:
            if link := _link(clicks[first]):
                links[link] -= 1
                if not links[link]:
                    del links[link]
            first += 1
        if len(links) >= policy.burst_links:
            yield from clicks[max(first, told) : last + 1]
            told = last + 1


def _link(click: Fact) -> str | None:
    link = click.get("link")
    return link if isinstance(link, str) and link else None


def effective(facts: Sequence[Fact], rules: "Rules") -> list[Fact]:
    """Return the facts that count, as they count; *facts* in canonical order, and so the answer.

    Voided ones are left out; the others have the actor that the last correction names, else that
    of the verdict on machines, else their own.
    """
    found = corrections(facts)
    if found.voided:
        facts = [fact for fact in facts if (fact.source, fact.id) not in found.voided]
    actors = found.as_actors()
    judged = machine_acts((fact for fact in facts if fact.type in MAILS), rules)
    for key in judged:
        actors.setdefault(key, "machine")
    return with_actors(facts, actors)


def with_actors(facts: Sequence[Fact], actors: Mapping[FactId, str]) -> list[Fact]:
    """Return *facts* with the actor that *actors* names for some of them."""
    if not actors:
        return list(facts)
    return [
        fact
        if (actor := actors.get((fact.source, fact.id))) is None or actor == fact.actor
        else replace(fact, actor=actor)
        for fact in facts
    ]
