"""Credit for touches: exact, complete, and equal to the answers worked out by hand."""

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.attribution import (
    HALF_LIFE,
    HALF_LIFE_B2B,
    MODELS,
    NANO,
    NEEDS_TIMES,
    Attribution,
    Conversion,
    Rule,
    attribute,
    credit,
    shares,
    time_decay,
)
from domain.journey import COLLAPSE_GAP, Journey, Touch, journey

DAY = 86_400 * 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RULES = {
    **MODELS,
    "time_decay_30d": time_decay(HALF_LIFE_B2B),
    "stepped": time_decay(stepped=True),
    "minutes": time_decay(60 * 1_000_000),
}
rules = st.sampled_from(sorted(RULES)).map(RULES.__getitem__)
channels = st.sampled_from(["direct", "email", "referral", "webinar"])


@st.composite
def journeys(draw: st.DrawFn, least: int = 1) -> Journey:
    """Journeys of a few touches over a year, with ties."""
    instants = draw(st.lists(st.integers(0, 365 * DAY), min_size=least, max_size=10))
    touches = tuple(Touch(at, draw(channels)) for at in sorted(instants))
    return Journey(touches, max(instants, default=0) + draw(st.integers(0, 30 * DAY)))


def path(*names: str) -> Journey:
    """Return a journey of one touch a day, the last at the conversion."""
    return Journey(tuple(Touch(i * DAY, name) for i, name in enumerate(names)), len(names) * DAY)


# --- properties --------------------------------------------------------------------------------


@given(journeys(), rules, st.integers(-(10**12), 10**12))
def test_the_credit_sums_to_the_value_to_the_last_minor_unit(
    way: Journey, rule: Rule, amount: int
) -> None:
    weights = rule(way)

    assert len(weights) == len(way.touches)
    assert min(weights) >= 0
    assert sum(shares(weights)) == 1
    assert sum(credit(weights, amount)) == amount
    assert sum(credit(weights, NANO)) == NANO


@given(journeys(), rules, st.integers(-5_000 * DAY, 5_000 * DAY))
def test_when_it_all_happened_changes_no_weight(way: Journey, rule: Rule, shift: int) -> None:
    moved = Journey(
        tuple(touch._replace(at=touch.at + shift) for touch in way.touches),
        way.conversion_at + shift,
    )

    assert rule(moved) == rule(way)


conversions = st.lists(
    st.builds(
        Conversion,
        journeys(least=0),
        st.one_of(st.none(), st.integers(-(10**9), 10**9)),
        st.sampled_from(["EUR", "JPY"]),
        st.integers(1, 3),
    ),
    max_size=6,
)


@given(conversions, rules)
def test_a_report_keeps_every_conversion_and_every_minor_unit(
    given_conversions: list[Conversion], rule: Rule
) -> None:
    report = attribute(given_conversions, rule)

    assert sum(report.credit.values()) + report.unattributed * NANO == report.conversions * NANO
    for currency in ("EUR", "JPY"):
        credited = sum(amounts.get(currency, 0) for amounts in report.amounts.values())
        assert credited + report.unattributed_amounts.get(currency, 0) == sum(
            conversion.amount or 0
            for conversion in given_conversions
            if conversion.currency == currency
        )


@given(conversions, rules, st.randoms(use_true_random=False))
def test_the_order_of_conversions_changes_no_report(
    given_conversions: list[Conversion], rule: Rule, random: Any
) -> None:
    shuffled = list(given_conversions)
    random.shuffle(shuffled)

    assert attribute(shuffled, rule) == attribute(given_conversions, rule)


@given(journeys(), st.integers(1, 400 * DAY))
def test_time_decay_gives_a_later_touch_no_less(way: Journey, half_life: int) -> None:
    for rule in (time_decay(half_life), time_decay(half_life, stepped=True)):
        weights = rule(way)
        assert list(weights) == sorted(weights)
        assert weights[-1] == 2**64


# --- rules by hand -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "touches", "expected"),
    [
        ("first", ("a",), "1"),
        ("first", ("a", "b", "c"), "1 0 0"),
        ("last", ("a", "b", "c"), "0 0 1"),
        ("last_non_direct", ("a", "b", "direct", "direct"), "0 1 0 0"),
        ("last_non_direct", ("direct", "direct"), "0 1"),
        ("linear", ("a", "b", "a"), "1/3 1/3 1/3"),
        ("u_first_last", ("a",), "1"),
        ("u_first_last", ("a", "b"), "1/2 1/2"),
        ("u_first_last", ("a", "b", "c"), "2/5 1/5 2/5"),
        ("u_first_last", ("a", "b", "c", "d", "e"), "2/5 1/15 1/15 1/15 2/5"),
    ],
)
def test_a_rule_gives_the_shares_its_name_says(
    model: str, touches: tuple[str, ...], expected: str
) -> None:
    assert shares(MODELS[model](path(*touches))) == [Fraction(part) for part in expected.split()]


