"""What is wrong with the tables ``stages`` and ``qualification`` of a policy document."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from domain.qualification import FRAMEWORKS, Framework, plain_name
from domain.stages import PACKS
from domain.vocabulary import FAMILY_OF
from leadflow.policy_document import ActEntry, CountEntry, FrameworkEntry, Stages

Path = tuple[str | int, ...]


class Remark(NamedTuple):
    """One thing that is wrong; a value of None is not shown."""

    path: Path
    value: Any
    problem: str
    mend: str


def stage_remarks(stages: Stages, given: Mapping[str, Any]) -> Iterator[Remark]:
    """Yield what is wrong with the pack, and with keys of the table *given* that it does not ask.

    *stages* is the table as it was read.
    """
    pack = PACKS.get(stages.pack)
    if pack is None:
        near = get_close_matches(stages.pack.lower(), list(PACKS), 1, 0.5)
        mend = f'write "{near[0]}"' if near else "write one of " + ", ".join(PACKS)
        yield Remark(("stages", "pack"), stages.pack, "is not a pack of stages", mend)
        return
    for other in PACKS.values():
        for key in sorted(other.parameters - pack.parameters):
            if key in given:
                problem = f"is asked by the pack {other.name} alone, and this one is {pack.name}"
                mend = f'take it out, or write pack = "{other.name}"'
                yield Remark(("stages", key), None, problem, mend)
    for key in sorted(pack.parameters):
        if given.get(key) == []:
            mend = "take the key out to have the default, or name one"
            yield Remark(("stages", key), [], "is empty, so no lead would become an MQL", mend)


def entry_remarks(path: Path, entry: ActEntry | CountEntry) -> Iterator[Remark]:
    """Yield what is wrong with one act or count at *path*."""
    if not entry.types:
        mend = 'write types = ["content.downloaded"]'
        yield Remark((*path, "types"), [], "is empty, so the rule can never fire", mend)
    for n, type_ in enumerate(entry.types):
        if type_ not in FAMILY_OF and not entry.custom:
            near = get_close_matches(type_.lower(), list(FAMILY_OF), 1, 0.6)
            own = "add custom = true if the type is your own"
            mend = f'write "{near[0]}", or {own}' if near else own
            yield Remark((*path, "types", n), type_, "is not a type of the vocabulary", mend)
    for field in entry.where:
        if "." in field:
            problem = "is a path, where only fields of the event's own data can be asked"
            mend = f'write the field alone: "{field.rpartition(".")[2]}"'
            yield Remark((*path, "where", field), None, problem, mend)


def framework_remarks(name: str, entry: FrameworkEntry) -> Iterator[Remark]:
    """Yield what is wrong with a framework of the user's own."""
    path: Path = ("qualification", "frameworks", name)
    if plain_name(name) in FRAMEWORKS:
        mend = "give yours a name of its own"
        yield Remark(path, None, "is a framework that every policy knows", mend)
    elif plain_name(name) is None:
        yield Remark(path, None, "is no name", "write one, 64 characters at most")
    seen: set[str] = set()
    for n, criterion in enumerate(entry.criteria):
        plain = plain_name(criterion)
        where = (*path, "criteria", n)
        if plain is None:
            yield Remark(where, criterion, "is no name", "write one, 64 characters at most")
        elif plain != criterion:
            problem = "is not in lower case with underscores between the words"
            yield Remark(where, criterion, problem, f'write "{plain}"')
        elif plain in seen:
            yield Remark(where, criterion, "stands there twice", "take it out")
        else:
            seen.add(plain)
    for alias, criterion in entry.aliases.items():
        where = (*path, "aliases", alias)
        if criterion not in entry.criteria:
            mend = "write one of " + ", ".join(entry.criteria)
            yield Remark(where, criterion, "is not a criterion of this framework", mend)
        elif plain_name(alias) is None:
            yield Remark(where, None, "is no name", "write one, 64 characters at most")
        elif plain_name(alias) in entry.criteria:
            mend = "take the alias out"
            yield Remark(where, None, "is a criterion itself, so it needs no other name", mend)


def needed_remarks(needed: int, framework: Framework) -> Iterator[Remark]:
    """Yield whether more criteria are *needed* than *framework* has."""
    most = len(framework.criteria)
    if needed > most:
        problem = f"is more than {most}, which is all that {framework.name} asks"
        mend = f"write criteria_needed = {min(2, most)}"
        yield Remark(("stages", "criteria_needed"), needed, problem, mend)


def unknown_framework(name: str, known: Mapping[str, Framework]) -> Remark:
    """Return what is wrong with a *name* that no framework has."""
    near = get_close_matches(name.lower(), list(known), 1, 0.5)
    own = f"add a table [qualification.frameworks.{name}] with criteria"
    mend = f'write "{near[0]}", or {own}' if near else own
    return Remark(("qualification", "framework"), name, "is not a framework", mend)


def framework_of(name: str, entry: FrameworkEntry) -> Framework:
    """Return the framework that *entry* describes."""
    aliases = {plain_name(alias) or alias: to for alias, to in entry.aliases.items()}
    return Framework(name, tuple(entry.criteria), aliases)
