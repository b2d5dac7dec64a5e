"""Who reached out to whom: which facts are attempts of a person in sales, and which are contacts.

Machines never count, neither as those who call nor as those who answer; see
``domain.corrections`` for how an actor comes to be a machine.
"""

from collections.abc import Mapping
from typing import Any, Final

from domain.counts import PERSON
from domain.events import Fact

CHANNEL_OF: Final[Mapping[str, str]] = {
    "call.attempted": "phone",
    "call.completed": "phone",
    "email.sent": "email",
    "sms.sent": "sms",
    "chat.messaged": "chat",
    "meeting.booked": "meeting",
}
"""The types of fact by which somebody is reached out to, and over which channel."""

CHAT: Final = "chat.messaged"
REPLIES: Final = frozenset(("email.replied", "sms.replied"))
CONNECTED: Final = "connected"


def attempt(type_: str, actor: str, direction: str | None) -> str | None:
    """Return the channel of a human outbound attempt; None where the fact is none.

    Of a rep: a call that is not inbound, a mail, an SMS, a chat message, a meeting booked. A call
    that is told to be outbound counts where nobody says who made it: a mail does not, since most
    mails without a name come from a programme.
    """
    channel = CHANNEL_OF.get(type_)
    if actor == "rep":
        return None if channel == "phone" and direction == "inbound" else channel
    if actor == "unknown" and channel == "phone" and direction == "outbound":
        return channel
    return None


def automated(type_: str, actor: str, direction: str | None) -> str | None:
    """Return the channel of outreach that no person is known to have done; None for all else.

    By a machine: an outbound call, a mail, an SMS, a chat message; by nobody that is named: a mail
    or an SMS.
    """
    channel = CHANNEL_OF.get(type_)
    if channel in ("email", "sms"):
        return channel if actor in ("machine", "unknown") else None
    if actor == "machine" and (
        channel == "chat" or (channel == "phone" and direction == "outbound")
    ):
        return channel
    return None


def is_contact(type_: str, actor: str, outcome: str | None) -> bool:
    """Return whether both sides had a word: a connected call, a reply, a meeting held.

    A chat is one, too, where the person writes after a rep: that takes both messages.
    """
    if type_ in REPLIES:
        return actor in PERSON
    if type_ == "call.completed":
        return outcome == CONNECTED and actor != "machine"
    return type_ == "meeting.held" and actor != "machine"


def thing(fact: Fact) -> Any:
    """Return what the fact is about: its message, call, meeting or conversation; None for none."""
    names = ("message", "call", "meeting", "conversation")
    return next((value for name in names if (value := fact.get(name)) is not None), None)
