"""The simulated market is repeatable, speaks the vocabulary, and tells the truth about itself."""

import doctest
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import leadflow.simulate
from consumers.contract import TYPES, Malformed, Parsed, parse, record_key
from leadflow.simulate import (
    Envelope,
    Market,
    Simulation,
    market_for_events,
    poison,
    simulate,
    to_json,
    write_jsonl,
)
from leadflow.simulate.life import UNKNOWN_TYPES
from leadflow.simulate.market import DAY, HOUR, SECOND
from leadflow.simulate.poison import REASONS
from leadflow.simulate.wire import SOURCES

MARKET = Market(seed=7, leads=600)
SIMULATION = simulate(MARKET)
EVENTS = list(SIMULATION.events)
TRUTH = SIMULATION.truth
GOLDEN = "17edbd6634c1d281279d1962f0f5c50d77567fd9344c2c839b9e1a041ed49807"

rate = st.floats(0, 1)
markets = st.builds(
    Market,
    seed=st.integers(0, 2**40),
    leads=st.integers(0, 12),
    days=st.integers(1, 200),
    start=st.integers(1_500_000_000, 1_740_000_000).map(lambda second: second * SECOND),
    anonymous=rate,
    machine_opens=rate,
    bounces=rate,
    late_badges=rate,
    late=rate,
    duplicates=rate,
    never_called=rate,
    collisions=rate,
    premature=rate,
    unknown_types=rate,
    success=st.floats(0, 5),
    one_key=st.booleans(),
    currency=st.sampled_from([None, "EUR", "JPY", "USD"]),
)


def data_of(envelope: Envelope) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(to_json(envelope.event))["data"]
    return data


def digest(simulation: Simulation) -> str:
    total = hashlib.sha256()
    for envelope in simulation.events:
        total.update(f"{envelope.arrived_at} {envelope.key} ".encode())
        total.update(to_json(envelope.event) + b"\n")
    return total.hexdigest()


def parsed(envelope: Envelope) -> Parsed:
    return parse(to_json(envelope.event), (), envelope.arrived_at)


def identifiers(envelope: Envelope) -> set[tuple[str, str]]:
    """Return the identifiers that the contract reads, normalised."""
    return set(parsed(envelope).fact.keys)


def assert_obeys_the_contract(envelope: Envelope) -> None:
    fact, event = parsed(envelope).fact, envelope.event
    assert (fact.type, fact.source, fact.id) == (event["type"], event["source"], event["id"])
    assert fact.type in TYPES or fact.type in UNKNOWN_TYPES
    assert fact.source in SOURCES
    assert fact.at == envelope.occurred_at
    assert record_key(event) == envelope.key


# --- repeatable --------------------------------------------------------------------------------


def test_a_market_is_the_same_on_every_machine_and_python() -> None:
    """A change here is a change of every figure that docs and benchmarks quote."""
    assert digest(simulate(Market(seed=1, leads=100))) == GOLDEN


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    code = (
        "from leadflow.simulate import Market, simulate, to_json;"
        "print([to_json(e.event) for e in simulate(Market(seed=5, leads=40)).events])"
    )
    root = Path(__file__).resolve().parents[1]
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert seen == {str([to_json(e.event) for e in simulate(Market(seed=5, leads=40)).events])}


def test_playing_again_gives_the_same_events() -> None:
    assert list(SIMULATION.events) == EVENTS


def test_another_seed_gives_other_events() -> None:
    ours = {str(e.event["id"]) for e in EVENTS if e.lead >= 0}
    theirs = {str(e.event["id"]) for e in simulate(Market(seed=8, leads=50)).events if e.lead >= 0}
    assert not ours & theirs


@settings(max_examples=25)
@given(markets, st.integers(1, 20))
def test_a_market_with_more_leads_keeps_the_earlier_ones(market: Market, more: int) -> None:
    grown = Market(**{**vars(market), "leads": market.leads + more})
    kept = [e for e in simulate(grown).events if e.lead < market.leads]
    assert kept == list(simulate(market).events)


# --- the wire ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(markets)
def test_every_event_of_every_market_obeys_the_contract(market: Market) -> None:
    for envelope in simulate(market).events:
        assert_obeys_the_contract(envelope)


def test_every_event_of_the_default_market_obeys_the_contract() -> None:
    for envelope in EVENTS:
        assert_obeys_the_contract(envelope)


def test_source_and_id_name_one_content_and_the_second_sending_repeats_it() -> None:
    seen: dict[bytes, bytes] = {}
    for envelope in EVENTS:
        event = parsed(envelope)
        assert envelope.copy == (event.key in seen)
        assert seen.setdefault(event.key, event.body) == event.body


