"""The question ``hygiene`` answers, but for duplicates: gaps, silence, bounces, missing tags.

Captured leads are looked at; visitors have nothing to be complete. Duplicates are found by
`leadflow.hygiene`, which knows how to compare people.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from domain.hygiene import HARD, SENT, STALE_AFTER, Bounces, is_filled
from domain.vocabulary import INTENT
from projections.activities import activities
from projections.answers import Answer, rfc3339
from projections.columns import MISSING, Coded, Flags, Integers, read
from projections.people import people
from projections.pipeline import observed_until, pipeline
from projections.recycled import rate_answer
from projections.touches import touches

REQUIRED: Final = ("name", "email", "company", "country", "source")
"""What a lead has to have, by default: whom we talk to, where, and where they came from."""

PERSONAL: Final = ("name", "email", "phone")
FIELDS: Final = (
    *PERSONAL,
    *("company", "company_domain", "company_size", "industry", "country", "region"),
    *("title", "seniority", "owner", "product", "channel", "source", "medium", "campaign", "party"),
)
"""What can be required."""

SIGNS: Final = ("email.clicked", "email.replied", "sms.replied", "meeting.held", *sorted(INTENT))
"""Acts by which people show that they are still there, whoever the producer says has acted.

That a mail was opened is none: machines open mails.
"""

INCOMPLETE: Final = "incomplete"
STALE: Final = "stale"
BOUNCED: Final = "bounced"
UNTAGGED: Final = "untagged"
LISTS: Final = ("duplicate", INCOMPLETE, STALE, BOUNCED, UNTAGGED)
"""What leads can be listed for."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The captured leads, and what is wrong with each."""

    lead_no: Integers
    filled: Mapping[str, Flags]
    """Required field to whether it says something."""
    heard: Integers
    """The latest instant at which the person was heard of."""
    stale: Flags
    bounced: Flags
    untagged: Flags
    uncaptured: int
    bounces: Bounces

    @property
    def incomplete(self) -> Flags:
        """Return the leads that lack a required field."""
        missing = np.zeros(len(self.lead_no), np.bool_)
        for filled in self.filled.values():
            missing |= ~filled
        return missing

    def wrong(self, what: str) -> Flags:
        """Return the leads that are *what*: incomplete, stale, bounced or untagged."""
        found = {
            INCOMPLETE: self.incomplete,
            STALE: self.stale,
            BOUNCED: self.bounced,
            UNTAGGED: self.untagged,
        }
        return found[what]


def look(
    connection: Connection, required: Sequence[str], as_of: int, stale_after: int = STALE_AFTER
) -> Looked:
    """Return what is wrong with each captured lead.

    A lead is stale where the person was not heard of for longer than *stale_after*, both in
    microseconds. Raises ValueError for a field that cannot be required.
    """
    for name in required:
        if name not in FIELDS:
            raise ValueError(f"--required: no field {name!r}; there are {', '.join(FIELDS)}")
    asked = list(dict.fromkeys((*required, "source", "campaign")))
    columns = [(people if name in PERSONAL else pipeline).c[name] for name in asked]
    query = (
        select(pipeline.c.lead_no, pipeline.c.captured_at_us, *columns)
        .join(people, people.c.lead_no == pipeline.c.lead_no)
        .order_by(pipeline.c.lead_no)
    )
    found = read(connection, query, set(asked))
    there = found["captured_at_us"] != MISSING
    numbers, captured = found["lead_no"][there], found["captured_at_us"][there]
    filled = {name: _filled(found.coded[name])[there] for name in asked}
    heard = _heard(connection, numbers, captured)
    bounced = _numbers(
        connection, and_(activities.c.type == "email.bounced", activities.c.kind == HARD)
    )
    return Looked(
        numbers,
        {name: filled[name] for name in required},
        heard,
        as_of - heard > stale_after,
        np.isin(numbers, bounced),
        ~(filled["source"] | filled["campaign"]),
        int((~there).sum()),
        count_bounces(connection),
    )


def _filled(column: Coded) -> Flags:
    says = np.array([is_filled(value) for value in column.values], np.bool_)
    return says[column.codes] if len(says) else np.zeros(0, np.bool_)


def _numbers(connection: Connection, condition: ColumnElement[bool]) -> Integers:
    query = select(activities.c.lead_no).where(condition).distinct()
    return read(connection, query, set())["lead_no"]


def _heard(connection: Connection, numbers: Integers, captured: Integers) -> Integers:
    """Return when each person was last captured, touched, brought up to date, or acted."""
    heard = captured.copy()
    act = activities.c
    own = and_(
        act.actor != "machine",
        or_(
            act.actor == "prospect",
            act.type.in_(SIGNS),
            and_(act.type == "call.completed", act.outcome == "connected"),
        ),
    )
    acts = select(act.lead_no, func.max(act.at_us).label("at")).where(own).group_by(act.lead_no)
    touched = select(touches.c.lead_no, func.max(touches.c.at_us).label("at")).group_by(
        touches.c.lead_no
    )
    # what we send out is a touch, too, and says nothing of the person
    touched = touched.where(touches.c.type.not_in((*sorted(SENT), "sms.sent", "call.attempted")))
    updated = select(pipeline.c.lead_no, pipeline.c.person_updated_at_us.label("at")).where(
        pipeline.c.person_updated_at_us.is_not(None)
    )
    for query in (acts, touched, updated):
        found = read(connection, query, set())
        place = np.searchsorted(numbers, found["lead_no"]).clip(max=max(len(numbers) - 1, 0))
        if len(numbers):
            hit = numbers[place] == found["lead_no"]
            np.maximum.at(heard, place[hit], found["at"][hit])
    return heard


