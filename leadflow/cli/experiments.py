"""Ask which variant of a mail did better."""

from typing import Annotated, Any, Final

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, AsOf, KnownAt, answer, interval_text, percent, table
from leadflow.cli.reading import read_models

_SURE: Final = 0.05


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: leadflow ab-test --campaign spring --metric converted:mql --control a"
    )(ab_test)


def ab_test(
    ctx: typer.Context,
    campaign: Annotated[
        str | None, typer.Option(metavar="NAME", help="The campaign whose mails are compared.")
    ] = None,
    message: Annotated[
        str | None, typer.Option(metavar="ID", help="The one mailing that is compared.")
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            metavar="METRIC",
            help="opened, clicked or replied, or converted:STAGE, such as converted:mql.",
        ),
    ] = "clicked",
    guardrail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What must not get worse: unsubscribed, complained, bounced; else all three.",
        ),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            metavar="VARIANT", help="The variant to compare with; else the first by name."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="A=N,B=M", help="How the variants were to be dealt out; else all alike."
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show which variant of a mail did better, whether that is chance, and what it costs."""
    from domain.aliases import UnknownStage, code_of
    from projections.ab_tests import GUARDRAILS
    from projections.ab_tests import ab_test as test_of

    if (campaign is None) == (message is None):
        raise typer.BadParameter("name the test: --campaign NAME or --message ID, one of both")
    name, colon, stage = metric.partition(":")
    if colon:
        try:
            metric = f"{name}:{code_of(stage)}"
        except UnknownStage as error:
            raise typer.BadParameter(str(error), param_hint="--metric") from None
    with read_models(ctx, as_of, known_at) as (_, connection):
        document = test_of(
            connection,
            campaign=campaign,
            message=message,
            metric=metric,
            guardrails=guardrail or GUARDRAILS,
            control=control,
            split=None if split is None else _split(split),
        )
    answer(document, as_json, lambda console: _ab_test(console, document))


def _split(text: str) -> dict[str, int]:
    """Return the shares of ``a=1,b=3``."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, share = part.rpartition("=")
        if not equals or not share.strip().isdecimal() or not int(share) or name.strip() in found:
            raise typer.BadParameter(
                f"{part!r} gives no variant a share; write a=50,b=50", param_hint="--split"
            )
        found[name.strip()] = int(share)
    return found


def _ab_test(console: Console, document: dict[str, Any]) -> None:
    if not document["assigned"]:
        words = "nobody was sent a variant"
        if document["without_variant"]:
            words += f"; {document['without_variant']:,} leads were sent mails that name none"
        console.print(words)
    else:
        console.print(_variants(document))
        console.print(_verdict(document))
        console.print(_ratio(document))
        _besides(console, document)
        console.print()
        console.print(_guardrails(document))
    console.print("Next: leadflow attribution --by campaign", style="dim")


def _variants(document: dict[str, Any]) -> Any:
    rows = [
        (
            row["variant"],
            row["assigned"],
            row["delivered"],
            row["successes"],
            percent(row["rate"]),
            interval_text(row["interval"]),
            _points(row["difference"]),
            interval_text(row["difference_interval"]),
            _p(row["p_adjusted"]),
        )
        for row in document["variants"]
    ]
    columns = ["variant", ">assigned", ">delivered", f">{document['metric']}", ">rate"]
    more = [">95 % interval", ">difference", ">95 % interval", ">p"]
    return table(f"{document['metric']}, of those {document['of']}", [*columns, *more], rows)


def _verdict(document: dict[str, Any]) -> str:
    others = [row for row in document["variants"][1:] if row["p_adjusted"] is not None]
    if not others:
        return "there is nothing to compare: one variant, or nobody whom a mail reached"
    best = min(others, key=lambda row: row["p_adjusted"])
    test = {"exact": "Fisher's exact test", "normal": "the normal approximation"}[best["method"]]
    least = best["detectable"]
    limit = "" if least is None else f"; a test of this size finds {_points(least)} or more"
    if best["p_adjusted"] < _SURE:
        side = "better" if best["difference"] > 0 else "worse"
        return f"{best['variant']} did {side} than {document['control']}, by {test}{limit}"
    return f"no difference that chance would not make, by {test}{limit}"


def _ratio(document: dict[str, Any]) -> str:
    ratio = document["sample_ratio"]
    if ratio is None:
        return "sample ratio: nothing to check"
    if ratio["is_mismatch"]:
        return (
            f"SAMPLE RATIO MISMATCH (p {_p(ratio['p'])}): the variants were not dealt out as meant;"
            " do not trust the rest before you know why"
        )
    return f"sample ratio: as meant (p {_p(ratio['p'])})"


def _besides(console: Console, document: dict[str, Any]) -> None:
    told = [
        (document["machine_acts"], "by machines: opens, clicks and the like that do not count"),
        (document["in_two_variants"], "of the leads got several variants and count for the first"),
        (document["without_variant"], "more got mails that name no variant"),
    ]
    for number, words in told:
        if number:
            console.print(f"{number:,} {words}")


def _guardrails(document: dict[str, Any]) -> Any:
    rows = [
        (
            guardrail["metric"],
            row["variant"],
            row["successes"],
            row["leads"],
            percent(row["rate"]),
            _points(row["difference"]),
            interval_text(row["difference_interval"]),
            _p(row["p"]),
            {None: None, True: "WORSE", False: "no worse"}[row["is_worse"]],
        )
        for guardrail in document["guardrails"]
        for row in guardrail["variants"]
    ]
    columns = ["guardrail", "variant", ">leads", ">of", ">rate", ">difference", ">95 % interval"]
    return table("what must not get worse", [*columns, ">p", ""], rows)


def _points(difference: float | None) -> str | None:
    """Return a difference of rates in points of a percent."""
    return None if difference is None else f"{difference * 100:+.1f} pt"


def _p(p: float | None) -> str | None:
    if p is None:
        return None
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
