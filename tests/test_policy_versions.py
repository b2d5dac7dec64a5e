"""Each fact is judged by the policy in force when it was received, whoever reads it and when."""

import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from consumers.intake import Intake
from consumers.ledger import Batch, Conflict
from consumers.unpack import Record
from domain.book import POLICY_STREAM, PolicyBook, judged_alike
from domain.decide import decide
from domain.events import Event, Fact, PolicyPublished, StageEntered, ThresholdCrossed
from domain.lead import Lead, evolve
from domain.policy import DAY, Policy
from domain.scoring import score
from leadflow.dossier import open_dossier
from leadflow.leads import explain, timeline
from leadflow.policies import load_policy, policy_of
from leadflow.policy_book import (
    FIRST,
    PolicyUnchanged,
    VersionUnknown,
    entries,
    find,
    publish,
    read_book,
)
from leadflow.store import migrate, open_store
from leadflow.store.base import Store, Transaction
from leadflow.store.codec import decode, encode
from projections.as_of import as_of_engine
from projections.digest import digests
from projections.pipeline import pipeline
from projections.runner import Runner
from tests.reliability import kit
from tests.reliability.digests import in_order, make_log

SECOND = 1_000_000
NOW = kit.NOW


@cache
def policy(name: str = "default", threshold: int = 50, grade: str = "C") -> Policy:
    """Return the default policy with another name and another threshold."""
    document = load_policy().document
    stages = {**document["stages"], "mql": {"grade": grade, "engagement": threshold}}
    return policy_of({**document, "name": name, "stages": stages})


BASE = policy()
EAGER = policy("eager", 10, "D")
STRICT = policy("strict", 90, "A")


@contextmanager
def opened(url: str) -> Iterator[Store]:
    migrate.upgrade(url)
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with opened(database_url) as store:
        yield store


@pytest.fixture
def lite(sqlite_database: str) -> Iterator[Store]:
    with opened(sqlite_database) as store:
        yield store


def intake(store: Store) -> Intake:
    """Return an intake as the application makes it."""
    return Intake(store, read_book(store, BASE), reread=lambda: read_book(store, BASE))


def put(store: Store, made: Policy, now: int) -> PolicyPublished:
    return publish(store, BASE, made, by="Ada", reason="agreed", now=now)


def form(number: int, at: int, *, email: str = "ada@example.com") -> Record:
    """Return a form filled in for some content, recorded at *at*."""
    value = kit.sent(str(number), at=number, data={"kind": "content"}, email=email)
    return Record(kit.STREAM, 0, number, at, None, value, ())


def decisions(store: Store) -> list[StageEntered]:
    return [event for *_, event in kit.log_of(store) if isinstance(event, StageEntered)]


# --- publishing -----------------------------------------------------------------------------------


def test_decisions_cite_the_version_that_was_in_force(store: Store) -> None:
    one = intake(store)
    one.process([form(1, NOW)], {})
    published = put(store, EAGER, NOW + SECOND)
    one.process([form(2, NOW + 2 * SECOND)], {})

    assert [("captured", BASE.version), ("mqo", BASE.version), ("mql", EAGER.version)] == [
        (event.stage, event.policy) for event in decisions(store)
    ]
    assert published.at == NOW + SECOND
    assert published.previous == BASE.version


def test_the_first_publication_brings_the_policy_before_it_along(lite: Store) -> None:
    put(lite, EAGER, NOW)
    book = read_book(lite, STRICT)  # whatever a worker is configured with
    assert [BASE.version, EAGER.version] == [event.version for event in book.published]
    assert [BASE, BASE, EAGER] == [book.at(at) for at in (FIRST, NOW - 1, NOW)]
    assert [(None, NOW), (NOW, None)] == [(one.since, one.until) for one in entries(book)]
    assert EAGER == find(book, "2") == find(book, EAGER.version) == find(book, "eager")
    for unknown in ("0", "3", "none"):
        with pytest.raises(VersionUnknown, match="policy list"):
            find(book, unknown)


