"""Pages that are run: their files are written, their commands executed, their output compared.

In a page of Markdown

- a fenced block after the line ``<!-- file: NAME -->`` is written to NAME;
- the lines of a ``console`` block that begin with ``$ `` are run, and what follows them is what
  they print: ``...`` stands for anything in a line, and alone in a line for any lines;
- every other block is shown only.

All of it happens from top to bottom in one empty folder, with this project's programs, and with
the address of a broker in place of ``localhost:9092``.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
BROKER: Final = "localhost:9092"

_BLOCK: Final = re.compile(
    r"(?:^<!-- (?P<verb>[a-z]+)(?:: (?P<what>[^>]+))? -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    line: int
    """Where its fence opens, from 1."""
    language: str
    text: str
    verb: str
    """What the comment before it asks for, such as ``file``; empty where there is none."""
    what: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block and what the page says that it prints."""

    line: int
    text: str
    expected: str


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of *page*, from top to bottom."""
    for found in _BLOCK.finditer(page):
        line = page.count("\n", 0, found.start()) + 1
        what = (found["what"] or "").strip()
        yield Block(line, found["language"], found["text"], found["verb"] or "", what)


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block."""
    number, text = block.line, ""
    expected: list[str] = []
    for offset, line in enumerate(block.text.splitlines(), 1):
        if line.startswith("$ "):
            if text:
                yield Command(number, text, "\n".join(expected))
            number, text, expected = block.line + offset, line.removeprefix("$ "), []
        elif not text:
            raise ValueError(f"line {block.line + offset}: a console block begins with a command")
        elif line.startswith("> ") and not expected:
            text += "\n" + line.removeprefix("> ")
        else:
            expected.append(line)
    if text:
        yield Command(number, text, "\n".join(expected))


def matches(expected: str, printed: str) -> bool:
    """Return whether *printed* is what the page shows; blanks at the ends of lines do not count."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            parts = (re.escape(part) for part in line.rstrip().split("..."))
            pattern += ".*".join(parts) + "\n"
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def environment(folder: Path, broker: str = BROKER) -> dict[str, str]:
    """Return the environment of commands: this project's programs, no settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADFLOW_")}
    programs = Path(sys.executable).parent
    kept.pop("FORCE_COLOR", None)
    return {
        **kept,
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "HOME": str(folder),
        "LEADFLOW_KAFKA_BOOTSTRAP_SERVERS": broker,
        "LEADFLOW_LOG_LEVEL": "warning",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "TZ": "UTC",
    }


def run_page(page: Path, folder: Path, broker: str = BROKER) -> int:
    """Do in *folder* what *page* says; return the number of commands that were run.

    Raises AssertionError with the line, the command, and both outputs where they differ.
    """
    text = page.read_text(encoding="utf-8")
    around = environment(folder, broker)
    done = 0
    for block in blocks(text):
        content = block.text.replace(BROKER, broker)
        if block.verb == "file":
            (folder / block.what).write_text(content, encoding="utf-8")
        elif block.language == "console":
            for command in commands(block):
                _run(page, command, folder, around, broker)
                done += 1
    return done


def _run(page: Path, command: Command, folder: Path, around: dict[str, str], broker: str) -> None:
    ended = subprocess.run(
        ["bash", "-c", command.text.replace(BROKER, broker)],
        cwd=folder,
        env=around,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    printed = ended.stdout.decode().replace(broker, BROKER)
    assert matches(command.expected, printed), (
        f"{page.name}:{command.line}: $ {command.text}\n"
        f"--- the page shows ---\n{command.expected}\n"
        f"--- it prints (exit code {ended.returncode}) ---\n{printed}"
    )
