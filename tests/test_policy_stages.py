"""The stages and the qualification of a policy document: read, refused with reasons, told."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from domain.counts import ACTS, COUNTS, Act, Count
from domain.policy import DAY, Policy
from domain.qualification import BANT, CHAMP, Framework
from domain.stages import CONTENT_LED, DEFAULT, PACKS, TWO_STAGE
from leadflow.policies import PolicyInvalid, parse_policy, policy_of, render

DOCUMENT = files("leadflow").joinpath("policy.toml").read_text("utf-8")
ACT = '[[stages.acts]]\nname = "download"\ntypes = ["content.downloaded"]\n'
COUNT = (
    '[[stages.counts]]\nname = "guide"\ntypes = ["content.opened"]\ncount = 3\nwithin_days = 14\n'
)
MEDDIC = (
    "[qualification.frameworks.meddic]\n"
    'criteria = ["metrics", "champion", "pain"]\n'
    'aliases = { need = "pain" }\n'
)


def written(pack: str = "default", more: str = "", **lines: str) -> str:
    """Return the default policy with another *pack*, other *lines* by key, and *more* tables."""
    text = DOCUMENT.replace('pack = "default"', f'pack = "{pack}"', 1)
    for key, value in lines.items():
        old = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
        text = text.replace(old, f"{key} = {value}", 1)
    return text + "\n" + more


def problems(text: str) -> list[tuple[str | None, str, str]]:
    """Return key, problem and mend of everything that is wrong with *text*; each has its line."""
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text)
    found = caught.value.problems
    assert all(one.line for one in found)
    return [(one.key, f"{one.value} {one.problem}", one.mend) for one in found]


@pytest.mark.parametrize("name", PACKS)
def test_a_policy_chooses_its_pack(name: str) -> None:
    policy = parse_policy(written(name))

    assert policy.pack is PACKS[name]
    assert (policy.acts, policy.counts, policy.framework) == (ACTS, COUNTS, BANT)
    assert policy_of(policy.document) == policy


def test_a_policy_from_before_there_were_packs_is_still_one() -> None:
    text = DOCUMENT.replace('pack = "default"\n', "").replace(
        '[qualification]\nframework = "bant"\n', ""
    )

    assert parse_policy(text).pack is DEFAULT
    assert parse_policy(text).framework is BANT


def test_acts_and_counts_are_those_of_the_policy() -> None:
    acted = parse_policy(written("two_stage", ACT + 'where = { topic = ["a", "b"] }\n'))
    counted = parse_policy(written("content_led", COUNT + 'distinct = "content"\n'))

    assert acted.pack is TWO_STAGE
    assert acted.acts == (Act("download", ("content.downloaded",), (("topic", ("a", "b")),)),)
    assert counted.pack is CONTENT_LED
    assert counted.counts == (Count(Act("guide", ("content.opened",)), 3, 14 * DAY, "content"),)


def test_a_framework_of_ones_own_is_chosen_by_name() -> None:
    own = parse_policy(written(more=MEDDIC, framework='"meddic"', criteria_needed="3"))

    assert own.framework == Framework("meddic", ("metrics", "champion", "pain"), {"need": "pain"})
    assert own.criteria_needed == 3
    assert parse_policy(written(framework='"champ"')).framework is CHAMP
    assert parse_policy(written(more=MEDDIC)).framework is BANT


WRONG = [
    (written("two_stages"), "stages.pack", "is not a pack", 'write "two_stage"'),
    (written("mine"), "stages.pack", "is not a pack", "default, siriusdecisions, two_stage"),
    (written(more=ACT), "stages.acts", "pack two_stage alone", 'pack = "two_stage"'),
    (written("two_stage", COUNT), "stages.counts", "pack content_led alone", "take it out"),
    (written("two_stage", ACT.replace("downloaded", "downloded")), "stages.acts[0].types[0]",
     "not a type of the vocabulary", '"content.downloaded"'),
    (written("two_stage", ACT.replace('"content.downloaded"', "")), "stages.acts[0].types",
     "can never fire", "types = "),
    (written("two_stage", ACT + "count = 2\n"), "stages.acts[0].count", "not a known key", "name"),
    (written("two_stage", ACT + 'where = { "data.kind" = "x" }\n'),
     "stages.acts[0].where.data.kind", "is a path", '"kind"'),
    (written("content_led", COUNT.replace("count = 3", "count = 0")), "stages.counts[0].count",
     "less than 1", "count = 3"),
    (written("content_led", COUNT.replace("within_days = 14\n", "")),
     "stages.counts[0].within_days", "is missing", "within_days = 30"),
    (written("content_led", COUNT.replace("= 14", "= -1")), "stages.counts[0].within_days",
     "not above 0", "within_days = 30"),
    (written("two_stage", "", auto_advance="true\nacts = []"), "stages.acts", "is empty",
     "take the key out"),
    (written(framework='"bandt"'), "qualification.framework", "not a framework", 'write "bant"'),
    (written(framework='"meddic"'), "qualification.framework", "not a framework",
     "[qualification.frameworks.meddic]"),
    (written(more=MEDDIC.replace("meddic]", "BANT]")), "qualification.frameworks.BANT",
     "is a framework that every policy knows", "a name of its own"),
    (written(more=MEDDIC.replace("meddic]", '" "]')), "qualification.frameworks. ",
     "is no name", "64 characters"),
    (written(more=MEDDIC.replace("meddic]", "bant]")), "qualification.frameworks.bant",
     "every policy knows", "name of its own"),
    (written(more=MEDDIC.replace('"pain"]', '"Pain Point"]')),
     "qualification.frameworks.meddic.criteria[2]", "lower case", '"pain_point"'),
    (written(more=MEDDIC.replace('"pain"]', '"metrics"]')),
     "qualification.frameworks.meddic.criteria[2]", "twice", "take it out"),
    (written(more=MEDDIC.replace('= "pain"', '= "pane"')),
     "qualification.frameworks.meddic.aliases.need", "not a criterion", "metrics, champion, pain"),
    (written(more=MEDDIC.replace("need =", "metrics =")),
     "qualification.frameworks.meddic.aliases.metrics", "is a criterion itself", "take the alias"),
    (written(more=MEDDIC.replace('criteria = ["metrics", "champion", "pain"]', "criteria = []")),
     "qualification.frameworks.meddic.criteria", "is empty", "criteria = "),
    (written(more=MEDDIC, framework='"meddic"', criteria_needed="4"), "stages.criteria_needed",
     "is more than 3, which is all that meddic asks", "criteria_needed = 2"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text, key, problem, mend", WRONG, ids=[f"{n}-{w[1]}" for n, w in enumerate(WRONG)]
)
def test_a_wrong_document_is_refused_with_line_key_and_mend(
    text: str, key: str, problem: str, mend: str
) -> None:
    found = {one[0]: one[1:] for one in problems(text)}

    assert key in found
    assert problem in found[key][0]
    assert mend in found[key][1]


def test_what_the_guide_shows_of_stages_and_qualification_can_be_written() -> None:
    guide = (Path(__file__).resolve().parents[1] / "docs" / "howto" / "policy.md").read_text(
        "utf-8"
    )
    acts, counts, own = re.findall(
        r"```toml\n(\[(?:\[stages|qualification).*?)```", guide, re.DOTALL
    )
    without = DOCUMENT.replace('[qualification]\nframework = "bant"\n', "")

    assert len(parse_policy(written("two_stage", acts)).acts) == 1
    assert len(parse_policy(written("content_led", counts)).counts) == 1
    assert parse_policy(without + "\n" + own).framework.name == "meddic"


def told(policy: Policy) -> str:
    """Return what is told of the stages of *policy*, in one line."""
    return " ".join(render(policy).partition("Grades")[0].split())


def test_what_a_pack_asks_for_is_told_in_words() -> None:
    assert "mql fit grade C or better (fit 25 or more) and engagement 50 or more" in told(
        parse_policy(written())
    )
    staged = told(parse_policy(written("two_stage")))
    assert "mql one act: download (content.downloaded) or one act: webinar" in staged
    assert "sql a request: demo, pricing, quote or contact or fit grade C" in staged
    reading = told(parse_policy(written("content_led", COUNT + 'distinct = "content"\n')))
    assert "3 times guide (content.opened) within 14 days, each content once" in reading
    own = told(parse_policy(written(more=MEDDIC, framework='"meddic"')))
    assert "2 of 3 criteria satisfied (meddic: metrics, champion, pain)" in own
    manual = told(parse_policy(written("two_stage", auto_advance="false")))
    assert "mql only when a producer says so: auto_advance is off" in manual
