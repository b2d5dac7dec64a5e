"""The policy: check a document, publish it, show what it does, what changed and when."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    FAILED,
    AsJson,
    answer,
    complain,
    instant_option,
    note,
    session,
    table,
    utc,
)

if TYPE_CHECKING:
    from domain.book import PolicyBook
    from domain.policy import Policy
    from leadflow.app import App
    from leadflow.policies import Problem
    from leadflow.policy_book import Entry
    from leadflow.policy_diff import Change

PolicyFile = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A policy document; left out, the one in use."),
]
One = Annotated[
    str | None,
    typer.Argument(metavar="[A]", help="A file, or a version; left out, the one in force."),
]
Other = Annotated[
    str | None,
    typer.Argument(
        metavar="[B]", help="A file, or a version. With one alone: the one in force against it."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer(no_args_is_help=True, help="The rules by which leads are judged.")
    group.command(epilog="Example: leadflow policy check my-policy.toml")(check)
    group.command(
        epilog="Example: leadflow policy publish my-policy.toml --by 'Ada Byron'"
        " --reason 'demo requests count more, agreed in the March meeting'"
    )(publish)
    group.command(epilog="Example: leadflow policy show --as-of 2026-03-31")(show)
    group.command(epilog="Example: leadflow policy diff my-policy.toml")(diff)
    group.command("list", epilog="Example: leadflow policy list --json")(list_)
    app.add_typer(group, name="policy")


def _path(ctx: typer.Context, file: Path | None) -> Path | None:
    return session(ctx).settings.policy_path if file is None else file


def _name(path: Path | None) -> str:
    return "the default policy" if path is None else str(path)


def _book(ctx: typer.Context) -> "PolicyBook":
    """Return the policies in force at each time; where there is no database, the configured one."""
    from domain.book import PolicyBook
    from leadflow.app import App

    call = session(ctx)
    settings = call.settings
    call.log(settings)
    with App(settings) as app:
        if app.revision() is None:
            return PolicyBook(app.policy)
        app.require()
        return app.rules


# --- check --------------------------------------------------------------------------------------


def check(ctx: typer.Context, file: PolicyFile = None, as_json: AsJson = False) -> None:
    """Check a policy document; each problem is named with line, key and the mend.

    Exit code 1 when it has errors; warnings alone are no error.
    """
    from leadflow.policies import check_policy, load_policy

    path = _path(ctx, file)
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
        _complain(path, problems)
        if version is not None:
            console.print(f"{_name(path)} is valid: {version}", markup=False)
            console.print("Next: leadflow policy diff, then leadflow policy publish", style="dim")

    answer(document, as_json, to_people)
    if errors:
        raise typer.Exit(FAILED)


def _complain(path: Path | None, problems: "Sequence[Problem]") -> None:
    for problem in problems:
        complain(f"{_name(path)}:{'' if problem.line is not None else ' '}{problem}")


# --- publish ------------------------------------------------------------------------------------


def publish(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy document.")],
    by: Annotated[str, typer.Option(metavar="WHO", help="Who publishes it.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who ask later.")],
    approved_by: Annotated[
        list[str] | None,
        typer.Option(metavar="WHO", help="Who agreed to it; may be given several times."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change and publish nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a policy the one in force from now on, and show what changes.

    Facts that the log has received keep the decisions taken under the policy before. Workers that
    are running take it up with their next batch. Exit code 1 when it is invalid, or in force
    already.
    """
    from leadflow.files import now
    from leadflow.policies import check_policy, load_policy
    from leadflow.policy_book import FIRST, PolicyUnchanged
    from leadflow.policy_book import publish as publish_to
    from leadflow.policy_diff import diff as diff_of

    for option, words in (("--by", by), ("--reason", reason)):
        if not words.strip():
            raise typer.BadParameter("is blank", param_hint=option)
    policy = load_policy(file)
    since: str | None = None
    if dry_run:
        book = _book(ctx)
        before = book.current
        if book.published and before.version == policy.version:
            raise PolicyUnchanged(f"policy {policy.version} is in force already")
    else:
        with session(ctx).app(makes=True) as app:
            before = app.rules.current
            is_current = _is_current(app)
            event = publish_to(
                app.store,
                app.policy,
                policy,
                by=by,
                reason=reason,
                now=now(),
                approved_by=approved_by or (),
            )
            since = None if event.at == FIRST else utc(event.at)
            if is_current:  # they have nothing to do with it but to pass over it
                app.runner.catch_up()
    changes = diff_of(before.document, policy.document)
    document = {
        "policy": policy.version,
        "previous": before.version,
        "published": not dry_run,
        "in_force_from": since,
        "by": by.strip(),
        "reason": reason.strip(),
        "approved_by": approved_by or [],
        "changes": _documents(changes),
    }

    def to_people(console: Console) -> None:
        _complain(file, check_policy(file))
        _show_changes(console, before, policy, changes)
        if dry_run:
            console.print("Nothing was published: this was a dry run", style="dim")
        else:
            console.print(
                f"{policy.version} is in force from {since or 'the beginning'}", markup=False
            )
            console.print("Next: leadflow policy list", style="dim")

    answer(document, as_json, to_people)


