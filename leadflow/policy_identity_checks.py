"""What is wrong with the tables ``identity`` and ``machines`` of a policy document."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from leadflow.policy_document import IdentityTable, MachinesTable
from leadflow.policy_stage_checks import Remark

PLAIN: Final = ("email", "phone", "anonymous_id")
"""Kinds of identifier that are named as they are."""

NAMED: Final = {"subject": "subject:/crm", "external": "external:crm"}
"""Kinds that a source or a system makes complete, each with an example."""

_ALLOWED: Final = "write one of email, phone, anonymous_id, subject:SOURCE, external:SYSTEM"


def identity_remarks(identity: IdentityTable, given: Mapping[str, Any]) -> Iterator[Remark]:
    """Yield what is wrong with the kinds of identifier of the table *given*, read as *identity*."""
    for key in ("unique", "weak"):
        seen: set[str] = set()
        for n, kind in enumerate(getattr(identity, key)):
            path = ("identity", key, n)
            if (mend := _mend_of(kind)) is not None:
                yield Remark(path, kind, "is no kind of identifier", mend)
            elif kind in seen:
                yield Remark(path, kind, "stands there twice", "take it out")
            seen.add(kind)
    both = set(identity.unique) & set(identity.weak)
    key, other = ("weak", "unique") if "weak" in given else ("unique", "weak")
    for n, kind in enumerate(getattr(identity, key)):
        if kind in both:
            where = f"{other} too" if other in given else f"{other} too, where nothing is said"
            problem = f"is among {where}: it either tells people apart or may be shared"
            mend = "take it out of one of them"
            if other not in given:
                mend = f"take it out, or write {other} without it"
            yield Remark(("identity", key, n), kind, problem, mend)


def identity_warnings(identity: IdentityTable) -> Iterator[Remark]:
    """Yield what works, though hardly as its author meant."""
    for n, kind in enumerate(identity.unique):
        if kind == "anonymous_id":
            problem = "differs from browser to browser, so each would be another person"
            yield Remark(("identity", "unique", n), kind, problem, "take it out")


def machine_remarks(machines: MachinesTable) -> Iterator[Remark]:
    """Yield what is wrong with the verdicts on machines."""
    if machines.burst_links == 1:
        problem = "is reached by every click, so nobody would ever click"
        mend = "write burst_links = 3, or 0 to switch the verdict off"
        yield Remark(("machines", "burst_links"), 1, problem, mend)


def _mend_of(kind: str) -> str | None:
    """Return how to mend *kind*; None where it is a kind of identifier."""
    head, colon, name = kind.partition(":")
    if kind in PLAIN or (head in NAMED and name and name == name.strip()):
        return None
    if head in NAMED and name.strip():
        return f'write "{head}:{name.strip()}"'
    if kind in NAMED or head in NAMED:
        return f'write "{NAMED[head]}", with the name of your own'
    near = get_close_matches(head.strip().lower(), [*PLAIN, *NAMED], 1, 0.6)
    if not near:
        return _ALLOWED
    if near[0] in NAMED:
        return f'write "{near[0]}:{name.strip()}"' if name.strip() else _ALLOWED
    return _ALLOWED if colon else f'write "{near[0]}"'
