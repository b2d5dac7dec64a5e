"""What is wrong in a policy, or said in vain, is told with line, key and a mend that works."""

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import pytest

from leadflow.policies import Problem, check_policy, load_policy

DEFAULT = files("leadflow").joinpath("policy.toml").read_text("utf-8")
RULES = "engagement.rules"
NAMES = [rule["name"] for rule in load_policy().document["engagement"]["rules"]]
LAST = len(NAMES)
"""The place of a rule that is added."""
FEATURE = NAMES.index("feature used")


class Mistake(NamedTuple):
    """The default policy with *old* replaced by *new*: what is said of it, and the mend."""

    old: str
    """Empty: *new* is added at the end."""
    new: str
    line: str
    """How the line begins that is to be named; the first such at or below the change."""
    key: str
    problem: str
    mend: str
    level: str = "error"
    above: bool = False
    """Whether the line is the last such above the change."""
    mended: tuple[str, str] | None = None
    """What in *new* to replace by what, as the mend says; None: the words of the mend are enough."""


def rule(*lines: str, name: str = "more", group: str = "web") -> str:
    head = f'\n[[engagement.rules]]\nname = "{name}"\ngroup = "{group}"\n'
    return head + "".join(f"{line}\n" for line in lines)


WARNING = "warning"
MISTAKES = {
    "a misspelt key": Mistake(
        "criteria_needed = 2",
        "criteria_neded = 2",
        "criteria_neded",
        "stages.criteria_neded",
        "is not a known key",
        "write criteria_needed",
    ),
    "a number in words": Mistake(
        "hysteresis_percent = 10",
        'hysteresis_percent = "ten"',
        "hysteresis_percent",
        "stages.hysteresis_percent",
        "is not a whole number",
        "write hysteresis_percent = 10",
    ),
    "a threshold beyond the scale": Mistake(
        "mql.engagement = 50",
        "mql.engagement = 150",
        "mql.engagement",
        "stages.mql.engagement",
        "is outside 0 to 100",
        "write engagement = 50",
        mended=("150", "50"),
    ),
    "a grade that is none": Mistake(
        'mql.grade = "C"',
        'mql.grade = "F"',
        "mql.grade",
        "stages.mql.grade",
        "is not a grade",
        "write one of A, B, C, D",
        mended=('"F"', '"A"'),
    ),
    "grades that do not fall": Mistake(
        "grades = { A = 75, B = 50",
        "grades = { A = 75, B = 80",
        "grades",
        "fit.grades.B",
        "is not below that of A",
        "write less than for A",
        mended=("80", "60"),
    ),
    "an attribute misspelt": Mistake(
        'attribute = "company.industry"',
        'attribute = "company.industri"',
        "attribute",
        "fit.rules[3].attribute",
        "is not an attribute of a person",
        'write "company.industry"',
    ),
    "a country in words": Mistake(
        "\nDE = 10",
        "\nGermany = 10",
        "Germany",
        "fit.rules[4].points.Germany",
        "is not a country code",
        'write the two letters of ISO 3166-1, such as "DE"',
        mended=("Germany", "DE"),
    ),
    "a type misspelt": Mistake(
        'types = ["feature.used"]',
        'types = ["feature.use"]',
        "types",
        f"{RULES}[{FEATURE}].types[0]",
        "is not a type of the vocabulary",
        'write "feature.used", or add custom = true',
    ),
    "a rule in no group": Mistake(
        'points = 2\ngroup = "product"',
        'points = 2\ngroup = "prodct"',
        "group",
        f"{RULES}[{FEATURE}].group",
        "is not a group",
        'write "product"',
    ),
    "points that are missing": Mistake(
        'points = 2\ngroup = "product"',
        'group = "product"',
        "[[engagement.rules]]",
        f"{RULES}[{FEATURE}].points",
        "is missing",
        "add points = 10",
        above=True,
    ),
    "an actor unknown": Mistake(
        "",
        rule('types = ["meeting.moved"]', "points = 2", 'actors = ["robot"]'),
        "actors",
        f"{RULES}[{LAST}].actors[0]",
        "is not one of",
        'write actors = ["prospect", "unknown"]',
    ),
    "where and unless at odds": Mistake(
        "",
        rule(
            'types = ["form.submitted"]',
            "points = 2",
            'where = { kind = "other" }',
            'unless = { kind = ["other", "demo"] }',
        ),
        "where",
        f"{RULES}[{LAST}].where.kind",
        "is refused by unless",
        "take out one of them",
        mended=('unless = { kind = ["other", "demo"] }\n', ""),
    ),
    "a pack unknown": Mistake(
        'pack = "default"',
        'pack = "sirius"',
        "pack",
        "stages.pack",
        "is not a pack of stages",
        'write "siriusdecisions"',
    ),
    "more criteria than there are": Mistake(
        "criteria_needed = 2",
        "criteria_needed = 7",
        "criteria_needed",
        "stages.criteria_needed",
        "is more than 4",
        "write criteria_needed = 2",
    ),
    "a quote that is missing": Mistake(
        'name = "industry"',
        "name = industry",
        "name",
        "",
        "is not TOML",
        "look at this line and the one before it for a missing quote",
        mended=("= industry", '= "industry"'),
    ),
    # said in vain: a warning each
    "nobody answers for it": Mistake(
        'owner = "marketing and sales operations"\n',
        "",
        "# The default",
        "owner",
        "is missing",
        'add owner = "marketing operations"',
        WARNING,
        above=True,
    ),
    "one act worth more than its group": Mistake(
        'points = 2\ngroup = "product"',
        'points = 42\ngroup = "product"',
        "points",
        f"{RULES}[{FEATURE}].points",
        "is more than its group product can count",
        "raise the group's cap, or write points = 30",
        WARNING,
    ),
    "two rules on the same events": Mistake(
        "",
        rule('types = ["feature.used"]', "points = 3", group="product"),
        "[[engagement.rules]]",
        f"{RULES}[{LAST}]",
        f"fires on exactly the events of {RULES}[{FEATURE}], and both count",
        "make them one rule, or tell them apart",
        WARNING,
        mended=("points = 3", 'points = 3\nwhere = { feature = "export" }'),
    ),
    "a value that never comes": Mistake(
        "",
        rule('types = ["form.submitted"]', "points = 2", 'where = { kind = "demoo" }'),
        "where",
        f"{RULES}[{LAST}].where.kind",
        "is never the kind of form.submitted",
        'write "demo"',
        WARNING,
        mended=('"demoo" }', '"demo" }\nunless = { form = "footer" }'),
    ),
    "text where true or false is sent": Mistake(
        "",
        rule('types = ["event.attended"]', "points = 2", 'where = { registered_only = "no" }'),
        "where",
        f"{RULES}[{LAST}].where.registered_only",
        "true or false",
        "write true or false",
        WARNING,
        mended=('"no"', "false"),
    ),
    "a field misspelt": Mistake(
        "",
        rule('types = ["content.opened"]', "points = 2", 'where = { phse = "decision" }'),
        "where",
        f"{RULES}[{LAST}].where.phse",
        "is not a field of content.opened",
        "write phase",
        WARNING,
        mended=("phse", "phase"),
    ),
    "a personal text": Mistake(
        "",
        rule('types = ["chat.messaged"]', "points = 2", 'contains = { message = "price" }'),
        "contains",
        f"{RULES}[{LAST}].contains.message",
        "is kept apart as personal",
        "ask another field, such as url",
        WARNING,
        mended=("message =", "platform ="),
    ),
    "an act of nobody": Mistake(
        "",
        rule(
            'types = ["page.viewed"]',
            "points = 2",
            'where = { title = "Prices" }',
            'actors = ["rep"]',
        ),
        "actors",
        f"{RULES}[{LAST}].actors",
        "never does that",
        'write actors = ["prospect", "unknown"]',
        WARNING,
    ),
    "what belongs to no lead": Mistake(
        "",
        rule('types = ["page.viewed", "spend.recorded"]', "points = 2", "where = { x = 1 }"),
        "types",
        f"{RULES}[{LAST}].types[1]",
        "belongs to no lead",
        "take it out",
        WARNING,
        mended=(', "spend.recorded"', ""),
    ),
    "a group without rules": Mistake(
        "product = 30",
        "product = 30\npartner = 20",
        "partner",
        "engagement.groups.partner",
        "is a group without rules",
        'take it out, or give a rule group = "partner"',
        WARNING,
    ),
    "a word inside another": Mistake(
        "manager = 10\n\n# `at",
        '"sales manager" = 5\nmanager = 10\n\n# `at',
        '"sales manager"',
        "fit.rules[1].contains.sales manager",
        'whatever contains it contains "manager"',
        "take it out, or give it more",
        WARNING,
    ),
    "a step that falls": Mistake(
        "200 = 30",
        "200 = 30\n1000 = 20",
        "1000",
        "fit.rules[2].at_least.1000",
        "can never count",
        "take it out, or give it more than 30",
        WARNING,
    ),
    "one attribute in two rules": Mistake(
        "\nKR = 8\n",
        '\nKR = 8\n\n[[fit.rules]]\nname = "ours"\nattribute = "country"\n'
        "points = { DE = 1, IT = 2 }\n",
        "points",
        "fit.rules[5].points.de",
        "stands in fit.rules[4] too, and both count",
        "take one of them out",
        WARNING,
        mended=("DE = 1, ", ""),
    ),
    "a framework that nobody asks": Mistake(
        'framework = "bant"\n',
        'framework = "bant"\n\n[qualification.frameworks.meddic]\ncriteria = ["metrics", "champion"]\n',
        "[qualification.frameworks",
        "qualification.frameworks.meddic",
        "does not ask",
        'write framework = "meddic" under [qualification]',
        WARNING,
        mended=('"bant"', '"meddic"'),
    ),
    "a cap above the group's": Mistake(
        "",
        rule('types = ["page.viewed"]', "points = 2", 'where = { title = "Prices" }', "cap = 20"),
        "cap",
        f"{RULES}[{LAST}].cap",
        "is never reached: the group web counts 15 at most",
        "take it out, or write cap = 15",
        WARNING,
    ),
    "more different values than there are": Mistake(
        "",
        rule(
            'types = ["content.opened"]',
            "points = 2",
            'distinct = "phase"',
            "count = 4",
            "within_days = 30",
        ),
        "count",
        f"{RULES}[{LAST}].count",
        "is never reached: phase has 3 values",
        "write count = 3",
        WARNING,
    ),
    "two aliases that are one": Mistake(
        'framework = "bant"\n',
        'framework = "own"\n[qualification.frameworks.own]\n'
        'criteria = ["metrics", "champion"]\n[qualification.frameworks.own.aliases]\n'
        'kpi = "metrics"\nKPI = "champion"\n',
        "KPI",
        "qualification.frameworks.own.aliases.KPI",
        'is read as "kpi" is',
        "keep one of them",
        WARNING,
    ),
    "a stage that no lead can enter": Mistake(
        'pack = "default"',
        'pack = "two_stage"\nacts = [{ name = "webinar form",'
        ' types = ["form.submitted"], where = { kind = "webinar" } }]',
        "pack",
        "stages.pack",
        "no lead can enter on its way: none of the acts can happen",
        "mend that, or choose",
        WARNING,
        mended=('kind = "webinar"', 'kind = "content"'),
    ),
    "a threshold that is no threshold": Mistake(
        "mql.engagement = 50",
        "mql.engagement = 0",
        "mql.engagement",
        "stages.mql.engagement",
        "is reached without doing anything",
        "write engagement = 50",
        WARNING,
    ),
}


