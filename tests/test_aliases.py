"""Other names of the stages: each stands for one code, in any writing."""

import pytest

from domain.aliases import ALIASES, UnknownStage, code_of
from domain.stages import STAGES


def test_every_code_stands_for_itself() -> None:
    for stage in STAGES:
        assert code_of(stage) == code_of(stage.upper()) == stage


def test_every_name_of_every_vocabulary_is_known_in_any_case() -> None:
    for names in ALIASES.values():
        for name, code in names.items():
            assert code in STAGES
            assert code_of(name) == code_of(name.upper()) == code_of(name.lower()) == code
            assert code_of(f" {name.replace(' ', '_')} ") == code


def test_no_name_stands_for_two_codes() -> None:
    """One word typed by a person means one stage, whichever house the person comes from."""
    codes: dict[str, set[str]] = {}
    for names in ALIASES.values():
        for name, code in names.items():
            codes.setdefault(name.lower(), set()).add(code)

    assert {name: found for name, found in codes.items() if len(found) > 1} == {}


def test_the_houses_have_all_their_stages() -> None:
    assert len(ALIASES["HubSpot"]) == 8
    assert len(ALIASES["Pardot"]) == 5
    assert {"inquiry", "AQL", "TAL", "TQL", "TGL", "SAL", "SGL", "SQL"} <= set(
        ALIASES["SiriusDecisions"]
    )


@pytest.mark.parametrize(
    "name, code",
    [
        ("inquiry", "captured"),
        ("Marketing-Qualified Lead", "mql"),
        ("tgl", "sgl"),
        ("Customer", "won"),
        ("MQO", "mqo"),
        ("marketing qualified opportunity", "mqo"),
    ],
)
def test_a_name_stands_for_the_nearest_stage(name: str, code: str) -> None:
    assert code_of(name) == code


@pytest.mark.parametrize(
    "name, words",
    [
        ("inquirie", "did you mean inquiry?"),
        ("custmer", "did you mean customer?"),
        ("colour", "stages: captured, mqo"),
        ("", "stages: captured, mqo"),
    ],
)
def test_what_stands_for_nothing_is_refused_with_what_is_near(name: str, words: str) -> None:
    with pytest.raises(UnknownStage, match="neither a stage nor another name of one") as caught:
        code_of(name)
    assert words in str(caught.value)
