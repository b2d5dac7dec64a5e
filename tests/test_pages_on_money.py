"""What the page about economics says is what happens."""

from pathlib import Path

from tests.pages import DOCS, run_page


def test_the_page_about_economics_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/economics.md", tmp_path) > 0