def documents(mistake: Mistake) -> tuple[str, int]:
    """Return the wrong document, and the line of the change, counted from 1."""
    if not mistake.old:
        return DEFAULT + mistake.new, DEFAULT.count("\n") + 1
    assert DEFAULT.count(mistake.old) >= 1
    start = DEFAULT.index(mistake.old)
    start += len(mistake.old) - len(mistake.old.lstrip("\n"))
    return DEFAULT.replace(mistake.old, mistake.new, 1), DEFAULT.count("\n", 0, start) + 1


def mend(text: str, problem: Problem) -> str:
    """Return *text* after doing what the mend says, by its first suggestion of a form known here."""
    lines = text.splitlines()
    assert problem.line is not None
    at = problem.line - 1
    name = (problem.key or "").rpartition(".")[2]
    if found := re.search(r"write (\w+) = (.+?)(, or .*)?$", problem.mend):
        value = re.escape(found[1]) + r"\s*=\s*(\[[^\]]*\]|\"[^\"]*\"|[^,}]+)"
        lines[at] = re.sub(value, f"{found[1]} = {found[2]}", lines[at], count=1)
    elif found := re.search(r'write ("[^"]+")', problem.mend):
        assert problem.value is not None
        assert problem.value in lines[at]
        lines[at] = lines[at].replace(problem.value, found[1], 1)
    elif found := re.search(r"write (\w+)$", problem.mend):
        lines[at] = lines[at].replace(name, found[1], 1)
    elif found := re.search(r"add (\w+ = .+)$", problem.mend):
        lines.insert(at + 1, found[1])
    elif re.match(r"take (it|one of them) out|keep one", problem.mend):
        assert lines[at].strip('"').startswith(name)
        del lines[at]
    else:
        raise AssertionError(f"no words to follow: {problem.mend}")
    return "\n".join(lines) + "\n"


