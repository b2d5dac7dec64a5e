"""How fast leads are answered: the definitions, and that all leads at once give the same."""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.decide import as_occurred
from domain.events import Fact, StageEntered
from domain.speed import Response, band_of, breaches, responses
from domain.survival import kaplan_meier, quantile
from leadflow.policies import load_policy
from projections.clocks import NEVER, STARTS, Clocks, clocks
from projections.quantiles import reached
from projections.runner import Runner
from tests.projections_kit import DAY, HOUR, MINUTE, START, Log, fact, read_model_database

POLICY = load_policy()
ASK: tuple[str, dict[str, Any]] = ("demo.requested", {})
CALL = ("call.attempted", {"actor": "rep", "direction": "outbound", "actor_id": "rep-1"})
TALK = ("call.completed", {"actor": "rep", "direction": "outbound", "outcome": "connected"})
LATER = START + 365 * DAY


def act(
    what: tuple[str, dict[str, Any]], at: int, who: str = "ada@example.com", **more: Any
) -> Fact:
    type_, fields = what
    fields = {**fields, **more}
    actor_id = fields.pop("actor_id", None)
    made = fact(type_, at, who, **fields)
    return made if actor_id is None else Fact(**{**_dict(made), "actor_id": actor_id})


def _dict(one: Fact) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Fact.__dataclass_fields__}


def told(facts: list[Fact], as_of: int = LATER) -> list[Response]:
    """Return the responses to the one lead of *facts*."""
    history = [event for events in as_occurred(facts, POLICY)[1] for event in events]
    return responses(history, as_of)


def only(facts: list[Fact], as_of: int = LATER) -> Response:
    (one,) = told(facts, as_of)
    return one


def test_the_clock_runs_from_the_request_to_the_first_attempt_of_a_rep() -> None:
    one = only([act(ASK, 0), act(CALL, 5 * MINUTE), act(TALK, 7 * MINUTE)])

    assert (START, "asked") == (one.started_at, one.start)
    assert START + 5 * MINUTE == one.attempted_at
    assert START + 7 * MINUTE == one.contacted_at
    assert "rep-1" == one.rep


def test_an_imported_record_starts_no_clock() -> None:
    one = only([act(("record.imported", {}), 0), act(CALL, HOUR)])

    assert one.started_at is None
    assert 1 == one.premature


def test_a_call_before_the_request_is_premature_and_stops_nothing() -> None:
    download = ("content.downloaded", {"actor": "prospect"})
    form = ("form.submitted", {"kind": "content"})
    one = only([act(form, 0), act(download, 1), act(CALL, HOUR), act(ASK, 2 * HOUR)])

    assert 1 == one.premature
    assert one.attempted_at is None


def test_what_machines_and_programmes_send_is_no_answer() -> None:
    one = only(
        [
            act(ASK, 0),
            act(("email.sent", {"actor": "machine"}), 1),
            act(("email.sent", {}), 2),
            act(("email.replied", {"actor": "machine"}), 3),
            act(("call.completed", {"direction": "inbound", "actor": "rep"}), 4),
        ]
    )

    assert (None, None) == (one.attempted_at, one.contacted_at)


def test_a_chat_is_a_contact_when_the_person_answers_a_rep() -> None:
    theirs, ours = ("chat.messaged", {"actor": "prospect"}), ("chat.messaged", {"actor": "rep"})
    talk = {"conversation": "c1"}
    alone = only([act(ASK, 0), act(theirs, 1, **talk)])
    both = only([act(ASK, 0), act(theirs, 1, **talk), act(ours, 2, **talk), act(theirs, 3, **talk)])
    elsewhere = only([act(ASK, 0), act(ours, 2, conversation="c2"), act(theirs, 3, **talk)])

    assert alone.contacted_at is None
    assert START + 3 == both.contacted_at
    assert START + 2 == both.attempted_at
    assert elsewhere.contacted_at is None


