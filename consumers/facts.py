"""From validated ``data`` to the parts of a fact: who, whence, and what is personal."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from consumers import normalise
from consumers.channels import derive
from consumers.malformed import INVALID_DATA, NO_IDENTIFIER, Malformed
from consumers.money import check_currency, minor_units
from consumers.registry import EventType, validator_of
from domain.corrections import CORRECTIONS

LONGEST: Final = 256
"""Characters that an identifier may have."""


_Object = dict[str, Any] | None
Parts = tuple[str, str | None, dict[str, str] | None, _Object, _Object, _Object]
"""actor, actor_id, touch, person, traits, data: the fields of ``domain.events.Fact``."""


_TOUCH: Final = frozenset(
    "channel source medium campaign content term click_id referrer page party".split()
)
_TRAITS: Final = frozenset({"title", "seniority", "region"})
_RAW: Final = frozenset({"email", "phone", "anonymous_id", "external_ids", "name"})


def build(kind: EventType, sent: Any, source: str, subject: str | None) -> Parts:
    """Return the parts of the fact that ``data`` (as sent) makes, or raise Malformed."""
    if sent is None:
        sent = {}
    try:
        data: dict[str, Any] = validator_of(kind.model)(sent)
    except ValidationError as e:
        raise explain(sent, e) from None
    person = data.pop("person", None)
    block = data.pop("touch", None)
    said = data.pop("actor", None)
    consent = data.pop("consent", None)
    if None in data.values():
        data = {name: value for name, value in data.items() if value is not None}

    private = None
    for name in kind.private:
        if name in data:
            private = {} if private is None else private
            private[name] = data.pop(name)
    if kind.money and ("amount" in data or "currency" in data):
        _take_money(kind, data)
    for name in kind.instants:
        if name in data:
            data[name] = _read(normalise.instant_or_day, data[name], f"data.{name}")
    for name in kind.days:
        if name in data:
            _read(normalise.day, data[name], f"data.{name}")
    if kind.seconds and "seconds" in data:
        data["seconds"] = int(data["seconds"])

    actor, actor_id = "unknown", None
    if said is not None:
        actor, actor_id = _actor(said, data)
    touch = None if block is None else _touch(block, data)
    if consent:
        data["consent"] = [_given(item) for item in consent]
    who, traits = _person(person, source, subject, private)
    if kind.needs_identifier and (who is None or not who["keys"]):
        raise _no_identifier(who)
    if who is not None and kind.name in CORRECTIONS and who["keys"]:
        # it belongs to the lead of the event that it corrects, whoever it names besides
        who["about"], who["keys"] = who["keys"], []
    return actor, actor_id, touch, who, traits, data or None


def _given(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return the block without its missing fields."""
    return {name: value for name, value in block.items() if value is not None}


def _read(reader: Callable[[str], int], value: str, field: str) -> int:
    try:
        return reader(value)
    except ValueError as e:
        raise Malformed(
            INVALID_DATA,
            field,
            str(e),
            'send RFC 3339 with an offset, such as "2026-01-05T09:30:00Z", or a day "2026-01-05"',
            value,
        ) from None


def _take_money(kind: EventType, data: dict[str, Any]) -> None:
    currency = data.get("currency")
    if currency is not None:
        check_currency(currency)
    if "amount" in data:
        if currency is None:
            raise Malformed(
                INVALID_DATA,
                "data.currency",
                "is missing beside an amount",
                'send the currency of the amount, such as "EUR"',
            )
        data["amount"] = minor_units(data["amount"], currency, below_zero=kind.negative)


def _actor(said: dict[str, Any], data: dict[str, Any]) -> tuple[str, str | None]:
    """Return kind and id of the actor; what else is said goes to *data*."""
    kind: str = said.pop("kind", None) or "unknown"
    actor_id: str | None = None
    if said:
        actor_id = (said.pop("id", None) or "").strip() or None
        org = said.pop("org", None)
        if org:
            data["actor_org"] = org
        extra = _given(said)
        if extra:
            data["actor_extra"] = extra
    return kind, actor_id


