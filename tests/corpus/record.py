"""The record of the corpus: what each log folds to, and what of that may be recorded anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.corpus.folds import (
    Shape,
    decoded,
    folded,
    occurred,
    projected,
    shape_now,
    versions_now,
)
from tests.corpus.logs import HERE, Log, read_logs

FILE: Final = "recorded.json"

Entry = dict[str, Any]
"""What is recorded of one log."""

NEVER: Final = ("decoded", "folded")
"""What was stored and what it was decided to be: neither changes, whatever the reason."""


class Refused(Exception):
    """What was recorded holds for ever, and is not what there is."""


def read_record(folder: Path = HERE) -> dict[str, Any]:
    """Return the record: ``shapes``, and ``logs`` by name; empty where there is none yet."""
    file = folder / FILE
    if not file.exists():
        return {"shapes": [], "logs": {}}
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def entry_of(log: Log, shape: Shape, number: int) -> Entry:
    """Return what is to be recorded of *log*, looked at in the shape of that *number*."""
    with TemporaryDirectory() as folder:
        rules, digests = projected(log, Path(folder) / "corpus.db")
    versions = versions_now()
    return {
        "shape": number,
        "seal": log.seal,
        "decoded": decoded(log, shape),
        "folded": folded(log.streams(), shape),
        "occurred": occurred(log, rules, shape),
        "read_models": {
            name: {"version": versions[name], "hash": digest} for name, digest in digests.items()
        },
    }


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return where two entries differ, each as ``path: old -> new``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            one
            for name in old.keys() | new.keys()
            for one in differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
        ]
    return [] if old == new else [f"{path}: {old} -> {new}"]


def forbidden(old: Entry, new: Entry, *, judged_anew: bool = False) -> list[str]:
    """Return what of *new* may not take the place of *old*; see ``tests/test_corpus.py``.

    With *judged_anew*, somebody means to change what facts lead to.
    """
    if old["seal"] != new["seal"]:
        return ["its lines or its policy were edited: what is new goes into a new log"]
    fixed = NEVER if judged_anew else (*NEVER, "occurred")
    found = [one for part in fixed for one in differences(old[part], new[part], part)]
    before, after = old["read_models"], new["read_models"]
    found += [
        f"read_models.{name} differs though its VERSION was not raised"
        for name in before.keys() & after.keys()
        if before[name]["hash"] != after[name]["hash"]
        and before[name]["version"] >= after[name]["version"]
    ]
    return sorted(found)


def write(folder: Path = HERE, *, judged_anew: bool = False) -> list[str]:
    """Record what is new; return what was recorded, for people.

    Raises Refused, with all reasons, and writes nothing then.
    """
    record = read_record(folder)
    shapes, logs = record["shapes"], record["logs"]
    present = {log.name: log for log in read_logs(folder)}
    reasons = [f"{name}: its log is gone" for name in logs.keys() - present.keys()]
    done: list[str] = []
    for name, log in present.items():
        old = logs.get(name)
        if old is None:
            if not shapes or shapes[-1] != shape_now():
                shapes.append(shape_now())
            logs[name] = entry_of(log, shapes[-1], len(shapes))
            done.append(f"{name}: {len(log.lines)} lines")
            continue
        new = entry_of(log, shapes[old["shape"] - 1], old["shape"])
        found = forbidden(old, new, judged_anew=judged_anew)
        reasons += [f"{name}: {one}" for one in found]
        done += [f"{name}: {one}" for one in sorted(differences(old, new))]
        logs[name] = new
    if reasons:
        raise Refused("\n".join(sorted(reasons)))
    text = json.dumps(record, ensure_ascii=False, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
    return done
