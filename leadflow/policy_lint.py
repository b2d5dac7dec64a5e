"""What a valid policy says in vain: rules that never fire, stages that no lead can enter.

``policy_checks`` refuses what makes no sense; here every finding is a warning, since the policy
works, though hardly as its author meant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from consumers.contract import schema
from consumers.registry import TYPES
from domain.counts import Act, Count
from domain.policy import POINT, EngagementRule, FitRule, Policy, Scalar
from domain.qualification import plain_name
from domain.scoring import has_word
from domain.stages import STAGES, Move
from domain.vocabulary import INTENT, LEADLESS
from leadflow.policy_checks import UNSEEN, Finding, Path, closest, decimal_of, key_of, shown
from leadflow.policy_document import FULL, Document

BY_PERSONS: Final = INTENT | {
    "form.submitted",
    "ad_lead.received",
    "page.viewed",
    "content.downloaded",
    "content.opened",
    "trial.started",
    "feature.used",
    "email.opened",
    "email.clicked",
    "email.replied",
    "email.complained",
    "email.unsubscribed",
    "sms.replied",
    "survey.answered",
}
"""What only the person does, or a machine that is taken for it."""

BY_REPS: Final = frozenset(
    {
        "email.sent",
        "sms.sent",
        "note.added",
        "prospect.added",
        "lead.accepted",
        "lead.rejected",
        "lead.qualified",
        "lead.disqualified",
        "lead.recycled",
        "lead.reopened",
        "lead.assigned",
        "lead.unassigned",
        "opportunity.created",
        "opportunity.changed",
    }
)
"""What only sales and marketing do."""

Conditions = Sequence[tuple[str, tuple[Scalar, ...]]]


def lint(document: Document, policy: Policy) -> list[Finding]:
    """Return what *policy*, which was made of *document*, says in vain."""
    return [_warning(*found) for found in _findings(document, policy)]


class _Found(NamedTuple):
    path: Path
    value: Any
    """None: there is none to show."""
    problem: str
    mend: str


def _warning(path: Path, value: Any, problem: str, mend: str) -> Finding:
    return Finding(path, None if value is None else shown(value), problem, mend, warning=True)


def _findings(document: Document, policy: Policy) -> Iterator[_Found]:
    if document.owner is None:
        problem = "is missing: nobody is named who answers for the policy"
        yield _Found(("owner",), None, problem, 'add owner = "marketing operations"')
    fits = {rule.name: ("fit", "rules", n) for n, rule in enumerate(document.fit_rules)}
    acts = {
        rule.name: ("engagement", "rules", n) for n, rule in enumerate(document.engagement_rules)
    }
    for rule in policy.fit_rules:
        yield from _fit_in_vain(fits[rule.name], rule)
    yield from _fit_twice([(fits[rule.name], rule) for rule in policy.fit_rules])
    for act in policy.engagement_rules:
        path = acts[act.name]
        yield from _never(path, act.types, [*act.where, *act.contains], act.where, act.contains)
        yield from _nobody(path, act)
        yield from _capped(path, act, policy)
        yield from _too_many(path, act.types, act.distinct, act.count)
    yield from _twice([(acts[act.name], act) for act in policy.engagement_rules])
    yield from _groups(policy)
    for key, entries in (("acts", document.acts), ("counts", document.counts)):
        chosen: Sequence[Act | Count] = policy.acts if key == "acts" else policy.counts
        for n, one in enumerate(chosen if entries is not None else ()):
            what = one.act if isinstance(one, Count) else one
            yield from _never(("stages", key, n), what.types, what.where, what.where, ())
            if isinstance(one, Count):
                yield from _too_many(("stages", key, n), what.types, one.distinct, one.count)
    yield from _stages(policy)
    yield from _frameworks(policy)


# --- fit ----------------------------------------------------------------------------------------


def _fit_in_vain(path: Path, rule: FitRule) -> Iterator[_Found]:
    """Yield words and sizes of one rule that can never be the one worth most."""
    for word, points in rule.contains:
        for other, worth in rule.contains:
            if other != word and worth > points and has_word(word, other):
                problem = f'can never count: whatever contains it contains "{other}", worth more'
                mend = f'take it out, or give it more than "{other}"'
                yield _Found((*path, "contains", word), points // POINT, problem, mend)
                break
    for n, (size, points) in enumerate(rule.at_least):
        most = max((worth for _, worth in rule.at_least[:n]), default=points)
        if points < most:
            problem = f"can never count: a smaller step gives {decimal_of(most)}"
            mend = f"take it out, or give it more than {decimal_of(most)}"
            yield _Found((*path, "at_least", str(size)), points // POINT, problem, mend)


def _fit_twice(rules: Sequence[tuple[Path, FitRule]]) -> Iterator[_Found]:
    """Yield values that two rules look for in one attribute, and both count."""
    seen: dict[tuple[str, str, str], Path] = {}
    for path, rule in rules:
        texts = [("points", text) for text in rule.points]
        texts += [("contains", word) for word, _ in rule.contains]
        texts += [("at_least", str(size)) for size, _ in rule.at_least]
        for key, text in texts:
            first = seen.setdefault((rule.attribute, key, text), path)
            if first != path:
                problem = f"stands in {key_of(first)} too, and both count"
                yield _Found((*path, key, text), None, problem, "take one of them out")


# --- engagement ---------------------------------------------------------------------------------


class _Field(NamedTuple):
    """What a field of the vocabulary can hold."""

    kinds: frozenset[str]
    """JSON types."""
    values: tuple[Scalar, ...]
    """Those allowed; empty where any is."""
    private: bool
    """Kept apart as personal: rules do not see it."""
    converted: bool
    """Stored in another form than it is sent in: an instant, a day, an amount."""


@cache
def _fields(type_: str) -> Mapping[str, _Field]:
    """Return the fields of a type of the vocabulary that are its own."""
    kind = TYPES[type_]
    data = schema(type_)["properties"]["data"]
    data = data["anyOf"][0] if "anyOf" in data else data
    found = {}
    for name, shape in data["properties"].items():
        if name in UNSEEN:
            continue
        choices = shape.get("anyOf", [shape])
        kinds = {choice["type"] for choice in choices if isinstance(choice.get("type"), str)}
        values = [value for choice in choices for value in choice.get("enum", ())]
        found[name] = _Field(
            frozenset(kinds - {"null"}),
            tuple(values),
            name in kind.private,
            name in (*kind.instants, *kind.days) or (kind.money and name == "amount"),
        )
    return found


def _never(
    path: Path,
    types: Sequence[str],
    asked: Iterable[tuple[str, Any]],
    where: Conditions,
    contains: Sequence[tuple[str, tuple[str, ...]]],
) -> Iterator[_Found]:
    """Yield conditions that no event of *types* can meet, so that a rule never fires."""
    for n, type_ in enumerate(types):
        if type_ in LEADLESS:
            problem = "belongs to no lead, so the rule can never fire for it"
            yield _Found((*path, "types", n), type_, problem, "take it out")
    known = [_fields(type_) for type_ in types if type_ in TYPES]
    if not known or len(known) < len(types):
        return  # a type of the user's own may hold anything
    words = " or ".join(types)
    of_name = {name: [of[name] for of in known if name in of] for name, _ in asked}
    for name, values in where:
        fields = of_name[name]
        here: Path = (*path, "where", name)
        yield from _unknown(here, name, known, words)
        if fields and all(field.private for field in fields):
            problem = "is kept apart as personal, where rules do not see it: it can never fire"
            yield _Found(here, None, problem, "ask another field, such as kind")
            continue
        if not fields or len(fields) < len(known) or any(field.converted for field in fields):
            continue
        for value in values:
            if not any(_holds(field, value) for field in fields):
                yield _Found(here, value, *_no_value(name, value, fields, words))
    for name, parts in contains:
        fields = of_name[name]
        here = (*path, "contains", name)
        yield from _unknown(here, name, known, words)
        if fields and all(field.private for field in fields):
            problem = "is kept apart as personal, where rules do not see it: it can never fire"
            yield _Found(here, None, problem, "ask another field, such as url")
        required = dict(where).get(name)
        if required and not any(part in str(one).lower() for part in parts for one in required):
            problem = "asks for a word that none of the values under where has: it can never fire"
            yield _Found(here, list(parts), problem, "take out one of them")


def _unknown(
    path: Path, name: str, known: Sequence[Mapping[str, _Field]], words: str
) -> Iterator[_Found]:
    """Yield a field that no type has, where one has a name much like it."""
    names = {other for of in known for other in of}
    near = closest(name, names) if name not in names else None
    if near is not None:
        yield _Found(path, None, f"is not a field of {words}", f"write {near}")


def _holds(field: _Field, value: Scalar) -> bool:
    if field.values:
        return value in field.values
    if isinstance(value, bool):
        return "boolean" in field.kinds
    if isinstance(value, int):
        return bool(field.kinds & {"integer", "number"})
    return "string" in field.kinds


def _no_value(name: str, value: Scalar, fields: Sequence[_Field], words: str) -> tuple[str, str]:
    """Return why *value* can never be there, and what to write."""
    values = sorted({str(one) for field in fields for one in field.values})
    if values:
        near = closest(str(value), values)
        mend = f'write "{near}"' if near else "write one of " + ", ".join(values)
        return f"is never the {name} of {words}", mend
    kinds = {kind for field in fields for kind in field.kinds}
    if kinds == {"boolean"}:
        return f"is not what {name} of {words} holds, true or false", "write true or false"
    return f"is never the {name} of {words}, which is another kind of value", (
        "write it as the events send it"
    )


def _nobody(path: Path, rule: EngagementRule) -> Iterator[_Found]:
    """Yield actors of whom none does what the rule counts."""
    for actor, types, others in (("rep", BY_PERSONS, "prospect"), ("prospect", BY_REPS, "rep")):
        if set(rule.actors) == {actor} and set(rule.types) <= types:
            problem = f"never does that, only a {others} does: the rule can never fire"
            mend = f'write actors = ["{others}", "unknown"]'
            yield _Found((*path, "actors"), actor, problem, mend)


def _capped(path: Path, rule: EngagementRule, policy: Policy) -> Iterator[_Found]:
    """Yield a cap that never cuts anything, and acts that each reach the cap of a whole day."""
    group = policy.group_caps.get(rule.group, FULL)
    if rule.points > 0 and rule.cap is not None and rule.cap > group:
        problem = f"is never reached: the group {rule.group} counts {decimal_of(group)} at most"
        mend = f"take it out, or write cap = {decimal_of(group)}"
        yield _Found((*path, "cap"), _points(rule.cap), problem, mend)
    if policy.day_cap is not None and rule.points > policy.day_cap:
        cap = decimal_of(policy.day_cap)
        problem = f"is more than all acts of a day can earn, which is {cap}"
        mend = f"raise engagement.day_cap, or write points = {cap}"
        yield _Found((*path, "points"), _points(rule.points), problem, mend)


def _too_many(
    path: Path, types: Sequence[str], distinct: str | None, count: int
) -> Iterator[_Found]:
    """Yield a count of different values that is larger than there are values."""
    if distinct is None or not all(type_ in TYPES for type_ in types):
        return
    values: set[Scalar] = set()
    for type_ in types:
        field = _fields(type_).get(distinct)
        if field is None or not field.values:
            return
        values |= set(field.values)
    if count > len(values):
        problem = f"is never reached: {distinct} has {len(values)} values"
        yield _Found((*path, "count"), count, problem, f"write count = {len(values)}")


def _twice(rules: Sequence[tuple[Path, EngagementRule]]) -> Iterator[_Found]:
    """Yield rules that fire on exactly the events of another."""
    seen: dict[Any, Path] = {}
    for path, rule in rules:
        fires = (
            frozenset(rule.types),
            frozenset((name, frozenset(values)) for name, values in rule.where),
            frozenset((name, frozenset(values)) for name, values in rule.unless),
            frozenset((name, frozenset(words)) for name, words in rule.contains),
            frozenset(rule.actors),
            (rule.once, rule.count, rule.within, rule.distinct, rule.absent),
        )
        first = seen.setdefault(fires, path)
        if first != path:
            problem = f"fires on exactly the events of {key_of(first)}, and both count"
            yield _Found(path, rule.name, problem, "make them one rule, or tell them apart")


def _groups(policy: Policy) -> Iterator[_Found]:
    used = {rule.group for rule in policy.engagement_rules}
    for group in policy.group_caps:
        if group not in used:
            mend = f'take it out, or give a rule group = "{group}"'
            yield _Found(("engagement", "groups", group), None, "is a group without rules", mend)


# --- stages -------------------------------------------------------------------------------------


def _stages(policy: Policy) -> Iterator[_Found]:
    """Yield the stages that the pack knows a way into, and this policy does not."""
    if policy.auto_advance and not policy.mql_engagement:
        problem = "is reached without doing anything"
        yield _Found(("stages", "mql", "engagement"), 0, problem, "write engagement = 50")
    blocked = {move.guard for move in policy.pack.table if not _can_hold(move.guard, policy)}
    table = policy.pack.table
    meant = _reached(table, policy)
    possible = _reached([move for move in table if move.guard not in blocked], policy)
    for stage in STAGES:
        if stage in meant - possible:
            why = " and ".join(_WHY[guard] for guard in sorted(filter(None, blocked)))
            problem = f"is a stage that no lead can enter on its way: {why}"
            yield _Found(("stages", "pack"), stage, problem, "mend that, or choose another pack")


def _reached(table: Iterable[Move], policy: Policy) -> set[str]:
    """Return the stages that a new lead can come into within its first cycle."""
    moves = [
        move for move in table if not move.opens and (policy.auto_advance or not move.automatic)
    ]
    reached: set[str | None] = {None}
    while fresh := {move.to for move in moves if move.after & reached} - reached:
        reached |= fresh
    return {stage for stage in reached if stage is not None}


_WHY: Final = {
    "fit_and_engagement": "fit and engagement cannot reach what mql asks",
    "score_and_criteria": "fit and engagement cannot reach what mql asks",
    "qualified_act": "none of the acts can happen",
    "acts_counted": "none of the counts can be reached",
}


def _can_hold(guard: str | None, policy: Policy) -> bool:
    match guard:
        case "fit_and_engagement" | "score_and_criteria":
            return policy.mql_fit <= most_fit(policy) and policy.mql_engagement <= most(policy)
        case "qualified_act":
            return any(_happens(act) for act in policy.acts)
        case "acts_counted":
            return any(_happens(one.act) for one in policy.counts)
        case _:
            return True


def _happens(act: Act) -> bool:
    return not any(_never((), act.types, act.where, act.where, ()))


def most_fit(policy: Policy) -> int:
    """Return the micro-points of fit that a person can have at most."""
    return min(
        FULL,
        sum(
            max(
                0,
                rule.satisfied,
                *rule.points.values(),
                *(points for _, points in (*rule.contains, *rule.at_least)),
            )
            for rule in policy.fit_rules
        ),
    )


def most(policy: Policy) -> int:
    """Return the micro-points of engagement that a lead can have at most."""
    groups: dict[str, list[int | None]] = {}
    for rule in policy.engagement_rules:
        if rule.points > 0:
            groups.setdefault(rule.group, []).append(rule.cap)
    total = 0
    for group, caps in groups.items():
        cap = policy.group_caps.get(group, FULL)
        known = [one for one in caps if one is not None]
        total += min(cap, sum(known)) if len(known) == len(caps) else cap
    return min(FULL, total)


# --- qualification ------------------------------------------------------------------------------


def _frameworks(policy: Policy) -> Iterator[_Found]:
    """Yield frameworks that nobody asks, and names that stand for two criteria."""
    table = policy.document.get("qualification", {})
    for name, framework in table.get("frameworks", {}).items():
        path: Path = ("qualification", "frameworks", name)
        if name != policy.framework.name:
            mend = f'write framework = "{name}" under [qualification], or take it out'
            yield _Found(path, None, "is a framework that this policy does not ask", mend)
        seen: dict[str | None, str] = {}
        for alias, criterion in framework.get("aliases", {}).items():
            first = seen.setdefault(plain_name(alias), alias)
            if first != alias:
                problem = f'is read as "{first}" is, which stands for another name: one is lost'
                if framework["aliases"][first] == criterion:
                    problem = f'is read as "{first}" is'
                yield _Found((*path, "aliases", alias), criterion, problem, "keep one of them")


def _points(micro_points: int) -> int | float:
    return micro_points // POINT if micro_points % POINT == 0 else micro_points / POINT
