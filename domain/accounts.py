"""Accounts: the companies that leads work for, and who in them has which part in a purchase.

The buying group of an account are the leads of its domain. The role of each is found by the
ordered rules of the policy, from seniority and title; the roles that a purchase wants and that
nobody fills are *missing*.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from domain.policy import ROLES, AccountRules

_WORD: Final = re.compile(r"\w+")
_UNSPACED: Final = "\u2e80"
"""From here on scripts are mostly written without spaces."""


@lru_cache(maxsize=65_536)
def role_of(seniority: str | None, title: str | None, rules: AccountRules) -> str:
    """Return the role of a person by the first of the rules that fits; ``other`` by none."""
    rank = (seniority or "").strip().lower()
    words = _spaced(title or "")
    for rule in rules.roles:
        if rank in rule.seniority or any(_says(words, word) for word in rule.title):
            return rule.role
    return ROLES[-1]


def _spaced(text: str) -> str:
    """Return the lower-case words of *text*, a blank around each."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _says(words: str, wanted: str) -> bool:
    """Return whether *words* hold *wanted*: whole words, or with ``*`` the beginning of one.

    In scripts that are written without spaces it may stand anywhere.
    """
    is_beginning = wanted.endswith("*")
    text = _spaced(wanted).strip()
    if not text:
        return False
    if text[0] >= _UNSPACED:
        return text in words
    return (f" {text}" if is_beginning else f" {text} ") in words


@dataclass(frozen=True, slots=True)
class BuyingGroup:
    """The people of an account by role, and what of the roles wanted is met."""

    roles: Mapping[str, int]
    """Role to people, in the order of ``domain.policy.ROLES``."""
    met: tuple[str, ...]
    missing: tuple[str, ...]
    """Roles that a purchase wants and nobody fills, in the order of the policy."""

    @property
    def coverage(self) -> tuple[int, int]:
        """Return how many of the wanted roles are met, and how many are wanted."""
        return len(self.met), len(self.met) + len(self.missing)


def buying_group(
    people: Iterable[tuple[str | None, str | None, int]], rules: AccountRules
) -> BuyingGroup:
    """Return the buying group of *people*: seniority, title, and how many have both."""
    counts: dict[str, int] = {}
    for seniority, title, number in people:
        role = role_of(seniority, title, rules)
        counts[role] = counts.get(role, 0) + number
    return BuyingGroup(
        {role: counts[role] for role in ROLES if role in counts},
        tuple(role for role in rules.wanted if role in counts),
        tuple(role for role in rules.wanted if role not in counts),
    )