def problems_of(text: str, file: Path) -> Sequence[Problem]:
    file.write_text(text, "utf-8")
    return check_policy(file)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_by_line_and_key_and_the_mend_works(
    mistake: Mistake, tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    text, changed = documents(mistake)
    such = [
        number
        for number, written in enumerate(text.splitlines(), 1)
        if written.startswith(mistake.line)
        and (number < changed if mistake.above else number >= changed)
    ]
    line = such[-1] if mistake.above else such[0]
    found = [one for one in problems_of(text, file) if (one.key or "") == mistake.key]
    assert [(line, mistake.level)] == [(one.line, one.level) for one in found]
    (problem,) = found
    assert mistake.problem in problem.problem
    assert mistake.mend in problem.mend
    if mistake.mended is None:
        better = mend(text, problem)
    else:
        old, new = mistake.mended
        assert old in mistake.new
        better = text.replace(mistake.new, mistake.new.replace(old, new), 1)
    assert [] == problems_of(better, file)
    load_policy(file)


def test_there_are_twenty_mistakes_and_most_mend_themselves_by_their_words() -> None:
    errors = [one for one in MISTAKES.values() if one.level == "error"]
    by_words = [one for one in MISTAKES.values() if one.mended is None]
    assert len(MISTAKES) >= 20
    assert len(errors) >= 10
    assert len(by_words) >= 12


def test_acts_that_each_fill_a_whole_day_are_told(tmp_path: Path) -> None:
    text = DEFAULT.replace("\nhalf_life_days = 30\n", "\nhalf_life_days = 30\nday_cap = 35\n", 1)
    found = problems_of(text, tmp_path / "policy.toml")
    places = [NAMES.index(name) for name in ("demo or quote requested", "demo form")]
    assert [f"{RULES}[{place}].points" for place in sorted(places)] == [one.key for one in found]
    assert {"raise engagement.day_cap, or write points = 35"} == {one.mend for one in found}


def test_the_default_policy_says_nothing_in_vain() -> None:
    assert [] == check_policy()
