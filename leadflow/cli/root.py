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


def _is_usage(error: Exception) -> bool:
    """Return whether the parser complains: typer tells that itself, with exit code 2."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")
