"""Read a policy document, say what is wrong with it, and explain what it does.

The document is TOML for people; ``domain.policy.Policy`` is what the engine is given.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from domain.counts import ACTS, COUNTS, Act, Count
from domain.policy import (
    AccountRules,
    ConsentRules,
    Policy,
    RoleRule,
)
from domain.stages import PACKS
from leadflow.policy_checks import Finding, decimal_of, examine, key_of
from leadflow.policy_defaults import ACCOUNTS
from leadflow.policy_document import (
    SECOND,
    ActEntry,
    ConsentTable,
    Document,
)
from leadflow.policy_rules import choice, engagement_line, engagement_rule, fit_lines, fit_rule, row
from leadflow.policy_stages import stage_lines
from leadflow.toml_lines import key_lines, line_of

MAX_BYTES: Final = 1_048_576
"""A policy document is written by people; anything longer is some other file."""

_SYNTAX: Final = re.compile(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a policy document, and how to mend it."""

    line: int | None
    """Counted from 1; of the key, or of the table where a key is missing. None: no line."""
    key: str | None
    """Such as ``engagement.rules[3].points``, elements counted from 0; None: the whole file."""
    value: str | None
    """As the document writes it, shortened; None where there is none to show."""
    problem: str
    mend: str
    level: str = "error"
    """``error``: the policy is refused. ``warning``: it works, though hardly as meant."""
    column: int | None = None
    """Counted from 1; known for errors of syntax only."""

    def __str__(self) -> str:
        """Return one line without the file's name: place, value, problem, mend."""
        place = ":".join(str(part) for part in (self.line, self.column) if part is not None)
        words = " ".join(part for part in (self.value, self.problem) if part is not None)
        if self.level == "warning":
            words = f"warning: {words}"
        return ": ".join(part for part in (place, self.key, f"{words}; {self.mend}") if part)


class PolicyInvalid(Exception):
    """A policy document cannot be used; ``problems`` holds all that is wrong with it."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        super().__init__(path, problems)
        self.path = path
        self.problems = problems

    def __str__(self) -> str:
        """Return one line per problem: ``policy.toml:12: key: value problem; mend``."""
        return "\n".join(
            f"{self.path}:{problem}" if problem.line is not None else f"{self.path}: {problem}"
            for problem in self.problems
        )


def load_policy(path: Path | str | None = None) -> Policy:
    """Return the policy at *path*, or the default policy.

    Raise ``PolicyInvalid`` with every error when it cannot be read or is wrong; warnings are no
    reason to refuse it.
    """
    text, problems = _read(path)
    if text is None:
        raise PolicyInvalid(_name(path), problems)
    return parse_policy(text, _name(path))


def check_policy(path: Path | str | None = None) -> list[Problem]:
    """Return all problems of the policy at *path*, errors and warnings, by line.

    What a policy says in vain is looked for once nothing in it is wrong.
    """
    text, problems = _read(path)
    return problems if text is None else _parse(text, linted=True)[1]


def parse_policy(text: str, path: str = "policy.toml") -> Policy:
    """Return the policy that *text* describes; *path* is what errors call it.

    Raise ``PolicyInvalid`` with every error when it is wrong.
    """
    policy, problems = _parse(text)
    if policy is None:
        errors = [problem for problem in problems if problem.level == "error"]
        raise PolicyInvalid(path, errors)
    return policy


def policy_of(document: Mapping[str, Any], path: str = "policy") -> Policy:
    """Return the policy of a plain document, such as ``Policy.document`` read back from JSON.

    Raise ``PolicyInvalid``, without lines, when it is wrong.
    """
    checked, findings = examine(document)
    if checked is None:
        errors = [_problem(finding, None) for finding in findings if not finding.warning]
        raise PolicyInvalid(path, errors)
    return _policy(checked, document)


def version_of(document: Mapping[str, Any]) -> str:
    """Return name and content hash of a plain document: equal for equal content.

    The hash is the first 12 hex digits of SHA-256 over the document as JSON with sorted keys.
    """
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{document['name']}@{sha256(canonical.encode()).hexdigest()[:12]}"


# --- from text to policy -----------------------------------------------------------------------


def _name(path: Path | str | None) -> str:
    return "policy.toml" if path is None else str(path)


def _read(path: Path | str | None) -> tuple[str | None, list[Problem]]:
    """Return the text of the file, or None and why it cannot be had."""
    source = files("leadflow").joinpath("policy.toml") if path is None else Path(path)
    try:
        with source.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        mend = "give the path of a policy document, such as policy.toml"
        return None, [Problem(None, None, None, reason, mend)]
    if len(raw) > MAX_BYTES:
        reason = f"is longer than {MAX_BYTES:,} bytes, so it is no policy document"
        return None, [Problem(None, None, None, reason, "give the path of a policy document")]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return None, [Problem(line, None, None, "is not UTF-8", "save the file as UTF-8")]


def _parse(text: str, *, linted: bool = False) -> tuple[Policy | None, list[Problem]]:
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax_problem(str(error), text)]
    except (ValueError, RecursionError):
        # A whole number of thousands of digits, or brackets nested hundreds deep.
        reason = "holds a number or a nesting beyond what a policy can need"
        return None, [Problem(None, None, None, reason, "write it as policy.toml is written")]
    checked, findings = examine(raw)
    lines = key_lines(text)
    policy = None if checked is None else _policy(checked, _plain(raw))
    if linted and checked is not None and policy is not None:
        from leadflow.policy_lint import lint  # it asks the contract, which costs a while to import

        findings += lint(checked, policy)
    problems = [_problem(finding, lines) for finding in findings]
    problems.sort(key=lambda problem: problem.line or 0)
    return policy, problems


def _syntax_problem(message: str, text: str) -> Problem:
    last = max(1, len(text.splitlines()))
    found = _SYNTAX.match(message)
    words = found[1] if found else message
    line, column = (int(found[2]), int(found[3])) if found and found[2] else (last, None)
    problem = f"is not TOML: {words[:1].lower()}{words[1:]}"
    mend = "look at this line and the one before it for a missing quote, bracket or sign"
    return Problem(line, None, None, problem, mend, column=column)


def _problem(finding: Finding, lines: dict[str, int] | None) -> Problem:
    """Return *finding* with its line; *lines* is None where there is no text."""
    level = "warning" if finding.warning else "error"
    line = None if lines is None else line_of(lines, finding.path) or 1
    key = key_of(finding.path) or None
    return Problem(line, key, finding.value, finding.problem, finding.mend, level)


def _plain(value: Any) -> Any:
    """Return *value* in JSON types; decimals whole where they can be, else text without zeros."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        whole = int(value)
        return whole if whole == value else format(value.normalize(), "f")
    return value


