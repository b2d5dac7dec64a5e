"""Cells of CSV: exact, told apart, and never a formula."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadflow.csv_cells import csv_cell, csv_line, plain


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=SUM(A1)", "'=SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\N{FULLWIDTH EQUALS SIGN}SUM(A1)", "'\N{FULLWIDTH EQUALS SIGN}SUM(A1)"),
        ("\N{FULLWIDTH PLUS SIGN}1", "'\N{FULLWIDTH PLUS SIGN}1"),
        ("\N{FULLWIDTH HYPHEN-MINUS}1", "'\N{FULLWIDTH HYPHEN-MINUS}1"),
        ("\N{FULLWIDTH COMMERCIAL AT}x", "'\N{FULLWIDTH COMMERCIAL AT}x"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}", "\N{FULLWIDTH LATIN SMALL LETTER A}"),
        ("\rx", '"\'\rx"'),
        ('=a"b,c', '"\'=a""b,c"'),
        ("-12.05", "-12.05"),
        (-12, "-12"),
        (Decimal("-0.000000001"), "-0.000000001"),
        (None, ""),
        ("", '""'),
        (True, "true"),
        (datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01T00:00:00.000000Z"),
        (b"\x01\xff", "01ff"),
    ],
)
def test_a_cell_is_what_it_should_be(value: Any, cell: str) -> None:
    assert cell == csv_cell(value)


@given(st.lists(st.one_of(st.none(), st.integers(), st.text()), min_size=2))
def test_a_line_reads_back_and_no_text_of_it_is_a_formula(values: list[Any]) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(values), newline=""))

    for value, cell in zip(values, row, strict=True):
        expected = "" if value is None else str(value)
        assert cell in (expected, f"'{expected}")
        if isinstance(value, str) and not value.lstrip("+-").replace(".", "", 1).isdecimal():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_what_json_cannot_say_is_text() -> None:
    assert ["inf", 1.5, "1000", [1, "2.5"]] == [
        plain(float("inf")),
        plain(1.5),
        plain(Decimal("1E+3")),
        plain([1, Decimal("2.5")]),
    ]
