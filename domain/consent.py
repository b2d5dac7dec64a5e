"""Consent: what a person may be contacted for, by which channel, and by which word of theirs.

A *word* is one grant or withdrawal for a purpose, by one channel or by all. Words are folded in
canonical order into a standing per purpose and channel:

- the latest word counts; at one instant a withdrawal wins over any grant;
- a word without a channel is about all channels, those that were named before among them;
- of a purpose with double opt-in a grant is *pending* until a ``consent.granted`` with ``proof``
  confirms it; while it is confirmed, another tick of a box changes nothing;
- an unsubscription or a complaint about an e-mail withdraws the channel e-mail, of the purposes
  that the policy names (marketing, where it says nothing);
- with a validity, a grant lapses so many calendar months (UTC) after its word.

Where nobody has said anything the answer is no.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from domain.book import Rules
from domain.events import Fact
from domain.policy import ConsentRules

GRANTED: Final = "granted"
PENDING: Final = "pending"
"""Granted, but not confirmed yet where that is asked for: as good as no."""
WITHDRAWN: Final = "withdrawn"
EXPIRED: Final = "expired"
"""Granted, and lapsed since."""
UNKNOWN: Final = "unknown"
"""Nobody has said anything."""

SPEAKING: Final = frozenset(
    {"consent.granted", "consent.withdrawn", "email.unsubscribed", "email.complained"}
)
"""The types of fact that are a word of consent in themselves; others may carry some."""

_EMAIL: Final = "email"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Word:
    """One grant or withdrawal, with its proof, and the fact that it was said in."""

    purpose: str
    """In lower case: purposes are compared without case."""
    channel: str | None
    """None: all channels."""
    granted: bool
    at: int
    """Microseconds UTC."""
    type: str
    source: str
    id: str
    text_version: str | None = None
    proof: str | None = None

    @property
    def confirms(self) -> bool:
        """Return whether the word confirms a grant where double opt-in is asked for."""
        return self.granted and self.type == "consent.granted" and bool(self.proof)


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand for one purpose and channel."""

    state: str
    """granted, pending or withdrawn."""
    word: Word
    """The word that the state stands on."""
    until: int | None = None
    """From when on a grant has lapsed, microseconds UTC; None: never."""

    def state_at(self, at: int) -> str:
        """Return the state at the instant *at*: a grant may have lapsed."""
        if self.until is not None and at >= self.until:
            return EXPIRED
        return self.state


class Answer(NamedTuple):
    """Whether a person may be contacted, and why."""

    allowed: bool
    state: str
    """granted, pending, withdrawn, expired or unknown."""
    word: Word | None
    """The word that the answer stands on; None where nobody has said anything."""


# --- words --------------------------------------------------------------------------------------


def words_of(fact: Fact, rules: ConsentRules) -> Iterator[Word]:
    """Yield the words that *fact* says: by its type, and in its consent block."""
    data: Mapping[str, Any] = fact.data or {}
    match fact.type:
        case "consent.granted" | "consent.withdrawn":
            yield _word(fact, data, granted=fact.type == "consent.granted")
        case "email.unsubscribed" | "email.complained":
            for purpose in rules.unsubscribe_ends:
                block = {"purpose": purpose, "channel": _EMAIL}
                yield _word(fact, block, granted=False)
    for one in data.get("consent") or ():
        # What is not said to be granted is not.
        yield _word(fact, one, granted=one.get("granted") is True)


def _word(fact: Fact, block: Mapping[str, Any], *, granted: bool) -> Word:
    get = block.get
    return Word(
        purpose=str(get("purpose")).strip().lower(),
        channel=get("channel"),
        granted=granted,
        at=fact.at,
        type=fact.type,
        source=fact.source,
        id=fact.id,
        text_version=get("text_version"),
        proof=get("proof"),
    )


# --- the fold -----------------------------------------------------------------------------------