def test_the_way_to_the_attempt_has_three_parts() -> None:
    assign = ("lead.assigned", {"owner": "rep-2", "actor": "machine"})
    accept = ("lead.accepted", {"actor": "rep"})
    one = only([act(ASK, 0), act(assign, 10), act(accept, 30), act(CALL, 70)])
    nobody = only([act(ASK, 0), act(CALL, 70), act(assign, 80)])
    owned = only([act(("form.submitted", {}), 0), act(assign, 1), act(ASK, 9), act(CALL, 70)])
    silent = only([act(ASK, 0), act(assign, 10)])

    assert (10, 30, 70) == _since(one)
    assert (70, 70, 70) == _since(nobody)
    assert (9, 70, 70) == _since(owned)
    assert (10, None, None) == _since(silent)
    assert "rep-2" == silent.rep


def _since(one: Response) -> tuple[int | None, ...]:
    instants = (one.assigned_at, one.taken_up_at, one.attempted_at)
    return tuple(None if at is None else at - START for at in instants)


def test_who_is_closed_unanswered_is_observed_until_then() -> None:
    one = only([act(ASK, 0), act(("lead.disqualified", {"actor": "rep"}), HOUR), act(CALL, DAY)])

    assert START + HOUR == one.ended_at
    assert not one.is_open
    assert one.attempted_at is None


def test_a_request_after_the_deal_starts_no_clock() -> None:
    one = only([act(("form.submitted", {}), 0), act(("deal.won", {}), 1), act(ASK, 2)])

    assert one.started_at is None
    assert one.is_won


def test_each_cycle_has_a_clock_of_its_own() -> None:
    recycled = ("lead.recycled", {"actor": "rep"})
    one, other = told(
        [
            act(ASK, 0),
            act(("lead.accepted", {"actor": "rep"}), 1),
            act(CALL, 2),
            act(recycled, DAY),
            act(ASK, 2 * DAY),
            act(CALL, 2 * DAY + HOUR),
        ]
    )

    assert (START, START + 2) == (one.started_at, one.attempted_at)
    assert (START + 2 * DAY, START + 2 * DAY + HOUR) == (other.started_at, other.attempted_at)
    assert other.is_open


def test_five_minutes_are_still_the_first_band() -> None:
    waits = [0, 5 * MINUTE, 5 * MINUTE + 1, 15 * MINUTE, HOUR, HOUR + 1, DAY, DAY + 1, None]

    assert ["0-5", "0-5", "5-15", "5-15", "15-60", "60+", "60+", "24h+", "unanswered"] == [
        band_of(wait) for wait in waits
    ]


def test_an_open_lead_fails_a_promise_only_when_its_time_is_over() -> None:
    assert breaches(None, HOUR + 1, HOUR)
    assert not breaches(None, HOUR, HOUR)
    assert not breaches(HOUR, DAY, HOUR)
    assert breaches(HOUR + 1, DAY, HOUR)


# --- all leads at once --------------------------------------------------------------------------

_TYPES = [
    ("demo.requested", {}),
    ("demo.requested", {"actor": "machine"}),
    ("pricing.requested", {"traits": {"seniority": "vp"}}),
    ("form.submitted", {"kind": "content"}),
    ("record.imported", {}),
    ("prospect.added", {"actor": "rep"}),
    ("lead.assigned", {"owner": "rep-1", "actor": "machine"}),
    ("lead.assigned", {"owner": "rep-2"}),
    ("lead.unassigned", {}),
    ("lead.accepted", {"actor": "rep"}),
    ("lead.accepted", {"actor": "machine"}),
    ("sms.sent", {"actor": "unknown"}),
    ("lead.qualified", {"actor": "rep"}),
    ("qualification.answered", {"criterion": "need", "value": "x", "satisfied": True}),
    ("qualification.answered", {"criterion": "budget", "value": 1, "satisfied": True}),
    ("lead.recycled", {"actor": "rep"}),
    ("lead.disqualified", {"actor": "rep"}),
    ("lead.reopened", {}),
    ("opportunity.created", {"opportunity": "o"}),
    ("deal.won", {"opportunity": "o"}),
    ("deal.lost", {"opportunity": "o"}),
    *[
        ("call.completed", {"actor": actor, "direction": way, "outcome": outcome})
        for actor in ("rep", "prospect", "machine", "unknown")
        for way in ("inbound", "outbound", None)
        for outcome in ("connected", "voicemail")
    ],
    ("call.attempted", {"actor": "rep", "actor_id": "rep-9"}),
    ("email.sent", {"actor": "rep"}),
    ("email.sent", {}),
    ("email.replied", {"actor": "prospect"}),
    ("email.replied", {"actor": "machine"}),
    ("sms.replied", {}),
    ("meeting.booked", {"actor": "rep", "actor_id": "rep-8"}),
    ("meeting.held", {}),
    *[
        ("chat.messaged", {"actor": actor, "conversation": talk})
        for actor in ("rep", "prospect", "unknown")
        for talk in ("c1", "c2", None)
    ],
]
WHO = ["ada@example.com", "bo@example.com", "cy@example.com"]

