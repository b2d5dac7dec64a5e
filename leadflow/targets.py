"""Goals that a user sets for key figures, and benchmarks of others beside them.

A TOML file with ``[[target]]``, ``[[benchmark]]`` and ``[economics]``. Nothing in it is a default:
without a file there are no goals. Everything that is wrong with a file is named with line, key,
value and the mend.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from sqlalchemy import Connection

from consumers.money import digits_of
from leadflow.importer.mapping_rules import closest
from leadflow.kpis import DOCUMENTS, KPIS, Actual, Kpi, Reckoning, Scope
from leadflow.toml_lines import key_lines, line_of, line_of_error, read_toml
from projections.answers import Answer, decimal, rfc3339
from projections.costs import price
from projections.credited import RULES
from projections.economics import Terms

DAY: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TargetProblem:
    """Something wrong with a file of targets."""

    line: int | None
    key: str
    value: object
    problem: str
    mend: str


class TargetsInvalid(Exception):
    """A file of targets cannot be used: one line for each problem, with file, line and mend."""

    def __init__(self, path: Path, problems: list[TargetProblem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(_said(path, problem) for problem in problems))


# --- the file ------------------------------------------------------------------------------------


def _number(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise PydanticCustomError("number", "is not a number; write 0.2, or 20 for a count")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise PydanticCustomError("number", "is not a number; write 0.2") from None
    if not number.is_finite():
        raise PydanticCustomError("number", "is not a finite number; write 0.2")
    return Fraction(number)


def _share(value: object) -> Fraction:
    number = _number(value)
    if not 0 <= number <= 1:
        raise PydanticCustomError("share", "is no rate; write one from 0 to 1, 0.2 for 20 %")
    return number


def _margin(value: object) -> Fraction:
    number = _share(value)
    if not number:
        raise PydanticCustomError("share", "is no margin; write one above 0, 0.3 for 30 %")
    return number


def _instant(value: object) -> int:
    """Return a day, which means its start in UTC, or a time with an offset, in microseconds."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if isinstance(value, datetime):
        if value.tzinfo is None and value.time() != time.min:
            raise PydanticCustomError("instant", "has no offset; write 2026-01-05T09:30:00Z")
        return (value.replace(tzinfo=value.tzinfo or UTC) - _EPOCH) // _MICROSECOND
    if isinstance(value, date):
        return (value - _EPOCH.date()) // timedelta(days=1) * DAY
    raise PydanticCustomError("instant", "is no day and no time; write 2026-01-05")


def _currency(value: object) -> str:
    if isinstance(value, str) and digits_of(value) is not None:
        return value
    raise PydanticCustomError("currency", 'is no currency of ISO 4217; write "EUR"')


def _model(value: object) -> str:
    if isinstance(value, str) and value in RULES:
        return value
    raise PydanticCustomError("model", f"is no model for a period; write one of {', '.join(RULES)}")


def _kpi(value: object) -> str:
    if isinstance(value, str) and value in KPIS:
        return value
    meant = closest(value, KPIS) if isinstance(value, str) else None
    mend = f"did you mean {meant!r}?" if meant else f"there are {', '.join(KPIS)}"
    raise PydanticCustomError("kpi", f"is no KPI; {mend}")


