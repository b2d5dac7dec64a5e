"""kill -9 at every step of the commit protocol loses nothing and counts nothing twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leadflow.store import faults
from tests.reliability.crash import ANY

ROOT = Path(__file__).resolve().parents[2]


def kill(url: str, template: Path, kills: int) -> dict[str, Any]:
    """Run the killer in a process of its own, which has no threads and no connections to inherit."""
    command = [sys.executable, "-m", "tests.reliability.crash", url, str(template), str(kills), "1"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(found: dict[str, Any], kills: int) -> None:
    """Assert that nothing is lost or doubled, and print what was done (`pytest -rP` shows it)."""
    print(json.dumps(found))
    assert (found["lost"], found["doubled"], found["different"]) == (0, 0, 0)
    assert sum(found["kills"].values()) >= kills
    # a point at which nothing died was not tested
    assert set(found["kills"]) == {"claimed", *faults.POINTS, ANY}


def test_a_thousand_kills_on_sqlite(sqlite_url: str, sqlite_template: Path) -> None:
    check(kill(sqlite_url, sqlite_template, 1_000), 1_000)


@pytest.mark.timeout(600)
def test_two_hundred_kills_on_postgresql(postgres_copy: str, sqlite_template: Path) -> None:
    check(kill(postgres_copy, sqlite_template, 200), 200)
