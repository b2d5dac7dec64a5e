"""Who is who: the ids of leads are for ever, whatever the order in which facts arrive."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Fact, Identifier, canonical
from domain.identity import LEAD_NAMESPACE, known_by, lead_id, precedence, stream_of
from tests.examples import fact, person

GOLDEN = [
    (("email", "ada@example.com"), "de54abb5-1e32-53f8-a01d-cb6c4c8be61a"),
    (("phone", "+442079460000"), "b73d59bc-1289-5d0b-9bba-947b1a0f857a"),
    (("anonymous_id", "a-1"), "00674122-5a73-5fdf-adbc-7370e9243462"),
    (("subject:/crm/hubspot", "1042"), "76d439d1-d5e5-5b7a-93a4-918a64290fe1"),
    (("external:salesforce", "00Q1"), "5307e461-4640-51e4-b4f2-668a56bf037f"),
    (("email", "zoë@example.com"), "8ed17fc2-997e-5f17-951b-b6508d5b0eeb"),
]
identifiers = st.tuples(
    st.sampled_from(("subject:/crm", "email", "phone", "anonymous_id", "external:sap")),
    st.text(max_size=3),
)


@pytest.mark.parametrize("identifier, expected", GOLDEN)
def test_the_id_of_a_lead_never_changes(identifier: Identifier, expected: str) -> None:
    """Links, exports and other systems hold these very ids."""
    assert lead_id(identifier) == expected


@given(identifiers, identifiers)
def test_different_identifiers_give_different_leads(one: Identifier, other: Identifier) -> None:
    assert (lead_id(one) == lead_id(other)) == (one == other)


def test_kind_and_value_cannot_run_into_each_other() -> None:
    assert lead_id(("email", "x")) != lead_id(("emai", "lx"))


def test_a_record_is_keyed_by_subject_then_email_phone_anonymous_and_external_id() -> None:
    shuffled = [
        ("external:crm", "1"),
        ("anonymous_id", "1"),
        ("phone", "1"),
        ("subject:/forms", "1"),
        ("email", "2"),
        ("external:app", "1"),
        ("email", "1"),
    ]

    assert sorted(shuffled, key=precedence) == [
        ("subject:/forms", "1"),
        ("email", "1"),
        ("email", "2"),
        ("phone", "1"),
        ("anonymous_id", "1"),
        ("external:app", "1"),
        ("external:crm", "1"),
    ]


# --- by what a person was first known -------------------------------------------------------------


def seen(day: float, *keys: Identifier, **fields: Any) -> Fact:
    return fact("page.viewed", day, person=person(*keys), **fields)


def test_a_person_is_known_by_the_strongest_identifier_of_the_first_fact() -> None:
    both = seen(0, ("email", "ada@example.com"), ("phone", "+442079460000"))

    assert known_by([both, seen(1, ("subject:/crm", "7"))]) == ("email", "ada@example.com")


def test_a_visitor_is_known_by_the_name_they_give_later() -> None:
    visit = seen(0, ("anonymous_id", "a-1"))
    form = seen(1, ("anonymous_id", "a-1"), ("email", "ada@example.com"))

    assert known_by([visit]) == ("anonymous_id", "a-1")
    assert known_by([visit, form]) == ("email", "ada@example.com")


def test_who_gives_no_identifier_is_not_known() -> None:
    assert known_by([]) is None
    assert known_by([fact("spend.recorded", person=None), seen(1)]) is None


facts_of_one_person = st.lists(
    st.builds(
        seen,
        st.integers(0, 3),
        identifiers,
        id=st.integers(0, 10**6).map(str),
        source=st.sampled_from("ab"),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: (one.source, one.id),
)


@given(facts_of_one_person, st.randoms(use_true_random=False))
def test_arrival_does_not_matter_for_how_a_person_is_known(
    facts: Sequence[Fact], random: Any
) -> None:
    shuffled = random.sample(facts, len(facts))

    assert known_by(canonical(facts)) == known_by(canonical(shuffled))


# --- facts that belong to no lead -----------------------------------------------------------------


def test_spend_of_one_campaign_is_one_stream() -> None:
    monday = fact("spend.recorded", 0, person=None, channel="display", campaign="c", day="1")
    tuesday = fact("spend.recorded", 1, person=None, channel="display", campaign="c", day="2")
    other = fact("spend.recorded", 1, person=None, channel="display", campaign="d")

    assert stream_of(monday) == stream_of(tuesday) == "4e936380-7550-506a-b405-b5fd872d72e6"
    assert stream_of(other) != stream_of(monday)


def test_the_parts_of_a_campaign_do_not_run_into_each_other() -> None:
    one = fact("spend.recorded", person=None, channel="a", source="b")
    other = fact("spend.recorded", person=None, channel="a", campaign="b")

    assert stream_of(one) != stream_of(other)


def test_corrections_of_one_event_are_one_stream() -> None:
    voided = fact("event.voided", person=None, event_source="/crm", event_id="1")
    renamed = fact("event.reclassified", person=None, event_source="/crm", event_id="1")

    assert stream_of(voided) == stream_of(renamed) == "a60356ca-b5f4-5aec-9911-0652ab3fc7d9"


@given(st.text(), st.text())
def test_a_lead_id_is_the_uuid_of_version_5_that_the_standard_library_makes(
    kind: str, value: str
) -> None:
    assert str(uuid5(LEAD_NAMESPACE, f"{kind}\x00{value}")) == lead_id((kind, value))