def test_publishing_again_what_is_in_force_changes_nothing(store: Store) -> None:
    put(store, EAGER, NOW)
    before = list(kit.log_of(store))
    with pytest.raises(PolicyUnchanged, match=EAGER.version):
        put(store, EAGER, NOW + SECOND)
    assert before == list(kit.log_of(store))
    put(store, BASE, NOW + SECOND)  # back to an older one is a publication like any other
    assert BASE == read_book(store, BASE).at(NOW + SECOND)


def test_the_configured_policy_itself_is_published_as_in_force_from_the_beginning(
    lite: Store,
) -> None:
    """Whoever edits the file in use and publishes it then: nothing changes but that it is stored."""
    intake(lite).process([form(1, NOW + 100 * SECOND)], {})
    assert FIRST == put(lite, BASE, NOW + SECOND).at
    assert BASE == read_book(lite, STRICT).at(NOW)
    with pytest.raises(PolicyUnchanged):
        put(lite, BASE, NOW + 2 * SECOND)
    assert NOW + 100 * SECOND + 1 == put(lite, EAGER, NOW + 3 * SECOND).at
    assert [BASE.version, EAGER.version] == [
        one.policy.version for one in entries(read_book(lite, BASE))
    ]


def test_a_book_can_be_handed_to_another_process(lite: Store) -> None:
    put(lite, EAGER, NOW)
    book = read_book(lite, BASE)
    again = pickle.loads(pickle.dumps(book))  # noqa: S301 - what we have just written
    assert [book.at(at) for at in (0, NOW)] == [again.at(at) for at in (0, NOW)]


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("x", " ")])
def test_a_publication_says_who_and_why(lite: Store, by: str, reason: str) -> None:
    with pytest.raises(ValueError, match="who"):
        publish(lite, BASE, EAGER, by=by, reason=reason, now=NOW)


def test_a_policy_is_in_force_only_behind_what_was_recorded_by_a_clock_ahead(store: Store) -> None:
    """Else the log, read again, would judge by the new one what the old one has judged."""
    intake(store).process([form(1, NOW + 100 * SECOND), form(2, NOW)], {})
    assert NOW + 100 * SECOND + 1 == put(store, EAGER, NOW + SECOND).at
    assert NOW + 100 * SECOND + 2 == put(store, STRICT, NOW + SECOND).at


