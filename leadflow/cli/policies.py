"""The policy: check a document, show what it does."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from leadflow.cli.frame import FAILED, AsJson, answer, complain, session

PolicyFile = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A policy document; left out, the one in use."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer(no_args_is_help=True, help="The rules by which leads are judged.")
    group.command(epilog="Example: leadflow policy check my-policy.toml")(check)
    group.command(epilog="Example: leadflow policy show")(show)
    app.add_typer(group, name="policy")


def _path(ctx: typer.Context, file: Path | None) -> Path | None:
    return session(ctx).settings.policy_path if file is None else file


def check(ctx: typer.Context, file: PolicyFile = None, as_json: AsJson = False) -> None:
    """Check a policy document; each problem is named with line, key and the mend.

    Exit code 1 when it has errors; warnings alone are no error.
    """
    from leadflow.policies import check_policy, load_policy

    path = _path(ctx, file)
    name = "the default policy" if path is None else str(path)
    problems = check_policy(path)
    errors = [problem for problem in problems if problem.level == "error"]
    version = None if errors else load_policy(path).version
    document = {
        "policy": version,
        "file": None if path is None else str(path),
        "problems": [
            {
                "level": problem.level,
                "line": problem.line,
                "key": problem.key,
                "value": problem.value,
                "problem": problem.problem,
                "mend": problem.mend,
            }
            for problem in problems
        ],
    }

    def to_people(console: Console) -> None:
        for problem in problems:
            complain(f"{name}:{problem}")
        if version is not None:
            console.print(f"{name} is valid: {version}", markup=False)
            console.print("Next: leadflow policy show", style="dim")

    answer(document, as_json, to_people)
    if errors:
        raise typer.Exit(FAILED)


def show(ctx: typer.Context, file: PolicyFile = None, as_json: AsJson = False) -> None:
    """Show in words what a policy does: guards, thresholds, points, half-lives, caps."""
    from leadflow.policies import load_policy, render

    policy = load_policy(_path(ctx, file))
    document = {"policy": policy.version, "document": policy.document}
    answer(document, as_json, lambda _: _print(render(policy)))


def _print(text: str) -> None:
    sys.stdout.write(text)