def after(before: Standing | None, word: Word, rules: ConsentRules) -> Standing:
    """Return the standing after *word*, which comes next in canonical order."""
    if not word.granted:
        return Standing(WITHDRAWN, word)
    if before is not None and before.state == WITHDRAWN and before.word.at == word.at:
        return before
    if word.purpose in rules.double_opt_in and not word.confirms:
        if before is not None and before.state_at(word.at) == GRANTED:
            return before
        return Standing(PENDING, word)
    until = add_months(word.at, rules.valid_months) if rules.valid_months else None
    return Standing(GRANTED, word, until)


class Standings:
    """The standing per purpose and channel; hear words in canonical order."""

    __slots__ = ("_channels", "of")

    def __init__(self) -> None:
        self.of: dict[tuple[str, str | None], Standing] = {}
        """By purpose and channel (None: all), in the order in which they were first named."""
        self._channels: dict[str, list[str]] = {}

    def hear(self, word: Word, rules: ConsentRules) -> list[tuple[str, str | None]]:
        """Take in *word*; return the purposes and channels that it is about."""
        of, purpose, channel = self.of, word.purpose, word.channel
        named = self._channels.setdefault(purpose, [])
        if channel is None:
            about = [(purpose, None), *((purpose, one) for one in named)]
        else:
            about = [(purpose, channel)]
            if channel not in named:
                named.append(channel)
                general = of.get((purpose, None))
                if general is not None:
                    of[purpose, channel] = general
        for pair in about:
            of[pair] = after(of.get(pair), word, rules)
        return about

    def may(self, purpose: str, channel: str | None, at: int) -> Answer:
        """Return whether the person may be contacted at the instant *at*, microseconds UTC.

        Without a *channel* the question is about all of them: one that is not granted says no.
        """
        purpose = purpose.strip().lower()
        pairs: list[tuple[str, str | None]] = [(purpose, channel)]
        if channel is None:
            pairs += [(purpose, one) for one in self._channels.get(purpose, ())]
        elif (purpose, channel) not in self.of:
            pairs = [(purpose, None)]
        answer = Answer(allowed=False, state=UNKNOWN, word=None)
        for pair in pairs:
            standing = self.of.get(pair)
            if standing is None:
                # All channels, of which some were named and nothing was said of the others.
                return answer
            state = standing.state_at(at)
            answer = Answer(state == GRANTED, state, standing.word)
            if not answer.allowed:
                break
        return answer


@dataclass(frozen=True, slots=True)
class Consents:
    """Every word of one person, in canonical order, under the policy of its instant."""

    words: tuple[tuple[Word, ConsentRules], ...]

    def standings(self, at: int | None = None) -> Standings:
        """Return how things stood after the words up to the instant *at*; after all by default."""
        found = Standings()
        for word, rules in self.words:
            if at is None or word.at <= at:
                found.hear(word, rules)
        return found


def consents(facts: Iterable[Fact], rules: Rules) -> Consents:
    """Return the words of *facts*, which come in canonical order, under *rules*.

    Each is judged by the policy in force when it was said, or received if its clock ran ahead.
    What was voided has to be left out by the caller.
    """
    found: list[tuple[Word, ConsentRules]] = []
    for fact in facts:
        if fact.type in SPEAKING or fact.get("consent"):
            asked = rules.at(min(fact.at, fact.recorded_at)).consent
            found += [(word, asked) for word in words_of(fact, asked)]
    return Consents(tuple(found))


def may(consents: Consents, purpose: str, channel: str | None, at: int) -> Answer:
    """Return whether the person might be contacted at the instant *at*, microseconds UTC.

    Words said later do not count. Without a *channel* the question is about all of them.
    """
    return consents.standings(at).may(purpose, channel, at)


def add_months(at: int, months: int) -> int:
    """Return the instant *months* calendar months (UTC) after *at*, both microseconds UTC.

    A day that the month lacks is its last one.
    """
    moment = _EPOCH + timedelta(microseconds=at)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    later = moment.replace(year=year, month=month + 1, day=day)
    return (later - _EPOCH) // timedelta(microseconds=1)