SPREAD = Journey(tuple(Touch(day * DAY, "email") for day in (0, 5, 12, 30, 38)), 38 * DAY)


@pytest.mark.parametrize(
    ("rule", "rounded", "credited"),
    [
        # rounded one by one the shares make 12,000.01: the cent too many is taken from the share
        # with the smallest remainder, the first
        (
            time_decay(HALF_LIFE),
            [17_520, 28_744, 57_488, 341_704, 754_545],
            [17_519, 28_744, 57_488, 341_704, 754_545],
        ),
        (
            time_decay(HALF_LIFE, stepped=True),
            [21_818, 43_636, 87_273, 349_091, 698_182],
            [21_818, 43_636, 87_273, 349_091, 698_182],
        ),
    ],
)
def test_twelve_thousand_over_five_touches_by_half_lives_of_a_week(
    rule: Rule, rounded: list[int], credited: list[int]
) -> None:
    weights = rule(SPREAD)

    assert [round(share * 1_200_000) for share in shares(weights)] == rounded
    assert credit(weights, 1_200_000) == credited


def test_time_decay_does_not_care_how_long_after_the_last_touch_the_conversion_came() -> None:
    assert time_decay()(SPREAD) == time_decay()(SPREAD._replace(conversion_at=100 * DAY))


def test_a_half_life_is_positive() -> None:
    with pytest.raises(ValueError, match="half-life must be positive, not 0"):
        time_decay(0)


# --- reports -----------------------------------------------------------------------------------


def test_conversions_without_touches_are_told_apart() -> None:
    lost = Conversion(Journey((), 5), 999, "EUR")
    found = Conversion(path("email", "webinar"), 101, "EUR")

    assert attribute([lost, found, Conversion(Journey((), 7))], "linear") == Attribution(
        credit={"email": NANO // 2, "webinar": NANO // 2},
        amounts={"email": {"EUR": 51}, "webinar": {"EUR": 50}},
        conversions=3,
        unattributed=2,
        unattributed_amounts={"EUR": 999},
    )


def test_a_touch_without_the_dimension_is_credited_to_none() -> None:
    way = Journey((Touch(0, "email", campaign="spring"), Touch(1, "direct")), 2)

    report = attribute([Conversion(way)], "linear", lambda touch: touch.campaign)

    assert report.credit == {"spring": NANO // 2, None: NANO // 2}


def test_an_unknown_amount_is_no_amount() -> None:
    assert attribute([Conversion(path("email"))], "first").amounts == {}


def test_an_amount_needs_a_currency() -> None:
    with pytest.raises(ValueError, match="no currency"):
        attribute([Conversion(path("email"), 5)], "first")


def test_an_unknown_model_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="'firsst'; there are first, last,"):
        attribute([], "firsst")


def test_models_that_need_times_are_models() -> None:
    assert set(MODELS) > NEEDS_TIMES


# --- data worked out elsewhere -----------------------------------------------------------------


def micros(text: str) -> int:
    """Return an ISO instant, UTC where it says nothing, in microseconds."""
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - EPOCH) // timedelta(microseconds=1)


def dp6_conversions(events: Path, gap: int | None) -> list[Conversion]:
    """Return the won deals of the log with the journeys of their leads."""
    touches: dict[str, list[Touch]] = defaultdict(list)
    won: list[tuple[str, int, int]] = []
    for line in events.read_text().splitlines():
        event = json.loads(line)
        lead, at, data = (
            event["data"]["person"]["anonymous_id"],
            micros(event["time"]),
            event["data"],
        )
        if block := data.get("touch"):
            order = {"producer": event["source"], "sequence": int(event["sequence"])}
            touches[lead].append(Touch(at, **block, **order, id=event["id"]))
        if event["type"] == "deal.won":
            won.append((lead, at, int(Decimal(data["amount"]) * 100)))
    return [
        Conversion(journey(touches[lead], at, gap=gap), amount, "USD") for lead, at, amount in won
    ]


