"""Instants and durations for people and documents."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at: int) -> str:
    """Return *at*, microseconds since 1970-01-01 UTC, as RFC 3339 in UTC.

    Decimals of a second are written where there are any: three or six.
    """
    moment = _EPOCH + timedelta(microseconds=at)
    micros = moment.microsecond
    timespec = "seconds" if not micros else "microseconds" if micros % 1_000 else "milliseconds"
    return moment.isoformat(timespec=timespec).removesuffix("+00:00") + "Z"


def duration_text(seconds: float | None) -> str | None:
    """Return a duration in the unit that it is best read in: 3.5 d, 2.0 h, 12.0 min, 4 s."""
    if seconds is None:
        return None
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def brief_duration(seconds: float | None) -> str | None:
    """Return a duration as `duration_text` does, whole numbers without decimals: 2 h."""
    told = duration_text(seconds)
    return None if told is None else told.replace(".0 ", " ")
