"""Where leads stand, now and at the end of each period, and who is stuck there."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.periods import Every, periods
from domain.standing import LEAST_EXITS, Limit, is_stuck, silence_limit, stage_at
from leadflow.policies import load_policy
from projections import pipeline_now
from projections.answers import DAY
from projections.as_of import as_of_engine
from projections.pipeline_over_time import over_time
from projections.runner import Runner
from tests.projections_kit import START, Log, fact, read_model_database
from tests.stage_histories import NOW, Life, filled, populations

POLICY = load_policy()


# --- amounts ---


@given(populations())
@settings(max_examples=40)
def test_amounts_of_any_size_are_added_exactly(population: list[Life]) -> None:
    engine = filled(population)
    with engine.connect() as connection:
        answer = pipeline_now.summary(connection, "channel", NOW)
    engine.dispose()

    assert told(population, NOW) == {
        stage["stage"]: (stage["leads"], cents(stage["amounts"])) for stage in answer["stages"]
    }
    for group in answer["groups"]:
        alike = [life for life in population if life.channel == group["value"]]
        assert told(alike, NOW) == {
            stage["stage"]: (stage["leads"], cents(stage["amounts"])) for stage in group["stages"]
        }


# --- who is stuck ---


def test_nine_stays_of_ten_say_how_long_a_lead_may_be_silent() -> None:
    ended = [(n, True) for n in range(1, 11)]

    assert Limit(9, "all") == silence_limit(ended)
    assert Limit(9, "all") == silence_limit([*ended, (3, False), (20, False)], Fraction(3, 4))
    # most stay for good, so that nine of ten are never over
    assert Limit(9, "ended") == silence_limit([*ended, *[(50, False)] * 10])
    assert silence_limit(ended[: LEAST_EXITS - 1]) is None


def test_only_open_stages_get_stuck_and_only_beyond_the_limit() -> None:
    limit = Limit(10, "all")

    assert is_stuck("mql", 0, 11, limit)
    assert not is_stuck("mql", 0, 10, limit)
    assert not is_stuck("recycled", 0, 11, limit)
    assert not is_stuck(None, 0, 11, limit)
    assert not is_stuck("mql", 0, 11, None)


@given(populations(), st.sampled_from([None, 0, 500]))
@settings(max_examples=50)
def test_the_query_finds_the_stuck_leads_of_the_rule(
    population: list[Life], silent_for: int | None
) -> None:
    population = population * 4  # so that some stages have been left often enough
    stays: dict[str, list[tuple[int, bool]]] = {}
    for life in population:
        for stay in life.stays:
            end = NOW if stay.exited_at is None else stay.exited_at
            stays.setdefault(stay.stage, []).append((end - stay.entered_at, end is stay.exited_at))
    limits = {stage: silence_limit(of_stage) for stage, of_stage in stays.items()}
    if silent_for is not None:
        limits = dict.fromkeys(limits, Limit(silent_for, "given"))
    expected = []
    for n, life in enumerate(population):
        stage = life.stays[-1].stage if life.stays else None
        if is_stuck(stage, life.last_at, NOW, limits.get(stage or "")):
            expected.append((life.last_at, f"lead-{n:03}"))

    engine = filled(population)
    with engine.connect() as connection:
        answer = pipeline_now.summary(connection, as_of=NOW, stuck=7, silent_for=silent_for)
        by_channel = pipeline_now.summary(connection, "channel", NOW, silent_for=silent_for)
    engine.dispose()

    assert len(expected) == answer["stuck"]["leads"]
    assert [lead for _, lead in sorted(expected)[:7]] == [
        row["lead_id"] for row in answer["stuck"]["rows"]
    ]
    assert len(expected) == sum(stage["stuck"] or 0 for stage in answer["stages"])
    assert len(expected) == sum(
        stage["stuck"] or 0 for group in by_channel["groups"] for stage in group["stages"]
    )


# --- over time ---


def test_periods_are_named_and_meet() -> None:
    day = DAY
    found = list(periods(START, START + 40 * day, "month"))

    assert ["2024-10", "2024-11"] == [one.name for one in found]
    assert found[0].end == found[1].start
    assert ["1969-W52"] == [one.name for one in periods(-10 * day, -9 * day, "week")]
    assert ["2024-W40", "2024-W41"] == [
        one.name for one in periods(START, START + 5 * day + 1, "week")
    ]
    assert ["1970-01-01", "1970-01-02"] == [one.name for one in periods(5, day + 1, "day")]
    assert [] == list(periods(5, 5, "day"))


@given(populations(), st.lists(st.integers(0, NOW), min_size=1, max_size=3, unique=True))
@settings(max_examples=50)
def test_a_point_is_what_the_stays_and_deals_say_of_its_instant(
    population: list[Life], ends: list[int]
) -> None:
    engine = filled(population)
    for end in ends:
        with engine.connect() as connection:
            answer = over_time(connection, "day", "channel", since=0, until=end + 1, as_of=NOW)
        if not population:
            assert [] == answer["points"]
            continue
        (point,) = answer["points"]
        assert told(population, end) == {
            stage["stage"]: (stage["leads"], cents(stage["amounts"])) for stage in point["stages"]
        }
        for group in point["groups"]:
            alike = [life for life in population if life.channel == group["value"]]
            assert told(alike, end) == {
                stage["stage"]: (stage["leads"], cents(stage["amounts"]))
                for stage in group["stages"]
            }
        assert point["leads"] == sum(group["leads"] for group in point["groups"])
    engine.dispose()


def told(population: Sequence[Life], at: int) -> dict[str | None, tuple[int, int | None]]:
    """Return leads and minor units by stage at an instant, life by life."""
    found: dict[str | None, tuple[int, int | None]] = {}
    for life in population:
        if life.first_at > at:
            continue
        stage = stage_at(life.stays, at)
        leads, worth = found.get(stage, (0, None))
        for status, created, closed, units, _ in life.deals:
            is_closed = closed is not None and closed <= at
            counts = {"won": is_closed and status == "won", "lost": is_closed and status == "lost"}
            if units is not None and counts.get(stage or "", created <= at and not is_closed):
                worth = (worth or 0) + units
        found[stage] = (leads + 1, worth)
    return found


def cents(amounts: list[dict[str, str]]) -> int | None:
    return int(amounts[0]["amount"].replace(".", "")) if amounts else None


def test_a_point_is_the_pipeline_folded_as_of_its_end() -> None:
    log = Log(POLICY)
    for n in range(9):
        who = f"p{n}@example.com"
        log.arrive(fact("page.viewed", n * DAY, who))
        log.arrive(fact("demo.requested", (3 + 2 * n) * DAY, who))
        log.arrive(
            fact(
                "opportunity.created",
                (10 + n) * DAY,
                who,
                opportunity="o",
                amount=100 + n,
                currency="EUR",
            )
        )
        if n % 3:
            ended = "deal.won" if n % 2 else "deal.lost"
            log.arrive(
                fact(ended, (20 + n) * DAY, who, opportunity="o", amount=100 + n, currency="EUR")
            )
        if n == 5:
            log.arrive(fact("lead.recycled", 40 * DAY, who))
    runner = Runner(read_model_database(), log, POLICY)
    runner.catch_up()
    with runner.engine.connect() as connection:
        answer = over_time(connection, "week")
        pieces = over_time(connection, "month", since=START, until=START + 12 * DAY)

    assert [False, True] == [
        answer["points"][-1]["is_complete"],
        answer["points"][0]["is_complete"],
    ]
    for point, period in zip(
        answer["points"], periods(START, START + 40 * DAY + 1, "week"), strict=True
    ):
        at = min(period.end - 1, START + 40 * DAY)
        engine = as_of_engine(log, POLICY, as_of=at)
        with engine.connect() as connection:
            folded = pipeline_now.summary(connection, as_of=at)
        engine.dispose()
        assert [(one["stage"], one["leads"], one["amounts"]) for one in folded["stages"]] == [
            (one["stage"], one["leads"], one["amounts"]) for one in point["stages"]
        ]
    assert [("2024-10", False)] == [(one["period"], one["is_complete"]) for one in pieces["points"]]
    assert "2024-10-15T23:59:59.999999Z" == pieces["points"][0]["at"]


def test_what_makes_no_series_is_refused() -> None:
    with filled([]).connect() as connection:
        with pytest.raises(ValueError, match="there are day, week, month"):
            over_time(connection, "year")  # type: ignore[arg-type]  # what a user may write
        every: Every = "day"
        assert {"every": "day", "as_of": None, "points": []} == over_time(connection, every)
    long: Any = [Life([], first_at=0, last_at=4_000 * DAY)]
    with filled(long).connect() as connection, pytest.raises(ValueError, match="shorter time"):
        over_time(connection, "day")
