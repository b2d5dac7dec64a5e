"""What is wrong with a policy document, all of it at once.

``examine`` collects every problem, so that one reading mends them all. It knows keys and values;
lines, files and the ``Policy`` made of the document are the business of ``policies``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.policy import POINT
from domain.qualification import BANT, FRAMEWORKS, Framework
from domain.vocabulary import ACTORS, FAMILY_OF, TRAITS
from leadflow.policy_document import (
    FULL,
    AccountsTable,
    ActEntry,
    ConsentTable,
    CountEntry,
    Document,
    EngagementEntry,
    EngagementTable,
    FitEntry,
    FitTable,
    FrameworkEntry,
    IdentityTable,
    MachinesTable,
    PartiesTable,
    QualificationTable,
    RoleEntry,
    Root,
    Stages,
    Table,
    Weights,
)
from leadflow.policy_identity_checks import identity_remarks, identity_warnings, machine_remarks
from leadflow.policy_people_checks import account_remarks, account_warnings, consent_remarks
from leadflow.policy_score_checks import (
    criterion_remarks,
    fading_remarks,
    kind_remarks,
    kind_warnings,
)
from leadflow.policy_stage_checks import (
    Remark,
    entry_remarks,
    framework_of,
    framework_remarks,
    needed_remarks,
    stage_remarks,
    unknown_framework,
)

Path = tuple[str | int, ...]
"""Where a value stands: ``("engagement", "rules", 3, "points")``, elements counted from 0."""

UNSEEN: Final = frozenset({"person", "touch", "actor", "consent", "fields", "text"})
"""Blocks of an event and personal text: rules of engagement look at neither."""

_MISSING: Final = object()


class Finding(NamedTuple):
    """One thing that is wrong with a document, by key."""

    path: Path
    value: str | None
    """The value as a document would write it, shortened; None where there is none to show."""
    problem: str
    mend: str
    warning: bool = False
    """True where the policy works, though hardly as its author meant."""


def shown(value: object) -> str:
    """Return *value* as a document would write it, at most 60 characters."""
    number = isinstance(value, Decimal)
    text = str(value) if number else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of *words* that *word* was probably meant to be, or None."""
    found = get_close_matches(word.lower(), list(words), 1, 0.6)
    return found[0] if found else None


AnyTable = TypeVar("AnyTable", bound=Table)
AnyRule = TypeVar("AnyRule", FitEntry, EngagementEntry, RoleEntry)
AnyAct = TypeVar("AnyAct", ActEntry, CountEntry)


def examine(raw: Mapping[str, Any]) -> tuple[Document | None, list[Finding]]:
    """Return the checked document, None when something is wrong, and all findings by key."""
    return _Examination(raw).result()


