"""The pages on corrections, on duplicates and on who is who say what happens."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.pages import DOCS, run_page
from tests.test_docs import answered, asked


@pytest.mark.parametrize("name", ["correct.md", "duplicates.md", "identity.md"])
def test_the_page_is_what_happens(name: str, tmp_path: Path) -> None:
    page = DOCS / "howto" / name

    assert run_page(page, tmp_path) > 0
    with create_engine(f"sqlite:///{tmp_path}/leadflow.db").connect() as connection:
        for query, answer in asked(page):
            assert answer == answered(connection, query)
