"""The tables of a policy that say who is who, and which acts are taken for a machine's."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.corrections import BURST, FAST, machine_acts
from domain.persons import persons
from domain.policy import Policy
from leadflow.policies import (
    PolicyInvalid,
    Problem,
    check_policy,
    load_policy,
    parse_policy,
    policy_of,
    render,
)
from tests.examples import POLICY, fact, person

DEFAULT: Final = files("leadflow").joinpath("policy.toml").read_text("utf-8")
UNIQUE: Final = 'unique = ["external:account", "external:login"]'
WEAK: Final = 'weak = ["phone", "anonymous_id"]'
SECOND: Final = 1_000_000
LATER: Final = 1 / 86_400
"""A second, in days."""


def written(old: str, new: str) -> str:
    assert DEFAULT.count(old) == 1
    return DEFAULT.replace(old, new)


def meaning(policy: Policy) -> tuple[Any, ...]:
    """Return what *policy* says of people and machines."""
    return (
        policy.unique_kinds,
        policy.weak_kinds,
        policy.verified_email_is_unique,
        policy.click_within,
        policy.burst_links,
        policy.burst_within,
    )


def problems(text: str, folder: Path) -> list[Problem]:
    (folder / "p.toml").write_text(text, "utf-8")
    return check_policy(folder / "p.toml")


# --- what the tables mean -------------------------------------------------------------------------


def test_the_default_policy_says_what_the_engine_does_where_nothing_is_said() -> None:
    given_ = {**POLICY.document}
    del given_["identity"], given_["machines"]

    assert meaning(load_policy()) == meaning(policy_of(given_))
    assert meaning(POLICY) == (
        {"external:account", "external:login"},
        {"phone", "anonymous_id"},
        True,
        2 * SECOND,
        3,
        5 * SECOND,
    )


def test_a_key_that_is_left_out_has_its_default() -> None:
    policy = parse_policy(written(WEAK, "").replace("burst_links = 3", "", 1))

    assert meaning(policy) == meaning(POLICY)


def test_the_tables_are_given_to_the_engine_and_told_in_words() -> None:
    text = (
        written(UNIQUE, 'unique = ["subject:/crm", "external:erp no. 2"]')
        .replace(WEAK, "weak = []")
        .replace("verified_email_is_unique = true", "verified_email_is_unique = false")
        .replace("click_seconds = 2", "click_seconds = 0.5")
        .replace("burst_links = 3", "burst_links = 4")
        .replace("burst_seconds = 5", "burst_seconds = 60")
    )
    policy = parse_policy(text)
    told = render(policy)

    assert meaning(policy) == (
        {"subject:/crm", "external:erp no. 2"},
        frozenset(),
        False,
        SECOND // 2,
        4,
        60 * SECOND,
    )
    assert meaning(policy_of(policy.document)) == meaning(policy)
    assert "unique       external:erp no. 2, subject:/crm: different values are" in told
    assert "weak         no kind" in told
    assert "both verified, may be one person's" in told
    assert "less than 0.5 s after the delivery" in told
    assert "4 links of one mail within 60 s" in told


def test_what_is_unique_divides_those_who_share_an_address() -> None:
    facts = [
        fact("trial.started", n, person=person(("email", "ada@example.com"), ("external:login", v)))
        for n, v in enumerate("ab")
    ]

    assert len(persons(facts, POLICY)) == 2
    assert len(persons(facts, parse_policy(written(UNIQUE, "unique = []")))) == 1


def test_what_is_not_weak_joins_those_whom_something_else_tells_apart() -> None:
    phone = ("phone", "+4930123456")
    facts = [
        fact("call.completed", n, person=person(("email", f"{name}@example.com"), phone))
        for n, name in enumerate(("ada", "bob"))
    ]

    assert len(persons(facts, POLICY)) == 2
    assert len(persons(facts, parse_policy(written(WEAK, 'weak = ["anonymous_id"]')))) == 1


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("click_seconds = 2", "click_seconds = 2", {FAST, BURST}),
        ("click_seconds = 2", "click_seconds = 0", {BURST}),
        ("burst_links = 3", "burst_links = 0", {FAST}),
        ("burst_seconds = 5", "burst_seconds = 0", {FAST}),
    ],
)
def test_zero_switches_a_verdict_off(old: str, new: str, rules: set[str]) -> None:
    acts = [fact("email.delivered", 0, message="m"), fact("email.opened", LATER, message="m")]
    # of one instant, so that a time of 0 would still hold them
    acts += [fact("email.clicked", 9 * LATER, message="m", link=link) for link in "abc"]

    assert {*machine_acts(acts, parse_policy(written(old, new))).values()} == rules


def test_a_burst_that_is_off_is_told_to_be() -> None:
    assert "burst        off" in render(
        parse_policy(written("burst_seconds = 5", "burst_seconds = 0"))
    )
    assert "fast         off" in render(
        parse_policy(written("click_seconds = 2", "click_seconds = 0"))
    )


# --- mistakes -------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """The default policy with *old* replaced by *new*, and what must be said of it."""

    old: str
    new: str
    key: str
    value: str | None
    problem: str
    mend: str


WRONG = [
    Wrong(UNIQUE, 'unique = ["Email"]', "identity.unique[0]", '"Email"', "is no kind", '"email"'),
    Wrong(UNIQUE, 'unique = ["external"]', "identity.unique[0]", '"external"', "is no kind",
          'write "external:crm", with the name of your own'),
    Wrong(UNIQUE, 'unique = ["subject:"]', "identity.unique[0]", '"subject:"', "is no kind",
          'write "subject:/crm"'),
    Wrong(UNIQUE, 'unique = ["external: login"]', "identity.unique[0]", '"external: login"',
          "is no kind", 'write "external:login"'),
    Wrong(UNIQUE, 'unique = ["extern:login"]', "identity.unique[0]", '"extern:login"',
          "is no kind", 'write "external:login"'),
    Wrong(UNIQUE, 'unique = ["email", "cookie"]', "identity.unique[1]", '"cookie"', "is no kind",
          "email, phone, anonymous_id, subject:SOURCE, external:SYSTEM"),
    Wrong(UNIQUE, 'unique = ["email:home"]', "identity.unique[0]", '"email:home"', "is no kind",
          "write one of email"),
    Wrong(UNIQUE, 'unique = "email"', "identity.unique", '"email"', "is not a list",
          'write unique = ["external:account"]'),
    Wrong(UNIQUE, "unique = [7]", "identity.unique[0]", "7", "is not text", "write unique"),
    Wrong(WEAK, 'weak = ["phone", "phone"]', "identity.weak[1]", '"phone"', "twice", "take it out"),
    Wrong(UNIQUE, 'unique = ["email", "phone"]', "identity.weak[0]", '"phone"',
          "is among unique too: it either", "take it out of one of them"),
    Wrong(f"{UNIQUE}\n", "", "identity.weak[1]", '"external:login"',
          "is among unique too, where nothing is said", "take it out, or write unique without it"),
    Wrong("verified_email_is_unique = true", 'verified_email_is_unique = "no"',
          "identity.verified_email_is_unique", '"no"', "is not true or false", "= true"),
    Wrong("weak = [", "week = [", "identity.week", None, "is not a known key", "write weak"),
    Wrong("click_seconds = 2", "click_seconds = -1", "machines.click_seconds", "-1",
          "is less than 0", "write click_seconds = 2"),
    Wrong("burst_seconds = 5", "burst_seconds = 300", "machines.burst_seconds", "300",
          "is more than 60", "write burst_seconds = 5"),
    Wrong("burst_seconds = 5", 'burst_seconds = "5 s"', "machines.burst_seconds", '"5 s"',
          "is not a number", "write burst_seconds = 5"),
    Wrong("burst_links = 3", "burst_links = 1", "machines.burst_links", "1",
          "is reached by every click", "write burst_links = 3, or 0"),
    Wrong("burst_links = 3", "burst_links = -3", "machines.burst_links", "-3", "is less than 0",
          "write burst_links = 3"),
    Wrong("burst_links = 3", "burst_links = 2.5", "machines.burst_links", "2.5",
          "is not a whole number", "write burst_links = 3"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.new or wrong.old for wrong in WRONG])
def test_a_mistake_is_refused_with_line_key_value_and_mend(wrong: Wrong, tmp_path: Path) -> None:
    text = written(wrong.old, wrong.new)
    if not wrong.new:
        text = text.replace(WEAK, 'weak = ["phone", "external:login"]')
    (found,) = problems(text, tmp_path)
    line = text.splitlines()[(found.line or 0) - 1]

    assert found.level == "error"
    assert (found.key, found.value) == (wrong.key, wrong.value)
    assert line.startswith(wrong.key.partition(".")[2].partition("[")[0])
    assert wrong.problem in found.problem
    assert wrong.mend in found.mend


def test_a_value_in_place_of_a_table_is_told(tmp_path: Path) -> None:
    head, _, rest = DEFAULT.partition("[identity]\n")
    machines = rest.partition("[accounts]\n")[2]
    text = f"identity = 3\nmachines = []\n{head}[accounts]\n{machines}"

    assert [("identity", "is not a table"), ("machines", "is not a table")] == [
        (one.key, one.problem) for one in problems(text, tmp_path)
    ]


def test_a_person_with_one_browser_only_is_warned_of(tmp_path: Path) -> None:
    text = written(UNIQUE, 'unique = ["anonymous_id"]').replace(WEAK, 'weak = ["phone"]')
    (found,) = problems(text, tmp_path)

    assert (found.level, found.key) == ("warning", "identity.unique[0]")
    assert "differs from browser to browser" in found.problem
    assert "take it out" in found.mend


@given(st.text(max_size=20))
def test_any_text_is_a_kind_or_refused_with_a_mend(kind: str) -> None:
    document = {**POLICY.document, "identity": {"unique": [kind], "weak": []}}
    head, colon, name = kind.partition(":")
    allowed = kind in {"email", "phone", "anonymous_id"} or (
        head in {"subject", "external"} and colon and name and name == name.strip()
    )
    if allowed:
        assert policy_of(document).unique_kinds == {kind}
    else:
        with pytest.raises(PolicyInvalid, match=r"identity\.unique\[0\].*write"):
            policy_of(document)
