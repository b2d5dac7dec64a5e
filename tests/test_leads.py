"""One lead from the store: its state, its timeline and every point add up."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from consumers.intake import Intake
from consumers.normalise import instant
from domain.identity import lead_id
from domain.scoring import score
from leadflow.amounts import decimal_text, points
from leadflow.app import App
from leadflow.dossier import Dossier, LeadUnknown, open_dossier
from leadflow.files import ingest, open_lines
from leadflow.lead_keys import KeyUnclear, stream_of_key
from leadflow.leads import explain, score_document, show, timeline
from leadflow.settings import load_settings
from tests.command_line import event

NOW = instant("2025-06-01T00:00:00Z")

TOUCH = {"touch": {"channel": "paid_search", "source": "google", "campaign": "spring"}}
PERSON = {"email": "ada@example.com", "seniority": "vp", "company": {"size": 300}}

STORY = [
    event(
        "1",
        "page.viewed",
        "2025-03-01T09:00:00Z",
        {"person": {"anonymous_id": "a-1"}, **TOUCH, "url": "/pricing"},
    ),
    event(
        "2",
        "demo.requested",
        "2025-03-02T09:00:00Z",
        {"person": {**PERSON, "anonymous_id": "a-1"}},
    ),
    event("3", "lead.assigned", "2025-03-02T09:05:00Z", {"owner": "kim"}),
    event(
        "4",
        "call.completed",
        "2025-03-02T10:00:00Z",
        {"actor": {"kind": "rep", "id": "kim"}, "direction": "outbound", "outcome": "connected"},
    ),
    event("5", "lead.accepted", "2025-03-02T10:10:00Z"),
    event(
        "6",
        "opportunity.created",
        "2025-03-05T10:00:00Z",
        {"opportunity": "O-1", "amount": "1200.50", "currency": "EUR"},
    ),
    event("7", "consent.granted", "2025-03-06T10:00:00Z", {"purpose": "newsletter"}),
    event(
        "8",
        "deal.won",
        "2025-04-01T10:00:00Z",
        {"opportunity": "O-1", "amount": "1100.00", "currency": "EUR"},
    ),
]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    settings = load_settings({"database_url": f"sqlite:///{tmp_path / 'leads.db'}"})
    with App(settings) as app:
        app.prepare()
        yield app


def _take(app: App, events: Sequence[dict[str, Any]], *, as_if_live: bool = True) -> None:
    path = Path(app.engine.url.database or "").with_suffix(".jsonl")
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    with open_lines(str(path)) as stream:
        outcome = ingest(stream, app.store, app.intake(), as_if_live=as_if_live)
    assert 0 == outcome.dead_letters
    app.runner.catch_up()


def _open(app: App, key: str = "ada@example.com", **when: str) -> Dossier:
    as_of, known_at = (
        instant(when[name]) if name in when else None for name in ("as_of", "known_at")
    )
    return open_dossier(
        app.store, app.policy, stream_of_key(app, key), now=NOW, as_of=as_of, known_at=known_at
    )


def test_a_lead_is_shown_with_all_that_its_facts_say(app: App) -> None:
    _take(app, STORY)
    shown = show(_open(app))
    assert lead_id(("email", "ada@example.com")) == shown["lead_id"]
    assert ("won", 1, "kim", 8) == tuple(
        shown[name] for name in ("stage", "cycle", "owner", "events")
    )
    assert shown["stage_as_decided"] == shown["stage_as_occurred"] == "won"
    assert [("anonymous_id", "a-1"), ("email", "ada@example.com")] == [
        (one["kind"], one["value"]) for one in shown["identifiers"]
    ]
    first = {"channel": "paid_search", "source": "google", "campaign": "spring"}
    assert first.items() <= shown["first_touch"].items()
    assert shown["first_touch"] == shown["last_touch"]
    deal = shown["opportunities"][0]
    assert ("O-1", "won", "1100.00", "EUR", "2025-04-01T10:00:00Z") == tuple(
        deal[name] for name in ("opportunity", "status", "amount", "currency", "closed_at")
    )
    assert [("newsletter", None, True)] == [
        (one["purpose"], one["channel"], one["granted"]) for one in shown["consent"]
    ]


def test_the_timeline_tells_each_fact_with_what_it_led_to(app: App) -> None:
    _take(app, STORY)
    events = timeline(_open(app))["events"]
    assert [str(n) for n in range(1, 9)] == [one["id"] for one in events]
    stages = [one["stage"] for one in events]
    assert [None, "captured", "captured", "mql", "sal", "opportunity", "opportunity", "won"] == (
        stages
    )
    assert [("lead.stage_entered", "opportunity_created")] == [
        (one["type"], one["rule"]) for one in events[5]["decisions"]
    ]
    assert "opportunity created: O-1, 1200.50 EUR" == events[5]["summary"]
    assert "page viewed: /pricing via paid_search / google / spring" == events[0]["summary"]
    assert not any(one["late"] for one in events)
    positions = [one["position"] for one in events]
    assert sorted(positions) == positions


def test_the_score_of_each_moment_is_the_score_of_the_facts_up_to_it(app: App) -> None:
    types = ("page.viewed", "email.unsubscribed", "meeting.held", "demo.requested", "trial.started")
    more = [
        event(
            f"x{n}",
            types[n % len(types)],
            f"2025-03-{1 + n // 3:02}T{n % 24:02}:00:00Z",
            {"person": {**PERSON, "seniority": ("vp", "manager", "intern")[n % 3]}},
        )
        for n in range(60)
    ]
    _take(app, [*STORY, *more])
    dossier = _open(app)
    told = [one["score"] for one in timeline(dossier)["events"]]
    expected = [
        score_document(score(dossier.facts[:n], dossier.policy, fact.at))
        for n, fact in enumerate(dossier.facts, 1)
    ]
    assert expected == told


def test_no_summary_holds_what_identifies_a_person(app: App) -> None:
    _take(app, STORY)
    told = [one["summary"] for one in timeline(_open(app))["events"]]
    assert not [text for text in told if "ada" in text or "a-1" in text]


def test_what_is_counted_sums_to_the_score(app: App) -> None:
    _take(app, STORY)
    for when in ("2025-03-01T09:00:00Z", "2025-03-02T10:00:00Z", "2025-05-01T00:00:00Z"):
        told = explain(_open(app, as_of=when))
        for axis in ("fit", "engagement"):
            counted = [
                round(one["counted"] * 1_000_000)
                for one in told["contributions"]
                if one["axis"] == axis
            ]
            assert round(told["score"][axis] * 1_000_000) == sum(counted)
        total = sum(round(one["counted"] * 1_000_000) for one in told["contributions"])
        assert round(told["score"]["total"] * 1_000_000) == total


def test_the_stage_is_explained_by_the_decision_that_made_it(app: App) -> None:
    _take(app, STORY)
    stage = explain(_open(app))["stage"]
    assert ("won", "2025-04-01T10:00:00Z", "deal_won", "/shop", "8") == tuple(
        stage[name] for name in ("stage", "entered_at", "rule", "source", "id")
    )
    assert stage["policy"].startswith("default@")


def test_as_of_an_instant_only_what_had_happened_counts(app: App) -> None:
    _take(app, STORY)
    shown = show(_open(app, as_of="2025-03-05T10:00:00Z"))
    assert ("opportunity", 6, "open") == (
        shown["stage"],
        shown["events"],
        shown["opportunities"][0]["status"],
    )
    assert "1200.50" == shown["opportunities"][0]["amount"]
    with pytest.raises(LeadUnknown, match="nothing was known"):
        _open(app, as_of="2025-02-01T00:00:00Z")


def test_what_came_late_was_not_known_before(app: App) -> None:
    _take(app, [one for one in STORY if one["id"] != "6"])
    late = {**STORY[5], "time": "2025-03-05T10:00:00Z"}
    _take(app, [late], as_if_live=False)
    known = show(_open(app, known_at="2025-04-02T00:00:00Z"))
    assert ("won", 7) == (known["stage"], known["events"])
    entry = next(one for one in timeline(_open(app))["events"] if one["id"] == "6")
    assert entry["late"]
    assert "opportunity" == entry["stage"]
    assert 8 == show(_open(app))["events"]


def test_the_order_of_arrival_changes_what_was_decided_and_nothing_that_occurred(
    app: App, tmp_path: Path
) -> None:
    shuffled = STORY.copy()
    random.Random(5).shuffle(shuffled)
    _take(app, shuffled)
    with App(load_settings({"database_url": f"sqlite:///{tmp_path / 'other.db'}"})) as other:
        other.prepare()
        _take(other, STORY)
        one, two = show(_open(app)), show(_open(other))
        same = ("lead_id", "stage_as_occurred", "score", "owner", "opportunities", "consent")
        assert {name: two[name] for name in same} == {name: one[name] for name in same}
        stages = [[e["stage"] for e in timeline(_open(each))["events"]] for each in (app, other)]
        assert stages[0] == stages[1]


def test_merged_leads_are_one_story(app: App) -> None:
    other = {"person": {"email": "ada@work.example"}}
    both = {"person": {"email": "ada@work.example", "external_ids": {"crm": "7"}}}
    joined = {"person": {"email": "ada@example.com", "external_ids": {"crm": "7"}}}
    _take(
        app,
        [
            event("a", "form.submitted", "2025-03-01T09:00:00Z", other),
            event("b", "page.viewed", "2025-03-02T09:00:00Z"),
            event("c", "page.viewed", "2025-03-03T09:00:00Z", both),
            event("d", "deal.won", "2025-03-04T09:00:00Z", joined),
        ],
    )
    dossiers = [_open(app, key) for key in ("ada@example.com", "ada@work.example", "crm:7")]
    for dossier in dossiers:
        assert ("won", 4) == (show(dossier)["stage"], show(dossier)["events"])
        assert 1 == sum(
            decision["type"] == "lead.merged"
            for one in timeline(dossier)["events"]
            for decision in one["decisions"]
        )
        assert "won" == explain(dossier)["stage"]["stage"]
    assert 1 == len({dossier.lead_id for dossier in dossiers})


def test_a_withdrawal_wins_over_its_own_instant(app: App) -> None:
    block = {"consent": [{"purpose": "news", "channel": "email", "granted": True}]}
    _take(
        app,
        [
            event("1", "form.submitted", "2025-03-01T09:00:00Z", block),
            event(
                "0",
                "consent.withdrawn",
                "2025-03-01T09:00:00Z",
                {"purpose": "news", "channel": "email"},
            ),
        ],
    )
    assert [False] == [one["granted"] for one in show(_open(app))["consent"]]


# --- keys ---------------------------------------------------------------------------------------


def test_a_lead_is_found_by_each_of_its_names(app: App) -> None:
    who = {
        "email": "Ada@Example.com",
        "phone": "+49 30 1234567",
        "anonymous_id": "a:1",
        "external_ids": {"crm": "00:17"},
    }
    one = event("1", "form.submitted", "2025-03-01T09:00:00Z", {"person": who})
    _take(app, [{**one, "source": "https://shop.example:8080/x", "subject": "s-1"}])
    stream = stream_of_key(app, "ada@example.com")
    keys = (
        "ADA@example.com",
        "email:ada@example.com",
        "+49301234567",
        "+49 30 1234567",
        "phone:+49301234567",
        "anonymous_id:a:1",
        "a:1",
        "crm:00:17",
        "external:crm:00:17",
        "00:17",
        "subject:https://shop.example:8080/x:s-1",
        "s-1",
        show(_open(app))["lead_id"],
        stream,
    )
    assert {stream} == {stream_of_key(app, key) for key in keys}


def test_a_key_that_fits_several_leads_or_none_is_told(app: App) -> None:
    def known_as(system: str) -> dict[str, Any]:
        return {"person": {"external_ids": {system: "17"}}}

    _take(
        app,
        [
            event("1", "page.viewed", "2025-03-01T09:00:00Z", known_as("crm")),
            event("2", "page.viewed", "2025-03-01T09:00:00Z", known_as("erp")),
        ],
    )
    with pytest.raises(KeyUnclear, match="external:crm:17, external:erp:17"):
        stream_of_key(app, "17")
    with pytest.raises(LeadUnknown, match="give a lead id, an e-mail address"):
        stream_of_key(app, "nobody@example.com")
    with pytest.raises(LeadUnknown):
        stream_of_key(app, "0b9e5c1e-6d0c-5f0a-9d57-6f0f2b1c7a11")


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "micro, text", [(0, "0"), (1, "1e-06"), (2_500_000, "2.5"), (-20_000_000, "-20")]
)
def test_points_are_exact_to_the_last_micro_point(micro: int, text: str) -> None:
    assert text == json.dumps(points(micro))


@pytest.mark.parametrize(
    "minor, currency, text",
    [(1250, "EUR", "12.50"), (1250, "JPY", "1250"), (-5, "USD", "-0.05"), (1, "BHD", "0.001")],
)
def test_amounts_are_exact_decimals(minor: int, currency: str, text: str) -> None:
    assert text == decimal_text(minor, currency)


def test_a_fresh_intake_knows_nothing_of_another(app: App) -> None:
    assert isinstance(app.intake(), Intake)
    assert app.intake() is not app.intake()