class _Examination:
    """The tables that could be read, and what was found on the way."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.findings: list[Finding] = []
        self.raw = raw
        self.root = self._read(Root, raw, ())
        self.stages = self._read(Stages, raw.get("stages", _MISSING), ("stages",))
        self.weights = self._read(Weights, raw.get("weights", _MISSING), ("weights",))
        self.fit = self._read(FitTable, raw.get("fit", _MISSING), ("fit",))
        self.engagement = self._read(
            EngagementTable, raw.get("engagement", _MISSING), ("engagement",)
        )
        self.fit_rules = list(self._rules(FitEntry, "fit"))
        self.engagement_rules = list(self._rules(EngagementEntry, "engagement"))
        self.acts = self._acts(ActEntry, "acts")
        self.counts = self._acts(CountEntry, "counts")
        self.framework = self._framework()
        self.parties = self._read(PartiesTable, raw.get("parties", {}), ("parties",))
        self.consent = self._read(ConsentTable, raw.get("consent", {}), ("consent",))
        self.identity = self._read(IdentityTable, raw.get("identity", {}), ("identity",))
        self.machines = self._read(MachinesTable, raw.get("machines", {}), ("machines",))
        self.accounts = self._read(AccountsTable, raw.get("accounts", _MISSING), ("accounts",))
        self.roles = list(self._rules(RoleEntry, "accounts", "roles"))

    def result(self) -> tuple[Document | None, list[Finding]]:
        """Check across the tables and return what ``examine`` returns."""
        self._check_names()
        self._check_thresholds()
        if self.stages:
            self._remark(*stage_remarks(self.stages, self.raw["stages"]))
            if self.framework:
                self._remark(*needed_remarks(self.stages.criteria_needed, self.framework))
        self._check_people()
        for path, fit_rule in self.fit_rules:
            self._check_fit_rule(path, fit_rule)
        for path, rule in self.engagement_rules:
            self._check_engagement_rule(path, rule)
        if any(not finding.warning for finding in self.findings) or not (
            self.root and self.stages and self.weights and self.fit and self.engagement
        ):
            return None, self.findings
        self._check_reach(self.stages, self.fit, self.engagement)
        document = Document(
            self.root.name,
            self.stages,
            self.weights,
            self.fit,
            tuple(rule for _, rule in self.fit_rules),
            self.engagement,
            tuple(rule for _, rule in self.engagement_rules),
            self.framework or BANT,
            self.acts,
            self.counts,
            self.parties or PartiesTable(),
            self.consent or ConsentTable(),
            self.accounts,
            tuple(rule for _, rule in self.roles),
            self.identity or IdentityTable(),
            self.machines or MachinesTable(),
            self.root.owner,
        )
        return document, self.findings

    def _remark(self, *remarks: Remark) -> None:
        for path, value, problem, mend in remarks:
            self._say(path, _MISSING if value is None else value, problem, mend)

    def _check_people(self) -> None:
        if self.consent:
            self._remark(*consent_remarks(self.consent))
        if self.identity:
            self._remark(*identity_remarks(self.identity, self.raw.get("identity", {})))
            for path, value, problem, mend in identity_warnings(self.identity):
                self._warn(path, value, problem, mend)
        if self.machines:
            self._remark(*machine_remarks(self.machines))
        roles = [rule for _, rule in self.roles]
        if self.accounts and len(roles) == len(self.accounts.roles):
            self._remark(*account_remarks(self.accounts, roles))
            for path, value, problem, mend in account_warnings(self.accounts, roles):
                self._warn(path, value, problem, mend)

    def _acts(self, model: type[AnyAct], key: str) -> tuple[AnyAct, ...] | None:
        """Return the acts or counts of the stages; None where the document names none."""
        listed = getattr(self.stages, key, None)
        if listed is None:
            return None
        found: list[AnyAct] = []
        for n, raw in enumerate(listed):
            path = ("stages", key, n)
            entry = self._read(model, raw, path)
            if entry is not None:
                self._remark(*entry_remarks(path, entry))
                found.append(entry)
        return tuple(found)

    def _framework(self) -> Framework | None:
        """Return the framework whose criteria are counted; None where it is wrong."""
        key = "qualification"
        table = self._read(QualificationTable, self.raw.get(key, _MISSING), (key,))
        if table is None:
            return None if key in self.raw else BANT
        known = dict(FRAMEWORKS)
        for name, raw in table.frameworks.items():
            entry = self._read(FrameworkEntry, raw, (key, "frameworks", name))
            if entry is not None:
                self._remark(*framework_remarks(name, entry))
                known.setdefault(name, framework_of(name, entry))
        chosen = known.get(table.framework)
        if chosen is None and table.framework not in table.frameworks:
            self._remark(unknown_framework(table.framework, known))
        return chosen

    def _say(self, path: Path, value: object, problem: str, mend: str) -> None:
        text = None if value is _MISSING else shown(value)
        self.findings.append(Finding(path, text, problem, mend))

    def _warn(self, path: Path, value: object, problem: str, mend: str) -> None:
        self.findings.append(Finding(path, shown(value), problem, mend, warning=True))

    def _read(self, model: type[AnyTable], raw: object, path: Path) -> AnyTable | None:
        if raw is _MISSING:  # the reading of the root says so
            return None
        try:
            return model.model_validate(raw)
        except ValidationError as errors:
            found = [_finding(model, error, path) for error in errors.errors(include_url=False)]
            # A misspelt key is one mistake, not also the lack of the right one.
            meant = {(*one.path[:-1], one.mend) for one in found}
            self.findings += [
                one
                for one in found
                if one.problem != "is missing"
                or (*one.path[:-1], f"write {one.path[-1]}") not in meant
            ]
            return None

    def _rules(
        self, model: type[AnyRule], axis: str, key: str = "rules"
    ) -> Iterator[tuple[Path, AnyRule]]:
        table = self.raw.get(axis)
        rules = table.get(key) if isinstance(table, dict) else None
        for n, raw in enumerate(rules if isinstance(rules, list) else []):
            path = (axis, key, n)
            rule = self._read(model, raw, path)
            if rule is not None:
                yield path, rule

    def _check_names(self) -> None:
        seen: dict[str, Path] = {}
        named = [(path, rule.name) for path, rule in self.fit_rules]
        named += [(path, rule.name) for path, rule in self.engagement_rules]
        for path, name in named:
            if name in seen:
                other = key_of(seen[name])
                mend = "give each rule a name of its own"
                self._say((*path, "name"), name, f"is the name of {other} too", mend)
            seen.setdefault(name, path)

    def _check_thresholds(self) -> None:
        if self.weights and not self.weights.fit and not self.weights.engagement:
            self._say(
                ("weights", "engagement"),
                self.weights.engagement,
                "and fit = 0 leave the combined score empty",
                "write engagement = 100",
            )
        if self.fit:
            self._check_ladder(("fit", "grades"), self.fit.grades, "A, B, C")
        if self.engagement:
            given = self.raw["engagement"]
            self._remark(*fading_remarks(("engagement",), self.engagement, given))
            if not self.engagement.fades:
                where = ("engagement", "half_life_days")
                self._say(where, _MISSING, "is missing", "add half_life_days = 30")
            self._check_ladder(("engagement", "levels"), self.engagement.levels, "1, 2, 3")
        if self.stages and self.fit and self.stages.mql.grade not in self.fit.grades:
            grade = self.stages.mql.grade
            mend = "write one of " + ", ".join(sorted(self.fit.grades))
            self._say(("stages", "mql", "grade"), grade, "is not a grade of fit.grades", mend)

    def _check_ladder(self, path: Path, steps: Mapping[str, int], names: str) -> None:
        """Check names from the best down, each with less points than the one before, down to 0."""
        ordered = sorted(steps)
        for name in ordered:
            if not (len(name) == 1 and (name.isupper() if names[0] == "A" else name.isdigit())):
                self._say((*path, name), _MISSING, "is not a name for a step", f"use {names}, ...")
        for better, worse in pairwise(ordered):
            if steps[worse] >= steps[better]:
                mend = f"write less than for {better}"
                where = (*path, worse)
                self._say(where, steps[worse] // POINT, f"is not below that of {better}", mend)
        if steps[ordered[-1]] != 0:
            last = ordered[-1]
            problem = "does not start at 0, so that a low score would have no place"
            self._say((*path, last), steps[last] // POINT, problem, f"write {last} = 0")

    def _check_fit_rule(self, path: Path, rule: FitEntry) -> None:
        self._remark(*criterion_remarks(path, rule, self.framework))
        if rule.attribute is not None and rule.attribute not in TRAITS:
            near = closest(rule.attribute, TRAITS)
            mend = f'write "{near}"' if near else "write one of " + ", ".join(sorted(TRAITS))
            self._say((*path, "attribute"), rule.attribute, "is not an attribute of a person", mend)
        if rule.criterion is not None or rule.is_number:
            if not any(rule.worths) and not rule.note:
                mend = "write what it is worth, or a note that says why it is worth nothing"
                self._say((*path, "points"), 0, "gives nothing", mend)
            return
        is_size = rule.attribute == "company.size"
        if is_size and (rule.points or rule.contains):
            key = "points" if rule.points else "contains"
            mend = "write at_least = { 200 = 30 }"
            self._say((*path, key), _MISSING, "cannot compare a number of employees", mend)
        if not is_size and rule.at_least:
            mend = "write points or contains instead"
            self._say((*path, "at_least"), _MISSING, "is for company.size only", mend)
        if not any(rule.worths) and not rule.note:
            keys = "at_least" if is_size else "points or contains"
            mend = f"add {keys}, or a note that says why, or take the rule out"
            self._say(path, rule.name, "gives no points, so it can never count", mend)
        for size in rule.at_least:
            if not (size.isascii() and size.isdigit()):
                mend = "write the least number of employees: 200 = 30"
                self._say((*path, "at_least", size), _MISSING, "is not a whole number", mend)
        for key, texts in (("points", rule.points), ("contains", rule.contains)):
            seen: dict[str, str] = {}
            for text in texts:
                if (other := seen.setdefault(text.strip().lower(), text)) is not text:
                    problem = f'is the same as "{other}", since case does not count'
                    self._say((*path, key, text), _MISSING, problem, "keep one of them")
                if not text.strip():
                    self._say((*path, key), text, "is a blank text", "write the word to look for")
        if rule.attribute in {"country", "company.country"}:
            for text in rule.points:
                if not (len(text) == 2 and text.isascii() and text.isalpha()):
                    mend = 'write the two letters of ISO 3166-1, such as "DE"'
                    self._say((*path, "points", text), _MISSING, "is not a country code", mend)

    def _check_engagement_rule(self, path: Path, rule: EngagementEntry) -> None:
        if not rule.types:
            mend = 'write types = ["page.viewed"], or take the rule out'
            self._say((*path, "types"), [], "is empty, so the rule can never fire", mend)
        for n, type_ in enumerate(rule.types):
            if type_ not in FAMILY_OF and not rule.custom:
                near = closest(type_, FAMILY_OF)
                own = "add custom = true if the type is your own"
                mend = f'write "{near}", or {own}' if near else own
                self._say((*path, "types", n), type_, "is not a type of the vocabulary", mend)
            elif type_ in rule.types[:n]:
                problem = "stands there twice, and would still count once only"
                self._say((*path, "types", n), type_, problem, "take it out")
        if not rule.actors:
            mend = "write one or more of " + ", ".join(ACTORS)
            self._say((*path, "actors"), [], "is empty, so the rule can never fire", mend)
        if rule.points == 0 and not rule.note:
            mend = "write what it is worth, or a note that says why it is worth nothing"
            self._say((*path, "points"), 0, "gives nothing", mend)
        self._check_group(path, rule)
        given = _at(self.raw, path)
        self._remark(*fading_remarks(path, rule, given), *kind_remarks(path, rule, given))
        for where, value, problem, mend in kind_warnings(path, rule, given):
            self._warn(where, value, problem, mend)
        for key, fields in (
            ("where", rule.where),
            ("unless", rule.unless),
            ("contains", rule.contains),
        ):
            for field in fields:
                self._check_field((*path, key, field), field, _MISSING)
        if rule.distinct is not None:
            self._check_field((*path, "distinct"), rule.distinct, rule.distinct)
        for field, values in rule.where.items():
            if set(values) <= set(rule.unless.get(field, ())):
                problem = "is refused by unless, so the rule can never fire"
                self._say((*path, "where", field), list(values), problem, "take out one of them")

    def _check_field(self, path: Path, field: str, value: object) -> None:
        """Check that a rule asks a field that it can see."""
        if "." in field:
            mend = f'write the field alone: "{field.rpartition(".")[2]}"'
            problem = "is a path, where only fields of the event's own data can be asked"
            self._say(path, value, problem, mend)
        elif field in UNSEEN:
            mend = "ask a field of the type instead, such as kind"
            self._say(path, value, "is a block or personal text, which rules do not see", mend)

    def _check_group(self, path: Path, rule: EngagementEntry) -> None:
        table = self.raw["engagement"].get("groups")
        groups = table if isinstance(table, dict) else {}
        if rule.group not in groups:
            near = closest(rule.group, groups)
            own = f"add {rule.group} = 30 to [engagement.groups]"
            mend = f'write "{near}", or {own}' if near else own
            self._say((*path, "group"), rule.group, "is not a group", mend)
        elif self.engagement and rule.points > self.engagement.groups[rule.group]:
            cap = decimal_of(self.engagement.groups[rule.group])
            problem = f"is more than its group {rule.group} can count, which is {cap}"
            mend = f"raise the group's cap, or write points = {cap}"
            self._warn((*path, "points"), _plain(rule.points), problem, mend)

    def _check_reach(self, stages: Stages, fit: FitTable, engagement: EngagementTable) -> None:
        """Warn of thresholds that no lead can reach, however good it is and much it does."""
        most_fit = min(FULL, sum(max(0, *rule.worths, 0) for _, rule in self.fit_rules))
        for grade, least in fit.grades.items():
            if least > most_fit:
                problem = f"is out of reach: all rules of fit give {decimal_of(most_fit)} at most"
                mend = "lower it, or give the rules more points"
                self._warn(("fit", "grades", grade), _plain(least), problem, mend)
        counted = {rule.group for _, rule in self.engagement_rules if rule.points > 0}
        most = min(FULL, sum(engagement.groups[group] for group in counted))
        mend = "lower it, or raise the caps of the groups"
        problem = f"is out of reach: the groups with rules count {decimal_of(most)} at most"
        if stages.mql.engagement > most:
            value = _plain(stages.mql.engagement)
            self._warn(("stages", "mql", "engagement"), value, problem, mend)
        for level, least in engagement.levels.items():
            if least > most:
                self._warn(("engagement", "levels", level), _plain(least), problem, mend)


# --- words -------------------------------------------------------------------------------------


def key_of(path: Path) -> str:
    """Return *path* as people write it: ``engagement.rules[3].points``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def decimal_of(micro_points: int) -> str:
    """Return micro-points as a decimal number of points, without trailing zeros."""
    whole, rest = divmod(abs(micro_points), POINT)
    sign = "-" if micro_points < 0 else ""
    return f"{sign}{whole}.{rest:06}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"


