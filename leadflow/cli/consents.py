"""What one lead may be contacted for."""

from typing import Annotated, Any, get_args

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, AsOf, KnownAt, answer, session, table

Key = Annotated[str, typer.Argument(help="As of `lead show`.")]


def register(group: typer.Typer) -> None:
    """Add the command to *group*."""
    group.command(
        epilog="Example: leadflow lead consent ada@example.com --purpose marketing --channel email"
    )(consent)


def consent(
    ctx: typer.Context,
    key: Key,
    purpose: Annotated[
        str | None, typer.Option(help="Ask whether the lead may be contacted for it.")
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(help="email, phone, sms, chat or post; left out, by all of them."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what a lead may be contacted for, and every word it said about that."""
    from consumers.blocks import ConsentChannel
    from leadflow.consents import consent_document
    from leadflow.lead_keys import open_by_key

    if channel is not None and purpose is None:
        raise typer.BadParameter("a channel is asked about together with a --purpose")
    if channel is not None and channel not in get_args(ConsentChannel):
        known = ", ".join(get_args(ConsentChannel))
        raise typer.BadParameter(f"there is no channel {channel!r} of consent; there are {known}")
    with session(ctx).app() as app:
        found = open_by_key(app, key, as_of=as_of, known_at=known_at)
    document = {
        "lead_id": found.lead_id,
        **consent_document(found.counted(), found.rules, found.at, purpose, channel),
    }
    answer(document, as_json, lambda console: _consent(console, document, key))


def _consent(console: Console, document: dict[str, Any], key: str) -> None:
    asked = document["answer"]
    if asked is not None:
        because = asked["because"]
        said = "nobody has said anything" if because is None else f"since {because['at']}"
        console.print(
            f"[bold]{'yes' if asked['allowed'] else 'no'}[/]: {asked['purpose']} by"
            f" {asked['channel'] or 'all channels'}, {asked['state']}, {said}"
        )
    if not document["consent"]:
        console.print("no word of consent yet: the answer is no")
    else:
        rows = [
            (one["purpose"], one["channel"] or "all", one["state"], one["at"], one["until"])
            for one in document["consent"]
        ]
        title = f"as of {document['as_of']}"
        console.print(table(title, ["purpose", "channel", "state", "=since", "=until"], rows))
        words = [
            (
                one["at"],
                one["purpose"],
                one["channel"] or "all",
                "granted" if one["granted"] else "withdrawn",
                one["type"],
                one["text_version"],
                one["proof"],
            )
            for one in document["words"]
        ]
        columns = ["=when", "purpose", "channel", "said", "in", "text", "proof"]
        console.print(table("every word", columns, words))
    console.print(f"Next: leadflow lead timeline {key}", style="dim", markup=False)
