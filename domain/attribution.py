"""Attribution: how much of a conversion each touch of its journey earns, exactly.

A *rule* weighs one journey: it returns a whole number per touch, of which only the proportion
counts. Credit and money are then divided by largest remainder, so that over the touches they sum
to the conversion, and to its value, to the last unit. Dividing per touch, not per channel, keeps
one truth for every grouping: the credit of a channel is the sum of that of its campaigns.

The models that look at all journeys at once, those that led to nothing too, are no rules: removal
effects (``domain.markov``) and coalitions (``domain.shapley``) make shares of channels of `Path`
values, which `credit_paths` turns into the same `Attribution`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple

from domain.decay import ONE, half_life_weight
from domain.journey import Journey, Touch
from domain.money import split

NANO: Final = 10**9
"""Credit is counted in whole parts of this many per conversion."""

DIRECT: Final = "direct"
"""The channel that `last_non_direct` passes over."""

HALF_LIFE: Final = 7 * 86_400 * 1_000_000
"""The default half-life of time decay, seven days in microseconds."""

HALF_LIFE_B2B: Final = 30 * 86_400 * 1_000_000
"""The half-life for long sales cycles, thirty days in microseconds."""

Rule = Callable[[Journey], Sequence[int]]
"""Weighs a journey of at least one touch: a weight >= 0 per touch, not all of them zero."""


def first(journey: Journey) -> list[int]:
    """Give everything to the first touch."""
    weights = [0] * len(journey.touches)
    weights[0] = 1
    return weights


def last(journey: Journey) -> list[int]:
    """Give everything to the last touch."""
    weights = [0] * len(journey.touches)
    weights[-1] = 1
    return weights


def last_non_direct(journey: Journey) -> list[int]:
    """Give everything to the last touch that is not direct; to the last if all are."""
    weights = [0] * len(journey.touches)
    for i in range(len(weights) - 1, -1, -1):
        if journey.touches[i].channel != DIRECT:
            weights[i] = 1
            return weights
    weights[-1] = 1
    return weights


def linear(journey: Journey) -> list[int]:
    """Give every touch the same."""
    return [1] * len(journey.touches)


def position_decay(journey: Journey) -> list[int]:
    """Give the oldest touch one part, the next two, and so on: the nth of them n parts."""
    return list(range(1, len(journey.touches) + 1))


def u_first_last(journey: Journey) -> list[int]:
    """Give 40 % to the first, 40 % to the last touch, and share 20 % among those between.

    Without any between, first and last share everything.
    """
    n = len(journey.touches)
    if n < 3:
        return [1] * n
    between = n - 2  # a middle touch weighs 1 of 5 * between, that is 20 % / between
    return [2 * between, *[1] * between, 2 * between]


def _at(journey: Journey, moment: int | None) -> int | None:
    """Return the index of the touch that holds at *moment*: the latest not after it, or None."""
    if moment is None:
        return None
    for i in range(len(journey.touches) - 1, -1, -1):
        if journey.touches[i].at <= moment:
            return i
    return None


def _key_roles(roles: Iterable[tuple[int | None, int]], rest: int, count: int) -> list[int]:
    """Give each key role its share, and share *rest* among the touches that hold none.

    *roles* are indexes of touches and shares. A touch in two roles gets both shares. What nobody
    holds, be it a role or the middle, goes to the others in proportion to their shares.
    """
    shares_of: dict[int, int] = {}
    for index, share in roles:
        if index is not None:
            shares_of[index] = shares_of.get(index, 0) + share
    middle = count - len(shares_of) or 1  # without a middle its factor changes no proportion
    return [shares_of[i] * middle if i in shares_of else rest for i in range(count)]


def j(journey: Journey) -> list[int]:
    """Give 20 % to the first, 60 % to the last touch, and share 20 % among those between.

    Without any between, first and last share everything as 1 to 3.
    """
    n = len(journey.touches)
    return _key_roles(((0, 20), (n - 1, 60)), 20, n)


def inverse_j(journey: Journey) -> list[int]:
    """Give 60 % to the first, 20 % to the last touch, and share 20 % among those between."""
    n = len(journey.touches)
    return _key_roles(((0, 60), (n - 1, 20)), 20, n)


def u_lead(journey: Journey) -> list[int]:
    """Give 40 % to the first touch, 40 % to the one that made the lead; share 20 % among the rest.

    The touch that made the lead is the latest not after ``moments.lead_created``. What no touch
    holds goes to the others in proportion to their shares.
    """
    lead = _at(journey, journey.moments.lead_created)
    return _key_roles(((0, 40), (lead, 40)), 20, len(journey.touches))


def w(journey: Journey) -> list[int]:
    """Give 30 % each to first touch, lead and opportunity; share 10 % among the rest.

    As `u_lead`, with the latest touch not after ``moments.opportunity_created``.
    """
    moments = journey.moments
    roles = ((0, 30), (_at(journey, moments.lead_created), 30))
    deal = (_at(journey, moments.opportunity_created), 30)
    return _key_roles((*roles, deal), 10, len(journey.touches))


def full_path(journey: Journey) -> list[int]:
    """Give 22.5 % each to first touch, lead, opportunity and close; share 10 % among the rest.

    As `w`, with the latest touch not after ``moments.closed``.
    """
    moments = journey.moments
    roles = [(0, 225)]
    for moment in (moments.lead_created, moments.opportunity_created, moments.closed):
        index = _at(journey, moment)
        if index is not None:
            roles.append((index, 225))
    return _key_roles(roles, 100, len(journey.touches))


def time_decay(half_life: int = HALF_LIFE, *, stepped: bool = False) -> Rule:
    """Return the rule by which a touch weighs half as much per *half_life* (microseconds).

    *stepped* counts whole half-lives before the conversion only. Weights are whole parts of
    2**64 of the latest touch's weight (measuring from the latest touch instead of the conversion
    changes no proportion, and leaves no journey without weight): a touch more than 64
    half-lives older than the latest weighs nothing.

    Raises ValueError for a half-life that is not positive.
    """
    if half_life <= 0:
        raise ValueError(f"half-life must be positive, not {half_life}")

    def smooth_rule(journey: Journey) -> list[int]:
        latest = journey.touches[-1].at
        return [half_life_weight(latest - touch.at, half_life) for touch in journey.touches]

    def stepped_rule(journey: Journey) -> list[int]:
        steps = [(journey.conversion_at - touch.at) // half_life for touch in journey.touches]
        return [ONE >> (step - steps[-1]) for step in steps]

    return stepped_rule if stepped else smooth_rule


MODELS: Final[Mapping[str, Rule]] = {
    "first": first,
    "last": last,
    "last_non_direct": last_non_direct,
    "linear": linear,
    "time_decay": time_decay(),
    "time_decay_stepped": time_decay(stepped=True),
    "u_first_last": u_first_last,
    "j": j,
    "inverse_j": inverse_j,
    "position_decay": position_decay,
}
"""The rules by the names that queries use, each with its defaults."""

MOMENT_MODELS: Final[Mapping[str, Rule]] = {"u_lead": u_lead, "w": w, "full_path": full_path}
"""The rules that ask for the moments of a journey, and mean little where nobody filled them."""

OVERALL_MODELS: Final = ("markov", "markov_converted_only", "shapley", "shapley_rate")
"""The models that are no rules: they look at all journeys at once.

