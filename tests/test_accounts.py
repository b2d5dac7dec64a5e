"""Accounts: whom a company's domain brings together, and who in it has which part."""

import json
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from domain.accounts import buying_group, role_of
from domain.policy import ROLES, AccountRules, RoleRule
from leadflow.policies import check_policy, policy_of
from leadflow.policy_defaults import ACCOUNTS
from projections.account_key import account_of, free_mail_domains, registrable
from projections.accounts import AccountUnknown, detail, furthest, summary
from projections.pipeline import pipeline
from projections.runner import Runner
from tests.command_line import CommandLine, event
from tests.examples import POLICY, small_policy
from tests.pages import DOCS, run_page
from tests.projections_kit import DAY, HOUR, Log, fact, person, read_model_database

RULES = POLICY.accounts
NONE: frozenset[str] = frozenset()

# --- which account ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "domain"),
    [
        ("acme.example", "acme.example"),
        ("WWW.Acme.Example.", "acme.example"),
        ("https://shop.acme.co.uk/jobs?x=1", "acme.co.uk"),
        ("mail.acme.co.uk:8080", "acme.co.uk"),
        ("ada@sub.acme.example", "acme.example"),
        ("acme.github.io", "acme.github.io"),
        ("xn--mnchen-3ya.example", "münchen.example"),
        ("münchen.example", "münchen.example"),
        ("例え.jp", "例え.jp"),
        ("co.uk", None),
        ("localhost", None),
        ("192.0.2.7", None),
        ("xn--a.example", None),
        ("no domain at all", None),
        ("  ", None),
        ("", None),
        (None, None),
    ],
)
def test_a_domain_is_told_by_the_public_suffixes(said: str | None, domain: str | None) -> None:
    assert domain == registrable(said)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_a_domain(said: str) -> None:
    found = registrable(said)

    assert found is None or registrable(found) == found


def test_the_company_comes_before_the_address_and_providers_name_none() -> None:
    assert "acme.example" == account_of("acme.example", "other.example", NONE)
    assert "other.example" == account_of(None, "mx.other.example", NONE)
    assert "other.example" == account_of("gmail.com", "other.example", NONE)
    assert account_of(None, "gmail.com", NONE) is None
    assert account_of(None, "mail.example", frozenset({"mail.example"})) is None


def test_the_list_of_providers_states_its_licence_and_holds_domains_only() -> None:
    text = files("projections").joinpath("free_mail.txt").read_text("utf-8")

    assert "MIT License" in text
    assert "Copyright (c) 2024 Luke Renton" in text
    known = free_mail_domains()
    assert {"gmail.com", "qq.com", "web.de", "naver.com", "proton.me", "docomo.ne.jp"} <= known
    assert not {"example.com", "acme.example"} & known
    assert [] == [one for one in known if one != one.strip().lower() or "." not in one]


# --- who is who ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seniority", "title", "role"),
    [
        ("c_level", "Chief Operating Officer", "decision_maker"),
        ("C_Level", None, "decision_maker"),
        (None, "CFO", "economic_buyer"),
        ("director", "Director of Finance", "economic_buyer"),
        (None, "Head of Procurement", "economic_buyer"),
        (None, "Einkaufsleiterin", "economic_buyer"),
        (None, "Geschäftsführerin", "decision_maker"),
        (None, "財務部長", "economic_buyer"),
        (None, "Product Owner", "champion"),
        ("manager", "Plant Manager", "champion"),
        ("senior", "Solution Architect", "influencer"),
        (None, "Lab Technician", "user"),
        (None, "Proctor", "other"),
        (None, "Headhunter", "other"),
        (None, None, "other"),
    ],
)
def test_the_default_rules_tell_roles(seniority: str | None, title: str | None, role: str) -> None:
    assert role == role_of(seniority, title, RULES)


def test_the_first_rule_that_fits_says_the_role() -> None:
    cto = RoleRule("champion", title=("cto",))
    chief = RoleRule("decision_maker", seniority=frozenset({"c_level"}))

    assert "champion" == role_of("c_level", "CTO", AccountRules(roles=(cto, chief)))
    assert "decision_maker" == role_of("c_level", "CTO", AccountRules(roles=(chief, cto)))
    assert "other" == role_of("c_level", "CTO", AccountRules())


