"""Funnels over events, cohorts and curves from the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.events import Fact
from leadflow.funnel_steps import Filter, Step, condition_of, parse_exclusion, parse_steps
from tests.command_line import CommandLine, command_line, event
from tests.pages import DOCS, run_page


def _acts(name: str, *acts: tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the acts of one person: time, type, fields."""
    person = {"person": {"email": f"{name}@{name}.example"}}
    return [
        event(f"{name}-{n}", type_, f"2025-{at}:00Z", {**person, **data})
        for n, (at, type_, data) in enumerate(acts)
    ]


DEMO = "demo.requested"
STORIES = [
    *_acts(
        "ada",
        ("03-01T09:00", "form.submitted", {"kind": "content", "touch": {"channel": "email"}}),
        ("03-02T09:00", DEMO, {"product": "Big Pump", "touch": {"channel": "event"}}),
        ("03-05T09:00", "opportunity.created", {"opportunity": "a"}),
        ("03-20T09:00", "deal.won", {"opportunity": "a", "amount": "1200.00", "currency": "EUR"}),
    ),
    *_acts(
        "bo",
        ("03-03T09:00", "form.submitted", {"kind": "content", "touch": {"channel": "email"}}),
        ("03-04T09:00", "email.unsubscribed", {}),
        ("03-06T09:00", DEMO, {"product": "valve"}),
        ("04-02T09:00", "opportunity.created", {"opportunity": "b"}),
        ("04-09T09:00", "deal.won", {"opportunity": "b", "amount": "800.00", "currency": "EUR"}),
    ),
    *_acts(
        "cy",
        ("04-01T09:00", DEMO, {"product": "pump"}),
        ("04-01T09:00", "page.viewed", {"url": "https://shop.example/price"}),
        ("04-08T09:00", DEMO, {"product": "pump"}),
        ("04-12T09:00", "deal.lost", {"reason": "price"}),
    ),
]


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("funnels")) as program:
        program("ingest", program.write("stories.jsonl", *STORIES))
        yield program


@pytest.mark.parametrize(
    "steps, found",
    [
        ("captured,sgl,sql", [3, 0, 0]),
        ("captured,lost,won", [3, 1, 0]),
        ("won,captured", [2, 0]),
        ("opportunity,mql", [2, 0]),
    ],
)
def test_what_lies_beside_the_way_is_counted_by_who_was_there(
    leadflow: CommandLine, steps: str, found: list[int]
) -> None:
    document = leadflow.json("funnel", "--steps", steps)

    assert "ordered" == document["mode"]
    assert found == [step["leads"] for step in document["steps"]]
    refused = leadflow("funnel", "--steps", steps, "--mode", "monotone", code=2).stderr
    assert "take --mode ordered" in " ".join(refused.replace("│", "").split())


def leads(leadflow: CommandLine, steps: str, *words: str) -> list[int]:
    """Return how many leads get to each step."""
    return [step["leads"] for step in leadflow.json("funnel", "--steps", steps, *words)["steps"]]


def test_a_word_that_the_contract_does_not_know_is_told_where_it_matches_nothing(
    leadflow: CommandLine,
) -> None:
    told = leadflow("funnel", "--steps", "form.submitted[knd=demo],won").stderr
    assert "form.submitted has no field knd of its own; its fields are form, fields, kind," in told
    told = leadflow("funnel", "--steps", "form.submited,deal.won").stderr
    assert "form.submited: nobody took this step" in told
    assert "did you mean form.submitted" in told
    for known in ("form.submitted[kind=never]", "form.submitted[touch.campaign=x]", "captured"):
        told = leadflow("funnel", "--steps", f"{known},form.submitted[fields.size=9]").stderr
        assert "nobody" not in told


def groups(leadflow: CommandLine, steps: str, *words: str) -> dict[Any, list[int]]:
    """Return the same by group."""
    document = leadflow.json("funnel", "--steps", steps, *words)
    return {
        group["value"]: [step["leads"] for step in group["steps"]] for group in document["groups"]
    }


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (DEMO, 3),
        (f"{DEMO}[product=pump]", 1),
        (f"{DEMO}[product!=pump]", 2),
        (f"{DEMO}[product~PUMP]", 2),
        (f"{DEMO}[product~pump,product!=pump]", 1),
        ("deal.won[amount>1000]", 1),
        ("deal.won[amount<1000.50,amount>100]", 1),
        ("deal.won[amount>1200]", 0),
        ("deal.won[amount=1200]", 1),
        ("deal.won[amount!=1200.0]", 1),
        ("deal.won[missing!=x]", 2),
        ("deal.won[missing>0]", 0),
        ("page.viewed[url~/PRICE]", 1),
    ],
)
def test_a_step_has_as_many_conditions_as_it_needs(
    leadflow: CommandLine, step: str, expected: int
) -> None:
    assert [expected] == leads(leadflow, step)


