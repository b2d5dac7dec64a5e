"""One spelling for each thing: e-mail addresses, phone numbers, instants, countries."""

import re
from datetime import date
from functools import lru_cache
from typing import Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email

DAY: Final = 86_400_000_000
"""Microseconds of a day."""

EARLIEST: Final = 946_684_800_000_000
"""The year 2000, microseconds UTC: what is dated before is a default, not a date."""

_COUNTRIES: Final = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE
    EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM
    HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC
    LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
    NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()
)

_EMAIL: Final = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@"
    r"(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+"
    r"(?!(?i:arpa|invalid|local|localhost|onion)\Z)[A-Za-z]{2,}"
)
"""Plain ASCII addresses: up to 64 characters of these the library only lowers the domain."""

_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:[-_][A-Za-z0-9]{1,8})*")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH: Final = date(1970, 1, 1).toordinal()


def email(value: str) -> str:
    """Return the address as it is matched: its normal form in lower case.

    Raises ValueError with the reason if it is no e-mail address. That a domain exists is not
    asked, but names set apart for other uses (``.invalid``, ``.local``) are nobody's.
    """
    if len(value) <= 64 and _EMAIL.fullmatch(value):
        return value.lower()
    return _any_email(value)


@lru_cache(maxsize=8192)
def _any_email(value: str) -> str:
    if len(value) > 1024:
        raise ValueError("it is too long")
    try:
        # .test is nobody's either, but what producers try their integration with
        found = validate_email(
            value, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except EmailNotValidError as e:
        raise ValueError(str(e).rstrip(".")) from e
    if "." not in found.domain:
        raise ValueError("The part after the @-sign has no top-level domain")
    if len(found.normalized) > 254:
        raise ValueError("it is too long")
    return found.normalized.lower()


NOBODY: Final = frozenset(
    (
        "(null)",
        "00000000-0000-0000-0000-000000000000",
        "[object object]",
        "anonymous",
        "guest",
        "n/a",
        "nan",
        "none",
        "null",
        "undefined",
        "unknown",
    )
)
"""What programs write where they have no identifier: it would make one person of thousands."""


def is_nobody(value: str) -> bool:
    """Return whether *value* stands for the lack of an identifier."""
    return len(value) <= 36 and value.lower() in NOBODY


@lru_cache(maxsize=65536)
def phone(value: str, country: str | None) -> str | None:
    """Return the number in E.164, read with *country* (ISO 3166-1) as the hint.

    None where it names no single line: it cannot be read, lacks a country, has an extension
    (which E.164 drops, so colleagues would become one person), or repeats one digit.
    """
    try:
        number = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE or number.extension:
        return None
    if len(set(str(number.national_number))) == 1:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=2048)
def country(value: str) -> str | None:
    """Return the code of ISO 3166-1 in capitals, or None if there is no such country."""
    code = value.strip().upper()
    return code if code in _COUNTRIES else None


@lru_cache(maxsize=2048)
def language(value: str) -> str | None:
    """Return the language tag (BCP 47, ``en_US`` read as ``en-US``), or None if it is none."""
    tag = value.strip()
    return tag.replace("_", "-") if len(tag) <= 35 and _LANGUAGE.fullmatch(tag) else None


@lru_cache(maxsize=8192)
def day(value: str) -> int:
    """Return the start of a day ``2026-01-05`` (UTC) in microseconds; raise ValueError if none."""
    if not _DATE.fullmatch(value):
        raise ValueError("is no day of the form 2026-01-05")
    try:
        return (date.fromisoformat(value).toordinal() - _EPOCH) * DAY
    except ValueError as e:
        raise ValueError("is no day of the calendar") from e


def instant(value: str) -> int:
    """Return an instant of RFC 3339 in microseconds UTC.

    More than six decimals of a second are cut. ``t`` and ``z`` may be lower case. The leap second
    23:59:60 UTC counts as the first of the next minute, as in PostgreSQL and POSIX. Raises
    ValueError, saying why, for anything else.
    """
    match = _INSTANT.fullmatch(value)
    if match is None:
        if len(value) > 18 and _INSTANT.fullmatch(value + "Z"):
            raise ValueError("has no offset from UTC")
        raise ValueError("is not an instant of RFC 3339")
    text, hours, minutes, seconds, fraction, sign, off_hours, off_minutes = match.groups()
    hour, minute, second = int(hours), int(minutes), int(seconds)
    offset = 0
    if sign is not None:
        oh, om = int(off_hours), int(off_minutes)
        if oh > 23 or om > 59:
            raise ValueError("has an offset that no clock has")
        offset = (oh * 60 + om) * (-1 if sign == "-" else 1)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("is no time of the day")
    if second == 60 and (hour * 60 + minute - offset) % 1440 != 1439:
        raise ValueError("has a leap second that is not at 23:59:60 UTC")
    at = day(text) + ((hour * 60 + minute - offset) * 60 + second) * 1_000_000
    if fraction is not None:
        at += int(fraction[:6].ljust(6, "0"))
    return at


def instant_or_day(value: str) -> int:
    """Return an instant of RFC 3339, or the start of a day (UTC), in microseconds UTC."""
    return day(value) if len(value) == 10 else instant(value)
