"""The scenes of sales: reps of different speed and care, and what comes of their calls."""

from leadflow.simulate.arrival import ask
from leadflow.simulate.cast import FAIR, OUTBOUND, REPS, Rep
from leadflow.simulate.fate import Scene
from leadflow.simulate.market import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    UNIT_PRICE,
    WORTH,
    between,
    chance,
    pick,
    quantile,
)
from leadflow.simulate.pen import Block
from leadflow.simulate.wire import (
    CALENDAR,
    DESK,
    DIALER,
    FORMS,
    in_office_hours,
    write_day,
    write_instant,
)

BANT = ("budget", "authority", "need", "timeline")
ANSWERS = {
    "budget": ("about 40k", "none yet"),
    "authority": ("signs herself", "the board decides"),
    "need": ("old pumps fail", "just browsing"),
    "timeline": ("this quarter", "some day"),
}
COMPETITORS = ("Rivalo", "Pumpwerk Beta")
PRODUCTS = ("dosing-line", "service-plan", "sensor-kit")
PATIENCE = 14 * DAY
"""How long a lead waits for a call before it buys elsewhere or forgets."""


def sell(scene: Scene, at: int) -> None:
    """Hand the lead to a rep at *at* and play what follows."""
    draw, fate, market = scene.draw, scene.fate, scene.market
    rep = pick(draw, REPS)
    fate.handed_at = at = _desk(
        scene, "lead.assigned", at, {"owner": rep.id, "reason": "territory"}
    )
    if chance(draw, min(1.0, market.never_called * rep.neglect)):
        fate.lose("never_called", at + PATIENCE)
        return
    called = in_office_hours(at + quantile(draw, rep.delays))
    waited = called - (fate.asked_at or at)
    if chance(draw, 0.75):
        _desk(scene, "lead.accepted", max(at + MINUTE, called - 5 * MINUTE), {"actor": _as(rep)})
    reached = call(scene, rep, called, 0.55 if waited <= HOUR else 0.4)
    if chance(draw, market.collisions):
        fate.collided = True
        other = REPS[(REPS.index(rep) + 1 + int(draw() * (len(REPS) - 1))) % len(REPS)]
        call(scene, other, in_office_hours(called + between(draw, 2 * HOUR, 2 * DAY)), 0.3)
    if reached is None:
        _give_up(scene, rep, called, waited)
    else:
        qualify(scene, rep, reached, waited)


def call(scene: Scene, rep: Rep, at: int, luck: float) -> int | None:
    """Call until somebody answers or the rep gives up; return when a talk ended, or None."""
    draw, fate, write = scene.draw, scene.fate, scene.pen.write
    if rep.id not in fate.reps:
        fate.reps.append(rep.id)
    for attempt in range(rep.attempts):
        name: Block = {
            "actor": _as(rep),
            "call": f"call-{scene.market.seed}-{scene.pen.lead}-{len(scene.pen.sent)}",
            "direction": "outbound",
        }
        answered = chance(draw, luck)
        if attempt:
            at = in_office_hours(at + between(draw, 3 * HOUR, 3 * DAY))
        if not answered:
            name["outcome"] = pick(draw, ("no_answer", "no_answer", "voicemail", "busy"))
        rang = write(DIALER, "call.attempted", at, scene.dialled, name)
        fate.called_at = rang if fate.called_at is None else min(rang, fate.called_at)
        if answered:
            seconds = between(draw, 40, 1500)
            fields = {**name, "outcome": "connected", "seconds": seconds}
            return write(DIALER, "call.completed", at + seconds * SECOND, scene.dialled, fields)
    return None


def _give_up(scene: Scene, rep: Rep, at: int, waited: int) -> None:
    """Recycle a lead that never answered; some wake up later and ask once more."""
    draw, fate = scene.draw, scene.fate
    reason = "slow" if waited > DAY else "no_response"
    if not chance(draw, 0.6):
        fate.lose(reason, at + PATIENCE)
        return
    at = in_office_hours(at + between(draw, 8 * DAY, 16 * DAY))
    until = write_instant(at + 60 * DAY)
    _desk(scene, "lead.recycled", at, {"actor": _as(rep), "reason": "no answer", "until": until})
    if chance(draw, 0.25):
        at += between(draw, 5 * DAY, 40 * DAY)
        ask(scene, at)
        at = in_office_hours(at + quantile(draw, rep.delays))
        reached = call(scene, rep, at, 0.6)
        if reached is not None:
            qualify(scene, rep, reached, waited)
            return
    fate.lose(reason, at + PATIENCE)


