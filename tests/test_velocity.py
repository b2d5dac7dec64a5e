"""How much is won, how fast, and what that is a day: the definition, and all rows at once."""

from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from domain.counts import DAY
from domain.months import (
    month_of,
    month_of_day,
    name_of,
    shifted,
    span_months,
    span_name,
    start_of,
)
from domain.velocity import Opportunity, closed, sales_cycle, velocity
from projections.opportunities import opportunities
from projections.opportunity_columns import closed_among, exact_sum, read_opportunities
from projections.pipeline import UnknownDimension
from projections.velocity import sales_cycle_among, velocity_among
from projections.velocity import velocity as velocity_answer
from projections.win_rate import win_rate
from tests.command_line import CommandLine, command_line, event
from tests.projections_kit import read_model_database

NOW = 400 * DAY


def deal(status: str, days: float, amount: int | None = 2_500_000, currency: str = "EUR") -> Any:
    """Return an opportunity that took so many *days* and ended a day ago; open: began then."""
    created = NOW - DAY - round(days * DAY)
    end = None if status == "open" else NOW - DAY
    return Opportunity(status, created, end, amount, None if amount is None else currency)


def test_forty_open_at_25_000_a_quarter_won_in_90_days_are_2_777_78_a_day() -> None:
    known = [deal("open", 5)] * 40 + [deal("won", 90)] * 3 + [deal("lost", 9)] * 9
    found = velocity(known, NOW)
    assert Fraction(40 * 2_500_000, 4 * 90) == found.per_day("EUR")
    assert 277_778 == round(found.per_day("EUR") or 0)
    assert Fraction(12 * 2_500_000, 4 * 90) == found.per_day_closed("EUR")


def test_what_closed_before_the_window_tells_nothing() -> None:
    known = [deal("open", 5), deal("won", 90)]
    assert velocity(known, NOW + 180 * DAY).per_day("EUR") is None
    assert velocity(known, NOW + 178 * DAY).per_day("EUR") == Fraction(2_500_000, 90)


def test_currencies_are_apart_and_share_win_rate_and_cycle() -> None:
    known = [
        deal("open", 5),
        deal("open", 5, 700, "JPY"),
        deal("won", 10),
        deal("won", 30, 900, "JPY"),
        deal("lost", 5),
        deal("lost", 5),
    ]
    found = velocity(known, NOW)
    assert found.per_day("EUR") == Fraction(2_500_000, 2 * 20)
    assert found.per_day("JPY") == Fraction(900, 2 * 20)
    assert found.per_day("USD") is None


def test_an_open_one_without_an_amount_counts_where_there_is_one_currency() -> None:
    unknown = deal("open", 5, None)
    one = velocity([unknown, deal("won", 10)], NOW)
    two = velocity([unknown, deal("won", 10), deal("won", 10, 900, "JPY")], NOW)
    assert (1, {"EUR": 1}, 0) == (one.open, one.open_in, one.open_elsewhere)
    assert (1, {}, 1) == (two.open, two.open_in, two.open_elsewhere)


def test_a_deal_first_heard_of_at_its_close_has_no_cycle() -> None:
    found = closed([deal("won", 0), deal("won", 4)], 0, NOW)
    assert (2, 1) == (found.won, found.won_cycle.count)
    assert found.won_cycle.median == 4 * DAY


def test_the_rate_by_value_is_unknown_where_no_loss_has_an_amount() -> None:
    won, lost = deal("won", 4), deal("lost", 4, 7_500_000)
    assert closed([won, lost], 0, NOW).value_rate("EUR") == Fraction(1, 4)
    assert closed([won, deal("lost", 4, None)], 0, NOW).value_rate("EUR") is None
    assert closed([won], 0, NOW).value_rate("EUR") == 1
    assert closed([], 0, NOW).rate is None


