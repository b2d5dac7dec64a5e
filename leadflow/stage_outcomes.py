"""Where each type of event takes a lead, from each stage, under each pack: read off the table.

A row names the event, what must be known of the lead, and what follows. Whether a guard holds in a
case is told here once more, in the words of the case, so that a test can hold it against the
engine.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from domain.counts import ACTS, COUNTS
from domain.guards import CONTENT_FORMS, INTENT_FORMS
from domain.stages import CONTENT_ACTS, STAGES, Pack
from domain.vocabulary import FAMILY_OF, INTENT

OTHER_TYPE: Final = "any other type"
"""Stands for the types that no vocabulary knows."""

FORMS: Final = ("content", "newsletter", "contact", "demo", "pricing", "trial", "other")
EVENTS: Final = ("webinar", "trade_show", "seminar")


class Case(NamedTuple):
    """What the event says, who acts, and what is known of the lead before."""

    data: tuple[tuple[str, str], ...] = ()
    """Fields of the event."""
    actor: str = "prospect"
    """Who acts: the prospect, a rep for what sales say, or a machine."""
    known: frozenset[str] = frozenset()
    """Of ``KNOWN``."""

    @property
    def kind(self) -> str | None:
        """Return the field ``kind`` of the event."""
        return dict(self.data).get("kind")


KNOWN: Final[Mapping[str, str]] = {
    "scored": "good fit, in the band",
    "criteria": "enough criteria satisfied",
    "qualified": "called qualified before",
    "due": "the rest is over",
    "counted": "one act short of a count",
    "other_open": "another opportunity is open",
    "intent": "asked for sales before",
}
"""What may be known of a lead, in words."""


SAID_BY_SALES: Final = frozenset(
    type_
    for type_, family in FAMILY_OF.items()
    if family in ("qualification", "sales") or type_ == "prospect.added"
)
"""Types that a rep reports; the others are told of as acts of the prospect."""


class Outcome(NamedTuple):
    """What follows: the stages entered in turn, each with its rule, and the kind of a new cycle."""

    path: tuple[tuple[str, str], ...]
    opens: str | None = None


class Row(NamedTuple):
    """From these stages, this event takes a lead there."""

    types: tuple[str, ...]
    cases: tuple[Case, ...]
    """They differ in the fields of the event alone."""
    stages: tuple[str | None, ...]
    outcome: Outcome


def holds(guard: str | None, type_: str, case: Case) -> bool:
    """Return whether a guard of the table holds for a fact of *type_* in *case*."""
    person = case.actor in ("prospect", "unknown")
    known = case.known
    match guard:
        case None:
            return True
        case "by_person":
            return person
        case "content_without_intent":
            form = type_ == "form.submitted"
            return person and "intent" not in known and (not form or case.kind in CONTENT_FORMS)
        case "wake_up_due":
            return "due" in known and case.actor == "prospect"
        case "fit_and_engagement":
            return "scored" in known
        case "qualified_with_criteria":
            said = type_ == "lead.qualified" or "qualified" in known
            return said and "criteria" in known
        case "score_and_criteria":
            return "scored" in known and "criteria" in known
        case "no_other_open_opportunity":
            return "other_open" not in known
        case "shows_intent":
            return person and (type_ in INTENT or case.kind in INTENT_FORMS)
        case "qualified_act":
            kinds = [act.where for act in ACTS if type_ in act.types]
            return person and any(not where or case.kind in where[0][1] for where in kinds)
        case "acts_counted":
            counted = {type_ for one in COUNTS for type_ in one.act.types}
            return person and "counted" in known and type_ in counted
    raise ValueError(f"no case tells when {guard} holds")


def outcome(pack: Pack, type_: str, stage: str | None, case: Case) -> Outcome:
    """Return what follows from a fact of *type_* for a lead in *stage*, by the table of *pack*."""
    path: list[tuple[str, str]] = []
    opens = None
    candidates = pack.moves(type_, stage)
    while True:
        now = case
        if opens is not None:  # a new cycle knows nothing of what was said in the one before
            now = case._replace(known=case.known - {"criteria", "qualified"})
        move = next((one for one in candidates if holds(one.guard, type_, now)), None)
        if move is None:
            return Outcome(tuple(path), opens)
        opens = move.opens or opens
        path.append((move.to, move.rule))
        candidates = pack.moves(type_, move.to, move)


def cases(pack: Pack, type_: str) -> Iterator[Case]:
    """Yield the cases in which a fact of *type_* is told of."""
    kinds = {"form.submitted": FORMS, "event.attended": EVENTS}.get(type_)
    actor = _actor(type_)
    plain = [Case((("kind", kind),), actor) for kind in kinds] if kinds else [Case((), actor)]
    guards = {move.guard for stage in (None, *STAGES) for move in pack.moves(type_, stage)}
    for one in plain:
        yield one
        yield one._replace(known=frozenset(("scored",)))
        yield one._replace(known=frozenset(("due",)))
        if "acts_counted" in guards and type_ in {t for c in COUNTS for t in c.act.types}:
            yield one._replace(known=frozenset(("counted",)))
        if "score_and_criteria" in guards:
            yield one._replace(known=frozenset(("scored", "criteria")))
        if "qualified_with_criteria" in guards:
            yield one._replace(known=frozenset(("criteria",)))
            yield one._replace(known=frozenset(("criteria", "qualified")))
        if "no_other_open_opportunity" in guards:
            yield one._replace(known=frozenset(("other_open",)))
        if "content_without_intent" in guards and type_ in CONTENT_ACTS:
            yield one._replace(known=frozenset(("intent",)))
        if {"by_person", "shows_intent", "content_without_intent", "qualified_act"} & guards:
            yield one._replace(actor="machine")


Told = tuple[tuple[Case, ...], tuple[str | None, ...], Outcome]


def rows(pack: Pack) -> list[Row]:
    """Return what every type of event leads to under *pack*; alike types share their rows.

    A case of which nothing follows beyond what follows without it is left out.
    """
    alike: dict[tuple[Told, ...], list[str]] = {}
    for type_ in (*FAMILY_OF, OTHER_TYPE):
        alike.setdefault(_told(pack, type_), []).append(type_)
    return [
        Row(tuple(types), cases_, stages, found)
        for told, types in alike.items()
        for cases_, stages, found in told
    ]


def _told(pack: Pack, type_: str) -> tuple[Told, ...]:
    """Return the rows of one type; cases that differ in the event's fields alone share a row."""
    found: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases(pack, type_):
        plain = case._replace(known=frozenset(), actor=_actor(type_))
        groups: dict[Outcome, list[str | None]] = {}
        for stage in (None, *STAGES):
            follows = outcome(pack, type_, stage, case)
            usual = Outcome(()) if case == plain else outcome(pack, type_, stage, plain)
            if follows != usual:
                groups.setdefault(follows, []).append(stage)
        for follows, stages in groups.items():
            key = (case.actor, case.known, tuple(stages), follows)
            found.setdefault(key, []).append(case)
    return tuple((tuple(alike), key[2], key[3]) for key, alike in found.items())


def _actor(type_: str) -> str:
    return "rep" if type_ in SAID_BY_SALES else "prospect"


def case_words(cases_: tuple[Case, ...]) -> str:
    """Return cases that share a row in words; nothing for the plain one."""
    one = cases_[0]
    parts = []
    if one.data:
        values = [value for case in cases_ for _, value in case.data]
        parts.append(f"{one.data[0][0]} {', '.join(values)}")
    if one.actor == "machine":
        parts.append("by a machine")
    parts += [words for name, words in KNOWN.items() if name in one.known]
    return "; ".join(parts)


def outcome_words(found: Outcome) -> str:
    """Return an outcome in words: each stage with its rule."""
    path = ", then ".join(f"`{stage}` by `{rule}`" for stage, rule in found.path)
    return (path or "nothing") + (f"; new cycle: {found.opens}" if found.opens else "")
