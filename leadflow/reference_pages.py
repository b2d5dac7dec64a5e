"""The pages of the reference on events, tables and views, commands and settings, as texts."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, create_engine, inspect
from sqlalchemy.pool import StaticPool

from consumers.contract import describe_blocks, describe_types
from leadflow.settings import FILE, reference
from projections.rows import READ_MODELS
from projections.schema import metadata
from projections.setup import create
from projections.views import view_texts

_FAMILIES: Final = {
    "capture": "A person becomes known. The first of these (or of *intent*) captures the lead.",
    "web": "What a visitor does on the site and in the product.",
    "email": "What becomes of an e-mail.",
    "talk": "Calls, meetings, chats: `actor` tells who spoke.",
    "intent": "The person asks for sales. Captures the lead, too.",
    "qualification": "What marketing and sales decide about a lead.",
    "sales": "Opportunities and deals.",
    "customer": "What happens after the deal.",
    "data": "News about the person, and corrections of earlier events.",
    "consent": "What the person allows.",
    "money": "What marketing costs. Belongs to no lead.",
}

_BLOCKS: Final = {
    "person": "Any event may bring news of it.",
    "touch": "A machine's event is none.",
    "actor": "Missing means unknown.",
    "consent": "A list of these.",
}
"""What to know of a block beside what its title says."""

_VIEWS: Final = {
    "v_decided": "The stage of every lead as it was decided, beside the one as the events occurred",
    "v_credit": "What each touch earns of each conversion: one row per model",
    "v_funnel": "Leads that entered and reached each stage; a skipped stage is reached, not entered",
    "v_sources": "Leads, and how many of them ever entered a stage, by first touch",
    "v_accounts": "Companies with their leads; their worth is in v_opportunities, lead by lead",
}
"""What a view shows where that is not what the table of its name holds."""

_VIEW_COLUMNS: Final = {
    "lead_id": ("text", "Id of the lead; see v_pipeline"),
    "v_stages.dwell_seconds": ("integer", "Seconds between both; null while it is the stage"),
    "v_decided.stage_as_occurred": (
        "text",
        "Stage code as in v_pipeline: late and corrected counted",
    ),
    "v_decided.is_different": ("boolean", "True where the two stages differ"),
    "v_touches.occurred_at": ("timestamp", "When it happened"),
    "v_conversions.converted_at": ("timestamp", "When it happened"),
    "v_conversions.amount": (
        "decimal",
        "Of a won deal what the winning event says, of an opportunity its latest; null where unknown",
    ),
    "v_opportunities.amount": ("decimal", "Latest known amount; null where unknown"),
    "v_credit.model": ("text", "Attribution model"),
    "v_credit.conversion": ("integer", "Number of the conversion of the lead; see v_conversions"),
    "v_credit.kind": ("text", "mql, sql, opportunity or won"),
    "v_credit.converted_at": ("timestamp", "When the conversion happened"),
    "v_credit.touch": ("integer", "Number of the touch of the lead, see v_touches; 0: none"),
    "v_credit.channel": ("text", "Channel of the touch; (none) where there was no touch"),
    "v_credit.source": ("text", "Marketing source of the touch"),
    "v_credit.medium": ("text", "Medium of the touch"),
    "v_credit.campaign": ("text", "Campaign of the touch"),
    "v_credit.credit": ("decimal", "Part of the conversion: 0 to 1, nine decimals"),
    "v_credit.amount": ("decimal", "Part of its amount; the parts sum to the amount exactly"),
    "v_credit.currency": ("text", "ISO 4217 code of the amount"),
    "v_accounts.account": ("text", "Registrable domain of the company; see v_pipeline"),
    "v_accounts.leads": ("integer", "Leads of the company"),
    "v_accounts.furthest_stage": ("text", "Furthest stage that one of its leads is in now"),
    "v_accounts.deals_open": ("integer", "Opportunities that are open"),
    "v_accounts.deals_won": ("integer", "Opportunities that were won last"),
    "v_accounts.owners": ("integer", "How many own a lead of it"),
    "v_accounts.first_event_at": ("timestamp", "When the first event of a lead of it happened"),
    "v_accounts.last_event_at": ("timestamp", "When the latest event of a lead of it happened"),
    "v_funnel.stage": ("text", "Stage code"),
    "v_funnel.n": ("integer", "Place in machine order, from 1"),
    "v_funnel.entered": ("integer", "Leads that ever entered the stage"),
    "v_funnel.reached": ("integer", "Leads that entered it, or a later one on the way to a deal"),
    "v_sources.channel": ("text", "Channel of the first touch; (none) where there was none"),
    "v_sources.source": ("text", "Marketing source of the first touch"),
    "v_sources.leads": ("integer", "Leads"),
    "v_sources.mql": ("integer", "Leads that ever entered mql"),
    "v_sources.sal": ("integer", "Leads that ever entered sal"),
    "v_sources.sql": ("integer", "Leads that ever entered sql"),
    "v_sources.opportunity": ("integer", "Leads that ever entered opportunity"),
    "v_sources.won": ("integer", "Leads that ever entered won"),
}
"""Type and meaning of the columns that no table has under the same name."""


# --- events -------------------------------------------------------------------------------------


def events_page() -> str:
    """Return the page of every type of event and of what every event may carry."""
    return "\n".join(_events()) + "\n"


def _events() -> Iterator[str]:
    types = describe_types()
    yield "# Events"
    yield ""
    yield (
        f"The {len(types)} types of event that leadflow knows, with the fields of `data`."
        " How to send them: [Send events](../howto/send-events.md)."
        " What is wrong is refused with field, value and mend."
    )
    yield ""
    yield (
        "- Every field is optional unless it says **required**; null means missing. Only"
        " `currency` is needed beside any `amount`."
    )
    yield "- Fields not named here are kept, and never a reason to refuse an event."
    yield "- A type not named here is kept on the lead's timeline, and earns no points."
    yield (
        "- *needs no lead*: the event needs no identifier; all others need `subject` or one of"
        " `person`'s identifiers."
    )
    yield (
        '- An amount is a text of major units (`"12.50"`) or an integer of minor units (`1250`),'
        " never a number with a fraction."
    )
    yield "- The same as JSON Schema: `leadflow schema TYPE`, all of them: `leadflow schema --all`."
    yield ""
    yield "## What every event may carry"
    for block in describe_blocks():
        yield ""
        yield f"### `{block.name}`"
        yield ""
        yield f"{block.title} {_BLOCKS.get(block.name, '')}".rstrip()
        yield ""
        yield from _table(
            ("field", "value", "meaning"),
            ((f"`{f.name}`", f.shape, _said(f.text, f.required)) for f in block.fields),
        )
    for family, members in groupby(types, key=lambda one: one.family):
        yield ""
        yield f"## Family: {family}"
        yield ""
        yield _FAMILIES[family]
        for one in members:
            yield ""
            yield f"### `{one.name}`"
            yield ""
            yield one.title + ("" if one.needs_identifier else " *Needs no lead.*")
            if one.fields:
                yield ""
                yield from _table(
                    ("field", "value", "meaning"),
                    ((f"`{f.name}`", f.shape, _said(f.text, f.required)) for f in one.fields),
                )


def _said(text: str, required: bool) -> str:
    return f"**required** {text}" if required else text


# --- tables and views ---------------------------------------------------------------------------


def data_dictionary_page() -> str:
    """Return the page of every view and table of the read models, with every column.

    Raises LookupError where a column of a view has no meaning to show.
    """
    return "\n".join(_dictionary()) + "\n"


def _dictionary() -> Iterator[str]:
    yield "# Data dictionary"
    yield ""
    yield (
        "The views and tables that answer questions. Ask the **views** (`v_...`): they show instants"
        " as timestamps and money as decimals, and the id of the lead in every row. How:"
        " [Ask in SQL](../howto/query.md)."
    )
    yield ""
    yield (
        "On PostgreSQL all of them lie in the schema `leadflow_bi`, with these words as comments."
        " On SQLite, which has neither timestamps nor decimals, a timestamp is text in UTC"
        " (`2026-01-05T09:30:00.000000Z`, which sorts by time), a decimal is text (`1250.00`), a"
        " boolean is 0 or 1."
    )
    engine = create_engine("sqlite://", poolclass=StaticPool)
    create(engine)
    with engine.connect() as connection:
        yield ""
        yield "## Views"
        for name in view_texts(engine.dialect):
            yield ""
            yield f"### `{name}`"
            yield ""
            yield f"{_VIEWS.get(name) or metadata.tables[name.removeprefix('v_')].comment}."
            yield ""
            yield from _table(("column", "type", "meaning"), _view_rows(connection, name))
    engine.dispose()
    models = [table.name for table in READ_MODELS]
    rest = [name for name in sorted(metadata.tables) if name not in models]
    yield ""
    yield "## Tables"
    yield ""
    yield (
        "What the views are made of. Instants are microseconds since 1970-01-01 UTC (`..._us`),"
        " money is minor units beside its currency (`..._minor`), flags are 0 or 1: whole numbers,"
        " nothing is a float."
    )
    for name in [*models, *rest]:
        table = metadata.tables[name]
        yield ""
        yield f"### `{name}`"
        yield ""
        yield f"{table.comment}."
        yield ""
        rows = (
            (_named(column), _sql_type(column), column.comment or "") for column in table.columns
        )
        yield from _table(("column", "type", "meaning"), rows)


def _view_rows(connection: Connection, view: str) -> Iterator[tuple[str, str, str]]:
    table = metadata.tables.get(view.removeprefix("v_"))
    for found in inspect(connection).get_columns(view):
        name = found["name"]
        type_, meaning = _VIEW_COLUMNS.get(f"{view}.{name}") or _of_table(table, name)
        yield f"`{name}`", type_, meaning


def _of_table(table: Table | None, name: str) -> tuple[str, str]:
    """Return type and meaning of the column that a view shows as *name*."""
    if table is not None:
        for suffix, type_ in (("_us", "timestamp"), ("_minor", "decimal"), ("", "")):
            column = table.columns.get(name + suffix)
            if column is None:
                continue
            said = (column.comment or "").removesuffix(" (microseconds UTC)")
            if name.startswith("is_"):
                return "boolean", f"True {said.removeprefix('1 ').removesuffix(', else 0')}"
            return type_ or _sql_type(column), said
    if name in _VIEW_COLUMNS:
        return _VIEW_COLUMNS[name]
    raise LookupError(f"the column {name} of a view of {table} has no meaning: add it here")


def _named(column: Column[object]) -> str:
    return f"`{column.name}`" + (" (key)" if column.primary_key else "")


def _sql_type(column: Column[object]) -> str:
    return "text" if column.type.python_type is str else "integer"


# --- settings -----------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the page of every setting."""
    return "\n".join(_settings()) + "\n"


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield (
        "Each setting is a variable of the environment, or a line of the file"
        f" `{FILE}` in the working directory, in lower case and without `LEADFLOW_`"
        " (`batch_size = 1000`). Strongest first: options of the command line, variables, the file,"
        " defaults. `leadflow doctor` shows what holds here and where it comes from."
    )
    yield ""
    rows = (
        (f"`{name}`", f"`{default}`" if default else "", meaning)
        for name, default, meaning in reference()
    )
    yield from _table(("variable", "default", "meaning"), rows)


