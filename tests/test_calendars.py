"""Calendars and teams as documents, and the questions about speed from the command line."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from domain.business_time import Calendar
from leadflow.calendars import DocumentInvalid, load_calendar, load_teams
from tests.command_line import CommandLine, command_line, event
from tests.pages import DOCS, run_page

HOUR = 3_600_000_000
GOOD = """
zone = "Europe/Berlin"
holidays = { country = "DE", subdivision = "BE" }

[hours]
weekdays = ["09:00-12:30", "13:30-18:00"]
friday = ["09:00-13:00"]
saturday = []

[days]
2026-12-24 = ["09:00-12:00"]
2026-12-25 = ["20:00-24:00"]
"""


def load(folder: Path, text: str) -> Calendar:
    path = folder / "calendar.toml"
    path.write_text(text, encoding="utf-8")
    return load_calendar(path)


def test_a_calendar_says_hours_holidays_and_other_days(tmp_path: Path) -> None:
    calendar = load(tmp_path, GOOD)
    epoch = date(1970, 1, 1)

    assert 4 == sum(len(hours) == 2 for hours in calendar.week)
    assert ((9 * HOUR, 13 * HOUR),) == calendar.week[4]
    assert () == calendar.days[(date(2026, 3, 8) - epoch).days]  # a holiday of Berlin alone
    assert ((9 * HOUR, 12 * HOUR),) == calendar.days[(date(2026, 12, 24) - epoch).days]
    assert ((20 * HOUR, 24 * HOUR),) == calendar.days[(date(2026, 12, 25) - epoch).days]


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('"Europe/Berlin"', '"Europe/Berlinn"', r":2: zone: 'Europe/Berlinn' is no zone"),
        ('"Europe/Berlin"', "7", ":2: zone: 7 is no zone"),
        ('zone = "Europe/Berlin"', "", "zone is missing"),
        ('country = "DE"', 'country = "ZZ"', ":3: holidays.country: no holidays are known of 'ZZ'"),
        ('"BE"', '"XX"', "DE has no 'XX'; there are BB, BE"),
        ("country", "land", ":3: holidays.land: there is no such key; there are country"),
        ("friday", "freitag", ":7: hours.freitag: there is no such key"),
        ("09:00-13:00", "9-13", ":7: hours.friday: '9-13' is no span of time; write 09:00-17:00"),
        ("09:00-13:00", "13:00-09:00", "ends before it begins; write a night as two spans"),
        ("12:30", "13:45", "'13:30-18:00' begins before the span before it ends"),
        ('["09:00-13:00"]', '"09:00"', "must be a list such as"),
        ("2026-12-24", "2026-13-24", ":11: days.2026-13-24: is no day; write 2026-12-24"),
        ("[days]", "[dayz]", ":10: dayz: there is no such key; there are zone, hours"),
        ("[hours]", "[hours", "is no TOML"),
        ("[days]", "holidays = 1\n[days]", "is no TOML|there is no such key"),
    ],
)
def test_a_mistake_is_told_with_line_and_mend(
    tmp_path: Path, was: str, becomes: str, told: str
) -> None:
    with pytest.raises(DocumentInvalid, match=told):
        load(tmp_path, GOOD.replace(was, becomes, 1))


def test_hours_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(DocumentInvalid, match=r'weekdays = \["09:00-17:00"\]'):
        load(tmp_path, 'zone = "UTC"')
    with pytest.raises(DocumentInvalid, match="must be a table"):
        load(tmp_path, 'zone = "UTC"\nhours = 1')


def test_a_rep_is_in_one_team(tmp_path: Path) -> None:
    path = tmp_path / "teams.toml"
    path.write_text('[teams]\nnorth = ["ann", "bob"]\nsouth = ["cy"]\n')
    assert {"ann": "north", "bob": "north", "cy": "south"} == load_teams(path)

    for text, told in [
        ('[teams]\nnorth = ["ann"]\nsouth = ["ann"]\n', ":3: teams.south: 'ann' is in 'north'"),
        ("[teams]\nnorth = 1\n", ":2: teams.north: must list reps"),
        ("[teams]\n", "names no rep"),
        ("[team]\n", "there is no such key"),
    ]:
        path.write_text(text)
        with pytest.raises(DocumentInvalid, match=told):
            load_teams(path)
    path.write_bytes(b"\xff")
    with pytest.raises(DocumentInvalid, match="is no UTF-8 text"):
        load_teams(path)


# --- the command line ---------------------------------------------------------------------------


def story(name: str, waits: str | None) -> Iterator[dict[str, Any]]:
    """Yield the events of one person who asks on a Friday at 17:50 in Berlin."""
    person = {"person": {"email": f"{name}@example.com"}}
    yield event(f"{name}-1", "demo.requested", "2026-03-06T16:50:00Z", person)
    if waits is not None:
        rep = {"actor": {"kind": "rep", "id": name}, "direction": "outbound"}
        call = person | rep | {"outcome": "connected"}
        yield event(f"{name}-2", "call.attempted", waits, person | rep)
        yield event(f"{name}-3", "call.completed", waits, call)


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("speed")) as program:
        events = [
            *story("ann", "2026-03-06T16:54:00Z"),
            *story("bob", "2026-03-09T08:20:00Z"),
            *story("cy", None),
            event("late", "page.viewed", "2026-03-10T00:00:00Z"),
        ]
        program("ingest", program.write("events.jsonl", *events))
        (program.folder / "calendar.toml").write_text(GOOD.replace('friday = ["09:00-13:00"]', ""))
        (program.folder / "teams.toml").write_text('[teams]\nnorth = ["ann"]\nsouth = ["bob"]\n')
        yield program


def test_a_weekend_is_no_delay_in_working_time(leadflow: CommandLine) -> None:
    told = leadflow.json("speed", "--calendar", "calendar.toml")

    assert (3, 2, 2, 1) == tuple(
        told[name] for name in ("leads", "attempted", "contacted", "unanswered")
    )
    assert {"p50": 228_600.0, "p90": None, "p95": None} == told["attempt_seconds"]
    assert 1_800.0 == told["business"]["attempt_seconds"]["p50"]
    assert {"0-5": 1, "24h+": 1, "unanswered": 1} == _bands(told)
    assert {"0-5": 1, "15-60": 1, "unanswered": 1} == _bands(told["business"])
    assert (1, 2, 0) == (told["met"], told["breaches"], told["pending"])
    assert (2, 1, 0) == tuple(told["business"][name] for name in ("met", "breaches", "pending"))


def _bands(told: dict[str, Any]) -> dict[str, int]:
    return {band["band"]: band["leads"] for band in told["bands"] if band["leads"]}


def test_leads_are_grouped_by_who_answered_them(leadflow: CommandLine) -> None:
    by_rep = leadflow.json("speed", "--by", "rep")["groups"]
    by_team = leadflow.json("speed", "--by", "team", "--teams", "teams.toml")["groups"]
    by_start = leadflow.json("speed", "--by", "start")["groups"]

    assert ["ann", "bob", None] == [group["value"] for group in by_rep]
    assert ["north", "south", None] == [group["value"] for group in by_team]
    assert [("asked", 3)] == [(group["value"], group["leads"]) for group in by_start]


def test_a_promise_is_still_open_while_there_is_time(leadflow: CommandLine) -> None:
    told = leadflow.json("speed", "--as-of", "2026-03-06T17:00:00Z", "--sla", "1h")

    assert (1, 0, 2) == (told["met"], told["breaches"], told["pending"])
    assert 0 == leadflow.json("speed", "--to", "2026-03-06")["leads"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("speed", "--by", "moon"), "cannot group by 'moon'"),
        (("speed", "--by", "team"), "go together"),
        (("speed", "--calendar", "none.toml"), "none.toml"),
        (("speed", "--from", "2026-02-01", "--to", "2026-01-01"), "--from is not before --to"),
        (("touch-coverage", "--wanted", "x"), "write 5,7"),
        (("touch-coverage", "--from", "2026-02-01", "--to", "2026-01-01"), "--from is not before"),
        (("ab-test",), "--campaign NAME or --message ID"),
        (("ab-test", "--campaign", "c", "--split", "a"), "write a=50,b=50"),
        (("ab-test", "--campaign", "c", "--metric", "converted:moon"), "neither a stage"),
    ],
)
def test_misuse_is_told_and_exits_with_2(
    leadflow: CommandLine, words: tuple[str, ...], told: str
) -> None:
    assert told in " ".join(leadflow(*words, code=2).stderr.replace("│", " ").split())


def test_tables_are_for_people(leadflow: CommandLine) -> None:
    speed = leadflow("speed", "--by", "rep", "--calendar", "calendar.toml").stdout
    often = leadflow("touch-coverage", "--by", "channel").stdout
    test = leadflow("ab-test", "--campaign", "none").stdout

    assert "3 leads to answer: 2 attempted, 2 contacted, 1 unanswered" in speed
    assert "nobody followed up within 14 d: 0 of 0 leads, -" in often
    assert "nobody was sent a variant" in test


def test_the_page_on_speed_is_what_happens(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/speed.md", tmp_path) > 0
