"""What all commands share: the call they belong to, options, output and logging."""

import json
import logging
import re
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console, Group
from rich.text import Text

from leadflow.cli.layout import Table, Uncropped

if TYPE_CHECKING:
    from leadflow.app import App
    from leadflow.settings import Settings

FAILED: Final = 1
MISUSED: Final = 2
FINDINGS: Final = 3
"""Exit codes beside 0: it failed; it was called wrongly; it is done, and something was found."""

_PIPED: Final = 140
"""Characters of a line of text where the answer goes into a file or a pipe."""


@dataclass
class Session:
    """One call of the program: its global options, and where it prints."""

    options: dict[str, Any] = field(default_factory=dict)
    verbose: bool = False

    @property
    def settings(self) -> "Settings":
        """Return the settings. Raises SettingsInvalid."""
        from leadflow.settings import load_settings

        return load_settings(self.options)

    @contextmanager
    def app(
        self, *, makes: bool = False, runs_on: bool = False, settings: "Settings | None" = None
    ) -> "Generator[App]":
        """Yield the application on a database that is ready.

        *makes*: an empty database gets its tables; else there must be one. *runs_on*: a job that
        tells what it does and has the collector tuned for it.
        """
        settings = settings or self.settings
        self.log(settings, runs_on=runs_on)
        from leadflow.app import App, settle_memory, tell_retries

        with App(settings) as app:
            if makes:
                app.prepare()
            else:
                app.require()
            if runs_on:
                settle_memory()
                tell_retries()
            yield app

    def log(self, settings: "Settings", *, runs_on: bool = False) -> None:
        """Set up logging to the standard error: pretty on a terminal, JSON elsewhere."""
        level = settings.log_level
        if level == "auto":
            level = "info" if runs_on else "warning"
        if self.verbose:
            level = "debug"
        configure_logging(level, settings.log_format)


def session(ctx: typer.Context) -> Session:
    """Return the call that *ctx* belongs to."""
    found = ctx.find_root().obj
    if not isinstance(found, Session):
        found = ctx.find_root().obj = Session()
    return found


# --- options ------------------------------------------------------------------------------------


def instant_option(text: str) -> int:
    """Return the instant of an option, microseconds UTC; a day means its end, in UTC.

    Raises typer.BadParameter.
    """
    return _instant(text, "23:59:59.999999Z", "end")


def start_option(text: str) -> int:
    """Return the instant of an option, microseconds UTC; a day means its start, in UTC.

    Raises typer.BadParameter.
    """
    return _instant(text, "00:00:00Z", "start")


def from_option(what: str) -> Any:
    """Return the option ``--from``, whose help says *what* counts from then on."""
    return typer.Option("--from", parser=start_option, metavar="TIME", help=what)


def to_option(what: str) -> Any:
    """Return the option ``--to``, whose help says *what* counts before then."""
    return typer.Option("--to", parser=start_option, metavar="TIME", help=what)


def check_period(since: int | None, until: int | None, nothing: str) -> None:
    """Refuse a period that ends before it begins; *nothing* says what lies in none."""
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter(f"--from is not before --to: {nothing} between them")


def _instant(text: str, time_of_day: str, what: str) -> int:
    from consumers.normalise import instant

    a_day = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)
    try:
        return instant(f"{text}T{time_of_day}" if a_day else text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} {error}; write 2026-01-05T09:30:00Z, or a day such as 2026-01-05 for its"
            f" {what} in UTC"
        ) from None


def stage_option(text: str) -> str:
    """Return the code of the stage that an option names; other names of stages are known.

    Raises typer.BadParameter.
    """
    from domain.aliases import UnknownStage, code_of

    try:
        return code_of(text)
    except UnknownStage as error:
        raise typer.BadParameter(str(error)) from None