def test_a_step_listed_twice_takes_two_events(leadflow: CommandLine) -> None:
    assert [3, 1] == leads(leadflow, f"{DEMO},{DEMO}")
    assert [3, 0] == leads(leadflow, f"{DEMO},{DEMO}", "--window", "6d")


def test_an_excluded_event_voids_the_chains_around_it(leadflow: CommandLine) -> None:
    steps = f"form.submitted,{DEMO},deal.won"

    assert [2, 2, 2] == leads(leadflow, steps)
    assert [1, 1, 1] == leads(leadflow, steps, "--exclude", "email.unsubscribed")
    assert [1, 1, 1] == leads(leadflow, steps, "--exclude", "email.unsubscribed:1-2")
    assert [2, 2, 2] == leads(leadflow, steps, "--exclude", "email.unsubscribed:2-3")
    assert [0] * 3 == leads(
        leadflow, steps, "--exclude", "email.unsubscribed:1-2", "--exclude", "opportunity:2-3"
    )


def test_events_at_one_instant_are_in_no_order_unless_each_step_is_to_be_later(
    leadflow: CommandLine,
) -> None:
    steps = f"page.viewed,{DEMO}[product=pump]"
    median = leadflow.json("funnel", "--steps", steps)["steps"][1]["median_seconds_from_first"]
    later = leadflow.json("funnel", "--steps", steps, "--increase")["steps"][1]

    assert (0.0, 604_800.0) == (median, later["median_seconds_from_previous"])


def test_fields_of_events_and_channels_group_by_the_step_that_is_asked_for(
    leadflow: CommandLine,
) -> None:
    steps = f"form.submitted,{DEMO}"

    assert {"Big Pump": [1, 1], "valve": [1, 1]} == groups(leadflow, steps, "--by", "event.product")
    assert {"Big Pump": [1, 1], "valve": [1, 1]} == groups(
        leadflow, steps, "--by", "event.product", "--reading", "step:2"
    )
    assert {None: [2, 0], "Big Pump": [0, 1], "valve": [0, 1]} == groups(
        leadflow, steps, "--by", "event.product", "--reading", "step"
    )
    by_channel = [leadflow, steps, "--by", "channel", "--reading"]
    assert {"email": [2, 2]} == groups(*by_channel, "first")  # type: ignore[arg-type]  # words
    assert {"email": [1, 1], "event": [1, 1]} == groups(*by_channel, "conversion")  # type: ignore[arg-type]  # words
    assert (
        "event.product at step 2: valve"
        in leadflow(
            "funnel", "--steps", steps, "--by", "event.product", "--reading", "step:2"
        ).stdout
    )


@pytest.mark.parametrize("unit", ["lead", "cycle", "account"])
@pytest.mark.parametrize("mode", ["monotone", "ordered", "any"])
def test_stages_are_the_same_by_the_history_as_by_the_read_models(
    leadflow: CommandLine, unit: str, mode: str
) -> None:
    words = ["funnel", "--steps", "captured,opportunity,won", "--unit", unit, "--mode", mode]
    by_rows = leadflow.json(*words, "--by", "channel", "--reading", "first")
    # A field of the events is in no read model, so that the history itself is asked.
    by_history = leadflow.json(*words, "--by", "event.product")

    assert by_rows["steps"] == by_history["steps"]
    assert {"value": "email"}.items() <= by_rows["groups"][0].items()


def test_channels_are_the_same_by_the_history_as_by_the_read_models(
    leadflow: CommandLine,
) -> None:
    for reading in ("current", "first", "conversion", "step"):
        words = ["--by", "channel", "--reading", reading, "--mode", "ordered"]
        mixed = groups(leadflow, "captured,won", *words, "--exclude", "never.happens")
        assert groups(leadflow, "captured,won", *words) == mixed


def test_what_happened_later_or_was_not_known_yet_is_left_out(leadflow: CommandLine) -> None:
    steps = f"{DEMO},deal.won"

    assert [2, 0] == leads(leadflow, steps, "--as-of", "2025-03-06")
    assert [2, 1] == leads(leadflow, steps, "--as-of", "2025-03-20")
    assert [0, 0] == leads(leadflow, steps, "--known-at", "2025-03-01")
    assert [2, 1] == leads(leadflow, "captured,won", "--as-of", "2025-03-20")


def test_nothing_may_stand_between_two_steps_in_strict_all(leadflow: CommandLine) -> None:
    steps = f"form.submitted,{DEMO}"

    assert [2, 1] == leads(leadflow, steps, "--mode", "strict_all")
    assert [3, 1] == leads(leadflow, f"captured,{DEMO}", "--mode", "strict_all")


