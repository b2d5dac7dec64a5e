"""How clean the data on leads are: duplicates, gaps, bounces. All shares are exact."""

from collections.abc import Collection, Hashable, Iterable, Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from domain.counts import DAY

STALE_AFTER: Final = 180 * DAY
"""How long a lead may be silent until what is known of it is stale, by default (microseconds)."""

HARD: Final = "hard"

SENT: Final = frozenset(("email.sent", "email.delivered", "email.bounced"))
"""Events that tell that a message was sent: a producer may report any of them alone."""


def clusters(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the groups of what *pairs* connect, each sorted, in the order of their first."""
    into: dict[str, str] = {}

    def top(one: str) -> str:
        into.setdefault(one, one)
        while into[one] != one:
            into[one] = into[into[one]]
            one = into[one]
        return one

    for one, other in pairs:
        first, second = sorted((top(one), top(other)))
        into[second] = first
    groups: dict[str, list[str]] = {}
    for one in sorted(into):
        groups.setdefault(top(one), []).append(one)
    return sorted(groups.values())


def duplicate_share(leads: int, groups: Iterable[Collection[str]]) -> Fraction | None:
    """Return 1 - clusters / leads, where a lead in none of *groups* is a cluster of its own."""
    spare = sum(len(group) - 1 for group in groups)
    return Fraction(spare, leads) if leads else None


def completeness(
    leads: Iterable[Mapping[str, object]], required: Collection[str]
) -> Fraction | None:
    """Return filled required fields / required fields over *leads*; blank text is not filled."""
    filled = asked = 0
    for lead in leads:
        asked += len(required)
        filled += sum(is_filled(lead.get(name)) for name in required)
    return Fraction(filled, asked) if asked else None


def is_filled(value: object) -> bool:
    """Return whether a field says something: it is there, and not blank."""
    return value is not None and value != "" and not str(value).isspace()


class Mail(NamedTuple):
    """One event of an e-mail."""

    lead: Hashable
    type: str
    bounce: str | None
    """hard or soft, of a bounce."""
    message: str | None


class Bounces(NamedTuple):
    """Messages, and how many of them bounced; what is sent to a lead twice under one name is one."""

    sent: int
    hard: int
    other: int
    """Soft bounces, and bounces of an unknown kind, of messages that never bounced hard."""

    @property
    def rate(self) -> Fraction | None:
        """Return hard bounces / messages sent; None where none was."""
        return Fraction(self.hard, self.sent) if self.sent else None


def bounces(mails: Iterable[Mail]) -> Bounces:
    """Return the messages of *mails*: sent, delivered or bounced is sent, each message once.

    A message without a name is one for every event that sends it: for every email.sent of its
    lead, or where there are fewer of these, for every delivery and bounce.
    """
    named: dict[tuple[Hashable, str], set[str]] = {}
    nameless: dict[Hashable, list[int]] = {}
    hard = other = 0
    for mail in mails:
        if mail.type not in SENT:
            continue
        bounced = mail.type == "email.bounced"
        if mail.message is not None:
            of = named.setdefault((mail.lead, mail.message), set())
            of.add("hard" if bounced and mail.bounce == HARD else "other" if bounced else "sent")
            continue
        count = nameless.setdefault(mail.lead, [0, 0])
        count[0 if mail.type == "email.sent" else 1] += 1
        hard += bounced and mail.bounce == HARD
        other += bounced and mail.bounce != HARD
    return Bounces(
        len(named) + sum(map(max, nameless.values())),
        hard + sum("hard" in of for of in named.values()),
        other + sum("other" in of and "hard" not in of for of in named.values()),
    )
