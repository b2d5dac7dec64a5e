"""Try leadflow out: a market in a file."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, answer, start_option
from leadflow.cli.progress import Progress
from leadflow.cli.reading import misuse

_DAY = 86_400_000_000


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: leadflow simulate market.jsonl --leads 1200 --from 2025-10-01"
        " --to 2026-04-01 --currency EUR"
    )(simulate)


def simulate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to make, one event a line.")],
    leads: Annotated[int, typer.Option(min=1, max=500_000, help="People who come.")] = 1_000,
    since: Annotated[
        int, typer.Option("--from", parser=start_option, metavar="DAY", help="The first day.")
    ] = "2025-01-01",  # type: ignore[assignment]  # typer parses defaults as it does words
    until: Annotated[
        int,
        typer.Option("--to", parser=start_option, metavar="DAY", help="The day after the last."),
    ] = "2025-07-01",  # type: ignore[assignment]  # the same
    currency: Annotated[
        str | None,
        typer.Option(metavar="CUR", help="EUR, JPY or USD for all; else that of each country."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another market.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Write the events of a simulated market into a file, to try questions on.

    A market is people who come by fairs, advertisements, forms and newsletters, reps who call them
    or do not, what marketing cost and what was sold; second sendings and late events included.
    The same options give the same file. Nobody in it exists.
    """
    from leadflow.simulate import Market, to_json
    from leadflow.simulate import simulate as play

    days, rest = divmod(until - since, _DAY)
    if days < 1 or rest:
        raise typer.BadParameter("--to is a whole number of days, at least one, after --from")
    if file.exists():
        raise typer.BadParameter(f"{file} is there already; remove it, or name another file")
    with misuse():
        market = Market(seed=seed, leads=leads, days=days, start=since, currency=currency)
    sent = 0
    with file.open("wb") as lines, Progress("simulate", None, "events") as progress:
        for envelope in play(market).events:
            lines.write(to_json(envelope.event) + b"\n")
            sent += 1
            progress.reach(sent)
    document: dict[str, Any] = {
        "file": str(file),
        "events": sent,
        "leads": leads,
        "days": days,
        "currency": currency,
        "seed": seed,
    }

    def show(console: Console) -> None:
        console.print(f"{sent:,} events of {leads:,} people in {days:,} days: {file}", markup=False)
        console.print(f"Next: leadflow ingest {file} --as-if-live", style="dim", markup=False)

    answer(document, as_json, show)
