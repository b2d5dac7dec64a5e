"""Policies from the command line: publish one, and ask which was in force, when and why."""

from importlib.resources import files
from pathlib import Path

import pytest

from leadflow.policy_diff import diff
from tests.command_line import CommandLine, event

DEFAULT = files("leadflow").joinpath("policy.toml").read_text("utf-8")
WHO = ("--by", "Ada Byron", "--reason", "agreed in March")


@pytest.fixture
def leadflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def written(leadflow: CommandLine, name: str, *changes: tuple[str, str]) -> str:
    """Write the default policy with *changes*, and return the file's name."""
    text = DEFAULT.replace('name = "default"', f'name = "{name}"')
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (leadflow.folder / f"{name}.toml").write_text(text, "utf-8")
    return f"{name}.toml"


def lower(leadflow: CommandLine, name: str = "ours", threshold: int = 40) -> str:
    return written(leadflow, name, ("mql.engagement = 50", f"mql.engagement = {threshold}"))


def test_a_policy_is_published_with_who_why_and_what_changes(leadflow: CommandLine) -> None:
    told = leadflow.json("policy", "publish", lower(leadflow), *WHO, "--approved-by", "Sales")
    assert ["name", "stages.mql.engagement"] == [one["key"] for one in told["changes"]]
    assert (50, 40) == (told["changes"][1]["before"], told["changes"][1]["after"])
    assert told["published"]
    listed = leadflow.json("policy", "list")["policies"]
    assert [(1, False), (2, True)] == [(one["number"], one["in_force"]) for one in listed]
    assert listed[0]["in_force_until"] == listed[1]["in_force_from"] == told["in_force_from"]
    assert ("Ada Byron", "agreed in March", ["Sales"]) == (
        listed[1]["by"],
        listed[1]["reason"],
        listed[1]["approved_by"],
    )
    people = leadflow("policy", "list").stdout
    assert "Ada Byron, Sales" in people
    assert "agreed in March" in people


def test_decisions_after_a_publication_cite_it_whatever_file_is_configured(
    leadflow: CommandLine,
) -> None:
    leadflow("policy", "publish", lower(leadflow), *WHO)
    other = lower(leadflow, "other", 30)
    form = event("1", "form.submitted", "2026-01-05T09:00:00Z", {"kind": "content"})
    leadflow("ingest", leadflow.write("one.jsonl", form), "--policy", other)
    version = leadflow.json("policy", "show")["policy"]
    assert version.startswith("ours@")
    told = leadflow.json("lead", "timeline", "ada@example.com")["events"][0]
    cited = {one["policy"] for one in told["decisions"]}
    assert {version} == cited


def test_a_dry_run_shows_the_same_and_publishes_nothing(leadflow: CommandLine) -> None:
    file = lower(leadflow)
    dry = leadflow("policy", "publish", file, *WHO, "--dry-run").stdout
    assert "stages.mql.engagement: 50 becomes 40" in dry
    assert not (leadflow.folder / "leadflow.db").exists()
    leadflow("policy", "publish", file, *WHO)
    assert "dry run" not in leadflow("policy", "list").stdout
    leadflow("policy", "publish", file, *WHO, "--dry-run", code=1)


def test_what_is_unchanged_or_invalid_is_not_published(leadflow: CommandLine) -> None:
    file = lower(leadflow)
    leadflow("policy", "publish", file, *WHO)
    before = leadflow.json("policy", "list")
    again = leadflow("policy", "publish", file, *WHO, code=1)
    assert "is in force already" in again.stderr
    wrong = written(leadflow, "wrong", ("criteria_needed = 2", "criteria_needed = 9"))
    refused = leadflow("policy", "publish", wrong, *WHO, code=1)
    assert "stages.criteria_needed: 9 is more than" in refused.stderr
    leadflow("policy", "publish", wrong, "--by", " ", "--reason", "x", code=2)
    leadflow("policy", "publish", file, code=2)
    assert before == leadflow.json("policy", "list")


