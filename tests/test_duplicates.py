"""Candidates: who may be one person, on a market with known truth; and nobody is merged by looks."""

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.contract import parse
from consumers.unpack import Record
from leadflow.app import App
from leadflow.duplicates import LIKELY, Match, Person, Population, people_of
from leadflow.settings import load_settings
from tests.confusable_pairs import pairs
from tests.market_of_duplicates import SORTS, Market, make

CLOCK = 1_780_000_000_000_000
"""An instant after every event of the market, microseconds UTC."""


def take_in(folder: Path, events: Sequence[dict[str, Any]]) -> list[Person]:
    """Return the leads that *events* make in a store of their own."""
    with App(load_settings({"database_url": f"sqlite:///{folder / 'leadflow.db'}"})) as app:
        app.prepare()
        intake = app.intake()
        records = [
            Record("market", 0, n, CLOCK, None, json.dumps(event).encode(), ())
            for n, event in enumerate(events)
        ]
        for start in range(0, len(records), 2_000):
            outcome = intake.process(records[start : start + 2_000], {}, clock=CLOCK)
            assert 0 == outcome.dead_letters
        app.runner.catch_up()
        with app.connect() as connection:
            return people_of(connection)


class Findings:
    """What a market became, beside its truth."""

    def __init__(self, market: Market, leads: Sequence[Person]) -> None:
        self.market = market
        self.population = Population(leads)
        owners: dict[tuple[str, str], int] = {}
        for event in market.events:
            human = market.truth[event["source"], event["id"]]
            for identifier in parse(json.dumps(event).encode(), (), CLOCK).fact.keys:
                # what several share says nothing of whose it is
                owners[identifier] = human if owners.get(identifier, human) == human else -1
        self.humans_of = {
            lead.lead: {owners[one] for one in lead.identifiers} - {-1} for lead in leads
        }
        self.leads_of: dict[int, list[str]] = defaultdict(list)
        for lead, humans in self.humans_of.items():
            for human in humans:
                self.leads_of[human].append(lead)
        self.candidates = self.population.candidates()
        self.found = {(match.lead, match.other) for match in self.candidates}
        self.apart = {
            pair for leads in self.leads_of.values() for pair in combinations(sorted(leads), 2)
        }
        """Pairs of leads that are one person and were not joined."""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    made = make()
    return Findings(made, take_in(tmp_path_factory.mktemp("market"), made.events))


def test_no_lead_of_the_market_is_two_people(market: Findings) -> None:
    joined = sum(len(market.leads_of[human]) == 1 for human in market.market.sorts)
    wrong = [lead for lead, humans in market.humans_of.items() if len(humans) != 1]
    print(f"joined automatically: {joined}, of these wrongly: {len(wrong)}")

    assert joined >= 200
    assert wrong == []


def test_the_people_who_are_known_twice_are_candidates(market: Findings) -> None:
    apart, found = len(market.apart), len(market.apart & market.found)
    twice = len(market.market.sorts)
    joined = sum(len(market.leads_of[human]) == 1 for human in market.market.sorts)
    print(
        f"known twice: {twice}; joined: {joined}; not joined: {apart} pairs, of these candidates:"
        f" {found} ({found / apart:.3f}); joined or candidate: {(joined + found) / twice:.3f}"
    )

    assert found / apart >= 0.95
    assert (joined + found) / (joined + apart) >= 0.95


def test_most_candidates_of_the_market_are_one_person(market: Findings) -> None:
    right = len(market.found & market.apart)
    print(f"candidates: {len(market.found)}, of these one person: {right}", end=" ")
    print(f"({right / len(market.found):.3f})")

    assert right / len(market.found) >= 0.85


def test_every_sort_of_second_record_is_found_or_joined(market: Findings) -> None:
    for sort in SORTS:
        humans = [human for human, of in market.market.sorts.items() if of == sort]
        good = 0
        for human in humans:
            there = set(combinations(sorted(market.leads_of[human]), 2))
            good += there <= market.found
        # one who changed jobs and telephone cannot be told from a namesake
        assert good / len(humans) >= (0.6 if sort == "other_job" else 0.9), sort


def test_the_score_is_the_sum_of_the_reasons(market: Findings) -> None:
    for match in market.candidates:
        total = sum(reason.weight for reason in match.reasons)
        assert min(max(total, 0), 100) == match.score
        assert all(reason.detail and reason.weight for reason in match.reasons)


def test_the_order_in_which_leads_come_changes_nothing(market: Findings) -> None:
    leads = list(market.population.people.values())[:900]

    forwards = Population(leads).candidates()

    assert Population(reversed(leads)).candidates() == forwards
    assert forwards == sorted(forwards, key=lambda one: (-one.score, one.lead, one.other))


