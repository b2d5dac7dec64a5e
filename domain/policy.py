"""The meaning of a policy document: frozen values that ``decide`` and ``score`` are given.

The document itself (``policy.toml``) is read and checked elsewhere; here every value is known to
be right. Points are micro-points, durations microseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from domain.counts import ACTS, COUNTS, Act, Count
from domain.decay import Fading, Inactivity
from domain.events import Fact
from domain.qualification import BANT, Framework
from domain.stages import DEFAULT, Pack

POINT: Final = 1_000_000
"""Micro-points in one point."""

FULL: Final = 100 * POINT
"""The most that either axis can reach, micro-points."""

DAY: Final = 86_400_000_000
"""Microseconds in a day."""

Scalar = str | int | bool | None


@dataclass(frozen=True)
class FitRule:
    """Points for what the person is: the value of one attribute, looked up in a map.

    ``attribute`` is a dotted path into the traits (``seniority``, ``company.industry``). Text is
    compared without case: first as a whole against the lower-case keys of ``points``, then for the
    lower-case words of ``contains``, of which the one worth most counts. ``company.size`` is
    compared by the lower end of its band against ``at_least`` steps (employees, micro-points), of
    which the one worth most counts among those reached.

    With ``criterion``, one of the policy's framework, the rule looks at no attribute: it gives
    ``satisfied`` micro-points while the latest answer satisfies the criterion.
    """

    name: str
    attribute: str
    points: Mapping[str, int] = field(default_factory=dict)
    contains: tuple[tuple[str, int], ...] = ()
    at_least: tuple[tuple[int, int], ...] = ()
    criterion: str | None = None
    satisfied: int = 0


@dataclass(frozen=True)
class EngagementRule:
    """Points for what the person does: each time, unless the rule says otherwise.

    The points halve every ``half_life``, or fade as ``fading`` says. At most one of ``once``,
    ``distinct`` without ``count``, ``count`` and ``absent`` is set.
    """

    name: str
    types: tuple[str, ...]
    points: int
    half_life: int
    group: str
    where: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    actors: tuple[str, ...] = ("prospect", "unknown")
    unless: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    """Fields and the values of which none may be there; a missing field is no reason to refuse."""
    contains: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Fields and the lower-case words of which one must occur in the text, whatever its case."""
    fading: Fading | None = None
    """How the points fade, in place of halving."""
    once: bool = False
    """The first act alone earns the points."""
    count: int = 0
    """So many acts ``within`` so many microseconds earn the points once, then counting starts anew."""
    within: int = 0
    distinct: str | None = None
    """The field of which each value earns the points once; with ``count``, each value counts once."""
    absent: int = 0
    """The points count while no act came for so many microseconds, after at least one."""
    cap: int | None = None
    """The micro-points that the rule can add, or take, at most."""
    day_cap: int | None = None
    """The micro-points, before decay, that its acts of one UTC day can earn, or lose, at most."""

    @cached_property
    def each_time(self) -> bool:
        """Return whether every act earns the points, whatever came before it."""
        return not (self.once or self.count or self.distinct or self.absent or self.day_cap)

    def matches(self, fact: Fact) -> bool:
        """Return whether *fact*, which is of one of the rule's types, earns the points."""
        if fact.actor not in self.actors:
            return False
        for name, allowed in self.where:
            if fact.get(name) not in allowed:
                return False
        for name, refused in self.unless:
            if fact.get(name) in refused:
                return False
        for name, words in self.contains:
            text = str(fact.get(name) or "").lower()
            if not any(word in text for word in words):
                return False
        return True


@dataclass(frozen=True)
class ConsentRules:
    """What counts as consent."""

    double_opt_in: frozenset[str] = frozenset()
    """Purposes, in lower case, of which a grant waits for a confirmation with proof."""
    unsubscribe_ends: tuple[str, ...] = ("marketing",)
    """Purposes, in lower case, whose channel e-mail an unsubscription or a complaint ends."""
    valid_months: int = 0
    """Calendar months for which a grant holds; 0: until it is withdrawn."""


ROLES: Final = (
    "decision_maker",
    "economic_buyer",
    "champion",
    "influencer",
    "user",
    "other",
)
"""The parts that people have in a purchase; ``other`` is whoever no rule names."""


@dataclass(frozen=True)
class RoleRule:
    """The role of those who have one of the seniorities, or one of the words in their title."""

    role: str
    seniority: frozenset[str] = frozenset()
    """In lower case, compared as a whole."""
    title: tuple[str, ...] = ()
    """Words or phrases in lower case; with ``*`` behind it a word is the beginning of one."""


@dataclass(frozen=True)
class AccountRules:
    """How leads make up accounts, and who is who in them."""

    free_mail: frozenset[str] = frozenset()
    """Domains of e-mail providers beside the known ones: their addresses name no company."""
    roles: tuple[RoleRule, ...] = ()
    """The first that fits says the role."""
    wanted: tuple[str, ...] = ()
    """The roles that a purchase needs."""


