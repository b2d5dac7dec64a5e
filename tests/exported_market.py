"""What pages about examples leave behind: a simulated market in a database, and its export."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from leadflow.query import reader
from tests.pages import DOCS, run_page


@dataclass(frozen=True, slots=True)
class ExportedMarket:
    """The same market twice."""

    connection: Connection
    """Reads the read models."""
    folder: Path
    """Where the page was run."""
    export: Path
    """The views as Parquet."""


@contextmanager
def page_on_example(page: str, folder: Path) -> Iterator[ExportedMarket]:
    """Do in *folder* what a page says about an example, and yield the market that it made."""
    shutil.copytree(DOCS / "examples", folder / "docs/examples")
    assert run_page(DOCS / "howto" / page, folder) > 0
    with reader(f"sqlite:///{folder / 'market/leadflow.db'}") as connection:
        yield ExportedMarket(connection, folder, folder / "out")
