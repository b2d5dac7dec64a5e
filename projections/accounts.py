"""Accounts: the companies that leads work for, who of them has which part, and what they are worth.

The account of a lead is a column of ``pipeline``; an account has no rows of its own, so that it
can be nothing but the sum of its leads. Roles are told by the policy that asks.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from domain.accounts import buying_group, role_of
from domain.policy import ROLES, AccountRules
from domain.stages import RANK, STAGES
from projections.account_key import free_mail_domains, registrable
from projections.answers import Answer, add_up, amounts, by_size, decimal, exponents, rfc3339
from projections.opportunities import opportunities
from projections.people import people
from projections.pipeline import pipeline
from projections.stages import stages
from projections.sums import halves, whole

EVENTS: Final = 20
"""Stage entries that the detail of an account shows."""

_AT_ONCE: Final = 500
"""Accounts in one IN list; more are told apart here."""


class AccountUnknown(ValueError):
    """No lead belongs to the account."""


def summary(connection: Connection, rules: AccountRules, limit: int | None = None) -> Answer:
    """Return the accounts, those with most leads first, *limit* of them at most.

    Each with its people by role, the roles that a purchase wants and nobody fills, the furthest
    stage that one of its leads is in, its owners, and what its open and won opportunities are
    worth; unknown amounts add nothing.
    """
    query = select(pipeline.c.account, func.count().label("leads")).group_by(pipeline.c.account)
    sizes = {row.account: row.leads for row in connection.execute(query)}
    nobodys = sizes.pop(None, 0)
    wanted = by_size(sizes)[:limit]
    return {
        "accounts": len(sizes),
        "leads": sum(sizes.values()) + nobodys,
        "leads_without_account": nobodys,
        "wanted_roles": list(rules.wanted),
        "rows": _rows(connection, rules, wanted),
    }


def detail(
    connection: Connection, rules: AccountRules, domain: str, *, with_people: bool = False
) -> Answer:
    """Return one account with each of its people, its opportunities and latest stage entries.

    *domain* may be any address of the company. Names and addresses are there *with_people* only.
    Raises AccountUnknown.
    """
    account = registrable(domain) or domain
    rows = _rows(connection, rules, [account])
    if not rows:
        why = (
            "an e-mail provider, and no company"
            if account in rules.free_mail or account in free_mail_domains()
            else "`leadflow accounts` lists those that have leads"
        )
        raise AccountUnknown(f"no lead belongs to the account {account!r}: {why}")
    return {
        **rows[0],
        "wanted_roles": list(rules.wanted),
        "people": _people(connection, rules, account, with_people=with_people),
        "opportunities": _opportunities(connection, account),
        "entries": _entries(connection, account),
    }


# --- what accounts have in common ---------------------------------------------------------------


def _rows(connection: Connection, rules: AccountRules, accounts: Collection[str]) -> list[Answer]:
    """Return a row per account, in the order of *accounts*; none for those without leads."""
    p = pipeline.c
    persons: dict[str, list[tuple[str | None, str | None, int]]] = {}
    for account, seniority, title, number in connection.execute(
        _of(accounts, select(p.account, p.seniority, p.title, func.count())).group_by(
            p.account, p.seniority, p.title
        )
    ):
        persons.setdefault(account, []).append((seniority, title, number))
    reached: dict[str, dict[str | None, int]] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for account, stage, number, since, until in connection.execute(
        _of(
            accounts,
            select(
                p.account,
                p.stage,
                func.count(),
                func.min(p.first_event_at_us),
                func.max(p.last_event_at_us),
            ),
        ).group_by(p.account, p.stage)
    ):
        reached.setdefault(account, {})[stage] = number
        first[account] = min(first.get(account, since), since)
        last[account] = max(last.get(account, until), until)
    companies = _counted(connection, accounts, p.company)
    owners = _counted(connection, accounts, p.owner)
    worth = _worth(connection, accounts)
    places = exponents(connection)
    found = []
    for account in accounts:
        if account not in persons:
            continue
        group = buying_group(persons[account], rules)
        met, wanted = group.coverage
        found.append(
            {
                "account": account,
                "company": next(iter(by_size(companies.get(account, {}))), None),
                "leads": sum(reached[account].values()),
                "roles": dict(group.roles),
                "roles_missing": list(group.missing),
                "coverage": met / wanted if wanted else None,
                "furthest_stage": furthest(reached[account]),
                "open": amounts(worth.get((account, "open"), {}), places),
                "won": amounts(worth.get((account, "won"), {}), places),
                "owners": by_size(owners.get(account, {})),
                "first_event_at": rfc3339(first[account]),
                "last_event_at": rfc3339(last[account]),
            }
        )
    return found


def furthest(reached: Iterable[str | None]) -> str | None:
    """Return the stage that is furthest on the way to a deal; off the way if none is on it."""
    known = [stage for stage in reached if stage is not None]
    return max(known, key=lambda one: (RANK.get(one, -1), -STAGES.index(one)), default=None)


def _of(accounts: Collection[str], query: Select[Any]) -> Select[Any]:
    """Return *query* for *accounts* only; for all where they are too many to name."""
    column = pipeline.c.account
    if len(accounts) > _AT_ONCE:
        return query.where(column.is_not(None))
    return query.where(column.in_(accounts))


def _counted(
    connection: Connection, accounts: Collection[str], column: Any
) -> dict[str, dict[str, int]]:
    """Return how many leads of each account have which value of *column*."""
    found: dict[str, dict[str, int]] = {}
    query = _of(accounts, select(pipeline.c.account, column, func.count()))
    for account, value, number in connection.execute(
        query.where(column.is_not(None)).group_by(pipeline.c.account, column)
    ):
        found.setdefault(account, {})[value] = number
    return found


def _worth(
    connection: Connection, accounts: Collection[str]
) -> dict[tuple[str, str], dict[str, int]]:
    """Return minor units by currency, by account and status of the opportunity."""
    p, o = pipeline.c, opportunities.c
    query = _of(
        accounts,
        select(p.account, o.status, o.currency, *halves(o.amount_minor)).join(
            opportunities, o.lead_no == p.lead_no
        ),
    ).group_by(p.account, o.status, o.currency)
    return add_up(
        ((account, status), currency, whole(*units))
        for account, status, currency, *units in connection.execute(query)
    )


# --- one account --------------------------------------------------------------------------------


def _people(
    connection: Connection, rules: AccountRules, account: str, *, with_people: bool
) -> list[Answer]:
    p, w = pipeline.c, people.c
    query = (
        select(
            p.lead_id,
            p.title,
            p.seniority,
            p.stage,
            p.owner,
            p.is_hot,
            p.last_event_at_us,
            w.name,
            w.email,
            w.phone,
        )
        .join(people, w.lead_no == p.lead_no)
        .where(p.account == account)
    )
    found = [
        {
            "lead_id": row.lead_id,
            "role": role_of(row.seniority, row.title, rules),
            "title": row.title,
            "seniority": row.seniority,
            "stage": row.stage,
            "owner": row.owner,
            "is_hot": bool(row.is_hot),
            "last_event_at": rfc3339(row.last_event_at_us),
        }
        | ({"name": row.name, "email": row.email, "phone": row.phone} if with_people else {})
        for row in connection.execute(query)
    ]
    order = {role: n for n, role in enumerate(ROLES)}
    return sorted(found, key=lambda one: (order[one["role"]], one["lead_id"]))


def _opportunities(connection: Connection, account: str) -> list[Answer]:
    places = exponents(connection)
    p, o = pipeline.c, opportunities.c
    query = (
        select(
            p.lead_id,
            o.n,
            o.opportunity,
            o.status,
            o.amount_minor,
            o.currency,
            o.created_at_us,
            o.closed_at_us,
            o.owner,
        )
        .join(opportunities, o.lead_no == p.lead_no)
        .where(p.account == account)
    )
    rows = sorted(
        connection.execute(query), key=lambda row: (row.created_at_us, row.lead_id, row.n)
    )
    return [
        {
            "opportunity": row.opportunity,
            "lead_id": row.lead_id,
            "status": row.status,
            "amount": None
            if row.amount_minor is None
            else decimal(row.amount_minor, places.get(row.currency, 2)),
            "currency": row.currency,
            "created_at": rfc3339(row.created_at_us),
            "closed_at": None if row.closed_at_us is None else rfc3339(row.closed_at_us),
            "owner": row.owner,
        }
        for row in rows
    ]


def _entries(connection: Connection, account: str) -> list[Answer]:
    """Return the latest entries into stages of all its leads, the latest first."""
    p, s = pipeline.c, stages.c
    query = (
        select(p.lead_id, s.n, s.stage, s.cycle, s.rule, s.entered_at_us)
        .join(stages, s.lead_no == p.lead_no)
        .where(p.account == account)
        .order_by(s.entered_at_us.desc())
        .limit(EVENTS * 10)
    )
    rows = sorted(
        connection.execute(query), key=lambda row: (-row.entered_at_us, row.lead_id, -row.n)
    )
    return [
        {
            "at": rfc3339(row.entered_at_us),
            "lead_id": row.lead_id,
            "stage": row.stage,
            "cycle": row.cycle,
            "rule": row.rule,
        }
        for row in rows[:EVENTS]
    ]
