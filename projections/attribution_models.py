"""Any model of attribution over columns of journeys, by the name that queries use."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from domain.attribution import (
    HALF_LIFE,
    MODELS,
    MOMENT_MODELS,
    NEEDS_TIMES,
    OVERALL_MODELS,
    Attribution,
)
from domain.markov import NO_NULL_PATHS, check_order
from domain.markov_order import choose_order
from projections.attribution_columns import Columns
from projections.attribution_overall import (
    distinct,
    markov,
    paths_of,
    rate_values,
    shapley_rate,
    value_of,
)
from projections.journeys import Journeys

Order = int | Literal["auto"]
"""The order of a chain; ``auto`` is the one that tells best which journeys convert."""

NAMES: Final = (*MODELS, *MOMENT_MODELS, *OVERALL_MODELS)
"""All models."""

OF_PATHS: Final = tuple(
    name for name in NAMES if name not in NEEDS_TIMES and name not in MOMENT_MODELS
)
"""The models that need no instants."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked beside the model."""

    order: Order = 1
    half_life: int | None = None
    """Of time decay, microseconds; None is `HALF_LIFE`."""


def check(model: str, asked: Asked) -> None:
    """Raise ValueError for a model that is not there, or has no such option."""
    if model not in NAMES:
        raise ValueError(f"unknown model {model!r}; there are {', '.join(NAMES)}")
    if asked.order != 1 and not model.startswith("markov"):
        raise ValueError(f"{model} has no order; markov has")
    if asked.order != "auto":
        check_order(asked.order)
    if asked.half_life is not None and model not in NEEDS_TIMES:
        raise ValueError(f"{model} has no half-life; {', '.join(sorted(NEEDS_TIMES))} have")
    if asked.half_life is not None and asked.half_life <= 0:
        raise ValueError("a half-life must be longer than nothing")


@dataclass(slots=True)
class Models:
    """Journeys that any model may be asked about."""

    journeys: Journeys
    _columns: Columns | None = field(default=None, repr=False)

    @property
    def columns(self) -> Columns:
        """Return the journeys laid out for rules."""
        if self._columns is None:
            self._columns = Columns(self.journeys)
        return self._columns

    def ask(self, model: str, asked: Asked) -> tuple[Attribution, dict[str, Any]]:
        """Return the credit by *model*, and what the answer tells beside it.

        Raises ValueError as `check`, and for a chain of too many states.
        """
        check(model, asked)
        if model in OVERALL_MODELS:
            return self._overall(model, asked.order)
        half_life = HALF_LIFE if asked.half_life is None else asked.half_life
        return self.columns.attribute(model, half_life), {}

    def chain_order(self, order: Order, journeys: Journeys) -> tuple[int, dict[str, Any]]:
        """Return the order that is asked for, and how it was chosen where it was."""
        if order != "auto":
            return order, {}
        choice = choose_order(paths_of(journeys))
        auc = {str(k): round(float(area), 6) for k, area in choice.auc.items()}
        return choice.order, {"auc": auc}

    def _overall(self, model: str, order: Order) -> tuple[Attribution, dict[str, Any]]:
        journeys = self.journeys
        touched = journeys.lengths > 0
        lost = int(journeys.count[~journeys.converted & touched].sum())
        warnings = [] if lost else [NO_NULL_PATHS]
        if model.startswith("markov"):
            if model == "markov_converted_only":
                journeys = journeys.chosen(journeys.converted)
                lost, warnings = 0, [NO_NULL_PATHS]
            number, chosen = self.chain_order(order, journeys)
            result, chain = markov(journeys, number)
            return result, {
                "order": chain.order,
                **chosen,
                "states": chain.states,
                "null_journeys": lost,
                "conversion_rate": float(chain.conversion),
                "removal_effects": _told({k: float(v) for k, v in chain.effects.items()}),
                "warnings": warnings,
            }
        if model == "shapley":
            even = Columns(distinct(journeys)).attribute("linear")
            return even, {"null_journeys": lost, "warnings": []}
        result, paths = shapley_rate(journeys)
        values, samples = rate_values(paths)
        return result, {
            "null_journeys": lost,
            "conversion_rate": sum(values.values()),
            "values": _told(values),
            "samples": samples,
            "warnings": warnings,
        }


def _told(figures: dict[str, float]) -> dict[str, float]:
    """Return figures by value; a missing one is called (none)."""
    return {value_of(name) or "(none)": figure for name, figure in figures.items()}