@dataclass(frozen=True)
class Policy:
    """One version of the rules."""

    version: str
    """Name and content hash: what decisions cite."""
    fit_rules: tuple[FitRule, ...]
    engagement_rules: tuple[EngagementRule, ...]
    group_caps: Mapping[str, int]
    """Micro-points that a group of engagement rules can add at most."""
    grades: tuple[tuple[str, int], ...]
    """Fit grades from the best down: letter and the micro-points from which it holds."""
    levels: tuple[tuple[str, int], ...]
    """Engagement levels from the best (1) down, likewise."""
    fit_weight: int
    engagement_weight: int
    """Percent of each axis in the combined score."""
    mql_grade: str
    """The worst grade that can become a marketing qualified lead."""
    mql_engagement: int
    """Micro-points of engagement from which a lead is marketing qualified."""
    hysteresis: int
    """Percent below the threshold at which the band is left again."""
    criteria_needed: int
    """How many qualification criteria must be satisfied for a sales qualified lead."""
    auto_advance: bool = True
    """False: stages change only by what producers say, never by score or content acts."""
    pack: Pack = DEFAULT
    """The table of moves between stages."""
    acts: tuple[Act, ...] = ACTS
    """Acts of which one is enough; asked by the pack ``two_stage``."""
    counts: tuple[Count, ...] = COUNTS
    """Counts of which one is enough; asked by the pack ``content_led``."""
    framework: Framework = BANT
    """The framework whose criteria are counted."""
    click_within: int = 2_000_000
    """A mail that is opened or clicked sooner after its delivery was so by a machine; 0: never."""
    burst_links: int = 3
    """So many links of one mail within ``burst_within`` were clicked by a machine; 0: never."""
    burst_within: int = 5_000_000
    unique_kinds: frozenset[str] = frozenset(("external:account", "external:login"))
    """Kinds of identifier of which a person has one: different values are different people."""
    weak_kinds: frozenset[str] = frozenset(("phone", "anonymous_id"))
    """Kinds that people may share: alone they do not join those whom something else tells apart."""
    verified_email_is_unique: bool = True
    """Whether different e-mail addresses, both verified, are different people."""
    parties: Mapping[str, str] = field(
        default_factory=lambda: {"second": "consent_proof", "third": "legal_basis"}
    )
    """What a fact that captures a lead must show, by party: consent_proof, legal_basis or none."""
    consent: ConsentRules = ConsentRules()
    accounts: AccountRules = AccountRules()
    day_cap: int | None = None
    """The micro-points, before decay, that all acts of one UTC day together can add at most."""
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def at(self, instant: int) -> "Policy":  # noqa: ARG002 - the timeline of policies asks it
        """Return the policy in force at *instant*: one policy alone is always in force.

        The same question as to a timeline of published policies, so that either can be handed to
        a fold.
        """
        return self

    @cached_property
    def shared_kinds(self) -> frozenset[str]:
        """Return the kinds of identifier of which several values tell nobody apart."""
        return self.weak_kinds - self.unique_kinds

    @cached_property
    def rules_of(self) -> Mapping[str, tuple[EngagementRule, ...]]:
        """Return the engagement rules by the type of fact they look at."""
        by_type: dict[str, list[EngagementRule]] = {}
        for rule in self.engagement_rules:
            for type_ in rule.types:
                by_type.setdefault(type_, []).append(rule)
        return {type_: tuple(rules) for type_, rules in by_type.items()}

    @cached_property
    def mql_fit(self) -> int:
        """Return the micro-points of fit that the worst acceptable grade starts at."""
        return dict(self.grades)[self.mql_grade]

    @cached_property
    def shortest_half_life(self) -> int:
        """Return the shortest half-life of any rule, microseconds."""
        return min((rule.half_life for rule in self.engagement_rules), default=DAY)

    @cached_property
    def plain(self) -> bool:
        """Return whether each act is worth the same whatever came before or will come after it.

        And whether groups alone are capped, so that points are a sum over facts in any order.
        """
        return self.day_cap is None and all(
            rule.each_time and rule.cap is None and not isinstance(rule.fading, Inactivity)
            for rule in self.engagement_rules
        )

    @cached_property
    def halves(self) -> bool:
        """Return whether all points of engagement halve."""
        return all(rule.fading is None for rule in self.engagement_rules)

    @cached_property
    def minds_silence(self) -> bool:
        """Return whether some points fall while the lead does nothing and come back when it acts."""
        return any(isinstance(rule.fading, Inactivity) for rule in self.engagement_rules)

    @cached_property
    def absence_gain(self) -> int:
        """Return the micro-points that can be gained by doing nothing."""
        return sum(max(rule.points, 0) for rule in self.engagement_rules if rule.absent)

    @cached_property
    def asks_criteria(self) -> bool:
        """Return whether a rule of fit asks for a criterion of qualification."""
        return any(rule.criterion is not None for rule in self.fit_rules)

    @cached_property
    def rules_at_once(self) -> int:
        """Return how many rules may look at one fact at most."""
        return max((len(rules) for rules in self.rules_of.values()), default=0)

    @property
    def band_floor(self) -> int:
        """Return the micro-points below which the MQL band is left."""
        return self.mql_engagement * (100 - self.hysteresis) // 100
