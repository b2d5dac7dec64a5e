"""A whole life: from the first contact to the deal, or to the silence."""

from random import Random

from leadflow.simulate.arrival import arrive, be_born, nurture
from leadflow.simulate.cast import OUTBOUND, cast_person
from leadflow.simulate.fate import Fate, open_scene
from leadflow.simulate.market import HOUR, MINUTE, Market, between, chance, pick
from leadflow.simulate.pen import Pen
from leadflow.simulate.sales import hand_over
from leadflow.simulate.wire import FORMS, Envelope

UNKNOWN_TYPES = ("kiosk.visited", "calculator.used", "parcel.scanned")


def live(market: Market, lead: int, rng: Random) -> tuple[list[Envelope], Fate]:
    """Return every sending about *lead*, those after the market's end too, and its fate.

    *rng* is seeded anew, so any generator will do.
    """
    origin, at = be_born(market, lead, rng)
    draw = rng.random
    pen = Pen(market, lead, cast_person(draw, market.seed, lead), draw)
    scene = open_scene(market, pen, origin)
    known = at = arrive(scene, at)
    if origin.name != OUTBOUND:
        at = nurture(scene, at + MINUTE)
    hand_over(scene, at)
    if chance(draw, market.unknown_types):
        then = known + between(draw, HOUR, 90 * HOUR)
        pen.write(FORMS, pick(draw, UNKNOWN_TYPES), then, scene.mailed, {"answer": "42"})
    return pen.finish(), scene.fate
