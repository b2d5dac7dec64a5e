"""The cycles of a lead: entered and reached, first and last, how long, how far."""

from domain.cycles import Cycle, Visit, cycles, implied
from domain.events import StageEntered
from domain.policy import DAY
from tests.examples import BOUGHT, START, fact, recycled
from tests.given import given

COOLED = fact("note.added", 60, actor="rep")


def entry(stage: str, day: int, cycle: int = 1, kind: str = "new") -> StageEntered:
    at = START + day * DAY
    return StageEntered(stage, cycle, at, at, "rule", "p@1", "/test", str(day), None, kind)


def visit(cycle: Cycle, stage: str) -> Visit:
    return next(one for one in cycle.visits if one.stage == stage)


def test_a_lead_without_a_stage_has_no_cycle() -> None:
    assert cycles([]) == []
    assert cycles([fact("page.viewed")]) == []


def test_a_stage_is_left_when_the_next_one_is_entered() -> None:
    (cycle,) = cycles([entry("captured", 0), entry("mql", 3), entry("sal", 4)])

    assert (cycle.number, cycle.kind, cycle.opened_at, cycle.closed_at) == (1, "new", START, None)
    assert visit(cycle, "captured") == Visit(
        "captured", START, START, START + 3 * DAY, 3 * DAY, 1, "rule"
    )
    assert visit(cycle, "sal") == Visit(
        "sal", START + 4 * DAY, START + 4 * DAY, None, None, 1, "rule"
    )
    assert cycle.high_water == "sal"


def test_a_skipped_stage_is_reached_and_not_entered() -> None:
    (cycle,) = cycles([entry("captured", 0), entry("opportunity", 5)])

    assert [one.stage for one in cycle.visits] == [
        *("captured", "mqo", "mql", "sal", "sql", "opportunity")
    ]
    assert [one.stage for one in cycle.visits if one.implied] == ["mqo", "mql", "sal", "sql"]
    assert visit(cycle, "sql") == Visit("sql", None, None, None, None, 0, None)
    assert implied(["won"]) == ["captured", "mqo", "mql", "sal", "sql", "opportunity"]
    assert implied(["disqualified", "recycled", "lost"]) == []


def test_how_far_a_cycle_came_is_not_where_it_is() -> None:
    (cycle,) = cycles([entry("captured", 0), entry("sql", 2), entry("recycled", 9)])

    assert cycle.high_water == "sql"
    assert [one.stage for one in cycle.visits][-1] == "recycled"
    assert cycles([entry("disqualified", 1)])[0].high_water is None


def test_a_stage_entered_twice_keeps_both_ends_and_the_time_of_both_stays() -> None:
    """Under one policy a stage is entered once in a cycle; under two it may be entered again."""
    (cycle,) = cycles(
        [entry("mql", 0), entry("recycled", 3), entry("mql", 10), entry("recycled", 14)]
    )

    assert visit(cycle, "mql") == Visit(
        "mql", START, START + 10 * DAY, START + 14 * DAY, 7 * DAY, 2, "rule"
    )
    assert visit(cycle, "recycled").exited_at is None
    assert visit(cycle, "recycled").dwell == 7 * DAY


def test_a_stay_that_a_late_fact_ended_lasts_no_time() -> None:
    (cycle,) = cycles([entry("captured", 5), entry("mql", 3)])

    assert visit(cycle, "captured").dwell == 0
    assert visit(cycle, "captured").exited_at == START + 5 * DAY


def test_each_cycle_keeps_its_own_history() -> None:
    story = given().when(
        *BOUGHT,
        COOLED,
        fact("opportunity.created", 90, opportunity="o2"),
        fact("deal.lost", 95, opportunity="o2"),
        recycled(100),
        fact("lead.accepted", 120),
        fact("lead.disqualified", 121),
        fact("lead.reopened", 130),
    )
    told = cycles(story.events)

    assert [(one.number, one.kind, one.high_water) for one in told] == [
        (1, "new", "won"),
        (2, "expansion", "opportunity"),
        (3, "recycled", "sal"),
        (4, "reopened", "captured"),
    ]
    assert [one.closed_at for one in told] == [*(one.opened_at for one in told[1:]), None]
    assert visit(told[0], "won").dwell == 70 * DAY
    assert [one.stage for one in told[1].visits if not one.implied] == [
        *("opportunity", "lost", "recycled")
    ]
    assert visit(told[1], "recycled").exited_at == told[2].opened_at
