"""Where a channel leaks: rules over how many of its leads got how far.

Two root causes are told apart: a channel whose leads convert, but that brings few of them
(`no_leads`), and one with many leads of which too few take the next step (`no_conversion`). A
finding says that the difference to all other leads is larger than chance, not why it is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import NormalDist
from typing import Final, Literal

from domain.stages import CAPTURED, MQL, OPPORTUNITY, SAL, SQL, WON

STEPS: Final = (CAPTURED, MQL, SAL, SQL, OPPORTUNITY, WON)
"""The stages of the matrix; a lead that reached one has reached those before it."""

SIGNIFICANCE: Final = Fraction(1, 20)
"""How often chance alone may bring any finding at all, where nobody says else."""

LEAST_EXPECTED: Final = 5
"""Leads that must be expected to convert, and not to, on both sides (Cochran's rule of five)."""

Cause = Literal["no_leads", "no_conversion"]

LEADS: Final = "leads"
"""The finding of a channel that brings few leads."""

LEVERS: Final[Mapping[str, str]] = {
    LEADS: "its leads convert better than others: bring more of them (SEO, ads, social media)",
    "captured_to_mql": "many leads, few MQLs: aim better (retargeting, SEO, other audiences), and"
    " nurture by newsletter and guides",
    "mql_to_sal": "sales does not take them: see the reasons in leadflow handoffs, and agree anew"
    " on what an MQL is",
    "sal_to_sql": "many accepted, few qualified: follow up sooner and personally (call, personal"
    " mail, brochure)",
    "sql_to_opportunity": "need is confirmed and no offer follows: personal mail, customer stories,"
    " a report that makes the case",
    "opportunity_to_won": "deals are lost late: look at reasons and competitors, stories of"
    " customers like them, price",
}
"""What to try, by finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rules say of one channel."""

    channel: str
    finding: str
    """`leads`, or the step at which it leaks: captured_to_mql."""
    cause: Cause
    compared: str
    """The rate that is compared: captured_to_mql."""
    rate: Fraction
    rate_of_rest: Fraction
    """The same rate of all leads of other channels."""
    z_squared: Fraction
    """The square of the statistic, exact."""
    p_value: float
    """One-sided; not corrected for the number of tests."""
    lever: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the rules found, and how hard they looked."""

    findings: tuple[Finding, ...]
    tests: int
    """Comparisons with enough leads on both sides."""
    too_few: int
    """Comparisons that were left out because a side had too few leads."""


@dataclass(frozen=True, slots=True)
class _Test:
    channel: str
    finding: str
    cause: Cause
    compared: str
    hits: int
    trials: int
    rest_hits: int
    rest_trials: int


def z_squared(hits: int, trials: int, rest_hits: int, rest_trials: int) -> Fraction:
    """Return the square of the pooled two-proportion statistic; 0 where it is not defined.

    z = (p1 - p2) / sqrt(p (1 - p) (1/n1 + 1/n2)) with p the rate of both together; its square is
    Pearson's chi-square of the two-by-two table, and a fraction of integers.
    """
    both = trials + rest_trials
    pooled = Fraction(hits + rest_hits, both) if both else Fraction(0)
    if not trials or not rest_trials or pooled in (0, 1):
        return Fraction(0)
    gap = Fraction(hits, trials) - Fraction(rest_hits, rest_trials)
    return gap * gap / (pooled * (1 - pooled) * (Fraction(1, trials) + Fraction(1, rest_trials)))


def is_testable(hits: int, trials: int, rest_hits: int, rest_trials: int) -> bool:
    """Return whether both sides are large enough for the statistic to mean anything."""
    both = trials + rest_trials
    converted = hits + rest_hits
    return min(trials, rest_trials) * min(converted, both - converted) >= LEAST_EXPECTED * both > 0


def diagnose(
    matrix: Mapping[str | None, Sequence[int]], significance: Fraction = SIGNIFICANCE
) -> Diagnosis:
    """Return what *matrix* says of each channel: leads that reached each of `STEPS`.

    Every channel is compared with all other leads, by the two-proportion test, one-sided. A step
    leaks where at least as many leads came to it as in the median channel, and significantly
    fewer of them took the next. A channel lacks leads where it has fewer than the median channel
    and significantly more of them got to the last stage that can be compared. The significance is
    shared out over all tests that are made (Bonferroni), so that looking at many channels finds
    no more by chance. Leads without a channel count among the others, and get no finding.

    Raises ValueError for counts that rise along the way, and unless 0 < *significance* < 1/2.
    """
    if not 0 < significance < Fraction(1, 2):
        raise ValueError(f"a significance lies between 0 and 0.5, not at {float(significance)}")
    for channel, counts in matrix.items():
        if len(counts) != len(STEPS) or any(a < b for a, b in pairwise(counts)) or counts[-1] < 0:
            raise ValueError(f"{channel or '(none)'}: {list(counts)} are no counts along the way")
    totals = [sum(column) for column in zip(*matrix.values(), strict=True)] or [0] * len(STEPS)
    named = {name: counts for name, counts in matrix.items() if name is not None}
    tests: list[_Test] = []
    too_few = 0
    for channel, counts in named.items():
        rest = [every - own for every, own in zip(totals, counts, strict=True)]
        for n, (here, there) in enumerate(pairwise(STEPS)):
            if counts[n] < _median([other[n] for other in named.values()]):
                continue
            sides = (counts[n + 1], counts[n], rest[n + 1], rest[n])
            if is_testable(*sides):
                step = f"{here}_to_{there}"
                tests.append(_Test(channel, step, "no_conversion", step, *sides))
            elif counts[n]:
                too_few += 1
        if 0 < counts[0] < _median([other[0] for other in named.values()]):
            for n in range(len(STEPS) - 1, 0, -1):
                sides = (counts[n], counts[0], rest[n], rest[0])
                if is_testable(*sides):
                    step = f"{STEPS[0]}_to_{STEPS[n]}"
                    tests.append(_Test(channel, LEADS, "no_leads", step, *sides))
                    break
            else:
                too_few += 1
    least = _critical_square(significance / len(tests)) if tests else Fraction(0)
    findings = [finding for test in tests if (finding := _finding(test, least)) is not None]
    return Diagnosis(tuple(findings), len(tests), too_few)


def _median(counts: Sequence[int]) -> Fraction:
    ordered = sorted(counts)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return Fraction(ordered[middle])
    return Fraction(ordered[middle - 1] + ordered[middle], 2)


def _critical_square(tail: Fraction) -> Fraction:
    """Return the square of the normal quantile that a share of *tail* lies above.

    Rounded to parts of 10^6, so that the last bits of a machine's logarithm decide nothing.
    """
    quantile = Fraction(round(NormalDist().inv_cdf(1 - float(tail)) * 10**6), 10**6)
    return quantile * quantile


def _finding(test: _Test, least: Fraction) -> Finding | None:
    rate = Fraction(test.hits, test.trials)
    rest = Fraction(test.rest_hits, test.rest_trials)
    expected = rate < rest if test.cause == "no_conversion" else rate > rest
    square = z_squared(test.hits, test.trials, test.rest_hits, test.rest_trials)
    if not expected or square <= least:
        return None
    return Finding(
        test.channel,
        test.finding,
        test.cause,
        test.compared,
        rate,
        rest,
        square,
        NormalDist().cdf(-(float(square) ** 0.5)),
        LEVERS[test.finding],
    )
