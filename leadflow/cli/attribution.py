"""Ask which touches earned the conversions."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console

from leadflow.cli.charting import Plot, check_plot, draw
from leadflow.cli.frame import (
    AsJson,
    AsOf,
    KnownAt,
    amounts_text,
    answer,
    duration_option,
    lookback_option,
    percent,
    stage_option,
    table,
)
from leadflow.cli.progress import Progress
from leadflow.cli.reading import (
    misuse,
    no_leads,
    read_models,
    reading_file,
    unless,
    value_text,
)

if TYPE_CHECKING:
    from leadflow.paths import Layout
    from projections.attribution import Scope
    from projections.attribution_models import Asked


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: leadflow attribution --model linear --by campaign;"
        " leadflow attribution --compare --bootstrap 200"
    )(attribution)


def _conversions(text: str) -> str:
    """Return the stages of an option, by their codes."""
    return ",".join(stage_option(part.strip()) for part in text.split(","))


def _order(text: str) -> str:
    if text == "auto" or text in map(str, range(1, 10)):
        return text
    raise typer.BadParameter(f"{text!r} is no order; write 1 to 9, or auto")


def attribution(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            help="first, last, last_non_direct, linear, time_decay, time_decay_stepped,"
            " u_first_last, u_lead, w, full_path, j, inverse_j, position_decay, markov,"
            " markov_converted_only, shapley or shapley_rate."
        ),
    ] = "linear",
    compare: Annotated[
        bool, typer.Option("--compare", help="Show several models side by side, and disagreement.")
    ] = False,
    models: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="The models of --compare; the usual where left out."),
    ] = None,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            metavar="N",
            help="With --compare: draw the leads N times, tell how sure shares and ranks are.",
        ),
    ] = None,
    conversion: Annotated[
        str,
        typer.Option(
            parser=_conversions,
            metavar="STAGE,...",
            help="What is credited: mql, sql, opportunity or won, or another name of these;"
            " of several a document each.",
        ),
    ] = "won",
    by: Annotated[
        str,
        typer.Option(help="channel, source, medium, campaign, content or term.", metavar="DIM"),
    ] = "channel",
    lookback: Annotated[
        int | None,
        typer.Option(
            parser=lookback_option,
            metavar="DURATION",
            help="Touches so long before the conversion count; 90d where left out.",
        ),
    ] = None,
    collapse: Annotated[
        int | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Touches of one channel that close together are one; 30m where left out, 0: none.",
        ),
    ] = None,
    transform: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Shorten paths: exposure (runs of a channel are one), first (each channel once),"
            " remove_if_not_all=CHANNEL, remove_if_last_and_not_all=CHANNEL, unique (as they are);"
            " may be given several times.",
        ),
    ] = None,
    half_life: Annotated[
        int | None,
        typer.Option(
            parser=duration_option, metavar="DURATION", help="Of time decay; 7d where left out."
        ),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            parser=_order,
            metavar="K",
            help="Of markov: the last K channels make a state; auto: the K that tells best which"
            " journeys convert.",
        ),
    ] = "1",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    paths: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Credit the paths of this file instead: path, total_conversions, ...",
        ),
    ] = None,
    separator: Annotated[
        str, typer.Option(metavar="TEXT", help="Of --paths: what parts the touches of a path.")
    ] = ">",
    delimiter: Annotated[
        str, typer.Option(metavar="CHARACTER", help="Of --paths: what parts the columns.")
    ] = ",",
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show which touches earned the conversions and their money, by a model or several."""
    from leadflow import charts
    from projections.attribution_models import Asked

    kinds, none = conversion.split(","), None
    check_plot(plot, as_json=as_json)
    if not compare and (models is not None or bootstrap is not None):
        raise typer.BadParameter("--models and --bootstrap go with --compare")
    if plot is not None and len(kinds) > 1:
        raise typer.BadParameter("--plot draws one conversion: name one in --conversion")
    wanted = _Wanted(
        model,
        Asked("auto" if order == "auto" else int(order), half_life),
        compare,
        None if models is None else [name.strip() for name in models.split(",")],
        bootstrap or 0,
    )
    transforms = tuple(transform or ())
    if paths is not None:
        _refuse_of_paths(ctx)
        with (
            reading_file("--paths"),
            _reading(paths, separator, delimiter) as (layout, tell),
            misuse(),
        ):
            found = [_of_paths(paths, wanted, transforms, layout, tell)]
    else:
        if (separator, delimiter) != (">", ","):
            raise typer.BadParameter("--separator and --delimiter go with --paths")
        from domain.journey import COLLAPSE_GAP, LOOKBACK
        from projections.attribution import Scope

        back = LOOKBACK if lookback is None else lookback
        gap = COLLAPSE_GAP if collapse is None else collapse
        scopes = [Scope(kind, by, back, gap, transforms) for kind in kinds]
        found, none = _of_store(ctx, wanted, scopes, as_of, known_at)
    document: dict[str, Any] = found[0] if len(found) == 1 else {"documents": found}

    def show(console: Console) -> None:
        for number, each in enumerate(found):
            if number:
                console.print()
            (show_comparison if compare else show_attribution)(console, each, by)
        follow = "leadflow sources" if compare else "leadflow attribution --compare"
        console.print(f"Next: {follow}", style="dim")

    answer(document, as_json, unless(none, show))
    if plot is not None:
        draw(charts.attribution, document, plot)


