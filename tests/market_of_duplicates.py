"""A seeded market of people who are known by several records, with the truth beside it.

Nobody here exists: names are put together from syllables, domains end in `.example` or are
example.com and its sisters, telephone numbers lie in the ranges kept for fiction.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

PEOPLE: Final = 5_000
GIVEN: Final = (
    *("Ada", "Albin", "Alma", "Anselm", "Anton", "Astrid", "Beata", "Bela", "Berta", "Bodo"),
    *("Carla", "Cleo", "Clara", "Conrad", "Dario", "Dora", "Edda", "Edgar", "Elena", "Elias"),
    *("Emil", "Erika", "Falk", "Fanny", "Felix", "Flora", "Frida", "Gerda", "Gregor", "Gwen"),
    *("Hedwig", "Helge", "Hugo", "Ida", "Ines", "Irma", "Ivo", "Jakob", "Jorun", "Judith"),
    *("Kaja", "Karin", "Kilian", "Lars", "Leonie", "Livia", "Lorenz", "Magda", "Malte", "Marit"),
    *("Mina", "Nele", "Noor", "Oskar", "Otis", "Paula", "Pia", "Quinn", "Ralf", "Rosa"),
    *("Runa", "Silas", "Sonja", "Tarek", "Tilda", "Tove", "Ulla", "Urs", "Vera", "Viggo"),
    *("Wanda", "Wim", "Xenia", "Yara", "Zoe", "Jörg", "Zoé", "André", "Søren", "Łucja"),
)
_HEADS: Final = (
    *("Abend", "Birk", "Corv", "Dahl", "Eklund", "Fior", "Grov", "Haag", "Imber", "Jans"),
    *("Kestr", "Lind", "Marl", "Nord", "Ori", "Petr", "Quill", "Row", "Sand", "Tann"),
    *("Ulm", "Varg", "Weir", "Yarr", "Zell", "Müll", "Schön", "Brück", "Hög", "Lacr"),
)
_TAILS: Final = (
    *("er", "en", "qvist", "mann", "berg", "oz", "ini", "sen", "ov", "et"),
    *("field", "wood", "stein", "ais", "elli", "ard", "ow", "es", "ley", "ström"),
)
FAMILY: Final = tuple(head + tail for head in _HEADS for tail in _TAILS)
JAPANESE_FAMILY: Final = tuple(
    "山田 佐藤 鈴木 高橋 田中 伊藤 渡辺 中村 小林 加藤 吉田 山本 松本 井上 木村 清水 斎藤 阿部 池田 橋本".split()
)
JAPANESE_GIVEN: Final = tuple(
    "太郎 花子 健一 美咲 大輔 陽子 翔太 真由美 拓也 由紀子 直樹 恵子 亮 葵 蓮 結衣 誠 桜 隆 愛".split()
)
KOREAN_FAMILY: Final = tuple("김 이 박 최 정 강 조 윤 장 임".split())
KOREAN_GIVEN: Final = tuple("민수 서연 지훈 예은 도윤 하은 준서 수아 시우 지우 현우 유진".split())
PRIVATE: Final = ("example.com", "example.net", "example.org")
COMPANIES: Final = 600

SORTS: Final = (
    *("private_address", "misspelt_address", "plus_tag", "dots", "case", "misspelt_domain"),
    *("short_address", "phone_and_address", "record_and_form", "accents", "name_order"),
    *("two_browsers", "width_and_honorific", "initial", "misspelt_name", "other_job"),
    *("known_phone", "known_address"),
)
"""What makes a second record of one person."""


@dataclass
class Human:
    """Somebody with one name and one telephone."""

    number: int
    given: str
    family: str
    company: int | None
    phone: str
    script: str = "latin"
    handle: str = ""

    @property
    def name(self) -> str:
        """Return the name as its script writes it."""
        if self.script == "latin":
            return f"{self.given} {self.family}"
        return (
            f"{self.family} {self.given}" if self.script == "japanese" else self.family + self.given
        )


@dataclass
class Market:
    """What the producers report, and who it is about."""

    events: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[tuple[str, str], int] = field(default_factory=dict)
    """Source and id of an event to the number of the person."""
    sorts: dict[int, str] = field(default_factory=dict)
    """Person to the sort of their second record."""


def company(number: int) -> dict[str, str]:
    """Return the company of a number: name and domain."""
    first, last = divmod(number, 20)
    name = f"{_HEADS[first % len(_HEADS)]}{('a', 'o', 'u')[number % 3]} {_TRADES[last]}"
    return {"name": name, "domain": f"{plain(name).replace(' ', '-')}-{number}.example"}


_TRADES: Final = (
    *("Pumps", "Foods", "Freight", "Labs", "Mills", "Optics", "Retail", "Works", "Tools", "Gears"),
    *("Paper", "Glass", "Steel", "Boats", "Tiles", "Seeds", "Media", "Power", "Cables", "Valves"),
)
_PLAIN: Final = str.maketrans("öüäéøł", "ouaeol")


def plain(text: str) -> str:
    """Return *text* as addresses write it."""
    return text.lower().translate(_PLAIN)


class _Pen:
    """Writes events of one person after another."""

    def __init__(self, draw: Random) -> None:
        self.draw = draw
        self.market = Market()
        self._minute = 0

    def tell(
        self, human: Human, source: str, type_: str, person: dict[str, Any], **more: Any
    ) -> None:
        """Write one event about *human*."""
        self._minute += 1
        id_ = f"{self._minute:06d}"
        day, minute = divmod(self._minute, 1_440)
        time = f"2026-03-{day + 1:02d}T{minute // 60:02d}:{minute % 60:02d}:00Z"
        subject = more.pop("subject", None)
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": id_,
            "source": source,
            "type": type_,
            "time": time,
            "data": {"person": person} | more,
        }
        if subject is not None:
            event["subject"] = subject
        self.market.events.append(event)
        self.market.truth[source, id_] = human.number


def make(people: int = PEOPLE, seed: int = 1) -> Market:
    """Return a market of *people*: a quarter of them have a second record, some share things."""
    draw = Random(seed)
    pen = _Pen(draw)
    humans = list(_humans(draw, people))
    crowd = iter(humans)
    for human in _take(crowd, people * 27 // 100):
        _twice(pen, human, SORTS[human.number % len(SORTS)])
    for _ in range(people * 6 // 500):  # colleagues behind one switchboard
        _switchboard(pen, list(_take(crowd, draw.randint(3, 7))))
    for human in _take(crowd, people * 2 // 100):  # a tablet at a fair: one browser, many people
        person = _basics(human) | {"email": address(human), "anonymous_id": "tablet-1"}
        pen.tell(human, "/fair", "event.attended", person, event="Fair", kind="trade_show")
    for one, other in _pairs(crowd, people * 2 // 100):  # namesakes
        other.given, other.family, other.script = one.given, one.family, one.script
        one.company, other.company = one.number % COMPANIES, (one.number + 7) % COMPANIES
        for human in (one, other):
            _once(pen, human)
    for one, other in _pairs(crowd, people // 100):  # father and son
        other.family, other.company, other.script = one.family, one.company, one.script
        for human in (one, other):
            person = _basics(human) | {"email": address(human), "phone": one.phone}
            pen.tell(human, "/forms", "form.submitted", person, kind="contact")
    for n, human in enumerate(_take(crowd, people * 2 // 100)):  # mailboxes of functions
        role = ("info", "sales", "office")[n % 3]
        firm = company(n)
        person = {"email": f"{role}@{firm['domain']}", "company": firm}
        pen.tell(human, "/forms", "form.submitted", person, kind="contact")
    for human in _take(crowd, people * 2 // 100):  # numbered accounts at one provider
        person = {"email": f"member{human.number}@{PRIVATE[0]}", "name": human.name}
        pen.tell(human, "/forms", "form.submitted", person, kind="newsletter")
    for human in crowd:
        _once(pen, human)
    return pen.market


def _humans(draw: Random, people: int) -> Iterator[Human]:
    for number in range(people):
        script, given, family = "latin", _skewed(draw, GIVEN), _skewed(draw, FAMILY)
        # those who write their name in another script are among the duplicates that need it
        if SORTS[number % len(SORTS)] in ("name_order", "width_and_honorific"):
            script = "japanese" if number % 3 else "korean"
        elif number % 10 == 0:
            script = "japanese"
        if script == "japanese":
            given, family = draw.choice(JAPANESE_GIVEN), draw.choice(JAPANESE_FAMILY)
        elif script == "korean":
            given, family = draw.choice(KOREAN_GIVEN), draw.choice(KOREAN_FAMILY)
        working = draw.random() < 0.7
        yield Human(
            number,
            given,
            family,
            draw.randrange(COMPANIES) if working else None,
            f"+1{201 + number // 100}55501{number % 100:02d}",
            script,
            f"{draw.choice(_HEADS)}{draw.choice(_TAILS)}".lower().translate(_PLAIN),
        )


def _skewed(draw: Random, names: tuple[str, ...]) -> str:
    """Return a name; those in front are frequent."""
    return names[int(len(names) * draw.random() ** 1.4)]


def _take(crowd: Iterator[Human], count: int) -> Iterator[Human]:
    for _ in range(count):
        yield next(crowd)


def _pairs(crowd: Iterator[Human], count: int) -> Iterator[tuple[Human, Human]]:
    for _ in range(count):
        yield next(crowd), next(crowd)


def _basics(human: Human) -> dict[str, Any]:
    person: dict[str, Any] = {"name": human.name}
    if human.company is not None:
        person["company"] = company(human.company)
    return person


def local_part(human: Human) -> str:
    """Return what stands before the @ in the address of *human*: unique, and like the name."""
    if human.script == "latin":
        words = f"{plain(human.given)}.{plain(human.family)}"
    else:
        words = human.handle
    return f"{words}.{_letters(human.number)}"


def _letters(number: int) -> str:
    """Return a mark of the person in letters, so that addresses do not differ in a digit only."""
    marks = ""
    for _ in range(3):
        number, rest = divmod(number * 7 + 3, 26)
        marks += "abcdefghijklmnopqrstuvwxyz"[rest]
    return marks


def address(human: Human) -> str:
    """Return the address of *human*: at work, else a private one."""
    if human.company is not None:
        return f"{local_part(human)}@{company(human.company)['domain']}"
    return f"{local_part(human)}@{PRIVATE[human.number % 3]}"


def _once(pen: _Pen, human: Human) -> None:
    """Write the only record of somebody."""
    person = _basics(human) | {"email": address(human)}
    if pen.draw.random() < 0.4:
        person["phone"] = human.phone
    if pen.draw.random() < 0.5:
        browser = {"anonymous_id": f"browser-{human.number}"}
        pen.tell(human, "/web", "page.viewed", browser, url="https://example.com/")
        person |= browser
    pen.tell(human, "/forms", "form.submitted", person, kind="content")


def _switchboard(pen: _Pen, colleagues: list[Human]) -> None:
    for human in colleagues:
        human.company = colleagues[0].number % COMPANIES
        person = _basics(human) | {"email": address(human), "phone": colleagues[0].phone}
        pen.tell(human, "/forms", "form.submitted", person, kind="contact")


def _twice(pen: _Pen, human: Human, sort: str) -> None:
    """Write two records of one person, which differ as *sort* says."""
    pen.market.sorts[human.number] = sort
    first = _basics(human) | {"email": address(human)}
    second = dict(first)
    source, more = "/forms", {}
    local, domain = address(human).split("@")
    match sort:
        case "private_address":
            second = {"name": human.name, "email": f"{local.replace('.', '')}@{PRIVATE[1]}"}
            if domain == PRIVATE[1]:
                second["email"] = f"{local.replace('.', '')}@{PRIVATE[0]}"
            if pen.draw.random() < 0.5:
                second["email"] = f"{human.handle}{human.number}@{PRIVATE[2]}"
                first["phone"] = second["phone"] = human.phone
        case "misspelt_address":
            second["email"] = f"{misspelt(pen.draw, local)}@{domain}"
        case "plus_tag":
            second["email"] = f"{local}+news@{domain}"
        case "dots":
            second["email"] = f"{local.replace('.', pen.draw.choice(('', '_', '-')))}@{domain}"
        case "case":
            second["email"] = address(human).upper()
        case "misspelt_domain":
            second["email"] = f"{local}@{misspelt(pen.draw, domain.partition('.')[0])}.example"
            if domain in PRIVATE:
                second["email"] = f"{local}@{domain.replace('xam', 'xma')}"
        case "short_address":
            human.company = human.number % COMPANIES
            domain = company(human.company)["domain"]
            words = f"{plain(human.given)}.{plain(human.family)}"
            if human.script != "latin":
                words = f"{human.handle}.{_letters(human.number)}"
            head, tail = words.split(".")
            first = _basics(human) | {"email": f"{words}@{domain}"}
            second = _basics(human) | {"email": f"{head[0]}{tail}@{domain}"}
        case "phone_and_address":
            human.company = human.number % COMPANIES
            first = _basics(human) | {"email": address(human)}
            second = _basics(human) | {"phone": human.phone}
            source = "/calls"
        case "record_and_form":
            human.company = human.number % COMPANIES
            first = _basics(human) | {"email": address(human)}
            second = _basics(human) | {"external_ids": {"crm": f"C{human.number}"}}
            source, more = "/crm", {"subject": f"C{human.number}"}
        case "accents":
            human.given, human.family = "Jörg", human.family if human.script == "latin" else "Möll"
            human.script = "latin"
            human.company = human.number % COMPANIES
            first = _basics(human) | {"email": address(human)}
            second = _basics(human) | {
                "email": f"{human.handle}@{PRIVATE[human.number % 3]}",
                "name": f"Joerg {human.family}".upper(),
            }
        case "name_order":
            turned = {
                "japanese": f"{human.given}　{human.family}",
                "korean": f"{human.given} {human.family}",
            }
            second = _basics(human) | {
                "name": turned[human.script],
                "email": f"{human.handle}.{human.number}@{PRIVATE[human.number % 3]}",
                "phone": human.phone,
            }
            first["phone"] = human.phone
        case "width_and_honorific":
            human.company = human.number % COMPANIES
            first = _basics(human) | {"email": address(human)}
            polite = {"japanese": f"{human.family}・{human.given} 様", "korean": f"{human.name} 님"}
            second = _basics(human) | {
                "name": polite[human.script],
                "email": f"{human.handle}.{human.number}@{PRIVATE[human.number % 3]}",
            }
        case "initial":
            human.company = human.number % COMPANIES
            first = _basics(human) | {"email": address(human)}
            short = human.name if human.script != "latin" else f"{human.given[0]}. {human.family}"
            second = _basics(human) | {"name": short, "phone": human.phone}
            source = "/calls"
        case "misspelt_name":
            human.company = human.number % COMPANIES
            first = _basics(human) | {"email": address(human)}
            name = human.name
            if human.script == "latin":
                name = f"{human.given} {misspelt(pen.draw, human.family)}"
            second = _basics(human) | {"name": name, "external_ids": {"crm": f"C{human.number}"}}
            source = "/crm"
        case "other_job":  # the same telephone, or nothing but the name
            human.company = human.number % COMPANIES
            first = _basics(human) | {"email": address(human), "phone": human.phone}
            second = {"name": human.name, "company": company((human.number + 99) % COMPANIES)}
            second["email"] = f"{human.handle}{human.number}@{second['company']['domain']}"
            if pen.draw.random() < 0.7:
                second["phone"] = human.phone
        case "known_phone":  # nothing but the number that is known already
            first["phone"] = human.phone
            second = {"phone": human.phone}
            source = "/calls"
        case "known_address":
            second["external_ids"] = {"crm": f"C{human.number}"}
            source, more = "/crm", {"subject": f"C{human.number}"}
        case _:  # two browsers: one person, one device, two addresses
            device = {"anonymous_id": f"shared-{human.number}"}
            first |= device
            second = device | {
                "name": human.name,
                "email": f"{human.handle}.{human.number}@{PRIVATE[human.number % 3]}",
            }
    pen.tell(human, "/forms", "form.submitted", first, kind="content")
    pen.tell(human, source, _TYPES[source], second, **more)


_TYPES: Final = {"/forms": "demo.requested", "/calls": "call.completed", "/crm": "record.imported"}


def misspelt(draw: Random, word: str) -> str:
    """Return *word* with one slip: two letters turned, one left out, one twice."""
    places = [n for n in range(1, len(word) - 1) if word[n].isalpha() and word[n + 1].isalpha()]
    n = draw.choice(places)
    kind = draw.randrange(3)
    if kind == 0 and word[n] != word[n + 1]:
        return word[:n] + word[n + 1] + word[n] + word[n + 2 :]
    if kind == 1:
        return word[:n] + word[n + 1 :]
    return word[:n] + word[n] + word[n:]
