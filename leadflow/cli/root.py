"""The program as a group of commands: where its options may stand, and how errors are told."""

import traceback
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup

from leadflow.cli.errors import told
from leadflow.cli.frame import FAILED, complain, session

GLOBAL: Final = {"--database": True, "--kafka": True, "--policy": True, "-v": False}
"""Options of every command, and whether they take a value: they may stand anywhere."""


class Root(TyperGroup):
    """The program: tells expected errors in one line, and takes global options anywhere."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move global options to the front, where the parser expects them."""
        return super().parse_args(ctx, hoisted(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn errors into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, KeyboardInterrupt, BrokenPipeError):
            raise
        except Exception as error:
            if _is_usage(error):
                _name_value(error)
                raise
            verbose = session(ctx).verbose
            words = told(error)
            if words is None:
                first = str(error).partition("\n")[0][:200]
                words = f"a bug in leadflow: {type(error).__name__}: {first}"
                words += "" if verbose else "; --verbose shows where"
            for line in words.splitlines():
                complain(line)
            if verbose:
                traceback.print_exc()
            raise typer.Exit(FAILED) from None


def hoisted(args: Sequence[str]) -> list[str]:
    """Return *args* with the global options first, wherever they stood before ``--``."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(args)
    while waiting:
        arg = waiting.pop(0)
        name, joined, _ = arg.partition("=")
        if arg == "--":
            return [*front, *rest, arg, *waiting]
        if arg in ("-v", "--verbose"):
            front.append("--verbose")
        elif GLOBAL.get(name) and joined:
            front.append(arg)
        elif GLOBAL.get(arg) and waiting:
            front += [arg, waiting.pop(0)]
        else:
            rest.append(arg)
    return front + rest


_WRONG: Final = {
    "greater_than_equal": "is too small; give {ge} or more",
    "less_than_equal": "is too large; give {le} or less",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
}
"""What the parser found, and how to say it: its own words leave out the value."""


def _name_value(error: Any) -> None:
    """Tell the value of an option that is no number, or none in its limits."""
    found: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    words = _WRONG.get(found[0]["type"]) if found else None
    if words is not None:
        error.message = f"{found[0]['input']!r} ".replace("'", "")
        error.message += words.format(**found[0].get("ctx", {}))


def _is_usage(error: Exception) -> bool:
    """Return whether the parser complains: typer tells that itself, with exit code 2."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")
