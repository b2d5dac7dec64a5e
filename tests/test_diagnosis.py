"""Where channels leak: what the rules find, and what they leave alone."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from domain.diagnosis import LEVERS, STEPS, diagnose, is_testable, z_squared
from domain.intervals import wilson
from domain.stage_graph import Stay
from domain.stages import LOST, PATH, RANK, SGL, WON
from projections.channel_matrix import channel_matrix
from projections.pipeline import UnknownDimension
from projections.schema import SCHEMA, read_models
from projections.setup import create
from tests.stage_histories import Life, fill, filled, populations

# captured, mql, sal, sql, opportunity, won
EVEN = (400, 200, 150, 100, 80, 40)


def test_the_statistic_is_that_of_the_textbook() -> None:
    """Chi-square of [[30, 70], [50, 50]]: 200 (30*50 - 70*50)^2 / (100*100*80*120) = 25/3."""
    assert Fraction(25, 3) == z_squared(30, 100, 50, 100)
    assert 0 == z_squared(0, 10, 0, 10) == z_squared(0, 0, 1, 2)


def test_a_channel_with_many_leads_and_few_mqls_leaks_there() -> None:
    found = diagnose({"event": EVEN, "email": EVEN, "social": (800, 40, 30, 20, 16, 8)})

    (finding,) = found.findings
    assert ("social", "captured_to_mql", "no_conversion") == (
        finding.channel,
        finding.finding,
        finding.cause,
    )
    assert (Fraction(1, 20), Fraction(1, 2)) == (finding.rate, finding.rate_of_rest)
    assert finding.p_value < 1e-9
    assert LEVERS["captured_to_mql"] == finding.lever


def test_a_channel_with_few_leads_that_convert_lacks_leads() -> None:
    found = diagnose({"event": EVEN, "email": EVEN, "referral": (60, 55, 50, 45, 40, 30)})

    assert [("referral", "leads", "no_leads", "captured_to_won")] == [
        (one.channel, one.finding, one.cause, one.compared) for one in found.findings
    ]


def test_small_counts_and_small_differences_are_no_finding() -> None:
    small = diagnose({"event": EVEN, "email": EVEN, "display": (400, 200, 4, 0, 0, 0)})
    # of four none went on, and that says nothing; of 200 but four did
    assert ["mql_to_sal"] == [one.finding for one in small.findings]
    few = diagnose({"event": (6, 1, 0, 0, 0, 0), "email": (6, 5, 2, 0, 0, 0)})
    assert ((), 0, 4) == (few.findings, few.tests, few.too_few)
    assert () == diagnose({"event": EVEN, "email": (400, 190, 145, 95, 75, 35)}).findings
    assert () == diagnose({"event": EVEN}).findings
    assert () == diagnose({}).findings


def test_leads_without_a_channel_are_among_the_others_and_get_no_finding() -> None:
    found = diagnose({"event": EVEN, None: (800, 40, 30, 20, 16, 8)})

    assert all(one.channel == "event" for one in found.findings)
    assert () == found.findings


def test_the_level_is_shared_out_so_that_many_channels_find_no_more() -> None:
    """One of twenty channels that would be a finding beside one other is none beside them all."""
    weak = (400, 170, 130, 85, 65, 30)
    alone = diagnose({"event": (2_000, 1_000, 750, 500, 400, 200), "weak": weak})
    matrix: dict[str | None, tuple[int, ...]] = {f"c{n}": EVEN for n in range(20)}
    many = diagnose({"weak": weak, **matrix})

    assert 1 == len(diagnose({"weak": weak, "event": EVEN}, Fraction(2, 5)).findings)
    assert alone.tests < many.tests
    assert () == many.findings


def test_what_is_no_matrix_or_level_is_refused() -> None:
    with pytest.raises(ValueError, match="no counts along the way"):
        diagnose({"event": (1, 2, 0, 0, 0, 0)})
    with pytest.raises(ValueError, match=r"between 0 and 0\.5"):
        diagnose({"event": EVEN}, Fraction(1))


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d", None]),
        st.lists(st.integers(0, 60), min_size=6, max_size=6).map(
            lambda steps: tuple(reversed(list(accumulate(steps))))
        ),
        max_size=5,
    )
)
@settings(max_examples=150)
def test_every_finding_rests_on_enough_leads_and_points_the_right_way(
    matrix: dict[str | None, tuple[int, ...]],
) -> None:
    found = diagnose(matrix)
    for one in found.findings:
        assert (one.cause == "no_conversion") == (one.rate < one.rate_of_rest)
        assert one.z_squared > Fraction("2.705")  # the quantile of 5 %, one-sided, at least
        counts = matrix[one.channel]
        rest = [
            sum(column) - own
            for column, own in zip(zip(*matrix.values(), strict=True), counts, strict=True)
        ]
        if one.cause == "no_conversion":
            n = STEPS.index(one.finding.partition("_to_")[0])
            assert is_testable(counts[n + 1], counts[n], rest[n + 1], rest[n])
    turned = diagnose(dict(reversed(matrix.items())))
    assert {*found.findings} == {*turned.findings}


# --- the matrix ---


@given(populations())
@settings(max_examples=60)
def test_the_matrix_counts_who_got_how_far(population: list[Life]) -> None:
    engine = filled(population)
    with engine.connect() as connection:
        told = channel_matrix(connection)
        early = channel_matrix(connection, until=150)
    engine.dispose()

    assert expected(population) == {row["value"]: counts(row) for row in told["rows"]}
    captured = [life for life in population if life.stays and life.stays[0].entered_at < 150]
    assert expected(captured) == {row["value"]: counts(row) for row in early["rows"]}
    for row in told["rows"]:
        for one in row["conversions"]:
            before, after = row[one["from"]], row[one["to"]]
            if before:
                assert after / before == one["rate"]
                assert [float(end) for end in wilson(after, before)] == one["interval"]
            else:
                assert one["rate"] is one["interval"] is None


def expected(population: list[Life]) -> dict[str | None, tuple[int, ...]]:
    """Return leads and how many reached each step by channel, life by life."""
    found: dict[str | None, tuple[int, ...]] = {}
    for life in population:
        entered = {stay.stage for stay in life.stays}
        passed = {stage for stage in PATH for one in entered if RANK[stage] < RANK.get(one, -1)}
        reached = (1, *(int(stage in entered | passed) for stage in STEPS))
        before = found.get(life.channel, (0,) * len(reached))
        found[life.channel] = tuple(map(sum, zip(before, reached, strict=True)))
    return found


def counts(row: Mapping[Any, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in ("leads", *STEPS))


def test_the_view_has_the_numbers_of_the_query(database_url: str) -> None:
    engine = create_engine(database_url)
    create(engine)
    told_engine = fill(read_models(engine), population_of_all_ranks())
    with told_engine.connect() as connection:
        told = channel_matrix(connection)["rows"]
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
        shown = connection.execute(text("SELECT * FROM v_channel_matrix")).mappings().all()
    engine.dispose()

    assert {row["value"] or "(none)": counts(row) for row in told} == {
        row["channel"]: counts(row) for row in shown
    }
    assert {"email": (12, 10, 8, 6, 5, 4, 3)}.items() <= {
        row["channel"]: counts(row) for row in shown
    }.items()


def population_of_all_ranks() -> list[Life]:
    """Return one lead per stage that got no further, and a visitor, by e-mail; one by nothing."""
    return [
        *(Life([Stay(stage, 1, 0, None)], "email") for stage in (*PATH, SGL, LOST, WON, WON)),
        Life([], "email"),
        Life([Stay(PATH[0], 1, 0, None)]),
    ]


def test_who_was_found_by_sales_was_not_accepted_by_sales() -> None:
    """An SGL passed MQL, as every funnel of stages has it, and stands beside SAL."""
    engine = filled([Life([Stay(SGL, 1, 0, None)], "outbound")])
    with engine.connect() as connection:
        (row,) = channel_matrix(connection)["rows"]
    engine.dispose()

    assert counts(row) == (1, 1, 1, 0, 0, 0, 0)


def test_a_dimension_that_is_not_there_is_refused() -> None:
    with filled([]).connect() as connection:
        with pytest.raises(UnknownDimension, match="there are owner"):
            channel_matrix(connection, "stars")
        told = channel_matrix(connection)
        assert (0, 0, [], 0) == (told["leads"], told["won"], told["rows"], told["tests"])
