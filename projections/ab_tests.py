"""Which variant of a mail did better: the question `leadflow ab-test`."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, func, or_, select

from domain.ab_subject import ACTS, SENDING, Mail, Subject, subject
from domain.ab_test import Arm, Comparison, compare, holm, sample_ratio
from domain.intervals import wilson
from domain.stages import PATH, RANK, STAGES
from projections.activities import activities
from projections.answers import Answer
from projections.stages import stages
from projections.touches import touches

METRICS: Final = ("opened", "clicked", "replied")
"""What a test can be about, beside ``converted:STAGE``."""

GUARDRAILS: Final = ("unsubscribed", "complained", "bounced")
"""What a variant must not make worse."""

_CONVERTED: Final = "converted"
_WORSE: Final = 0.05
_ALL_MAILS: Final = (*SENDING, *ACTS.values())


class _Lead(NamedTuple):
    """A lead in the test, and whether it reached the stage that is asked for since."""

    subject: Subject
    converted: bool


def ab_test(
    connection: Connection,
    *,
    campaign: str | None = None,
    message: str | None = None,
    metric: str = "clicked",
    guardrails: Sequence[str] = GUARDRAILS,
    control: str | None = None,
    split: Mapping[str, int] | None = None,
) -> Answer:
    """Return how the variants of a *campaign* or of a *message* did, beside the *control*.

    A lead counts once, for the first variant that it was sent, by the definitions of
    `domain.ab_subject`. *metric* is one of `METRICS`, over the leads whose mail arrived, or
    ``converted:STAGE``, over all that were sent one: whether they reached the stage later, in any
    cycle. *split* are the shares that the variants were meant to have, equal ones by default.

    Raises ValueError for what makes no test.
    """
    if (campaign is None) == (message is None):
        raise ValueError("a test is about one campaign or one message: name one of both")
    stage = _stage_of(metric)
    for name in guardrails:
        if name not in GUARDRAILS:
            raise ValueError(f"{name!r} is no guardrail; there are {', '.join(GUARDRAILS)}")
    leads, without_variant = _leads(connection, campaign, message, stage)
    names = _variants(leads, control)
    if split is not None and set(split) != set(names):
        raise ValueError(
            f"the split must name every variant once: {', '.join(names) or 'there are none'}"
        )
    confirmed = any(lead.subject.is_delivered for lead in leads)
    told = _Told(leads, names, confirmed=confirmed)
    sizes = [len(told.of(name)) for name in names]
    ratio = sample_ratio(sizes, None if split is None else [split[name] for name in names])
    return {
        "campaign": campaign,
        "message": message,
        "metric": metric,
        "of": _base(metric),
        "delivered_is": "confirmed" if confirmed else "sent and not bounced",
        "control": names[0] if names else None,
        "assigned": len(leads),
        "in_two_variants": sum(bool(lead.subject.others) for lead in leads),
        "without_variant": without_variant,
        "machine_acts": sum(lead.subject.machine_acts for lead in leads),
        "variants": [
            {"assigned": size, "delivered": told.delivered(name)} | row
            for name, size, row in zip(names, sizes, told.rows(metric), strict=True)
        ],
        "sample_ratio": None
        if ratio is None
        else {
            "chi_square": round(ratio.chi_square, 6),
            "p": ratio.p,
            "is_mismatch": ratio.is_mismatch,
        },
        "guardrails": [
            {"metric": name, "of": _base(name), "variants": _guarded(told.rows(name))}
            for name in guardrails
        ],
    }


def _stage_of(metric: str) -> str | None:
    name, colon, stage = metric.partition(":")
    if name == _CONVERTED and colon:
        if stage not in STAGES:
            raise ValueError(f"unknown stage {stage!r}; there are {', '.join(STAGES)}")
        return stage
    if metric not in METRICS:
        raise ValueError(
            f"{metric!r} is no metric; there are {', '.join(METRICS)} and converted:STAGE"
        )
    return None


def _variants(leads: Sequence[_Lead], control: str | None) -> list[str]:
    """Return the variants by name, the *control* first; raise ValueError where there is no such."""
    names = sorted({lead.subject.variant for lead in leads})
    if control is None:
        return names
    if control not in names:
        raise ValueError(f"nobody was sent {control!r}; there are {', '.join(names) or 'none'}")
    return sorted(names, key=lambda name: name != control)


def _base(metric: str) -> str:
    """Return over whom a metric is taken."""
    return "assigned" if metric.startswith(_CONVERTED) or metric == "bounced" else "delivered"


class _Told:
    """The leads of a test by variant, and what is told of them."""

    def __init__(self, leads: Sequence[_Lead], names: Sequence[str], *, confirmed: bool) -> None:
        self._names = names
        self._confirmed = confirmed
        self._of: dict[str, list[_Lead]] = {name: [] for name in names}
        for lead in leads:
            self._of[lead.subject.variant].append(lead)

    def of(self, name: str) -> list[_Lead]:
        """Return the leads of a variant."""
        return self._of[name]

    def delivered(self, name: str) -> int:
        """Return to how many leads of a variant a mail was delivered."""
        return sum(self._arrived(lead) for lead in self._of[name])

    def _arrived(self, lead: _Lead) -> bool:
        if self._confirmed:
            return lead.subject.is_delivered
        return ACTS["bounced"] not in lead.subject.acts

    def rows(self, metric: str) -> list[Answer]:
        """Return the variants with their rates of *metric*, beside the first of them."""
        arms = [self._arm(name, metric) for name in self._names]
        beside = [compare(arms[0], arm) for arm in arms[1:]]
        adjusted = holm([one.p for one in beside])
        rows = [_arm_row(arm) for arm in arms]
        for row, one, p in zip(rows[1:], beside, adjusted, strict=True):
            row.update(_comparison_row(one, p))
        return rows

    def _arm(self, name: str, metric: str) -> Arm:
        leads = self._of[name]
        if metric.startswith(_CONVERTED):
            return Arm(name, len(leads), sum(lead.converted for lead in leads))
        if _base(metric) == "delivered":
            leads = [lead for lead in leads if self._arrived(lead)]
        did = sum(ACTS[metric] in lead.subject.acts for lead in leads)
        return Arm(name, len(leads), did)


def _arm_row(arm: Arm) -> Answer:
    low, high = wilson(arm.successes, arm.subjects)
    return {
        "variant": arm.name,
        "leads": arm.subjects,
        "successes": arm.successes,
        "rate": None if arm.rate is None else float(arm.rate),
        "interval": _ends((low, high)) if arm.subjects else None,
        "difference": None,
        "difference_interval": None,
        "p": None,
        "p_adjusted": None,
        "method": None,
        "detectable": None,
    }


def _comparison_row(one: Comparison, p_adjusted: float | None) -> Answer:
    known = one.difference is not None
    return {
        "difference": None if one.difference is None else float(one.difference),
        "difference_interval": _ends(one.interval) if known else None,
        "p": one.p,
        "p_adjusted": p_adjusted,
        "method": one.method if known else None,
        "detectable": one.detectable,
    }


def _guarded(rows: list[Answer]) -> list[Answer]:
    """Return the rows of a guardrail, with whether the variant made it worse.

    Nothing is taken off for several comparisons: a guardrail had better warn too often.
    """
    return [
        row
        | {
            "is_worse": None
            if row["difference"] is None
            else bool(row["difference"] > 0 and row["p"] < _WORSE)
        }
        for row in rows
    ]


def _ends(interval: tuple[Any, Any]) -> list[float]:
    return [round(float(end), 6) for end in interval]


# --- what is in the tables ----------------------------------------------------------------------


def _leads(
    connection: Connection, campaign: str | None, message: str | None, stage: str | None
) -> tuple[list[_Lead], int]:
    """Return the leads in the test, and how many were sent a mail that tells no variant.

    A lead has converted that reached *stage* after it was sent its variant; None: nobody has.
    """
    reached = {} if stage is None else _reached(connection, stage)
    leads: list[_Lead] = []
    without_variant = 0
    for lead_no, mails in _mails(connection, campaign, message):
        found = subject(mails, campaign=campaign, message=message)
        if found is None:
            without_variant += any(mail.type in SENDING for mail in mails)
            continue
        later = any(at > found.assigned_at for at in reached.get(lead_no, ()))
        leads.append(_Lead(found, later))
    return leads, without_variant


def _mails(
    connection: Connection, campaign: str | None, message: str | None
) -> Iterator[tuple[int, list[Mail]]]:
    """Yield what is known of the mails of each lead that may be in the test."""
    act, touch = activities.c, touches.c
    if message is not None:
        ours = act.message == message
    else:
        sent = activities.alias("sent")
        of_campaign = select(sent.c.message).where(
            sent.c.campaign == campaign, sent.c.type.in_(SENDING), sent.c.message.is_not(None)
        )
        ours = or_(act.campaign == campaign, act.message.in_(of_campaign))
    query = (
        select(
            act.lead_no,
            act.at_us,
            act.type,
            act.actor,
            act.message,
            act.campaign,
            # a mail whose variant is not told may have it in the content of its touch
            func.coalesce(act.variant, touch.content),
        )
        .outerjoin_from(
            activities,
            touches,
            and_(
                touch.lead_no == act.lead_no,
                touch.fact_source == act.fact_source,
                touch.fact_id == act.fact_id,
                act.type.in_(SENDING),
            ),
        )
        .where(act.type.in_(_ALL_MAILS), ours)
        .order_by(act.lead_no, act.n)
    )
    rows = connection.execute(query.execution_options(yield_per=10_000))
    for lead_no, group in groupby(rows, key=lambda row: int(row[0])):
        yield lead_no, [Mail(int(at), *rest) for _, at, *rest in group]


def _reached(connection: Connection, stage: str) -> dict[int, list[int]]:
    """Return when each lead first reached the stage in each of its cycles."""
    further = {stage}
    if stage in PATH:
        further |= {other for other, rank in RANK.items() if rank > RANK[stage]}
    entry = stages.c
    query = (
        select(entry.lead_no, func.min(entry.entered_at_us))
        .where(entry.stage.in_(further))
        .group_by(entry.lead_no, entry.cycle)
    )
    found: dict[int, list[int]] = {}
    for lead_no, at in connection.execute(query):
        found.setdefault(int(lead_no), []).append(int(at))
    return found
