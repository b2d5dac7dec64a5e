"""Admission: which facts a rule refuses, for where their data comes from.

A second party (a partner) may pass a person on with proof of consent, a third party (a vendor of
lists) with a legal basis; what each must show is in the policy, ``[parties]``. Only facts that
capture a lead are asked, and never those of the first party or without a word on the party.
"""

from dataclasses import dataclass
from typing import Final

from domain.events import Fact
from domain.policy import Policy
from domain.vocabulary import CAPTURE

REJECTED: Final = "rejected_by_rule"
"""The reason by which dead letters name a refusal."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a fact is refused, at which field, and how to mend it."""

    reason: str
    field: str
    """Dotted path, such as ``data.legal_basis``."""
    problem: str
    mend: str

    def __str__(self) -> str:
        """Return one line: field, problem, mend."""
        return f"{self.field}: {self.problem}; {self.mend}"


def refusal(fact: Fact, policy: Policy) -> Refusal | None:
    """Return why *policy* refuses *fact*, or None where it does not."""
    touch = fact.touch
    if touch is None or fact.type not in CAPTURE:
        return None
    party = touch.get("party")
    asked = policy.parties.get(party) if party is not None else None
    if asked == "consent_proof" and not _has_proof(fact):
        return Refusal(
            REJECTED,
            "data.consent",
            f"the {party} party shows no consent of the person with its proof",
            'send "consent": [{"purpose": ..., "granted": true, "proof": ...}], or let the policy'
            f' say [parties] {party} = "none"',
        )
    if asked == "legal_basis" and not _text(fact.get("legal_basis")):
        return Refusal(
            REJECTED,
            "data.legal_basis",
            f"the {party} party names no legal basis for using the data",
            'send "legal_basis", such as "legitimate interest", or let the policy say [parties]'
            f' {party} = "none"',
        )
    return None


def _has_proof(fact: Fact) -> bool:
    return any(
        one.get("granted") is True and _text(one.get("proof")) for one in fact.get("consent") or ()
    )


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
