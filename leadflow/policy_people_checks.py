"""What is wrong with the tables ``consent`` and ``accounts`` of a policy document."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from leadflow.policy_document import AccountsTable, ConsentTable, RoleEntry
from leadflow.policy_stage_checks import Remark

_DOMAIN: Final = re.compile(r"[^\s@/.]+(\.[^\s@/.]+)+")


def consent_remarks(consent: ConsentTable) -> Iterator[Remark]:
    """Yield what is wrong with the purposes."""
    for key in ("double_opt_in", "unsubscribe_ends"):
        for n, purpose in enumerate(getattr(consent, key)):
            if not purpose.strip():
                mend = f'write {key} = ["newsletter"]'
                yield Remark(("consent", key, n), purpose, "is a blank text", mend)


def account_remarks(accounts: AccountsTable, roles: Sequence[RoleEntry]) -> Iterator[Remark]:
    """Yield what is wrong with the domains and the rules of roles."""
    for n, domain in enumerate(accounts.free_mail):
        if not _DOMAIN.fullmatch(domain):
            mend = 'write what stands behind the @, such as "mail.example"'
            yield Remark(("accounts", "free_mail", n), domain, "is no domain", mend)
    for n, rule in enumerate(roles):
        if not rule.seniority and not rule.title:
            mend = 'add seniority = ["manager"] or title = ["project manager"], or take it out'
            problem = "asks for nothing, so it can never fit"
            yield Remark(("accounts", "roles", n), rule.role, problem, mend)


def account_warnings(accounts: AccountsTable, roles: Sequence[RoleEntry]) -> Iterator[Remark]:
    """Yield what works, though hardly as its author meant."""
    given = {rule.role for rule in roles}
    for n, role in enumerate(accounts.wanted):
        if role not in given:
            mend = f'add [[accounts.roles]] with role = "{role}", or take it out'
            problem = "is given by no rule, so it would always be missing"
            yield Remark(("accounts", "wanted", n), role, problem, mend)
    for key in ("seniority", "title"):
        seen: dict[str, int] = {}
        for n, rule in enumerate(roles):
            for word in getattr(rule, key):
                first = seen.setdefault(word, n)
                if first != n:
                    problem = f"stands in accounts.roles[{first}] too, which comes first"
                    where = ("accounts", "roles", n, key)
                    yield Remark(where, word, problem, "keep one of them")
