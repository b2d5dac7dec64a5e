"""Questions about the pipeline from the command line: what they print, and what they refuse."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.command_line import CommandLine, command_line, event

MARCH = "2026-03-{:02}T09:00:00Z"
REP = {"actor": {"kind": "rep", "id": "kim"}}
DEAL = {"opportunity": "o", "amount": "10.00", "currency": "EUR"}
FIT = {"title": "CEO", "company": {"name": "Acme", "size": 300}}


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    events = []
    for n, channel in enumerate(["email", "email", "event", "event"]):
        who = {"person": {"email": f"p{n}@example.com", **FIT}}
        acts: tuple[tuple[int, str, dict[str, Any]], ...] = (
            (1, "demo.requested", {"touch": {"channel": channel}}),
            (1, "pricing.requested", {}),
            (2, "lead.assigned", {"owner": "kim"}),
            *([(3, "lead.accepted", REP)] if n < 2 else []),
            *([(4, "lead.rejected", {"reason": "no budget", **REP})] if n == 2 else []),
            *([(9, "opportunity.created", DEAL)] if n == 0 else []),
        )
        for day, type_, more in acts:
            time = MARCH.format(day).replace("T09", f"T{9 + n:02}")
            events.append(event(f"{type_}-{n}", type_, time, {**who, **more}))
    events.append(event("last", "page.viewed", MARCH.format(31), {"person": {"anonymous_id": "v"}}))
    with command_line(tmp_path_factory.mktemp("pipeline")) as program:
        program("ingest", program.write("events.jsonl", *events))
        yield program


def test_stuck_leads_are_listed_with_what_they_are_worth(leadflow: CommandLine) -> None:
    document = leadflow.json("pipeline", "--stuck", "2", "--silent-for", "22d", "--by", "owner")

    assert 3 == document["stuck"]["leads"]
    # p2 was rejected on the 4th, p3 not spoken to since the 2nd
    assert [("mql", 28.9), ("sal", 28.0)] == [
        (row["stage"], round(row["days_silent"], 1)) for row in document["stuck"]["rows"]
    ]
    assert {"given"} == {
        stage["silent_limit_from"] for stage in document["stages"] if stage["stage"]
    }
    assert [{"stage_name": None, "opportunities": 1}] == [
        {name: one[name] for name in ("stage_name", "opportunities")}
        for one in document["opportunities"]
    ]
    shown = leadflow("pipeline", "--stuck", "1", "--silent-for", "1d").stdout
    assert "1 of 4 stuck leads" in shown
    assert "Next: leadflow lead timeline" in shown


def test_the_pipeline_is_told_at_the_end_of_each_period(leadflow: CommandLine) -> None:
    document = leadflow.json("pipeline", "--every", "week", "--to", "2026-03-14")

    assert [("2026-W09", 4, []), ("2026-W10", 4, []), ("2026-W11", 4, ["10.00"])] == [
        (point["period"], point["open_leads"], [one["amount"] for one in point["open_amounts"]])
        for point in document["points"]
    ]
    assert (
        "2026-W11 (so far)" in leadflow("pipeline", "--every", "week", "--to", "2026-03-14").stdout
    )
    by_channel = leadflow("pipeline", "--every", "month", "--by", "channel").stdout
    assert "channel: event" in by_channel


def test_the_graph_is_told_and_drawn(leadflow: CommandLine) -> None:
    document = leadflow.json("stage-graph", "--by-cycle-kind")
    edges = {(one["from"], one["to"]): one["count"] for one in document["edges"]}

    assert (4, 2, 1) == (edges["captured", "mql"], edges["mql", "sal"], edges["sal", "opportunity"])
    assert ["new"] == [group["value"] for group in document["groups"]]
    dot = leadflow("stage-graph", "--dot").stdout
    assert '  mql -> sal [label="2 (100 %)\\n2.0 d"];' in dot.splitlines()
    mermaid = leadflow("stage-graph", "--mermaid").stdout
    assert "flowchart LR" == mermaid.splitlines()[0]
    assert '  mql -->|"2 (100 %)<br/>2.0 d"| sal' in mermaid.splitlines()
    assert "new cycle" not in leadflow("stage-graph").stdout


def test_handoffs_are_counted_listed_and_grouped(leadflow: CommandLine) -> None:
    document = leadflow.json("handoffs", "--by", "channel")

    assert (2, 1, 1, 0.5) == tuple(
        document[name] for name in ("accepted", "rejected", "ignored", "acceptance_rate")
    )
    assert [("email", 2, 0), ("event", 0, 1)] == [
        (group["value"], group["accepted"], group["rejected"]) for group in document["groups"]
    ]
    pending = leadflow.json("handoffs", "--ignored-after", "40d", "--status", "pending")
    assert [("pending", "kim")] == [(row["status"], row["owner"]) for row in pending["rows"]]
    assert "no budget" in leadflow("handoffs").stdout


def test_channels_tell_what_chance_does_not_explain_or_that_nothing_is(
    leadflow: CommandLine,
) -> None:
    document = leadflow.json("channels")

    assert [("email", 2, 2), ("event", 2, 0), (None, 0, 0)] == [
        (row["value"], row["mql"], row["sal"]) for row in document["rows"]
    ]
    assert "nothing beyond chance" in leadflow("channels", "--by", "campaign").stdout
    assert 1 == len(leadflow.json("channels", "--from", "2026-03-01", "--by", "owner")["rows"])


@pytest.mark.parametrize(
    "words, told",
    [
        ("pipeline --from 2026-01-01", "need --every"),
        ("pipeline --every year", "there are day, week, month"),
        ("pipeline --every day --stuck 3", "leave out --stuck"),
        ("pipeline --every day --from 2026-02-01 --to 2026-01-01", "not before --to"),
        ("pipeline --by stars", "there are owner"),
        ("pipeline --silent-for soon", "no duration"),
        ("stage-graph --by owner --by-cycle-kind", "leave one out"),
        ("stage-graph --dot --json", "choose one"),
        ("stage-graph --dot --by owner", "leave out the grouping"),
        ("stage-graph --by stars", "there are owner"),
        ("handoffs --by stars", "there are reason"),
        ("handoffs --status maybe", "there are accepted"),
        ("handoffs --from 2026-02-01 --to 2026-02-01", "no MQL lies"),
        ("channels --significance much", "is no number"),
        ("channels --significance 0.7", "between 0 and 0.5"),
        ("channels --by stars", "there are owner"),
    ],
)
def test_misuse_names_what_is_wrong_and_what_to_write(
    leadflow: CommandLine, words: str, told: str
) -> None:
    found = " ".join(leadflow(*words.split(), code=2).stderr.replace("│", " ").split())

    assert told in found


def test_a_time_in_which_nothing_happened_is_said_to_be_empty(leadflow: CommandLine) -> None:
    late = ("--from", "2026-06-01")

    assert "nothing happened" in leadflow("pipeline", "--every", "day", *late).stdout
    assert "no lead entered a stage" in leadflow("stage-graph", *late).stdout
    assert "no lead became an MQL" in leadflow("handoffs", *late).stdout
    assert "no leads in that time" in leadflow("channels", *late).stdout
    assert [] == json.loads(leadflow("handoffs", *late, "--json").stdout)["rows"]
