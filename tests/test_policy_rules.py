"""Rules of every kind are read exactly, refused with every reason, and told in words."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from domain.decay import Inactivity, Lasting, Linear, Window
from domain.policy import DAY, POINT, EngagementRule, FitRule, Policy
from domain.scoring import contributions, fit, fit_points, has_word
from leadflow.policies import PolicyInvalid, check_policy, parse_policy, policy_of, render
from tests.examples import START, fact

DEFAULT: Final = files("leadflow").joinpath("policy.toml").read_text("utf-8")

TYPE = 'types = ["content.opened"]'
ENGAGEMENT = f'\n[[engagement.rules]]\nname = "mine"\n{TYPE}\npoints = 2\ngroup = "content"\n'
FIT = '\n[[fit.rules]]\nname = "mine"\n'


def read(*lines: str, base: str = ENGAGEMENT) -> Policy:
    """Return the default policy with one more rule."""
    return parse_policy(DEFAULT + base + "\n".join(lines))


def rule_of(policy: Policy) -> EngagementRule:
    """Return the rule of engagement that was added."""
    return next(rule for rule in policy.engagement_rules if rule.name == "mine")


@pytest.mark.parametrize(
    "line, fields, words",
    [
        ("once = true", {"once": True}, "the first time only"),
        (
            "count = 3\nwithin_days = 14",
            {"count": 3, "within": 14 * DAY},
            "when 3 times lie within 14 d, then counted anew",
        ),
        ('distinct = "content"', {"distinct": "content"}, "once for each value of content"),
        (
            'distinct = "content"\ncount = 2\nwithin_days = 0.5',
            {"distinct": "content", "count": 2, "within": DAY // 2},
            "when 2 different values of content lie within 0.5 d",
        ),
        ("absent_days = 30", {"absent": 30 * DAY}, "while none came for 30 d"),
        ("cap = 10.5", {"cap": 10_500_000}, "at most 10.5;"),
        ("day_cap = 4", {"day_cap": 4 * POINT}, "at most 4 a day;"),
        ("half_life_days = 7", {"half_life": 7 * DAY, "fading": None}, "half-life 7 d"),
        (
            "linear = { percent_a_month = 10 }",
            {"fading": Linear(10)},
            "less 10 % with every 30 days",
        ),
        ("window_days = 90", {"fading": Window(90 * DAY)}, "for 90 d"),
        (
            "inactivity = { floor_after_days = 45, floor_percent = 50, zero_after_days = 90 }",
            {"fading": Inactivity(45 * DAY, 50, 90 * DAY)},
            "50 % after 45 d without any act, nothing after 90 d",
        ),
        ('decay = "none"', {"fading": Lasting()}, "never fades"),
    ],
)
def test_a_rule_says_its_kind_its_caps_and_how_it_fades(
    line: str, fields: Mapping[str, Any], words: str
) -> None:
    policy = read(line)
    rule = rule_of(policy)
    (told,) = [text for text in render(policy).splitlines() if " mine: " in text]

    assert {name: getattr(rule, name) for name in fields} == fields
    assert words in told
    assert rule_of(policy_of(policy.document)) == rule


def test_the_table_says_how_points_fade_unless_the_rule_does() -> None:
    text = DEFAULT.replace("half_life_days = 30\n", "window_days = 90\nday_cap = 40\n", 1)
    policy = parse_policy(text + ENGAGEMENT + "half_life_days = 7\n")

    assert {rule.fading for rule in policy.engagement_rules} == {Window(90 * DAY), None}
    assert (rule_of(policy).half_life, policy.day_cap) == (7 * DAY, 40 * POINT)
    assert "one day, at most 40" in render(policy)


def test_the_default_policy_counts_each_fact_by_itself() -> None:
    """What is quickest to score: a sum over the newest facts, without a ledger."""
    policy = parse_policy(DEFAULT)

    assert policy.plain
    assert policy.halves
    assert not read("once = true").plain
    assert not read("window_days = 9").halves


def test_every_example_in_the_default_policy_is_right() -> None:
    """They stand behind # at its end: with them taken away the policy has no error."""
    head, _, examples = DEFAULT.partition("# --- Examples")
    lines = [line.removeprefix("# ") for line in examples.splitlines()]
    keys = [line for line in lines if line.startswith("[[") or " = " in line]
    policy = parse_policy("\n".join([head, *keys]))

    assert len(policy.engagement_rules) == len(parse_policy(DEFAULT).engagement_rules) + 5
    assert policy.asks_criteria


