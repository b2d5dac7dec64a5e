"""A file is a stream: read from any position, resumed where it stopped, never counted twice."""

import gzip
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.intake import Intake, Outcome
from leadflow.files import (
    LONGEST_LINE,
    FileUnreadable,
    Line,
    Stopped,
    ingest,
    occurred_at,
    open_lines,
)
from leadflow.policies import load_policy
from leadflow.store import migrate, open_store
from leadflow.store.base import Store
from tests.command_line import event

EVENTS = [
    event(str(n), "page.viewed", f"2025-03-01T09:00:{n:02}Z", {"url": f"/{n}"}) for n in range(20)
]


@pytest.fixture
def store(sqlite_database: str) -> Iterator[Store]:
    migrate.upgrade(sqlite_database)
    store = open_store(sqlite_database)
    yield store
    store.close()


def _file(folder: Path, *lines: str | bytes, end: bytes = b"\n") -> str:
    path = folder / "events.jsonl"
    path.write_bytes(
        end.join(line if isinstance(line, bytes) else line.encode() for line in lines) + end
    )
    return str(path)


def _lines(path: str, start: int = 0) -> list[Line]:
    with open_lines(path) as stream:
        return list(stream.read(start))


def _ingest(store: Store, path: str, **options: Any) -> Outcome:
    with open_lines(path) as stream:
        return ingest(stream, store, Intake(store, load_policy()), **options)


@given(
    st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=12),
    st.booleans(),
    st.integers(0, 12),
)
def test_reading_from_a_position_is_the_rest_of_reading_it_all(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ends: bool, start: int
) -> None:
    path = tmp_path_factory.mktemp("files") / "lines.jsonl"
    content = b"\n".join(lines) + (b"\n" if ends and lines else b"")
    path.write_bytes(content)
    whole = _lines(str(path))
    with open_lines(str(path)) as stream:
        assert len(whole) == stream.end
    assert whole[start:] == _lines(str(path), start)
    assert list(range(len(whole))) == [line.position for line in whole]
    if not content.startswith((b"\xef\xbb\xbf", b"\x1f\x8b")):
        assert content.splitlines(keepends=False) is not None
        assert [line.strip() or None for line in content.split(b"\n")][: len(whole)] == [
            line.value for line in whole
        ]


def test_blank_lines_line_ends_and_a_byte_order_mark_make_no_difference(tmp_path: Path) -> None:
    path = _file(tmp_path, b'\xef\xbb\xbf{"a":1}', b"", b"  ", b'{"b":2}', end=b"\r\n")
    assert [(1, b'{"a":1}'), (2, None), (3, None), (4, b'{"b":2}')] == [
        (line.number, line.value) for line in _lines(path)
    ]


def test_a_packed_file_is_the_same_stream(tmp_path: Path) -> None:
    plain = _file(tmp_path, *map(json.dumps, EVENTS))
    packed = tmp_path / "events.jsonl.gz"
    packed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    with open_lines(plain) as one, open_lines(str(packed)) as other:
        assert (one.name, one.end) == (other.name, other.end)
        assert list(one.read(3)) == list(other.read(3))


def test_a_packed_file_that_ends_too_early_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"x" * 100_000)[:-20])
    with pytest.raises(FileUnreadable, match=r"events\.jsonl\.gz: the gzip file is broken"):
        _lines(str(path))


def test_standard_input_is_the_same_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, *map(json.dumps, EVENTS))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(path).read_bytes())))
    with open_lines(path) as one, open_lines("-") as other:
        assert one.name == other.name
        assert list(one.read(0)) == list(other.read(0))


def test_a_line_beyond_every_limit_costs_no_memory_and_is_refused(
    tmp_path: Path, store: Store
) -> None:
    path = _file(tmp_path, b"x" * (3 * LONGEST_LINE), json.dumps(EVENTS[0]))
    long, good = _lines(path)
    assert long.value is not None
    assert LONGEST_LINE == len(long.value)
    assert good.value == json.dumps(EVENTS[0]).encode()
    outcome = _ingest(store, path)
    assert (1, 1) == (outcome.accepted, outcome.dead_letters)
    assert ["too_large"] == [letter.reason for _, _, letter in store.dead_letters()]


@pytest.mark.parametrize("batch", [1, 3, 7, 5_000])
def test_the_size_of_a_batch_changes_nothing(tmp_path: Path, store: Store, batch: int) -> None:
    path = _file(tmp_path, *map(json.dumps, EVENTS))
    reached: list[int] = []
    outcome = _ingest(
        store, path, batch=batch, on_progress=lambda _, position: reached.append(position)
    )
    assert (20, 20, 1) == (outcome.read, outcome.accepted, outcome.leads)
    assert 20 == reached[-1]
    assert -(-20 // batch) == len(reached)


def test_an_interrupted_run_resumes_where_it_stopped(tmp_path: Path, store: Store) -> None:
    path = _file(tmp_path, *map(json.dumps, EVENTS))
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Stopped, match="stopped at position 10"):
        _ingest(store, path, batch=5, stop=stop)
    outcome = _ingest(store, path, batch=5)
    assert (10, 10, 0) == (outcome.read, outcome.accepted, outcome.duplicates)
    assert {0: 20} == store.positions(open_name(path))


def open_name(path: str) -> str:
    """Return the name of the file's stream."""
    with open_lines(path) as stream:
        return stream.name


def test_a_whole_file_read_again_is_all_duplicates(tmp_path: Path, store: Store) -> None:
    path = _file(tmp_path, *map(json.dumps, EVENTS))
    _ingest(store, path)
    for _ in range(2):
        outcome = _ingest(store, path, batch=6)
        assert (20, 0, 20) == (outcome.read, outcome.accepted, outcome.duplicates)


def test_an_empty_file_is_no_error(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"")
    for _ in range(2):
        assert 0 == _ingest(store, str(path)).read


def test_the_same_content_elsewhere_is_the_same_stream(tmp_path: Path) -> None:
    path = _file(tmp_path, *map(json.dumps, EVENTS))
    other = tmp_path / "copy.jsonl"
    other.write_bytes(Path(path).read_bytes())
    assert open_name(path) == open_name(str(other))
    other.write_bytes(Path(path).read_bytes() + b"\n")
    assert open_name(path) != open_name(str(other))


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"{}", b'{"time": 3}', b'{"time": "soon"}', b"\xff", b'{"time": "20']
)
def test_an_event_without_a_readable_time_gets_the_present(value: bytes) -> None:
    assert 77 == occurred_at(value, 77)


def test_the_time_of_an_event_is_its_own_and_not_one_inside_it() -> None:
    value = b'{"data": {"time": "2030-01-01T00:00:00Z"}, "time": "1970-01-01T00:00:01Z"}'
    assert 1_000_000 == occurred_at(value, 77)
