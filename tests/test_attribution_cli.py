"""Attribution of the event store from the command line: several conversions, several models."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.command_line import CommandLine, command_line, event


def _story(name: str, *acts: tuple[int, str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the acts of one person: day of the month, type, fields."""
    who = {"person": {"email": f"{name}@example.com"}}
    return [
        event(f"{name}-{n}", type_, f"2025-03-{day:02}T09:00:00Z", who | data)
        for n, (day, type_, data) in enumerate(acts)
    ]


def _touch(channel: str) -> dict[str, Any]:
    return {"touch": {"channel": channel}}


DEAL = {"opportunity": "a", "amount": "10.01", "currency": "EUR"}
STORIES = [
    *_story(
        "ada",
        (1, "page.viewed", _touch("paid_search")),
        (2, "page.viewed", _touch("webinar")),
        (3, "form.submitted", {"kind": "demo", **_touch("email")}),
        (10, "page.viewed", _touch("direct")),
        (20, "opportunity.created", DEAL),
        (24, "page.viewed", _touch("direct")),
        (25, "deal.won", DEAL),
    ),
    *_story("bo", (1, "page.viewed", _touch("paid_search")), (5, "page.viewed", _touch("direct"))),
    *_story("cy", (2, "form.submitted", {"kind": "demo", **_touch("webinar")})),
]


@pytest.fixture(scope="module")
def leadflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("attribution")) as program:
        program("ingest", program.write("stories.jsonl", *STORIES))
        yield program


def _credit(document: dict[str, Any]) -> dict[str, str]:
    return {row["value"]: row["credit"] for row in document["rows"]}


def test_models_of_moments_know_what_made_lead_and_deal(leadflow: CommandLine) -> None:
    """The demo made the lead, by e-mail; the visit of the tenth is the last before the deal."""
    u_lead = leadflow.json("attribution", "--model", "u_lead")
    rest = 0.2 / 3
    assert {row["value"]: float(row["credit"]) for row in u_lead["rows"]} == pytest.approx(
        {"paid_search": 0.4, "email": 0.4, "webinar": rest, "direct": 2 * rest}
    )
    assert {"paid_search": "0.3", "email": "0.3", "direct": "0.35", "webinar": "0.05"} == _credit(
        leadflow.json("attribution", "--model", "w")
    )
    assert {"paid_search": "0.225", "email": "0.225", "direct": "0.45", "webinar": "0.1"} == (
        _credit(leadflow.json("attribution", "--model", "full_path"))
    )


def test_failures_count_in_models_of_all_journeys(leadflow: CommandLine) -> None:
    """Bo and Cy were touched and did not buy; one in three journeys converts."""
    document = leadflow.json("attribution", "--model", "markov")
    assert (2, 4, []) == tuple(document[name] for name in ("null_journeys", "states", "warnings"))
    assert 1 / 3 == pytest.approx(document["conversion_rate"])
    blind = leadflow.json("attribution", "--model", "markov_converted_only")
    assert (0, ["no_null_paths"]) == (blind["null_journeys"], blind["warnings"])


def test_as_of_a_day_the_failures_are_those_of_that_day(leadflow: CommandLine) -> None:
    before = leadflow.json("attribution", "--model", "markov", "--as-of", "2025-03-24")
    assert (0, 3) == (before["conversions"], before["null_journeys"])


def test_several_conversions_are_documents_of_their_own(leadflow: CommandLine) -> None:
    both = leadflow.json("attribution", "--conversion", "mql,won")
    assert ["mql", "won"] == [one["conversion"] for one in both["documents"]]
    for one in both["documents"]:
        assert one == leadflow.json("attribution", "--conversion", one["conversion"])
    told = leadflow("attribution", "--conversion", "mql,won").stdout
    assert "conversions mql by linear" in told
    assert "conversions won by linear" in told


def test_models_are_shown_side_by_side(leadflow: CommandLine) -> None:
    words = ("attribution", "--compare", "--bootstrap", "20", "--conversion", "won")
    document = leadflow.json(*words)
    assert {"rounds": 20, "level": 0.9} == {
        name: document["bootstrap"][name] for name in ("rounds", "level")
    }
    assert 12 == len(document["models"])
    told = leadflow(*words).stdout
    assert "first and last place 100.0 % of the credit differently" in told
    assert "draws with the same order of all: first 100.0 %" in told
    for model in document["models"]:
        assert model in told


def test_an_answer_is_drawn(leadflow: CommandLine) -> None:
    leadflow("attribution", "--compare", "--plot", "all.json")
    assert (leadflow.folder / "all.json").stat().st_size > 100


@pytest.mark.parametrize(
    "words, told",
    [
        (("--conversion", "mql,sold"), "sold"),
        (("--conversion", "mql,won", "--plot", "a.svg"), "--plot draws one conversion"),
        (("--conversion", "captured"), "unknown conversion 'captured'"),
        (("--by", "colour"), "unknown dimension of touches 'colour'"),
        (("--transform", "shorter"), "unknown transform 'shorter'"),
        (("--bootstrap", "5"), "go with --compare"),
        (("--compare", "--models", "first,best"), "unknown model 'best'"),
        (("--delimiter", ";"), "go with --paths"),
        (("--lookback", "0d"), "no touch lies within no time"),
    ],
)
def test_what_makes_no_sense_is_refused(
    leadflow: CommandLine, words: tuple[str, ...], told: str
) -> None:
    said = leadflow("attribution", *words, code=2).stderr.replace("│", " ")
    assert told in " ".join(said.split())


def test_economics_compare_the_models_of_moments_too_and_in_a_period(leadflow: CommandLine) -> None:
    period = ("--from", "2025-03-01", "--to", "2025-04-01")
    found = leadflow.json("economics", "--compare", *period)
    assert {"linear", "u_lead", "w", "full_path"} <= set(found["models"])
    one = leadflow.json("economics", "--model", "full_path", *period)
    assert one["total"]["customers"] == "1"
    assert one["total"] == found["total"]
    refused = leadflow("economics", "--model", "markov", *period, code=2).stderr.replace("│", " ")
    assert "cannot be asked about a period" in " ".join(refused.split())


def test_no_command_looks_back_for_no_time(leadflow: CommandLine) -> None:
    told = leadflow("economics", "--lookback", "0", code=2).stderr
    assert "--lookback" in told
    assert "write 90d" in told
