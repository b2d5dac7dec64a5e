"""Whatever the order, the batches and the database: the same facts give the same rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.corrections import CORRECTIONS
from domain.decide import as_occurred
from domain.events import Fact, StageEntered, ThresholdCrossed
from domain.identity import RULINGS
from leadflow.policies import load_policy
from projections.as_of import as_of_engine
from projections.digest import digests
from projections.feeding import unsettles
from projections.rebuild import roll_back
from projections.runner import Runner
from projections.spend import SPEND
from tests.projections_kit import (
    DAY,
    HOUR,
    MINUTE,
    START,
    Log,
    fact,
    person,
    read_model_database,
)

POLICY = load_policy()

PEOPLE = ("ada@example.com", "ben@example.com")
KEYS = st.sampled_from(
    [
        *[[["email", one]] for one in PEOPLE],
        [["anonymous_id", "v1"]],
        [["anonymous_id", "v2"]],
        [["email", PEOPLE[0]], ["anonymous_id", "v1"]],
        [["email", PEOPLE[1]], ["anonymous_id", "v2"]],
        [["phone", "+4420794600"], ["anonymous_id", "v2"]],
    ]
)
TYPES: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.sampled_from(
    [
        ("page.viewed", {}),
        ("page.viewed", {}),
        ("demo.requested", {}),
        ("trial.started", {}),
        ("form.submitted", {"kind": "content"}),
        ("lead.accepted", {}),
        ("lead.assigned", {"owner": "anna"}),
        ("lead.unassigned", {}),
        ("lead.recycled", {"until": START + DAY}),
        ("lead.disqualified", {}),
        ("lead.reopened", {}),
        ("opportunity.created", {"opportunity": "o1", "amount": 101, "currency": "EUR"}),
        ("opportunity.created", {"opportunity": "o2"}),
        ("opportunity.changed", {"opportunity": "o1", "amount": 1_000_003, "currency": "EUR"}),
        ("deal.won", {"amount": 70_001, "currency": "JPY", "product": "pump"}),
        ("deal.won", {"opportunity": "o2"}),
        ("deal.lost", {"opportunity": "o1", "reason": "price"}),
        ("email.delivered", {"message": "m1"}),
        ("email.clicked", {"message": "m1", "link": "a"}),
        ("email.clicked", {"message": "m1", "link": "b"}),
        ("email.clicked", {"message": "m1", "link": "c"}),
        ("event.voided", {}),
        ("event.reclassified", {"actor_kind": "machine"}),
        ("event.reclassified", {"actor_kind": "prospect"}),
        ("lead.merged", {}),
        ("lead.unmerged", {}),
        (SPEND, {"campaign": "one", "amount": 101, "currency": "EUR", "day": "2024-10-04"}),
        (SPEND, {"campaign": "two", "amount": -7, "currency": "JPY", "day": "2024-10-05"}),
    ]
)
TOUCHES = st.sampled_from(
    [
        None,
        {"channel": "email", "source": "news", "party": "first"},
        {"channel": "paid_search", "source": "google", "campaign": "Püm\u0301pe"},
        {"channel": "direct"},
    ]
)
TRAITS = st.sampled_from(
    [
        None,
        None,
        {"seniority": "c_level", "country": "DE", "company": {"size": "2000+", "name": "Acme"}},
        {"country": "JP"},
    ]
)
# few instants, so that many facts share one
INSTANTS = st.one_of(
    st.integers(0, 3).map(lambda n: n * HOUR),
    st.sampled_from([10 * MINUTE, 40 * MINUTE, 5 * DAY, 95 * DAY]),
)


SOURCES = st.sampled_from(["/a", "/b"])


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Return facts of a few people, in canonical order."""
    made = []
    for n in range(draw(st.integers(1, 24))):
        (type_, data), keys, at = draw(TYPES), draw(KEYS), START + draw(INSTANTS)
        person: dict[str, Any] = {"keys": keys, **dict(keys)}
        if type_ in CORRECTIONS:
            target = draw(st.integers(0, 24))
            data = {**data, "event_source": draw(SOURCES), "event_id": f"f{target}"}
            person = {"keys": []}
        elif type_ == SPEND:
            person = draw(st.sampled_from([{"keys": []}, person]))
        elif type_ in RULINGS:
            person["other"] = draw(KEYS)[0]
        made.append(
            Fact(
                type=type_,
                source=draw(SOURCES),
                id=f"f{n}",
                at=at,
                recorded_at=at,
                sequence=draw(st.sampled_from([-1, 1, 2])),
                actor=draw(st.sampled_from(["prospect", "rep", "machine", "unknown"])),
                touch=draw(TOUCHES),
                person=person,
                traits=draw(TRAITS),
                data=data or None,
            )
        )
    return sorted(made, key=lambda fact: fact.order)