def count_bounces(connection: Connection) -> Bounces:
    """Return what `domain.hygiene.bounces` says of all e-mail events, counted by the database."""
    act = activities.c
    bounced = act.type == "email.bounced"
    is_hard = and_(bounced, act.kind == HARD)
    is_other = and_(bounced, or_(act.kind.is_(None), act.kind != HARD))
    named = (
        select(
            func.max(case((is_hard, 1), else_=0)).label("hard"),
            func.max(case((is_other, 1), else_=0)).label("other"),
        )
        .where(act.type.in_(sorted(SENT)), act.message.is_not(None))
        .group_by(act.lead_no, act.message)
        .subquery()
    )
    messages, hard, other = connection.execute(
        select(
            func.count(),
            func.count(case((named.c.hard == 1, 1))),
            func.count(case((and_(named.c.hard == 0, named.c.other == 1), 1))),
        ).select_from(named)
    ).one()
    sent = func.count(case((act.type == "email.sent", 1)))
    rest = func.count(case((act.type != "email.sent", 1)))
    nameless = (
        select(
            case((sent >= rest, sent), else_=rest).label("sent"),
            func.count(case((is_hard, 1))).label("hard"),
            func.count(case((is_other, 1))).label("other"),
        )
        .where(act.type.in_(sorted(SENT)), act.message.is_(None))
        .group_by(act.lead_no)
        .subquery()
    )
    more = connection.execute(
        select(
            func.coalesce(func.sum(nameless.c.sent), 0),
            func.coalesce(func.sum(nameless.c.hard), 0),
            func.coalesce(func.sum(nameless.c.other), 0),
        )
    ).one()
    return Bounces(
        int(messages) + int(more[0]), int(hard) + int(more[1]), int(other) + int(more[2])
    )


def hygiene(
    connection: Connection,
    required: Sequence[str] = REQUIRED,
    *,
    stale_after: int = STALE_AFTER,
    as_of: int | None = None,
    show: str | None = None,
    limit: int = 100,
) -> Answer:
    """Return how complete, fresh, reachable and tagged the captured leads are.

    *show* one of `LISTS` adds up to *limit* of the leads behind that figure, by lead id. *as_of*
    is the instant of the read models, microseconds UTC, by default that of the latest event.
    Raises ValueError for a field that cannot be required.
    """
    at = observed_until(connection, as_of)
    looked = look(connection, required, at or 0, stale_after)
    leads = len(looked.lead_no)
    asked = leads * len(looked.filled)
    filled = sum(int(flags.sum()) for flags in looked.filled.values())
    mail = looked.bounces
    answer: Answer = {
        "as_of": None if at is None else rfc3339(at),
        "leads": leads,
        "not_captured": looked.uncaptured,
        "completeness": {
            "required": list(looked.filled),
            "rate": float(Fraction(filled, asked)) if asked else None,
            "incomplete": int(looked.incomplete.sum()),
            "fields": [
                {
                    "field": name,
                    "filled": int(flags.sum()),
                    "rate": float(Fraction(int(flags.sum()), leads)) if leads else None,
                }
                for name, flags in looked.filled.items()
            ],
        },
        "staleness": {
            "after_seconds": stale_after // 1_000_000,
            **rate_answer(int(looked.stale.sum()), leads),
        },
        "bounces": {
            "sent": mail.sent,
            "hard": mail.hard,
            "other": mail.other,
            "rate": None if mail.rate is None else float(mail.rate),
            "leads": int(looked.bounced.sum()),
        },
        "untagged": rate_answer(int(looked.untagged.sum()), leads),
    }
    if show in (INCOMPLETE, STALE, BOUNCED, UNTAGGED):
        answer["list"] = _listed(connection, looked, str(show), limit)
    return answer


def _listed(connection: Connection, looked: Looked, what: str, limit: int) -> list[Answer]:
    """Return leads behind a figure: the longest silent first, else those that lack the most."""
    rows = np.flatnonzero(looked.wrong(what))
    missing = np.zeros(len(looked.lead_no), np.int64)
    for flags in looked.filled.values():
        missing += ~flags
    first = missing if what == INCOMPLETE else np.zeros(len(missing), np.int64)
    rows = rows[np.lexsort((looked.lead_no[rows], looked.heard[rows], -first[rows]))][:limit]
    ids = _ids(connection, looked.lead_no[rows].tolist())
    return [
        {
            "lead_id": ids[int(looked.lead_no[row])],
            "heard_at": rfc3339(int(looked.heard[row])),
            "missing": [name for name, flags in looked.filled.items() if not flags[row]],
        }
        for row in rows.tolist()
    ]


def _ids(connection: Connection, numbers: Collection[int]) -> dict[int, Any]:
    asked = sorted(numbers)
    found: dict[int, Any] = {}
    for start in range(0, len(asked), 500):
        query = select(pipeline.c.lead_no, pipeline.c.lead_id).where(
            pipeline.c.lead_no.in_(asked[start : start + 500])
        )
        found |= {int(row[0]): row[1] for row in connection.execute(query)}
    return found