def test_a_buying_group_counts_its_roles_and_names_the_missing() -> None:
    people = [("vp", "VP Sales", 2), (None, "Buyer", 1), (None, None, 3)]
    found = buying_group(people, RULES)

    assert {"decision_maker": 2, "economic_buyer": 1, "other": 3} == found.roles
    assert ("champion", "user") == found.missing
    assert (2, 4) == found.coverage


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "vp", "manager", "student"]),
            st.sampled_from([None, "Buyer", "CFO", "Plant Manager", "Assistant"]),
            st.integers(1, 5),
        )
    )
)
def test_everybody_has_one_role_and_every_wanted_role_is_met_or_missing(people: Any) -> None:
    found = buying_group(people, RULES)

    assert sum(number for *_, number in people) == sum(found.roles.values())
    assert set(found.roles) <= set(ROLES)
    assert set(RULES.wanted) == {*found.met, *found.missing}
    assert not {*found.met} & {*found.missing}


# --- the policy ---------------------------------------------------------------------------------


def document(**accounts: Any) -> dict[str, Any]:
    plain = {**POLICY.document}
    plain["accounts"] = {**plain["accounts"], **accounts}
    return plain


def test_a_policy_without_a_word_on_accounts_has_those_of_the_default() -> None:
    plain = {
        key: value
        for key, value in POLICY.document.items()
        if key not in ("accounts", "consent", "parties")
    }
    silent = policy_of(plain)

    assert (POLICY.accounts, POLICY.consent, POLICY.parties) == (
        silent.accounts,
        silent.consent,
        silent.parties,
    )


def test_what_a_policy_without_a_word_on_accounts_means_never_changes() -> None:
    """Policies are published for ever: a new packaged document changes none of them."""
    roles = [[one.role, sorted(one.seniority), list(one.title)] for one in ACCOUNTS.roles]
    said = json.dumps([sorted(ACCOUNTS.free_mail), roles, list(ACCOUNTS.wanted)])

    assert sha256(said.encode()).hexdigest()[:16] == "a1076ac26e42da81"


def test_the_order_of_roles_is_part_of_the_version() -> None:
    roles = POLICY.document["accounts"]["roles"]
    turned = policy_of(document(roles=roles[::-1]))

    assert POLICY.version != turned.version
    assert RULES.roles == turned.accounts.roles[::-1]