def _touch(block: dict[str, Any], data: dict[str, Any]) -> dict[str, str]:
    """Return the touch with its channel; what it does not name goes to *data*."""
    touch: dict[str, str] = {}
    extra: dict[str, Any] = {}
    for name, value in block.items():
        if value is None:
            continue
        if name in _TOUCH:
            text = value.strip()
            if text:
                touch[name] = text
        else:
            extra[name] = value
    if "channel" not in touch:
        touch["channel"] = derive(touch)
    if extra:
        data["touch_extra"] = extra
    return touch


def _person(
    block: dict[str, Any] | None,
    source: str,
    subject: str | None,
    private: dict[str, Any] | None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return what identifies the person and is personal, and what only describes."""
    keys: list[list[str]] = []
    if subject is not None:
        keys.append([f"subject:{source}", subject])
    person: dict[str, Any] = {"keys": keys}
    traits: dict[str, Any] = {}
    if block:
        attributes: dict[str, Any] = {}
        for name, said in block.items():
            value: Any = said.strip() if isinstance(said, str) else said
            if value is None or value == "":
                continue
            if name in _RAW:
                person[name] = value
            elif name in _TRAITS:
                traits[name] = value
            elif name == "country":
                _put(traits, attributes, name, normalise.country(value), value)
            elif name == "language":
                _put(traits, attributes, name, normalise.language(value), value)
            elif name == "company":
                company = _company(value, attributes)
                if company:
                    traits[name] = company
            elif name == "attributes":
                # what the producer itself calls an attribute wins over what is moved here
                attributes.update(_given(value))
            elif name not in (block.get("attributes") or {}):
                attributes[name] = value
        _add_keys(keys, person, traits.get("country"))
        if attributes:
            person["attributes"] = attributes
    if private:
        other = private.pop("other", None)
        if other is not None:
            person["other"] = _other(other, traits.get("country"))
        if private:
            person["private"] = private
    return (
        person if keys or len(person) > 1 else None,
        traits or None,
    )


def _put(
    traits: dict[str, Any],
    attributes: dict[str, Any],
    name: str,
    found: str | None,
    value: str,
    otherwise: str | None = None,
) -> None:
    """Keep what is a code of its standard as a trait, else as the attribute *otherwise*."""
    if found is not None:
        traits[name] = found
    else:
        attributes.setdefault(otherwise or name, value)


def _company(sent: Mapping[str, Any], attributes: dict[str, Any]) -> dict[str, Any]:
    company: dict[str, Any] = {}
    for name, said in sent.items():
        value = said.strip() if isinstance(said, str) else said
        if value is None or value == "":
            continue
        if name == "country":
            _put(company, attributes, name, normalise.country(value), value, "company_country")
        else:
            company[name] = value
    return company


def _add_keys(keys: list[list[str]], person: dict[str, Any], country: str | None) -> None:
    """Append the identifiers of the person block, strongest first."""
    email = person.get("email")
    if email is not None:
        keys.append(["email", email_of(email)])
    if "phone" in person:
        number = normalise.phone(person["phone"], country)
        if number is not None:
            keys.append(["phone", number])
    if "anonymous_id" in person and not normalise.is_nobody(person["anonymous_id"]):
        keys.append(["anonymous_id", person["anonymous_id"]])
    external = person.get("external_ids")
    if external is not None:
        ids: dict[str, str] = {}
        for system, value in external.items():
            name, text = system.strip(), "" if value is None else str(value).strip()
            if name and text and not normalise.is_nobody(text):
                ids[name] = text
        if ids:
            person["external_ids"] = ids
            keys.extend(["external:" + name, ids[name]] for name in sorted(ids))
        else:
            del person["external_ids"]
    for kind, value in keys:
        if not value.isprintable():
            check_identifier(value, "an identifier", _FIELDS.get(kind))


_FIELDS: Final = {
    "email": "data.person.email",
    "phone": "data.person.phone",
    "anonymous_id": "data.person.anonymous_id",
}


def check_identifier(value: str, what: str, field: str | None) -> None:
    """Raise Malformed if an identifier holds a control character: two would look alike."""
    if any(c < " " or "\x7f" <= c < "\xa0" for c in value):
        raise Malformed(
            INVALID_DATA,
            field or "data.person.external_ids",
            f"{what} holds a control character",
            "remove it",
            value,
        )


def email_of(value: str, field: str = "data.person.email") -> str:
    """Return the address as it is matched, or raise Malformed."""
    try:
        return normalise.email(value)
    except ValueError as e:
        raise Malformed(
            INVALID_DATA,
            field,
            f"is no e-mail address: {e}",
            "correct it, or send it in data.person.attributes, where it identifies nobody",
            value,
        ) from None


def _other(sent: Mapping[str, Any], country: str | None) -> list[str]:
    """Return kind and value of the other lead's identifier, as it is matched."""
    kind, value = sent["kind"].strip(), sent["value"].strip()
    if not value:
        raise Malformed(
            INVALID_DATA, "data.other.value", "is blank", "send the identifier of the other lead"
        )
    if kind == "email":
        value = email_of(value, "data.other.value")
    elif kind == "phone":
        number = normalise.phone(value, country)
        if number is None:
            raise Malformed(
                INVALID_DATA,
                "data.other.value",
                "is no phone number that can be read",
                'send it with its country: "+49 30 1234567"',
                value,
            )
        value = number
    check_identifier(value, "an identifier", "data.other.value")
    return [kind, value]


def _no_identifier(person: Mapping[str, Any] | None) -> Malformed:
    mend = "send subject, or one of data.person.email, phone, anonymous_id, external_ids"
    if person is not None and "phone" in person:
        return Malformed(
            NO_IDENTIFIER,
            "data.person.phone",
            "is no number that can be read, and nothing else identifies the person",
            'send it with its country ("+49 30 1234567"), or ' + mend,
            person["phone"],
        )
    return Malformed(NO_IDENTIFIER, None, "nothing in it identifies a person", mend)


_PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("is required", "send it"),
    "string_type": ("is not a string", "send a JSON string"),
    "int_type": ("is not an integer", "send a JSON integer"),
    "float_type": ("is not a number", "send a JSON number"),
    "bool_type": ("is neither true nor false", "send true or false"),
    "dict_type": ("is not an object", "send a JSON object"),
    "list_type": ("is not a list", "send a JSON list"),
    "string_too_long": ("is longer than {max_length} characters", "shorten it"),
    "string_too_short": ("is empty", "send a value"),
    "greater_than_equal": ("is below {ge}", "send {ge} or more"),
    "less_than_equal": ("is above {le}", "check its unit"),
    "literal_error": ("is not one of those allowed", "send {expected}"),
    "string_pattern_mismatch": ("does not have the form {pattern}", "send that form"),
}
_FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "size": (
        "is neither an integer nor a band",
        'send the number of employees, or a band such as "200-499" or "2000+"',
    ),
    "day": ("is no day", 'send a day such as "2026-01-05"'),
    "close_date": ("is no day", 'send a day such as "2026-01-05"'),
    "kind": (
        "is no kind of identifier",
        "send email, phone, anonymous_id, subject:<source> or external:<system>",
    ),
}