def test_the_sales_cycle_counts_those_still_open() -> None:
    known = [deal("won", 3), deal("won", 5), *[deal("open", days - 1) for days in (4, 10, 10)]]
    # won by day 3: 1/5; by day 5: 1/5 + 4/5 * 1/3 = 7/15, of which 1/5 is less than a half
    assert sales_cycle(known, NOW) == 5 * DAY
    assert sales_cycle(known, NOW, Fraction(3, 7)) == 3 * DAY
    assert sales_cycle(known[:2], NOW) == 3 * DAY
    assert sales_cycle(known[2:], NOW) is None


def test_half_of_what_is_won_has_a_time_where_most_are_lost() -> None:
    wins = [deal("won", days) for days in (10, 20, 30)]
    assert sales_cycle([*wins, *[deal("lost", 40)] * 6], NOW) == 20 * DAY
    assert sales_cycle([*wins, *[deal("lost", 5)] * 60], NOW) == 20 * DAY
    # an open one that is older than the first win, and might be won as late as any, moves the half
    assert sales_cycle([*wins, deal("won", 25), *[deal("open", 14)] * 3], NOW) == 25 * DAY


def test_months_are_counted_from_january_1970() -> None:
    at = start_of(674)
    assert (674, 673) == (month_of(at), month_of(at - 1))
    assert ("2026-03", "2026Q1") == (name_of(674), span_name(674, "quarter"))
    assert month_of_day("2026-03-31") == 674
    assert shifted(start_of(675) - 1, -1) == start_of(673) + 28 * DAY - 1
    with pytest.raises(ValueError, match="no span"):
        span_months("week")  # type: ignore[arg-type]  # that is the test


# --- all rows at once -----------------------------------------------------------------------------

