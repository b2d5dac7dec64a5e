"""The page on the pipeline says what happens."""

from pathlib import Path

from sqlalchemy import create_engine

from tests.pages import DOCS, run_page
from tests.test_docs import answered, asked


def test_the_page_on_the_pipeline_is_what_happens(tmp_path: Path) -> None:
    page = DOCS / "howto" / "pipeline.md"

    assert run_page(page, tmp_path) > 5
    engine = create_engine(f"sqlite:///{tmp_path}/market/leadflow.db")
    with engine.connect() as connection:
        for query, answer in asked(page):
            assert answer == answered(connection, query)
    engine.dispose()
