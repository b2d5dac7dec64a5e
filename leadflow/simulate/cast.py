"""Who plays: people, companies, reps, and the ways by which people come.

Nobody here exists. Names come from short invented lists, domains end in `.example` or are
example.com and its sisters, telephone numbers lie in ranges that regulators keep for fiction.
"""

from dataclasses import dataclass
from typing import NamedTuple

from leadflow.simulate.market import DAY, HOUR, MINUTE, Draw, between, chance, pick

FIRST_NAMES = (
    *("Ada", "Bela", "Cleo", "Dario", "Edda", "Falk", "Gwen", "Hiro", "Ines", "Jun"),
    *("Kaja", "Lars", "Mina", "Noor", "Otis", "Pia", "Quinn", "Runa", "Sora", "Tove"),
    *("Uma", "Viggo", "Wanda", "Xenia", "Yuki", "Zoe"),
)
LAST_NAMES = (
    *("Abend", "Birke", "Corvo", "Dahl", "Eklund", "Fiore", "Grove", "Hayashi", "Imber", "Jansz"),
    *("Kestrel", "Lindqvist", "Marlow", "Nakano", "Oriel", "Petit", "Quill", "Rowan", "Sander"),
    *("Tanaka", "Ulm", "Varga", "Weir", "Xylander", "Yarrow", "Zeller"),
)
COMPANY_FIRST = (
    *("Amber", "Birch", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbour", "Indigo"),
    *("Juniper", "Kelp", "Lumen", "Meadow", "North", "Onyx", "Pine", "Quarry", "River", "Slate"),
)
COMPANY_LAST = ("Foods", "Freight", "Labs", "Mills", "Optics", "Pumps", "Retail", "Works")
INDUSTRIES = ("food", "logistics", "software", "machinery", "retail", "health", "finance")
COMPANIES = len(COMPANY_FIRST) * len(COMPANY_LAST) * 4
PRIVATE_DOMAINS = ("example.com", "example.net", "example.org")

TITLES = (
    ("Chief Operating Officer", "c_level"),
    ("VP Sales", "vp"),
    ("Head of Marketing", "director"),
    ("Plant Manager", "manager"),
    ("Marketing Manager", "manager"),
    ("Sales Engineer", "senior"),
    ("Buyer", "entry"),
    ("Assistant", "entry"),
    ("Student", "student"),
)
DECIDERS = 5
"""The first five titles can sign, or sit beside those who do."""

Size = int | str
SIZES: tuple[tuple[Size, int], ...] = (
    ("1-9", 9),
    (34, 34),
    ("50-199", 199),
    (180, 180),
    ("200-499", 499),
    (820, 820),
    ("2000+", 2000),
)
"""A size as producers write it, and the head count that we read in it."""


class Country(NamedTuple):
    """A country: its language, currency and the numbers that its regulator keeps for fiction."""

    code: str
    language: str
    region: str
    currency: str
    dial: str
    trunk: str
    ranges: tuple[str, ...]
    """Leading digits after the country code, without the trunk prefix."""
    digits: int
    """How many digits follow, counting up from zero."""


US_AREAS = (
    *("201", "202", "206", "212", "213", "214", "216", "303", "305", "312", "313", "314", "404"),
    *("415", "503", "512", "602", "617", "702", "713", "801"),
)
UK_AREAS = ("113", "114", "116", "117", "118", "121", "131", "141", "151", "161")
COUNTRIES = (
    Country("US", "en", "Midwest", "USD", "1", "", tuple(f"{a}55501" for a in US_AREAS), 2),
    Country("US", "en", "West", "USD", "1", "", (), 0),
    Country(
        "GB", "en", "London", "USD", "44", "0", ("2079460", *(f"{a}4960" for a in UK_AREAS)), 3
    ),
    Country("FR", "fr", "Nord", "EUR", "33", "0", ("19900", "26191", "35301", "46571", "53649"), 4),
    Country("DE", "de", "Franken", "EUR", "49", "0", ("3023125", "4066969", "6990009"), 3),
    Country("DE", "de", "Baden", "EUR", "49", "0", ("2214710", "8999998"), 3),
    Country("AU", "en", "Victoria", "USD", "61", "0", ("25550", "37010", "75550", "87010"), 4),
    Country("JP", "ja", "Kanto", "JPY", "81", "0", (), 0),
)


@dataclass(slots=True)
class Person:
    """Somebody who may buy, with every identifier by which a source may know them."""

    name: str
    email: str
    anonymous_id: str
    crm_id: str
    phone: str | None
    """E.164; None where the range kept for fiction has no number left for this lead."""
    phone_as_typed: str | None
    title: str
    seniority: str
    country: Country
    company: dict[str, object]
    fit: float
    """How well the product fits, from 0.25 to 1.3: head count and seat, known to nobody."""


def cast_person(draw: Draw, seed: int, lead: int) -> Person:
    """Return the person of *lead*: addresses and numbers belong to this lead alone."""
    first, last = pick(draw, FIRST_NAMES), pick(draw, LAST_NAMES)
    country = pick(draw, COUNTRIES)
    seat = int(draw() * draw() * len(TITLES) * 1.6) % len(TITLES)
    title, seniority = TITLES[seat]
    size, heads = pick(draw, SIZES)
    number = int(draw() * COMPANIES)
    name = (
        f"{COMPANY_FIRST[number % len(COMPANY_FIRST)]} "
        f"{COMPANY_LAST[number // len(COMPANY_FIRST) % len(COMPANY_LAST)]}"
    )
    domain = f"{name.replace(' ', '-').lower()}-{number}.example"
    host = pick(draw, PRIVATE_DOMAINS) if chance(draw, 0.12) else domain
    mark = f"{seed}-{lead}"
    phone, typed = telephone(country, lead) if chance(draw, 0.75) else (None, None)
    return Person(
        name=f"{first} {last}",
        email=f"{first.lower()}.{last.lower()}.{mark}@{host}",
        anonymous_id=f"v-{seed:x}-{lead:06x}-{int(draw() * 0x1000000):06x}",
        crm_id=f"00Q-{mark}",
        phone=phone,
        phone_as_typed=typed,
        title=title,
        seniority=seniority,
        country=country,
        company={
            "name": name,
            "domain": domain,
            "size": size,
            "industry": INDUSTRIES[number % len(INDUSTRIES)],
            "country": country.code,
        },
        fit=(1.0 if seat < DECIDERS else 0.5) * (1.3 if heads >= 180 else 0.5 + heads / 400),
    )


def telephone(country: Country, lead: int) -> tuple[str | None, str | None]:
    """Return a number of *lead*'s own, in E.164 and as people of its country type it."""
    block = 10**country.digits
    which, number = divmod(lead, block)
    if which >= len(country.ranges):
        return None, None
    national = f"{country.ranges[which]}{number:0{country.digits}d}"
    typed = f"{country.trunk}{national[:3]} {national[3:6]} {national[6:]}"
    return f"+{country.dial}{national}", typed


class Rep(NamedTuple):
    """Somebody who sells: how soon they call, and how much they care."""

    id: str
    org: str
    delays: tuple[int, ...]
    """Quantiles of the time from being given a lead to the first call, in microseconds."""
    neglect: float
    """A factor on the market's rate of leads that are never called."""
    attempts: int
    """Calls without an answer before they give up."""


SWIFT = (MINUTE, 3 * MINUTE, 5 * MINUTE, 20 * MINUTE, 2 * HOUR)
STEADY = (5 * MINUTE, 30 * MINUTE, HOUR, 5 * HOUR, DAY)
SLOW = (2 * HOUR, 20 * HOUR, 30 * HOUR, 3 * DAY, 9 * DAY)
REPS = (
    Rep("anna", "house", SWIFT, 0.2, 5),
    Rep("bjorn", "house", SWIFT, 0.5, 4),
    Rep("chiara", "house", STEADY, 0.6, 4),
    Rep("david", "house", STEADY, 1.0, 3),
    Rep("emeka", "house", STEADY, 1.0, 2),
    Rep("fumi", "dialwell", SWIFT, 0.8, 6),
    Rep("greta", "dialwell", SLOW, 1.6, 2),
    Rep("henk", "house", SLOW, 2.3, 1),
)


class Origin(NamedTuple):
    """A way by which people come, and how those who come that way tend to go on."""

    name: str
    share: int
    """Leads of a hundred."""
    touch: dict[str, object] | None
    """The touch block of the first contact; None: outbound and bought lists have none."""
    warmth: float
    """How readily they read what they are sent, from 0 to 1."""
    intent: float
    """The chance that they ask for a demo or a price of their own accord."""
    win: float
    """The chance of a deal once an opportunity is open, before speed, fit and care."""


def _touch(channel: str | None, source: str | None, **more: str) -> dict[str, object]:
    block: dict[str, object] = {} if channel is None else {"channel": channel}
    if source is not None:
        block["source"] = source
    block.update(more)
    return block


FAIR = "trade_fair"
WEBINAR = "webinar"
SOCIAL = "lead_ad"
SEARCH_AD = "paid_search"
ORGANIC = "organic_search"
REFERRAL = "referral"
PARTNER = "partner"
NEWSLETTER = "newsletter"
DIRECT = "direct"
LIST = "bought_list"
OUTBOUND = "outbound"

ORIGINS = (
    Origin(FAIR, 20, _touch("event", "expo", campaign="expo", party="first"), 0.45, 0.16, 0.38),
    Origin(SOCIAL, 24, _touch("paid_social", "linkedin", campaign="brand-push"), 0.2, 0.03, 0.2),
    Origin(
        SEARCH_AD,
        12,
        # No channel: it follows from the medium and the click id.
        _touch(None, "google", medium="cpc", campaign="pumps-de", term="dosing pump"),
        0.5,
        0.22,
        0.35,
    ),
    Origin(ORGANIC, 12, _touch(None, None, referrer="https://www.google.com/"), 0.6, 0.24, 0.42),
    Origin(WEBINAR, 9, _touch("webinar", "webinar", campaign="line-care"), 0.85, 0.05, 0.28),
    Origin(REFERRAL, 5, _touch("referral", "customer"), 0.6, 0.5, 0.6),
    Origin(PARTNER, 3, _touch("partner", "valvehouse", party="second"), 0.6, 0.45, 0.55),
    Origin(NEWSLETTER, 5, _touch("email", "newsletter", medium="email"), 0.7, 0.1, 0.35),
    Origin(DIRECT, 5, _touch("direct", None), 0.5, 0.3, 0.4),
    Origin(LIST, 3, None, 0.1, 0.01, 0.15),
    Origin(OUTBOUND, 2, None, 0.3, 0.0, 0.35),
)
BY_PERCENT = tuple(origin for origin in ORIGINS for _ in range(origin.share))
"""One entry for each lead of a hundred."""


def pick_origin(draw: Draw) -> Origin:
    """Return where a lead comes from."""
    return BY_PERCENT[between(draw, 0, len(BY_PERCENT))]
