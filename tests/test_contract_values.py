"""Rules for single values: money, channels of touches, e-mail, phone, instants."""

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example as also
from hypothesis import given
from hypothesis import strategies as st

from consumers import normalise
from consumers.channels import derive
from consumers.contract import Malformed
from consumers.money import check_currency, digits_of, minor_units
from tests.contract_events import EMAIL, event, read, refusal

# --- money -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "amount, currency, minor",
    [
        ("12.50", "EUR", 1250),
        ("12.5", "EUR", 1250),
        ("12", "EUR", 1200),
        ("0", "EUR", 0),
        ("0.01", "EUR", 1),
        ("007", "EUR", 700),
        (1250, "EUR", 1250),
        (1250, "JPY", 1250),
        ("1250", "JPY", 1250),
        ("1.234", "KWD", 1234),
        ("1.5", "KWD", 1500),
        ("3.99", "DEM", 399),
        ("92233720368547758.07", "EUR", 2**63 - 1),
    ],
)
def test_money_is_kept_in_minor_units(amount: str | int, currency: str, minor: int) -> None:
    assert minor_units(amount, currency) == minor
    fact = read(event("deal.won", {**EMAIL, "amount": amount, "currency": currency})).fact
    assert fact.data == {"amount": minor, "currency": currency}


@pytest.mark.parametrize(
    "amount, currency, field, words",
    [
        (12.5, "EUR", "amount", "fraction"),
        (12.0, "EUR", "amount", "fraction"),
        (True, "EUR", "amount", "neither a string nor an integer"),
        ("1e3", "EUR", "amount", "plain decimal"),
        ("1,250.00", "EUR", "amount", "plain decimal"),
        ("1 250", "EUR", "amount", "plain decimal"),
        (" 12", "EUR", "amount", "plain decimal"),
        ("+12", "EUR", "amount", "plain decimal"),
        (".5", "EUR", "amount", "plain decimal"),
        ("12.", "EUR", "amount", "plain decimal"),
        ("", "EUR", "amount", "plain decimal"),
        ("١٢", "EUR", "amount", "plain decimal"),
        ("€12", "EUR", "amount", "plain decimal"),
        ("12.505", "EUR", "amount", "3 digits after the point, EUR has 2"),
        ("12.50", "JPY", "amount", "2 digits after the point, JPY has 0"),
        ("-1", "EUR", "amount", "below zero"),
        (-1, "EUR", "amount", "below zero"),
        (2**63, "EUR", "amount", "64 bits"),
        ("92233720368547758.08", "EUR", "amount", "64 bits"),
        ("12.50", "eur", "currency", 'send "EUR"'),
        ("12.50", "€", "currency", "three capital letters"),
        ("12.50", "QQQ", "currency", "no currency"),
        ("12.50", "XAU", "currency", "no currency"),
        ("12.50", "XTS", "currency", "no currency"),
        ("12.50", None, "currency", "missing beside an amount"),
        ([], "EUR", "amount", "neither a string nor an integer"),
    ],
)
def test_what_is_no_clear_money_is_refused(
    amount: Any, currency: str | None, field: str, words: str
) -> None:
    data = {**EMAIL, "amount": amount, "currency": currency}
    error = refusal(event("deal.won", data))

    assert error.reason == "invalid_data"
    assert error.field == f"data.{field}"
    assert words in str(error)


def test_a_missing_amount_is_not_zero() -> None:
    fact = read(event("deal.won", {**EMAIL, "amount": None, "currency": "EUR"})).fact

    assert fact.get("amount") is None
    assert fact.data == {"currency": "EUR"}


@pytest.mark.parametrize("type_", ["revenue.recognized", "spend.recorded"])
def test_money_may_come_back(type_: str) -> None:
    data = {**EMAIL, "day": "2026-01-01", "amount": "-3.20", "currency": "EUR"}

    assert read(event(type_, data)).fact.get("amount") == -320