``markov_converted_only`` is the chain of the converted journeys alone, the default of some
libraries: it knows no failure, and tells little more than how often a channel was met.
"""

NEEDS_TIMES: Final = frozenset({"time_decay", "time_decay_stepped"})
"""The models that paths without times cannot answer."""


def shares(weights: Sequence[int]) -> list[Fraction]:
    """Return the exact share of each touch; they sum to 1.

    Raises ZeroDivisionError when all weights are zero.
    """
    total = sum(weights)
    return [Fraction(weight, total) for weight in weights]


def credit(weights: Sequence[int], amount: int) -> list[int]:
    """Divide *amount* (minor units, or parts of `NANO`) by *weights*; see `domain.money.split`."""
    return split(amount, weights)


class Conversion(NamedTuple):
    """A conversion to be credited, or several alike.

    ``amount`` is their value together in minor units of ``currency``; None is unknown, not zero.
    """

    journey: Journey
    amount: int | None = None
    currency: str | None = None
    conversions: int = 1


@dataclass(slots=True)
class Attribution:
    """What the conversions credit to each value of a dimension.

    Credit and conversions without touches count parts of `NANO`; amounts are minor units by
    currency. All of it sums to the conversions, and to their amounts, exactly. A value of None
    means that the touch does not have the dimension.
    """

    credit: dict[str | None, int] = field(default_factory=dict)
    amounts: dict[str | None, dict[str, int]] = field(default_factory=dict)
    conversions: int = 0
    unattributed: int = 0
    """Conversions without any touch (whole ones); they are part of ``conversions``."""
    unattributed_amounts: dict[str, int] = field(default_factory=dict)


def by_channel(touch: Touch) -> str:
    """Return the touch's channel."""
    return touch.channel


