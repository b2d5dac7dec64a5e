"""What the pages say is what happens."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.dialects import sqlite

from consumers.contract import Malformed, parse
from leadflow.app import App
from leadflow.broker import start_broker
from leadflow.files import ingest, open_lines
from leadflow.reference import stale
from leadflow.reference_pages import command_tree
from leadflow.settings import load_settings
from projections.views import view_texts
from tests.pages import DOCS, ROOT, blocks, matches, run_page

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
CLOCK = 1_800_000_000_000_000
"""An instant after every example, microseconds UTC."""


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the names of the page's headings, as links write them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


# --- the runner ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("one\ntwo", "one\ntwo\n"),
        ("one\n...\nfour", "one\ntwo\nthree\nfour"),
        ("one\n...", "one"),
        ("...\nthree\n...\nfive", "one\ntwo\nthree\nfour\nfive"),
        ("...\ntwo\n...\ntwo", "one\ntwo\ntwo"),
        ("took ... s", "took 0.3 s"),
        ("", ""),
        ("a  b", "a  b   "),
    ],
)
def test_an_output_may_be_shortened(expected: str, printed: str) -> None:
    assert matches(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("one", "two"),
        ("one", "one\ntwo"),
        ("one\ntwo", "one"),
        ("", "one"),
        ("a.c", "abc"),
        ("one\n...\none", "one"),
        ("...\ntwo\n...\ntwo", "one\ntwo"),
        ("...\ntwo\nthree\n...", "two\none\nthree"),
    ],
)
def test_an_output_that_differs_is_noticed(expected: str, printed: str) -> None:
    assert not matches(expected, printed)


# --- pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        name, _, anchor = target.partition("#")
        if "://" in name or name.startswith("mailto:"):
            continue
        found = (page.parent / name).resolve() if name else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_names_a_place_on_a_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:home|work|tmp|root|Users)/\S*", page.read_text()) == []


def events_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the events that stand in *text* as JSON, whatever the language around them."""
    decoder = json.JSONDecoder()
    for found in re.finditer(r'\{"specversion"', text):
        yield decoder.raw_decode(text, found.start())[0]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_the_events_of_a_page_keep_the_contract(page: Path) -> None:
    for event in events_in(page.read_text()):
        if isinstance(event.get("data", {}).get("amount"), float):  # shown as what is refused
            with pytest.raises(Malformed):
                parse(json.dumps(event).encode(), (), CLOCK)
        else:
            assert event["id"] == parse(json.dumps(event).encode(), (), CLOCK).fact.id


def test_the_page_on_coverage_answers_every_point_once() -> None:
    rows = re.findall(
        r"^\| (\d+) \| .+ \| .+ \|$", (DOCS / "coverage.md").read_text(), re.MULTILINE
    )

    assert list(map(str, range(1, 105))) == rows


def test_the_glossary_explains_every_word_once() -> None:
    words = re.findall(r"^\| (\*\*.+?) \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)

    assert sorted(set(words)) == sorted(words)


def test_commands_and_views_that_pages_name_exist() -> None:
    commands = {name for name, _ in command_tree()}
    views = set(view_texts(sqlite.dialect()))
    for page in PAGES:
        words = page.read_text()
        groups = {name.split()[1] for name in commands if name.count(" ") == 2}
        for first, second in re.findall(r"`leadflow ([a-z-]+)(?: ([a-z][a-z-]*))?", words):
            name = (
                f"leadflow {first} {second}" if first in groups and second else f"leadflow {first}"
            )
            assert name in commands, page
        assert set(re.findall(r"\bv_[a-z]+\b", words)) <= views, page


# --- reference ----------------------------------------------------------------------------------


def test_the_generated_pages_are_up_to_date() -> None:
    assert stale() == [], "write them anew: python -m leadflow.reference --write"


@pytest.mark.parametrize(
    "name", [name for name, command in command_tree() if not hasattr(command, "commands")]
)
def test_every_command_has_help_and_an_example(name: str) -> None:
    command = dict(command_tree())[name]

    assert (command.help or "").strip().endswith(".")
    assert (command.epilog or "").startswith(f"Example: {name}")
    assert [one.name for one in command.params if not one.help] == []


@pytest.mark.parametrize(
    "name", [name for name, command in command_tree() if not hasattr(command, "commands")]
)
def test_every_command_is_used_on_a_page_written_by_hand(name: str) -> None:
    by_hand = [page for page in PAGES if page.parent.name != "reference"]

    assert [page for page in by_hand if name in page.read_text()] != []


# --- how-tos ------------------------------------------------------------------------------------


def asked(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each query of *page* that an answer follows, and the answer."""
    for question, answer in pairwise(blocks(page.read_text())):
        if question.language == "sql" and answer.language == "text":
            yield question.text, answer.text


def answered(connection: Connection, query: str) -> str:
    """Return the answer to *query* as the page shows it."""
    found = connection.execute(text(query))
    rows = [list(found.keys()), *([shown(value) for value in row] for row in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def shown(value: object) -> str:
    """Return a value of either database as SQLite writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return "" if value is None else str(value)


def test_the_queries_of_the_page_on_sql_are_answered_as_shown(
    database_url: str, tmp_path: Path
) -> None:
    tour = next(blocks((DOCS / "tour.md").read_text()))
    (tmp_path / tour.what).write_text(tour.text)
    with App(load_settings({"database_url": database_url})) as app:
        app.prepare()
        with open_lines(str(tmp_path / tour.what)) as stream:
            ingest(stream, app.store, app.intake())
        app.runner.catch_up()
        with app.engine.connect() as connection:
            if app.engine.dialect.name == "postgresql":
                connection.execute(text("SET search_path = leadflow_bi"))
            for query, answer in asked(DOCS / "howto/query.md"):
                assert answer == answered(connection, query)


def test_the_page_about_sending_events_is_what_happens(tmp_path: Path) -> None:
    with start_broker() as broker:
        assert run_page(DOCS / "howto/send-events.md", tmp_path, broker.bootstrap_servers) > 0


def test_the_page_for_operators_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/operate.md", tmp_path) > 0


def test_the_session_of_the_readme_is_what_happens(tmp_path: Path) -> None:
    assert run_page(ROOT / "README.md", tmp_path) > 0
