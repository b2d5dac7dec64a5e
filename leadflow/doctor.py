"""What leadflow needs, checked: each finding with the mend."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import make_url

from leadflow.settings import (
    PREFIX,
    Settings,
    SettingsInvalid,
    load_settings,
    origins,
    unknown_variables,
)

if TYPE_CHECKING:
    from leadflow.app import App

State = Literal["ok", "broken", "finding", "setting"]

_PACKAGES: Final = (
    "leadflow",
    "eventsourcing",
    "kafka-python",
    "sqlalchemy",
    "pydantic",
    "psycopg",
)

_LITTLE_SPACE: Final = 1 << 30
"""Bytes of free disk below which there is a finding."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    """``broken``: nothing works without it. ``finding``: some commands do not."""
    found: str
    mend: str = ""
    origin: str = ""
    """Where a setting came from."""


def examine(options: Mapping[str, Any]) -> list[Check]:
    """Look at everything; *options* are those of the command line. Raises nothing expected."""
    checks = [*_program()]
    try:
        settings = load_settings(options)
    except SettingsInvalid as error:
        checks += [
            Check("settings", "broken", line, "correct the setting that is named")
            for line in str(error).splitlines()
        ]
        return checks
    checks += _policy(settings)
    checks += _database(settings)
    checks += _kafka(settings)
    checks += [
        Check(
            "environment",
            "finding",
            f"{name} is no setting",
            f"correct or remove it; settings are named {PREFIX}...",
        )
        for name in unknown_variables()
    ]
    found_at = origins(options)
    for name in Settings.model_fields:
        shown = _shown(settings, name)
        checks.append(Check(name, "setting", shown, "", found_at[name]))
    return checks


def _shown(settings: Settings, name: str) -> str:
    if name == "database_url":
        return settings.shown_database
    value = getattr(settings, name)
    return "-" if value is None else str(value)


def _program() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()}")
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    yield Check("packages", "ok", ", ".join(found))


def _policy(settings: Settings) -> Iterator[Check]:
    from leadflow.policies import check_policy, load_policy

    path = settings.policy_path
    name = "the default policy" if path is None else str(path)
    problems = check_policy(path)
    errors = [one for one in problems if one.level == "error"]
    if errors:
        yield Check(
            "policy",
            "broken",
            f"{name}:{errors[0]} ({len(errors)} errors)",
            f"leadflow policy check {path} lists all of them",
        )
        return
    yield Check("policy", "ok", f"{name}, {load_policy(path).version}")


def _database(settings: Settings) -> Iterator[Check]:
    from leadflow.app import App
    from leadflow.store import migrate

    shown = settings.shown_database
    with App(settings) as app:
        revision, broken = _tried(app.revision)
        if broken is not None:
            mend = "is the server running, and are address, user and password right?"
            if shown.startswith("sqlite"):
                mend = "is this a SQLite file, and may this user read and write it?"
            yield Check("database", "broken", f"{shown}: {broken}", mend)
            return
        if revision is None:
            yield Check("database", "finding", f"{shown}: not there yet", "leadflow init makes it")
        elif revision != migrate.NEWEST:
            _, words = _tried(app.require)
            yield Check("database", "broken", words or "", "see above")
            return
        else:
            lag, words = _tried(app.runner.lag)
            if words is None:
                head = app.store.head()
                found = f"{shown}: revision {revision}, {head:,} positions, {lag:,} to project"
                yield Check("database", "ok", found)
            else:
                mend = "leadflow rebuild makes them"
                yield Check("read models", "finding", words, mend)
            yield from _policy_in_force(app)
    yield from _disk(settings)


def _policy_in_force(app: "App") -> Iterator[Check]:
    """Say which published policy judges, and whether the configured file says otherwise."""
    book, words = _tried(lambda: app.rules)
    if book is None:
        mend = "a newer leadflow published it, or the configured policy is wrong: see above"
        yield Check("policy in force", "broken", words or "", mend)
        return
    if not book.published:
        return  # the configured policy judges, and has been told
    version, file = book.current.version, app.settings.policy_path
    if file is None or app.policy.version == version:
        yield Check("policy in force", "ok", f"{version}, published")
    else:
        yield Check(
            "policy in force",
            "finding",
            f"{version}, published; {file} is {app.policy.version} and judges nothing",
            f"leadflow policy diff, then leadflow policy publish {file}",
        )


def _disk(settings: Settings) -> Iterator[Check]:
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    path = Path(url.database)
    folder = path.parent if str(path.parent) else Path()
    if not folder.is_dir():
        yield Check("disk", "broken", f"the folder {folder} does not exist", "make it")
        return
    target = path if path.exists() else folder
    if not os.access(target, os.W_OK) or not os.access(folder, os.W_OK):
        mend = "give this user the right to write to the file and its folder"
        yield Check("disk", "broken", f"{target} cannot be written to", mend)
        return
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:,.1f} GB free"
    if free < _LITTLE_SPACE:
        yield Check("disk", "finding", found, "free some space: a million events take about 1 GB")
    else:
        yield Check("disk", "ok", found)


def _kafka(settings: Settings) -> Iterator[Check]:
    from consumers.stream import describe

    # A look is no job: it need not wait as long as one.
    kafka = settings.kafka
    patience = min(kafka.connect_timeout_ms, 3_000)
    quick = settings.model_copy(update={"kafka_connect_timeout_ms": patience})
    cluster, words = _tried(lambda: describe(quick.kafka))
    if cluster is None:
        mend = "needed for send, consume and up; ingest and import from files do without"
        yield Check("kafka", "finding", words or "", mend)
        return
    where = settings.kafka_bootstrap_servers
    yield Check("kafka", "ok", f"{where}: cluster {cluster.cluster_id}, {cluster.brokers} brokers")
    topic = settings.topic_interactions
    if topic in cluster.topics:
        yield Check("topic", "ok", f"{topic}: {cluster.topics[topic]} partitions")
    else:
        yield Check("topic", "finding", f"{topic} does not exist", "leadflow init creates it")


def _tried(act: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return what *act* returns and None, or None and what went wrong, in one line."""
    try:
        return act(), None
    except Exception as error:  # noqa: BLE001 - _words raises again what nobody expects
        return None, _words(error)


def _words(error: Exception) -> str:
    from leadflow.cli.errors import told

    words = told(error)
    if words is None:
        raise error
    return words
