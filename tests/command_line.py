"""The program as a user calls it: words in, exit code, standard output and standard error out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from leadflow.cli import app

SHOP = {"specversion": "1.0", "source": "/shop"}


class CommandLine:
    """Calls the program in a folder of its own, without settings from outside."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.chdir(folder)
        monkeypatch.setenv("NO_COLOR", "1")
        self._runner = CliRunner()

    def __call__(self, *words: str, code: int = 0, stdin: bytes | None = None) -> Result:
        """Call the program; the exit code must be *code*."""
        result = self._runner.invoke(app, list(words), input=stdin)
        told = f"{' '.join(words)} -> {result.exit_code}\n{result.stdout}\n{result.stderr}"
        assert code == result.exit_code, told
        return result

    def json(self, *words: str, code: int = 0, stdin: bytes | None = None) -> Any:
        """Call the program with ``--json`` and return the one document it prints."""
        return json.loads(self(*words, "--json", code=code, stdin=stdin).stdout)

    def write(self, name: str, *events: Any) -> str:
        """Write a file of events (objects, or lines as they are) and return its name."""
        lines = [one if isinstance(one, str) else json.dumps(one) for one in events]
        (self.folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return name


@contextmanager
def command_line(folder: Path) -> Iterator[CommandLine]:
    """Yield the program in *folder*, for fixtures that live longer than a test."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield CommandLine(folder, monkeypatch)


def event(id_: str, type_: str, time: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an event of a person with an address of their own, unless *data* says who."""
    block = {"person": {"email": "ada@example.com"}} | (data or {})
    return {**SHOP, "id": id_, "type": type_, "time": time, "data": block}