def test_some_second_sendings_order_their_keys_otherwise() -> None:
    assert len({next(iter(e.event)) for e in EVENTS if e.copy}) > 1


def test_every_source_speaks_and_every_family_of_early_life_is_heard() -> None:
    assert set(TRUTH.totals.sources) == set(SOURCES)
    heard = {TYPES[kind].family for kind in TRUTH.totals.types if kind in TYPES}
    assert heard >= {
        *("capture", "web", "email", "talk", "intent"),
        *("qualification", "sales", "customer", "money"),
    }
    assert set(UNKNOWN_TYPES) & set(TRUTH.totals.types)


def test_money_comes_as_text_and_as_minor_units_in_three_currencies() -> None:
    spoken = {
        (data["currency"], type(data["amount"]).__name__)
        for data in map(data_of, EVENTS)
        if "amount" in data
    }
    assert spoken == {(c, t) for c in ("EUR", "USD", "JPY") for t in ("int", "str")}


def test_nobody_real_is_named() -> None:
    for envelope in EVENTS:
        if envelope.lead >= 0 and "email" in data_of(envelope)["person"]:
            host = data_of(envelope)["person"]["email"].lower().rpartition("@")[2]
            assert host.endswith(".example") or host.startswith("example.")


# --- identity ----------------------------------------------------------------------------------


def test_an_identifier_belongs_to_one_lead_only() -> None:
    owners: dict[tuple[str, str], int] = {}
    for envelope in EVENTS:
        if envelope.lead >= 0:
            for identifier in identifiers(envelope):
                assert owners.setdefault(identifier, envelope.lead) == envelope.lead


@settings(max_examples=40)
@given(markets)
def test_in_order_of_arrival_every_event_names_somebody_already_known(market: Market) -> None:
    """So exact matching finds one lead a person and never has two to merge."""
    known: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for envelope in simulate(market).events:
        if envelope.lead >= 0:
            shown = identifiers(envelope)
            assert not known[envelope.lead] or shown & known[envelope.lead]
            known[envelope.lead] |= shown


def test_telephone_numbers_are_possible_and_the_ones_the_truth_tells() -> None:
    told = {v for t in TRUTH.leads.values() for kind, v in t.identifiers if kind == "phone"}
    assert len(told) > 100
    for number in told:
        assert phonenumbers.is_possible_number(phonenumbers.parse(number))


def test_some_are_anonymous_until_a_form_gives_their_address() -> None:
    for envelope in EVENTS:
        who = data_of(envelope).get("person", {})
        if set(who) == {"anonymous_id"}:
            assert ("anonymous_id", who["anonymous_id"]) in TRUTH.leads[envelope.lead].identifiers
    stitched = [
        truth
        for truth in TRUTH.leads.values()
        if {"email", "anonymous_id"} <= {kind for kind, _ in truth.identifiers}
    ]
    assert stitched


def test_with_one_key_a_person_stays_in_one_partition() -> None:
    keys = defaultdict(set)
    for envelope in simulate(Market(seed=3, leads=50, one_key=True)).events:
        keys[envelope.lead].add(envelope.key)
    del keys[-1]
    assert {len(seen) for seen in keys.values()} == {1}


# --- time --------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(markets)
def test_events_come_in_order_of_arrival_and_not_before_they_happen(market: Market) -> None:
    envelopes = list(simulate(market).events)
    assert all(a.arrived_at <= b.arrived_at for a, b in pairwise(envelopes))
    for envelope in envelopes:
        assert envelope.occurred_at <= envelope.arrived_at < market.end
        assert market.start - SECOND <= envelope.occurred_at
        assert envelope.arrived_at % 1_000 == 0


def test_badges_are_uploaded_days_after_the_fair() -> None:
    badges = [e for e in EVENTS if e.event["source"] == "/fair/badges" and not e.copy]
    days_late = sum(e.arrived_at - e.occurred_at > DAY for e in badges)
    assert 0.5 * len(badges) < days_late < len(badges)


def test_order_of_arrival_is_not_order_of_occurrence() -> None:
    behind = sum(b.occurred_at < a.occurred_at - HOUR for a, b in pairwise(EVENTS))
    assert behind > 100


def test_gateways_open_within_seconds_of_delivery() -> None:
    delivered = {}
    for envelope in sorted(EVENTS, key=lambda e: e.occurred_at):
        data = data_of(envelope)
        if envelope.event["type"] == "email.delivered":
            delivered[data["message"]] = envelope.occurred_at
        elif data.get("actor", {}).get("kind") == "machine" and data["message"] in delivered:
            # Else the news of the delivery is late, and arrives after the market's end.
            assert envelope.occurred_at - delivered[data["message"]] <= 10 * SECOND