def explain(sent: Any, error: ValidationError) -> Malformed:
    """Return the first complaint of pydantic in our words: field, value, problem, mend."""
    found = error.errors(include_url=False)[0]
    path: list[str] = []
    value = sent
    missing = found["type"] == "missing"
    for step in found["loc"]:
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if in_list or (isinstance(value, dict) and step in value):
            value = value[step]
        elif not (missing and isinstance(value, dict)):
            break  # the name of a branch of a union, which is not in what was sent
        path.append(str(step))
    field = ".".join(["data", *path])
    last = path[-1] if path else ""
    if last == "amount" and not missing:
        return _explain_amount(sent, value)
    if last == "currency" and not missing:
        try:
            check_currency(value, field)
        except Malformed as e:
            return e
    form = found["type"] == "string_pattern_mismatch" or last == "size"
    if form and last in _FORMS:
        problem, mend = _FORMS[last]
    else:
        context = found.get("ctx", {})
        problem, mend = (
            text.format(**context)
            for text in _PROBLEMS.get(found["type"], (found["msg"], "see the schema of the type"))
        )
    if missing:
        return Malformed(INVALID_DATA, field, problem, mend)
    return Malformed(INVALID_DATA, field, problem, mend, value)


def _explain_amount(sent: Mapping[str, Any], amount: Any) -> Malformed:
    """Return what the rules of money say about an amount that is not even of the right shape."""
    currency = sent.get("currency")
    try:
        minor_units(amount, check_currency("EUR" if currency is None else currency))
    except Malformed as e:
        return e
    return Malformed(INVALID_DATA, "data.amount", "is no amount of money", "send a string", amount)
