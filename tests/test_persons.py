"""Who is who in a family: the facts divide it, whatever came first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.corrections import VOIDED, corrections
from domain.decide import as_occurred
from domain.events import Fact, Identifier, canonical
from domain.groups import anchored, verified_email
from domain.identity import MERGED, UNMERGED, known_by, lead_id, linked
from domain.persons import Division, named, persons
from domain.policy import DAY
from domain.watch import Watch
from tests.examples import POLICY, START, fact, small_policy

Facts = Sequence[Fact]
Parts = set[frozenset[tuple[str, str]]]

ADA, BOB, CAT = ("email", "ada@example.com"), ("email", "bob@example.com"), ("email", "cat@x.test")
PHONE, OTHER_PHONE = ("phone", "+4930123"), ("phone", "+4930999")
TABLET = ("anonymous_id", "tablet")
CRM = ("subject:/crm", "1042")
LOGIN, OTHER_LOGIN = ("external:login", "ada"), ("external:login", "bob")


def seen(day: float, *keys: Identifier, type_: str = "page.viewed", **fields: Any) -> Fact:
    """Return a fact with the identifiers *keys*, in the order of precedence."""
    person = {"keys": [list(key) for key in keys]} | fields.pop("person", {})
    return fact(type_, day, person=person, **fields)


def verified(day: float, *keys: Identifier, **fields: Any) -> Fact:
    return seen(day, *keys, person={"attributes": {"email_verified": True}}, **fields)


def merged(day: float, one: Identifier, other: Identifier, **fields: Any) -> Fact:
    return seen(day, one, type_=MERGED, person={"other": list(other)}, **fields)


def unmerged(day: float, one: Identifier, other: Identifier, **fields: Any) -> Fact:
    return seen(day, one, type_=UNMERGED, person={"other": list(other)}, **fields)


def void(day: float, of: Fact, **fields: Any) -> Fact:
    who = {"person": None, "event_source": of.source, "event_id": of.id}
    return fact(VOIDED, day, **(who | fields))


def divided(*facts: Fact) -> list[list[Fact]]:
    return persons(canonical(facts), POLICY)


def ids(parts: Sequence[Facts]) -> Parts:
    return {frozenset((one.source, one.id) for one in part) for part in parts}


# --- nothing tells them apart ---------------------------------------------------------------------


def test_of_no_facts_there_is_nobody() -> None:
    assert persons([], POLICY) == []
    assert named([], POLICY) == []


def test_whoever_nothing_tells_apart_is_one() -> None:
    visit, form, call = seen(0, TABLET), seen(1, ADA, TABLET), seen(2, ADA, PHONE)
    assert [[visit, form, call]] == divided(call, form, visit)


def test_a_second_address_alone_makes_nobody_another_person() -> None:
    """People have several addresses; only where they are verified are they two people's."""
    both = [seen(0, CRM, ADA), seen(1, CRM, BOB)]
    assert [both] == divided(*both)


def test_facts_without_identifiers_are_nobodys() -> None:
    bare = fact("page.viewed", 0, person=None)
    assert [[bare]] == divided(bare)
    assert named([bare], POLICY) == [(None, [bare])]
    form = seen(1, ADA)
    assert [[bare], [form]] == divided(form, bare)


# --- what tells people apart ----------------------------------------------------------------------


def test_two_verified_addresses_are_two_people() -> None:
    one, other = verified(0, CRM, ADA), verified(1, CRM, BOB)
    late = seen(2, CRM)

    assert [[one, late], [other]] == divided(one, other, late)
    assert [[one, other, late]] == persons(
        [one, other, late], small_policy(verified_email_is_unique=False)
    )


def test_two_accounts_are_two_people_though_they_share_an_address() -> None:
    """The account says better whose a fact is than the address does."""
    one, other = seen(0, ADA, LOGIN), seen(1, ADA, OTHER_LOGIN)
    there, both = seen(2, OTHER_LOGIN), seen(3, ADA)

    assert [[one, both], [other, there]] == divided(one, other, there, both)


def test_an_account_outweighs_the_order_of_keys() -> None:
    fact_ = seen(0, CRM, ADA, PHONE, LOGIN)
    assert (LOGIN, CRM, ADA, PHONE) == anchored(fact_, POLICY)
    assert (ADA, CRM) == anchored(seen(0, CRM, ADA), POLICY, {ADA[1]})
    assert (ADA, PHONE) == anchored(seen(0, PHONE, ADA), POLICY)
    assert (PHONE, TABLET) == anchored(seen(0, PHONE, TABLET), POLICY)
    assert () == anchored(fact("page.viewed", person=None), POLICY)


