"""Leads that may be one person: find them, and say whether they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from leadflow.cli.frame import AsJson, answer, session, table

if TYPE_CHECKING:
    from leadflow.duplicates import Person
    from leadflow.rulings import Ruled

Key = Annotated[str, typer.Argument(help="A lead: its id, an e-mail address, SYSTEM:ID, ...")]


def _said(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("is blank; say why, for those who ask later")
    return text


Reason = Annotated[
    str, typer.Option(help="Why; kept with the ruling.", metavar="TEXT", parser=_said)
]
By = Annotated[str | None, typer.Option(help="Who says so.", metavar="WHO")]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer(no_args_is_help=True, help="Leads that may be one person.")
    group.command("list", epilog="Example: leadflow duplicates list --min-score 60")(list_)
    group.command(epilog="Example: leadflow duplicates show ada@example.com crm:1042")(show)
    group.command(
        epilog="Example: leadflow duplicates dismiss ada@example.com crm:1042"
        " --reason 'mother and daughter' --by k.lee"
    )(dismiss)
    app.add_typer(group, name="duplicates")


def register_rulings(group: typer.Typer) -> None:
    """Add the commands that rule on leads to the *group* of one lead."""
    group.command(
        epilog="Example: leadflow lead merge ada@example.com crm:1042 --reason 'same badge'"
    )(merge)
    group.command(
        epilog="Example: leadflow lead unmerge ada@example.com crm:1042 --reason 'namesakes'"
    )(unmerge)


# --- candidates ---------------------------------------------------------------------------------


def list_(
    ctx: typer.Context,
    min_score: Annotated[
        int, typer.Option(min=1, max=100, help="Only candidates with this score or more.")
    ] = 40,
    limit: Annotated[int, typer.Option(min=1, help="Candidates at most.")] = 100,
    dismissed: Annotated[
        bool, typer.Option("--dismissed", help="Also those that were dismissed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List leads that may be one person, the likeliest first, with what speaks for it.

    Nothing is merged by this: a person rules, with `lead merge` or `duplicates dismiss`.
    """
    from leadflow.duplicates import Population, people_of
    from leadflow.rulings import dismissed_pairs, rulings

    with session(ctx).app() as app:
        app.runner.catch_up()
        with app.connect() as connection:
            population = Population(people_of(connection))
        said = dismissed_pairs(rulings(app), population.people.values(), app.rules.current)
    every = population.candidates(min_score)
    found = [one for one in every if dismissed or (one.lead, one.other) not in said]
    document: dict[str, Any] = {
        "leads": len(population.people),
        "candidates": len(found),
        "dismissed": sum((one.lead, one.other) in said for one in every),
        "duplicates": [
            one.document() | {"dismissed": (one.lead, one.other) in said} for one in found[:limit]
        ],
    }

    def to_people(console: Console) -> None:
        if not found:
            gone = document["dismissed"]
            console.print(
                f"no two of {len(population.people):,} leads look like one person"
                + (f", but for {gone:,} dismissed: --dismissed shows them" if gone else "")
            )
            return
        title = f"{len(found):,} {'pair' if len(found) == 1 else 'pairs'} of leads that may be one person"
        if gone := sum((one.lead, one.other) in said for one in found):
            title += f", {gone:,} of them dismissed"
        rows = [
            (
                one.score,
                _name(population.people[one.lead]),
                _name(population.people[one.other]),
                ", ".join(reason.reason for reason in one.reasons if reason.weight > 0)
                + (" (dismissed)" if (one.lead, one.other) in said else ""),
            )
            for one in found[:limit]
        ]
        console.print(table(title, [">score", "lead", "other", "because"], rows))
        first = found[0]
        words = f"Next: leadflow duplicates show {_key(population, first.lead)}"
        console.print(f"{words} {_key(population, first.other)}", style="dim", markup=False)

    answer(document, as_json, to_people)


def _key(population: Any, lead: str) -> str:
    """Return a short name for a lead that commands understand."""
    person = population.people[lead]
    return person.emails[0] if person.emails else lead


def _name(person: "Person") -> str:
    """Return a lead as people recognise it: name, and the identifier that is best to read."""
    told = [value for kind in ("email", "phone") for of, value in person.identifiers if of == kind]
    best = told[0] if told else " ".join(person.identifiers[0])
    return f"{person.names[0]} <{best}>" if person.names else best