@pytest.mark.parametrize(
    ("line", "key", "problem", "level"),
    [
        ('wanted = ["boss"]', "accounts.wanted[0]", "is not one of", "error"),
        ('wanted = ["other"]', "accounts.wanted[0]", "is given by no rule", "warning"),
        ('free_mail = ["@mail.example"]', "accounts.free_mail[0]", "is no domain", "error"),
        ("fre_mail = []", "accounts.fre_mail", "is not a known key", "error"),
    ],
)
def test_mistakes_in_accounts_are_told_by_line(
    tmp_path: Path, line: str, key: str, problem: str, level: str
) -> None:
    self_ = files("leadflow").joinpath("policy.toml").read_text("utf-8").splitlines()
    name = line.partition(" ")[0]
    changed = [line if one.startswith(f"{name} = ") else one for one in self_]
    if changed == self_:
        changed.insert(changed.index("[accounts]") + 1, line)
    (tmp_path / "p.toml").write_text("\n".join(changed), encoding="utf-8")

    found = [one for one in check_policy(tmp_path / "p.toml") if one.key == key]

    assert [(changed.index(line) + 1, level)] == [(one.line, one.level) for one in found]
    assert problem in found[0].problem


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ('second = "consent_proof"', 'second = "proof"', "parties.second", "is not one of"),
        ("valid_months = 0", "valid_months = -1", "consent.valid_months", "is less than 0"),
        ("double_opt_in = []", 'double_opt_in = [" "]', "consent.double_opt_in[0]", "is a blank"),
        ('role = "user"', 'role = "usher"', "accounts.roles[5].role", "is not one of"),
        (
            'seniority = ["senior", "specialist"]',
            'seniority = ["manager"]',
            "accounts.roles[4].seniority",
            "which comes first",
        ),
    ],
)
def test_mistakes_in_parties_consent_and_roles_are_told(
    tmp_path: Path, old: str, new: str, key: str, problem: str
) -> None:
    text = files("leadflow").joinpath("policy.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "p.toml").write_text(text.replace(old, new), encoding="utf-8")

    found = {one.key: one.problem for one in check_policy(tmp_path / "p.toml")}

    assert problem in found[key]


def test_a_role_that_asks_for_nothing_is_refused(tmp_path: Path) -> None:
    text = files("leadflow").joinpath("policy.toml").read_text("utf-8")
    (tmp_path / "p.toml").write_text(text + '\n[[accounts.roles]]\nrole = "user"\n', "utf-8")

    assert ["accounts.roles[6]"] == [one.key for one in check_policy(tmp_path / "p.toml")]


# --- the read model -----------------------------------------------------------------------------

ACME = {"company": {"name": "Acme", "domain": "www.acme.example"}}
HISTORY = [
    fact("demo.requested", 0, "ada@acme.example", id="a", traits={**ACME, "seniority": "vp"}),
    fact("form.submitted", HOUR, "ben@gmail.com", id="b", traits={**ACME, "title": "Buyer"}),
    fact("form.submitted", 2 * HOUR, "cat@acme.example", id="c", kind="newsletter"),
    fact("form.submitted", 2 * HOUR, "dan@gmail.com", id="d"),
    fact("form.submitted", 3 * HOUR, "eve@mail.other.example", id="e"),
    fact("lead.assigned", DAY, "ada@acme.example", id="f", owner="kim"),
    fact(
        "opportunity.created",
        2 * DAY,
        "ada@acme.example",
        id="g",
        opportunity="o1",
        amount=125_000,
        currency="EUR",
    ),
    fact(
        "deal.won",
        3 * DAY,
        "ben@gmail.com",
        id="h",
        opportunity="o2",
        amount=900,
        currency="JPY",
    ),
]


def projected(facts: Any, batch: int = 1_000, policy: Any = POLICY) -> Any:
    log = Log(policy, facts)
    engine = read_model_database()
    Runner(engine, log, policy).catch_up(batch)
    return engine


def test_leads_of_one_company_roll_up() -> None:
    engine = projected(HISTORY)
    with engine.connect() as connection:
        found = summary(connection, RULES)
        one = detail(connection, RULES, "https://www.acme.example/about")
        with pytest.raises(AccountUnknown, match=r"nobody\.example"):
            detail(connection, RULES, "nobody.example")
        with pytest.raises(AccountUnknown, match="an e-mail provider"):
            detail(connection, RULES, "gmail.com")
    engine.dispose()

    assert (2, 5, 1) == (found["accounts"], found["leads"], found["leads_without_account"])
    acme, other = found["rows"]
    assert ("acme.example", "Acme", 3, "won") == (
        acme["account"],
        acme["company"],
        acme["leads"],
        acme["furthest_stage"],
    )
    assert {"decision_maker": 1, "economic_buyer": 1, "other": 1} == acme["roles"]
    assert (["champion", "user"], 0.5) == (acme["roles_missing"], acme["coverage"])
    assert [{"currency": "EUR", "amount": "1250.00"}] == acme["open"]
    assert [{"currency": "JPY", "amount": "900"}] == acme["won"]
    assert ["kim"] == acme["owners"]
    assert "other.example" == other["account"]
    assert {**acme}.items() <= one.items()
    assert ["o1", "o2"] == [deal["opportunity"] for deal in one["opportunities"]]
    assert one["entries"] == sorted(one["entries"], key=lambda entry: entry["at"], reverse=True)


def test_names_and_addresses_are_shown_only_when_asked() -> None:
    engine = projected(HISTORY)
    with engine.connect() as connection:
        masked = detail(connection, RULES, "acme.example")
        open_ = detail(connection, RULES, "acme.example", with_people=True)
    engine.dispose()

    assert "@" not in str(masked)
    assert ["ada@acme.example", "ben@gmail.com", "cat@acme.example"] == sorted(
        one["email"] for one in open_["people"]
    )
    assert ["decision_maker", "economic_buyer", "other"] == [one["role"] for one in open_["people"]]


def test_the_limit_leaves_out_the_smallest_and_many_are_told_apart() -> None:
    many = [fact("form.submitted", n, f"a@c{n % 600}.example") for n in range(600)]
    many += [fact("form.submitted", 700, "b@c7.example")]
    engine = projected(many)
    with engine.connect() as connection:
        first = summary(connection, RULES, 1)
        everything = summary(connection, RULES)
    engine.dispose()

    assert [("c7.example", 2)] == [(row["account"], row["leads"]) for row in first["rows"]]
    assert (600, 600) == (first["accounts"], len(everything["rows"]))
    assert first["rows"][0] == everything["rows"][0]


@cache
def in_order() -> Any:
    """Return the accounts of the history as it happened."""
    engine = projected(HISTORY)
    with engine.connect() as connection:
        found = summary(connection, RULES)["rows"]
    engine.dispose()
    return found


@settings(max_examples=15)
@given(st.permutations(HISTORY), st.integers(1, 4))
def test_the_accounts_do_not_hang_on_arrival_or_batches(arrived: Any, batch: int) -> None:
    engine = projected(arrived, batch)
    with engine.connect() as connection:
        found = summary(connection, RULES)["rows"]
        titles = sorted(
            (row.account or "", row.title or "")
            for row in connection.execute(select(pipeline.c.account, pipeline.c.title))
        )
    engine.dispose()

    assert in_order() == found
    assert [("", ""), *[("acme.example", "")] * 2, ("acme.example", "Buyer")] == titles[:4]


def test_domains_that_the_policy_adds_name_no_account() -> None:
    rules = AccountRules(free_mail=frozenset({"acme.example"}))
    engine = projected(HISTORY, policy=small_policy(accounts=rules))
    with engine.connect() as connection:
        found = summary(connection, rules)
    engine.dispose()

    assert ["other.example"] == [row["account"] for row in found["rows"]]
    assert found["rows"][0]["coverage"] is None, "nothing is wanted"


def test_the_furthest_stage_is_on_the_way_to_a_deal_where_one_is() -> None:
    assert "mql" == furthest(["captured", None, "mql", "disqualified"])
    assert "won" == furthest(["won", "opportunity"])
    assert "recycled" == furthest(["recycled", "disqualified"])
    assert furthest([None]) is None


def test_somebody_who_becomes_known_takes_the_history_into_the_account() -> None:
    visit = fact("page.viewed", 0, person(anonymous_id="v1"))
    known = fact("form.submitted", HOUR, person(email="ada@acme.example", anonymous_id="v1"))
    engine = projected([visit, known])
    with engine.connect() as connection:
        (row,) = summary(connection, RULES)["rows"]
    engine.dispose()

    assert ("acme.example", 1) == (row["account"], row["leads"])
    assert row["first_event_at"] < row["last_event_at"]


# --- the command line ---------------------------------------------------------------------------


def someone(name: str, **more: Any) -> dict[str, Any]:
    company = {"name": "Acme", "domain": "acme.example"}
    return {"person": {"email": f"{name}@acme.example", "company": company, **more}}


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    program = CommandLine(tmp_path, monkeypatch)
    program(
        "ingest",
        program.write(
            "events.jsonl",
            event("1", "demo.requested", "2025-03-01T09:00:00Z", someone("ada", seniority="vp")),
            event("2", "form.submitted", "2025-03-05T09:00:00Z", someone("ben", title="Buyer")),
        ),
    )
    program("project")
    return program


def test_accounts_are_listed_as_of_any_instant(leadflow: CommandLine) -> None:
    assert [2] == [one["leads"] for one in leadflow.json("accounts")["rows"]]
    early = leadflow.json("accounts", "--as-of", "2025-03-02")["rows"]
    assert [{"decision_maker": 1}] == [one["roles"] for one in early]
    told = leadflow("accounts").stdout
    assert "acme.example" in told
    assert "1 of 1 accounts" in told
    groups = leadflow.json("pipeline", "--by", "account")["groups"]
    assert [("acme.example", 2)] == [(one["value"], one["leads"]) for one in groups]


def test_an_account_is_shown_with_its_people(leadflow: CommandLine) -> None:
    masked = leadflow("account", "acme.example").stdout
    assert "economic_buyer" in masked
    assert "ben@acme.example" not in masked
    assert "ben@acme.example" in leadflow("account", "www.acme.example", "--people").stdout
    assert 2 == len(leadflow.json("account", "acme.example")["people"])
    leadflow("account", "nobody.example", code=2)


def test_the_page_about_accounts_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/accounts.md", tmp_path) > 0