def test_colleagues_who_share_a_tablet_each_keep_their_own_history() -> None:
    before, ada, between = seen(0, TABLET), seen(1, ADA, TABLET), seen(2, TABLET)
    bob, after = seen(3, BOB, TABLET), seen(4, TABLET)
    again, last = seen(5, ADA, TABLET), seen(6, TABLET)

    assert [[before, ada, between, again, last], [bob, after]] == divided(
        before, ada, between, bob, after, again, last
    )


def test_colleagues_who_share_a_number_are_apart_and_have_names_of_their_own() -> None:
    call = seen(0, PHONE, type_="call.completed")
    ada, bob = seen(1, PHONE, LOGIN), seen(2, PHONE, OTHER_LOGIN)
    assert known_by([ada]) == known_by([bob]) == PHONE

    assert [(PHONE, [call, ada]), (OTHER_LOGIN, [bob])] == named([call, ada, bob], POLICY)


def test_a_number_that_one_of_two_is_also_known_by_joins_those_whom_nothing_tells_apart() -> None:
    assert 1 == len(divided(seen(0, ADA, PHONE), seen(1, CRM, PHONE)))
    assert 2 == len(divided(seen(0, ADA, PHONE), seen(1, BOB, PHONE)))
    assert 1 == len(
        divided(seen(0, ADA, PHONE), seen(1, BOB, PHONE), seen(2, CRM, ADA), seen(3, CRM, BOB))
    )


# --- the word of people ---------------------------------------------------------------------------


def test_the_last_ruling_on_two_holds() -> None:
    one, other = verified(0, ADA), verified(1, BOB)
    join, part = merged(2, ADA, BOB), unmerged(3, BOB, ADA)

    assert 2 == len(divided(one, other))
    assert [[one, other, join]] == divided(one, other, join)
    assert [[one, join], [other, part]] == divided(one, other, join, part)
    assert 1 == len(divided(one, other, part, merged(4, BOB, ADA)))
    assert 2 == len(divided(one, other, merged(3, ADA, BOB, id="a"), unmerged(3, ADA, BOB, id="b")))


def test_a_ruling_holds_against_what_facts_say_later() -> None:
    part = unmerged(1, ADA, BOB)
    one, other, late = seen(0, CRM, ADA), seen(2, BOB), seen(3, CRM, BOB)

    assert [[one, part, late], [other]] == divided(one, part, other, late)


def test_a_ruling_on_a_number_outweighs_who_calls_from_it_later() -> None:
    call, join, colleague = seen(0, PHONE), merged(1, BOB, PHONE), seen(2, ADA, PHONE)
    late = seen(3, PHONE)

    assert [[call, join], [colleague, late]] == divided(call, join, colleague, late)


def test_a_voided_ruling_says_nothing() -> None:
    one, other, join = verified(0, ADA), verified(1, BOB), merged(2, ADA, BOB)
    assert [[one, join, void_ := void(3, join)], [other]] == divided(one, other, join, void_)


# --- corrections ----------------------------------------------------------------------------------


def test_a_voided_fact_joins_nobody_and_is_still_somebodys() -> None:
    wrong = seen(1, CRM, ADA, PHONE)
    one, other = seen(0, CRM), seen(2, PHONE)
    said = void(3, wrong)

    assert 1 == len(divided(one, wrong, other))
    assert [[one, wrong, said], [other]] == divided(one, wrong, other, said)
    assert 1 == len(divided(one, wrong, other, said, void(4, said)))


def test_a_correction_belongs_where_the_fact_is_that_it_corrects() -> None:
    one, other = verified(0, CRM, ADA), verified(1, CRM, BOB)
    said = void(2, other, person={"keys": [list(ADA)]})
    of_said = void(3, said)

    assert [[one], [other, said, of_said]] == divided(one, other, said, of_said)


def test_corrections_in_a_circle_are_nobodys() -> None:
    one, other = verified(0, CRM, ADA), verified(1, CRM, BOB)
    ring = [
        fact(VOIDED, n, id=f"r{n}", person=None, event_source="/test", event_id=f"r{(n + 1) % 3}")
        for n in range(3)
    ]
    assert [[one], ring, [other]] == divided(one, other, *ring)


# --- of every family ------------------------------------------------------------------------------

KEYS = (CRM, ADA, BOB, PHONE, OTHER_PHONE, TABLET, LOGIN, OTHER_LOGIN)
STRONG = (CRM, ADA, BOB, CAT, LOGIN, OTHER_LOGIN)
numbers = st.integers(0, 99).map(str)
days = st.integers(0, 12)