def attribute(
    conversions: Iterable[Conversion],
    model: str | Rule,
    key: Callable[[Touch], str | None] = by_channel,
) -> Attribution:
    """Credit *conversions* by *model*, a rule or its name, to the values of *key*.

    Raises ValueError for a name that is in neither `MODELS` nor `MOMENT_MODELS`, and for an amount
    without currency.
    """
    rule = _rule(model)
    result = Attribution()
    for journey, amount, currency, count in conversions:
        if amount is not None and currency is None:
            raise ValueError(f"amount {amount} has no currency")
        result.conversions += count
        if not journey.touches:
            result.unattributed += count
            if amount is not None and currency is not None:
                _add(result.unattributed_amounts, currency, amount)
            continue
        values = [key(touch) for touch in journey.touches]
        weights = rule(journey)
        for value, parts in zip(values, credit(weights, count * NANO), strict=True):
            if parts:
                result.credit[value] = result.credit.get(value, 0) + parts
        if amount is not None and currency is not None:
            for value, units in zip(values, credit(weights, amount), strict=True):
                if units:
                    _add(result.amounts.setdefault(value, {}), currency, units)
    return result


class Path(NamedTuple):
    """Journeys alike to a model that looks at all of them: the same channels in the same order."""

    channels: tuple[str, ...]
    conversions: int = 0
    nulls: int = 0
    """Journeys that led to nothing."""
    amount: int | None = None
    """What the conversions are worth together, in minor units; None is unknown, not zero."""
    currency: str | None = None


def credit_paths(paths: Iterable[Path], shares_of: Mapping[str, Fraction | int]) -> Attribution:
    """Credit the conversions of *paths*, and what they are worth, to channels by *shares_of*.

    Only the proportion of the shares counts; one below zero earns nothing. Conversions of paths
    without channels, and all of them where no share is above zero, stay unattributed. Raises
    ValueError for an amount without currency.
    """
    result = Attribution()
    earned = 0
    amounts: dict[str, int] = {}
    weights = {name: max(share, 0) for name, share in sorted(shares_of.items())}
    known = any(weights.values())
    for channels, conversions, _, amount, currency in paths:
        if amount is not None and currency is None:
            raise ValueError(f"amount {amount} has no currency")
        result.conversions += conversions
        credited = bool(channels) and known
        if credited:
            earned += conversions
        else:
            result.unattributed += conversions
        if amount is not None and currency is not None:
            _add(amounts if credited else result.unattributed_amounts, currency, amount)
    if known:
        parts = split(earned * NANO, list(weights.values()))
        result.credit = {name: part for name, part in zip(weights, parts, strict=True) if part}
        for currency, amount in amounts.items():
            units = split(amount, list(weights.values()))
            for name, part in zip(weights, units, strict=True):
                if part:
                    _add(result.amounts.setdefault(name, {}), currency, part)
    return result


def _rule(model: str | Rule) -> Rule:
    """Return the rule that *model* names or is."""
    if not isinstance(model, str):
        return model
    rule = MODELS.get(model) or MOMENT_MODELS.get(model)
    if rule is None:
        there = ", ".join((*MODELS, *MOMENT_MODELS))
        raise ValueError(f"unknown attribution model {model!r}; there are {there}")
    return rule


def _add(amounts: dict[str, int], currency: str, units: int) -> None:
    """Add *units* to what is there of the currency."""
    amounts[currency] = amounts.get(currency, 0) + units