# --- commands -----------------------------------------------------------------------------------


def commands_page() -> str:
    """Return the page of every command with its arguments and options."""
    return "\n".join(_commands()) + "\n"


def command_tree() -> Iterator[tuple[str, Any]]:
    """Yield name and parser of the program and of each command, groups before their members."""
    from typer.main import get_command

    from leadflow.cli import app

    waiting: list[tuple[str, Any]] = [("leadflow", get_command(app))]
    while waiting:
        name, command = waiting.pop(0)
        yield name, command
        members = getattr(command, "commands", {})
        waiting[:0] = [(f"{name} {member}", members[member]) for member in members]


def _commands() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield (
        "`leadflow COMMAND --help` says the same. Every command that answers takes `--json` and"
        " prints one document. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 done with"
        " findings, such as refused lines. Errors and progress go to the standard error."
    )
    for name, command in command_tree():
        yield ""
        yield f"## `{name}`"
        for paragraph in (command.help or "").split("\n\n"):
            yield ""
            yield " ".join(paragraph.split())
        example = (command.epilog or "").partition(": ")[2]
        if example:
            yield ""
            yield "```sh"
            yield example
            yield "```"
        rows = [
            (_parameter(one), one.help or "")
            for one in command.params
            if one.name not in ("help", "install_completion", "show_completion")
        ]
        if rows:
            yield ""
            yield from _table(("argument or option", "meaning"), rows)


def _parameter(one: Any) -> str:
    """Return how a parameter is written: ``FILE``, ``--as-of TIME``."""
    if one.param_type_name == "argument":
        return f"`{one.metavar or one.name.upper()}`"
    names = ", ".join([*one.opts, *one.secondary_opts])
    if one.is_flag:
        return f"`{names}`"
    return f"`{names} {one.metavar or one.name.upper()}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table in Markdown."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
