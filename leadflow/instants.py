"""Instants for people and documents."""

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
