"""Working time by a calendar: the closed form is what walking minute by minute finds."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.business_time import DAY, Calendar, Hours, changes_of

MINUTE = 60_000_000
HOUR = 60 * MINUTE
OFFICE: Hours = ((9 * HOUR, 17 * HOUR),)
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",  # half an hour of summer time
        "Africa/Casablanca",  # four changes in a year
        "Asia/Kolkata",
        "UTC",
    )
]


def at(text: str) -> int:
    return int(
        (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC))
        / timedelta(microseconds=1)
    )


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def office(**days: Hours) -> Calendar:
    return Calendar(
        BERLIN,
        (OFFICE,) * 5 + ((), ()),
        {day(name[1:].replace("_", "-")): h for name, h in days.items()},
    )


def by_the_minute(calendar: Calendar, since: int, until: int) -> int:
    """Return the working time, minute by minute; all ends must be whole minutes."""
    found = 0
    for minute in range(since, until, MINUTE):
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=minute)).astimezone(
            calendar.zone
        )
        number = (local.date() - date(1970, 1, 1)).days
        hours = calendar.days.get(number, calendar.week[local.weekday()])
        time = (local.hour * 60 + local.minute) * MINUTE
        found += MINUTE * any(start <= time < end for start, end in hours)
    return found


def test_an_evening_a_weekend_and_a_holiday_are_not_work() -> None:
    """Asked on Friday at 16:30, called on Tuesday at 9:15, with a holiday on Monday."""
    asked, called = at("2026-04-03T16:30:00+02:00"), at("2026-04-07T09:15:00+02:00")

    assert 45 * MINUTE + 8 * HOUR == office().elapsed(asked, called)
    assert 45 * MINUTE == office(d2026_04_06=()).elapsed(asked, called)


def test_a_day_may_have_hours_of_its_own() -> None:
    """A Saturday before Christmas is worked in the morning."""
    saturday = ((8 * HOUR, 12 * HOUR),)
    since, until = at("2026-12-19T00:00:00+01:00"), at("2026-12-20T00:00:00+01:00")

    assert 4 * HOUR == office(d2026_12_19=saturday).elapsed(since, until)


def test_a_week_across_a_change_of_the_clock_has_its_forty_hours() -> None:
    assert 40 * HOUR == office().elapsed(at("2026-03-23T00:00Z"), at("2026-03-30T00:00+02:00"))
    assert 167 * HOUR == always().elapsed(
        at("2026-03-23T00:00+01:00"), at("2026-03-30T00:00+02:00")
    )


def always() -> Calendar:
    return Calendar(BERLIN, (((0, DAY),),) * 7, {})


def test_a_century_is_no_more_work_than_an_hour() -> None:
    """A hundred years of five days of eight hours, without a walk through them."""
    years = office().elapsed(at("2000-01-03T00:00:00+01:00"), at("2100-01-04T00:00:00+01:00"))

    assert 5_218 * 40 * HOUR == years


def test_the_changes_of_a_year_are_found_to_the_microsecond() -> None:
    assert (at("2026-03-29T01:00Z"), at("2026-10-25T01:00Z")) == changes_of(BERLIN, 2026)
    assert () == changes_of(ZoneInfo("Asia/Kolkata"), 2026)


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    ends = sorted(draw(st.sets(st.integers(0, 96), max_size=4)))
    if len(ends) % 2:
        ends.pop()
    quarter = 15 * MINUTE
    return tuple((ends[n] * quarter, ends[n + 1] * quarter) for n in range(0, len(ends), 2))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Calendar, int, int]:
    zone = draw(st.sampled_from(ZONES))
    year = draw(st.integers(2020, 2027))
    change = draw(st.sampled_from([*changes_of(zone, year), at(f"{year}-05-05T00:00Z")]))
    since = change - draw(st.integers(0, 3 * 24 * 60)) * MINUTE
    until = since + draw(st.integers(0, 6 * 24 * 60)) * MINUTE
    near = draw(st.dictionaries(st.integers(-3, 7), hours(), max_size=4))
    week = tuple(draw(hours()) for _ in range(7))
    return Calendar(zone, week, {since // DAY + n: h for n, h in near.items()}), since, until


@settings(max_examples=60)
@given(cases())
def test_the_closed_form_is_what_the_minutes_add_up_to(case: tuple[Calendar, int, int]) -> None:
    calendar, since, until = case

    assert by_the_minute(calendar, since, until) == calendar.elapsed(since, until)


@settings(max_examples=60)
@given(cases(), st.integers(0, 10**12), st.integers(0, 10**15))
def test_time_adds_up_and_runs_backwards(
    case: tuple[Calendar, int, int], one: int, other: int
) -> None:
    calendar, since, _ = case
    middle, until = since + one, since + one + other
    whole = calendar.elapsed(since, until)

    assert whole == calendar.elapsed(since, middle) + calendar.elapsed(middle, until)
    assert -whole == calendar.elapsed(until, since)
    assert 0 <= whole <= until - since


def test_always_at_work_is_the_clock_itself() -> None:
    assert always().always
    assert not office().always
    assert 12_345 == always().elapsed(
        at("2026-03-29T00:59:59.999999Z"), at("2026-03-29T01:00:00.012344Z")
    )


@pytest.mark.parametrize(
    ("week", "told"),
    [
        ((OFFICE,) * 6, "seven days, not 6"),
        (((),) * 6 + (((17 * HOUR, 9 * HOUR),),), "end after they begin"),
        (((),) * 6 + (((9 * HOUR, 9 * HOUR),),), "end after they begin"),
        (((),) * 6 + (((9 * HOUR, 25 * HOUR),),), "between 0:00 and 24:00"),
    ],
)
def test_hours_that_are_none_are_refused(week: tuple[Hours, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Calendar(BERLIN, week, {})
