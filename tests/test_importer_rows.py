"""A CSV file is read row by row, and a bad row is named by its line, whatever the file holds."""

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadflow.importer import CsvError, read_events
from tests.importing import NOTES, cells, mapped, read, texts


@given(rows=st.lists(cells, max_size=8), delimiter=st.sampled_from(",;\t|"))
def test_a_text_in_quotes_comes_back_as_it_was_whatever_it_holds(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], delimiter: str
) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("id", "text"), *enumerate(rows)])
    rules = f"[file]\ndelimiter = {delimiter!r}\ntrim = false\n".replace("'\\t'", '"\\t"')

    found = read(tmp_path_factory.mktemp("csv"), file.getvalue(), rules + NOTES)

    assert [text or None for text in rows] == texts(found)


@given(content=st.one_of(st.binary(max_size=200), st.text('",;\n\r\0 a1é', max_size=60)))
def test_no_content_makes_the_importer_fall_over(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    whole = b"id,text\n" + (content if isinstance(content, bytes) else content.encode())
    rows = read(tmp_path_factory.mktemp("csv"), whole)

    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))
    assert all(bool(row.events) != bool(row.problems) for row in rows)


@given(plan=st.lists(st.sampled_from(["good", "two lines", "blank", "short", "nul", "quote"])))
def test_every_bad_row_is_named_by_the_line_it_begins_on(
    tmp_path_factory: pytest.TempPathFactory, plan: list[str]
) -> None:
    content = {
        "good": "1,x\n",
        "two lines": '1,"x\ny"\n',
        "blank": ",\n",
        "short": "1\n",
        "nul": "1,\0\n",
        "quote": '1,"x"y\n',
    }
    line = 2
    bad: list[int] = []
    good: list[int] = []
    for kind in plan:
        (bad if kind in {"short", "nul", "quote"} else good).append(line)
        if kind == "blank":
            good.pop()
        line += content[kind].count("\n")
    rows = read(
        tmp_path_factory.mktemp("csv"), "id,text\n" + "".join(content[kind] for kind in plan)
    )

    assert bad == [row.line for row in rows if row.problems]
    assert good == [row.line for row in rows if row.events]


def test_an_open_quote_costs_its_own_line_and_no_other(tmp_path: Path) -> None:
    many = "".join(f"{number},fine\n" for number in range(3_000))
    rows = read(tmp_path, f'id,text\n1,"open\n{many}2,"open, too\n3,fine\n')

    bad = [row for row in rows if row.problems]
    assert [2, 3003] == [row.line for row in bad]
    assert bad[0].problems[0].problem == "opens a quote that is not closed as it should be"
    assert len(rows) == 3_003


def test_a_line_without_end_costs_one_row(tmp_path: Path) -> None:
    rows = read(tmp_path, f"id,text\n1,{'x' * 3_000_000}\n2,{'x' * 70_000}\n3,fine\n")

    assert [2, 3, 4] == [row.line for row in rows]
    assert [
        ["line 2: the line has more than 1,048,576 characters; shorten it, or leave columns out"],
        [
            (
                f"line 3: '{'x' * 79}…' a cell has 70,000 characters, more than 65,536;"
                " shorten it, or leave the column out"
            )
        ],
        "fine",
    ] == texts(rows)


def test_a_row_with_too_few_or_too_many_cells_is_named(tmp_path: Path) -> None:
    rows = read(tmp_path, "id,text\n1\n2,a,b\n3,fine\n")

    assert [
        [("line 2: '1' has 1 cells where the header names 2; put cells that hold ',' in quotes,"
         " or complete the row")],
        [("line 3: '2,a,b' has 3 cells where the header names 2; put cells that hold ',' in quotes,"
         " or complete the row")],
        "fine",
    ] == texts(rows)  # fmt: skip


def test_a_byte_of_another_encoding_is_named_and_the_rest_goes_through(tmp_path: Path) -> None:
    rows = read(tmp_path, "id,text\n1,café\n2,caf".encode() + b"\xe9\n")

    assert [
        "café",
        [
            (
                "line 3: 'caf?' byte 0xe9 is not utf-8; set the encoding of the file in the map,"
                ' for example encoding = "cp1252"'
            )
        ],
    ] == texts(rows)


@pytest.mark.parametrize(
    ("encoding", "codec"), [("utf-8", "utf-8-sig"), ("cp1252", "cp1252"), ("utf-16", "utf-16")]
)
def test_marks_at_the_beginning_and_other_encodings_are_read(
    tmp_path: Path, encoding: str, codec: str
) -> None:
    rules = f'[file]\nencoding = "{encoding}"\n'

    assert ["café"] == texts(read(tmp_path, "id,text\n1,café\n".encode(codec), rules + NOTES))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "the file is empty; it needs a header row"),
        (b"\n\n", "the file is empty; it needs a header row"),
        (b"id,text,id\n", "line 1: the header names 'id' twice; rename one of the columns"),
        (b"id,te\xe9xt\n", "the header cannot be read: line 1: 'te?xt' byte 0xe9 is not utf-8"),
        (
            "id,text\n".encode("utf-16"),
            "begins with the mark of utf-16, and is read as utf-8; set encoding",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CsvError) as caught:
        read_events(path, mapped(tmp_path))

    assert f"{path}: " in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_breaks_off_inside_a_character_is_an_error_with_its_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("id,text\n1,a\n".encode("utf-16") + b"\x00\xd8\x00")
    rows = read_events(path, mapped(tmp_path, '[file]\nencoding = "utf-16"\n' + NOTES))

    with pytest.raises(CsvError, match=r"rows\.csv: line \d: cannot be read"):
        list(rows)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path, mapping = tmp_path / "rows.csv", mapped(tmp_path)
    peaks = []
    for size in (2_000, 20_000):
        with path.open("w") as file:
            file.write("id,text\n")
            file.writelines(f"{number},text number {number}\n" for number in range(size))
        tracemalloc.start()
        for _ in read_events(path, mapping):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 2 * peaks[0]
