"""How the sources write: their ids, their way with time, and what goes onto the wire."""

from datetime import timedelta
from typing import NamedTuple

import msgspec

from leadflow.simulate.market import EPOCH, HOUR, SECOND

CloudEvent = dict[str, object]
"""A CloudEvents 1.0 event as JSON values. Nested blocks are shared between events: only read."""

BADGES = "/fair/badges"
TRACKER = "/web/tracker"
FORMS = "/forms/website"
MAIL = "/mail/sender"
ADS = "/ads/linkedin"
DESK = "/crm/desk"
DIALER = "/phone/dialer"
CALENDAR = "/meetings/calendar"
MONEY = "/ads/spend"
SOURCES = (BADGES, TRACKER, FORMS, MAIL, ADS, DESK, DIALER, CALENDAR, MONEY)


class Style(NamedTuple):
    """How one source writes an id (seed, lead, number) and a time."""

    id: str
    unit: int
    """The finest step of its clock, in microseconds."""
    timespec: str
    tail: str
    """What it puts behind the time: more digits, and the offset."""
    offset: timedelta
    sequenced: bool = False
    says_json: bool = False
    """It sends the optional `datacontenttype`."""


_UTC = timedelta(0)
STYLES = {
    # A scanner knows the hall's own time; the ad platform writes more digits than we keep.
    BADGES: Style("FB%d-%06d-%d", SECOND, "seconds", "+09:00", timedelta(hours=9)),
    TRACKER: Style("%x.%08x.%04x", 1_000, "milliseconds", "Z", _UTC),
    FORMS: Style("sub_%d_%d_%d", 1, "microseconds", "Z", _UTC, says_json=True),
    MAIL: Style("%d.%d.%d@mailer.example", SECOND, "seconds", "+00:00", _UTC),
    ADS: Style("urn:li:lead:%d-%d-%d", 1_000, "microseconds", "789Z", _UTC),
    DESK: Style("%d-%d-%d", SECOND, "seconds", "+01:00", timedelta(hours=1), sequenced=True),
    DIALER: Style("CA%x-%x-%x", 1_000, "milliseconds", "Z", _UTC),
    CALENDAR: Style("mtg-%d-%d-%d", SECOND, "seconds", "Z", _UTC),
    MONEY: Style("spend-%d-%d-%d", SECOND, "seconds", "Z", _UTC),
}


class Envelope(NamedTuple):
    """One event as it arrives. Envelopes sort by arrival."""

    arrived_at: int
    """Microseconds since 1970-01-01 UTC, in whole milliseconds as Kafka keeps them."""
    lead: int
    """The simulator's own number of the lead, which no event shows; -1 where there is none."""
    number: int
    """Counts the lead's events; a second sending has the number of the first."""
    copy: bool
    """True for the second sending of an event that was sent before."""
    key: str
    """The Kafka key by the vocabulary's rule, e-mail in lower case and telephone in E.164."""
    occurred_at: int
    """What `time` says, in microseconds."""
    event: CloudEvent


def write_time(at: int, style: Style) -> str:
    """Return *at* (microseconds) as RFC 3339 with offset, the way that source does."""
    local = EPOCH + style.offset + timedelta(microseconds=at)
    return local.isoformat(timespec=style.timespec) + style.tail


def write_instant(at: int) -> str:
    """Return *at* (microseconds) as RFC 3339 in UTC, in whole seconds."""
    return (EPOCH + timedelta(microseconds=at)).isoformat(timespec="seconds") + "Z"


def write_day(at: int) -> str:
    """Return the day of *at* (microseconds) in UTC as `YYYY-MM-DD`."""
    return (EPOCH + timedelta(microseconds=at)).date().isoformat()


def write_event(
    source: str, kind: str, at: int, mark: tuple[int, int, int], data: dict[str, object]
) -> CloudEvent:
    """Return the CloudEvent of type *kind*; *mark* is the seed, the lead and the number."""
    style = STYLES[source]
    event: CloudEvent = {
        "specversion": "1.0",
        "id": style.id % mark,
        "source": source,
        "type": kind,
        "time": write_time(at, style),
        "data": data,
    }
    if style.says_json:
        event["datacontenttype"] = "application/json"
    if style.sequenced:
        # Its own order among the events of one second, which its clock cannot tell apart.
        event["sequence"] = f"{at // SECOND}{mark[2]:04d}"
    return event


_ENCODER = msgspec.json.Encoder()


def to_json(event: CloudEvent) -> bytes:
    """Return *event* as the bytes of a Kafka record, keys in the order they have."""
    return _ENCODER.encode(event)


def in_office_hours(at: int) -> int:
    """Return *at*, or the same minute of the next working morning (08:00-18:00 UTC, Mon-Fri)."""
    moment = EPOCH + timedelta(microseconds=at)
    if moment.hour >= 18:
        at += (32 - moment.hour) * HOUR
    elif moment.hour < 8:
        at += (8 - moment.hour) * HOUR
    weekday = (EPOCH + timedelta(microseconds=at)).weekday()
    return at if weekday < 5 else at + (7 - weekday) * 24 * HOUR
