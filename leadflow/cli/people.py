"""One lead: what it is, what it went through, why."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group

from leadflow.cli import consents, duplicates
from leadflow.cli.frame import AsJson, AsOf, KnownAt, answer, session, table

if TYPE_CHECKING:
    from leadflow.dossier import Dossier

Key = Annotated[
    str,
    typer.Argument(
        help="A lead id, an e-mail address, a phone number, SYSTEM:ID, anonymous_id:VALUE or"
        " subject:SOURCE:VALUE."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer(no_args_is_help=True, help="Look at one lead, and say who is who.")
    group.command(epilog="Example: leadflow lead show ada@example.com")(show)
    group.command(epilog="Example: leadflow lead timeline crm:1042 --as-of 2026-01-31")(timeline)
    group.command(epilog="Example: leadflow lead explain +49301234567")(explain)
    group.command(epilog="Example: leadflow lead forecast ada@example.com")(forecast)
    consents.register(group)
    duplicates.register_rulings(group)
    app.add_typer(group, name="lead")


def _dossier(ctx: typer.Context, key: str, as_of: int | None, known_at: int | None) -> "Dossier":
    from leadflow.lead_keys import open_by_key

    with session(ctx).app() as app:
        return open_by_key(app, key, as_of=as_of, known_at=known_at)


def show(
    ctx: typer.Context,
    key: Key,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what a lead is: stage, score, owner, identifiers, touches, deals, consent."""
    from leadflow.leads import show as show_of

    document = show_of(_dossier(ctx, key, as_of, known_at))
    answer(document, as_json, lambda console: _show(console, document, key))


def _show(console: Console, document: dict[str, Any], key: str) -> None:
    score = document["score"]
    console.print(f"[bold]{document['stage'] or 'no stage yet'}[/]", end="")
    console.print(f"  lead {document['lead_id']}  as of {document['as_of']}", style="dim")
    if document["stage_as_occurred"] != document["stage"]:
        occurred = document["stage_as_occurred"] or "no stage"
        console.print(f"as the events occurred, late and corrected ones too: {occurred}")
    console.print(
        f"score {score['total']:g} ({score['grade']}): fit {score['fit']:g}, engagement"
        f" {score['engagement']:g}; cycle {document['cycle']}; owner {document['owner'] or '-'};"
        f" {document['events']} events"
    )
    rows = [(one["kind"], one["value"]) for one in document["identifiers"]]
    console.print(table(None, ["known by", ""], rows))
    touches = [
        (name, one["at"], one["channel"], one["source"], one["campaign"])
        for name in ("first", "last")
        if (one := document[f"{name}_touch"]) is not None
    ]
    if touches:
        console.print(table(None, ["touch", "=at", "channel", "source", "campaign"], touches))
    deals = [
        (
            one["opportunity"],
            one["status"],
            None if one["amount"] is None else f"{one['amount']} {one['currency']}",
            one["created_at"],
            one["closed_at"],
        )
        for one in document["opportunities"]
    ]
    if deals:
        columns = ["opportunity", "status", ">amount", "=created", "=closed"]
        console.print(table(None, columns, deals))
    consents = [
        (one["purpose"], one["channel"] or "all", one["state"], one["at"])
        for one in document["consent"]
    ]
    if consents:
        console.print(table(None, ["consent", "channel", "state", "=since"], consents))
    _cycles(console, document["cycles"])
    _qualification(console, document["qualification"])
    console.print(f"Next: leadflow lead timeline {key}", style="dim", markup=False)


def _cycles(console: Console, cycles: list[dict[str, Any]]) -> None:
    rows = [
        (
            f"{cycle['cycle']} ({cycle['kind']})",
            stage["stage"],
            "reached" if stage["implied"] else stage["first_entered_at"],
            stage["exited_at"],
            None if stage["dwell_seconds"] is None else f"{stage['dwell_seconds'] / 86_400:.1f}",
        )
        for cycle in cycles
        for stage in cycle["stages"]
    ]
    if rows:
        columns = ["cycle", "stage", "=entered", "=left", ">days"]
        console.print(table(None, columns, rows))


def _qualification(console: Console, known: dict[str, Any]) -> None:
    rows = [
        (one["criterion"], one["satisfied"], one["value"], one["at"])
        for one in known["criteria"]
        if one["id"] is not None
    ]
    if rows:
        console.print(table(None, [known["framework"], "satisfied", "answer", "=when"], rows))
        missing = ", ".join(known["missing"]) or "nothing"
        counts = f"{known['needed']} needed, {known['satisfied_in_cycle']} satisfied in this cycle"
        console.print(f"missing: {missing}; {counts}", markup=False)


