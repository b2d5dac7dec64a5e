"""The reference pages that the program writes about itself, so that they cannot be wrong.

``python -m leadflow.reference --write`` writes those under ``docs/reference`` anew, ``--check``
names those that are not up to date. To add a page, write a function that returns its text and
name it in ``PAGES``.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from leadflow.reference_pages import (
    commands_page,
    data_dictionary_page,
    events_page,
    settings_page,
)
from leadflow.reference_stages import outcomes_page, stages_page

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
"""Where the pages lie in a working copy; an installation has none."""

# --- all pages ------------------------------------------------------------------------------------

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "commands.md": commands_page,
    "data-dictionary.md": data_dictionary_page,
    "events.md": events_page,
    "settings.md": settings_page,
    "stage-outcomes.md": outcomes_page,
    "stages.md": stages_page,
}
"""File under docs/reference to the function that returns its text."""


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of the pages in *folder* that are missing or not up to date."""
    return [name for name, page in PAGES.items() if _text(folder / name) != page()]


def write(folder: Path = FOLDER) -> list[str]:
    """Write the pages that are not up to date; return their names. Raises OSError."""
    names = stale(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(PAGES[name](), encoding="utf-8")
    return names


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the pages; return the exit code: 0 done, 1 when a page is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m leadflow.reference", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="name the pages to write anew")
    action.add_argument("--write", action="store_true", help="write them")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they lie")
    chosen = parser.parse_args(arguments)
    if chosen.write:
        for name in write(chosen.folder):
            print(f"wrote {chosen.folder / name}")
        return 0
    names = stale(chosen.folder)
    for name in names:
        print(f"{chosen.folder / name} is not up to date: python -m leadflow.reference --write")
    return 1 if names else 0


if __name__ == "__main__":
    raise SystemExit(main())
