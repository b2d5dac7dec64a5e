"""What the page about importing says is what happens."""

import re
from pathlib import Path

from leadflow.importer import dry_run, load_mapping
from leadflow.importer.cells import ColumnRules
from leadflow.importer.mapping_rules import Condition, EventRules, FileRules, LookupRules, Mapping

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "import-csv.md").read_text()


def block(language: str) -> str:
    """Return the first fenced block of *language* on the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None

    return found[1]


def test_the_dry_run_of_the_page_prints_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(block("csv"))
    (tmp_path / "leads.toml").write_text(block("toml"))
    report = dry_run(tmp_path / "leads.csv", load_mapping(tmp_path / "leads.toml"))

    assert block("text").splitlines() == list(report.lines())


def test_every_key_of_a_map_is_on_the_page() -> None:
    models = (Mapping, FileRules, ColumnRules, LookupRules, EventRules, Condition)
    keys = {field.alias or name for model in models for name, field in model.model_fields.items()}

    assert {key for key in keys if not re.search(rf"\b{key}\b", PAGE)} == set()
