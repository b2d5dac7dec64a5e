"""What the importer's tests share: a small map, and what becomes of a small file."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from leadflow.importer import Mapping, RowEvents, load_mapping, read_events

HEAD = """\
source = "/import/test"
zone = "Europe/Berlin"
"""
NOTES = """
[[events]]
name = "note"
type = "note.added"
[events.fields]
subject = "id"
time = { constant = 2024-01-01T00:00:00Z }
data.text = "text"
"""


def mapped(folder: Path, text: str = NOTES) -> Mapping:
    path = folder / "map.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return load_mapping(path)


def read(folder: Path, content: str | bytes, text: str = NOTES) -> list[RowEvents]:
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_events(path, mapped(folder, text)))


def texts(rows: list[RowEvents]) -> list[Any]:
    """Return the text of the note that each row became, or its problems."""
    found: list[Any] = []
    for row in rows:
        event: Any = row.events[0] if row.events else None
        problems = [str(problem) for problem in row.problems]
        found.append(event["data"].get("text") if event else problems)
    return found


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
"""Any text that a cell may hold."""
