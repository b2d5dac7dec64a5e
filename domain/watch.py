"""Whether a family may be several people, cheaply: most are one, and need not be divided."""

from collections.abc import Iterable
from typing import Final

from domain.book import Rules
from domain.corrections import CORRECTIONS
from domain.events import Fact, Identifier
from domain.identity import RULINGS

_TELLING: Final = RULINGS | CORRECTIONS
"""Types that may tell who is who whatever identifiers they carry."""


class Watch:
    """Whether a family may be several people: cheap to keep, and never wrong about a no.

    Feed it with all facts of the family. Where nothing tells people apart there is one, and
    ``persons`` need not be asked.
    """

    __slots__ = ("_shared", "corrected", "doubt", "known", "values")

    def __init__(self, rules: Rules) -> None:
        self._shared = rules.shared_kinds - {"email"}  # addresses may be verified
        self.values: dict[str, str] = {}
        """Kinds that may tell people apart to the first value there was."""
        self.known: set[tuple[Identifier, ...]] = set()
        """Identifiers as they came together: again they tell nothing new."""
        self.corrected = False
        """Whether something is corrected, so that what came together may not count."""
        self.doubt = False
        """Whether something may tell several people apart."""

    def add(self, fact: Fact, keys: tuple[Identifier, ...] | None = None) -> bool:
        """Take *fact* in; return whether it may change whose the facts before it are.

        *keys* are its identifiers, for who has them at hand.

        It may also do so if it does not come last in canonical order, which is for the caller to
        look at. Where the family is not in doubt there is nothing to change.
        """
        if fact.type in CORRECTIONS:
            self.corrected = self.doubt = True
            return True
        if fact.person is None:
            return self.corrected
        if fact.type in RULINGS:
            self.doubt = True
            keys = None  # those at hand may be those of both leads
        changes = self.corrected or fact.type in RULINGS or bool(fact.person.get("attributes"))
        if keys is None:
            keys = fact.keys
        for kind, value in keys:
            if kind not in self._shared and self.values.setdefault(kind, value) != value:
                self.doubt = True
        if keys not in self.known:
            self.known.add(keys)
            changes = True
        return changes

    def join(self, other: "Watch") -> None:
        """Take in the family of *other*."""
        self.known |= other.known
        self.corrected = self.corrected or other.corrected
        self.doubt = self.doubt or other.doubt
        for kind, value in other.values.items():
            if self.values.setdefault(kind, value) != value:
                self.doubt = True


def in_doubt(facts: Iterable[Fact], rules: Rules) -> bool:
    """Return whether *facts*, which are of one family, may be those of several people."""
    watch = Watch(rules)
    last = None
    for fact in facts:
        person = fact.person
        if person is None or person != last or fact.type in _TELLING:
            watch.add(fact)
            if watch.doubt:
                return True
            last = person
    return False
