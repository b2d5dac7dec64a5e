"""The pages that the program writes are those in docs/reference."""

from pathlib import Path

import pytest

from domain.guards import GUARDS
from domain.stages import MOVES, STAGES
from leadflow.reference import FOLDER, PAGES, main, stages, stale, write


def test_the_reference_is_up_to_date() -> None:
    assert stale() == [], "run python -m leadflow.reference --write"


def test_no_page_of_the_reference_is_written_by_hand() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_a_page_that_was_changed_by_hand_is_named_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ["--folder", str(tmp_path / "reference")]

    assert main(["--check", *folder]) == 1
    assert main(["--write", *folder]) == 0
    assert main(["--check", *folder]) == 0
    page = tmp_path / "reference" / "stages.md"
    page.write_text("by hand")
    capsys.readouterr()
    assert main(["--check", *folder]) == 1
    assert capsys.readouterr().out.startswith(f"{page} is not up to date")
    assert write(page.parent) == ["stages.md"]
    assert page.read_text() == stages()


def test_the_page_of_stages_shows_every_stage_move_and_arrow() -> None:
    page = stages()
    diagram = page.partition("```mermaid")[2]

    for move in MOVES:
        assert f"| `{move.rule}` |" in page
        assert f": {move.rule}\n" in diagram
    for stage in STAGES:
        assert f"| `{stage}` |" in page
        assert f"--> {stage}:" in diagram
    assert {move.guard for move in MOVES} - {None} == set(GUARDS)
