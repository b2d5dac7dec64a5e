"""What changes from one policy document to another, key by key."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs; of a table that is new or gone, the whole table."""

    key: str
    """Such as ``stages.mql.engagement``; a rule goes by its name: ``fit.rules[title].contains``."""
    kind: str
    """``added``, ``removed``, ``changed`` or ``moved`` (the order of rules)."""
    before: Any
    """The JSON value; None where there was none."""
    after: Any
    """The JSON value; None where there is none."""

    def __str__(self) -> str:
        """Return the change in words, in one line."""
        if self.kind == "added":
            return f"{self.key}: new: {_shown(self.after)}"
        if self.kind == "removed":
            return f"{self.key}: gone: {_shown(self.before)}"
        if self.kind == "moved":
            return f"{self.key}: in another order: {', '.join(self.after)}"
        if isinstance(self.before, list) and isinstance(self.after, list):
            gone = [one for one in self.before if one not in self.after]
            new = [one for one in self.after if one not in self.before]
            parts = [f"without {_shown(gone)}"] if gone else []
            parts += [f"with {_shown(new)}"] if new else []
            return f"{self.key}: {', '.join(parts) or 'in another order'}"
        return f"{self.key}: {_shown(self.before)} becomes {_shown(self.after)}"


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return what changes from *before* to *after*, both plain documents, in their order."""
    return list(_changes("", before, after))


def _changes(key: str, before: Any, after: Any) -> Iterator[Change]:
    if before is _ABSENT:
        yield Change(key, "added", None, after)
    elif after is _ABSENT:
        yield Change(key, "removed", before, None)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            inner = f"{key}.{name}" if key else name
            yield from _changes(inner, before.get(name, _ABSENT), after.get(name, _ABSENT))
    elif (olds := _by_name(before)) is not None and (news := _by_name(after)) is not None:
        for name in dict.fromkeys((*olds, *news)):
            inner = f"{key}[{name}]"
            yield from _changes(inner, olds.get(name, _ABSENT), news.get(name, _ABSENT))
        stay_before = [name for name in olds if name in news]
        stay_after = [name for name in news if name in olds]
        if stay_before != stay_after:
            yield Change(key, "moved", stay_before, stay_after)
    elif _are_tables(before) and _are_tables(after) and len(before) == len(after):
        for n, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _changes(f"{key}[{n}]", old, new)
    elif before != after:
        yield Change(key, "changed", before, after)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


def _by_name(value: Any) -> dict[str, Any] | None:
    """Return a list of tables by their names; None where it is no such list."""
    if not _are_tables(value):
        return None
    found = {one["name"]: one for one in value if "name" in one}
    return found if len(found) == len(value) else None


def _shown(value: Any) -> str:
    """Return a value as a document would write it."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_shown(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return json.dumps(value, ensure_ascii=False)
