"""The question ``channels`` answers: how far the leads of each channel get, and where they stop."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, case, func, select

from domain.diagnosis import LEAST_EXPECTED, SIGNIFICANCE, STEPS, Finding, diagnose
from domain.intervals import wilson
from domain.stages import PATH, RANK, SGL
from projections.answers import Answer, add_up, amounts, by_size, exponents, rfc3339
from projections.conversions import conversions
from projections.period import between
from projections.pipeline import dimension, pipeline
from projections.stages import stages
from projections.sums import halves, whole

Conditions = Sequence[ColumnElement[bool]]


def channel_matrix(
    connection: Connection,
    by: str = "channel",
    *,
    since: int | None = None,
    until: int | None = None,
    significance: Fraction = SIGNIFICANCE,
) -> Answer:
    """Return how many leads of each value of *by* reached each stage, and where they leak.

    A lead has reached a stage that it entered or passed, in whichever cycle, so that a rate is of
    the very leads that came before. *since* and *until* bound the capture of the lead, in
    microseconds; then visitors who were never captured are left out. Amounts are won deals. The
    rules of the findings are `domain.diagnosis.diagnose`.

    Raises UnknownDimension, and ValueError unless 0 < *significance* < 1/2.
    """
    column = dimension(by)
    period = between(pipeline.c.captured_at_us, since, until)
    leads, matrix = _reached(connection, column, period)
    won = _won(connection, column, period)
    places = exponents(connection)
    found = diagnose(matrix, significance)
    total = [sum(counts) for counts in zip(*matrix.values(), strict=True)] or [0] * len(STEPS)
    return {
        "by": by,
        "from": None if since is None else rfc3339(since),
        "to": None if until is None else rfc3339(until),
        "leads": sum(leads.values()),
        **_row(total),
        "amounts": amounts(add_up(_over_all(won)).get(None, {}), places),
        "rows": [
            {
                "value": value,
                "leads": leads[value],
                **_row(matrix[value]),
                "amounts": amounts(won.get(value, {}), places),
                "findings": [_finding(one) for one in found.findings if one.channel == value],
            }
            for value in by_size(leads)
        ],
        "significance": float(significance),
        "least_expected": LEAST_EXPECTED,
        "tests": found.tests,
        "too_few": found.too_few,
    }


def _reached(
    connection: Connection, column: Column[Any], period: Conditions
) -> tuple[dict[Any, int], dict[Any, list[int]]]:
    """Return by value of *column* how many leads there are, and how many reached each step."""
    furthest = (
        select(stages.c.lead_no, func.max(_rank()).label("rank"))
        .group_by(stages.c.lead_no)
        .subquery()
    )
    counted = connection.execute(
        select(
            column,
            func.count(),
            *(func.count(case((furthest.c.rank >= PATH.index(stage), 1))) for stage in STEPS),
        )
        .join(furthest, furthest.c.lead_no == pipeline.c.lead_no, isouter=True)
        .where(*period)
        .group_by(column)
    )
    leads: dict[Any, int] = {}
    matrix: dict[Any, list[int]] = {}
    for value, number, *reached in counted:
        leads[value], matrix[value] = number, reached
    return leads, matrix


def _won(
    connection: Connection, column: Column[Any], period: Conditions
) -> dict[Any, dict[str, int]]:
    """Return by value of *column* and currency what was won, in minor units."""
    return add_up(
        (value, currency, whole(upper, lower))
        for value, currency, upper, lower in connection.execute(
            select(column, conversions.c.currency, *halves(conversions.c.amount_minor))
            .join(
                conversions,
                and_(conversions.c.lead_no == pipeline.c.lead_no, conversions.c.kind == "won"),
            )
            .where(*period)
            .group_by(column, conversions.c.currency)
        )
    )


def _finding(one: Finding) -> Answer:
    return {
        "finding": one.finding,
        "class": one.cause,
        "compared": one.compared,
        "rate": float(one.rate),
        "rate_of_rest": float(one.rate_of_rest),
        "p_value": one.p_value,
        "lever": one.lever,
    }


def _over_all(worth: Mapping[Any, Mapping[str, int]]) -> Iterator[tuple[None, str, int]]:
    for of_value in worth.values():
        for currency, units in of_value.items():
            yield None, currency, units


def _rank() -> Any:
    """Return how far along the way a stage entry is; null off the way.

    An SGL stands beside SAL and has passed what lies before it: sales did not accept it.
    """
    return case({**RANK, SGL: RANK[SGL] - 1}, value=stages.c.stage)


def _row(reached: Sequence[int]) -> Mapping[str, Any]:
    """Return the counts of the stages, and how many of one reached the next."""
    return {
        **dict(zip(STEPS, reached, strict=True)),
        "conversions": [
            {
                "from": here,
                "to": there,
                "rate": after / before if before else None,
                "interval": [float(end) for end in wilson(after, before)] if before else None,
            }
            for (here, before), (there, after) in pairwise(zip(STEPS, reached, strict=True))
        ],
    }
