"""Working time over columns is what the calendar says of each pair of instants."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.business_time import Calendar
from projections.working_time import WorkingTime
from tests.test_business_time import always, cases, office


@settings(max_examples=80)
@given(cases(), st.lists(st.integers(0, 10**13), min_size=1, max_size=8))
def test_columns_say_what_the_calendar_says(
    case: tuple[Calendar, int, int], later: list[int]
) -> None:
    calendar, since, _ = case
    ends = np.array([since + more for more in later], np.int64)
    starts = np.minimum(ends, since + np.arange(len(later)) * 10**11)
    working = WorkingTime(calendar, since, int(ends.max()))

    assert [
        calendar.elapsed(start, end)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ] == working.elapsed(starts, ends).tolist()


def test_a_calendar_without_other_days_and_one_without_an_end() -> None:
    at = np.array([0, 10**14, 4 * 10**15], np.int64)

    for calendar in (office(), always(), office(d2026_04_06=())):
        told = WorkingTime(calendar, 0, 4 * 10**15).elapsed(np.zeros(3, np.int64), at)
        assert [calendar.elapsed(0, int(one)) for one in at] == told.tolist()