def test_the_file_in_use_can_be_published_itself(leadflow: CommandLine) -> None:
    (leadflow.folder / "policy.toml").write_text(DEFAULT.replace("= 50", "= 45", 1), "utf-8")
    told = leadflow("policy", "publish", "policy.toml", *WHO).stdout
    assert "is in force from the beginning" in told
    assert [1] == [one["number"] for one in leadflow.json("policy", "list")["policies"]]
    leadflow("policy", "publish", "policy.toml", *WHO, code=1)


def test_the_policy_of_any_time_and_version_is_shown(leadflow: CommandLine) -> None:
    first = leadflow.json("policy", "show")
    leadflow("policy", "publish", lower(leadflow), *WHO)
    now, then = (
        leadflow.json("policy", "show"),
        leadflow.json("policy", "show", "--as-of", "2020-01-01"),
    )
    assert first["policy"] == then["policy"] != now["policy"]
    assert now["policy"] == leadflow.json("policy", "show", "--version", "2")["policy"]
    assert then["document"] == leadflow.json("policy", "show", "--version", "default")["document"]
    assert "engagement 40 or more" in leadflow("policy", "show").stdout
    unknown = leadflow("policy", "show", "--version", "9", code=1)
    assert "leadflow policy list" in unknown.stderr
    leadflow("policy", "show", "ours.toml", "--version", "2", code=2)


def test_differences_are_told_between_files_and_versions(leadflow: CommandLine) -> None:
    ours = lower(leadflow)
    others = written(leadflow, "theirs", ("product = 30", "product = 25"))
    assert {"name", "engagement.groups.product"} == {
        one["key"] for one in leadflow.json("policy", "diff", others)["changes"]
    }
    leadflow("policy", "publish", ours, *WHO)
    between = leadflow.json("policy", "diff", "1", others)
    assert [25] == [one["after"] for one in between["changes"] if one["key"] != "name"]
    assert [] == leadflow.json("policy", "diff", "2", ours)["changes"]
    assert "nothing changes" in leadflow("policy", "diff", ours).stdout
    back = leadflow("policy", "diff", "--policy", others).stdout  # in force against configured
    assert "stages.mql.engagement: 40 becomes 50" in back


def test_status_and_doctor_tell_which_is_in_force_and_what_the_file_says(
    leadflow: CommandLine,
) -> None:
    leadflow("init", "--no-topics")
    assert not leadflow.json("status")["policy"]["differs"]
    leadflow("policy", "publish", lower(leadflow), *WHO)
    assert {0} == {one["lag"] for one in leadflow.json("status")["read_models"]}
    status = leadflow.json("status")
    assert (False, 0) == (status["policy"]["differs"], status["decisions"])
    other = lower(leadflow, "other", 30)
    assert "other.toml says otherwise" in leadflow("status", "--policy", other).stdout
    checks = {
        one["name"]: one for one in leadflow.json("doctor", "--policy", other, code=3)["checks"]
    }
    assert "finding" == checks["policy in force"]["state"]
    assert "policy publish other.toml" in checks["policy in force"]["mend"]


def test_a_list_tells_what_came_and_went_and_rules_go_by_their_names() -> None:
    def document(*rules: str, types: list[str]) -> dict[str, object]:
        return {"fit": {"rules": [{"name": name, "types": types} for name in rules]}}

    before = document("a", "b", types=["x", "y"])
    assert [] == diff(before, before)
    assert ["fit.rules: in another order: b, a"] == [
        str(one) for one in diff(before, document("b", "a", types=["x", "y"]))
    ]
    told = [str(one) for one in diff(before, document("b", "c", types=["y", "z"]))]
    assert told == [
        'fit.rules[a]: gone: { name = "a", types = ["x", "y"] }',
        'fit.rules[b].types: without ["x"], with ["z"]',
        'fit.rules[c]: new: { name = "c", types = ["y", "z"] }',
    ]
    orders = [str(one) for one in diff({"a": [1, 2]}, {"a": [2, 1]})]
    assert ["a: in another order"] == orders
