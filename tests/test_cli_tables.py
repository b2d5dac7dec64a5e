"""What tables show: every cell in full, however narrow the terminal is."""

import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadflow.cli.frame import table
from leadflow.cli.layout import Table, Uncropped
from tests.command_line import CommandLine, command_line

QUESTIONS = [
    "accounts",
    "attribution --model linear --by campaign",
    "channels",
    "cohorts --steps captured,mql",
    "curve --from-stage captured --to-stage mql",
    "digest",
    "economics --by campaign --model first --gross-margin 0.6",
    "forecast --months 3",
    "funnel --by channel --steps captured,mql,sql,won",
    "handoffs",
    "hygiene",
    "pipeline --by channel",
    "pipeline --every month",
    "pipeline --stuck 5",
    "query --describe v_pipeline",
    "query 'SELECT *, 1234567890123456789 AS n FROM v_pipeline LIMIT 2'",
    "rebuild --workers 1",
    "sources --by campaign",
    "speed",
    "stage-graph",
    "stages",
    "status",
    "velocity --by owner",
    "win",
    "win-rate --by owner",
]
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
THREE = "1,011,248.62 EUR, 42,722,100 JPY, 694,427.49 USD"


def printed(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int | None) -> list[str]:
    """Return the lines of a table on a terminal *width* wide; None is a pipe."""
    to = io.StringIO()
    Uncropped(file=to, force_terminal=width is not None, width=width or 140, no_color=True).print(
        table(None, columns, rows)
    )
    return ESCAPES.sub("", to.getvalue()).splitlines()


# --- one table ----------------------------------------------------------------------------------


def test_a_wide_table_runs_over_rather_than_lose_a_digit() -> None:
    assert [
        "lead                                      amount",
        "a856ede9-c8d1-525e-85d7-6d6476bb37ed  132,030.00",
    ] == printed(["=lead", ">amount"], [("a856ede9-c8d1-525e-85d7-6d6476bb37ed", "132,030.00")], 20)


def test_several_amounts_go_one_per_line_where_one_line_is_too_long() -> None:
    columns, rows = ["stage", ">won amount"], [("won", THREE), ("lost", None)]

    assert [
        "stage         won amount",
        "won    1,011,248.62 EUR,",
        "         42,722,100 JPY,",
        "          694,427.49 USD",
        "lost                   -",
    ] == printed(columns, rows, 40)
    assert f"won    {THREE}" in printed(columns, rows, 80)


def test_texts_and_heads_wrap_at_blanks_only() -> None:
    rows = [("asks again after a long rest", 28.5)]

    assert [
        "what it        median",
        "means         days to",
        "                  won",
        "asks again       28.5",
        "after a long",
        "rest",
    ] == printed(["what it means", ">median days to won"], rows, 22)


def test_a_row_in_a_pipe_is_one_line_however_long() -> None:
    words = "word " * 60 + "end"

    assert f"1  {words}  {THREE}" in printed([">n", "text", ">amount"], [(1, words, THREE)], None)


def test_cells_that_look_like_markup_are_shown_as_they_are() -> None:
    assert "[bold]x[/] :smile: 界界  1" in printed(
        ["text", ">n"], [("[bold]x[/] :smile: 界界", 1)], 80
    )


@given(
    names=st.lists(st.sampled_from(["", ">", "="]), min_size=1, max_size=6),
    counts=st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), max_size=4),
    width=st.none() | st.integers(1, 200),
)
def test_every_word_of_every_cell_is_there_once(
    names: list[str], counts: list[list[int]], width: int | None
) -> None:
    columns = [f"{name}head of {n}" for n, name in enumerate(names)]
    rows = [
        [
            (", " if names[n] == ">" else " ").join(f"{1000 * r + n}.{k}" for k in range(count))
            for n, count in enumerate(row[: len(names)])
        ]
        for r, row in enumerate(counts)
    ]
    said = " ".join([*(name.lstrip(">=") for name in columns), *(" ".join(row) for row in rows)])

    assert Counter(said.split()) == Counter(" ".join(printed(columns, rows, width)).split())


# --- every command ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("tables")) as program:
        period = ("--from", "2025-10-01", "--to", "2026-02-01")
        program("simulate", "market.jsonl", "--leads", "250", "--seed", "7", *period)
        program("ingest", "market.jsonl", "--as-if-live")
        amounts = program("pipeline").stdout
        assert {"EUR", "JPY", "USD"} <= set(re.findall(r"[A-Z]{3}", amounts))
        yield program


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_cell_is_told_in_full_at_any_width(
    question: str, leadflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Sequence[str], Sequence[Sequence[str]]]] = []
    make = Table.__init__

    def note(self: Table, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        made.append((columns, rows))
        make(self, columns, rows)

    monkeypatch.setattr(Table, "__init__", note)
    words = shlex.split(question)
    for width in (80, 120, None):
        made.clear()
        monkeypatch.setenv("TTY_COMPATIBLE", "0" if width is None else "1")
        monkeypatch.setenv("COLUMNS", str(width or 80))
        told = ESCAPES.sub("", leadflow(*words).stdout)

        cells = [name.lstrip(">=") for columns, _ in made for name in columns]
        cells += [cell for _, rows in made for row in rows for cell in row]
        assert cells != []
        assert Counter() == Counter(" ".join(cells).split()) - Counter(told.split())
        if width is None:
            assert [] == [cell for cell in cells if cell not in told]
