"""Read models as files: exact, typed, sorted, and the same bytes wherever the same log lies."""

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine

from leadflow import export_relations as module
from leadflow.app import App
from leadflow.export_files import ColumnsMissing, ExportRefused, verify
from leadflow.export_relations import RelationRefused, export_relations, exportable
from leadflow.query import reader
from projections.as_of import as_of_engine
from projections.runner import Runner
from tests.exporting import SEARCH, open_filled, tells_who


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Yield an application whose rows no test changes, once on each database."""
    folder = tmp_path_factory.mktemp("export")
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'leadflow.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(request.getfixturevalue("postgres_server").database())
        yield stack.enter_context(open_filled(url, folder))


def export(app: App, to: Path, form: str = "parquet", **options: Any) -> dict[str, Any]:
    with reader(app.settings.database_url) as connection:
        return export_relations(connection, to, form, options.pop("names", None), **options)


def hashes(manifest: dict[str, Any]) -> dict[str, str]:
    return {one["path"]: one["sha256"] for one in manifest["files"]}


_SEEN: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_exports_are_the_same_bytes_twice_and_on_both_databases(
    app: App, tmp_path: Path, form: str
) -> None:
    every = exportable(personal=True)
    first = export(app, tmp_path / "one", form, names=every, personal=True)
    again = export(app, tmp_path / "two", form, names=every, personal=True)

    assert hashes(first) == hashes(again)
    assert hashes(first) == _SEEN.setdefault(form, hashes(first))
    assert [] == verify(tmp_path / "one")


def test_what_is_made_in_one_go_is_exported_as_what_grew(app: App, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    other = Runner(engine, app.store, app.policy)
    other.create()
    other.catch_up(3)
    with engine.connect() as connection:
        grown = export_relations(connection, tmp_path / "grown", "parquet")
    engine.dispose()

    assert hashes(grown) == hashes(export(app, tmp_path / "made"))


def test_parquet_keeps_types_and_exact_values(app: App, tmp_path: Path) -> None:
    export(app, tmp_path / "out")
    won = pq.read_table(tmp_path / "out" / "v_conversions.parquet")
    kinds = {field.name: str(field.type) for field in won.schema}
    rows = [row for row in won.to_pylist() if row["kind"] == "won"]

    assert {
        "lead_id": "string",
        "n": "int64",
        "kind": "dictionary<values=string, indices=int32, ordered=0>",
        "converted_at": "timestamp[us, tz=UTC]",
        "amount": "decimal128(38, 4)",
    }.items() <= kinds.items()
    assert {("EUR", Decimal("123.45")), ("JPY", Decimal(12348)), ("KWD", Decimal("12.351"))} == {
        (row["currency"], row["amount"]) for row in rows
    }
    assert datetime(2026, 3, 1, 13, tzinfo=UTC) in {row["converted_at"] for row in rows}
    assert "bool" == str(
        pq.read_schema(tmp_path / "out" / "v_touches.parquet").field("is_collapsed").type
    )
    comment = won.schema.field("kind").metadata[b"comment"]
    assert b"mql" in comment


def test_other_programs_read_all_three_formats_alike(app: App, tmp_path: Path) -> None:
    for form in ("parquet", "arrow", "csv"):
        export(app, tmp_path / form, form, names=["v_stages"])
    parquet = pl.read_parquet(tmp_path / "parquet" / "v_stages.parquet")
    arrow = pl.read_ipc(tmp_path / "arrow" / "v_stages.arrow")
    plain = pl.read_csv(tmp_path / "csv" / "v_stages.csv")

    assert parquet.height > 0
    assert parquet.equals(arrow)
    assert parquet["stage"].cast(str).to_list() == plain["stage"].to_list()


def test_rows_are_sorted_by_the_key_and_groups_have_a_fixed_size(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 5)
    export(app, tmp_path / "out", names=["v_stages", "stages"])
    for name in ("v_stages", "stages"):
        file = pq.ParquetFile(tmp_path / "out" / f"{name}.parquet")
        rows = file.read().to_pylist()
        keys = [(row["lead_id"], row["n"]) for row in rows]
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]

        assert sorted(keys) == keys
        assert {5} == set(sizes[:-1]), sizes
        assert "lead_no" not in rows[0]
    monkeypatch.setattr(module, "ROWS", 7)
    export(app, tmp_path / "arrow", "arrow", names=["v_stages"])
    with pa.ipc.open_file(tmp_path / "arrow" / "v_stages.arrow") as other:
        assert pq.read_table(tmp_path / "out" / "v_stages.parquet").to_pylist() == (
            other.read_all().to_pylist()
        )


def test_csv_has_every_row_and_runs_no_formula(app: App, tmp_path: Path) -> None:
    manifest = export(app, tmp_path / "out", "csv", names=["v_touches", "v_pipeline"])
    with (tmp_path / "out" / "v_touches.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == manifest["relations"][0]["rows"] > 0
    assert f"'{SEARCH['campaign']}" in {row["campaign"] for row in rows}
    assert {"true", "false"} >= {row["is_collapsed"] for row in rows}
    with (tmp_path / "out" / "v_pipeline.csv").open(newline="") as file:
        assert "Änn\n\\a" in {row["owner"] for row in csv.DictReader(file)}


def test_personal_data_leaves_only_when_it_is_asked_for(app: App, tmp_path: Path) -> None:
    manifest = export(app, tmp_path / "out", "csv")
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert not tells_who(written)
    assert not manifest["personal"]
    with pytest.raises(RelationRefused, match="--personal"):
        export(app, tmp_path / "no", names=["v_people"])
    assert not (tmp_path / "no").exists()

    assert export(app, tmp_path / "all", "csv", personal=True)["personal"]
    assert tells_who((tmp_path / "all" / "v_people.csv").read_text())


def test_the_manifest_says_what_the_files_are(app: App, tmp_path: Path) -> None:
    manifest = export(app, tmp_path / "out", names=["v_pipeline"], said={"as_of": None})
    document = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (relation,) = document["relations"]

    assert manifest == document
    assert (12, app.runner.checkpoint()) == (relation["rows"], document["position"])
    assert relation["columns"][0] == {
        "name": "lead_id",
        "type": "string",
        "unit": None,
        "key": True,
        "personal": False,
        "comment": "Id of the lead: UUIDv5 of the identifier it was first known by",
    }


def test_a_changed_missing_or_added_file_is_found(app: App, tmp_path: Path) -> None:
    export(app, tmp_path / "out", "csv", names=["v_pipeline", "v_stages"])
    with (tmp_path / "out" / "v_pipeline.csv").open("a") as file:
        file.write("x")
    (tmp_path / "out" / "v_stages.csv").unlink()
    (tmp_path / "out" / "more.csv").touch()

    assert [
        ("more.csv", "unknown"),
        ("v_pipeline.csv", "changed"),
        ("v_stages.csv", "missing"),
    ] == [(one.path, one.problem) for one in verify(tmp_path / "out")]
    with pytest.raises(ExportRefused, match="no export"):
        verify(tmp_path)


def test_what_cannot_be_exported_is_told_with_what_is_near(app: App, tmp_path: Path) -> None:
    for names, words in (
        (["v_pipelines"], "did you mean v_pipeline"),
        (["lead_streams"], "means nothing outside"),
    ):
        with pytest.raises(RelationRefused, match=words):
            export(app, tmp_path / "out", names=names)
    with pytest.raises(RelationRefused, match="parquet, csv, arrow"):
        export(app, tmp_path / "out", "xlsx")


def test_the_models_as_they_were_can_be_exported(app: App, tmp_path: Path) -> None:
    engine = as_of_engine(app.store, app.rules, as_of=1_772_400_000_000_000)
    with engine.connect() as connection:
        export_relations(connection, tmp_path / "out", "parquet", ["v_pipeline"])
    engine.dispose()

    assert 2 == pq.read_metadata(tmp_path / "out" / "v_pipeline.parquet").num_rows


def test_csv_needs_no_other_package(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Any:
        raise ColumnsMissing("pip install 'leadflow[columns]'")

    monkeypatch.setattr(module, "pyarrow", missing)
    export(app, tmp_path / "out", "csv", names=["v_funnel"])
    with pytest.raises(ColumnsMissing, match=r"leadflow\[columns\]"):
        export(app, tmp_path / "other", names=["v_funnel"])


def test_an_export_leaves_its_connection_as_it_was(app: App, tmp_path: Path) -> None:
    """Options that stay with a connection would change how others read from it."""
    with reader(app.settings.database_url) as connection:
        before = connection.get_execution_options()
        export_relations(connection, tmp_path / "out", "csv")

        assert before == connection.get_execution_options()
