"""A small history with merges, money, late facts and marked personal values, in a database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from leadflow.app import App
from leadflow.files import ingest, open_lines
from leadflow.settings import load_settings

MARK: Final = "zQ7Who"
"""Names and addresses hold this, in some case."""

PHONES: Final = "30901820"
"""Telephone numbers hold this."""

SEARCH: Final = {"channel": "paid_search", "source": "google", "campaign": "=SUM(A1)"}


def _event(id_: str, type_: str, time: str, who: Any, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "source": "/shop",
        "id": id_,
        "type": type_,
        "time": time,
        "data": {"person": who, **data},
    }


def events() -> Iterator[dict[str, Any]]:
    """Yield events of eight people and a report of spend."""
    for n in range(8):
        email = f"{MARK}{n}@example.com"
        known: dict[str, Any] = {
            "email": email,
            "name": f"Ada {MARK} {n}",
            "phone": f"+49{PHONES}{n:02}",
        }
        known |= {"company": {"name": "Acme"}}
        visitor = {"anonymous_id": f"v{n}"}
        day = f"2026-03-{n + 1:02}"
        yield _event(f"a{n}", "page.viewed", f"{day}T08:00:00.5Z", visitor, touch=SEARCH)
        yield _event(f"b{n}", "demo.requested", f"{day}T09:00:00Z", known)
        if n % 2:
            both = {"email": email, "anonymous_id": f"v{n}"}
            yield _event(f"c{n}", "form.submitted", f"{day}T10:00:00Z", both, kind="contact")
        yield _event(
            f"d{n}", "lead.assigned", f"{day}T11:00:00Z", {"email": email}, owner="Änn\n\\a"
        )
        yield _event(
            f"e{n}",
            "opportunity.created",
            f"{day}T12:00:00Z",
            {"email": email},
            opportunity=f"o{n}",
            amount=1_000 + n,
            currency="EUR",
        )
        if n % 3 == 0:
            currency = ("EUR", "JPY", "KWD")[n // 3]
            yield _event(
                f"f{n}",
                "deal.won",
                f"{day}T13:00:00Z",
                {"email": email},
                opportunity=f"o{n}",
                amount=12_345 + n,
                currency=currency,
            )
    yield _event("g", "consent.granted", "2026-03-02T09:30:00Z", known, purpose="news", proof="p")
    yield {
        "specversion": "1.0",
        "source": "/ads",
        "id": "s1",
        "type": "spend.recorded",
        "time": "2026-03-31T00:00:00Z",
        "data": {
            "day": "2026-03-30",
            "channel": "paid_search",
            "amount": "12.50",
            "currency": "EUR",
        },
    }


def tells_who(text: str) -> bool:
    """Return whether a personal value of the history stands in *text*."""
    return MARK.lower() in text.lower() or PHONES in text


@contextmanager
def open_filled(database_url: str, folder: Path, *, projected: bool = True) -> Iterator[App]:
    """Yield the application on a database that holds the history, read models up to date where *projected*."""
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events()), encoding="utf-8")
    with App(load_settings({"database_url": database_url})) as app:
        app.prepare()
        with open_lines(str(file)) as stream:
            report = ingest(stream, app.store, app.intake(), as_if_live=True)
        assert report.dead_letters == 0, app.store.dead_letters()
        if projected:
            app.runner.catch_up()
        yield app