def projected(log: Log, batch: int, *, restart: bool = False) -> dict[str, str]:
    """Return the digests of the read models of *log*."""
    engine = read_model_database()
    runner = Runner(engine, log, POLICY)
    if restart:
        while new := log.stream(runner.checkpoint(), batch):
            Runner(engine, Upto(log, new[-1][0]), POLICY).catch_up(batch)
    runner.catch_up(batch)
    found = runner.digest()
    engine.dispose()
    return found


def analytic(found: dict[str, str]) -> dict[str, str]:
    """Return the digests that do not depend on the order of arrival: decisions do, by design."""
    return {name: digest for name, digest in found.items() if name != "decided"}


class Upto(Log):
    """A log that ends early; what a runner sees that is stopped there."""

    def __init__(self, log: Log, position: int) -> None:
        super().__init__(log.policy)
        self.__dict__.update(log.__dict__)
        self.position = position

    def stream(self, after: int, limit: int) -> list[Any]:
        return [row for row in super().stream(after, limit) if row[0] <= self.position]


@given(facts(), st.data(), st.integers(1, 30))
@settings(max_examples=70)
def test_any_arrival_order_and_any_batch_size_give_the_same_rows(
    known: list[Fact], data: st.DataObject, batch: int
) -> None:
    arrived = data.draw(st.permutations(known))

    live = projected(Log(POLICY, arrived), batch)
    assert live == projected(Log(POLICY, arrived), 1_000)
    assert analytic(live) == analytic(projected(Log(POLICY, known), 1_000))


@given(facts(), st.data())
@settings(max_examples=25)
def test_a_rebuild_makes_the_rows_that_are_there_and_can_be_taken_back(
    known: list[Fact], data: st.DataObject
) -> None:
    log = Log(POLICY, data.draw(st.permutations(known)))
    engine = read_model_database()
    runner = Runner(engine, log, POLICY)
    runner.catch_up(5)
    before = runner.digest()

    report = runner.rebuild()

    assert [] == report.differences
    assert before == runner.digest()
    assert 0 == runner.catch_up()
    roll_back(engine)
    assert before == runner.digest()
    engine.dispose()


@given(facts(), st.data())
@settings(max_examples=40)
def test_as_of_an_instant_the_rows_are_those_of_the_facts_so_far(
    known: list[Fact], data: st.DataObject
) -> None:
    """A fact known later counts as of its instant, and not for what was known before."""
    arrived = [
        replace(fact, recorded_at=fact.at + late)
        for fact in data.draw(st.permutations(known))
        for late in [data.draw(st.sampled_from([0, 0, HOUR, 10 * DAY]))]
    ]
    as_of = data.draw(st.sampled_from([None, START, START + HOUR, START + 6 * DAY]))
    known_at = data.draw(st.sampled_from([None, START + HOUR, START + 6 * DAY]))
    holding = [
        fact
        for fact in arrived
        if (as_of is None or fact.at <= as_of)
        and (known_at is None or fact.recorded_at <= known_at)
    ]

    engine = as_of_engine(Log(POLICY, arrived), POLICY, as_of, known_at)

    assert analytic(projected(Log(POLICY, holding), 1_000)) == analytic(digests(engine))
    engine.dispose()


def test_as_of_an_instant_a_mail_of_somebody_else_judges_no_click() -> None:
    """Two who were joined later are two at that instant, with what each of them did."""
    ada, visitor = person(email="ada@example.com"), person(anonymous_id="v1")
    known = [
        fact("email.clicked", 0, ada, id="click", message="m1", link="a"),
        fact("page.viewed", HOUR, person(email="ada@example.com", anonymous_id="v1")),
        fact("email.delivered", 0, visitor, id="mail", message="m1"),
    ]

    engine = as_of_engine(Log(POLICY, known), POLICY, START)

    assert projected(Log(POLICY, [known[0], known[2]]), 1_000) == digests(engine)
    engine.dispose()


@given(facts(), st.integers(1, 5))
@settings(max_examples=20)
def test_a_runner_that_starts_again_after_each_batch_makes_the_same_rows(
    known: list[Fact], batch: int
) -> None:
    log = Log(POLICY, known[::-1])

    assert projected(log, 1_000) == projected(log, batch, restart=True)


def _stages(events: Sequence[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, StageEntered | ThresholdCrossed)]


@given(facts())
def test_decisions_of_a_log_in_order_are_those_as_it_occurred(known: list[Fact]) -> None:
    log = Log(POLICY, known)
    for stream, rows in log.streams.items():
        if stream in log.into or stream in log.into.values():
            continue
        events = [event for _, event in rows]
        if any(unsettles(event) for event in events):
            continue  # what was decided stays, whatever is corrected or ruled later
        _, anew = as_occurred([e for e in events if isinstance(e, Fact)], POLICY)

        assert _stages(events) == _stages([event for made in anew for event in made])