def show(ctx: typer.Context, one: Key, other: Key, as_json: AsJson = False) -> None:
    """Show what speaks for and against two leads being one person."""
    from leadflow.duplicates import Population, people_of
    from leadflow.instants import rfc3339
    from leadflow.rulings import dismissed_pairs, find, rulings

    with session(ctx).app() as app:
        app.runner.catch_up()
        with app.connect() as connection:
            mine, yours = find(connection, one)[0], find(connection, other)[0]
            if mine.lead == yours.lead:
                raise typer.BadParameter(f"{one} and {other} are one lead: {mine.lead}")
            population = Population(people_of(connection))
        said = dismissed_pairs(rulings(app), population.people.values(), app.rules.current)
    match = population.match(mine.lead, yours.lead)
    ruling = said.get((match.lead, match.other))
    document = match.document() | {
        "leads": [_document(population.people[lead]) for lead in (match.lead, match.other)],
        "dismissed": None
        if ruling is None
        else {"at": rfc3339(ruling.order[0]), "by": ruling.by, "reason": ruling.reason},
    }

    def to_people(console: Console) -> None:
        console.print(f"[bold]score {match.score}[/] of 100")
        for lead in (match.lead, match.other):
            console.print(f"{lead}  {_name(population.people[lead])}", markup=False)
        rows = [(f"{reason.weight:+d}", reason.reason, reason.detail) for reason in match.reasons]
        console.print(table(None, [">weight", "reason", "in words"], rows))
        if ruling is not None:
            console.print(
                f"dismissed by {ruling.by or 'somebody'}: {ruling.reason or 'no reason given'}",
                markup=False,
            )
        console.print(
            f"Next: leadflow lead merge {one} {other} --reason TEXT, or duplicates dismiss",
            style="dim",
            markup=False,
        )

    answer(document, as_json, to_people)


def _document(person: "Person") -> dict[str, Any]:
    return {
        "lead_id": person.lead,
        "name": person.names[0] if person.names else None,
        "company": person.company,
        "identifiers": [{"kind": kind, "value": value} for kind, value in person.identifiers],
    }


# --- rulings ------------------------------------------------------------------------------------


def dismiss(
    ctx: typer.Context, one: Key, other: Key, reason: Reason, by: By = None, as_json: AsJson = False
) -> None:
    """Say that two leads are two persons: they are no candidate any more, and never join.

    Stored as a lead.unmerged event. `lead merge` takes it back.
    """
    from leadflow.files import now
    from leadflow.rulings import dismiss as rule

    with session(ctx).app() as app:
        ruled = rule(app, one, other, by=by, reason=reason, now=now())
    _tell(ruled, "dismissed", "they were dismissed already", as_json)


def merge(
    ctx: typer.Context, one: Key, other: Key, reason: Reason, by: By = None, as_json: AsJson = False
) -> None:
    """Say that two leads are one person: the lead is what the events of both lead to.

    Stored as a lead.merged event; `lead unmerge` makes them again what they were.
    """
    from leadflow.files import now
    from leadflow.rulings import merge as rule

    with session(ctx).app() as app:
        ruled = rule(app, one, other, by=by, reason=reason, now=now())
    _tell(ruled, "merged", "they are one lead already", as_json)


def unmerge(
    ctx: typer.Context, one: Key, other: Key, reason: Reason, by: By = None, as_json: AsJson = False
) -> None:
    """Say that one lead is two persons; ONE and OTHER name an identifier of each.

    Stored as a lead.unmerged event. Each of the two is what its own events lead to.
    """
    from leadflow.files import now
    from leadflow.rulings import unmerge as rule

    with session(ctx).app() as app:
        ruled = rule(app, one, other, by=by, reason=reason, now=now())
    _tell(ruled, "unmerged", "they are two leads, and ruled to be, already", as_json)


def _tell(ruled: "Ruled", done: str, already: str, as_json: bool) -> None:
    document = {
        "ruling": done,
        "changed": ruled.changed,
        "events": [{"source": source, "id": id_} for source, id_ in ruled.events],
        "leads": [_document(person) for person in ruled.leads],
    }

    def to_people(console: Console) -> None:
        console.print(done if ruled.changed else f"nothing to do: {already}")
        console.print(table(None, ["lead", "who", "known by"], _rows(ruled.leads)))
        console.print(f"Next: leadflow lead show {ruled.leads[0].lead}", style="dim", markup=False)

    answer(document, as_json, to_people)


def _rows(leads: "Sequence[Person]") -> list[tuple[str, str, str]]:
    return [
        (lead.lead, _name(lead), ", ".join(f"{kind}:{value}" for kind, value in lead.identifiers))
        for lead in leads
    ]
