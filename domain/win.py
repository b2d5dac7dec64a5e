"""The probability that a lead is won: naive Bayes over what is known of it, with its reasons.

As Odoo's predictive scoring does it: S(won) = P(won) x the product of P(value | won) over the
features, S(lost) likewise, and the probability is S(won) / (S(won) + S(lost)). To every count a
tenth is added, so that nothing is impossible for not having been seen. What is not known of a
lead, and a value that no outcome had, say nothing. A *tag* is a feature with several values at
once, each of which outcomes have or have not; by default one that fewer than 50 outcomes had is
ignored.

Features are not independent, so that the product is too sure of itself. From 200 outcomes on it
is therefore *calibrated*: isotonic steps over products that were made without the outcome in
question (cross-fitted: leads fall into folds by the hash of their id, and no fold is ever judged
by what it taught). Steps that tell no more than chance would are joined, so that features which
say nothing leave the base rate. The same holds for the evaluation, which keeps the fold that it judges from the
steps too. Probabilities stay within 1 % and 99 %.

Counts are integers and ratios fractions: equal outcomes give equal probabilities to the last digit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Final, NamedTuple

from domain.calibration import ONE, Bin, Isotonic, Judged, brier, reliability, robust_isotonic

LEAST: Final = ONE // 100
MOST: Final = ONE - LEAST
"""Nobody is less likely, nobody more likely to be won, in parts of `ONE`."""

TAG_OUTCOMES: Final = 50
"""Outcomes that a value of a tag needs to count, by default."""

NO_TAGS: Final[Mapping[str, int]] = {}

CALIBRATED: Final = 200
"""Outcomes from which on probabilities are calibrated."""

FOLDS: Final = 5

_TENTHS: Final = 10
# Counts are taken ten times, so that the tenth that smooths them is 1.

_LN: Final = Context(prec=28)

Features = Mapping[str, tuple[str, ...]]
"""What is known of a lead: feature to value, or values of a tag. What is unknown is not there."""


NO_FEATURES: Final[Features] = {}


class Outcome(NamedTuple):
    """A cycle of a lead that was won or lost, and what was known of it before."""

    lead: str
    """Id of the lead: all its cycles fall into one fold."""
    features: Features
    won: bool
    passed: Features = NO_FEATURES
    """Values that it had before those: they are learned from, but its chance is not of them."""


class Reason(NamedTuple):
    """What one value says."""

    feature: str
    value: str
    won: int
    """Outcomes with this value that were won."""
    lost: int
    ratio: Fraction
    """P(value | won) / P(value | lost): above 1 it speaks for the lead."""

    @property
    def points(self) -> Decimal:
        """Return the natural logarithm of the ratio, to six decimals: these add up."""
        return log_odds(self.ratio)


def _add(to: list[int], counts: list[int], times: int) -> None:
    """Add *times* the won and the lost of *counts*."""
    to[0] += counts[0] * times
    to[1] += counts[1] * times


def log_odds(odds: Fraction) -> Decimal:
    """Return the natural logarithm of *odds*, to six decimals, the same on every machine."""
    # The logarithm of decimal is rounded correctly, unlike that of the C library.
    exact = _LN.ln(_LN.divide(Decimal(odds.numerator), Decimal(odds.denominator)))
    return exact.quantize(Decimal("0.000001"))


class Counts:
    """Outcomes, counted by value: all that the product needs."""

    def __init__(self, tags: Mapping[str, int]) -> None:
        self.tags = tags
        self.won = 0
        self.lost = 0
        self.values: dict[str, dict[str, list[int]]] = {}
        """Feature to value to won and lost outcomes."""
        self.known: dict[str, list[int]] = {}
        """Feature to won and lost outcomes that have it."""

    def add(self, outcome: Outcome, times: int = 1) -> None:
        """Count *outcome*; -1 *times* takes it out again."""
        side = 0 if outcome.won else 1
        if outcome.won:
            self.won += times
        else:
            self.lost += times
        for feature, values in outcome.features.items():
            self.known.setdefault(feature, [0, 0])[side] += times
            of_feature = self.values.setdefault(feature, {})
            for value in (*outcome.passed.get(feature, ()), *values):
                of_feature.setdefault(value, [0, 0])[side] += times

    def add_counts(self, other: "Counts", times: int = 1) -> None:
        """Count all that *other* has counted; -1 *times* takes it out again."""
        self.won += other.won * times
        self.lost += other.lost * times
        for feature, known in other.known.items():
            _add(self.known.setdefault(feature, [0, 0]), known, times)
            of_feature = self.values.setdefault(feature, {})
            for value, counts in other.values[feature].items():
                _add(of_feature.setdefault(value, [0, 0]), counts, times)

    def model(self) -> "Model":
        """Return the model that the outcomes counted so far teach."""
        ratios: dict[str, dict[str, tuple[int, int, int, int]]] = {}
        for feature, values in self.values.items():
            seen = {value: (won, lost) for value, (won, lost) in values.items() if won + lost}
            least = self.tags.get(feature)
            if least is not None:
                seen = {value: counts for value, counts in seen.items() if sum(counts) >= least}
                of_won, of_lost, kinds = self.won, self.lost, 2
            else:
                (of_won, of_lost), kinds = self.known[feature], len(seen)
            all_won, all_lost = _TENTHS * of_won + kinds, _TENTHS * of_lost + kinds
            ratios[feature] = {
                value: (
                    (_TENTHS * won + 1) * all_lost,
                    (_TENTHS * lost + 1) * all_won,
                    won,
                    lost,
                )
                for value, (won, lost) in seen.items()
            }
        return Model(self.won, self.lost, ratios)


@dataclass(frozen=True, slots=True)
class Model:
    """What outcomes taught."""

    won: int
    lost: int
    _ratios: Mapping[str, Mapping[str, tuple[int, int, int, int]]]
    """Feature to value to numerator and denominator of its ratio, and outcomes won and lost."""

    @property
    def prior(self) -> Fraction:
        """Return the odds of being won before anything is known."""
        return Fraction(_TENTHS * self.won + 1, _TENTHS * self.lost + 1)

    def reasons(self, features: Features) -> list[Reason]:
        """Return what each known value says, in the order of *features*."""
        return [
            Reason(feature, value, won, lost, Fraction(for_it, against))
            for feature, value, (for_it, against, won, lost) in self._speaking(features)
        ]

    def odds(self, features: Features) -> Fraction:
        """Return the odds of being won: those before times the ratio of each reason."""
        for_it, against = self._product(features)
        return Fraction(for_it, against)

    def chance(self, features: Features) -> int:
        """Return the probability of being won, in parts of `ONE`, rounded down."""
        for_it, against = self._product(features)
        return ONE * for_it // (for_it + against)

    def _product(self, features: Features) -> tuple[int, int]:
        for_it, against = _TENTHS * self.won + 1, _TENTHS * self.lost + 1
        for _, _, (more, less, _, _) in self._speaking(features):
            for_it *= more
            against *= less
        return for_it, against

    def _speaking(self, features: Features) -> Iterator[tuple[str, str, tuple[int, int, int, int]]]:
        for feature, values in features.items():
            of_feature = self._ratios.get(feature)
            if of_feature:
                for value in values:
                    known = of_feature.get(value)
                    if known is not None:
                        yield feature, value, known


class Evaluation(NamedTuple):
    """How good the probabilities are, on outcomes that taught them nothing."""

    brier: Fraction
    brier_uncalibrated: Fraction
    brier_base: Fraction
    """Of saying the base rate of the other folds to everybody."""
    reliability: list[Bin]


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model, and the steps that calibrate it where there are enough outcomes."""

    model: Model
    steps: Isotonic | None
    evaluation: Evaluation | None
    """None where there are no outcomes of both kinds."""

    @property
    def outcomes(self) -> int:
        """Return how many outcomes it was taught by."""
        return self.model.won + self.model.lost

    def chance(self, features: Features) -> int:
        """Return the probability of being won, in parts of `ONE`, within 1 % and 99 %."""
        return _clamped(self.model.chance(features), self.steps)


