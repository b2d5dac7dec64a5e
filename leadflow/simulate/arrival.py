"""The first scenes of a life: how a lead comes, what it reads, when it asks."""

from random import Random
from typing import NamedTuple

from leadflow.simulate.cast import (
    DIRECT,
    FAIR,
    LIST,
    OUTBOUND,
    REFERRAL,
    SOCIAL,
    WEBINAR,
    Origin,
    pick_origin,
)
from leadflow.simulate.fate import Scene
from leadflow.simulate.market import DAY, HOUR, MINUTE, SECOND, Market, between, chance, pick
from leadflow.simulate.pen import MACHINE, PROSPECT, Block
from leadflow.simulate.wire import ADS, BADGES, DESK, FORMS, MAIL, TRACKER, in_office_hours

FIRST_FAIR = 7
FAIR_EVERY = 35
"""Days from one fair to the next; each lasts three."""
SCANNERS = 4
PAGES = ("/", "/pumps", "/pricing", "/stories/mill", "/blog/line-care", "/guide")
GUIDES = (
    ("dosing-guide", "dosing", "awareness"),
    ("line-care-checklist", "maintenance", "consideration"),
    ("mill-story", "stories", "consideration"),
    ("price-sheet", "pricing", "decision"),
)
LETTERS = (
    *("welcome", "mill-story", "webinar-invite", "checklist"),
    *("check-in", "offer", "season-news", "good-bye"),
)
INTENTS = ("demo.requested", "pricing.requested", "quote.requested", "contact.requested")
DIRECT_TOUCH: Block = {"channel": "direct"}