def test_cohorts_tell_the_month_beside_the_period(leadflow: CommandLine) -> None:
    words = ["cohorts", "--steps", "captured,won", "--window"]
    march, april = leadflow.json(*words, "20d")["cohorts"]
    sooner, _ = leadflow.json(*words, "11d")["cohorts"]
    shown = leadflow(*words, "20d").stdout

    assert ["2025-03", "2025-04"] == [march["cohort"], april["cohort"]]
    assert [2, 1] == [step["leads"] for step in march["steps"]]
    assert [2, 0] == [step["leads"] for step in sooner["steps"]]
    assert [False, True] == [march["mature"], sooner["mature"]]
    # Bo came in March and was won in April: no matter for April's cohort, but for its period.
    assert [1, 0] == [step["leads"] for step in april["steps"]]
    assert [2, 1] == [april["period"][0][key] for key in ("exits_from_previous", "exits_to")]
    assert "immature" in shown
    assert "won, in period" in shown


def test_cohorts_of_events_have_no_period(leadflow: CommandLine) -> None:
    words = ["cohorts", "--steps", f"{DEMO},deal.won", "--every", "week"]
    document = leadflow.json(*words)

    assert {None} == {cohort["period"] for cohort in document["cohorts"]}
    assert 3 == sum(cohort["steps"][0]["leads"] for cohort in document["cohorts"]) - 1
    assert "in period" not in leadflow(*words).stdout


def test_a_curve_tells_who_is_there_by_when(leadflow: CommandLine) -> None:
    words = ["curve", "--from-stage", "captured", "--to-stage", "won"]
    document = leadflow.json(*words)
    plain = leadflow(*words, "--plain", "--by", "channel").stdout

    assert (3, 2) == (document["leads"], document["reached"])
    assert document["reached_ever"] == pytest.approx(2 / 3)
    assert "captured to won, Kaplan-Meier" in plain
    assert "channel: email" in plain
    assert "50% " in leadflow(*words).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("funnel", "--steps", "won", "--unit", "person"), "unknown unit 'person'"),
        (("funnel", "--steps", "won", "--by", "owner", "--reading", "best"), "unknown reading"),
        (("funnel", "--steps", "won", "--reading", "step:x"), "write step:2"),
        (("funnel", "--steps", "won", "--reading", "step:2"), "no step 2 of 1"),
        (("funnel", "--steps", "won", "--by", "owner", "--reading", "first"), "as it is now"),
        (("funnel", "--steps", "won", "--by", "event.x", "--reading", "current"), "leads have not"),
        (("funnel", "--steps", "mql,won", "--exclude", "page.viewed:2-1"), "nothing between"),
        (("funnel", "--steps", "mql,won", "--exclude", "page.viewed:1-9"), "steps 1 and 9 of 2"),
        (("funnel", "--steps", "mql,won", "--exclude", ""), "an exclusion is a stage"),
        (("cohorts", "--steps", "mql,won", "--every", "year"), "'year' is no period"),
        (
            ("cohorts", "--steps", "won", "--from", "2026-02-01", "--to", "2026-01-01"),
            "no cohort lies between",
        ),
        (("curve", "--from-stage", "won", "--to-stage", "mql"), "has reached mql already"),
        (("curve", "--from-stage", "recycled", "--to-stage", "sql"), "recycled ends a cycle"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    leadflow: CommandLine, words: tuple[str, ...], told: str
) -> None:
    refused = " ".join(leadflow(*words, code=2).stderr.replace("│", " ").split())

    assert told in refused


def test_filters_and_exclusions_are_read_as_written() -> None:
    (step,) = parse_steps("deal.won[amount > 10, url~a=b,x!=]")

    assert (
        Filter("amount", ">", "10"),
        Filter("url", "~", "a=b"),
        Filter("x", "!=", ""),
    ) == step.where
    assert (2, 3) == parse_exclusion("a.b[c=d]:2-3", 4)[1:]
    assert (1, 4) == parse_exclusion("lost", 4)[1:]


@pytest.mark.parametrize(
    ("one", "value", "passes"),
    [
        (Filter("day", ">", "2026-01-31"), "2026-02-01", True),
        (Filter("day", "<", "2026-01-31"), "2026-02-01", False),
        (Filter("n", ">", "9"), "10", True),
        (Filter("n", ">", "9"), "many", False),
        (Filter("n", "<", "1"), False, False),
        (Filter("done", "=", "true"), True, True),
        (Filter("n", ">", "nan"), "b", False),
    ],
)
def test_numbers_are_compared_as_numbers_and_else_as_texts(
    one: Filter, value: Any, passes: bool
) -> None:
    fact = Fact("a.b", "/s", "1", 0, 0, data={one.field: value})

    assert passes == condition_of(Step("a.b", "a.b", (one,)))(fact)


def test_the_page_on_funnels_tells_the_truth(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto/funnels.md", tmp_path) > 0
