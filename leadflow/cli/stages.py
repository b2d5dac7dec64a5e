"""The stages: what a pack moves a lead by, and other names of the stages."""

from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, answer, session, table


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: leadflow stages --pack two_stage")(stages)


def stages(
    ctx: typer.Context,
    pack: Annotated[
        str | None,
        typer.Option(
            help="default, siriusdecisions, two_stage or content_led; left out, the policy's."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what moves a lead from stage to stage, and what other houses call the stages."""
    from domain.stages import PACKS
    from leadflow.policies import load_policy
    from leadflow.stage_tables import document_of

    policy = load_policy(session(ctx).settings.policy_path)
    if pack is not None and pack.lower() not in PACKS:
        raise typer.BadParameter(f"{pack!r} is no pack; there are {', '.join(PACKS)}")
    document = document_of(policy, policy.pack if pack is None else PACKS[pack.lower()])
    answer(document, as_json, lambda console: _stages(console, document))


def _stages(console: Console, document: dict[str, Any]) -> None:
    console.print(f"[bold]{document['pack']}[/]: {document['description']}")
    stages = [
        (one["stage"], one["department"], one["definition"], ", ".join(one["aliases"]))
        for one in document["stages"]
    ]
    console.print(table(None, ["stage", "worked by", "what it means", "also called"], stages))
    moves = [
        (
            one["rule"],
            ", ".join(stage or "none" for stage in one["from"]),
            one["to"],
            _types(one["on"]),
            one["if"],
        )
        for one in document["moves"]
    ]
    console.print(table(None, ["rule", "from", "to", "on", "if"], moves))
    console.print("Next: leadflow policy show", style="dim")


def _types(types: list[str] | None) -> str:
    return "any event" if types is None else ", ".join(types)