def fairs_of(market: Market) -> int:
    """Return how many fairs the market has, at least one."""
    return max(1, (market.days - FIRST_FAIR + FAIR_EVERY - 1) // FAIR_EVERY)


def fair_paid_on(market: Market, day: int) -> int:
    """Return the number, from 1, of the fair that goes on or comes next on *day*, or the last."""
    over = (day - FIRST_FAIR - 3 + FAIR_EVERY) // FAIR_EVERY
    return min(over + 1, fairs_of(market))


class Birth(NamedTuple):
    """When and by which way a lead comes."""

    origin: Origin
    at: int
    """The first thing they do, in microseconds."""


def be_born(market: Market, lead: int, rng: Random) -> Birth:
    """Seed *rng* for *lead* and return when and how it comes."""
    rng.seed(f"{market.seed}:{lead}")
    draw = rng.random
    origin = pick_origin(draw)
    if origin.name == FAIR:
        fairs = fairs_of(market)
        day = FIRST_FAIR + FAIR_EVERY * int(draw() * fairs) + int(draw() * 3)
        at = min(day, market.days - 1) * DAY + between(draw, 0, 9 * HOUR)
    else:
        day = int(draw() * market.days)
        # Twice as many by day as by night.
        hour = between(draw, 6, 20) if chance(draw, 0.67) else between(draw, 0, 24)
        at = day * DAY + hour * HOUR + between(draw, 0, HOUR)
    return Birth(origin, market.start + at)


def arrive(scene: Scene, at: int) -> int:
    """Play the first contact from *at* on; return when the person's address is known."""
    name = scene.fate.origin.name
    if name == FAIR:
        return _scan_badge(scene, at)
    if name == SOCIAL:
        return _answer_ad(scene, at)
    if name == WEBINAR:
        return _attend_webinar(scene, at)
    if name in (LIST, OUTBOUND):
        return _enter_record(scene, at, bought=name == LIST)
    return _come_by_web(scene, at)


def _scan_badge(scene: Scene, at: int) -> int:
    """Scan a badge at the fair; the scanner is offline and uploads when it comes home."""
    draw, market = scene.draw, scene.market
    fair = max(0, (at - market.start) // DAY - FIRST_FAIR) // FAIR_EVERY
    scanner = int(draw() * SCANNERS)
    closes = market.start + (FIRST_FAIR + FAIR_EVERY * fair + 3) * DAY
    if chance(draw, market.late_badges):
        # Each scanner is emptied in one go, the last one six days after the fair.
        uploaded = max(at, closes) + (1 + scanner) * 34 * HOUR
    else:
        uploaded = at + 10 * HOUR
    uploaded += between(draw, 0, 4 * MINUTE)
    campaign = f"expo-{fair + 1}"
    scene.pen.write(
        BADGES,
        "event.attended",
        at,
        {k: v for k, v in scene.typed.items() if k not in ("phone", "language", "region")},
        {
            "touch": {**(scene.fate.origin.touch or {}), "campaign": campaign},
            "actor": PROSPECT,
            "consent": [{"purpose": "sales", "granted": True, "proof": "badge"}],
            "event": campaign,
            "kind": "trade_show",
            "booth": f"H4-{scanner + 1}",
        },
        arrives=uploaded,
    )
    return uploaded


def _answer_ad(scene: Scene, at: int) -> int:
    return scene.pen.write(
        ADS,
        "ad_lead.received",
        at,
        scene.typed,
        {
            "touch": scene.fate.origin.touch,
            "actor": PROSPECT,
            "platform": "linkedin",
            "ad": f"ad-{int(scene.draw() * 5)}",
            "platform_lead_id": f"{scene.market.seed}-{scene.pen.lead}",
            "form": "brand-push-guide",
            "fields": {"team": pick(scene.draw, ("1-5", "6-20", "20+"))},
        },
    )


def _attend_webinar(scene: Scene, at: int) -> int:
    _fill_form(scene, at, "content", scene.fate.origin.touch, form="webinar-line-care")
    held = at - at % DAY + 7 * DAY + 14 * HOUR
    scene.pen.write(
        FORMS,
        "event.attended",
        held,
        scene.mailed,
        {
            "touch": scene.fate.origin.touch,
            "actor": PROSPECT,
            "event": "line-care",
            "kind": "webinar",
            "registered_only": chance(scene.draw, 0.35),
        },
    )
    return held


def _enter_record(scene: Scene, at: int, *, bought: bool) -> int:
    at = in_office_hours(at)
    fields: Block
    if bought:
        fields = {
            "touch": {"channel": "other", "source": "listhouse", "party": "third"},
            "list": "plants-2025",
            "vendor": "listhouse.example",
            "legal_basis": "legitimate interest",
        }
        return scene.pen.write(DESK, "record.imported", at, scene.filed, fields, subject=True)
    fields = {"actor": {"kind": "rep", "id": "anna"}, "reason": "outbound"}
    return scene.pen.write(DESK, "prospect.added", at, scene.filed, fields, subject=True)


def _come_by_web(scene: Scene, at: int) -> int:
    """Look around, mostly without a name, then leave an address in a form."""
    draw, origin = scene.draw, scene.fate.origin
    touch = origin.touch
    linked = chance(draw, scene.market.anonymous)
    if linked:
        for visit in range(between(draw, 1, 4)):
            at = _browse(scene, at, DIRECT_TOUCH if visit else touch, named=False)
            at += between(draw, 2 * HOUR, 5 * DAY)
        touch = DIRECT_TOUCH if origin.name != DIRECT and chance(draw, 0.5) else touch
    if origin.name == REFERRAL and chance(draw, 0.4):
        at = scene.pen.write(
            FORMS,
            "referral.received",
            at,
            scene.linked if linked else scene.mailed,
            {"touch": origin.touch, "referrer": "customer-17"},
        )
        at += between(draw, HOUR, 3 * DAY)
    kind = pick(draw, ("content", "content", "newsletter", "contact", "trial"))
    _fill_form(scene, at, kind, touch, form=f"{kind}-form", linked=linked)
    if kind == "trial":
        scene.pen.write(TRACKER, "trial.started", at + MINUTE, scene.linked, {"plan": "basic"})
        for feature in ("import", "report")[: int(draw() * 3)]:
            used = at + between(draw, HOUR, 5 * DAY)
            scene.pen.write(TRACKER, "feature.used", used, scene.anonymous, {"feature": feature})
    return at


def _browse(scene: Scene, at: int, touch: Block | None, *, named: bool = True) -> int:
    """View a few pages, the first one as a touch; return when the visit ended.

    A visit with a name came by a link that tells it; later pages have the anonymous id alone.
    """
    draw = scene.draw
    for page in range(between(draw, 1, 5)):
        fields: Block = {
            "actor": PROSPECT,
            "url": f"https://www.example.com{pick(draw, PAGES)}",
            "seconds": between(draw, 3, 240),
        }
        if page == 0 and touch is not None:
            fields["touch"] = touch
        who = scene.linked if named and page == 0 else scene.anonymous
        scene.pen.write(TRACKER, "page.viewed", at, who, fields)
        at += between(draw, 20 * SECOND, 5 * MINUTE)
    return at


def _fill_form(
    scene: Scene, at: int, kind: str, touch: Block | None, *, form: str, linked: bool = False
) -> None:
    who = dict(scene.typed)
    if linked:
        who["anonymous_id"] = scene.fate.person.anonymous_id
    if chance(scene.draw, 0.05):
        # Typed with the shift key down: the same mailbox all the same.
        local, _, host = scene.fate.person.email.partition("@")
        who["email"] = f"{local}@{host.upper()}"
    fields: Block = {} if touch is None else {"touch": touch}
    consent: list[Block] = [
        {
            "purpose": "marketing",
            "channel": "email",
            "granted": chance(scene.draw, 0.8),
            "text_version": "2025-01",
        }
    ]
    if touch is not None and touch.get("party") == "second":
        # A partner passes nobody on without the proof that they agreed.
        proof = f"partner-form-{scene.market.seed}-{scene.pen.lead}"
        consent.append({"purpose": "sales", "granted": True, "proof": proof})
    fields |= {
        "actor": PROSPECT,
        "consent": consent,
        "form": form,
        "kind": kind,
        "fields": {"interest": pick(scene.draw, GUIDES)[1]},
    }
    scene.pen.write(FORMS, "form.submitted", at, who, fields)


def nurture(scene: Scene, at: int) -> int:
    """Send letters from *at* on until they ask, leave or fall silent; return the last instant.

    Sets `asked_at` on the fate when a demo or a price was asked for.
    """
    draw, fate = scene.draw, scene.fate
    warmth = fate.origin.warmth
    asks = chance(draw, fate.origin.intent * min(1.0, 0.5 + fate.person.fit / 2))
    asks_after = int(draw() * 3)
    letters = between(draw, 2, len(LETTERS) + 1)
    for number in range(letters):
        if asks and number == asks_after:
            break
        at += between(draw, 30 * SECOND, 5 * MINUTE) if number == 0 else between(draw, DAY, 6 * DAY)
        if not _send_letter(scene, at, number, warmth):
            return at
        if chance(draw, 0.3 * warmth):
            _browse(scene, at + between(draw, 10 * HOUR, 20 * HOUR), DIRECT_TOUCH)
    if asks:
        at += between(draw, MINUTE, 3 * DAY)
        ask(scene, at)
    return at


def ask(scene: Scene, at: int) -> None:
    """Ask for a demo or a price, with an anonymous id that so becomes the person's."""
    draw = scene.draw
    who = {**scene.typed, "anonymous_id": scene.fate.person.anonymous_id}
    fields: Block = {"touch": DIRECT_TOUCH, "actor": PROSPECT}
    if chance(draw, 0.7):
        fields["message"] = "We need it before the autumn season."
    scene.fate.asked_at = scene.pen.write(FORMS, pick(draw, INTENTS), at, who, fields)


def _send_letter(scene: Scene, at: int, number: int, warmth: float) -> bool:
    """Send one letter and what follows from it; return false when it was the last."""
    draw, write, who = scene.draw, scene.pen.write, scene.mailed
    letter = LETTERS[number]
    about: Block = {"message": f"{letter}-{scene.pen.lead}", "campaign": letter}
    write(MAIL, "email.sent", at, who, {**about, "variant": "ab"[scene.pen.lead % 2]})
    at += between(draw, SECOND, 5 * SECOND)
    if chance(draw, scene.market.bounces):
        write(MAIL, "email.bounced", at, who, {**about, "bounce": "hard"})
        return False
    write(MAIL, "email.delivered", at, who, about)
    touch: Block = {"channel": "email", "source": "newsletter", "campaign": letter}
    if chance(draw, scene.market.machine_opens):
        opened = at + between(draw, SECOND, 9 * SECOND)
        # It carries a touch, as its sender adds one to any open: the actor tells it apart.
        write(MAIL, "email.opened", opened, who, {**about, "touch": touch, "actor": MACHINE})
    at += between(draw, 5 * MINUTE, 9 * HOUR)
    if not chance(draw, 0.2 + 0.6 * warmth):
        return True
    write(MAIL, "email.opened", at, who, {**about, "actor": PROSPECT})
    if chance(draw, 0.6 * warmth):
        at += between(draw, 4 * SECOND, MINUTE)
        fields = {**about, "touch": touch, "actor": PROSPECT, "link": f"/guide/{letter}"}
        write(MAIL, "email.clicked", at, who, fields)
        content, topic, phase = pick(draw, GUIDES)
        write(
            TRACKER,
            pick(draw, ("content.downloaded", "content.opened", "page.viewed")),
            at + between(draw, 2 * SECOND, 90 * SECOND),
            scene.linked,
            {
                "actor": PROSPECT,
                "url": f"https://www.example.com/guide/{content}",
                "content": content,
                "topic": topic,
                "phase": phase,
            },
        )
    if chance(draw, 0.03):
        write(MAIL, "email.unsubscribed", at + MINUTE, who, {**about, "actor": PROSPECT})
        return False
    return True
