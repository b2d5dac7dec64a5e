"""A fold beside the database makes the rows of the database: in processes, and in Spark."""

import shutil
from functools import partial
from hashlib import sha256
from operator import floordiv, mul
from pathlib import Path
from random import Random

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.book import PolicyBook
from leadflow.export_facts import export_facts
from leadflow.export_files import ExportRefused
from leadflow.fold import Folded
from leadflow.fold_files import FactsExport
from leadflow.fold_pool import fold_in_processes
from leadflow.fold_spark import fold_in_spark, spark_session
from projections.lines import digest_of, lines_of
from projections.rows import Rows
from projections.runner import Runner
from projections.workers import WorkerFailed, shared
from tests.command_line import CommandLine
from tests.projections_kit import read_model_database
from tests.reliability import kit
from tests.reliability.rebuild_live import take_in
from tests.reliability.small import small_log


def exported(folder: Path, template: Path, seed: int, buckets: int) -> dict[str, str]:
    """Export a log of several people, merges and corrections; return the digests of its rows."""
    url = kit.new_sqlite(folder, template)
    values = [value for n in range(4) for value in small_log(seed + n, 40) if value is not None]
    Random(seed).shuffle(values)
    take_in(url, values, batch=50, pause=0)
    with kit.opened(url) as store:
        book = PolicyBook(kit.policy())
        export_facts(store, book, folder / "facts", buckets, personal=True)
        runner = Runner(read_model_database(), store, book)
        runner.catch_up()
        digests = runner.digest()
        runner.engine.dispose()
    return digests


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 7]))
@settings(max_examples=8)
def test_any_number_of_buckets_folds_to_the_digests_of_the_database(
    sqlite_template: Path, seed: int, buckets: int
) -> None:
    with kit.quick_folder() as folder:
        expected = exported(folder, sqlite_template, seed, buckets)

        folded = fold_in_processes(FactsExport(folder / "facts"), 1)

        assert expected == folded.read_models


def test_several_processes_fold_to_the_same_and_write_the_rows(
    folder: Path, sqlite_template: Path
) -> None:
    expected = exported(folder, sqlite_template, 1, 3)
    (folder / "rows").mkdir()
    told: list[int] = []

    folded = fold_in_processes(FactsExport(folder / "facts"), 2, folder / "rows", told.append)

    assert expected == folded.read_models
    assert folded.events == told[-1]
    check_rows(folded, folder / "rows")
    assert not list((folder / "rows").glob(".*"))


def check_rows(folded: Folded, to: Path) -> None:
    """Assert that the Parquet files hold as many rows as were folded, by the id of the lead."""
    for name, count in folded.rows.items():
        paths = sorted((to / name).glob("*.parquet"))
        tables = [pyarrow.parquet.ParquetFile(path).read() for path in paths]
        assert count == sum(table.num_rows for table in tables), name
    pipeline = pyarrow.parquet.read_table(min((to / "pipeline").glob("*.parquet")))
    assert "lead_no" not in pipeline.column_names
    assert pipeline["lead_id"].null_count == 0
    assert "int64" == str(pipeline.schema.field("events").type)


@pytest.fixture
def quick_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Java start quickly, for it lives for seconds only."""
    options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", options)


@pytest.mark.usefixtures("quick_java")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning")
def test_spark_folds_to_the_digests_of_the_database(folder: Path, sqlite_template: Path) -> None:
    """Families whose streams lie in several files meet in one partition."""
    expected = exported(folder, sqlite_template, 2, 3)
    export = FactsExport(folder / "facts")
    assert export.roots()
    session = spark_session("local[2]", 2)
    try:
        folded = fold_in_spark(export, session, 2, folder / "rows")
    finally:
        session.stop()

    assert expected == folded.read_models
    check_rows(folded, folder / "rows")
    assert fold_in_processes(export, 1) == folded


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def test_the_command_folds_what_export_writes(leadflow: CommandLine) -> None:
    event = kit.sent("e1", email="ada@example.com", at=5)
    leadflow("ingest", leadflow.write("one.jsonl", event.decode() + "\n"))
    leadflow("project")
    leadflow("export", "--facts", "--personal", "--by-lead-hash", "2", "--to", "facts")

    found = leadflow.json("fold", "--from", "facts", "--digest")

    assert leadflow.json("digest")["read_models"] == found["read_models"]
    assert (1, 1) == (found["leads"], found["rows"]["pipeline"])


def test_an_export_that_was_changed_is_not_folded(folder: Path, sqlite_template: Path) -> None:
    exported(folder, sqlite_template, 1, 2)
    export = FactsExport(folder / "facts")
    shutil.copyfile(export.part(0), export.part(1))

    with pytest.raises(ExportRefused, match="not what its manifest says"):
        export.check()


def test_nothing_folds_to_the_digest_of_nothing() -> None:
    assert all(not lines for _, lines in lines_of(Rows()))
    assert digest_of(()) == sha256(b"").hexdigest()


# --- processes that share tasks -------------------------------------------------------------------


def test_processes_do_every_task_once_and_tell_what_fails() -> None:
    twice = partial(partial, mul, 2)
    tenth = partial(partial, floordiv, 10)
    for count, error in ((1, ZeroDivisionError), (2, WorkerFailed)):
        assert [(n, 2 * n) for n in range(7)] == sorted(shared(count, twice, range(7)))
        with pytest.raises(error, match="by zero"):
            list(shared(count, tenth, [5, 0]))