def qualify(scene: Scene, rep: Rep, at: int, waited: int) -> None:
    """Ask for budget, authority, need and timeline, and go on if enough of them hold."""
    draw, fate = scene.draw, scene.fate
    fit = fate.person.fit
    good = 0
    for criterion in BANT:
        if chance(draw, 0.8):
            satisfied = chance(draw, min(0.9, 0.45 * fit + (0.35 if fate.asked_at else 0.1)))
            good += satisfied
            at += between(draw, 5 * SECOND, 4 * MINUTE)
            _desk(
                scene,
                "qualification.answered",
                at,
                {
                    "actor": _as(rep),
                    "framework": "bant",
                    "criterion": criterion,
                    "value": ANSWERS[criterion][0 if satisfied else 1],
                    "satisfied": satisfied,
                },
            )
    if chance(draw, 0.3):
        text = pick(draw, ("Call back after the holidays.", "Wants the mill story.", "Nice talk."))
        _desk(scene, "note.added", at + MINUTE, {"actor": _as(rep), "text": text})
    if fate.premature and chance(draw, 0.6):
        fate.lose("too_early", at)
        fields: Block = {"actor": _as(rep), "reason": "not ready"}
        _desk(scene, "lead.rejected", at + 2 * MINUTE, fields)
    elif good < 2:
        fate.lose("wrong_fit" if fit < 0.8 else "no_need", at)
        kind = "lead.disqualified" if fit < 0.8 else "lead.recycled"
        fields = {"actor": _as(rep), "reason": "no fit" if fit < 0.8 else "no need now"}
        if kind == "lead.recycled":
            fields["until"] = write_instant(at + 90 * DAY)
        _desk(scene, kind, at + 2 * MINUTE, fields)
    else:
        _desk(scene, "lead.qualified", at + 2 * MINUTE, {"actor": _as(rep), "reason": "bant"})
        meet(scene, rep, at + 10 * MINUTE, waited)


def meet(scene: Scene, rep: Rep, at: int, waited: int) -> None:
    """Book a meeting and hold it, move it, or be stood up."""
    draw, write, who = scene.draw, scene.pen.write, scene.mailed
    name = f"meeting-{scene.market.seed}-{scene.pen.lead}"
    starts = in_office_hours(at + between(draw, DAY, 8 * DAY))
    starts -= starts % (15 * MINUTE)
    fields: Block = {"actor": _as(rep), "meeting": name, "kind": "demo"}
    write(CALENDAR, "meeting.booked", at, who, {**fields, "starts_at": write_instant(starts)})
    if chance(draw, 0.15):
        moved = starts - between(draw, HOUR, 20 * HOUR)
        starts = in_office_hours(starts + 2 * DAY)
        later = {**fields, "starts_at": write_instant(starts), "reason": "clash"}
        write(CALENDAR, "meeting.moved", moved, who, later)
    if chance(draw, 0.15):
        write(CALENDAR, "meeting.missed", starts + 20 * MINUTE, who, fields)
        if chance(draw, 0.5):
            scene.fate.lose("no_response", starts + PATIENCE)
            return
    else:
        write(CALENDAR, "meeting.held", starts + 45 * MINUTE, who, fields)
    negotiate(scene, rep, starts + 3 * HOUR, waited)


