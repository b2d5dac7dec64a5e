"""How likely leads are to be won, and why."""

from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, AsOf, KnownAt, answer, interval_text, percent, table
from leadflow.cli.people import Key
from leadflow.cli.reading import read_models


def register(app: typer.Typer) -> None:
    """Add the commands to *app*; those on one lead join the others on it."""
    app.command(epilog="Example: leadflow win --as-of 2026-01-31")(win)
    group = next(one.typer_instance for one in app.registered_groups if one.name == "lead")
    if group is None:
        raise RuntimeError("the group of commands on one lead has to be registered first")
    group.command(epilog="Example: leadflow lead odds ada@example.com")(odds)


def _known(as_of: int | None, known_at: int | None) -> int | None:
    """Return what had to be known: nothing that was recorded after the instant asked for."""
    return as_of if known_at is None else known_at


def win(
    ctx: typer.Context,
    top: Annotated[
        int, typer.Option(min=0, metavar="N", help="Show the N most likely open leads.")
    ] = 20,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how likely open leads are to be won, and how far that can be believed.

    Without --known-at, --as-of also leaves out what was recorded later.
    """
    from leadflow.win import win as win_of
    from projections.pipeline import observed_until

    with read_models(ctx, as_of, _known(as_of, known_at)) as (app, connection):
        policy = app.rules.at(observed_until(connection, as_of) or 0)
        document = win_of(connection, policy, as_of, top)
    answer(document, as_json, lambda console: _win(console, document))


def _win(console: Console, document: dict[str, Any]) -> None:
    if document["base_rate"] is None:
        console.print("no lead was won or lost yet, as far as was known: nothing to learn from")
        return
    console.print(
        f"[bold]{document['outcomes']:,} outcomes[/]: {document['won']:,} won, {document['lost']:,}"
        f" lost; base rate {percent(document['base_rate'])}"
    )
    for line in believe(document):
        console.print(line)
    rows = [
        (
            f"{one['from'] * 100:.0f} to {one['to'] * 100:.0f} %",
            one["outcomes"],
            percent(one["predicted"]),
            percent(one["observed"]),
            interval_text(one["interval"]),
        )
        for one in document["reliability"]
    ]
    if rows:
        columns = ["=probability", ">outcomes", ">predicted", ">won", ">95 % interval"]
        console.print(table("what came of the probabilities", columns, rows))
    console.print()
    leads = [
        (percent(one["probability"]), one["stage"], one["cycle"], one["lead_id"])
        for one in document["leads"]
    ]
    title = f"{len(leads):,} of {document['open']:,} open leads"
    console.print(table(title, [">probability", "stage", ">cycle", "=lead"], leads))
    console.print("Next: leadflow lead odds KEY", style="dim")


def believe(document: dict[str, Any]) -> list[str]:
    """Return in sentences how far the probabilities can be believed."""
    lines = []
    if document["brier"] is not None:
        lines.append(
            f"Brier score {document['brier']:.4f} on outcomes that taught it nothing; the base rate"
            f" alone {document['brier_base_rate']:.4f} (0 is best)"
        )
    if not document["calibrated"]:
        lines.append(
            f"not calibrated: {document['outcomes']:,} outcomes, and it takes 200; order leads by"
            " it, but do not believe the percentage"
        )
    elif not document["tells_apart"]:
        lines.append(
            "what is known of the leads does not tell won from lost better than chance would:"
            " everybody gets the base rate"
        )
    return lines


def odds(
    ctx: typer.Context,
    key: Key,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show how likely a lead is to be won, and what speaks for and against it.

    Without --known-at, --as-of also leaves out what was recorded later.
    """
    from leadflow.lead_keys import open_by_key
    from leadflow.win import odds as odds_of
    from projections.pipeline import observed_until

    with read_models(ctx, as_of, _known(as_of, known_at)) as (app, connection):
        policy = app.rules.at(observed_until(connection, as_of) or 0)
        dossier = open_by_key(app, key, as_of=as_of, known_at=_known(as_of, known_at))
        document = odds_of(connection, policy, as_of, dossier.view.lead_id or "")
    answer(document, as_json, lambda console: _odds(console, document, key))


def _odds(console: Console, document: dict[str, Any], key: str) -> None:
    if document["outcome"] is not None:
        console.print(f"[bold]{document['outcome']}[/]: nothing is left to predict")
        return
    if document["probability"] is None:
        console.print("no stage yet: no capture and no intent event has come")
        return
    console.print(
        f"[bold]{percent(document['probability'])}[/] to be won  "
        f"{document['stage']}, cycle {document['cycle']}; base rate"
        f" {percent(document['base_rate'])}"
    )
    for line in believe(document):
        console.print(line)
    rows = [
        (
            "before anything is known",
            "",
            document["won"],
            document["lost"],
            "",
            _signed(document["prior"]),
        )
    ]
    rows += [
        (
            one["feature"],
            one["value"],
            one["won"],
            one["lost"],
            f"x {one['ratio']:.3f}",
            _signed(one["points"]),
        )
        for one in document["reasons"]
    ]
    rows.append(
        (
            "together, before calibration",
            percent(document["uncalibrated"]),
            "",
            "",
            "",
            _signed(document["log_odds"]),
        )
    )
    columns = ["what is known", "", ">won", ">lost", ">odds", ">log-odds"]
    console.print(table(None, columns, rows))
    if document["silent"]:
        names = ", ".join(f"{one['feature']} {one['value']}" for one in document["silent"])
        console.print(f"says nothing, for too few outcomes had it: {names}", markup=False)
    console.print(f"Next: leadflow lead timeline {key}", style="dim", markup=False)


def _signed(points: str) -> str:
    return f"{float(points):+.3f}"
