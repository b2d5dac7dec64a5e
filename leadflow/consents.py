"""What a lead may be contacted for, and everything it said about that, as documents."""

from collections.abc import Sequence
from typing import Any

from domain.book import Rules
from domain.consent import GRANTED, Consents, Standings, Word, consents
from domain.events import Fact
from leadflow.instants import rfc3339


def standings_document(facts: Sequence[Fact], rules: Rules, at: int) -> list[dict[str, Any]]:
    """Return how things stand at the instant *at* per purpose and channel, by their names.

    *facts* are those that count, in canonical order. A channel of None means all channels.
    """
    return _standings(consents(facts, rules).standings(at), at)


def consent_document(
    facts: Sequence[Fact],
    rules: Rules,
    at: int,
    purpose: str | None = None,
    channel: str | None = None,
) -> dict[str, Any]:
    """Return what stands at the instant *at*, every word, and the answer about *purpose*.

    *facts* are those that count, in canonical order. Without a *purpose* there is no answer;
    without a *channel* it is about all channels.
    """
    said = consents(facts, rules)
    standings = said.standings(at)
    return {
        "as_of": rfc3339(at),
        "consent": _standings(standings, at),
        "words": _words(said),
        "answer": None if purpose is None else _answer(standings, purpose, channel, at),
    }


def _standings(standings: Standings, at: int) -> list[dict[str, Any]]:
    rows = []
    for (purpose, channel), standing in standings.of.items():
        state = standing.state_at(at)
        rows.append(
            {
                "purpose": purpose,
                "channel": channel,
                "granted": state == GRANTED,
                "state": state,
                "until": None if standing.until is None else rfc3339(standing.until),
                **_proof(standing.word),
            }
        )
    return sorted(rows, key=lambda row: (row["purpose"], row["channel"] or ""))


def _words(said: Consents) -> list[dict[str, Any]]:
    """Return every word in canonical order, and what stood after it for what it is about."""
    standings = Standings()
    rows = []
    for word, rules in said.words:
        standings.hear(word, rules)
        rows.append(
            {
                "purpose": word.purpose,
                "channel": word.channel,
                "granted": word.granted,
                "state_after": standings.of[word.purpose, word.channel].state,
                "type": word.type,
                **_proof(word),
            }
        )
    return rows


def _answer(standings: Standings, purpose: str, channel: str | None, at: int) -> dict[str, Any]:
    found = standings.may(purpose, channel, at)
    return {
        "purpose": purpose,
        "channel": channel,
        "allowed": found.allowed,
        "state": found.state,
        "because": None if found.word is None else _proof(found.word),
    }


def _proof(word: Word) -> dict[str, Any]:
    return {
        "at": rfc3339(word.at),
        "text_version": word.text_version,
        "proof": word.proof,
        "source": word.source,
        "id": word.id,
    }