class _Wanted(NamedTuple):
    """What is asked of the journeys, wherever they come from."""

    model: str
    asked: "Asked"
    compare: bool
    models: Sequence[str] | None
    """Those to compare; None: the usual."""
    rounds: int
    """How often a bootstrap draws."""


def _of_store(
    ctx: typer.Context,
    wanted: _Wanted,
    scopes: "Sequence[Scope]",
    as_of: int | None,
    known_at: int | None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the answer for each of *scopes*, and that there are no leads where that is so."""
    from projections.attribution import COMPARED, attribution, checked, compare
    from projections.attribution_models import check

    names = wanted.models or COMPARED
    with misuse():  # what makes no sense needs no database to be refused
        for scope in scopes:
            scope.check()
        if wanted.compare:
            checked(names, wanted.asked)
        else:
            check(wanted.model, wanted.asked)
    with read_models(ctx, as_of, known_at) as (_, connection):
        if wanted.compare:
            found = [
                compare(connection, names, scope, wanted.asked, wanted.rounds) for scope in scopes
            ]
        else:
            found = [attribution(connection, wanted.model, scope, wanted.asked) for scope in scopes]
        return found, no_leads(connection, as_of, known_at)


_SAYS_NOTHING_OF_PATHS = {
    "conversion": "--conversion",
    "by": "--by",
    "lookback": "--lookback",
    "collapse": "--collapse",
    "half_life": "--half-life",
    "as_of": "--as-of",
    "known_at": "--known-at",
}
"""Options that say nothing of paths."""


def _refuse_of_paths(ctx: typer.Context) -> None:
    for name, option in _SAYS_NOTHING_OF_PATHS.items():
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"{option} says nothing of --paths: leave it out")


@contextmanager
def _reading(
    file: Path, separator: str, delimiter: str
) -> "Iterator[tuple[Layout, Callable[[int], None]]]":
    """Yield how the file is written, and what tells how far reading is."""
    from leadflow.paths import Layout

    if not separator.strip():
        raise typer.BadParameter("--separator must be more than blanks")
    if len(delimiter) != 1:
        raise typer.BadParameter(f"--delimiter {delimiter!r} must be one character")
    total = file.stat().st_size if file.is_file() else None
    with Progress("read paths", total, "bytes") as progress:
        yield Layout(separator.strip(), delimiter), progress.reach


def _of_paths(
    file: Path,
    wanted: _Wanted,
    transforms: tuple[str, ...],
    layout: "Layout",
    tell: Callable[[int], None],
) -> dict[str, Any]:
    from leadflow.paths import COMPARED, attribution_of_paths, comparison_of_paths

    if wanted.compare:
        names = wanted.models or COMPARED
        return comparison_of_paths(
            file, names, wanted.asked, wanted.rounds, transforms, layout, tell
        )
    return attribution_of_paths(file, wanted.model, wanted.asked, transforms, layout, tell)


def show_attribution(console: Console, document: dict[str, Any], by: str) -> None:
    """Print an attribution for people."""
    total = amounts_text(document["amounts"])
    what = document["conversion"] or ""
    title = f"{document['conversions']:,} conversions {what} by {document['model']}: {total}"
    rows = [
        (value_text(row["value"]), f"{float(row['credit']):,.3f}", amounts_text(row["amounts"]))
        for row in document["rows"]
    ]
    nobody = document["unattributed"]
    if nobody["conversions"]:
        rows.append(
            ("(no touch)", f"{nobody['conversions']:,.3f}", amounts_text(nobody["amounts"]))
        )
    console.print(table(title, [by, ">credit", ">amount"], rows))
    if "auc" in document:
        areas = ", ".join(f"order {k}: {area:.3f}" for k, area in document["auc"].items())
        console.print(f"order {document['order']} tells conversions best (AUC {areas})")
    _warn(console, document)


def _warn(console: Console, document: dict[str, Any]) -> None:
    if "no_null_paths" in document.get("warnings", ()):
        console.print(
            "no path led to nothing (total_null): without failures the model tells little more than"
            " how often a channel was met"
        )


def show_comparison(console: Console, document: dict[str, Any], by: str) -> None:
    """Print models side by side for people."""
    names = document["models"]
    what = document["conversion"] or ""
    title = (
        f"{document['conversions']:,} conversions {what}: {amounts_text(document['amounts'])};"
        " shares of credit"
    )
    for at in range(0, len(names), _BESIDE):
        beside = names[at : at + _BESIDE]
        last = at + _BESIDE >= len(names)
        rows = [
            (
                value_text(row["value"]),
                *(percent(row["models"][name]["share"]) for name in beside),
                *((percent(row["disagreement"]), _ranks(row)) if last else ()),
            )
            for row in document["rows"]
        ]
        heads = [f">{name}" for name in (*beside, *(("disagree", "ranks") if last else ()))]
        console.print(table(None if at else title, [f"={by}", *heads], rows))
        if not last:
            console.print()
    nobody = document["unattributed"]
    if nobody["conversions"]:
        console.print(
            f"without any touch: {nobody['conversions']:,} conversions,"
            f" {amounts_text(nobody['amounts'])}"
        )
    apart = max(document["distances"], key=lambda one: one["distance"])
    console.print(
        f"furthest apart: {apart['models'][0]} and {apart['models'][1]} place"
        f" {percent(apart['distance'])} of the credit differently"
    )
    if "bootstrap" in document:
        _show_draws(console, document, by)
    _warn(console, document)


_BESIDE = 6
"""Models that find room beside each other."""


def _ranks(row: dict[str, Any]) -> str | None:
    best, worst = row["rank_best"], row["rank_worst"]
    return None if best is None else str(best) if best == worst else f"{best} to {worst}"


def _show_draws(console: Console, document: dict[str, Any], by: str) -> None:
    said = document["bootstrap"]
    rows = []
    for row in document["rows"]:
        for name in document["models"]:
            one = row["models"][name]
            if one["rank"] is not None:
                held = one["rank_probabilities"][one["rank"] - 1]
                interval = f"{percent(one['share_low'])} to {percent(one['share_high'])}"
                rank = f"{one['rank']} in {percent(held)}"
                rows.append((value_text(row["value"]), name, percent(one["share"]), interval, rank))
    level = f"{said['level'] * 100:.0f} % of {said['rounds']:,} draws"
    console.print()
    console.print(table(None, [by, "model", ">share", f">{level}", ">rank"], rows))
    same = ", ".join(f"{name} {percent(share)}" for name, share in said["same_order"].items())
    console.print(f"draws with the same order of all: {same}")
