"""What the steps of a funnel ask, as a person writes them: stages, and events with filters."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from domain.aliases import UnknownStage, code_of
from domain.events import Fact
from domain.stages import STAGES
from leadflow.amounts import decimal_text

_STEP: Final = re.compile(r"([A-Za-z0-9_.:-][A-Za-z0-9_.: -]*)(?:\[([^\]]*)\])?")
_OUTSIDE_BRACKETS: Final = re.compile(r",(?![^\[]*\])")
_FILTER: Final = re.compile(r"([^=!<>~]+?)\s*(!=|=|<|>|~)(.*)")
_EXCLUSION: Final = re.compile(r"(.+?)(?::(\d{1,3})-(\d{1,3}))?")


class Filter(NamedTuple):
    """A condition on a field of an event: ``kind=demo``, ``amount>1000``, ``url~pricing``."""

    field: str
    operator: str
    """``=``, ``!=``, ``<``, ``>``, or ``~`` for: contains, whatever the case of its letters."""
    value: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the user wrote it: a stage, or a type of event whose fields have values."""

    text: str
    name: str
    where: tuple[Filter, ...] = ()

    @property
    def is_stage(self) -> bool:
        """Return whether the step is a stage."""
        return self.name in STAGES

    @property
    def told(self) -> str:
        """Return the step as answers name it: the code of a stage, and else as it was written."""
        return self.name if self.is_stage else self.text


class Excluded(NamedTuple):
    """What must not happen between two steps, which are numbered from 1."""

    step: Step
    after: int
    before: int


def parse_steps(text: str) -> list[Step]:
    """Return the steps of ``captured,form.submitted[kind=demo,amount>1000],won``.

    Raises ValueError, saying what is wrong.
    """
    return [_step(part.strip()) for part in _OUTSIDE_BRACKETS.split(text)]


def parse_exclusion(text: str, steps: int) -> Excluded:
    """Return the exclusion ``email.unsubscribed:1-2`` of a funnel with so many *steps*.

    Without numbers it holds from the first step to the last. Raises ValueError.
    """
    found = _EXCLUSION.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            "an exclusion is a stage or a type of event, such as email.unsubscribed:1-2"
        )
    after, before = int(found[2] or 1), int(found[3] or steps)
    if not 1 <= after < before <= steps:
        raise ValueError(
            f"{text!r}: there is nothing between steps {after} and {before} of {steps}; steps are"
            " numbered from 1"
        )
    return Excluded(_step(found[1].strip()), after, before)


def _step(word: str) -> Step:
    found = _STEP.fullmatch(word)
    if found is None:
        raise ValueError(
            f"{word!r} is no step; write a stage, or a type of event such as"
            " form.submitted[kind=demo]"
        )
    name, filters = found[1].strip(), found[2]
    if "." not in name:
        try:
            name = code_of(name)
        except UnknownStage as error:
            raise ValueError(
                f"{error}; a step may also be a type of event such as form.submitted"
            ) from None
    step = Step(word, name, tuple(_filters(filters, word)) if filters else ())
    if step.is_stage and step.where:
        raise ValueError(f"{word!r}: a stage has no fields to filter by")
    return step


def _filters(text: str, word: str) -> list[Filter]:
    filters = []
    for part in text.split(","):
        found = _FILTER.fullmatch(part.strip())
        if found is None:
            raise ValueError(
                f"{word!r}: write a filter as [field=value]; != < > and ~ (contains) there are, too"
            )
        filters.append(Filter(found[1].strip(), found[2], found[3].strip()))
    return filters


