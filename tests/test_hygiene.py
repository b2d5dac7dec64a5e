"""How clean the data are: the definition, all rows at once, and the program."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert

from domain.counts import DAY
from domain.hygiene import Bounces, Mail, bounces, clusters, completeness, duplicate_share
from leadflow.policies import load_policy
from projections.activities import activities
from projections.hygiene import count_bounces, look
from projections.people import people
from projections.pipeline import pipeline
from projections.runner import Runner
from projections.schema import read_models
from tests.command_line import CommandLine, command_line
from tests.projections_kit import START, Log, fact, person, read_model_database


def test_pairs_that_share_a_lead_are_one_cluster() -> None:
    groups = clusters([("b", "c"), ("x", "y"), ("a", "c")])
    assert [["a", "b", "c"], ["x", "y"]] == groups
    assert duplicate_share(10, groups) == Fraction(3, 10)
    assert duplicate_share(0, []) is None


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg"))))
def test_clusters_do_not_depend_on_the_order_of_pairs(pairs: list[tuple[str, str]]) -> None:
    turned = [(other, one) for one, other in reversed(pairs)]
    assert clusters(pairs) == clusters(turned)
    assert sorted({one for pair in pairs for one in pair}) == sorted(
        one for group in clusters(pairs) for one in group
    )


def test_a_blank_field_is_not_filled() -> None:
    found = completeness([{"name": "Ada", "email": " \t"}, {"name": "Bo"}], ("name", "email"))
    assert found == Fraction(1, 2)
    assert completeness([], ("name",)) is None


def test_a_message_is_sent_once_whatever_is_told_of_it() -> None:
    told = [
        Mail(1, "email.sent", None, "m"),
        Mail(1, "email.bounced", "soft", "m"),
        Mail(1, "email.bounced", "hard", "m"),
        Mail(2, "email.delivered", None, "m"),
        Mail(2, "email.opened", None, "m"),
        Mail(3, "email.bounced", None, None),
    ]
    assert Bounces(3, 1, 1) == bounces(told)
    assert bounces(told).rate == Fraction(1, 3)
    assert bounces([]).rate is None


# --- all rows at once -----------------------------------------------------------------------------

mails = st.lists(
    st.builds(
        Mail,
        st.integers(0, 2),
        st.sampled_from(["email.sent", "email.delivered", "email.bounced", "email.opened"]),
        st.sampled_from(["hard", "soft", None]),
        st.sampled_from(["m1", "m2", None]),
    ),
    max_size=14,
)


@settings(max_examples=100)
@given(mails)
def test_the_database_counts_bounces_as_the_definition_does(told: list[Mail]) -> None:
    blank: dict[str, Any] = dict.fromkeys((column.name for column in activities.columns), None)
    rows = [
        {
            **blank,
            "lead_no": mail.lead,
            "n": n,
            "at_us": n,
            "cycle": 1,
            "type": mail.type,
            "actor": "machine",
            "kind": mail.bounce if mail.type == "email.bounced" else None,
            "message": mail.message,
            "fact_source": "/s",
            "fact_id": str(n),
        }
        for n, mail in enumerate(told)
    ]
    with read_model_database().connect() as connection:
        if rows:
            connection.execute(insert(activities), rows)
        assert bounces(told) == count_bounces(connection)


words = st.sampled_from(["Ada", "", " ", "\t\n", None])
leads = st.lists(
    st.fixed_dictionaries(
        {
            "captured": st.none() | st.integers(0, 5),
            "name": words,
            "email": words,
            "company": words,
            "source": words,
            "campaign": words,
        }
    ),
    max_size=10,
)


@settings(max_examples=60)
@given(leads)
def test_the_columns_are_as_complete_as_the_leads(everybody: list[dict[str, Any]]) -> None:
    required = ("name", "email", "company")
    with read_model_database().connect() as connection:
        for lead_no, one in enumerate(everybody):
            row: dict[str, Any] = dict.fromkeys((column.name for column in pipeline.columns), None)
            row |= {name: 0 for name, column in pipeline.columns.items() if not column.nullable}
            row |= {"lead_no": lead_no, "lead_id": str(lead_no), "captured_at_us": one["captured"]}
            row |= {name: one[name] for name in ("company", "source", "campaign")}
            connection.execute(insert(pipeline).values(row))
            who = {"name": one["name"], "email": one["email"], "identifiers": "[]"}
            connection.execute(insert(people).values(lead_no=lead_no, **who))
        found = look(connection, required, 3, 0)
    there = [one for one in everybody if one["captured"] is not None]
    assert len(everybody) - len(there) == found.uncaptured
    filled = sum(int(flags.sum()) for flags in found.filled.values())
    share = Fraction(filled, len(there) * len(required)) if there else None
    assert completeness(there, required) == share
    assert [one["captured"] < 3 for one in there] == found.stale.tolist()
    bare = [
        not (one["source"] or "").strip() and not (one["campaign"] or "").strip() for one in there
    ]
    assert bare == found.untagged.tolist()


# --- on both databases ----------------------------------------------------------------------------


def test_who_acts_is_heard_of_and_who_is_written_to_is_not(database_url: str) -> None:
    log = Log(load_policy())
    ada = person(email="ada@example.com", name="Ada")
    for one in (
        fact("form.submitted", 0, ada, kind="contact"),
        fact("form.submitted", 0, "bo@example.com", kind="contact"),
        fact("email.replied", 5 * DAY, ada, message="m"),
        fact("email.sent", 6 * DAY, "bo@example.com", touch={"channel": "email"}, message="n"),
        fact("email.opened", 6 * DAY, "bo@example.com", message="n", actor="machine"),
        fact("email.bounced", 6 * DAY, "bo@example.com", message="n", bounce="hard"),
        fact("page.viewed", 6 * DAY, person(anonymous_id="v1")),
    ):
        log.arrive(one)
    engine = create_engine(database_url)
    runner = Runner(engine, log, load_policy())
    runner.create()
    runner.catch_up()
    with read_models(engine).connect() as connection:
        found = look(connection, ("name",), START + 9 * DAY, 7 * DAY)
        assert Bounces(2 - 1, 1, 0) == count_bounces(connection)
    engine.dispose()
    by_name = dict(zip(found.filled["name"].tolist(), range(2), strict=True))
    assert {START + 5 * DAY, START} == set(found.heard.tolist())
    assert START + 5 * DAY == found.heard[by_name[True]]
    assert [False, True] == [bool(found.stale[by_name[known]]) for known in (True, False)]
    assert [False, True] == [bool(found.bounced[by_name[known]]) for known in (True, False)]
    assert 1 == found.uncaptured


def test_whose_data_are_brought_up_to_date_is_not_stale(database_url: str) -> None:
    log = Log(load_policy())
    for one in (
        fact("form.submitted", 0, "ada@example.com", kind="contact"),
        fact("form.submitted", 0, "bo@example.com", kind="contact"),
        fact("person.updated", 5 * DAY, person(email="ada@example.com"), actor="machine"),
    ):
        log.arrive(one)
    engine = create_engine(database_url)
    runner = Runner(engine, log, load_policy())
    runner.create()
    runner.catch_up()
    with read_models(engine).connect() as connection:
        found = look(connection, (), START + 9 * DAY, 7 * DAY)
    engine.dispose()

    assert [START, START + 5 * DAY] == sorted(found.heard.tolist())
    assert (found.heard < START + DAY).tolist() == found.stale.tolist()


# --- the program ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    def act(n: int, type_: str, day: str, who: dict[str, Any], **data: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "source": "/crm",
            "id": str(n),
            "type": type_,
            "time": f"{day}T09:00:00Z",
            "data": {"person": who, **data},
        }

    with command_line(tmp_path_factory.mktemp("hygiene")) as program:
        company = {"name": "Acme", "domain": "acme.example"}
        ada = {"email": "ada.lee@acme.example", "name": "Ada Lee", "company": company}
        twin = {"email": "ada.lee+fair@acme.example", "name": "Ada Lee", "company": company}
        bo = {"email": "bo@example.com"}
        touch = {"channel": "paid_search", "source": "google"}
        events = [
            act(1, "form.submitted", "2025-01-05", ada, kind="demo", touch=touch),
            act(2, "form.submitted", "2026-04-05", twin, kind="demo", touch=touch),
            act(3, "form.submitted", "2026-04-05", bo, kind="demo"),
            act(4, "email.bounced", "2026-05-05", bo, message="m", bounce="hard"),
        ]
        program("ingest", program.write("events.jsonl", *events))
        yield program


def test_the_figures_and_the_leads_behind_them(leadflow: CommandLine) -> None:
    found = leadflow.json("hygiene")
    assert (3, 2, 1 / 3) == (
        found["leads"],
        found["duplicates"]["clusters"],
        found["duplicates"]["rate"],
    )
    assert (1, 1, 1.0) == tuple(found["bounces"][name] for name in ("sent", "hard", "rate"))
    assert 1 == found["staleness"]["leads"] == found["untagged"]["leads"]
    # name and company of two, e-mail of three, country of none, source of two: 9 of 15
    assert 9 / 15 == found["completeness"]["rate"]
    named = {
        what: leadflow.json("hygiene", "--list", what)["list"]
        for what in ("duplicate", "incomplete", "stale", "bounced", "untagged")
    }
    assert 2 == len(named["duplicate"][0]["leads"])
    assert 3 == len(named["incomplete"])
    assert ["name", "company", "country", "source"] == named["incomplete"][0]["missing"]
    assert named["bounced"] == named["untagged"] != named["stale"]
    assert 1 == len(leadflow.json("hygiene", "--list", "incomplete", "--limit", "1")["list"])
    # what a person has dismissed is no duplicate
    pair = ("ada.lee@acme.example", "ada.lee+fair@acme.example")
    leadflow("duplicates", "dismiss", *pair, "--reason", "mother and daughter")
    assert 0.0 == leadflow.json("hygiene")["duplicates"]["rate"]


def test_people_read_a_table(leadflow: CommandLine) -> None:
    shown = leadflow("hygiene", "--required", "email", "--stale", "10000d").stdout
    assert "100.0 %" in shown
    assert "duplicates" in shown
    assert "duplicates" not in leadflow("hygiene", "--no-duplicates").stdout
    assert "Next: leadflow hygiene --list incomplete" in shown
    assert "no lead is stale" in leadflow("hygiene", "--list", "stale", "--stale", "10000d").stdout
    assert "lacks" in leadflow("hygiene", "--list", "bounced").stdout
    assert "no lead is captured yet" in leadflow("hygiene", "--as-of", "2020-01-01").stdout


def test_misuse_is_told(leadflow: CommandLine) -> None:
    def refused(*words: str) -> str:
        return " ".join(leadflow("hygiene", *words, code=2).stderr.replace("│", " ").split())

    assert "no field 'colour'" in refused("--required", "colour")
    assert "no list 'dirty'" in refused("--list", "dirty")