# --- the truth ---------------------------------------------------------------------------------


def recount(events: list[Envelope]) -> dict[str, Any]:
    """Count from the bytes alone what the truth says of the whole."""
    once = {(e.event["source"], e.event["id"]): e for e in events}.values()
    bodies = [(e.event["type"], data_of(e)) for e in once]
    amounts: Counter[str] = Counter()
    spend: Counter[str] = Counter()
    for kind, data in bodies:
        if kind in ("deal.won", "spend.recorded"):
            digits = 0 if data["currency"] == "JPY" else 2
            amount = data["amount"]
            minor = amount if isinstance(amount, int) else round(float(amount) * 10**digits)
            (amounts if kind == "deal.won" else spend)[data["currency"]] += minor
    return {
        "events": len(events),
        "distinct": len(once),
        "duplicates": len(events) - len(once),
        "machine_opens": sum(d.get("actor", {}).get("kind") == "machine" for _, d in bodies),
        "types": dict(Counter(kind for kind, _ in bodies)),
        "sources": dict(Counter(e.event["source"] for e in once)),
        "leads": len({e.lead for e in events} - {-1}),
        "won": sum(kind == "deal.won" for kind, _ in bodies),
        "amounts": dict(amounts),
        "spend": dict(spend),
    }


@pytest.mark.parametrize("n", [0, 1, 500, 5_000, len(EVENTS)])
def test_totals_are_what_the_bytes_say(n: int) -> None:
    totals = SIMULATION.first(n).truth.totals
    assert {name: getattr(totals, name) for name in recount([])} == recount(EVENTS[:n])


@pytest.mark.parametrize("currency", ["EUR", "JPY"])
def test_a_market_may_have_one_currency_and_is_else_the_same(currency: str) -> None:
    as_usual = simulate(Market(seed=7, leads=300)).truth
    one = simulate(Market(seed=7, leads=300, currency=currency)).truth
    assert [currency] == list(one.totals.amounts) == list(one.totals.spend)
    assert as_usual.totals.won == one.totals.won
    assert as_usual.leads.keys() == one.leads.keys()


