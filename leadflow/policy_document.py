"""What a policy document may hold: its tables as pydantic models.

Points are read into micro-points and days into microseconds, exactly. What one table cannot know
of another is checked in ``policy_checks``.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from domain.policy import DAY, POINT, Scalar
from domain.qualification import Framework

FULL: Final = 100 * POINT
"""The most that either axis can reach."""

SECOND: Final = 1_000_000
"""Microseconds in a second."""

MINUTE: Final = 60 * SECOND
"""The longest time within which an act can be taken for a machine's."""

_MOST: Final = 1_000


# --- numbers -----------------------------------------------------------------------------------


def _exact(value: object, scale: int, word: str) -> int:
    """Return *value* times *scale*; at most six decimals, so that nothing is ever rounded."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise PydanticCustomError("number", "is not a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise PydanticCustomError("number", "is not a number") from None
    if not number.is_finite():
        raise PydanticCustomError("number", "is not a finite number")
    if number.copy_abs() > _MOST:
        raise PydanticCustomError("range", f"is beyond {_MOST:,} {word}")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -6:
        raise PydanticCustomError("decimals", "has more than six decimals")
    return int(Fraction(number) * scale)


def _points(value: object) -> int:
    return _exact(value, POINT, "points")


def _threshold(value: object) -> int:
    points = _points(value)
    if not 0 <= points <= FULL:
        raise PydanticCustomError("range", "is outside 0 to 100, where both scores end")
    return points


def _cap(value: object) -> int:
    points = _points(value)
    if not 0 < points <= FULL:
        raise PydanticCustomError("range", "is not above 0 and at most 100")
    return points


def _days(value: object) -> int:
    time = _exact(value, DAY, "days")
    if time <= 0:
        raise PydanticCustomError("range", "is not above 0 days")
    return time


def _seconds(value: object) -> int:
    time = _exact(value, SECOND, "seconds")
    if time < 0:
        raise PydanticCustomError("range", "is less than 0")
    if time > MINUTE:
        raise PydanticCustomError("range", "is more than 60, by when people have clicked too")
    return time


def _values(value: object) -> tuple[Scalar, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise PydanticCustomError("empty", "is empty, so nothing can ever match")
    for one in values:
        if not isinstance(one, str | int):
            raise PydanticCustomError("scalar", "is not text, a whole number, true or false")
    return tuple(values)


def _words(value: object) -> tuple[str, ...]:
    words = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str) or not one:
            raise PydanticCustomError("words", "is not a word or a list of words")
        words.append(one.lower())
    if not words:
        raise PydanticCustomError("empty", "is empty, so nothing can ever match")
    return tuple(words)


SATISFIED: Final = ""
"""The key under which the points of a criterion are kept: no text that a person has is empty."""


def _table_of_points(value: object) -> object:
    """Return points by text; those of a criterion, which are one number, likewise."""
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return {SATISFIED: value} if number else value


Points = Annotated[int, BeforeValidator(_points)]
Threshold = Annotated[int, BeforeValidator(_threshold)]
Cap = Annotated[int, BeforeValidator(_cap)]
Days = Annotated[int, BeforeValidator(_days)]
Seconds = Annotated[int, BeforeValidator(_seconds)]
Values = Annotated[tuple[Scalar, ...], BeforeValidator(_values)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


# --- tables ------------------------------------------------------------------------------------


class Table(BaseModel):
    """A table of the document: no keys but its own, no value turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Mql(Table):
    """When a lead is marketing qualified."""

    grade: str = Field(examples=["C"])
    engagement: Threshold = Field(examples=[50])


class Stages(Table):
    """The guards of the stages."""

    pack: str = Field(default="default", examples=["default"])
    mql: Mql = Field(examples=[{"grade": "C", "engagement": 50}])
    hysteresis_percent: int = Field(ge=0, le=99, examples=[10])
    criteria_needed: int = Field(ge=0, le=_MOST, examples=[2])
    auto_advance: bool = Field(default=True, examples=[True])
    acts: list[Any] | None = Field(default=None, examples=[[]])
    counts: list[Any] | None = Field(default=None, examples=[[]])


class ActEntry(Table):
    """An act of which one makes a marketing qualified lead."""

    name: str = Field(min_length=1, max_length=64, examples=["download"])
    types: list[str] = Field(examples=[["content.downloaded"]])
    where: dict[str, Values] = Field(default_factory=dict, examples=[{"kind": "webinar"}])
    custom: bool = Field(default=False, examples=[True])
    note: str | None = Field(default=None, examples=["why"])