def _plain(micro_points: int) -> int | float:
    """Return points for showing."""
    return micro_points // POINT if micro_points % POINT == 0 else micro_points / POINT


def _finding(model: type[Table], error: ErrorDetails, path: Path) -> Finding:
    """Return what pydantic says of a table of *model* at *path* in our words."""
    loc = error["loc"]
    value = shown(error["input"])
    if not loc:
        return Finding(path, value, "is not a table", f"write [{key_of(path)}]")
    name = str(loc[-1] if isinstance(loc[-1], str) else loc[-2])
    owner = _owner(model, loc)
    where = (*path, *loc)
    match error["type"]:
        case "extra_forbidden":
            near = closest(name, owner.model_fields)
            mend = f"write {near}" if near else "known here: " + ", ".join(owner.model_fields)
            return Finding(where, None, "is not a known key", mend)
        case "missing" if model is Root and name != "name":
            mend = f"add a table [{name}], as the default policy has it"
            return Finding(where, None, "is missing", mend)
        case "missing":
            return Finding(where, None, "is missing", f"add {_example(owner, loc)}")
        case "dict_type" | "model_type":
            return Finding(where, value, "is not a table", f"write {_example(owner, loc)}")
        case kind:
            problem = _PROBLEMS.get(kind, "{msg}").format(msg=error["msg"], **error.get("ctx", {}))
            return Finding(where, value, problem, f"write {_example(owner, loc)}")


def _owner(model: type[Table], loc: Path) -> type[Table]:
    """Return the table in which the key at *loc* stands: *model* or a table within it."""
    field = model.model_fields.get(str(loc[0]))
    if field is not None and len(loc) > 1:
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Table):
                return kind
    return model


def _at(raw: Any, path: Path) -> Any:
    """Return what the document holds at *path*."""
    for part in path:
        raw = raw[part]
    return raw


_PROBLEMS: Final = {
    "int_type": "is not a whole number",
    "bool_type": "is not true or false",
    "string_type": "is not text",
    "list_type": "is not a list",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "string_pattern_mismatch": "is not made of a to z, 0 to 9, dot, dash and underscore, 64 at most",
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
    "literal_error": "is not one of {expected}",
}


def _example(model: type[Table], loc: Path) -> str:
    """Return a right value for the key at *loc* of a table of *model*, as a line of TOML."""
    names = [part for part in loc if isinstance(part, str)]
    field = model.model_fields.get(names[-1]) or model.model_fields[names[0]]
    (example,) = field.examples or [None]
    if names[-1] not in model.model_fields and isinstance(example, dict):
        example = next(iter(example.values()))
    return f"{names[-1]} = {_toml(example)}"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)
