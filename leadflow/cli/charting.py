"""The option that draws an answer."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import note

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw it as well: FILE.svg, FILE.png or FILE.json (Vega-Lite); - in the terminal.",
    ),
]

TERMINAL = "-"


def check_plot(where: str | None, *, as_json: bool) -> None:
    """Refuse what cannot be drawn before anything is asked."""
    from leadflow.charts import UnknownChart, check_path

    if where is None:
        return
    if where == TERMINAL:
        if as_json:
            raise typer.BadParameter(
                "--plot - and --json both write to the terminal: leave out one"
            )
        return
    try:
        check_path(Path(where))
    except UnknownChart as error:
        raise typer.BadParameter(str(error)) from None


def draw(chart: Any, document: dict[str, Any], where: str | None) -> None:
    """Draw *document* by *chart*, a function of ``leadflow.charts``, where the option says."""
    from leadflow.charts import as_text, save

    if where is None:
        return
    spec = chart(document)
    if where == TERMINAL:
        console = Console()
        console.print()
        console.print(
            as_text(spec, console.width), markup=False, highlight=False, no_wrap=True, style="none"
        )
        return
    save(spec, Path(where))
    note(f"drawn: {where}")
