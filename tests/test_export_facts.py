"""The log as Parquet: complete, in order, divided by hash, and the same bytes every time."""

from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from domain.events import Event
from leadflow.app import App
from leadflow.export_facts import MERGED, PersonalDataRefused, export_facts, part_path
from leadflow.export_files import ExportRefused, read_manifest, verify
from leadflow.policies import policy_of
from leadflow.store.codec import decode
from tests.exporting import open_filled


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Any:
    with open_filled(database_url, tmp_path, projected=False) as app:
        yield app


def events_in(folder: Path, bucket: int) -> dict[str, list[Event]]:
    rows = pq.read_table(folder / part_path(bucket)).to_pylist()
    return {
        stream: [decode(row["name"], row["state"]) for row in group]
        for stream, group in groupby(rows, key=lambda row: row["stream"])
    }


def test_every_bucket_holds_the_streams_that_the_store_gives_for_it(
    app: App, tmp_path: Path
) -> None:
    manifest = export_facts(app.store, app.rules, tmp_path / "out", 4, personal=True)

    head = app.store.head()
    for bucket in range(4):
        expected = dict(app.store.all_streams(head, bucket, 4))
        assert expected == events_in(tmp_path / "out", bucket)
    assert (head, app.store.counts()["events"]) == (manifest["position"], manifest["events"])
    merged = pq.read_table(tmp_path / "out" / MERGED).to_pylist()
    assert app.store.merged() == {row["stream"]: row["into"] for row in merged}
    assert merged, "the example holds a merge, or this shows little"


def test_rows_come_by_stream_and_version_with_the_types_agreed(app: App, tmp_path: Path) -> None:
    export_facts(app.store, app.rules, tmp_path / "out", personal=True)

    table = pq.read_table(tmp_path / "out" / part_path(0))
    keys = list(zip(*(table[name].to_pylist() for name in ("stream", "version")), strict=True))
    assert sorted(keys) == keys
    assert "int64 string int32 string binary" == " ".join(str(field.type) for field in table.schema)
    assert sorted(table["position"].to_pylist()) == [row[0] for row in app.store.rows_after(0, 999)]


def test_two_exports_of_one_log_are_the_same_bytes_and_prove_it(app: App, tmp_path: Path) -> None:
    one = export_facts(app.store, app.rules, tmp_path / "one", 2, personal=True)
    other = export_facts(app.store, app.rules, tmp_path / "other", 2, personal=True)

    assert one == other == read_manifest(tmp_path / "one")
    assert [] == verify(tmp_path / "one")


def test_the_policy_that_nobody_published_is_in_the_manifest(app: App, tmp_path: Path) -> None:
    base = export_facts(app.store, app.rules, tmp_path / "out", personal=True)["base_policy"]

    assert app.policy == policy_of(base["document"])


def test_facts_are_not_exported_unless_personal_data_may_be(app: App, tmp_path: Path) -> None:
    with pytest.raises(PersonalDataRefused, match="--personal"):
        export_facts(app.store, app.rules, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_but_an_export_is_ever_replaced(app: App, tmp_path: Path) -> None:
    export_facts(app.store, app.rules, tmp_path / "out", personal=True)
    with pytest.raises(ExportRefused, match="--force"):
        export_facts(app.store, app.rules, tmp_path / "out", personal=True)
    export_facts(app.store, app.rules, tmp_path / "out", 2, personal=True, force=True)
    assert 2 == read_manifest(tmp_path / "out")["buckets"]

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportRefused, match="does not remove"):
        export_facts(app.store, app.rules, tmp_path / "mine", personal=True, force=True)
    assert "years of work" == (tmp_path / "mine" / "thesis.txt").read_text()


def test_an_export_that_fails_leaves_what_was_there(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = export_facts(app.store, app.rules, tmp_path / "out", personal=True)

    def fail(*_: Any) -> Any:
        raise OSError("no space left")

    monkeypatch.setattr(app.store, "rows_by_stream", fail)
    with pytest.raises(OSError, match="no space"):
        export_facts(app.store, app.rules, tmp_path / "out", personal=True, force=True)

    assert before == read_manifest(tmp_path / "out")
    assert [] == verify(tmp_path / "out")
    assert [] == [path for path in tmp_path.iterdir() if path.name.startswith(".out")]