class CountEntry(ActEntry):
    """Acts of which so many within some days make a marketing qualified lead."""

    count: int = Field(ge=1, le=_MOST, examples=[3])
    within_days: Days = Field(examples=[30])
    distinct: str | None = Field(default=None, min_length=1, examples=["content"])


class FrameworkEntry(Table):
    """A framework of the user's own: criteria, and other names of them."""

    criteria: list[str] = Field(min_length=1, max_length=32, examples=[["metrics", "champion"]])
    aliases: dict[str, str] = Field(default_factory=dict, examples=[{"kpi": "metrics"}])


class QualificationTable(Table):
    """Whose criteria are counted."""

    framework: str = Field(default="bant", examples=["bant"])
    frameworks: dict[str, Any] = Field(default_factory=dict, examples=[{}])


class Weights(Table):
    """Percent of each axis in the combined score."""

    fit: int = Field(ge=0, le=100, examples=[100])
    engagement: int = Field(ge=0, le=100, examples=[100])


class FitTable(Table):
    """Points for what the person is."""

    grades: dict[str, Threshold] = Field(
        min_length=1, examples=[{"A": 75, "B": 50, "C": 25, "D": 0}]
    )
    rules: list[Any] = Field(default_factory=list, examples=[[]])


class LinearTable(Table):
    """Points lose a part with every month of 30 days."""

    percent_a_month: int = Field(ge=1, le=100, examples=[10])


class InactivityTable(Table):
    """Points fall while the lead does nothing."""

    floor_after_days: Days = Field(examples=[45])
    floor_percent: int = Field(ge=0, le=99, examples=[50])
    zero_after_days: Days = Field(examples=[90])


class Fades(Table):
    """How points fade: one of these ways."""

    half_life_days: Days | None = Field(default=None, examples=[30])
    linear: LinearTable | None = Field(default=None, examples=[{"percent_a_month": 10}])
    window_days: Days | None = Field(default=None, examples=[90])
    inactivity: InactivityTable | None = Field(
        default=None,
        examples=[{"floor_after_days": 45, "floor_percent": 50, "zero_after_days": 90}],
    )
    decay: Literal["none"] | None = Field(default=None, examples=["none"])

    @property
    def fades(self) -> bool:
        """Return whether the table says how points fade."""
        ways = (self.half_life_days, self.linear, self.window_days, self.inactivity, self.decay)
        return any(way is not None for way in ways)


class EngagementTable(Fades):
    """Points for what the person does."""

    day_cap: Cap | None = Field(default=None, examples=[40])
    levels: dict[str, Threshold] = Field(
        min_length=1, examples=[{"1": 75, "2": 50, "3": 25, "4": 0}]
    )
    groups: dict[str, Cap] = Field(examples=[{"web": 15}])
    rules: list[Any] = Field(default_factory=list, examples=[[]])


class FitEntry(Table):
    """One rule of fit."""

    name: str = Field(min_length=1, max_length=64, examples=["seniority"])
    attribute: str | None = Field(default=None, examples=["seniority"])
    criterion: str | None = Field(default=None, examples=["budget"])
    points: Annotated[dict[str, Points], BeforeValidator(_table_of_points)] = Field(
        default_factory=dict, examples=[{"director": 20}]
    )
    contains: dict[str, Points] = Field(default_factory=dict, examples=[{"director": 20}])
    at_least: dict[str, Points] = Field(default_factory=dict, examples=[{"200": 30}])
    note: str | None = Field(default=None, examples=["why"])

    @property
    def worths(self) -> list[int]:
        """Return the points that the rule can give, micro-points."""
        return [*self.points.values(), *self.contains.values(), *self.at_least.values()]

    @property
    def is_number(self) -> bool:
        """Return whether ``points`` is one number."""
        return SATISFIED in self.points

    @property
    def satisfied(self) -> int:
        """Return what a satisfied criterion is worth, micro-points."""
        return self.points.get(SATISFIED, 0)


