"""A policy document is read exactly, refused with every reason, and explained in words."""

import json
import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Fact
from domain.policy import DAY, POINT, Policy
from domain.scoring import engagement, fit, flat_traits
from domain.vocabulary import CAPTURE, FAMILY_OF, INTENT
from leadflow.policies import (
    MAX_BYTES,
    PolicyInvalid,
    check_policy,
    load_policy,
    parse_policy,
    policy_of,
    render,
)

DEFAULT = files("leadflow").joinpath("policy.toml").read_text("utf-8")
NOW = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy()


def fact(type_: str, actor: str = "unknown", **data: Any) -> Fact:
    return Fact(type_, "/test", "1", NOW, NOW, actor=actor, data=data or None)


def earned(policy: Policy, *facts: Fact) -> int:
    """Return the points of engagement at once after *facts*."""
    points, rest = divmod(engagement(facts, policy, NOW), POINT)
    assert rest == 0
    return points


def grade(policy: Policy, **traits: Any) -> str:
    points = fit(dict(flat_traits(traits)), policy)
    return next(letter for letter, least in policy.grades if points >= least)


# --- the default policy ------------------------------------------------------------------------


def test_the_default_policy_has_no_problems() -> None:
    assert check_policy() == []


def test_the_default_thresholds_are_what_the_semantics_say(policy: Policy) -> None:
    assert ("C", 25 * POINT, 50 * POINT) == (
        policy.mql_grade,
        policy.mql_fit,
        policy.mql_engagement,
    )
    assert (45 * POINT, 2, True) == (policy.band_floor, policy.criteria_needed, policy.auto_advance)
    assert [("A", 75), ("B", 50), ("C", 25), ("D", 0)] == [
        (letter, least // POINT) for letter, least in policy.grades
    ]
    assert [("1", 75), ("2", 50), ("3", 25), ("4", 0)] == [
        (level, least // POINT) for level, least in policy.levels
    ]
    assert (100, 100) == (policy.fit_weight, policy.engagement_weight)
    assert {rule.half_life for rule in policy.engagement_rules} == {30 * DAY}


@pytest.mark.parametrize(
    "traits",
    [
        {"seniority": "vp", "company": {"size": "200-499"}},
        {"title": "Director of Sales", "company": {"size": 200}},
        {"title": "CTO", "company": {"size": "2000+"}},
        {"title": "Vice President Marketing", "seniority": "VP", "company": {"size": 5000}},
    ],
)
def test_a_decision_maker_of_a_large_company_is_a_or_b(
    policy: Policy, traits: dict[str, Any]
) -> None:
    assert grade(policy, **traits) in {"A", "B"}


def test_an_unknown_person_is_d(policy: Policy) -> None:
    assert grade(policy) == "D"
    assert grade(policy, language="de") == "D"


def test_a_manager_of_a_mid_sized_company_is_c(policy: Policy) -> None:
    assert grade(policy, seniority="manager", company={"size": "50-199"}) == "C"


def test_a_director_is_not_taken_for_a_cto_nor_a_coordinator_for_a_coo(policy: Policy) -> None:
    assert fit({"title": "Director"}, policy) == 20 * POINT
    assert fit({"title": "Event Coordinator"}, policy) == 0


@pytest.mark.parametrize(
    ("points", "act"),
    [
        (1, fact("page.viewed", url="https://example.com/blog")),
        (5, fact("page.viewed", url="https://example.com/Pricing?x=1")),
        (10, fact("content.downloaded")),
        (3, fact("content.opened")),
        (40, fact("form.submitted", kind="demo")),
        (5, fact("form.submitted")),
        (15, fact("event.attended", actor="rep", kind="trade_show")),
        (12, fact("event.attended", kind="webinar", registered_only=False)),
        (3, fact("event.attended", kind="trade_show", registered_only=True)),
        (0, fact("email.opened")),
        (3, fact("email.clicked")),
        (0, fact("email.clicked", actor="machine")),
        (10, fact("email.replied")),
        (40, fact("demo.requested")),
        (30, fact("pricing.requested")),
        (10, fact("call.completed", actor="rep", outcome="connected")),
        (0, fact("call.completed", actor="rep", outcome="voicemail")),
        (30, fact("meeting.held", actor="rep")),
        (15, fact("referral.received")),
        (30, fact("trial.started")),
        (0, fact("acme.custom")),
    ],
)
def test_an_act_earns_its_points(policy: Policy, points: int, act: Fact) -> None:
    assert points == earned(policy, act)


def test_every_kind_of_form_earns_points_under_one_rule_only(policy: Policy) -> None:
    kinds = ("content", "newsletter", "contact", "demo", "pricing", "trial", "other", None)
    for kind in kinds:
        act = fact("form.submitted", kind=kind)
        assert [rule.matches(act) for rule in policy.rules_of["form.submitted"]].count(True) == 1


def test_reading_pages_alone_never_makes_a_qualified_lead(policy: Policy) -> None:
    assert earned(policy, *[fact("page.viewed", url="/pricing")] * 100) == 15


def test_unsubscribing_takes_points_away(policy: Policy) -> None:
    assert earned(policy, fact("demo.requested"), fact("email.unsubscribed")) == 20


def test_capture_and_intent_are_families_of_known_types() -> None:
    assert "form.submitted" in CAPTURE
    assert "demo.requested" in INTENT
    assert FAMILY_OF.keys() >= CAPTURE | INTENT


# --- wrong documents ---------------------------------------------------------------------------


class Wrong(NamedTuple):
    """The default policy with *old* replaced by *new*, and what must be said of it."""

    old: str
    new: str
    key: str
    problem: str
    mend: str
    offset: int = 0
    """Lines from the first changed line to the line that is to be named."""


RULE = "engagement.rules"
WRONG = [
    Wrong('name = "default"', 'name = "My Policy"', "name", "not made of a to z", '= "default"'),
    Wrong("auto_advance = true", 'auto_advance = "yes"', "stages.auto_advance", "true", "= true"),
    Wrong('grade = "C"', 'grade = "E"', "stages.mql.grade", "not a grade", "A, B, C, D"),
    Wrong('grade = "C"', 'grad = "C"', "stages.mql.grad", "not a known key", "write grade"),
    Wrong("engagement = 50", "engagement = 500", "stages.mql.engagement", "0 to 100", "= 50"),
    Wrong(
        "percent = 10", "percent = 10.5", "stages.hysteresis_percent", "10.5 is not a whole", "= 10"
    ),
    Wrong("needed = 2", "needed = 5", "stages.criteria_needed", "more than 4", "= 2"),
    Wrong(
        "engagement = 100",
        "engagement = 101",
        "weights.engagement",
        "more than 100",
        "= 100",
    ),
    Wrong("B = 50", "B = 20", "fit.grades.C", "not below that of B", "less than for B"),
    Wrong("D = 0", "D = 5", "fit.grades.D", "does not start at 0", "D = 0"),
    Wrong("grades = {", "grads = {", "fit.grads", "not a known key", "write grades"),
    Wrong('= "seniority"\n\n', '= "senority"\n\n', "fit.rules[0].attribute", "not an", "seniority"),
    Wrong("director = 20", 'director = "x"', "fit.rules[0].points.director", "not a number", "20"),
    Wrong("\nUS = 10", "\nUSA = 10", "fit.rules[4].points.USA", "country code", "two letters"),
    Wrong("\nGB = 10", "\nus = 10", "fit.rules[4].points.us", 'same as "US"', "keep one"),
    Wrong("200 = 30", '"200+" = 30', "fit.rules[2].at_least.200+", "not a whole", "200 = 30"),
    Wrong(
        "fit.rules.at_least]", "fit.rules.points]", "fit.rules[2].points", "employees", "200 = 30"
    ),
    Wrong("_days = 30\n", "_days = 0\n", "engagement.half_life_days", "not above 0", "days = 30"),
    Wrong("web = 15", 'web = "lots"', "engagement.groups.web", "not a number", "web = 15"),
    Wrong("points = 1\n", "pionts = 1\n", f"{RULE}[0].pionts", "not a known key", "write points"),
    Wrong("points = 1\n", "", f"{RULE}[0].points", "is missing", "add points = 10", -3),
    Wrong("points = 1\n", 'points = "ten"\n', f"{RULE}[0].points", '"ten" is not a number', "= 10"),
    Wrong("points = 1\n", "points = nan\n", f"{RULE}[0].points", "finite", "points = 10"),
    Wrong("points = 1\n", "points = 0.0000001\n", f"{RULE}[0].points", "six decimals", "= 10"),
    Wrong("points = 1\n", "points = true\n", f"{RULE}[0].points", "not a number", "points = 10"),
    Wrong("points = 1\n", "points = 1e999999999\n", f"{RULE}[0].points", "beyond 1,000", "= 10"),
    Wrong('"content.opened"', '"content.opend"', f"{RULE}[3].types[0]", "vocabulary", "content.op"),
    Wrong('["content.opened"]', "[]", f"{RULE}[3].types", "can never fire", "take the rule out"),
    Wrong('["content.opened"]', '"x"', f"{RULE}[3].types", "is not a list", '["page.viewed"]'),
    Wrong('"content opened"', '"page viewed"', f"{RULE}[3].name", f"name of {RULE}[0] too", "own"),
    Wrong('group = "sales"', 'group = "sale"', f"{RULE}[19].group", "not a group", 'write "sales"'),
    Wrong('"rep", "unknown"]', '"robot"]', f"{RULE}[8].actors[1]", "is not one of", "prospect"),
    Wrong('note = "Mail', '# "Mail', f"{RULE}[11].points", "gives nothing", "a note", -2),
    Wrong('kind = "content"', '"data.kind" = "x"', f"{RULE}[4].where.data.kind", "path", '"kind"'),
    Wrong('kind = "content"', 'touch = "x"', f"{RULE}[4].where.touch", "do not see", "kind"),
    Wrong('kind = "content"', "kind = []", f"{RULE}[4].where.kind", "nothing can", "kind"),
    Wrong('kind = "content"', "kind = 0.5", f"{RULE}[4].where.kind", "whole number", "kind"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.key}-{wrong.new[:20].strip()}")
def test_a_wrong_document_is_refused_with_line_key_and_mend(wrong: Wrong, tmp_path: Path) -> None:
    assert wrong.old in DEFAULT
    text = DEFAULT.replace(wrong.old, wrong.new, 1)
    line = 1 + [
        a == b for a, b in zip(DEFAULT.splitlines(), text.splitlines(), strict=False)
    ].index(False)
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    problem = next(one for one in check_policy(file) if one.key == wrong.key)
    said = f"{problem.value} {problem.problem}"
    assert (line + wrong.offset, "error") == (problem.line, problem.level)
    assert wrong.problem in said
    assert wrong.mend in problem.mend
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(file)
    assert f"{file}:{problem}" in str(caught.value).splitlines()


def test_an_error_reads_as_one_line_with_file_line_key_value_and_mend() -> None:
    text = DEFAULT.replace("points = 1\n", 'points = "ten"\n', 1)
    line = text.splitlines().index('points = "ten"') + 1
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text)
    said = (
        f'policy.toml:{line}: engagement.rules[0].points: "ten" is not a number; write points = 10'
    )
    assert said == str(caught.value)


def test_a_misspelt_key_is_one_problem() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(DEFAULT.replace("hysteresis_percent", "hysterisis_percent"))
    assert [problem.key for problem in caught.value.problems] == ["stages.hysterisis_percent"]


def test_all_problems_are_found_in_one_reading(tmp_path: Path) -> None:
    text = DEFAULT
    for old, new in (
        ("engagement = 50", "engagement = -1"),
        ('attribute = "title"', 'attribute = "job"'),
        ("points = 1\n", "points = []\n"),
        ('group = "product"', 'group = "products"'),
    ):
        text = text.replace(old, new, 1)
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    assert [
        "stages.mql.engagement",
        "fit.rules[1].attribute",
        "engagement.rules[0].points",
        "engagement.rules[23].group",
    ] == [problem.key for problem in check_policy(file)]


@pytest.mark.parametrize("section", ["stages", "weights", "fit", "engagement", "name"])
def test_an_empty_document_misses_every_part(section: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy("")
    missing = {problem.key: problem for problem in caught.value.problems}
    assert ("is missing", 1) == (missing[section].problem, missing[section].line)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('name = "x\n', 1, 10, "is not TOML"),
        ("name = 'x'\n[stages\n", 2, 8, "is not TOML"),
        ("a = 1\na = 2\n", 2, 6, "cannot overwrite"),
        ("a = [1,\n", 1, None, "is not TOML"),
    ],
)
def test_an_error_of_syntax_names_line_and_column(
    text: str, line: int, column: int | None, words: str
) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text)
    (problem,) = caught.value.problems
    assert (line, column) == (problem.line, problem.column)
    assert words in problem.problem


