"""Amounts whose sum leaves 64 bits are added up all the same, and add up."""

from collections.abc import Iterator

import pytest

from tests.command_line import CommandLine, command_line, event

LARGE = "80000000000000000.00"
TOGETHER = "240000000000000000.00"


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    deals = [
        event(
            f"{what}-{n}",
            type_,
            f"2026-03-0{n}T09:00:00Z",
            {
                "person": {"email": f"p{n}@acme.example"},
                "touch": {"channel": "event", "source": "fair"},
                **fields,
            },
        )
        for n in (1, 2, 3)
        for what, type_, fields in (
            ("form", "demo.requested", {}),
            ("won", "deal.won", {"opportunity": "o", "amount": LARGE, "currency": "EUR"}),
        )
    ]
    spend = [
        {
            "specversion": "1.0",
            "source": "/ads",
            "id": f"spend-{n}",
            "type": "spend.recorded",
            "time": f"2026-03-0{n}T00:00:00Z",
            "data": {
                "day": f"2026-03-0{n}",
                "channel": "event",
                "amount": LARGE,
                "currency": "EUR",
            },
        }
        for n in (1, 2, 3)
    ]
    with command_line(tmp_path_factory.mktemp("large")) as program:
        program("ingest", program.write("large.jsonl", *deals, *spend))
        yield program


@pytest.mark.parametrize(
    "words",
    [
        ("attribution",),
        ("attribution", "--model", "j"),
        ("sources",),
        ("accounts",),
        ("channels",),
        ("pipeline",),
        ("win-rate",),
        ("economics",),
    ],
    ids=" ".join,
)
def test_what_is_more_than_a_database_can_sum_is_summed(
    leadflow: CommandLine, words: tuple[str, ...]
) -> None:
    assert TOGETHER in str(leadflow.json(*words))
