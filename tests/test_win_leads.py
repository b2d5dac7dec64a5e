"""How likely leads are to be won, from the events of the leads themselves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from projections.win import Case, cases
from tests.command_line import CommandLine, command_line
from tests.pages import DOCS, run_page

MAP = Path(__file__).resolve().parents[1] / "docs" / "examples" / "maven_crm.toml"
LATER = "2099-12-31"
"""After whatever a test records."""

Found = Callable[..., list[Case]]


def act(who: str, n: int, type_: str, day: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "source": "/shop",
        "id": f"{who}-{n}",
        "type": type_,
        "time": f"{day}T09:00:00Z",
        "data": {"person": {"email": f"{who}@example.com"}, **data},
    }


def deal(who: str, month: str, channel: str, *, won: bool | None) -> Iterator[dict[str, Any]]:
    """Yield the events of a lead of a month; *won* None is a deal that is still open."""
    touch = {"channel": channel, "source": channel}
    yield act(who, 1, "form.submitted", f"{month}-02", kind="demo", touch=touch)
    yield act(who, 2, "opportunity.created", f"{month}-05", opportunity=who)
    if won is True:
        yield act(who, 3, "deal.won", f"{month}-20", opportunity=who)
    if won is False:
        yield act(who, 3, "deal.lost", f"{month}-20", opportunity=who)


def month_of(month: str, count: int) -> list[dict[str, Any]]:
    """Return *count* deals of a month: referrals are won 3 times in 4, e-mails 1 time in 4."""
    return [
        one
        for n in range(count)
        for one in deal(
            f"m{month}-{n}".replace("-", ""),
            month,
            "referral" if n % 2 else "email",
            won=(n // 2 % 4 > 0) if n % 2 else (n // 2 % 4 == 0),
        )
    ]


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Return the program with 240 outcomes by the end of March and two open deals."""
    with command_line(tmp_path_factory.mktemp("win")) as program:
        events = [*month_of("2025-02", 120), *month_of("2025-03", 120)]
        events += deal("ada", "2025-03", "referral", won=None)
        events += deal("bo", "2025-03", "email", won=None)
        events.sort(key=lambda one: one["time"])
        program("ingest", program.write("events.jsonl", *events), "--as-if-live")
        yield program


def test_open_leads_are_ranked_by_what_became_of_their_like(leadflow: CommandLine) -> None:
    document = leadflow.json("win")

    assert (240, 120, 120, 0.5) == tuple(
        document[name] for name in ("outcomes", "won", "lost", "base_rate")
    )
    assert document["calibrated"]
    assert document["tells_apart"]
    assert document["brier"] < document["brier_base_rate"]
    likely, unlikely = (lead["probability"] for lead in document["leads"])
    assert (0.75, 0.25) == pytest.approx((likely, unlikely), abs=0.02)
    assert 2 == document["open"]
    assert 1 == len(leadflow.json("win", "--top", "1")["leads"])


def test_a_probability_comes_with_its_reasons(leadflow: CommandLine) -> None:
    document = leadflow.json("lead", "odds", "ada@example.com")

    assert 0.75 == pytest.approx(document["probability"], abs=0.02)
    assert (None, "opportunity") == (document["outcome"], document["stage"])
    reasons = {one["feature"]: one for one in document["reasons"]}
    assert ("referral", 90, 30) == tuple(reasons["channel"][n] for n in ("value", "won", "lost"))
    assert reasons["channel"]["ratio"] == pytest.approx((90.1 / 120.2) / (30.1 / 120.2), abs=1e-6)
    total = float(document["prior"]) + sum(float(one["points"]) for one in document["reasons"])
    assert total == pytest.approx(float(document["log_odds"]), abs=1e-5)
    told = leadflow("lead", "odds", "ada@example.com").stdout
    assert " % to be won" in told
    assert "channel" in told


def test_a_closed_lead_has_an_outcome_and_no_probability(leadflow: CommandLine) -> None:
    document = leadflow.json("lead", "odds", "m2025020@example.com")

    assert ("won", None, []) == tuple(document[n] for n in ("outcome", "probability", "reasons"))
    assert "nothing is left to predict" in leadflow("lead", "odds", "m2025020@example.com").stdout


def test_what_came_later_changes_no_probability_of_the_past(tmp_path: Path) -> None:
    """Neither later outcomes, nor earlier ones that were recorded later."""
    with command_line(tmp_path) as program:
        events = [*month_of("2025-02", 220), *deal("ada", "2025-02", "referral", won=None)]
        program("ingest", program.write("a.jsonl", *events), "--as-if-live")
        asked = [("win",), ("lead", "odds", "ada@example.com")]
        before = [program.json(*words, "--as-of", "2025-02-28") for words in asked]
        assert 220 == before[0]["outcomes"]

        later = [*month_of("2025-03", 60), act("ada", 9, "deal.lost", "2025-03-09")]
        program("ingest", program.write("b.jsonl", *later), "--as-if-live")
        assert before == [program.json(*words, "--as-of", "2025-02-28") for words in asked]
        assert 281 == program.json("win")["outcomes"]

        program("ingest", program.write("c.jsonl", *month_of("2025-01", 30)))
        assert before == [program.json(*words, "--as-of", "2025-02-28") for words in asked]
        known = program.json("win", "--as-of", "2025-02-28", "--known-at", LATER)
        assert 250 == known["outcomes"]