_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def duration_option(text: str) -> int:
    """Return the duration of an option in microseconds: 30d, 12h, 30m, 45s, 2w or 0.

    Raises typer.BadParameter.
    """
    found = re.fullmatch(r"(\d{1,9})([smhdw]?)", text.strip())
    if found is None or (not found[2] and int(found[1])):
        raise typer.BadParameter(f"{text!r} is no duration; write 30d, 12h, 30m or 45s")
    return int(found[1]) * _UNITS[found[2] or "s"] * 1_000_000


def lookback_option(text: str) -> int:
    """Return how far journeys go back, in microseconds.

    Raises typer.BadParameter for no time as well: no touch would count.
    """
    found = duration_option(text)
    if not found:
        raise typer.BadParameter(f"{text!r}: no touch lies within no time; write 90d")
    return found


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
AsOf = Annotated[
    int | None,
    typer.Option(
        "--as-of",
        parser=instant_option,
        metavar="TIME",
        help="What had happened by then: RFC 3339, or a day for its end in UTC.",
    ),
]
KnownAt = Annotated[
    int | None,
    typer.Option(
        "--known-at",
        parser=instant_option,
        metavar="TIME",
        help="What had been recorded by then.",
    ),
]


# --- output -------------------------------------------------------------------------------------


def out() -> Console:
    """Return the console of answers; into a file or a pipe lines are longer than on a terminal."""
    console = Uncropped(highlight=False)
    return console if console.is_terminal else Uncropped(highlight=False, width=_PIPED)


def err() -> Console:
    """Return the console of everything else."""
    return Console(stderr=True, highlight=False)


def answer(document: Any, as_json: bool, show: Callable[[Console], None]) -> None:
    """Print *document* as JSON, or as *show* shows it to people."""
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
        sys.stdout.flush()
    else:
        show(out())


def complain(words: str) -> None:
    """Tell the user in one line what went wrong."""
    err().print(f"leadflow: {words}", markup=False, soft_wrap=True)


def note(words: str) -> None:
    """Tell the user something beside the answer, on the standard error."""
    err().print(words, style="dim", markup=False, soft_wrap=True)


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Group:
    """Return a table; columns named ``>...`` are numbers, to the right, ``=...`` never wrap."""
    made = Table(columns, [[cell_text(cell) for cell in row] for row in rows])
    return Group(made) if title is None else Group(Text(title, style="bold"), made)


def cell_text(value: Any) -> str:
    """Return a value as a table shows it: a dash where there is none, numbers in groups."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return str(value)


def amounts_text(amounts: Sequence[dict[str, str]]) -> str:
    """Return amounts of money as people read them."""
    return (
        ", ".join(f"{Decimal(one['amount']):,} {one['currency'] or ''}".rstrip() for one in amounts)
        or "-"
    )


def new_leads(count: int) -> str:
    """Return in words by how many leads there are more; fewer where more joined than came."""
    return f"{count:,} new leads" if count >= 0 else f"{-count:,} leads fewer, which joined others"


def percent(rate: float | None) -> str:
    """Return a rate of 0 to 1 in percent."""
    return "-" if rate is None else f"{rate * 100:.1f} %"


def interval_text(interval: list[float] | None) -> str | None:
    """Return the ends of an interval of a rate in percent."""
    if interval is None:
        return None
    low, high = interval
    return f"{low * 100:.1f} to {high * 100:.1f} %"


def utc(at: int | None) -> str | None:
    """Return an instant (microseconds) as RFC 3339 in UTC."""
    if at is None:
        return None
    from leadflow.instants import rfc3339

    return rfc3339(at)


# --- logging ------------------------------------------------------------------------------------


def configure_logging(level: str, form: str) -> None:
    """Send logs of *level* and above to the standard error, ``pretty``, ``json`` or ``auto``."""
    import structlog

    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if pretty:
        processors.append(structlog.dev.ConsoleRenderer(colors=err().color_system is not None))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Asked for at every line, so that whoever replaces the stream is heard.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries tell by exceptions what matters; their own words would only double it.
    if level == "debug":
        logging.basicConfig(stream=sys.stderr)
    logging.getLogger().setLevel(logging.DEBUG if level == "debug" else logging.CRITICAL)