def test_what_is_received_while_a_policy_is_published_stays_before_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher has looked at the log, and a worker writes before it has the lock."""
    commit = store.commit_decided

    def overtaken(decide: Callable[[Transaction], Batch]) -> None:
        monkeypatch.undo()
        intake(store).process([form(1, NOW + 50 * SECOND)], {})
        commit(decide)

    monkeypatch.setattr(store, "commit_decided", overtaken)
    assert NOW + 50 * SECOND + 1 == put(store, EAGER, NOW).at


def test_two_who_publish_at_once_do_not_overwrite_each_other(store: Store) -> None:
    book = read_book(store, BASE)
    put(store, EAGER, NOW)
    event = PolicyPublished(STRICT.version, STRICT.document, NOW + 1, NOW, "Bob", "mine")
    with pytest.raises(Conflict):
        store.commit(Batch(events=[(POLICY_STREAM, book.stream_version + 1, event)]))
    assert 2 == read_book(store, BASE).stream_version


def test_a_publication_survives_the_codec_and_reads_back_as_the_policy(lite: Store) -> None:
    event = put(lite, EAGER, NOW)
    assert event == decode(*encode(event))
    assert EAGER == read_book(lite, BASE).current


def test_instants_of_a_book_rise(lite: Store) -> None:
    event = put(lite, EAGER, NOW)
    with pytest.raises(ValueError, match="later"):
        PolicyBook(BASE, [(event, EAGER), (event, EAGER)])


# --- workers --------------------------------------------------------------------------------------


def test_a_worker_with_an_old_book_decides_nothing_by_it(store: Store) -> None:
    """It had read the book before the publication; the commit refuses, and it decides again."""
    worker, other = intake(store), intake(store)
    worker.process([form(1, NOW)], {})
    other.process([form(2, NOW, email="bob@example.com")], {})
    published = put(store, EAGER, NOW + SECOND)
    worker.process([form(3, published.at)], {})
    other.process([form(4, published.at - 1, email="bob@example.com")], {})

    cited = [(event.id, event.policy) for event in decisions(store) if event.stage == "mql"]
    assert [("3", EAGER.version)] == cited  # 4 came too early for the new one


def test_a_batch_decided_by_a_replaced_policy_is_a_conflict_and_writes_nothing(
    store: Store,
) -> None:
    put(store, EAGER, NOW)
    head = store.head()
    fact = Fact("page.viewed", "/test", "1", NOW, NOW)
    for stale in (Batch(policy_version=0), Batch(policy_version=1)):
        stale.events = [("lead", 1, fact)]
        with pytest.raises(Conflict):
            store.commit(stale)
    assert head == store.head()
    store.commit(Batch(events=[("lead", 1, fact)], policy_version=2))


def test_while_workers_write_each_decision_is_of_the_policy_in_force(store: Store) -> None:
    """Two workers write without pause while policies are published; none decides by an old one."""
    clock, lock = NOW, threading.Lock()
    stop = threading.Event()
    failed: list[BaseException] = []

    def tick() -> int:
        nonlocal clock
        with lock:
            clock += SECOND
            return clock

    def work(name: str) -> None:
        try:
            one, number = intake(store), 0
            while not stop.is_set() or number < 5:
                number += 1
                mail = f"{name}{number % 7}@example.com"
                value = kit.sent(f"{name}{number}", data={"kind": "content"}, email=mail)
                one.process([Record(name, 0, number, tick(), None, value, ())], {})
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for made in (EAGER, STRICT, EAGER, STRICT):
        put(store, made, tick())
    stop.set()
    for thread in threads:
        thread.join()

    assert not failed
    book = read_book(store, BASE)
    latest = 0
    for _, _, _, event in kit.log_of(store):
        if isinstance(event, PolicyPublished):
            assert event.at == FIRST or event.at > latest
        else:
            latest = max(latest, event.recorded_at)
        if isinstance(event, StageEntered | ThresholdCrossed):
            assert book.at(event.recorded_at).version == event.policy
    assert 5 == book.stream_version


def test_what_a_policy_refuses_is_refused_by_the_one_in_force(store: Store) -> None:
    """A batch may hold nothing but refusals: it is checked like any other."""
    lenient = policy_of({**BASE.document, "name": "lenient", "parties": {"third": "none"}})
    worker = intake(store)
    published = put(store, lenient, NOW)
    for number, at in enumerate((published.at, published.at - 1)):
        data = {"touch": {"channel": "other", "party": "third"}}
        value = kit.sent(str(number), data=data, email=f"{number}@example.com")
        worker.process([Record(kit.STREAM, 0, number, at, None, value, ())], {})
    assert [("0", lenient.version)] == [(event.id, event.policy) for event in decisions(store)]
    assert [1] == [letter.position for _, _, letter in store.dead_letters()]


# --- the log read again, the read models ----------------------------------------------------------

EVENTS = 500


@cache
def simulated() -> Sequence[Record]:
    return list(in_order(make_log(EVENTS)))


def marks() -> list[tuple[int, Policy]]:
    """Return when which policy is published while the simulated events arrive."""
    times = [record.timestamp for record in simulated()]
    return [
        (times[len(times) * part // 4] + 1, made)
        for part, made in ((1, EAGER), (2, STRICT), (3, EAGER))
    ]


def live(store: Store, runner: Runner, batch: int) -> None:
    """Take the simulated events while policies are published; project along the way."""
    one = intake(store)
    waiting = marks()
    for start in range(0, len(simulated()), batch):
        chunk = simulated()[start : start + batch]
        while waiting and waiting[0][0] < chunk[0].timestamp:
            at, made = waiting.pop(0)
            put(store, made, at)
        one.process(chunk, {})
        runner.catch_up(37)


def copy_publications(store: Store, to: Store) -> None:
    events = store.histories([POLICY_STREAM])[POLICY_STREAM]
    to.commit(Batch(events=[(POLICY_STREAM, n, event) for n, event in enumerate(events, 1)]))


@contextmanager
def running(url: str) -> Iterator[tuple[Store, Runner]]:
    with opened(url) as store:
        engine = migrate.make_engine(url)
        runner = Runner(engine, store, BASE, reread=lambda: read_book(store, BASE))
        runner.create()
        yield store, runner
        engine.dispose()


def leads_of(store: Store) -> dict[str, list[Event]]:
    return {
        stream: events
        for stream, events in store.all_streams(store.head())
        if stream != POLICY_STREAM
    }


def test_the_log_read_again_decides_the_same_and_every_road_leads_to_one_digest(
    tmp_path: Path,
) -> None:
    """Live with publications along the way; rebuilt; read again; and in another order."""
    with running(f"sqlite:///{tmp_path / 'live.db'}") as (store, runner):
        live(store, runner, 20)
        history, found = leads_of(store), runner.digest()
        cited = {event.policy for event in decisions(store)}
        assert {BASE.version, EAGER.version, STRICT.version} == cited
        assert found == runner.rebuild().after
        again = tmp_path / "again.db"
        with running(f"sqlite:///{again}") as (other, its_runner):
            copy_publications(store, other)
            one = intake(other)
            for start in range(0, len(simulated()), 101):
                one.process(simulated()[start : start + 101], {})
            its_runner.catch_up()
            assert history == leads_of(other)
            assert found == its_runner.digest()
        with running(f"sqlite:///{tmp_path / 'shuffled.db'}") as (other, its_runner):
            copy_publications(store, other)
            records = list(simulated())
            Random(3).shuffle(records)
            one = intake(other)
            for start in range(0, len(simulated()), 50):
                one.process(records[start : start + 50], {})
                its_runner.catch_up(29)
            shuffled = its_runner.digest()
            assert shuffled == its_runner.rebuild().after
            del shuffled["decided"], found["decided"]  # what was decided depends on what was known
            assert found == shuffled


def test_the_read_models_of_an_earlier_instant_know_nothing_of_later_policies(
    lite: Store,
) -> None:
    one = intake(lite)
    one.process([form(number, NOW + number) for number in range(4)], {})
    then = as_of_engine(lite, read_book(lite, BASE), known_at=NOW + 10)
    before = digests(then)
    then.dispose()
    published = put(lite, EAGER, NOW + SECOND)
    one.process([form(9, published.at + 1)], {})
    again = as_of_engine(lite, read_book(lite, BASE), known_at=NOW + 10)
    assert before == digests(again)
    again.dispose()


def test_a_score_is_told_by_the_policy_in_force_at_its_instant(lite: Store) -> None:
    document = BASE.document
    doubled = {**document["engagement"], "half_life_days": 60}
    slow = policy_of({**document, "name": "slow", "engagement": doubled})
    one = intake(lite)
    one.process([form(number, NOW + number) for number in range(3)], {})
    put(lite, slow, NOW + DAY)
    stream = lite.leads_of([("email", "ada@example.com")])["email", "ada@example.com"]
    rules = read_book(lite, BASE)
    for at, made in ((NOW + DAY - 1, BASE), (NOW + DAY, slow), (NOW + 9 * DAY, slow)):
        dossier = open_dossier(lite, rules, stream, now=NOW + 99 * DAY, as_of=at)
        assert score(dossier.facts, made, at) == dossier.score()
        assert explain(dossier)["stage"]["policy"] == BASE.version
        told = timeline(dossier)["events"][-1]["score"]
        assert told == timeline(open_dossier(lite, BASE, stream, now=at))["events"][-1]["score"]


# --- the domain -----------------------------------------------------------------------------------

FACTS = st.lists(
    st.builds(
        lambda n, type_, at, late: Fact(type_, "/test", str(n), at, at + late, actor="prospect"),
        st.integers(0, 10_000),
        st.sampled_from(["content.downloaded", "email.unsubscribed", "page.viewed", "note.added"]),
        st.integers(0, 40).map(lambda days: NOW + days * DAY),
        st.sampled_from([0, DAY, 9 * DAY]),
    ),
    max_size=14,
    unique_by=lambda fact: fact.id,
)


@settings(max_examples=150)
@given(facts=FACTS, draw=st.randoms(use_true_random=False))
def test_what_saves_work_under_one_policy_misleads_no_other(
    facts: list[Fact], draw: Random
) -> None:
    """Policies change from fact to fact; a lead that forgets its bounds each time decides alike."""
    quick, slow = Lead(), Lead()
    for fact in facts:
        judge = draw.choice([BASE, EAGER, STRICT])
        slow.forget_bounds()
        events = decide(quick, fact, judge)
        assert events == decide(slow, fact, judge)
        for event in events:
            evolve(quick, event)
            evolve(slow, event)
    assert quick == slow


def test_facts_are_judged_alike_where_no_policy_came_between(lite: Store) -> None:
    put(lite, EAGER, NOW)
    rules = read_book(lite, BASE)
    early = Fact("page.viewed", "/test", "1", NOW - 2, NOW - 1)
    assert judged_alike([early, replace(early, at=NOW, recorded_at=NOW)], rules)
    assert judged_alike([replace(early, at=NOW + 1)], rules)  # its clock ran ahead
    assert not judged_alike([early, replace(early, recorded_at=NOW)], rules)
    assert judged_alike([replace(early, recorded_at=NOW)], BASE)


def test_who_is_who_by_another_policy_is_the_same_live_and_rebuilt(tmp_path: Path) -> None:
    """A number that told colleagues apart joins them; a click that was a person's is a machine's."""
    document = {**BASE.document, "name": "joining"}
    document["identity"] = {"weak": ["anonymous_id"]}
    document["machines"] = {"click_seconds": 30}
    start = NOW - 128_800 * SECOND  # what `sent` counts from

    def arrive(one: Intake, runner: Runner, id_: str, type_: str, at: int, **person: str) -> int:
        """Take in an event as it happens; return how many leads there are then."""
        value = kit.sent(id_, type_, at=at, data={"message": "m", "link": "l"}, **person)
        one.process([Record(kit.STREAM, 0, at, start + at * SECOND, None, value, ())], {})
        runner.catch_up()
        with runner.engine.connect() as connection:
            return len(connection.execute(select(pipeline.c.lead_no)).all())

    with running(f"sqlite:///{tmp_path / 'live.db'}") as (store, runner):
        one = intake(store)
        phone = "+49301234567"
        assert 1 == arrive(
            one, runner, "1", "form.submitted", 1, email="a@example.com", phone=phone
        )
        assert 2 == arrive(
            one, runner, "2", "form.submitted", 2, email="b@example.com", phone=phone
        )
        assert 2 == arrive(one, runner, "3", "email.delivered", 3, email="a@example.com")
        assert 2 == arrive(one, runner, "4", "email.clicked", 13, email="a@example.com")
        put(store, policy_of(document), start + 15 * SECOND)
        assert 1 == arrive(one, runner, "5", "email.clicked", 20, email="a@example.com")
        assert 1 == arrive(one, runner, "6", "page.viewed", 21, email="b@example.com")
        assert runner.digest() == runner.rebuild().after
