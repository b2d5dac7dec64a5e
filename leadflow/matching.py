"""How alike two names, addresses or companies are: plain functions over strings.

Nothing here decides that two leads are one person. What comes out are keys by which records can be
brought together without comparing each with each, and words for how two of them resemble.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA

_HONORIFICS: Final = frozenset(
    """
    mr mrs ms miss mx sir dr prof professor ing herr frau hr fr dipl mag mme mlle monsieur madame
    sr sra don dona dott sig signor signora jr phd md mba bsc msc esq ii iii
    """.split()
)
_CJK_HONORIFICS: Final = (
    "先生",
    "さん",
    "さま",
    "選手",
    "小姐",
    "女士",
    "様",
    "殿",
    "氏",
    "님",
    "씨",
)
_VARIANTS: Final = str.maketrans(
    "髙﨑邉邊齋齊澤濵濱廣國嶋嶌德栁冨眞惠櫻瀧龍關淵渕",
    "高崎辺辺斎斉沢浜浜広国島島徳柳富真恵桜滝竜関淵淵",
)
"""Characters of Japanese family names that offices write in two ways."""

_LETTERS: Final = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th"})
_LOOK_ALIKE: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "5": "s", "8": "b"})
_ROLES: Final = frozenset(
    """
    abuse accounting accounts admin billing bookings buchhaltung buero business careers contact
    contacto einkauf enquiries events facturacion finance hello help helpdesk hi hr info
    informacion invoice invoices it jobs kontakt legal mail marketing media newsletter news no-reply
    noreply office order orders postmaster press presse privacy purchasing reception rechnung sales
    sekretariat service services shop support team tech test vertrieb webmaster
    """.split()
)
_LEGAL_FORMS: Final = frozenset(
    """
    ab ag as asa bv co company corp corporation gmbh inc incorporated kg kk limited llc llp ltd mbh
    nv oy plc pty sa sarl sas se sl spa srl the
    """.split()
)
_CJK_FORMS: Final = re.compile(r"株式会社|有限会社|合同会社|주식회사|有限公司|\(株\)|\(有\)|\(주\)")

SAME, CLOSE, PARTIAL, KINDRED, DIFFERENT = "same", "close", "partial", "kindred", "different"
"""How two names compare: equal but for form; but for a slip of the pen; one is short for the other;
one part in common and another not, as in a family; nothing in common."""


def is_cjk(text: str) -> bool:
    """Return whether *text* holds a character of Chinese, Japanese or Korean."""
    return any(
        "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3"
        for c in text
    )


@lru_cache(maxsize=65536)
def name_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a person's name as they are compared, sorted; () where none is left.

    Width, case, accents, honorifics and order do not count. A name in Chinese, Japanese or Korean
    is one part, whose characters are turned until the least comes first: 山田 太郎, 太郎 山田 and
    山田太郎 are the same, and no dictionary of family names is needed to see it.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    if is_cjk(text):
        text = re.sub(r"\([^)]*\)", "", text)
        text = "".join(c for c in text if c.isalpha() or c == "ー").translate(_VARIANTS)
        for honorific in _CJK_HONORIFICS:
            if text.endswith(honorific) and len(text) > len(honorific) + 1:
                text = text.removesuffix(honorific)
                break
        return (min(text[n:] + text[:n] for n in range(len(text))),) if text else ()
    words = re.findall(r"[^\W\d_]+", plain(text).replace("'", "").replace("\u2019", ""))
    parts = [re.sub(r"([aou])e", r"\1", word) for word in words if word not in _HONORIFICS]
    return tuple(sorted(parts))


def plain(text: str) -> str:
    """Return *text* in lower case without accents; letters of other scripts stay."""
    text = unicodedata.normalize("NFKD", text.casefold()).translate(_LETTERS)
    return "".join(c for c in text if not unicodedata.combining(c))


def compare_names(one: str, other: str) -> str | None:
    """Return how two names compare: same, close, partial, kindred or different.

    None where either says nothing.
    """
    mine, yours = name_parts(one), name_parts(other)
    if not mine or not yours:
        return None
    if mine == yours or "".join(mine) == "".join(yours):
        return SAME
    if is_cjk(mine[0]) or is_cjk(yours[0]):
        return _compare_cjk(mine, yours)
    fewer, more = sorted((mine, yours), key=len)
    left = list(more)
    grades = []
    # whole words first, so that an initial does not take the word of another part
    for part in sorted(fewer, key=lambda word: (word not in left, -len(word))):
        best = max(left, key=lambda word: _alike(part, word), default="")
        grade = _alike(part, best) if best else 0
        if grade:
            left.remove(best)
        grades.append(grade)
    whole = sum(1 for grade in grades if grade == _WHOLE)
    if 0 in grades:
        return KINDRED if whole else DIFFERENT
    if _INITIAL in grades or left:
        # "Ada" alone, or "A. L.", names too many
        return PARTIAL if whole and len(fewer) > 1 else None
    return CLOSE


_WHOLE, _SLIP, _INITIAL = 3, 2, 1


def _alike(one: str, other: str) -> int:
    if one == other:
        return _WHOLE
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) == 1:
        return _INITIAL if longer.startswith(shorter) else 0
    slips = 0 if len(shorter) < 4 else 1 if len(shorter) < 8 else 2
    if slips and OSA.distance(one, other, score_cutoff=slips) <= slips:
        return _SLIP
    return 0


def _compare_cjk(mine: tuple[str, ...], yours: tuple[str, ...]) -> str | None:
    one, other = "".join(mine), "".join(yours)
    if is_cjk(one) != is_cjk(other):
        return None  # one is a transcription, perhaps of the other
    shared = len(set(one) & set(other))
    # three characters of four: a slip of a keyboard that guesses characters
    if len(one) == len(other) >= 4 and shared >= len(set(one)) - 1:
        return CLOSE
    return KINDRED if shared else DIFFERENT


# --- addresses ----------------------------------------------------------------------------------


class Address(NamedTuple):
    """An e-mail address, taken apart."""

    local: str
    """What stands before the @."""
    domain: str
    bare: str
    """The local part without ``+tag``, dots, hyphens and underscores."""
    words: tuple[str, ...]
    """The words of the local part, sorted."""
    looks: str
    """The skeleton of the bare local part."""
    is_role: bool
    """Whether the mailbox is a function's, such as ``info`` or ``sales``, not a person's."""


@lru_cache(maxsize=131_072)
def address_of(address: str) -> Address:
    """Return an e-mail address taken apart."""
    local, _, domain = address.lower().rpartition("@")
    bare = bare_local(local)
    words = tuple(sorted(word for word in re.split(r"[._-]+", _untagged(local)) if word))
    is_role = _untagged(local) in _ROLES or bare in _ROLES
    return Address(local, domain, bare, words, skeleton(bare), is_role)


def _untagged(local: str) -> str:
    return local.partition("+")[0] or local


def bare_local(local: str) -> str:
    """Return a local part without ``+tag``, dots, hyphens and underscores."""
    head = _untagged(local)
    return re.sub(r"[._-]", "", head) or head


@lru_cache(maxsize=65536)
def skeleton(text: str) -> str:
    """Return *text* with each character replaced by the plainest that looks like it.

    Equal skeletons are easily taken for each other: U+0430 (Cyrillic) for a, 0 for o, 1 and I for l,
    rn for m, vv for w. (The idea and the table are those of Unicode, UTS 39.)
    """
    text = plain(unicodedata.normalize("NFKC", text))
    if not text.isascii():
        text = "".join(c if c.isascii() else _look_alikes().get(c, c) for c in text)
    return text.replace("rn", "m").replace("vv", "w").replace("cl", "d").translate(_LOOK_ALIKE)


@lru_cache(maxsize=1)
def _look_alikes() -> dict[str, str]:
    """Return the letters of other scripts that look like one or two of ASCII."""
    # 70 ms, and most address books never need it
    from confusable_homoglyphs import confusables

    table = {}
    for character, found in confusables.confusables_data.items():
        plainest = [one["c"] for one in found if one["c"].isascii() and one["c"].isalnum()]
        if len(character) == 1 and not character.isascii() and plainest:
            table[character] = min(plainest, key=lambda text: (len(text), text)).lower()
    return table


VARIANT, LOOK_ALIKE, MISSPELT, REORDERED = "variant", "look_alike", "misspelt", "reordered"
DOMAIN, ABBREVIATED, SAME_LOCAL = "domain", "abbreviated", "same_local"
"""How two addresses resemble: the same but for tag and dots; for the eye; one keystroke apart; the
same words in another order; the same at a domain that looks or is spelt like the other; an initial
for a name; the same before the @."""


def compare_addresses(one: str, other: str) -> str | None:
    """Return how two different e-mail addresses resemble each other, or None if they do not."""
    mine, yours = address_of(one), address_of(other)
    if mine.is_role or yours.is_role:
        return None
    if mine.domain == yours.domain:
        return _compare_locals(mine, yours)
    if mine.looks != yours.looks:
        return None
    near = skeleton(mine.domain) == skeleton(yours.domain) or one_slip(mine.domain, yours.domain)
    if mine.bare != yours.bare:
        return LOOK_ALIKE if near else None
    if near:
        return DOMAIN
    return SAME_LOCAL if len(mine.bare) >= 4 else None


def _compare_locals(mine: Address, yours: Address) -> str | None:
    if mine.bare == yours.bare:
        return VARIANT
    if mine.looks == yours.looks:
        return LOOK_ALIKE
    if mine.words == yours.words:
        return REORDERED
    if mine.bare in short_forms(yours.local) or yours.bare in short_forms(mine.local):
        return ABBREVIATED
    if (
        min(len(mine.bare), len(yours.bare)) >= 4
        and one_slip(mine.bare, yours.bare)
        and not _siblings(mine, yours)
    ):
        return MISSPELT
    return None


def one_slip(one: str, other: str) -> bool:
    """Return whether one keystroke turns one text into the other.

    A letter too many, too few, another one, or two in the wrong order; texts that differ in a digit
    only are numbered, not misspelt.
    """
    if abs(len(one) - len(other)) > 1 or OSA.distance(one, other, score_cutoff=1) != 1:
        return False
    return re.sub(r"\d", "", one) != re.sub(r"\d", "", other)


def _siblings(mine: Address, yours: Address) -> bool:
    """Return whether the addresses differ in an initial: ``h.weber`` and ``k.weber``."""
    differ = set(mine.words) ^ set(yours.words)
    if len(mine.words) > 1 and any(len(word) == 1 for word in differ):
        return True
    # hweber and kweber: another first letter is another first name, more often than a slip
    return mine.bare[1:] == yours.bare[1:]


def short_forms(local: str) -> tuple[str, ...]:
    """Return what a local part of two words is short as: an initial in place of one of them."""
    words = [word for word in re.split(r"[._-]+", _untagged(local)) if word]
    if len(words) != 2 or min(map(len, words)) < 2:
        return ()
    first, last = words
    return first[0] + last, last + first[0], first + last[0]


def address_fits_name(address: str, name: str) -> bool:
    """Return whether the address is made of the name: family name, and the other or its initial."""
    parts = name_parts(name)
    local = address_of(address).bare
    if len(parts) < 2 or is_cjk(parts[0]):
        return False
    long = [part for part in parts if len(part) > 1]
    if all(part in local for part in parts) and len(long) > 1:
        return True
    return any(
        local in {first[0] + last, last + first[0]}
        for first in parts
        for last in parts
        if first is not last and len(last) >= 3
    )


# --- companies ----------------------------------------------------------------------------------


@lru_cache(maxsize=65536)
def company_key(company: str) -> str:
    """Return the name of a company as it is compared: without legal form, case and signs."""
    text = unicodedata.normalize("NFKC", company).casefold()
    if is_cjk(text):
        text = _CJK_FORMS.sub("", text)
        return "".join(c for c in text if c.isalnum())
    words = re.findall(r"[^\W_]+", plain(text).replace(".", ""))
    kept = [word for word in words if word not in _LEGAL_FORMS]
    return " ".join(kept or words)
