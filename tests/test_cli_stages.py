"""Stages from the command line: packs, other names, the cycles and the qualification of a lead."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain.stages import PACKS, STAGES
from tests.command_line import CommandLine, command_line, event

MONTH = "2025-03"


def act(day: int, type_: str, **data: Any) -> dict[str, Any]:
    """Return an event of Ada's on a day of the month."""
    who = {"email": "ada@example.com"}
    at = f"{MONTH}-{day:02}T09:00:00Z"
    return event(f"{type_}-{day}", type_, at, {"person": who, **data})


STORY = [
    act(1, "form.submitted", kind="content"),
    act(3, "lead.accepted"),
    act(4, "qualification.answered", framework="champ", criterion="money", value="10k"),
    act(5, "qualification.answered", criterion="timing", value="2026", satisfied=False),
    act(10, "lead.recycled", reason="no time"),
    act(20, "opportunity.created", opportunity="o1"),
    act(25, "deal.won", opportunity="o1", amount="10.00", currency="EUR"),
]


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("stages")) as program:
        program("ingest", program.write("story.jsonl", *STORY))
        yield program


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_is_shown_as_its_table(leadflow: CommandLine, name: str) -> None:
    document = leadflow.json("stages", "--pack", name.upper())

    assert document["pack"] == name
    assert [one["stage"] for one in document["stages"]] == list(STAGES)
    assert [one["rule"] for one in document["moves"]] == [one.rule for one in PACKS[name].table]
    for one in document["stages"]:
        assert {"definition", "interest", "activities", "department", "goal"} <= set(one)
    shown = leadflow("stages", "--pack", name).stdout
    assert all(move.rule in shown for move in PACKS[name].table)


def test_without_a_name_the_pack_of_the_policy_is_shown(leadflow: CommandLine) -> None:
    assert leadflow.json("stages")["pack"] == "default"
    leadflow("stages", "--pack", "three_stage", code=2)


def test_other_names_of_stages_are_taken_where_stages_are(leadflow: CommandLine) -> None:
    steps = leadflow.json("funnel", "--steps", "Inquiry,AQL,sales accepted lead,customer")["steps"]
    assert [one["leads"] for one in steps] == [1, 1, 1, 1]
    assert [one["step"] for one in steps] == ["captured", "mql", "sal", "won"]
    mixed = leadflow.json("funnel", "--steps", "form.submitted[kind=content],Customer")["steps"]
    assert [one["leads"] for one in mixed] == [1, 1]
    assert [one["step"] for one in mixed] == ["form.submitted[kind=content]", "won"]
    assert leadflow.json("attribution", "--conversion", "Customer")["conversion"] == "won"
    leadflow("funnel", "--steps", "inquirie,won", code=2)
    leadflow("attribution", "--conversion", "custmer", code=2)


def test_two_names_of_one_stage_are_told_where_each_is_taken_once(leadflow: CommandLine) -> None:
    refused = leadflow("funnel", "--steps", "inquiry,AQL,TAL,won", code=2).stderr
    assert "'AQL' and 'TAL' are one step, mql" in " ".join(refused.split())
    leadflow("funnel", "--steps", "inquiry,AQL,TAL,won", "--mode", "ordered")


def test_a_lead_shows_its_cycles_entered_and_reached(leadflow: CommandLine) -> None:
    first, second = leadflow.json("lead", "show", "ada@example.com")["cycles"]

    assert (first["cycle"], first["kind"], first["high_water"]) == (1, "new", "sal")
    assert first["opened_at"] == f"{MONTH}-01T09:00:00Z"
    assert first["closed_at"] == second["opened_at"] == f"{MONTH}-20T09:00:00Z"
    assert [(one["stage"], one["implied"]) for one in first["stages"]] == [
        ("captured", False),
        ("mqo", False),
        ("mql", True),
        ("sal", False),
        ("recycled", False),
    ]
    assert first["stages"][3] == {
        "stage": "sal",
        "first_entered_at": f"{MONTH}-03T09:00:00Z",
        "last_entered_at": f"{MONTH}-03T09:00:00Z",
        "exited_at": f"{MONTH}-10T09:00:00Z",
        "dwell_seconds": 7 * 86_400,
        "entries": 1,
        "implied": False,
        "rule": "accepted",
    }
    assert (second["kind"], second["high_water"], second["closed_at"]) == ("recycled", "won", None)
    assert second["stages"][-1]["exited_at"] is None


def test_a_lead_shows_what_is_known_of_it_and_what_is_missing(leadflow: CommandLine) -> None:
    known = leadflow.json("lead", "show", "ada@example.com")["qualification"]

    assert (known["framework"], known["needed"]) == ("bant", 2)
    assert known["missing"] == ["authority", "need", "timeline"]
    assert (known["satisfied"], known["satisfied_in_cycle"]) == (1, 0)
    assert known["criteria"][0] == {
        "criterion": "budget",
        "satisfied": True,
        "counts": False,
        "value": "10k",
        "asked_as": "money",
        "source": "/shop",
        "id": "qualification.answered-4",
        "at": f"{MONTH}-04T09:00:00Z",
    }
    earlier = leadflow.json("lead", "show", "ada@example.com", "--as-of", f"{MONTH}-06")
    assert earlier["qualification"]["satisfied_in_cycle"] == 1
    assert earlier["qualification"]["criteria"][0]["counts"]
    assert [one["stage"] for one in earlier["cycles"][0]["stages"]] == [
        *("captured", "mqo", "mql", "sal")
    ]


def test_people_read_the_same(leadflow: CommandLine) -> None:
    shown = leadflow("lead", "show", "ada@example.com").stdout

    assert "missing: authority, need, timeline; 2 needed, " in shown
    assert "reached" in shown
