"""The account of a lead: the registrable domain of its company, else of its e-mail address.

Not that of an e-mail provider: such an address says nothing about an employer. The known ones
stand in ``free_mail.txt``.
"""

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from publicsuffixlist import PublicSuffixList

_HOST: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:[^/@]*@)?([^/:?#]+)")


@lru_cache(maxsize=65_536)
def account_of(
    company_domain: str | None, email_host: str | None, free_mail: frozenset[str]
) -> str | None:
    """Return the account of a person, or None: the domain of the company, else of the address.

    *company_domain* is whatever the producer sent, an address of a page too; *free_mail* are
    domains of e-mail providers beside those that are known.
    """
    for said in (company_domain, email_host):
        domain = registrable(said)
        if domain is not None and domain not in free_mail and domain not in free_mail_domains():
            return domain
    return None


def registrable(said: str | None) -> str | None:
    """Return the registrable domain in *said*, Unicode in lower case; None where there is none.

    ``https://www.acme.co.uk/jobs`` is of ``acme.co.uk``.
    """
    if not said:
        return None
    found = _HOST.match(said.strip().lower())
    host = found[1].strip(". ") if found else ""
    if not host or host.rpartition(".")[2].isdigit():
        return None
    if "xn--" in host:
        try:
            host = host.encode("ascii").decode("idna")
        except UnicodeError:
            return None
    domain: str | None = _suffixes().privatesuffix(host)
    return domain


@cache
def free_mail_domains() -> frozenset[str]:
    """Return the domains of the e-mail providers that are known."""
    lines = files("projections").joinpath("free_mail.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
