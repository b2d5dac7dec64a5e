"""What a view keeps of the person: by what the lead is known, its name, and what it consents to."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from domain.consent import Standings, words_of
from domain.events import Fact, Identifier
from domain.identity import ANONYMOUS
from domain.policy import ConsentRules
from projections.rows import Rows

_json: Final = msgspec.json.Encoder().encode


class Contact:
    """The person of a lead: name, addresses, and identifiers in the order of their first use."""

    __slots__ = (
        "_changed",
        "_firm",
        "_written",
        "email",
        "identifiers",
        "known",
        "latest",
        "name",
        "phone",
    )

    def __init__(self) -> None:
        self.name: str | None = None
        self.email: str | None = None
        self.phone: str | None = None
        self.identifiers: dict[Identifier, None] = {}
        self.known: Identifier | None = None
        """By what the lead is known: ``domain.identity.known_by`` of the identifiers."""
        self.latest: Mapping[str, Any] | None = None
        """What the last fact said of the person."""
        self._firm = False
        self._changed = False
        self._written = False

    def remember(self, person: Mapping[str, Any]) -> bool:
        """Take in what a fact says of the person; return whether the lead is known by another."""
        self.latest = person
        identifiers, renamed = self.identifiers, False
        for kind, value in person["keys"]:
            identifier = (kind, value)
            if identifier not in identifiers:
                identifiers[identifier] = None
                self._changed = True
                # the rule of domain.identity.known_by, one fact at a time
                if not self._firm and (kind != ANONYMOUS or self.known is None):
                    self.known, self._firm = identifier, kind != ANONYMOUS
                    renamed = True
        get = person.get
        name, email, phone = get("name"), get("email"), get("phone")
        if name is not None and name != self.name:
            self.name = name
            self._changed = True
        if email is not None and email != self.email:
            self.email = email
            self._changed = True
        if phone is not None and phone != self.phone:
            self.phone = phone
            self._changed = True
        return renamed

    def write(self, lead_no: int, rows: Rows) -> None:
        """Put the row of the person into *rows* if it changed."""
        if self._changed or not self._written:
            identifiers = _json(list(self.identifiers)).decode()
            (rows.changed_people if self._written else rows.people).append(
                (lead_no, self.name, self.email, self.phone, identifiers)
            )
            self._written, self._changed = True, False


class Consents:
    """What a lead consents to, per purpose and channel."""

    __slots__ = ("_changed", "_numbers", "_standings")

    def __init__(self) -> None:
        self._standings = Standings()
        self._numbers: dict[tuple[str, str | None], int] = {}
        """Purposes and channels that have a row, to its number."""
        self._changed: dict[tuple[str, str | None], None] = {}

    def hear(self, fact: Fact, rules: ConsentRules) -> None:
        """Take in the words of *fact*."""
        for word in words_of(fact, rules):
            self._changed |= dict.fromkeys(self._standings.hear(word, rules))

    def write(self, lead_no: int, rows: Rows) -> None:
        """Put the rows of what changed into *rows*."""
        for pair in self._changed:
            n = self._numbers.get(pair)
            to = rows.consents if n is None else rows.changed_consents
            if n is None:
                n = self._numbers[pair] = len(self._numbers) + 1
            standing = self._standings.of[pair]
            word = standing.word
            to.append(
                (
                    lead_no,
                    n,
                    *pair,
                    standing.state,
                    word.at,
                    standing.until,
                    1 if word.proof else 0,
                    word.source,
                    word.id,
                )
            )
        self._changed = {}