def _held(keys: Sequence[Identifier]) -> list[Identifier]:
    """Return *keys* as the contract has them: of a kind one, in the order of precedence."""
    return sorted({kind: (kind, value) for kind, value in keys}.values(), key=KEYS.index)


bundles = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(_held)
sightings = st.builds(lambda day, keys, id_: seen(day, *keys, id=id_), days, bundles, numbers)
proofs = st.builds(lambda day, keys, id_: verified(day, *keys, id=id_), days, bundles, numbers)
rulings = st.builds(
    lambda rule, day, one, other, id_: rule(day, one, other, id=id_),
    st.sampled_from((merged, unmerged)),
    days,
    st.sampled_from(KEYS),
    st.sampled_from(KEYS),
    numbers,
).filter(lambda one: one.keys[0] != linked(one)[-1])
voids = st.builds(
    lambda day, of, id_, who: fact(
        VOIDED,
        day,
        id=id_,
        person=None if who is None else {"keys": [list(who)]},
        event_source="/test",
        event_id=of,
    ),
    days,
    numbers,
    numbers,
    st.none() | st.sampled_from(KEYS),
)


@st.composite
def families(draw: st.DrawFn, *kinds: st.SearchStrategy[Fact], size: int = 9) -> list[Fact]:
    """Return facts, voids mostly aimed at facts that are there."""
    facts = draw(st.lists(st.one_of(*kinds), max_size=size, unique_by=lambda one: one.id))
    if voids in kinds and facts:
        for one in draw(st.lists(st.sampled_from(facts), max_size=2)):
            facts.append(void(draw(days), one, id=f"v{len(facts)}"))
    return facts


everything = families(sightings, sightings, sightings, proofs, rulings, voids)
without_words = families(sightings, proofs)


def connected(facts: Facts) -> Parts:
    """Return the connected components of *facts*, the long way."""
    groups: list[tuple[set[Identifier], set[tuple[str, str]]]] = []
    for one in facts:
        keys, names = set(linked(one)), {(one.source, one.id)}
        for group in [group for group in groups if not keys.isdisjoint(group[0])]:
            groups.remove(group)
            keys |= group[0]
            names |= group[1]
        groups.append((keys, names))
    return {frozenset(names) for _, names in groups}


@given(everything, st.randoms(use_true_random=False))
def test_every_fact_is_one_persons_whatever_came_first(facts: Facts, random: Any) -> None:
    parts = divided(*facts)

    assert canonical(facts) == canonical(one for part in parts for one in part)
    assert all(part == canonical(part) for part in parts)
    assert parts == divided(*random.sample(facts, len(facts)))


@given(everything)
def test_people_have_names_of_their_own(facts: Facts) -> None:
    found = named(canonical(facts), POLICY)
    names = [name for name, _ in found if name is not None]

    assert [part for _, part in found] == divided(*facts)
    assert len(names) == len({lead_id(name) for name in names})
    somebodys = [(name, part) for name, part in found if any(one.keys for one in part)]
    assert names == [name for name, _ in somebodys]
    if len(somebodys) == 1:
        assert names == [known_by(somebodys[0][1])]


@given(families(sightings))
def test_where_nothing_tells_apart_people_are_the_connected_parts(facts: Facts) -> None:
    """Nothing does where no kind that is a person's own has two values."""
    plain = [
        fact("page.viewed", id=one.id, at=one.at, person={"keys": [list(key) for key in keys]})
        for one in facts
        if (keys := [key for key in one.keys if key not in (BOB, OTHER_LOGIN)])
    ]
    assert ids(divided(*plain)) == connected(plain)


def own(fact_: Fact, known: set[str]) -> set[Identifier]:
    """Return what *fact_* carries that is one person's alone."""
    unique = {key for key in fact_.keys if key[0] in POLICY.unique_kinds}
    return unique or {key for key in fact_.keys if key[0] == "email" and key[1] in known}


@given(without_words)
def test_nobody_has_two_accounts_or_is_known_by_two_verified_addresses(facts: Facts) -> None:
    known = {address for one in facts if (address := verified_email(one)) is not None}
    for part in divided(*facts):
        carried = set().union(*(own(one, known) for one in part))
        for kind in ("external:login", "email"):
            values = {value for found, value in carried if found == kind}
            assert len(values) < 2


@given(without_words, st.sampled_from(STRONG), st.sampled_from(STRONG))
def test_merging_two_and_taking_it_back_leaves_both_as_they_were(
    facts: Facts, one: Identifier, other: Identifier
) -> None:
    """Those who were two: the same facts are whose they were, and lead to the same."""
    facts = canonical([*facts, seen(0, one, id="one"), seen(0, other, id="other")])
    before = persons(facts, POLICY)
    if any({one, other} <= {anchored(each, POLICY)[0] for each in part} for part in before):
        return
    join, part = merged(20, one, other, id="join"), unmerged(21, one, other, id="part")
    ruled = {(each.source, each.id) for each in (join, part)}
    after = [
        [each for each in found if (each.source, each.id) not in ruled]
        for found in divided(*facts, join, part)
    ]

    assert before == after
    assert [as_occurred(found, POLICY) for found in before] == [
        as_occurred(found, POLICY) for found in after
    ]


