"""Draws of leads: what a draw credits, that equal journeys draw alike, and what intervals say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.attribution import MODELS, OVERALL_MODELS, Conversion
from domain.journey import Journey, Touch
from projections.attribution_bootstrap import Drawn, _normal, _shares, bootstrap
from projections.attribution_models import Asked, Models
from projections.journeys import Journeys
from tests.journeys_by_domain import journeys_of

DAY = 86_400_000_000
ASKED = Asked()

way = st.lists(st.sampled_from("abc"), min_size=0, max_size=4).map(
    lambda names: Journey(
        tuple(Touch(n * DAY, name) for n, name in enumerate(names)), len(names) * DAY
    )
)
some = st.lists(st.tuples(way, st.booleans(), st.integers(0, 3)), min_size=1, max_size=6)


def columns(made: list[tuple[Journey, bool, int]]) -> Journeys:
    """Return journeys that led to a conversion, then those that did not."""
    won = [Conversion(journey) for journey, converted, _ in made if converted]
    return journeys_of(won, nulls=[journey for journey, converted, _ in made if not converted])


@pytest.mark.parametrize("model", [*MODELS, *OVERALL_MODELS])
@settings(max_examples=15)
@given(some)
def test_a_draw_credits_what_the_model_credits_of_what_was_drawn(
    model: str, made: list[tuple[Journey, bool, int]]
) -> None:
    journeys = columns(made)
    ordered = sorted(made, key=lambda one: not one[1])
    times = np.array([one[2] for one in ordered], np.int64)
    drawn = _normal(_shares(Models(journeys), model, ASKED)(times.astype(np.float64)))

    report, _ = Models(replace(journeys, count=times)).ask(model, ASKED)
    whole = sum(report.credit.values())
    expected = [report.credit.get(name, 0) / whole if whole else 0.0 for name in journeys.values]
    assert drawn == pytest.approx(expected, abs=1e-6)


def told(drawn: Drawn, journeys: Journeys) -> dict[str | None, tuple[float, ...]]:
    return {
        value: (
            round(float(drawn.low[n]), 9),
            round(float(drawn.high[n]), 9),
            *np.round(drawn.ranks[n], 9).tolist(),
        )
        for n, value in enumerate(journeys.values)
    }


def market(shift: int = 0) -> Journeys:
    """Return 60 leads, numbered from wherever *shift* says."""
    random = np.random.default_rng(3)
    made = []
    for _ in range(60):
        names = random.choice(
            ["ads", "email", "fair", "web"], random.integers(1, 5), p=[0.5, 0.3, 0.15, 0.05]
        )
        touches = tuple(Touch(n * DAY, str(name)) for n, name in enumerate(names))
        made.append(Journey(touches, len(touches) * DAY))
    made = made[shift:] + made[:shift]
    converted = [n for n, one in enumerate(made) if one.touches[-1].channel != "ads"]
    return journeys_of(
        [Conversion(made[n]) for n in converted],
        nulls=[one for n, one in enumerate(made) if n not in converted],
    )


NAMES = ("first", "time_decay", "markov", "shapley", "shapley_rate")


def test_equal_journeys_draw_alike_whatever_their_order() -> None:
    one, other = market(), market(17)
    first = bootstrap(Models(one), NAMES, 20, ASKED)
    again = bootstrap(Models(other), NAMES, 20, ASKED)
    for name in NAMES:
        assert told(first[name], one) == told(again[name], other)
        assert first[name].same_order == again[name].same_order


def test_an_interval_holds_the_share_and_every_draw_ranks_everybody() -> None:
    journeys = market()
    models = Models(journeys)
    for name, drawn in bootstrap(models, NAMES, 200, ASKED).items():
        report, _ = models.ask(name, ASKED)
        whole = sum(report.credit.values())
        for n, value in enumerate(journeys.values):
            assert drawn.low[n] <= report.credit.get(value, 0) / whole <= drawn.high[n]
        assert drawn.ranks.sum(axis=0) == pytest.approx(1)
        assert drawn.ranks.sum(axis=1) == pytest.approx(1)
        assert 0 <= drawn.same_order <= 1


def test_more_leads_are_surer() -> None:
    few = market()
    many = journeys_of([few.conversion(n % 30) for n in range(3_000)])
    width = [
        float((one.high - one.low).max())
        for journeys in (few, many)
        for one in bootstrap(Models(journeys), ["linear"], 100, ASKED).values()
    ]
    assert width[1] < width[0] / 3


def test_paths_that_stand_for_many_journeys_are_as_sure_as_the_journeys() -> None:
    each = market()
    packed = replace(each, count=np.full(len(each), 500))
    single = bootstrap(Models(each), ["linear"], 50, ASKED)["linear"]
    sure = bootstrap(Models(packed), ["linear"], 50, ASKED)["linear"]
    assert (sure.high - sure.low).max() < (single.high - single.low).max() / 10


def test_one_lead_alone_is_drawn_every_time() -> None:
    journeys = journeys_of([Conversion(Journey((Touch(0, "email"), Touch(1, "web")), 2))])
    drawn = bootstrap(Models(journeys), ["first", "markov"], 5, ASKED)
    assert drawn["first"].low.tolist() == drawn["first"].high.tolist() == [1.0, 0.0]
    assert 1.0 == drawn["markov"].same_order


def test_what_cannot_be_drawn_is_refused() -> None:
    models = Models(market())
    for rounds in (0, 10_001):
        with pytest.raises(ValueError, match="draws is 1 to 10,000"):
            bootstrap(models, ["first"], rounds, ASKED)
    touches = [tuple(Touch(n, f"c{(n * k) % 211}") for n in range(3)) for k in range(1, 200)]
    wide = journeys_of([Conversion(Journey(one, 3)) for one in touches])
    with pytest.raises(ValueError, match="ask for a lower order"):
        bootstrap(Models(wide), ["markov"], 1, Asked(2))