histories = st.lists(
    st.builds(
        lambda status, created, took, amount, currency, owner: (
            status,
            created,
            None if status == "open" else created + took,
            amount,
            None if amount is None else currency,
            owner,
        ),
        st.sampled_from(["open", "won", "lost"]),
        st.integers(0, 40).map(lambda n: n * DAY // 3),
        st.integers(0, 60).map(lambda n: n * DAY // 5),
        st.none() | st.integers(-(10**12), 10**15),
        st.sampled_from(["EUR", "JPY"]),
        st.sampled_from(["ann", "bob", None]),
    ),
    max_size=30,
)


def filled(connection: Connection, rows: list[Any]) -> None:
    columns = ("status", "created_at_us", "closed_at_us", "amount_minor", "currency", "owner")
    if rows:
        connection.execute(
            insert(opportunities),
            [
                {"lead_no": n, "n": 1, "opportunity": "o", **dict(zip(columns, row, strict=True))}
                for n, row in enumerate(rows)
            ],
        )


@settings(max_examples=120)
@given(rows=histories, since=st.integers(0, 14), window=st.integers(1, 20))
def test_the_columns_say_what_the_definition_says(rows: Any, since: int, window: int) -> None:
    as_of = 16 * DAY
    with read_model_database().connect() as connection:
        filled(connection, rows)
        them = read_opportunities(connection, "owner")
        seen = dict(them.groups())
        for owner in {row[5] for row in rows}:
            known = [Opportunity(*row[:5]) for row in rows if row[5] == owner]
            mine = seen[owner]
            assert closed(known, since * DAY, as_of) == closed_among(them, mine, since * DAY, as_of)
            assert velocity(known, as_of, window * DAY) == velocity_among(
                them, mine, as_of, window * DAY
            )
            assert sales_cycle(known, as_of) == sales_cycle_among(them, mine, as_of)


def test_sums_beyond_64_bits_are_exact() -> None:
    import numpy as np

    numbers = np.array([2**62, 2**62, 2**62, -5], np.int64)
    assert 3 * 2**62 - 5 == exact_sum(numbers)


def test_nothing_and_nonsense_are_told() -> None:
    with read_model_database().connect() as connection:
        assert (None, None) == (win_rate(connection)["win_rate"], win_rate(connection)["as_of"])
        assert velocity_answer(connection)["as_of"] is None
        with pytest.raises(UnknownDimension, match="there are owner, product"):
            win_rate(connection, "colour")


# --- the program ----------------------------------------------------------------------------------

MAP = Path(__file__).resolve().parents[1] / "docs" / "examples" / "maven_crm.toml"


@pytest.fixture(scope="module")
def maven(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with command_line(tmp_path_factory.mktemp("maven")) as program:
        file = shared_data / "maven_crm" / "sales_pipeline.csv"
        program("import", str(file), "--map", str(MAP))
        yield program


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> Any:
    import json

    return json.loads((shared_data / "maven_crm" / "crm.json").read_text(encoding="utf-8"))


def _told(one: dict[str, Any]) -> dict[str, Any]:
    amounts = {each["currency"]: float(each["won"]) for each in one["amounts"]}
    return {"won": one["won"], "lost": one["lost"], "won_value": amounts.get("USD", 0.0)}


def test_quarters_and_cycles_of_a_crm_export_are_its_answers(
    maven: CommandLine, answers: Any
) -> None:
    """The map closes deals at noon of the day, so that half a day of each cycle is the map's."""
    found = maven.json("win-rate", "--every", "quarter")
    assert answers["by_close_quarter"] == {one["period"]: _told(one) for one in found["periods"]}
    for status in ("won", "lost"):
        days, expected = found["cycle_days"][status], answers["cycle_days"][status.title()]
        assert expected["median"] == days["median"] - 0.5
        assert expected["max"] == days["max"] - 0.5
        assert expected["mean"] == pytest.approx(days["mean"] - 0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("by", "key"), [("owner", "by_agent"), ("product", "by_product"), ("company", "by_account")]
)
def test_groups_of_a_crm_export_have_its_win_rate_value_and_cycle(
    maven: CommandLine, answers: Any, by: str, key: str
) -> None:
    groups = {one["value"]: one for one in maven.json("win-rate", "--by", by)["groups"]}
    expected = {
        name.replace("GTXPro", "GTX Pro"): one
        for name, one in answers[key].items()
        if one["win_rate"] is not None
    }
    assert expected.keys() == groups.keys()
    for name, one in expected.items():
        assert {field: one[field] for field in ("won", "lost", "won_value")} == _told(groups[name])
        assert one["win_rate"] == groups[name]["win_rate"]
        assert one["median_cycle_days_won"] == groups[name]["cycle_days"]["won"]["median"] - 0.5


def test_velocity_of_a_crm_export_is_its_parts(maven: CommandLine) -> None:
    found = maven.json("velocity", "--as-of", "2017-12-31", "--window", "10000d")
    (flow,) = found["currencies"]
    parts = 1589 * 10_005_534 / 4238 * (4238 / 6711) / found["cycle_days"]["mean"]
    assert parts == pytest.approx(float(flow["velocity"]), abs=0.01)
    assert (1589, "USD") == (flow["open"], flow["currency"])


def test_misuse_is_told(tmp_path: Path) -> None:
    with command_line(tmp_path) as program:
        one = event("1", "deal.won", "2026-01-05T09:00:00Z", {"amount": "5.00", "currency": "EUR"})
        program("ingest", program.write("one.jsonl", one))
        assert "neither of month, quarter" in program("win-rate", "--every", "year", code=2).stderr
        assert (
            "not before"
            in program("win-rate", "--from", "2026-02-01", "--to", "2026-01-01", code=2).stderr
        )
        assert "cannot group" in program("velocity", "--by", "colour", code=2).stderr
        assert "no time" in program("velocity", "--window", "0", code=2).stderr
        shown = program("win-rate", "--by", "owner").stdout
        assert "100.0 %" in shown
        assert "Next: leadflow velocity" in shown
        assert "5.00" in program("velocity").stdout
        assert "nothing was won" in program("win-rate", "--to", "2020-01-01").stdout
        assert program.json("win-rate")["as_of"] == program.json("velocity")["as_of"] is not None


def test_the_median_of_few_is_that_of_statistics() -> None:
    days = [3.0, 8.0, 1.0, 20.0]
    found = closed([deal("won", one) for one in days], 0, NOW).won_cycle.median
    assert found == median(days) * DAY
