"""What open opportunities will bring: the exact sums, the fast ones, and the program."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calibration import ONE
from domain.sales_forecast import (
    SHARES,
    Trial,
    accuracy,
    distribution,
    expected,
    interval,
    placed,
)
from domain.survival import aalen_johansen
from projections import bernoulli
from projections.bernoulli import Spread, convolved, listed, placed_among, spread, won_by_age
from tests.command_line import CommandLine, command_line

HALF = ONE // 2


def test_expected_is_probability_times_amount() -> None:
    assert Fraction(12_500) == expected([(10_000, HALF), (30_000, ONE // 4)])
    assert 0 == expected([])


def test_equal_amounts_make_the_poisson_binomial_distribution() -> None:
    found = distribution([(1, HALF), (1, HALF), (1, ONE // 4)])
    eighths = {0: 3, 1: 7, 2: 5, 3: 1}
    assert {total: Fraction(n, 16) for total, n in eighths.items()} == found
    assert (0, 2) == interval(found, Fraction(4, 5))
    assert (0, 3) == interval(found, Fraction(95, 100))
    with pytest.raises(ValueError, match="no totals"):
        interval({}, Fraction(1, 2))


deals = st.lists(
    st.tuples(
        st.integers(-6, 9).map(lambda n: n * 250), st.integers(0, 8).map(lambda n: n * ONE // 8)
    ),
    max_size=9,
)


def columns_of(dues: list[tuple[int, int]]) -> tuple[Any, Any]:
    amounts, chances = np.array(dues, np.int64).reshape(-1, 2).T
    return amounts, chances


def ends_of(totals: dict[int, Fraction]) -> list[int]:
    return [end for share in SHARES for end in interval(totals, share)]


def all_ends(found: Spread) -> list[int]:
    return [found.low80, found.high80, found.low95, found.high95]


any_deals = st.lists(
    st.tuples(
        st.integers(-(10**7), 10**15) | st.sampled_from([100_003, 99_991, -7]),
        st.integers(0, ONE),
    ),
    max_size=9,
)


@given(deals | any_deals)
def test_the_fast_intervals_are_the_exact_ones(dues: list[tuple[int, int]]) -> None:
    found = spread(*columns_of(dues))
    assert bernoulli.EXACT == found.method
    assert ends_of(distribution(dues)) == all_ends(found)


@given(any_deals)
def test_possible_totals_are_listed_with_their_probabilities(dues: list[tuple[int, int]]) -> None:
    totals, shares = listed(*columns_of(dues))
    told = dict(zip(totals.tolist(), shares.tolist(), strict=True))
    exact = distribution(dues)
    assert sorted(told) == totals.tolist()
    assert exact.keys() <= told.keys()
    for total, share in told.items():
        assert float(exact.get(total, 0)) == pytest.approx(share, abs=1e-12)


@settings(max_examples=40)
@given(deals)
def test_the_convolution_is_the_distribution(dues: list[tuple[int, int]]) -> None:
    base, shares = convolved(*columns_of(dues))
    exact = distribution(dues)
    assert sum(shares) == pytest.approx(1)
    assert [float(exact.get(base + n, 0)) for n in range(len(shares))] == pytest.approx(
        shares.tolist(), abs=1e-12
    )


def test_twenty_odd_amounts_are_not_simulated() -> None:
    amounts = np.array([1_000_003 + 7_919 * n * n for n in range(20)], np.int64)
    chances = np.full(20, HALF)
    found = spread(amounts, chances)
    assert "exact" == found.method
    # at even chances what lies below the middle mirrors what lies above
    whole = int(amounts.sum())
    assert (whole, whole) == (found.low80 + found.high80, found.low95 + found.high95)
    more = np.concatenate((amounts, amounts + 5, amounts * 3))
    assert "simulation" == spread(more, np.tile(chances, 3)).method
    alike = np.repeat(amounts[:3], 50)
    assert "exact" == spread(alike, np.full(150, HALF)).method


def test_a_simulation_repeats_itself_and_comes_near_the_exact_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = np.random.default_rng(7)
    amounts = draw.integers(1, 400, 60) * 100
    chances = draw.integers(1, 100, 60) * (ONE // 100)
    exact = spread(amounts, chances)
    monkeypatch.setattr(bernoulli, "WORK", 0)
    drawn = spread(amounts, chances)
    assert ("exact", "simulation") == (exact.method, drawn.method)
    turned = np.argsort(chances)
    assert drawn == spread(amounts[turned], chances[turned]) != spread(amounts, chances, 3)
    width = exact.high95 - exact.low95
    for name in ("low80", "high80", "low95", "high95"):
        assert abs(getattr(exact, name) - getattr(drawn, name)) < 0.05 * width


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0, 1, 2])), max_size=25),
    st.lists(st.integers(0, 32), min_size=1, max_size=6),
)
def test_when_an_open_one_is_won_follows_those_that_got_as_old(
    seen: list[tuple[int, int]], ages: list[int]
) -> None:
    bounds = [(0, 5), (5, 12), (12, 40)]
    observed = [(age, cause or None) for age, cause in seen]
    curve = aalen_johansen(observed).get(1, [])
    fast = won_by_age(
        np.array([age for age, _ in seen], np.int64), np.array([c for _, c in seen], np.int8)
    )
    found = placed_among(fast, np.array(ages, np.int64), bounds)
    for age, row in zip(ages, found.tolist(), strict=True):
        exact = placed(curve, age, bounds)
        if exact is None:
            assert all(np.isnan(row))
        else:
            assert [float(share) for share in exact] == pytest.approx(row, abs=1e-9)
            assert 1 == sum(exact)


def test_accuracy_is_of_what_came() -> None:
    trials = [
        Trial(Fraction(120), 100, 90, 130, 80, 140),
        Trial(Fraction(60), 100, 50, 70, 40, 120),
        Trial(Fraction(20), 0, 0, 40, 0, 60),
    ]
    found = accuracy(trials)
    assert (3, 1) == (found.trials, found.left_out)
    assert found.mape == Fraction(3, 10)
    assert found.wape == Fraction(80, 200)
    assert found.bias == 0
    assert (found.within80, found.within95) == (Fraction(2, 3), Fraction(1))
    assert accuracy([]).mape is None


# --- the program ----------------------------------------------------------------------------------


def act(who: str, n: int, type_: str, day: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "source": "/crm",
        "id": f"{who}-{n}",
        "type": type_,
        "time": f"{day}T09:00:00Z",
        "data": {"person": {"email": f"{who}@example.com"}, "opportunity": who, **data},
    }


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def market() -> Iterator[dict[str, Any]]:
    """Yield four deals a month from January to April, one won and one lost of each two."""
    for month in range(1, 5):
        for n in range(4):
            who = f"m{month}n{n}"
            yield act(who, 1, "opportunity.created", f"2026-0{month}-0{n + 1}", **eur("1000.00"))
            kind = "deal.won" if n % 2 else "deal.lost"
            yield act(who, 2, kind, f"2026-0{month + 1}-1{n}")
    yield act(
        "due", 1, "opportunity.created", "2026-05-20", close_date="2026-06-30", **eur("400.00")
    )
    yield act(
        "late", 1, "opportunity.created", "2026-05-01", close_date="2026-05-10", **eur("80.00")
    )
    yield act("free", 1, "opportunity.created", "2026-05-25", **eur("1000.00"))
    yield act("bare", 1, "opportunity.created", "2026-05-26", close_date="2026-07-01")
    yield act(
        "far", 1, "opportunity.created", "2026-05-27", close_date="2027-01-01", **eur("60.00")
    )


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("forecast")) as program:
        events = sorted(market(), key=lambda one: str(one["time"]))
        program("ingest", program.write("events.jsonl", *events), "--as-if-live")
        yield program


def test_the_months_hold_what_is_due_with_the_win_rate_of_all(leadflow: CommandLine) -> None:
    found = leadflow.json("forecast", "--as-of", "2026-05-31", "--months", "2")
    assert (5, 1, 1, 1) == tuple(
        found[name] for name in ("open", "overdue", "without_close_date", "without_amount")
    )
    assert ("base_rate", 0.5) == (found["probabilities"], found["base_rate"])
    (euros,) = found["currencies"]
    june, july = euros["months"]
    # due 400.00 and overdue 80.00; the undated one took the others 39.3 days on the average
    assert 2 == june["opportunities"]
    undated = Fraction(june["expected"]) - 240
    assert 0 <= undated <= 500
    assert Fraction(july["expected"]) + undated == 500
    assert ("0.00", "480.00") == (june["commit"], june["best"])
    assert {"opportunities": 1, "expected": "30.00"} == euros["elsewhere"]
    assert "1480.00" == euros["total"]["best"]
    assert "exact" == june["method"]
    assert found == leadflow.json("forecast", "--as-of", "2026-05-31", "--months", "2")


def test_who_is_due_on_the_last_day_of_a_month_counts_for_the_next(tmp_path: Path) -> None:
    """At the end of the day it is over, as it is a moment later; before that it is still due."""
    deals = [
        act(f"d{n}", 1, "opportunity.created", "2026-03-02", close_date="2026-03-31", **eur("1.00"))
        for n in range(3)
    ]
    with command_line(tmp_path) as program:
        program("ingest", program.write("deals.jsonl", *deals), "--as-if-live")
        for as_of in ("2026-03-31", "2026-04-01T00:00:00Z", "2026-04-01"):
            found = program.json("forecast", "--as-of", as_of, "--months", "2")
            (euros,) = found["currencies"]
            april, may = euros["months"]
            assert ("2026-04", 3, 3) == (april["month"], april["opportunities"], april["overdue"])
            assert (3, 0) == (found["overdue"], may["opportunities"])
            assert 0 == euros["elsewhere"]["opportunities"]
        within = program.json("forecast", "--as-of", "2026-03-31T20:00:00Z", "--months", "1")
        assert 0 == within["overdue"]
        assert 3 == within["currencies"][0]["months"][0]["opportunities"]


def test_an_unknown_amount_counts_when_it_is_assumed(leadflow: CommandLine) -> None:
    found = leadflow.json("forecast", "--as-of", "2026-05-31", "--assume-mean")
    assert (0, 1) == (found["without_amount"], found["assumed_amounts"])
    assert 5 == found["currencies"][0]["open"]


def test_what_is_won_in_the_month_counts_for_it(leadflow: CommandLine) -> None:
    found = leadflow.json("forecast", "--as-of", "2026-05-11T20:00:00Z", "--to", "2026-05-31")
    (may,) = found["currencies"][0]["months"]
    assert "1000.00" == may["won"] == may["worst"]
    low, high = may["interval_95"]
    assert float(low) >= 1000
    assert float(high) <= float(may["best"]) + 5000


def test_nothing_was_known_before_it_was_recorded(leadflow: CommandLine) -> None:
    found = leadflow.json("forecast", "--as-of", "2026-05-31", "--known-at", "2025-12-31")
    assert ("none", 0, []) == (found["probabilities"], found["open"], found["currencies"])
    assert "ask with --known-at" in leadflow("forecast", "--as-of", "2020-01-01").stdout
    assert "ask with" not in leadflow("forecast").stdout


def test_a_back_test_compares_with_what_came(leadflow: CommandLine) -> None:
    found = leadflow.json("forecast", "--back-test", "--origins", "2", "--months", "1")
    rows = {row["month"]: row for row in found["rows"]}
    assert ["2026-03", "2026-04"] == list(rows)
    march = rows["2026-03"]
    # at the end of February the four deals of February are open, two of which will be won
    assert ("2026-02-28T23:59:59.999999Z", "2000.00") == (march["as_of"], march["realised"])
    assert "2000.00" == march["realised_all"]
    assert pytest.approx(2000, abs=1) == float(march["expected"])
    (summary,) = found["summary"]
    assert (2, 1) == (summary["open_then"]["forecasts"], summary["months_ahead"])
    assert 1.0 == summary["open_then"]["within_95"]


def test_misuse_of_a_forecast_is_told(leadflow: CommandLine) -> None:
    def refused(*words: str) -> str:
        return " ".join(leadflow("forecast", *words, code=2).stderr.replace("│", " ").split())

    assert "was over at" in refused("--from", "2025-01-01")
    assert "belong to --back-test" in refused("--origins", "3")
    assert "do not go with --back-test" in refused("--back-test", "--to", "2026-07-01")
    assert "leave one out" in refused("--months", "3", "--to", "2026-07-01")
    assert "last month lies before" in refused("--to", "2020-01-01")
    assert "no share" in refused("--commit", "seventy")


def test_people_read_a_table(leadflow: CommandLine) -> None:
    shown = leadflow("forecast", "--as-of", "2026-05-31", "--months", "2").stdout
    assert "5 open opportunities" in shown
    assert "have no amount" in shown
    assert "Next: leadflow forecast --back-test" in shown
    assert "how good they were" in leadflow("forecast", "--back-test", "--origins", "1").stdout
    assert json.loads(leadflow("forecast", "--json").stdout)["from"] == "2026-05"
