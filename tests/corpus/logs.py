"""The logs of the corpus: read them, put them into an event store as they stand."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from domain.book import Rules
from domain.events import Event, LeadMerged
from domain.policy import Policy
from leadflow.policies import policy_of
from leadflow.policy_book import read_book
from leadflow.store.codec import decode
from leadflow.store.migrate import upgrade
from leadflow.store.sqlite import SQLiteStore, SQLiteTransaction

HERE: Final = Path(__file__).parent
"""The folder of the corpus."""


class Line(NamedTuple):
    """One stored event, as the table of the event store has it."""

    stream: str
    version: int
    topic: str
    state: str

    @property
    def event(self) -> Event:
        """Return what it says."""
        return decode(self.topic, self.state.encode())


@dataclass(frozen=True)
class Log:
    """One log of the corpus: lines in the order of their positions, and what judges them."""

    name: str
    about: str
    """What it shows, or by which version it was written."""
    policy: Policy
    lines: tuple[Line, ...]
    seal: str
    """SHA-256 over its file and that of its policy: neither is ever changed."""

    def streams(self) -> dict[str, list[Event]]:
        """Return the events of each stream, in the order of versions."""
        found: dict[str, list[Event]] = {}
        for line in self.lines:
            found.setdefault(line.stream, []).append(line.event)
        return found

    def merged(self) -> dict[str, str]:
        """Return every merged stream and the stream that its lead goes on in."""
        into: dict[str, str] = {}
        for line in self.lines:
            event = line.event
            if isinstance(event, LeadMerged) and event.into is not None:
                into = {k: event.into if v == line.stream else v for k, v in into.items()}
                into[line.stream] = event.into
        return into

    def store(self, database: Path) -> SQLiteStore:
        """Return a new event store in the file *database* that holds the log, byte by byte."""
        upgrade(f"sqlite:///{database}")
        store = SQLiteStore(str(database))
        with store.datastore.raw(commit=True) as driver:
            driver.execute("BEGIN IMMEDIATE")
            transaction = SQLiteTransaction(driver)
            transaction.append([(*line[:3], line.state.encode()) for line in self.lines])
            transaction.merge(list(self.merged().items()), [])
        return store

    def rules(self, store: SQLiteStore) -> Rules:
        """Return what judges the log: the policies that it publishes, else its own."""
        return read_book(store, self.policy)


def read_log(file: Path, policies: Path) -> Log:
    """Return the log of *file*; its first line names the policy, a file in *policies*."""
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    said = json.loads(head)
    kept = policies / f"{said['policy']}.json"
    content = json.loads(kept.read_bytes())
    policy = policy_of(content["document"], kept.name)
    if policy.version != content["version"]:
        raise ValueError(f"{kept.name} goes by the version {policy.version} now")
    seal = sha256(file.read_bytes() + kept.read_bytes()).hexdigest()
    lines = tuple(Line(**json.loads(row)) for row in rows)
    return Log(file.stem, said["about"], policy, lines, seal)


def read_logs(folder: Path = HERE) -> list[Log]:
    """Return every log of the corpus in *folder*, by name."""
    files = sorted((folder / "logs").glob("*.jsonl"))
    return [read_log(file, folder / "policies") for file in files]


def write_log(
    folder: Path, name: str, policy: Mapping[str, Any], about: str, lines: Iterable[Line]
) -> None:
    """Write a new log, and *policy* beside it; raise FileExistsError where there is one already.

    *policy* has the keys ``version`` and ``document``. One that the corpus has is not written
    again.
    """
    policies = folder / "policies"
    known = {file.stem: json.loads(file.read_bytes()) for file in sorted(policies.glob("*.json"))}
    kept = next((stem for stem, content in known.items() if content == policy), None)
    with (folder / "logs" / f"{name}.jsonl").open("x", encoding="utf-8") as file:
        for row in (
            {"policy": kept or name, "about": about},
            *(line._asdict() for line in lines),
        ):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    if kept is None:
        text = json.dumps(policy, ensure_ascii=False, indent=1) + "\n"
        with (policies / f"{name}.json").open("x", encoding="utf-8") as file:
            file.write(text)


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as some version has written it, and the events that it stands for."""

    log: str
    stream: str
    version: int
    state: str


def read_snapshots(folder: Path = HERE) -> list[Snapshot]:
    """Return the snapshots of the corpus."""
    rows = (folder / "snapshots.jsonl").read_text(encoding="utf-8").splitlines()
    return [Snapshot(**json.loads(row)) for row in rows]