def negotiate(scene: Scene, rep: Rep, at: int, waited: int) -> None:
    """Open an opportunity and bring it to its end."""
    draw, fate, market = scene.draw, scene.fate, scene.market
    currency = market.currency or fate.person.country.currency
    amount = between(draw, 8, 900) * 50 * WORTH[currency] * UNIT_PRICE[currency]
    closes = at + between(draw, 9 * DAY, 50 * DAY)
    fields: Block = {
        "actor": _as(rep),
        "opportunity": f"opp-{market.seed}-{scene.pen.lead}",
        "currency": currency,
        "product": pick(draw, PRODUCTS),
    }
    opened: Block = {"close_date": write_day(closes), "stage": "discovery"}
    _desk(scene, "opportunity.created", at, {**fields, **opened, "amount": price(scene, amount)})
    for share, stage, label in ((3, "quote", "Angebot"), (6, "contract", "Vertrag")):
        if chance(draw, 0.6):
            amount += amount * between(draw, -3, 3) // 20
            step: Block = {"stage": stage, "stage_name": label, "amount": price(scene, amount)}
            then = at + (closes - at) * share // 8
            _desk(scene, "opportunity.changed", then, {**fields, **step})
    closes = in_office_hours(closes)
    if chance(draw, _odds(scene, waited)):
        fate.won = len(scene.pen.sent)
        fate.amount, fate.currency = amount, currency
        _desk(scene, "deal.won", closes, {**fields, "amount": price(scene, amount)})
        _serve(scene, closes)
    elif chance(draw, 0.85):
        reason = _reason(scene, waited)
        fate.lose(reason, closes)
        # What the rep writes down is seldom the reason.
        told: Block = {"reason": pick(draw, ("no decision", "price", "postponed"))}
        if reason == "competitor":
            told = {"reason": "competitor", "competitor": pick(draw, COMPETITORS)}
        _desk(
            scene,
            "deal.lost",
            closes,
            {k: v for k, v in (fields | told).items() if k != "currency"},
        )
    else:
        fate.lose(_reason(scene, waited), closes)


def _odds(scene: Scene, waited: int) -> float:
    """Return the chance of winning: origin, speed, fit and care."""
    fate = scene.fate
    if waited <= 5 * MINUTE:
        speed = 1.5
    elif waited <= HOUR:
        speed = 1.2
    elif waited <= DAY:
        speed = 0.9
    else:
        speed = 0.5
    odds = fate.origin.win * speed * fate.person.fit * scene.market.success
    return odds * (0.4 if fate.collided else 1.0) * (0.5 if fate.premature else 1.0)


def _reason(scene: Scene, waited: int) -> str:
    """Return why a deal was truly lost, the heaviest burden first."""
    draw, fate = scene.draw, scene.fate
    if fate.collided and chance(draw, 0.7):
        return "collision"
    if waited > DAY and chance(draw, 0.7):
        return "slow"
    if fate.person.fit < 0.5 and chance(draw, 0.7):
        return "wrong_fit"
    return "competitor" if chance(draw, 0.5) else "price"


def price(scene: Scene, amount: int) -> str | int:
    """Return *amount* (minor units) by the money rule: a decimal string, or the integer."""
    if chance(scene.draw, 0.5):
        return amount
    unit = UNIT_PRICE[scene.market.currency or scene.fate.person.country.currency]
    return str(amount) if unit == 1 else f"{amount // unit}.{amount % unit:02d}"


def _serve(scene: Scene, at: int) -> None:
    """Play the first weeks of a customer."""
    draw = scene.draw
    _desk(scene, "customer.onboarded", at + between(draw, DAY, 9 * DAY), {})
    if chance(draw, 0.3):
        asked = at + between(draw, 3 * DAY, 30 * DAY)
        ticket: Block = {"ticket": f"ticket-{scene.market.seed}-{scene.pen.lead}"}
        scene.pen.write(FORMS, "ticket.opened", asked, scene.mailed, ticket)
        solved = asked + between(draw, HOUR, 3 * DAY)
        scene.pen.write(FORMS, "ticket.resolved", solved, scene.mailed, ticket)


def hand_over(scene: Scene, at: int) -> None:
    """Decide whether sales gets the lead at *at* (the last instant before), and let it sell."""
    draw, fate, market = scene.draw, scene.fate, scene.market
    if fate.asked_at is not None or fate.origin.name == OUTBOUND:
        sell(scene, at + between(draw, 20 * SECOND, 10 * MINUTE))
    elif chance(draw, 0.5 if fate.origin.name == FAIR else 0.4 * fate.origin.warmth):
        # Marketing calls it qualified: seen at the stand, or much read and nothing asked.
        sell(scene, at + between(draw, HOUR, DAY))
    elif chance(draw, market.premature):
        fate.premature = True
        sell(scene, at + between(draw, HOUR, DAY))


def _as(rep: Rep) -> Block:
    return {"kind": "rep", "id": rep.id, "org": rep.org}


def _desk(scene: Scene, kind: str, at: int, fields: Block) -> int:
    return scene.pen.write(DESK, kind, at, scene.filed, fields, subject=True)