class EngagementEntry(Fades):
    """One rule of engagement."""

    name: str = Field(min_length=1, max_length=64, examples=["demo requested"])
    types: list[str] = Field(examples=[["page.viewed"]])
    points: Points = Field(examples=[10])
    group: str = Field(examples=["web"])
    where: dict[str, Values] = Field(default_factory=dict, examples=[{"kind": "demo"}])
    unless: dict[str, Values] = Field(default_factory=dict, examples=[{"kind": "demo"}])
    contains: dict[str, Words] = Field(default_factory=dict, examples=[{"url": ["pricing"]}])
    actors: list[Literal["prospect", "rep", "machine", "unknown"]] = Field(
        default=["prospect", "unknown"], examples=[["prospect", "unknown"]]
    )
    once: bool = Field(default=False, examples=[True])
    count: int | None = Field(default=None, ge=2, le=_MOST, examples=[3])
    within_days: Days | None = Field(default=None, examples=[14])
    distinct: str | None = Field(default=None, min_length=1, examples=["content"])
    absent_days: Days | None = Field(default=None, examples=[30])
    cap: Cap | None = Field(default=None, examples=[15])
    day_cap: Cap | None = Field(default=None, examples=[5])
    custom: bool = Field(default=False, examples=[True])
    note: str | None = Field(default=None, examples=["why"])


Shown = Literal["consent_proof", "legal_basis", "none"]
Role = Literal["decision_maker", "economic_buyer", "champion", "influencer", "user", "other"]


class PartiesTable(Table):
    """What an event that captures a lead must show, by whose data it is."""

    second: Shown = Field(default="consent_proof", examples=["consent_proof"])
    third: Shown = Field(default="legal_basis", examples=["legal_basis"])


class ConsentTable(Table):
    """What counts as consent."""

    double_opt_in: list[str] = Field(default_factory=list, examples=[["newsletter"]])
    unsubscribe_ends: list[str] = Field(default=["marketing"], examples=[["marketing"]])
    valid_months: int = Field(default=0, ge=0, le=_MOST, examples=[24])


class IdentityTable(Table):
    """Which identifiers tell people apart, and which people share."""

    unique: list[str] = Field(
        default=["external:account", "external:login"], examples=[["external:account"]]
    )
    weak: list[str] = Field(default=["phone", "anonymous_id"], examples=[["phone", "anonymous_id"]])
    verified_email_is_unique: bool = Field(default=True, examples=[True])


class MachinesTable(Table):
    """When an act on a mail is taken for a machine's; 0 switches a verdict off."""

    click_seconds: Seconds = Field(default=2 * SECOND, examples=[2])
    burst_links: int = Field(default=3, ge=0, le=100, examples=[3])
    burst_seconds: Seconds = Field(default=5 * SECOND, examples=[5])


class RoleEntry(Table):
    """Who has a role: by seniority, or by words of the title."""

    role: Role = Field(examples=["champion"])
    seniority: Words = Field(default=(), examples=[["manager"]])
    title: Words = Field(default=(), examples=[["project manager"]])
    note: str | None = Field(default=None, examples=["why"])


class AccountsTable(Table):
    """How leads make up accounts, and who is who in them."""

    free_mail: list[str] = Field(default_factory=list, examples=[["mail.example"]])
    wanted: list[Role] = Field(default_factory=list, examples=[["decision_maker", "user"]])
    roles: list[Any] = Field(default_factory=list, examples=[[]])


class Root(Table):
    """The document as a whole; its tables are read one by one, to find all problems of each."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", examples=["default"])
    owner: str | None = Field(
        default=None, min_length=1, max_length=200, examples=["marketing operations"]
    )
    stages: Any
    weights: Any
    fit: Any
    engagement: Any
    qualification: Any = None
    parties: Any = None
    consent: Any = None
    identity: Any = None
    machines: Any = None
    accounts: Any = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document in which everything is right."""

    name: str
    stages: Stages
    weights: Weights
    fit: FitTable
    fit_rules: tuple[FitEntry, ...]
    engagement: EngagementTable
    engagement_rules: tuple[EngagementEntry, ...]
    framework: Framework
    acts: tuple[ActEntry, ...] | None
    """None: those that the pack brings."""
    counts: tuple[CountEntry, ...] | None
    """None: those that the pack brings."""
    parties: PartiesTable
    consent: ConsentTable
    accounts: AccountsTable | None
    """None: as the default policy has them."""
    roles: tuple[RoleEntry, ...]
    identity: IdentityTable
    machines: MachinesTable
    owner: str | None = None
    """Who answers for the policy; None where nobody is named."""
