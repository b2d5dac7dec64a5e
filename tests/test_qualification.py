"""BANT and CHAMP: what an answer says, and which answers count."""

from typing import Any

import pytest

from domain.qualification import ALIASES, CRITERIA, criterion_of, is_satisfied, satisfied
from tests.examples import fact


@pytest.mark.parametrize(
    "said, criterion",
    [
        ("budget", "budget"),
        ("Money", "budget"),
        (" authority ", "authority"),
        ("challenges", "need"),
        ("Introduction Date", "timeline"),
        ("priority", "timeline"),
        ("shoe size", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_both_frameworks_ask_the_same_four_things(said: object, criterion: str | None) -> None:
    assert criterion_of(fact("qualification.answered", criterion=said)) == criterion


def test_every_alias_stands_for_one_of_the_four() -> None:
    assert set(ALIASES.values()) == set(CRITERIA)
    assert all(ALIASES[criterion] == criterion for criterion in CRITERIA)


@pytest.mark.parametrize(
    "data, expected",
    [
        ({"satisfied": True}, True),
        ({"satisfied": False, "value": "plenty"}, False),
        ({"value": "plenty"}, True),
        ({"value": 0}, True),
        ({"value": False}, True),
        ({}, False),
    ],
)
def test_an_answer_is_worth_what_is_said_of_it_or_that_there_is_one(
    data: dict[str, Any], expected: bool
) -> None:
    assert is_satisfied(fact("qualification.answered", criterion="need", **data)) == expected


def test_the_latest_answer_counts() -> None:
    yes = fact("qualification.answered", 0, criterion="budget", satisfied=True)
    no = fact("qualification.answered", 1, criterion="money", satisfied=False)
    need = fact("qualification.answered", 2, criterion="need", value="a CRM")
    other = fact("qualification.answered", 3, criterion="weather", value="fine")

    assert satisfied([yes, need, other]) == {"budget", "need"}
    assert satisfied([yes, no, need]) == {"need"}
    assert satisfied([fact("note.added", criterion="need", value=1)]) == frozenset()
