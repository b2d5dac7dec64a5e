"""What became of each MQL: one rule, and the ledger that counts by it."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from domain.handoffs import DAY, IGNORED_AFTER, STATUSES, Answer, answer, totals
from domain.intervals import wilson
from domain.stage_graph import MEDIAN, P90
from domain.stages import DISQUALIFIED, LOST, MQL, PACKS, RANK, RECYCLED
from domain.survival import kaplan_meier, quantile
from leadflow.policies import load_policy
from projections.handoffs import handoffs
from projections.pipeline import UnknownDimension
from projections.runner import Runner
from projections.schema import SCHEMA
from tests.projections_kit import HOUR, Log, fact, read_model_database
from tests.stage_histories import NOW, Life, filled, populations

POLICY = load_policy()


# --- the rule ---


@pytest.mark.parametrize(
    "rejected_at, next_stage, next_at, expected",
    [
        (None, "sal", 5, Answer("accepted", 5)),
        (None, "sql", 5, Answer("accepted", 5, is_implied=True)),
        (None, "sal", 60, Answer("accepted", 60, is_late=True)),
        (None, "recycled", 5, Answer("recycled", 5)),
        (None, "disqualified", 50, Answer("disqualified", 50, is_late=True)),
        (None, "lost", 5, Answer("lost", 5)),
        (3, None, None, Answer("rejected", 3)),
        (3, "recycled", 3, Answer("rejected", 3)),
        (3, "sal", 9, Answer("rejected", 3, was_taken_later=True)),
        (7, "sal", 5, Answer("accepted", 5)),
    ],
)
def test_the_first_word_of_sales_counts(
    rejected_at: int | None, next_stage: str | None, next_at: int | None, expected: Answer
) -> None:
    assert expected == answer(0, rejected_at, next_stage, next_at, now=99, ignored_after=50)


def test_who_waits_too_long_is_ignored_and_till_then_pending() -> None:
    assert "pending" == answer(0, None, None, None, now=IGNORED_AFTER - 1).status
    assert "ignored" == answer(0, None, None, None, now=IGNORED_AFTER).status


def test_in_no_pack_an_mql_goes_anywhere_but_on_or_out() -> None:
    """What follows MQL and undoes nothing was taken: the rule leans on it."""
    for pack in PACKS.values():
        after = {move.to for move in pack.table if MQL in move.after}
        assert all(RANK[stage] > RANK[MQL] for stage in after - {RECYCLED, DISQUALIFIED, LOST}), (
            pack.name
        )


def test_the_rate_leaves_out_who_may_still_be_answered() -> None:
    told = totals(["accepted", "ignored", "pending", "pending"])

    assert (4, Fraction(1, 2)) == (told.mqls, told.acceptance)
    assert wilson(1, 2) == told.interval
    assert totals(["pending"]).acceptance is None


# --- the ledger ---


@given(populations(), st.sampled_from([0, 60, 10**6]))
@settings(max_examples=60)
def test_the_ledger_counts_by_the_rule(population: list[Life], ignored_after: int) -> None:
    expected = []
    for n, life in enumerate(population):
        for stay, following in zip(life.stays, [*life.stays[1:], None], strict=False):
            if stay.stage != MQL:
                continue
            until = stay.exited_at
            refused = [
                at
                for at, _ in life.rejections
                if at >= stay.entered_at and (until is None or at <= until)
            ]
            found = answer(
                stay.entered_at,
                refused[0] if refused else None,
                None if following is None else following.stage,
                until,
                NOW,
                ignored_after,
            )
            expected.append((f"lead-{n:03}", stay.entered_at, life.channel, found))
    engine = filled(population)
    with engine.connect() as connection:
        told = handoffs(connection, "channel", as_of=NOW, ignored_after=ignored_after, limit=1_000)
    engine.dispose()

    assert sorted((lead, found.status) for lead, _, _, found in expected) == sorted(
        (row["lead_id"], row["status"]) for row in told["rows"]
    )
    assert counted([found for *_, found in expected]) == {
        status: told[status] for status in STATUSES
    }
    stays = [
        (max((NOW if found.at is None else found.at) - entered, 0), found.at is not None)
        for _, entered, _, found in expected
    ]
    for name, share in (("p50", MEDIAN), ("p90", P90)):
        exact = quantile(kaplan_meier(stays), share)
        assert told["answer_seconds"][name] == (None if exact is None else exact / 1_000_000)
    for group in told["groups"]:
        of_group = [found for _, _, channel, found in expected if channel == group["value"]]
        assert counted(of_group) == {status: group[status] for status in STATUSES}


def counted(answers: list[Answer]) -> dict[str, int]:
    return {status: sum(one.status == status for one in answers) for status in STATUSES}


def told_story() -> Log:
    """Return a log of five MQLs: accepted, rejected, recycled, ignored and pending."""
    names = ("ada", "ben", "cat", "dan", "eve")
    log = Log(POLICY)
    for n, name in enumerate(names):
        start = 30 * DAY if name == "eve" else n * HOUR
        fit = {"seniority": "c_level", "title": "CEO", "company": {"size": "200-499"}}
        for type_ in ("demo.requested", "pricing.requested"):
            log.arrive(fact(type_, start, f"{name}@example.com", traits=fit))
    rep = {"actor": "rep"}
    for type_, name, at, more in (
        ("lead.assigned", "ada", 2, {"owner": "kim"}),
        ("lead.accepted", "ada", 3, {}),
        ("lead.rejected", "ben", 5, {"reason": "no budget"}),
        ("lead.accepted", "ben", 90, {}),
        ("lead.recycled", "cat", 7, {"reason": "too early"}),
        ("note.added", "eve", 31 * 24, {}),
    ):
        log.arrive(fact(type_, at * HOUR, f"{name}@example.com", actor_id="lee", **rep, **more))
    return log


def test_reasons_and_waiting_times_are_told() -> None:
    runner = Runner(read_model_database(), told_story(), POLICY)
    runner.catch_up()
    with runner.engine.connect() as connection:
        told = handoffs(connection)
        by_reason = handoffs(connection, "reason")
        rejected = handoffs(connection, status="rejected")
        early = handoffs(connection, until=told_instant(told))

    rows = {row["status"]: row for row in told["rows"]}
    assert dict.fromkeys(STATUSES, 1) | {"lost": 0, "disqualified": 0} == {
        status: told[status] for status in STATUSES
    }
    assert "no budget" == rows["rejected"]["reason"]
    assert (4.0 * 3600, True) == (
        rows["rejected"]["waited_seconds"],
        rows["rejected"]["was_taken_later"],
    )
    assert ("too early", "kim") == (rows["recycled"]["reason"], rows["accepted"]["owner"])
    assert rows["ignored"]["answered_at"] is None
    assert 0.25 == told["acceptance_rate"]
    # of five, three were answered: after 3, 4 and 5 hours
    assert {"p50": 5.0 * 3600, "p90": None} == told["answer_seconds"]
    assert {"p50": 3.0 * 3600, "p90": 3.0 * 3600} == told["accepted_seconds"]
    assert [(None, 3), ("no budget", 1), ("too early", 1)] == [
        (group["value"], group["mqls"]) for group in by_reason["groups"]
    ]
    assert ["rejected"] == [row["status"] for row in rejected["rows"]]
    assert 4 == early["mqls"]


def told_instant(told: dict[str, Any]) -> int:
    """Return the instant of the latest MQL."""
    from consumers.normalise import instant

    return instant(told["rows"][0]["mql_at"])


def test_what_makes_no_sense_is_refused_with_what_does() -> None:
    with filled([]).connect() as connection:
        with pytest.raises(ValueError, match="there are accepted, rejected"):
            handoffs(connection, status="maybe")
        with pytest.raises(UnknownDimension, match="there are reason, answered_by"):
            handoffs(connection, "stars")
        assert (0, None, []) == tuple(
            handoffs(connection)[name] for name in ("mqls", "acceptance_rate", "rows")
        )


# --- the view ---


def test_the_view_says_what_the_query_says(database_url: str) -> None:
    runner = Runner(create_engine(database_url), told_story(), POLICY)
    runner.create()
    runner.catch_up()
    with runner.engine.connect() as connection:
        told = handoffs(connection, limit=100)["rows"]
    with runner.engine.begin() as connection:
        if runner.engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
        shown = connection.execute(text("SELECT * FROM v_handoffs")).mappings().all()
    runner.engine.dispose()

    waiting = {"pending": "waiting", "ignored": "waiting"}
    assert 5 == len(shown)
    assert {
        row["lead_id"]: (
            waiting.get(row["status"], row["status"]),
            row["answered_by"],
            row["reason"],
            row["next_stage"],
            None if row["answered_at"] is None else int(row["waited_seconds"]),
        )
        for row in told
    } == {
        row["lead_id"]: (
            row["status"],
            row["answered_by"],
            row["reason"],
            row["next_stage"],
            row["waited_seconds"],
        )
        for row in shown
    }
