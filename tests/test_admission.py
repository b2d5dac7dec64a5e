"""Admission: what a fact must show, by the party that it comes from."""

from typing import Any

import pytest

from domain.admission import refusal
from domain.policy import Policy
from domain.vocabulary import CAPTURE, FAMILY_OF
from tests.examples import POLICY, small_policy
from tests.projections_kit import fact

PROVEN: dict[str, Any] = {"consent": [{"purpose": "sales", "granted": True, "proof": "form 12"}]}
BASIS: dict[str, Any] = {"legal_basis": "legitimate interest"}


def field(
    party: str | None, policy: Policy = POLICY, type_: str = "form.submitted", **d: Any
) -> Any:
    """Return the field at which the fact is refused, or None."""
    touch = {"channel": "partner"} if party is None else {"channel": "partner", "party": party}
    found = refusal(fact(type_, 0, touch=touch, **d), policy)
    return None if found is None else found.field


def test_a_second_party_shows_consent_with_proof() -> None:
    assert "data.consent" == field("second")
    assert field("second", **PROVEN) is None


@pytest.mark.parametrize(
    "block",
    [
        {"purpose": "sales", "granted": True},
        {"purpose": "sales", "granted": True, "proof": "  "},
        {"purpose": "sales", "granted": False, "proof": "form 12"},
        {"purpose": "sales", "proof": "form 12"},
    ],
)
def test_neither_a_bare_tick_nor_a_refusal_is_proof(block: dict[str, Any]) -> None:
    assert "data.consent" == field("second", consent=[block])
    assert field("second", consent=[block, *PROVEN["consent"]]) is None


def test_a_third_party_names_its_legal_basis() -> None:
    assert "data.legal_basis" == field("third", type_="record.imported")
    assert "data.legal_basis" == field("third", type_="record.imported", legal_basis=" ")
    assert field("third", type_="record.imported", **BASIS) is None


def test_the_first_party_and_facts_without_one_are_never_asked() -> None:
    assert [None, None] == [field("first"), field(None)]
    assert refusal(fact("form.submitted", 0), POLICY) is None
    everything = small_policy(parties={"second": "legal_basis", "third": "consent_proof"})
    assert field("first", everything) is None


@pytest.mark.parametrize("type_", sorted(FAMILY_OF))
def test_only_facts_that_capture_a_lead_are_asked(type_: str) -> None:
    assert (field("second", type_=type_) is not None) == (type_ in CAPTURE)


def test_the_policy_says_what_each_party_shows() -> None:
    swapped = small_policy(parties={"second": "legal_basis", "third": "consent_proof"})
    nothing = small_policy(parties={"second": "none", "third": "none"})

    assert "data.legal_basis" == field("second", swapped)
    assert "data.consent" == field("third", swapped)
    assert [None, None] == [field(party, nothing) for party in ("second", "third")]


def test_a_refusal_says_field_problem_and_mend_in_one_line() -> None:
    found = refusal(fact("record.imported", 0, touch={"party": "third"}), POLICY)

    assert found is not None
    assert "rejected_by_rule" == found.reason
    assert str(found).startswith("data.legal_basis: the third party names no legal basis")
    assert 'third = "none"' in str(found)