@pytest.mark.parametrize("missing", ["day", "amount", "currency"])
def test_spend_needs_day_amount_and_currency(missing: str) -> None:
    data = {"day": "2026-01-01", "amount": "3.20", "currency": "EUR"}
    del data[missing]
    error = refusal(event("spend.recorded", data))

    assert (error.reason, error.field) == ("invalid_data", f"data.{missing}")


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from(["EUR", "JPY", "KWD", "USD", "CLF"]))
def test_a_decimal_string_and_its_minor_units_are_one_amount(minor: int, currency: str) -> None:
    digits = digits_of(currency)
    assert digits is not None
    sign, text = "-" * (minor < 0), str(abs(minor)).rjust(digits + 1, "0")
    decimal = f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else sign + text

    assert minor_units(decimal, currency, below_zero=True) == minor
    assert minor_units(minor, currency, below_zero=True) == minor


def test_a_currency_is_checked_without_an_amount_too() -> None:
    with pytest.raises(Malformed, match=r"data\.currency"):
        check_currency("Euro")
    assert refusal(event("deal.won", {**EMAIL, "currency": "ZZZ"})).field == "data.currency"


# --- touches -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "touch, channel",
    [
        # 1: paid, by medium or click id
        ({"medium": "cpc", "source": "google"}, "paid_search"),
        ({"medium": "CPC", "source": "Facebook"}, "paid_social"),
        ({"medium": "ppc"}, "paid_search"),
        ({"medium": "paid"}, "paid_search"),
        ({"medium": "paid_social", "source": "linkedin"}, "paid_social"),
        ({"medium": "paidsearch", "source": "bing"}, "paid_search"),
        ({"click_id": "abc"}, "paid_search"),
        ({"click_id": "abc", "source": "m.facebook.com"}, "paid_social"),
        ({"click_id": "abc", "medium": "email"}, "paid_search"),
        ({"medium": "cpc", "source": "tiktok-ads"}, "paid_social"),
        # 2: the medium names the channel
        ({"medium": "email"}, "email"),
        ({"medium": "Newsletter", "source": "facebook"}, "email"),
        ({"medium": "display"}, "display"),
        ({"medium": "banner"}, "display"),
        ({"medium": "cpm"}, "display"),
        ({"medium": "video"}, "video"),
        ({"medium": "affiliate"}, "partner"),
        ({"medium": "partner"}, "partner"),
        ({"medium": "referral"}, "referral"),
        ({"medium": "social"}, "organic_social"),
        ({"medium": "social-media"}, "organic_social"),
        ({"medium": "organic", "source": "google"}, "organic_search"),
        ({"medium": "email", "referrer": "https://www.google.com/"}, "email"),
        # 3: the referrer
        ({"referrer": "https://www.google.co.uk/search?q=leads"}, "organic_search"),
        ({"referrer": "https://search.yahoo.co.jp"}, "organic_search"),
        ({"referrer": "duckduckgo.com"}, "organic_search"),
        ({"referrer": "https://l.facebook.com/l.php"}, "organic_social"),
        ({"referrer": "https://t.co/x"}, "organic_social"),
        ({"referrer": "android-app://com.linkedin.android/"}, "organic_social"),
        ({"referrer": "android-app://com.google.android.googlequicksearchbox"}, "organic_search"),
        ({"referrer": "https://blog.example.org/post"}, "referral"),
        ({"referrer": "https://mail.google.com/"}, "referral"),
        ({"referrer": "https://google.example.com/"}, "referral"),
        ({"referrer": "http://intranet/"}, "referral"),
        ({"referrer": "https://www.google.com/", "source": "x"}, "organic_search"),
        ({"referrer": "https://www.google.com/", "medium": "unheard-of"}, "organic_search"),
        ({"referrer": "https://a.example.com", "page": "https://www.example.com"}, "direct"),
        ({"referrer": "https://example.org", "page": "https://www.example.com"}, "referral"),
        ({"referrer": "not an address"}, "direct"),
        ({"referrer": "http://[::1", "source": "x"}, "other"),
        # 4 and 5: neither source nor medium, and whatever is left
        ({}, "direct"),
        ({"campaign": "spring"}, "direct"),
        ({"source": "facebook"}, "other"),
        ({"medium": "unheard-of"}, "other"),
    ],
)
def test_a_missing_channel_is_derived_by_the_first_rule_that_fits(
    touch: dict[str, str], channel: str
) -> None:
    assert derive(touch) == channel
    fact = read(event(data={**EMAIL, "touch": touch})).fact
    assert fact.touch == {**touch, "channel": channel}


