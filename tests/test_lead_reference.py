"""The pages that the program writes are those in docs/reference."""

from pathlib import Path

import pytest

from domain.aliases import ALIASES, NOTES
from domain.guards import GUARDS
from domain.stage_cards import cards_of
from domain.stages import PACKS, STAGES, Pack
from leadflow.reference import FOLDER, PAGES, main, stale, write
from leadflow.reference_stages import stages_page


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
    assert page.read_text() == stages_page()


def part_of(pack: Pack) -> str:
    """Return the page of stages from the heading of *pack* to the next one."""
    return stages_page().partition(f"### `{pack.name}`\n")[2].partition("\n##")[0]


@pytest.mark.parametrize("pack", PACKS.values(), ids=lambda pack: pack.name)
def test_the_page_of_stages_shows_every_move_and_arrow_of_a_pack(pack: Pack) -> None:
    part = part_of(pack)
    diagram = part.partition("```mermaid")[2]

    for move in pack.table:
        assert f"| `{move.rule}` |" in part
        assert f": {move.rule}\n" in diagram
        assert f"--> {move.to}: " in diagram


def test_the_page_of_stages_shows_the_five_fields_of_every_stage_and_its_other_names() -> None:
    page = stages_page()

    for pack in PACKS.values():
        for stage, card in cards_of(pack).items():
            fields = (card.definition, card.interest, card.activities, card.department, card.goal)
            assert f"| `{stage}` | {' | '.join(fields)} |" in page
    for names in ALIASES.values():
        for name in names:
            assert name in page
    for note in NOTES:
        assert f"- **{note}**: " in page
    assert set(cards_of(PACKS["default"])) == set(STAGES)


def test_every_guard_is_that_of_a_move() -> None:
    assert {move.guard for pack in PACKS.values() for move in pack.table} - {None} == set(GUARDS)