Number = Annotated[Fraction, BeforeValidator(_number)]
Share = Annotated[Fraction, BeforeValidator(_share)]
Instant = Annotated[int, BeforeValidator(_instant)]
Currency = Annotated[str, BeforeValidator(_currency)]
KpiName = Annotated[str, BeforeValidator(_kpi)]
Words = Annotated[str, Field(min_length=1, max_length=200)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Target(_Table):
    """A goal for one key figure."""

    kpi: KpiName
    goal: Number
    currency: Currency | None = None
    since: Instant | None = Field(None, alias="from")
    until: Instant | None = Field(None, alias="to")
    by: Annotated[dict[str, str], Field(max_length=1)] | None = None

    @property
    def scope(self) -> Scope:
        """Return of what the figure is asked."""
        by, value = next(iter((self.by or {}).items()), (None, None))
        return Scope(by, value, self.since, self.until, self.currency)


class Benchmark(_Table):
    """What somebody says that others reach: a claim, shown beside our figure, never a goal."""

    name: Words
    kpi: KpiName
    value: Number
    source: Words
    currency: Currency | None = None


class EconomicsTable(_Table):
    """What figures about money are reckoned by."""

    model: Annotated[str, BeforeValidator(_model)] = "linear"
    gross_margin: Annotated[Fraction, BeforeValidator(_margin)] | None = None
    churn: Share | None = None
    lag_days: Annotated[int, Field(ge=0, le=3_650, strict=True)] = 0


class TargetSet(_Table):
    """A file of targets."""

    target: tuple[Target, ...] = ()
    benchmark: tuple[Benchmark, ...] = ()
    economics: EconomicsTable = EconomicsTable()

    @property
    def reckoning(self) -> Reckoning:
        """Return what figures about money are reckoned by."""
        table = self.economics
        terms = Terms(lag=table.lag_days * DAY, margin=table.gross_margin, churn=table.churn)
        return Reckoning(table.model, terms)


def load_targets(path: Path) -> TargetSet:
    """Read and check the targets in *path*.

    Raises TargetsInvalid, which names everything that is wrong, and OSError.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        document = read_toml(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = TargetProblem(line, "", None, "is not UTF-8", "save it as UTF-8")
        raise TargetsInvalid(path, [problem]) from None
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error, text)
        problem = TargetProblem(line, "", None, str(error), "correct the TOML")
        raise TargetsInvalid(path, [problem]) from None
    lines = key_lines(text)
    try:
        targets = TargetSet.model_validate(document)
    except ValidationError as error:
        raise TargetsInvalid(path, [_problem(one, lines) for one in error.errors()]) from None
    if problems := list(_problems(targets, lines)):
        raise TargetsInvalid(path, problems)
    return targets


_TABLES: Final[Mapping[str, type[_Table]]] = {
    "": TargetSet,
    "target": Target,
    "benchmark": Benchmark,
    "economics": EconomicsTable,
}

_MENDS: Final = {
    "missing": ("is missing", "add it"),
    "string_type": ("is no text", 'put it in quotes: "..."'),
    "string_too_short": ("is empty", "fill it in"),
    "dict_type": ("is no table", 'write { channel = "email" }'),
    "tuple_type": ("is no list of tables", "write [[target]] or [[benchmark]]"),
    "model_type": ("is no table", "write it as a table of keys and values"),
    "too_long": ("names several dimensions", "write a target for each"),
    "int_type": ("is no whole number", "write the days, such as 30"),
}


def _problem(found: ErrorDetails, lines: dict[str, int]) -> TargetProblem:
    at, value, kind = found["loc"], found["input"], found["type"]
    if kind == "extra_forbidden":
        table = _TABLES.get(str(at[0]) if len(at) > 1 else "", TargetSet)
        known = [field.alias or name for name, field in table.model_fields.items()]
        meant = closest(str(at[-1]), known)
        mend = f"did you mean {meant!r}?" if meant else f"there are {', '.join(known)}"
        problem = "is no key of targets"
    elif kind in _MENDS:
        problem, mend = _MENDS[kind]
    else:
        problem, _, mend = found["msg"].partition("; ")
    shown = None if kind == "missing" else value
    line = line_of(lines, at) or line_of(lines, (*at, 0))  # of an array, its first table
    return TargetProblem(line, _path(at), shown, problem, mend or "correct it")


def _problems(targets: TargetSet, lines: dict[str, int]) -> Iterator[TargetProblem]:
    """Yield what one key cannot know of another."""
    seen: dict[tuple[str, Scope], int] = {}
    for n, target in enumerate(targets.target):
        at, kpi, scope = ("target", n), KPIS[target.kpi], target.scope
        for key, value, problem, mend in _wrong(target, kpi):
            where = (*at, key)
            yield TargetProblem(line_of(lines, where), _path(where), value, problem, mend)
        first = seen.setdefault((target.kpi, scope), n)
        if first != n:
            line = line_of(lines, ("target", first))
            yield TargetProblem(
                line_of(lines, at), _path(at), None, f"sets what line {line} sets", "drop one"
            )
    for n, benchmark in enumerate(targets.benchmark):
        kpi = KPIS[benchmark.kpi]
        if kpi.unit == "rate" and not 0 <= benchmark.value <= 1:
            where = ("benchmark", n, "value")
            value = float(benchmark.value)
            yield TargetProblem(line_of(lines, where), _path(where), value, *_NO_RATE)
        if kpi.unit == "money" and benchmark.currency is None:
            where = ("benchmark", n, "currency")
            yield TargetProblem(line_of(lines, where), _path(where), None, *_NO_CURRENCY)


_NO_RATE: Final = ("is no rate", "write one from 0 to 1: 0.2 for 20 %")
_NO_CURRENCY: Final = ("is missing beside an amount", 'write currency = "EUR"')


def _wrong(target: Target, kpi: Kpi) -> Iterator[tuple[str, object, str, str]]:
    if kpi.unit == "rate" and not 0 <= target.goal <= 1:
        yield "goal", float(target.goal), *_NO_RATE
    if kpi.unit == "money" and target.currency is None:
        yield "currency", None, *_NO_CURRENCY
    if target.currency is not None and kpi.document != "economics":
        yield "currency", target.currency, f"means nothing to {kpi.name}", "leave it out"
    if target.since is not None and target.until is not None and target.since >= target.until:
        yield "to", rfc3339(target.until), "is not after from", "write a later day"
    by = target.scope.by
    if by is not None and by not in kpi.dimensions:
        mend = f"there are {', '.join(kpi.dimensions)}"
        yield "by", by, f"{kpi.name} is not told by it", mend


def _path(at: tuple[str | int, ...]) -> str:
    return ".".join(map(str, at))


def _said(path: Path, problem: TargetProblem) -> str:
    where = f"{path}:{problem.line}" if problem.line else f"{path}"
    shown = "" if problem.value is None else f" = {_shortened(problem.value)}"
    subject = f" {problem.key}{shown}" if problem.key else ""
    return f"{where}:{subject} {problem.problem}; {problem.mend}"


def _shortened(value: object) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


# --- the answer ----------------------------------------------------------------------------------


def targets(connection: Connection, given: TargetSet, as_of: int | None = None) -> Answer:
    """Return each target of *given* with the figure as it is, the gap and whether it is met.

    Benchmarks stand beside the targets of their figure; those of others follow with our figure
    over all leads. *as_of* is the instant (microseconds UTC) of the read models, None for now.
    Rates and ratios are floats, money and counts decimals; ``gap`` is actual - goal.
    """
    ask = _Asked(connection, given.reckoning, as_of)
    rows = []
    for target in given.target:
        kpi = KPIS[target.kpi]
        found = ask(kpi, target.scope)
        rows.append(
            {
                **_head(kpi, target.scope, found),
                "goal": _shown(kpi, target.goal, target.currency),
                "gap": _gap(kpi, target.goal, found),
                "state": _state(kpi, target.goal, found),
                "benchmarks": [
                    _benchmark(one)
                    for one in given.benchmark
                    if one.kpi == kpi.name and one.currency in (None, found.currency)
                ],
            }
        )
    shown = {target.kpi for target in given.target}
    others = dict.fromkeys(one.kpi for one in given.benchmark if one.kpi not in shown)
    for name in others:
        kpi = KPIS[name]
        beside = [one for one in given.benchmark if one.kpi == name]
        scope = Scope(currency=beside[0].currency)
        found = ask(kpi, scope)
        rows.append(
            {
                **_head(kpi, scope, found),
                "goal": None,
                "gap": None,
                "state": "no goal",
                "benchmarks": [_benchmark(one) for one in beside],
            }
        )
    states = [row["state"] for row in rows]
    return {
        "as_of": None if as_of is None else rfc3339(as_of),
        "targets": rows,
        "met": states.count("met"),
        "missed": states.count("missed"),
        "no_data": states.count("no data"),
    }


class _Asked:
    """Asks each question once."""

    def __init__(self, connection: Connection, reckoning: Reckoning, as_of: int | None) -> None:
        self._connection, self._reckoning, self._as_of = connection, reckoning, as_of
        self._answers: dict[tuple[str, Scope], Answer] = {}

    def __call__(self, kpi: Kpi, scope: Scope) -> Actual:
        key = (kpi.document, scope._replace(value=None, currency=None))
        if key not in self._answers:
            ask = DOCUMENTS[kpi.document]
            self._answers[key] = ask(self._connection, scope, self._reckoning, self._as_of)
        return kpi.read(self._answers[key], scope)


def _head(kpi: Kpi, scope: Scope, found: Actual) -> Answer:
    return {
        "kpi": kpi.name,
        "meaning": kpi.meaning,
        "unit": kpi.unit,
        "by": None if scope.by is None else {scope.by: scope.value},
        "from": None if scope.since is None else rfc3339(scope.since),
        "to": None if scope.until is None else rfc3339(scope.until),
        "currency": found.currency or scope.currency,
        "better": "higher" if kpi.higher_is_better else "lower",
        "actual": _shown(kpi, found.value, found.currency),
        "reason": found.reason,
    }


def _benchmark(one: Benchmark) -> Answer:
    value = _shown(KPIS[one.kpi], one.value, one.currency)
    return {"name": one.name, "value": value, "source": one.source}


def _gap(kpi: Kpi, goal: Fraction, found: Actual) -> float | str | None:
    if found.value is None:
        return None
    return _shown(kpi, found.value - goal, found.currency)


def _state(kpi: Kpi, goal: Fraction, found: Actual) -> str:
    if found.value is None:
        return "no data"
    met = found.value >= goal if kpi.higher_is_better else found.value <= goal
    return "met" if met else "missed"


def _shown(kpi: Kpi, value: Fraction | None, currency: str | None) -> float | str | None:
    if value is None:
        return None
    if kpi.unit == "money":
        digits = digits_of(currency or "")
        places = 2 if digits is None else digits
        return price(value * 10**places, places)
    if kpi.unit == "number":
        return decimal(round(value * 10**9), 9).rstrip("0").rstrip(".")
    return float(value)