@given(everything)
def test_whoever_the_watch_takes_for_one_is_one(facts: Facts) -> None:
    watch = Watch(POLICY)
    halves = (Watch(POLICY), Watch(POLICY))
    for n, one in enumerate(facts):
        watch.add(one)
        halves[n % 2].add(one)
    halves[0].join(halves[1])

    assert watch.doubt == halves[0].doubt
    if not watch.doubt:
        assert ids(divided(*facts)) == connected(facts) or not all(one.keys for one in facts)


@settings(max_examples=200)
@given(everything)
@example(  # edges from a number to both, then between both
    [seen(0, PHONE, LOGIN), seen(1, PHONE, ADA), seen(2, BOB, PHONE), seen(3, ADA, PHONE, LOGIN)]
)
@example([one := seen(0, CRM, ADA), seen(1, ADA), void(2, one), seen(3, CRM, ADA)])
@example([void(0, fact("page.viewed", id="x")), seen(1, CRM, ADA, id="x"), seen(2, CRM, ADA)])
def test_what_the_watch_calls_old_news_changes_nothing(facts: Facts) -> None:
    """Facts in canonical order: of what does not come last the caller knows."""
    watch = Watch(POLICY)
    known: list[Fact] = []
    for one in canonical(facts):
        before = persons(known, POLICY)
        known.append(one)
        if not watch.add(one):
            after = persons(known, POLICY)
            assert ids(before) == {found - {(one.source, one.id)} for found in ids(after)} - {
                frozenset()
            }


@settings(max_examples=200)
@given(everything)
@example([seen(0, PHONE, OTHER_LOGIN), seen(1, ADA, PHONE, LOGIN)])
def test_a_division_that_takes_in_facts_is_the_one_made_anew(facts: Facts) -> None:
    division: Division | None = None
    known: list[Fact] = []
    for one in canonical(facts):
        known.append(one)
        part = None if division is None else division.add(one)
        anew = Division(known, POLICY)
        if part is None or division is None:
            division = anew
        else:
            assert part[-1] is one
            assert any(part is found for found in division.parts.values())
            assert ids(list(division.parts.values())) == ids(list(anew.parts.values()))
            assert {place and division.known_by(place) for place in division.parts} == {
                place and anew.known_by(place) for place in anew.parts
            }


def elsewhere(one: Fact) -> Fact:
    """Return *one* as a fact of other people: nothing it names is named by the first."""
    person = one.person and {
        name: [[kind, f"{value}'"] for kind, value in told]
        if name == "keys"
        else [told[0], f"{told[1]}'"]
        if name == "other"
        else told
        for name, told in one.person.items()
    }
    data = dict(one.data or {})
    if "event_id" in data:
        data["event_id"] += "'"
    return replace(one, id=f"{one.id}'", person=person, data=data)


@settings(max_examples=200)
@given(everything, everything, st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_divisions_of_families_without_a_common_identifier_join(
    facts: Facts, others: Facts, one: Identifier, other: Identifier
) -> None:
    others = [elsewhere(fact_) for fact_ in others]
    if not facts or not others:
        return
    division = Division(canonical(facts), POLICY)
    if not division.join(Division(canonical(others), POLICY)):
        return
    whole = canonical([*facts, *others])
    anew = Division(whole, POLICY)
    assert ids(list(division.parts.values())) == ids(list(anew.parts.values()))
    link = seen(20, *_held([one]), (other[0], f"{other[1]}'"))
    if one[0] == other[0] or division.add(link) is None:
        return
    anew = Division([*whole, link], POLICY)
    assert ids(list(division.parts.values())) == ids(list(anew.parts.values()))


def test_a_person_alone_may_look_like_two() -> None:
    """A family is divided as a whole: what joins a person may stand in somebody else's facts."""
    ada, bob = seen(0, ADA, PHONE), seen(1, BOB, PHONE)
    shared = seen(2, PHONE, OTHER_PHONE)
    alone = seen(3, OTHER_PHONE)
    parts = divided(ada, bob, shared, alone)

    assert [[ada, alone], [bob, shared]] == parts
    assert [[ada], [alone]] == divided(*parts[0])
    assert START + DAY == bob.at
    assert not corrections(parts[0])
