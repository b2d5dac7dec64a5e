"""The pages of the reference on events, tables and views, commands and settings, as texts."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Column

from consumers.contract import describe_blocks, describe_types
from leadflow.settings import FILE, reference
from leadflow.store.tables import metadata as event_store
from projections.dictionary import Entry, relations

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
    """Return the page of every view and table, with every column."""
    return "\n".join(_dictionary()) + "\n"


def _dictionary() -> Iterator[str]:
    yield "# Data dictionary"
    yield ""
    yield (
        "The views and tables that answer questions. Ask the **views** (`v_...`): they show instants"
        " as timestamps and money as decimals, and the id of the lead in every row. How:"
        " [Ask in SQL](../howto/query.md) and [SQL for analysts](../howto/sql.md)."
    )
    yield ""
    yield (
        "On PostgreSQL all of them lie in the schema `leadflow_bi`, with these words as comments."
        " On SQLite, which has neither timestamps nor decimals, a timestamp is text in UTC"
        " (`2026-01-05T09:30:00.000000Z`, which sorts by time), a decimal is text (`1250.00`), a"
        " boolean is 0 or 1. The table `data_dictionary` holds this page in both."
    )
    yield ""
    yield (
        "**personal** marks what tells who somebody is or how to reach them. The role"
        " `leadflow_reader`, `leadflow query` and `leadflow export` leave tables and views that"
        " hold such columns out, unless `--personal` is said."
    )
    yield ""
    yield "## Views"
    for name, (own, columns) in relations().items():
        if own.kind == "view":
            yield from _relation(name, own, columns)
    yield ""
    yield "## Tables"
    yield ""
    yield (
        "What the views are made of. Instants are microseconds since 1970-01-01 UTC (`..._us`),"
        " money is minor units beside its currency (`..._minor`), flags are 0 or 1: whole numbers,"
        " nothing is a float."
    )
    for name, (own, columns) in relations().items():
        if own.kind == "table":
            yield from _relation(name, own, columns)
    yield ""
    yield "## The event store"
    yield ""
    yield (
        "The log and what intake keeps beside it: the schema `leadflow` on PostgreSQL. Not for"
        " asking: facts hold whatever people sent. Ask the views, or `leadflow lead timeline`."
    )
    for table in event_store.sorted_tables:
        yield ""
        yield f"### `{table.name}`"
        yield ""
        yield f"{table.comment}."
        yield ""
        rows = ((_key(c.name, c.primary_key), _stored_type(c), c.comment or "") for c in table.c)
        yield from _table(("column", "type", "meaning"), rows)


def _relation(name: str, own: Entry, columns: Iterable[Entry]) -> Iterator[str]:
    yield ""
    yield f"### `{name}`"
    yield ""
    yield f"{own.comment}."
    yield ""
    yield from _table(
        ("column", "type", "meaning"),
        (
            (
                _key(str(one.column_name), bool(one.is_key)),
                str(one.type),
                one.comment + (" **personal**" if one.is_personal else ""),
            )
            for one in columns
        ),
    )


def _key(name: str, is_key: bool) -> str:
    return f"`{name}`" + (" (key)" if is_key else "")


def _stored_type(column: Column[object]) -> str:
    kind: type = column.type.python_type
    return "text" if kind is str else "bytes" if kind is bytes else "integer"


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
