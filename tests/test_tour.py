"""The tour is what happens."""

from pathlib import Path

from tests.pages import DOCS, run_page


def test_every_command_of_the_tour_prints_what_the_tour_shows(tmp_path: Path) -> None:
    assert run_page(DOCS / "tour.md", tmp_path) > 10