def test_a_fair_is_paid_for_until_it_is_over() -> None:
    paid: defaultdict[str, set[int]] = defaultdict(set)
    for envelope in EVENTS:
        data = data_of(envelope)
        if envelope.event["type"] == "spend.recorded" and data["channel"] == "event":
            paid[data["campaign"]].add((envelope.occurred_at - MARKET.start) // DAY)
    assert {
        "expo-1": {6},
        "expo-2": {13, 20, 27, 34, 41},
        "expo-3": {48, 55, 62, 69, 76},
        "expo-4": {83, 90, 97, 104, 111, 118},
    } == paid


def test_the_truth_of_each_lead_lists_exactly_its_events_and_identifiers() -> None:
    events: dict[int, dict[tuple[str, str], None]] = defaultdict(dict)
    shown: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for envelope in EVENTS:
        if envelope.lead >= 0:
            name = (str(envelope.event["source"]), str(envelope.event["id"]))
            events[envelope.lead][name] = None
            shown[envelope.lead] |= identifiers(envelope)
    assert events.keys() == TRUTH.leads.keys()
    for lead, truth in TRUTH.leads.items():
        assert truth.events == tuple(events[lead])
        assert set(truth.identifiers) == shown[lead]


def test_the_calls_of_the_truth_are_the_calls_of_the_log() -> None:
    called: dict[int, dict[str, int]] = defaultdict(dict)
    for envelope in EVENTS:
        if envelope.event["type"] == "call.attempted":
            rep, at = data_of(envelope)["actor"]["id"], envelope.occurred_at
            called[envelope.lead][rep] = min(at, called[envelope.lead].get(rep, at))
    for lead, truth in TRUTH.leads.items():
        assert set(truth.reps) == set(called[lead])
        assert truth.called_at == min(called[lead].values(), default=None)


def test_every_way_of_losing_happens() -> None:
    totals = simulate(Market(seed=1, leads=2_500)).truth.totals
    assert set(totals.lost) == {
        *("never_called", "collision", "slow", "too_early", "wrong_fit"),
        *("no_need", "no_response", "competitor", "price"),
    }


def test_a_lead_lost_for_want_of_a_call_was_never_called() -> None:
    lost = [t for t in TRUTH.leads.values() if t.lost_reason == "never_called"]
    assert lost
    assert not any(t.reps for t in lost)


def test_a_lead_lost_by_collision_was_called_by_two() -> None:
    lost = [t for t in TRUTH.leads.values() if t.lost_reason == "collision"]
    assert lost
    assert all(len(t.reps) == 2 for t in lost)


def test_a_market_without_faults_has_none() -> None:
    market = Market(
        seed=2,
        leads=200,
        machine_opens=0,
        bounces=0,
        late_badges=0,
        late=0,
        duplicates=0,
        never_called=0,
        collisions=0,
        premature=0,
        unknown_types=0,
    )
    truth = simulate(market).truth
    assert (truth.totals.duplicates, truth.totals.machine_opens) == (0, 0)
    assert not {"never_called", "collision", "too_early"} & set(truth.totals.lost)
    assert not {"email.bounced", *UNKNOWN_TYPES} & set(truth.totals.types)
    assert max(len(t.reps) for t in truth.leads.values()) == 1


def test_lead_ads_bring_most_leads_and_the_fewest_who_ask() -> None:
    """So that a look at channels and stages has something to find."""
    leads, reached = Counter[str](), Counter[str]()
    for truth in simulate(Market(seed=1, leads=1_500)).truth.leads.values():
        leads[truth.origin] += 1
        reached[truth.origin] += truth.called_at is not None
    assert leads.most_common(1)[0][0] == "lead_ad"
    assert min(leads, key=lambda origin: reached[origin] / leads[origin]) in (
        "lead_ad",
        "bought_list",
    )
    assert reached["referral"] / leads["referral"] > 3 * reached["lead_ad"] / leads["lead_ad"]


# --- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 30, 1_000, 8_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_market_for_n_events_has_at_least_n(n: int, seed: int) -> None:
    assert sum(1 for _ in simulate(market_for_events(n, seed)).first(n).events) == n


def test_lines_in_a_file_are_the_events_in_order_of_arrival(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl"
    assert write_jsonl(path, SIMULATION.first(100)) == 100
    lines = path.read_bytes().splitlines()
    assert lines == [to_json(envelope.event) for envelope in EVENTS[:100]]


def test_the_example_in_the_docstring_is_true() -> None:
    assert doctest.testmod(leadflow.simulate).failed == 0


@pytest.mark.parametrize(
    "wrong", [{"leads": -1}, {"days": 0}, {"seed": -1}, {"late": 1.5}, {"start": 1}]
)
def test_a_number_that_makes_no_market_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Market(**wrong)


# --- poison ------------------------------------------------------------------------------------


def test_a_mended_log_is_the_clean_log_with_some_events_twice() -> None:
    poisoned = poison(EVENTS, 0.2)
    mended = []
    for delivery in poisoned:
        value = delivery.value if delivery.reason is None else poisoned.mend(delivery.value)
        if delivery.reason != "conflicting_duplicate":
            mended.append(value)
        else:
            assert value == mended[-1]
    assert mended == [to_json(envelope.event) for envelope in EVENTS]


def test_with_keep_nothing_good_is_missing() -> None:
    good = [d.value for d in poison(EVENTS, 0.2, keep=True) if d.reason is None]
    assert good == [to_json(envelope.event) for envelope in EVENTS]


def test_every_reason_occurs_about_as_often_as_the_other() -> None:
    poisoned = poison(EVENTS, 0.3)
    bad = [d.reason for d in poisoned if d.reason is not None]
    assert poisoned.reasons == Counter(bad)
    assert set(poisoned.reasons) == set(REASONS)
    assert max(poisoned.reasons.values()) < 2 * min(poisoned.reasons.values())
    assert 0.2 * len(EVENTS) < len(bad) < 0.4 * len(EVENTS)


def test_the_contract_refuses_each_bad_record_for_the_reason_given() -> None:
    for delivery in poison(EVENTS, 0.5, keep=True):
        if delivery.reason in (None, "conflicting_duplicate"):
            event = parse(delivery.value, (), delivery.arrived_at)
            if delivery.reason is None:
                good = event
            assert event.key == good.key
            assert (event.body != good.body) == (delivery.reason is not None)
        else:
            with pytest.raises(Malformed) as refused:
                parse(delivery.value, (), delivery.arrived_at)
            assert refused.value.reason == delivery.reason


def test_poison_is_repeatable_and_each_bad_record_is_its_own() -> None:
    bad = [d for d in poison(EVENTS, 0.3, seed=4) if d.reason is not None]
    assert bad == [d for d in poison(EVENTS, 0.3, seed=4) if d.reason is not None]
    assert len({d.value for d in bad}) == len(bad)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        poison(EVENTS, 2)
