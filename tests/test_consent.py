"""Consent: every word is kept, the latest counts, and without a word the answer is no."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from consumers.normalise import instant
from domain.book import PolicyBook
from domain.consent import (
    EXPIRED,
    GRANTED,
    PENDING,
    UNKNOWN,
    WITHDRAWN,
    Consents,
    Word,
    add_months,
    consents,
    may,
)
from domain.events import Fact, PolicyPublished, canonical
from domain.policy import ConsentRules, Policy
from projections.consents import consents as table
from projections.pipeline import pipeline
from projections.runner import Runner
from tests.command_line import CommandLine, event
from tests.examples import POLICY, small_policy
from tests.pages import DOCS, run_page
from tests.projections_kit import DAY, HOUR, START, Log, fact, read_model_database

OPT_IN = ConsentRules(double_opt_in=frozenset({"newsletter"}))


def under(rules: ConsentRules) -> Policy:
    return small_policy(consent=rules)


def form(at: int, *blocks: dict[str, Any]) -> Fact:
    return fact("form.submitted", at, consent=list(blocks))


def box(purpose: str, channel: str | None = None, *, granted: bool = True, **more: str) -> Any:
    block: dict[str, Any] = {"purpose": purpose, "granted": granted, **more}
    return block if channel is None else {**block, "channel": channel}


def state(facts: Sequence[Fact], purpose: str, channel: str | None, policy: Policy = POLICY) -> str:
    last = max((one.at for one in facts), default=START)
    return may(consents(canonical(facts), policy), purpose, channel, last).state


# --- what counts --------------------------------------------------------------------------------


def test_without_a_word_the_answer_is_no() -> None:
    assert (False, UNKNOWN, None) == may(consents([], POLICY), "marketing", "email", START)


def test_the_latest_word_counts_whatever_the_order_of_arrival() -> None:
    words = [
        fact("consent.granted", 1, purpose="marketing", channel="email"),
        fact("consent.withdrawn", 2, purpose="marketing", channel="email"),
        fact("consent.granted", 3, purpose="Marketing ", channel="email"),
    ]

    assert {GRANTED} == {state(some, "marketing", "email") for some in permutations(words)}
    assert WITHDRAWN == state(words[:2], "marketing", "email")


def test_at_one_instant_a_withdrawal_wins_over_every_grant() -> None:
    words = [
        fact("consent.granted", 1, purpose="news", channel="sms", source="/a"),
        fact("consent.withdrawn", 1, purpose="news", source="/b"),
        fact("consent.granted", 1, purpose="news", source="/c", proof="p"),
    ]

    assert {WITHDRAWN} == {state(some, "news", "sms") for some in permutations(words)}
    assert WITHDRAWN == state([form(1, box("news", granted=False), box("news"))], "news", None)


def test_a_word_without_a_channel_is_about_every_channel() -> None:
    granted = fact("consent.granted", 1, purpose="news")
    by_phone = fact("consent.withdrawn", 2, purpose="news", channel="phone")
    nothing = fact("consent.withdrawn", 3, purpose="news")

    assert GRANTED == state([granted], "news", "post")
    assert WITHDRAWN == state([granted, by_phone], "news", "phone")
    assert GRANTED == state([granted, by_phone], "news", "email")
    assert WITHDRAWN == state([granted, by_phone], "news", None), "not by all of them"
    assert WITHDRAWN == state([granted, by_phone, nothing], "news", "email")


def test_a_grant_for_one_channel_is_none_for_another() -> None:
    by_mail = fact("consent.granted", 1, purpose="news", channel="email")

    assert GRANTED == state([by_mail], "news", "email")
    assert [UNKNOWN, UNKNOWN] == [state([by_mail], "news", one) for one in ("phone", None)]


@pytest.mark.parametrize("type_", ["email.unsubscribed", "email.complained"])
def test_an_unsubscription_ends_marketing_by_email_alone(type_: str) -> None:
    facts = [form(1, box("marketing"), box("service")), fact(type_, 2)]

    assert WITHDRAWN == state(facts, "marketing", "email")
    assert GRANTED == state(facts, "marketing", "phone")
    assert GRANTED == state(facts, "service", "email")
    both = under(ConsentRules(unsubscribe_ends=("marketing", "service")))
    assert WITHDRAWN == state(facts, "service", "email", both)


def test_what_is_not_said_to_be_granted_is_not() -> None:
    facts = [form(1, box("news")), form(2, {"purpose": "news"})]

    assert WITHDRAWN == state(facts, "news", None)


def test_the_words_keep_event_text_and_proof() -> None:
    one = form(1, box("news", "sms", text_version="v2", proof="tick"))

    (word,) = (word for word, _ in consents([one], POLICY).words)

    assert Word("news", "sms", True, one.at, one.type, one.source, one.id, "v2", "tick") == word
    assert word == may(consents([one], POLICY), "news", "sms", one.at).word


# --- double opt-in, validity, past instants -----------------------------------------------------


def test_with_double_opt_in_a_grant_waits_for_the_proof() -> None:
    policy = under(OPT_IN)
    ticked = form(1, box("newsletter", "email", proof="form log"))
    clicked = fact("consent.granted", 2, purpose="newsletter", channel="email", proof="click")
    unproven = fact("consent.granted", 2, purpose="newsletter", channel="email")

    assert PENDING == state([ticked], "newsletter", "email", policy)
    assert PENDING == state([ticked, unproven], "newsletter", "email", policy)
    assert GRANTED == state([ticked, clicked], "newsletter", "email", policy)
    assert GRANTED == state([ticked], "newsletter", "email"), "the default policy asks for none"


def test_a_confirmed_grant_is_not_unsettled_by_another_tick() -> None:
    policy = under(OPT_IN)
    clicked = fact("consent.granted", 2, purpose="newsletter", proof="click")
    ticked = form(3, box("newsletter"))
    left = fact("consent.withdrawn", 4, purpose="newsletter")
    again = form(5, box("newsletter"))

    assert GRANTED == state([clicked, ticked], "newsletter", None, policy)
    assert PENDING == state([clicked, ticked, left, again], "newsletter", None, policy)


def test_a_grant_lapses_after_so_many_months() -> None:
    said = consents(
        [fact("consent.granted", 0, purpose="ads")], under(ConsentRules(valid_months=24))
    )
    end = add_months(START, 24)

    assert GRANTED == may(said, "ads", "sms", end - 1).state
    assert (False, EXPIRED) == may(said, "ads", "sms", end)[:2]


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2024-01-31T10:00:00.000001Z", 1, "2024-02-29T10:00:00.000001Z"),
        ("2024-02-29T00:00:00Z", 12, "2025-02-28T00:00:00Z"),
        ("2025-12-15T00:00:00Z", 1, "2026-01-15T00:00:00Z"),
        ("2025-12-15T00:00:00Z", 24, "2027-12-15T00:00:00Z"),
    ],
)
def test_a_month_ends_on_the_same_day_or_its_last(start: str, months: int, end: str) -> None:
    assert instant(end) == add_months(instant(start), months)


def test_words_said_later_do_not_change_the_past() -> None:
    said = consents(
        [
            fact("consent.granted", DAY, purpose="news"),
            fact("consent.withdrawn", 3 * DAY, purpose="news"),
        ],
        POLICY,
    )
    answers = [may(said, "news", "email", START + n * DAY).state for n in range(4)]

    assert [UNKNOWN, GRANTED, GRANTED, WITHDRAWN] == answers


def test_each_word_is_judged_by_the_policy_of_its_time() -> None:
    strict = under(OPT_IN)
    published = PolicyPublished("test@2", {}, START + DAY, START + DAY, "kim", "stricter")
    book = PolicyBook(POLICY, [(published, strict)])
    before, later = form(0, box("newsletter", "sms")), form(2 * DAY, box("newsletter", "email"))
    said = consents([before, later], book)

    assert GRANTED == may(said, "newsletter", "sms", later.at).state
    assert PENDING == may(said, "newsletter", "email", later.at).state


# --- properties ---------------------------------------------------------------------------------

PURPOSES, CHANNELS = ("news", "ads"), (None, "email", "sms")
WORDS = st.lists(
    st.builds(
        Word,
        purpose=st.sampled_from(PURPOSES),
        channel=st.sampled_from(CHANNELS),
        granted=st.booleans(),
        at=st.integers(0, 5).map(lambda n: n * DAY),
        type=st.sampled_from(["form.submitted", "consent.granted"]),
        source=st.just("/a"),
        id=st.uuids().map(str),
        proof=st.sampled_from([None, "p"]),
    ),
    max_size=12,
)
RULES = st.builds(
    ConsentRules,
    double_opt_in=st.sampled_from([frozenset(), frozenset({"news"})]),
    valid_months=st.sampled_from([0, 1]),
)


def by_hand(words: Sequence[Word], rules: ConsentRules, purpose: str, channel: str) -> str:
    """Return the state by its definition: all words about it, withdrawals last in their instant."""
    about = [w for w in words if w.purpose == purpose and w.channel in (None, channel)]
    found = UNKNOWN
    for word in sorted(about, key=lambda w: (w.at, not w.granted)):
        if not word.granted:
            found = WITHDRAWN
        elif purpose in rules.double_opt_in and not word.confirms:
            found = GRANTED if found == GRANTED else PENDING
        else:
            found = GRANTED
    return found


@given(WORDS, RULES)
def test_the_fold_is_its_definition(words: list[Word], rules: ConsentRules) -> None:
    words.sort(key=lambda word: (word.at, word.id))
    said = Consents(tuple((word, rules) for word in words))
    for purpose in PURPOSES:
        for channel in ("email", "sms", "post"):
            found = may(said, purpose, channel, 5 * DAY)
            assert by_hand(words, rules, purpose, channel) == found.state
            assert found.allowed == (found.state == GRANTED)


@given(WORDS, RULES)
def test_no_word_makes_a_yes_of_a_withdrawal_at_its_instant(
    words: list[Word], rules: ConsentRules
) -> None:
    end = Word("news", None, False, 5 * DAY, "consent.withdrawn", "/a", "end")
    said = Consents(tuple((w, rules) for w in sorted([*words, end], key=lambda w: (w.at, w.id))))

    assert not any(may(said, "news", one, 5 * DAY).allowed for one in CHANNELS)


# --- the read model -----------------------------------------------------------------------------

FACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                ("consent.granted", {"purpose": "news"}),
                ("consent.granted", {"purpose": "news", "proof": "p"}),
                ("consent.granted", {"purpose": "news", "channel": "email", "proof": "p"}),
                ("consent.withdrawn", {"purpose": "news", "channel": "sms"}),
                ("consent.withdrawn", {"purpose": "news"}),
                ("email.unsubscribed", {}),
                ("form.submitted", {"consent": [box("news", "email"), box("marketing")]}),
            ]
        ),
        st.sampled_from(["ada@example.com", "ben@example.com"]),
        st.integers(0, 3).map(lambda n: n * HOUR),
    ),
    max_size=10,
).flatmap(lambda made: st.tuples(st.just(made), st.permutations(range(len(made)))))


@settings(max_examples=30)
@given(FACTS, st.integers(1, 4))
def test_the_read_model_is_the_fold_whatever_the_arrival(drawn: Any, batch: int) -> None:
    made, order = drawn
    policy = under(replace(OPT_IN, double_opt_in=frozenset({"news"}), valid_months=6))
    facts = [
        fact(type_, at, who, id=f"f{n}", **data) for n, ((type_, data), who, at) in enumerate(made)
    ]
    log = Log(policy, [facts[n] for n in order])
    engine = read_model_database()
    Runner(engine, log, policy).catch_up(batch)
    with engine.connect() as connection:
        query = select(pipeline.c.lead_id, table).join(table, table.c.lead_no == pipeline.c.lead_no)
        rows = sorted(
            (row.lead_id, row.n, row.purpose, row.channel, row.state, row.since_us, row.until_us)
            for row in connection.execute(query)
        )
    engine.dispose()
    expected = []
    for who in ("ada@example.com", "ben@example.com"):
        mine = canonical(one for one in facts if one.keys == (("email", who),))
        found = consents(mine, policy).standings().of
        if mine:
            lead = Log(policy, mine).rows[0][1]
            expected += [
                (lead, n, *pair, one.state, one.word.at, one.until)
                for n, (pair, one) in enumerate(found.items(), 1)
            ]
    assert sorted(expected) == rows


# --- the command line ---------------------------------------------------------------------------


def test_a_lead_is_asked_for_its_consent(leadflow: CommandLine) -> None:
    asked = ("lead", "consent", "ada@example.com", "--purpose", "news", "--channel", "email")
    found = leadflow.json(*asked)

    assert (True, GRANTED, "2") == (
        found["answer"]["allowed"],
        found["answer"]["state"],
        found["answer"]["because"]["id"],
    )
    assert [("marketing", "email", WITHDRAWN), ("news", "email", GRANTED)] == [
        (one["purpose"], one["channel"], one["state"]) for one in found["consent"]
    ]
    assert ["1", "2", "3"] == [one["id"] for one in found["words"]]
    assert PENDING == found["words"][0]["state_after"]
    early = leadflow.json(*asked, "--as-of", "2025-03-01")
    assert (False, PENDING) == (early["answer"]["allowed"], early["answer"]["state"])
    told = leadflow(*asked).stdout
    assert "yes: news by email, granted" in told
    assert "click 77" in told


def test_the_shown_lead_lists_its_consent(leadflow: CommandLine) -> None:
    shown = leadflow.json("lead", "show", "ada@example.com")["consent"]

    assert [(False, None), (True, "click 77")] == [(one["granted"], one["proof"]) for one in shown]
    assert shown == leadflow.json("lead", "consent", "ada@example.com")["consent"]


def test_a_channel_is_asked_with_a_purpose(leadflow: CommandLine) -> None:
    leadflow("lead", "consent", "ada@example.com", "--channel", "sms", code=2)


def test_a_channel_that_does_not_exist_is_never_a_yes(leadflow: CommandLine) -> None:
    asked = ("lead", "consent", "ada@example.com", "--purpose", "news", "--channel", "e-mail")
    told = leadflow(*asked, code=2).stderr.replace("│", " ")
    assert "there are email, phone, sms, chat, post" in " ".join(told.split())


def test_a_lead_that_said_nothing_has_no_consent(leadflow: CommandLine) -> None:
    told = leadflow("lead", "consent", "ben@example.com", "--purpose", "news").stdout

    assert "no: news by all channels, unknown, nobody has said anything" in told


@pytest.fixture
def leadflow(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    from importlib.resources import files

    program = CommandLine(tmp_path, monkeypatch)
    text = files("leadflow").joinpath("policy.toml").read_text("utf-8")
    (tmp_path / "policy.toml").write_text(
        text.replace("double_opt_in = []", 'double_opt_in = ["news"]'), encoding="utf-8"
    )
    block = {"consent": [{"purpose": "news", "channel": "email", "granted": True}]}
    proof = {"purpose": "news", "channel": "email", "proof": "click 77"}
    ben = {"person": {"email": "ben@example.com"}}
    program(
        "ingest",
        program.write(
            "events.jsonl",
            event("1", "form.submitted", "2025-03-01T09:00:00Z", block),
            event("2", "consent.granted", "2025-03-02T09:00:00Z", proof),
            event("3", "email.unsubscribed", "2025-03-03T09:00:00Z"),
            event("4", "form.submitted", "2025-03-03T09:00:00Z", ben),
        ),
    )
    return program


def test_the_page_about_consent_is_what_happens(tmp_path: Any) -> None:
    assert run_page(DOCS / "howto/consent.md", tmp_path) > 0