def _policy(checked: Document, document: Mapping[str, Any]) -> Policy:
    stages, engagement = checked.stages, checked.engagement
    identity, machines = checked.identity, checked.machines
    return Policy(
        version=version_of(document),
        fit_rules=tuple(fit_rule(rule) for rule in checked.fit_rules if any(rule.worths)),
        engagement_rules=tuple(
            engagement_rule(rule, engagement)
            for rule in checked.engagement_rules
            if rule.points  # a rule worth nothing is for its readers; the engine need not see it
        ),
        group_caps=dict(engagement.groups),
        grades=_steps(checked.fit.grades),
        levels=_steps(engagement.levels),
        fit_weight=checked.weights.fit,
        engagement_weight=checked.weights.engagement,
        mql_grade=stages.mql.grade,
        mql_engagement=stages.mql.engagement,
        hysteresis=stages.hysteresis_percent,
        criteria_needed=stages.criteria_needed,
        auto_advance=stages.auto_advance,
        pack=PACKS[stages.pack],
        acts=ACTS if checked.acts is None else tuple(_act_of(one) for one in checked.acts),
        counts=COUNTS
        if checked.counts is None
        else tuple(
            Count(_act_of(one), one.count, one.within_days, one.distinct) for one in checked.counts
        ),
        framework=checked.framework,
        click_within=machines.click_seconds,
        burst_links=machines.burst_links if machines.burst_seconds else 0,
        burst_within=machines.burst_seconds,
        unique_kinds=frozenset(identity.unique),
        weak_kinds=frozenset(identity.weak),
        verified_email_is_unique=identity.verified_email_is_unique,
        parties=checked.parties.model_dump(),
        consent=_consent(checked.consent),
        accounts=_accounts(checked),
        day_cap=engagement.day_cap,
        document=document,
    )


def _consent(table: ConsentTable) -> ConsentRules:
    return ConsentRules(
        frozenset(purpose.strip().lower() for purpose in table.double_opt_in),
        tuple(dict.fromkeys(purpose.strip().lower() for purpose in table.unsubscribe_ends)),
        table.valid_months,
    )


