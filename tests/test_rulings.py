"""Who is who by the word of people: merge, unmerge, dismiss from the command line."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.events import Fact
from leadflow.rulings import SOURCE, latest_rulings, ruling_event
from tests.command_line import CommandLine, event
from tests.examples import POLICY

FORMS = {"specversion": "1.0", "source": "/forms", "type": "demo.requested"}
WHY = ("--reason", "same badge", "--by", "k.lee")


def form(id_: str, day: int, person: dict[str, Any], **more: Any) -> dict[str, Any]:
    time = f"2025-03-{day:02d}T09:00:00Z"
    return {**FORMS, "id": id_, "time": time, "data": {"person": person}, **more}


ADA_AT_WORK = form(
    "1",
    1,
    {"email": "ada.lind@birch.example", "name": "Ada Lind", "company": {"name": "Birch"}},
)
ADA_AT_HOME = form("2", 2, {"email": "ada.lind+x@birch.example", "name": "Lind, Ada"})
OTIS = form("3", 3, {"email": "otis@slate.example", "name": "Otis Row"})
CRM = form(
    "4",
    4,
    {"name": "Ada Lind", "company": {"name": "Birch"}},
    source="/crm",
    subject="1042",
    type="record.imported",
)

WORK, HOME = "ada.lind@birch.example", "ada.lind+x@birch.example"


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    program = CommandLine(tmp_path, monkeypatch)
    program("ingest", program.write("events.jsonl", ADA_AT_WORK, ADA_AT_HOME, OTIS, CRM))
    return program


def ids(found: dict[str, Any]) -> list[str]:
    return [lead["lead_id"] for lead in found["leads"]]


# --- candidates ---------------------------------------------------------------------------------


def test_the_list_names_pairs_scores_and_reasons(leadflow: CommandLine) -> None:
    found = leadflow.json("duplicates", "list")

    assert 4 == found["leads"]
    assert 2 == found["candidates"] == len(found["duplicates"])
    first = found["duplicates"][0]
    assert {"lead", "other", "score", "reasons", "dismissed"} == first.keys()
    assert "address_variant" == first["reasons"][0]["reason"]
    assert WORK in first["reasons"][0]["detail"]
    assert [first] == leadflow.json("duplicates", "list", "--limit", "1")["duplicates"]
    assert [first] == leadflow.json("duplicates", "list", "--min-score", "90")["duplicates"]
    assert "address_variant" in leadflow("duplicates", "list").stdout


def test_a_pair_is_explained(leadflow: CommandLine) -> None:
    found = leadflow.json("duplicates", "show", WORK, HOME)

    assert found["dismissed"] is None
    assert found["score"] == min(100, sum(one["weight"] for one in found["reasons"]))
    assert "same name" in leadflow("duplicates", "show", WORK, HOME).stdout
    assert 0 == leadflow.json("duplicates", "show", WORK, "otis@slate.example")["score"]


def test_listing_merges_nothing(leadflow: CommandLine) -> None:
    before = leadflow.json("digest")

    leadflow("duplicates", "list")
    leadflow("duplicates", "show", WORK, HOME)

    assert before == leadflow.json("digest")


def test_a_dismissed_pair_does_not_come_back(leadflow: CommandLine) -> None:
    done = leadflow.json("duplicates", "dismiss", WORK, HOME, *WHY)
    again = leadflow.json("duplicates", "dismiss", HOME, WORK, *WHY)

    assert ("dismissed", True, 2) == (done["ruling"], done["changed"], len(done["leads"]))
    assert (False, []) == (again["changed"], again["events"])
    found = leadflow.json("duplicates", "list")
    assert (1, 1) == (found["candidates"], found["dismissed"])
    everything = leadflow.json("duplicates", "list", "--dismissed")
    assert [True] == [one["dismissed"] for one in everything["duplicates"] if one["dismissed"]]
    shown = leadflow.json("duplicates", "show", HOME, WORK)
    assert ("k.lee", "same badge") == (shown["dismissed"]["by"], shown["dismissed"]["reason"])
    leadflow("ingest", leadflow.write("more.jsonl", form("9", 9, {"email": WORK})))
    assert 1 == leadflow.json("duplicates", "list")["candidates"]


def test_no_candidates_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = CommandLine(tmp_path, monkeypatch)
    program("ingest", program.write("events.jsonl", OTIS))

    assert [] == program.json("duplicates", "list")["duplicates"]
    assert "no two of 1 leads" in program("duplicates", "list").stdout


# --- merge --------------------------------------------------------------------------------------


def test_merged_leads_are_one(leadflow: CommandLine) -> None:
    done = leadflow.json("lead", "merge", WORK, HOME, *WHY)

    assert ("merged", True, 1) == (done["ruling"], done["changed"], len(done["leads"]))
    assert leadflow.json("lead", "show", WORK)["lead_id"] == ids(done)[0]
    assert leadflow.json("lead", "show", HOME)["lead_id"] == ids(done)[0]
    assert 3 == leadflow.json("pipeline")["leads"]
    assert 1 == leadflow.json("duplicates", "list")["candidates"]


def test_a_file_that_only_joins_leads_is_told_as_such(leadflow: CommandLine) -> None:
    other = {"kind": "email", "value": HOME}
    both = {"person": {"email": WORK}, "other": other}
    file = leadflow.write("crm.jsonl", event("m", "lead.merged", "2026-03-09T09:00:00Z", both))
    assert "; 1 leads fewer, which joined others (" in leadflow("ingest", file).stdout


def test_merging_twice_is_merging_once(leadflow: CommandLine) -> None:
    leadflow("lead", "merge", WORK, HOME, *WHY)
    before = leadflow.json("digest")

    again = leadflow.json("lead", "merge", HOME, WORK, *WHY)

    assert (False, []) == (again["changed"], again["events"])
    assert before == leadflow.json("digest")
    assert "nothing to do" in leadflow("lead", "merge", WORK, HOME, *WHY).stdout


def test_a_lead_known_by_the_key_of_a_source_alone_can_be_merged(leadflow: CommandLine) -> None:
    done = leadflow.json("lead", "merge", "subject:/crm:1042", WORK, *WHY)

    assert [SOURCE] == [one["source"] for one in done["events"]]
    known = {one["value"] for one in done["leads"][0]["identifiers"]}
    assert {"1042", WORK} <= known


def test_two_subjects_are_merged_in_the_words_of_their_source(leadflow: CommandLine) -> None:
    other = {**CRM, "id": "5", "subject": "1043", "time": "2025-03-05T09:00:00Z"}
    leadflow("ingest", leadflow.write("more.jsonl", other))

    done = leadflow.json("lead", "merge", "subject:/crm:1042", "subject:/crm:1043", *WHY)

    assert ["/crm"] == [one["source"] for one in done["events"]]
    assert 1 == len(done["leads"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("lead", "merge", WORK, WORK), "with itself"),
        (("lead", "merge", WORK, "nobody@example.com"), "no lead is known"),
        (("lead", "unmerge", WORK, WORK), "an identifier of each"),
        (("duplicates", "dismiss", "nobody@example.com", WORK), "no lead is known"),
        (("duplicates", "show", "nobody@example.com", WORK), "no lead is known"),
    ],
)
def test_what_makes_no_sense_is_told(
    leadflow: CommandLine, words: tuple[str, ...], told: str
) -> None:
    before = leadflow.json("digest")
    why = () if "show" in words else WHY

    assert told in leadflow(*words, *why, code=1).stderr
    assert before == leadflow.json("digest")


def test_one_lead_cannot_be_dismissed_against_itself(leadflow: CommandLine) -> None:
    leadflow("lead", "merge", WORK, HOME, *WHY)

    assert "unmerge" in leadflow("duplicates", "dismiss", WORK, HOME, *WHY, code=1).stderr
    leadflow("duplicates", "show", WORK, HOME, code=2)


def test_a_ruling_needs_a_reason(leadflow: CommandLine) -> None:
    leadflow("lead", "merge", WORK, HOME, code=2)
    leadflow("lead", "merge", WORK, HOME, "--reason", " ", code=2)


def test_a_reason_that_the_contract_refuses_is_told_and_not_stored(leadflow: CommandLine) -> None:
    leadflow("lead", "merge", WORK, HOME, "--reason", "x" * 70_000, code=1)

    assert [] == leadflow.json("dead-letters", "list")["dead_letters"]
    assert 4 == leadflow.json("pipeline")["leads"]


# --- unmerge ------------------------------------------------------------------------------------


def rows(leadflow: CommandLine) -> dict[str, list[dict[str, Any]]]:
    """Return what the read models hold of each lead, but for what counts rulings as events."""
    found: dict[str, list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(leadflow.folder / "leadflow.db")) as connection:
        connection.row_factory = sqlite3.Row
        for view in ("v_pipeline", "v_people", "v_stages", "v_touches"):
            for row in connection.execute(f"SELECT * FROM {view} ORDER BY 1, 2"):
                kept = {name: row[name] for name in row.keys() if name not in COUNTS}  # noqa: SIM118 - a row is no dict
                found.setdefault(row["lead_id"], []).append(kept)
    return found


COUNTS = {"events", "rep_events", "last_event_at", "last_human_at"}


def test_unmerged_leads_are_what_they_were(leadflow: CommandLine) -> None:
    before = rows(leadflow)
    leadflow("lead", "merge", WORK, HOME, *WHY)
    assert 3 == len(rows(leadflow))

    done = leadflow.json("lead", "unmerge", WORK, HOME, *WHY)

    assert ("unmerged", True, 2) == (done["ruling"], done["changed"], len(done["leads"]))
    assert before == rows(leadflow)
    again = leadflow.json("lead", "unmerge", WORK, HOME, *WHY)
    assert (False, []) == (again["changed"], again["events"])


def test_an_old_lead_id_still_names_its_part(leadflow: CommandLine) -> None:
    old = [leadflow.json("lead", "show", key)["lead_id"] for key in (WORK, HOME)]
    leadflow("lead", "merge", *old, *WHY)

    done = leadflow.json("lead", "unmerge", *old, *WHY)

    assert old == ids(done)


def test_the_latest_ruling_holds_however_often_it_changes(leadflow: CommandLine) -> None:
    for _ in range(2):
        assert leadflow.json("lead", "merge", WORK, HOME, *WHY)["changed"]
        assert 3 == leadflow.json("pipeline")["leads"]
        assert leadflow.json("lead", "unmerge", HOME, WORK, *WHY)["changed"]
        assert 4 == leadflow.json("pipeline")["leads"]


def test_a_chain_of_merges_parts_at_the_last_link(leadflow: CommandLine) -> None:
    crm = "subject:/crm:1042"
    leadflow("lead", "merge", WORK, HOME, *WHY)
    leadflow("lead", "merge", HOME, crm, *WHY)

    leadflow("lead", "unmerge", WORK, crm, *WHY)

    assert (
        leadflow.json("lead", "show", WORK)["lead_id"]
        == (leadflow.json("lead", "show", HOME)["lead_id"])
    )
    assert 3 == leadflow.json("pipeline")["leads"]


def test_what_events_had_joined_can_be_told_apart(leadflow: CommandLine) -> None:
    joins = form("6", 6, {"email": WORK, "external_ids": {"shop": "77"}})
    bought = form("7", 7, {"external_ids": {"shop": "77"}}, type="trial.started")
    leadflow("ingest", leadflow.write("more.jsonl", joins, bought))

    done = leadflow.json("lead", "unmerge", WORK, "shop:77", *WHY)

    mine, shops = (
        {(one["kind"], one["value"]) for one in lead["identifiers"]} for lead in done["leads"]
    )
    assert ("email", WORK) in mine
    assert ("external:shop", "77") in shops
    assert ("email", WORK) not in shops


def test_a_rebuild_remembers_every_ruling(leadflow: CommandLine) -> None:
    leadflow("lead", "merge", WORK, HOME, *WHY)
    leadflow("duplicates", "dismiss", WORK, "otis@slate.example", *WHY)
    before = leadflow.json("digest")["read_models"], leadflow.json("duplicates", "list")

    leadflow("rebuild")

    assert before == (leadflow.json("digest")["read_models"], leadflow.json("duplicates", "list"))


def test_a_merge_takes_a_dismissal_back(leadflow: CommandLine) -> None:
    leadflow("duplicates", "dismiss", WORK, HOME, *WHY)

    done = leadflow.json("lead", "merge", WORK, HOME, *WHY)

    assert (True, 1) == (done["changed"], len(done["leads"]))
    assert 3 == leadflow.json("pipeline")["leads"]


def test_a_merge_that_a_producer_reported_is_taken_back_in_its_own_words(
    leadflow: CommandLine,
) -> None:
    """The producer named other identifiers than the strongest; all facts part as they came."""
    known = form("6", 6, {"email": WORK, "external_ids": {"shop": "77"}})
    told = form("7", 7, {"external_ids": {"shop": "77"}}, type="lead.merged")
    told["data"]["other"] = {"kind": "email", "value": HOME}
    leadflow("ingest", leadflow.write("more.jsonl", known, told))
    assert 3 == leadflow.json("pipeline")["leads"]

    done = leadflow.json("lead", "unmerge", WORK, HOME, *WHY)

    assert 4 == leadflow.json("pipeline")["leads"]
    values = [{one["value"] for one in lead["identifiers"]} for lead in done["leads"]]
    assert [{WORK, "77"}, {HOME}] == values


def test_a_number_that_several_have_names_nobody(leadflow: CommandLine) -> None:
    number = "+12015550100"
    both = [form(str(n), n, {"email": f"e{n}@slate.example", "phone": number}) for n in (6, 7)]
    leadflow("ingest", leadflow.write("more.jsonl", *both))

    told = leadflow("lead", "merge", number, WORK, *WHY, code=1).stderr

    assert "fits several leads" in told
    assert 6 == leadflow.json("pipeline")["leads"]


def test_rulings_hold_on_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    program = CommandLine(tmp_path, monkeypatch)
    database = ("--database", postgres_database)
    program("ingest", program.write("events.jsonl", ADA_AT_WORK, ADA_AT_HOME, CRM), *database)

    program("duplicates", "dismiss", WORK, "subject:/crm:1042", *WHY, *database)
    program("lead", "merge", WORK, HOME, *WHY, *database)

    assert 2 == program.json("duplicates", "list", *database)["leads"]
    assert 0 == program.json("duplicates", "list", *database)["candidates"]
    program("lead", "unmerge", WORK, HOME, *WHY, *database)
    assert 3 == program.json("pipeline", *database)["leads"]


# --- events -------------------------------------------------------------------------------------


def test_a_ruling_names_who_said_it_and_why() -> None:
    pair = (("email", "ada@example.com"), ("external:crm", "7"))

    made = ruling_event("lead.merged", pair, by="k.lee", reason="same badge", at=0)

    assert {"kind": "rep", "id": "k.lee"} == made["data"]["actor"]
    assert {"kind": "external:crm", "value": "7"} == made["data"]["other"]
    assert {"email": "ada@example.com"} == made["data"]["person"]
    assert "1970-01-01T00:00:00Z" == made["time"]
    again = ruling_event("lead.merged", pair[::-1], by="k.lee", reason="same badge", at=0)
    assert json.dumps(made) == json.dumps(again)


def ruling(id_: str, at: int, type_: str, one: str, other: str) -> Fact:
    person = {"keys": [["email", one]], "other": ["email", other]}
    return Fact(type_, "/test", id_, at, at, person=person)


def test_of_several_rulings_the_latest_in_canonical_order_holds() -> None:
    facts = [
        ruling("1", 20, "lead.unmerged", "b@example.com", "a@example.com"),
        ruling("2", 10, "lead.merged", "a@example.com", "b@example.com"),
    ]

    found = latest_rulings(facts, POLICY)

    assert [False] == [one.merged for one in found.values()]


def test_a_voided_ruling_does_not_count() -> None:
    void = Fact(
        "event.voided", "/test", "3", 30, 30, data={"event_source": "/test", "event_id": "2"}
    )
    facts = [
        ruling("1", 10, "lead.merged", "a@example.com", "b@example.com"),
        ruling("2", 20, "lead.unmerged", "a@example.com", "b@example.com"),
        void,
    ]

    found = latest_rulings(facts, POLICY)

    assert [True] == [one.merged for one in found.values()]
