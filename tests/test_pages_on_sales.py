"""The pages on forecasts and on clean data say what happens."""

from pathlib import Path

from tests.pages import DOCS, run_page


def test_the_page_about_the_worth_of_the_pipeline_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/forecast.md", tmp_path) > 0


def test_the_page_about_clean_data_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/hygiene.md", tmp_path) > 0