def test_a_file_that_cannot_be_read_is_one_clear_problem(tmp_path: Path) -> None:
    latin, huge = tmp_path / "latin.toml", tmp_path / "huge.toml"
    latin.write_bytes(b'name = "x"\n# caf\xe9\n')
    huge.write_bytes(b"#" * (MAX_BYTES + 1))
    for file, words in (
        (tmp_path / "none.toml", f"{tmp_path / 'none.toml'}: cannot be read: No such file"),
        (tmp_path, "cannot be read"),
        (latin, f"{latin}:2: is not UTF-8; save the file as UTF-8"),
        (huge, "is longer than"),
    ):
        assert len(check_policy(file)) == 1
        with pytest.raises(PolicyInvalid) as caught:
            load_policy(file)
        assert words in str(caught.value)


@pytest.mark.parametrize("text", ["a = " + "9" * 5_000, "a = " + "[" * 5_000 + "]" * 5_000])
def test_numbers_and_nesting_without_end_are_refused(text: str) -> None:
    with pytest.raises(PolicyInvalid, match="policy"):
        parse_policy(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(value=JSON)
def test_any_value_in_place_of_a_table_or_a_rule_is_a_problem_and_never_a_crash(value: Any) -> None:
    document = load_policy().document
    for key in ("stages", "weights", "fit", "engagement"):
        with pytest.raises(PolicyInvalid):
            policy_of({**document, key: value})
    for axis in ("fit", "engagement"):
        with pytest.raises(PolicyInvalid):
            policy_of({**document, axis: {**document[axis], "rules": [value]}})


# --- warnings ----------------------------------------------------------------------------------


def warnings(text: str, file: Path) -> list[str]:
    file.write_text(text, "utf-8")
    load_policy(file)
    problems = check_policy(file)
    assert {problem.level for problem in problems} <= {"warning"}
    return [f"{problem.key}: {problem.problem}" for problem in problems]


def test_a_threshold_out_of_reach_is_a_warning_and_no_error(tmp_path: Path) -> None:
    text = DEFAULT[: DEFAULT.index("# Content\n\n")]
    said = warnings(text, tmp_path / "mine.toml")
    groups = ("email", "content", "event", "intent", "sales", "product")
    assert said == [
        (
            "stages.pack: is a stage that no lead can enter on its way:"
            " fit and engagement cannot reach what mql asks"
        ),
        "stages.mql.engagement: is out of reach: the groups with rules count 15 at most",
        "engagement.levels.1: is out of reach: the groups with rules count 15 at most",
        "engagement.levels.2: is out of reach: the groups with rules count 15 at most",
        "engagement.levels.3: is out of reach: the groups with rules count 15 at most",
        *[f"engagement.groups.{group}: is a group without rules" for group in groups],
    ]


def test_a_grade_out_of_reach_is_a_warning(tmp_path: Path) -> None:
    text = DEFAULT.replace("200 = 30", "200 = 5").replace("50 = 15", "50 = 5")
    said = warnings(text.replace("A = 75", "A = 90"), tmp_path / "mine.toml")
    assert said == ["fit.grades.A: is out of reach: all rules of fit give 75 at most"]


def test_one_act_worth_more_than_its_group_counts_is_a_warning(tmp_path: Path) -> None:
    text = DEFAULT.replace("points = 1\n", "points = 15.5\n", 1)
    said = warnings(text, tmp_path / "mine.toml")
    assert said == ["engagement.rules[0].points: is more than its group web can count, which is 15"]


# --- values, version, words --------------------------------------------------------------------


def test_points_are_exact_to_the_micro_point() -> None:
    for written, micro in (("0.1", 100_000), ("1.000001", 1_000_001), ('"2.5"', 2_500_000)):
        policy = parse_policy(DEFAULT.replace("points = 1\n", f"points = {written}\n", 1))
        assert policy.engagement_rules[0].points == micro


def test_a_rule_may_have_a_half_life_and_a_type_of_its_own() -> None:
    text = DEFAULT.replace(
        'types = ["page.viewed"]\npoints = 1\n',
        'types = ["acme.clicked"]\ncustom = true\nhalf_life_days = 0.5\npoints = 1\n',
    )
    rule = parse_policy(text).engagement_rules[0]
    assert (("acme.clicked",), DAY // 2) == (rule.types, rule.half_life)
    assert "acme.clicked; half-life 0.5 d" in render(parse_policy(text))


def test_the_version_does_not_change_with_comments_layout_and_spelling_of_numbers() -> None:
    version = load_policy().version
    assert version.startswith("default@")
    assert len(version) == len("default@") + 12
    bare = "\n".join(line for line in DEFAULT.splitlines() if not line.startswith("#"))
    assert parse_policy(bare).version == version
    assert parse_policy(DEFAULT.replace("points = 1\n", "points = 1.0\n")).version == version
    assert parse_policy(DEFAULT.replace("\n", "\r\n")).version == version
    assert parse_policy(DEFAULT.replace("points = 1\n", "points = 2\n", 1)).version != version


def dump(document: dict[str, Any]) -> str:
    """Return *document* as TOML of one line per key, keys in another order."""
    return "".join(f"{key} = {_dump(document[key])}\n" for key in sorted(document, reverse=True))


def _dump(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


POINTS = st.integers(-1_000 * POINT, 1_000 * POINT)


@given(points=st.lists(POINTS, min_size=1, max_size=4), word=st.text(min_size=1, max_size=9))
def test_a_document_survives_json_and_toml(points: list[int], word: str) -> None:
    document = json.loads(json.dumps(load_policy().document))
    for rule, micro in zip(document["engagement"]["rules"], points, strict=False):
        rule["points"] = f"{'-' if micro < 0 else ''}{abs(micro) // POINT}.{abs(micro) % POINT:06}"
        rule["note"] = word
        rule["where"] = {"word": word}
    policy = policy_of(document)
    again = parse_policy(dump(document))
    assert again == policy
    assert again.document == document == json.loads(json.dumps(policy.document))
    kept = {rule.name: rule.points for rule in policy.engagement_rules}
    assert [micro for micro in points if micro] == [
        kept[rule["name"]]
        for rule in document["engagement"]["rules"][: len(points)]
        if rule["name"] in kept
    ]


def test_the_explanation_names_thresholds_rules_caps_and_half_lives(policy: Policy) -> None:
    text = render(policy)
    for words in (
        f"Policy {policy.version}",
        "fit grade C or better (fit 25 or more) and engagement 50 or more",
        "left below 45 (10 % lower)",
        "A from 75, B from 50, C from 25, D from 0",
        "web, at most 15",
        "4  pricing page viewed: page.viewed, url contains pricing",
        "10  call connected: call.completed, outcome is connected, by prospect or rep or unknown",
        "0  email opened: Mail programs open mails by themselves",
        "half-life 30 d",
    ):
        assert words in text
    assert all(f"  {rule.name} (" in text for rule in policy.fit_rules)
    assert all(f"  {rule.name}: " in text for rule in policy.engagement_rules)


def test_the_rules_that_the_guide_shows_can_be_added_to_the_default_policy(tmp_path: Path) -> None:
    guide = Path(__file__).resolve().parents[1] / "docs" / "howto" / "policy.md"
    shown = re.findall(r"```toml\n(\[\[(?!stages).*?)```", guide.read_text("utf-8"), re.DOTALL)
    assert len(shown) >= 3
    assert warnings(DEFAULT + "\n" + "\n".join(shown), tmp_path / "mine.toml") == []
