"""Goals beside the figures: check a file of targets, and tell which are met."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import (
    FAILED,
    AsJson,
    AsOf,
    KnownAt,
    answer,
    complain,
    session,
    table,
)
from leadflow.cli.reading import read_models, reading_file, value_text

if TYPE_CHECKING:
    from leadflow.targets import TargetProblem

TargetsFile = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A file of targets; left out, the one in use."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer()
    group.callback(
        invoke_without_command=True, epilog="Example: leadflow targets --targets targets.toml"
    )(targets)
    group.command(epilog="Example: leadflow targets check targets.toml")(check)
    group.command(epilog="Example: leadflow targets kpis")(kpis)
    app.add_typer(group, name="targets")


def targets(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option(
            "--targets",
            metavar="FILE",
            help="The goals; else LEADFLOW_TARGETS, else targets.toml in this folder.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show the key figures beside their goals: which are met, and by how much not."""
    if ctx.invoked_subcommand is not None:
        return
    from leadflow.targets import load_targets
    from leadflow.targets import targets as targets_of

    with reading_file("--targets"):
        given = load_targets(_path(ctx, file))
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = targets_of(connection, given, as_of)
    answer(document, as_json, lambda console: _targets(console, document))


def _path(ctx: typer.Context, file: Path | None) -> Path:
    path = session(ctx).settings.targets_path if file is None else file
    if path is None:
        raise typer.BadParameter(
            "there are no targets: write targets.toml, or name a file with --targets;"
            " leadflow targets kpis lists what may have a goal"
        )
    return path


def _targets(console: Console, document: dict[str, Any]) -> None:
    rows = [
        (
            row["kpi"],
            _scope(row),
            _figure(row, row["actual"]),
            _figure(row, row["goal"]),
            _figure(row, row["gap"]),
            row["state"],
            "; ".join(f"{_figure(row, one['value'])} {one['name']}" for one in row["benchmarks"])
            or "-",
        )
        for row in document["targets"]
    ]
    columns = ["kpi", "of", ">actual", ">goal", ">gap", "=state", "claimed by others"]
    title = (
        f"{document['met']} met, {document['missed']} missed, {document['no_data']} without data"
    )
    console.print(table(title, columns, rows))
    for row in document["targets"]:
        if row["reason"] is not None:
            console.print(f"{row['kpi']}: {row['reason']}", markup=False)
    console.print("Next: leadflow economics, leadflow funnel --steps captured,mql,sql", style="dim")


def _scope(row: dict[str, Any]) -> str:
    parts = [value_text(value) for value in (row["by"] or {}).values()]
    parts += [f"{word} {row[word][:10]}" for word in ("from", "to") if row[word] is not None]
    return ", ".join(parts) or "all"


def _figure(row: dict[str, Any], value: float | str | None) -> str:
    if value is None:
        return "-"
    if row["unit"] == "rate":
        return f"{float(value) * 100:.1f} %"
    if isinstance(value, str):
        return f"{value} {row['currency'] or ''}".rstrip()
    return f"{value:,.2f}"


def check(ctx: typer.Context, file: TargetsFile = None, as_json: AsJson = False) -> None:
    """Check a file of targets; each problem is named with line, key and the mend.

    Exit code 1 when it has any.
    """
    from leadflow.targets import TargetsInvalid, load_targets

    path = _path(ctx, file)
    problems: tuple[TargetProblem, ...] = ()
    told = f"{path} is valid"
    try:
        with reading_file("FILE"):
            given = load_targets(path)
        told += f": {len(given.target)} targets, {len(given.benchmark)} benchmarks"
    except TargetsInvalid as error:
        problems, told = error.problems, str(error)
    document = {
        "file": str(path),
        "problems": [
            {
                "line": problem.line,
                "key": problem.key,
                "value": None if problem.value is None else str(problem.value),
                "problem": problem.problem,
                "mend": problem.mend,
            }
            for problem in problems
        ],
    }

    def to_people(console: Console) -> None:
        if problems:
            for line in told.splitlines():
                complain(line)
            return
        console.print(told, markup=False)
        console.print(f"Next: leadflow targets --targets {path}", style="dim", markup=False)

    answer(document, as_json, to_people)
    if problems:
        raise typer.Exit(FAILED)


def kpis(as_json: AsJson = False) -> None:
    """List the key figures that may have a goal."""
    from leadflow.kpis import KPIS

    rows = [
        {
            "kpi": kpi.name,
            "unit": kpi.unit,
            "better": "higher" if kpi.higher_is_better else "lower",
            "by": list(kpi.dimensions),
            "meaning": kpi.meaning,
        }
        for kpi in KPIS.values()
    ]

    def to_people(console: Console) -> None:
        cells = [(row["kpi"], row["unit"], row["better"], row["meaning"]) for row in rows]
        console.print(table(None, ["=kpi", "unit", "better", "meaning"], cells))
        console.print("Next: leadflow targets check targets.toml", style="dim")

    answer({"kpis": rows}, as_json, to_people)