def test_two_hundred_confusable_pairs_stay_apart_and_are_candidates(tmp_path: Path) -> None:
    all_pairs = pairs()
    events = [
        {
            "specversion": "1.0",
            "id": f"{n}-{side}",
            "source": "/forms",
            "type": "form.submitted",
            "time": "2026-03-01T09:00:00Z",
            "data": {
                "person": {
                    "email": address,
                    "name": f"{'Ada' if n % 2 else 'Otis'} Name{_letters(n)}",
                    "company": {"name": f"Company {n}", "domain": f"company-{n}.example"},
                }
            },
        }
        for n, pair in enumerate(all_pairs)
        for side, address in enumerate(pair)
    ]

    leads = take_in(tmp_path, events)
    candidates = {(one.lead, one.other) for one in Population(leads).candidates()}
    lead_of = {email: lead.lead for lead in leads for email in lead.emails}
    wanted = {
        tuple(sorted((lead_of[_normal(one)], lead_of[_normal(other)]))) for one, other in all_pairs
    }

    assert 200 == len(all_pairs)
    assert 400 == len(leads)
    assert wanted <= candidates


def _normal(address: str) -> str:
    from consumers.normalise import email

    return email(address)


def _letters(number: int) -> str:
    first, second = divmod(number, 26)
    return "abcdefghijklmnopqrstuvwxyz"[first] * 2 + "abcdefghijklmnopqrstuvwxyz"[second] * 3


# --- single traits ------------------------------------------------------------------------------


def person(lead: str, name: str | None = None, **known: Any) -> Person:
    """Return a lead with identifiers named by kind, and what else is known."""
    more = {key: known.pop(key) for key in ("company", "domain", "country") if key in known}
    identifiers = tuple((kind, value) for kind, value in known.items())
    return Person(lead, identifiers, () if name is None else (name,), **more)


def match(*people: Person) -> Match:
    """Return how the first two of *people* compare among them all."""
    return Population(people).match(people[0].lead, people[1].lead)


def reasons(found: Match) -> dict[str, int]:
    """Return the weights of a match by their reason."""
    return {reason.reason: reason.weight for reason in found.reasons}


def test_what_many_share_weighs_little() -> None:
    number = "+12015550100"
    two = [person(str(n), phone=number, email=f"e{n}@a.example") for n in range(2)]
    many = [person(str(n), phone=number, email=f"e{n}@a.example") for n in range(30)]

    assert LIKELY <= reasons(match(*two))["same_phone"]
    assert reasons(match(*many))["same_phone"] <= 5
    assert [] == Population(many).candidates()


def test_a_frequent_name_weighs_little_but_not_within_a_company() -> None:
    smiths = [
        person(str(n), "John Smith", company=f"Firm {n}", email=f"m{n}@f{n}.example")
        for n in range(20)
    ]
    twins = [
        person("x", "John Smith", company="Birch", email="john@birch.example"),
        person("y", "Smith, John", company="Birch", phone="+12015550101"),
    ]

    assert [("x", "y")] == [
        (one.lead, one.other) for one in Population([*smiths, *twins]).candidates()
    ]


def test_father_and_son_are_no_candidates() -> None:
    number = "+12015550102"
    father = person("a", "Hans Weber", email="h.weber@weber.example", phone=number)
    son = person("b", "Karl Weber", email="k.weber@weber.example", phone=number)

    found = match(father, son)

    assert reasons(found)["other_name"] < 0
    assert found.score < LIKELY


def test_a_provider_of_mailboxes_is_no_company() -> None:
    one = Person("a", (("email", "h.weber@gmail.com"),), ("Hans Weber",))
    other = Person("b", (("email", "weber.h@gmail.com"),), ("Hans Weber",))
    match = Population([one, other]).match("a", "b")
    assert "same_company" not in {reason.reason for reason in match.reasons}


def test_mailboxes_of_functions_say_nothing() -> None:
    one = person("a", email="info@birch.example")
    other = person("b", email="info@slate.example")

    assert {} == reasons(match(one, other))


def test_an_address_speaks_for_a_name_where_there_is_no_other() -> None:
    one = person("a", email="a.lovelace@birch.example", company="Birch")
    other = person("b", "Ada Lovelace", phone="+12015550103", company="Birch")

    assert {"name_in_address", "same_company"} == reasons(match(one, other)).keys()
    assert [("a", "b")] == [(c.lead, c.other) for c in Population([one, other]).candidates()]


def test_an_unknown_lead_cannot_be_matched() -> None:
    with pytest.raises(KeyError):
        Population([person("a")]).match("a", "b")


_people = st.lists(
    st.builds(
        lambda n, name, local, domain, phone: person(
            f"{n:03d}", name, email=f"{local}@{domain}.example", phone=phone
        ),
        st.integers(0, 999),
        st.sampled_from(["Ada Lind", "A. Lind", "Lind Ada", "Otis Row", "山田 太郎", "太郎山田"]),
        st.sampled_from(["ada.lind", "adalind", "a.lind", "ada.lidn", "otis", "info"]),
        st.sampled_from(["birch", "brich", "slate"]),
        st.sampled_from(["+12015550104", "+12015550105"]),
    ),
    max_size=12,
    unique_by=lambda one: one.lead,
)


@settings(max_examples=60)
@given(_people)
def test_no_pair_of_few_leads_escapes_the_keys(people: list[Person]) -> None:
    """Whatever scores high enough is found without comparing each with each."""
    population = Population(people)
    leads = sorted(population.people)
    every = {pair for pair in combinations(leads, 2) if population.match(*pair).score >= LIKELY}

    assert every == {(one.lead, one.other) for one in population.candidates()}
