"""Two hundred pairs of addresses that people take for each other, and that may be two people's."""

from collections.abc import Iterator
from typing import Final

_BY_HAND: Final = (
    # m and rn, w and vv, d and cl
    ("bums.ada", "burns.ada"),
    ("rnarlow.pia", "marlow.pia"),
    ("k.irmler", "k.imrler"),
    ("vvanda.weir", "wanda.weir"),
    ("ovven.row", "owen.row"),
    ("clara.ulm", "dara.ulm"),
    ("clahl.otis", "dahl.otis"),
    ("corn.dalia", "com.dalia"),
    # l, 1, I and 0, O
    ("paul.birk", "pau1.birk"),
    ("liv.nord", "1iv.nord"),
    ("ella.fior", "e11a.fior"),
    ("emi1y.sand", "emily.sand"),
    ("otto.grov", "0tto.grov"),
    ("noor.haag", "n00r.haag"),
    ("hugo.jans", "hug0.jans"),
    ("silas.ow", "s1las.ow"),
    ("sonja.es", "5onja.es"),
    ("bela.kest", "8ela.kest"),
    # letters of other scripts
    ("ada.lind", "\u0430da.lind"),
    ("otis.marl", "\u043etis.marl"),
    ("pia.nord", "\u0440ia.nord"),
    ("cleo.petr", "\u0441leo.petr"),
    ("edda.row", "\u0435dda.row"),
    ("yara.tann", "\u0443ara.tann"),
    ("xenia.ulm", "\u0445enia.ulm"),
    ("ivo.varg", "\u0456vo.varg"),
    ("silas.weir", "\u0455ilas.weir"),
    ("flora.zell", "fl\u03bfra.zell"),
    ("andre.haag", "andré.haag"),
    ("zoe.grov", "zoë.grov"),
    ("jorg.birk", "jörg.birk"),
    ("soren.dahl", "søren.dahl"),
    # dots, tags and what stands between names
    ("jsmith", "j.smith"),
    ("john.smith", "johnsmith"),
    ("john_smith", "john.smith"),
    ("john-smith", "johnsmith"),
    ("adalind", "a.d.a.lind"),
    ("pia.marl", "pia.marl+fair"),
    ("pia.row+a", "pia.row+b"),
    ("ida_ulm", "ida-ulm"),
    # the other order, and initials
    ("smith.jane", "jane.smith"),
    ("weir_otto", "otto_weir"),
    ("l.abend", "abend.l"),
    ("bodo.fior", "bfior"),
    ("dora.haag", "haagd"),
    ("elena.jans", "elenaj"),
    ("hugo-lind", "h.lind"),
    # numbers that tell people apart, and siblings
    ("smith1", "smith2"),
    ("j.smith2", "j.smith3"),
    ("h.weber", "k.weber"),
    ("hweber", "kweber"),
    ("anna.weber", "hanna.weber"),
    ("jan.petit", "jana.petit"),
    ("martin.row", "martina.row"),
    ("marc.ulm", "mark.ulm"),
    ("lena.ow", "lena.0w"),
    ("tilda.ard", "tilda.arcl"),
    # functions, and what looks like one
    ("info", "inf0"),
    ("sales", "saies"),
    ("office", "oftice"),
    ("kontakt", "contact"),
)
"""Local parts at one domain."""

_DOMAINS: Final = (
    ("gmail.example", "gmial.example"),
    ("gmail.example", "gmai1.example"),
    ("gmail.example", "gamil.example"),
    ("outlook.example", "outl00k.example"),
    ("outlook.example", "outlok.example"),
    ("hotmail.example", "hotmall.example"),
    ("hotmail.example", "hotmial.example"),
    ("yahoo.example", "yaho.example"),
    ("birch-works.example", "birchworks.example"),
    ("birch-works.example", "birch-w0rks.example"),
    ("modern.example", "modem.example"),
    ("corner.example", "comer.example"),
    ("pump.example", "pump.test"),
    ("valve.example", "va1ve.example"),
    ("lumen.example", "lumens.example"),
    ("example.com", "exmaple.com"),
    ("example.com", "examp1e.com"),
    ("example.org", "example.com"),
    ("north.example", "mail.north.example"),
    ("slate.example", "s1ate.example"),
    ("apple-tree.example", "\u0430pple-tree.example"),
    ("scope.example", "\u0455cope.example"),
    ("exact.example", "\u0435xact.example"),
    ("opal.example", "\u043epal.example"),
)
"""Domains, for one local part at both."""

_WORDS: Final = (
    *("albrecht", "bergmann", "castello", "dombrow", "eriksen", "fontaine", "gunnarson"),
    *("halvorsen", "isaksson", "jeppesen", "kowalski", "lindgren", "mattsson", "nowotny"),
)


def _turned() -> Iterator[tuple[str, str]]:
    for n, word in enumerate(_WORDS):
        at = 2 + n % (len(word) - 4)
        if word[at] != word[at + 1]:
            yield word, word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _left_out() -> Iterator[tuple[str, str]]:
    for n, word in enumerate(_WORDS):
        at = 2 + n % (len(word) - 3)
        yield f"a.{word}", f"a.{word[:at]}{word[at + 1 :]}"


def _doubled() -> Iterator[tuple[str, str]]:
    for n, word in enumerate(_WORDS):
        at = 1 + n % (len(word) - 2)
        yield f"{word}.b", f"{word[:at]}{word[at]}{word[at:]}.b"


def _replaced() -> Iterator[tuple[str, str]]:
    for n, word in enumerate(_WORDS):
        at = 2 + n % (len(word) - 3)
        other = "e" if word[at] != "e" else "a"
        yield f"c.{word}", f"c.{word[:at]}{other}{word[at + 1 :]}"


def _between_words() -> Iterator[tuple[str, str]]:
    for n, word in enumerate(_WORDS):
        yield f"dana.{word}", f"dana{('', '_', '-')[n % 3]}{word}"


def _shortened() -> Iterator[tuple[str, str]]:
    for word in _WORDS:
        yield f"edda.{word}", f"e.{word}"


def _tagged() -> Iterator[tuple[str, str]]:
    for word in _WORDS:
        yield f"fay.{word}", f"fay.{word}+list"


def _elsewhere() -> Iterator[tuple[str, str]]:
    """Yield addresses of namesakes: the same before the @, in two companies."""
    for n, word in enumerate((*_WORDS, "smith", "jones", "tanaka", "kim", "petit")):
        yield f"g.{word}@one-{n}.example", f"g.{word}@two-{n}.example"


def pairs() -> list[tuple[str, str]]:
    """Return two hundred pairs of different addresses, each address in one pair only."""
    found = []
    for n, (one, other) in enumerate(_BY_HAND):
        found.append((f"{one}@hand-{n}.example", f"{other}@hand-{n}.example"))
    for n, (one, other) in enumerate(_DOMAINS):
        local = f"user.{'abcdefghijklmnopqrstuvwxyz'[n] * 2}ne"
        found.append((f"{local}@{one}", f"{local}@{other}"))
    rules = (_turned, _left_out, _doubled, _replaced, _between_words, _shortened, _tagged)
    for rule in rules:
        domain = f"{rule.__name__[1:].replace('_', '-')}.example"
        found += [(f"{one}@{domain}", f"{other}@{domain}") for one, other in rule()]
    found += _elsewhere()
    return found[:200]