@pytest.mark.parametrize(
    ("case", "gap", "dimension"),
    [
        ("collapse_30min", COLLAPSE_GAP, "channel"),
        ("no_collapse", None, "channel"),
        ("no_collapse_by_source", None, "source"),
    ],
)
@pytest.mark.parametrize("model", ["first", "last", "linear", "u_first_last", "time_decay"])
def test_the_worked_example_is_answered(
    shared_data: Path, case: str, gap: int | None, dimension: str, model: str
) -> None:
    folder = shared_data / "dp6_events"
    answers = json.loads((folder / "expected.json").read_text())["attribution_90d"][case]
    answer = answers["time_decay_7d" if model == "time_decay" else model]

    report = attribute(
        dp6_conversions(folder / "dp6.jsonl", gap), model, lambda touch: getattr(touch, dimension)
    )

    assert units(report.credit) == pytest.approx(answer["conversions"], rel=0, abs=1e-8)
    dollars = {value: amounts["USD"] / 100 for value, amounts in report.amounts.items()}
    # a deal's touches are paid in whole cents, so a channel may be a cent or so from its share
    assert dollars == pytest.approx(answer["value"], rel=0, abs=0.02)
    assert sum(amounts["USD"] for amounts in report.amounts.values()) == 600


def units(nanos: dict[str | None, int]) -> dict[str | None, float]:
    """Return credit in conversions."""
    return {value: parts / NANO for value, parts in nanos.items()}


def restarting(rows: Iterable[dict[str, str]]) -> Iterator[Conversion]:
    """Yield conversions whose journeys begin anew after each conversion, as that data reads."""
    touches: dict[str, list[Touch]] = defaultdict(list)
    for row in rows:
        visitor, at = row["user_pseudo_id"], micros(row["event_time"])
        touches[visitor].append(Touch(at, row["source_medium"]))
        if row["is_conversion_purchase"] == "1":
            way = Journey(tuple(touches.pop(visitor)), at)
            yield Conversion(way, int(row["n_purchases"]) * NANO, "PURCHASES")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("first", MODELS["first"]),
        ("last", MODELS["last"]),
        ("linear", MODELS["linear"]),
        ("position_40_20_40", MODELS["u_first_last"]),
        ("time_decay_7d", time_decay(HALF_LIFE)),
        ("time_decay_7d_step", time_decay(HALF_LIFE, stepped=True)),
    ],
)
def test_journeys_that_restart_are_answered_too(shared_data: Path, name: str, rule: Rule) -> None:
    folder = shared_data / "attribution"
    answer = json.loads((folder / "dp6_small.json").read_text())[name]
    with (folder / "dp6_multiple_conversions.csv").open(newline="") as lines:
        report = attribute(restarting(csv.DictReader(lines)), rule)

    assert_close(report.credit, answer["conversions"], lambda exact: 1e-8)
    value = {channel: amounts["PURCHASES"] for channel, amounts in report.amounts.items()}
    assert_close(value, answer["value"], lambda exact: 1e-8)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("first", "first"),
        ("last", "last"),
        ("linear", "linear"),
        ("position_40_20_40", "u_first_last"),
    ],
)
def test_thousands_of_paths_are_answered(shared_data: Path, name: str, model: str) -> None:
    folder = shared_data / "attribution"
    answer = json.loads((folder / "pathdata_half.json").read_text())[name]
    with (folder / "pathdata_half.csv").open(newline="") as lines:
        report = attribute(paths(csv.DictReader(lines)), model)

    assert report.conversions == 8_193
    assert_close(report.credit, answer["conversions"], lambda exact: 1e-6 * exact)
    value = {channel: amounts["VALUE"] for channel, amounts in report.amounts.items()}
    assert_close(value, answer["value"], lambda exact: 1e-6 * exact)


def paths(rows: Iterable[dict[str, str]]) -> Iterator[Conversion]:
    """Yield the converted journeys of path data, values in nano-units."""
    for row in rows:
        count = int(row["total_conversions"])
        if count:
            value = round(Decimal(row["total_conversion_value"]) * NANO)
            yield Conversion(path(*row["path"].split(" > ")), value, "VALUE", count)


def assert_close(
    nanos: dict[Any, int], answer: dict[str, float], tolerance: Callable[[float], float]
) -> None:
    """Assert that *nanos* is *answer*, which names the channels without credit too."""
    assert set(nanos) <= set(answer)
    for channel, exact in answer.items():
        assert abs(nanos.get(channel, 0) / NANO - exact) <= tolerance(exact) + 1e-9, channel
