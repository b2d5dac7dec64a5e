"""What happened, in a few words: one line for a fact, without personal data."""

from collections.abc import Mapping
from typing import Any, Final

from domain.events import Fact
from leadflow.amounts import decimal_text
from leadflow.instants import rfc3339

_TOLD: Final = (
    "kind",
    "event",
    "form",
    "content",
    "topic",
    "url",
    "plan",
    "feature",
    "campaign",
    "link",
    "bounce",
    "direction",
    "outcome",
    "meeting",
    "framework",
    "criterion",
    "owner",
    "opportunity",
    "product",
    "stage_name",
    "stage",
    "platform",
    "list",
    "vendor",
    "ticket",
    "purpose",
    "channel",
    "reason",
    "competitor",
)
"""Fields of facts that a summary tells, in this order."""

_INSTANTS: Final = {"starts_at": "starts", "until": "until"}

_LONGEST: Final = 60


def summary(fact: Fact) -> str:
    """Return what *fact* says in one line: the act, its details, who acted, how it came."""
    family, _, act = fact.type.partition(".")
    parts = [f"{family} {act}".replace("_", " ").strip()]
    details = list(_details(fact.data or {}))
    if details:
        parts.append(": " + ", ".join(details))
    if fact.actor in ("rep", "machine"):
        parts.append(f" (by {fact.actor}{f' {fact.actor_id}' if fact.actor_id else ''})")
    touch = fact.touch
    if touch is not None and fact.actor != "machine":
        way = [touch.get("channel", "unknown"), touch.get("source"), touch.get("campaign")]
        parts.append(" via " + " / ".join(name for name in way if name))
    return "".join(parts)


def _details(data: Mapping[str, Any]) -> list[str]:
    told = [_short(data[name]) for name in _TOLD if isinstance(data.get(name), str | int)]
    if data.get("registered_only"):
        told.append("registered only")
    if isinstance(data.get("seconds"), int):
        told.append(f"{data['seconds']} s")
    if "satisfied" in data:
        told.append("satisfied" if data["satisfied"] else "not satisfied")
    amount, currency = data.get("amount"), data.get("currency")
    if isinstance(amount, int) and isinstance(currency, str):
        told.append(f"{decimal_text(amount, currency)} {currency}")
    for name, word in _INSTANTS.items():
        value = data.get(name)
        if isinstance(value, int):
            told.append(f"{word} {rfc3339(value)}")
        elif isinstance(value, str):
            told.append(f"{word} {_short(value)}")
    return told


def _short(value: str | int) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
