"""Companies: the leads of one, who they are, and what is missing."""

from typing import Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, AsOf, KnownAt, amounts_text, answer, percent, table
from leadflow.cli.reading import read_models


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: leadflow accounts --limit 50 --as-of 2026-01-31")(accounts)
    app.command(epilog="Example: leadflow account acme.example --people")(account)


def accounts(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many, those with most leads first.")] = 20,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show the companies behind the leads: their buying group, how far they are, their worth."""
    from projections.accounts import summary

    with read_models(ctx, as_of, known_at) as (app, connection):
        rules = app.rules.at(_asked_at(as_of, known_at)).accounts
        document = summary(connection, rules, limit)
    answer(document, as_json, lambda console: _accounts(console, document))


def _asked_at(as_of: int | None, known_at: int | None) -> int:
    from leadflow.files import now

    return next(one for one in (as_of, known_at, now()) if one is not None)


def _accounts(console: Console, document: dict[str, Any]) -> None:
    if not document["rows"]:
        console.print("no account yet: no lead names a company or writes from one")
        return
    rows = [
        (
            one["account"],
            one["leads"],
            _roles(one),
            percent(one["coverage"]),
            ", ".join(one["roles_missing"]) or None,
            one["furthest_stage"],
            amounts_text(one["open"]),
            amounts_text(one["won"]),
            ", ".join(one["owners"]) or None,
            one["last_event_at"][:10],
        )
        for one in document["rows"]
    ]
    columns = [
        *("=account", ">leads", "roles", ">met", "missing", "furthest", ">open", ">won"),
        *("owners", "=last"),
    ]
    title = (
        f"{len(rows):,} of {document['accounts']:,} accounts;"
        f" {document['leads_without_account']:,} of {document['leads']:,} leads have none"
    )
    console.print(table(title, columns, rows))
    name = document["rows"][0]["account"]
    console.print(f"Next: leadflow account {name}", style="dim", markup=False)


def _roles(row: dict[str, Any]) -> str:
    return ", ".join(f"{number:,} {role}" for role, number in row["roles"].items())


def account(
    ctx: typer.Context,
    domain: Annotated[str, typer.Argument(help="Its domain, or any address of it.")],
    people: Annotated[
        bool, typer.Option("--people", help="With names, e-mail addresses and telephone numbers.")
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """Show one company: its buying group, its opportunities, and what happened last."""
    from projections.accounts import detail

    with read_models(ctx, as_of, known_at) as (app, connection):
        rules = app.rules.at(_asked_at(as_of, known_at)).accounts
        document = detail(connection, rules, domain, with_people=people)
    answer(document, as_json, lambda console: _account(console, document))


def _account(console: Console, document: dict[str, Any]) -> None:
    missing = ", ".join(document["roles_missing"]) or "none"
    console.print(
        f"[bold]{document['company'] or document['account']}[/]  {document['account']},"
        f" {document['leads']:,} leads, furthest {document['furthest_stage'] or 'not captured'};"
        f" open {amounts_text(document['open'])}, won {amounts_text(document['won'])}"
    )
    console.print(f"roles met {percent(document['coverage'])}; missing: {missing}")
    shown = ["name", "email"] if "email" in document["people"][0] else []
    rows = [
        (
            one["role"],
            one["title"],
            *(one[name] for name in shown),
            one["stage"],
            one["owner"],
            one["last_event_at"][:10],
            one["lead_id"],
        )
        for one in document["people"]
    ]
    columns = ["role", "title", *shown, "stage", "owner", "=last", "=lead"]
    console.print(table(None, columns, rows))
    deals = [
        (
            one["opportunity"],
            one["status"],
            None if one["amount"] is None else f"{one['amount']} {one['currency']}",
            one["created_at"][:10],
            one["closed_at"] and one["closed_at"][:10],
            one["owner"],
        )
        for one in document["opportunities"]
    ]
    if deals:
        columns = ["opportunity", "status", ">amount", "=created", "=closed", "owner"]
        console.print(table(None, columns, deals))
    entries = [
        (one["at"], one["stage"], one["rule"], one["lead_id"]) for one in document["entries"]
    ]
    if entries:
        console.print(table("latest stages", ["=when", "stage", "rule", "=lead"], entries))
    lead = document["people"][0]["lead_id"]
    console.print(f"Next: leadflow lead timeline {lead}", style="dim", markup=False)
