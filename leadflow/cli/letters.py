"""Dead letters: see what was refused, and send it again when it is mended."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import FINDINGS, AsJson, answer, session, table


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer(no_args_is_help=True, help="What was refused, and why.")
    group.command("list", epilog="Example: leadflow dead-letters list --reason invalid_data")(list_)
    group.command(epilog="Example: leadflow dead-letters show 17")(show)
    group.command(epilog="Example: leadflow dead-letters redrive --file mended.jsonl")(redrive)
    app.add_typer(group, name="dead-letters")


def list_(
    ctx: typer.Context,
    state: Annotated[str, typer.Option(help="open, redriven or all.", metavar="STATE")] = "open",
    reason: Annotated[
        str | None, typer.Option(help="Only letters of this reason.", metavar="REASON")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Letters at most, the oldest first.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """List what was refused: reason, message, and where it came from."""
    if state not in ("open", "redriven", "all"):
        raise typer.BadParameter(f"state is open, redriven or all, not {state!r}")
    with session(ctx).app() as app:
        most = limit if reason is None else 10_000_000
        found = app.store.dead_letters(state=None if state == "all" else state, limit=most)
    from leadflow.instants import rfc3339

    letters = [
        {
            "id": id_,
            "reason": letter.reason,
            "message": letter.message,
            "stream": letter.stream,
            "partition": letter.partition,
            "position": letter.position,
            "received_at": rfc3339(letter.received_at),
            "state": standing,
        }
        for id_, standing, letter in found
        if reason is None or letter.reason == reason
    ][:limit]
    others = Counter(letter.reason for _, _, letter in found)
    answer({"dead_letters": letters}, as_json, lambda console: _list(console, letters, others))


def _list(console: Console, letters: list[dict[str, Any]], others: Counter[str]) -> None:
    if not letters and others:
        told = ", ".join(f"{reason} ({count:,})" for reason, count in sorted(others.items()))
        console.print(f"no dead letters of that reason; there are {told}")
        return
    if not letters:
        console.print("no dead letters: nothing was refused, or all was redriven")
        return
    rows = [
        (
            str(one["id"]),
            one["reason"],
            one["message"],
            f"{one['stream']}/{one['partition']}/{one['position']}",
        )
        for one in letters
    ]
    console.print(table(None, [">id", "reason", "what is wrong, and the mend", "from"], rows))
    console.print(f"Next: leadflow dead-letters show {letters[0]['id']}, then redrive", style="dim")


def show(
    ctx: typer.Context,
    id_: Annotated[int, typer.Argument(metavar="ID", help="Number of the letter.")],
    as_json: AsJson = False,
) -> None:
    """Show one letter with the record as it came."""
    with session(ctx).app() as app:
        found = app.store.dead_letters([id_])
    if not found:
        raise typer.BadParameter(f"there is no dead letter {id_}; `dead-letters list` shows them")
    _, state, letter = found[0]
    from leadflow.instants import rfc3339

    value = None if letter.value is None else letter.value.decode("utf-8", "replace")
    document = {
        "id": id_,
        "state": state,
        "reason": letter.reason,
        "message": letter.message,
        "stream": letter.stream,
        "partition": letter.partition,
        "position": letter.position,
        "received_at": rfc3339(letter.received_at),
        "key": None if letter.key is None else letter.key.decode("utf-8", "replace"),
        "headers": [
            {"name": name, "value": content.decode("utf-8", "replace")}
            for name, content in letter.headers
        ],
        "value": value,
    }

    def to_people(console: Console) -> None:
        console.print(f"dead letter {id_} ({state}): {letter.reason}")
        console.print(letter.message, markup=False, soft_wrap=True)
        place = f"{letter.stream}, partition {letter.partition}, position {letter.position}"
        console.print(f"from {place}, {rfc3339(letter.received_at)}", style="dim", markup=False)
        console.print(_pretty(value), markup=False, soft_wrap=True)
        console.print(
            f'Next: write {{"id": {id_}, "event": ...}} with the mended event into a file,'
            " then leadflow dead-letters redrive --file FILE",
            style="dim",
            markup=False,
            soft_wrap=True,
        )

    answer(document, as_json, to_people)


def _pretty(value: str | None) -> str:
    if value is None:
        return "(no value)"
    try:
        return json.dumps(json.loads(value), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return value if len(value) <= 10_000 else value[:10_000] + "…"


def redrive(
    ctx: typer.Context,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Numbers of letters.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All open letters, as they came.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            help='Mended events, a line each: {"id": 17, "event": {...}}.', metavar="MENDED.jsonl"
        ),
    ] = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Read the mended event of one ID from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send letters through intake again: as they came, or mended.

    As they came is right after an upgrade or a change of the contract. What is accepted is settled;
    what is still wrong stays open with its new message (exit code 3).
    """
    if sum((bool(ids), every, file is not None)) != 1:
        raise typer.BadParameter("give IDs, or --all, or --file")
    if edit and (ids is None or len(ids) != 1):
        raise typer.BadParameter("--edit mends one letter: give its ID")
    mended: dict[int, bytes] = {}
    if file is not None:
        mended = _mended(file)
    elif edit and ids:
        mended = {ids[0]: sys.stdin.buffer.read()}
    wanted = None if every else list(mended) if file is not None else ids
    from leadflow.dead_letters import open_letters
    from leadflow.dead_letters import redrive as send_again
    from leadflow.files import now

    with session(ctx).app() as app:
        letters = open_letters(app.store, wanted)
        missing = sorted(set(wanted or ()) - {id_ for id_, _ in letters})
        if missing:
            known = ", ".join(map(str, missing[:10]))
            raise typer.BadParameter(f"no open dead letter has the number {known}")
        result = send_again(app.store, app.engine, app.intake(), letters, mended, now())
        app.runner.catch_up()
    document = {
        "read": result.read,
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "dead_letters": result.still_open,
    }

    def to_people(console: Console) -> None:
        console.print(
            f"{result.read:,} sent again: {result.accepted:,} accepted,"
            f" {result.duplicates:,} were there already, {result.still_open:,} still refused"
        )
        more = "leadflow dead-letters list" if result.still_open else "leadflow pipeline"
        console.print(f"Next: {more}", style="dim")

    answer(document, as_json, to_people)
    if result.still_open:
        raise typer.Exit(FINDINGS)


def _mended(file: Path) -> dict[int, bytes]:
    """Return the mended events of *file* by the number of their letter."""
    mended: dict[int, bytes] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                id_, event = entry["id"], entry["event"]
            except (ValueError, TypeError, KeyError, RecursionError):
                id_ = event = None
            if not isinstance(id_, int) or isinstance(id_, bool) or event is None:
                raise typer.BadParameter(
                    f'{file}:{number}: is not {{"id": NUMBER, "event": EVENT}}; nothing was sent'
                )
            mended[id_] = event.encode() if isinstance(event, str) else json.dumps(event).encode()
    return mended