def timeline(
    ctx: typer.Context,
    key: Key,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what a lead went through, event by event, with the decisions each led to."""
    from leadflow.leads import timeline as timeline_of

    document = timeline_of(_dossier(ctx, key, as_of, known_at))
    answer(document, as_json, lambda console: _timeline(console, document, key))


def _timeline(console: Console, document: dict[str, Any], key: str) -> None:
    console.print(timeline_table(document))
    console.print(f"Next: leadflow lead explain {key}", style="dim", markup=False)


def timeline_table(document: dict[str, Any]) -> Group:
    """Return a timeline as people read it."""
    rows = []
    for event in document["events"]:
        score = event["score"]
        decided = ", ".join(_decision(one) for one in event["decisions"])
        summary = event["summary"] + (" (arrived late)" if event["late"] else "")
        if event["voided_by"] is not None:
            summary += " (voided)"
        elif event["actor"] != event["reported_actor"]:
            summary += f" (by a {event['actor']})"
        rows.append(
            (event["occurred_at"], summary, decided, event["stage"], f"{score['total']:.1f}")
        )
    return table(None, ["=when", "what happened", "decided", "stage", ">score"], rows)


def _decision(decision: dict[str, Any]) -> str:
    if decision["type"] == "lead.stage_entered":
        return f"→ {decision['stage']} ({decision['rule']})"
    if decision["type"] == "lead.merged":
        if decision["rule"] == "correction":
            return "what is corrected was found"
        return "two leads became one"
    if "of" in decision:
        return f"{decision['of']['id']} by {decision['actor'] or 'whoever was reported'}"
    if "direction" not in decision:
        return f"told anew ({decision['rule']})"
    return f"engagement {decision['direction']}"


def explain(
    ctx: typer.Context,
    key: Key,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show where every point of a lead's score comes from, and why it is in its stage."""
    from leadflow.leads import explain as explain_of

    document = explain_of(_dossier(ctx, key, as_of, known_at))
    answer(document, as_json, lambda console: _explain(console, document, key))


def _explain(console: Console, document: dict[str, Any], key: str) -> None:
    stage, score = document["stage"], document["score"]
    if stage["stage"] is None:
        console.print("no stage yet: no capture and no intent event has come")
    else:
        console.print(
            f"[bold]{stage['stage']}[/] since {stage['entered_at']} by rule {stage['rule']}"
            f" of policy {stage['policy']},"
        )
        console.print(f"because of event {stage['id']} of {stage['source']}", markup=False)
    rows = [
        (
            one["axis"],
            one["rule"],
            one["occurred_at"],
            f"{one['points']:g}",
            f"{float(one['factor']):.3f}",
            f"{one['decayed']:.3f}",
            f"{one['cap_loss']:.3f}",
            f"{one['counted']:.3f}",
        )
        for one in document["contributions"]
    ]
    columns = ["axis", "rule", "=when", ">points", ">factor", ">decayed", ">cap loss", ">counted"]
    console.print(table(None, columns, rows))
    console.print(
        f"fit {score['fit']:g} + engagement {score['engagement']:g}; total {score['total']:g},"
        f" grade {score['grade']}, as of {document['as_of']}"
    )
    console.print(f"Next: leadflow lead timeline {key}", style="dim", markup=False)


def forecast(
    ctx: typer.Context,
    key: Key,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show when a lead's engagement will cross each threshold if nothing more happens."""
    from leadflow.leads import forecast as forecast_of

    document = forecast_of(_dossier(ctx, key, as_of, known_at))
    answer(document, as_json, lambda console: _forecast(console, document, key))


def _forecast(console: Console, document: dict[str, Any], key: str) -> None:
    band = "in the MQL band" if document["in_band"] else "not in the MQL band"
    console.print(
        f"engagement {document['score']['engagement']:g} as of {document['as_of']}, {band};"
        " if nothing more happens:"
    )
    rows = [
        (
            one["threshold"],
            f"{one['points']:g}",
            one["reached"],
            "never crossed" if one["at"] is None else f"crossed {one['direction']}",
            one["at"],
            None if one["days"] is None else f"{one['days']:.3f}",
        )
        for one in document["thresholds"]
    ]
    columns = ["threshold", ">points", "reached", "then", "=at", ">days"]
    console.print(table(None, columns, rows))
    console.print(f"Next: leadflow lead explain {key}", style="dim", markup=False)