def test_a_given_channel_stays_unknown_too() -> None:
    for channel in ("unknown", "outbound"):
        data = {**EMAIL, "touch": {"channel": channel, "medium": "cpc"}}
        assert read(event(data=data)).fact.touch == {"channel": channel, "medium": "cpc"}


def test_blank_parts_of_a_touch_are_missing() -> None:
    data = {**EMAIL, "touch": {"channel": None, "source": " ", "medium": "", "click_id": ""}}

    assert read(event(data=data)).fact.touch == {"channel": "direct"}


def test_no_block_no_touch() -> None:
    assert read(event("email.clicked")).fact.touch is None


@given(st.dictionaries(st.sampled_from(["referrer", "page", "source", "medium"]), st.text()))
def test_no_text_upsets_the_derivation(touch: dict[str, str]) -> None:
    assert derive(touch) in {
        *("paid_search", "paid_social", "email", "display", "video", "partner", "referral"),
        *("organic_search", "organic_social", "direct", "other"),
    }


# --- e-mail and phone --------------------------------------------------------------------------

_PART = st.text("abzABZ019_+-.", max_size=12)
_DOMAIN = st.text("abzAZ09-.", max_size=14) | st.sampled_from(["example.com", "xn--bcher-kva.de"])


@given(st.one_of(st.emails(), st.builds(lambda a, b: f"{a}@{b}", _PART, _DOMAIN), st.text()))
@also("a@b.c")
@also("a@xn--bcher-kva.de")
@also("a@b.test")
@also("a@b.LOCAL")
@also("a@b.locals")
@also("a@local.de")
@also("a--b@c--d.de")
@also("a@1.2.3.4")
@also("Ada@MÜLLER.example")
def test_the_quick_way_and_the_library_read_the_same_address(value: str) -> None:
    try:
        found = validate_email(
            value, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
        expected = found.normalized.lower() if "." in found.domain else None
    except EmailNotValidError:
        expected = None
    try:
        actual = normalise.email(value)
    except ValueError:
        actual = None

    assert actual == expected


@pytest.mark.parametrize(
    "value",
    [
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "ada @example.com",
        "ada@exa mple.com",
        "Ada <ada@example.com>",
        "ada@example.com, bob@example.com",
        ".ada@example.com",
        "ada@example..com",
        "a\u200bda@example.com",
        "a" * 70000 + "@example.com",
    ],
)
def test_what_is_no_e_mail_address_is_refused(value: str) -> None:
    error = refusal(event(data={"person": {"email": value}}))

    assert error.reason in {"invalid_data", "too_large"}
    assert error.field in {"data.person.email", "data"}


def test_lookalikes_of_an_address_are_not_the_address() -> None:
    plain = read(event(data={"person": {"email": "ada@example.com"}})).fact.keys
    for other in (
        "\u0430da@example.com",
        "ada+x@example.com",
        "a.da@example.com",
        "ada@ex\u0430mple.com",
    ):
        assert read(event(data={"person": {"email": other}})).fact.keys != plain


@pytest.mark.parametrize(
    "value, country, number",
    [
        ("+1 (555) 010-0199", None, "+15550100199"),
        ("(555) 010-0199", "US", "+15550100199"),
        ("030/123 45 67", "DE", "+49301234567"),
        ("+44 (0)20 7946 0018", "DE", "+442079460018"),
        ("tel:+49-30-1234567", None, "+49301234567"),
        ("030 1234567", None, None),
        ("+49 30 1234567 ext. 5", None, None),
        ("000-000-0000", "US", None),
        ("111 111 1111", "US", None),
        ("12345", "US", None),
        ("+999999999999", None, None),
        ("", "DE", None),
        ("9" * 300, "DE", None),
    ],
)
def test_a_phone_number_is_one_line_in_e164_or_no_identifier(
    value: str, country: str | None, number: str | None
) -> None:
    assert normalise.phone(value, country) == number


@given(st.text(max_size=40), st.sampled_from([None, "US", "DE", "GB"]))
def test_no_text_upsets_the_reading_of_phone_numbers(value: str, country: str | None) -> None:
    number = normalise.phone(value, country)

    assert number is None or number.startswith("+")


# --- instants, countries, languages ------------------------------------------------------------


@given(st.datetimes(datetime(2000, 1, 1), datetime(9999, 12, 30)), st.integers(-1439, 1439))  # noqa: DTZ001 -- the zone is drawn apart
def test_an_instant_is_exact_to_the_microsecond_in_any_zone(when: datetime, offset: int) -> None:
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    text = f"{when.isoformat(timespec='microseconds')}{sign}{hours:02}:{minutes:02}"
    since = when.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds

    assert normalise.instant(text) == micros - offset * 60_000_000
    assert normalise.instant(when.isoformat() + "Z") == micros


@pytest.mark.parametrize(
    "text, same_as",
    [
        ("2026-01-05t09:30:00z", "2026-01-05T09:30:00Z"),
        ("2026-01-05T09:30:00-00:00", "2026-01-05T09:30:00Z"),
        ("2026-01-05T09:30:00.1234567899999Z", "2026-01-05T09:30:00.123456Z"),
        ("2026-01-05T09:30:00.5Z", "2026-01-05T09:30:00.500000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2017-01-01T05:29:60.25+05:30", "2017-01-01T00:00:00.25Z"),
    ],
)
def test_other_spellings_of_an_instant(text: str, same_as: str) -> None:
    assert normalise.instant(text) == normalise.instant(same_as)


@pytest.mark.parametrize(
    "text, words",
    [
        ("2026-01-05T09:30:00", "no offset"),
        ("2026-01-05 09:30:00Z", "not an instant"),
        ("2026-01-05", "not an instant"),
        ("2026-W01-1T09:30:00Z", "not an instant"),
        ("20260105T093000Z", "not an instant"),
        ("2026-02-30T09:30:00Z", "no day of the calendar"),
        ("2026-01-05T24:00:00Z", "no time of the day"),
        ("2026-01-05T09:60:00Z", "no time of the day"),
        ("2026-01-05T09:30:61Z", "no time of the day"),
        ("2026-01-05T09:30:60Z", "leap second"),
        ("2026-01-05T09:30:00+24:00", "offset"),
        ("2026-01-05T09:30:00+01:60", "offset"),
        ("2026-01-05T09:30:00.Z", "not an instant"),
        ("2026-01-05T09:30:00Z\n", "not an instant"),
        ("٢026-01-05T09:30:00Z", "not an instant"),
        ("1767605400", "not an instant"),
        ("", "not an instant"),
    ],
)
def test_what_is_no_instant_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normalise.instant(text)


def test_planned_instants_are_stored_in_utc() -> None:
    data = {**EMAIL, "starts_at": "2026-01-05T10:30:00+01:00"}
    assert read(event("meeting.booked", data)).fact.get("starts_at") == 1_767_605_400_000_000
    data = {**EMAIL, "until": "2026-01-05"}
    assert read(event("lead.recycled", data)).fact.get("until") == 1_767_571_200_000_000


def test_the_countries_are_those_of_the_time_zone_database() -> None:
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    codes = {line[:2] for line in table.splitlines() if line and not line.startswith("#")}

    assert codes == normalise._COUNTRIES
    assert normalise.country(" de ") == "DE"
    assert normalise.country("UK") is None
    assert normalise.country("Germany") is None


@pytest.mark.parametrize(
    "value, tag",
    [("de", "de"), ("en_US", "en-US"), ("zh-Hant-TW", "zh-Hant-TW"), ("a b", None), ("-", None)],
)
def test_languages_are_tags_of_bcp_47(value: str, tag: str | None) -> None:
    assert normalise.language(value) == tag


# --- corrections -------------------------------------------------------------------------------


def test_a_correction_of_who_acted_says_who() -> None:
    """Without it nothing would change, and nobody would learn why."""
    named = {"event_source": "/test", "event_id": "9"}
    error = refusal(event("event.reclassified", named))
    assert (error.reason, error.field) == ("invalid_data", "data.actor_kind")
    read(event("event.voided", named))
