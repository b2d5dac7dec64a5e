"""Pages that are run: their files are written, their commands executed, their output compared.

In a page of Markdown

- a fenced block after the line ``<!-- file: NAME -->`` is written to NAME;
- the lines of a ``console`` block that begin with ``$ `` are run, and what follows them is what
  they print: ``...`` stands for anything in a line, and alone in a line for any lines;
- every other block is shown only.

``python -m tests.pages --write PAGE`` puts into a page what its commands print now.

All of it happens from top to bottom in one empty folder, with this project's programs, and with
the address of a broker in place of ``localhost:9092``.
"""

import gc
import importlib
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import consumers
import leadflow.cli
import projections
from leadflow.broker import start_broker

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
BROKER: Final = "localhost:9092"

_CALL: Final = re.compile(r"(leadflow [^|<>&;$`\n]*)(?:([|>][^>&].*))?")
"""A call of the program, and what is done with its output."""

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
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    first, *rest = _parts(expected)
    if not _fits(first, lines[: len(first)]):
        return False
    at = len(first)
    if not rest:
        return at == len(lines)
    # Between two gaps the earliest place is as good as any; the last part stands at the end.
    for part in rest[:-1]:
        while at <= len(lines) and not _fits(part, lines[at : at + len(part)]):
            at += 1
        at += len(part)
    last = rest[-1]
    return at + len(last) <= len(lines) and _fits(last, lines[len(lines) - len(last) :])


def _parts(expected: str) -> list[list[re.Pattern[str]]]:
    """Return the patterns of the lines between those that are ``...`` alone."""
    parts: list[list[re.Pattern[str]]] = [[]]
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            parts.append([])
        else:
            words = (re.escape(word) for word in line.rstrip().split("..."))
            parts[-1].append(re.compile(".*".join(words)))
    return parts


def _fits(part: list[re.Pattern[str]], lines: list[str]) -> bool:
    return len(part) == len(lines) and all(map(re.Pattern.fullmatch, part, lines))


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


class Programs:
    """Runs commands in one folder, each in a process of its own.

    A plain call of `leadflow` is forked from a process that has imported everything already: the
    imports take a second, and a page has twenty commands. All else is given to bash.
    """

    def __init__(self, folder: Path, broker: str = BROKER) -> None:
        self._folder = folder
        self._around = environment(folder, broker)
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.pages"],
            cwd=self._folder,
            env={**self._around, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.communicate()

    def run(self, command: str) -> tuple[int, str]:
        """Return exit code and output of *command*, standard error included."""
        call = _CALL.fullmatch(command)
        if call is None:
            return self._bash(command)
        code, printed = self._leadflow(call[1])
        return self._bash(f"cat {call[2]}", printed) if call[2] else (code, printed)

    def _bash(self, command: str, given: str = "") -> tuple[int, str]:
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._around,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout

    def _leadflow(self, command: str) -> tuple[int, str]:
        pipes = self._server
        assert pipes is not None
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        pipes.stdin.write(json.dumps(shlex.split(command)[1:]) + "\n")
        pipes.stdin.flush()
        code, printed = json.loads(pipes.stdout.readline())
        return int(code), str(printed)


def serve() -> None:
    """Run `leadflow` with the arguments of each line; answer with exit code and output."""
    for package in (consumers, projections, leadflow):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not {"migrations", "__main__"}.intersection(module.name.split(".")):
                importlib.import_module(module.name)
    gc.freeze()
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                sys.argv = ["leadflow", *json.loads(line)]
                leadflow.cli.main()
                sys.exit()
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            print(json.dumps([code, output.read().decode()]), flush=True)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command of a page, and what it printed."""

    command: Command
    code: int
    printed: str

    @property
    def as_shown(self) -> bool:
        """Return whether the page tells the truth."""
        return matches(self.command.expected, self.printed)


def ran(
    page: Path, folder: Path, broker: str = BROKER, done: Collection[str] = ()
) -> Iterator[Ran]:
    """Do in *folder* what *page* says, command by command, but not what was *done* there before."""
    with Programs(folder, broker) as programs:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.verb == "file":
                content = block.text.replace(BROKER, broker)
                (folder / block.what).write_text(content, encoding="utf-8")
            elif block.language == "console":
                for command in commands(block):
                    if command.text in done:
                        continue
                    code, printed = programs.run(command.text.replace(BROKER, broker))
                    yield Ran(command, code, printed.replace(broker, BROKER))


def run_page(page: Path, folder: Path, broker: str = BROKER, done: Collection[str] = ()) -> int:
    """Do in *folder* what *page* says; return the number of commands that were run.

    The commands in *done* are not: the folder is as they leave it.

    Raises AssertionError with the line, the command, and both outputs where they differ.
    """
    count = 0
    for one in ran(page, folder, broker, done):
        assert one.as_shown, (
            f"{page.name}:{one.command.line}: $ {one.command.text}\n"
            f"--- the page shows ---\n{one.command.expected}\n"
            f"--- it prints (exit code {one.code}) ---\n{one.printed}\n"
            f"If the page is what is wrong: python -m tests.pages --write {page.relative_to(ROOT)}"
        )
        count += 1
    return count


def write(page: Path) -> None:
    """Put into *page* what its commands print, where it differs; shorten it with ... by hand."""
    lines = page.read_text(encoding="utf-8").split("\n")
    with start_broker() as broker, tempfile.TemporaryDirectory() as folder:
        wrong = [
            one for one in ran(page, Path(folder), broker.bootstrap_servers) if not one.as_shown
        ]
    for one in reversed(wrong):
        start = one.command.line + one.command.text.count("\n")
        end = start + len(one.command.expected.split("\n")) * bool(one.command.expected)
        lines[start:end] = [line.rstrip() for line in one.printed.rstrip().splitlines()]
    page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        for name in sys.argv[2:]:
            write(Path(name).resolve())
    else:
        serve()