def test_few_outcomes_are_told_to_be_few(tmp_path: Path) -> None:
    with command_line(tmp_path) as program:
        program("ingest", program.write("a.jsonl", *deal("ada", "2025-02", "email", won=None)))
        assert "nothing to learn from" in program("win").stdout
        assert (0, None) == tuple(program.json("win")[n] for n in ("outcomes", "base_rate"))
        assert 0.5 == program.json("lead", "odds", "ada@example.com")["probability"]
        program("ingest", program.write("b.jsonl", *month_of("2025-03", 20)))
        document = program.json("win")
        assert not document["calibrated"]
        assert "not calibrated" in program("win").stdout
        assert "not calibrated" in program("lead", "odds", "ada@example.com").stdout


def test_both_databases_give_the_same_probabilities(
    leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    asked = [("win",), ("lead", "odds", "ada@example.com")]
    here = [leadflow.json(*words) for words in asked]
    monkeypatch.setenv("LEADFLOW_DATABASE_URL", postgres_database)
    leadflow("ingest", "events.jsonl", "--as-if-live")
    assert here == [leadflow.json(*words) for words in asked]


# --- cases --------------------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """Return the cases of events, without the leads' ids and numbers."""

    def of(*events: dict[str, Any]) -> list[Case]:
        with command_line(tmp_path) as program:
            program("ingest", program.write("events.jsonl", *events))
        engine = create_engine(f"sqlite:///{tmp_path / 'leadflow.db'}")
        with engine.connect() as connection:
            told = list(cases(connection, lambda traits: "ABCD"[len(traits)]))
        engine.dispose()
        return [case._replace(lead_no=0, lead_id="") for case in told]

    return of


def test_a_case_knows_what_was_known_before_its_outcome(found: Found) -> None:
    company = {"company": {"size": "200-499", "industry": "software"}}
    person = {"email": "ada@example.com", "seniority": "vp", **company}
    mail = {"channel": "email", "source": "newsletter"}
    events = [
        act("ada", 1, "form.submitted", "2025-02-01", person=person, touch=mail, kind="demo"),
        act("ada", 2, "lead.accepted", "2025-02-02", touch={"channel": "outbound"}),
        act("ada", 3, "opportunity.created", "2025-02-03", opportunity="a", product="kit"),
        act("ada", 4, "deal.won", "2025-02-09", opportunity="a"),
        act("ada", 5, "email.clicked", "2025-02-10", touch={"channel": "paid_social"}),
    ]

    (case,) = found(*events)

    assert "won" == case.outcome
    assert {
        "channel": ("email",),
        "source": ("newsletter",),
        "industry": ("software",),
        "company_size": ("200-999",),
        "seniority": ("vp",),
        "fit_grade": ("D",),
        "product": ("kit",),
        "cycle_kind": ("new",),
        "stage_reached": ("opportunity",),
        "touches": ("2+",),
        "touched": ("email", "outbound"),
    } == case.features
    before = ("captured", "mqo", "mql", "sal", "sql")
    assert {"stage_reached": before, "touches": ("1+",)} == case.passed


def test_every_cycle_with_an_outcome_is_a_case_and_the_last_without_one_too(found: Found) -> None:
    events = [
        act("ada", 1, "demo.requested", "2025-02-01"),
        act("ada", 2, "lead.disqualified", "2025-02-02", reason="student"),
        act("ada", 3, "lead.reopened", "2025-02-03"),
        act("ada", 4, "lead.accepted", "2025-02-04"),
        act("ada", 5, "lead.recycled", "2025-02-05", reason="later"),
        act("ada", 6, "lead.accepted", "2025-02-06"),
    ]

    told = found(*events)

    assert [(1, "disqualified"), (3, None)] == [(case.cycle, case.outcome) for case in told]
    assert [("new",), ("recycled",)] == [case.features["cycle_kind"] for case in told]
    assert [("captured",), ("sal",)] == [case.features["stage_reached"] for case in told]


def test_a_visitor_without_a_stage_is_no_case(found: Found) -> None:
    assert [] == found(act("ada", 1, "page.viewed", "2025-02-01"))


# --- a CRM's own history ------------------------------------------------------------------------


def test_a_crm_export_is_judged_honestly(shared_data: Path, tmp_path: Path) -> None:
    """Its columns do not tell won from lost: no better than the base rate, and no worse."""
    with command_line(tmp_path) as program:
        file = shared_data / "maven_crm" / "sales_pipeline.csv"
        program("import", str(file), "--map", str(MAP))
        document = program.json("win", "--top", "3000")

    assert (6_711, 4_238, 2_473, 2_089) == tuple(
        document[name] for name in ("outcomes", "won", "lost", "open")
    )
    assert document["calibrated"]
    assert document["brier"] <= document["brier_base_rate"] < document["brier_uncalibrated"]
    assert not document["tells_apart"]
    for one in document["reliability"]:
        assert one["interval"][0] <= one["predicted"] <= one["interval"][1]
    assert {document["base_rate"]} == {lead["probability"] for lead in document["leads"]}


def test_the_page_on_win_probability_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/win-probability.md", tmp_path) > 0
