"""One lead in a test of mails: which variant it belongs to, and what it did.

The lead belongs to the first variant that it was sent; what comes before that is not the test's.
An act belongs to the test where it names the campaign, or a message that the lead was sent in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from domain.counts import PERSON

SENDING: Final = frozenset(("email.sent", "email.delivered"))
"""The types that carry the variant."""

ACTS: Final = {
    "opened": "email.opened",
    "clicked": "email.clicked",
    "replied": "email.replied",
    "unsubscribed": "email.unsubscribed",
    "complained": "email.complained",
    "bounced": "email.bounced",
}
"""What can come of a mail, and the type that tells it."""

_HUMAN: Final = frozenset(ACTS.values()) - {ACTS["bounced"]}
_ARRIVED: Final = frozenset(("email.delivered", "email.opened", "email.clicked", "email.replied"))


class Mail(NamedTuple):
    """A fact about a mail."""

    at: int
    """When it happened, microseconds UTC."""
    type: str
    actor: str
    message: str | None
    campaign: str | None
    variant: str | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A lead in a test."""

    variant: str
    assigned_at: int
    """When it was first sent the variant."""
    others: frozenset[str]
    """Other variants that it was sent later."""
    is_delivered: bool
    """Whether a mail is known to have arrived: somebody who opens it has it."""
    acts: frozenset[str]
    """What people did, or what came of the mail: types of fact; machines do not count."""
    machine_acts: int
    """Opens, clicks, replies and withdrawals by machines."""


def subject(
    mails: Sequence[Mail], *, campaign: str | None = None, message: str | None = None
) -> Subject | None:
    """Return the lead in the test of *campaign* or of *message*; None where it is in none.

    *mails* are what is known of its mails, in canonical order.
    """
    tested = _tested(mails, campaign, message)
    assigned = next((one for one in tested if one.type in SENDING and one.variant), None)
    if assigned is None or assigned.variant is None:
        return None
    since = [one for one in tested if one.at >= assigned.at]
    people = [one for one in since if one.type == ACTS["bounced"] or one.actor in PERSON]
    machines = [one for one in since if one.actor == "machine" and one.type in _HUMAN]
    got = {one.variant for one in tested if one.type in SENDING and one.variant}
    delivered = any(one.type in _ARRIVED for one in people) or any(
        one.type == "email.delivered" for one in since
    )
    return Subject(
        assigned.variant,
        assigned.at,
        frozenset(got - {assigned.variant}),
        delivered,
        frozenset(one.type for one in people) - SENDING,
        len(machines),
    )


def _tested(mails: Sequence[Mail], campaign: str | None, message: str | None) -> list[Mail]:
    if message is not None:
        return [mail for mail in mails if mail.message == message]
    sent = {
        mail.message
        for mail in mails
        if mail.type in SENDING and mail.campaign == campaign and mail.message is not None
    }
    return [
        mail
        for mail in mails
        if mail.campaign == campaign or (mail.type not in SENDING and mail.message in sent)
    ]