# --- fit ------------------------------------------------------------------------------------------


def test_a_criterion_adds_its_points_while_the_latest_answer_satisfies_it() -> None:
    policy = read('criterion = "budget"', "points = 10", base=FIT)
    yes = fact("qualification.answered", 1, criterion="Money", value=1, id="yes")
    no = fact("qualification.answered", 2, criterion="budget", satisfied=False)

    assert [
        (part.rule, part.id, part.points // POINT)
        for part in contributions([yes, no], policy, START + DAY)
    ] == [("mine", "yes", 10)]
    assert contributions([yes, no], policy, START + 2 * DAY) == []
    assert fit({}, policy, {"budget"}) == 10 * POINT
    assert "while the latest answer satisfies budget" in render(policy)


def test_a_criterion_may_be_of_a_framework_of_ones_own() -> None:
    own = '\n[qualification.frameworks.meddic]\ncriteria = ["metrics", "champion"]\n'
    text = DEFAULT.replace('framework = "bant"', 'framework = "meddic"', 1)
    policy = parse_policy(text + own + FIT + 'criterion = "champion"\npoints = 5\n')

    assert fit({}, policy, {"champion"}) == 5 * POINT


@pytest.mark.parametrize(
    "text, word, there",
    [
        ("cto", "cto", True),
        ("director", "cto", False),
        ("cto & founder", "cto", True),
        ("vice-president", "president", True),
        ("cofounder, ceo", "founder", False),
        ("cofounder and founder", "founder", True),
        ("head of sales", "head of", True),
        ("overhead of sales", "head of", False),
        ("vp2", "vp", False),
        ("営業部長", "部長", True),
        ("销售总监 cto", "cto", True),
        ("销售cto", "cto", True),
        ("", "cto", False),
    ],
)
def test_words_are_whole_where_a_script_has_spaces(text: str, word: str, there: bool) -> None:
    assert has_word(text, word) == there
    rule = FitRule("title", "title", contains=((word, 1),))
    assert fit_points(rule, text) == (1 if there else 0)


# --- wrong rules ----------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """Lines of a rule, and what must be said of one of them."""

    lines: str
    key: str
    problem: str
    mend: str
    base: str = ENGAGEMENT


N = DEFAULT.count("\n[[engagement.rules]]")
M = DEFAULT.count("\n[[fit.rules]]")
WRONG = [
    Wrong("count = 3", "count", "3 has no window", "add within_days = 14"),
    Wrong("within_days = 3", "within_days", "there is none", "add count = 3"),
    Wrong("count = 1\nwithin_days = 3", "count", "1 is less than 2", "count = 3"),
    Wrong('count = "x"\nwithin_days = 3', "count", "not a whole number", "count = 3"),
    Wrong("once = 1", "once", "1 is not true or false", "once = true"),
    Wrong('once = true\ndistinct = "content"', "distinct", "nothing to tell apart", "take out"),
    Wrong('distinct = "data.content"', "distinct", "is a path", '"content"'),
    Wrong('distinct = "person"', "distinct", "do not see", "field of the type"),
    Wrong('distinct = ""', "distinct", "is empty", 'distinct = "content"'),
    Wrong("absent_days = 0", "absent_days", "not above 0 days", "absent_days = 30"),
    Wrong("absent_days = 9\nonce = true", "once", "does not go with absent_days", "take out"),
    Wrong("absent_days = 9\nday_cap = 3", "day_cap", "does not go with absent_days", "take out"),
    Wrong("cap = 0", "cap", "not above 0", "cap = 15"),
    Wrong("day_cap = 101", "day_cap", "at most 100", "day_cap = 5"),
    Wrong("window_days = 9\nhalf_life_days = 9", "window_days", "second way to fade", "one of"),
    Wrong('decay = "none"\nwindow_days = 9', "decay", "beside window_days", "keep one"),
    Wrong('decay = "slow"', "decay", "is not one of 'none'", 'decay = "none"'),
    Wrong("linear = 10", "linear", "10 is not a table", "{ percent_a_month = 10 }"),
    Wrong(
        "linear = { percent_a_month = 0 }", "linear.percent_a_month", "0 is less than 1", "h = 10"
    ),
    Wrong("linear = { percent = 5 }", "linear.percent", "not a known key", "percent_a_month"),
    Wrong(
        "inactivity = { floor_after_days = 45, floor_percent = 50, zero_after_days = 45 }",
        "inactivity.zero_after_days",
        "45 is not later",
        "more days",
    ),
    Wrong(
        "inactivity = { floor_after_days = 45, floor_percent = 50 }",
        "inactivity.zero_after_days",
        "is missing",
        "add zero_after_days = 90",
    ),
    Wrong("windw_days = 9", "windw_days", "not a known key", "write window_days"),
    Wrong('criterion = "budgt"\npoints = 1', "criterion", "not a criterion of bant", "budget", FIT),
    Wrong('criterion = "money"\npoints = 1', "criterion", "not a criterion", '"budget"', FIT),
    Wrong(
        'criterion = "need"\nattribute = "title"\npoints = 1',
        "attribute",
        "beside criterion",
        "two rules",
        FIT,
    ),
    Wrong('criterion = "need"\npoints = { x = 1 }', "points", "is a table", "points = 10", FIT),
    Wrong('criterion = "need"\npoints = 0', "points", "0 gives nothing", "a note", FIT),
    Wrong(
        'criterion = "need"\npoints = 1\ncontains = { x = 1 }',
        "contains",
        "attributes",
        "= 10",
        FIT,
    ),
    Wrong('attribute = "title"\npoints = 10', "points", "is one number", "director = 20", FIT),
    Wrong("points = { x = 1 }", "attribute", "is missing", 'or criterion = "budget"', FIT),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.lines.replace("\n", ","))
def test_a_wrong_rule_is_refused_with_line_key_and_mend(wrong: Wrong) -> None:
    text = DEFAULT + wrong.base + wrong.lines
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text)
    where = f"engagement.rules[{N}]" if wrong.base is ENGAGEMENT else f"fit.rules[{M}]"
    problem = next(one for one in caught.value.problems if one.key == f"{where}.{wrong.key}")

    assert wrong.problem in f"{problem.value} {problem.problem}"
    assert wrong.mend in problem.mend
    assert problem.line is not None
    first = len((DEFAULT + wrong.base).splitlines()) - wrong.base.count("\n")
    assert first < problem.line <= len(text.splitlines())


def test_a_table_that_says_not_how_points_fade_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match=r"half_life_days: is missing; add half_life_days = 30"):
        parse_policy(DEFAULT.replace("half_life_days = 30\n", "", 1))


@pytest.mark.parametrize(
    "lines, words",
    [
        ("cap = 1", "cap: warning: 1 is less than the points that one act is worth"),
        ("day_cap = 1", "day_cap: warning: 1 is less than the points that one act is worth"),
        ("absent_days = 9", "points: warning: 2 rewards doing nothing; write points = -2"),
    ],
)
def test_a_rule_that_works_though_hardly_as_meant_is_warned_of(
    lines: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(DEFAULT + ENGAGEMENT + lines, "utf-8")
    problems = check_policy(file)

    assert f"engagement.rules[{N}].{words}" in " ".join(map(str, problems))
    assert {one.level for one in problems} == {"warning"}