def train(outcomes: Sequence[Outcome], tags: Mapping[str, int] = NO_TAGS) -> Predictor:
    """Return what *outcomes* teach, in whatever order they come.

    *tags* are the features with several values at once, and the outcomes that each value needs.
    """
    folds = [Counts(tags) for _ in range(FOLDS)]
    fold_of = [fold(outcome.lead) for outcome in outcomes]
    for outcome, n in zip(outcomes, fold_of, strict=True):
        folds[n].add(outcome)
    everything = Counts(tags)
    for part in folds:
        everything.add_counts(part)
    model = everything.model()
    if not model.won or not model.lost:
        return Predictor(model, None, None)
    apart = _Apart(outcomes, fold_of, everything, folds)
    calibrated = len(outcomes) >= CALIBRATED
    steps = robust_isotonic(apart.judged()) if calibrated else None
    return Predictor(model, steps, _evaluation(apart, calibrated=calibrated))


def fold(lead: str) -> int:
    """Return the fold of a lead, 0 to `FOLDS` - 1, by the hash of its id."""
    return int.from_bytes(sha256(lead.encode()).digest()[:8], "big") % FOLDS


class _Apart:
    """Outcomes judged by models that were taught without their fold."""

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        fold_of: Sequence[int],
        everything: Counts,
        folds: Sequence[Counts],
    ) -> None:
        self._everything, self._folds = everything, folds
        self._in_fold: list[list[Outcome]] = [[] for _ in folds]
        for outcome, n in zip(outcomes, fold_of, strict=True):
            self._in_fold[n].append(outcome)

    def judged(self, without: int | None = None) -> Iterator[Judged]:
        """Yield each outcome with the chance that the others gave it.

        The fold *without* is left out, of the outcomes and of what taught.
        """
        for n in range(len(self._folds)):
            if n != without:
                yield from self.judged_of(n, without)

    def judged_of(self, n: int, without: int | None = None) -> Iterator[Judged]:
        """Yield the outcomes of fold *n*, by a model that knows neither it nor *without*."""
        counts = Counts(self._everything.tags)
        counts.add_counts(self._everything)
        for away in {n, without} - {None}:
            counts.add_counts(self._folds[away], -1)  # type: ignore[index]  # None is taken away
        model = counts.model()
        for outcome in self._in_fold[n]:
            yield model.chance(outcome.features), outcome.won

    @property
    def folds(self) -> range:
        """Return the numbers of the folds."""
        return range(len(self._folds))


def _evaluation(apart: _Apart, *, calibrated: bool) -> Evaluation:
    plain: list[Judged] = []
    final: list[Judged] = []
    base: list[Judged] = []
    for n in apart.folds:
        others = list(apart.judged(without=n))
        steps = robust_isotonic(others) if calibrated else None
        rate = _share(won for _, won in others)
        for chance, won in apart.judged_of(n):
            plain.append((_clamped(chance, None), won))
            final.append((_clamped(chance, steps), won))
            base.append((_clamped(rate, None), won))
    return Evaluation(brier(final), brier(plain), brier(base), reliability(final))


def _share(outcomes: Iterable[bool]) -> int:
    """Return the share that was won, in parts of `ONE`; half where there are no outcomes."""
    won = list(outcomes)
    return round(Fraction(sum(won) * ONE, len(won))) if won else ONE // 2


def _clamped(chance: int, steps: Isotonic | None) -> int:
    return min(max(chance if steps is None else steps(chance), LEAST), MOST)