def _is_current(app: "App") -> bool:
    """Return whether the read models hold all of the log."""
    from projections.runner import NotReady

    try:
        return not app.runner.lag()
    except NotReady:
        return False


# --- show, list, diff ---------------------------------------------------------------------------


def show(
    ctx: typer.Context,
    file: PolicyFile = None,
    as_of: Annotated[
        int | None,
        typer.Option(
            "--as-of", parser=instant_option, metavar="TIME", help="The one in force at that time."
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="A version, or its number in `policy list`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show in words what a policy does: guards, thresholds, points, half-lives, caps."""
    from leadflow.files import now
    from leadflow.policies import load_policy, render
    from leadflow.policy_book import entries, find

    if sum(one is not None for one in (file, as_of, version)) > 1:
        raise typer.BadParameter("give a file, or --as-of, or --version")
    times: dict[str, Any] = {}
    if file is not None:
        policy = load_policy(file)
    else:
        book = _book(ctx)
        at = now() if as_of is None else as_of
        policy = book.at(at) if version is None else find(book, version)
        told = [entry for entry in entries(book) if entry.policy is policy]
        times = _document(told[-1]) if told else {}
    document = {"policy": policy.version, **times, "document": policy.document}
    answer(document, as_json, lambda _: _print(render(policy)))


def diff(ctx: typer.Context, a: One = None, b: Other = None, as_json: AsJson = False) -> None:
    """Show what changes from one policy to another: keys, old values and new ones.

    Without arguments: from the policy in force to the configured file.
    """
    from leadflow.files import now
    from leadflow.policies import load_policy
    from leadflow.policy_book import find
    from leadflow.policy_diff import diff as diff_of

    book: PolicyBook | None = None

    def policy_of(words: str) -> "Policy":
        nonlocal book
        path = Path(words)
        if path.suffix == ".toml" or path.exists():
            return load_policy(path)
        book = book or _book(ctx)
        return find(book, words)

    before = None if a is None or b is None else policy_of(a)
    last = b if b is not None else a
    after = load_policy(_path(ctx, None)) if last is None else policy_of(last)
    if before is None:
        before = (book or _book(ctx)).at(now())
    changes = diff_of(before.document, after.document)
    document = {
        "before": before.version,
        "after": after.version,
        "changes": _documents(changes),
    }
    answer(document, as_json, lambda console: _show_changes(console, before, after, changes))


def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the policies that were published: who, why, and when each was in force."""
    from leadflow.files import now
    from leadflow.policy_book import entries

    at = now()
    found = [
        _document(entry) | {"in_force": _holds(entry, at)} | {"policy": entry.policy.version}
        for entry in entries(_book(ctx))
    ]
    document = {"policies": found}

    def to_people(console: Console) -> None:
        rows = [
            (
                one["number"],
                one["policy"] + (" *" if one["in_force"] else ""),
                one["in_force_from"] or "the beginning",
                one["in_force_until"],
                ", ".join(who for who in (one["by"], *one["approved_by"]) if who) or None,
                one["reason"],
            )
            for one in found
        ]
        columns = [">no.", "=policy", "=from", "=until", "by", "why"]
        console.print(table(None, columns, rows))
        console.print("* in force now", style="dim")
        if found[0]["published_at"] is None:
            note("nothing was ever published: the configured policy judges")

    answer(document, as_json, to_people)


def _holds(entry: "Entry", at: int) -> bool:
    started = entry.since is None or entry.since <= at
    return started and (entry.until is None or at < entry.until)


def _document(entry: "Entry") -> dict[str, Any]:
    return {
        "number": entry.number,
        "in_force_from": utc(entry.since),
        "in_force_until": utc(entry.until),
        "published_at": utc(entry.published_at),
        "by": entry.by,
        "reason": entry.reason,
        "approved_by": list(entry.approved_by),
    }


def _documents(changes: "Sequence[Change]") -> list[dict[str, Any]]:
    return [
        {"key": one.key, "change": one.kind, "before": one.before, "after": one.after}
        for one in changes
    ]


def _show_changes(
    console: Console, before: "Policy", after: "Policy", changes: "Sequence[Change]"
) -> None:
    console.print(f"{before.version} becomes {after.version}", markup=False, style="bold")
    for change in changes:
        console.print(f"  {change}", markup=False, soft_wrap=True)
    if not changes:
        console.print("  nothing changes", style="dim")


def _print(text: str) -> None:
    sys.stdout.write(text)