acts = st.lists(
    st.tuples(
        st.sampled_from(_TYPES),
        st.integers(0, 12),
        st.sampled_from(WHO),
        st.sampled_from(["/a", "/b"]),
    ),
    max_size=40,
)


def made(chosen: list[Any]) -> list[Fact]:
    return [
        act((type_, {k: v for k, v in fields.items() if v is not None}), at * HOUR, who, source=src)
        for (type_, fields), at, who, src in chosen
    ]


def by_columns(facts: list[Fact], as_of: int) -> dict[tuple[str, int], Response]:
    """Return the responses by lead id and cycle, as the read models tell."""
    runner = Runner(read_model_database(), Log(POLICY, facts), POLICY)
    runner.catch_up()
    with runner.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT lead_no, lead_id FROM pipeline")
        ids = {int(row[0]): str(row[1]) for row in rows}
        found = clocks(connection, as_of)
    cycles = found.cycles
    return {
        (ids[int(lead)], int(cycle)): _row(found, n)
        for n, (lead, cycle) in enumerate(zip(cycles.lead_no, cycles.number, strict=True))
    }


def _row(found: Clocks, n: int) -> Response:
    def at(column: Any) -> int | None:
        return None if column[n] == NEVER else int(column[n])

    premature, won = int(found.premature[n]), bool(found.is_won[n])
    number = int(found.cycles.number[n])
    if at(found.started_at) is None:
        return Response(number, None, is_won=won, premature=premature)
    return Response(
        number,
        at(found.started_at),
        STARTS[int(found.start[n])],
        at(found.ended_at),
        bool(found.is_open[n]),
        at(found.assigned_at),
        at(found.taken_up_at),
        at(found.attempted_at),
        at(found.contacted_at),
        at(found.qualified_at),
        found.rep.values[int(found.rep.codes[n])],
        won,
        premature,
    )


def by_lead(facts: list[Fact], as_of: int) -> dict[tuple[str, int], Response]:
    """Return the same from each lead's own history."""
    from domain.identity import lead_id

    found = {}
    for who in WHO:
        own = [one for one in facts if one.person and one.person["email"] == who]
        for one in told(own, as_of):
            found[lead_id(("email", who)), one.cycle] = one
    return found


@settings(max_examples=70)
@given(acts)
def test_all_leads_at_once_are_told_what_each_lead_is(chosen: list[Any]) -> None:
    facts = made(chosen)
    as_of = max((one.at for one in facts), default=START)

    assert by_lead(facts, as_of) == by_columns(facts, as_of)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=30))
def test_quantiles_over_columns_are_those_of_the_curve(some: list[tuple[int, bool]]) -> None:
    shares = [Fraction(n, 20) for n in range(1, 21)]
    curve = kaplan_meier(some)
    durations = np.array([at for at, _ in some], np.int64)
    ended = np.array([hit for _, hit in some], np.bool_)

    assert [quantile(curve, share) for share in shares] == reached(durations, ended, shares)


def test_a_tie_that_floats_cannot_see_is_decided_exactly() -> None:
    """A third of three thirds, three times over: the half is reached where it is, not after."""
    durations = np.array([*range(1, 8), *range(1, 8)], np.int64)
    ended = np.array([True, False] * 7, np.bool_)
    curve = kaplan_meier(zip(durations.tolist(), ended.tolist(), strict=True))
    shares = [step.reached for step in curve]

    assert [step.at for step in curve] == reached(durations, ended, shares)


def test_entries_by_the_engine_start_a_clock_and_words_of_sales_do_not() -> None:
    from domain.speed import ENGINE_RULES

    def entered(rule: str) -> StageEntered:
        return StageEntered("sql", 1, START, START, rule, "p", "/test", "e")

    assert "intent" in ENGINE_RULES
    assert "sql" == responses([entered("intent")], LATER)[0].start
    assert responses([entered("qualified")], LATER)[0].started_at is None
