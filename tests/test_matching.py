"""How alike names, addresses and companies are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadflow.matching import (
    ABBREVIATED,
    CLOSE,
    DIFFERENT,
    DOMAIN,
    KINDRED,
    LOOK_ALIKE,
    MISSPELT,
    PARTIAL,
    REORDERED,
    SAME,
    SAME_LOCAL,
    VARIANT,
    address_fits_name,
    address_of,
    company_key,
    compare_addresses,
    compare_names,
    name_parts,
    skeleton,
)

NAMES = st.text(st.sampled_from("abcdeöüé 山田太郎김민수・.-'ｱ0"), max_size=12)
LOCALS = st.from_regex(r"[a-z0-9]{1,6}([._-][a-z0-9]{1,6})?(\+[a-z]{1,3})?", fullmatch=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("山田 太郎", "太郎 山田"),
        ("山田 太郎", "山田太郎"),
        ("山田　太郎", "山田・太郎 様"),
        ("髙橋花子", "高橋 花子さん"),
        ("ジョン・スミス", "ｼﾞｮﾝ ｽﾐｽ"),
        ("김민수", "민수 김"),
        ("김민수", "김 민수 님"),
        ("Ada Lovelace", "LOVELACE, Ada"),
        ("Dr. Ada Lovelace", "Mrs Ada Lovelace"),
        ("Jörg Müller", "Joerg Mueller"),
        ("Zoé Łucka", "Zoe Lucka"),
        ("Søren O'Hara", "soren ohara"),
        ("Ａｄａ Ｌｏｖｅｌａｃｅ", "ada lovelace"),  # noqa: RUF001 - full width is what is tried
    ],
)
def test_form_and_order_make_no_other_name(one: str, other: str) -> None:
    assert SAME == compare_names(one, other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Catherine Petit", "Katherine Petit", CLOSE),
        ("Ada Lindqvist", "Ada Lindqvst", CLOSE),
        ("J. Smith", "John Smith", PARTIAL),
        ("Jon A. Rowan", "Jon Rowan", PARTIAL),
        ("Hans Weber", "Karl Weber", KINDRED),
        ("山田 太郎", "山田 花子", KINDRED),
        ("Wanda Weir", "Otis Kestrel", DIFFERENT),
        ("김민수", "박서연", DIFFERENT),
        ("Ada", "Ada Lovelace", None),
        ("Taro Yamada", "山田 太郎", None),
        ("", "Ada Lovelace", None),
    ],
)
def test_names_compare_by_their_parts(one: str, other: str, expected: str | None) -> None:
    assert expected == compare_names(one, other)


@given(NAMES, NAMES)
def test_comparing_names_has_no_direction(one: str, other: str) -> None:
    assert compare_names(one, other) == compare_names(other, one)


@given(NAMES)
def test_a_name_is_the_same_as_itself_unless_it_says_nothing(name: str) -> None:
    assert (SAME if name_parts(name) else None) == compare_names(name, name)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("ada.lind@a.example", "adalind@a.example", VARIANT),
        ("ada.lind@a.example", "ada.lind+fair@a.example", VARIANT),
        ("burns.ada@a.example", "bums.ada@a.example", LOOK_ALIKE),
        ("ada.lind@a.example", "\u0430da.lind@a.example", LOOK_ALIKE),
        ("paul@pump.example", "pau1@pump.example", LOOK_ALIKE),
        ("ada.lind@gmail.example", "ada.lind@gmial.example", DOMAIN),
        ("ada.lind@modern.example", "ada.lind@modem.example", DOMAIN),
        ("ada.lind@a.example", "ada.lidn@a.example", MISSPELT),
        ("lind.ada@a.example", "ada.lind@a.example", REORDERED),
        ("j.smith@a.example", "john.smith@a.example", ABBREVIATED),
        ("jsmith@a.example", "john.smith@a.example", ABBREVIATED),
        ("ada.lind@a.example", "ada.lind@b-other.example", SAME_LOCAL),
        ("h.weber@a.example", "k.weber@a.example", None),
        ("hweber@a.example", "kweber@a.example", None),
        ("user1@a.example", "user2@a.example", None),
        ("info@a.example", "info@b-other.example", None),
        ("ada@a.example", "ada@b-other.example", None),
        ("ada@a.example", "otis@a.example", None),
    ],
)
def test_addresses_resemble_each_other_in_one_way(
    one: str, other: str, expected: str | None
) -> None:
    assert expected == compare_addresses(one, other)
    assert expected == compare_addresses(other, one)


@given(LOCALS, LOCALS)
def test_comparing_addresses_has_no_direction(one: str, other: str) -> None:
    mine, yours = f"{one}@a.example", f"{other}@a.example"

    assert compare_addresses(mine, yours) == compare_addresses(yours, mine)


@given(LOCALS)
def test_a_skeleton_is_no_longer_than_what_it_stands_for(local: str) -> None:
    assert len(skeleton(local)) <= len(local)
    assert skeleton(local) == skeleton(local.upper())


def test_an_address_may_be_made_of_a_name() -> None:
    assert address_fits_name("a.lovelace@a.example", "Ada Lovelace")
    assert address_fits_name("lovelace_ada@a.example", "Ada Lovelace")
    assert not address_fits_name("b.lovelace@a.example", "Ada Lovelace")
    assert not address_fits_name("ada@a.example", "Ada")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme, Inc.", "ACME"),
        ("Birch Works GmbH", "birch works"),
        ("The Pump Co. Ltd", "Pump"),
        ("株式会社山田製作所", "山田製作所"),
        ("(株)山田製作所", "山田製作所"),
    ],
)
def test_the_legal_form_makes_no_other_company(one: str, other: str) -> None:
    assert company_key(one) == company_key(other)


def test_a_company_of_legal_forms_alone_keeps_its_name() -> None:
    assert "as co" == company_key("AS & Co")


def test_functions_have_mailboxes_that_are_nobodys() -> None:
    assert address_of("info@a.example").is_role
    assert address_of("no.reply+x@a.example").is_role
    assert not address_of("ada.lind@a.example").is_role
