"""Goals that a user writes: what is wrong with them is told, and whether they are met."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from leadflow.kpis import DOCUMENTS, KPIS, Actual, Kpi, Scope, register
from leadflow.policies import load_policy
from leadflow.targets import TargetsInvalid, load_targets, targets
from projections.runner import Runner
from tests.command_line import CommandLine, event
from tests.projections_kit import DAY, Log, fact, read_model_database

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
MAIL = {"channel": "email", "campaign": "news"}
ADS = {"channel": "paid_search", "campaign": "spring"}


def written(folder: Path, text: str) -> Path:
    path = folder / "targets.toml"
    path.write_text(text, encoding="utf-8")
    return path


def answered(folder: Path, text: str) -> dict[str, Any]:
    """Return what the targets in *text* come to: three leads, two deals, one of them won."""
    facts = [
        fact("form.submitted", 0, "a@example.com", touch=MAIL, kind="contact"),
        fact("form.submitted", DAY, "b@example.com", touch=MAIL, kind="contact"),
        fact("form.submitted", DAY, "c@example.com", touch=ADS, kind="contact"),
        fact("deal.won", 9 * DAY, "a@example.com", opportunity="o", amount=9_000, currency="EUR"),
        fact("deal.lost", 9 * DAY, "c@example.com", opportunity="p"),
        fact(
            "spend.recorded",
            0,
            None,
            day="2024-10-04",
            amount=3_000,
            currency="EUR",
            **MAIL,
        ),
    ]
    runner = Runner(read_model_database(), Log(load_policy(), facts), load_policy())
    runner.catch_up()
    with runner.engine.connect() as connection:
        return targets(connection, load_targets(written(folder, text)))


def row_of(folder: Path, text: str) -> dict[str, Any]:
    (row,) = answered(folder, text)["targets"]
    found: dict[str, Any] = row
    return found


# --- the file -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[[target]]\nkpi = "mql_to_sq"\ngoal = 0.2', 2, "did you mean 'mql_to_sql'?"),
        ('[[target]]\nkpi = "fame"\ngoal = 0.2', 2, "there are lead_to_mql"),
        ('[[target]]\nkpi = "win_rate"\ngoal = 20', 3, "0.2 for 20 %"),
        ('[[target]]\nkpi = "win_rate"\ngoal = "much"', 3, "is not a number"),
        ('[[target]]\nkpi = "win_rate"\ngoal = true', 3, "is not a number"),
        ('[[target]]\nkpi = "win_rate"\ngoal = nan', 3, "is not a finite number"),
        ('[[target]]\nkpi = "win_rate"', 1, "is missing; add it"),
        ('[[target]]\nkpi = "cac"\ngoal = 50', 1, 'write currency = "EUR"'),
        ('[[target]]\nkpi = "cac"\ngoal = 50\ncurrency = "EURO"', 4, "no currency"),
        (
            '[[target]]\nkpi = "win_rate"\ngoal = 0.2\ncurrency = "EUR"',
            4,
            "means nothing to win_rate; leave it out",
        ),
        ('[[target]]\nkpi = "cac"\ngoal = 5\ncurrency = "EUR"\nby = { party = "x" }', 5, "channel"),
        ('[[target]]\nkpi = "win_rate"\ngoal = 0.2\nby = { stars = "5" }', 4, "there are owner"),
        (
            '[[target]]\nkpi = "win_rate"\ngoal = 0.2\nby = { owner = "a", source = "b" }',
            4,
            "write a target for each",
        ),
        ('[[target]]\nkpi = "win_rate"\ngoal = 0.2\nfrom = "May"', 4, "write 2026-01-05"),
        (
            '[[target]]\nkpi = "win_rate"\ngoal = 0.2\nfrom = 2026-02-01\nto = 2026-01-01',
            5,
            "is not after from",
        ),
        (
            '[[target]]\nkpi = "win_rate"\ngoal = 0.2\nfrom = 2026-02-01T10:00:00',
            4,
            "has no offset",
        ),
        ('[[target]]\nkpi = "win_rate"\ngaol = 0.2\ngoal = 0.2', 3, "did you mean 'goal'?"),
        ('[[targets]]\nkpi = "win_rate"', 1, "did you mean 'target'?"),
        ('[[benchmark]]\nkpi = "win_rate"\nvalue = 0.1\nname = "x"', 1, "source is missing"),
        ('[[benchmark]]\nkpi = "cac"\nvalue = 9\nname = "x"\nsource = "y"', 1, "currency"),
        ("[economics]\ngross_margin = 30", 2, "0.2 for 20 %"),
        ("[economics]\ngross_margin = 0", 2, "one above 0"),
        ('[economics]\nmodel = "markov"', 2, "is no model for a period"),
        ("[economics]\nlag_days = -1", 2, "greater than or equal to 0"),
        ("[[target]\n", 1, "correct the TOML"),
        (
            '[[target]]\nkpi = "win_rate"\ngoal = 0.2\n[[target]]\nkpi = "win_rate"\ngoal = 0.3',
            4,
            "sets what line 1 sets; drop one",
        ),
    ],
)
def test_what_is_wrong_is_told_with_line_and_mend(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TargetsInvalid) as caught:
        load_targets(path)

    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}:")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = '[[target]]\nkpi = "win_rate"\ngoal = 2\n[[target]]\nkpi = "cac"\ngoal = 2'
    with pytest.raises(TargetsInvalid) as caught:
        load_targets(written(tmp_path, text))

    assert 2 == len(caught.value.problems)


def test_the_quoted_figures_are_an_example_of_claims_and_no_default() -> None:
    given = load_targets(EXAMPLES / "benchmarks.toml")

    assert () == given.target
    assert all("claim" in one.source or "no source" in one.source for one in given.benchmark)
    assert () == load_targets(Path("/dev/null")).benchmark


# --- the answer ---------------------------------------------------------------------------------


def test_a_goal_is_met_or_missed_by_its_gap(tmp_path: Path) -> None:
    text = '[[target]]\nkpi = "win_rate"\ngoal = {}'

    met = row_of(tmp_path, text.format("0.5"))
    assert ("met", 0.5, 0.5, 0.0) == (met["state"], met["actual"], met["goal"], met["gap"])
    missed = row_of(tmp_path, text.format("0.75"))
    assert ("missed", -0.25) == (missed["state"], missed["gap"])


def test_of_a_price_less_is_better(tmp_path: Path) -> None:
    text = '[[target]]\nkpi = "cac"\ngoal = {}\ncurrency = "EUR"\nby = {{ channel = "email" }}'

    met = row_of(tmp_path, text.format('"30.00"'))
    assert ("met", "30.00", "30.00", "0.00") == (
        met["state"],
        met["actual"],
        met["goal"],
        met["gap"],
    )
    assert "missed" == row_of(tmp_path, text.format("29.99"))["state"]


@pytest.mark.parametrize(
    ("kpi", "more", "actual"),
    [
        ("lead_to_won", "", 1 / 3),
        ("lead_to_won", 'by = { channel = "email" }', 0.5),
        ("lead_to_won", "from = 2024-10-05", 0.0),
        ("win_rate", 'by = { campaign = "spring" }', 0.0),
        ("leads", "", "3"),
        ("leads", 'by = { campaign = "none" }', "0"),
        ("customers", "", "1"),
        ("roas", "", 3.0),
        ("roi", "", 2.0),
        ("contribution_on_spend", "", -0.1),
    ],
)
def test_figures_are_those_of_the_answers(
    tmp_path: Path, kpi: str, more: str, actual: float | str
) -> None:
    text = f'[economics]\ngross_margin = 0.3\n[[target]]\nkpi = "{kpi}"\ngoal = 1\n{more}\n'

    assert actual == row_of(tmp_path, text)["actual"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('kpi = "win_rate"\ngoal = 1\nfrom = 2025-01-01', "no deal closed in the period"),
        ('kpi = "lead_to_won"\ngoal = 1\nby = { channel = "sms" }', "no lead began"),
        ('kpi = "cac"\ngoal = 1\ncurrency = "USD"', "no money is told of it in USD"),
        ('kpi = "roas"\ngoal = 1\nby = { channel = "sms" }', "nothing is known of channel 'sms'"),
        ('kpi = "ltv_to_cac"\ngoal = 3', "no gross margin was given"),
    ],
)
def test_without_data_the_reason_is_told(tmp_path: Path, text: str, reason: str) -> None:
    row = row_of(tmp_path, f"[[target]]\n{text}\n")

    assert ("no data", None, None) == (row["state"], row["actual"], row["gap"])
    assert reason in row["reason"]


def test_a_benchmark_stands_beside_our_figure_and_sets_no_goal(tmp_path: Path) -> None:
    claim = '[[benchmark]]\nname = "x"\nkpi = "win_rate"\nvalue = 0.3\nsource = "y"\n'
    document = answered(tmp_path, claim)
    (row,) = document["targets"]

    assert ("no goal", None, 0.5) == (row["state"], row["goal"], row["actual"])
    assert [{"name": "x", "value": 0.3, "source": "y"}] == row["benchmarks"]
    assert 0 == document["met"] + document["missed"] + document["no_data"]
    with_goal = answered(tmp_path, claim + '[[target]]\nkpi = "win_rate"\ngoal = 0.4\n')
    assert ["x"] == [one["name"] for one in with_goal["targets"][0]["benchmarks"]]


# --- the registry -------------------------------------------------------------------------------


def test_a_figure_of_another_question_can_be_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DOCUMENTS, "answer", lambda *_: {"days": 7})

    def days(document: dict[str, Any], _: Scope) -> Actual:
        return Actual(Fraction(document["days"]))

    kpi = Kpi("wait", "days", "ratio", higher_is_better=False, document="answer", read=days)
    monkeypatch.delitem(KPIS, "wait", raising=False)
    register(kpi)
    try:
        assert "met" == row_of(tmp_path, '[[target]]\nkpi = "wait"\ngoal = 7')["state"]
        with pytest.raises(ValueError, match="already"):
            register(kpi)
    finally:
        del KPIS["wait"]


def test_every_figure_has_a_question_and_a_meaning() -> None:
    for kpi in KPIS.values():
        assert kpi.document in DOCUMENTS
        assert kpi.meaning
        assert kpi.dimensions


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    program = CommandLine(tmp_path, monkeypatch)
    program("init")
    touched = {"person": {"email": "ada@example.com"}, "touch": MAIL, "kind": "contact"}
    won = {"opportunity": "o", "amount": "90.00", "currency": "EUR"}
    program.write(
        "events.jsonl",
        event("1", "form.submitted", "2026-01-05T09:00:00Z", touched),
        event("2", "deal.won", "2026-01-06T09:00:00Z", won),
    )
    program("ingest", "events.jsonl")
    program("project")
    return program


def test_targets_are_those_of_the_folder_or_of_an_option(leadflow: CommandLine) -> None:
    told = leadflow("targets", code=2)
    assert "write targets.toml" in " ".join(told.stderr.split())
    written(leadflow.folder, '[[target]]\nkpi = "win_rate"\ngoal = 0.5\n')

    assert 1 == leadflow.json("targets")["met"]
    assert 1 == leadflow.json("targets", "--as-of", "2026-01-05")["no_data"]
    assert 0 == leadflow.json("targets", "--targets", str(EXAMPLES / "benchmarks.toml"))["met"]
    assert "1 met, 0 missed" in leadflow("targets").stdout


def test_check_tells_what_is_wrong_and_fails(leadflow: CommandLine) -> None:
    path = written(leadflow.folder, '[[target]]\nkpi = "win_rat"\ngoal = 0.5\n')
    assert "targets.toml:2:" in leadflow("targets", "check", str(path), code=1).stderr
    (problem,) = json.loads(leadflow("targets", "check", "--json", code=1).stdout)["problems"]
    assert ("target.0.kpi", 2) == (problem["key"], problem["line"])
    assert "targets.toml:2:" in leadflow("targets", code=1).stderr
    good = leadflow("targets", "check", str(EXAMPLES / "benchmarks.toml")).stdout
    assert "is valid: 0 targets, 5 benchmarks" in " ".join(good.split())


def test_every_figure_is_listed(leadflow: CommandLine) -> None:
    assert list(KPIS) == [row["kpi"] for row in leadflow.json("targets", "kpis")["kpis"]]
    assert "win_rate" in leadflow("targets", "kpis").stdout


# --- economics by the command line --------------------------------------------------------------


def test_economics_are_asked_by_options(leadflow: CommandLine) -> None:
    (leadflow.folder / "salaries.csv").write_text(
        "day,amount,currency,what\n2026-01-01,50,EUR,ads\n"
    )
    leadflow.write(
        "spend.jsonl",
        {
            "specversion": "1.0",
            "source": "/ads",
            "id": "s",
            "type": "spend.recorded",
            "time": "2026-01-05T00:00:00Z",
            "data": {"day": "2026-01-05", "amount": "30.00", "currency": "EUR", **MAIL},
        },
    )
    leadflow("ingest", "spend.jsonl")
    leadflow("project")
    words = ("economics", "--by", "campaign", "--gross-margin", "0.3")
    loaded = ("--fully-loaded", "salaries.csv", "--overhead", "10.00", "EUR")
    (row,) = leadflow.json(*words, *loaded)["rows"]
    (told,) = row["money"]

    assert ("news", "30.00", "90.00", "30.00", "90.00") == (
        row["value"],
        *(told[name] for name in ("spend", "revenue", "cac", "cac_fully_loaded")),
    )
    assert (3.0, "-3.00", -0.1) == (
        told["roas"],
        told["contribution"],
        told["contribution_on_spend"],
    )
    assert Decimal(told["cac"]) == Decimal(leadflow.json("sources")["rows"][0]["cac"])
    shown = leadflow(*words, *loaded, "--arpa", "10", "EUR", "--churn", "0.05").stdout
    assert "it pays above a ROAS of 3.33" in shown
    assert "60.00 EUR" in shown
    assert "linear" in leadflow(*words, "--compare").stdout
    assert ["first", "last"] == leadflow.json("economics", "--models", "first,last")["models"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gross-margin", "30"), "--gross-margin: '30' is no rate above 0"),
        (("--gross-margin", "x"), "write 0.3 for 30 %"),
        (("--churn", "-1"), "from 0 to 1"),
        (("--overhead", "5,5", "EUR"), "is not a plain decimal"),
        (("--arpa", "5", "euro"), "three capital letters"),
        (("--by", "party"), "there are channel, source, campaign"),
        (("--model", "best"), "unknown model 'best'"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), "--from is not before --to"),
    ],
)
def test_an_option_that_makes_no_sense_is_misuse(
    leadflow: CommandLine, words: tuple[str, ...], said: str
) -> None:
    shown = leadflow("economics", *words, code=2).stderr
    assert said in " ".join(shown.replace("│", " ").split())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("day,amount\n2026-01-01,5\n", "x.csv:1: has no column 'currency'"),
        ("day,amount,currency\nMay,5,EUR\n", "x.csv:2: day = 'May' is no day"),
        ("day,amount,currency\n2026-01-01,5.001,EUR\n", "x.csv:2: amount"),
        ("day,amount,currency\n2026-01-01\n", "x.csv:2: currency"),
        ('day,amount,currency\n2026-01-01,"5,EUR\n', "x.csv:2: unexpected end"),
    ],
)
def test_a_file_of_overheads_is_refused_by_line(
    leadflow: CommandLine, content: str, said: str
) -> None:
    (leadflow.folder / "x.csv").write_text(content)

    assert said in leadflow("economics", "--fully-loaded", "x.csv", code=1).stderr


@pytest.mark.parametrize("text", ["a = " + "[" * 3_000, "a = " + "9" * 6_000])
def test_what_the_parser_gives_up_on_is_no_bug(tmp_path: Path, text: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(text)

    with pytest.raises(TargetsInvalid, match="beyond what such a document can need"):
        load_targets(path)