def _accounts(checked: Document) -> AccountRules:
    table = checked.accounts
    if table is None:
        return ACCOUNTS
    return AccountRules(
        frozenset(domain.strip().lower() for domain in table.free_mail),
        tuple(RoleRule(one.role, frozenset(one.seniority), one.title) for one in checked.roles),
        tuple(dict.fromkeys(table.wanted)),
    )


def _act_of(entry: ActEntry) -> Act:
    return Act(entry.name, tuple(entry.types), tuple(entry.where.items()))


def _steps(steps: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(steps.items()))


# --- in words ----------------------------------------------------------------------------------


def render(policy: Policy) -> str:
    """Return what *policy* does as plain text: guards, thresholds, rules, half-lives and caps."""
    return "\n".join(_lines(policy)) + "\n"


def _lines(policy: Policy) -> Iterator[str]:
    yield f"Policy {policy.version}"
    yield f"Owned by {policy.document.get('owner', 'nobody that it names')}"
    yield ""
    yield "Stages"
    yield from stage_lines(policy)
    yield ""
    yield "Where data comes from"
    for party, shows in policy.parties.items():
        yield f"  {party:12} {_SHOWS[shows]}"
    yield ""
    yield "Consent"
    yield from _consent_lines(policy.consent)
    yield ""
    yield "Who is who"
    yield from _identity_lines(policy)
    yield ""
    yield "Machines: acts on mails that are taken for theirs"
    yield from _machine_lines(policy)
    yield ""
    yield "Accounts"
    yield from _account_lines(policy.accounts)
    yield ""
    yield "Grades"
    yield f"  fit          {_ladder(policy.grades)}"
    yield f"  engagement   {_ladder(policy.levels)}"
    yield f"  combined     {policy.fit_weight} % fit + {policy.engagement_weight} % engagement"
    yield ""
    yield "Fit: once per attribute, without decay"
    for rule in policy.fit_rules:
        yield from fit_lines(rule)
    yield ""
    yield "Engagement: each time, fading; what reps and machines do counts only where it says so"
    if policy.day_cap is not None:
        yield f"  one day, at most {decimal_of(policy.day_cap)}"
    for group, cap in policy.group_caps.items():
        yield f"  {group}, at most {decimal_of(cap)}"
        for act in policy.engagement_rules:
            if act.group == group:
                yield engagement_line(act)
    for entry in policy.document.get("engagement", {}).get("rules", ()):
        if entry["name"] not in {act.name for act in policy.engagement_rules}:
            yield row(0, f"{entry['name']}: {entry['note']}")


_SHOWS: Final = {
    "consent_proof": "needs consent with its proof",
    "legal_basis": "needs a legal basis",
    "none": "needs nothing",
}


def _consent_lines(rules: ConsentRules) -> Iterator[str]:
    waiting = ", ".join(sorted(rules.double_opt_in)) or "no purpose"
    yield f"  confirmed    by proof, before it counts: {waiting}"
    yield f"  unsubscribe  ends e-mail for {', '.join(rules.unsubscribe_ends) or 'no purpose'}"
    lasts = f"{rules.valid_months} months" if rules.valid_months else "until it is withdrawn"
    yield f"  holds        {lasts}"


def _identity_lines(policy: Policy) -> Iterator[str]:
    unique = ", ".join(sorted(policy.unique_kinds)) or "no kind"
    weak = ", ".join(sorted(policy.weak_kinds)) or "no kind"
    yield f"  unique       {unique}: different values are different people"
    yield f"  weak         {weak}: may be shared, so they join nobody whom something tells apart"
    apart = "are different people" if policy.verified_email_is_unique else "may be one person's"
    yield f"  verified     different e-mail addresses, both verified, {apart}"


def _machine_lines(policy: Policy) -> Iterator[str]:
    fast = f"opened or clicked less than {_seconds(policy.click_within)} after the delivery"
    yield f"  fast         {fast if policy.click_within else 'off'}"
    links = f"{policy.burst_links} links of one mail within {_seconds(policy.burst_within)}"
    yield f"  burst        {links if policy.burst_links else 'off'}"


def _seconds(time: int) -> str:
    return f"{time / SECOND:g} s"


def _account_lines(rules: AccountRules) -> Iterator[str]:
    yield f"  wanted       {', '.join(rules.wanted) or 'no role'}"
    for rule in rules.roles:
        asked = []
        if rule.seniority:
            asked.append(f"seniority {choice(tuple(sorted(rule.seniority)))}")
        if rule.title:
            asked.append(f"title with {choice(rule.title)}")
        yield f"  {rule.role:14} {', or '.join(asked)}"


def _ladder(steps: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{name} from {decimal_of(least)}" for name, least in steps)
