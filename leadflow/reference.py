"""The reference pages that the program writes about itself, so that they cannot be wrong.

``python -m leadflow.reference --write`` writes those under ``docs/reference`` anew, ``--check``
names those that are not up to date. To add a page, write a function that returns its text and
name it in ``PAGES``.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from domain.policy import POINT, Policy
from domain.stages import MOVES, OPEN, OWNER, PATH, RANK, STAGES, Move
from domain.vocabulary import CAPTURE, INTENT
from leadflow.policies import load_policy
from leadflow.reference_pages import (
    commands_page,
    data_dictionary_page,
    events_page,
    settings_page,
)

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
"""Where the pages lie in a working copy; an installation has none."""

_MEANING: Final[Mapping[str, str]] = {
    "captured": "A lead: somebody left a way to be reached, or asked for sales.",
    "mqo": "Marketing qualified opportunity: reads, and has not asked for sales.",
    "mql": "Marketing qualified lead: fits and is engaged, or asks again after a rest.",
    "sgl": "Sales generated lead: sales found it.",
    "sal": "Sales accepted lead: a person in sales took it.",
    "sql": "Sales qualified lead: sales says so and knows enough of need, means and time.",
    "opportunity": "There is something to sell, with an amount and a date.",
    "won": "A deal was won.",
    "lost": "The last open deal was lost.",
    "recycled": "Handed back to marketing, to be woken up later.",
    "disqualified": "No lead after all.",
}


def stages() -> str:
    """Return the page on stages and the moves between them."""
    policy = load_policy()
    guards = _guards(policy)
    sections = (
        _opening(),
        _table(
            ("stage", "what it means", "worked by", "implies that these were reached"),
            ((f"`{code}`", _MEANING[code], OWNER[code], _before(code)) for code in STAGES),
        ),
        _moves(),
        _table(
            ("rule", "from", "to", "on", "if", "cycle", "by"),
            (_row(move, guards) for move in MOVES),
        ),
        _drawing(),
    )
    return "\n\n".join(sections) + "\n"


def _opening() -> str:
    return (
        "# Stages\n\n"
        "A lead runs through cycles; in a cycle it is in one of these stages, or in none before"
        " its first capture or intent event.\n"
        "A stage that was skipped on the way to a deal is *reached*, not *entered*.\n"
        "A lead goes back only by an explicit event; points that fade never move it."
    )


def _moves() -> str:
    return (
        "## The moves\n\n"
        "One fact may cause several moves; they are made in this order, each is recorded.\n"
        "The engine decides the moves marked *engine*, unless the policy says"
        " `auto_advance = false`; the others are decided by what producers say."
    )


def _drawing() -> str:
    return (
        "## The diagram\n\n"
        "Skips are not drawn: on the way to a deal, and out of no stage at all, the table allows"
        " more.\n"
        "The box holds the open stages; an arrow that leaves the box leaves any of them.\n\n"
        "```mermaid\n" + "\n".join(_diagram()) + "\n```"
    )


def _before(code: str) -> str:
    if code in PATH:
        return ", ".join(f"`{stage}`" for stage in PATH[: RANK[code]]) or "none"
    if code in RANK:
        return ", ".join(f"`{stage}`" for stage in PATH if RANK[stage] < RANK[code])
    return "none"


def _guards(policy: Policy) -> Mapping[str, str]:
    """Return what each guard asks for, with the numbers of the default policy."""
    threshold = policy.mql_engagement / POINT
    return {
        "by_person": "the actor is the prospect, or unknown",
        "content_without_intent": (
            "the actor is the prospect, or unknown; a form is of kind content or newsletter; and"
            " no intent was shown in this cycle"
        ),
        "fit_and_engagement": (
            f"the fit has grade {policy.mql_grade} or better, and the engagement is in the band:"
            f" {threshold:g} points entered it, {policy.band_floor / POINT:g} keep it (default"
            " policy)"
        ),
        "no_other_open_opportunity": "no other opportunity of the lead is open",
        "qualified_with_criteria": (
            "a person called the lead qualified in this cycle, and"
            f" {policy.criteria_needed} of 4 criteria are satisfied (default policy)"
        ),
        "wake_up_due": "the actor is the prospect, and the date `until` of the recycling has come",
    }


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
    return ", ".join(f"`{type_}`" for type_ in sorted(on))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _diagram() -> Iterator[str]:
    """Yield a Mermaid state diagram of the moves."""
    box = OPEN - {None}
    yield "stateDiagram-v2"
    yield "    state open {"
    for source, move in _arrows():
        if source in box and move.to in box:
            yield f"        {source} --> {move.to}: {move.rule}"
    yield "    }"
    for source, move in _arrows():
        if source not in box or move.to not in box:
            yield f"    {source} --> {move.to}: {move.rule}"


def _arrows() -> Iterator[tuple[str, Move]]:
    """Yield what the diagram draws: forward moves from the stage next to their target."""
    for move in MOVES:
        sources = {stage for stage in move.after if stage is not None}
        if not sources:
            yield "[*]", move
            continue
        if sources >= OPEN - {None}:
            yield "open", move
            sources -= OPEN
        elif move.opens is None and sources <= RANK.keys() and move.to in PATH:
            nearest = max(RANK[stage] for stage in sources)
            sources = {stage for stage in sources if RANK[stage] == nearest}
        for stage in STAGES:
            if stage in sources:
                yield stage, move


# --- all pages ------------------------------------------------------------------------------------

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "commands.md": commands_page,
    "data-dictionary.md": data_dictionary_page,
    "events.md": events_page,
    "settings.md": settings_page,
    "stages.md": stages,
}
"""File under docs/reference to the function that returns its text."""


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of the pages in *folder* that are missing or not up to date."""
    return [name for name, page in PAGES.items() if _text(folder / name) != page()]


def write(folder: Path = FOLDER) -> list[str]:
    """Write the pages that are not up to date; return their names. Raises OSError."""
    names = stale(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(PAGES[name](), encoding="utf-8")
    return names


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the pages; return the exit code: 0 done, 1 when a page is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m leadflow.reference", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="name the pages to write anew")
    action.add_argument("--write", action="store_true", help="write them")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they lie")
    chosen = parser.parse_args(arguments)
    if chosen.write:
        for name in write(chosen.folder):
            print(f"wrote {chosen.folder / name}")
        return 0
    names = stale(chosen.folder)
    for name in names:
        print(f"{chosen.folder / name} is not up to date: python -m leadflow.reference --write")
    return 1 if names else 0


if __name__ == "__main__":
    raise SystemExit(main())