def unknown_words(steps: Sequence[Step], leads: Sequence[int]) -> list[str]:
    """Return what to tell of steps that nobody took and whose words the contract does not know.

    *leads* is how many took each of them. Events may carry types and fields of their own, so that
    such a step is no mistake before it matches nothing.
    """
    from consumers.registry import TYPES

    told = []
    for step, there in zip(steps, leads, strict=True):
        if there or step.is_stage:
            continue
        if step.name not in TYPES:
            told.append(f"{step.text}: nobody took this step{_nearest(step.name, TYPES)}")
            continue
        known = _fields_of(step.name)
        told += [
            f"{step.text}: nobody took this step, and {step.name} has no field {one.field}"
            f" of its own; its fields are {', '.join(known)}"
            for one in step.where
            if one.field.partition(".")[0] not in {name.partition(".")[0] for name in known}
            or (one.field.startswith("touch.") and one.field not in known)
        ]
    return told


def _nearest(name: str, types: Iterable[str]) -> str:
    from rapidfuzz import fuzz, process

    found = process.extract(name, list(types), scorer=fuzz.ratio, limit=2, score_cutoff=80)
    near = " or ".join(one for one, _, _ in found)
    return ", and no type of event is called so in the contract" + (
        f"; did you mean {near}?" if near else "; leadflow schema lists them"
    )


def _fields_of(type_: str) -> list[str]:
    """Return the fields by which events of *type_* can be filtered."""
    from consumers.blocks import Touch
    from consumers.schemas import describe_types

    own = next(one.fields for one in describe_types() if one.name == type_)
    touch = (f"touch.{name}" for name in Touch.__annotations__)
    return [*(one.name for one in own), "actor", "source", *touch]


def refuse_twins(steps: Sequence[Step], mode: str) -> None:
    """Raise ValueError where a funnel whose mode takes each step once has one of them twice."""
    if mode != "monotone":
        return
    written: dict[tuple[str, tuple[Filter, ...]], str] = {}
    for step in steps:
        ask = (step.name, step.where)
        if ask in written:
            raise ValueError(
                f"{written[ask]!r} and {step.text!r} are one step, {step.told}; mode monotone"
                " takes each once: leave one out, or take --mode ordered"
            )
        written[ask] = step.text


# --- what a step asks of a fact -----------------------------------------------------------------


def condition_of(step: Step) -> Callable[[Fact], bool]:
    """Return whether a fact of the step's type passes its filters."""
    checks = [(one.field, _check(one)) for one in step.where]

    def passes(fact: Fact) -> bool:
        return all(check(field(fact, name)) for name, check in checks)

    return passes


def field(fact: Fact, name: str) -> Any:
    """Return a field of a fact: of its type, or ``actor``, ``source``, ``touch.channel``, ...

    The ``amount`` is a decimal in major units of its currency, as producers write it.
    """
    if name == "amount":
        amount, currency = fact.get("amount"), fact.get("currency")
        if isinstance(amount, int) and isinstance(currency, str):
            return Decimal(decimal_text(amount, currency))
    if name == "actor":
        return fact.actor
    if name == "source":
        return fact.source
    head, dot, rest = name.partition(".")
    if dot and head == "touch":
        return None if fact.touch is None else fact.touch.get(rest)
    value: Any = fact.data
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def told(value: Any) -> str | None:
    """Return the value of a field as filters and answers write it; None for a missing one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _check(one: Filter) -> Callable[[Any], bool]:
    """Return what a filter asks of a value. A missing one differs from all and exceeds none."""
    asked = one.value
    limit = _number(asked)

    def equals(value: Any) -> bool:
        # 1200 and 1200.00 are one amount; codes and numbers of houses are texts.
        return value == limit if isinstance(value, Decimal) else told(value) == asked

    if one.operator == "=":
        return equals
    if one.operator == "!=":
        return lambda value: not equals(value)
    if one.operator == "~":
        part = asked.casefold()
        return lambda value: value is not None and part in str(value).casefold()
    sign = 1 if one.operator == ">" else -1

    def exceeds(value: Any) -> bool:
        if value is None or isinstance(value, bool):
            return False
        if limit is None:
            # Days and instants are in order as texts are.
            return str(value) > asked if sign > 0 else str(value) < asked
        number = _number(str(value))
        return number is not None and (number - limit) * sign > 0

    return exceeds


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
