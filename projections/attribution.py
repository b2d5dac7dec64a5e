"""The questions of attribution: what a model credits, and where models disagree.

Both take journeys from wherever they come: of the read models (`attribution`, `compare`), or of path
data (``leadflow.paths``), and say the same of the same journeys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum
from typing import Any, Final

from sqlalchemy import Connection

from domain.attribution import MOMENT_MODELS, OVERALL_MODELS, Attribution
from domain.journey import COLLAPSE_GAP, LOOKBACK, transform_named
from projections.answers import Answer, by_size, credit_text, decimal, exponents
from projections.attribution_models import NAMES, Asked, Models, check
from projections.conversions import KINDS
from projections.credit import BY, STORED, stored

COMPARED: Final = (
    "first",
    "last",
    "last_non_direct",
    "linear",
    "time_decay",
    "u_first_last",
    "u_lead",
    "w",
    "full_path",
    "markov",
    "shapley",
    "shapley_rate",
)
"""The models that stand side by side unless others are named."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which journeys are asked about: to what, by what, how far back, and how they are shortened."""

    conversion: str = "won"
    by: str = "channel"
    lookback: int | None = LOOKBACK
    collapse_gap: int | None = COLLAPSE_GAP
    transforms: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise ValueError for a name that is not there."""
        for name, value, known in (
            ("conversion", self.conversion, KINDS),
            ("dimension of touches", self.by, BY),
        ):
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; there are {', '.join(known)}")
        for transform in self.transforms:
            transform_named(transform)

    @property
    def is_stored(self) -> bool:
        """Return whether the read model ``credit`` was made of these journeys."""
        kept = (LOOKBACK, COLLAPSE_GAP)
        return not self.transforms and (self.lookback, self.collapse_gap) == kept

    def models(
        self, connection: Connection, models: Iterable[str], *, nulls: bool = False
    ) -> Models:
        """Return the journeys that *models* need, of the read models."""
        from projections.journeys_read import read_journeys, transformed

        names = set(models)
        found = read_journeys(
            connection,
            self.conversion,
            self.by,
            self.lookback,
            self.collapse_gap,
            nulls=nulls or bool(names & set(OVERALL_MODELS)),
            moments=bool(names & set(MOMENT_MODELS)),
        )
        return Models(transformed(found, self.transforms))


def attribution(
    connection: Connection,
    model: str,
    scope: Scope = Scope(),
    asked: Asked = Asked(),  # noqa: B008 (the same)
) -> Answer:
    """Return what each value earned of all conversions of one kind.

    Conversions without touches are told apart, as unattributed. Models of all journeys look at
    those that led to nothing too: of every lead without such a conversion the touches of the
    lookback up to its last one. Raises ValueError for an unknown name, and as the models do.
    """
    scope.check()
    check(model, asked)
    if model in STORED and scope.is_stored and asked.half_life is None:
        result = stored(connection, model, scope.by, scope.conversion)
        return document(result, model, scope.conversion, exponents(connection))
    result, told = scope.models(connection, [model]).ask(model, asked)
    return document(result, model, scope.conversion, exponents(connection)) | told


def compare(
    connection: Connection,
    models: Sequence[str] = COMPARED,
    scope: Scope = Scope(),
    asked: Asked = Asked(),  # noqa: B008 (the same)
    rounds: int = 0,
) -> Answer:
    """Return what several models credit, side by side, and how far they disagree.

    *rounds* asks for so many draws of the leads, see ``projections.attribution_bootstrap``. Raises
    ValueError as `attribution`, and for fewer than two models.
    """
    scope.check()
    checked(models, asked)
    found = scope.models(connection, models, nulls=rounds > 0)
    return compared(found, models, scope.conversion, exponents(connection), asked, rounds)


def checked(models: Sequence[str], asked: Asked) -> None:
    """Raise ValueError for models that cannot be compared, or have no such option."""
    unknown = [name for name in models if name not in NAMES]
    if unknown:
        raise ValueError(f"unknown model {unknown[0]!r}; there are {', '.join(NAMES)}")
    if len(set(models)) < 2 or len(set(models)) < len(models):
        raise ValueError(f"to compare takes two different models, not {', '.join(models)}")
    for options in (Asked(asked.order), Asked(half_life=asked.half_life)):
        if options != Asked():
            fits = [name for name in models if _takes(name, options)]
            if not fits:
                check(models[0], options)


def _takes(model: str, asked: Asked) -> bool:
    try:
        check(model, asked)
    except ValueError:
        return False
    return True


def compared(
    models: Models,
    names: Sequence[str],
    conversion: str | None,
    places: Mapping[str, int],
    asked: Asked,
    rounds: int = 0,
) -> Answer:
    """Return what the models of *names* credit of the same journeys, and how far they disagree."""
    found: dict[str, Attribution] = {}
    told: dict[str, Answer] = {}
    for name in names:
        order = asked.order if name.startswith("markov") else 1
        half_life = asked.half_life if name.startswith("time_decay") else None
        found[name], told[name] = models.ask(name, Asked(order, half_life))
    shares = {name: _shares(result) for name, result in found.items()}
    ranks = {name: _ranks(result) for name, result in found.items()}
    values = {value for result in found.values() for value in (*result.credit, *result.amounts)}
    total = {value: sum(one.credit.get(value, 0) for one in found.values()) for value in values}
    rows = []
    for value in by_size(total):
        of_value = [shares[name].get(value, 0.0) for name in names]
        rows.append(
            {
                "value": value,
                "models": {
                    name: {
                        "credit": credit_text(found[name].credit.get(value, 0)),
                        "share": shares[name].get(value, 0.0),
                        "rank": ranks[name].get(value),
                        "amounts": _amounts(found[name].amounts.get(value, {}), places),
                    }
                    for name in names
                },
                "share_min": min(of_value),
                "share_max": max(of_value),
                "disagreement": max(of_value) - min(of_value),
                "rank_best": min((r for n in names if (r := ranks[n].get(value))), default=None),
                "rank_worst": max((r for n in names if (r := ranks[n].get(value))), default=None),
            }
        )
    first = document(found[names[0]], names[0], conversion, places)
    answer: Answer = {
        "conversion": conversion,
        "conversions": first["conversions"],
        "amounts": first["amounts"],
        "models": list(names),
        "rows": rows,
        "distances": [
            {"models": [a, b], "distance": _distance(shares[a], shares[b])}
            for a, b in combinations(names, 2)
        ],
        "unattributed": first["unattributed"],
        "told": {name: one for name, one in told.items() if one},
        "warnings": sorted({word for one in told.values() for word in one.get("warnings", ())}),
    }
    if rounds:
        answer["bootstrap"] = _drawn(models, names, rows, rounds, asked)
    return answer


def _drawn(
    models: Models, names: Sequence[str], rows: Sequence[Answer], rounds: int, asked: Asked
) -> Answer:
    """Put intervals and ranks into *rows*; return what is said of the models as a whole."""
    from projections.attribution_bootstrap import LEVEL, bootstrap

    codes = {value: code for code, value in enumerate(models.journeys.values)}
    drawn = bootstrap(models, names, rounds, asked)
    for row in rows:
        code = codes[row["value"]]
        for name in names:
            said = drawn[name]
            row["models"][name] |= {
                "share_low": float(said.low[code]),
                "share_high": float(said.high[code]),
                "rank_probabilities": [round(float(x), 6) for x in said.ranks[code, : len(rows)]],
            }
    return {
        "rounds": rounds,
        "level": LEVEL,
        "same_order": {name: drawn[name].same_order for name in names},
    }


def _shares(result: Attribution) -> dict[str | None, float]:
    whole = sum(result.credit.values())
    return {value: units / whole for value, units in result.credit.items()} if whole else {}


def _ranks(result: Attribution) -> dict[str | None, int]:
    """Return the rank of each value with credit; equal credit is an equal rank."""
    order = sorted(result.credit.values(), reverse=True)
    return {value: order.index(units) + 1 for value, units in result.credit.items()}


def _distance(a: Mapping[Any, float], b: Mapping[Any, float]) -> float:
    """Return the total variation distance: the share of the credit that one would move."""
    # exactly: a set has another order in each run, and so has a plain sum another last digit
    return fsum(abs(a.get(value, 0.0) - b.get(value, 0.0)) for value in {*a, *b}) / 2


def document(
    result: Attribution, model: str, conversion: str | None, places: Mapping[str, int]
) -> Answer:
    """Return an attribution as the answer of a command."""
    total = dict(result.unattributed_amounts)
    for of_value in result.amounts.values():
        for currency, units in of_value.items():
            total[currency] = total.get(currency, 0) + units
    keys = {**dict.fromkeys(result.amounts, 0), **result.credit}
    return {
        "model": model,
        "conversion": conversion,
        "conversions": result.conversions,
        "amounts": _amounts(total, places),
        "rows": [
            {
                "value": value,
                "credit": credit_text(keys[value]),
                "amounts": _amounts(result.amounts.get(value, {}), places),
            }
            for value in by_size(keys)
        ],
        "unattributed": {
            "conversions": result.unattributed,
            "amounts": _amounts(result.unattributed_amounts, places),
        },
    }


NO_CURRENCY: Final = "XXX"
"""The code of ISO 4217 for no currency: path data names none."""


def _amounts(units: Mapping[str, int], places: Mapping[str, int]) -> list[Answer]:
    """Return minor units by currency; those without currency only where there are any."""
    return [
        {
            "currency": None if currency == NO_CURRENCY else currency,
            "amount": decimal(value, places.get(currency, 2)),
        }
        for currency, value in sorted(units.items())
        if value or currency != NO_CURRENCY
    ]
