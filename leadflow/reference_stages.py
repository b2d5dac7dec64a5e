"""The pages of the reference on stages and packs: drawn from the tables, never by hand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from domain.aliases import ALIASES, NOTES
from domain.policy import Policy
from domain.stage_cards import cards_of
from domain.stages import DEFAULT, MQL, OPEN, PACKS, PATH, RANK, SQL, STAGES, Move, Pack
from domain.vocabulary import CAPTURE, INTENT
from leadflow.policies import load_policy
from leadflow.policy_stages import guard_words
from leadflow.stage_outcomes import KNOWN, case_words, outcome_words, rows
from leadflow.stage_tables import FIELDS


def stages_page() -> str:
    """Return the page on stages, packs, their moves, and other names."""
    policy = load_policy()
    sections = [
        _opening(),
        _table(
            ("stage", *FIELDS, "implies that these were reached"),
            (
                (f"`{code}`", *(getattr(card, name) for name in FIELDS), _before(code))
                for code, card in cards_of(DEFAULT).items()
            ),
        ),
        _packs(),
    ]
    for pack in PACKS.values():
        sections += _pack(pack, guard_words(policy))
    sections += _names()
    return "\n\n".join(sections) + "\n"


def outcomes_page() -> str:
    """Return the page that says where each type of event takes a lead under each pack."""
    policy = load_policy()
    sections = [_outcomes_opening(policy)]
    for pack in PACKS.values():
        found = rows(pack)
        others = max((row.types for row in found), key=len)
        sections.append(f"## `{pack.name}`")
        sections.append(f"*The others* are {_listed(others)}.")
        sections.append(
            _table(
                ("event", "when", "from", "goes to"),
                (
                    (
                        "*the others*" if row.types == others else _listed(row.types),
                        case_words(row.cases),
                        _sources(frozenset(row.stages)),
                        outcome_words(row.outcome),
                    )
                    for row in found
                ),
            )
        )
    return "\n\n".join(sections) + "\n"


def _opening() -> str:
    return (
        "# Stages\n\n"
        "A lead runs through cycles; in a cycle it is in one of these stages, or in none before"
        " its first capture or intent event.\n"
        "A stage that was skipped on the way to a deal is *reached*, not *entered*.\n"
        "A lead goes back only by an explicit event; points that fade never move it.\n"
        "`leadflow stages` prints what the policy in use asks for."
    )


def _packs() -> str:
    return (
        "## The packs\n\n"
        "A pack is one table of moves; the policy chooses it: `pack` under `[stages]`.\n"
        "One fact may cause several moves; they are made in the order of the table, each is"
        " recorded.\n"
        "The engine decides the moves marked *engine*, unless the policy says"
        " `auto_advance = false`; the others are decided by what producers say, in every pack.\n"
        "The numbers are those of the default policy.\n"
        "Skips are not drawn: on the way to a deal, and out of no stage at all, a table allows"
        " more.\n"
        "The box holds the open stages; an arrow that leaves the box leaves any of them.\n"
        "Event by event, from every stage: [where each event takes a lead](stage-outcomes.md)."
    )


def _pack(pack: Pack, guards: Mapping[str, str]) -> Iterator[str]:
    yield f"### `{pack.name}`\n\n{pack.description}"
    own = {code: card for code, card in cards_of(pack).items() if card != cards_of(DEFAULT)[code]}
    if own:
        yield "What a stage is here, where it is not as above:"
        yield _table(
            ("stage", *FIELDS),
            (
                (f"`{code}`", *(getattr(card, name) for name in FIELDS))
                for code, card in own.items()
            ),
        )
    if pack.parameters:
        keys = ", ".join(f"`[[stages.{key}]]`" for key in sorted(pack.parameters))
        yield f"Its own part of the policy: {keys}."
    yield _table(
        ("rule", "from", "to", "on", "if", "cycle", "by"),
        (_row(move, guards) for move in pack.table),
    )
    yield "```mermaid\n" + "\n".join(_diagram(pack)) + "\n```"


def _names() -> Iterator[str]:
    yield (
        "## Other names\n\n"
        "Commands take these wherever they take a stage, in any case:"
        ' `leadflow funnel --steps "inquiry,AQL,customer"`.'
    )
    yield _table(
        ("vocabulary", "name", "stage"),
        (
            (vocabulary, ", ".join(name for name in names if names[name] == code), f"`{code}`")
            for vocabulary, names in ALIASES.items()
            for code in STAGES
            if code in names.values()
        ),
    )
    yield "\n".join(f"- **{name}**: {note}" for name, note in NOTES.items())


def _outcomes_opening(policy: Policy) -> str:
    known = "\n".join(f"- *{words}*: {_KNOWN[name]}" for name, words in KNOWN.items())
    return (
        "# Where each event takes a lead\n\n"
        "Each pack by each type of event: from which stage to which, and by which rule.\n"
        "What is not listed changes no stage; a *when* that changes nothing is not listed either.\n"
        "What sales say comes from a rep, everything else from the prospect, unless a row says"
        " otherwise.\n"
        f"`any other type` is every type that the vocabulary does not know; the rows are those of"
        f" the policy `{policy.version.partition('@')[0]}`.\n"
        "The moves and guards behind it: [Stages](stages.md).\n\n"
        f"{known}"
    )


_KNOWN: Final[Mapping[str, str]] = {
    "scored": "the fit has the grade for an MQL, and the engagement is in the band",
    "criteria": "as many as `criteria_needed` says",
    "qualified": "`lead.qualified` came in this cycle",
    "due": "the lead was recycled `until` a day that has come",
    "counted": "this act completes a count of the policy",
    "other_open": "the deal that ends is not the only one",
    "intent": "a demo, a price, a quote or a contact, in this cycle",
}


def _before(code: str) -> str:
    if code in RANK:
        return ", ".join(f"`{stage}`" for stage in PATH if RANK[stage] < RANK[code]) or "none"
    return "none"


def _row(move: Move, guards: Mapping[str, str]) -> tuple[str, ...]:
    return (
        f"`{move.rule}`",
        _sources(move.after),
        f"`{move.to}`",
        _types(move.on),
        "" if move.guard is None else guards[move.guard],
        "the same" if move.opens is None else f"a new one: {move.opens}",
        "engine" if move.automatic else "producer",
    )


def _sources(after: frozenset[str | None]) -> str:
    named = [f"`{stage}`" for stage in STAGES if stage in after]
    return ", ".join((["none"] if None in after else []) + named)


def _types(on: frozenset[str] | None) -> str:
    if on is None:
        return "any fact"
    if on == CAPTURE | INTENT:
        return "any capture or intent event"
    if on == INTENT:
        return "any intent event"
    return _listed(sorted(on))


def _listed(types: Iterable[str]) -> str:
    return ", ".join(f"`{type_}`" if "." in type_ else type_ for type_ in types)


def _table(head: Sequence[str], rows_: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows_]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _diagram(pack: Pack) -> Iterator[str]:
    """Yield a Mermaid state diagram of the moves."""
    box = OPEN - {None}
    yield "stateDiagram-v2"
    yield "    state open {"
    for source, move in _arrows(pack):
        if source in box and move.to in box:
            yield f"        {source} --> {move.to}: {move.rule}"
    yield "    }"
    for source, move in _arrows(pack):
        if source not in box or move.to not in box:
            yield f"    {source} --> {move.to}: {move.rule}"


def _arrows(pack: Pack) -> Iterator[tuple[str, Move]]:
    """Yield what the diagram draws: forward moves from the stage next to their target."""
    # A stage that no move of the pack enters is not drawn as where an arrow comes from.
    entered = {move.to for move in pack.table}
    for move in pack.table:
        sources = {stage for stage in move.after if stage is not None and stage in entered}
        if not sources:
            yield "[*]", move
            continue
        if sources >= (OPEN - {None}) & entered:
            yield "open", move
            sources -= OPEN
        elif move.opens is None and sources <= RANK.keys() and move.to in PATH:
            nearest = max(RANK[stage] for stage in sources)
            # Where the engine makes an SQL, acceptance is no station on the way.
            direct = {MQL} if move.automatic and move.to == SQL else set()
            sources = {stage for stage in sources if RANK[stage] == nearest or stage in direct}
        for stage in STAGES:
            if stage in sources:
                yield stage, move
